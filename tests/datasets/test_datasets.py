"""The Auckland data set: what is in the file, and the rule that repaired its time stamps."""

from __future__ import annotations

import importlib.util
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

from timedist.datasets import auckland_pedestrians, auckland_pedestrians_path

pl = pytest.importorskip("polars")
pytest.importorskip("narwhals")

FIRST = datetime(2023, 1, 1)
HOURS = 26304
SCRIPT = Path(__file__).parents[2] / "scripts" / "repair_auckland_pedestrians.py"


@pytest.fixture(scope="module")
def frame():
    return auckland_pedestrians()


def test_shape_and_types(frame):
    assert frame.columns == ["unique_id", "ds", "y"]
    assert frame.shape == (21 * HOURS, 3)
    assert frame["unique_id"].n_unique() == 21
    assert frame["unique_id"].dtype == pl.String
    assert frame["ds"].dtype == pl.Datetime("ms")
    assert frame["y"].dtype == pl.Float64


def test_one_row_an_hour_and_sorted(frame):
    hours = [FIRST + timedelta(hours=hour) for hour in range(HOURS)]
    assert hours[-1] == datetime(2025, 12, 31, 23)
    for _, series in frame.group_by("unique_id", maintain_order=True):
        assert series["ds"].to_list() == hours
    assert frame["unique_id"].is_sorted()


def test_counts_are_whole_and_not_negative(frame):
    counts = frame["y"].drop_nulls()
    assert counts.min() >= 0
    assert (counts == counts.round()).all()
    assert not counts.is_nan().any()


def test_known_gaps_are_missing(frame):
    missing = frame.filter(pl.col("y").is_null())
    assert len(missing) == 201
    everywhere = missing.group_by("ds").len().filter(pl.col("len") == 21)["ds"].sort()
    assert everywhere.to_list() == [
        datetime(2023, 10, 1, 5),
        datetime(2024, 9, 29, 2),
        datetime(2025, 10, 1, 5),
    ]


def test_a_working_day_has_its_shape(frame):
    days = frame.filter(pl.col("ds").dt.weekday() <= 5)
    mean = dict(days.group_by(pl.col("ds").dt.hour()).agg(pl.col("y").mean()).iter_rows())
    assert mean[12] > 10 * mean[4]
    assert min(mean, key=mean.get) in (3, 4)
    assert mean[23] > mean[0] > mean[1] > mean[2]


def test_nights_out_belong_to_the_weekend(frame):
    night = frame.filter(pl.col("ds").dt.hour() == 1)
    mean = dict(night.group_by(pl.col("ds").dt.weekday()).agg(pl.col("y").mean()).iter_rows())
    assert sorted(mean, key=mean.get)[-2:] == [6, 7]


def test_polars_and_pandas_agree(frame):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    other = auckland_pedestrians("pandas")
    assert list(other.columns) == frame.columns
    assert other["y"].dtype == "float64"
    assert other["unique_id"].tolist() == frame["unique_id"].to_list()
    assert (other["ds"].to_numpy() == frame["ds"].to_numpy()).all()
    ours = frame["y"].fill_null(-1).to_numpy()
    assert (other["y"].fillna(-1).to_numpy() == ours).all()


def test_pyarrow(frame):
    pytest.importorskip("pyarrow")
    table = auckland_pedestrians("pyarrow")
    assert table.shape == frame.shape
    assert table["y"].null_count == 201


def test_unknown_backend():
    with pytest.raises(ValueError, match=r"'excel'.*'polars', 'pandas', 'pyarrow'"):
        auckland_pedestrians("excel")


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(ImportError, match=r'pip install "timedist\[forecast\]"'):
        auckland_pedestrians()


def test_licence_sits_beside_the_file():
    path = auckland_pedestrians_path()
    assert path.is_file()
    assert path.stat().st_size < 1.5e6
    licence = (path.parent / "AUCKLAND_PEDESTRIANS.md").read_text(encoding="utf-8")
    for needed in ("CC BY 4.0", "Hyesop Shin", "Heart of the City", "Changes made"):
        assert needed in licence


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("repair_auckland_pedestrians", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published(start: datetime, hours: int) -> list[list[object]]:
    """Rows as published: days from 06:00 to 05:59, counts that number the hours of the file."""
    rows: list[list[object]] = []
    for count in range(hours):
        time = start + timedelta(hours=count)
        date = (time - timedelta(hours=6)).date()
        rows.append([str(date), f"{time.hour}:00-{time.hour}:59", date.year, float(count), None])
    return rows


def write(path: Path, rows: list[list[object]]) -> Path:
    lines = ["date,hour,year,B Street,A Street"]
    lines += [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_rule_moves_the_small_hours(script, tmp_path):
    rows = published(datetime(2023, 1, 1, 6), 48)
    first, last = datetime(2023, 1, 1, 6), datetime(2023, 1, 3, 5)
    long = script.repair(write(tmp_path / "a.csv", rows), first, last)
    assert long["unique_id"].to_list() == ["A Street"] * 48 + ["B Street"] * 48
    b_street = long.filter(pl.col("unique_id") == "B Street")
    assert b_street["ds"].to_list() == [first + timedelta(hours=hour) for hour in range(48)]
    assert b_street["y"].to_list() == list(range(48))
    assert long.filter(pl.col("unique_id") == "A Street")["y"].null_count() == 48


def test_rule_redates_strays_and_keeps_gaps(script, tmp_path):
    rows = published(datetime(2023, 1, 1, 6), 48)
    rows[24][0] = "2023-01-01"  # 06:00 of the second day still carries the first date
    rows[23][0] = "2023-01-04"
    del rows[10]
    first, last = datetime(2023, 1, 1, 6), datetime(2023, 1, 3, 5)
    long = script.repair(write(tmp_path / "a.csv", rows), first, last)
    counts = long.filter(pl.col("unique_id") == "B Street")["y"].to_list()
    assert counts == [None if hour == 10 else hour for hour in range(48)]


def test_rule_stops_at_the_last_hour_there_is(script, tmp_path):
    rows = published(datetime(2023, 1, 1, 6), 30)
    path = write(tmp_path / "a.csv", rows)
    long = script.repair(path, datetime(2023, 1, 1), datetime(2023, 2, 1))
    assert long["ds"].min() == datetime(2023, 1, 1)
    assert long["ds"].max() == datetime(2023, 1, 2, 11)
    assert len(long) == 2 * 36


def test_duplicates_that_agree_are_one_row(script, tmp_path):
    rows = published(datetime(2023, 1, 1, 6), 24)
    path = write(tmp_path / "a.csv", rows + rows)
    long = script.repair(path, datetime(2023, 1, 1, 6), datetime(2023, 1, 2, 5))
    assert len(long) == 48


def test_duplicates_that_disagree_are_refused(script, tmp_path):
    rows = published(datetime(2023, 1, 1, 6), 24)
    again = [[*row[:3], 7.0, None] for row in rows]
    with pytest.raises(ValueError, match=r"23 hours have more than one row.*2023-01-01 07:00"):
        script.repair(write(tmp_path / "a.csv", rows + again))
