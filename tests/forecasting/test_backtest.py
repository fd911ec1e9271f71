"""Backtests: which windows are forecast from which data, and their scores by other hands."""

from datetime import timedelta
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from frames import START, columns, pandas_frame, polars_frame

from timedist.forecasting import ForecastingError, backtest
from timedist.forecasting.panel import Panel

HORIZON, FIRST, WINDOWS, NUMBER = 6, 240, 4, 100
LENGTH = FIRST + HORIZON * WINDOWS
HOUR = timedelta(hours=1)


class Stub:
    """Forecasts the last known day, with noise, and notes what it was asked."""

    horizon, context_length = HORIZON, 24

    def sample_windows(self, panel, series, at, num_paths, verbose=0):
        self.asked = list(zip(series.tolist(), at.tolist(), strict=True))
        rng = np.random.default_rng(0)
        day = [panel.series[s][a - 24 : a - 24 + HORIZON] for s, a in self.asked]
        level = np.nan_to_num(np.array(day), nan=20.0)[:, None]
        return rng.normal(level, 0.3 * level, size=(len(at), num_paths, HORIZON))


def run(frame, first=FIRST, windows=WINDOWS):
    panel = frame if isinstance(frame, Panel) else Panel.from_frame(frame)
    return backtest.run(Stub(), panel, first, windows, NUMBER)


@pytest.fixture(scope="module")
def result():
    table = columns(length=LENGTH)
    table["y"][-1] = None  # a gap in the truth
    return run(pl.DataFrame(table))


def test_windows_follow_each_other(result):
    expected = [(s, FIRST + k * HORIZON) for s in (0, 1) for k in range(WINDOWS)]
    assert list(zip(result.series.tolist(), result.at.tolist(), strict=True)) == expected
    assert set(result.samples) == {"timedist", "seasonal naive", "seasonal pool"}
    assert result.samples["timedist"].shape == (8, NUMBER, HORIZON)
    assert result.samples["seasonal pool"].shape == (8, 15, HORIZON)
    truth = np.concatenate([one[FIRST:] for one in result.panel.series]).reshape(8, HORIZON)
    np.testing.assert_array_equal(result.truth, truth)
    assert np.isnan(result.truth).sum() == 1


def test_windows_a_series_does_not_cover_are_left_out():
    table = columns(ids=("a", "b", "c"), length=LENGTH)
    hours = np.array([(time - START).total_seconds() / 3600 for time in table["ds"]])
    names = np.array(table["unique_id"])
    late = (names == "b") & (hours < FIRST - 20)  # begins 20 hours before the first window
    early = (names == "c") & (hours >= FIRST + HORIZON)  # ends after the first window
    kept = ~(late | early)
    result = run(pl.DataFrame(table).filter(pl.Series(kept)))
    begin = result.at + result.panel.starts[result.series]
    found = list(zip(result.series.tolist(), begin.tolist(), strict=True))
    every = [FIRST + k * HORIZON for k in range(WINDOWS)]
    assert found == [*((0, p) for p in every), *((1, p) for p in every[1:]), (2, FIRST)]


def test_nothing_to_score():
    table = columns(length=LENGTH)
    panel = Panel.from_frame(pl.DataFrame(table))
    with pytest.raises(
        ForecastingError, match="no series reaches from before the first to the end"
    ):
        run(panel, first=10, windows=1)
    table["y"] = [None if i % LENGTH >= FIRST else y for i, y in enumerate(table["y"])]
    with pytest.raises(ForecastingError, match="no value is known in the held-out windows"):
        run(pl.DataFrame(table))


def test_later_data_change_no_forecast():
    frame = polars_frame(length=LENGTH)
    cutoff = frame["ds"][FIRST + 2 * HORIZON]
    changed = frame.with_columns(
        pl.when(pl.col("ds") >= cutoff).then(1e5).otherwise("y").alias("y")
    )
    one, other = run(frame), run(changed)
    before = one.at <= FIRST + 2 * HORIZON
    for name in one.samples:
        np.testing.assert_array_equal(one.samples[name][before], other.samples[name][before])
    np.testing.assert_array_equal(one.scale, other.scale)


@pytest.mark.parametrize("frame_of", [polars_frame, pandas_frame])
def test_frame(frame_of):
    table = run(frame_of(length=LENGTH)).frame(levels=(20, 90))
    assert type(table) is {polars_frame: pl.DataFrame, pandas_frame: pd.DataFrame}[frame_of]
    assert list(table.columns) == [
        "unique_id", "ds", "cutoff", "y", "timedist", "timedist-median",
        "timedist-lo-20", "timedist-hi-20", "timedist-lo-90", "timedist-hi-90",
    ]  # fmt: skip
    assert len(table) == 2 * WINDOWS * HORIZON
    ds, cutoff = (np.array(table[name], "datetime64[h]") for name in ("ds", "cutoff"))
    ahead = (ds - cutoff).astype(int).reshape(-1, HORIZON)
    np.testing.assert_array_equal(ahead, np.tile(np.arange(1, HORIZON + 1), (2 * WINDOWS, 1)))
    assert cutoff[0] == np.datetime64(START, "h") + (FIRST - 1)


