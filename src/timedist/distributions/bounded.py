"""Families on a bounded interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import constraints, solve
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import parameter
from timedist.distributions.pushforward import Pushforward, clipped
from timedist.ops import compat, random, special
from timedist.ops.incomplete_beta import log_betainc

Tensor = Any

_EULER = 0.57721566490153286
_MOST_STEPS = 60
_LOG_2 = math.log(2.0)
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


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

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        shape = (*sample_shape, *ops.shape(self.low))
        return self._quantile(random.uniform(shape, self.dtype, seed))

    def _mean(self) -> Tensor:
        return 0.5 * self.low + 0.5 * self.high

    def _mode(self) -> Tensor:
        return self._mean()

    def _variance(self) -> Tensor:
        return ops.square(self.high - self.low) / 12.0

    def _entropy(self) -> Tensor:
        return ops.log(self.high - self.low)

    def _crps(self, y: Tensor) -> Tensor:
        below, above = self._cdf(y), self._survival(y)
        inside = (ops.square(below) - below * above + ops.square(above)) / 3.0
        return (self.high - self.low) * inside + ops.abs(y - self._clip(y))

    def _kl(self, other: Uniform) -> Tensor:
        covered = (other.low <= self.low) & (self.high <= other.high)
        ratio = ops.log(other.high - other.low) - ops.log(self.high - self.low)
        return special.where(covered, ratio, math.inf)


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

    def _support(self) -> tuple[float, float]:
        return 0.0, 1.0

    def _landmarks(self) -> tuple[Tensor, ...]:
        mean, spread = self._mean(), ops.sqrt(self._variance())
        return tuple(
            clipped(mean + k * spread, 0.0 * mean, 0.0 * mean + 1.0) for k in (0, -1, 1, -8, 8)
        )

    def _log_weight(self, x: Tensor, y: Tensor) -> Tensor:
        """log of x^a y^b / B(a, b), for x and y = 1 - x inside (0, 1)."""
        a, b = self.concentration1, self.concentration0
        term = special.log_binomial_term(a, b, ops.log(x), ops.log(y))
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

    def _survival(self, x: Tensor) -> Tensor:
        return ops.exp(self._log_sides(x)[1])

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
        share = ops.sigmoid(ones - zeros)
        return clipped(share, 0.0 * share, 0.0 * share + 1.0)

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

    def _entropy(self) -> Tensor:
        # The leading parts of the log gammas and digammas cancel for large concentrations.
        a, b = self.concentration1, self.concentration0

        def part(x: Tensor, power: float) -> Tensor:
            own = special.stirling_error(x) - (x - power) * special.digamma_error(x)
            return own + 0.5 * ops.log(x) - 0.5 * power / x

        n = a + b
        return part(a, 1.0) + part(b, 1.0) - part(n, 2.0) - ops.log(n) + 0.5 + _LOG_SQRT_2PI

    def _crps(self, y: Tensor) -> Tensor:
        a, b = self.concentration1, self.concentration0
        n, mean = a + b, self._mean()
        inside = special.minimum(special.maximum(y, 0.0), 1.0)
        below, above = self._log_sides(inside)
        at_end = (inside <= 0.0) | (inside >= 1.0)
        safe = special.where(at_end, 0.5, inside)
        weight = special.where(at_end, 0.0, ops.exp(self._log_weight(safe, 1.0 - safe)))

        def doubled(x: Tensor) -> Tensor:
            return special.stirling_error(2.0 * x) - 2.0 * special.stirling_error(x)

        # B(2 a, 2 b) / B(a, b)^2, by Stirling's formula
        log_ratio = 0.5 * (ops.log(a) - ops.log1p(a / b) - _LOG_2) - _LOG_SQRT_2PI
        log_ratio = log_ratio + doubled(a) + doubled(b) - doubled(n)
        centred = (inside - mean) * (ops.exp(below) - ops.exp(above))
        return centred + 2.0 * (weight - ops.exp(log_ratio)) / n + ops.abs(y - inside)

    def _kl(self, other: Beta) -> Tensor:
        a, b = self.concentration1, self.concentration0
        c, d = other.concentration1, other.concentration0
        n, m = a + b, c + d
        # As Bregman divergences of log gamma, whose leading parts are those of two Bernoullis.
        share = special.deviance(c, m * (a / n)) + special.deviance(d, m * (b / n))
        return share + _bregman(c, a) + _bregman(d, b) - _bregman(m, n)


def _bregman(y: Tensor, x: Tensor) -> Tensor:
    """lgamma(y) - lgamma(x) - (y - x) digamma(x), less the deviance of y from x."""
    change = (y - x) / x
    errors = special.stirling_error(y) - special.stirling_error(x)
    return errors - (y - x) * special.digamma_error(x) - 0.5 * (ops.log(y / x) - change)


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

    def _support(self) -> tuple[float, float]:
        return 0.0, 1.0

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

    def _survival(self, x: Tensor) -> Tensor:
        return ops.exp(self._log_survival(x))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return special.log1mexp(self._log_survival(x))

    def _cdf(self, x: Tensor) -> Tensor:
        return -ops.expm1(self._log_survival(x))

    def _quantile(self, p: Tensor) -> Tensor:
        ends = (p <= 0.0) | (p >= 1.0)
        log_rest = ops.log1p(-special.where(ends, 0.5, p)) / self.concentration0
        return ops.where(ends, p, ops.exp(special.log1mexp(log_rest) / self.concentration1))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        shape = (*sample_shape, *ops.shape(self.concentration1))
        share = self._quantile(random.uniform(shape, self.dtype, seed))
        return clipped(share, 0.0 * share, 0.0 * share + 1.0)

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

    def _entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = special.digamma(b + 1.0) + _EULER
        return 1.0 - 1.0 / b + (1.0 - 1.0 / a) * harmonic - ops.log(a) - ops.log(b)


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

    def _support(self) -> tuple[float, float]:
        return 0.0, 1.0

    def _forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return special.logit(y)

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.log(y) + ops.log1p(-y)
