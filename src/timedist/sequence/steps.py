"""Step functions, and Keras RNN cells with a head, as models that `Rollout` samples from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from timedist import distributions as td
from timedist.ops import scans, special
from timedist.ops.random import StepSeed
from timedist.sequence.generative import Beginning, Generative

Tensor = Any


class StepFunction(Generative, keras.Layer):
    """A function that gives the distribution of the next event, as a model to sample from.

    Args:
        function: `function(state, y, covariates)` gives the distribution of the next event,
            `batch_shape == (rows,)`, and the next state. `state` is a structure of tensors `(rows,
            ...)`; `y` the event before, `(rows, ...)`; `covariates` what is known of the step whose
            distribution it is, or `None`.
        layers: the layers whose weights the function uses, so that Keras knows of them.

    Inputs, of `begin` and of `Rollout`: a dictionary of
        `"prefix"`: `(batch, time, ...)`, the events that are known, one at least: the first may be
            one that stands for the beginning, such as zeros.
        `"mask"`: boolean `(batch, time)`, false where a series has no event, before it begins or
            behind its end. Default: all are there, and one of each series must be.
        `"covariates"`: `(batch, time + steps, ...)`, known of every step. Default: none.
        `"state"`: the state before the first event. Default: `()`.

    Raises:
        TypeError: if `function` is no function.
        ValueError: in `begin`, if the inputs do not fit.

    A random walk of normal steps:

    >>> import numpy as np
    >>> from timedist.distributions import Normal
    >>> from timedist.sequence import Rollout
    >>> walk = lambda state, y, covariates: (Normal(y, 0.1), state)
    >>> rollout = Rollout(walk, num_paths=4, steps=6, seed=1)
    >>> rollout.predict({"prefix": np.zeros((2, 1), "float32")}, verbose=0).shape
    (2, 4, 6)
    """

    def __init__(self, function: Callable, layers: Sequence[keras.Layer] = ()) -> None:
        super().__init__(autocast=False)
        if not callable(function):
            raise TypeError(f"StepFunction: function must be a function, got {function!r}")
        self.function, self.layers = function, list(layers)
        self.built = True

    def start(self, prefix: Tensor) -> Any:
        """The state before the first event, where the inputs have none."""
        del prefix
        return ()

    def advance(self, state: Any, y: Tensor, covariates: Any) -> Any:
        """The state after an event that is known."""
        return self.function(state, y, covariates)[1]

    def begin(self, inputs: Any, steps: int | None = None) -> Beginning:
        """Read the prefix up to its last event."""
        steps = self._checked(inputs, steps)
        prefix = ops.convert_to_tensor(inputs["prefix"])
        time = ops.shape(prefix)[1]
        covariates, mask = inputs.get("covariates"), inputs.get("mask")
        state = inputs["state"] if "state" in inputs else self.start(prefix)
        mask = ops.ones(ops.shape(prefix)[:2], "bool") if mask is None else ops.cast(mask, "bool")
        numbers = ops.arange(time, dtype="int32")
        last = ops.max(ops.where(mask, numbers, 0), axis=1)
        read = ops.logical_and(mask, numbers < last[:, None])
        if not isinstance(time, int) or time > 1:
            state = self._read(state, prefix, read, covariates)
        known = {}
        if covariates is not None:
            known["covariates"] = _from(covariates, last + 1, steps)
        return Beginning(steps, _from(prefix, last, 1)[:, 0], known, (), state)

    def step(
        self, i: Tensor, y: Tensor, known: Any, shared: Any, state: Any, seed: StepSeed
    ) -> tuple[td.Distribution, Any]:
        """What the function gives."""
        del i, shared, seed
        return self.function(state, y, known.get("covariates"))

    def _read(self, state: Any, prefix: Tensor, read: Tensor, covariates: Tensor | None) -> Any:
        """The state after all events that are read."""
        number = ops.shape(prefix)[1] - 1
        entries = {"y": prefix[:, :-1], "read": read[:, :-1]}
        if covariates is not None:
            entries["covariates"] = covariates[:, 1 : number + 1]
        entries = {name: ops.moveaxis(x, 1, 0) for name, x in entries.items()}

        def body(before: Any, entry: dict) -> tuple:
            seen = entry["read"]
            # What stands where there is no event, NaN included, is not seen.
            y = special.where(special.beside(seen, entry["y"]), entry["y"], 0)
            after = self.advance(before, y, entry.get("covariates"))
            return keras.tree.map_structure(
                lambda new, old: ops.where(special.beside(seen, new), new, old), after, before
            ), ()

        return scans.loop(body, state, entries, number)[0]

    def _checked(self, inputs: Any, steps: int | None) -> int:
        """The number of steps to draw, if the inputs fit."""
        if not isinstance(inputs, dict) or "prefix" not in inputs:
            given = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
            raise ValueError(f'Rollout: a dictionary with "prefix" is needed, got {given}')
        prefix, covariates = inputs["prefix"], inputs.get("covariates")
        if len(prefix.shape) < 2 or prefix.shape[1] == 0:
            raise ValueError(
                "Rollout: prefix must have the shape (batch, time, ...) with one event or more, "
                f"got {tuple(prefix.shape)}"
            )
        if covariates is None:
            if steps is None:
                raise ValueError("Rollout: without covariates it must be told how many steps")
            return steps
        time = ops.shape(prefix)[1]
        future = ops.shape(covariates)[1] - time
        if isinstance(future, int) and future < (steps or 1):
            raise ValueError(
                f"Rollout: covariates have {covariates.shape[1]} steps, expected at least "
                f"{time + (steps or 1)}: {time} of the prefix and the {steps or 'first'} to draw"
            )
        return steps or future


class CellWithHead(StepFunction):
    """A trained Keras RNN cell and the layer that gives a distribution from its output.

    At each step the cell reads the event before it, flat, and the covariates of the step.

    Args:
        cell: a Keras RNN cell with weights, such as `model.layers[0].cell` of a recurrent layer, or
            `keras.layers.StackedRNNCells`.
        head: a layer with weights that gives a distribution from the cell's output, such as a
            `keras.Sequential` of a `Dense` layer and a head.
        embed: a layer or function that makes features `(rows, width)` of events `(rows, ...)`.
            Default `None`: the events themselves.

    Inputs: as for `StepFunction`; `"state"` is by default the cell's own.

    Raises:
        TypeError: if `cell` is no cell or `head` no layer.
        ValueError: if one has no weights yet.

    >>> import keras, numpy as np
    >>> from timedist.layers import IndependentNormal
    >>> from timedist.sequence import Rollout
    >>> lstm = keras.layers.LSTM(8, return_sequences=True)
    >>> head = keras.Sequential([keras.layers.Dense(2), IndependentNormal()])
    >>> model = keras.Sequential([lstm, head])  # to be trained on events and those that follow
    >>> past = np.zeros((5, 20, 1), "float32")
    >>> model(past).batch_shape
    (5, 20)
    >>> Rollout(CellWithHead(lstm.cell, head), 3, steps=6).predict(
    ...     {"prefix": past[..., 0]}, verbose=0
    ... ).shape
    (5, 3, 6)
    """

    def __init__(self, cell: keras.Layer, head: keras.Layer, embed: Any = None) -> None:
        if not isinstance(cell, keras.Layer) or not hasattr(cell, "state_size"):
            raise TypeError(f"CellWithHead: cell must be a Keras RNN cell, got {cell!r}")
        if not isinstance(head, keras.Layer):
            raise TypeError(
                "CellWithHead: head must be the layer that gives a distribution from the cell's "
                f"output, got {head!r}"
            )
        for name, layer in (("cell", cell), ("head", head)):
            if not layer.built:
                raise ValueError(
                    f"CellWithHead: the {name} {layer.name!r} has no weights yet; train the model "
                    "it belongs to, or call it on data, first"
                )
        layers = [embed] if isinstance(embed, keras.Layer) else []
        super().__init__(self._both, [cell, head, *layers])
        self.cell, self.head, self.embed = cell, head, embed
        # A model takes inputs of the rank it was built for.
        inputs: Any = getattr(head, "inputs", None)
        self._of_sequences = bool(inputs) and len(inputs[0].shape) == 3

    def start(self, prefix: Tensor) -> Any:
        """The initial state of the cell."""
        return self.cell.get_initial_state(batch_size=ops.shape(prefix)[0])

    def advance(self, state: Any, y: Tensor, covariates: Any) -> Any:
        """One step of the cell, without the head."""
        return self._cell(state, y, covariates)[1]

    def _both(self, state: Any, y: Tensor, covariates: Any) -> tuple:
        features, state = self._cell(state, y, covariates)
        if self._of_sequences:
            return self.head(features[:, None], training=False)[:, 0], state
        return self.head(features, training=False), state

    def _cell(self, state: Any, y: Tensor, covariates: Any) -> tuple:
        if self.embed is not None:
            y = self.embed(y)
        rows = ops.shape(y)[0]
        parts = [y] if covariates is None else [y, covariates]
        parts = [ops.cast(ops.reshape(x, (rows, -1)), self.cell.compute_dtype) for x in parts]
        features, after = self.cell(ops.concatenate(parts, axis=-1), state, training=False)
        # Some cells give a list for a single state, or a tuple for a list.
        return features, keras.tree.pack_sequence_as(state, keras.tree.flatten(after))


def as_generative(model: Any, head: keras.Layer | None) -> Any:
    """What is sampled, as something `Generative`.

    Args:
        model: as for `Rollout`.
        head: as for `Rollout`.

    Returns:
        A layer or model that is `Generative`.

    Raises:
        TypeError: if it is none of the kind, or a head is there without a cell.
    """
    if hasattr(model, "state_size") and isinstance(model, keras.Layer):
        return CellWithHead(model, head)
    if head is not None:
        raise TypeError(f"Rollout: head is for a Keras RNN cell, got the model {model!r}")
    if isinstance(model, Generative):
        return model
    if isinstance(model, keras.Layer) or not callable(model):
        raise TypeError(
            "Rollout: model must be a generative model such as AutoregressiveRNN, a Keras RNN cell "
            f"with its head, or a step function, got {model!r}"
        )
    return StepFunction(model)


def _from(x: Tensor, first: Tensor, number: int) -> Tensor:
    """Of every row of `(batch, time, ...)` so many steps from its own `first` on."""
    index = first[:, None] + ops.arange(number, dtype=first.dtype)
    index = ops.reshape(index, (*ops.shape(index), *(1,) * (len(x.shape) - 2)))
    whole = (*ops.shape(index)[:2], *ops.shape(x)[2:])
    return ops.take_along_axis(x, ops.broadcast_to(index, whole), axis=1)
