"""The unit of a series, from what is known of it."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def mean_of_known(x: Tensor) -> Tensor:
    """The mean along the last axis of what is not NaN; 0 where nothing is known."""
    seen = ops.logical_not(ops.isnan(x))
    total = ops.sum(ops.where(seen, x, ops.zeros_like(x)), axis=-1)
    number = ops.sum(ops.cast(seen, x.dtype), axis=-1)
    return total / ops.where(number > 0, number, ops.ones_like(number))


def mean_absolute(x: Tensor) -> Tensor:
    """The mean absolute value of what is not NaN; 1 where all is zero or unknown."""
    mean = mean_of_known(ops.abs(x))
    return ops.where(mean > 0, mean, ops.ones_like(mean))
