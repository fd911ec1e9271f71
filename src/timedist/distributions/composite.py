"""Parent of the distributions that are made of other distributions."""

from __future__ import annotations

from typing import Any, ClassVar

from timedist.distributions.base import Distribution


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

    @property
    def _family(self) -> str:
        name = type(self).__name__.removesuffix("Distribution")
        if "_values" not in self.__dict__:  # a message about arguments of which nothing is made yet
            return name
        return f"{name}({', '.join(part._family for part in self._parts)})"
