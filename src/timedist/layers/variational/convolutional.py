"""Convolutions with a posterior over their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from timedist import checks
from timedist.distributions import Distribution
from timedist.layers.accepting import serializable
from timedist.layers.heads import positive_int
from timedist.layers.variational.dense import flipped_out
from timedist.layers.variational.weights import WeightPosterior

Tensor = Any


class ConvolutionPosterior(WeightPosterior):
    """Base of the convolutions with a posterior over kernel and bias.

    Args:
        filters: int, the number of channels of the output.
        kernel_size: int or tuple, the extent of the kernel along each axis.
        strides: int or tuple. Default 1.
        padding: `"valid"` (default), `"same"`, or for one axis `"causal"`: the output at a step
            depends on no later step.
        data_format: `"channels_last"` or `"channels_first"`. Default: Keras's setting.
        dilation_rate: int or tuple. Default 1.
        activation: function, or its name. Default `None`: none.
        activity_regularizer: of the output. Default `None`.
        **kwargs: of `WeightPosterior` and of `keras.Layer`.

    Call arguments:
        inputs: tensor `(batch, steps, channels)` with one, two or three axes of steps.
        training: whether this is a training step; given by Keras.

    Returns:
        Tensor `(batch, new_steps, filters)`. The mask of the input is kept where the steps are:
        with `"same"` or `"causal"` padding and strides of 1.

    Raises:
        ValueError: if an argument is out of range, or a posterior does not fit.
    """

    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        activity_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int("filters", filters)
        self.kernel_size = self._extents("kernel_size", kernel_size)
        self.strides = self._extents("strides", strides)
        self.dilation_rate = self._extents("dilation_rate", dilation_rate)
        owner, paddings = type(self).__name__, ("valid", "same", "causal")
        self.padding = checks.choice(owner, "padding", padding, paddings[: 2 + (self.rank == 1)])
        self.data_format = data_format or keras.config.image_data_format()
        checks.choice(owner, "data_format", self.data_format, ("channels_last", "channels_first"))
        self.activation = keras.activations.get(activation)

    def _extents(self, name: str, given: Any) -> tuple[int, ...]:
        sizes = (given,) * self.rank if isinstance(given, int) else tuple(given)
        if len(sizes) != self.rank:
            raise ValueError(
                f"{type(self).__name__}: {name} must be an int or {self.rank} of them, "
                f"got {given!r}"
            )
        return tuple(positive_int(name, size) for size in sizes)

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: Any) -> None:
        """Make the variables."""
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"{type(self).__name__} takes {self.rank + 2} axes (batch, {self.rank} of steps, "
                f"channels), got shape {tuple(input_shape)}"
            )
        channels = input_shape[self._channel_axis]
        self._build_weights((*self.kernel_size, channels, self.filters), (self.filters,))

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Draw the weights and use them."""
        return self.activation(self._use_weights(inputs, training))

    def _linear(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        causal = self.padding == "causal"
        if causal:
            before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
            last = self.data_format == "channels_last"
            inputs = ops.pad(inputs, [(0, 0), *([before, (0, 0)] if last else [(0, 0), before])])
        return ops.conv(
            inputs,
            ops.cast(kernel, inputs.dtype),
            strides=self.strides,
            padding="valid" if causal else self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def _biased(self, outputs: Tensor, bias: Tensor) -> Tensor:
        shape = [1] * (self.rank + 2)
        shape[self._channel_axis] = self.filters
        return outputs + ops.cast(ops.reshape(bias, shape), outputs.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the input, where the steps of the output are its steps."""
        del inputs
        kept = self.padding != "valid" and all(stride == 1 for stride in self.strides)
        return previous_mask if kept else None

    def get_config(self) -> dict:
        """The constructor's arguments."""
        names = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
        }


class _Flipout(ConvolutionPosterior):
    """Parent of the convolutions by Flipout; see `DenseFlipout`."""

    def _transformed(self, inputs: Tensor, posterior: Distribution) -> tuple[Tensor, Tensor]:
        return flipped_out(self, inputs, posterior, self._channel_axis)


@serializable
class Convolution1DReparameterization(ConvolutionPosterior):
    r"""A convolution over time whose weights are drawn at every call.

    $y = \phi(x * W + b),\ W \sim q(W)$

    Arguments, result and errors as for `ConvolutionPosterior` and `WeightPosterior`; `padding` may
    be `"causal"`.

    Source: Kingma, Welling: Auto-Encoding Variational Bayes (2014).

    >>> import keras
    >>> layer = Convolution1DReparameterization(3, 2, padding="causal")
    >>> tuple(layer(keras.ops.ones((2, 10, 4))).shape)
    (2, 10, 3)
    """

    rank = 1


@serializable
class Convolution2DReparameterization(ConvolutionPosterior):
    r"""A convolution over two axes whose weights are drawn at every call.

    $y = \phi(x * W + b),\ W \sim q(W)$

    Arguments, result and errors as for `ConvolutionPosterior` and `WeightPosterior`.

    Source: Kingma, Welling: Auto-Encoding Variational Bayes (2014).

    >>> import keras
    >>> tuple(Convolution2DReparameterization(3, 2)(keras.ops.ones((2, 5, 5, 4))).shape)
    (2, 4, 4, 3)
    """

    rank = 2


@serializable
class Convolution3DReparameterization(ConvolutionPosterior):
    r"""A convolution over three axes whose weights are drawn at every call.

    $y = \phi(x * W + b),\ W \sim q(W)$

    Arguments, result and errors as for `ConvolutionPosterior` and `WeightPosterior`.

    Source: Kingma, Welling: Auto-Encoding Variational Bayes (2014).

    >>> import keras
    >>> tuple(Convolution3DReparameterization(3, 2)(keras.ops.ones((2, 3, 3, 3, 1))).shape)
    (2, 2, 2, 2, 3)
    """

    rank = 3


@serializable
class Convolution1DFlipout(_Flipout):
    r"""A convolution over time whose examples share a draw of the weights up to random signs.

    $y = \phi(x * \mu + ((x \circ s) * \Delta W) \circ r + b)$, as in `DenseFlipout`

    Arguments, result and errors as for `ConvolutionPosterior` and `WeightPosterior`; `padding` may
    be `"causal"`, and the posterior of the kernel must be mean-field normal.

    Source: Wen, Vicol, Ba, Tran, Grosse: Flipout (2018), section 3.1.

    >>> import keras
    >>> tuple(Convolution1DFlipout(3, 2, padding="same")(keras.ops.ones((2, 10, 4))).shape)
    (2, 10, 3)
    """

    rank = 1


@serializable
class Convolution2DFlipout(_Flipout):
    r"""A convolution over two axes whose examples share a draw of the weights up to random signs.

    $y = \phi(x * \mu + ((x \circ s) * \Delta W) \circ r + b)$, as in `DenseFlipout`

    Arguments, result and errors as for `ConvolutionPosterior` and `WeightPosterior`; the posterior
    of the kernel must be mean-field normal.

    Source: Wen, Vicol, Ba, Tran, Grosse: Flipout (2018), section 3.1.

    >>> import keras
    >>> tuple(Convolution2DFlipout(3, 2)(keras.ops.ones((2, 5, 5, 4))).shape)
    (2, 4, 4, 3)
    """

    rank = 2


@serializable
class Convolution3DFlipout(_Flipout):
    r"""A convolution over three axes whose examples share a draw of the weights up to random signs.

    $y = \phi(x * \mu + ((x \circ s) * \Delta W) \circ r + b)$, as in `DenseFlipout`

    Arguments, result and errors as for `ConvolutionPosterior` and `WeightPosterior`; the posterior
    of the kernel must be mean-field normal.

    Source: Wen, Vicol, Ba, Tran, Grosse: Flipout (2018), section 3.1.

    >>> import keras
    >>> tuple(Convolution3DFlipout(3, 2)(keras.ops.ones((2, 3, 3, 3, 1))).shape)
    (2, 2, 2, 2, 3)
    """

    rank = 3
