"""What truncated and censored distributions share: a base and two ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import constraints, numerical, shapes
from timedist.distributions.composite import Composite, refuse_masses
from timedist.distributions.fields import component, parameter
from timedist.distributions.value import Shape
from timedist.ops import compat, special

Tensor = Any
Tails = tuple[Tensor, Tensor]


def check_order(family: str, low: Tensor, high: Tensor, equal: bool = False) -> None:
    """Raise a `ValueError` unless low < high, or with `equal` low <= high, as far as is known."""
    if not (compat.is_concrete(low) and compat.is_concrete(high)):
        return
    low, high = np.broadcast_arrays(compat.to_numpy(low), compat.to_numpy(high))
    bad = ~((low < high) | (equal & (low == high) & np.isfinite(low)))
    if np.any(bad):
        raise ValueError(
            f"{family}: low must be {'at most' if equal else 'below'} high, got low "
            f"{low[bad][0]:g} and high {high[bad][0]:g}"
        )


def between(marks: Sequence[Tensor], low: Tensor, high: Tensor) -> tuple[Tensor, ...]:
    """Landmarks, and two more one spread beyond them, all drawn to the inside of an interval.

    On an end itself they would hide from quadrature that the end may move.
    """
    least, most = marks[0], marks[0]
    for mark in marks[1:]:
        least, most = special.minimum(least, mark), special.maximum(most, mark)
    spread = most - least
    room = ops.where(ops.abs(high - low) < math.inf, high - low, spread) / 64.0
    every = (*marks, least - spread, most + spread)
    return tuple(
        ops.stop_gradient(special.minimum(special.maximum(mark, low + room), high - room))
        for mark in every
    )


class Ends(Composite):
    """Parent of what a scalar base becomes when values beyond two ends are cut off or clipped.

    The base is continuous, or a family of integers with `_log_mass` and `_log_tails`.
    """

    base: Any = component()
    low: Tensor = parameter(constraints.real, -math.inf)
    high: Tensor = parameter(constraints.real, math.inf)

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        values = super()._prepared(values)
        base, low, high = values["base"], values["low"], values["high"]
        try:
            low, high, whole = compat.broadcast_arrays(low, high, base._zeros())
        except Exception as error:  # each backend has its own class for shapes that do not fit
            raise ValueError(
                f"{type(self).__name__}: low of shape {tuple(low.shape)} does not broadcast "
                f"against the batch shape {base.batch_shape} of {base!r}"
            ) from error
        if shapes.static_shape(whole) != base.batch_shape:
            base = base._in_batch_of(whole)
        return values | {"base": base, "low": low, "high": high}

    def _check(self) -> None:
        super()._check()
        base = self.base
        if base.event_shape or (base.discrete and not hasattr(base, "_log_tails")):
            raise ValueError(
                f"{type(self).__name__}: base must have scalar events and be continuous or a "
                f"family of integers, got {base!r}"
            )
        refuse_masses(type(self).__name__, base)

    def _batch_shape(self) -> Shape:
        return self.base.batch_shape

    def _support(self) -> tuple[Tensor, Tensor]:
        low, high = numerical.support(self.base)
        return special.maximum(self.low, low), special.minimum(self.high, high)

    def _anchor(self) -> Tensor:
        """A finite end, or 0: where the base is asked when the answer is not used."""
        other = special.where(ops.abs(self.high) < math.inf, self.high, 0.0)
        return ops.stop_gradient(ops.where(ops.abs(self.low) < math.inf, self.low, other))

    def _base_tails(self, x: Tensor) -> Tails:
        """log P(X <= x) and log P(X > x) of the base for any x, infinite too."""
        below, above = x == -math.inf, x == math.inf
        x = ops.where(below | above, self._anchor() + ops.zeros_like(x), x)
        both = getattr(self.base, "_both_tails", None)
        if both is None:
            lower, upper = self.base._hook("log_cdf")(x), self.base._hook("log_survival")(x)
        else:
            lower, upper = both(x)
        lower = special.where(below, -math.inf, special.where(above, 0.0, lower))
        return lower, special.where(below, 0.0, special.where(above, -math.inf, upper))

    def _tails_at_ends(self) -> tuple[Tails, Tails]:
        """The tails of the base just below `low` and at `high`, from one evaluation."""
        low = special.ceil(self.low) - 1.0 if self.discrete else self.low
        lower, upper = self._base_tails(ops.stack([low, self.high], axis=0))
        return (lower[0], upper[0]), (lower[1], upper[1])

    def _inside(self, x: Tensor) -> Tensor:
        """The nearest finite value between the ends."""
        limit = float(special.finfo(self.low).max)
        x = special.minimum(special.maximum(x, -limit), limit)
        return special.minimum(special.maximum(x, self.low), self.high)

    def _log_prob_where(self, value: Tensor, observed: Tensor) -> Tensor:
        # Neither mode nor mean is cheap, which the general way would take for a harmless value.
        value = ops.where(observed, value, self._anchor() + ops.zeros_like(value))
        return special.where(observed, self._hook("log_prob")(value), 0.0)
