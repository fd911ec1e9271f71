"""Forecasts without a model, to compare with: samples taken from the past of the series itself."""

from __future__ import annotations

import numpy as np

from timedist.datasets.windows import SeriesWindows

Array = np.ndarray

_WEEKS = 8


def seasonal_pool(
    windows: SeriesWindows, series: Array, at: Array, horizon: int, seasons: tuple[int, ...]
) -> Array:
    """The values at the same phase of the last 7 short and the last 8 long seasons.

    For hourly data: the last 7 days and the last 8 same weekdays at that hour.

    Args:
        windows: the series.
        series: int array `(n,)`, numbers of series.
        at: int array `(n,)`, positions to forecast from.
        horizon: number of steps.
        seasons: lengths of the seasons in steps, the shortest first.

    Returns:
        Float array `(n, samples, horizon)`, NaN where the past has a gap.
    """
    short, long = seasons[0], seasons[-1]
    offsets = [short * k for k in range(1, 8)] if short != long else []
    offsets += [long * k for k in range(1, _WEEKS + 1)]
    return np.stack([_shifted(windows, series, at, horizon, o) for o in offsets], axis=1)


def seasonal_naive(
    windows: SeriesWindows, series: Array, at: Array, horizon: int, seasons: tuple[int, ...]
) -> Array:
    """The same phase of the last long season, plus what this forecast missed by before.

    For hourly data: the same hour last week, plus the residuals of that rule at the same hour on
    each day of the last 8 weeks.

    Args:
        windows: the series.
        series: int array `(n,)`, numbers of series.
        at: int array `(n,)`, positions to forecast from.
        horizon: number of steps.
        seasons: lengths of the seasons in steps, the shortest first.

    Returns:
        Float array `(n, samples, horizon)`, NaN where the past has a gap.
    """
    short, long = seasons[0], seasons[-1]

    def past(offset: int, before: int = 0) -> Array:
        return _shifted(windows, series, at - before, horizon, offset)

    offsets = range(short, _WEEKS * long + 1, short)
    return np.stack([past(long) + past(o) - past(o, before=long) for o in offsets], axis=1)


def _shifted(windows: SeriesWindows, series: Array, at: Array, horizon: int, offset: int) -> Array:
    """Values `offset` steps before each step of the horizon, or the least multiple that is past.

    Positions before the start of a series read as missing.
    """
    step = np.arange(horizon)
    back = offset * (1 + step // offset)
    position = at[:, None] + step - back
    values = windows.values[windows.offsets[series][:, None] + np.maximum(position, 0)]
    return np.where(position >= 0, values, np.nan)
