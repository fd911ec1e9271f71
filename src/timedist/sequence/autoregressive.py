"""Models of a series given its past, that give a distribution at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.layers import Head, MixtureNormal
from timedist.layers.accepting import serializable
from timedist.layers.heads import at_least_float32
from timedist.ops import special
from timedist.ops.buffers import written
from timedist.ops.random import StepSeed, uniform
from timedist.sequence.cores import Core, RecurrentCore, joined
from timedist.sequence.generative import Beginning, Generative
from timedist.sequence.scaling import mean_absolute

Tensor = Any

# Targets are read as asinh(y / (scale * TIGHTNESS)): logarithmic for all but the smallest values.
_TIGHTNESS = 0.04
_SHIFT = math.asinh(1.0 / _TIGHTNESS)
# A path is kept within this many scales of its series: the inverse of the compression is
# exponential, and one draw from a tail would feed back.
_WIDEST = 50.0


@serializable
class AutoregressiveModel(Generative, keras.Model):
    r"""A model of a series given its past, features known in advance and what series it is.

    $p(y_{1:T}) = \prod_t p(y_t \mid y_{<t}, x_{\le t})$. A causal network reads past targets at the
    given lags, divided by the scale of the series (the mean absolute value of its known past) and,
    with `transform="asinh"`, compressed; it is trained by teacher forcing with
    `NegativeLogLikelihood(missing="mask")` and generates by feeding back its own draws, see
    `Rollout`. `AutoregressiveRNN` is this model with a recurrent network.

    Args:
        core: the network, a `Core`.
        head: a head of `timedist.layers` for a scalar event. Default `MixtureNormal(3)`. Continuous
            heads describe the scaled target, heads of counts the counts, with a scaled mean.
        lags: how many steps back the network sees the target, distinct ints >= 1. Seasonal lags
            (24 and 168 for hourly data) decide the quality on seasonal series. Default `(1, 2, 3)`.
        context_length: int, steps the network reads before a forecast. Default 24.
        num_series: int, number of distinct series; if more than one, each has a learned embedding.
            Default 0.
        embedding_dim: int, width of the embedding. Default 8.
        transform: `"asinh"` (default) or `"none"`, for continuous heads and for the inputs.
        nonnegative: whether draws below zero are set to zero. Default false.
        scheduled_sampling: number from 0 to 1, the chance that in training the network reads, of a
            step behind the context, a draw from its own forecast instead of the truth; the
            variable `sampling_rate` holds what it is, see `ScheduledSampling`. Default 0.
        seed: int or `None`, of these draws.
        **kwargs: of `keras.Model`.

    With scheduled sampling every training step makes two passes: the draws of the first, which
    reads the truth, are read by the second.

    Call arguments:
        inputs: a dictionary of
            `"target"`: `(batch, max_lag + steps)`, the series in its own unit, NaN where missing;
            `"features"`: `(batch, steps, features)`, known for every step;
            `"series"`: `(batch,)`, number of the series; needed if `num_series` is above 1;
            `"static"`: `(batch, width)`, what is known of each series; may be left out.
        training: whether dropout and scheduled sampling are on.

    Returns:
        A distribution of the target in its own unit, `batch_shape == (batch, steps)`: at each step
        given everything before that step.

    Raises:
        ValueError: if an argument or the length of an input does not fit.
        TypeError: if `core` is none.

    Source: Salinas, Flunkert, Gasthaus, Januschowski: DeepAR, International Journal of Forecasting
    (2020); scheduled sampling: Bengio, Vinyals, Jaitly, Shazeer (2015), in two passes: Duckworth,
    Neelakantan, Goodrich, Kaiser, Bengio: Parallel Scheduled Sampling (2019).

    >>> import numpy as np
    >>> from timedist.sequence import RecurrentCore
    >>> model = AutoregressiveModel(RecurrentCore(units=4), lags=(1, 2, 7), context_length=5)
    >>> model({"target": np.ones((2, 7 + 8)), "features": np.zeros((2, 8, 3))}).batch_shape
    (2, 8)
    """

    # Whether a subclass makes its core itself, from arguments that are the core's.
    makes_core: ClassVar[bool] = False

    def __init__(
        self,
        core: Core,
        head: Head | None = None,
        lags: Sequence[int] = (1, 2, 3),
        context_length: int = 24,
        num_series: int = 0,
        embedding_dim: int = 8,
        transform: str = "asinh",
        nonnegative: bool = False,
        scheduled_sampling: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Targets keep their dtype: of a network in bfloat16 too the likelihood is that of the data.
        super().__init__(**{"autocast": False, **kwargs})
        owner = type(self).__name__
        if not isinstance(core, Core):
            raise TypeError(f"{owner}: core must be a timedist.sequence.Core, got {core!r}")
        self.core, self.head = core, MixtureNormal(3) if head is None else head
        self.lags = _checked_lags(owner, lags)
        self.context_length = checks.count(owner, "context_length", context_length, 1)
        self.num_series = checks.count(owner, "num_series", num_series, 0)
        self.embedding_dim = checks.count(owner, "embedding_dim", embedding_dim, 1)
        self.transform = checks.choice(owner, "transform", transform, ("asinh", "none"))
        self.nonnegative = bool(nonnegative)
        self.scheduled_sampling = checks.fraction(owner, "scheduled_sampling", scheduled_sampling)
        self.seed = seed
        # What tells one series from no other is the bias. (On torch Keras tries series 1 anyway.)
        several = num_series > 1
        dtype = self.dtype_policy
        self.embedding = (
            keras.layers.Embedding(num_series, embedding_dim, dtype=dtype) if several else None
        )
        width = _params_size(owner, self.head)
        self.projection = keras.layers.Dense(width, dtype=dtype, name="projection")
        if self.scheduled_sampling:
            self.seed_generator = keras.random.SeedGenerator(seed)
            self.sampling_rate = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(self.scheduled_sampling),
                trainable=False,
                autocast=False,
                name="sampling_rate",
            )

    @property
    def max_lag(self) -> int:
        """The longest lag: how many steps of history stand in front of the first step."""
        return max(self.lags)

    @property
    def counts(self) -> bool:
        """Whether the head describes counts: their mean is scaled, the counts stay integers."""
        return self.head.family.discrete

    def build(self, input_shape: Any) -> None:
        """Make the weights for features, and what is known of a series, of these widths."""
        size = 2 * len(self.lags) + input_shape["features"][-1] + 1
        if "static" in input_shape:
            size += input_shape["static"][-1]
        if self.embedding is not None:
            self.embedding.build((None,))
            size += self.embedding_dim
        self.core.build((None, None, size))
        features = self.core.compute_output_shape((None, None, size))
        self.projection.build(features)
        self.head.build((None, None, self.projection.units))
        self.built = True

    def call(self, inputs: dict, training: bool | None = None) -> td.Distribution:
        """Teacher forcing: the distribution of every step given the true past."""
        inputs = self._named(inputs)
        self._check_lengths(inputs)
        if training and self.scheduled_sampling:
            inputs = {**inputs, "target": self._with_own_draws(inputs)}
        return self._forced(inputs, training)

    def _forced(self, inputs: dict, training: bool | None) -> td.Distribution:
        target = inputs["target"]
        scale = self.scale_of(target)
        lagged = self.lagged(target, ops.shape(inputs["features"])[1], scale)
        x, static = self.step_inputs(lagged, inputs["features"]), self.static_inputs(inputs, scale)
        features = self.core.with_static(x, static, training)
        return self.distribution(self.projection(features), scale[:, None])

    def _with_own_draws(self, inputs: dict) -> Tensor:
        """The targets, behind the context with draws in place of some of them."""
        target = inputs["target"]
        draws = self._forced(inputs, True).draw(seed=self.seed_generator)
        draws = self._bounded(ops.cast(draws, target.dtype), self.scale_of(target)[:, None])
        known = self.max_lag + self.context_length
        dtype = keras.backend.standardize_dtype(target.dtype)
        rate = ops.cast(ops.convert_to_tensor(self.sampling_rate), dtype)
        chosen = uniform(ops.shape(draws), dtype, self.seed_generator) < rate
        mixed = ops.where(chosen, draws, target[:, self.max_lag :])[:, self.context_length :]
        return ops.concatenate([target[:, :known], ops.stop_gradient(mixed)], axis=1)

    def scale_of(self, target: Tensor) -> Tensor:
        """Mean absolute value of the known past, `(batch,)`; 1 where all is zero or unknown."""
        return mean_absolute(target[:, : self.max_lag + self.context_length])

    def lagged(self, target: Tensor, steps: int, scale: Tensor) -> Tensor:
        """Of each step the lagged targets as the network reads them, and which are missing.

        Tensor `(batch, steps, 2 * lags)`. What is missing is found before the lags are taken, in
        one take: XLA computes again, for every lag that reads it, what comes behind.
        """
        seen = _with_missing(self.compressed(target, scale[:, None]))
        first = self.max_lag - ops.convert_to_tensor(self.lags, "int32")
        index = ops.arange(steps, dtype="int32")[:, None] + first
        index = ops.concatenate([index, index + ops.shape(target)[1]], axis=1)
        return ops.take(seen, index, axis=1)

    def compressed(self, y: Tensor, scale: Tensor) -> Tensor:
        """Targets in the unit of the network: 0 at the scale of the series."""
        if self.transform == "none":
            return y / scale - 1.0
        return ops.arcsinh(y / (scale * _TIGHTNESS)) - _SHIFT

    def static_inputs(self, inputs: dict, scale: Tensor) -> Tensor:
        """What does not change over time, `(batch, width)`: log scale, embedding, what is given."""
        parts = [0.2 * ops.log(scale)[:, None]]
        if self.embedding is not None:
            parts.append(self.embedding(inputs["series"]))
        if "static" in inputs:
            parts.append(inputs["static"])
        return ops.concatenate([ops.cast(part, scale.dtype) for part in parts], axis=-1)

    def step_inputs(self, lagged: Tensor, features: Tensor) -> Tensor:
        """The inputs of the network that change over time, `(batch, steps, ...)`."""
        return ops.concatenate([lagged, ops.cast(features, lagged.dtype)], axis=-1)

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

    # --- sampling --------------------------------------------------------------------------------

    def begin(self, inputs: dict, steps: int | None = None) -> Beginning:
        """Read the past, once for each series; see `Rollout` for the inputs."""
        inputs = self._named(inputs)
        horizon = self._horizon(inputs, steps)
        target, features = inputs["target"], inputs["features"]
        scale = self.scale_of(target)
        static = self.static_inputs(inputs, scale)
        lagged = self._known_lags(target, horizon, scale)
        context = self.context_length
        x = self.step_inputs(lagged[:, :context], features[:, :context])
        shared, state = self.core.begin(joined(x, static), horizon)
        x = self.step_inputs(lagged[:, context:], features[:, context:][:, :horizon])
        drawn = self._drawn_lags(horizon)
        known = self.core.known(joined(x, static), self._own_columns(len(drawn)))
        longest = max(drawn, default=0)
        places = ops.convert_to_tensor([longest - lag for lag in drawn], "int32")
        past = self.compressed(target[:, ops.shape(target)[1] - longest :], scale[:, None])
        read = ops.concatenate([past, ops.zeros_like(x[..., 0])], axis=1)
        own = {"core": state, "read": read, "scale": scale}
        return Beginning(horizon, scale, known, {"core": shared, "places": places}, own)

    def step(
        self, i: Tensor, y: Tensor, known: Any, shared: Any, state: Any, seed: StepSeed
    ) -> tuple[td.Distribution, Any]:
        """Assemble the input, advance the network."""
        del seed
        drawn = self.lags[: shared["places"].shape[0]]
        # The draws are kept as the network reads them, behind the past, so that each is compressed
        # once. Before the first one there is none: what is then written is not read.
        seen = self.compressed(y, state["scale"])
        place = max(drawn, default=0) + ops.maximum(i - 1, 0)
        read = written(state["read"], place, seen[:, None], axis=1)
        x = _with_missing(ops.take(read, i + shared["places"], axis=1))
        columns = self._own_columns(len(drawn))
        features, core = self.core.step_from(known, x, columns, i, shared["core"], state["core"])
        distribution = self.distribution(self.projection(features), state["scale"])
        return distribution, {**state, "core": core, "read": read}

    def check_arrays(self, inputs: Any) -> None:
        """Refuse numbers of series that there are not."""
        if isinstance(inputs, dict) and {"target", "series"} <= set(inputs):
            self._check_series(inputs)

    def admissible(self, y: Tensor, state: Any) -> Tensor:
        """Draws within reach of the scale, and not below zero where the data never are."""
        return self._bounded(y, state["scale"])

    def _bounded(self, y: Tensor, scale: Tensor) -> Tensor:
        if self.counts:
            return y
        lowest = 0.0 if self.nonnegative else -_WIDEST * scale
        return special.minimum(special.maximum(y, lowest), _WIDEST * scale)

    def _horizon(self, inputs: dict, steps: int | None) -> int:
        past, given = (ops.shape(inputs[name])[1] for name in ("target", "features"))
        needed = self.max_lag + self.context_length
        if isinstance(past, int) and past != needed:
            raise ValueError(
                f"Rollout: target has {past} steps, expected {needed}: the longest lag, "
                f"{self.max_lag}, plus the context length, {self.context_length}"
            )
        if isinstance(given, int) and given < self.context_length + (steps or 1):
            wanted = "more than" if steps is None else f"at least {steps} more than"
            raise ValueError(
                f"Rollout: features have {given} steps, expected {wanted} the context length, "
                f"{self.context_length}: the steps after it are the future"
            )
        return steps or given - self.context_length

    def _known_lags(self, target: Tensor, horizon: int, scale: Tensor) -> Tensor:
        """Lagged targets over context and horizon; what lies in the future is missing."""
        future = ops.full((ops.shape(target)[0], horizon), float("nan"), dtype=target.dtype)
        padded = ops.concatenate([target, future], axis=1)
        return self.lagged(padded, self.context_length + horizon, scale)

    def _drawn_lags(self, horizon: Any) -> tuple[int, ...]:
        """The lags, the first ones, that reach into a horizon, which may be unknown."""
        known = isinstance(horizon, int)
        return tuple(lag for lag in self.lags if lag < horizon) if known else self.lags

    def _own_columns(self, drawn: int) -> tuple[int, ...]:
        """Where the network reads the drawn lags, and whether they are missing."""
        number = len(self.lags)
        return (*range(drawn), *range(number, number + drawn))

    # --- checks and files ------------------------------------------------------------------------

    def _named(self, inputs: Any) -> dict:
        """The inputs, if all are there; the target as floats."""
        needed = {"target", "features", *(("series",) if self.embedding is not None else ())}
        checks.named(type(self).__name__, inputs, needed)
        self._check_series(inputs)
        return {**inputs, "target": at_least_float32(inputs["target"])}

    def _check_series(self, inputs: dict) -> None:
        if self.embedding is not None:
            owner, series = type(self).__name__, inputs["series"]
            checks.shape(owner, "series", series, inputs["target"].shape[:1])
            checks.series(owner, series, self.num_series)

    def _check_lengths(self, inputs: dict) -> None:
        length, steps = inputs["target"].shape[1], inputs["features"].shape[1]
        if None not in (length, steps) and length != self.max_lag + steps:
            raise ValueError(
                f"{type(self).__name__}: target has {length} steps, expected "
                f"{self.max_lag + steps}: the longest lag, {self.max_lag}, plus the {steps} steps "
                "of the features"
            )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        names = ("lags", "context_length", "num_series", "embedding_dim", "transform")
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "nonnegative": self.nonnegative,
            "scheduled_sampling": self.scheduled_sampling,
            "seed": self.seed,
            "head": serialize(self.head),
            **(self.core.arguments() if self.makes_core else {"core": serialize(self.core)}),
        }

    @classmethod
    def from_config(cls, config: dict) -> AutoregressiveModel:
        """The inverse of `get_config`."""
        read = keras.saving.deserialize_keras_object
        return cls(**{**config, **{name: read(config[name]) for name in _LAYERS & set(config)}})


@serializable
class AutoregressiveRNN(AutoregressiveModel):
    r"""An `AutoregressiveModel` with recurrent layers: DeepAR.

    Args:
        head: as for `AutoregressiveModel`. Default `MixtureNormal(3)`.
        lags: likewise. Default `(1, 2, 3)`.
        context_length: steps the recurrent state is warmed up on before a forecast. Default 24.
        units: width of each recurrent layer. Default 64.
        depth: number of recurrent layers. Default 1.
        cell: `"lstm"` (default) or `"gru"`.
        dropout: fraction of the last recurrent layer's output dropped while training; the lagged
            inputs are never dropped. Default 0.
        **options: of `AutoregressiveModel`, such as `num_series`, `transform`, `nonnegative` and
            `scheduled_sampling`, and of `keras.Model`.

    Call arguments, result, errors: as for `AutoregressiveModel`.

    Source: Salinas, Flunkert, Gasthaus, Januschowski: DeepAR, International Journal of Forecasting
    (2020).

    >>> import numpy as np
    >>> model = AutoregressiveRNN(lags=(1, 2, 7), context_length=5, units=4)
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
        depth: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        core = RecurrentCore(units, depth, cell, dropout, dtype=options.get("dtype"), name="core")
        super().__init__(core, head, lags, context_length, **options)


_LAYERS = {"core", "head"}


def _with_missing(lagged: Tensor) -> Tensor:
    """Targets with 0 for NaN, and behind them whether they are missing."""
    missing = ops.isnan(lagged)
    known = ops.where(missing, ops.zeros_like(lagged), lagged)
    return ops.concatenate([known, ops.cast(missing, lagged.dtype)], axis=-1)


def _params_size(owner: str, head: Head) -> int:
    if not isinstance(head, Head) or head.width is None or getattr(head, "event_shape", ()) != ():
        raise ValueError(
            f"{owner}: head must be a head of timedist.layers for scalar events, got {head!r}"
        )
    if head.convert_to_tensor_fn is not None:
        raise ValueError(
            f"{owner}: the head {head.name!r} gives a tensor, by its "
            f"convert_to_tensor_fn={head.convert_to_tensor_fn!r}; leave that out"
        )
    return head.width


def _checked_lags(owner: str, lags: Sequence[int]) -> tuple[int, ...]:
    lags = tuple(lags)
    if not checks.are_lags(lags):
        raise ValueError(f"{owner}: lags must be distinct ints >= 1, got {lags!r}")
    return tuple(sorted(lags))
