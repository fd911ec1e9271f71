"""Targets held against predicted distributions: what losses and metrics have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from timedist import checks, scores
from timedist.distributions import Deterministic, Distribution, Independent
from timedist.distributions.composite import has_mass
from timedist.interop import as_distribution, is_distribution
from timedist.ops import compat, random, special

Tensor = Any

MISSING = ("error", "mask")


@dataclass(frozen=True)
class Targets:
    """Targets, the distributions that predicted them, and which of them count.

    Scores are of the shape of the batch and count for nothing where no component of the event is
    observed; those of components are of the shape of the targets.
    """

    owner: str
    value: Tensor
    distribution: Distribution
    observed: Tensor | None  # of the shape of the targets; None: everything counts

    @classmethod
    def of(cls, y_true: Any, y_pred: Any, missing: str, owner: str) -> Targets:
        """Targets and predictions as Keras hands them over, converted and checked."""
        distribution = _for_all(_checked_distribution(y_pred, owner), y_true)
        value = _aligned(y_true, distribution, owner)
        mask = compat.get_keras_mask(y_pred)
        observed = None if mask is None else _mask_like(mask, distribution)
        if missing == "error":
            _refuse_nan(value, observed, owner)
        else:
            there = ops.logical_not(ops.isnan(value))
            observed = there if observed is None else ops.logical_and(observed, there)
        if observed is not None:
            observed = ops.logical_and(observed, ops.ones_like(value, dtype="bool"))
        return cls(owner, value, distribution, observed)

    def are_placeholders(self) -> bool:
        """Whether only the predictions have no numbers.

        So Keras tries again on torch after an error; the mixture would hide that error.
        """
        leaf = self.distribution.leaves()[0]
        return compat.is_placeholder(leaf) and not compat.is_placeholder(self.value)

    # --- which of them count -------------------------------------------------------------------

    @property
    def _event_axes(self) -> tuple[int, ...]:
        return tuple(range(-len(self.distribution.event_shape), 0))

    def counted(self) -> Tensor | None:
        """Which batch elements count: those with an observed component. `None`: all."""
        if self.observed is None or not self._event_axes:
            return self.observed
        return ops.any(self.observed, axis=self._event_axes)

    def weights(self, of_components: bool, sample_weight: Any) -> Tensor:
        """The weight of every component or of every batch element: zero where it does not count."""
        counted = self.observed if of_components else self.counted()
        values = self.value if of_components else self._first_components()
        weights = ops.ones_like(values) if counted is None else ops.cast(counted, values.dtype)
        return weights if sample_weight is None else weights * self.like(values, sample_weight)

    def _first_components(self) -> Tensor:
        return self.value[(..., *(0 for _ in self._event_axes))] if self._event_axes else self.value

    def like(self, values: Tensor, sample_weight: Any) -> Tensor:
        """Sample weights of the shape of scores: those of a prefix hold for everything in it."""
        weight = ops.convert_to_tensor(sample_weight)
        given = tuple(weight.shape)
        expected = tuple(values.shape)[: len(self.distribution.batch_shape)]
        if len(given) == len(expected) + 1 and given[-1] == 1:
            weight = ops.squeeze(weight, axis=-1)
        prefix = zip(tuple(weight.shape), expected, strict=False)
        if len(weight.shape) > len(expected) or any(
            a != b
            for a, b in prefix
            if isinstance(a, int) and isinstance(b, int) and 1 not in (a, b)
        ):
            raise ValueError(
                f"{self.owner} got sample weights of shape {given}, expected {expected} (one for "
                "each step) or a prefix of it (one for each sequence)"
            )
        behind = (1,) * (len(values.shape) - len(weight.shape))
        weight = ops.reshape(ops.cast(weight, values.dtype), (*ops.shape(weight), *behind))
        return weight * ops.ones_like(values)

    def filled(self) -> Tensor:
        """The targets, with a harmless value where none is observed."""
        if self.observed is None:
            return self.value
        harmless = self.distribution._harmless_value(self.value)
        return ops.where(self.observed, self.value, harmless)

    def _total(self, components: Tensor) -> Tensor:
        """The sum of scores over the observed components of each event."""
        if self.observed is not None:
            components = special.where(self.observed, components, 0.0)
        return ops.sum(components, axis=self._event_axes) if self._event_axes else components

    def refuse_discrete(self, what: str) -> None:
        """A `ValueError` for a loss that could not teach a discrete family anything."""
        family = self._components()
        if family.discrete and not isinstance(family, Deterministic):
            raise ValueError(
                f"{self.owner} cannot train {self.distribution!r}: {what} of a discrete family "
                "have no gradient; use NegativeLogLikelihood or CRPS"
            )

    def _components(self) -> Distribution:
        """The distribution of independent components, the event axes among its batch axes."""
        distribution = self.distribution
        while isinstance(distribution, Independent):
            distribution = distribution.base
        return distribution

    # --- scores of batch elements --------------------------------------------------------------

    def negative_log_likelihood(self) -> Tensor:
        """-log p of every batch element, in nats."""
        if self.observed is None:  # the value is of the right shape and dtype already
            return -self.distribution._on_device()._hook("log_prob")(self.value)
        return -self.distribution.log_prob_where(self.value, self.observed)

    def crps(self) -> Tensor:
        """CRPS of every batch element, summed over the components of the event."""
        return self._total(self.distribution.crps(self.filled()))

    def pinball(self, levels: tuple[float, ...]) -> Tensor:
        """Mean pinball loss over levels, summed over the components of the event."""
        value, quantiles = self.filled(), self.quantiles(levels)
        each = [scores.pinball(value, quantiles[i], level) for i, level in enumerate(levels)]
        return self._total(sum(each[1:], each[0]) / len(levels))

    def energy_score(self, number: int, seed: int) -> Tensor:
        """Fair energy score of every batch element, of its observed components."""
        key = random.seed_from(seed, (*self.distribution.leaves(), self.value))
        samples, value = self.distribution.sample(number, seed=key), self.value
        if self.observed is not None:
            samples = special.where(self.observed, samples, 0.0)
            value = special.where(self.observed, value, 0.0)
        batch = ops.shape(value)[: len(self.distribution.batch_shape)]
        known = [n for n in self.distribution.event_shape if n is not None]
        size = math.prod(known) if len(known) == len(self._event_axes) else -1
        value = ops.reshape(value, (*batch, size))
        samples = ops.cast(ops.reshape(samples, (number, *batch, size)), value.dtype)
        return scores.energy_score(value, samples, fair=True)

    # --- scores of components ------------------------------------------------------------------

    def quantiles(self, levels: tuple[float, ...]) -> Tensor:
        """Quantiles of every component, the levels on the first axis."""
        shape = (len(levels), *(1,) * len(self.distribution.batch_shape))
        found = self.distribution.quantile(np.reshape(levels, shape))
        return ops.cast(found, self.value.dtype)

    def interval(self, level: float) -> tuple[Tensor, Tensor]:
        """Lower and upper end of the central interval of every component."""
        ends = self.quantiles((0.5 - level / 2, 0.5 + level / 2))
        return ends[0], ends[1]

    def transform(self) -> tuple[Tensor, Tensor]:
        """P(X < y) and P(X <= y) of every component; the same for continuous families."""
        distribution = self._components()
        if distribution.event_shape:
            raise NotImplementedError(
                f"{self.owner} takes scalar or Independent events, got {self.distribution!r}, "
                "whose components have no distribution functions of their own"
            )
        value = self.filled()
        if distribution._mixed:  # a value beyond an end that has a probability counts as the end
            low, high = distribution._on_device()._hook("support")()
            value = special.minimum(special.maximum(value, low), high)
        upto = distribution.cdf(value)
        if not (distribution.discrete or distribution._mixed):
            return upto, upto
        mass = distribution.prob(value)
        if distribution._mixed:
            mass = special.where(has_mass(distribution._on_device(), value), mass, 0.0)
        return upto - mass, upto


def _checked_distribution(y_pred: Any, owner: str) -> Distribution:
    if is_distribution(y_pred):
        return as_distribution(y_pred)
    raise TypeError(
        f"{owner} takes a distribution but got a {type(y_pred).__name__} of shape "
        f"{tuple(getattr(y_pred, 'shape', ()))}. End the model with a distribution layer, e.g. "
        "`timedist.layers.IndependentNormal`, and use this for that output only."
    )


def _for_all(distribution: Distribution, y_true: Any) -> Distribution:
    """The distribution of every target: one without a batch, as of a variable, is that of all."""
    if distribution.batch_shape or not distribution.leaves():
        return distribution
    shape = tuple(getattr(y_true, "shape", None) or np.shape(y_true))
    lead = ops.shape(y_true)[: len(shape) - len(distribution.event_shape)]
    return distribution._in_batch_of(ops.zeros(lead))


def _aligned(y_true: Any, distribution: Distribution, owner: str) -> Tensor:
    """The targets in the dtype and just the shape of the distribution: nothing broadcasts here."""
    value, expected = compat.to_tensor(y_true, distribution.dtype), distribution.shape
    given = tuple(value.shape)
    if len(value.shape) == len(expected) + 1 and value.shape[-1] == 1:
        value = ops.squeeze(value, axis=-1)
    elif len(value.shape) + 1 == len(expected) and distribution.event_shape == (1,):
        value = ops.expand_dims(value, axis=-1)
    if not checks.same_shape(value.shape, expected):
        raise ValueError(
            f"{owner} got targets of shape {given}, "
            f"expected {expected}: batch shape {distribution.batch_shape} and event shape "
            f"{distribution.event_shape} of {distribution!r}"
        )
    return value


def _mask_like(mask: Any, distribution: Distribution) -> Tensor:
    """A Keras mask with as many axes as a draw; a step counts if anything in it does."""
    mask = ops.cast(mask, "bool")
    rank = len(distribution.batch_shape) + distribution._masked_axes
    inside = tuple(range(rank, len(mask.shape)))
    mask = ops.any(mask, axis=inside) if inside else mask
    return ops.reshape(
        mask, (*ops.shape(mask), *(1,) * (len(distribution.shape) - len(mask.shape)))
    )


def _refuse_nan(value: Tensor, observed: Tensor | None, owner: str) -> None:
    if not all(compat.is_concrete(x) for x in (value, observed) if x is not None):
        return
    if not compat.has_nan(value):
        return
    bad = np.isnan(compat.to_numpy(value))
    if observed is not None:
        bad = bad & compat.to_numpy(observed)
    if bad.any():
        raise ValueError(
            f"{owner} got {int(bad.sum())} NaN targets, the first at index "
            f"{tuple(int(i) for i in np.argwhere(bad)[0])}. If they are missing values, give it "
            'missing="mask".'
        )
