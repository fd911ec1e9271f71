"""Data frames as series on a grid: what is read, what is refused, and what comes out again."""

from datetime import date, datetime, timedelta

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from frames import START, columns

from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.panel import Panel

LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.fixture(params=LIBRARIES)
def frame_of(request):
    return LIBRARIES[request.param]


def days(*numbers):
    return [datetime(2025, 1, number) for number in numbers]


def one_series(y, ds=None, name="a"):
    ds = days(*range(1, len(y) + 1)) if ds is None else ds
    return {"unique_id": [name] * len(ds), "ds": ds, "y": y}


def refusal(frame, freq=None):
    with pytest.raises(ForecastingError) as caught:
        Panel.from_frame(frame, freq)
    message = str(caught.value)
    assert "\n" not in message
    return message


def same(one, other):
    assert one.ids == other.ids
    assert one.frequency == other.frequency
    assert one.origin == other.origin
    np.testing.assert_array_equal(one.starts, other.starts)
    for a, b in zip(one.series, other.series, strict=True):
        np.testing.assert_array_equal(a, b)


def test_series_on_one_grid(frame_of):
    table = columns(ids=("b", "a"), length=5)
    table["unique_id"] += ["c"] * 2
    table["ds"] += [START + timedelta(hours=hour) for hour in (2, 3)]
    table["y"] += [7.0, 8.0]
    panel = Panel.from_frame(frame_of(table))
    assert panel.ids == ("a", "b", "c")
    assert panel.frequency.name == "1h"
    assert panel.origin == np.datetime64(START, "s")
    np.testing.assert_array_equal(panel.starts, [0, 0, 2])
    np.testing.assert_array_equal(panel.lengths, [5, 5, 2])
    assert panel.end == 5
    np.testing.assert_array_equal(panel.series[0], table["y"][5:10])
    np.testing.assert_array_equal(panel.series[2], [7.0, 8.0])
    np.testing.assert_array_equal(
        panel.stamps(np.array([0, 4])),
        np.array(["2025-01-01T00", "2025-01-01T04"], "datetime64[s]"),
    )


def test_pandas_and_polars_agree_and_order_does_not_matter():
    table = columns(length=40)
    order = np.random.default_rng(0).permutation(80)
    mixed = {name: [column[i] for i in order] for name, column in table.items()}
    reference = Panel.from_frame(pl.DataFrame(table))
    for frame in (pd.DataFrame(table), pl.DataFrame(mixed), pd.DataFrame(mixed)):
        same(Panel.from_frame(frame), reference)


def test_gaps_and_missing_values_become_nan(frame_of):
    panel = Panel.from_frame(frame_of(one_series([1.0, None, 4.0, 6.0], days(1, 2, 4, 6))), "1d")
    np.testing.assert_array_equal(panel.series[0], [1.0, np.nan, np.nan, 4.0, np.nan, 6.0])


@pytest.mark.parametrize(
    "ds",
    [
        [date(2025, 1, 1), date(2025, 1, 2), date(2025, 1, 3)],
        ["2025-01-01", "2025-01-02", "2025-01-03"],
        ["2025/01/01", "2025/01/02", "2025/01/03"],
        ["2025-01-01 00:00", "2025-01-02T00:00:00", "2025-01-03 00:00:00.000000"],
        ["2025-01-01 00:00:00+13:00", "2025-01-02T00:00:00Z", "2025-01-03T00:00:00 +0100"],
    ],
)
@pytest.mark.filterwarnings("error")
def test_dates_and_texts_are_times(frame_of, ds):
    same(
        Panel.from_frame(frame_of(one_series([1.0, 2.0, 3.0], ds))),
        Panel.from_frame(frame_of(one_series([1.0, 2.0, 3.0]))),
    )


def test_months_as_text(frame_of):
    panel = Panel.from_frame(frame_of(one_series([1.0, 2.0], ["2024-12", "2025-01"])))
    assert panel.frequency.name == "1mo"


