"""What a distribution is while a functional model is built."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from timedist.distributions import Distribution
from timedist.interop import as_distribution
from timedist.layers.accepting import AcceptsDistributions, serializable
from timedist.layers.statistics import (
    LogProb,
    Mean,
    Median,
    Mode,
    Quantile,
    Sample,
    Statistic,
)
from timedist.ops import compat


class SymbolicDistribution(keras.KerasTensor):
    """A distribution in a functional graph: a `KerasTensor` of shape `batch_shape + event_shape`.

    Its methods are those of `Distribution`; each inserts a small layer, so that
    `z = posterior.sample()` reads the same in a functional model as on values.

    Args:
        spec: the distribution with KerasTensors for its parameters.
        name: optional name of the tensor.
    """

    def __init__(self, spec: Distribution, name: str | None = None):
        super().__init__(shape=spec.shape, dtype=spec.dtype, name=name)
        self.spec = spec

    @property
    def batch_shape(self) -> tuple:
        """Shape of the batch; unknown sizes are `None`."""
        return self.spec.batch_shape

    @property
    def event_shape(self) -> tuple:
        """Shape of one draw."""
        return self.spec.event_shape

    def __repr__(self) -> str:
        return f"<SymbolicDistribution {self.spec!r}>"

    def __getitem__(self, index: Any) -> Any:
        return BatchSlice(index)(self)

    def sample(self, sample_shape: Any = (), seed: Any = None) -> Any:
        """As `Distribution.sample`; a KerasTensor."""
        return Sample(sample_shape, seed=seed)(self)

    def mean(self) -> Any:
        """As `Distribution.mean`; a KerasTensor."""
        return Mean()(self)

    def mode(self) -> Any:
        """As `Distribution.mode`; a KerasTensor."""
        return Mode()(self)

    def median(self) -> Any:
        """As `Distribution.median`; a KerasTensor."""
        return Median()(self)

    def variance(self) -> Any:
        """As `Distribution.variance`; a KerasTensor."""
        return Statistic("variance")(self)

    def stddev(self) -> Any:
        """As `Distribution.stddev`; a KerasTensor."""
        return Statistic("stddev")(self)

    def entropy(self) -> Any:
        """As `Distribution.entropy`; a KerasTensor."""
        return Statistic("entropy")(self)

    def log_prob(self, value: Any) -> Any:
        """As `Distribution.log_prob`; `value` may be a KerasTensor."""
        return self._at(LogProb, value)

    def prob(self, value: Any) -> Any:
        """As `Distribution.prob`; `value` may be a KerasTensor."""
        return self._at(partial(Statistic, "prob"), value)

    def cdf(self, value: Any) -> Any:
        """As `Distribution.cdf`; `value` may be a KerasTensor."""
        return self._at(partial(Statistic, "cdf"), value)

    def log_cdf(self, value: Any) -> Any:
        """As `Distribution.log_cdf`; `value` may be a KerasTensor."""
        return self._at(partial(Statistic, "log_cdf"), value)

    def survival_function(self, value: Any) -> Any:
        """As `Distribution.survival_function`; `value` may be a KerasTensor."""
        return self._at(partial(Statistic, "survival_function"), value)

    def quantile(self, p: Any) -> Any:
        """As `Distribution.quantile`; `p` may be a KerasTensor."""
        return self._at(Quantile, p)

    def interval(self, level: float) -> Any:
        """As `Distribution.interval`; a pair of KerasTensors."""
        return Statistic("interval", level)(self)

    def _at(self, statistic: Callable[..., Statistic], value: Any) -> Any:
        return statistic()(self, value) if compat.is_symbolic(value) else statistic(value)(self)


@serializable
class BatchSlice(AcceptsDistributions):
    """Slices the batch axes of a distribution, as `distribution[index]` does.

    Args:
        index: an index expression of ints, slices and `...`.
        **kwargs: of `keras.Layer`.
    """

    def __init__(self, index: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.index = _decoded(index)
        self.supports_masking = False

    def call(self, distribution: Any) -> Any:
        """The sliced distribution."""
        return as_distribution(distribution)[self.index]

    def compute_output_spec(self, distribution: Any) -> Any:
        """The sliced distribution, as a symbolic one."""
        return infer(self.call, distribution)

    def get_config(self) -> dict:
        """The index, in a form JSON can hold."""
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        return {**super().get_config(), "index": [_encoded(part) for part in parts]}


def _encoded(part: Any) -> Any:
    if part is Ellipsis:
        return "..."
    if isinstance(part, slice):
        return {"slice": [part.start, part.stop, part.step]}
    return part


def _decoded(index: Any) -> Any:
    if isinstance(index, list):
        return tuple(_decoded(part) for part in index)
    if isinstance(index, dict):
        return slice(*index["slice"])
    return Ellipsis if isinstance(index, str) else index


def infer(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` would return, from symbolic arguments, distributions included.

    Args:
        function: takes tensors and distributions, returns a structure of them.
        *args: its arguments, with KerasTensors and symbolic distributions for values.
        **kwargs: likewise.

    Returns:
        The same structure of KerasTensors and `SymbolicDistribution`s.

    Keras's own inference loses the family on torch; here a distribution goes in and comes out as
    its parameter tensors, which every backend infers alike, unknown sizes included.
    """
    given = keras.tree.flatten((args, kwargs))
    returned: list = []

    def run(*tensors: Any) -> list:
        rest = iter(tensors)
        values = [_filled(x, rest) for x in given]
        run_args, run_kwargs = keras.tree.pack_sequence_as((args, kwargs), values)
        result = keras.tree.map_structure(_standardized, function(*run_args, **run_kwargs))
        returned[:] = [result]
        return [leaf for x in keras.tree.flatten(result) for leaf in _leaves(x)]

    specs = iter(compat.infer_spec(run, *(leaf for x in given for leaf in _symbolic_leaves(x))))
    flat = [_symbolic(x, specs) for x in keras.tree.flatten(returned[0])]
    return keras.tree.pack_sequence_as(returned[0], flat)


def _standardized(x: Any) -> Any:
    return as_distribution(x) if compat.is_native(x) else x


def _symbolic_leaves(x: Any) -> list:
    if isinstance(x, SymbolicDistribution):
        return x.spec.leaves()
    return [x] if compat.is_symbolic(x) else []


def _filled(x: Any, tensors: Any) -> Any:
    if isinstance(x, SymbolicDistribution):
        return x.spec.map_leaves(lambda _: next(tensors))
    return next(tensors) if compat.is_symbolic(x) else x


def _leaves(x: Any) -> list:
    if isinstance(x, Distribution):
        return x.leaves()
    return [x] if compat.is_tensor(x) else []


def _symbolic(x: Any, specs: Any) -> Any:
    if isinstance(x, Distribution):
        return SymbolicDistribution(x.map_leaves(lambda _: next(specs)))
    return next(specs) if compat.is_tensor(x) else x
