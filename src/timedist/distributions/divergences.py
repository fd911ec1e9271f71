"""Closed Kullback-Leibler divergences of two distributions of one family.

A family names its own: `_kl = divergences.normal`. Where there is none, the divergence is a
quadrature or a sum. Differences that cancel where the two are near are taken by `deviance`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import derived, sums
from timedist.distributions.chances import chances
from timedist.ops import bessel, special
from timedist.ops.functional import as_one_program

Tensor = Any


def between(p: Any, q: Any) -> Tensor:
    """Of two distributions of any families, by their formula or an exact method."""
    if type(p) is not type(q):
        p, q = p._widened(), q._widened()
    if p.event_shape and p.batch_shape != q.batch_shape:
        zeros = p._zeros() + q._zeros()
        p, q = p._in_batch_of(zeros), q._in_batch_of(zeros)
    if type(p) is type(q) and hasattr(p, "_kl"):
        return p._kl(q)
    alike = p.discrete == q.discrete and not (p._mixed or q._mixed)
    if not alike or derived.method(p, "kl") is None:
        raise NotImplementedError(
            f"no exact method is known for the divergence of {q._family} from {p._family}; "
            "estimate it by `x, log_p = p.sample_and_log_prob(n)` and the mean of "
            "`log_p - q.log_prob(x)`"
        )
    return as_one_program(_derived, (), p, q)


def _derived(p: Any, q: Any) -> Tensor:
    return derived.method(p, "kl")(q)  # type: ignore[misc]  # `between` has found it


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


def uniform(p: Any, q: Any) -> Tensor:
    """Of two uniform distributions, infinite where the second does not cover the first."""
    covered = (q.low <= p.low) & (p.high <= q.high)
    return special.where(covered, ops.log(q.high - q.low) - ops.log(p.high - p.low), np.inf)


def beta(p: Any, q: Any) -> Tensor:
    """Of two beta distributions.

    Bregman divergences of log gamma, whose leading parts are those of two Bernoullis.
    """
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    n, m = a + b, c + d
    share = special.deviance(c, m * (a / n)) + special.deviance(d, m * (b / n))
    return share + _bregman(c, a) + _bregman(d, b) - _bregman(m, n)


def _bregman(y: Tensor, x: Tensor) -> Tensor:
    """lgamma(y) - lgamma(x) - (y - x) digamma(x), less the deviance of y from x."""
    change = (y - x) / x
    errors = special.stirling_error(y) - special.stirling_error(x)
    return errors - (y - x) * special.digamma_error(x) - 0.5 * (ops.log(y / x) - change)


def dirichlet(p: Any, q: Any) -> Tensor:
    """Of two Dirichlet distributions."""
    each = _log_gamma_gap(p.concentration, q.concentration)
    return ops.sum(each, axis=-1) - _log_gamma_gap(p._total, q._total)


def _log_gamma_gap(a: Tensor, b: Tensor) -> Tensor:
    """log Gamma(b) minus its tangent at a, without cancellation where they are large."""
    errors = special.stirling_error(b) - special.stirling_error(a)
    ratios = special.deviance(b, a) + 0.5 * special.deviance(a, b) / a
    return ratios + errors - (b - a) * special.digamma_error(a)


def multivariate_normal(p: Any, q: Any) -> Tensor:
    """Of two multivariate normals with factors of one kind."""
    mine, factor = p._factor(), q._factor()
    distance, trace = q._squared(p.loc - q.loc, factor), q._trace(p, factor)
    volumes = q._log_volume(factor) - p._log_volume(mine)
    return 0.5 * (trace + distance - p._size) + volumes


# --- counts and categories -----------------------------------------------------------------------


def poisson(p: Any, q: Any) -> Tensor:
    """Of two Poisson distributions."""
    return special.deviance(p.rate, q.rate, q.log_rate)


def bernoulli(p: Any, q: Any) -> Tensor:
    """Of one trial: a sum of two deviances, so that nothing cancels."""
    mine, other = chances(p), chances(q)
    successes = special.deviance(mine.yes, other.yes, other.log_yes)
    return successes + special.deviance(mine.no, other.no, other.log_no)


def geometric(p: Any, q: Any) -> Tensor:
    """Of two geometric distributions: that of one trial for every trial."""
    return bernoulli(p, q) / p.probs


def binomial(p: Any, q: Any) -> Tensor:
    """Of two binomial distributions, a sum where their numbers of trials differ."""
    closed = p.total_count * bernoulli(p, q)
    return ops.where(p.total_count == q.total_count, closed, sums.kl_divergence(p, q))


def categorical(p: Any, q: Any) -> Tensor:
    """Of categories: a sum of deviances, all of them positive, so that nothing cancels."""
    if p.num_categories != q.num_categories:
        raise ValueError(
            f"kl_divergence: {p.num_categories} categories of {p!r} and {q.num_categories} of "
            f"{q!r}; the numbers must be equal"
        )
    return ops.sum(special.deviance(p._masses(), q._masses(), q._log_probs()), axis=-1)


def deterministic(p: Any, q: Any) -> Tensor:
    """Nothing of equal values, else infinite."""
    return 0.0 - q._log_prob(p.loc)
