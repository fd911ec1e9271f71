"""Metrics that read a distribution, for `compile(metrics=[...])` or alone.

They add up over batches what is observed: weighted sums of scores over sums of weights. Keras gives
sample weights to `weighted_metrics` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks, scores
from timedist.ops import special
from timedist.targets import MISSING, Targets

Tensor = Any


def _serializable(cls: type) -> type:
    """Register under a name of its own: losses have the same class names."""
    return keras.saving.register_keras_serializable("timedist.metrics")(cls)


class DistributionMetric(keras.metrics.Metric):
    r"""Base of the metrics of distributions: the weighted mean of a score.

    A subclass writes `scores`.

    Args:
        missing: what a NaN target means. `"error"` (default): a `ValueError` where the numbers can
            be looked at (eager), a NaN result under compilation. `"mask"`: it counts for nothing.
        name: name of the metric.
        dtype: dtype of the state.

    Call arguments of `update_state`:
        y_true: tensor of shape `batch_shape + event_shape` (an event of shape `(1,)` may be left
            out, or be there when the event is a scalar).
        y_pred: the distribution, ours or a native one. Steps masked by Keras count for nothing.
            (In `fit` on JAX, Keras hands no masks of outputs to metrics.)
        sample_weight: tensor of shape `batch_shape` or a prefix of it.

    Raises:
        TypeError: if `y_pred` is no distribution.
        ValueError: if shapes do not fit, or for a NaN target as said above.

    >>> from timedist.distributions import Normal
    >>> class Width(DistributionMetric):
    ...     def scores(self, targets):
    ...         return targets.distribution.stddev()
    >>> metric = Width(name="width")
    >>> metric.update_state([0.0, 0.0], Normal([0.0, 0.0], [1.0, 3.0]), sample_weight=[3.0, 1.0])
    >>> float(metric.result())
    1.5
    """

    def __init__(self, missing: str = "error", name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.missing = checks.choice(type(self).__name__, "missing", missing, MISSING)
        self.total = self.add_variable(self._shape(), "zeros", self.dtype, name="total")
        self.count = self.add_variable((), "zeros", self.dtype, name="count")

    def _shape(self) -> tuple[int, ...]:
        """Shape of one score, for those that are no numbers."""
        return ()

    def scores(self, targets: Targets) -> Tensor:
        """The scores of all batch elements, or of all components of their events.

        Args:
            targets: the aligned targets and their distribution, see `timedist.targets.Targets`.

        Returns:
            Tensor of shape `batch_shape`, or of the shape of the targets.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `scores`")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch; see the class."""
        targets = Targets.of(y_true, y_pred, self.missing, f"The metric {self.name!r}")
        if targets.are_placeholders():
            return
        values = self.scores(targets)
        rank = len(values.shape) - len(self._shape())
        of_components = rank > len(targets.distribution.batch_shape)
        weights = targets.weights(of_components, sample_weight)
        weighted = special.where(weights == 0.0, 0.0, values) * weights
        total = ops.sum(weighted, axis=tuple(range(-rank, 0))) if rank else weighted
        self.total.assign_add(ops.cast(total, self.dtype))
        self.count.assign_add(ops.cast(ops.sum(weights), self.dtype))

    def result(self) -> Tensor:
        """The mean of everything added since the last reset; 0 of nothing."""
        return self._summary(ops.divide_no_nan(self.total, self.count))

    def _summary(self, mean: Tensor) -> Tensor:
        """What is made of the mean score in the end."""
        return mean

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "missing": self.missing}


@_serializable
class NegativeLogLikelihood(DistributionMetric):
    r"""Mean negative log likelihood, in nats: $-\log p(y)$ of every batch element.

    Args:
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric.
        dtype: dtype of the state.

    Source: Good: Rational Decisions, Journal of the Royal Statistical Society B (1952).

    >>> from timedist.distributions import Normal
    >>> round(float(NegativeLogLikelihood()([0.0, 0.0], Normal([0.0, 0.0], 1.0))), 4)
    0.9189
    """

    def __init__(
        self, missing: str = "error", name: str = "negative_log_likelihood", dtype: Any = None
    ) -> None:
        super().__init__(missing, name, dtype)

    def scores(self, targets: Targets) -> Tensor:
        """-log p of every batch element."""
        return targets.negative_log_likelihood()


@_serializable
class CRPS(DistributionMetric):
    r"""Mean continuous ranked probability score, in the unit of the targets.

    $\int (F(x) - 1\{x \ge y\})^2\,dx$, summed over the components of an `Independent` event, as in
    `timedist.losses.CRPS`.

    Args:
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric.
        dtype: dtype of the state.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 4.2.

    >>> from timedist.distributions import Normal
    >>> round(float(CRPS()([0.0, 0.0], Normal([0.0, 0.0], 1.0))), 4)
    0.2337
    """

    def __init__(self, missing: str = "error", name: str = "crps", dtype: Any = None) -> None:
        super().__init__(missing, name, dtype)

    def scores(self, targets: Targets) -> Tensor:
        """CRPS of every batch element."""
        return targets.crps()


