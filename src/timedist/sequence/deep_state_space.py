"""`DeepStateSpace`: a recurrent network that gives the parameters of a state space model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.distributions import constraints
from timedist.layers.accepting import serializable
from timedist.layers.symbolic import infer
from timedist.ops import compat, linalg, special
from timedist.sequence import forecast_tasks, latent_tasks
from timedist.sequence.cores import CELLS, RecurrentCore, joined
from timedist.sequence.scaling import mean_absolute, mean_of_known
from timedist.sequence.structure import Structure

Tensor = Any

# From raw outputs to parameters, in the unit of the series: where training begins, and the bounds.
NOISE = constraints.greater_than(0.0, start=0.5)
STRENGTH = constraints.between(0.0, 1.0, start=0.1)
SPREAD = constraints.positive


class Emitted(NamedTuple):
    """What the network says of every step, in the unit of the data.

    Attributes:
        offset: what is added to the seen states, `(batch, steps, 1)`.
        noise: standard deviations of the observations, `(batch, steps, 1)`.
        strength: standard deviations of the shocks, `(batch, steps, r)`.
        present: which states are there to be seen and moved, `(batch, steps, n)`, or `(n,)`.
        real: false at steps that are none, `(batch, steps)`, or `None`.
    """

    offset: Tensor
    noise: Tensor
    strength: Tensor
    present: Tensor
    real: Tensor | None

    def between(self, first: int, last: int | None) -> Emitted:
        """The same of some of the steps."""
        return Emitted(*(x if x is None or len(x.shape) < 2 else x[:, first:last] for x in self))


@serializable
class DeepStateSpace(keras.Model):
    r"""A structural time series model whose parameters a recurrent network gives at every step.

    $y_t = a_t^\top z_t + b_t + \sigma_t \varepsilon_t,\
    z_{t+1} = F z_t + G_t (\gamma_t \odot \eta_t),\ z_1 \sim \mathcal N(\mu, \mathrm{diag}(s^2))$

    The states z are the level, its slope and a value for each season of each period; F and a are
    those of the structure. A recurrent network reads what is known of every step and gives the
    offset b, the noise $\sigma$ and the strengths $\gamma$ of the shocks there, and from its first
    step $\mu$ and s. All are in the unit of the series: its scale is the mean absolute value of
    what is known of it. Strengths are below that scale (of the slope: a tenth of it) in one step.

    The output is the exact joint distribution of a whole series, so `NegativeLogLikelihood` trains
    all weights by the exact likelihood. With `missing="mask"` missing steps are marginalised, not
    filled in. The mean over a batch is over series: the loss is in nats for each series, the sum
    over its observed steps.

    Args:
        level: whether there is a level. Default `True`.
        trend: whether the level has a slope. Default `False`.
        seasonal: the numbers of seasons in each period, such as `(7,)` for the days of a week or
            `(24, 7)` for hours and days. Default `()`.
        center: whether the mean of what is known is subtracted first, and the scale is the mean
            absolute difference from it. For series far from zero. Default `False`.
        units: int, width of each recurrent layer. Default 64.
        depth: int, number of recurrent layers. Default 1.
        cell: `"lstm"` (default) or `"gru"`.
        num_series: int, number of distinct series; if more than one, each has a learned embedding.
            Default 0.
        embedding_dim: int, width of the embedding. Default 8.
        **kwargs: of `keras.Model`.

    The network also reads the logarithm of the scale. The shocks of the parts are independent, as
    in Harvey's models; in the paper one shock moves all of them. If the target is part of the
    series whose density is asked for, as in training, the scale has seen those steps; the density
    of what follows, which is what a forecast is, has no such share. In float32 the noise should not
    be below a few thousandths of the spread of the first state; else take `dtype="float64"`.

    Call arguments:
        inputs: a dictionary of
            `"target"`: `(batch, context)`, the known past in its own unit, NaN where missing; the
            call takes the scale from it only, a forecast also what the states are;
            `"features"`: `(batch, steps, width)`, known for every step;
            `"seasons"`: ints `(batch, steps, periods)`, or `(batch, steps)` for one number for all
            periods; the season is what is left of it after whole periods, so it may count the
            steps from any beginning; needed if `seasonal` is not empty;
            `"series"`: ints `(batch,)`, number of the series; needed if `num_series` is above 1;
            `"mask"`: booleans `(batch, steps)`, false at padding, where no time passes. Default:
            every step is one. A missing value is NaN in the target, no masked step. With a mask
            the target must be the first of the steps.

    Returns:
        A `LinearGaussianStateSpaceModel` in the unit of the data, `batch_shape == (batch,)` and
        `event_shape == (steps, 1)`. Its methods give the states too, in the order level, slope,
        seasons of the first period.

    Raises:
        ValueError: if an argument or the shape of an input does not fit.

    Source: Rangapuram, Seeger, Gasthaus, Stella, Wang, Januschowski: Deep State Space Models for
    Time Series Forecasting, NeurIPS (2018).

    >>> import numpy as np
    >>> model = DeepStateSpace(trend=True, units=8)
    >>> inputs = {"target": np.ones((4, 10)), "features": np.zeros((4, 13, 2))}
    >>> model(inputs)
    LinearGaussianStateSpaceModel(batch_shape=(4,), event_shape=(13, 1), dtype=float32)
    >>> model.forecast(inputs).batch_shape
    (4, 3)
    >>> model.sample_paths(inputs, num_paths=5, seed=1).shape
    (4, 5, 3)
    """

    def __init__(
        self,
        level: bool = True,
        trend: bool = False,
        seasonal: Sequence[int] = (),
        center: bool = False,
        units: int = 64,
        depth: int = 1,
        cell: str = "lstm",
        num_series: int = 0,
        embedding_dim: int = 8,
        **kwargs: Any,
    ) -> None:
        # The target keeps its dtype in a network of less precision.
        super().__init__(**{"autocast": False, **kwargs})
        owner = "DeepStateSpace"
        self.structure = Structure(owner, level, trend, seasonal)
        if not isinstance(center, bool):
            raise TypeError(f"{owner}: center must be True or False, got {center!r}")
        self.center = center
        self.units = checks.count(owner, "units", units, 1)
        self.depth = checks.count(owner, "depth", depth, 1)
        self.cell = checks.choice(owner, "cell", cell, tuple(CELLS))
        self.num_series = checks.count(owner, "num_series", num_series, 0)
        self.embedding_dim = checks.count(owner, "embedding_dim", embedding_dim, 1)
        policy = {"dtype": self.dtype_policy}
        # What tells one series from no other is the bias.
        self.embedding = (
            keras.layers.Embedding(num_series, embedding_dim, name="embedding", **policy)
            if num_series > 1
            else None
        )
        self.core = RecurrentCore(units, depth, cell, name="core", **policy)
        dense = keras.layers.Dense
        self.projection = dense(2 + self.structure.shocks, name="projection", **policy)
        self.initial = dense(2 * self.structure.states, name="initial", **policy)
        self._tasks = latent_tasks.Tasks(forecast_tasks.ForecastTask)

    def build(self, input_shape: Any) -> None:
        """Make the weights for features of the given width."""
        width = dict(input_shape)["features"][-1]
        size = width + 1 + (0 if self.embedding is None else self.embedding_dim)
        if self.embedding is not None:
            self.embedding.build((None,))
        self.core.build((None, None, size))
        self.projection.build((None, None, self.units))
        self.initial.build((None, self.units))
        self.built = True

    def call(self, inputs: dict) -> td.Distribution:
        """The joint distribution of all steps."""
        emitted, prior = self._emitted(inputs)
        distribution = self._distribution(emitted, prior)
        if emitted.real is not None:
            compat.set_keras_mask(distribution, emitted.real)
        return distribution

    def compute_output_spec(self, inputs: dict) -> Any:
        """The symbolic distribution of the same shape."""
        return infer(self.call, inputs)

    def given_past(self, inputs: dict) -> td.LinearGaussianStateSpaceModel:
        """The joint distribution of the steps after the target, given the target.

        The filter runs over the past once for each series.

        Args:
            inputs: as for the call; `"target"` are the first of the steps.

        Returns:
            A distribution with `batch_shape == (batch,)` and `event_shape == (horizon, 1)`.

        Raises:
            ValueError: if an input does not fit or there is no step after the target.
        """
        emitted, prior = self._emitted(inputs)
        y = self._target(inputs)[..., None]
        context = self._context(inputs)
        past = emitted.between(0, context)
        seen = ops.logical_not(ops.isnan(y))
        found = self._distribution(past, prior).forward_filter(y, seen)
        root = linalg.semidefinite_cholesky(found.predicted_covs[..., -1, :, :])
        now = td.MultivariateNormalTriL.trusted(
            loc=found.predicted_means[..., -1, :], scale_tril=root
        )
        return self._distribution(emitted.between(context, None), now)

    # --- from outputs of the network to a distribution -----------------------------------------

    @property
    def _dtype(self) -> str:
        """Of the distribution: that of the weights, float32 at least."""
        return "float64" if self.variable_dtype == "float64" else "float32"

    def _target(self, inputs: dict) -> Tensor:
        """The known past, NaN where it is missing or padding."""
        y, real = ops.cast(inputs["target"], self._dtype), self._real(inputs)
        return y if real is None else special.where(real[:, : y.shape[1]], y, float("nan"))

    def location_and_scale(self, inputs: dict) -> tuple[Tensor, Tensor]:
        """Zero point and unit of each series, `(batch,)` both, from `"target"`."""
        target = self._target(inputs)
        location = mean_of_known(target)
        if not self.center:
            location = ops.zeros_like(location)
        return location, mean_absolute(target - location[:, None])

    def _emitted(self, inputs: dict) -> tuple[Emitted, td.Distribution]:
        """The parameters at every step, and the distribution of the first state."""
        self._check_inputs(inputs)
        structure, real = self.structure, self._real(inputs)
        location, scale = self.location_and_scale(inputs)
        x = self._encoded(inputs, scale, real)
        raw = ops.cast(self.projection(x), self._dtype)
        scale = scale[:, None, None]
        strength = STRENGTH.to_valid(raw[..., 2:]) * scale
        strength = strength * ops.cast(structure.shock_units(), self._dtype)
        if real is not None:  # no time, no shock
            strength = special.where(real[..., None], strength, 0.0)
        emitted = Emitted(
            offset=raw[..., :1] * scale + location[:, None, None],
            noise=NOISE.to_valid(raw[..., 1:2]) * scale,
            strength=strength,
            present=structure.present(self._seasons(inputs), self._dtype),
            real=real,
        )
        return emitted, self._prior(_first(x, real), scale[..., 0])

    def _prior(self, first: Tensor, scale: Tensor) -> td.Distribution:
        """The distribution of the first state from the first output of the recurrent layers."""
        mean, spread = ops.split(ops.cast(self.initial(first), self._dtype), 2, axis=-1)
        unit = scale * ops.cast(self.structure.units(), self._dtype)
        return td.MultivariateNormalDiag.trusted(
            loc=mean * unit, scale_diag=SPREAD.to_valid(spread) * unit
        )

    def _encoded(self, inputs: dict, scale: Tensor, real: Tensor | None) -> Tensor:
        """What the recurrent layers make of each step, `(batch, steps, units)`."""
        features = ops.cast(inputs["features"], self.compute_dtype)
        if real is not None:  # what stands at padding, NaN included, is not seen
            features = special.where(real[..., None], features, 0.0)
        static = [ops.cast(0.2 * ops.log(scale)[:, None], self.compute_dtype)]
        if self.embedding is not None:
            static.append(self.embedding(inputs["series"]))
        return self.core.read(joined(features, ops.concatenate(static, axis=-1)), real)[0]

    def _distribution(self, emitted: Emitted, prior: Any) -> td.LinearGaussianStateSpaceModel:
        """The state space model of the parameters."""
        structure, zeros = self.structure, ops.zeros_like(emitted.strength)
        transition = structure.transition(emitted.real, self._dtype)
        matrices = {
            "transition_matrix": transition,
            "observation_matrix": structure.observation(emitted.present),
            "selection_matrix": structure.selection(emitted.present),
        }
        varying = [name for name, matrix in matrices.items() if len(matrix.shape) > 2]
        diagonal = td.MultivariateNormalDiag.trusted
        return td.LinearGaussianStateSpaceModel.trusted(
            num_timesteps=int(emitted.offset.shape[1]),
            transition_noise=diagonal(loc=zeros, scale_diag=emitted.strength),
            observation_noise=diagonal(loc=emitted.offset, scale_diag=emitted.noise),
            initial_state_prior=prior,
            time_varying=("transition_noise", "observation_noise", *varying),
            **matrices,
        )

    # --- inputs --------------------------------------------------------------------------------

    def _real(self, inputs: dict) -> Tensor | None:
        mask = inputs.get("mask")
        return None if mask is None else ops.cast(mask, "bool")

    def _seasons(self, inputs: dict) -> Tensor | None:
        number = len(self.structure.seasonal)
        if not number:
            return None
        seasons = ops.convert_to_tensor(inputs["seasons"])
        return ops.stack([seasons] * number, axis=-1) if len(seasons.shape) == 2 else seasons

    def _context(self, inputs: dict) -> int:
        context, steps = inputs["target"].shape[1], inputs["features"].shape[1]
        if context >= steps:
            raise ValueError(
                f"DeepStateSpace: target has {context} steps, features have {steps}; a forecast "
                "needs more: the steps after those of the target are the future"
            )
        return int(context)

    def _check_inputs(self, inputs: Any) -> None:
        several, periods = self.embedding is not None, self.structure.seasonal
        optional = (("series", several), ("seasons", bool(periods)))
        needed = {"target", "features", *(name for name, needs in optional if needs)}
        checks.named("DeepStateSpace", inputs, needed)
        features = tuple(inputs["features"].shape)
        if len(features) != 3 or not features[1]:
            raise ValueError(
                "DeepStateSpace: features must have the shape (batch, steps, width) with a known "
                f"number of steps, got {features}; on TensorFlow the number is known as long as "
                "all batches, of earlier calls too, have the same, so pad them, or give arrays "
                "to `forecast`, `joint_forecast` or `sample_paths`"
            )
        _check_shape("target", inputs["target"], [(features[0], None)])
        lead = features[:2]
        if periods:
            _check_shape("seasons", inputs["seasons"], [lead, (*lead, len(periods))])
        if inputs.get("mask") is not None:
            _check_shape("mask", inputs["mask"], [lead])
            if inputs["target"].shape[1] > features[1]:
                raise ValueError(
                    f"DeepStateSpace: target has {inputs['target'].shape[1]} steps, the mask "
                    f"{features[1]}; with a mask the target must be the first of the steps"
                )
        if several:
            _check_shape("series", inputs["series"], [lead[:1]])

    def _check_numbers(self, inputs: dict) -> None:
        """Refuse NumPy arrays with numbers that would make everything NaN."""
        owner, features, target = "DeepStateSpace", inputs["features"], inputs["target"]
        wrong = ~np.isfinite(features)
        if "mask" in inputs:
            wrong = wrong & inputs["mask"].astype("bool")[..., None]
        checks.refuse(owner, "features that are not finite", features, wrong)
        checks.refuse(owner, "infinite values in the target", target, np.isinf(target))
        if self.embedding is not None:
            checks.series(owner, inputs["series"], self.num_series)

    # --- forecasts -----------------------------------------------------------------------------

    def forecast(self, inputs: dict, batch_size: int | None = None) -> td.Normal:
        """The exact distribution of each step after the target, given the target.

        Args:
            inputs: a dictionary of arrays as for the call, or a data set of such; `"target"` are
                the first of the steps, the others are forecast.
            batch_size: int, series in a batch. Default 32, as in Keras.

        Returns:
            A `Normal` with NumPy parameters, `batch_shape == (series, horizon)`.

        Raises:
            ValueError: if an input does not fit, a known feature is no finite number, or there is
                no step after the target.
        """
        return self._run(forecast_tasks.marginals, inputs, batch_size)

    def joint_forecast(
        self, inputs: dict, batch_size: int | None = None
    ) -> td.LinearGaussianStateSpaceModel:
        """The exact joint distribution of all steps after the target, given the target.

        Args:
            inputs: as for `forecast`.
            batch_size: as for `forecast`.

        Returns:
            A distribution with NumPy parameters, `batch_shape == (series,)` and `event_shape ==
            (horizon, 1)`. Its `log_prob` is the score of a whole future.

        Raises:
            ValueError: as for `forecast`.
        """
        return self._run(forecast_tasks.joint, inputs, batch_size)

    def sample_paths(
        self,
        inputs: dict,
        num_paths: int = 100,
        seed: int | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Draw futures from the exact joint distribution of the steps after the target.

        Args:
            inputs: as for `forecast`.
            num_paths: int, paths of each series. Default 100.
            seed: int or `None`. With the same seed and batch size the draws are the same.
            batch_size: as for `forecast`.

        Returns:
            Array `(series, num_paths, horizon)`, in the unit of the data.

        Raises:
            ValueError: as for `forecast`, or if `num_paths` is no positive int.
        """
        number = checks.count("DeepStateSpace.sample_paths", "num_paths", num_paths, 1)
        return self._run(forecast_tasks.paths, inputs, batch_size, seed, False, num_paths=number)

    def _run(
        self,
        task: Any,
        inputs: Any,
        batch_size: int | None,
        seed: int | None = None,
        distribution: bool = True,
        **options: Any,
    ) -> Any:
        """A task on a data set of any size, in batches; it is compiled once for its options."""
        lengths: tuple = ()
        if isinstance(inputs, dict):
            inputs = {name: np.asarray(ops.convert_to_numpy(x)) for name, x in inputs.items()}
            self._check_inputs(inputs)
            self._check_numbers(inputs)
            lengths = (self._context(inputs), inputs["features"].shape[1])
        if not self.built:
            raise ValueError(
                f"DeepStateSpace: the model {self.name!r} has no weights yet; train it or call it "
                "on inputs first"
            )
        how = (batch_size, seed, distribution)
        return self._tasks.run(self, task, inputs, *how, options, lengths)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        structure = {name: getattr(self.structure, name) for name in ("level", "trend", "seasonal")}
        names = ("center", "units", "depth", "cell", "num_series", "embedding_dim")
        return {
            **super().get_config(),
            **structure,
            **{name: getattr(self, name) for name in names},
        }


def _first(x: Tensor, real: Tensor | None) -> Tensor:
    """What stands at the first step that is no padding, `(batch, units)`."""
    if real is None:
        return x[:, 0]
    index = ops.argmax(ops.cast(real, "int32"), axis=1)[:, None, None]
    return ops.take_along_axis(x, ops.cast(index, "int32"), axis=1)[:, 0]


def _check_shape(name: str, given: Any, expected: list[tuple]) -> None:
    if not any(checks.same_shape(given.shape, shape) for shape in expected):
        raise ValueError(
            f"DeepStateSpace: {name} has shape {tuple(given.shape)}, expected "
            f"{' or '.join(map(str, expected))}"
        )
