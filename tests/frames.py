"""Small data frames in the long format, and small forecasters, for the tests of forecasting."""

from datetime import datetime, timedelta

import numpy as np

START = datetime(2025, 1, 1)


def columns(ids=("a", "b"), length=200, step=timedelta(hours=1), start=START, seed=0):
    """Columns of hourly counts with a daily wave; the second series is ten times the first."""
    rng = np.random.default_rng(seed)
    hours = np.arange(length)
    table = {"unique_id": [], "ds": [], "y": []}
    for number, name in enumerate(ids):
        level = 10.0 ** (number + 1) * (2.0 + np.sin(hours * 2 * np.pi / 24))
        table["unique_id"] += [name] * length
        table["ds"] += [start + int(hour) * step for hour in hours]
        table["y"] += rng.poisson(level).astype(float).tolist()
    return table


def polars_frame(**kwargs):
    """The columns as a polars data frame."""
    import polars as pl

    return pl.DataFrame(columns(**kwargs))


def pandas_frame(**kwargs):
    """The columns as a pandas data frame."""
    import pandas as pd

    return pd.DataFrame(columns(**kwargs))


TINY = {
    "horizon": 4,
    "context_length": 6,
    "head": "normal",
    "lags": [1, 2, 24],
    "units": 4,
    "epochs": 2,
    "steps_per_epoch": 2,
    "batch_size": 8,
    "members": 1,
}


def tiny_forecaster(**kwargs):
    """A forecaster that trains in a moment."""
    from timedist.forecasting import Forecaster

    return Forecaster(**{**TINY, **kwargs})
