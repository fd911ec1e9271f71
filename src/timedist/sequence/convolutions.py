"""Dilated causal convolutions that read whole sequences, or go on step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from timedist import checks
from timedist.layers import Head
from timedist.layers.accepting import serializable
from timedist.ops.buffers import written
from timedist.sequence.autoregressive import AutoregressiveModel
from timedist.sequence.cores import Core

Tensor = Any


@serializable
class ConvolutionalCore(Core):
    r"""Gated dilated causal convolutions, as in WaveNet, that keep their past inputs for later.

    Each layer computes $z = \tanh(W x) \cdot \sigma(V x)$, with $W$ and $V$ convolutions that
    see `kernel_size` steps, `dilation` apart, hands $x + R z$ to the next layer, and adds $S z$
    to the features. With dilations that double, what the last layer sees grows exponentially with
    the number of layers, see `receptive_field`.

    Args:
        units: width of the layers.
        kernel_size: steps each convolution sees, at least 2. Default 2.
        dilations: for each layer, how far apart these steps are. Default `(1, 2, 4, 8, 16)`.
        dropout: fraction of each layer's $z$ dropped while training. Default 0.
        **kwargs: of `keras.Layer`.

    Call arguments:
        x: `(batch, steps, width)`.

    Returns:
        Tensor of shape `(batch, steps, units)`; a step depends on itself and those before it.

    Raises:
        ValueError: if an argument does not fit.

    Source: van den Oord et al.: WaveNet (2016); the generation step by step from kept inputs:
    Le Paine et al.: Fast WaveNet Generation Algorithm (2016).

    >>> import numpy as np
    >>> core = ConvolutionalCore(units=8, dilations=(1, 2, 4))
    >>> core.receptive_field
    8
    >>> tuple(core(np.zeros((3, 10, 5))).shape)
    (3, 10, 8)
    """

    own = ("units", "kernel_size", "dilations", "dropout")

    def __init__(
        self,
        units: int,
        kernel_size: int = 2,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.units = checks.count(owner, "units", units, 1)
        self.kernel_size = checks.count(owner, "kernel_size", kernel_size, 2)
        self.dilations = checked_dilations(owner, dilations)
        self.dropout = checks.fraction(owner, "dropout", dropout)
        self.supports_masking = True
        policy, last = self.dtype_policy, len(self.dilations) - 1
        self.entry = keras.layers.Dense(units, dtype=policy, name="entry")
        self.blocks = [
            GatedConvolution(
                units,
                self.kernel_size,
                dilation,
                dropout,
                residual=number < last,
                dtype=policy,
                name=f"block_{number}",
            )
            for number, dilation in enumerate(self.dilations)
        ]
        self.exit = keras.layers.Dense(units, activation="relu", dtype=policy, name="exit")

    @property
    def receptive_field(self) -> int:
        """How many steps a feature depends on, its own included."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this width."""
        self.entry.build(input_shape)
        for layer in (*self.blocks, self.exit):
            layer.build((*input_shape[:-1], self.units))
        self.built = True

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Features of all steps."""
        x, total = self.entry(x), 0.0
        for block in self.blocks:
            x, skipped = block(x, training=training)
            total = total + skipped
        return self.exit(ops.relu(total))

    def begin(self, x: Tensor, steps: int) -> tuple[list, list]:
        """What each layer will need of its inputs at the known steps; nothing is shared."""
        del steps
        x, kept = self.entry(x), []
        for block in self.blocks:
            kept.append(block.latest(x))
            x, _ = block(x, training=False)
        return [], kept

    def step(self, x: Tensor, i: Tensor, shared: list, state: list) -> tuple[Tensor, list]:
        """Features of one more step; what layers keep of it is written into the state given."""
        del shared
        x, total, states = self.entry(x), 0.0, []
        for block, kept in zip(self.blocks, state, strict=True):
            x, skipped, new = block.step(x, i, kept)
            total = total + skipped
            states.append(new)
        return self.exit(ops.relu(total)), states


class GatedConvolution(keras.Layer):
    """One layer of a WaveNet.

    Args:
        units: width.
        kernel_size: steps the convolution sees.
        dilation: how far apart these are.
        dropout: fraction of the gated values dropped while training.
        residual: whether there is a layer after it.
        **kwargs: of `keras.Layer`.
    """

    def __init__(
        self,
        units: int,
        kernel_size: int,
        dilation: int,
        dropout: float,
        residual: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.kernel_size, self.dilation = units, kernel_size, dilation
        policy, dense = self.dtype_policy, keras.layers.Dense
        # Of its outputs one half is what passes, the other how much of it.
        self.convolution = keras.layers.Conv1D(
            2 * units,
            kernel_size,
            padding="causal",
            dilation_rate=dilation,
            dtype=policy,
            name="convolution",
        )
        self.skip = dense(units, dtype=policy, name="skip")
        self.residual = dense(units, dtype=policy, name="residual") if residual else None
        self.thinned = keras.layers.Dropout(dropout, dtype=policy)
        self.supports_masking = self.convolution.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        for layer in (self.convolution, self.skip, self.residual):
            if layer is not None:
                layer.build(input_shape)
        self.built = True

    def call(self, x: Tensor, training: bool | None = None) -> tuple[Tensor, Tensor]:
        """All steps at once: what goes to the next layer and what to the features."""
        return self._gated(x, self.convolution(x), training)

    def _gated(self, x: Tensor, convolved: Tensor, training: bool | None) -> tuple[Tensor, Tensor]:
        passing, gate = convolved[..., : self.units], convolved[..., self.units :]
        z = self.thinned(ops.tanh(passing) * ops.sigmoid(gate), training=training)
        return (x if self.residual is None else x + self.residual(z)), self.skip(z)

    @property
    def reach(self) -> int:
        """How many steps back the convolution sees."""
        return self.dilation * (self.kernel_size - 1)

    def latest(self, x: Tensor) -> Tensor:
        """The inputs at the last `reach` steps, zero before the first: `(batch, reach, units)`."""
        return ops.pad(x, ((0, 0), (self.reach, 0), (0, 0)))[:, -self.reach :]

    def step(self, x: Tensor, i: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One more step, `(rows, units)`, and the inputs that are kept for later.

        These are a ring: the input at step i is written to place `i % reach`, over the one
        `reach` steps before it, which is needed here for the last time.
        """
        places = [
            (i + self.reach - back * self.dilation) % self.reach
            for back in range(self.kernel_size - 1, 0, -1)
        ]
        seen = ops.concatenate([*(ops.take(kept, place, axis=1) for place in places), x], axis=-1)
        kernel = ops.reshape(self.convolution.kernel, (-1, 2 * self.units))
        convolved = ops.matmul(seen, ops.cast(kernel, seen.dtype))
        convolved = convolved + ops.cast(self.convolution.bias, seen.dtype)
        kept = written(kept, places[0], x[:, None], axis=1)
        return *self._gated(x, convolved, False), kept


