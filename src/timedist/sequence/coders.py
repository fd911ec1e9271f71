"""The recurrent halves of an autoencoder: sequences to a latent posterior, latents to sequences."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from timedist import distributions as td
from timedist.layers import Head, IndependentNormal, MultivariateNormalTriL
from timedist.layers.base import DistributionLayer
from timedist.layers.symbolic import infer
from timedist.ops import special

Tensor = Any

CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
POSTERIORS = {"diagonal": IndependentNormal, "full": MultivariateNormalTriL}


class RecurrentCoder(DistributionLayer):
    """Base of both halves: recurrent layers, a projection where the head needs one, and a head.

    Args:
        head: a head of `timedist.layers`, or any layer that gives a distribution from features.
        units: width of each recurrent layer.
        depth: number of recurrent layers.
        cell: `"lstm"` or `"gru"`.
        **kwargs: of `keras.Layer`.

    Attributes:
        all_steps: whether every step is handed to the head, or the state after the last one.
    """

    all_steps: bool

    def __init__(self, head: keras.Layer, units: int, depth: int, cell: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head, self.units = head, units
        self.recurrent = [
            CELLS[cell](
                units,
                return_sequences=self.all_steps or number + 1 < depth,
                dtype=self.dtype_policy,
                name=f"recurrent_{number}",
            )
            for number in range(depth)
        ]
        # A head of a family reads its parameters; a flow or a user's layer takes any features.
        self.projection = (
            keras.layers.Dense(head.width, dtype=self.dtype_policy, name="projection")
            if isinstance(head, Head)
            else None
        )

    def build(self, input_shape: Any) -> None:
        """Make the weights for sequences of this width."""
        size = input_shape[-1]
        for layer in self.recurrent:
            layer.build((None, None, size))
            size = self.units
        lead = (None, None) if self.all_steps else (None,)
        if self.projection is not None:
            self.projection.build((*lead, size))
            size = self.projection.units
        build_layer(self.head, (*lead, size))
        self.built = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> td.Distribution:
        """The distribution of the head, at all steps or after the last that is not masked."""
        x = ops.cast(inputs, self.compute_dtype)
        if mask is not None:  # what stands at a masked step, NaN included, is not seen
            mask = ops.cast(mask, "bool")
            x = special.where(mask[..., None], x, 0.0)
        for layer in self.recurrent:
            x = layer(x, mask=mask)
        return self.head(x if self.projection is None else self.projection(x))


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


def build_layer(layer: keras.Layer, shape: tuple) -> None:
    """Make the weights of a layer, also of one without a `build` of its own."""
    if layer.built:
        return
    if type(layer).build is keras.Layer.build or isinstance(layer, keras.Model):
        infer(layer, keras.KerasTensor(shape, layer.compute_dtype))
    else:
        layer.build(shape)
