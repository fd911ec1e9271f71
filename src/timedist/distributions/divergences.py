"""Closed Kullback-Leibler divergences of two distributions of one family.

A family names its own: `_kl = divergences.normal`. Where there is none, the divergence is a
quadrature or a sum. Differences that cancel where the two are near are taken by `deviance`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from timedist.ops import bessel, special

Tensor = Any


def of_scales(ratio: Tensor) -> Tensor:
    """ratio - 1 - log(ratio), without cancellation near one."""
    return special.deviance(ops.ones_like(ratio), ratio)


def normal(p: Any, q: Any) -> Tensor:
    """Of two normals."""
    shift = ops.square((p.loc - q.loc) / q.scale)
    return 0.5 * (of_scales(ops.square(p.scale / q.scale)) + shift)


def laplace(p: Any, q: Any) -> Tensor:
    """Of two Laplace distributions."""
    ratio = p.scale / q.scale
    minus = special.minus_abs(p.loc - q.loc)
    return of_scales(ratio) + ratio * ops.expm1(minus / p.scale) - minus / q.scale


def cauchy(p: Any, q: Any) -> Tensor:
    """Of two Cauchy distributions.

    Source: Chyzak, Nielsen: A closed-form formula for the Kullback-Leibler divergence between
    Cauchy distributions (2019).
    """
    product = 2.0 * ops.sqrt(p.scale) * ops.sqrt(q.scale)
    spread = special.log1p_square(p.scale - q.scale, product)
    return spread + special.log1p_square(p.loc - q.loc, p.scale + q.scale)


def gumbel(p: Any, q: Any) -> Tensor:
    """Of two Gumbel distributions."""
    ratio = p.scale / q.scale
    shift = (p.loc - q.loc) / q.scale
    growth = ops.expm1(special.lgamma(1.0 + ratio) - shift)
    return np.euler_gamma * (ratio - 1.0) - ops.log(ratio) + shift + growth


def von_mises(p: Any, q: Any) -> Tensor:
    """Of two von Mises distributions."""
    mine, its = p.concentration, q.concentration
    variance = bessel.one_minus_i1_over_i0(mine)
    away = 2.0 * its * ops.square(special.sin(0.5 * (p.loc - q.loc)))
    of_norms = bessel.log_i0e(its) - bessel.log_i0e(mine)
    return of_norms + (its - mine) * variance + away * (1.0 - variance)


def exponential(p: Any, q: Any) -> Tensor:
    """Of two exponential distributions."""
    return of_scales(q.rate / p.rate)


def half_normal(p: Any, q: Any) -> Tensor:
    """Of two half-normals."""
    return 0.5 * of_scales(ops.square(p.scale / q.scale))


def weibull(p: Any, q: Any) -> Tensor:
    """Of two Weibull distributions.

    Source: Bauckhage: Computing the Kullback-Leibler Divergence between two Weibull Distributions
    (2013).
    """
    ratio = q.concentration / p.concentration
    shift = q.concentration * (ops.log(p.scale) - ops.log(q.scale))
    growth = ops.expm1(shift + special.lgamma(ratio + 1.0))
    return growth - shift - ops.log(ratio) - np.euler_gamma * (1.0 - ratio)


def of_logarithms(p: Any, q: Any) -> Tensor:
    """Of two distributions from those of their logarithms."""
    return p._base().kl_divergence(q._base())


def pareto(p: Any, q: Any) -> Tensor:
    """Of two Pareto distributions."""
    shift = q.concentration * (ops.log(p.scale) - ops.log(q.scale))
    finite = of_scales(q.concentration / p.concentration) + shift
    return special.where(p.scale < q.scale, np.inf, finite)


def gamma(p: Any, q: Any) -> Tensor:
    """Of two gamma distributions."""
    return _gamma(p.concentration, p.rate, q.concentration, q.rate)


def inverse_gamma(p: Any, q: Any) -> Tensor:
    """Of two inverse gamma distributions."""
    return _gamma(p.concentration, p.scale, q.concentration, q.scale)


def _gamma(a: Tensor, rate: Tensor, other_a: Tensor, other_rate: Tensor) -> Tensor:
    """Of two gamma distributions, as a sum of small terms."""
    errors = special.stirling_error(other_a) - special.stirling_error(a)
    errors = errors - (other_a - a) * special.digamma_error(a)
    width = 0.5 * of_scales(other_a / a)
    return special.deviance(other_a, a * (other_rate / rate)) + width + errors
