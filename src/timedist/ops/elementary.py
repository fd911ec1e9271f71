"""Functions of arrays that keep their dtype, where those of `keras.ops` may not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops import compat

Tensor = Any


def finfo(x: Tensor) -> np.finfo:
    """NumPy's description of the floating dtype of `x`."""
    return _finfo(x.dtype)


@cache
def _finfo(dtype: Any) -> np.finfo:
    return np.finfo(keras.backend.standardize_dtype(dtype))


def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`keras.ops.where` that lets Python numbers take the dtype of the other branch."""
    if compat.backend_name() == "torch" and compat.is_tensor(condition):
        return _torch_where(condition, x, y)
    # (A cast of a Python number goes by way of float32 on TensorFlow.)
    if not hasattr(x, "dtype"):
        x = ops.convert_to_tensor(x, dtype=y.dtype)
    if not hasattr(y, "dtype"):
        y = ops.convert_to_tensor(y, dtype=x.dtype)
    return ops.where(condition, x, y)


def _torch_where(condition: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
    """Torch's own takes numbers as they are, in a fifth of the time."""
    import torch

    return torch.where(condition, x, y)


def full_like(x: Tensor, number: float) -> Tensor:
    """A number in the shape and dtype of a tensor.

    (`keras.ops.full_like` reads the number on torch, where Keras infers shapes without numbers.)
    """
    return ops.zeros_like(x) + number


def parts(x: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """The last axis in parts of these sizes, whose gradient is one concatenation.

    (`keras.ops.split` computes with the places on torch, which takes longer than the split.)
    """
    if compat.backend_name() == "torch":
        return list(x.split(list(sizes), dim=-1))
    ends = np.cumsum(sizes)[:-1].tolist()
    return ops.split(x, ends, axis=-1) if ends else [x]


def maximum(x: Tensor | float, bound: Tensor | float) -> Tensor:
    """The larger of two tensors or numbers, in the dtype of the first that is a tensor.

    (`keras.ops.maximum` turns float64 into float32 on torch.) NaN stays NaN.
    """
    numbers = isinstance(x, (int, float)) and isinstance(bound, (int, float))
    return max(x, bound) if numbers else where(x < bound, bound, x)


def minimum(x: Tensor | float, bound: Tensor | float) -> Tensor:
    """The smaller of two tensors or numbers; see `maximum`."""
    numbers = isinstance(x, (int, float)) and isinstance(bound, (int, float))
    return min(x, bound) if numbers else where(x > bound, bound, x)


def hypot(x: Tensor, number: float) -> Tensor:
    """The root of x^2 + number^2 in the dtype of `x`, in float32 for x up to 1e25."""
    if compat.backend_name() == "torch":
        import torch

        return torch.hypot(x, x.new_full((), number))
    # (`keras.ops.hypot` is slower by far on JAX and TensorFlow: it chooses the larger first.)
    unit = 2.0**-20
    scaled = x * unit
    return ops.sqrt(scaled * scaled + (number * unit) ** 2) / unit


def floor(x: Tensor) -> Tensor:
    """Largest integer not above `x`, in the dtype of `x` (`keras.ops` may lose float64)."""
    name = compat.backend_name()
    if name == "jax":
        import jax.numpy as jnp

        return jnp.floor(x)
    if name == "torch":
        import torch

        return torch.floor(x)
    return ops.floor(x)


def ceil(x: Tensor) -> Tensor:
    """Smallest integer not below `x`, in the dtype of `x`; see `floor`."""
    return -floor(-x)


def cumsum(x: Tensor) -> Tensor:
    """Cumulative sum along the last axis, in the dtype of `x` (see `maximum`)."""
    if compat.backend_name() != "torch":
        return ops.cumsum(x, axis=-1)
    import torch

    return torch.cumsum(x, dim=-1)


def largest_so_far(x: Tensor) -> Tensor:
    """Cumulative maxima along the last axis, in as many rounds as its size doubles.

    (`keras.ops.associative_scan` forgets shapes on TensorFlow and needs numbers on torch.)
    """
    shift = 1
    while shift < x.shape[-1]:
        before = ops.concatenate([x[..., :shift], x[..., :-shift]], axis=-1)
        x, shift = maximum(x, before), 2 * shift
    return x


# --- functions that keep their dtype ------------------------------------------------------------


def _in_dtype(name: str, x: Tensor) -> Tensor:
    """A function of `keras.ops` by name, from JAX itself where Keras's gives float32 of float64."""
    if compat.backend_name() == "jax":
        import jax.numpy as jnp

        return getattr(jnp, name)(x)
    return getattr(ops, name)(x)


def sin(x: Tensor) -> Tensor:
    """Sine."""
    return _in_dtype("sin", x)


def cos(x: Tensor) -> Tensor:
    """Cosine."""
    return _in_dtype("cos", x)


def tan(x: Tensor) -> Tensor:
    """Tangent."""
    return _in_dtype("tan", x)


def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine."""
    return _in_dtype("sinh", x)


def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine."""
    return _in_dtype("cosh", x)


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return _in_dtype("tanh", x)


def arctan(x: Tensor) -> Tensor:
    """Inverse of the tangent."""
    return _in_dtype("arctan", x)


def arcsin(x: Tensor) -> Tensor:
    """Inverse of the sine."""
    return _in_dtype("arcsin", x)
