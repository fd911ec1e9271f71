"""What tests need of a backend: numbers out, float64 in, gradients, compilation."""

from contextlib import contextmanager, nullcontext

import keras
import numpy as np
from keras import ops

BACKEND = keras.backend.backend()
DTYPES = ("float32", "float64")


def to_numpy(x):
    """A NumPy array from a tensor (with or without a recorded gradient), an array or a number."""
    return ops.convert_to_numpy(x) if ops.is_tensor(x) else np.asarray(x)


@contextmanager
def float64_scope():
    """Lets JAX keep float64; the other backends always do."""
    if BACKEND == "jax":
        import jax

        scope = jax.enable_x64(True)
    else:
        scope = nullcontext()
    with scope:
        yield


def dtype_scope(dtype):
    """A context in which arrays of `dtype` keep it on every backend."""
    return float64_scope() if dtype == "float64" else nullcontext()


def compiled(function):
    """`function` (of tensors, giving nested structures of them) as a compiled function."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def fast(function):
    """`function` compiled where that is faster for a few calls of loops: not on torch."""
    return compiled(function)


def value_and_gradient(function, *arrays):
    """`function(*arrays)` and the gradients of its sum to each array, all as NumPy.

    `function` gives a tensor.
    """
    if BACKEND == "jax":
        value, gradients = compiled_gradient(function)(*(ops.convert_to_tensor(a) for a in arrays))
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        tensors = [ops.convert_to_tensor(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        gradients = tape.gradient(value, tensors, unconnected_gradients="zero")
    else:
        import torch

        tensors = [ops.convert_to_tensor(a).clone().requires_grad_(True) for a in arrays]
        value = function(*tensors)
        gradients = [torch.zeros_like(t) for t in tensors]
        if value.requires_grad:
            found = torch.autograd.grad(value.sum(), tensors, allow_unused=True)
            gradients = [z if g is None else g for z, g in zip(gradients, found, strict=True)]
    return to_numpy(value), tuple(to_numpy(g) for g in gradients)


def gradient(function, *arrays):
    """The gradients of the sum of `function(*arrays)` to each array, as NumPy arrays."""
    return value_and_gradient(function, *arrays)[1]


def compiled_gradient(function):
    """A function of tensors that gives `(value, gradients)`, compiled on JAX and TensorFlow."""
    if BACKEND == "jax":
        import jax

        def both(*args):
            value, pullback = jax.vjp(function, *args)
            return value, pullback(ops.ones_like(value))

        return jax.jit(both)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function(autograph=False)
        def taped(*args):
            with tf.GradientTape() as tape:
                tape.watch(args)
                value = function(*args)
            return value, tape.gradient(value, args, unconnected_gradients="zero")

        return taped
    return lambda *args: value_and_gradient(function, *args)


def assert_close(actual, expected, rtol, floor=0.0, err_msg=""):
    """|actual - expected| <= rtol * max(|expected|, floor), infinities and NaN the same."""
    actual, expected = np.asarray(to_numpy(actual), "float64"), np.asarray(expected, "float64")
    expected = np.broadcast_to(expected, actual.shape)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        error = np.abs(actual - expected) / np.maximum(np.abs(expected), np.maximum(floor, 1e-300))
    wrong = ~(same | (error <= rtol))
    if wrong.any():
        where = tuple(np.argwhere(wrong)[0])
        worst = np.nanmax(np.where(wrong, error, 0.0))
        raise AssertionError(
            f"{err_msg}: {wrong.sum()} of {wrong.size} differ by more than {rtol:g}, "
            f"worst {worst:.3g}; "
            f"first at {where}: got {actual[where]!r}, expected {expected[where]!r}"
        )
