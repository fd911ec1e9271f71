"""The parameter table: what a family declares, once, and everything else is derived from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from timedist.distributions import constraints
from timedist.distributions.constraints import Constraint
from timedist.ops import special

REQUIRED = object()


class Field:
    """One row of a family's table: a descriptor that reads the value and refuses writes."""

    name: str

    def __init__(self, default: Any = REQUIRED):
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else instance._values[self.name]

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError(
            f"{type(instance).__name__} is immutable: build a new one instead of setting "
            f"{self.name!r}"
        )


class Parameter(Field):
    """A tensor-valued parameter.

    Args:
        constraint: the valid values.
        default: value when not given; required without one.
        event_rank: how many trailing axes one parameter has (1 for a vector of logits).
        instead_of: name of another parameter that says the same; just one of the two is given.
        convert: from the other parameter's value to this one's.
    """

    def __init__(
        self,
        constraint: Constraint,
        default: Any = REQUIRED,
        event_rank: int = 0,
        instead_of: str | None = None,
        convert: Callable[[Any], Any] | None = None,
    ):
        super().__init__(None if instead_of else default)
        self.constraint = constraint
        self.event_rank = event_rank
        self.instead_of = instead_of
        self.convert = convert

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance._values.get(self.name)
        if value is None and self.instead_of is not None and self.convert is not None:
            return self.convert(instance._values[self.instead_of])
        return value


class Component(Field):
    """A distribution that this distribution is made of, or a tuple of them.

    Args:
        many: whether it is a tuple.
    """

    def __init__(self, many: bool = False):
        super().__init__()
        self.many = many


class Shared(Field):
    """A tuple of tensors without batch axes, the same for all the batch: weights of a network.

    Gradients flow to them as to parameters, but slices, reshapes and predictions of many batches
    leave them as they are.
    """


class Static(Field):
    """A plain, hashable Python value."""


def parameter(
    constraint: Constraint,
    default: Any = REQUIRED,
    *,
    event_rank: int = 0,
    instead_of: str | None = None,
    convert: Callable[[Any], Any] | None = None,
) -> Any:
    """Declare a tensor-valued parameter in the body of a family; see `Parameter`."""
    return Parameter(constraint, default, event_rank, instead_of, convert)


def logits_of_categories() -> Any:
    """Declare `logits`, unnormalised log probabilities along the last axis, beside `probs`."""
    return parameter(
        constraints.real, event_rank=1, instead_of="probs", convert=special.log_or_minus_inf
    )


def probs_of_categories() -> Any:
    """Declare `probs`, probabilities that sum to one along the last axis, beside `logits`."""
    return parameter(constraints.simplex, event_rank=1, instead_of="logits", convert=ops.softmax)


def component(*, many: bool = False) -> Any:
    """Declare a distribution that the family is made of, or with `many` a tuple of them."""
    return Component(many)


def shared(default: Any = REQUIRED) -> Any:
    """Declare a tuple of tensors that all the batch shares; see `Shared`."""
    return Shared(default)


def static(default: Any = REQUIRED) -> Any:
    """Declare a plain Python value of the family."""
    return Static(default)
