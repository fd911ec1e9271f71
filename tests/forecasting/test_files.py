"""Tables in CSV and Parquet: read, written, and refused in one line."""

import pandas as pd
import polars as pl
import pytest
from frames import columns

from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.files import check_suffix, read_frame, write_frame
from timedist.forecasting.panel import Panel


def refusal(function, *arguments):
    with pytest.raises(ForecastingError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "A.CSV"])
def test_round_trip(tmp_path, library, name):
    table = {**columns(length=5), "y": [1.0, None, *range(8)]}
    path = tmp_path / name
    write_frame(library(table), path)
    panel, expected = Panel.from_frame(read_frame(path)), Panel.from_frame(pl.DataFrame(table))
    assert panel.ids == expected.ids
    for one, other in zip(panel.series, expected.series, strict=True):
        assert one.tobytes() == other.tobytes()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_long_file_is_read_to_its_end_before_types_are_chosen(tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f"a,{time},1\n" for time in pl.datetime_range(
        pl.datetime(2025, 1, 1), pl.datetime(2025, 3, 1), "1h", eager=True
    ))  # fmt: skip
    path.write_text(f"unique_id,ds,y\n{rows}a,2025-03-01 01:00:00,2.5\n", encoding="utf-8")
    assert Panel.from_frame(read_frame(path)).series[0][-1] == 2.5


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.csv.gz"])
def test_other_kinds_of_files(tmp_path, name):
    path = tmp_path / name
    message = f"{path}: expected a .csv or .parquet file"
    assert refusal(check_suffix, path) == message
    assert refusal(read_frame, path) == message
    assert refusal(write_frame, pl.DataFrame(columns(length=1)), path) == message


def test_missing_file(tmp_path):
    path = tmp_path / "a.csv"
    assert refusal(read_frame, path) == f"{path}: no such file"
    path.mkdir()
    assert refusal(read_frame, path) == f"{path}: no such file"


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00\xff\xfe", b"a,b\n1,2,3,4\n"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_garbage(tmp_path, content, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    message = refusal(lambda: Panel.from_frame(read_frame(path)))
    assert message.startswith((f"{path}: cannot be read as {kind}: ", "column 'unique_id' is miss"))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write_frame(pl.DataFrame(columns(length=1)), path)
    before = path.read_bytes()

    def half(self, file, **_):
        file.write_text("half", encoding="utf-8")
        raise OSError("no space left")

    monkeypatch.setattr("narwhals.DataFrame.write_csv", half)
    with pytest.raises(OSError, match="no space left"):
        write_frame(pl.DataFrame(columns(length=2)), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_no_directory_to_write_to(tmp_path):
    path = tmp_path / "no" / "a.csv"
    assert refusal(write_frame, pl.DataFrame(columns(length=1)), path) == (
        f"cannot write {path}: the directory {path.parent} does not exist"
    )


def test_names_are_text(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{name},2025-01-0{day},1" for name in ("007", "7", "1.10") for day in (1, 2)]
    path.write_text("\n".join(["unique_id,ds,y", *rows]), encoding="utf-8")
    assert Panel.from_frame(read_frame(path)).ids == ("007", "1.10", "7")


def test_times_are_not_guessed(tmp_path):
    """Neither the order of days and months, nor the time of another zone."""
    path = tmp_path / "a.csv"
    path.write_text("unique_id,ds,y\na,01/02/2025,1\na,01/03/2025,2\n", encoding="utf-8")
    message = "column 'ds' has '01/02/2025' in row 1, which is no time in the form 2025-01-31"
    assert message in refusal(Panel.from_frame, read_frame(path))
    path.write_text(
        "unique_id,ds,y\na,2025-03-29T00:00:00+01:00,1\na,2025-03-30T00:00:00+01:00,2\n"
        "a,2025-03-31T00:00:00+02:00,3\n",
        encoding="utf-8",
    )
    panel = Panel.from_frame(read_frame(path))
    assert (panel.frequency.name, str(panel.origin)) == ("1d", "2025-03-29T00:00:00")
    assert panel.lengths == [3]
