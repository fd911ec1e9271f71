"""`convert_to_tensor_fn`: what a layer of distributions may give instead of the distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from timedist.distributions.wrappers import may_be_equal
from timedist.layers.statistics import Sample, Statistic, TakesDistribution
from timedist.layers.symbolic import infer
from timedist.ops import compat, random

Tensor = Any

NAMES = ("sample", "mean", "mode", "median", "stddev", "variance")


def checked(given: Any) -> Any:
    """`convert_to_tensor_fn` as a layer keeps it: `None`, a name, a layer or a function.

    Args:
        given: one of these, or a method of `Distribution`, as in `Distribution.mean`, which becomes
            its name. A method of TFP's class of that name says the same.

    Returns:
        What was given, or the name.

    Raises:
        ValueError: if there is no such name.
        TypeError: if it is something else.
    """
    owner, _, name = getattr(given, "__qualname__", "").rpartition(".")
    if isinstance(given, str) or owner == "Distribution":
        name = name or given
        if name not in NAMES:
            raise ValueError(
                f"convert_to_tensor_fn: {name!r} is not the name of a method without arguments "
                f"that gives a tensor of the event; those are {', '.join(map(repr, NAMES))}. Give "
                'one of them, a layer such as `timedist.layers.Statistic("entropy")`, or a '
                "function of the distribution"
            )
        return name
    if given is None or callable(given):
        return given
    raise TypeError(
        "convert_to_tensor_fn must be None, the name of a method of a distribution "
        f"({', '.join(map(repr, NAMES))}), a layer or a function of the distribution; "
        f"got {given!r}"
    )


def as_layer(given: Any) -> keras.Layer | None:
    """The layer that turns a distribution into a tensor, from what `checked` returns."""
    if given is None or isinstance(given, keras.Layer):
        return given
    if given == "sample":
        return Sample()
    return Statistic(given) if isinstance(given, str) else Applied(given)


class Applied(TakesDistribution):
    """Calls a function of a distribution; inside another layer, which keeps the function.

    The result has the mask of the distribution if it has its batch axes in front. What the function
    draws without a seed takes it from a generator of the layer.

    Args:
        function: takes a `Distribution` and returns a tensor.
    """

    def __init__(self, function: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, distribution: Any) -> Tensor:
        """Call the function."""
        distribution = self._distribution(distribution)
        with random.seeds_from(self.seed_generator):
            result = self.function(distribution)
        if not compat.is_tensor(result):
            raise TypeError(
                f"convert_to_tensor_fn must return a tensor, got {type(result).__name__} from "
                f"{distribution!r}"
            )
        mask = compat.get_keras_mask(distribution)
        if mask is not None and _has_batch_in_front(result, distribution):
            compat.set_keras_mask(result, mask)
        return result

    def compute_output_spec(self, distribution: Any) -> Any:
        """Shape and dtype of the result."""
        return infer(self.call, distribution)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None but what `call` has set, which knows the shape of the result."""


def _has_batch_in_front(result: Tensor, distribution: Any) -> bool:
    rank, batch = len(result.shape), distribution.batch_shape
    sizes = tuple(size if isinstance(size, int) else None for size in result.shape)
    same = len(batch) <= rank and may_be_equal(sizes[: len(batch)], batch)
    return same and rank <= len(distribution.shape)
