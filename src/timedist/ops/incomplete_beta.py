"""The regularised incomplete beta function, once for all backends, with every derivative.

torch has none, TensorFlow's has no gradient in its first two arguments, JAX's raises there.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.ops import compat, special
from timedist.ops.duals import Dual, forward_differentiable, iterate

Tensor = Any

_MOST_STEPS = 5000


def log_betainc(a: Tensor, b: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """log I_x(a, b) and log(1 - I_x(a, b)), both accurate where they are small.

    Args:
        a: positive tensor.
        b: positive tensor.
        x: tensor in [0, 1].
        y: `1 - x`, computed by the caller without cancellation.

    Returns:
        Two tensors of the broadcast shape.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 and 8.17.4.
    """
    a, b, x, y = compat.broadcast_arrays(a, b, x, y)
    swap = x * (a + b + 2.0) > a + 1.0
    p, q = ops.where(swap, b, a), ops.where(swap, a, b)
    u, v = ops.where(swap, y, x), ops.where(swap, x, y)
    empty = u <= 0.0
    small = _log_small_side(p, q, special.where(empty, 0.5, u), special.where(empty, 0.5, v))
    small = special.where(empty, -math.inf, special.minimum(small, 0.0))
    large = special.log1mexp(small)
    return ops.where(swap, large, small), ops.where(swap, small, large)


def _log_small_side(a: Tensor, b: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """log I_x(a, b) for x below the mode: log of [x^a y^b / (a B(a, b))] plus the fraction."""
    # x^a y^b / (a B(a, b)) is the binomial term of a and b times b / (a + b).
    term = special.log_binomial_term(a, b, special.Chances(x, y, ops.log(x), ops.log(y)))
    prefactor = term + ops.log(b) - ops.log(a + b)
    return prefactor + ops.log(a) + ops.log(_fraction(a, b, x, y))


@forward_differentiable
def _fraction(a: Dual, b: Dual, x: Dual, y: Dual) -> Dual:
    """The even part of the continued fraction of I_x(a, b), by Lentz's algorithm.

    Source: Didonato, Morris: Algorithm 708, Significant Digit Computation of the Incomplete Beta
    Function Ratios (1992), equation 9, whose terms have no cancellation where x is near one.
    """

    def denominator(m: Any) -> Dual:
        later = m * ((b - m) * x) / (a + (2.0 * m - 1.0)) + m
        return (a + m) / (a + (2.0 * m + 1.0)) * (a * y - b * x + 1.0 + m * (y + 1.0)) + later

    def step(m: Tensor, c: Dual, d: Dual) -> tuple[tuple, Dual]:
        scale = a + (2.0 * m - 1.0)
        # In this order no factor overflows: x is small where b is large.
        grown = (a + b + (m - 1.0)) * x / scale
        numerator = (a + (m - 1.0)) / scale * grown * (m * ((b - m) * x))
        below = denominator(m)
        d = 1.0 / (numerator * d + below)
        c = numerator / c + below
        return (c, d), c * d

    first = a / (a + 1.0) * (a * y - b * x + 1.0)
    return 1.0 / iterate(step, (first, Dual.constant(0.0, x)), first, _MOST_STEPS)
