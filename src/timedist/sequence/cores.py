"""Networks that read a sequence from left to right, at once or step by step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, ClassVar

import keras
from keras import ops

from timedist import checks
from timedist.layers import GRU, LSTM
from timedist.layers.accepting import serializable
from timedist.ops import recurrent

Tensor = Any

CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU}


class Core(keras.Layer):
    """A causal network: what it gives at a step depends on this and earlier steps only.

    Called on a whole sequence it gives the features of all steps at once. `begin` on the known
    steps and `step` on each further one give the same, with a cost of one step for each. Rows are
    paths: `rows = batch * paths`, those of one series next to each other.

    Attributes:
        own: names of those of the constructor's arguments that are a subclass's own.
        units: int, the number of features.
    """

    own: ClassVar[tuple[str, ...]] = ()
    units: int

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """The features of all steps.

        Args:
            x: tensor `(batch, time, width)`.
            training: whether dropout is on.

        Returns:
            Tensor `(batch, time, units)`.
        """
        raise NotImplementedError

    def with_static(self, x: Tensor, static: Tensor, training: bool | None = None) -> Tensor:
        """The features of all steps, of inputs some of which are the same at all of them.

        Args:
            x: tensor `(batch, time, width)`, the first inputs.
            static: tensor `(batch, static width)`, the inputs behind them.
            training: whether dropout is on.

        Returns:
            Tensor `(batch, time, units)`.
        """
        return self(joined(x, static), training=training)

    def arguments(self) -> dict:
        """Those of the constructor's arguments that are its own."""
        return {name: getattr(self, name) for name in self.own}

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), **self.arguments()}

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """`(batch, time, units)`."""
        return (*input_shape[:-1], self.units)

    def begin(self, x: Tensor, steps: int) -> tuple[Any, Any]:
        """Read the known steps, once for each series.

        Args:
            x: tensor `(batch, context, width)`.
            steps: int, how many steps will follow.

        Returns:
            A structure of tensors `(batch, ...)` that all paths of a series read, and one that
            every path carries on by itself.
        """
        raise NotImplementedError

    def step(self, x: Tensor, i: Tensor, shared: Any, state: Any) -> tuple[Tensor, Any]:
        """The features of one further step.

        Args:
            x: tensor `(rows, width)`.
            i: integer tensor `()`, the number of the step, from 0.
            shared: the first part of what `begin` gave.
            state: the second part, `(rows, ...)`.

        Returns:
            Tensor `(rows, units)`, and the next state.
        """
        raise NotImplementedError

    def known(self, x: Tensor, columns: Sequence[int]) -> Any:
        """Read of further steps what all paths of a series have in common, once for each series.

        Args:
            x: tensor `(batch, steps, width)`; its `columns` are not read.
            columns: positions of the inputs that every path has of its own.

        Returns:
            A structure of tensors `(batch, steps, ...)`.
        """
        del columns
        return x

    def step_from(
        self, known: Any, x: Tensor, columns: Sequence[int], i: Tensor, shared: Any, state: Any
    ) -> tuple[Tensor, Any]:
        """As `step`, of inputs that are known but for some columns.

        Args:
            known: what `known` gave of this step, tensors `(rows, ...)`.
            x: tensor `(rows, len(columns))`.
            columns: the same as those of `known`.
            i: as for `step`.
            shared: as for `step`.
            state: as for `step`.

        Returns:
            Tensor `(rows, units)`, and the next state.
        """
        return self.step(_filled(known, x, columns), i, shared, state)


def joined(x: Tensor, static: Tensor) -> Tensor:
    """Inputs `(batch, time, width)` with static ones `(batch, width)` behind them at each step."""
    static = ops.repeat(static[:, None], ops.shape(x)[1], axis=1)
    return ops.concatenate([x, static], axis=-1)


def _filled(known: Tensor, x: Tensor, columns: Sequence[int]) -> Tensor:
    """`known` with the columns of `x` in the place of some of its own."""
    own = dict(zip(columns, range(len(columns)), strict=True))
    parts = []
    for is_own, places in groupby(range(known.shape[-1]), own.__contains__):
        first, *rest = (own.get(place, place) for place in places)
        parts.append((x if is_own else known)[..., first : first + len(rest) + 1])
    return ops.concatenate(parts, axis=-1)


