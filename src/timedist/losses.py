"""Losses that read a distribution."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.distributions import Distribution
from timedist.interop import as_distribution, is_distribution
from timedist.layers.accepting import serializable
from timedist.ops import compat

Tensor = Any

_MISSING = ("error", "mask")


@serializable
class NegativeLogLikelihood(keras.losses.Loss):
    r"""The negative log likelihood of the targets under the predicted distributions, in nats.

    $\ell = -\log p(y)$ at every batch element (every step of every sequence), then reduced.

    Args:
        missing: what a NaN target means. `"error"` (default): a `ValueError` where the numbers can
            be looked at (eager), a NaN loss under compilation. `"mask"`: it counts for nothing,
            neither in the sum nor in the mean, and its gradient is exactly zero; of an
            `Independent` event only the missing components are left out.
        reduction: as for any Keras loss: `"sum_over_batch_size"` (default; the mean over what is
            not masked), `"sum"`, `"mean"`, `"mean_with_sample_weight"`, `"none"` or `None`.
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
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if missing not in _MISSING:
            raise ValueError(f"missing must be one of {_MISSING}, got {missing!r}")
        self.missing = missing

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss; see the class."""
        distribution = _checked_distribution(y_pred, self.name)
        value = _aligned(y_true, distribution, self.name)
        losses, counted = self._losses(value, distribution, compat.get_keras_mask(y_pred))
        if counted is not None:
            compat.set_keras_mask(losses, counted)
        if sample_weight is not None:
            sample_weight = _like_batch(sample_weight, losses, self.name)
        # The stock loss does the rest: weights, mask, reduction.
        return super().__call__(losses, losses, sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The elementwise losses, which `__call__` has already computed."""
        del y_true
        return y_pred

    def _losses(self, value: Tensor, distribution: Distribution, mask: Any) -> tuple[Tensor, Any]:
        """Losses of shape `batch_shape`, and which of them count (`None`: all)."""
        event_axes = tuple(range(-len(distribution.event_shape), 0))
        observed = ops.ones_like(value, dtype="bool")
        if mask is not None:
            observed = ops.logical_and(observed, _mask_like(mask, distribution))
        if self.missing == "mask":
            observed = ops.logical_and(observed, ops.logical_not(ops.isnan(value)))
        else:
            _refuse_nan(value, observed, self.name)
            if mask is None:
                return -distribution.log_prob(value), None
        counted = ops.any(observed, axis=event_axes) if event_axes else observed
        return -distribution.log_prob_where(value, observed), counted

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "missing": self.missing}


def _checked_distribution(y_pred: Any, name: str) -> Distribution:
    if is_distribution(y_pred):
        return as_distribution(y_pred)
    raise TypeError(
        f"The loss {name!r} takes a distribution but got a {type(y_pred).__name__} of shape "
        f"{tuple(getattr(y_pred, 'shape', ()))}. End the model with a distribution layer, e.g. "
        "`timedist.layers.IndependentNormal`, and compile with this loss for that output."
    )


def _aligned(y_true: Any, distribution: Distribution, name: str) -> Tensor:
    """The targets in the dtype and just the shape of the distribution: nothing broadcasts here."""
    value = ops.cast(ops.convert_to_tensor(y_true), distribution.dtype)
    expected = distribution.shape
    if len(value.shape) == len(expected) + 1 and value.shape[-1] == 1:
        value = ops.squeeze(value, axis=-1)
    elif len(value.shape) + 1 == len(expected) and distribution.event_shape == (1,):
        value = ops.expand_dims(value, axis=-1)
    given = tuple(value.shape)
    same = len(given) == len(expected) and all(
        a == b
        for a, b in zip(given, expected, strict=True)
        if isinstance(a, int) and isinstance(b, int)
    )
    if not same:
        raise ValueError(
            f"The loss {name!r} got targets of shape {tuple(ops.convert_to_tensor(y_true).shape)}, "
            f"expected {expected}: batch shape {distribution.batch_shape} and event shape "
            f"{distribution.event_shape} of {distribution!r}"
        )
    return value


def _mask_like(mask: Any, distribution: Distribution) -> Tensor:
    """A Keras mask with as many axes as a draw; a step counts if anything in it does."""
    mask, rank = ops.cast(mask, "bool"), len(distribution.batch_shape)
    inside = tuple(range(rank, len(mask.shape)))
    mask = ops.any(mask, axis=inside) if inside else mask
    return ops.reshape(
        mask, (*ops.shape(mask), *(1,) * (len(distribution.shape) - len(mask.shape)))
    )


def _like_batch(sample_weight: Any, losses: Tensor, name: str) -> Tensor:
    """Weights of just the shape of the losses: those of a prefix hold for everything in it."""
    weight = ops.convert_to_tensor(sample_weight)
    given, expected = tuple(weight.shape), tuple(losses.shape)
    if len(given) == len(expected) + 1 and given[-1] == 1:
        weight = ops.squeeze(weight, axis=-1)
    prefix = zip(tuple(weight.shape), expected, strict=False)
    if len(weight.shape) > len(expected) or any(
        a != b for a, b in prefix if isinstance(a, int) and isinstance(b, int) and 1 not in (a, b)
    ):
        raise ValueError(
            f"The loss {name!r} got sample weights of shape {given}, expected {expected} (one for "
            "each step) or a prefix of it (one for each sequence)"
        )
    behind = (1,) * (len(expected) - len(weight.shape))
    weight = ops.reshape(ops.cast(weight, losses.dtype), (*ops.shape(weight), *behind))
    return weight * ops.ones_like(losses)


def _refuse_nan(value: Tensor, observed: Tensor, name: str) -> None:
    if not (compat.is_concrete(value) and compat.is_concrete(observed)):
        return
    bad = np.isnan(compat.to_numpy(value)) & compat.to_numpy(observed)
    if bad.any():
        raise ValueError(
            f"The loss {name!r} got {int(bad.sum())} NaN targets, the first at index "
            f"{tuple(int(i) for i in np.argwhere(bad)[0])}. If they are missing values, use "
            'NegativeLogLikelihood(missing="mask").'
        )
