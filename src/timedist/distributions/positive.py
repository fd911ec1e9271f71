"""Families on the positive half line that are simple maps of one exponential or real family."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import closed_crps, constraints, divergences, entropies, numerical
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import Logistic, Normal
from timedist.distributions.fields import parameter
from timedist.distributions.pushforward import Pushforward
from timedist.ops import compat, random, special

Tensor = Any

_SQRT_HALF = math.sqrt(0.5)


class Exponential(Distribution):
    r"""The exponential distribution of waiting times.

    $p(x) = \lambda \exp(-\lambda x)$ for $x \ge 0$

    Args:
        rate: one over the mean, positive, in one over the unit of the data. Default 1.

    Raises:
        ValueError: if a rate is not positive.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 19.

    >>> Exponential([0.5, 2.0])
    Exponential(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    rate: Tensor = parameter(constraints.positive, 1.0)

    _support = numerical.half_line

    def _hazard(self, x: Tensor) -> Tensor:
        """-log P(X > x)."""
        return self.rate * special.maximum(x, 0.0)

    def _log_prob(self, x: Tensor) -> Tensor:
        return special.where(x < 0.0, -math.inf, ops.log(self.rate) - self._hazard(x))

    def _log_survival(self, x: Tensor) -> Tensor:
        return -self._hazard(x)

    def _quantile(self, p: Tensor) -> Tensor:
        return -ops.log1p(-p) / self.rate

    def _upper_quantile(self, p: Tensor) -> Tensor:
        return -ops.log(p) / self.rate

    def _mean(self) -> Tensor:
        return 1.0 / self.rate

    def _variance(self) -> Tensor:
        return ops.square(1.0 / self.rate)

    def _mode(self) -> Tensor:
        return ops.zeros_like(self.rate)

    _entropy = entropies.exponential
    _kl = divergences.exponential
    _crps = closed_crps.exponential


def _erfinv(p: Tensor) -> Tensor:
    """The inverse of the error function for 0 <= p <= 1/2, corrected by one Newton step.

    (XLA's own has an absolute error of a rounding unit, which is large next to a small p.)
    """
    x = ops.stop_gradient(ops.erfinv(p))
    slope = 2.0 / math.sqrt(math.pi) * ops.exp(-ops.square(x))
    return x - (ops.erf(x) - p) / slope


class HalfNormal(Distribution):
    r"""The half-normal distribution: the size of a centred normal variable.

    $p(x) = \sqrt{2/\pi} \exp(-x^2 / (2 \sigma^2)) / \sigma$ for $x \ge 0$

    Args:
        scale: standard deviation of the normal variable, positive, in the unit of the data.
            Default 1.

    Raises:
        ValueError: if a scale is not positive.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, section 13.10.1.

    >>> HalfNormal([0.5, 2.0])
    HalfNormal(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    scale: Tensor = parameter(constraints.positive, 1.0)

    _support = numerical.half_line

    def _z(self, x: Tensor) -> Tensor:
        return special.maximum(x, 0.0) / self.scale

    def _log_prob(self, x: Tensor) -> Tensor:
        log_norm = 0.5 * math.log(2.0 / math.pi) - ops.log(self.scale)
        return special.where(x < 0.0, -math.inf, log_norm - 0.5 * ops.square(self._z(x)))

    def _cdf(self, x: Tensor) -> Tensor:
        return ops.erf(_SQRT_HALF * self._z(x))

    def _survival(self, x: Tensor) -> Tensor:
        return 2.0 * special.ndtr(-self._z(x))

    def _log_survival(self, x: Tensor) -> Tensor:
        return math.log(2.0) + special.log_ndtr(-self._z(x))

    def _quantile(self, p: Tensor) -> Tensor:
        upper = p > 0.5
        low = _erfinv(special.where(upper, 0.0, p)) / _SQRT_HALF
        high = -special.ndtri(0.5 * (1.0 - special.where(upper, p, 0.5)))
        return self.scale * ops.where(upper, high, low)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        noise = random.normal((*sample_shape, *ops.shape(self.scale)), self.dtype, seed)
        return self.scale * ops.abs(noise)

    def _mean(self) -> Tensor:
        return self.scale * math.sqrt(2.0 / math.pi)

    def _variance(self) -> Tensor:
        return ops.square(self.scale) * (1.0 - 2.0 / math.pi)

    def _mode(self) -> Tensor:
        return ops.zeros_like(self.scale)

    _entropy = entropies.half_normal
    _kl = divergences.half_normal


class FromExponential(Pushforward):
    """Parent of the families that are a map of a standard exponential variable."""

    scale: Tensor = parameter(constraints.positive, 1.0)

    def _base(self) -> Exponential:
        return Exponential.trusted(rate=ops.ones_like(self.scale))


class Weibull(FromExponential):
    r"""The Weibull distribution of times to failure.

    $P(X > x) = \exp(-(x/\lambda)^k)$ for $x \ge 0$

    Args:
        concentration: the shape k, positive, broadcastable with `scale`; the risk of failure falls
            with time below 1 and grows above. The density at 0 is infinite below 1.
        scale: positive, in the unit of the data; 63 % fail before it. Default 1.

    Raises:
        ValueError: if a parameter is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 21;
    Bauckhage: Computing the Kullback-Leibler Divergence between two Weibull Distributions (2013).

    >>> Weibull([0.5, 2.0], scale=3.0)
    Weibull(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    concentration: Tensor = parameter(constraints.positive)
    scale: Tensor = parameter(constraints.positive, 1.0)
    _support = numerical.half_line

    def _forward(self, x: Tensor) -> Tensor:
        return self.scale * ops.exp(ops.log(x) / self.concentration)

    def _inverse(self, y: Tensor) -> Tensor:
        # A power that overflows has an infinite slope, which would meet a density of zero.
        limit = math.log(float(special.finfo(y).max)) - 10.0
        return ops.exp(special.minimum(self.concentration * self._log_ratio(y), limit))

    def _log_ratio(self, y: Tensor) -> Tensor:
        return ops.log(y) - ops.log(self.scale)

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        k = self.concentration
        return ops.log(self.scale) - ops.log(k) + (1.0 - k) * self._log_ratio(y)

    def _log_prob_at_ends(self) -> tuple[Tensor, float]:
        return density_at_zero(self.concentration, -ops.log(self.scale)), -math.inf

    def _log_mean(self) -> Tensor:
        return ops.log(self.scale) + special.lgamma(1.0 + 1.0 / self.concentration)

    def _mean(self) -> Tensor:
        return ops.exp(self._log_mean())

    def _variance(self) -> Tensor:
        log_mean = self._log_mean()
        return ops.exp(2.0 * log_mean) * ops.expm1(_log_second_moment(1.0 / self.concentration))

    def _mode(self) -> Tensor:
        def peak(k: Tensor) -> Tensor:
            return self.scale * ops.exp(ops.log1p(-1.0 / k) / k)

        return special.only_where(self.concentration > 1.0, peak, self.concentration, 2.0, 0.0)

    _entropy = entropies.weibull
    _kl = divergences.weibull


def density_at_zero(power: Tensor, at_one: Tensor) -> Tensor:
    """The limit at 0 of a log density like x^(power - 1), which is `at_one` for power 1."""
    infinite = special.where(power < 1.0, special.full_like(power, math.inf), -math.inf)
    return ops.where(power == 1.0, at_one, infinite)


def _log_second_moment(h: Tensor) -> Tensor:
    """lgamma(1 + 2 h) - 2 lgamma(1 + h), for small h by its Taylor series."""
    small = h < 0.2
    order = np.arange(2.0, 42.0)
    table = (-1.0) ** order * _zeta(order) / order * (2.0**order - 2.0)
    dtype = compat.dtype_of(h)
    order, table = compat.to_tensor(order, dtype), compat.to_tensor(table, dtype)
    log_h = ops.log(special.where(small, h, 0.2))[..., None]
    series = ops.sum(table * ops.exp(order * log_h), axis=-1)
    large = special.where(small, 0.2, h)
    direct = special.lgamma(1.0 + 2.0 * large) - 2.0 * special.lgamma(1.0 + large)
    return ops.where(small, series, direct)


def _zeta(s: np.ndarray) -> np.ndarray:
    """Riemann's zeta function, by Euler and Maclaurin's formula after a hundred terms."""
    n = 100.0
    head = np.sum(np.arange(1.0, n)[:, None] ** -s, axis=0)
    correction = s / 12.0 - s * (s + 1.0) * (s + 2.0) / (720.0 * n**2)
    return head + n ** (1.0 - s) / (s - 1.0) + 0.5 * n**-s + correction * n ** (-s - 1.0)


class LogLocationScale(Pushforward):
    """Parent of the families whose logarithm is a family with location and scale."""

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)

    _support = numerical.half_line

    def _forward(self, x: Tensor) -> Tensor:
        return ops.exp(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return ops.log(y)

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return x

    _entropy = entropies.of_logarithm
    _kl = divergences.of_logarithms


class LogNormal(LogLocationScale):
    r"""The log-normal distribution: the logarithm is normal.

    $p(x) = \exp(-z^2/2) / (x \sigma \sqrt{2\pi}),\ z = (\log x - \mu)/\sigma$ for $x > 0$

    Args:
        loc: mean of the logarithm, tensor broadcastable with `scale`. Default 0.
        scale: standard deviation of the logarithm, positive. Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 14; Baran,
    Lerch: Log-normal Distribution Based EMOS Models (2015), for the CRPS.

    >>> LogNormal(0.0, [0.5, 1.0])
    LogNormal(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _base(self) -> Normal:
        return Normal.trusted(loc=self.loc, scale=self.scale)

    def _mean(self) -> Tensor:
        return ops.exp(self.loc + 0.5 * ops.square(self.scale))

    def _variance(self) -> Tensor:
        square = ops.square(self.scale)
        return ops.expm1(square) * ops.exp(2.0 * self.loc + square)

    def _mode(self) -> Tensor:
        return ops.exp(self.loc - ops.square(self.scale))

    def _typical(self) -> Tensor:
        return ops.exp(self.loc)

    _crps = closed_crps.log_normal


class LogLogistic(LogLocationScale):
    r"""The log-logistic distribution: the logarithm is logistic.

    $P(X > x) = 1 / (1 + (x / e^\mu)^{1/\sigma})$ for $x > 0$

    Args:
        loc: mean of the logarithm, tensor broadcastable with `scale`. Default 0.
        scale: scale of the logarithm, positive. The mean is infinite from 1 on, the variance from
            1/2, the CRPS from 2, and the density at 0 above 1. Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 2, section 23.11.

    >>> LogLogistic(0.0, [0.2, 0.5])
    LogLogistic(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _base(self) -> Logistic:
        return Logistic.trusted(loc=self.loc, scale=self.scale)

    def _typical(self) -> Tensor:
        return ops.exp(self.loc)

    def _log_prob_at_ends(self) -> tuple[Tensor, float]:
        return density_at_zero(1.0 / self.scale, -self.loc), -math.inf

    def _mean(self) -> Tensor:
        def finite(s: Tensor) -> Tensor:
            # The sine of an angle near pi is that of what is left to pi.
            sine = special.sin(math.pi * special.minimum(s, 1.0 - s))
            return ops.exp(self.loc) * math.pi * s / sine

        return special.only_where(self.scale < 1.0, finite, self.scale, 0.5)

    def _variance(self) -> Tensor:
        def finite(s: Tensor) -> Tensor:
            b = math.pi * s
            sine, cosine = special.sin(b), special.sin(math.pi * 0.5 - b)
            return ops.exp(2.0 * self.loc) * ops.square(b * b / sine) * _sine_gap(b) / cosine

        return special.only_where(self.scale < 0.5, finite, self.scale, 0.25)

    def _mode(self) -> Tensor:
        def peak(s: Tensor) -> Tensor:
            return ops.exp(self.loc + s * (ops.log1p(-s) - ops.log1p(s)))

        return special.only_where(self.scale < 1.0, peak, self.scale, 0.5, 0.0)

    _crps = closed_crps.log_logistic


def _sine_gap(b: Tensor) -> Tensor:
    """(sin b - b cos b) / b^3 for |b| < pi / 2, by its Taylor series."""
    square = ops.square(b)
    total = ops.zeros_like(b)
    for k in range(11, 0, -1):
        total = 2.0 * k * (-1.0) ** (k + 1) / math.factorial(2 * k + 1) + total * square
    return total
