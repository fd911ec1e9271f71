"""Closed differential and Shannon entropies, in nats, in forms that do not cancel.

A family names its own: `_entropy = entropies.normal`. Where there is none, the entropy is a
quadrature or a sum.

Source: Cover, Thomas: Elements of Information Theory (2006), table 17.1; Johnson, Kotz,
Balakrishnan: Continuous Univariate Distributions, at each family.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions.chances import chances, times
from timedist.ops import bessel, special

Tensor = Any

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def of_scale(standard: float) -> Any:
    """The entropy of a family with a scale, from that of its standard form."""
    return lambda d: ops.log(d.scale) + standard


normal = of_scale(0.5 + _LOG_SQRT_2PI)
laplace = of_scale(1.0 + math.log(2.0))
logistic = of_scale(2.0)
cauchy = of_scale(math.log(4.0 * math.pi))
gumbel = of_scale(1.0 + np.euler_gamma)
half_normal = of_scale(0.5 + 0.5 * math.log(0.5 * math.pi))


def student_t(d: Any) -> Tensor:
    """Of Student's t; the difference of digammas without its cancellation."""
    half = 0.5 * d.df
    return ops.log(d.scale) + (half + 0.5) * _digamma_gap(half, 0.5) - d._log_peak


def multivariate_student_t(d: Any) -> Tensor:
    """Of the multivariate Student t, likewise."""
    half, more = 0.5 * d.df, 0.5 * d._size
    return (half + more) * _digamma_gap(half, more) - d._log_peak()


def _digamma_gap(a: Tensor, step: float) -> Tensor:
    """digamma(a + step) - digamma(a)."""
    slope = ops.log1p(step / a) + 0.5 * step / (a * (a + step))
    return slope + special.digamma_error(a + step) - special.digamma_error(a)


def multivariate_normal(d: Any) -> Tensor:
    """Of a multivariate normal."""
    return d._log_volume(d._factor()) + d._size * (0.5 + _LOG_SQRT_2PI)


def asymmetric_laplace(d: Any) -> Tensor:
    """Of an asymmetric Laplace distribution."""
    return 1.0 - d._log_peak() + ops.log(d.scale)


def von_mises(d: Any) -> Tensor:
    """Of a von Mises distribution."""
    spread = d.concentration * bessel.one_minus_i1_over_i0(d.concentration)
    return spread + bessel.log_i0e(d.concentration) + math.log(2.0 * math.pi)


def exponential(d: Any) -> Tensor:
    """Of an exponential distribution."""
    return 1.0 - ops.log(d.rate)


def weibull(d: Any) -> Tensor:
    """Of a Weibull distribution."""
    k = d.concentration
    return np.euler_gamma * (1.0 - 1.0 / k) + ops.log(d.scale) - ops.log(k) + 1.0


def of_logarithm(d: Any) -> Tensor:
    """Of a distribution whose logarithm has mean `loc`, from the entropy of the logarithm."""
    return d._base().entropy() + d.loc


def gamma(d: Any) -> Tensor:
    """Of a gamma distribution."""
    return _standard_gamma(d.concentration) - ops.log(d.rate)


def inverse_gamma(d: Any) -> Tensor:
    """Of an inverse gamma distribution."""
    a = d.concentration
    digamma = ops.log(a) - 0.5 / a + special.digamma_error(a)
    return _standard_gamma(a) + ops.log(d.scale) - 2.0 * digamma


def _standard_gamma(a: Tensor) -> Tensor:
    """Of a gamma variable of rate one, without cancellation for large a."""
    main = 0.5 * ops.log(a) + _LOG_SQRT_2PI + 0.5 * (a - 1.0) / a
    return main + special.stirling_error(a) - (a - 1.0) * special.digamma_error(a)


def pareto(d: Any) -> Tensor:
    """Of a Pareto distribution."""
    a = d.concentration
    return ops.log(d.scale) - ops.log(a) + 1.0 / a + 1.0


def generalized_pareto(d: Any) -> Tensor:
    """Of a generalised Pareto distribution."""
    return ops.log(d.scale) + d.concentration + 1.0


def uniform(d: Any) -> Tensor:
    """Of a uniform distribution."""
    return ops.log(d.high - d.low)


def beta(d: Any) -> Tensor:
    """Of a beta distribution; the leading parts of log gammas and digammas cancel on paper."""
    a, b = d.concentration1, d.concentration0

    def part(x: Tensor, power: float) -> Tensor:
        own = special.stirling_error(x) - (x - power) * special.digamma_error(x)
        return own + 0.5 * ops.log(x) - 0.5 * power / x

    n = a + b
    return part(a, 1.0) + part(b, 1.0) - part(n, 2.0) - ops.log(n) + 0.5 + _LOG_SQRT_2PI


def kumaraswamy(d: Any) -> Tensor:
    """Of Kumaraswamy's distribution."""
    a, b = d.concentration1, d.concentration0
    harmonic = special.digamma(b + 1.0) + np.euler_gamma
    return 1.0 - 1.0 / b + (1.0 - 1.0 / a) * harmonic - ops.log(a) - ops.log(b)


def dirichlet(d: Any) -> Tensor:
    """Of a Dirichlet distribution, as for the beta."""
    alpha, total, size = d.concentration, d._total, float(d._size)
    each = 0.5 * ops.log(alpha) + special.stirling_error(alpha) - 0.5 / alpha
    each = each - (alpha - 1.0) * special.digamma_error(alpha) + _LOG_SQRT_2PI + 0.5
    rest = (0.5 - size) * ops.log(total) - special.stirling_error(total) + 0.5 * size / total
    rest = rest + (total - size) * special.digamma_error(total) - _LOG_SQRT_2PI - 0.5
    return ops.sum(each, axis=-1) + rest


def bernoulli(d: Any) -> Tensor:
    """Of one trial, which is certain at infinite log odds."""
    size = ops.abs(d.logits)
    certain = size == math.inf
    size = special.where(certain, 0.0, size)
    entropy = special.softplus(-size) + size * ops.sigmoid(-size)
    return special.where(certain, 0.0, entropy)


def geometric(d: Any) -> Tensor:
    """Of the failures before the first success."""
    given = chances(d)
    return -given.log_yes - times(d._mean(), given.log_no)


def categorical(d: Any) -> Tensor:
    """Of categories, none of which needs to be possible."""
    masses = d._masses()
    return -ops.sum(special.xlogy(masses, masses), axis=-1)


def deterministic(d: Any) -> Tensor:
    """Of a certain value."""
    return ops.zeros_like(d.loc)
