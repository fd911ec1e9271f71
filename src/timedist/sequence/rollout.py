"""`Rollout`: futures of an autoregressive model by ancestral sampling in one compiled loop."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from timedist.ops.random import StepSeed, draw_key
from timedist.sequence.autoregressive import AutoregressiveRNN

Tensor = Any

# A path is kept within this many scales of its series: the inverse of the compression is
# exponential, and one draw from a tail would feed back.
_WIDEST = 50.0


class Rollout(keras.Model):
    """Samples futures of an `AutoregressiveRNN`; being a model, its `predict` runs in batches.

    The past is encoded once for each series, then all paths go through one compiled loop, each step
    drawing from the model's distribution and feeding the draw back.

    Args:
        model: a built `AutoregressiveRNN`.
        num_paths: number of independent paths for each series.
        seed: int or `None`.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: a dictionary of `"target"`: `(batch, max_lag + context_length)`, the known past;
            `"features"`: `(batch, context_length + horizon, features)`; `"series"`: `(batch,)`.

    Returns:
        Tensor of shape `(batch, num_paths, horizon)`, in the unit of the data.

    Raises:
        ValueError: if the past has another length or the features have no future.

    >>> import numpy as np
    >>> model = AutoregressiveRNN(lags=(1, 2, 7), context_length=5, units=4)
    >>> past = {"target": np.ones((2, 7 + 5)), "features": np.zeros((2, 5 + 3, 1))}
    >>> Rollout(model, num_paths=10, seed=1).predict(past, verbose=0).shape
    (2, 10, 3)
    """

    def __init__(
        self, model: AutoregressiveRNN, num_paths: int = 100, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_paths, int) or num_paths < 1:
            raise ValueError(f"Rollout: num_paths must be an int >= 1, got {num_paths!r}")
        self.model = model
        self.num_paths = num_paths
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Else Keras runs the whole loop once, step by step, to build what is built already.
        self.built = model.built

    def build(self, input_shape: Any) -> None:
        """Make the model's weights, if it has none yet."""
        if not self.model.built:
            self.model.build(input_shape)
        self.built = True

    def call(self, inputs: dict) -> Tensor:
        """Draw the paths."""
        model, paths = self.model, self.num_paths
        horizon = self._horizon(inputs)
        batch = ops.shape(inputs["target"])[0]
        scale = model.scale_of(inputs["target"])
        static = model.static_inputs(inputs, scale)
        lagged = self._known_lags(inputs["target"], horizon, scale)
        context = model.context_length
        states = self._encode(lagged[:, :context], inputs["features"][:, :context], static)

        def spread(x: Tensor) -> Tensor:
            return ops.repeat(x, paths, axis=0)

        step = _Step(
            model, lagged[:, context:], inputs["features"][:, context:], static, scale, paths
        )
        key = draw_key(self.seed_generator)
        states = [[spread(s) for s in layer] for layer in states]
        empty = ops.zeros((batch * paths, horizon), dtype=lagged.dtype)

        def body(i: Tensor, carry: tuple) -> tuple:
            states, drawn, read = carry
            y, states = step(i, states, read, StepSeed(key, i))
            seen = model.compressed(y, step.scale)
            drawn, read = (
                ops.slice_update(a, (0, i), b[:, None]) for a, b in ((drawn, y), (read, seen))
            )
            return states, drawn, read

        # `read` holds the draws as the network reads them, so that each is compressed once.
        _, drawn, _ = ops.fori_loop(0, horizon, body, (states, empty, empty))
        return ops.reshape(drawn, (-1, paths, horizon))

    def _horizon(self, inputs: dict) -> int:
        model = self.model
        past, steps = inputs["target"].shape[1], inputs["features"].shape[1]
        needed = model.max_lag + model.context_length
        if past != needed:
            raise ValueError(
                f"Rollout: target has {past} steps, expected {needed}: the longest lag, "
                f"{model.max_lag}, plus the context length, {model.context_length}"
            )
        if steps <= model.context_length:
            raise ValueError(
                f"Rollout: features have {steps} steps, expected more than the context length, "
                f"{model.context_length}: the steps after it are the future"
            )
        return steps - model.context_length

    def _known_lags(self, target: Tensor, horizon: int, scale: Tensor) -> Tensor:
        """Lagged targets over context and horizon; what lies in the future is NaN."""
        future = ops.full((ops.shape(target)[0], horizon), float("nan"), dtype=target.dtype)
        padded = ops.concatenate([target, future], axis=1)
        return self.model.lagged(padded, self.model.context_length + horizon, scale)

    def _encode(self, lagged: Tensor, features: Tensor, static: Tensor) -> list:
        """The recurrent states after the context, once for each series."""
        x, states = self.model.step_inputs(lagged, features, static), []
        for layer in self.model.recurrent:
            x, *state = layer(x, training=False)
            states.append(state)
        return states


class _Step:
    """One step of all paths: assemble the input, advance the cells, draw."""

    def __init__(
        self,
        model: AutoregressiveRNN,
        lagged: Tensor,
        features: Tensor,
        static: Tensor,
        scale: Tensor,
        paths: int,
    ) -> None:
        self.model = model
        self.paths = paths
        self.lagged, self.features = lagged, features
        self.static = ops.repeat(static, paths, axis=0)
        self.scale = ops.repeat(scale, paths, axis=0)
        # Only lags shorter than the horizon ever reach into the future; they stand first.
        self.short = sum(lag < lagged.shape[1] for lag in model.lags)
        self.lags = ops.convert_to_tensor(model.lags[: self.short], "int32")

    def __call__(
        self, i: Tensor, states: list, read: Tensor, seed: StepSeed
    ) -> tuple[Tensor, list]:
        lagged, features = (
            ops.repeat(ops.take(x, i, axis=1), self.paths, axis=0)
            for x in (self.lagged, self.features)
        )
        x = self.model.step_inputs(
            self._fed_back(i, lagged, read)[:, None], features[:, None], self.static
        )[:, 0]
        advanced = []
        for layer, state in zip(self.model.recurrent, states, strict=True):
            x, new = layer.cell(x, state, training=False)
            advanced.append(list(new))
        distribution = self.model.distribution(self.model.projection(x), self.scale)
        return self._bounded(distribution.draw(seed=seed)), advanced

    def _fed_back(self, i: Tensor, lagged: Tensor, read: Tensor) -> Tensor:
        """The lagged targets of step i, with own draws where the lag reaches into the future."""
        if not self.short:
            return lagged
        own = ops.cast(i, "int32") - self.lags
        drawn = ops.take(read, ops.maximum(own, 0), axis=1)
        recent = ops.where(own >= 0, drawn, lagged[:, : self.short])
        return ops.concatenate([recent, lagged[:, self.short :]], axis=1)

    def _bounded(self, y: Tensor) -> Tensor:
        """Draws within reach of the scale, and not below zero where the data never are."""
        widest = _WIDEST * self.scale
        lowest = ops.zeros_like(widest) if self.model.nonnegative else -widest
        y = ops.cast(y, widest.dtype)
        return y if self.model.counts else ops.minimum(ops.maximum(y, lowest), widest)
