"""What values a parameter may have, and the map from any real number to such a value.

Every raw-to-valid map of the library lives here, with its inverse, its value at raw 0 and one
floor: a head never produces a parameter on the edge of its range, where densities divide by zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

from timedist.ops import special

Tensor = Any


def floor(x: Tensor) -> float:
    """The smallest distance a raw-to-valid map keeps from an open end: ten units of rounding."""
    return 10.0 * float(special.finfo(x).eps)


@dataclass(frozen=True)
class Constraint:
    """A set of valid values with a smooth map onto it.

    Attributes:
        name: how messages and tables call it.
        holds: `holds(value)` is a boolean tensor, false for NaN.
        to_valid: maps any real tensor into the set, by the floor away from its open ends.
        to_raw: the inverse of `to_valid`.
    """

    name: str
    holds: Callable[[Tensor], Tensor]
    to_valid: Callable[[Tensor], Tensor]
    to_raw: Callable[[Tensor], Tensor]

    def __repr__(self) -> str:
        return self.name


def _finite(x: Tensor) -> Tensor:
    return ops.abs(x) < math.inf


def greater_than(bound: float, start: float | None = None) -> Constraint:
    """Values above `bound`, by a softplus; raw 0 maps to `start` (default `bound + log 2`)."""
    shift = 0.0 if start is None else math.log(math.expm1(start - bound))

    def to_valid(raw: Tensor) -> Tensor:
        return special.softplus(raw + shift) + (floor(raw) + bound)

    def to_raw(value: Tensor) -> Tensor:
        return special.inverse_softplus(value - (floor(value) + bound)) - shift

    name = "positive" if bound == 0.0 else f"greater than {bound:g}"
    return Constraint(name, lambda x: (x > bound) & _finite(x), to_valid, to_raw)


real = Constraint("real", lambda x: x == x, lambda raw: raw, lambda value: value)

positive = greater_than(0.0)

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
