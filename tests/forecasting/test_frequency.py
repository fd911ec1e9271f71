"""Steps of series: reading, guessing, counting in them and back, seasons, lags, features."""

import numpy as np
import pytest

from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.frequency import Frequency


def stamps(*texts):
    return np.array(texts, "datetime64[s]")


def infer(*texts):
    given = stamps(*texts)
    return Frequency.infer(given, np.arange(len(given)) == 0).name


@pytest.mark.parametrize(
    ("text", "name", "seconds", "months"),
    [
        ("s", "1s", 1, 0),
        ("15min", "15m", 900, 0),
        ("5T", "5m", 300, 0),
        ("m", "1m", 60, 0),
        ("h", "1h", 3600, 0),
        ("H", "1h", 3600, 0),
        (" 2 h ", "2h", 7200, 0),
        ("D", "1d", 86400, 0),
        ("2w", "2w", 14 * 86400, 0),
        ("M", "1mo", 0, 1),
        ("MS", "1mo", 0, 1),
        ("ME", "1mo", 0, 1),
        ("1mo", "1mo", 0, 1),
        ("QE", "1q", 0, 3),
        ("y", "1y", 0, 12),
        ("YS", "1y", 0, 12),
    ],
)
def test_parse(text, name, seconds, months):
    frequency = Frequency.parse(text)
    assert (frequency.name, frequency.seconds, frequency.months) == (name, seconds, months)
    assert Frequency.parse(frequency.name) == frequency


@pytest.mark.parametrize("text", ["", "0h", "-1h", "1.5h", "fortnight", "W-SUN", "1", "h1"])
def test_parse_refuses(text):
    with pytest.raises(ForecastingError, match=r"is not understood; .* e\.g\. 1h, 15m, 1d, 1mo"):
        Frequency.parse(text)


def test_infer():
    assert infer("2025-01-01T00:00:00", "2025-01-01T00:00:01") == "1s"
    assert infer("2025-01-01T00:00:00", "2025-01-01T00:00:45") == "45s"
    assert infer("2025-01-01T00:00", "2025-01-01T00:15") == "15m"
    assert infer("2025-01-01T00:00", "2025-01-01T06:00") == "6h"
    assert infer("2025-01-01", "2025-01-02", "2025-01-05") == "1d"
    assert infer("2025-01-01", "2025-01-03", "2025-01-05", "2025-01-15") == "2d"
    assert infer("2025-01-01", "2025-01-08", "2025-01-15") == "1w"
    assert infer("2025-01-01", "2025-02-01", "2025-03-01") == "1mo"
    assert infer("2025-01-31", "2025-02-28", "2025-03-31") == "1mo"
    assert infer("2025-01-01", "2025-04-01", "2025-07-01") == "1q"
    assert infer("2023-01-01", "2024-01-01", "2025-01-01") == "1y"


def test_infer_looks_inside_series_only():
    given = stamps("2025-01-01T00", "2025-01-01T02", "2025-01-01T00", "2025-01-01T02")
    assert Frequency.infer(given, np.array([True, False, True, False])).name == "2h"
    with pytest.raises(ForecastingError, match=r"cannot be told from one row a series.*--freq"):
        Frequency.infer(given[:2], np.array([True, True]))


@pytest.mark.parametrize(
    "text", ["1s", "90s", "15m", "1h", "7h", "1d", "1w", "1mo", "5mo", "1q", "1y"]
)
@pytest.mark.parametrize(
    "first", ["2023-12-31T00:00:00", "2024-02-29T00:00:00", "2025-01-01T06:30:00", "2025-04-30"]
)
def test_positions_and_stamps_are_inverse(text, first):
    frequency, origin = Frequency.parse(text), np.datetime64(first, "s")
    positions = np.arange(-30, 60)
    times = frequency.stamps(positions, origin)
    assert times.dtype == np.dtype("datetime64[s]")
    assert (np.diff(times) > np.timedelta64(0, "s")).all()
    back, on_grid = frequency.positions(times, origin)
    np.testing.assert_array_equal(back, positions)
    assert on_grid.all()
    assert not frequency.positions(times + np.timedelta64(1, "s"), origin)[1].any() or text == "1s"


def test_the_31st_of_shorter_months_is_their_last_day():
    month = Frequency.parse("1mo")
    times = month.stamps(np.arange(5), np.datetime64("2024-01-31T08:00:00"))
    expected = ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]
    np.testing.assert_array_equal(times, stamps(*(f"{day}T08:00" for day in expected)))
    year = Frequency.parse("1y").stamps(np.arange(5), np.datetime64("2024-02-29T00:00:00"))
    assert [str(t)[:10] for t in year][1:] == [
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1mo", ["2025-02-28", "2025-03-31", "2025-04-30"]),
        ("1mo", ["2025-04-30", "2025-05-31", "2025-06-30"]),
        ("1mo", ["2025-04-30", "2025-05-30", "2025-06-30"]),
        ("1q", ["2025-06-30", "2025-09-30", "2025-12-31"]),
        ("1y", ["2023-02-28", "2024-02-29", "2025-02-28"]),
        ("1mo", ["2025-04-15", "2025-05-15", "2025-06-15"]),
        ("1d", ["2025-04-30", "2025-05-01", "2025-05-02"]),
    ],
)
def test_origin_puts_every_end_of_a_month_on_the_grid(text, days):
    frequency, times = Frequency.parse(text), stamps(*days)
    origin = frequency.origin(times)
    positions, on_grid = frequency.positions(times, origin)
    assert on_grid.all()
    np.testing.assert_array_equal(np.diff(positions), 1)
    np.testing.assert_array_equal(frequency.stamps(positions, origin), times)


def test_seasons_and_lags():
    seasons = {
        "1m": (1440, 10080), "15m": (96, 672), "1h": (24, 168), "2h": (12, 84), "7h": (24,),
        "1d": (7,), "2d": (1,), "1w": (52,), "2w": (26,), "1mo": (12,), "1q": (4,), "5mo": (1,),
        "1y": (1,),
    }  # fmt: skip
    assert {name: Frequency.parse(name).seasons for name in seasons} == seasons
    hourly = Frequency.parse("1h").lags()
    assert {1, 2, 3, 23, 24, 25, 48, 167, 168, 169, 336, 672} <= set(hourly)
    for name in seasons:
        lags = Frequency.parse(name).lags()
        assert list(lags) == sorted(set(lags))
        assert lags[:3] == (1, 2, 3)


def test_features_are_bounded_and_periodic():
    hours = np.datetime64("2024-01-01T00:00:00") + np.arange(0, 366 * 24 * 3600, 3600)
    features = Frequency.parse("1h").features(hours)
    assert features.shape == (len(hours), 18)
    assert features.dtype == np.float32
    assert np.abs(features).max() <= 1.0
    np.testing.assert_allclose(features[:-24, :8], features[24:, :8], atol=1e-6)  # the day
    np.testing.assert_allclose(features[:-168, 8:14], features[168:, 8:14], atol=1e-6)  # the week
    again = Frequency.parse("1y").features(stamps("2023-01-01", "2024-01-01", "2025-01-01"))
    np.testing.assert_allclose(again[:, 14:], [[0.0, 1.0, 0.0, 1.0]] * 3, atol=1e-6)  # the year


def test_features_tell_the_hours_of_a_week_apart():
    hours = np.datetime64("2024-01-01T00:00:00") + np.arange(168) * np.timedelta64(3600, "s")
    rounded = np.round(Frequency.parse("1h").features(hours)[:, :14], 3)
    assert len(np.unique(rounded, axis=0)) == 168
