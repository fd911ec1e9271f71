"""Causal attention: a transformer that reads whole sequences, or goes on step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist.layers import Head
from timedist.layers.accepting import serializable
from timedist.layers.heads import at_least_float32
from timedist.ops.buffers import written
from timedist.sequence.autoregressive import AutoregressiveModel
from timedist.sequence.cores import Core

Tensor = Any

# The wavelengths of the rotations lie between 2 pi and 2 pi times this, in steps.
_LONGEST = 10_000.0
# What a key that is out of sight scores.
_HIDDEN = -1e30


@serializable
class TransformerCore(Core):
    r"""A causal transformer with rotary positions, and keys and values kept for steps to come.

    In each layer $x \mathrel{+}= A(N(x))$, then $x \mathrel{+}= F(N(x))$, with $A$ causal
    self-attention, $F$ a network of two dense layers and $N$ layer normalisation, which stands once
    more at the end. Queries and keys are rotated by an angle in proportion to their position, so
    their products depend on distances only, and a sequence may have any length.

    Args:
        units: width of the layers, a multiple of `2 * heads`.
        depth: number of layers. Default 2.
        heads: number of attention heads. Default 4.
        feedforward: width of the hidden layer of $F$, in multiples of `units`. Default 4.
        dropout: fraction of the outputs of $A$ and $F$ dropped while training. Default 0.
        window: how many steps each attention layer sees, its own included, at least 2; with it the
            cost of a step does not grow with the sequence. All of the past if `None`, the default.
        **kwargs: of `keras.Layer`.

    Call arguments:
        x: `(batch, steps, width)`.

    Returns:
        Tensor of shape `(batch, steps, units)`; a step depends on itself and those before it.

    Raises:
        ValueError: if an argument does not fit.

    Source: Vaswani et al.: Attention Is All You Need (2017); Xiong et al.: On Layer Normalization
    in the Transformer Architecture (2020); Su et al.: RoFormer (2021).

    >>> import numpy as np
    >>> core = TransformerCore(units=8, heads=2)
    >>> tuple(core(np.zeros((3, 10, 5))).shape)
    (3, 10, 8)
    """

    own = ("units", "depth", "heads", "feedforward", "dropout", "window")

    def __init__(
        self,
        units: int,
        depth: int = 2,
        heads: int = 4,
        feedforward: int = 4,
        dropout: float = 0.0,
        window: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.units = checks.count(owner, "units", units, 1)
        self.depth = checks.count(owner, "depth", depth, 1)
        self.heads = checks.count(owner, "heads", heads, 1)
        self.feedforward = checks.count(owner, "feedforward", feedforward, 1)
        self.window = None if window is None else checks.count(owner, "window", window, 2)
        self.dropout = checks.fraction(owner, "dropout", dropout)
        if units % (2 * heads):
            raise ValueError(
                f"{owner}: units must be a multiple of 2 * heads = {2 * heads}, got {units}: "
                "each head has units / heads numbers, which are rotated in pairs"
            )
        self.supports_masking = True
        policy = self.dtype_policy
        self.entry = keras.layers.Dense(units, dtype=policy, name="entry")
        self.blocks = [
            TransformerBlock(
                units, heads, feedforward, dropout, window, dtype=policy, name=f"block_{number}"
            )
            for number in range(depth)
        ]
        self.norm = keras.layers.LayerNormalization(dtype=policy, name="norm")

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this width."""
        self.entry.build(input_shape)
        for layer in (*self.blocks, self.norm):
            layer.build((*input_shape[:-1], self.units))
        self.built = True

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Features of all steps."""
        x = self.entry(x)
        for block in self.blocks:
            x = block(x, training=training)
        return self.norm(x)

    def begin(self, x: Tensor, steps: int) -> tuple[list, list]:
        """Keys and values of the known steps, and room for those of the steps to come."""
        x = self.entry(x)
        context, own = [], []
        for block in self.blocks:
            x, known, room = block.begin(x, steps)
            context.append(known)
            own.append(room)
        return context, own

    def step(self, x: Tensor, i: Tensor, shared: list, state: list) -> tuple[Tensor, list]:
        """Features of one more step; its keys and values are written into the state given."""
        x, states = self.entry(x), []
        for block, known, own in zip(self.blocks, shared, state, strict=True):
            x, new = block.step(x, i, known, own)
            states.append(new)
        return self.norm(x), states


class TransformerBlock(keras.Layer):
    """One layer of a transformer: attention, then two dense layers, each behind a normalisation.

    Args:
        units: width.
        heads: number of attention heads.
        feedforward: width of the hidden layer, in multiples of `units`.
        dropout: fraction of either part's output dropped while training.
        window: steps the attention sees, or `None`.
        **kwargs: of `keras.Layer`.
    """

    def __init__(
        self,
        units: int,
        heads: int,
        feedforward: int,
        dropout: float,
        window: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        policy, dense = self.dtype_policy, keras.layers.Dense
        self.attention = CausalAttention(units, heads, window, dtype=policy, name="attention")
        self.wide = dense(feedforward * units, activation="gelu", dtype=policy, name="wide")
        self.narrow = dense(units, dtype=policy, name="narrow")
        self.before_attention, self.before_dense = (
            keras.layers.LayerNormalization(dtype=policy, name=name)
            for name in ("before_attention", "before_dense")
        )
        self.thinned = keras.layers.Dropout(dropout, dtype=policy)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        for layer in (self.before_attention, self.attention, self.before_dense, self.wide):
            layer.build(input_shape)
        self.narrow.build((*input_shape[:-1], self.wide.units))
        self.built = True

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """All steps at once."""
        x = x + self.thinned(self.attention(self.before_attention(x)), training=training)
        return x + self.thinned(self._dense(x), training=training)

    def _dense(self, x: Tensor) -> Tensor:
        return self.narrow(self.wide(self.before_dense(x)))

    def begin(self, x: Tensor, steps: int) -> tuple[Tensor, tuple, tuple]:
        """The known steps, their keys and values, and room for those of the steps to come."""
        attended, known, room = self.attention.begin(self.before_attention(x), steps)
        x = x + attended
        return x + self._dense(x), known, room

    def step(self, x: Tensor, i: Tensor, known: tuple, own: tuple) -> tuple[Tensor, tuple]:
        """One more step."""
        attended, own = self.attention.step(self.before_attention(x), i, known, own)
        x = x + attended
        return x + self._dense(x), own


class CausalAttention(keras.Layer):
    """Self-attention to what came before, of several heads with rotary positions.

    Args:
        units: width of inputs and outputs.
        heads: number of heads.
        window: how many steps it sees, its own included; all before it if `None`.
        **kwargs: of `keras.Layer`.
    """

    def __init__(self, units: int, heads: int, window: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.size, self.window = heads, units // heads, window
        self.supports_masking = True
        # Queries, keys and values of all heads by one product.
        self.inward = keras.layers.Dense(3 * units, dtype=self.dtype_policy, name="inward")
        self.outward = keras.layers.Dense(units, dtype=self.dtype_policy, name="outward")

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self.inward.build(input_shape)
        self.outward.build(input_shape)
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """All steps at once, `(batch, steps, units)`."""
        return self._all(x, ops.arange(ops.shape(x)[1]))[0]

    def begin(self, x: Tensor, steps: int) -> tuple[Tensor, tuple, tuple]:
        """The known steps, what later steps can see of their keys and values, and empty buffers.

        Keys are kept as `(batch, heads, size, steps)`, values as `(batch, heads, steps, size)`:
        then both products of a step run through memory in order. The first step to come is at
        position 0 and the known ones below it, so that how many are kept says where they are.
        """
        batch, length = ops.shape(x)[:2]
        attended, key, value = self._all(x, ops.arange(length) - length)
        room = steps
        if self.window is not None:
            room = min(steps, self.window)
            key, value = (part[:, -(self.window - 1) :] for part in (key, value))
        known = (ops.transpose(key, (0, 2, 3, 1)), ops.transpose(value, (0, 2, 1, 3)))
        shapes = (batch, self.heads, self.size, room), (batch, self.heads, room, self.size)
        return attended, known, tuple(ops.zeros(shape, value.dtype) for shape in shapes)

    def _all(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attention of every step to those before it, with keys and values."""
        query, key, value = self._parts(x, positions)
        if self.window is None:
            heads = ops.dot_product_attention(query, key, value, is_causal=True)
        else:
            back = positions[:, None] - positions
            seen = ops.logical_and(back >= 0, back < self.window)
            heads = ops.dot_product_attention(query, key, value, mask=seen[None, None])
        return self.outward(ops.reshape(heads, ops.shape(x))), key, value

    def _parts(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, `(batch, steps, heads, size)`."""
        shape = (*ops.shape(x)[:2], 3, self.heads, self.size)
        parts = ops.reshape(self.inward(x), shape)
        query, key = (rotated(parts[:, :, part], positions) for part in (0, 1))
        return query, key, parts[:, :, 2]

    def step(self, x: Tensor, i: Tensor, known: tuple, own: tuple) -> tuple[Tensor, tuple]:
        """One more step of all paths, `(rows, units)`: what it attends to, and the new buffers.

        The buffer of a window is a ring, in which the newest entry takes the place of the oldest.
        """
        query, key, value = (
            ops.transpose(part, (0, 2, 1, 3))
            for part in self._parts(x[:, None], ops.reshape(ops.cast(i, "int32"), (1,)))
        )
        keys, values = own
        length, room = ops.shape(known[0])[3], keys.shape[3]
        place = i % room
        keys = written(keys, place, ops.transpose(key, (0, 1, 3, 2)), axis=3)
        values = written(values, place, value, axis=2)
        to_known = self._of_rows(ops.matmul(self._of_series(query, known[0]), known[0]))
        products = ops.concatenate([to_known, ops.matmul(query, keys)], axis=-1)
        weights = self._weights(products, i, length, room)
        of_series = self._of_series(weights[..., :length], known[1])
        heads = self._of_rows(ops.matmul(of_series, known[1]))
        heads = heads + ops.matmul(weights[..., length:], values)
        return self.outward(ops.reshape(heads, ops.shape(x))), (keys, values)

    def _of_series(self, x: Tensor, known: Tensor) -> Tensor:
        """From `(rows, heads, 1, ...)` to `(batch, heads, paths, ...)`.

        So the paths of a series are the queries to its context, which is there once for them all.
        """
        shape = (ops.shape(known)[0], -1, self.heads, x.shape[-1])
        return ops.transpose(ops.reshape(x, shape), (0, 2, 1, 3))

    def _of_rows(self, x: Tensor) -> Tensor:
        """The inverse of `_of_series`."""
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, self.heads, 1, x.shape[-1]))

    def _weights(self, products: Tensor, i: Tensor, length: int, room: int) -> Tensor:
        """Weights of the keys of `length` known steps and of a buffer, of which i + 1 are there."""
        precise = at_least_float32(products) / math.sqrt(self.size)
        seen = ops.arange(length + room) <= i + length
        if self.window is not None:
            back = i + length - ops.arange(length + room)
            inside = ops.logical_or(ops.arange(length + room) >= length, back < self.window)
            seen = ops.logical_and(seen, inside)
        weights = ops.softmax(ops.where(seen, precise, ops.full_like(precise, _HIDDEN)), axis=-1)
        return ops.cast(weights, products.dtype)


@serializable
class AutoregressiveTransformer(AutoregressiveModel):
    r"""An `AutoregressiveModel` with causal attention: it looks back at every step it has read.

    Args:
        head: as for `AutoregressiveModel`. Default `MixtureNormal(3)`.
        lags: likewise. Default `(1, 2, 3)`.
        context_length: steps that are read before a forecast. Default 24.
        units: width of the layers, a multiple of `2 * heads`. Default 64.
        depth: number of layers. Default 2.
        heads: number of attention heads. Default 4.
        feedforward: width of the hidden dense layers, in multiples of `units`. Default 4.
        dropout: fraction of each layer's outputs dropped while training. Default 0.
        window: how many steps each attention layer sees, its own included, at least 2. All of the
            past if `None`, the default.
        **options: of `AutoregressiveModel`, such as `num_series`, `transform`, `nonnegative` and
            `scheduled_sampling`, and of `keras.Model`.

    Call arguments, result, errors: as for `AutoregressiveModel`; the network is a
    `TransformerCore`. In sampling each step attends to the keys and values of the steps before it,
    those of the known past being there once for all paths of a series.

    Source: Vaswani et al.: Attention Is All You Need (2017), and those of `TransformerCore`.

    >>> import numpy as np
    >>> model = AutoregressiveTransformer(lags=(1, 2, 7), context_length=5, units=8, heads=2)
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
        depth: int = 2,
        heads: int = 4,
        feedforward: int = 4,
        dropout: float = 0.0,
        window: int | None = None,
        **options: Any,
    ) -> None:
        core = TransformerCore(
            units,
            depth,
            heads,
            feedforward,
            dropout,
            window,
            dtype=options.get("dtype"),
            name="core",
        )
        super().__init__(core, head, lags, context_length, **options)


def rotated(x: Tensor, positions: Tensor) -> Tensor:
    """Pairs of numbers turned by angles in proportion to the position.

    Args:
        x: `(batch, steps, heads, size)`, of an even size.
        positions: int tensor `(steps,)`.

    Returns:
        Tensor of the shape and dtype of `x`. The product of a query and a key turned in this way
        depends on the difference of their positions only.
    """
    half = x.shape[-1] // 2
    precise = at_least_float32(x)
    rates = ops.cast(_LONGEST ** -(np.arange(half) / half), precise.dtype)
    angles = (ops.cast(positions, precise.dtype)[:, None] * rates)[:, None]
    cosine, sine = ops.cos(angles), ops.sin(angles)
    first, second = precise[..., :half], precise[..., half:]
    turned = [first * cosine - second * sine, first * sine + second * cosine]
    return ops.cast(ops.concatenate(turned, axis=-1), x.dtype)