@serializable
class AutoregressiveWaveNet(AutoregressiveModel):
    r"""An `AutoregressiveModel` with gated dilated causal convolutions: WaveNet.

    Args:
        head: as for `AutoregressiveModel`. Default `MixtureNormal(3)`.
        lags: likewise. Default `(1, 2, 3)`.
        context_length: steps that are read before a forecast. More than the `receptive_field` of
            the network are never used, fewer are filled up with zeros. Default 24.
        units: width of the layers. Default 64.
        kernel_size: steps each convolution sees, at least 2. Default 2.
        dilations: for each layer, how far apart these steps are. Default `(1, 2, 4, 8, 16)`.
        dropout: fraction of each layer's gated values dropped while training. Default 0.
        **options: of `AutoregressiveModel`, such as `num_series`, `transform`, `nonnegative` and
            `scheduled_sampling`, and of `keras.Model`.

    Call arguments, result, errors: as for `AutoregressiveModel`; the network is a
    `ConvolutionalCore`. In sampling each layer keeps the inputs it still needs, so a step costs the
    same however long the past is.

    Source: van den Oord et al.: WaveNet (2016), and Le Paine et al.: Fast WaveNet Generation
    Algorithm (2016).

    >>> import numpy as np
    >>> model = AutoregressiveWaveNet(lags=(1, 7), context_length=5, units=8, dilations=(1, 2))
    >>> model({"target": np.ones((2, 7 + 8)), "features": np.zeros((2, 8, 3))}).batch_shape
    (2, 8)
    """

    makes_core = True

    def __init__(
        self,
        head: Head | None = None,
        lags: Sequence[int] = (1, 2, 3),
        context_length: int = 24,
        units: int = 64,
        kernel_size: int = 2,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        core = ConvolutionalCore(
            units, kernel_size, dilations, dropout, dtype=options.get("dtype"), name="core"
        )
        super().__init__(core, head, lags, context_length, **options)


def checked_dilations(owner: str, dilations: Sequence[int]) -> tuple[int, ...]:
    """One or more ints, each at least 1."""
    try:
        found = tuple(dilations)
    except TypeError:
        found = ()
    if not found or not all(isinstance(d, int) and d >= 1 for d in found):
        raise ValueError(f"{owner}: dilations must be one or more ints >= 1, got {dilations!r}")
    return found
