"""Densities that are constant between knots, with or without exponential tails beyond them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from keras import ops

from timedist.distributions.base import Distribution
from timedist.ops import special

Tensor = Any


class Pieces(NamedTuple):
    """A distribution function that is linear between knots.

    Attributes:
        knots: tensor of shape `batch_shape + (n,)`, non-decreasing.
        below: P(X <= knot), with a last axis of n; the first is the mass of the lower tail.
        above: P(X > knot), likewise; the last is the mass of the upper tail.
        log_mass: logarithm of the probability between neighbours, with a last axis of n - 1.
        left: mean distance of the lower tail from the first knot, shape `batch_shape`; may be 0.
        right: mean distance of the upper tail from the last knot, likewise.
    """

    knots: Tensor
    below: Tensor
    above: Tensor
    log_mass: Tensor
    left: Tensor
    right: Tensor

    @property
    def low(self) -> Tensor:
        """The lower ends of the pieces."""
        return self.knots[..., :-1]

    @property
    def high(self) -> Tensor:
        """The upper ends of the pieces."""
        return self.knots[..., 1:]

    @property
    def width(self) -> Tensor:
        """The lengths of the pieces."""
        return self.high - self.low

    @property
    def mass(self) -> Tensor:
        """The probabilities of the pieces."""
        return ops.exp(self.log_mass)

    @property
    def tails(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Mass and mean distance of the lower and of the upper tail."""
        return (self.below[..., 0], self.left), (self.above[..., -1], self.right)

    def log_density(self) -> Tensor:
        """Log density of every piece, infinite where a piece with mass has no length."""
        empty = self.width <= 0.0
        inside = self.log_mass - ops.log(special.where(empty, 1.0, self.width))
        return special.where(empty & (self.log_mass > -math.inf), math.inf, inside)

    def holding(self, x: Tensor) -> Tensor:
        """Which piece holds `x`, shape of `x` and an axis of pieces; the last has its upper end."""
        x = x[..., None]
        last = (x == self.high) & (self.high == self.knots[..., -1:])
        return (self.low <= x) & ((x < self.high) | last) & (self.width > 0.0)

    def shares(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The shares of every piece below and above `x`."""
        inside = self.holding(x)
        x = x[..., None]
        length = special.where(inside, self.width, 1.0)
        passed, ahead = ~inside & (x >= self.high), x < self.low
        below = (ops.where(inside, x, self.low) - self.low) / length
        above = (self.high - ops.where(inside, x, self.high)) / length
        below = special.where(passed, 1.0, special.where(ahead, 0.0, below))
        return below, special.where(passed, 0.0, special.where(ahead, 1.0, above))

    def beyond(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """How far `x` lies below the first and above the last knot; 0 if it does not."""
        first, last = self.knots[..., 0], self.knots[..., -1]
        return special.where(x < first, first - x, 0.0), special.where(x > last, x - last, 0.0)


def _depth(distance: Tensor, scale: Tensor, inside: Tensor) -> Tensor:
    """distance / scale where `inside` holds and it is not 0.

    At 0 a scale whose square underflows would make a NaN of the derivative.
    """
    usable = inside & (distance > 0.0) & (scale > 0.0)
    return special.where(usable, distance, 0.0) / special.where(usable, scale, 1.0)


def _decay(distance: Tensor, scale: Tensor) -> Tensor:
    """exp(-distance / scale); for scale 0 it is 1 at distance 0 and 0 beyond."""
    far = distance > 1000.0 * scale
    return special.where(far, 0.0, ops.exp(-_depth(distance, scale, ~far)))


def _log_decay(distance: Tensor, scale: Tensor) -> Tensor:
    """The logarithm of `_decay`, without underflow."""
    jump = (scale <= 0.0) & (distance > 0.0)
    return special.where(jump, -math.inf, -_depth(distance, scale, ~jump))


def _keep_missing(x: Tensor, result: Tensor) -> Tensor:
    return special.where(x != x, math.nan, result)


class Piecewise(Distribution):
    """Parent of the families whose distribution function is linear between knots.

    A family writes `_pieces`, and everything follows in closed form. Where knots coincide the
    distribution function jumps; the density is infinite there.
    """

    def _pieces(self) -> Pieces:
        """The knots and their probabilities."""
        raise NotImplementedError

    def _zeros(self) -> Tensor:
        return ops.zeros_like(self._pieces().left)

    def _log_prob(self, x: Tensor) -> Tensor:
        jumps = _jump(self._pieces(), x) > 0.0
        return _keep_missing(x, special.where(jumps, math.inf, _log_density(self._pieces(), x)))

    def _cdf(self, x: Tensor) -> Tensor:
        pieces = self._pieces()
        (lower, left), (upper, right) = pieces.tails
        under, over = pieces.beyond(x)
        within = ops.sum(pieces.mass * pieces.shares(x)[0], axis=-1)
        tails = lower * _decay(under, left) + upper * (1.0 - _decay(over, right))
        # A jump at the last knot is in the value there.
        tails = tails + special.where((right <= 0.0) & (x == pieces.knots[..., -1]), upper, 0.0)
        return _keep_missing(x, within + tails)

    def _survival(self, x: Tensor) -> Tensor:
        pieces = self._pieces()
        (lower, left), (upper, right) = pieces.tails
        under, over = pieces.beyond(x)
        within = ops.sum(pieces.mass * pieces.shares(x)[1], axis=-1)
        tails = upper * _decay(over, right) + lower * (1.0 - _decay(under, left))
        tails = tails - special.where((right <= 0.0) & (x == pieces.knots[..., -1]), upper, 0.0)
        return _keep_missing(x, within + tails)

    def _log_cdf(self, x: Tensor) -> Tensor:
        pieces = self._pieces()
        tail = special.log_or_minus_inf(pieces.below[..., 0])
        tail = tail + _log_decay(pieces.beyond(x)[0], pieces.left)
        return ops.where(x < pieces.knots[..., 0], tail, special.log_or_minus_inf(self._cdf(x)))

    def _log_survival(self, x: Tensor) -> Tensor:
        pieces = self._pieces()
        tail = special.log_or_minus_inf(pieces.above[..., -1])
        tail = tail + _log_decay(pieces.beyond(x)[1], pieces.right)
        inside = special.log_or_minus_inf(self._survival(x))
        return ops.where(x > pieces.knots[..., -1], tail, inside)

    def _quantile(self, p: Tensor) -> Tensor:
        pieces = self._pieces()
        (lower, left), (upper, right) = pieces.tails
        # In the upper half distances count from above, where 1 - p has all its digits.
        high, q = p > 0.5, 1.0 - p
        in_left = ops.where(high, q >= pieces.above[..., 0], p <= lower)
        in_right = ops.where(high, q < upper, p > pieces.below[..., -1])
        inside = _between(pieces, p[..., None], q[..., None])
        x = ops.sum(special.where(inside, _interpolated(pieces, p, q, inside), 0.0), axis=-1)
        under = _tail_depth(p, lower, in_left, left)
        over = _tail_depth(q, upper, in_right, right)
        x = ops.where(in_left, pieces.knots[..., 0] - under, x)
        return _keep_missing(p, ops.where(in_right, pieces.knots[..., -1] + over, x))

    def _mean(self) -> Tensor:
        return self._expectation(lambda x, _: x)

    def _variance(self) -> Tensor:
        mean = self._mean()
        return self._expectation(lambda x, spread: ops.square(x - mean) + spread)

    def _expectation(self, function: Any) -> Tensor:
        """The sum of `mass * function(mean, variance)` over pieces and tails."""
        pieces = self._pieces()
        (lower, left), (upper, right) = pieces.tails
        low, width = ops.moveaxis(pieces.low, -1, 0), ops.moveaxis(pieces.width, -1, 0)
        mass = ops.moveaxis(pieces.mass + ops.zeros_like(pieces.width), -1, 0)
        within = mass * function(low + 0.5 * width, ops.square(width) / 12.0)
        first = lower * function(pieces.knots[..., 0] - left, ops.square(left))
        last = upper * function(pieces.knots[..., -1] + right, ops.square(right))
        return ops.sum(within, axis=0) + first + last

    def _mode(self) -> Tensor:
        pieces = self._pieces()
        best = ops.argmax(pieces.log_density(), axis=-1)
        chosen = ops.one_hot(best, pieces.width.shape[-1], dtype="bool")
        middle = pieces.low + 0.5 * pieces.width
        return ops.sum(special.where(chosen, middle, 0.0), axis=-1)

    def _entropy(self) -> Tensor:
        pieces = self._pieces()
        density = special.where(pieces.mass > 0.0, pieces.log_density(), 0.0)
        within = -ops.sum(pieces.mass * density, axis=-1)
        for mass, scale in pieces.tails:
            within = within + mass - special.xlogy(mass, mass) + special.xlogy(mass, scale)
        return within

    def _crps(self, y: Tensor) -> Tensor:
        pieces = self._pieces()
        below, above = pieces.shares(y)
        under, over = pieces.beyond(y)
        at_low, at_high = pieces.below[..., :-1], pieces.above[..., 1:]
        cdf, survival = at_low + pieces.mass * below, at_high + pieces.mass * above
        score = below * (at_low * at_low + at_low * cdf + cdf * cdf)
        score = score + above * (at_high * at_high + at_high * survival + survival * survival)
        score = ops.sum(pieces.width * score, axis=-1) / 3.0
        for distance, (mass, scale) in zip((under, over), pieces.tails, strict=True):
            score = score + _tail_crps(distance, mass, scale)
        return _keep_missing(y, score)

    def _kl(self, other: Piecewise) -> Tensor:
        mine, others = self._pieces(), other._pieces()
        return _divergence(mine, others) + _divergence_of_jumps(mine, others)

    def _landmarks(self) -> tuple[Tensor, ...]:
        knots = self._pieces().knots
        return tuple(knots[..., i] for i in range(knots.shape[-1]))


# --- densities and jumps -----------------------------------------------------------------------


def _log_density(pieces: Pieces, x: Tensor) -> Tensor:
    """Log density at `x`, jumps aside."""
    inside = pieces.holding(x)
    log_prob = ops.sum(special.where(inside, pieces.log_density(), 0.0), axis=-1)
    log_prob = special.where(ops.any(inside, axis=-1), log_prob, -math.inf)
    for distance, (mass, scale) in zip(pieces.beyond(x), pieces.tails, strict=True):
        tail = special.log_or_minus_inf(mass) + _log_decay(distance, scale)
        tail = tail - ops.log(special.where(scale > 0.0, scale, 1.0))
        log_prob = ops.where(distance > 0.0, tail, log_prob)
    return log_prob


def _jump(pieces: Pieces, x: Tensor) -> Tensor:
    """P(X = x): the mass of the pieces and tails without length at `x`."""
    x = x[..., None]
    at = (pieces.low == x) & (pieces.high == x)
    jump = ops.sum(special.where(at, pieces.mass, 0.0), axis=-1)
    for knot, (mass, scale) in zip((0, -1), pieces.tails, strict=True):
        at_end = (x[..., 0] == pieces.knots[..., knot]) & (scale <= 0.0)
        jump = jump + special.where(at_end, mass, 0.0)
    return jump


# --- quantiles ---------------------------------------------------------------------------------


def _between(pieces: Pieces, p: Tensor, q: Tensor) -> Tensor:
    """Which piece holds the quantile of p = 1 - q."""
    lower = (pieces.below[..., :-1] < p) & (p <= pieces.below[..., 1:])
    upper = (pieces.above[..., 1:] <= q) & (q < pieces.above[..., :-1])
    return ops.where(p > 0.5, upper, lower)


def _interpolated(pieces: Pieces, p: Tensor, q: Tensor, inside: Tensor) -> Tensor:
    """The quantile of p = 1 - q by every piece."""
    p, q = p[..., None], q[..., None]
    mass = special.where(inside & (pieces.mass > 0.0), pieces.mass, 1.0)
    below = special.minimum((p - pieces.below[..., :-1]) / mass, 1.0)
    above = special.minimum((q - pieces.above[..., 1:]) / mass, 1.0)
    down, up = pieces.high - pieces.width * above, pieces.low + pieces.width * below
    return ops.where(p > 0.5, down, up)


def _tail_depth(p: Tensor, mass: Tensor, inside: Tensor, scale: Tensor) -> Tensor:
    """How far beyond the last knot the tail has the probability `p` left."""
    empty = (mass <= 0.0) | (scale <= 0.0)
    ratio = special.where(inside, p, mass) / special.where(mass > 0.0, mass, 1.0)
    depth = -special.log_or_minus_inf(special.where(empty, 1.0, ratio))
    return special.where(empty, 0.0, scale * depth)


# --- scores and divergences --------------------------------------------------------------------


def _tail_crps(distance: Tensor, mass: Tensor, scale: Tensor) -> Tensor:
    """What a tail adds to the score of a value so far out in it, or of one within (distance 0)."""
    rest = _decay(distance, scale)
    gone = 1.0 - rest
    inner = distance - scale * mass * gone * (2.0 - 0.5 * mass * (1.0 + rest))
    return 0.5 * scale * ops.square(mass * rest) + inner


def _divergence(mine: Pieces, others: Pieces) -> Tensor:
    """The divergence without the jumps.

    Between neighbours of the knots of both, the log ratio of the densities is affine: its
    expectation is its value at the mean of the part.
    """
    zero = 0.0 * (mine.knots[..., :1] + others.knots[..., :1])
    marks = ops.sort(ops.concatenate([mine.knots + zero, others.knots + zero], axis=-1), axis=-1)
    far = 1000.0 * ops.stack([mine.left, mine.right], axis=-1) + zero
    ends = marks[..., :1] - far[..., :1], marks[..., -1:] + far[..., 1:]
    marks = ops.concatenate([ends[0], marks, ends[1]], axis=-1)
    marks = ops.moveaxis(marks, -1, 0)
    mean, mass = _parts(mine, marks[:-1], marks[1:])
    empty = mass <= 0.0
    ratio = _log_density(mine, mean) - _log_density(others, mean)
    return ops.sum(special.where(empty, 0.0, mass * special.where(empty, 0.0, ratio)), axis=0)


def _parts(pieces: Pieces, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and mass of what lies between two marks with no knot between them, jumps aside."""
    first, last = pieces.knots[..., 0], pieces.knots[..., -1]
    (lower, left), (upper, right) = pieces.tails
    in_left, in_right = high <= first, low >= last
    scale, outer = ops.where(in_left, left, right), ops.where(in_left, lower, upper)
    gap = special.where(in_left, first - high, special.where(in_right, low - last, 0.0))
    width = high - low
    inside = ~(in_left | in_right)
    mass = outer * _decay(gap, scale) * (1.0 - _decay(width, scale))
    offset = _truncated_mean(width, scale)
    middle = low + 0.5 * width
    density = ops.exp(special.where(inside, _log_density(pieces, middle), 0.0))
    mean = ops.where(in_left, high - offset, ops.where(in_right, low + offset, middle))
    return mean, ops.where(inside, density * width, mass)


def _truncated_mean(width: Tensor, scale: Tensor) -> Tensor:
    """Mean of an exponential variable of mean `scale`, given that it is below `width`."""
    none = (width <= 0.0) | (scale <= 0.0)
    ratio = special.where(none, 1.0, width) / special.where(none, 1.0, scale)
    share = 1.0 - ratio * ops.exp(-ratio) / -ops.expm1(-ratio)
    return special.where(none, 0.0, scale * share)


def _divergence_of_jumps(mine: Pieces, others: Pieces) -> Tensor:
    """The divergence of the jumps, infinite where the other distribution has none."""
    knots = ops.moveaxis(mine.knots, -1, 0)
    own, theirs = _jump(mine, knots), _jump(others, knots)
    first = ops.concatenate([ops.ones_like(knots[:1]), knots[1:] - knots[:-1]], axis=0) > 0.0
    counts = first & (own > 0.0)
    own = special.where(counts, own, 1.0)
    ratio = ops.log(own) - special.log_or_minus_inf(theirs)
    return ops.sum(special.where(counts, own * ratio, 0.0), axis=0)
