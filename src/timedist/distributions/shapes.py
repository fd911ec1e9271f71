"""Shapes as a user gives them: sample shapes, values that broadcast, indices of batch axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from timedist.distributions.value import Shape

Tensor = Any


def as_shape(sample_shape: int | Sequence[int]) -> tuple[int, ...]:
    """A sample shape as a tuple of ints, or a `ValueError` that says what it may be."""
    sizes = sample_shape if isinstance(sample_shape, Sequence) else (sample_shape,)
    try:
        shape = tuple(operator.index(size) for size in sizes)
    except TypeError:
        shape = (-1,)
    if any(size < 0 for size in shape):
        raise ValueError(
            f"sample_shape must be an int >= 0 or a tuple of them, got {sample_shape!r}"
        )
    return shape


def static_shape(tensor: Tensor) -> Shape:
    """The sizes of a tensor that are known; the others are `None`."""
    return tuple(d if isinstance(d, int) else None for d in tensor.shape)


def check_broadcast(
    family: str, method: str, given: Sequence[Any], expected: Sequence[Any]
) -> None:
    """Raise a `ValueError` that names both shapes if they do not broadcast."""
    for a, b in zip(reversed(tuple(given)), reversed(tuple(expected)), strict=False):
        if isinstance(a, int) and isinstance(b, int) and a != b and 1 not in (a, b):
            raise ValueError(
                f"{family}.{method}: a value of shape {tuple(given)} does not broadcast against "
                f"{tuple(expected)}, the batch and event shape of the distribution"
            )


def full_index(index: Any, rank: int, family: str) -> tuple:
    """Write out `...` and missing axes, so that an index never reaches into the event axes."""
    parts = index if isinstance(index, tuple) else (index,)
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    if taken > rank:
        raise IndexError(f"{family}: {taken} indices for a batch of {rank} axes: {index!r}")
    rest = (slice(None),) * (rank - taken)
    if not any(part is Ellipsis for part in parts):
        return (*parts, *rest)
    at = next(i for i, part in enumerate(parts) if part is Ellipsis)
    return (*parts[:at], *rest, *parts[at + 1 :])