def test_wall_clock_of_a_time_zone_counts(frame_of):
    naive = Panel.from_frame(frame_of(one_series([1.0, 2.0, 3.0])))
    if frame_of is pd.DataFrame:
        frame = frame_of(one_series([1.0, 2.0, 3.0]))
        frame["ds"] = frame["ds"].dt.tz_localize("Pacific/Auckland")
    else:
        frame = frame_of(one_series([1.0, 2.0, 3.0])).with_columns(
            pl.col("ds").dt.replace_time_zone("Pacific/Auckland")
        )
    same(Panel.from_frame(frame), naive)


@pytest.mark.parametrize("y", [[1, 2, 3], ["1", "2.0", "3e0"], [True, False, True]])
def test_what_is_a_number(frame_of, y):
    panel = Panel.from_frame(frame_of(one_series(y)))
    np.testing.assert_array_equal(panel.series[0], np.array(y, "float64"))


def test_nullable_integers():
    frame = pd.DataFrame(one_series([1, 2, 3]))
    frame["y"] = pd.array([1, None, 3], dtype="Int64")
    np.testing.assert_array_equal(Panel.from_frame(frame).series[0], [1.0, np.nan, 3.0])


def test_ends_of_months(frame_of):
    ds = [
        datetime(2025, 2, 28),
        datetime(2025, 3, 31),
        datetime(2025, 4, 30),
        datetime(2025, 6, 30),
    ]
    panel = Panel.from_frame(frame_of(one_series([1.0, 2.0, 3.0, 5.0], ds)), "ME")
    np.testing.assert_array_equal(panel.series[0], [1.0, 2.0, 3.0, np.nan, 5.0])
    after = panel.stamps(panel.starts + panel.lengths + np.arange(2))
    assert [str(stamp)[:10] for stamp in after] == ["2025-07-31", "2025-08-31"]


def test_integer_names_come_out_as_integers(frame_of):
    table = one_series([1.0, 2.0], name=10)
    other = one_series([3.0, 4.0], name=9)
    frame = frame_of({name: table[name] + other[name] for name in table})
    panel = Panel.from_frame(frame)
    out = nw.from_native(panel.to_frame({"unique_id": np.array(panel.ids, dtype=object)}))
    assert out["unique_id"].dtype.is_integer()
    assert set(out["unique_id"].to_list()) == {9, 10}


def test_to_frame_gives_the_library_of_the_data(frame_of):
    panel = Panel.from_frame(frame_of(columns(length=3)))
    frame = panel.to_frame(
        {
            "unique_id": np.array(["a", "b"], dtype=object),
            "ds": panel.stamps(np.array([3, 4])),
            "y": np.array([1.0, 2.0]),
        }
    )
    assert type(frame) is frame_of
    table = nw.from_native(frame)
    assert table["ds"].to_list() == [START + timedelta(hours=3), START + timedelta(hours=4)]
    assert table["unique_id"].to_list() == ["a", "b"]
    assert table["y"].to_list() == [1.0, 2.0]


def test_until(frame_of):
    table = columns(length=5)
    table = {name: [*values] for name, values in table.items()}
    table["ds"][5:] = [time + timedelta(hours=3) for time in table["ds"][5:]]
    panel = Panel.from_frame(frame_of(table))
    cut = panel.until(np.datetime64("2025-01-01T03:00:00"))
    assert cut.ids == ("a", "b")
    np.testing.assert_array_equal(cut.lengths, [4, 1])
    np.testing.assert_array_equal(cut.series[0], panel.series[0][:4])
    earlier = panel.until(np.datetime64("2025-01-01T02:59:59"))
    assert earlier.ids == ("a",)
    np.testing.assert_array_equal(earlier.lengths, [3])
    assert panel.until(np.datetime64("2024-12-31T23:00:00")).ids == ()
    same(panel.until(np.datetime64("2026-01-01")), panel)


# --- what is refused --------------------------------------------------------------------------


def test_no_data_frame():
    assert refusal([1, 2, 3]) == "expected a data frame, got list"


@pytest.mark.parametrize("name", ["unique_id", "ds", "y"])
def test_missing_column(frame_of, name):
    table = columns(length=3)
    table["other"] = table.pop(name)
    message = refusal(frame_of(table))
    assert message.startswith(f"column {name!r} is missing; expected unique_id, ds, y, got ")
    assert "other" in message


def test_no_rows(frame_of):
    assert refusal(frame_of({"unique_id": [], "ds": [], "y": []})) == "the data have no rows"


