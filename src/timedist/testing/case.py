"""One row of a table of families, from which every contract follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from timedist.distributions import Distribution

PROBABILITIES = np.array([1e-8, 1e-3, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999, 1.0 - 1e-7])
COMMON = {"float32": 2e-5, "float64": 1e-10}


class NotApplicableError(Exception):
    """A contract says nothing about this row, for the reason given."""


@dataclass(frozen=True, eq=False)
class Case:
    """One row: how to build a distribution, its twin, and what is special about it.

    Args:
        name: how messages call it.
        build: makes the distribution from the parameters, given by name.
        parameters: float64 arrays, each of shape `batch_shape + its own trailing axes`, one batch
            axis of size 2 or more.
        twin: makes a distribution with SciPy's method names from the same float64 arrays, in
            another library than TimeDist. Methods it lacks are not compared.
        wide: hypothesis strategies of valid float32 parameters, by name: the widest sensible range.
        values: strategy of values for `wide` parameters.
        points: values to check besides the quantiles at `PROBABILITIES`.
        outside: values of probability zero (log density -inf).
        invalid: `(keyword arguments of build, texts the ValueError must contain)`.
        missing: public methods the family cannot give.
        tolerances: `(method, dtype) -> (relative tolerance, reason)`, where the common one fails.
        no_gradient: methods without a useful derivative: not differentiable or piecewise constant.
        sampled: parameters to which samples have gradients.
        mixed: whether single values have probability though the rest is continuous.
    """

    name: str
    build: Callable[..., Distribution]
    parameters: Mapping[str, np.ndarray]
    twin: Callable[..., Any]
    wide: Mapping[str, Any] = field(default_factory=dict)
    values: Any = None
    points: tuple = ()
    outside: tuple = ()
    invalid: tuple = ()
    missing: frozenset = frozenset()
    tolerances: Mapping[tuple, tuple] = field(default_factory=dict)
    no_gradient: frozenset = frozenset()
    sampled: tuple = ()
    mixed: bool = False

    def __str__(self) -> str:
        return self.name

    def arrays(self, dtype: str = "float32") -> dict[str, np.ndarray]:
        """The parameters, rounded to `dtype`."""
        return {name: np.asarray(value).astype(dtype) for name, value in self.parameters.items()}

    def rounded(self, dtype: str = "float32") -> dict[str, np.ndarray]:
        """The parameters in float64, rounded to `dtype` before."""
        return {name: value.astype("float64") for name, value in self.arrays(dtype).items()}

    def make(self, dtype: str = "float32") -> Any:
        """The distribution of this row."""
        return self.build(**self.arrays(dtype))

    def reference(self, dtype: str = "float64") -> Any:
        """The twin of `make(dtype)`: of the rounded parameters, in float64."""
        return self.twin(**self.rounded(dtype))

    def marginal(self, **parameters: np.ndarray) -> Any:
        """The scalar twin of every component of the event."""
        twin = self.twin(**parameters)
        return twin.marginal() if len(self.make().event_shape) else twin

    def checked_points(self, dtype: str = "float32") -> np.ndarray:
        """Values `(number, *batch_shape, *event_shape)` from one tail to the other, in `dtype`."""
        d = self.make()
        shape = (*d.batch_shape, *d.event_shape)
        twin = self.twin(**self.rounded())
        if hasattr(twin, "points"):
            return np.asarray(twin.points(), dtype)
        p = np.broadcast_to(
            PROBABILITIES.reshape(-1, *(1,) * len(shape)), (PROBABILITIES.size, *shape)
        )
        if d.event_shape:  # another probability for every component
            p = np.stack([np.roll(p[..., i], 2 * i, axis=0) for i in range(shape[-1])], axis=-1)
            twin = twin.marginal()
        more = [np.full((1, *shape), point) for point in self.points]
        return np.concatenate([twin.ppf(p), *more]).astype(dtype)

    def tolerance(self, method: str, dtype: str) -> float:
        """The relative tolerance for `method`."""
        return self.tolerances.get((method, dtype), (COMMON[dtype], ""))[0]

    def has(self, *methods: str) -> bool:
        """Whether the family gives all of these methods."""
        return not self.missing.intersection(methods)

    def needs(self, *methods: str) -> None:
        """Raise `NotApplicableError` unless the family gives all of these methods."""
        if not self.has(*methods):
            raise NotApplicableError(f"{self.name} has no {', '.join(self.missing & set(methods))}")