@_serializable
class EnergyScore(DistributionMetric):
    r"""Mean energy score of vectors, estimated without bias from samples.

    $\mathbb E \lVert X - y \rVert - \frac12 \mathbb E \lVert X - X' \rVert$ of the whole event.

    Args:
        num_samples: number of samples of each batch element, at least 2. Default 100.
        seed: int. The same batch scored again gives the same number. Default 0.
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric.
        dtype: dtype of the state.

    Raises:
        ValueError: if there are fewer than 2 samples.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 4.3.

    >>> from timedist.distributions import Deterministic, Independent
    >>> float(EnergyScore()([[3.0, 4.0]], Independent(Deterministic([[0.0, 0.0]]))))
    5.0
    """

    def __init__(
        self,
        num_samples: int = 100,
        seed: int = 0,
        missing: str = "error",
        name: str = "energy_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, name, dtype)
        self.num_samples = checks.count("EnergyScore", "num_samples", num_samples, 2)
        self.seed = checks.count("EnergyScore", "seed", seed, 0)

    def scores(self, targets: Targets) -> Tensor:
        """Energy score of every batch element."""
        return targets.energy_score(self.num_samples, self.seed)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "num_samples": self.num_samples, "seed": self.seed}


@_serializable
class Pinball(DistributionMetric):
    r"""Mean pinball loss of some quantiles, in the unit of the targets.

    $\max(\tau (y - q_\tau),\ (\tau - 1)(y - q_\tau))$, averaged over the levels and summed over the
    components of an `Independent` event, as in `timedist.losses.Pinball`.

    Args:
        levels: the levels, in (0, 1). Default: 0.1, 0.2 to 0.9.
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric.
        dtype: dtype of the state.

    Raises:
        ValueError: if a level is not between 0 and 1.

    Source: Koenker, Bassett: Regression Quantiles, Econometrica (1978).

    >>> from timedist.distributions import Normal
    >>> float(Pinball(levels=[0.5])([2.0, 0.0], Normal([0.0, 0.0], 1.0)))
    0.5
    """

    def __init__(
        self,
        levels: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        missing: str = "error",
        name: str = "pinball",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, name, dtype)
        self.levels = checks.levels("Pinball", levels)

    def scores(self, targets: Targets) -> Tensor:
        """Mean pinball loss of every batch element."""
        return targets.pinball(self.levels)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "levels": list(self.levels)}


@_serializable
class Coverage(DistributionMetric):
    r"""Share of the targets inside the central interval; it should be the interval's level.

    $1\{q_{(1 - \ell)/2} \le y \le q_{(1 + \ell)/2}\}$, averaged over all components.

    Args:
        level: probability of the interval, in (0, 1). Default 0.9.
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric. Default: `coverage_` and the level in percent.
        dtype: dtype of the state.

    Raises:
        ValueError: if the level is not between 0 and 1.

    Source: Gneiting, Balabdaoui, Raftery: Probabilistic forecasts, calibration and sharpness, JRSS
    B (2007), section 3.

    >>> from timedist.distributions import Normal
    >>> metric = Coverage(0.5)
    >>> metric.name, float(metric([0.0, 3.0], Normal([0.0, 0.0], 1.0)))
    ('coverage_50', 0.5)
    """

    def __init__(
        self,
        level: float = 0.9,
        missing: str = "error",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.level = checks.level("Coverage", level)
        super().__init__(missing, name or f"coverage_{100 * self.level:g}", dtype)

    def scores(self, targets: Targets) -> Tensor:
        """1 where a component is inside its interval."""
        return scores.coverage(targets.value, *targets.interval(self.level))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "level": self.level}


@_serializable
class Sharpness(DistributionMetric):
    r"""Mean width of the central interval, in the unit of the targets: small is sharp.

    $q_{(1 + \ell)/2} - q_{(1 - \ell)/2}$, averaged over all observed components. Compare it among
    forecasts of the same `Coverage` only.

    Args:
        level: probability of the interval, in (0, 1). Default 0.9.
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric. Default: `sharpness_` and the level in percent.
        dtype: dtype of the state.

    Raises:
        ValueError: if the level is not between 0 and 1.

    Source: Gneiting, Balabdaoui, Raftery: Probabilistic forecasts, calibration and sharpness, JRSS
    B (2007), section 3.

    >>> from timedist.distributions import Normal
    >>> round(float(Sharpness(0.5)([0.0, 9.0], Normal([0.0, 0.0], [1.0, 3.0]))), 3)
    2.698
    """

    def __init__(
        self,
        level: float = 0.9,
        missing: str = "error",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.level = checks.level("Sharpness", level)
        super().__init__(missing, name or f"sharpness_{100 * self.level:g}", dtype)

    def scores(self, targets: Targets) -> Tensor:
        """The width of the interval of every component."""
        lower, upper = targets.interval(self.level)
        return upper - lower

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "level": self.level}


