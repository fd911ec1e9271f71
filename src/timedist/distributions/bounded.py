"""Families on a bounded interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import (
    closed_crps,
    constraints,
    divergences,
    entropies,
    numerical,
    solve,
)
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import parameter
from timedist.distributions.pushforward import Pushforward
from timedist.ops import compat, random, special
from timedist.ops.incomplete_beta import log_betainc

Tensor = Any

_MOST_STEPS = 60


class Uniform(Distribution):
    r"""The uniform distribution on an interval, both ends included.

    $p(x) = 1 / (\mathrm{high} - \mathrm{low})$ for $\mathrm{low} \le x \le \mathrm{high}$

    Args:
        low: lower end, tensor broadcastable with `high`, in the unit of the data. Default 0.
        high: upper end, above `low`, same unit. Default 1.

    Raises:
        ValueError: if an end is not finite, `low` is not below `high` or the shapes do not
            broadcast.

    Every point of the interval is a mode; `mode()` is its middle.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 2, chapter 26; the
    CRPS by Jordan, Krueger, Lerch: Evaluating Probabilistic Forecasts with scoringRules (2019).

    >>> Uniform(low=[0.0, -1.0], high=2.0)
    Uniform(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    low: Tensor = parameter(constraints.real, 0.0)
    high: Tensor = parameter(constraints.real, 1.0)

    def _check(self) -> None:
        super()._check()
        width = self.high - self.low
        if not compat.is_concrete(width):
            return
        width = compat.to_numpy(width)
        # Below the smallest normal number a backend may take the width for zero.
        bad = ~((width >= np.finfo(width.dtype).tiny) & np.isfinite(width))
        if np.any(bad):
            low, high = (np.broadcast_to(compat.to_numpy(v), bad.shape) for v in self.leaves())
            raise ValueError(
                f"Uniform: low must be below high, and both finite, got low {low[bad][0]:g} and "
                f"high {high[bad][0]:g}; swap them or widen the interval"
            )

    def _support(self) -> tuple[Tensor, Tensor]:
        return self.low, self.high

    def _clip(self, x: Tensor) -> Tensor:
        return special.minimum(special.maximum(x, self.low), self.high)

    def _log_prob(self, x: Tensor) -> Tensor:
        outside = (x < self.low) | (x > self.high)
        log_prob = -ops.log(self.high - self.low) + 0.0 * self._clip(x)
        return special.where(outside, -math.inf, log_prob)

    def _cdf(self, x: Tensor) -> Tensor:
        return (self._clip(x) - self.low) / (self.high - self.low)

    def _survival(self, x: Tensor) -> Tensor:
        return (self.high - self._clip(x)) / (self.high - self.low)

    def _quantile(self, p: Tensor) -> Tensor:
        width = self.high - self.low
        return ops.where(p < 0.5, self.low + p * width, self.high - (1.0 - p) * width)

    def _mean(self) -> Tensor:
        return 0.5 * self.low + 0.5 * self.high

    def _mode(self) -> Tensor:
        return self._mean()

    def _variance(self) -> Tensor:
        return ops.square(self.high - self.low) / 12.0

    _entropy = entropies.uniform
    _crps = closed_crps.uniform
    _kl = divergences.uniform


def _at_ends(x: Tensor, inner: Tensor, concentration1: Tensor, concentration0: Tensor) -> Tensor:
    """A log density on (0, 1), completed at 0 and 1 and outside.

    It is infinite at the end whose concentration is below one, and the logarithm of the other
    concentration where it is one.
    """
    here = ops.where(x == 0.0, concentration1, concentration0)
    other = ops.where(x == 0.0, concentration0, concentration1)
    at_end = special.where(here < 1.0, math.inf, special.where(here > 1.0, -math.inf, other))
    at_end = special.where(here == 1.0, ops.log(other), at_end)
    at_end = special.where((x == 0.0) | (x == 1.0), at_end, -math.inf)
    return ops.where((x <= 0.0) | (x >= 1.0), at_end, inner)


def _higher_end(concentration1: Tensor, concentration0: Tensor) -> tuple[Tensor, Tensor]:
    """Whether the mode is at 0, and whether it is at 1: the smaller concentration of two."""
    at_zero = (concentration1 <= 1.0) & (concentration1 <= concentration0)
    at_one = (concentration0 <= 1.0) & (concentration0 < concentration1)
    return at_zero, at_one


class Beta(Distribution):
    r"""The beta distribution of a share between 0 and 1.

    $p(x) = x^{a-1} (1-x)^{b-1} / B(a, b)$ for $0 < x < 1$

    Args:
        concentration1: a, positive tensor broadcastable with `concentration0`; the mean is
            a / (a + b).
        concentration0: b, positive.

    Raises:
        ValueError: if a concentration is not positive or the shapes do not broadcast.

    At 0 and 1 the log density is infinite where the concentration of that end is below one. Where
    both concentrations are at most one, `mode()` is the end with the smaller one.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 2, chapter 25; the CRPS
    by Jordan, Krueger, Lerch: Evaluating Probabilistic Forecasts with scoringRules (2019).

    >>> Beta(concentration1=[2.0, 0.5], concentration0=3.0)
    Beta(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    concentration1: Tensor = parameter(constraints.positive)
    concentration0: Tensor = parameter(constraints.positive)

    _support = numerical.unit_interval

    def _landmarks(self) -> tuple[Tensor, ...]:
        mean, spread = self._mean(), ops.sqrt(self._variance())
        marks = (mean + k * spread for k in (0, -1, 1, -8, 8))
        return tuple(numerical.clipped(mark, *numerical.support(self)) for mark in marks)

    def _log_weight(self, x: Tensor, y: Tensor) -> Tensor:
        """log of x^a y^b / B(a, b), for x and y = 1 - x inside (0, 1)."""
        a, b = self.concentration1, self.concentration0
        term = special.log_binomial_term(a, b, special.Chances(x, y, ops.log(x), ops.log(y)))
        return term + ops.log(a) - ops.log1p(a / b)

    def _log_prob(self, x: Tensor) -> Tensor:
        outside = (x <= 0.0) | (x >= 1.0)
        inner = special.where(outside, 0.5, x)
        log_prob = self._log_weight(inner, 1.0 - inner) - ops.log(inner) - ops.log1p(-inner)
        return _at_ends(x, log_prob, self.concentration1, self.concentration0)

    def _log_sides(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = special.minimum(special.maximum(x, 0.0), 1.0)
        return log_betainc(self.concentration1, self.concentration0, x, 1.0 - x)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._log_sides(x)[0]

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._log_sides(x)[1]

    def _quantile(self, p: Tensor) -> Tensor:
        a, b = self.concentration1, self.concentration0
        p = p + 0.0 * a
        ends = (p <= 0.0) | (p >= 1.0)
        inner = special.where(ends, 0.5, p)
        upper = inner > 0.5
        target = ops.where(upper, ops.log1p(-inner), ops.log(inner))

        def residual(logit: Tensor) -> tuple[Tensor, Tensor]:
            """How much log P(X <= x) or -log P(X > x) is too large, and its derivative."""
            x, y = ops.sigmoid(logit), ops.sigmoid(-logit)
            below, above = log_betainc(a, b, x, y)
            side = ops.where(upper, above, below)
            slope = ops.exp(self._log_weight(x, y) - side)
            return ops.where(upper, target - side, side - target), slope

        info = special.finfo(p)
        limit, near = -math.log(float(info.tiny)), 0.01 * float(info.eps) ** 0.5

        def unfinished(number: Tensor, logit: Tensor, step: Tensor) -> Tensor:
            far = ops.abs(step) > near * (1.0 + ops.abs(logit))
            return ops.logical_and(number < _MOST_STEPS, ops.any(far))

        def improve(number: Tensor, logit: Tensor, _: Tensor) -> tuple:
            # Log odds have log-concave tails: only the first step of Newton may pass the root.
            error, slope = residual(logit)
            step = error / special.maximum(slope, 1.0 / limit**2)
            new = special.maximum(special.minimum(logit - step, limit), -limit)
            return number + 1, new, new - logit

        start = ops.stop_gradient(ops.log(a) - ops.log(b) + 0.0 * inner)
        state = (0, start, special.full_like(start, math.inf))
        root = ops.stop_gradient(ops.while_loop(unfinished, improve, state)[1])
        exact = solve.with_implicit_gradient(root, *residual(root))
        return ops.where(ends, p, ops.sigmoid(exact))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        shape = (*sample_shape, *ops.shape(self.concentration1))
        ones = random.log_gamma(ops.broadcast_to(self.concentration1, shape), first)
        zeros = random.log_gamma(ops.broadcast_to(self.concentration0, shape), second)
        return numerical.clipped(ops.sigmoid(ones - zeros), *numerical.support(self))

    def _mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    def _variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self._mean() * (self.concentration0 / total) / (total + 1.0)

    def _mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        at_zero, at_one = _higher_end(a, b)
        inside = ~(at_zero | at_one)
        above, beyond = special.where(inside, a - 1.0, 1.0), special.where(inside, b - 1.0, 1.0)
        mode = special.where(at_zero, 0.0, above / (above + beyond))
        return special.where(at_one, 1.0, mode)

    _entropy = entropies.beta
    _crps = closed_crps.beta
    _kl = divergences.beta


class Kumaraswamy(Distribution):
    r"""Kumaraswamy's distribution of a share, a relative of the beta with a closed quantile.

    $F(x) = 1 - (1 - x^a)^b$ for $0 < x < 1$

    Args:
        concentration1: a, positive tensor broadcastable with `concentration0`.
        concentration0: b, positive.

    Raises:
        ValueError: if a concentration is not positive or the shapes do not broadcast.

    At 0 and 1 the log density is infinite where the concentration of that end is below one. Where
    both concentrations are at most one, `mode()` is the end with the smaller one.

    Source: Jones: Kumaraswamy's Distribution, a Beta-Type Distribution with Some Tractability
    Advantages (2009).

    >>> Kumaraswamy(concentration1=[2.0, 0.5], concentration0=3.0)
    Kumaraswamy(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    concentration1: Tensor = parameter(constraints.positive)
    concentration0: Tensor = parameter(constraints.positive)

    _support = numerical.unit_interval

    def _log_rest(self, x: Tensor) -> Tensor:
        """log(1 - x^a) for 0 < x < 1."""
        return special.log1mexp(self.concentration1 * ops.log(x))

    def _log_prob(self, x: Tensor) -> Tensor:
        a, b = self.concentration1, self.concentration0
        inner = special.where((x <= 0.0) | (x >= 1.0), 0.5, x)
        powers = (a - 1.0) * ops.log(inner) + (b - 1.0) * self._log_rest(inner)
        return _at_ends(x, ops.log(a) + ops.log(b) + powers, a, b)

    def _log_survival(self, x: Tensor) -> Tensor:
        below, above = x <= 0.0, x >= 1.0
        inner = special.where(below | above, 0.5, x)
        log_survival = special.where(below, 0.0, self.concentration0 * self._log_rest(inner))
        return special.where(above, -math.inf, log_survival)

    def _quantile(self, p: Tensor) -> Tensor:
        ends = (p <= 0.0) | (p >= 1.0)
        log_rest = ops.log1p(-special.where(ends, 0.5, p)) / self.concentration0
        return ops.where(ends, p, ops.exp(special.log1mexp(log_rest) / self.concentration1))

    def _mean(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        inverse = 1.0 / a
        log_beta = special.log_beta(1.0 + inverse, b)
        return ops.exp(ops.log(b) + log_beta)

    def _mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        at_zero, at_one = _higher_end(a, b)
        inside = ~(at_zero | at_one)
        above = special.where(inside, a - 1.0, 1.0)
        beyond = special.where(inside, a * (b - 1.0), 1.0)
        mode = ops.exp(-ops.log1p(beyond / above) / a)
        return special.where(at_one, 1.0, special.where(at_zero, 0.0, mode))

    _entropy = entropies.kumaraswamy


class LogitNormal(Pushforward):
    r"""The logit-normal distribution of a share: its log odds are normal.

    $p(x) = \exp(-z^2/2) / (x (1-x) \sigma \sqrt{2\pi}),\ z = (\log\frac{x}{1-x} - \mu)/\sigma$ for
    $0 < x < 1$

    Args:
        loc: mean of the log odds, tensor broadcastable with `scale`. Default 0.
        scale: standard deviation of the log odds, positive. Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Mean, variance and entropy have no closed form and are found by quadrature.

    Source: Atchison, Shen: Logistic-Normal Distributions: Some Properties and Uses (1980).

    >>> LogitNormal(0.0, [0.5, 1.0])
    LogitNormal(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)

    def _base(self) -> Normal:
        return Normal.trusted(loc=self.loc, scale=self.scale)

    _support = numerical.unit_interval

    def _forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return special.logit(y)

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.log(y) + ops.log1p(-y)
