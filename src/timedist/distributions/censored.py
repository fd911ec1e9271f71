"""Distributions whose values beyond two ends are seen as the ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from keras import ops

from timedist.distributions import numerical, sums
from timedist.distributions.ends import Ends, Tails, between, check_order
from timedist.ops import compat, random, special

Tensor = Any


class Censored(Ends):
    r"""A distribution whose values are clipped to an interval, as by sold-out stock or a gauge.

    $Y = \min(\max(X, \mathrm{low}), \mathrm{high})$: $P(Y = \mathrm{low}) = P(X \le \mathrm{low})$,
    $P(Y = \mathrm{high}) = P(X \ge \mathrm{high})$, and between them the density or mass of X.

    Args:
        base: continuous distribution with scalar events, or a family of integers.
        low: lower end, tensor that broadcasts against `high` and the batch of `base`, in the unit
            of the data; a whole number for a family of integers. Default -inf.
        high: upper end, above `low`, same unit; a whole number for a family of integers. Default
            inf.

    Raises:
        ValueError: if the base has vector events or is as `Hurdle`, single values of which have a
            probability beside a density; `low` is not below `high`, an end of a family of integers
            is no whole number or the shapes do not broadcast.

    `log_prob` of a value at an end or beyond is the logarithm of the mass of that end, so that
    values need not be clipped before they are scored. With a continuous base the ends have masses
    and the inside a density; `entropy` and `kl_divergence` add both parts, which is the integral
    with respect to the length between the ends and the counting measure at them, and the divergence
    from one with other ends is infinite.

    Source: Tobin: Estimation of Relationships for Limited Dependent Variables (1958).

    >>> from timedist.distributions import Normal
    >>> Censored(Normal([0.0, 1.0], 2.0), low=0.0)
    Censored(Normal)(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    absent: ClassVar[dict[str, str]] = {"mode": "a mass and a density can't be compared"}

    @property
    def _mixed(self) -> bool:  # type: ignore[override]
        return not self.discrete

    def _masses_at(self) -> list[Tensor]:
        return [self.low, self.high]

    def _check(self) -> None:
        super()._check()
        check_order(self._family, self.low, self.high)
        if not (self.discrete and compat.is_concrete(self.low)):
            return
        for name in ("low", "high"):
            end = compat.to_numpy(self._values[name])
            broken = np.floor(end) != end
            if np.any(broken):
                raise ValueError(
                    f"{self._family}: {name} must be a whole number or infinite for a family of "
                    f"integers, got {end[broken][0]:g}"
                )

    def _log_masses(self) -> Tails:
        """log P(X <= low) and log P(X >= high)."""
        if not self.discrete:
            start, stop = self._tails_at_ends()
            return start[0], stop[1]
        lower, upper = self._base_tails(ops.stack([self.low, self.high - 1.0], axis=0))
        return lower[0], upper[1]

    def _with_ends(self, x: Tensor, function: Callable) -> Tensor:
        """`function(x)` between the ends, the log masses at them and beyond."""
        below, above = x <= self.low, x >= self.high
        at_low, at_high = self._log_masses()
        inner = ops.where(below | above, self._anchor() + ops.zeros_like(x), x)
        return ops.where(below, at_low, ops.where(above, at_high, function(inner)))

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._with_ends(x, self.base._hook("log_prob"))

    def _log_mass(self, k: Tensor) -> Tensor:
        return self._with_ends(k, self.base._log_mass)

    def _log_tails(self, k: Tensor) -> Tails:
        return self.base._log_tails(k)

    def _log_cdf(self, x: Tensor) -> Tensor:
        lower = self._base_tails(self._inside(x))[0]
        below, above = (x < self.low) | (x == -math.inf), x >= self.high
        lower = special.where(below, -math.inf, special.where(above, 0.0, lower))
        return special.where(x != x, math.nan, lower)

    def _log_survival(self, x: Tensor) -> Tensor:
        upper = self._base_tails(self._inside(x))[1]
        below, above = (x < self.low) | (x == -math.inf), x >= self.high
        upper = special.where(below, 0.0, special.where(above, -math.inf, upper))
        return special.where(x != x, math.nan, upper)

    def _clip(self, x: Tensor) -> Tensor:
        return special.minimum(special.maximum(x, self.low), self.high)

    def _quantile(self, p: Tensor) -> Tensor:
        return self._clip(self.base._hook("quantile")(p))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        draw = self._clip(self.base._hook("sample")(sample_shape, seed))
        return ops.stop_gradient(draw) if self.discrete else draw

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self._clip(self.base._plain_draw(sample_shape, seed))

    def _landmarks(self) -> tuple[Tensor, ...]:
        return between(self.base._hook("landmarks")(), *numerical.support(self))

    def _expectation(self, function: Callable) -> Tensor:
        """E[function(Y, log density or log mass)] for a continuous base."""
        total = numerical.expectation(self, function)
        for end, log_mass in zip((self.low, self.high), self._log_masses(), strict=True):
            empty = (log_mass == -math.inf) | (ops.abs(end) == math.inf)
            value = function(
                ops.where(empty, self._anchor(), end), special.where(empty, 0.0, log_mass)
            )
            mass = ops.exp(log_mass)
            total = total + special.where(empty, 0.0, mass * special.where(empty, 0.0, value))
        return total

    def _mean(self) -> Tensor:
        if self.discrete:
            return sums.mean(self)
        centre = ops.stop_gradient(self._landmarks()[0])
        return centre + self._expectation(lambda x, _: x - centre)

    def _variance(self) -> Tensor:
        if self.discrete:
            return sums.variance(self)
        mean = self._mean()
        return self._expectation(lambda x, _: ops.square(x - mean))

    def _entropy(self) -> Tensor:
        if self.discrete:
            return sums.entropy(self)
        return -self._expectation(lambda _, log_prob: log_prob)

    @numerical.completed
    def _crps(self, y: Tensor) -> Tensor:
        if self.discrete:
            return sums.crps(self, y)
        low, high = numerical.support(self, y)
        y = y + ops.zeros_like(low)
        inside = special.minimum(special.maximum(y, low), high)
        # At an end there is a mass, and nothing of the integral on its other side.
        cuts, cut = (y > low) & (y < high), ops.stop_gradient(inside)
        marks = [mark + ops.zeros_like(low) for mark in self._landmarks()]
        cdf, survival = self.base._hook("cdf"), self.base._hook("survival")

        def squared(x: Tensor) -> Tensor:
            return ops.square(ops.where(x < cut, cdf(x), survival(x)))

        score = numerical.integral(squared, low, high, [ops.where(cuts, cut, marks[0]), *marks])
        at_cut = ops.where(cuts, cut, marks[0])
        slope = ops.stop_gradient(ops.square(cdf(at_cut)) - ops.square(survival(at_cut)))
        return score + special.where(cuts, slope, 0.0) * (inside - cut) + ops.abs(y - inside)

    def _kl(self, other: Censored) -> Tensor:
        if self.discrete:
            return sums.kl_divergence(self, other)
        log_prob = other._hook("log_prob")
        divergence = self._expectation(lambda x, log_p: log_p - log_prob(x))
        same = (self.low == other.low) & (self.high == other.high)
        return special.where(same, divergence, math.inf)
