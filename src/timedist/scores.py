"""Scores of samples, quantiles, intervals and probabilities: pure functions of arrays.

Arrays may be tensors, NumPy arrays, nested lists or numbers; float64 stays float64, everything else
is computed in float32. Lower is better, except for coverage. NaN targets give NaN scores; leave
them out before averaging. Parameters and samples are expected to be finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from timedist import checks
from timedist.ops import special
from timedist.ops.sorting import sort

Tensor = Any


# --- quantiles and intervals -------------------------------------------------------------------


def pinball(y: Any, quantile: Any, level: float) -> Tensor:
    r"""Pinball (quantile) loss of a predicted quantile.

    $\max(\tau (y - q),\ (\tau - 1)(y - q))$

    Args:
        y: what happened, tensor.
        quantile: the predicted quantile, broadcastable with `y`.
        level: its level tau in (0, 1).

    Returns:
        Tensor of the broadcast shape, in the unit of `y`.

    Raises:
        ValueError: if the level is not between 0 and 1, or the shapes do not fit.

    Source: Koenker, Bassett: Regression Quantiles, Econometrica (1978).

    >>> float(pinball(3.0, 1.0, 0.75))
    1.5
    """
    level = checks.level("pinball", level)
    y, quantile = checks.broadcastable("pinball", y=y, quantile=quantile)
    error = y - quantile
    return ops.where(error >= 0.0, level * error, (level - 1.0) * error)


def coverage(y: Any, lower: Any, upper: Any) -> Tensor:
    """Whether an interval holds what happened: 1 or 0; the mean should be the interval's level.

    Args:
        y: what happened, tensor.
        lower: lower end, broadcastable with `y`.
        upper: upper end, broadcastable with `y`.

    Returns:
        Tensor of ones and zeros of the broadcast shape.

    Raises:
        ValueError: if the shapes do not fit.

    Source: Christoffersen: Evaluating Interval Forecasts, International Economic Review (1998).

    >>> float(coverage(2.0, 1.0, 3.0))
    1.0
    """
    y, lower, upper = checks.broadcastable("coverage", y=y, lower=lower, upper=upper)
    inside = ops.cast(ops.logical_and(y >= lower, y <= upper), y.dtype)
    return ops.where(ops.isnan(y), y, inside)


def interval_score(y: Any, lower: Any, upper: Any, level: float) -> Tensor:
    r"""Interval (Winkler) score: the width of a central interval plus a fine for missing it.

    $(u - l) + \frac{2}{\alpha} (l - y)_+ + \frac{2}{\alpha} (y - u)_+,\ \alpha = 1 - \text{level}$

    Args:
        y: what happened, tensor.
        lower: lower end, broadcastable with `y`.
        upper: upper end, broadcastable with `y`.
        level: probability that the interval claims to hold, in (0, 1), e.g. 0.9.

    Returns:
        Tensor of the broadcast shape, in the unit of `y`.

    Raises:
        ValueError: if the level is not between 0 and 1, a lower end is above its upper end, or the
            shapes do not fit.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 6.2.

    >>> float(interval_score(4.0, 1.0, 3.0, 0.5))
    6.0
    """
    level = checks.level("interval_score", level)
    y, lower, upper = checks.broadcastable("interval_score", y=y, lower=lower, upper=upper)
    checks.refuse("interval_score", "lower ends above their upper ends", lower, lower > upper)
    return _interval_score(y, lower, upper, 1.0 - level)


def _interval_score(y: Tensor, lower: Tensor, upper: Tensor, alpha: Tensor | float) -> Tensor:
    outside = special.maximum(lower - y, 0.0) + special.maximum(y - upper, 0.0)
    return upper - lower + outside * (2.0 / alpha)


def weighted_interval_score(
    y: Any, median: Any, lowers: Any, uppers: Any, levels: Sequence[float]
) -> Tensor:
    r"""Weighted interval score of a median and K central intervals, which approximates the CRPS.

    $\frac{1}{K + 1/2} \left( \frac12 |y - m| + \sum_k \frac{\alpha_k}{2} IS_{\alpha_k} \right)$

    It is twice the mean pinball loss of the 2K + 1 quantiles.

    Args:
        y: what happened, tensor of any shape.
        median: the predicted median, tensor of the shape of `y`.
        lowers: lower ends, tensor of shape `(K,) + shape of y`.
        uppers: upper ends, likewise.
        levels: the K probabilities that the intervals claim to hold, in (0, 1).

    Returns:
        Tensor of the shape of `y`, in its unit.

    Raises:
        ValueError: if there is no level, one is not between 0 and 1, a lower end is above its upper
            end, or the shapes do not fit.

    Source: Bracher, Ray, Gneiting, Reich: Evaluating epidemic forecasts in an interval format, PLoS
    Computational Biology (2021), equation 2.

    >>> round(float(weighted_interval_score(4.0, 2.0, [1.0], [3.0], [0.5])), 4)
    1.6667
    """
    name = "weighted_interval_score"
    levels = checks.levels(name, levels)
    y, median, lowers, uppers = checks.tensors(
        name, y=y, median=median, lowers=lowers, uppers=uppers
    )
    checks.shape(name, "median", median, y.shape)
    checks.shape(name, "lowers", lowers, (len(levels), *y.shape))
    checks.shape(name, "uppers", uppers, (len(levels), *y.shape))
    checks.refuse(name, "lower ends above their upper ends", lowers, lowers > uppers)
    alpha = ops.convert_to_tensor(1.0 - np.array(levels), dtype=y.dtype)
    alpha = ops.reshape(alpha, (-1, *(1,) * len(y.shape)))
    intervals = ops.sum(0.5 * alpha * _interval_score(y, lowers, uppers, alpha), axis=0)
    return (0.5 * ops.abs(y - median) + intervals) / (len(levels) + 0.5)


# --- samples -----------------------------------------------------------------------------------


def crps_samples(y: Any, samples: Any, fair: bool = False) -> Tensor:
    r"""Continuous ranked probability score of a sample, by one sort.

    $\frac1n \sum_i |x_i - y| - \frac1{2n^2} \sum_{ij} |x_i - x_j|$

    Args:
        y: what happened, tensor of any shape.
        samples: tensor of shape `(n,) + shape of y`.
        fair: divide the second sum by $2n(n-1)$ instead. The score then is unbiased for that of
            the distribution the samples come from, whatever n, and may be negative. Needs n >= 2.
            Default: the score of the empirical distribution itself.

    Returns:
        Tensor of the shape of `y`, in its unit. Time n log n, memory as the samples.

    Raises:
        ValueError: if there are too few samples, or the shapes do not fit.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 4.2; the sorted
    form of the second term as in Jordan, Krueger, Lerch: Evaluating Probabilistic Forecasts with
    scoringRules, Journal of Statistical Software (2019). Fair: Ferro: Fair scores for ensemble
    forecasts, Quarterly Journal of the Royal Meteorological Society (2014).

    >>> float(crps_samples(0.0, [-1.0, 1.0]))
    0.5
    >>> float(crps_samples(0.0, [-1.0, 1.0], fair=True))
    0.0
    """
    y, samples = checks.tensors("crps_samples", y=y, samples=samples)
    number = checks.number_of_samples("crps_samples", y, samples, 2 if fair else 1)
    # Measured from y: the weights below sum to zero, but rounding does not. Sorted where memory is
    # contiguous, which is faster.
    error = sort(ops.moveaxis(samples - y, 0, -1))
    weights = np.arange(1 - number, number, 2) / _pairs(number, fair)
    weights = ops.convert_to_tensor(weights, dtype=y.dtype)
    return ops.sum(ops.abs(error) / number - weights * error, axis=-1)


def energy_score(y: Any, samples: Any, fair: bool = False) -> Tensor:
    r"""Energy score of samples of a vector: the CRPS in d dimensions.

    $\frac1n \sum_i \lVert x_i - y \rVert - \frac1{2n^2} \sum_{ij} \lVert x_i - x_j \rVert$

    Args:
        y: what happened, tensor of shape `(..., d)`.
        samples: tensor of shape `(n, ..., d)`.
        fair: divide the second sum by $2n(n-1)$, see `crps_samples`. Needs n >= 2.

    Returns:
        Tensor of shape `(...)`, in the unit of `y`. Time n squared, memory a few times that of the
        samples, gradients included. Second derivatives are not those of the score.

    Raises:
        ValueError: if there are too few samples, or the shapes do not fit.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 4.3.

    >>> float(energy_score([0.0, 0.0], [[3.0, 4.0], [-3.0, -4.0]]))
    2.5
    """
    y, samples = checks.tensors("energy_score", y=y, samples=samples)
    checks.vectors("energy_score", y)
    number = checks.number_of_samples("energy_score", y, samples, 2 if fair else 1)
    error = samples - y
    distance = ops.sum(_norm(error)[..., 0], axis=0) / number
    # The spread is homogeneous of degree one, so by Euler's theorem it is x times its gradient:
    # one pass without derivatives gives value and gradient, and keeps no n x n array.
    pull = ops.stop_gradient(_pull(ops.stop_gradient(error), number))
    centred = error - ops.sum(error, axis=0) / number
    return distance - ops.sum(pull * centred, axis=(0, -1)) / _pairs(number, fair)


def _pairs(number: int, fair: bool) -> int:
    return number * (number - 1) if fair else number**2


def _pull(x: Tensor, number: int) -> Tensor:
    """For every sample the sum of the unit vectors that point to it from all others."""

    def add(lag: Tensor, total: Tensor) -> Tensor:
        difference = x - ops.roll(x, lag, axis=0)
        length = _norm(difference)
        return total + difference / special.where(length > 0.0, length, 1.0)

    return ops.fori_loop(1, number, add, 0.0 * x)


def _norm(x: Tensor) -> Tensor:
    """Length along the last axis, which is kept; no overflow, and gradient 0 at 0."""
    top = ops.stop_gradient(ops.max(ops.abs(x), axis=-1, keepdims=True))
    zero = top == 0.0
    square = ops.sum(ops.square(x / special.where(zero, 1.0, top)), axis=-1, keepdims=True)
    return top * ops.sqrt(special.where(zero, 1.0, square))


def variogram_score(y: Any, samples: Any, p: float = 0.5, weights: Any = None) -> Tensor:
    r"""Variogram score of samples of a vector: sensitive to the dependence of its components.

    $\sum_{ij} w_{ij} \left( |y_i - y_j|^p - \frac1n \sum_k |x_{ki} - x_{kj}|^p \right)^2$

    Args:
        y: what happened, tensor of shape `(..., d)`.
        samples: tensor of shape `(n, ..., d)`.
        p: order of the variogram, positive. Default 0.5.
        weights: tensor that broadcasts against `(..., d, d)`, not negative. Default: all 1.

    Returns:
        Tensor of shape `(...)`, in the unit of `y` to the power 2p. Memory d times the samples.

    Raises:
        ValueError: if p is not positive, a weight is negative, there is no sample, or the shapes do
            not fit.

    Source: Scheuerer, Hamill: Variogram-Based Proper Scoring Rules for Probabilistic Forecasts of
    Multivariate Quantities, Monthly Weather Review (2015).

    >>> float(variogram_score([0.0, 4.0], [[0.0, 1.0], [1.0, 0.0]]))
    2.0
    """
    name = "variogram_score"
    if not checks.is_number(p) or not 0.0 < p < np.inf:
        raise ValueError(f"{name}: p must be a positive number, got {p!r}")
    weights = 1.0 if weights is None else weights
    y, samples, weights = checks.tensors(name, y=y, samples=samples, weights=weights)
    checks.vectors(name, y)
    number = checks.number_of_samples(name, y, samples)
    checks.shapes(name, weights=tuple(weights.shape), pairs=(*y.shape, y.shape[-1]))
    checks.refuse(name, "negative weights", weights, weights < 0.0)
    gap = _powered_gaps(y, p) - ops.sum(_powered_gaps(samples, p), axis=0) / number
    return ops.sum(weights * ops.square(gap), axis=(-2, -1))


def _powered_gaps(x: Tensor, p: float) -> Tensor:
    """|x_i - x_j|^p over the last axis, with gradient 0 where both are the same."""
    gap = ops.abs(x[..., :, None] - x[..., None, :])
    same = gap == 0.0
    return special.where(same, 0.0, special.where(same, 1.0, gap) ** p)


# --- probabilities, densities, moments ---------------------------------------------------------


def brier(y: Any, probs: Any) -> Tensor:
    r"""Brier score of a probability, or of the probabilities of K categories.

    $(p - y)^2$ for an event, $\sum_k (p_k - 1\{y = k\})^2$ for categories. Of two categories it is
    twice the score of the event.

    Args:
        y: what happened: 0 or 1, or the category from 0 to K - 1; tensor of any shape.
        probs: the probability of the event, broadcastable with `y`; or those of the categories,
            tensor of shape `shape of y + (K,)`.

    Returns:
        Tensor of the shape of `y` (for events the broadcast shape).

    Raises:
        ValueError: if a probability is not in [0, 1], those of the categories do not sum to one,
            `y` is no such category, or the shapes do not fit.

    Source: Brier: Verification of forecasts expressed in terms of probability, Monthly Weather
    Review (1950).

    >>> round(float(brier(1, 0.75)), 4)
    0.0625
    >>> float(brier(2, [0.25, 0.25, 0.5]))
    0.375
    """
    y, probs = checks.tensors("brier", y=y, probs=probs)
    checks.refuse("brier", "probabilities not in [0, 1]", probs, ~((probs >= 0.0) & (probs <= 1.0)))
    if len(probs.shape) <= len(y.shape):
        checks.shapes("brier", y=tuple(y.shape), probs=tuple(probs.shape))
        checks.refuse(
            "brier", "events that are neither 0 nor 1", y, ~ops.isnan(y) & (y != 0.0) & (y != 1.0)
        )
        return ops.square(probs - y)
    number = probs.shape[-1]
    checks.shape("brier", "probs", probs, (*y.shape, number))
    total = ops.sum(probs, axis=-1)
    checks.refuse("brier", "sums of probabilities other than 1", total, ops.abs(total - 1.0) > 1e-3)
    whole = (y >= 0.0) & (y < number) & (y == special.floor(y))
    checks.refuse("brier", f"categories other than 0 to {number - 1}", y, ~ops.isnan(y) & ~whole)
    happened = ops.cast(y[..., None] == ops.arange(number, dtype=y.dtype), y.dtype)
    return ops.sum(ops.square(probs - happened), axis=-1) + 0.0 * y


def log_score(y: Any, distribution: Any) -> Tensor:
    r"""Logarithmic score of a distribution, in nats: $-\log p(y)$.

    Args:
        y: what happened, whatever `distribution.log_prob` takes.
        distribution: a distribution with a `log_prob`.

    Returns:
        Tensor of the batch shape.

    Raises:
        TypeError: if `distribution` is none.
        ValueError: if the shape of `y` does not fit.

    Source: Good: Rational Decisions, Journal of the Royal Statistical Society B (1952).

    >>> from timedist.distributions import Normal
    >>> round(float(log_score(0.0, Normal(0.0, 1.0))), 4)
    0.9189
    """
    if not hasattr(distribution, "log_prob"):
        raise TypeError(
            "log_score: distribution must have a log_prob, got "
            f"{type(distribution).__name__}; of a log density the score is its negative"
        )
    return -distribution.log_prob(y)


def dawid_sebastiani(y: Any, mean: Any, covariance: Any = None, variance: Any = None) -> Tensor:
    r"""Dawid-Sebastiani score, which needs no more of a forecast than its first two moments.

    $\log \det \Sigma + (y - \mu)^\top \Sigma^{-1} (y - \mu)$, for scalars
    $\log \sigma^2 + (y - \mu)^2 / \sigma^2$

    Args:
        y: what happened, tensor of shape `(..., d)`, or of any shape for scalars.
        mean: predicted mean, broadcastable with `y`.
        covariance: predicted covariance of vectors, tensor of shape `(..., d, d)`, symmetric and
            positive definite.
        variance: predicted variance of scalars, positive, broadcastable with `y`. Give this or
            `covariance`.

    Returns:
        Tensor of shape `(...)`, or of the broadcast shape for scalars.

    Raises:
        ValueError: if not exactly one of covariance and variance is given, it is not positive
            (definite), or the shapes do not fit.

    Source: Dawid, Sebastiani: Coherent Dispersion Criteria for Optimal Experimental Design, Annals
    of Statistics (1999).

    >>> float(dawid_sebastiani(3.0, 1.0, variance=1.0))
    4.0
    >>> float(dawid_sebastiani([3.0, 0.0], [1.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]))
    4.0
    """
    name = "dawid_sebastiani"
    if (covariance is None) == (variance is None):
        given = "neither" if variance is None else "both"
        raise ValueError(f"{name} needs exactly one of covariance and variance, got {given}")
    if variance is not None:
        y, mean, variance = checks.broadcastable(name, y=y, mean=mean, variance=variance)
        checks.refuse(name, "variances that are not positive", variance, ~(variance > 0.0))
        return ops.log(variance) + ops.square(y - mean) / variance
    y, mean, covariance = checks.tensors(name, y=y, mean=mean, covariance=covariance)
    checks.vectors(name, y)
    checks.shapes(name, y=tuple(y.shape), mean=tuple(mean.shape))
    size = (y.shape[-1], y.shape[-1])
    if tuple(covariance.shape[-2:]) != size:
        raise ValueError(
            f"{name}: covariance has shape {tuple(covariance.shape)}, expected (..., "
            f"{size[0]}, {size[1]}) for y of shape {tuple(y.shape)}"
        )
    checks.shapes(name, y=tuple(y.shape), covariance=tuple(covariance.shape[:-1]))
    checks.positive_definite(name, covariance)
    error = (y - mean)[..., None] + 0.0 * covariance[..., :1]
    factor = ops.cholesky(covariance + ops.zeros_like(error))
    white = ops.solve_triangular(factor, error, lower=True)[..., 0]
    log_det = 2.0 * ops.sum(ops.log(ops.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return log_det + ops.sum(ops.square(white), axis=-1)
