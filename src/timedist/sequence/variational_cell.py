"""The recurrence of `VariationalRNN`: one step that draws a latent vector and remembers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from timedist.layers import IndependentNormal
from timedist.sequence.coders import DenseCoder, build_dense, dense_layers, through

Tensor = Any

CELLS = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell}


class VariationalCell(keras.Layer):
    """One step: the posterior of the latent vector, a draw from it by given noise, the new state.

    Args:
        latent_dim: the number of components of the latent vector.
        units: width of the recurrent cell.
        cell: `"lstm"` or `"gru"`.
        hidden_units: the sizes of the hidden layers of each network.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(batch, features + latent_dim)`: features of the observation, and noise.
        states: list of tensors `(batch, units)`, the first of which is what a cell tells.

    Returns:
        A tensor `(batch, size)` of parts of the widths `sizes`, and the new states. The parts are
        loc and scale of the posterior, the draw, its features, and the state the step began with.
    """

    def __init__(
        self, latent_dim: int, units: int, cell: str, hidden_units: Sequence[int], **kwargs: Any
    ) -> None:
        # Noise and normals are not those of the network's precision.
        super().__init__(autocast=False, **kwargs)
        self.latent_dim, self.units = latent_dim, units
        policy = self.dtype_policy
        self.posterior = DenseCoder(
            IndependentNormal(latent_dim), hidden_units, dtype=policy, name="posterior"
        )
        self.reader = dense_layers(hidden_units, policy)
        self.recurrent = CELLS[cell](units, dtype=policy, name="recurrent")
        self.state_size = self.recurrent.state_size
        self.latent_width = hidden_units[-1] if hidden_units else latent_dim
        self.sizes = (latent_dim, latent_dim, latent_dim, self.latent_width, units)

    def build(self, input_shape: Any) -> None:
        """Make the weights for features and noise of this width together."""
        features = input_shape[-1] - self.latent_dim
        self.posterior.build((None, features + self.units))
        build_dense(self.reader, self.latent_dim)
        self.recurrent.build((None, features + self.latent_width))
        self.built = True

    def call(self, inputs: Tensor, states: list) -> tuple[Tensor, list]:
        """One step."""
        noise = inputs[..., -self.latent_dim :]
        features = ops.cast(inputs[..., : -self.latent_dim], self.compute_dtype)
        posterior = self.posterior(ops.concatenate([features, states[0]], axis=-1)).base
        z = posterior.loc + posterior.scale * noise
        latent = self.read(z)
        parts = [posterior.loc, posterior.scale, z, latent, states[0]]
        output = ops.concatenate([ops.cast(part, inputs.dtype) for part in parts], axis=-1)
        return output, self.advance(features, latent, states)

    def read(self, z: Tensor) -> Tensor:
        """Features of latent vectors."""
        return through(self.reader, ops.cast(z, self.compute_dtype))

    def advance(self, features: Tensor, latent: Tensor, states: list) -> list:
        """The states after an observation and a latent vector, given by their features."""
        _, states = self.recurrent(ops.concatenate([features, latent], axis=-1), list(states))
        return list(states)
