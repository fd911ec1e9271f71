"""What values a parameter may have, and the map from any real number to such a value.

Every raw-to-valid map of the library lives here, with its inverse, its value at raw 0 and one
floor: a head never produces a parameter on the edge of its range, where densities divide by zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops

from timedist.ops import linalg, special

Tensor = Any


def floor(x: Tensor) -> float:
    """The smallest distance a raw-to-valid map keeps from an open end: four units of rounding."""
    return 4.0 * float(special.finfo(x).eps)


def _kept_off(distance: Tensor) -> Tensor:
    """A distance d of at least the floor L: the root of d^2 + L^2.

    From a thousand floors on that is d to six digits and more, so the floor changes no value a
    network has a use for, and no gradient is lost.
    """
    return special.hypot(distance, floor(distance))


def _before_kept_off(kept: Tensor) -> Tensor:
    """The inverse of `_kept_off`."""
    share = special.minimum(floor(kept) / kept, 1.0)
    return kept * ops.sqrt((1.0 - share) * (1.0 + share))


@dataclass(frozen=True)
class Constraint:
    """A set of valid values with a smooth map onto it.

    Attributes:
        name: how messages and tables call it.
        holds: `holds(value)` is a boolean tensor, false for NaN.
        to_valid: maps any real tensor into the set, by the floor away from its open ends.
        to_raw: the inverse of `to_valid`.
        raw_shape: the event shape of what `to_valid` takes, from the event shape of what it gives;
            a triangular matrix needs fewer raw numbers than it has entries.
    """

    name: str
    holds: Callable[[Tensor], Tensor]
    to_valid: Callable[[Tensor], Tensor]
    to_raw: Callable[[Tensor], Tensor]
    raw_shape: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda shape: shape

    def __repr__(self) -> str:
        return self.name


def _finite(x: Tensor) -> Tensor:
    return ops.abs(x) < math.inf


def _softplus_shift(start: float) -> float:
    """The x with softplus(x) = start, 0 for log 2."""
    return round(math.log(math.expm1(start)), 15)


def greater_than(bound: float, start: float | None = None) -> Constraint:
    """Values above `bound`, by a softplus; raw 0 maps to `start` (default `bound + 1`)."""
    shift = _softplus_shift(1.0 if start is None else start - bound)

    def to_valid(raw: Tensor) -> Tensor:
        kept = _kept_off(special.softplus(raw + shift if shift else raw))
        return kept + bound if bound else kept

    def to_raw(value: Tensor) -> Tensor:
        return special.inverse_softplus(_before_kept_off(value - bound)) - shift

    name = "positive" if bound == 0.0 else f"greater than {bound:g}"
    return Constraint(name, lambda x: (x > bound) & _finite(x), to_valid, to_raw)


real = Constraint("real", lambda x: x == x, lambda raw: raw, lambda value: value)


def real_from(start: float) -> Constraint:
    """Any real number; raw 0 maps to `start`."""
    return Constraint("real", real.holds, lambda raw: raw + start, lambda value: value - start)


positive = greater_than(0.0)
# A plain softplus, log 2 at raw 0: what the layers of TensorFlow Probability make a scale by.
softplus = greater_than(0.0, start=math.log(2.0))


def shifted_softplus(shift: float) -> Constraint:
    """Positive values by a plain softplus plus a positive number, which stands for the floor."""
    return replace(
        softplus,
        to_valid=lambda raw: special.softplus(raw) + shift,
        to_raw=lambda value: special.inverse_softplus(value - shift),
    )


def between(low: float, high: float, start: float | None = None) -> Constraint:
    """Values between two numbers, by a sigmoid; raw 0 maps to `start` (default: half-way)."""
    share = 0.5 if start is None else (start - low) / (high - low)
    shift = math.log(share / (1.0 - share))

    def to_valid(raw: Tensor) -> Tensor:
        least = floor(raw)
        return low + (high - low) * (least + (1.0 - 2.0 * least) * ops.sigmoid(raw + shift))

    def to_raw(value: Tensor) -> Tensor:
        least = floor(value)
        inner = ((value - low) / (high - low) - least) / (1.0 - 2.0 * least)
        return special.logit(inner) - shift

    name = f"between {low:g} and {high:g}"
    return Constraint(name, lambda x: (x > low) & (x < high), to_valid, to_raw)


non_negative = Constraint(
    "non-negative", lambda x: (x >= 0.0) & _finite(x), special.softplus, special.inverse_softplus
)

unit_interval = Constraint(
    "in [0, 1]",
    lambda x: (x >= 0.0) & (x <= 1.0),
    ops.sigmoid,
    special.logit,
)

below_one = Constraint(
    "in [0, 1)",
    lambda x: (x >= 0.0) & (x < 1.0),
    ops.sigmoid,
    special.logit,
)

simplex = Constraint(
    "non-negative and summing to one along the last axis",
    lambda x: (x >= 0.0) & (ops.abs(ops.sum(x, axis=-1, keepdims=True) - 1.0) < 1e-3),
    ops.softmax,
    ops.log,
)


def _on_diagonal(x: Tensor) -> Tensor:
    """A boolean matrix of the size of the last two axes of `x`, true on the diagonal."""
    return ops.convert_to_tensor(np.eye(*x.shape[-2:]) > 0.0)


def _below_diagonal(x: Tensor) -> Tensor:
    """The same, true below the diagonal."""
    return ops.convert_to_tensor(np.tri(x.shape[-2], x.shape[-1], -1) > 0.0)


def _is_lower_cholesky(x: Tensor) -> Tensor:
    above = x == 0.0
    on = ops.where(_on_diagonal(x), x > 0.0, above)
    return _finite(x) & ops.where(_below_diagonal(x), x == x, on)


def _spiral(size: int) -> np.ndarray:
    """Which of n (n + 1) / 2 raw numbers stands where in a lower triangular matrix of size n.

    Entries above the diagonal mean nothing.
    """
    number = size * (size + 1) // 2
    order = np.concatenate([np.arange(size, number), np.arange(number)[::-1]])
    return order.reshape(size, size)


def _size_of_triangle(number: int) -> int:
    size = (math.isqrt(8 * number + 1) - 1) // 2
    if size * (size + 1) // 2 != number:
        raise ValueError(
            f"a lower triangular matrix of size n has n (n + 1) / 2 entries, got {number}"
        )
    return size


def cholesky_factor(diagonal: Constraint = positive) -> Constraint:
    """Lower triangular matrices with a positive diagonal, which `diagonal` maps raw numbers to.

    The raw numbers of a matrix of size n are a vector of n (n + 1) / 2. They fill it in the order
    of `tfp.math.fill_triangular`, a clockwise spiral that begins at the end of the last row: the
    numbers 1, 2, …, 6 make the rows 4; 6, 5; 3, 2, 1.
    """

    def to_valid(raw: Tensor) -> Tensor:
        size = _size_of_triangle(int(raw.shape[-1]))
        spiral = _spiral(size).reshape(-1).astype("int32")
        entries = ops.reshape(ops.take(raw, spiral, axis=-1), (*ops.shape(raw)[:-1], size, size))
        below = special.where(_below_diagonal(entries), entries, 0.0)
        return ops.where(_on_diagonal(entries), diagonal.to_valid(entries), below)

    def to_raw(value: Tensor) -> Tensor:
        size = int(value.shape[-1])
        on = _on_diagonal(value)
        raw = ops.where(on, diagonal.to_raw(special.where(on, value, 1.0)), value)
        lower = np.tril_indices(size)
        position = np.argsort(_spiral(size)[lower])
        place = np.ravel_multi_index(lower, (size, size))[position].astype("int32")
        return ops.take(ops.reshape(raw, (*ops.shape(raw)[:-2], size * size)), place, axis=-1)

    return Constraint(
        "lower triangular with a positive diagonal",
        _is_lower_cholesky,
        to_valid,
        to_raw,
        raw_shape=lambda shape: (shape[-1] * (shape[-1] + 1) // 2,),
    )


lower_cholesky = cholesky_factor()


def _is_covariance(x: Tensor) -> Tensor:
    gap = ops.abs(x - linalg.transpose(x))
    scale = ops.sqrt(ops.abs(linalg.diagonal(x)))
    near = gap <= 1e3 * float(special.finfo(x).eps) * scale[..., :, None] * scale[..., None, :]
    return near & ops.where(linalg.on_diagonal(x), x > 0.0, _finite(x))


covariance = Constraint(
    "symmetric with a positive diagonal",
    _is_covariance,
    lambda raw: linalg.gram(lower_cholesky.to_valid(raw)),
    lambda value: lower_cholesky.to_raw(linalg.cholesky(value, "A covariance matrix")),
    raw_shape=lower_cholesky.raw_shape,
)


# --- constraints on the last axes together ------------------------------------------------------


def increasing(start: Sequence[float] | None = None) -> Constraint:
    """Vectors that increase strictly along the last axis; raw zeros map to `start` (0, 1, 2, …).

    The first entry is taken as it is; each other one lies above the one before it by a softplus and
    some units of rounding.
    """
    first = 0.0 if start is None else float(start[0])
    gaps = [1.0] if start is None else [b - a for a, b in itertools.pairwise(start)]
    shifts = [_softplus_shift(gap) for gap in gaps]

    def to_valid(raw: Tensor) -> Tensor:
        lowest = raw[..., :1] + first
        steps = special.softplus(raw[..., 1:] + ops.convert_to_tensor(shifts, raw.dtype))
        size = 1.0 + ops.abs(lowest) + special.cumsum(steps)
        above = lowest + special.cumsum(steps + floor(raw) * size)
        return ops.concatenate([lowest, above], axis=-1)

    def to_raw(value: Tensor) -> Tensor:
        lowest, above = value[..., :1], value[..., 1:]
        steps = above - value[..., :-1] - floor(value) * (1.0 + ops.abs(lowest) + above - lowest)
        raw = special.inverse_softplus(steps) - ops.convert_to_tensor(shifts, value.dtype)
        return ops.concatenate([lowest - first, raw], axis=-1)

    return Constraint("increasing along the last axis", _increases, to_valid, to_raw)


def _increases(x: Tensor) -> Tensor:
    """True at the first entry if it is a number, at others if they are above the one before."""
    above = x[..., 1:] > x[..., :-1]
    return ops.concatenate([x[..., :1] == x[..., :1], above], axis=-1)


ordered = increasing()


def _never_falls(x: Tensor) -> Tensor:
    """True at finite entries that are not below the one before."""
    above = x[..., 1:] >= x[..., :-1]
    return _finite(x) & ops.concatenate([x[..., :1] == x[..., :1], above], axis=-1)


non_decreasing = replace(ordered, name="non-decreasing along the last axis", holds=_never_falls)
