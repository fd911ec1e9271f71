"""Weights as a direction and a length, apart."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from timedist.layers.accepting import serializable
from timedist.ops import compat

Tensor = Any


@serializable
class WeightNorm(keras.layers.Wrapper):
    r"""Splits the kernel of a layer into directions and lengths, which are trained apart.

    $w_j = g_j\, v_j / \Vert v_j \Vert$ for every output j

    The kernel of the layer is v; it starts where it would without the wrapper, since g starts as
    its length.

    Args:
        layer: a layer with a weight `kernel` whose last axis counts the outputs, such as `Dense`
            and the convolutions.
        data_init: only `False`. TFP's default looks at the first batch, which no compiled model
            can; call `adapt` with some data instead.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: what the layer takes.
        training: whether this is a training step; given by Keras.

    Returns:
        What the layer returns. Its mask is the layer's.

    Raises:
        ValueError: if the layer has no kernel, or `data_init` is `True`.

    Source: Salimans, Kingma: Weight Normalization (2016).

    >>> import keras
    >>> layer = WeightNorm(keras.layers.Dense(3))
    >>> tuple(layer(keras.ops.ones((2, 10, 4))).shape)
    (2, 10, 3)
    """

    def __init__(self, layer: keras.Layer, data_init: bool = False, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if data_init:
            raise ValueError(
                "WeightNorm: data_init=True would look at the first batch, which a compiled model "
                "cannot; build the model and call `layer.adapt(inputs)` with some of its inputs"
            )
        self.supports_masking = layer.supports_masking

    def build(self, input_shape: Any = None) -> None:
        """Build the layer, and make the lengths of its kernel's columns."""
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", None)
        if kernel is None:
            raise ValueError(
                f"WeightNorm needs a layer with a weight `kernel`, which {self.layer!r} has not"
            )
        self.g = self.add_weight(
            name="g",
            shape=(kernel.shape[-1],),
            initializer=lambda shape, dtype: _length(compat.full_value(kernel)),
            dtype=kernel.dtype,
            autocast=False,
        )

    def kernel(self) -> Tensor:
        """The kernel that the layer is used with: $g\\, v / \\Vert v \\Vert$."""
        v = compat.full_value(self.layer.kernel)
        return v * (compat.full_value(self.g) / _length(v))

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Use the layer with the kernel of these lengths."""
        layer = self.layer
        weights = [
            self.kernel() if v is layer.kernel else compat.full_value(v)
            for v in layer.trainable_variables
        ]
        state = layer.non_trainable_variables
        options = {"training": training} if layer._call_has_training_arg else {}
        values = [ops.convert_to_tensor(v) for v in state]
        outputs, after = layer.stateless_call(weights, values, inputs, **options)
        for variable, value in zip(state, after, strict=True):
            variable.assign(value)
        return outputs

    def adapt(self, inputs: Any) -> None:
        """Choose lengths and bias so that the outputs before the activation are standardised.

        Args:
            inputs: tensor, some inputs of the layer; all axes but the last are averaged over.

        Raises:
            ValueError: if the layer has no bias, or an output does not vary.
        """
        if getattr(self.layer, "bias", None) is None:
            raise ValueError(
                f"WeightNorm.adapt: the layer {self.layer.name!r} has no bias; make it with "
                "use_bias=True"
            )
        activation, self.layer.activation = self.layer.activation, keras.activations.linear
        try:
            outputs = self(inputs)
        finally:
            self.layer.activation = activation
        axes = tuple(range(len(outputs.shape) - 1))
        mean, spread = ops.mean(outputs, axes), ops.std(outputs, axes)
        if not bool(ops.all(spread > 1e-6 * (1.0 + ops.abs(mean)))):
            raise ValueError(
                f"WeightNorm.adapt: some outputs of {self.layer.name!r} are the same for all the "
                "inputs given; give inputs that differ"
            )
        bias = ops.convert_to_tensor(self.layer.bias)
        self.layer.bias.assign((bias - mean) / spread)
        self.g.assign(self.g / ops.cast(spread, self.g.dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The layer's."""
        return self.layer.compute_output_shape(input_shape)


def _length(kernel: Tensor) -> Tensor:
    """Of every output's weights."""
    return ops.sqrt(ops.sum(ops.square(kernel), axis=tuple(range(len(kernel.shape) - 1))))
