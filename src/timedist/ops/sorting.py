"""Sorting, which takes most of the time of scores of samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from keras import ops

from timedist.ops import compat

Tensor = Any


def sort(x: Tensor) -> Tensor:
    """Sorted along the last axis; as `keras.ops.sort`, but faster on a CPU.

    NumPy sorts by vector instructions, which no backend does: where nothing compiles, it is asked.
    What is compiled sorts floats by the integers of the same bits, which are faster to compare.
    """
    name, plain = compat.backend_name(), compat.dtype_of(x) in ("float32", "float64")
    if plain and compat.is_concrete(x) and compat.is_on_cpu(x):
        if name == "tensorflow":
            return _numpy_sort_tf()(x)
        if not getattr(x, "requires_grad", False):
            return _numpy_sort(x)
    if name == "jax":
        return _sort_jax()(x)
    if name == "tensorflow" and plain:
        return _sort_tf()(x)
    return ops.sort(x.contiguous() if name == "torch" else x, axis=-1)


def _numpy_sort(x: Tensor) -> Tensor:
    return ops.convert_to_tensor(np.sort(compat.to_numpy(x), axis=-1))


def _flipped(bits: Tensor) -> Tensor:
    """Integers in the order of the floats of the same bits; its own inverse."""
    dtype = compat.dtype_of(bits)
    greatest = ops.convert_to_tensor(np.iinfo(dtype).max, dtype=dtype)
    return ops.where(bits < 0, ops.bitwise_xor(bits, greatest), bits)


@cache
def _numpy_sort_tf() -> Callable[[Tensor], Tensor]:
    """With the gradient of a permutation: whether a tape is open can't be asked."""
    import tensorflow as tf

    @tf.custom_gradient
    def sort(x: Tensor) -> tuple[Tensor, Callable]:
        return _numpy_sort(x), lambda upstream: _put_back_tf(upstream, tf.argsort(x, stable=True))

    return sort


@cache
def _sort_tf() -> Callable[[Tensor], Tensor]:
    """By the greatest of all, which TensorFlow sorts by too."""
    import tensorflow as tf

    @tf.custom_gradient
    def sort(x: Tensor) -> tuple[Tensor, Callable]:
        bits = tf.bitcast(-x, tf.int32 if x.dtype == tf.float32 else tf.int64)
        bits, places = tf.math.top_k(_flipped(bits), tf.shape(x)[-1])
        values = tf.ensure_shape(-tf.bitcast(_flipped(bits), x.dtype), x.shape)
        return values, lambda upstream: _put_back_tf(upstream, places)

    return sort


def _put_back_tf(upstream: Tensor, places: Tensor) -> Tensor:
    """The gradient of what was sorted: of each number that of its place in the order."""
    import tensorflow as tf

    shape, number = tf.shape(places), tf.shape(places)[-1]
    rows = tf.range(tf.size(places) // tf.maximum(number, 1))[:, None] * number
    places = tf.reshape(rows + tf.reshape(places, (-1, number)), (-1, 1))
    spread = tf.scatter_nd(places, tf.reshape(upstream, (-1,)), tf.size(places)[None])
    return tf.reshape(spread, shape)


# XLA sorts an array on one core, but several at once. Each part is compiled for itself, which only
# pays for so many numbers.
_PARTS, _LARGE = 16, 100_000


@cache
def _sort_jax() -> Callable[[Tensor], Tensor]:
    import jax
    import jax.numpy as jnp

    def by_bits(x: Tensor, *followers: Tensor) -> list[Tensor]:
        """Rows in order, and others in the order of these."""
        bits = _flipped(jax.lax.bitcast_convert_type(x, f"int{8 * x.dtype.itemsize}"))
        bits, *others = (at_once if is_small(x) else in_parts)((bits, *followers))
        return [jax.lax.bitcast_convert_type(_flipped(bits), x.dtype), *others]

    def is_small(x: Tensor) -> bool:
        known = all(isinstance(size, int) for size in x.shape)
        return not known or x.size < _LARGE or not compat.has_only_cpus()

    def at_once(arrays: tuple) -> tuple:
        return jax.lax.sort(arrays, num_keys=1, is_stable=False)

    def in_parts(arrays: tuple) -> list[Tensor]:
        shape = arrays[0].shape
        rows = [a.reshape(-1, shape[-1]) for a in arrays]
        parts = zip(*(jnp.array_split(a, min(_PARTS, len(a))) for a in rows), strict=True)
        done = zip(*map(at_once, parts), strict=True)
        return [jnp.concatenate(part).reshape(shape) for part in done]

    @jax.custom_jvp
    def sort(x: Tensor) -> Tensor:
        return by_bits(x)[0]

    @sort.defjvp
    def _(primals: tuple, tangents: tuple) -> tuple:
        (x,), (dx,) = primals, tangents
        values, places = by_bits(x, jax.lax.broadcasted_iota("int32", x.shape, x.ndim - 1))
        return values, jnp.take_along_axis(dx, places, axis=-1)

    return sort
