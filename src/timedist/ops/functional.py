"""Compiling and differentiating functions of tensors, the same way on every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops import compat

Tensor = Any


@contextmanager
def float64_scope() -> Iterator[None]:
    """Lets JAX keep float64; the other backends always do."""
    if compat.backend_name() == "jax":
        import jax

        scope: Any = jax.enable_x64(True)
    else:
        scope = nullcontext()
    with scope:
        yield


def dtype_scope(dtype: str) -> Any:
    """A context in which arrays of `dtype` keep it on every backend."""
    return float64_scope() if dtype == "float64" else nullcontext()


def compiled(function: Callable) -> Callable:
    """`function` (of tensors, giving nested structures of them) as a compiled function.

    On torch it stays as it is: compiling needs a C compiler there.
    """
    if compat.backend_name() == "jax":
        import jax

        return jax.jit(function)
    if compat.backend_name() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


class _Structure:
    """A structure without its tensors, to find what is compiled for it."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Structure) and self.value == other.value

    def __hash__(self) -> int:
        return hash(repr(self.value))


def tf_program(function: Callable, statics: tuple, tensors: tuple, by_xla: bool = False) -> Any:
    """`function(*statics, *tensors)` by a program of TensorFlow that is compiled once.

    There is one program for each signature: TensorFlow warns of a function traced many times.

    Args:
        function: of a module's top level, so that what is compiled for it is found again.
        statics: hashable arguments.
        tensors: further arguments, structures of tensors.
        by_xla: whether XLA compiles it.

    Returns:
        The structure of tensors the function gives.
    """
    import tensorflow as tf

    flat = [ops.convert_to_tensor(x) for x in keras.tree.flatten(tensors)]
    structure = _Structure(keras.tree.map_structure(lambda _: 0, tensors))
    specs = tuple(tf.TensorSpec(x.shape, x.dtype) for x in flat)
    program, like = _tf_program(function, statics, structure, specs, by_xla)
    return keras.tree.pack_sequence_as(like, program(*flat))


@cache
def _tf_program(
    function: Callable, statics: tuple, structure: _Structure, specs: tuple, by_xla: bool
) -> tuple[Callable, Any]:
    import tensorflow as tf

    like: list[Any] = []

    def run(*flat: Tensor) -> list[Tensor]:
        outputs = function(*statics, *keras.tree.pack_sequence_as(structure.value, flat))
        like[:] = [keras.tree.map_structure(lambda _: 0, outputs)]
        return keras.tree.flatten(outputs)

    program = tf.function(run, autograph=False, jit_compile=by_xla or None)
    return program.get_concrete_function(*specs), like[0]


def value_and_gradient(function: Callable, *arrays: Any) -> tuple[np.ndarray, tuple]:
    """`function(*arrays)` and the gradients of its sum to each array, all as NumPy.

    Args:
        function: of tensors, gives one tensor.
        *arrays: floating arrays, of the dtype to compute in.

    Returns:
        The value, and a tuple of gradients in the shapes of the arrays.
    """
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    value, gradients = _differentiated(function)(*tensors)
    return compat.to_numpy(value), tuple(compat.to_numpy(g) for g in gradients)


def as_one_program(function: Callable, statics: tuple, *values: Any) -> Any:
    """`function(*statics, *values)`, on JAX by a program that is kept for the next call.

    By itself JAX compiles each operation alone, and each loop again at every call. Inside of
    anything traced, and on the other backends, the function is simply called.

    Args:
        function: of a module's top level, so that what is compiled for it is found again.
        statics: hashable arguments.
        *values: tensors and distributions.
    """
    if compat.backend_name() != "jax":
        return function(*statics, *values)
    import jax

    if all(compat.is_concrete(leaf) for leaf in jax.tree_util.tree_leaves(values)):
        return _jax_program(function, statics)(*values)
    return function(*statics, *values)


@cache
def _jax_program(function: Callable, statics: tuple) -> Callable:
    import jax

    return jax.jit(partial(function, *statics))


def compiled_gradient(function: Callable) -> Callable:
    """A function of tensors that gives `(value, gradients)`, compiled on JAX and TensorFlow."""
    if compat.backend_name() == "tensorflow":
        import tensorflow as tf

        return tf.function(_differentiated(function), autograph=False)
    return _differentiated(function)


def _differentiated(function: Callable) -> Callable:
    by_backend = {"jax": _by_jax, "tensorflow": _by_tape, "torch": _by_autograd}
    return by_backend[compat.backend_name()](function)


def _by_jax(function: Callable) -> Callable:
    import jax

    def both(*args: Tensor) -> tuple:
        value, pullback = jax.vjp(function, *args)
        return value, pullback(ops.ones_like(value))

    # One program is quicker to compile than the many small ones of its operations.
    return jax.jit(both)


def _by_tape(function: Callable) -> Callable:
    import tensorflow as tf

    def both(*args: Tensor) -> tuple:
        with tf.GradientTape() as tape:
            tape.watch(args)
            value = function(*args)
        return value, tape.gradient(value, args, unconnected_gradients="zero")

    return both


def _by_autograd(function: Callable) -> Callable:
    import torch

    def both(*args: Tensor) -> tuple:
        tensors = [arg.detach().clone().requires_grad_(True) for arg in args]
        value = function(*tensors)
        gradients = [torch.zeros_like(t) for t in tensors]
        if value.requires_grad:
            found = torch.autograd.grad(value.sum(), tensors, allow_unused=True)
            gradients = [z if g is None else g for z, g in zip(gradients, found, strict=True)]
        return value, tuple(gradients)

    return both
