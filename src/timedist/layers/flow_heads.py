"""Heads whose distribution is a conditional normalizing flow at every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.layers.accepting import serializable
from timedist.layers.base import DistributionLayer, refuse_distribution
from timedist.layers.flows import AutoregressiveNetwork
from timedist.layers.heads import as_event_shape, at_least_float32, positive_int

Tensor = Any


class FlowHead(DistributionLayer):
    r"""Base of the heads that transform a standard normal vector by networks.

    The features of a step are what the networks are conditioned on: any number of them, with no
    `Dense` layer of a given size in front. A fresh head gives the standard normal distribution.

    Args:
        event_shape: the number of components, an int or a tuple of one.
        num_transforms: the number of networks, one after the other.
        hidden_units: the sizes of the hidden layers of each network.
        activation: of the hidden layers.
        log_scale_bound: number b: each transform scales by a factor between $e^{-b}$ and $e^b$,
            by $e^{b \tanh(s / b)}$ instead of $e^s$; `None` for no bound.
        kernel_initializer: of the kernels but the last of each network, which start at zero.
        kernel_regularizer: of the kernels.
        convert_to_tensor_fn: as for `DistributionLayer`.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.
    """

    keeps_first: bool = False

    def __init__(
        self,
        event_shape: int | Sequence[int],
        num_transforms: int = 4,
        hidden_units: Sequence[int] = (32, 32),
        activation: Any = "relu",
        log_scale_bound: float | None = 2.0,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.event_shape = as_event_shape(event_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                f"{type(self).__name__}: event_shape must be the number of components, an int or a "
                f"tuple of one, got {event_shape!r}"
            )
        self.num_transforms = positive_int("num_transforms", num_transforms)
        self.hidden_units = tuple(positive_int("hidden_units", units) for units in hidden_units)
        self.activation = keras.activations.get(activation)
        if log_scale_bound is not None and not (
            checks.is_number(log_scale_bound) and log_scale_bound > 0.0
        ):
            raise ValueError(
                f"{type(self).__name__}: log_scale_bound must be a positive number or None, got "
                f"{log_scale_bound!r}"
            )
        self.log_scale_bound = None if log_scale_bound is None else float(log_scale_bound)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def _order(self, number: int) -> Any:
        """The order of the components in transform `number`, as `AutoregressiveNetwork` has it."""
        raise NotImplementedError(f"{type(self).__name__} must implement `_order`")

    def build(self, input_shape: Any) -> None:
        """Make the networks."""
        if input_shape is None:
            refuse_distribution(self, "features")
        if not input_shape or input_shape[-1] is None:
            raise ValueError(
                f"The layer {self.name!r} ({type(self).__name__}) takes a known number of features "
                f"on the last axis, got shape {tuple(input_shape)}"
            )
        self.num_features = int(input_shape[-1])
        self.networks = [
            AutoregressiveNetwork(
                params=2,
                event_shape=self.event_shape,
                conditional=True,
                conditional_event_shape=self.num_features,
                hidden_units=self.hidden_units,
                input_order=self._order(number),
                hidden_degrees="equal" if self.keeps_first else "with_zero",
                activation=self.activation,
                kernel_initializer=self.kernel_initializer,
                kernel_regularizer=self.kernel_regularizer,
                output_initializer="zeros",
                dtype=self.dtype_policy,
                name=f"network_{number}",
            )
            for number in range(self.num_transforms)
        ]
        for network in self.networks:
            network.build(self.event_shape)
        self.built = True

    def call(self, inputs: Tensor) -> td.NormalizingFlow:
        """The distribution at each step."""
        context = at_least_float32(inputs)
        self._check_features(context)
        zeros = ops.zeros_like(context[..., :1]) + ops.zeros(self.event_shape, context.dtype)
        normal = td.Normal.trusted(loc=zeros, scale=ops.ones_like(zeros))
        return td.NormalizingFlow.trusted(
            base=td.Independent.trusted(base=normal),
            transforms=[
                network.flow(self.log_scale_bound, self.keeps_first) for network in self.networks
            ],
            context=context,
        )

    def _check_features(self, context: Tensor) -> None:
        wanted = self.num_features
        if context.shape[-1] != wanted:
            raise ValueError(
                f"The layer {self.name!r} ({type(self).__name__}) was built for {wanted} features, "
                f"got shape {tuple(context.shape)}"
            )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "event_shape": self.event_shape,
            "num_transforms": self.num_transforms,
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
            "log_scale_bound": self.log_scale_bound,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@serializable
class MaskedAutoregressiveFlow(FlowHead):
    r"""Vectors whose components depend on each other in any way: a density by one pass.

    $y_i = t_i(y_{<i}, c) + x_i\, e^{s_i(y_{<i}, c)}$, several times, the order of the components
    turned round in between; x is standard normal, c are the features of the step, and t and s the
    outputs of masked networks.

    A density takes one pass of each network and a draw as many as there are components: choose it
    where training and scores matter, and `RealNVP` where draws of many components do.

    Args:
        event_shape: the number of components of one draw, an int or a tuple of one.
        num_transforms: the number of networks, one after the other. Default 4.
        hidden_units: the sizes of the hidden layers of each network. Default `(32, 32)`.
        activation: of the hidden layers. Default `"relu"`.
        log_scale_bound: number b: each transform scales by $e^{b \tanh(s / b)}$, a factor between
            $e^{-b}$ and $e^b$, so that one outlier does not spoil the score. Default 2; `None` for
            $e^s$.
        kernel_initializer: of the kernels but the last of each network, which start at zero, so
            that a fresh head gives the standard normal distribution. Default `"glorot_uniform"`.
        kernel_regularizer: of the kernels. Default `None`.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., features)`, of any known number of features. The distribution holds
            them: where they are very many, a `Dense` layer in front keeps predictions small.

    Returns:
        A `timedist.distributions.NormalizingFlow` with `batch_shape == (...)`.

    Raises:
        ValueError: if an argument is not as said, or the number of features is not known.

    Source: Papamakarios, Pavlakou, Murray: Masked Autoregressive Flow for Density Estimation
    (2017).

    >>> import keras
    >>> MaskedAutoregressiveFlow(3)(keras.ops.zeros((32, 10, 8)))
    NormalizingFlow(Independent(Normal))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    def _order(self, number: int) -> str:
        return "right-to-left" if number % 2 else "left-to-right"


@serializable
class RealNVP(FlowHead):
    r"""Vectors whose components depend on each other: density and draw by one pass each.

    $y_B = t(y_A, c) + x_B\, e^{s(y_A, c)},\ y_A = x_A$ for two halves A and B of the components,
    several times, with other halves each time; x is standard normal and c are the features of the
    step.

    Args:
        event_shape: the number of components of one draw, at least 2, an int or a tuple of one.
        num_transforms: the number of networks, one after the other, at least 2. Default 6.
        hidden_units: as for `MaskedAutoregressiveFlow`. Default `(32, 32)`.
        activation: likewise. Default `"relu"`.
        log_scale_bound: likewise. Default 2.
        kernel_initializer: likewise. Default `"glorot_uniform"`.
        kernel_regularizer: likewise. Default `None`.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., features)`, as for `MaskedAutoregressiveFlow`.

    Returns:
        A `timedist.distributions.NormalizingFlow` with `batch_shape == (...)`.

    Raises:
        ValueError: if an argument is not as said, or the number of features is not known.

    Source: Dinh, Sohl-Dickstein, Bengio: Density Estimation Using Real NVP (2017).

    >>> import keras
    >>> RealNVP(3)(keras.ops.zeros((32, 10, 8))).sample(5, seed=1).shape[0]
    5
    """

    keeps_first = True

    def __init__(
        self, event_shape: int | Sequence[int], num_transforms: int = 6, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(event_shape, num_transforms, *args, **kwargs)
        positive_int("num_transforms", num_transforms, least=2)
        if self.event_shape[0] < 2:
            raise ValueError(
                "RealNVP: event_shape must have at least 2 components, one half to transform given "
                f"the other, got {event_shape!r}; use `MaskedAutoregressiveFlow`"
            )

    def _order(self, number: int) -> list[int]:
        """Halves side by side in two transforms, then every other component in two."""
        (size,) = self.event_shape
        first = [i % 2 == 0 if number // 2 % 2 else i < (size + 1) // 2 for i in range(size)]
        return [1 if kept != bool(number % 2) else 2 for kept in first]
