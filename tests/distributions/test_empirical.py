"""Distributions that are their values."""

import numpy as np
import pytest
from helpers import gradient, to_numpy
from scipy import stats

from timedist import distributions as td

TIED = np.array([[3.0, 1.0, 2.0, 2.0, 7.0, 1.0, 2.0], [0.0, 0.0, 5.0, 5.0, -1.0, 4.0, 9.0]])


def test_deterministic_draws_pass_the_gradient_on():
    loc = np.array([1.0, 2.0], "float32")
    np.testing.assert_array_equal(to_numpy(td.Deterministic(loc).sample(3)), np.stack([loc] * 3))
    slope = gradient(lambda m: td.Deterministic(m).sample(3), loc)[0]
    np.testing.assert_array_equal(slope, [3.0, 3.0])


def test_all_mass_is_at_the_value():
    d = td.Deterministic([1.0, 2.0])
    np.testing.assert_array_equal(to_numpy(d.log_prob([1.0, 1.0])), [0.0, -np.inf])
    np.testing.assert_array_equal(to_numpy(d.cdf([1.0, 1.0])), [1.0, 0.0])
    np.testing.assert_array_equal(to_numpy(d.log_survival_function([1.0, 1.0])), [-np.inf, 0.0])
    np.testing.assert_array_equal(to_numpy(d.variance()), [0.0, 0.0])


def test_of_a_point_the_score_is_the_distance_and_a_divergence_none_or_infinite():
    d = td.Deterministic([1.0, 2.0])
    np.testing.assert_array_equal(to_numpy(d.crps([3.0, -np.inf])), [2.0, np.inf])
    divergence = d.kl_divergence(td.Deterministic([1.0, 3.0]))
    np.testing.assert_array_equal(to_numpy(divergence), [0.0, np.inf])


def test_equal_samples_add_up():
    d = td.Empirical(TIED.astype("float32"))
    log_prob = to_numpy(d.log_prob(np.array([[2.0, 5.0], [1.0, 6.0]], "float32")))
    expected = [[np.log(3 / 7), np.log(2 / 7)], [np.log(2 / 7), -np.inf]]
    np.testing.assert_allclose(log_prob, expected, rtol=1e-6)
    counts = [np.unique(row, return_counts=True)[1] for row in TIED]
    np.testing.assert_allclose(d.entropy(), [stats.entropy(c) for c in counts], rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(d.mode()), stats.mode(TIED, axis=1).mode)


def test_ties_do_not_change_the_score():
    y = np.array([[2.0, 5.0], [-4.0, 4.5]], "float32")
    expected = [
        [stats.energy_distance(row, [value]) ** 2 / 2 for row, value in zip(TIED, at, strict=True)]
        for at in y
    ]
    score = td.Empirical(TIED.astype("float32")).crps(y)
    np.testing.assert_allclose(to_numpy(score), expected, rtol=1e-5)
    far = td.Empirical([1.0, 2.0, 4.0]).crps([np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(to_numpy(far), [np.inf, np.inf, np.nan])


def test_the_score_has_the_gradient_of_its_formula():
    """1 or -1 over n by the side of the value, less the rank of the sample."""
    samples = np.array([3.0, -1.0, 7.0, 2.0], "float32")
    slopes = gradient(lambda s, y: td.Empirical(s).crps(y), samples, np.array(2.5, "float32"))
    ranks = np.array([3.0, 1.0, 4.0, 2.0])
    expected = np.sign(samples - 2.5) / 4 - (2 * ranks - 5) / 16
    np.testing.assert_allclose(slopes[0], expected, atol=1e-6)
    np.testing.assert_allclose(slopes[1], 0.0, atol=1e-6)


def test_divergence_is_that_of_the_shares():
    p, q = td.Empirical([0.0, 0.0, 1.0, 2.0]), td.Empirical([2.0, 1.0, 0.0])
    expected = stats.entropy([0.5, 0.25, 0.25], [1 / 3] * 3)
    assert float(p.kl_divergence(q)) == pytest.approx(expected, rel=1e-6)
    assert float(p.kl_divergence(td.Empirical([0.0, 1.0]))) == np.inf


@pytest.mark.parametrize("number", [1, 7, 30, 49, 100])
def test_quantiles_at_the_steps_are_exact(number):
    """k / n is rarely a float: the k-th value must come all the same."""
    p = np.arange(number + 1, dtype="float32") / np.float32(number)
    quantile = td.Empirical(np.arange(1, number + 1, dtype="float32")[::-1].copy()).quantile(p)
    expected = np.maximum(np.arange(number + 1), 1)
    np.testing.assert_array_equal(to_numpy(quantile), expected)


def test_draws_are_samples_and_pass_the_gradient_to_them():
    samples = TIED.astype("float32")
    draws = to_numpy(td.Empirical(samples).sample(500, seed=3))
    for i, row in enumerate(TIED):
        assert set(draws[:, i]) == set(row)
    slope = gradient(lambda s: td.Empirical(s).sample(500, seed=3), samples)[0]
    np.testing.assert_array_equal(slope.sum(axis=1), [500.0, 500.0])
    assert np.all(slope == np.round(slope)) and np.all(slope > 0)


def test_sample_shapes_and_broadcast_values():
    d = td.Empirical(np.zeros((3, 1, 5), "float32"))
    assert d.batch_shape == (3, 1) and tuple(d.sample((2, 4), seed=1).shape) == (2, 4, 3, 1)
    assert tuple(d.quantile(np.full((4, 3, 1), 0.5, "float32")).shape) == (4, 3, 1)
    assert tuple(d.crps(np.zeros((3, 6), "float32")).shape) == (3, 6)
