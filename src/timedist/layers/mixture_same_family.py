"""Heads of a mixture whose components are another head's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from timedist import distributions as td
from timedist.interop import as_distribution
from timedist.layers.accepting import serializable
from timedist.layers.base import DistributionLambda
from timedist.layers.heads import Head, Shapes, Tensor, mixture_of, positive_int
from timedist.layers.symbolic import infer


@serializable
class MixtureSameFamily(Head):
    r"""Head of a mixture whose K components are distributions of one layer.

    $p(y) = \sum_k \pi_k\, p_k(y)$

    Args:
        num_components: number K of components.
        component_layer: a head, such as `IndependentNormal(3)`, or any layer or function that takes
            a tensor `(..., K, n)` and returns a distribution with batch shape `(..., K)`.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: K logits, then the n parameters of
            each component in turn.

    Returns:
        A `MixtureSameFamily` distribution with `batch_shape == (...)` and the event shape of the
        components.

    Raises:
        ValueError: if the last axis has another size, `num_components` is not positive, or the
            component layer gives a tensor by its own `convert_to_tensor_fn`.
        TypeError: if `component_layer` is no function or gives something else than a distribution.

    Source: Bishop: Mixture Density Networks (1994).

    >>> import keras
    >>> from timedist.layers import MultivariateNormalTriL
    >>> size = MixtureSameFamily.params_size(4, MultivariateNormalTriL.params_size(2))
    >>> MixtureSameFamily(4, MultivariateNormalTriL(2))(keras.ops.zeros((32, 10, size)))
    MixtureSameFamily(MultivariateNormalTriL)(batch_shape=(32, 10), event_shape=(2,), dtype=float32)
    """

    family = td.MixtureSameFamily

    def __init__(
        self,
        num_components: int,
        component_layer: Callable[[Tensor], Any],
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        self.num_components = positive_int("num_components", num_components)
        super().__init__({}, convert_to_tensor_fn, validate_args, **kwargs)
        self.component_layer = _as_component_layer(component_layer)
        each = getattr(component_layer, "width", None)
        self.width = None if each is None else self.params_size(self.num_components, each)
        self.family = getattr(component_layer, "family", self.family)

    @classmethod
    def params_size(
        cls, num_components: int, component_params_size: int, name: str | None = None
    ) -> int:
        """How many parameters the layer in front must give.

        Args:
            num_components: number K of components.
            component_params_size: how many parameters one component takes.
            name: means nothing.

        Returns:
            K times one plus that number.
        """
        del name
        return num_components * (1 + component_params_size)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw; only of components that tell theirs."""
        return self.component_layer.event_shape

    def build(self, input_shape: Any) -> None:
        """Make the weights of the component layer, if it has some."""
        self._check_size(input_shape)
        each = (input_shape[-1] - self.num_components) // self.num_components
        shape, layer = (*input_shape[:-1], self.num_components, each), self.component_layer
        if type(layer).build is keras.Layer.build:  # which makes weights when called
            infer(layer, keras.KerasTensor(shape, "float32"))
        elif not layer.built:
            layer.build(shape)
        self.built = True

    def call(self, inputs: Tensor) -> td.MixtureSameFamily:
        """The mixture whose parameters stand on the last axis."""

        def components(raw: Tensor) -> td.Distribution:
            return as_distribution(self.component_layer(raw))

        return mixture_of(self._checked(inputs), self.num_components, components)

    def _check_size(self, shape: Sequence[int | None]) -> None:
        if self.width is not None:
            super()._check_size(shape)
            return
        size, number = (shape[-1] if shape else None) or 0, self.num_components
        if size <= number or size % number:
            raise ValueError(
                f"The layer {self.name!r} (MixtureSameFamily) needs {number} logits and the "
                f"parameters of {number} components on the last axis, a multiple of {number}; got "
                f"shape {tuple(shape)}"
            )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "component_layer": keras.saving.serialize_keras_object(self.component_layer),
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The inverse of `get_config`."""
        layer = keras.saving.deserialize_keras_object(config["component_layer"])
        return super().from_config({**config, "component_layer": layer})


@serializable
class CategoricalMixtureOfOneHotCategorical(Head):
    r"""Head of a mixture of K distributions over the unit vectors of n categories.

    $P(e_i) = \sum_k \pi_k\, p_{k i}$

    Args:
        event_size: int, the number n of categories.
        num_components: number K of components.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        sample_dtype: as for `DistributionLayer`.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: K logits of the components, then the
            n logits of each in turn.

    Returns:
        A `MixtureSameFamily` distribution with `batch_shape == (...)` and `event_shape == (n,)`.

    Raises:
        ValueError: if the last axis has another size, or a number is no positive int.

    >>> import keras
    >>> layer = CategoricalMixtureOfOneHotCategorical(event_size=4, num_components=2)
    >>> layer(keras.ops.zeros((32, 10, 10)))
    MixtureSameFamily(OneHotCategorical)(batch_shape=(32, 10), event_shape=(4,), dtype=float32)
    """

    family = td.OneHotCategorical

    def __init__(
        self,
        event_size: int,
        num_components: int,
        convert_to_tensor_fn: Any = None,
        sample_dtype: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        self.event_size = positive_int("event_size", event_size)
        self.num_components = positive_int("num_components", num_components)
        logits: Shapes = {"logits": (self.event_size,)}
        super().__init__(
            logits, convert_to_tensor_fn, validate_args, sample_dtype=sample_dtype, **kwargs
        )
        self.width = self.params_size(self.event_size, self.num_components)

    @classmethod
    def params_size(cls, event_size: int, num_components: int, name: str | None = None) -> int:
        """How many parameters the layer in front must give; `name` means nothing."""
        del name
        return num_components * (1 + event_size)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw."""
        return (self.event_size,)

    def call(self, inputs: Tensor) -> td.MixtureSameFamily:
        """The mixture whose parameters stand on the last axis."""
        return mixture_of(self._checked(inputs), self.num_components, self._read)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "event_size": self.event_size,
            "num_components": self.num_components,
        }


def _as_component_layer(given: Any) -> keras.Layer:
    """The layer, or one that calls the function; it must give distributions."""
    if not isinstance(given, keras.Layer):
        if not callable(given):
            raise TypeError(
                "MixtureSameFamily: component_layer must be a layer or a function that returns a "
                f"distribution, e.g. `timedist.layers.IndependentNormal(3)`, got {given!r}"
            )
        return DistributionLambda(given)
    if getattr(given, "convert_to_tensor_fn", None) is not None:
        raise ValueError(
            f"MixtureSameFamily: the component layer {given.name!r} ({type(given).__name__}) gives "
            f"a tensor, by its convert_to_tensor_fn={given.convert_to_tensor_fn!r}; give that to "
            "the MixtureSameFamily instead"
        )
    return given