def by_hand(truth, samples, scale):
    """The scores, one value after the other."""
    losses, total, crps, errors, inside50, inside90 = np.zeros(9), 0.0, [], [], [], []
    for n, h in np.argwhere(~np.isnan(truth)):
        y, x = truth[n, h], samples[n, :, h]
        x = x[~np.isnan(x)]
        for k, level in enumerate(np.arange(1, 10) / 10):
            q = np.quantile(x, level)
            losses[k] += 2 * max(level * (y - q), (level - 1) * (y - q))
        total += abs(y)
        crps.append(np.abs(x - y).mean() - np.abs(x[:, None] - x).mean() / 2)
        errors.append(abs(y - np.median(x)) / scale[n])
        low90, low50, high50, high90 = np.quantile(x, [0.05, 0.25, 0.75, 0.95])
        inside50.append(low50 <= y <= high50)
        inside90.append(low90 <= y <= high90)
    return {
        "wql": losses.mean() / total,
        "crps": np.mean(crps),
        "mase": np.mean(errors),
        "coverage-50": np.mean(inside50),
        "coverage-90": np.mean(inside90),
    }


def test_scores_by_hand(result):
    scores = result.scores()
    assert list(scores) == list(result.samples)
    season = [np.abs(one[24:FIRST] - one[: FIRST - 24]).mean() for one in result.panel.series]
    np.testing.assert_allclose(result.scale, np.repeat(season, WINDOWS))
    for name, samples in result.samples.items():
        expected = by_hand(result.truth, samples, result.scale)
        assert scores[name] == pytest.approx(expected, rel=1e-4)


def test_utilsforecast_reads_the_frame_and_agrees(result):
    losses = pytest.importorskip("utilsforecast.losses")
    from utilsforecast.evaluation import evaluate

    scores = result.scores()["timedist"]
    frame = result.frame().filter(pl.col("y").is_not_nan())
    train = polars_frame(length=LENGTH).filter(pl.col("ds") < frame["ds"].min())
    mase = partial(losses.mase, seasonality=24)
    each = evaluate(
        frame, [losses.mae, losses.coverage, mase], models=["timedist"], train_df=train, level=[90]
    )
    assert each.select("unique_id", "cutoff").n_unique() == 2 * WINDOWS
    # As one group, so that their sums run over all series and windows, as ours do.
    whole = frame.drop("cutoff").with_columns(pl.lit("all").alias("unique_id"))
    coverage = evaluate(whole, [losses.coverage], models=["timedist"], level=[90])
    assert coverage["timedist"][0] == pytest.approx(scores["coverage-90"], abs=1e-6)
    eight = evaluate(whole, [losses.scaled_crps], models=["timedist"], level=[20, 40, 60, 80])
    median = losses.nd(whole, ["timedist-median"])["timedist-median"][0]
    assert (8 * eight["timedist"][0] + median) / 9 == pytest.approx(scores["wql"], rel=1e-4)
    # Their scaled error is that of a series; ours is the mean over all known values.
    each = evaluate(frame.drop("cutoff"), [mase], models=["timedist-median"], train_df=train)
    number = frame.group_by("unique_id", maintain_order=True).len()["len"]
    average = np.average(each.sort("unique_id")["timedist-median"], weights=number)
    assert average == pytest.approx(scores["mase"], rel=1e-4)


def test_scores_where_nothing_can_be_scored():
    samples = np.zeros((2, 3, 4))
    empty = backtest.score(np.full((2, 4), np.nan), samples, np.ones(2))
    assert list(empty) == ["wql", "crps", "mase", "coverage-50", "coverage-90"]
    assert np.isnan(list(empty.values())).all()
    zero = backtest.score(np.zeros((2, 4)), samples, np.ones(2))
    assert np.isnan(zero["wql"])
    assert (zero["crps"], zero["mase"], zero["coverage-50"]) == (0.0, 0.0, 1.0)


def test_a_constant_series_does_not_take_the_others_out_of_the_scaled_error():
    truth, samples = np.ones((2, 3)), np.zeros((2, 5, 3))
    score = backtest.score(truth, samples, np.array([2.0, np.nan]))
    assert score["mase"] == 0.5
    table = columns(length=LENGTH)
    table["y"][:LENGTH] = [5.0] * LENGTH
    result = run(pl.DataFrame(table))
    assert np.isnan(result.scale[result.series == 0]).all()
    assert np.isfinite(result.scores()["timedist"]["mase"])


def test_a_missing_sample_is_left_out():
    samples = np.random.default_rng(0).normal(size=(1, 9, 1))
    gaps = np.insert(samples, [2, 5, 5], np.nan, axis=1)
    truth, scale = np.array([[0.3]]), np.ones(1)
    expected = backtest.score(truth, samples, scale)
    assert backtest.score(truth, gaps, scale) == pytest.approx(expected)
    assert np.isnan(backtest.score(truth, np.full((1, 4, 1), np.nan), scale)["crps"])


def test_series_that_begin_in_the_held_out_part_are_left_out():
    table = columns(length=LENGTH)
    late = [
        name == "b" and time < START + (FIRST + 1) * HOUR
        for name, time in zip(table["unique_id"], table["ds"], strict=True)
    ]
    panel = Panel.from_frame(pl.DataFrame(table).filter(~pl.Series(late)))
    stub = Stub()
    stub.context_length = 2
    series, _ = backtest.places(stub, panel, FIRST, WINDOWS)
    assert set(series) == {0}


def test_series_without_a_value_before_the_held_out_part_are_left_out():
    table = columns(length=LENGTH)
    table["y"] = [
        None if name == "b" and time < START + FIRST * HOUR else value
        for name, time, value in zip(*(table[c] for c in ("unique_id", "ds", "y")), strict=True)
    ]
    series, _ = backtest.places(Stub(), Panel.from_frame(pl.DataFrame(table)), FIRST, WINDOWS)
    assert set(series) == {0}
