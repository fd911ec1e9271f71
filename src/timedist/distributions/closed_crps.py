"""Closed continuous ranked probability scores, in forms that do not cancel.

A family names its own: `_crps = closed_crps.exponential`. Where there is none, the score is a
quadrature or a sum.

Source: Jordan, Krueger, Lerch: Evaluating Probabilistic Forecasts with scoringRules, Journal of
Statistical Software (2019), appendix A, unless said otherwise.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import numerical, sums
from timedist.ops import compat, special

Tensor = Any

_SQRT_HALF = math.sqrt(0.5)
# Terms of a sum over all counts that are held in memory at a time.
_CHUNK = 256
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


def symmetric(excess: Any) -> Any:
    """The score of a symmetric family with location and scale.

    Args:
        excess: `excess(d, t)`, for t <= 0 the score of the standard form at -t, less -t.

    Returns:
        A function of the distribution and the value.
    """

    def score(d: Any, y: Tensor) -> Tensor:
        minus = special.minus_abs(y - d.loc)
        far = float(special.finfo(minus).max) ** 0.5
        return d.scale * excess(d, special.maximum(minus / d.scale, -far)) - minus

    return score


@symmetric
def normal(d: Any, t: Tensor) -> Tensor:
    """Of a normal."""
    density = ops.exp(-0.5 * ops.square(t) - _LOG_SQRT_2PI)
    return 2.0 * (density + t * special.ndtr(t)) - 1.0 / math.sqrt(math.pi)


@symmetric
def laplace(d: Any, t: Tensor) -> Tensor:
    """Of a Laplace distribution."""
    return ops.exp(t) - 0.75


@symmetric
def logistic(d: Any, t: Tensor) -> Tensor:
    """Of a logistic distribution."""
    return 2.0 * ops.log1p(ops.exp(t)) - 1.0


@symmetric
def cauchy(d: Any, t: Tensor) -> Tensor:
    """Of a Cauchy distribution: the integral of 2 F - 1."""
    rise = special.log1p_square(t) / math.pi
    return 2.0 * t * d._std_cdf(t) - rise + 2.0 * math.log(2.0) / math.pi


@symmetric
def student_t(d: Any, t: Tensor) -> Tensor:
    """Of Student's t: the integral of 2 F - 1, which has no pole at one degree of freedom."""
    finite = d.df > 0.5
    df = special.where(finite, d.df, 1.0)
    log_square = special.log1p_square(t, ops.sqrt(df))
    rise = 0.5 * log_square * special.expm1_ratio(-0.5 * (df - 1.0) * log_square)
    slope = _log_beta_slope(df)
    start = slope * special.expm1_ratio(slope * (df - 1.0))
    excess = 2.0 * (t * d._std("cdf", t) - ops.exp(d._log_peak) * df * (rise + start))
    return special.where(finite, excess, math.inf)


def _log_beta_slope(df: Tensor) -> Tensor:
    """[log B(1/2, df - 1/2) - log B(1/2, df / 2)] / (df - 1), for df > 1/2."""
    near = ops.abs(df - 1.0) < compat.epsilon(df) ** (1 / 3)
    other = special.where(near, 2.0, df)
    upper, lower = other - 0.5, 0.5 * other
    step = special.log_gamma_step(lower) - special.log_gamma_step(upper)
    step = step + 0.5 * ops.log(lower / upper)
    middle = 0.75 * special.where(near, df, 1.0) - 0.25
    tangent = 0.5 * (special.digamma(middle) - special.digamma(middle + 0.5))
    return ops.where(near, tangent, step / (other - 1.0))


def asymmetric_laplace(d: Any, y: Tensor) -> Tensor:
    """The sides of F(x)^2 and (1 - F(x))^2 are exponentials of two rates."""
    k, distance = d.skewness, y - d.loc
    left, right = (ops.exp(side) for side in d._log_sides())
    below = special.minimum(distance, 0.0) / d.scale
    above = special.maximum(distance, 0.0) / d.scale
    at_mode = 0.5 * (ops.square(left) * k + ops.square(right) / k)
    lower, upper = left * k * ops.expm1(below / k), right / k * ops.expm1(-above * k)
    return d.scale * (at_mode + 2.0 * (lower + upper)) - special.minus_abs(distance)


def exponential(d: Any, y: Tensor) -> Tensor:
    """Of an exponential distribution."""
    return ops.abs(y) + (0.5 - 2.0 * d._hook("cdf")(y)) / d.rate


