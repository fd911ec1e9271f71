"""The two baselines, against values counted by hand and the scores they are known to have."""

import numpy as np
import pytest

from timedist.datasets import auckland_pedestrians
from timedist.datasets.windows import SeriesWindows
from timedist.forecasting import backtest, baselines
from timedist.forecasting.panel import Panel

SEASONS = (3, 6)  # a day of 3 steps, a week of 2 days


def cut(*series):
    series = [np.asarray(one, "float64") for one in series]
    return SeriesWindows(series, np.zeros(len(series)), np.zeros((1, 1)), 0, 0)


def test_pool_by_hand():
    windows = cut(np.arange(100.0), np.arange(100.0) + 1000)
    at = np.array([90, 80])
    pool = baselines.seasonal_pool(windows, np.array([0, 1]), at, 2, SEASONS)
    back = [3 * k for k in range(1, 8)] + [6 * k for k in range(1, 9)]
    for row, level in ((0, 90.0), (1, 1080.0)):
        for step in range(2):
            np.testing.assert_array_equal(pool[row, :, step], level + step - np.array(back))


def test_one_season_is_pooled_once():
    pool = baselines.seasonal_pool(cut(np.arange(90.0)), np.array([0]), np.array([80]), 1, (7,))
    np.testing.assert_array_equal(pool[0, :, 0], 80.0 - 7.0 * np.arange(1, 9))


def test_naive_by_hand():
    rng = np.random.default_rng(0)
    y = rng.normal(size=120)
    naive = baselines.seasonal_naive(cut(y), np.array([0]), np.array([100]), 3, SEASONS)
    assert naive.shape == (1, 16, 3)
    for step in range(3):
        t = 100 + step
        offsets = np.arange(3, 6 * 8 + 1, 3)
        expected = y[t - 6] + y[t - offsets] - y[t - offsets - 6]
        np.testing.assert_allclose(naive[0, :, step], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("horizon", [1, 4, 7, 20])
def test_only_the_past_is_read_and_the_phase_is_kept(horizon):
    week = np.array([1.0, 5.0, 2.0, 8.0, 3.0, 9.0])
    past = np.tile(week, 20)
    y = np.concatenate([past, np.full(horizon, np.nan)])
    truth = np.tile(week, 20)[:horizon]
    naive = baselines.seasonal_naive(cut(y), np.array([0]), np.array([120]), horizon, SEASONS)
    # A perfect weekly rhythm leaves no residual, however far the horizon goes.
    np.testing.assert_allclose(naive[0], np.broadcast_to(truth, naive[0].shape), atol=1e-5)
    pool = baselines.seasonal_pool(cut(y), np.array([0]), np.array([120]), horizon, SEASONS)
    assert not np.isnan(pool).any()
    np.testing.assert_array_equal(pool[0, 7:], np.broadcast_to(truth, pool[0, 7:].shape))


def test_before_the_start_there_is_nothing():
    windows = cut(np.arange(50.0), np.arange(10.0))
    pool = baselines.seasonal_pool(windows, np.array([1]), np.array([7]), 1, SEASONS)
    known = pool[0, ~np.isnan(pool[0, :, 0]), 0]
    np.testing.assert_array_equal(known, [4.0, 1.0, 1.0])


def test_scores_on_the_auckland_windows():
    """28 days from 2025-11-03: the figures every measurement of this project refers to."""
    panel = Panel.from_frame(auckland_pedestrians())
    assert len(panel.ids) == 21
    assert panel.frequency.name == "1h"
    first = np.array([np.datetime64("2025-11-03T00:00:00")])
    first = int(panel.frequency.positions(first, panel.origin)[0][0])
    begin = first + 24 * np.arange(28)
    series, at = (a.ravel() for a in np.meshgrid(np.arange(21), begin, indexing="ij"))
    windows = SeriesWindows(panel.series, panel.starts, np.zeros((1, 1)), 0, 0)
    truth = windows.target(series, at, 0, 24)
    for rule, expected in ((baselines.seasonal_naive, 0.1624), (baselines.seasonal_pool, 0.1336)):
        samples = rule(windows, series, at, 24, panel.frequency.seasons)
        scores = backtest.score(truth, samples, np.ones(len(series)))
        assert abs(scores["wql"] - expected) < 5e-4
