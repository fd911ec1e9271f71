"""The regularised incomplete gamma functions, once for all backends, with every derivative.

The backends' own lose digits for large arguments in float32 and, on torch, have no gradient in the
first argument.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.ops import compat, special
from timedist.ops.duals import Dual, forward_differentiable, iterate

Tensor = Any

_MOST_STEPS = 20000


def log_gammainc(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """log P(a, x) and log Q(a, x), the lower and upper function, both accurate where small.

    Args:
        a: positive tensor.
        x: tensor >= 0.

    Returns:
        Two tensors of the broadcast shape.

    Source: NIST Digital Library of Mathematical Functions, 8.11.4 and 8.9.2.
    """
    a, x = compat.broadcast_arrays(a, x)
    empty, full = x <= 0.0, x == math.inf
    x = special.where(empty | full, 1.0, x)
    below = x < a + 1.0
    # Each formula sees arguments of its own region only; the other elements get quick ones.
    lower_x = special.where(below, x, 0.0)
    # Where x is huge, the prefactor is all that counts, and squares in derivatives would overflow.
    limit = float(special.finfo(x).max) ** (1.0 / 3.0)
    upper_x = special.minimum(ops.where(below, 4.0 * a + 40.0, x), limit)
    prefactor = special.log_poisson_pmf(a, x, ops.log(x))
    lower = special.minimum(prefactor + ops.log(_series(a, lower_x)), 0.0)
    upper = special.minimum(prefactor + ops.log(a) + ops.log(_fraction(a, upper_x)), 0.0)
    log_p = ops.where(below, lower, special.log1mexp(special.where(below, -1.0, upper)))
    log_q = ops.where(below, special.log1mexp(special.where(below, lower, -1.0)), upper)
    log_p = special.where(empty, -math.inf, special.where(full, 0.0, log_p))
    log_q = special.where(full, -math.inf, special.where(empty, 0.0, log_q))
    return log_p, log_q


@forward_differentiable
def _series(a: Dual, x: Dual) -> Dual:
    """sum over n of x^n / ((a+1) ... (a+n)), as a product of ratios of partial sums."""

    def step(m: Tensor, term: Dual, total: Dual) -> tuple[tuple, Dual]:
        term = term * x / (a + m)
        grown = total + term
        return (term, grown), grown / total

    one = Dual.constant(1.0, x)
    return iterate(step, (one, one), one, _MOST_STEPS)


@forward_differentiable
def _fraction(a: Dual, x: Dual) -> Dual:
    """The continued fraction of Gamma(a, x) / (x^a e^-x), by Lentz's algorithm."""

    def step(m: Tensor, c: Dual, d: Dual) -> tuple[tuple, Dual]:
        numerator = (a - m) * m
        denominator = x - a + (2.0 * m + 1.0)
        d = 1.0 / (numerator * d + denominator)
        c = numerator / c + denominator
        return (c, d), c * d

    first = x - a + 1.0
    return 1.0 / iterate(step, (first, Dual.constant(0.0, x)), first, _MOST_STEPS)
