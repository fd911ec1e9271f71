"""Sample paths as columns of a table: mean, median and central intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timedist.forecasting.errors import ForecastingError

Array = np.ndarray

LEVELS = (20, 40, 60, 80, 90)


def summary(paths: Array, levels: Sequence[float] = LEVELS) -> dict[str, Array]:
    """Mean, median and interval ends of sample paths, as columns.

    Args:
        paths: float array `(n, num_paths, horizon)`.
        levels: levels of the central intervals in percent.

    Returns:
        Arrays of length `n * horizon` by column name: `timedist`, `timedist-median`,
        `timedist-lo-L`, `timedist-hi-L`.

    Raises:
        ForecastingError: if a level is not between 0 and 100.
    """
    check_levels(levels)
    columns = {
        "timedist": paths.mean(axis=1).ravel(),
        "timedist-median": np.median(paths, axis=1).ravel(),
    }
    for level in levels:
        low, high = np.quantile(paths, [0.5 - level / 200, 0.5 + level / 200], axis=1)
        columns[f"timedist-lo-{level:.10g}"] = low.ravel()
        columns[f"timedist-hi-{level:.10g}"] = high.ravel()
    return columns


def check_levels(levels: Sequence[float]) -> None:
    """Raise if a level is no percentage between 0 and 100.

    Args:
        levels: levels of central intervals.

    Raises:
        ForecastingError: if so.
    """
    for level in levels:
        if not 0 < level < 100:
            raise ForecastingError(f"levels must be between 0 and 100 (percent), got {level}")
