"""Sums over many integers: exact near both ends, by the Euler-Maclaurin formula between them.

They give what a family on the integers does not write: `numerical.py` for sums.

Source: NIST Digital Library of Mathematical Functions, 2.10(i), in its midpoint form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import numerical
from timedist.ops import compat, special

Tensor = Any

# Terms at either end that are summed one by one: beyond them a mass function is smooth.
WINDOW = 128


def total(function: Callable, low: Tensor, high: Tensor, landmarks: Sequence[Tensor]) -> Tensor:
    """The sum of a function over the integers `low <= k < high`.

    Args:
        function: elementwise, of tensors with an axis of terms in front; defined and smooth for
            real arguments between the ends, finite at integers.
        low: tensor of integers.
        high: tensor of integers of that shape, not below `low`, or inf.
        landmarks: finite tensors of that shape that show where the function changes.

    Returns:
        Tensor of that shape, of absolute error 1e-10 of the largest term or less.
    """
    points, combined = _plan(low, high, landmarks)
    return combined(function(points))


def log_total(function: Callable, low: Tensor, high: Tensor, landmarks: Sequence[Tensor]) -> Tensor:
    """The logarithm of the sum of exp(function), without underflow; arguments as for `total`."""
    points, combined = _plan(low, high, landmarks)
    logs = function(points)
    top = ops.stop_gradient(ops.max(logs, axis=0))
    top = special.where(ops.abs(top) < math.inf, top, 0.0)
    return special.log_or_minus_inf(combined(ops.exp(logs - top))) + top


def _plan(low: Tensor, high: Tensor, landmarks: Sequence[Tensor]) -> tuple[Tensor, Callable]:
    """Where to evaluate, all terms at once, and the function that sums the values found there."""
    low, high = ops.stop_gradient(low), ops.stop_gradient(high)
    finite = high < math.inf
    end = special.minimum(high, low + WINDOW)
    tail = special.maximum(end, special.where(finite, high, 0.0) - WINDOW)
    tail = special.where(finite, tail, float(special.finfo(low).max))
    long = tail > end
    bottom = low + steps(WINDOW + 2, low)
    top = special.where(finite, high - 1.0, low) - steps(WINDOW + 2, low)
    marks = [ops.where(long, mark, end) for mark in landmarks]
    finish = ops.where(long, ops.where(finite, tail - 0.5, high), end - 0.5)
    middle, weight = numerical.nodes(end - 0.5, finish, marks)
    points = ops.concatenate([bottom, top, middle], axis=0)
    inside = (points >= low - 0.5) & (points < high)
    # Where there is no term at all the function is asked at the lower end, as harmless as any.
    points = ops.where(inside, points, low + ops.zeros_like(points))
    used = inside[2 * WINDOW + 4 :] & (weight > 0.0) & (weight < math.inf) & long

    def combined(values: Tensor) -> Tensor:
        below, above = values[: WINDOW + 2], values[WINDOW + 2 : 2 * WINDOW + 4]
        between = special.where(used, values[2 * WINDOW + 4 :], 0.0)
        result = ops.sum(special.where(bottom < end, below, 0.0), axis=0)
        result = result + ops.sum(special.where((top >= tail) & finite, above, 0.0), axis=0)
        result = result + ops.sum(between * special.where(used, weight, 0.0), axis=0)
        result = result + special.where(long, _bend(below), 0.0)
        return result + special.where(long & finite, _bend(above), 0.0)

    return points, combined


def steps(number: int, like: Tensor) -> Tensor:
    """0, 1, …, number - 1 in the dtype of `like`, with axes for `like` behind."""
    numbers = np.arange(number, dtype="float64").reshape(-1, *(1,) * len(like.shape))
    return compat.to_tensor(numbers, compat.dtype_of(like))


def _bend(values: Tensor) -> Tensor:
    """What the integral from the end of a window leaves of the sum, by central differences.

    The window holds two terms more than are summed: the derivative at its end needs them.
    """
    a, b, c, d = (values[WINDOW + i] for i in (-2, -1, 0, 1))
    return (c - b) / 24.0 - (d - 3.0 * c + 3.0 * b - a) * (17.0 / 5760.0)


# --- what follows for a distribution on the integers ---------------------------------------------


def both_sides(d: Any, function: Callable, cut: Tensor) -> Tensor:
    """The sum over the support of a distribution, cut where the function may have a jump.

    Args:
        d: distribution with the hooks of `Integers`.
        function: `function(k, upper)` of tensors with two axes in front, of terms and of the two
            sides; `upper` says which terms have `k >= cut`.
        cut: tensor of integers, of the batch shape of `d` or with axes in front of it.

    Returns:
        Tensor of the broadcast shape.
    """
    low, high = numerical.support(d, cut)
    cut = ops.stop_gradient(cut) + ops.zeros_like(low)
    marks = numerical.finite_landmarks(d, low)
    # Distances from the cut, which count downwards on the lower side.
    length = ops.stack([cut - low, high - cut + 1.0], axis=0)
    ways = [ops.stack([cut - 1.0 - mark, mark - cut], axis=0) for mark in marks]
    zero = ops.zeros_like(length)
    upper = ops.stack([ops.zeros_like(cut), ops.ones_like(cut)], axis=0) > 0.5

    def at(j: Tensor) -> Tensor:
        k = cut + ops.where(upper, j, -1.0 - j)
        # An empty side is asked once: there the answer must be a harmless one.
        return function(special.minimum(special.maximum(k, low), high), upper)

    return ops.sum(total(at, zero, special.maximum(length, 0.0), ways), axis=0)


def centre(d: Any) -> Tensor:
    """An integer of the support where the mass is, of the batch shape."""
    low, high = numerical.support(d)
    mark = special.floor(ops.stop_gradient(d._hook("landmarks")()[0]) + ops.zeros_like(low))
    mark = special.where(ops.abs(mark) < math.inf, mark, 0.0)
    return special.minimum(special.maximum(mark, low), high)


def expectation(d: Any, function: Callable, cut: Tensor | None = None) -> Tensor:
    """E[function(X, log mass)], with a possible jump at the integer `cut`."""
    smallest = math.log(float(special.finfo(d._zeros()).tiny))

    def term(k: Tensor, upper: Tensor) -> Tensor:
        log_mass = d._log_mass(k)
        alive = (log_mass > smallest) & (log_mass < math.inf)
        log_mass = special.where(alive, log_mass, 0.0)
        value = special.where(alive, function(k, log_mass), 0.0)
        return special.where(alive, ops.exp(log_mass), 0.0) * value

    return both_sides(d, term, centre(d) if cut is None else cut)


def entropy(d: Any) -> Tensor:
    """-E[log p(X)]."""
    return -expectation(d, lambda _, log_mass: log_mass)


def kl_divergence(d: Any, other: Any) -> Tensor:
    """E[log p(X) - log q(X)], infinite where the support of q is smaller."""
    if not hasattr(other, "_log_mass"):
        raise NotImplementedError(f"{other._family} has no mass function of integers to sum")
    zero = d._zeros() + other._zeros()
    low, high = numerical.support(other, zero)
    mine = numerical.support(d, zero)

    def ratio(k: Tensor, log_mass: Tensor) -> Tensor:
        inside = special.minimum(special.maximum(k, low), high)
        return log_mass - other._log_mass(inside)

    # The batch shape may be the other's.
    result = expectation(d, ratio, centre(d) + zero)
    return special.where((low > mine[0]) | (high < mine[1]), math.inf, result)


def _tails(d: Any, k: Tensor) -> tuple[Tensor, Tensor]:
    """log P(X <= k) and log P(X > k), at the upper end of the support too."""
    last = k >= numerical.support(d)[1]
    lower, above = d._log_tails(k)
    return special.where(last, 0.0, lower), special.where(last, -math.inf, above)


def mean(d: Any) -> Tensor:
    """E[X], from the tail probabilities on both sides of the centre."""
    cut = centre(d)

    def excess(k: Tensor, upper: Tensor) -> Tensor:
        lower, above = _tails(d, k)
        return ops.where(upper, ops.exp(above), -ops.exp(lower))

    return cut + both_sides(d, excess, cut)


def variance(d: Any) -> Tensor:
    """E[(X - E[X])^2], likewise."""
    cut = centre(d)

    def excess(k: Tensor, upper: Tensor) -> Tensor:
        lower, above = _tails(d, k)
        distance = ops.abs(2.0 * (k - cut) + 1.0)
        return distance * ops.exp(ops.where(upper, above, lower))

    return both_sides(d, excess, cut) - ops.square(d._hook("mean")() - cut)


@numerical.completed
def crps(d: Any, y: Tensor) -> Tensor:
    r"""$\int_{-\infty}^y F(x)^2 dx + \int_y^\infty (1 - F(x))^2 dx$, sums of a step function."""
    low, high = numerical.support(d, y)
    y = y + ops.zeros_like(low)
    inside = special.minimum(special.maximum(y, low), high)
    cut = ops.stop_gradient(special.floor(inside))
    part = inside - cut

    def squared(k: Tensor, upper: Tensor) -> Tensor:
        lower, above = (ops.exp(2.0 * tail) for tail in _tails(d, k))
        first = part * lower + (1.0 - part) * above  # the step in which y lies
        return ops.where(upper, ops.where(k == cut, first, above), lower)

    return both_sides(d, squared, cut) + ops.abs(y - inside)
