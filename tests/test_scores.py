"""Scores against their definitions, by NumPy."""

import numpy as np
import pytest
from helpers import assert_close, to_numpy

from timedist import scores

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(4, 5)).astype("float32")
SAMPLES = RNG.normal(size=(40, 4, 5)).astype("float32")


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_pinball(level):
    q = SAMPLES[0]
    expected = np.maximum(level * (Y - q), (level - 1.0) * (Y - q))
    assert_close(scores.pinball(Y, q, level), expected, 1e-6, floor=1e-3)
    assert_close(scores.pinball(Y, 0.0, level), np.maximum(level * Y, (level - 1.0) * Y), 1e-6)


def test_pinball_is_least_at_the_quantile():
    draws = RNG.exponential(size=4000).astype("float32")
    grid = np.linspace(0.1, 4.0, 200, dtype="float32")
    losses = to_numpy(scores.pinball(draws, grid[:, None], 0.8)).mean(axis=1)
    assert abs(grid[losses.argmin()] - np.quantile(draws, 0.8)) < 0.03


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90])
def test_pinball_refuses_levels(level):
    with pytest.raises(ValueError, match=r"pinball: level must be between 0 and 1, got"):
        scores.pinball(1.0, 1.0, level)


def test_crps_of_samples_is_the_double_sum():
    x, y = SAMPLES.astype("float64"), Y.astype("float64")
    spread = np.abs(x[:, None] - x[None]).mean(axis=(0, 1))
    expected = np.abs(x - y).mean(axis=0) - 0.5 * spread
    assert_close(scores.crps_samples(Y, SAMPLES), expected, 1e-5, floor=0.1)


def test_crps_of_samples_of_another_precision():
    expected = to_numpy(scores.crps_samples(Y, SAMPLES))
    assert_close(scores.crps_samples(Y.astype("float64"), SAMPLES), expected, 1e-5)
    assert_close(scores.crps_samples(Y, SAMPLES.astype("float64")), expected, 1e-5)


def test_crps_of_one_sample_is_its_distance():
    assert_close(scores.crps_samples(Y, SAMPLES[:1]), np.abs(Y - SAMPLES[0]), 1e-6)


def test_crps_of_many_normal_samples_is_that_of_the_normal():
    draws = RNG.normal(size=(20000, 1)).astype("float32")
    y = np.array([0.0], "float32")
    # Gneiting and Raftery (2007), section 4.2: the CRPS of a standard normal at 0.
    expected = np.sqrt(2.0 / np.pi) - 1.0 / np.sqrt(np.pi)
    assert_close(scores.crps_samples(y, draws), expected, 0.02)


def test_crps_scales_and_shifts():
    score = to_numpy(scores.crps_samples(Y, SAMPLES))
    assert_close(scores.crps_samples(10 * Y + 3, 10 * SAMPLES + 3), 10 * score, 1e-4, floor=1.0)


def test_coverage():
    lower = np.array([0.0, 1.0, 2.0], "float32")
    inside = scores.coverage(np.array([1.0, 1.0, 1.0], "float32"), lower, lower + 0.5)
    np.testing.assert_array_equal(to_numpy(inside), [0.0, 1.0, 0.0])
    low, high = np.quantile(SAMPLES, [0.05, 0.95], axis=0).astype("float32")
    share = to_numpy(scores.coverage(SAMPLES, low, high)).mean()
    assert 0.85 <= share <= 0.95


def test_missing_truth_gives_missing_scores():
    y = np.array([np.nan, 1.0], "float32")
    samples = np.zeros((3, 2), "float32")
    assert np.isnan(to_numpy(scores.pinball(y, samples[0], 0.5))).tolist() == [True, False]
    assert np.isnan(to_numpy(scores.crps_samples(y, samples))).tolist() == [True, False]