@serializable
class RecurrentCore(Core):
    """Recurrent layers of Keras, one above the other.

    Args:
        units: int, width of each layer. Default 64.
        depth: int, number of layers. Default 1.
        cell: `"lstm"` (default) or `"gru"`.
        dropout: number, the fraction of the last layer's output that is dropped in training.
            Default 0.
        **kwargs: of `keras.Layer`.

    Call arguments, result: as for `Core`.

    Raises:
        ValueError: if an argument is not as said.

    >>> import numpy as np
    >>> tuple(RecurrentCore(units=5, depth=2)(np.zeros((2, 7, 3), "float32")).shape)
    (2, 7, 5)
    """

    own = ("units", "depth", "cell", "dropout")

    def __init__(
        self,
        units: int = 64,
        depth: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = checks.count("RecurrentCore", "units", units, 1)
        self.depth = checks.count("RecurrentCore", "depth", depth, 1)
        self.cell = checks.choice("RecurrentCore", "cell", cell, tuple(CELLS))
        self.dropout = checks.fraction("RecurrentCore", "dropout", dropout)
        self.recurrent = [
            CELLS[cell](
                units,
                return_sequences=True,
                return_state=True,
                dtype=self.dtype_policy,
                name=f"recurrent_{number}",
            )
            for number in range(depth)
        ]
        self.thinned = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of this width."""
        size = input_shape[-1]
        for layer in self.recurrent:
            layer.build((None, None, size))
            size = self.units
        self.built = True

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """The output of the last layer at all steps."""
        return self.thinned(self.read(x)[0], training=training)

    def with_static(self, x: Tensor, static: Tensor, training: bool | None = None) -> Tensor:
        """The output of the last layer; in the first one, what is static is multiplied once."""
        x, static = (ops.cast(part, self.compute_dtype) for part in (x, static))
        first, *others = self.recurrent
        features = recurrent.with_static(first, x, static)
        if features is None:
            return super().with_static(x, static, training)
        for layer in others:
            features, *_ = layer(features)
        return self.thinned(features, training=training)

    def read(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, list]:
        """Sequences, or parts of such, without dropout.

        Args:
            x: tensor `(batch, time, width)`.
            mask: boolean tensor `(batch, time)`; masked steps are passed over. Default: none.

        Returns:
            The output of the last layer at all steps, `(batch, time, units)`, and the states of all
            layers at the end, those of each a list of tensors `(batch, units)`, the output first.
        """
        x, states = ops.cast(x, self.compute_dtype), []
        for layer in self.recurrent:
            x, *state = layer(x, mask=mask)
            states.append(state)
        return x, states

    def begin(self, x: Tensor, steps: int) -> tuple[Any, Any]:
        """The weights of all layers, and their states after the known steps."""
        del steps
        return self.step_weights(x), self.read(x)[1]

    def step_weights(self, x: Tensor) -> list[tuple]:
        """The weights of all layers as steps read them, the first part of what `begin` gives.

        Args:
            x: inputs of any number of steps.
        """
        x = ops.cast(x, self.compute_dtype)
        return [recurrent.weights(layer, x) for layer in self.recurrent]

    def step(self, x: Tensor, i: Tensor, shared: Any, state: Any) -> tuple[Tensor, Any]:
        """One step of all cells."""
        del i
        return self._advanced(self.recurrent, shared, ops.cast(x, self.compute_dtype), state)

    def known(self, x: Tensor, columns: Sequence[int]) -> dict[str, Tensor]:
        """The first layer's product with what is known, or the inputs themselves."""
        x = ops.cast(x, self.compute_dtype)
        weights = recurrent.weights(self.recurrent[0], x)
        return {"part": recurrent.known_part(weights, x, columns)} if weights else {"x": x}

    def step_from(
        self, known: Any, x: Tensor, columns: Sequence[int], i: Tensor, shared: Any, state: Any
    ) -> tuple[Tensor, Any]:
        """One step of all cells."""
        x = ops.cast(x, self.compute_dtype)
        if "x" in known:
            return super().step_from(known["x"], x, columns, i, shared, state)
        (first, *others), (its, *theirs), (before, *rest) = self.recurrent, shared, state
        x, after = recurrent.step_from(first, its, known["part"], x, columns, before)
        x, advanced = self._advanced(others, theirs, x, rest)
        return x, [after, *advanced]

    def _advanced(self, layers: list, weights: list, x: Tensor, state: list) -> tuple[Tensor, list]:
        advanced = []
        for layer, its, before in zip(layers, weights, state, strict=True):
            x, after = recurrent.step(layer, its, x, before)
            advanced.append(after)
        return x, advanced
