"""Distributions given that a value lies between two ends."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from keras import ops

from timedist.distributions import numerical, solve
from timedist.distributions.ends import Ends, Tails, between, check_order
from timedist.ops import compat, special

Tensor = Any


def _log_between(start: Tails, stop: Tails) -> Tensor:
    """log P(start < X <= stop) from the tails at both, a difference of the smaller two."""
    upper = start[1] < stop[0]
    large = ops.where(upper, start[1], stop[0])
    small = ops.where(upper, stop[1], start[0])
    none = (large == -math.inf) | (small >= large)
    large = special.where(none, 0.0, large)
    small = special.where(none, -1.0, small)
    return special.where(none, -math.inf, large + special.log1mexp(small - large))


def _shares(tails: Tails, start: Tails, stop: Tails) -> Tails:
    """log P(X <= x) and log P(X > x) from the tails of the base at an x between the ends."""
    whole = _log_between(start, stop)
    shares = _log_between(start, tails) - whole, _log_between(tails, stop) - whole
    return special.minimum(shares[0], 0.0), special.minimum(shares[1], 0.0)


class Truncated(Ends):
    r"""A distribution, given that the value is between two ends.

    $p(x) = p_\mathrm{base}(x) / P_\mathrm{base}(\mathrm{low} \le X \le \mathrm{high})$ for
    $\mathrm{low} \le x \le \mathrm{high}$

    Args:
        base: continuous distribution with scalar events, or a family of integers.
        low: lower end, tensor that broadcasts against `high` and the batch of `base`, in the unit
            of the data; a discrete value may be equal to it. Default -inf.
        high: upper end, above `low`, same unit; a discrete value may be equal to it. Default inf.

    Raises:
        ValueError: if the base has vector events or is as `Hurdle`, single values of which have a
            probability beside a density; `low` is not below `high`, the base has no mass between
            them or the shapes do not broadcast.

    The mass between the ends is a difference of lower or of upper tails, whichever are smaller, so
    an interval may lie far in a tail. Mean, variance, entropy and CRPS are exact sums or found by
    quadrature. For a normal base `TruncatedNormal` is faster.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, section 1.3.

    >>> from timedist.distributions import Logistic
    >>> Truncated(Logistic([0.0, 1.0], 2.0), low=0.0)
    Truncated(Logistic)(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    absent: ClassVar[dict[str, str]] = {"mode": "a base may have several modes"}

    def _check(self) -> None:
        super()._check()
        check_order(self._family, self.low, self.high, equal=self.discrete)
        mass = self._log_whole()
        none = compat.to_numpy(mass) == -math.inf if compat.is_concrete(mass) else np.array(False)
        if np.any(none):
            low, high = compat.to_numpy(self.low), compat.to_numpy(self.high)
            raise ValueError(
                f"{self._family}: the base has no mass between low {low[none][0]:g} and high "
                f"{high[none][0]:g}; widen the interval"
            )

    def _support(self) -> tuple[Tensor, Tensor]:
        low, high = super()._support()
        return (special.ceil(low), special.floor(high)) if self.discrete else (low, high)

    def _log_whole(self) -> Tensor:
        """log of the base's mass between the ends."""
        return _log_between(*self._tails_at_ends())

    def _log_mass(self, k: Tensor) -> Tensor:
        return self.base._log_mass(k) - self._log_whole()

    def _log_tails(self, k: Tensor) -> Tails:
        return _shares(self.base._log_tails(k), *self._tails_at_ends())

    def _both(self, x: Tensor, ends: tuple[Tails, Tails] | None = None) -> Tails:
        """log P(X <= x) and log P(X > x) for any x; `ends` are the base's tails at both ends."""
        start, stop = ends or self._tails_at_ends()
        lower, upper = _shares(self._base_tails(self._inside(x)), start, stop)
        below, above = (x < self.low) | (x == -math.inf), x >= self.high
        lower = special.where(below, -math.inf, special.where(above, 0.0, lower))
        upper = special.where(below, 0.0, special.where(above, -math.inf, upper))
        return special.where(x != x, math.nan, lower), special.where(x != x, math.nan, upper)

    def _log_prob(self, x: Tensor) -> Tensor:
        inside = (x >= self.low) & (x <= self.high) & (ops.abs(x) < math.inf)
        point = ops.where(inside, x, self._anchor() + ops.zeros_like(x))
        log_prob = self.base._hook("log_prob")(point) - self._log_whole()
        return special.where(x != x, math.nan, special.where(inside, log_prob, -math.inf))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._both(x)[0]

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._both(x)[1]

    def _quantile(self, p: Tensor) -> Tensor:
        return self._discrete_quantile(p) if self.discrete else self._continuous_quantile(p)

    def _from_base(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """The quantile by that of the base, and log P(X > x) of the base at it."""
        start, stop = self._tails_at_ends()
        whole = _log_between(start, stop)
        lower = ops.exp(start[0]) + p * ops.exp(whole)
        quantile = self.base._hook("quantile")(special.minimum(lower, 1.0))
        beyond = special.log_or_minus_inf(1.0 - p) + whole
        stop = stop[1] + ops.zeros_like(beyond)
        return self._inside(quantile), special.logsumexp(ops.stack([stop, beyond], axis=-1))

    def _continuous_quantile(self, p: Tensor) -> Tensor:
        low, high = numerical.support(self, p)
        p = p + ops.zeros_like(low)
        ends = (p <= 0.0) | (p >= 1.0)
        inner = special.where(ends, 0.5, p)
        x = ops.stop_gradient(self._inside(self._searched(inner, low, high)))
        below, above = (ops.exp(tail) for tail in self._both(x))
        rest = ops.where(inner > 0.5, 1.0 - inner - above, below - inner)
        slope = ops.stop_gradient(ops.exp(self._log_prob(x)))
        usable = (slope > 0.0) & (slope < math.inf)
        # A last step of Newton restores lost digits, and brings the implicit gradient.
        step = special.where(usable, rest / special.where(usable, slope, 1.0), 0.0)
        return ops.where(ends, ops.where(p <= 0.0, low, high), self._inside(x - step))

    def _searched(self, p: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The base's quantile, or far in its upper tail, where that has no digits, a search."""
        guess, log_upper = (ops.stop_gradient(v) for v in self._from_base(p))
        eps = float(special.finfo(p).eps)
        usable = log_upper > 0.5 * math.log(eps)
        top = 0.5 * math.log(float(special.finfo(p).max))
        start = special.maximum(special.asinh(ops.where(usable, guess, low)), -top)
        stop = special.minimum(special.asinh(ops.where(usable, guess, high)), top)
        log_survival = self.base._hook("log_survival")
        root = solve.increasing_root(
            lambda t: log_upper - log_survival(special.sinh(t)), start, stop
        )
        return ops.where(usable, guess, special.sinh(root))

    def _discrete_quantile(self, p: Tensor) -> Tensor:
        low, high = numerical.support(self, p)
        p = p + ops.zeros_like(low)
        endless = low == -math.inf  # there is nowhere to count from
        counted = self._counted_quantile(p, special.where(endless, 0.0, low), high)
        base_low = self.base._hook("support")()[0]
        if isinstance(base_low, float) and not numerical.is_endless(base_low):
            return counted
        found = ops.where(p > 0.0, special.floor(self._from_base(p)[0]), low)
        return ops.where(endless, found, counted)

    def _counted_quantile(self, p: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The first integer from `low` on with enough probability."""
        mean, variance = self.base._hook("mean")(), self.base._hook("variance")()
        guess = special.minimum(mean + 4.0 * ops.sqrt(variance) + 4.0 + 0.0 * p, high) - low
        ends = self._tails_at_ends()
        steps = solve.smallest_integer(lambda k: self._both(low + k, ends), p, guess)
        return special.minimum(low + steps, high)

    def _landmarks(self) -> tuple[Tensor, ...]:
        marks = self.base._hook("landmarks")() if self.discrete else self._quantiles()
        return between(marks, *numerical.support(self))

    def _quantiles(self) -> list[Tensor]:
        """The median and two quantiles on either side, by one search."""
        p = np.array([0.5, 0.02, 0.25, 0.75, 0.98]).reshape(-1, *(1,) * len(self.low.shape))
        marks = self._quantile(compat.to_tensor(p, self.dtype) + self._zeros())
        return [marks[i] for i in range(len(p))]
