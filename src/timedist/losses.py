"""Losses that read a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from timedist import checks
from timedist.layers.accepting import serializable
from timedist.ops import compat
from timedist.targets import MISSING, Targets

Tensor = Any

MEAN_OVER_SEQUENCES = "mean_over_sequences"
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class DistributionLoss(keras.losses.Loss):
    r"""Base of the losses of distributions: a score of every batch element, then reduced.

    A subclass writes `scores`.

    Args:
        missing: what a NaN target means. `"error"` (default): a `ValueError` where the numbers can
            be looked at (eager), a NaN loss under compilation. `"mask"`: it counts for nothing,
            neither in the sum nor in the mean, and its gradient is exactly zero; of an
            `Independent` event only the missing components are left out.
        reduction: `"sum_over_batch_size"` (default; the mean over what is not masked), `"sum"`,
            `"mean"`, `"mean_with_sample_weight"`, `"none"` or `None` as for any Keras loss; or
            `"mean_over_sequences"`: the sum over the steps of a sequence that are not masked, and
            the mean over sequences, for losses to which a divergence is added for each sequence.
        name: name of the loss.
        dtype: dtype of the reduction.

    Call arguments:
        y_true: tensor of shape `batch_shape + event_shape` (an event of shape `(1,)` may be left
            out, or be there when the event is a scalar).
        y_pred: the distribution, ours or a native one. Steps masked by Keras count for nothing.
        sample_weight: tensor of shape `batch_shape` or a prefix of it: one for each step, or one
            for each sequence.

    Returns:
        A scalar, or a tensor of shape `batch_shape` without reduction.

    Raises:
        TypeError: if `y_pred` is no distribution.
        ValueError: if shapes do not fit, or for a NaN target as said above.

    >>> from timedist.distributions import Normal
    >>> class SquaredError(DistributionLoss):
    ...     def scores(self, targets):
    ...         return (targets.value - targets.distribution.mean()) ** 2
    >>> float(SquaredError(name="squared_error")([[1.0, 2.0]], Normal([[0.0, 0.0]], 1.0)))
    2.5
    """

    def __init__(
        self,
        missing: str = "error",
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        by_sequence = reduction == MEAN_OVER_SEQUENCES
        super().__init__(name=name, reduction="sum" if by_sequence else reduction, dtype=dtype)
        self.by_sequence = by_sequence
        self.missing = checks.choice(type(self).__name__, "missing", missing, MISSING)

    def scores(self, targets: Targets) -> Tensor:
        """The scores of all batch elements.

        Args:
            targets: the aligned targets and their distribution, see `timedist.targets.Targets`.

        Returns:
            Tensor of shape `batch_shape`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `scores`")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss; see the class."""
        targets = Targets.of(y_true, y_pred, self.missing, f"The loss {self.name!r}")
        losses, counted = self.scores(targets), targets.counted()
        if counted is not None:
            compat.set_keras_mask(losses, counted)
        if sample_weight is not None:
            sample_weight = targets.like(losses, sample_weight)
        elif counted is None and self._is_mean_of(losses.shape):
            mean = ops.mean(ops.cast(losses, self.dtype))
            return compat.scale_loss_for_distribution(mean)
        # The stock loss does the rest: weights, mask, reduction.
        total = super().__call__(losses, losses, sample_weight)
        if not self.by_sequence:
            return total
        return total / ops.cast(ops.shape(losses)[0] if len(losses.shape) else 1, total.dtype)

    def _is_mean_of(self, shape: tuple[int | None, ...]) -> bool:
        """Whether the loss of scores that all count is their mean.

        Keras comes to the same, on torch in ten times the time; what it does without rows is its
        own affair.
        """
        known = all(isinstance(size, int) and size > 0 for size in shape)
        return known and len(shape) > 0 and self.reduction in _MEANS

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The scores, which `__call__` has already computed."""
        del y_true
        return y_pred

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        reduction = MEAN_OVER_SEQUENCES if self.by_sequence else config["reduction"]
        return {**config, "reduction": reduction, "missing": self.missing}


@serializable
class NegativeLogLikelihood(DistributionLoss):
    r"""The negative log likelihood of the targets under the predicted distributions, in nats.

    $\ell = -\log p(y)$ at every batch element (every step of every sequence), then reduced.

    Args:
        missing: see `DistributionLoss`, also for the call arguments and the errors.
        reduction: see `DistributionLoss`.
        name: name of the loss.
        dtype: dtype of the reduction.

    Source: Good: Rational Decisions, Journal of the Royal Statistical Society B (1952).

    >>> from timedist.distributions import Normal
    >>> round(float(NegativeLogLikelihood()([[0.0, 0.0]], Normal([[0.0, 0.0]], 1.0))), 4)
    0.9189
    """

    def __init__(
        self,
        missing: str = "error",
        reduction: str | None = "sum_over_batch_size",
        name: str = "negative_log_likelihood",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, reduction, name, dtype)

    def scores(self, targets: Targets) -> Tensor:
        """-log p of every batch element."""
        return targets.negative_log_likelihood()


@serializable
class VariationalLoss(DistributionLoss):
    r"""The negative variational bound of Gaussian processes, in nats for each index point.

    $-\mathbb E_q \log p(y_i \mid f_i) + \frac1N \mathrm{KL}[q(u) \,\|\, p(u)]$, reduced over the
    index points i of a batch; u are the inducing variables, whose divergence counts once for the N
    examples of the training set.

    Args:
        num_examples: int, the number N of training examples: rows, or sequences if each has a
            process over its time.
        missing: see `DistributionLoss`, also for the call arguments and the errors.
        reduction: see `DistributionLoss`.
        name: name of the loss.
        dtype: dtype of the reduction.

    Raises:
        ValueError: if `num_examples` is no positive int.
        TypeError: on a call with anything but the output of
            `timedist.layers.VariationalGaussianProcess`.

    Source: Hensman, Fusi, Lawrence: Gaussian Processes for Big Data (2013), section 3.

    >>> from timedist.distributions import GaussianProcessMarginals, Normal
    >>> rows = GaussianProcessMarginals(Normal([[0.0], [1.0]], 1.0), 0.5, divergence=3.0)
    >>> round(float(VariationalLoss(num_examples=4)([[0.0], [1.0]], rows)), 4)
    2.5724
    """

    def __init__(
        self,
        num_examples: int,
        missing: str = "error",
        reduction: str | None = "sum_over_batch_size",
        name: str = "variational_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, reduction, name, dtype)
        self.num_examples = checks.count("VariationalLoss", "num_examples", num_examples, 1)

    def scores(self, targets: Targets) -> Tensor:
        """The share of every index point, or of all points together, in the negative bound."""
        d = targets.distribution
        if not hasattr(d, "variational_loss"):
            raise TypeError(
                f"{targets.owner} takes the output of a `VariationalGaussianProcess` layer, got "
                f"{d!r}; use `NegativeLogLikelihood`"
            )
        # Along the first axis of rows lie the index points of one process.
        rows = len(targets.value.shape) == 2
        weight = (ops.shape(targets.value)[0] if rows else 1) / self.num_examples
        return d.variational_loss(targets.value, weight, targets.observed)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "num_examples": self.num_examples}


@serializable
class CRPS(DistributionLoss):
    r"""The continuous ranked probability score, in the unit of the targets.

    $\int (F(x) - 1\{x \ge y\})^2\,dx$, summed over the components of an `Independent` event, as the
    log likelihood is. Outliers pull less on it than on the log likelihood.

    Args:
        missing: see `DistributionLoss`, also for the call arguments and the errors.
        reduction: see `DistributionLoss`.
        name: name of the loss.
        dtype: dtype of the reduction.

    Raises:
        NotImplementedError: on a call with vectors whose components are not independent; use
            `EnergyScore`.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 4.2.

    >>> from timedist.distributions import Normal
    >>> round(float(CRPS()([[0.0, 0.0]], Normal([[0.0, 0.0]], 1.0))), 4)
    0.2337
    """

    def __init__(
        self,
        missing: str = "error",
        reduction: str | None = "sum_over_batch_size",
        name: str = "crps",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, reduction, name, dtype)

    def scores(self, targets: Targets) -> Tensor:
        """CRPS of every batch element."""
        return targets.crps()


@serializable
class EnergyScore(DistributionLoss):
    r"""The energy score of vectors, estimated without bias from samples.

    $\mathbb E \lVert X - y \rVert - \frac12 \mathbb E \lVert X - X' \rVert$, of the whole event;
    for scalars it is the CRPS.

    Args:
        num_samples: number of samples of each batch element, at least 2. Default 32.
        seed: int. The noise follows from it and from the numbers of the batch: it is new at every
            step of training, and the same batch scored again gives the same number. Default 0.
        missing: see `DistributionLoss`, also for the call arguments and the errors. Of any event
            only the missing components are left out.
        reduction: see `DistributionLoss`.
        name: name of the loss.
        dtype: dtype of the reduction.

    Raises:
        ValueError: if there are fewer than 2 samples; on a call with a discrete family, whose
            samples have no gradient.

    Time is quadratic in the number of samples; memory is a few times theirs.

    Source: Gneiting, Raftery: Strictly Proper Scoring Rules, JASA (2007), section 4.3; as a loss:
    Pacchiardi, Adewoyin, Dueben, Dutta: Probabilistic Forecasting with Generative Networks via
    Scoring Rule Minimization, JMLR (2024).

    >>> from timedist.distributions import Independent, Normal
    >>> predicted = Independent(Normal([[0.0, 0.0, 0.0]], 1.0))
    >>> far, near = (float(EnergyScore()([[y, y, y]], predicted)) for y in (9.0, 0.0))
    >>> far > 10 > near
    True
    """

    def __init__(
        self,
        num_samples: int = 32,
        seed: int = 0,
        missing: str = "error",
        reduction: str | None = "sum_over_batch_size",
        name: str = "energy_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, reduction, name, dtype)
        self.num_samples = checks.count("EnergyScore", "num_samples", num_samples, 2)
        self.seed = checks.count("EnergyScore", "seed", seed, 0)

    def scores(self, targets: Targets) -> Tensor:
        """Energy score of every batch element."""
        targets.refuse_discrete("samples")
        return targets.energy_score(self.num_samples, self.seed)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "num_samples": self.num_samples, "seed": self.seed}


@serializable
class Pinball(DistributionLoss):
    r"""The mean pinball loss of some quantiles, in the unit of the targets.

    $\frac1K \sum_k \max(\tau_k (y - q_k),\ (\tau_k - 1)(y - q_k))$, $q_k$ the quantile at level
    $\tau_k$, summed over the components of an `Independent` event. Over many even levels it is half
    the CRPS.

    Args:
        levels: the levels, in (0, 1). Default: 0.1, 0.2 to 0.9.
        missing: see `DistributionLoss`, also for the call arguments and the errors.
        reduction: see `DistributionLoss`.
        name: name of the loss.
        dtype: dtype of the reduction.

    Raises:
        ValueError: if a level is not between 0 and 1; on a call with a discrete family, whose
            quantiles have no gradient.
        NotImplementedError: on a call with vectors whose components are not independent.

    Source: Koenker, Bassett: Regression Quantiles, Econometrica (1978).

    >>> from timedist.distributions import Normal
    >>> float(Pinball(levels=[0.5])([[2.0, 0.0]], Normal([[0.0, 0.0]], 1.0)))
    0.5
    """

    def __init__(
        self,
        levels: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        missing: str = "error",
        reduction: str | None = "sum_over_batch_size",
        name: str = "pinball",
        dtype: Any = None,
    ) -> None:
        super().__init__(missing, reduction, name, dtype)
        self.levels = checks.levels("Pinball", levels)

    def scores(self, targets: Targets) -> Tensor:
        """Mean pinball loss of every batch element."""
        targets.refuse_discrete("quantiles")
        return targets.pinball(self.levels)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "levels": list(self.levels)}
