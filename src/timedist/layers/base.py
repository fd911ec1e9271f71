"""Layers that return a distribution."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import keras

from timedist.distributions.base import DistributionTypeError
from timedist.interop import as_distribution, is_distribution
from timedist.layers import conversion
from timedist.layers.accepting import AcceptsDistributions, serializable
from timedist.layers.symbolic import SymbolicDistribution, infer
from timedist.ops import compat


class DistributionLayer(AcceptsDistributions):
    """Base of layers that return a distribution; subclass it and write `call`.

    The symbolic output, masks, mixed precision and distributions as inputs are taken care of.

    Args:
        convert_to_tensor_fn: what the layer returns instead of the distribution. Default `None`:
            the distribution. A name: `"sample"` (a new draw at each call, from a `SeedGenerator` of
            the layer), `"mean"`, `"mode"`, `"median"`, `"stddev"` or `"variance"`, or the method
            itself, as in `Distribution.mean`. A layer that takes a distribution: `Sample(5)`,
            `Quantile(0.9)`. Or a function of the distribution; for files see `DistributionLambda`.
        validate_args: `False`; there for code written for `tfp.layers`.
        sample_dtype: `None`; likewise.
        **kwargs: of `keras.Layer`: `name`, `dtype`, `trainable`.

    Raises:
        ValueError: if `convert_to_tensor_fn` is no such name, or `validate_args` or `sample_dtype`
            asks for what a layer of Keras 3 does not do.
        TypeError: if `convert_to_tensor_fn` is something else.

    `call` returns the distribution in any case; calling the layer gives what it is converted to.

    >>> import keras
    >>> from timedist.distributions import Normal
    >>> class UnitNormal(DistributionLayer):
    ...     def call(self, inputs):
    ...         return Normal(inputs, 1.0)
    >>> UnitNormal()(keras.ops.zeros((32, 10)))
    Normal(batch_shape=(32, 10), event_shape=(), dtype=float32)
    >>> tuple(UnitNormal(convert_to_tensor_fn="sample")(keras.ops.zeros((32, 10))).shape)
    (32, 10)
    """

    def __init__(
        self,
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        sample_dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        _refuse(type(self).__name__, validate_args, sample_dtype)
        super().__init__(**kwargs)
        self.convert_to_tensor_fn = conversion.checked(convert_to_tensor_fn)
        self._converter = conversion.as_layer(self.convert_to_tensor_fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The distribution `call` makes, or the tensor it is converted to."""
        outputs = super().__call__(*args, **kwargs)
        if self._converter is None:
            return outputs
        return _map_distributions(self._converter, outputs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the layer with symbolic tensors for values."""
        outputs = infer(self.call, *args, **kwargs)
        if self._converter is None:
            return outputs
        return _map_distributions(self._converter.compute_output_spec, outputs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the input, as long as the conversion leaves the batch axes in front."""
        symbolic = any(map(compat.is_symbolic, keras.tree.flatten(previous_mask)))
        if self._converter is None or not symbolic:  # a value is converted with its mask on
            return previous_mask
        return self._converter.compute_mask(inputs, previous_mask)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config, given = super().get_config(), self.convert_to_tensor_fn
        if given is None:  # so that a subclass may have constructors without it
            return config
        return {**config, "convert_to_tensor_fn": keras.saving.serialize_keras_object(given)}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The inverse of `get_config`."""
        given = config.get("convert_to_tensor_fn")
        if isinstance(given, dict):
            given = keras.saving.deserialize_keras_object(given)
            config = {**config, "convert_to_tensor_fn": given}
        return super().from_config(config)


@serializable
class DistributionLambda(DistributionLayer):
    """A layer that makes a distribution by a function of its inputs.

    Args:
        make_distribution_fn: takes the input (a tensor, or a list of tensors as one argument; or,
            if it has as many positional arguments as there are inputs, the tensors one by one) and
            returns a distribution of TimeDist, TFP, NumPyro or torch. It may use `keras.ops` or the
            backend's own operations. To load the model in Keras's safe mode, pass a function
            registered with `keras.saving.register_keras_serializable`; a lambda needs
            `safe_mode=False` and may use no global names, since Keras keeps nothing but its code.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: the layer returns the
            distribution.
        **kwargs: of `keras.Layer`.

    Returns:
        The distribution, or the tensor it is converted to.

    Raises:
        TypeError: if the function returns something else.

    >>> import keras
    >>> from timedist.distributions import Normal
    >>> layer = DistributionLambda(lambda loc, scale: Normal(loc, scale))
    >>> layer([keras.ops.zeros((2, 5)), keras.ops.ones((2, 5))])
    Normal(batch_shape=(2, 5), event_shape=(), dtype=float32)
    """

    def __init__(
        self,
        make_distribution_fn: Callable[..., Any],
        convert_to_tensor_fn: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(convert_to_tensor_fn, **kwargs)
        if not callable(make_distribution_fn):
            raise TypeError(f"DistributionLambda takes a function, got {make_distribution_fn!r}")
        self.make_distribution_fn = make_distribution_fn

    def call(self, inputs: Any) -> Any:
        """Call the function."""
        function = self.make_distribution_fn
        several = isinstance(inputs, (list, tuple)) and _takes(function, len(inputs))
        return as_distribution(function(*inputs) if several else function(inputs))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        function = keras.saving.serialize_keras_object(self.make_distribution_fn)
        return {**super().get_config(), "make_distribution_fn": function}

    @classmethod
    def from_config(cls, config: dict) -> DistributionLambda:
        """The inverse of `get_config`."""
        function = keras.saving.deserialize_keras_object(config["make_distribution_fn"])
        return super().from_config({**config, "make_distribution_fn": function})


def _map_distributions(function: Callable[[Any], Any], outputs: Any) -> Any:
    """The outputs of a layer with `function` of each distribution, symbolic or not, for it."""

    def converted(x: Any) -> Any:
        wanted = isinstance(x, SymbolicDistribution) or is_distribution(x)
        return function(x) if wanted else x

    return keras.tree.map_structure(converted, outputs)


def refuse_distribution(layer: keras.Layer, wanted: str) -> NoReturn:
    """Raise because a layer that takes a tensor got a distribution."""
    raise DistributionTypeError(
        f"The layer {layer.name!r} ({type(layer).__name__}) takes {wanted}, a tensor, but got a "
        "distribution. Put a `timedist.layers.Sample()` or `.mean()` in between."
    )


def _refuse(layer: str, validate_args: Any, sample_dtype: Any) -> None:
    """Raise for arguments of `tfp.layers` that ask for something else than their defaults."""
    if validate_args is not False:
        raise ValueError(
            f"{layer}: validate_args must be False, got {validate_args!r}: a head gives valid "
            "parameters only, and the constructors of `timedist.distributions` always look at "
            "theirs. Leave it out."
        )
    if sample_dtype is not None:
        raise ValueError(
            f"{layer}: sample_dtype must be None, got {sample_dtype!r}: samples have the dtype of "
            "the parameters. Leave it out, and cast where another one is needed, as in "
            '`keras.ops.cast(distribution.sample(), "int32")`.'
        )


def _takes(function: Callable[..., Any], number: int) -> bool:
    """Whether a function has just this many (more than one) required positional arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in kinds and p.default is p.empty]
    return number > 1 and len(required) == number
