"""`Forecaster`: from a data frame to quantiles and sample paths of its future."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from timedist import checks
from timedist.datasets.windows import RandomWindows, SeriesWindows
from timedist.forecasting import networks, storage
from timedist.forecasting.ensemble import Ensemble
from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.networks import HEADS, NETWORKS
from timedist.forecasting.panel import Panel
from timedist.forecasting.quantiles import LEVELS, check_levels, summary
from timedist.ops.feeding import training_data
from timedist.sequence import Rollout

Array = np.ndarray

_NUMBERS = (
    "horizon",
    "context_length",
    "units",
    "depth",
    "epochs",
    "steps_per_epoch",
    "batch_size",
    "members",
)


class Forecaster:
    """Probabilistic forecasts of many series by networks that learn from all of them.

    Args:
        horizon: how many steps to forecast.
        freq: the step of the series, e.g. `"1h"`, `"1d"`, `"1mo"`; default: the most common one.
        context_length: steps the network warms up on. Default: twice the horizon, at least 24.
        head: `"mixture"` (of three normals, default), `"normal"`, `"student-t"`, `"logistic"`, or,
            for counts, `"negative-binomial"` or `"poisson"`.
        lags: how many steps back the network looks; default: the last three steps and around the
            multiples of the day, the week or the year, as far as the longest series reaches.
        network: `"recurrent"` (`AutoregressiveRNN`, default), `"transformer"`
            (`AutoregressiveTransformer`) or `"wavenet"` (`AutoregressiveWaveNet`).
        units: width of the network's layers. Default 64.
        depth: number of recurrent or transformer layers; those of a WaveNet are as many as the
            context needs. Default 1.
        epochs: number of epochs of each network; a checkpoint is kept after each. Default 20.
        steps_per_epoch: training steps in an epoch. Default 100.
        batch_size: windows in a training step. Default 64.
        learning_rate: peak of the learning rate, which rises linearly and falls by a cosine.
            Default 0.003.
        weighting: the power of a series' mean absolute value in proportion to which its windows are
            drawn in training, so that large series, where errors count most, are seen more often; 0
            is all alike, 1 the proportion itself. No series is drawn less often than at a tenth
            of the average. Default 0.5.
        members: number of networks, each an `AutoregressiveModel`, trained one after the other
            from other first weights on other windows; sample paths are shared out among them.
            Training takes so many times longer; errors and unfounded certainty shrink. Default 2.
        seed: int, for the weights, the windows and the sample paths. Default 0.

    Raises:
        ForecastingError: if an argument is out of range.

    Source: Salinas, Flunkert, Gasthaus, Januschowski: DeepAR, International Journal of Forecasting
    (2020); drawing by size: section 3.3.

    >>> import numpy as np, polars as pl
    >>> from datetime import datetime, timedelta
    >>> start = datetime(2025, 1, 1)
    >>> frame = pl.DataFrame({
    ...     "unique_id": ["a"] * 200,
    ...     "ds": [start + timedelta(hours=h) for h in range(200)],
    ...     "y": [10.0 + h % 24 for h in range(200)],
    ... })
    >>> forecaster = Forecaster(horizon=6, units=4, epochs=1, steps_per_epoch=2)
    >>> forecaster.fit(frame, verbose=0).forecast(num_paths=20).columns[:4]
    ['unique_id', 'ds', 'timedist', 'timedist-median']
    """

    def __init__(
        self,
        horizon: int,
        freq: str | None = None,
        context_length: int | None = None,
        head: str = "mixture",
        lags: Sequence[int] | None = None,
        network: str = "recurrent",
        units: int = 64,
        depth: int = 1,
        epochs: int = 20,
        steps_per_epoch: int = 100,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        weighting: float = 0.5,
        members: int = 2,
        seed: int = 0,
    ) -> None:
        if context_length is None and isinstance(horizon, int):
            context_length = max(24, 2 * horizon)
        self.config: dict[str, Any] = {
            "horizon": horizon,
            "freq": freq,
            "context_length": context_length,
            "head": head,
            "lags": None if lags is None else list(lags),
            "network": network,
            "units": units,
            "depth": depth,
            "epochs": epochs,
            "steps_per_epoch": steps_per_epoch,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weighting": weighting,
            "members": members,
            "seed": seed,
        }
        _check(self.config)
        self._freq = freq
        self.done = [0] * members  # epochs, by network
        self.model: Ensemble | None = None
        self.ids: tuple[str, ...] = ()
        self._panel: Panel | None = None
        self._rollouts: dict[tuple[int, int], Rollout] = {}

    # --- fitting -------------------------------------------------------------------------------

    @property
    def horizon(self) -> int:
        """How many steps are forecast."""
        return self.config["horizon"]

    @property
    def context_length(self) -> int:
        """How many steps the network is warmed up on."""
        return self.config["context_length"]

    @property
    def epochs_done(self) -> int:
        """Epochs of all networks together that are done."""
        return sum(self.done)

    @property
    def epochs_in_all(self) -> int:
        """Epochs of all networks together that `fit` does."""
        return self.config["members"] * self.config["epochs"]

    def fit(
        self,
        frame: Any,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: Any = "auto",
    ) -> Forecaster:
        """Train on all series of a data frame.

        Args:
            frame: data frame with the columns `unique_id`, `ds` and `y`, or a `Panel`.
            checkpoint: directory to save to after every epoch, as `save` does.
            resume: go on after the last epoch done instead of starting anew.
            callbacks: Keras callbacks, for the training of each network.
            verbose: progress output, as in `keras.Model.fit`.

        Returns:
            Itself.

        Raises:
            ForecastingError: if the data are unfit, see `Panel.from_frame`, a series is too short,
                or the head is for counts and the data are none.
        """
        panel = self._read(frame, self.config["freq"] if resume else self._freq)
        panel.refuse_short(self.context_length + self.horizon, "context and horizon")
        if resume and self.model is not None:
            self._refuse_other_ids(panel)
        else:
            self._start(panel)
        self._panel = panel
        assert self.model is not None
        windows = self._windows(panel, int(panel.starts.min()), panel.end + self.horizon)
        weights = self._weights(panel)
        for number, member in enumerate(self.model.members):
            if self.done[number] < self.config["epochs"]:
                # The windows are random already; Keras would shuffle them by the state of `random`,
                # which a resumed training does not have.
                member.fit(
                    training_data(self._batches(windows, weights, number)),
                    epochs=self.config["epochs"],
                    initial_epoch=self.done[number],
                    callbacks=[*callbacks, _EpochDone(self, number, checkpoint)],
                    verbose=verbose,
                    shuffle=False,
                )
        self._rollouts.clear()
        return self

    @staticmethod
    def _read(frame: Any, freq: str | None) -> Panel:
        return frame if isinstance(frame, Panel) else Panel.from_frame(frame, freq)

    def _start(self, panel: Panel) -> None:
        """Fresh networks for the series of a panel."""
        self.model = networks.fresh(self.config, panel)
        self.ids, self.done = panel.ids, [0] * self.config["members"]
        self.config["freq"] = panel.frequency.name

    def _windows(self, panel: Panel, first: int, end: int) -> SeriesWindows:
        """Windows of all series, with the features of the steps from `first` to before `end`."""
        assert self.model is not None
        features = panel.frequency.features(panel.stamps(np.arange(first, end)))
        padding = self.model.max_lag + self.context_length
        return SeriesWindows(panel.series, panel.starts, features, first, padding)

    def _batches(self, windows: SeriesWindows, weights: Array, number: int) -> RandomWindows:
        """What a network is trained on; no two see the same windows."""
        return RandomWindows(
            windows,
            self._fitted().max_lag,
            self.context_length,
            self.horizon,
            self.config["batch_size"],
            self.config["steps_per_epoch"],
            self.config["seed"] + number,
            epoch=self.done[number],
            weights=weights,
        )

    def _weights(self, panel: Panel) -> Array:
        """How often windows of each series are drawn in training, on average once."""
        weights = panel.scales ** self.config["weighting"]
        weights = weights / weights.mean() if weights.any() else np.ones_like(weights)
        return np.maximum(weights, 0.1)

    # --- forecasting ---------------------------------------------------------------------------

    def forecast(
        self,
        frame: Any = None,
        levels: Sequence[float] = LEVELS,
        num_paths: int = 200,
        batch_size: int = 64,
        verbose: Any = 0,
    ) -> Any:
        """Forecast the steps after the last row of every series.

        Args:
            frame: data up to the moment of the forecast; default: the data of `fit`.
            levels: levels of the central intervals in percent. Default 20, 40, 60, 80 and 90.
            num_paths: number of sample paths the quantiles are taken from.
            batch_size: series in a batch.
            verbose: progress output, as in `keras.Model.predict`.

        Returns:
            A data frame of the library of `frame`: `unique_id`, `ds`, `timedist` (the mean),
            `timedist-median`, and `timedist-lo-L`, `timedist-hi-L` for each level L.

        Raises:
            ForecastingError: if the data are unfit, a series is unknown or too short, or a level is
                not between 0 and 100.
        """
        check_levels(levels)
        panel = self._panel_of(frame)
        paths = self.sample_windows(panel, *self._ends(panel), num_paths, batch_size, verbose)
        return panel.to_frame({**self._index(panel), **summary(paths, levels)})

    def sample_paths(
        self, frame: Any = None, num_paths: int = 100, batch_size: int = 64, verbose: Any = 0
    ) -> Any:
        """Sample whole futures of every series.

        Args:
            frame: as for `forecast`.
            num_paths: number of paths for each series.
            batch_size: series in a batch.
            verbose: progress output, as in `keras.Model.predict`.

        Returns:
            A data frame: `unique_id`, `ds`, `path` (0 to `num_paths - 1`), `y`; the rows of one
            path are one joint draw over the horizon.

        Raises:
            ForecastingError: as for `forecast`.
        """
        panel = self._panel_of(frame)
        paths = self.sample_windows(panel, *self._ends(panel), num_paths, batch_size, verbose)
        index = self._index(panel)
        columns = {
            "unique_id": np.repeat(
                index["unique_id"].reshape(-1, 1, self.horizon), num_paths, 1
            ).ravel(),
            "ds": np.repeat(index["ds"].reshape(-1, 1, self.horizon), num_paths, 1).ravel(),
            "path": np.tile(np.repeat(np.arange(num_paths), self.horizon), len(paths)),
            "y": paths.ravel(),
        }
        return panel.to_frame(columns)

    def sample_windows(
        self,
        panel: Panel,
        series: Array,
        at: Array,
        num_paths: int,
        batch_size: int = 64,
        verbose: Any = 0,
    ) -> Array:
        """Sample futures from any positions, in one compiled call a batch.

        Args:
            panel: the data.
            series: int array `(n,)`, numbers of series in the panel.
            at: int array `(n,)`, positions within them from which to forecast; only what lies
                before is read.
            num_paths: number of paths for each window.
            batch_size: windows in a batch.
            verbose: progress output, as in `keras.Model.predict`.

        Returns:
            Float array `(n, num_paths, horizon)`.
        """
        model = self._fitted()
        if num_paths < 1:
            raise ForecastingError(f"num_paths must be at least 1, got {num_paths}")
        places = panel.starts[series] + at
        first, end = places.min() - self.context_length, places.max() + self.horizon
        windows = self._windows(panel, int(first), int(end))
        inputs = {
            "target": windows.target(series, at, model.max_lag + self.context_length, 0),
            "features": windows.known(series, at, self.context_length, self.horizon),
            "series": self._numbers(panel, series),
        }
        # A path is drawn from one network as a whole: what they disagree on spreads the paths.
        number = len(model.members)
        shares = [num_paths // number + (k < num_paths % number) for k in range(number)]
        rollouts = [self._rollout(k, share) for k, share in enumerate(shares) if share]
        paths = [one.predict(inputs, batch_size=batch_size, verbose=verbose) for one in rollouts]
        return np.concatenate(paths, axis=1)

    def _rollout(self, number: int, num_paths: int) -> Rollout:
        """What draws paths from a network; kept, so that it compiles once."""
        if (number, num_paths) not in self._rollouts:
            member, seed = self._fitted().members[number], self.config["seed"] + number
            self._rollouts[number, num_paths] = Rollout(member, num_paths, seed=seed)
        return self._rollouts[number, num_paths]

    def _fitted(self) -> Ensemble:
        if self.model is None:
            raise ForecastingError(
                "the forecaster is not fitted: call fit(frame) or Forecaster.load(path) first"
            )
        return self.model

    def _panel_of(self, frame: Any) -> Panel:
        self._fitted()
        if frame is None and self._panel is None:
            raise ForecastingError(
                "a loaded forecaster needs the data to forecast from: forecast(frame)"
            )
        panel = self._panel if frame is None else self._read(frame, self.config["freq"])
        assert panel is not None
        if panel.frequency.name != self.config["freq"]:
            raise ForecastingError(
                f"the data have the frequency {panel.frequency.name}, the model has "
                f"{self.config['freq']}"
            )
        panel.refuse_short(self.context_length, "context")
        return panel

    @staticmethod
    def _ends(panel: Panel) -> tuple[Array, Array]:
        return np.arange(len(panel.ids)), panel.lengths

    def _index(self, panel: Panel) -> dict[str, Array]:
        """Columns `unique_id` and `ds` of the forecasts from the ends of all series."""
        positions = (panel.starts + panel.lengths)[:, None] + np.arange(self.horizon)
        ids = np.repeat(np.array(panel.ids, dtype=object), self.horizon)
        return {"unique_id": ids, "ds": panel.stamps(positions).ravel()}

    def _numbers(self, panel: Panel, series: Array) -> Array:
        """Numbers the model knows series of a panel by."""
        known = {name: number for number, name in enumerate(self.ids)}
        names = [panel.ids[number] for number in series]
        unknown = [name for name in dict.fromkeys(names) if name not in known]
        if unknown:
            raise ForecastingError(
                f"series {unknown[0]!r} was not there when the model was fitted "
                f"({len(unknown)} unknown series)"
            )
        return np.array([known[name] for name in names], "int32")

    def _refuse_other_ids(self, panel: Panel) -> None:
        if panel.ids != self.ids or panel.frequency.name != self.config["freq"]:
            raise ForecastingError(
                f"the data have {len(panel.ids)} series of {panel.frequency.name}, the model to "
                f"resume was fitted on {len(self.ids)} series of {self.config['freq']}; series and "
                "frequency must be the same"
            )

    # --- files ---------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Save model, optimiser and configuration to a directory, which appears whole or not.

        Args:
            path: the directory; a model directory that is there is replaced.

        Raises:
            ForecastingError: if it is not fitted, or something else is at `path`.
        """
        model = self._fitted()
        description = {
            "config": self.config,
            "ids": list(self.ids),
            "done": self.done,
        }
        storage.save(Path(path), description, model.save)

    @classmethod
    def load(cls, path: str | Path) -> Forecaster:
        """Load what `save` has written, on any backend.

        Args:
            path: the directory.

        Returns:
            The fitted forecaster.

        Raises:
            ForecastingError: if there is no model, it is half written, or of another format.
        """
        description, file = storage.load(Path(path))
        try:
            forecaster = cls(**description["config"])
            forecaster.ids = tuple(description["ids"])
            forecaster.done = [int(done) for done in description["done"]]
            forecaster.model = keras.models.load_model(file)
        except (KeyError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ForecastingError(f"model {path} cannot be read: {reason}") from error
        return forecaster


def _check(config: dict[str, Any]) -> None:
    """Refuse arguments that are out of range."""
    for name in _NUMBERS:
        value = config[name]
        if not isinstance(value, int) or value < 1:
            raise ForecastingError(f"{name} must be a whole number of at least 1, got {value!r}")
    seed, members, lags = config["seed"], config["members"], config["lags"]
    # Each network has a seed of its own, which torch keeps in 32 bits.
    if not isinstance(seed, int) or not 0 <= seed < 2**31 - members:
        raise ForecastingError(
            f"seed must be a whole number from 0 to {2**31 - members - 1}, got {seed!r}"
        )
    if lags is not None and not checks.are_lags(lags):
        raise ForecastingError(f"lags must be different whole numbers from 1 on, got {lags!r}")
    head, network = config["head"], config["network"]
    if head not in HEADS:
        raise ForecastingError(f"head must be one of {', '.join(HEADS)}, got {head!r}")
    if network not in NETWORKS:
        raise ForecastingError(f"network must be one of {', '.join(NETWORKS)}, got {network!r}")
    learning_rate, weighting = config["learning_rate"], config["weighting"]
    if not learning_rate > 0:
        raise ForecastingError(f"learning_rate must be positive, got {learning_rate!r}")
    if not 0 <= weighting < math.inf:
        raise ForecastingError(f"weighting must be 0 or larger, got {weighting!r}")


class _EpochDone(keras.callbacks.Callback):
    """Counts the epochs and keeps the last whole checkpoint."""

    def __init__(self, forecaster: Forecaster, number: int, path: str | Path | None) -> None:
        super().__init__()
        self.forecaster, self.number = forecaster, number
        self.path = path

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        del logs
        self.forecaster.done[self.number] = epoch + 1
        try:
            if self.path is not None:
                self.forecaster.save(self.path)
        except BaseException:  # Ctrl-C too: the checkpoint is still that of the epoch before
            self.forecaster.done[self.number] = epoch
            raise
