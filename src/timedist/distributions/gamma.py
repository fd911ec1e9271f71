"""The gamma family and its reciprocal."""

from __future__ import annotations

import math
from typing import Any

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
from timedist.distributions.fields import parameter
from timedist.distributions.positive import density_at_zero
from timedist.ops import random, special
from timedist.ops.incomplete_gamma import log_gammainc

Tensor = Any


def _log_density_of_log(a: Tensor, t: Tensor, log_t: Tensor) -> Tensor:
    """log density of log T at T = t, for a standard gamma variable T."""
    t = special.minimum(t, 0.25 * float(special.finfo(t).max))
    return special.log_poisson_pmf(a, t, log_t) + ops.log(a)


def _log_tails(a: Tensor, log_t: Tensor) -> tuple[Tensor, Tensor]:
    """log P(T <= t) and log P(T > t) from log t, which may be too low for t itself."""
    small = log_t < math.log(float(special.finfo(log_t).eps))
    log_p, log_q = log_gammainc(a, ops.exp(special.where(small, 0.0, log_t)))
    tail = special.minimum(a * log_t - special.lgamma(a + 1.0), 0.0)
    return ops.where(small, tail, log_p), ops.where(small, special.log1mexp(tail), log_q)


def _standard_quantile(a: Tensor, p: Tensor, upper: bool) -> Tensor:
    """The t with P(T <= t) = p, or with `upper` P(T > t) = p, for a standard gamma variable T."""
    ends = (p <= 0.0) | (p >= 1.0)
    inner = ops.exp(_log_quantile(a, special.where(ends, 0.5, p), upper))
    at_zero = (p >= 1.0) if upper else (p <= 0.0)
    return ops.where(ends, special.where(at_zero, 0.0 * inner, math.inf), inner)


def _log_quantile(a: Tensor, p: Tensor, upper: bool) -> Tensor:
    """The logarithm of `_standard_quantile` for 0 < p < 1."""
    a, p = a + 0.0 * p, p + 0.0 * a
    log_tail, log_rest = ops.log(p), ops.log1p(-p)
    log_p, log_q = (log_rest, log_tail) if upper else (log_tail, log_rest)
    lower_half = log_p < log_q

    def residual(log_t: Tensor) -> Tensor:
        below, above = _log_tails(a, log_t)
        return ops.where(lower_half, below - log_p, log_q - above)

    # P(T <= t) < t^a / Gamma(a + 1), and a tail bound: Boucheron, Lugosi, Massart: Concentration
    # Inequalities (2013), section 2.4.
    low = (log_p + special.lgamma(a + 1.0)) / a
    high = ops.log(a - log_q + ops.sqrt(-2.0 * a * log_q))
    root = solve.increasing_root(residual, low - 1e-3, special.maximum(high, low) + 1e-3)
    below, above = _log_tails(a, root)
    log_density = _log_density_of_log(a, ops.exp(root), root)
    slope = ops.exp(log_density - ops.where(lower_half, below, above))
    error = ops.where(lower_half, below - log_p, log_q - above)
    return solve.with_implicit_gradient(root, error, slope)


def _landmarks(a: Tensor) -> list[Tensor]:
    """Points at 0, 2 and 7 standard deviations, and quantiles where a is small.

    Source: Wilson, Hilferty: The Distribution of Chi-Square (1931), for a not small.
    """
    points = []
    for p, z in ((0.5, 0.0), (0.25, -2.3), (0.75, 2.3), (0.02, -7.0), (0.98, 7.0)):
        root = 1.0 - 1.0 / (9.0 * a) + z / (3.0 * ops.sqrt(a))
        bound = ops.exp((math.log(p) + special.lgamma(a + 1.0)) / a)
        cube = special.where(root > 0.0, a * root * ops.square(root), 0.0)
        points.append(special.maximum(cube, bound))
    return points