def test_doubled_time_stamps(frame_of):
    table = columns(length=3)
    for name, column in table.items():
        column += [column[4], column[4], column[0]]
        assert len(table[name]) == 9
    assert refusal(frame_of(table)) == (
        "series 'a' has more than one row at 2025-01-01 00:00:00 (3 doubled rows in all)"
    )


def test_step_off_the_grid(frame_of):
    table = columns(ids=("a", "b"), length=5)
    table["ds"][7] += timedelta(minutes=20)
    assert refusal(frame_of(table)) == (
        "series 'b' has a row at 2025-01-01 02:20:00, which does not fit the frequency 1h counted "
        "from 2025-01-01 00:00:00"
    )
    assert "does not fit the frequency 2h" in refusal(frame_of(columns(length=5)), "2h")


def test_frequency_that_is_none(frame_of):
    assert refusal(frame_of(columns(length=5)), "often").startswith("frequency 'often' is not")


def test_text_in_y(frame_of):
    table = one_series(["1", "n/a", "3"])
    assert refusal(frame_of(table)) == "column 'y' has 'n/a' in row 2, which is no number"


def test_text_among_numbers_in_y():
    frame = pd.DataFrame(one_series([1.0, "closed", 3.0]))
    assert refusal(frame) == "column 'y' has 'closed' in row 2, which is no number"


@pytest.mark.parametrize("y", [days(1, 2, 3), [timedelta(1)] * 3])
def test_times_in_y(frame_of, y):
    assert refusal(frame_of(one_series(y))).startswith("column 'y' must hold numbers, got ")


@pytest.mark.parametrize(("value", "text"), [(np.inf, "inf"), (-np.inf, "-inf"), (1e39, "1e+39")])
def test_infinite_y(frame_of, value, text):
    assert refusal(frame_of(one_series([1.0, 2.0, value]))) == (
        f"column 'y' has {text} in row 3, which is infinite or too large"
    )


def test_missing_times_and_names(frame_of):
    table = one_series([1.0, 2.0, 3.0])
    message = refusal(frame_of({**table, "ds": [None, *table["ds"][1:]]}))
    assert message == "column 'ds' has 1 missing values"
    message = refusal(frame_of({**table, "unique_id": ["a", None, None]}))
    assert message == "column 'unique_id' has 2 missing values"


@pytest.mark.parametrize(
    "text", ["", "NaT", "now", "20250102", "01/02/2025", "2025-02-30", "2025-01-0100", "Monday"]
)
def test_text_that_is_no_time(frame_of, text):
    message = refusal(frame_of(one_series([1.0, 2.0, 3.0], ["2025-01-01", text, "2025-01-03"])))
    assert message.startswith(f"column 'ds' has {text!r} in row 2, which is no time in the form ")


def test_numbers_for_times(frame_of):
    message = refusal(frame_of(one_series([1.0, 2.0], [2024, 2025])))
    assert message == "column 'ds' must hold dates or times, got Int64"


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_series_without_a_value(frame_of, nothing):
    table = one_series([1.0, 2.0, 3.0])
    empty = one_series([nothing, nothing, nothing], name="quiet")
    frame = frame_of({name: table[name] + empty[name] for name in table})
    assert refusal(frame) == "series 'quiet' has no value in column 'y'"


def test_until_leaves_out_what_has_no_value_yet(frame_of):
    frame = {"unique_id": ["a"] * 3 + ["b"] * 3, "ds": days(1, 2, 3) * 2}
    panel = Panel.from_frame(frame_of({**frame, "y": [1.0, 2.0, 3.0, None, None, 4.0]}))
    assert panel.until(np.datetime64("2025-01-02")).ids == ("a",)
    assert panel.until(np.datetime64("2025-01-03")).ids == ("a", "b")


def test_the_largest_integers_are_names(frame_of):
    ids = np.array([1, 2**63 + 5], "uint64")
    panel = Panel.from_frame(frame_of({"unique_id": ids, "ds": days(1, 1), "y": [1.0, 2.0]}), "1d")
    out = nw.from_native(panel.to_frame({"unique_id": np.array(panel.ids, dtype=object)}))
    assert out["unique_id"].to_list() == [1, 2**63 + 5]
