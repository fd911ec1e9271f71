"""Backtests: one training, forecasts from many held-out moments, scores beside two baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timedist import scores
from timedist.datasets.windows import SeriesWindows
from timedist.forecasting import baselines
from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.forecaster import Forecaster
from timedist.forecasting.panel import Panel
from timedist.forecasting.quantiles import LEVELS, summary
from timedist.ops import compat

Array = np.ndarray

_QUANTILES = tuple(k / 10 for k in range(1, 10))


@dataclass(frozen=True)
class Backtest:
    """The windows of a backtest: what was forecast, from when, and what happened.

    Attributes:
        panel: the data, the held-out part included.
        series: int array `(n,)`, numbers of series.
        at: int array `(n,)`, positions the windows begin at.
        horizon: steps of each window.
        samples: for each model, samples `(n, number, horizon)`.
        scale: mean absolute seasonal difference of each window's series before the first window,
            `(n,)`, NaN where there is none.
    """

    panel: Panel
    series: Array
    at: Array
    horizon: int
    samples: dict[str, Array]
    scale: Array

    @property
    def truth(self) -> Array:
        """What happened, `(n, horizon)`, NaN where missing."""
        return _cut(self.panel, self.series, self.at, self.horizon)

    def scores(self) -> dict[str, dict[str, float]]:
        """Scores of every model: `wql`, `crps`, `mase`, `coverage-50`, `coverage-90`."""
        truth = self.truth
        return {name: score(truth, samples, self.scale) for name, samples in self.samples.items()}

    def frame(self, levels: Sequence[float] = LEVELS) -> Any:
        """The forecasts in the format of utilsforecast.

        Args:
            levels: levels of the central intervals in percent.

        Returns:
            A data frame: `unique_id`, `ds`, `cutoff`, `y`, and the columns of `summary`.
        """
        first = (self.panel.starts[self.series] + self.at)[:, None]
        stamps = self.panel.stamps(first + np.arange(self.horizon))
        cutoff = self.panel.stamps(np.repeat(first - 1, self.horizon, axis=1))
        ids = np.repeat(np.array(self.panel.ids, dtype=object)[self.series], self.horizon)
        columns = {
            "unique_id": ids,
            "ds": stamps.ravel(),
            "cutoff": cutoff.ravel(),
            "y": self.truth.ravel(),
        }
        return self.panel.to_frame({**columns, **summary(self.samples["timedist"], levels)})


def run(
    forecaster: Forecaster,
    panel: Panel,
    first: int,
    windows: int,
    num_paths: int = 200,
    verbose: Any = 0,
) -> Backtest:
    """Forecast consecutive windows of one horizon each, every one from the data before it.

    Args:
        forecaster: fitted on data before the first window.
        panel: the data, the held-out part included.
        first: position on the panel's grid of the first step of the first window.
        windows: number of windows.
        num_paths: number of sample paths for each window and series.
        verbose: progress output, as in `keras.Model.predict`.

    Returns:
        The backtest, with the forecaster and two baselines.

    Raises:
        ForecastingError: if no series covers the windows, or nothing is known in them.
    """
    horizon = forecaster.horizon
    series, at = places(forecaster, panel, first, windows)
    cut = SeriesWindows(panel.series, panel.starts, np.zeros((1, 1)), 0, 0)
    seasons = panel.frequency.seasons
    samples = {
        "timedist": forecaster.sample_windows(panel, series, at, num_paths, verbose=verbose),
        "seasonal naive": baselines.seasonal_naive(cut, series, at, horizon, seasons),
        "seasonal pool": baselines.seasonal_pool(cut, series, at, horizon, seasons),
    }
    scale = _naive_error(panel, first, seasons[0])
    return Backtest(panel, series, at, horizon, samples, scale[series])


def places(forecaster: Forecaster, panel: Panel, first: int, windows: int) -> tuple[Array, Array]:
    """The windows that can be forecast and scored: of series known before the first window.

    Args:
        forecaster: need not be fitted.
        panel: as for `run`.
        first: as for `run`.
        windows: as for `run`.

    Returns:
        Numbers of series, and positions within them at which the windows begin: int arrays `(n,)`.

    Raises:
        ForecastingError: if there is none, or nothing is known in them.
    """
    horizon = forecaster.horizon
    begin = first + horizon * np.arange(windows)
    series, begin = (
        part.ravel() for part in np.meshgrid(np.arange(len(panel.ids)), begin, indexing="ij")
    )
    at = begin - panel.starts[series]
    inside = (at >= forecaster.context_length) & (at + horizon <= panel.lengths[series])
    before = zip(panel.series, first - panel.starts, strict=True)
    inside &= np.array([not np.isnan(one[: max(0, n)]).all() for one, n in before])[series]
    if not inside.any():
        raise ForecastingError(
            "no series reaches from before the first to the end of a held-out window"
        )
    series, at = series[inside], at[inside]
    if np.isnan(_cut(panel, series, at, horizon)).all():
        raise ForecastingError("no value is known in the held-out windows")
    return series, at


def score(truth: Array, samples: Array, scale: Array) -> dict[str, float]:
    """Scores of samples over all windows whose truth is known.

    Args:
        truth: float array `(n, horizon)`, NaN where missing.
        samples: float array `(n, number, horizon)`, NaN where a baseline has none.
        scale: float array `(n,)`, the divisor of the scaled error; NaN leaves the window out of it.

    Returns:
        `wql`: mean over the levels 0.1 to 0.9 of twice the summed pinball loss over the summed
        absolute truth; `crps`: mean CRPS in the unit of the data; `mase`: mean absolute error of
        the median over the scale; `coverage-50`, `coverage-90`: share of the truth inside the
        central intervals. NaN where nothing can be scored.
    """
    known = ~np.isnan(truth) & ~np.isnan(samples).all(axis=1)
    y, x = truth[known], np.moveaxis(samples, 1, -1)[known].T
    quantiles, crps = _quantiles_and_crps(y, x)
    losses = np.stack(
        [
            compat.to_numpy(scores.pinball(y, q, level))
            for q, level in zip(quantiles, _QUANTILES, strict=False)
        ]
    )
    low90, low50, high50, high90 = quantiles[len(_QUANTILES) :]
    divisor = np.broadcast_to(scale[:, None], truth.shape)[known]
    total = np.abs(y).sum()
    return {
        "wql": 2.0 * _mean(losses.sum(axis=1) / total) if total else np.nan,
        "crps": _mean(crps),
        "mase": _mean((np.abs(y - quantiles[4]) / divisor)[np.isfinite(divisor)]),
        "coverage-50": _mean(scores.coverage(y, low50, high50)),
        "coverage-90": _mean(scores.coverage(y, low90, high90)),
    }


def _quantiles_and_crps(y: Array, samples: Array) -> tuple[Array, Array]:
    """Quantiles and CRPS of samples `(number, n)`; those that fell into a gap are left out."""
    levels = [*_QUANTILES, 0.05, 0.25, 0.75, 0.95]
    quantiles, crps = np.empty((len(levels), len(y))), np.empty(len(y))
    samples = np.sort(samples, axis=0)  # NaN last
    number = np.isfinite(samples).sum(axis=0)
    for n in np.unique(number):
        group = number == n
        known = samples[:n, group]
        quantiles[:, group] = np.quantile(known, levels, axis=0)
        crps[group] = compat.to_numpy(scores.crps_samples(y[group], known))
    return quantiles, crps


def _mean(values: Any) -> float:
    values = compat.to_numpy(values)
    return float(values.mean()) if values.size else np.nan


def _cut(panel: Panel, series: Array, at: Array, horizon: int) -> Array:
    return np.stack([panel.series[s][a : a + horizon] for s, a in zip(series, at, strict=True)])


def _naive_error(panel: Panel, first: int, season: int) -> Array:
    """Mean absolute difference to one season before, of every series before position `first`."""
    errors = []
    for one, start in zip(panel.series, panel.starts, strict=True):
        past = one[: max(0, first - start)]
        change = np.abs(past[season:] - past[:-season])
        mean = np.nanmean(change) if np.isfinite(change).any() else np.nan
        errors.append(mean if mean > 0 else np.nan)
    return np.array(errors)
