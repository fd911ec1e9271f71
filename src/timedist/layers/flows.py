"""Masked autoregressive networks, and the layer that transforms a distribution by one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.distributions import flows, masked_networks
from timedist.distributions.base import DistributionTypeError
from timedist.interop import as_distribution, is_distribution
from timedist.layers.accepting import serializable
from timedist.layers.base import DistributionLayer
from timedist.layers.heads import as_event_shape, at_least_float32, positive_int
from timedist.layers.symbolic import SymbolicDistribution

Tensor = Any

_LAYERS = ("all_layers", "first_layer")
# Constructor arguments that are initializers, regularizers and constraints of Keras.
_OBJECTS = (
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
    "output_initializer",
)


@serializable
class AutoregressiveNetwork(keras.Layer):
    r"""A dense network that gives numbers for each component from those before it: MADE.

    Names and defaults are those of `tfp.bijectors.AutoregressiveNetwork`, and equal weights give
    equal outputs.

    Args:
        params: how many numbers for each component.
        event_shape: the number of components, an int or a tuple of one. Default `None`: that of
            what the layer is first called on.
        conditional: whether there is a conditional input, which all components see. Default
            `False`. `event_shape` must then be given.
        conditional_event_shape: the number of its features, an int or a tuple of one.
        conditional_input_layers: `"all_layers"` (default) or `"first_layer"`: where it is added.
        hidden_units: list of ints, the sizes of the hidden layers. Default: none.
        input_order: `"left-to-right"` (default), `"right-to-left"`, `"random"`, or a list with the
            place of each component, 1 for the first; those that share one do not see each other.
        hidden_degrees: how many components the hidden units see: `"equal"` (default), as many
            units for each number from 1 on; `"random"`; or `"with_zero"`, likewise from 0 on.
            Without units of degree 0 the first component depends on the conditional input by the
            last layer only, linearly.
        activation: of the hidden layers. Default `None`: none.
        use_bias: whether the layers have biases. Default `True`.
        kernel_initializer: of the kernels. Default `"glorot_uniform"`.
        bias_initializer: of the biases. Default `"zeros"`.
        kernel_regularizer: of the kernels. Default `None`.
        bias_regularizer: of the biases. Default `None`.
        kernel_constraint: of the kernels. Default `None`.
        bias_constraint: of the biases. Default `None`.
        output_initializer: of the kernels of the last layer. Default `None`: as of the others. With
            `"zeros"` a flow starts as the identity.
        seed: int, of what is random in the degrees. Default `None`: a new one, which
            `keras.utils.set_random_seed` determines.
        validate_args: `False`; there for code written for TFP.
        **kwargs: of `keras.Layer`.

    Call arguments:
        x: tensor `(..., event_size)`.
        conditional_input: tensor `(..., features)` if the layer is conditional; the batch axes
            broadcast.

    Returns:
        Tensor `(..., event_size, params)`, in float32 at least.

    Raises:
        ValueError: if an argument is not as said, or the input has another size.

    Source: Germain, Gregor, Murray, Larochelle: MADE: Masked Autoencoder for Distribution
    Estimation (2015).

    >>> import keras
    >>> made = AutoregressiveNetwork(params=2, hidden_units=[8], activation="relu")
    >>> tuple(made(keras.ops.zeros((32, 10, 3))).shape)
    (32, 10, 3, 2)
    """

    def __init__(
        self,
        params: int,
        event_shape: int | Sequence[int] | None = None,
        conditional: bool = False,
        conditional_event_shape: int | Sequence[int] | None = None,
        conditional_input_layers: str = "all_layers",
        hidden_units: Sequence[int] | None = None,
        input_order: str | Sequence[int] = "left-to-right",
        hidden_degrees: str = "equal",
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        output_initializer: Any = None,
        seed: int | None = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        _refuse(validate_args)
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self.params = positive_int("params", params)
        self.event_shape = _one_axis("event_shape", event_shape)
        self.conditional = bool(conditional)
        self.conditional_event_shape = _one_axis("conditional_event_shape", conditional_event_shape)
        self.conditional_input_layers = _choice(
            "conditional_input_layers", conditional_input_layers, _LAYERS
        )
        self.hidden_units = [positive_int("hidden_units", units) for units in hidden_units or ()]
        self.input_order = _as_order(input_order, self.event_shape)
        self.hidden_degrees = _choice("hidden_degrees", hidden_degrees, masked_networks.KINDS)
        self.activation = None if activation is None else keras.activations.get(activation)
        self._activation_name = _name_of(self.activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed = random.randint(1, 10**9) if seed is None else int(seed)
        self.supports_masking = True
        self._check_conditional()

    def _check_conditional(self) -> None:
        sizes = {
            "event_shape": self.event_shape,
            "conditional_event_shape": self.conditional_event_shape,
        }
        for name, size in sizes.items():
            if self.conditional and size is None:
                raise ValueError(f"AutoregressiveNetwork: conditional=True needs {name!r}")
        if not self.conditional and self.conditional_event_shape is not None:
            raise ValueError(
                "AutoregressiveNetwork: conditional_event_shape is for conditional=True, got "
                f"{self.conditional_event_shape!r} and conditional=False"
            )

    @property
    def event_size(self) -> int | None:
        """The number of components; `None` before it is known."""
        if self.built:
            return len(self.degrees[0])
        return None if self.event_shape is None else self.event_shape[0]

    def build(self, input_shape: Any) -> None:
        """Make the weights, for each layer its kernel, its bias and its conditional kernel."""
        size = self.event_size or input_shape[-1]
        if input_shape[-1] != size or size is None:
            raise ValueError(
                f"The layer {self.name!r} (AutoregressiveNetwork) takes vectors of "
                f"{size or 'a known number of'} components, got shape {tuple(input_shape)}"
            )
        self.degrees = masked_networks.degrees(
            size, self.input_order, self.hidden_units, self.hidden_degrees, self.seed
        )
        self.kernels: list[Any] = []
        self.biases: list[Any] = []
        self.conditional_kernels: list[Any] = []
        masks = masked_networks.masks(self.degrees, self.params)
        for number, mask in enumerate(masks):
            last = number + 1 == len(masks)
            initializer = (self.output_initializer if last else None) or self.kernel_initializer
            start = _masked(mask, initializer)
            self.kernels.append(self._kernel(f"kernel_{number}", mask.shape, start))
            width = mask.shape[1]
            if self.use_bias:
                self.biases.append(self._bias(f"bias_{number}", width))
            if self.conditional and (number == 0 or self.conditional_input_layers == "all_layers"):
                features = (self.conditional_event_shape or ())[0]
                shape, start = (features, width), _fresh(initializer)
                name = f"conditional_kernel_{number}"
                self.conditional_kernels.append(self._kernel(name, shape, start))
        self.built = True

    def _kernel(self, name: str, shape: tuple, initializer: Any) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            autocast=False,
        )

    def _bias(self, name: str, width: int) -> Any:
        return self.add_weight(
            name=name,
            shape=(width,),
            initializer=_fresh(self.bias_initializer),
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
            autocast=False,
        )

    def _weights(self) -> dict[str, Any]:
        """What the network is now made of, as `flows.MaskedAutoregressive` takes it."""
        return {
            "kernels": _values(self.kernels),
            "degrees": self.degrees,
            "biases": _values(self.biases),
            "context_kernels": _values(self.conditional_kernels),
            "activation": self._activation_name,
        }

    def flow(
        self, log_scale_bound: float | None = None, keeps_first: bool = False
    ) -> flows.MaskedAutoregressive:
        """The flow whose shifts and log scales this network gives, with its current weights.

        Args:
            log_scale_bound: see `timedist.distributions.flows.MaskedAutoregressive`.
            keeps_first: likewise.

        Returns:
            The flow, a value.

        Raises:
            ValueError: if the network is not built or `params` is neither 2 nor, for shifts alone,
                1.
        """
        if not self.built or self.params > 2:
            raise ValueError(
                f"The layer {self.name!r} (AutoregressiveNetwork) makes a flow once it is built, "
                f"with params=2 (or 1, for shifts alone); it has params={self.params} and is "
                f"{'' if self.built else 'not '}built"
            )
        return flows.MaskedAutoregressive.trusted(
            **self._weights(), log_scale_bound=log_scale_bound, keeps_first=keeps_first
        )

    def call(self, x: Tensor, conditional_input: Tensor | None = None) -> Tensor:
        """The numbers for each component."""
        if (conditional_input is None) == self.conditional:
            raise ValueError(
                f"The layer {self.name!r} (AutoregressiveNetwork) has "
                f"conditional={self.conditional} and got "
                f"{'no' if conditional_input is None else 'a'} conditional_input"
            )
        context = None if conditional_input is None else at_least_float32(conditional_input)
        network = masked_networks.prepared(context=context, **self._weights())
        return network(at_least_float32(x))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        order = self.input_order
        return {
            **super().get_config(),
            "params": self.params,
            "event_shape": self.event_shape,
            "conditional": self.conditional,
            "conditional_event_shape": self.conditional_event_shape,
            "conditional_input_layers": self.conditional_input_layers,
            "hidden_units": self.hidden_units,
            "input_order": order if isinstance(order, str) else list(order),
            "hidden_degrees": self.hidden_degrees,
            "activation": keras.activations.serialize(self.activation) if self.activation else None,
            "use_bias": self.use_bias,
            "seed": self.seed,
            **{name: serialize(getattr(self, name)) for name in _OBJECTS},
        }


@serializable
class AutoregressiveTransform(DistributionLayer):
    r"""Pushes a distribution of vectors through a masked autoregressive flow, as in `tfp.layers`.

    $y_i = t_i(y_{<i}) + x_i\, e^{s_i(y_{<i})}$; shifts t and log scales s are the two numbers that
    the network gives for each component.

    Args:
        made: an `AutoregressiveNetwork` with `params=2`, or 1 for shifts alone.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: the distribution of x, with vectors for events.
        conditional_input: tensor `(..., features)`, if the network is conditional.

    Returns:
        A `timedist.distributions.NormalizingFlow` with the batch shape of the input.

    Raises:
        TypeError: if `made` is no such network, or the input no distribution.
        ValueError: if the network takes vectors of another size.

    Source: Papamakarios, Pavlakou, Murray: Masked Autoregressive Flow for Density Estimation
    (2017).

    >>> import keras
    >>> from timedist.layers import IndependentNormal
    >>> made = AutoregressiveNetwork(params=2, hidden_units=[8], activation="relu")
    >>> model = keras.Sequential([IndependentNormal(3), AutoregressiveTransform(made)])
    >>> model(keras.ops.zeros((32, 10, 6)))
    NormalizingFlow(Independent(Normal))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    def __init__(self, made: AutoregressiveNetwork, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(made, AutoregressiveNetwork):
            raise TypeError(
                "AutoregressiveTransform: made must be a `timedist.layers.AutoregressiveNetwork`, "
                f"got {made!r}"
            )
        if made.params > 2:
            raise ValueError(
                "AutoregressiveTransform: made must have params=2, a shift and a log scale, or "
                f"params=1, a shift, got params={made.params}"
            )
        self.made = made

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The transformed distribution."""
        if not self.made.built:
            self.made.build(self._event_of(inputs))
        return super().__call__(inputs, *args, **kwargs)

    def _event_of(self, inputs: Any) -> tuple:
        """The event shape of the input, which must be a distribution of vectors."""
        if isinstance(inputs, SymbolicDistribution):
            return inputs.event_shape
        if is_distribution(inputs):
            return as_distribution(inputs).event_shape
        raise DistributionTypeError(
            f"The layer {self.name!r} (AutoregressiveTransform) takes a distribution but got a "
            f"{type(inputs).__name__} of shape {tuple(getattr(inputs, 'shape', ()))}. Feed it the "
            "output of a distribution layer, e.g. `timedist.layers.IndependentNormal`."
        )

    def call(self, inputs: Any, conditional_input: Tensor | None = None) -> td.NormalizingFlow:
        """The transformed distribution."""
        event = self._event_of(inputs)
        if event != (self.made.event_size,):
            raise ValueError(
                f"The layer {self.name!r} (AutoregressiveTransform) takes distributions of vectors "
                f"of {self.made.event_size} components, got {inputs!r}"
            )
        if (conditional_input is None) == self.made.conditional:
            raise ValueError(
                f"The layer {self.name!r} (AutoregressiveTransform) got "
                f"{'no' if conditional_input is None else 'a'} conditional_input; its network has "
                f"conditional={self.made.conditional}"
            )
        base, flow = as_distribution(inputs), self.made.flow()
        if conditional_input is not None:
            context = at_least_float32(conditional_input)
            return td.NormalizingFlow.trusted(base=base, transforms=[flow], context=context)
        if type(base) is td.NormalizingFlow and base.context is None:
            return td.NormalizingFlow.trusted(base=base.base, transforms=[*base.transforms, flow])
        return td.NormalizingFlow.trusted(base=base, transforms=[flow])

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "made": keras.saving.serialize_keras_object(self.made)}

    @classmethod
    def from_config(cls, config: dict) -> AutoregressiveTransform:
        """The inverse of `get_config`."""
        made = keras.saving.deserialize_keras_object(config["made"])
        return super().from_config({**config, "made": made})


def _refuse(validate_args: Any) -> None:
    if validate_args is not False:
        raise ValueError(
            f"AutoregressiveNetwork: validate_args must be False, got {validate_args!r}: arguments "
            "are always looked at. Leave it out."
        )


def _choice(name: str, given: Any, options: Sequence[str]) -> str:
    return checks.choice("AutoregressiveNetwork", name, given, options)


def _one_axis(name: str, shape: Any) -> tuple[int, ...] | None:
    """A shape of one axis as a tuple, or `None`."""
    if shape is None:
        return None
    sizes = as_event_shape(shape)
    if len(sizes) != 1:
        raise ValueError(f"{name} must be one size, an int or a tuple of one, got {shape!r}")
    return sizes


def _as_order(order: Any, event_shape: tuple[int, ...] | None) -> str | tuple[int, ...]:
    if isinstance(order, str):
        return _choice("input_order", order, masked_networks.ORDERS)
    places = tuple(int(place) for place in order)
    size = None if event_shape is None else event_shape[0]
    if set(places) != set(range(1, max(places, default=0) + 1)) or len(places) != (
        size or len(places)
    ):
        raise ValueError(
            f"AutoregressiveNetwork: input_order must be one of {masked_networks.ORDERS} or the "
            f"place of each component, with no place from 1 on left out, got {order!r} for "
            f"event_shape={event_shape}"
        )
    return places


def _fresh(initializer: Any) -> Any:
    """An initializer that draws anew: an object without a seed draws the same at every call."""
    own = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if own else initializer


def _masked(mask: np.ndarray, initializer: Any) -> Any:
    """The initializer with zeros where the mask is false."""
    fresh = _fresh(initializer)

    def masked(shape: tuple, dtype: Any = None) -> Tensor:
        return ops.cast(mask, dtype) * ops.cast(fresh(shape, dtype), dtype)

    return masked


def _values(weights: list[Any]) -> tuple[Tensor, ...]:
    return tuple(at_least_float32(ops.convert_to_tensor(weight)) for weight in weights)


def _name_of(activation: Any) -> Any:
    """The name of an activation of Keras, with which a distribution is saved; or the function."""
    if activation is None:
        return None
    name = keras.activations.serialize(activation)
    return name if isinstance(name, str) else activation
