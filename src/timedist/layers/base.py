"""Layers that return a distribution."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras

from timedist.interop import as_distribution
from timedist.layers.accepting import AcceptsDistributions, serializable
from timedist.layers.symbolic import infer


class DistributionLayer(AcceptsDistributions):
    """Base of layers that return a distribution; subclass it and write `call`.

    The symbolic output, masks, mixed precision and distributions as inputs are taken care of.

    Args:
        **kwargs: of `keras.Layer`: `name`, `dtype`, `trainable`.

    >>> import keras
    >>> from timedist.distributions import Normal
    >>> class UnitNormal(DistributionLayer):
    ...     def call(self, inputs):
    ...         return Normal(inputs, 1.0)
    >>> UnitNormal()(keras.ops.zeros((32, 10)))
    Normal(batch_shape=(32, 10), event_shape=(), dtype=float32)
    """

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The output of `call` with symbolic tensors for values."""
        return infer(self.call, *args, **kwargs)


@serializable
class DistributionLambda(DistributionLayer):
    """A layer that makes a distribution by a function of its inputs.

    Args:
        function: takes the input (a tensor, or a list of tensors as one argument; or, if it has as
            many positional arguments as there are inputs, the tensors one by one) and returns a
            distribution of TimeDist, TFP, NumPyro or torch. It may use `keras.ops` or the backend's
            own operations. To load the model in Keras's safe mode, pass a function registered with
            `keras.saving.register_keras_serializable`; a lambda needs `safe_mode=False` and may use
            no global names, since Keras keeps nothing but its code.
        **kwargs: of `keras.Layer`.

    Returns:
        The distribution.

    Raises:
        TypeError: if the function returns something else.

    >>> import keras
    >>> from timedist.distributions import Normal
    >>> layer = DistributionLambda(lambda loc, scale: Normal(loc, scale))
    >>> layer([keras.ops.zeros((2, 5)), keras.ops.ones((2, 5))])
    Normal(batch_shape=(2, 5), event_shape=(), dtype=float32)
    """

    def __init__(self, function: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"DistributionLambda takes a function, got {function!r}")
        self.function = function

    def call(self, inputs: Any) -> Any:
        """Call the function."""
        several = isinstance(inputs, (list, tuple)) and _takes(self.function, len(inputs))
        return as_distribution(self.function(*inputs) if several else self.function(inputs))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        function = keras.saving.serialize_keras_object(self.function)
        return {**super().get_config(), "function": function}

    @classmethod
    def from_config(cls, config: dict) -> DistributionLambda:
        """The inverse of `get_config`."""
        function = keras.saving.deserialize_keras_object(config.pop("function"))
        return cls(function, **config)


def _takes(function: Callable[..., Any], number: int) -> bool:
    """Whether a function has just this many (more than one) required positional arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in kinds and p.default is p.empty]
    return number > 1 and len(required) == number
