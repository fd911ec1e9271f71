"""Scores of samples and quantiles: pure functions of arrays, the same on every backend.

Lower is better, except for coverage. NaN targets give NaN scores; leave them out before averaging.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any


def pinball(y: Tensor, quantile: Tensor, level: float) -> Tensor:
    r"""Pinball (quantile) loss of a predicted quantile.

    $\max(\tau (y - q),\ (\tau - 1)(y - q))$

    Args:
        y: what happened, tensor.
        quantile: the predicted quantile, broadcastable with `y`.
        level: its level tau in (0, 1).

    Returns:
        Tensor of the broadcast shape, in the unit of `y`.

    Raises:
        ValueError: if the level is not between 0 and 1.

    Source: Koenker, Bassett: Regression Quantiles, Econometrica (1978).

    >>> float(pinball(3.0, 1.0, 0.75))
    1.5
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"pinball: level must be between 0 and 1, got {level!r}")
    error = ops.subtract(y, quantile)
    return ops.where(error >= 0.0, level * error, (level - 1.0) * error)


def crps_samples(y: Tensor, samples: Tensor) -> Tensor:
    r"""Continuous ranked probability score of a sample, by one sort.

    $\frac1n \sum_i |x_i - y| - \frac1{2n^2} \sum_{ij} |x_i - x_j|$

    Args:
        y: what happened, tensor of any shape.
        samples: tensor of shape `(n,) + shape of y`.

    Returns:
        Tensor of the shape of `y`, in its unit.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 4.2; the sorted
    form of the second term as in Jordan, Krueger, Lerch: Evaluating Probabilistic Forecasts with
    scoringRules, Journal of Statistical Software (2019).

    >>> float(crps_samples(0.0, [-1.0, 1.0]))
    0.5
    """
    y, samples = ops.convert_to_tensor(y), ops.convert_to_tensor(samples)
    dtype = keras.backend.result_type(y.dtype, samples.dtype, float)
    y, samples = ops.cast(y, dtype), ops.sort(ops.cast(samples, dtype), axis=0)
    number = samples.shape[0]
    distance = ops.mean(ops.abs(samples - y), axis=0)
    weights = 2.0 * ops.arange(1, number + 1, dtype=dtype) - (number + 1.0)
    weights = ops.reshape(weights, (number, *(1,) * (len(samples.shape) - 1)))
    return distance - ops.sum(weights * samples, axis=0) / number**2


def coverage(y: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Whether an interval holds what happened: 1 or 0; the mean should be the interval's level.

    Args:
        y: what happened, tensor.
        lower: lower end, broadcastable with `y`.
        upper: upper end, broadcastable with `y`.

    Returns:
        Tensor of ones and zeros of the broadcast shape.

    >>> float(coverage(2.0, 1.0, 3.0))
    1.0
    """
    inside = ops.logical_and(ops.greater_equal(y, lower), ops.less_equal(y, upper))
    return ops.cast(inside, keras.backend.floatx())
