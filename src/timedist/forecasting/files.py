"""Reading and writing tables: CSV and Parquet, by polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.storage import whole_file

SUFFIXES = (".csv", ".parquet")


def read_frame(path: Path) -> pl.DataFrame:
    """Read a CSV or Parquet file.

    Args:
        path: the file.

    Returns:
        A polars data frame.

    Raises:
        ForecastingError: if the file is missing, of another kind, or cannot be read.
    """
    check_suffix(path)
    if not path.is_file():
        raise ForecastingError(f"{path}: no such file")
    try:
        if path.suffix.lower() == ".csv":
            # Names and times stay text: 007 is not 7, and a guess takes 01/02/2025 for February.
            texts = dict.fromkeys(("unique_id", "ds"), pl.String)
            return pl.read_csv(path, infer_schema_length=None, schema_overrides=texts)
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ForecastingError(f"{path}: cannot be read as {path.suffix[1:]}: {reason}") from error


def write_frame(frame: Any, path: Path) -> None:
    """Write a data frame; the file appears whole or not at all.

    Args:
        frame: any data frame narwhals knows.
        path: a `.csv` or `.parquet` file in a directory that exists.

    Raises:
        ForecastingError: if the kind of file is unknown or the directory does not exist.
    """
    check_suffix(path)
    table = nw.from_native(frame, eager_only=True)
    with whole_file(path) as fresh:
        if path.suffix.lower() == ".csv":
            table.write_csv(fresh)
        else:
            table.write_parquet(fresh)


def check_suffix(path: Path) -> None:
    """Raise if a path names neither a CSV nor a Parquet file.

    Args:
        path: the path.

    Raises:
        ForecastingError: if so.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ForecastingError(f"{path}: expected a .csv or .parquet file")
