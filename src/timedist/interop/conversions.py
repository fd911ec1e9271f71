"""Distributions of torch, NumPyro and TFP from ours, and ours from theirs."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from timedist import distributions as td
from timedist.distributions import Distribution
from timedist.distributions.fields import Component, Static
from timedist.interop.native import NativeDistribution
from timedist.interop.tables import TABLES
from timedist.ops import compat, native


class _Name(NamedTuple):
    """One way to say a parameter: our name, the argument there and the attribute there."""

    ours: str
    argument: str
    attribute: str


def _parsed(line: str) -> tuple[str, list[list[_Name]]]:
    """The name of the family there and, for each parameter, the ways to say it."""
    family, *parameters = line.split()
    return family, [[_name(way) for way in text.split("|")] for text in parameters]


def _name(text: str) -> _Name:
    ours, *theirs = text.split(":")
    argument = theirs[0] if theirs else ours
    return _Name(ours, argument, theirs[-1] if theirs else ours)


# Families that a library may lack but can make of others.
_REWRITTEN = {
    "MultivariateNormalDiag": lambda d: td.Independent(td.Normal(d.loc, d.scale_diag), 1),
    "GaussianProcessMarginals": lambda d: td.Independent(d.base, d.reinterpreted_batch_ndims),
}


def to_torch(distribution: Distribution) -> Any:
    """The distribution as one of `torch.distributions`, with the same parameters.

    On the torch backend the parameters are the same tensors and keep their gradients; on the others
    they are copied through NumPy.

    Args:
        distribution: a distribution of TimeDist.

    Returns:
        A `torch.distributions.Distribution`.

    Raises:
        NotImplementedError: if torch has no such family; the message lists those that it has.
        TypeError: if it is no distribution of TimeDist.

    >>> from timedist.distributions import Normal
    >>> type(to_torch(Normal(0.0, 1.0))).__module__
    'torch.distributions.normal'
    """
    return _to("torch", distribution)


def to_numpyro(distribution: Distribution) -> Any:
    """The distribution as one of `numpyro.distributions`, with the same parameters.

    On the JAX backend the parameters are the same arrays and keep their gradients; on the others
    they are copied through NumPy.

    Args:
        distribution: a distribution of TimeDist.

    Returns:
        A `numpyro.distributions.Distribution`.

    Raises:
        NotImplementedError: if NumPyro has no such family; the message lists those that it has.
        TypeError: if it is no distribution of TimeDist.
    """
    return _to("numpyro", distribution)


def to_tfp(distribution: Distribution) -> Any:
    """The distribution as one of `tensorflow_probability.distributions`, with the same parameters.

    On the TensorFlow backend the parameters are the same tensors and keep their gradients; on the
    others they are copied through NumPy (TensorFlow must be installed).

    Args:
        distribution: a distribution of TimeDist.

    Returns:
        A `tensorflow_probability.distributions.Distribution`.

    Raises:
        NotImplementedError: if TFP has no such family; the message lists those that it has.
        TypeError: if it is no distribution of TimeDist.
    """
    return _to("tensorflow_probability", distribution)


def from_torch(distribution: Any) -> Distribution:
    """The family of TimeDist that a distribution of `torch.distributions` belongs to.

    Unlike `as_distribution`, which wraps a native distribution and has its methods only, this gives
    a distribution with every method of the family.

    Args:
        distribution: a `torch.distributions.Distribution`.

    Returns:
        A distribution of TimeDist with the same parameters.

    Raises:
        NotImplementedError: if TimeDist has no such family; the message lists those that it has.
        TypeError: if it is no distribution of torch.

    >>> import torch
    >>> from_torch(torch.distributions.Gamma(2.0, torch.ones(3)))
    Gamma(batch_shape=(3,), event_shape=(), dtype=float32)
    """
    return _from("torch", distribution)


def from_numpyro(distribution: Any) -> Distribution:
    """The family of TimeDist that a distribution of `numpyro.distributions` belongs to.

    Unlike `as_distribution`, which wraps a native distribution and has its methods only, this gives
    a distribution with every method of the family.

    Args:
        distribution: a `numpyro.distributions.Distribution`.

    Returns:
        A distribution of TimeDist with the same parameters.

    Raises:
        NotImplementedError: if TimeDist has no such family; the message lists those that it has.
        TypeError: if it is no distribution of NumPyro.
    """
    return _from("numpyro", distribution)


def from_tfp(distribution: Any) -> Distribution:
    """The family of TimeDist that a distribution of `tensorflow_probability` belongs to.

    Unlike `as_distribution`, which wraps a native distribution and has its methods only, this gives
    a distribution with every method of the family.

    Args:
        distribution: a `tensorflow_probability.distributions.Distribution`.

    Returns:
        A distribution of TimeDist with the same parameters.

    Raises:
        NotImplementedError: if TimeDist has no such family; the message lists those that it has.
        TypeError: if it is no distribution of TFP.
    """
    return _from("tensorflow_probability", distribution)


def _to(library: str, distribution: Any) -> Any:
    if isinstance(distribution, NativeDistribution):
        if compat.native_library(distribution.native) == library:
            return distribution.native
        raise NotImplementedError(f"{distribution!r} cannot be converted to one of {library}")
    if not isinstance(distribution, Distribution):
        raise TypeError(f"expected a distribution of timedist, got {type(distribution).__name__}")
    name, table = type(distribution).__name__, TABLES[library]
    if name in table:
        family, parameters = _parsed(table[name])
        given = [_given_of(distribution, ways) for ways in parameters]
        arguments = {
            way.argument: _value_for(library, getattr(distribution, way.ours)) for way in given
        }
        return getattr(native.distributions(library), family.partition("=")[0])(**arguments)
    if name in _REWRITTEN:
        return _to(library, _REWRITTEN[name](distribution))
    raise NotImplementedError(
        f"{library} has no family for {distribution!r}; it has those for {', '.join(table)}"
    )


def _given_of(distribution: Distribution, ways: list[_Name]) -> _Name:
    return next((w for w in ways if distribution._values[w.ours] is not None), ways[0])


def _value_for(library: str, value: Any) -> Any:
    """A value of ours as the library takes it: distributions, an array, or itself."""
    if isinstance(value, tuple):
        return [_value_for(library, part) for part in value]
    if isinstance(value, Distribution):
        return _to(library, value)
    return native.to_array(library, value) if compat.is_tensor(value) else value


def _from(library: str, distribution: Any) -> Distribution:
    if compat.native_library(distribution) != library:
        raise TypeError(f"expected a distribution of {library}, got {type(distribution).__name__}")
    kind = type(distribution).__name__.removesuffix("Logits").removesuffix("Probs")
    table = {
        line.split()[0].rpartition("=")[2]: (name, line) for name, line in TABLES[library].items()
    }
    if kind not in table:
        raise NotImplementedError(
            f"timedist has no family for {type(distribution).__name__} of {library}; it has those "
            f"for {', '.join(table)}"
        )
    name, line = table[kind]
    family = getattr(td, name)
    rows = {row.name: row for row in family.table}
    given = [_given_there(library, distribution, ways) for ways in _parsed(line)[1]]
    return family(
        **{way.ours: _value_from(library, distribution, way, rows[way.ours]) for way in given}
    )


def _given_there(library: str, distribution: Any, ways: list[_Name]) -> _Name:
    there = native.arguments(distribution) if len(ways) > 1 else {}
    return next((w for w in ways if there.get(w.attribute) is not None), ways[0])


def _value_from(library: str, distribution: Any, way: _Name, row: Any) -> Any:
    if library == "tensorflow_probability":
        value = distribution.parameters[way.argument]
    else:
        value = attrgetter(way.attribute)(distribution)
    if isinstance(row, Component):
        return [_from(library, v) for v in value] if row.many else _from(library, value)
    return int(np.asarray(value)) if isinstance(row, Static) else native.from_array(value)