@_serializable
class CalibrationError(DistributionMetric):
    r"""How far the distribution of the probability integral transform is from uniform.

    $\frac1{K - 1} \sum_{k=1}^{K-1} |\bar F(k / K) - k / K|$

    $\bar F$ is the weighted mean over all components of the distribution function of the transform:
    for continuous families $1\{F(y) \le u\}$; for discrete ones without randomisation
    $(u - F(y-1)) / (F(y) - F(y-1))$, cut off at 0 and 1. It is 0 where forecasts are calibrated and
    at most 1/2: 0.05 means that what is said to happen with some probability happens five points
    more or less often, on average over the levels. With few targets, chance alone makes it
    positive.

    Args:
        bins: K, the number of equal parts of [0, 1], at least 2. Default 10.
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric.
        dtype: dtype of the state.

    Raises:
        ValueError: if there are fewer than 2 bins.
        NotImplementedError: on a call with vectors whose components are not independent.

    Source: Czado, Gneiting, Held: Predictive Model Assessment for Count Data, Biometrics (2009),
    equation 2, for the transform; Kuleshov, Fenner, Ermon: Accurate Uncertainties for Deep Learning
    Using Calibrated Regression (2018), section 3.5, for the distance (squares there).

    >>> from timedist.distributions import Normal
    >>> quartiles = Normal(0.0, 1.0).quantile([0.125, 0.375, 0.625, 0.875])
    >>> float(CalibrationError(bins=4)(quartiles, Normal([0.0] * 4, 1.0)))
    0.0
    >>> float(CalibrationError(bins=4)([9.0, 9.0], Normal([0.0, 0.0], 1.0)))
    0.5
    """

    def __init__(
        self,
        bins: int = 10,
        missing: str = "error",
        name: str = "calibration_error",
        dtype: Any = None,
    ) -> None:
        self.bins = checks.count("CalibrationError", "bins", bins, 2)
        super().__init__(missing, name, dtype)

    def _shape(self) -> tuple[int, ...]:
        return (self.bins - 1,)

    def _levels(self, dtype: Any) -> Tensor:
        return ops.convert_to_tensor(np.arange(1, self.bins) / self.bins, dtype=dtype)

    def scores(self, targets: Targets) -> Tensor:
        """The distribution function of the transform of every component, at the inner levels."""
        below, upto = targets.transform()
        levels = ops.reshape(self._levels(upto.dtype), (-1, *(1 for _ in upto.shape)))
        width = upto - below
        inside = (levels - below) / special.where(width > 0.0, width, 1.0)
        share = special.minimum(special.maximum(inside, 0.0), 1.0)
        return ops.where(width > 0.0, share, ops.cast(upto <= levels, upto.dtype) + 0.0 * upto)

    def _summary(self, mean: Tensor) -> Tensor:
        error = ops.mean(ops.abs(mean - self._levels(self.dtype)))
        return special.where(self.count > 0.0, error, 0.0)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "bins": self.bins}


@_serializable
class MeanAbsoluteError(DistributionMetric):
    r"""Mean absolute error of a point forecast taken from the distribution.

    $|y - m|$, averaged over all components. The median makes it least; for the mean of our
    distributions the stock `"mae"` does the same, without masks and missing values.

    Args:
        of: `"median"` (default) or `"mean"`.
        missing: see `DistributionMetric`, also for the call arguments and the errors.
        name: name of the metric.
        dtype: dtype of the state.

    Raises:
        ValueError: if `of` is neither.

    Source: Gneiting: Making and Evaluating Point Forecasts, JASA (2011).

    >>> from timedist.distributions import Normal
    >>> float(MeanAbsoluteError()([1.0, -2.0], Normal([0.0, 0.0], 1.0)))
    1.5
    """

    def __init__(
        self,
        of: str = "median",
        missing: str = "error",
        name: str = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, name, dtype)
        self.of = checks.choice("MeanAbsoluteError", "of", of, ("median", "mean"))

    def scores(self, targets: Targets) -> Tensor:
        """The absolute error of every component."""
        distribution = targets.distribution
        point = distribution.median() if self.of == "median" else distribution.mean()
        return ops.abs(targets.value - ops.cast(point, targets.value.dtype))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "of": self.of}
