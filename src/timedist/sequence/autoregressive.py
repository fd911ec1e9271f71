"""`AutoregressiveRNN`: a recurrent network that reads its past and gives a distribution a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from timedist import distributions as td
from timedist.layers import Head, MixtureNormal
from timedist.layers.accepting import serializable
from timedist.sequence.scaling import mean_absolute

Tensor = Any

_CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
# Targets are read as asinh(y / (scale * TIGHTNESS)): logarithmic for all but the smallest values.
_TIGHTNESS = 0.04
_SHIFT = math.asinh(1.0 / _TIGHTNESS)


@serializable
class AutoregressiveRNN(keras.Model):
    r"""A recurrent model of a series given its past, calendar features and what series it is.

    $p(y_{1:T}) = \prod_t p(y_t \mid y_{<t}, x_{\le t})$. The network reads past targets at the
    given lags, divided by the scale of the series (the mean absolute value of its known past) and,
    with `transform="asinh"`, compressed; it is trained by teacher forcing with
    `NegativeLogLikelihood(missing="mask")` and generates by feeding back its own draws, see
    `Rollout`.

    Args:
        head: a head of `timedist.layers` for a scalar event. Default `MixtureNormal(3)`. Continuous
            heads describe the scaled target, heads of counts the counts, with a scaled mean.
        lags: how many steps back the network sees the target, distinct ints >= 1. Seasonal lags
            (24 and 168 for hourly data) decide the quality on seasonal series.
        context_length: steps the recurrent state is warmed up on before a forecast.
        units: width of each recurrent layer. Default 64.
        depth: number of recurrent layers. Default 1.
        cell: `"lstm"` (default) or `"gru"`.
        num_series: number of distinct series; if more than one, each has a learned embedding.
            Default 0.
        embedding_dim: width of the embedding. Default 8.
        transform: `"asinh"` (default) or `"none"`, for continuous heads and for the inputs.
        nonnegative: whether draws below zero are set to zero. Default false.
        dropout: fraction of the last recurrent layer's output dropped while training; the lagged
            inputs are never dropped. Default 0.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: a dictionary of
            `"target"`: `(batch, max_lag + steps)`, the series in its own unit, NaN where missing;
            `"features"`: `(batch, steps, features)`, known for every step;
            `"series"`: `(batch,)`, number of the series; needed if `num_series` is above 1.

    Returns:
        A distribution of the target in its own unit, `batch_shape == (batch, steps)`: at each step
        given everything before that step.

    Raises:
        ValueError: if an argument or the length of an input does not fit.

    Source: Salinas, Flunkert, Gasthaus, Januschowski: DeepAR, International Journal of Forecasting
    (2020).

    >>> import numpy as np
    >>> model = AutoregressiveRNN(lags=(1, 2, 7), context_length=5, units=4)
    >>> model({"target": np.ones((2, 7 + 8)), "features": np.zeros((2, 8, 3))}).batch_shape
    (2, 8)
    """

    def __init__(
        self,
        head: Head | None = None,
        lags: Sequence[int] = (1, 2, 3),
        context_length: int = 24,
        units: int = 64,
        depth: int = 1,
        cell: str = "lstm",
        num_series: int = 0,
        embedding_dim: int = 8,
        transform: str = "asinh",
        nonnegative: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.head = MixtureNormal(3) if head is None else head
        self.lags = _checked_lags(lags)
        _check_choice("cell", cell, _CELLS)
        _check_choice("transform", transform, ("asinh", "none"))
        for name, value, least in (
            ("context_length", context_length, 1),
            ("units", units, 1),
            ("depth", depth, 1),
            ("num_series", num_series, 0),
            ("embedding_dim", embedding_dim, 1),
        ):
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f"AutoregressiveRNN: {name} must be an int >= {least}, got {value!r}"
                )
        self.context_length = context_length
        self.units, self.depth, self.cell = units, depth, cell
        self.num_series, self.embedding_dim = num_series, embedding_dim
        self.transform, self.nonnegative = transform, nonnegative
        self.dropout = dropout
        # What tells one series from no other is the bias. (On torch Keras tries series 1 anyway.)
        several = num_series > 1
        self.embedding = keras.layers.Embedding(num_series, embedding_dim) if several else None
        self.recurrent = [
            _CELLS[cell](
                units,
                return_sequences=True,
                return_state=True,
                name=f"recurrent_{i}",
            )
            for i in range(depth)
        ]
        self.thinned = keras.layers.Dropout(dropout)
        self.projection = keras.layers.Dense(_params_size(self.head), name="projection")

    @property
    def max_lag(self) -> int:
        """The longest lag: how many steps of history stand in front of the first step."""
        return max(self.lags)

    @property
    def counts(self) -> bool:
        """Whether the head describes counts: their mean is scaled, the counts stay integers."""
        return self.head.family.discrete

    def build(self, input_shape: Any) -> None:
        """Make the weights for features of the given width."""
        steps, width = input_shape["features"][1:]
        del steps
        size = (
            2 * len(self.lags)
            + width
            + 1
            + (self.embedding_dim if self.embedding is not None else 0)
        )
        if self.embedding is not None:
            self.embedding.build((None,))
        for layer in self.recurrent:
            layer.build((None, None, size))
            size = self.units
        self.projection.build((None, None, size))
        self.head.build((None, None, self.projection.units))
        self.built = True

    def call(self, inputs: dict, training: bool | None = None) -> td.Distribution:
        """Teacher forcing: the distribution of every step given the true past."""
        self._check_inputs(inputs)
        scale = self.scale_of(inputs["target"])
        lagged = self.lagged(inputs["target"], ops.shape(inputs["features"])[1], scale)
        x = self.step_inputs(lagged, inputs["features"], self.static_inputs(inputs, scale))
        for layer in self.recurrent:
            x, *_ = layer(x, training=training)
        x = self.thinned(x, training=training)
        return self.distribution(self.projection(x), scale[:, None])

    def scale_of(self, target: Tensor) -> Tensor:
        """Mean absolute value of the known past, `(batch,)`; 1 where all is zero or unknown."""
        return mean_absolute(target[:, : self.max_lag + self.context_length])

    def lagged(self, target: Tensor, steps: int, scale: Tensor) -> Tensor:
        """Lagged targets of each step as the network reads them, `(batch, steps, lags)`."""
        index = [[self.max_lag + t - lag for lag in self.lags] for t in range(steps)]
        return self.compressed(
            ops.take(target, ops.convert_to_tensor(index, "int32"), axis=1), scale[:, None, None]
        )

    def compressed(self, y: Tensor, scale: Tensor) -> Tensor:
        """Targets in the unit of the network: 0 at the scale of the series."""
        if self.transform == "none":
            return y / scale - 1.0
        return ops.arcsinh(y / (scale * _TIGHTNESS)) - _SHIFT

    def static_inputs(self, inputs: dict, scale: Tensor) -> Tensor:
        """What does not change over time, `(batch, width)`: log scale and embedding."""
        log_scale = 0.2 * ops.log(scale)[:, None]
        if self.embedding is None:
            return log_scale
        return ops.concatenate([log_scale, self.embedding(inputs["series"])], axis=-1)

    def step_inputs(self, lagged: Tensor, features: Tensor, static: Tensor) -> Tensor:
        """Inputs of the recurrent layers, `(batch, steps, ...)`, from parts of the same steps."""
        seen = ops.logical_not(ops.isnan(lagged))
        lagged = ops.where(seen, lagged, ops.zeros_like(lagged))
        steps = ops.shape(features)[1]
        static = ops.repeat(static[:, None], steps, axis=1)
        missing = ops.cast(ops.logical_not(seen), lagged.dtype)
        return ops.concatenate([lagged, missing, ops.cast(features, lagged.dtype), static], axis=-1)

    def distribution(self, parameters: Tensor, scale: Tensor) -> td.Distribution:
        """The distribution in the unit of the data from the network's output and the scale."""
        scaled = self.head(parameters)
        scale = ops.cast(ops.broadcast_to(scale, ops.shape(parameters)[:-1]), scaled.dtype)
        if self.counts:
            return scaled.with_mean_times(scale) if hasattr(scaled, "with_mean_times") else scaled
        if self.transform == "none":
            transform = td.transforms.Affine.trusted(loc=scale, scale=scale)
        else:
            transform = td.transforms.Sinh.trusted(loc=_SHIFT, scale=scale * _TIGHTNESS)
        return td.TransformedDistribution.trusted(base=scaled, transform=transform)

    def _check_inputs(self, inputs: dict) -> None:
        needed = {"target", "features", *(("series",) if self.embedding is not None else ())}
        if not isinstance(inputs, dict) or not needed <= set(inputs):
            given = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
            raise ValueError(f"AutoregressiveRNN needs the inputs {sorted(needed)}, got {given}")
        length, steps = inputs["target"].shape[1], inputs["features"].shape[1]
        if None not in (length, steps) and length != self.max_lag + steps:
            raise ValueError(
                f"AutoregressiveRNN: target has {length} steps, expected {self.max_lag + steps}: "
                f"the longest lag, {self.max_lag}, plus the {steps} steps of the features"
            )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        names = [
            "lags",
            "context_length",
            "units",
            "depth",
            "cell",
            "num_series",
            "embedding_dim",
            "transform",
            "nonnegative",
            "dropout",
        ]
        config = {name: getattr(self, name) for name in names}
        return {
            **super().get_config(),
            **config,
            "head": keras.saving.serialize_keras_object(self.head),
        }

    @classmethod
    def from_config(cls, config: dict) -> AutoregressiveRNN:
        """The inverse of `get_config`."""
        head = keras.saving.deserialize_keras_object(config.pop("head"))
        return cls(head=head, **config)


def _params_size(head: Head) -> int:
    if not isinstance(head, Head) or head.width is None or getattr(head, "event_shape", ()) != ():
        raise ValueError(
            "AutoregressiveRNN: head must be a head of timedist.layers for scalar events, got "
            f"{head!r}"
        )
    if head.convert_to_tensor_fn is not None:
        raise ValueError(
            f"AutoregressiveRNN: the head {head.name!r} gives a tensor, by its "
            f"convert_to_tensor_fn={head.convert_to_tensor_fn!r}; leave that out"
        )
    return head.width


def _checked_lags(lags: Sequence[int]) -> tuple[int, ...]:
    lags = tuple(lags)
    valid = lags and all(isinstance(lag, int) and lag >= 1 for lag in lags)
    if not valid or len(set(lags)) != len(lags):
        raise ValueError(f"AutoregressiveRNN: lags must be distinct ints >= 1, got {lags!r}")
    return tuple(sorted(lags))


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in choices:
        raise ValueError(
            f"AutoregressiveRNN: {name} must be one of {sorted(choices)}, got {value!r}"
        )
