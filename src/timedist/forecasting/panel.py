"""Data frames in the long format (`unique_id`, `ds`, `y`) as series on a common time grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.frequency import Frequency

Array = np.ndarray

COLUMNS = ("unique_id", "ds", "y")

# Date, time of day, and a zone that is left out: the wall clock counts.
_TIME = re.compile(
    r"(\d{4}(?:-\d\d(?:-\d\d)?)?)"
    r"(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(?:Z|[+-]\d\d:?\d\d)?)?"
)
_LARGEST = 1e30  # networks compute in float32, and a forecast may be many times as large


@dataclass(frozen=True)
class Panel:
    """Series on one time grid.

    Attributes:
        ids: names of the series, sorted.
        series: one float64 array for each, NaN where a row is missing or has no value.
        starts: position of each series' first value on the grid.
        frequency: the step of the grid.
        origin: the stamp at position 0.
        implementation: the data frame library the data came in, for what goes out.
        integer_ids: whether the names came as integers, and go out as such.
    """

    ids: tuple[str, ...]
    series: tuple[Array, ...]
    starts: Array
    frequency: Frequency
    origin: np.datetime64
    implementation: Any
    integer_ids: bool = False

    @classmethod
    def from_frame(cls, frame: Any, freq: str | None = None) -> Panel:
        """Read and check a data frame.

        Args:
            frame: pandas, polars or any eager frame narwhals knows, with the columns `unique_id`,
                `ds` (date, datetime, or text in ISO format; of a time zone the wall clock counts)
                and `y` (number). Rows may come in any order; missing rows are gaps.
            freq: the step, e.g. `"1h"`; by default the most common one.

        Returns:
            The panel.

        Raises:
            ForecastingError: for a missing column, text in `y`, infinite values, missing or doubled
                time stamps, a stamp off the grid, or a series without any value.
        """
        table = _table(frame)
        (names, number), stamps, values = _ids(table), _stamps(table), _values(table)
        order = np.lexsort((stamps, number))
        number, stamps, values = number[order], stamps[order], values[order]
        breaks = np.concatenate([[True], number[1:] != number[:-1]])
        _refuse_doubles(names, number, stamps, breaks)
        frequency = Frequency.parse(freq) if freq else Frequency.infer(stamps, breaks)
        origin = frequency.origin(stamps)
        positions, on_grid = frequency.positions(stamps, origin)
        if not on_grid.all():
            bad = int(np.argmin(on_grid))
            raise ForecastingError(
                f"series {names[number[bad]]!r} has a row at {_text(stamps[bad])}, which does "
                f"not fit the frequency {frequency.name} counted from {_text(origin)}"
            )
        firsts = np.flatnonzero(breaks)
        series = tuple(
            _dense(p, v)
            for p, v in zip(
                np.split(positions, firsts[1:]), np.split(values, firsts[1:]), strict=True
            )
        )
        for name, one in zip(names, series, strict=True):
            if np.isnan(one).all():
                raise ForecastingError(f"series {name!r} has no value in column 'y'")
        return cls(
            tuple(names),
            series,
            positions[firsts],
            frequency,
            origin,
            table.implementation,
            table["unique_id"].dtype.is_integer(),
        )

    @property
    def lengths(self) -> Array:
        """Number of steps from the first to the last row of each series."""
        return np.array([len(one) for one in self.series])

    @property
    def end(self) -> int:
        """The position after the last one."""
        return int((self.starts + self.lengths).max())

    @property
    def scales(self) -> Array:
        """Mean absolute value of each series."""
        return np.array([np.nanmean(np.abs(one)) for one in self.series])

    def refuse_short(self, least: int, what: str) -> None:
        """Raise a `ForecastingError` if a series has fewer steps than are needed for `what`."""
        short = np.flatnonzero(self.lengths < least)
        if len(short):
            name, length = self.ids[short[0]], int(self.lengths[short[0]])
            raise ForecastingError(
                f"series {name!r} has {length} steps of {self.frequency.name}, at least {least} "
                f"are needed for the {what}"
            )

    def refuse_no_counts(self, what: str) -> None:
        """Raise a `ForecastingError` if a value is no count, which `what` is for."""
        for name, one in zip(self.ids, self.series, strict=True):
            wrong = one[(one < 0) | (one != np.floor(one)) & ~np.isnan(one)]
            if len(wrong):
                raise ForecastingError(
                    f"{what} is for counts, but series {name!r} has {wrong[0]:g}"
                )

    def until(self, stamp: np.datetime64) -> Panel:
        """The part of every series up to and with a time stamp, of those with a value there."""
        last = int(self.frequency.positions(np.array([stamp], "datetime64[s]"), self.origin)[0][0])
        lengths = np.clip(last + 1 - self.starts, 0, self.lengths)
        parts = [one[:length] for one, length in zip(self.series, lengths, strict=True)]
        kept = [i for i, part in enumerate(parts) if not np.isnan(part).all()]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in kept),
            series=tuple(parts[i] for i in kept),
            starts=self.starts[kept],
        )

    def stamps(self, positions: Array) -> Array:
        """Time stamps at positions of the grid."""
        return self.frequency.stamps(positions, self.origin)

    def to_frame(self, columns: Mapping[str, Any]) -> Any:
        """A native data frame of the library the data came in."""
        ready = {
            name: np.asarray(column).astype("datetime64[us]") if _is_time(column) else column
            for name, column in columns.items()
        }
        lists = {
            name: values.tolist() if getattr(values, "dtype", None) == np.dtype(object) else values
            for name, values in ready.items()
        }
        series = {
            name: nw.new_series(name, values, backend=self.implementation)
            for name, values in lists.items()
        }
        if self.integer_ids and "unique_id" in series:
            large = max(map(int, self.ids)) > np.iinfo("int64").max
            series["unique_id"] = series["unique_id"].cast(nw.UInt64 if large else nw.Int64)
        return nw.from_dict(series).to_native()


def _table(frame: Any) -> Any:
    """The frame as narwhals sees it, with the right columns and at least one row."""
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise ForecastingError(f"expected a data frame, got {type(frame).__name__}") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ForecastingError(
            f"column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}, got "
            f"{', '.join(map(str, table.columns))}"
        )
    if not len(table):
        raise ForecastingError("the data have no rows")
    return table


def _is_time(column: Any) -> bool:
    return np.issubdtype(getattr(column, "dtype", object), np.datetime64)


def _ids(table: Any) -> tuple[list[str], Array]:
    """Names of the series, sorted, and of each row the number of its series."""
    column = table["unique_id"]
    if column.null_count():
        raise ForecastingError(f"column 'unique_id' has {column.null_count()} missing values")
    column = column.cast(nw.String)
    names = sorted(column.unique().to_list())
    # Numbered by the data frame: an array of a name for every row takes more than all the rest.
    number = column.replace_strict(names, list(range(len(names))), return_dtype=nw.Int64)
    return names, number.to_numpy()


def _stamps(table: Any) -> Array:
    column = table["ds"]
    if column.null_count():
        raise ForecastingError(f"column 'ds' has {column.null_count()} missing values")
    if column.dtype in (nw.String, nw.Object):
        return _parsed(column.to_list())
    if column.dtype == nw.Date:
        column = column.cast(nw.Datetime("us"))
    if not isinstance(column.dtype, nw.Datetime):
        raise ForecastingError(f"column 'ds' must hold dates or times, got {column.dtype}")
    if column.dtype.time_zone is not None:
        column = column.dt.replace_time_zone(None)
    return column.to_numpy().astype("datetime64[s]")


def _parsed(texts: list) -> Array:
    stamps: dict[Any, np.datetime64] = {}  # series have many in common
    for row, text in enumerate(texts):
        if text in stamps:
            continue
        match = _TIME.fullmatch(str(text).strip().replace("/", "-"))
        try:
            stamps[text] = np.datetime64("T".join(filter(None, match.groups() if match else "?")))
        except ValueError as error:
            raise ForecastingError(
                f"column 'ds' has {str(text)!r} in row {row + 1}, which is no time in the form "
                "2025-01-31 or 2025-01-31 23:00:00"
            ) from error
    return np.array([stamps[text] for text in texts], "datetime64[s]")


def _values(table: Any) -> Array:
    column = table["y"]
    if column.dtype.is_temporal():
        raise ForecastingError(f"column 'y' must hold numbers, got {column.dtype}")
    if column.dtype in (nw.String, nw.Object):
        for row, text in enumerate(column.to_list()):
            if isinstance(text, str) and not _is_number(text):
                raise ForecastingError(
                    f"column 'y' has {text!r} in row {row + 1}, which is no number"
                )
    try:
        values = column.cast(nw.Float64).to_numpy().astype("float64")
    except Exception as error:  # each data frame library has its own class for a failed cast
        raise ForecastingError(f"column 'y' must hold numbers, got {column.dtype}") from error
    infinite = np.abs(values) > _LARGEST
    if infinite.any():
        row = int(infinite.argmax())
        raise ForecastingError(
            f"column 'y' has {values[row]:g} in row {row + 1}, which is infinite or too large"
        )
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_doubles(names: list[str], number: Array, stamps: Array, breaks: Array) -> None:
    doubled = np.concatenate([[False], stamps[1:] == stamps[:-1]]) & ~breaks
    if doubled.any():
        first = int(np.argmax(doubled))
        raise ForecastingError(
            f"series {names[number[first]]!r} has more than one row at {_text(stamps[first])} "
            f"({int(doubled.sum())} doubled rows in all)"
        )


def _dense(positions: Array, values: Array) -> Array:
    """Values at every step from the first to the last, NaN where there is no row."""
    dense = np.full(positions[-1] - positions[0] + 1, np.nan)
    dense[positions - positions[0]] = values
    return dense


def _text(stamp: np.datetime64) -> str:
    return str(stamp).replace("T", " ")