def log_normal(d: Any, y: Tensor) -> Tensor:
    """y erf(w / sqrt 2) - mean (erf((w - scale) / sqrt 2) + erf(scale / 2)), w = z(y).

    A wide scale takes the second factor in logarithms, lest a huge mean meet a tiny one.
    """
    positive = y > 0.0
    w = (ops.log(special.where(positive, y, 1.0)) - d.loc) / d.scale
    inside = y * ops.erf(_SQRT_HALF * w)
    wide = d.scale > 1.0
    s = special.where(wide, 1.0, d.scale)
    narrow = ops.erf(_SQRT_HALF * (w - s)) + ops.erf(0.5 * s)
    narrow = special.where(positive, narrow, ops.erf(0.5 * s) - 1.0)
    narrow = ops.exp(d.loc + 0.5 * ops.square(s)) * narrow
    s = special.where(wide, d.scale, 1.0)
    log_twice_mean = d.loc + 0.5 * ops.square(s) + math.log(2.0)
    below = ops.exp(log_twice_mean + special.log_ndtr(w - s))
    above = ops.exp(log_twice_mean + special.log_ndtr(-_SQRT_HALF * s))
    wide_part = special.where(positive, below, 0.0) - above
    return ops.where(positive, inside, ops.abs(y)) - ops.where(wide, wide_part, narrow)


def log_logistic(d: Any, y: Tensor) -> Tensor:
    """The integral over t = log x, where the tails are exponential.

    Its nodes do not move with y: the derivative to y is added.
    """
    base, positive, exists = d._base(), y > 0.0, d.scale < 2.0
    log_y = ops.log(special.where(positive, y, 1.0))
    cut = ops.stop_gradient(ops.where(positive, log_y, d.loc - 50.0))

    def squared(t: Tensor) -> Tensor:
        tail = ops.where(t < cut, base._log_cdf(t), base._log_survival(t))
        return ops.exp(special.where(exists, 2.0 * tail + t, tail))

    infinite = special.full_like(cut, math.inf)
    marks = [mark + ops.zeros_like(cut) for mark in base._hook("landmarks")()]
    score = numerical.integral(squared, -infinite, infinite, [cut, *marks])
    slope = ops.stop_gradient(ops.square(d._cdf(y)) - ops.square(d._survival(y)))
    moved = special.where(positive, slope * (y - ops.stop_gradient(y)), -y)
    return special.where(exists, score + moved, math.inf)


def gamma(d: Any, y: Tensor) -> Tensor:
    """One F in place of the two of the published form, whose difference is a Poisson mass."""
    a, t = d.concentration, d.rate * y
    inner = special.where(t > 0.0, t, 1.0)
    # t^a exp(-t) / Gamma(a)
    inner = special.minimum(inner, 0.25 * float(special.finfo(t).max))
    mass = a * ops.exp(special.log_poisson_pmf(a, inner, ops.log(inner)))
    mass = special.where(t > 0.0, mass, 0.0)
    # 1 / B(1/2, a) is Gamma(a + 1/2) / (Gamma(a) sqrt(pi)).
    log_ratio = a * ops.log1p(0.5 / a) - 0.5 + 0.5 * ops.log(a)
    log_ratio = log_ratio + special.stirling_error(a + 0.5) - special.stirling_error(a)
    score = (t - a) * (2.0 * d._hook("cdf")(y) - 1.0) + 2.0 * mass
    return (score - ops.exp(log_ratio) / math.sqrt(math.pi)) / d.rate


def inverse_gamma(d: Any, y: Tensor) -> Tensor:
    """By quadrature, where it is finite."""
    return special.where(d.concentration > 0.5, numerical.crps(d, y), math.inf)


def pareto(d: Any, y: Tensor) -> Tensor:
    """Of a Pareto distribution, in the form of the generalised one."""
    size = d.scale / d.concentration
    hazard = d._inverse(ops.where(y < d.scale, d.scale, y))
    return size * _power_tail((y - d.scale) / size, hazard, 1.0 / d.concentration)


def generalized_pareto(d: Any, y: Tensor) -> Tensor:
    """Of a generalised Pareto distribution.

    Source: Friederichs, Thorarinsdottir: Forecast Verification for Extreme Value Distributions
    (2012).
    """
    low, high = d._support()
    hazard = d._inverse(special.minimum(special.maximum(y, low), high))
    return d.scale * _power_tail((y - d.loc) / d.scale, hazard, d.concentration)


def _power_tail(distance: Tensor, hazard: Tensor, shape: Tensor) -> Tensor:
    """CRPS of a generalised Pareto variable with location 0 and scale 1.

    |z| - 2 (the integral of the survival function up to z) + (that of its square).
    """
    exists = shape < 2.0
    xi = special.where(exists, shape, 0.0)
    below = hazard * special.expm1_ratio((xi - 1.0) * hazard)
    return special.where(exists, ops.abs(distance) - 2.0 * below + 1.0 / (2.0 - xi), math.inf)


def uniform(d: Any, y: Tensor) -> Tensor:
    """Of a uniform distribution."""
    below, above = d._cdf(y), d._survival(y)
    inside = (ops.square(below) - below * above + ops.square(above)) / 3.0
    return (d.high - d.low) * inside + ops.abs(y - d._clip(y))


