"""Parent of the distributions that are made of others, and the batch that their parts share."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from timedist.distributions.base import Distribution
from timedist.ops import compat

Tensor = Any


class Composite(Distribution):
    """A distribution made of others: named after them, and discrete if all of them are.

    Attributes:
        made_of: the name of the field that holds the distribution, or the tuple of them.
    """

    made_of: ClassVar[str] = "base"

    @property
    def _parts(self) -> tuple[Any, ...]:
        """The distributions it is made of."""
        value = self._values[self.made_of]
        return value if isinstance(value, tuple) else (value,)

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        """Whether all parts are discrete."""
        return all(part.discrete for part in self._parts)

    def _or_mass(self, p: Tensor, x: Tensor) -> Tensor:
        """The quantile `x`, found by a search, or the value where the distribution jumps over p."""
        for value in self._masses_at():
            upto = self._hook("cdf")(value)
            below = upto - ops.exp(self._hook("log_prob")(value))
            x = ops.where((p > below) & (p <= upto), value, x)
        return x

    @property
    def _family(self) -> str:
        name = type(self).__name__.removesuffix("Distribution")
        if "_values" not in self.__dict__:  # a message about arguments of which nothing is made yet
            return name
        return f"{name}({', '.join(part._family for part in self._parts)})"


def has_mass(d: Any, x: Tensor) -> Tensor:
    """Where `x` is a value that has a probability: `log_prob` is the logarithm of that."""
    found = ops.zeros_like(x, dtype="bool")
    for value in d._masses_at():
        found = found | (x == value)
    return found


def refuse_masses(family: str, base: Any) -> None:
    """A `ValueError` for a base single values of which have a probability beside its density."""
    if base._mixed:
        raise ValueError(
            f"{family}: single values of {base!r} have a probability beside its density; put it "
            f"the other way round, as in `Hurdle({family}(...))`"
        )


def in_one_batch(family: str, values: dict[str, Any], zeros: dict[str, Tensor]) -> dict[str, Any]:
    """The values with the batches of some of them broadcast against each other.

    Args:
        family: how messages call what they are parts of.
        values: tensors and distributions by name; the first axes are those of the batch, then those
            of steps and states if a part has them.
        zeros: of the batch shape of each part by itself, by name.

    Raises:
        ValueError: if the batch shapes do not broadcast.
    """
    if len({tuple(z.shape) for z in zeros.values()}) == 1:
        return values
    try:
        whole = compat.broadcast_arrays(*zeros.values())[0]
    except Exception as error:  # each backend has its own class for shapes that do not fit
        given = ", ".join(f"{name} {tuple(z.shape)}" for name, z in zeros.items())
        raise ValueError(
            f"{family}: the batch shapes do not broadcast against each other: {given}"
        ) from error
    batch = ops.shape(whole)

    def widened(name: str) -> Any:
        value, rank = values[name], len(zeros[name].shape)

        def widen(x: Tensor) -> Tensor:
            return ops.broadcast_to(x, (*batch, *ops.shape(x)[rank:]))

        return value.map_batch(widen) if isinstance(value, Distribution) else widen(value)

    return {**values, **{name: widened(name) for name in zeros}}
