"""Modified Bessel functions of the first kind, in the forms a circular distribution needs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.ops import compat, special

Tensor = Any


def i0e(x: Tensor) -> Tensor:
    """I_0(x) exp(-|x|)."""
    return _backend("i0e", x)


def i1e(x: Tensor) -> Tensor:
    """I_1(x) exp(-|x|)."""
    return _backend("i1e", x)


def _backend(name: str, x: Tensor) -> Tensor:
    backend = compat.backend_name()
    if backend == "jax":
        import jax.scipy.special as jsp

        return getattr(jsp, name)(x)
    if backend == "tensorflow":
        import tensorflow as tf

        return getattr(tf.math, f"bessel_{name}")(x)
    import torch

    return getattr(torch.special, name)(x)


def _coefficients(order: int, number: int = 11) -> np.ndarray:
    """Those of the expansion of I_order(x) exp(-x) sqrt(2 pi x) in 1 / x.

    Source: NIST Digital Library of Mathematical Functions, 10.40.1.
    """
    k = np.arange(1, number)
    factors = -(4.0 * order**2 - (2.0 * k - 1.0) ** 2) / (8.0 * k)
    return np.concatenate([[1.0], np.cumprod(factors)])


_FIRST = _coefficients(0)
_GAP = (_coefficients(0) - _coefficients(1))[1:]


def _polynomial(coefficients: np.ndarray, x: Tensor) -> Tensor:
    """Of ascending powers of x, by Horner's rule."""
    total = ops.zeros_like(x)
    for coefficient in coefficients[::-1]:
        total = total * x + float(coefficient)
    return total


def _split(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the expansion holds, 1 / x for it, and x for the backend's own function."""
    bound = 20.0 if compat.epsilon(x) > 1e-10 else 50.0
    large = x > bound
    return large, 1.0 / special.where(large, x, bound), special.where(large, bound, x)


def log_i0e(x: Tensor) -> Tensor:
    """log I_0(x) - x for x >= 0, with a derivative that does not cancel for large x."""
    large, inverse, direct = _split(x)
    series = ops.log(_polynomial(_FIRST, inverse)) + 0.5 * ops.log(inverse / (2.0 * math.pi))
    return ops.where(large, series, ops.log(i0e(direct)))


def one_minus_i1_over_i0(x: Tensor) -> Tensor:
    """1 - I_1(x) / I_0(x) for x >= 0, without cancellation for large x."""
    large, inverse, direct = _split(x)
    series = inverse * _polynomial(_GAP, inverse) / _polynomial(_FIRST, inverse)
    return ops.where(large, series, 1.0 - i1e(direct) / i0e(direct))