def beta(d: Any, y: Tensor) -> Tensor:
    """Of a beta distribution."""
    a, b = d.concentration1, d.concentration0
    n = a + b
    inside = special.minimum(special.maximum(y, 0.0), 1.0)
    below, above = d._log_sides(inside)
    at_end = (inside <= 0.0) | (inside >= 1.0)
    safe = special.where(at_end, 0.5, inside)
    weight = special.where(at_end, 0.0, ops.exp(d._log_weight(safe, 1.0 - safe)))

    def doubled(x: Tensor) -> Tensor:
        return special.stirling_error(2.0 * x) - 2.0 * special.stirling_error(x)

    # B(2 a, 2 b) / B(a, b)^2, by Stirling's formula
    log_ratio = 0.5 * (ops.log(a) - ops.log1p(a / b) - math.log(2.0)) - _LOG_SQRT_2PI
    log_ratio = log_ratio + doubled(a) + doubled(b) - doubled(n)
    centred = (inside - d._mean()) * (ops.exp(below) - ops.exp(above))
    return centred + 2.0 * (weight - ops.exp(log_ratio)) / n + ops.abs(y - inside)


# --- counts and categories: integrals of step functions ------------------------------------------


@numerical.completed
def bernoulli(d: Any, y: Tensor) -> Tensor:
    """Between 0 and 1 the integrand is P(0)^2 below y and P(1)^2 above."""
    inside = special.minimum(special.maximum(y, 0.0), 1.0)
    no, yes = ops.square(ops.sigmoid(-d.logits)), ops.square(d.probs)
    return inside * no + (1.0 - inside) * yes + ops.abs(y - inside)


@numerical.completed
def ordered_logistic(d: Any, y: Tensor) -> Tensor:
    """The ranked probability score.

    Source: Epstein: A Scoring System for Probability Forecasts of Ranked Categories (1969).
    """
    z = d._from_loc()
    inside = ops.clip(y, 0.0, d.num_categories - 1.0)
    # How much of the step from k to k + 1 lies below y.
    numbers = sums.steps(d.num_categories - 1, ops.zeros((), d.dtype))
    part = ops.clip(inside[..., None] - numbers, 0.0, 1.0)
    steps = part * ops.square(ops.sigmoid(z)) + (1.0 - part) * ops.square(ops.sigmoid(-z))
    return ops.sum(steps, axis=-1) + ops.abs(y - inside)


@numerical.completed
def beta_binomial(d: Any, y: Tensor) -> Tensor:
    """E|X - y| - E|X - X'| / 2."""
    y = y + d._zeros()
    top = d.total_count + ops.zeros_like(y)
    cut = special.minimum(special.maximum(special.floor(y) + 1.0, 0.0), top)
    return sums.expectation(d, lambda k, _: ops.abs(k - y), cut) - _half_distance(d)


def _half_distance(d: Any) -> Tensor:
    """E|X - X'| / 2, the sum over k of P(X = k) E(k - X)^+, with its derivatives.

    No backend differentiates a loop of unknown length, so the derivatives of the sums run along
    with them; those of the masses are differences of digammas.
    """
    n, a, b = (ops.stop_gradient(x)[..., None] for x in d.leaves())
    frozen = type(d).trusted(total_count=n, concentration1=a, concentration0=b)
    start = ops.zeros((), dtype=compat.dtype_of(n))
    steps = sums.steps(_CHUNK, start)
    both = special.digamma(a + b) - special.digamma(n + a + b)

    def unfinished(start: Tensor, *state: Tensor) -> Tensor:
        return ops.any(start <= n)

    def advance(start: Tensor, below: Tensor, excess: Tensor, result: Tensor) -> tuple:
        k = start + steps
        inside = k <= n
        k = ops.where(inside, k, ops.zeros_like(k))
        mass = special.where(inside, ops.exp(frozen._log_mass(k)), 0.0)
        to_a = mass * (special.digamma(k + a) - special.digamma(a) + both)
        to_b = mass * (special.digamma(n - k + b) - special.digamma(b) + both)
        terms = ops.stack([mass, to_a, to_b], axis=0)
        cdf = below + special.cumsum(terms)
        before = excess + special.cumsum(cdf) - cdf
        product = terms[:1] * before
        slope = terms[1:] * before[:1]
        each = ops.concatenate([product[:1], product[1:] + slope], axis=0)
        result = result + ops.sum(each, axis=-1, keepdims=True)
        excess = before[..., -1:] + cdf[..., -1:]
        return start + float(_CHUNK), cdf[..., -1:], excess, result

    zero = ops.zeros_like(ops.stack([n, n, n], axis=0))
    found = ops.while_loop(unfinished, advance, (start, zero, zero, zero))[3]
    value, to_a, to_b = (found[i, ..., 0] for i in range(3))
    moved_a = d.concentration1 - ops.stop_gradient(d.concentration1)
    moved_b = d.concentration0 - ops.stop_gradient(d.concentration0)
    return value + to_a * moved_a + to_b * moved_b


def deterministic(d: Any, y: Tensor) -> Tensor:
    """The absolute error, not by `abs`, whose derivative at 0 is 1 on JAX and 0 elsewhere."""
    error = y - d.loc
    return error * ops.sign(error)