class Gamma(Distribution):
    r"""The gamma distribution.

    $p(x) = \beta^\alpha x^{\alpha-1} \exp(-\beta x) / \Gamma(\alpha)$ for $x > 0$

    Args:
        concentration: the shape alpha, positive, broadcastable with `rate`; the density at 0 is
            infinite below 1.
        rate: beta, positive, in one over the unit of the data; the mean is
            `concentration / rate`. Default 1.

    Raises:
        ValueError: if a parameter is not positive or the shapes do not broadcast.

    Draws have implicit gradients. Those of a tiny concentration that underflow are the smallest
    normal number of the dtype, where the density is finite, never 0.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 17; Moeller,
    Scheuerer: Probabilistic Wind Speed Forecasting (2015), for the CRPS.

    >>> Gamma([0.5, 2.0], rate=3.0)
    Gamma(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    concentration: Tensor = parameter(constraints.positive)
    rate: Tensor = parameter(constraints.positive, 1.0)

    _support = numerical.half_line

    def _log_prob(self, x: Tensor) -> Tensor:
        a, outside = self.concentration, x <= 0.0
        inner = ops.where(outside, ops.stop_gradient(a / self.rate), x)
        log_x = ops.log(inner)
        inside = _log_density_of_log(a, self.rate * inner, ops.log(self.rate) + log_x) - log_x
        log_prob = ops.where(outside, density_at_zero(a, ops.log(self.rate)), inside)
        return special.where((x < 0.0) | (x == math.inf), -math.inf, log_prob)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return log_gammainc(self.concentration, self.rate * x)[0]

    def _log_survival(self, x: Tensor) -> Tensor:
        return log_gammainc(self.concentration, self.rate * x)[1]

    def _quantile(self, p: Tensor) -> Tensor:
        return _standard_quantile(self.concentration, p, upper=False) / self.rate

    def _upper_quantile(self, p: Tensor) -> Tensor:
        return _standard_quantile(self.concentration, p, upper=True) / self.rate

    def _landmarks(self) -> tuple[Tensor, ...]:
        return tuple(point / self.rate for point in _landmarks(self.concentration))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        a = ops.broadcast_to(self.concentration, (*sample_shape, *ops.shape(self.concentration)))
        draw = ops.exp(random.log_gamma(a, seed) - ops.log(self.rate))
        return numerical.clipped(draw, *numerical.support(self))

    def _mean(self) -> Tensor:
        return self.concentration / self.rate

    def _variance(self) -> Tensor:
        return self.concentration / ops.square(self.rate)

    def _mode(self) -> Tensor:
        return special.maximum(self.concentration - 1.0, 0.0) / self.rate

    _entropy = entropies.gamma
    _kl = divergences.gamma
    _crps = closed_crps.gamma


class InverseGamma(Distribution):
    r"""The inverse gamma distribution: one over it is a gamma variable.

    $p(x) = \beta^\alpha x^{-\alpha-1} \exp(-\beta/x) / \Gamma(\alpha)$ for $x > 0$

    Args:
        concentration: the shape alpha, positive, broadcastable with `scale`. The mean is infinite
            for alpha <= 1, the variance for alpha <= 2, the CRPS for alpha <= 1/2.
        scale: beta, positive, in the unit of the data. Default 1.

    Raises:
        ValueError: if a parameter is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 17.

    >>> InverseGamma([3.0, 2.0], scale=0.5)
    InverseGamma(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    concentration: Tensor = parameter(constraints.positive)
    scale: Tensor = parameter(constraints.positive, 1.0)

    _support = numerical.half_line

    def _log_prob(self, x: Tensor) -> Tensor:
        a, outside = self.concentration, (x <= 0.0) | (x == math.inf)
        inner = ops.where(outside, ops.stop_gradient(self.scale / a), x)
        # So near 0 that scale / x^2 overflows, the slope is more than the dtype can hold.
        steep = 2.0 * ops.log(inner) < ops.log(self.scale) - math.log(float(special.finfo(x).max))
        inner = ops.where(steep, ops.stop_gradient(inner), inner)
        log_x = ops.log(inner)
        inside = _log_density_of_log(a, self.scale / inner, ops.log(self.scale) - log_x) - log_x
        return special.where(outside, -math.inf, inside)

    def _log_tails(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log P(X > x) and log P(X <= x)."""
        outside = x <= 0.0
        # So near 0 that a quotient could overflow, nothing is left.
        least = ops.stop_gradient(self.scale) * float(special.finfo(x).max) ** (-1.0 / 3.0)
        x = ops.where(x < least, least, x)
        above, below = log_gammainc(self.concentration, self.scale / x)
        return special.where(outside, 0.0, above), special.where(outside, -math.inf, below)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._log_tails(x)[1]

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._log_tails(x)[0]

    def _quantile(self, p: Tensor) -> Tensor:
        return self.scale / _standard_quantile(self.concentration, p, upper=True)

    def _landmarks(self) -> tuple[Tensor, ...]:
        return tuple(self.scale / point for point in _landmarks(self.concentration))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        a = ops.broadcast_to(self.concentration, (*sample_shape, *ops.shape(self.concentration)))
        draw = ops.exp(ops.log(self.scale) - random.log_gamma(a, seed))
        return numerical.clipped(draw, *numerical.support(self))

    def _mean(self) -> Tensor:
        a = self.concentration
        return special.only_where(a > 1.0, lambda a: self.scale / (a - 1.0), a, 2.0)

    def _variance(self) -> Tensor:
        def finite(a: Tensor) -> Tensor:
            return ops.square(self.scale / (a - 1.0)) / (a - 2.0)

        return special.only_where(self.concentration > 2.0, finite, self.concentration, 3.0)

    def _mode(self) -> Tensor:
        return self.scale / (self.concentration + 1.0)

    _entropy = entropies.inverse_gamma
    _kl = divergences.inverse_gamma
    _crps = closed_crps.inverse_gamma
