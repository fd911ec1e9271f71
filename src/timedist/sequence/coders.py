"""Networks that end in a distribution: the halves of an autoencoder, and ones of single steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from timedist import distributions as td
from timedist.layers import Head, IndependentNormal, MultivariateNormalTriL
from timedist.layers.base import DistributionLayer
from timedist.layers.symbolic import infer
from timedist.ops import special
from timedist.sequence.cores import RecurrentCore

Tensor = Any

POSTERIORS = {"diagonal": IndependentNormal, "full": MultivariateNormalTriL}


class Coder(DistributionLayer):
    """Base of networks that end in a head, with a projection in front where the head needs one.

    Args:
        head: a head of `timedist.layers`, or any layer that gives a distribution from features.
        **kwargs: of `keras.Layer`.
    """

    def __init__(self, head: keras.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head = head
        self.projection: keras.layers.Dense | None = None

    def add_projection(self) -> None:
        """Make the projection if the head needs one, after the layers in front of it."""
        # A head of a family reads its parameters; a flow or a user's layer takes any features.
        if isinstance(self.head, Head):
            policy = self.dtype_policy
            self.projection = keras.layers.Dense(self.head.width, dtype=policy, name="projection")

    def build_head(self, shape: tuple) -> None:
        """Make the weights of projection and head for features of this shape."""
        if self.projection is not None:
            self.projection.build(shape)
            shape = (*shape[:-1], self.projection.units)
        build_layer(self.head, shape)

    def distribution(self, features: Tensor) -> td.Distribution:
        """The distribution of the head."""
        return self.head(features if self.projection is None else self.projection(features))


class DenseCoder(Coder):
    """Features of a step, on the last axis, through dense layers to a distribution there.

    Args:
        head: as for `Coder`.
        hidden_units: the sizes of the dense layers.
        **kwargs: of `keras.Layer`.
    """

    def __init__(self, head: keras.Layer, hidden_units: Sequence[int], **kwargs: Any) -> None:
        super().__init__(head, **kwargs)
        self.hidden = dense_layers(hidden_units, self.dtype_policy)
        self.add_projection()

    def build(self, input_shape: Any) -> None:
        """Make the weights for features of this width."""
        lead = (None,) * (len(input_shape) - 1)
        self.build_head((*lead, build_dense(self.hidden, input_shape[-1])))
        self.built = True

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution at every step."""
        return self.distribution(through(self.hidden, ops.cast(inputs, self.compute_dtype)))


class RecurrentCoder(Coder):
    """Base of both halves of an autoencoder: recurrent layers and a head.

    Args:
        head: as for `Coder`.
        units: width of each recurrent layer.
        depth: number of recurrent layers.
        cell: `"lstm"` or `"gru"`.
        **kwargs: of `keras.Layer`.

    Attributes:
        all_steps: whether every step is handed to the head, or the state after the last one.
    """

    all_steps: bool

    def __init__(self, head: keras.Layer, units: int, depth: int, cell: str, **kwargs: Any) -> None:
        super().__init__(head, **kwargs)
        self.core = RecurrentCore(units, depth, cell, dtype=self.dtype_policy, name="core")
        self.add_projection()

    def build(self, input_shape: Any) -> None:
        """Make the weights for sequences of this width."""
        self.core.build(input_shape)
        lead = (None, None) if self.all_steps else (None,)
        self.build_head((*lead, self.core.units))
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> td.Distribution:
        """The distribution of the head, at all steps or after the last that is not masked."""
        x, mask = unseen(inputs, mask, self.compute_dtype)
        features, states = self.core.read(x, mask)
        return self.distribution(features if self.all_steps else states[-1][0])


class RecurrentEncoder(RecurrentCoder):
    """Sequences `(batch, time, channels)` to a posterior `(batch,)` of latent vectors."""

    all_steps = False

    def __init__(self, latent_dim: int, posterior: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(POSTERIORS[posterior](latent_dim), *args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """None: a sequence has become one vector."""
        del inputs, previous_mask


class RecurrentDecoder(RecurrentCoder):
    """Latent vectors at every step, `(batch, time, latent)`, to a distribution at each step."""

    all_steps = True


def at_every_step(z: Tensor, steps: Any) -> Tensor:
    """Latent vectors `(batch, latent)` again at each step, `(batch, steps, latent)`."""
    return ops.broadcast_to(z[:, None], (ops.shape(z)[0], steps, z.shape[-1]))


def unseen(inputs: Tensor, mask: Tensor | None, dtype: str) -> tuple[Tensor, Tensor | None]:
    """Sequences in a dtype, with zeros for what stands at masked steps, NaN included; the mask."""
    x = ops.cast(inputs, dtype)
    if mask is None:
        return x, None
    mask = ops.cast(mask, "bool")
    return special.where(mask[..., None], x, 0.0), mask


def dense_layers(hidden_units: Sequence[int], dtype: Any) -> list[keras.Layer]:
    """Dense layers of these sizes, each a rectified one."""
    return [
        keras.layers.Dense(units, "relu", dtype=dtype, name=f"dense_{number}")
        for number, units in enumerate(hidden_units)
    ]


def build_dense(layers: Sequence[keras.Layer], size: int) -> int:
    """Make the weights of dense layers for features of this width; the width they give."""
    for layer in layers:
        layer.build((None, size))
        size = layer.units
    return size


def through(layers: Sequence[keras.Layer], x: Tensor) -> Tensor:
    """What layers one after the other make of a tensor."""
    for layer in layers:
        x = layer(x)
    return x


def build_layer(layer: keras.Layer, shape: tuple) -> None:
    """Make the weights of a layer, also of one without a `build` of its own."""
    if layer.built:
        return
    if type(layer).build is keras.Layer.build or isinstance(layer, keras.Model):
        infer(layer, keras.KerasTensor(shape, layer.compute_dtype))
    else:
        layer.build(shape)
