"""Counts out of a known number, which the table holds fixed."""

import numpy as np
import pytest
from helpers import assert_close, float64_scope, gradient, to_numpy, value_and_gradient
from scipy import stats

from timedist import distributions as td


def test_numbers_of_trials_of_all_sizes():
    n, probs = np.array([0.0, 1.0, 30.0, 1e5]), np.array([0.3, 0.9, 0.5, 1e-4])
    twin = stats.binom(n, probs)
    k = np.array([twin.ppf(np.full(4, p)) for p in (1e-6, 0.3, 0.999)])
    with float64_scope():
        d = td.Binomial(n, probs=probs)
        assert_close(to_numpy(d.log_prob(k)), twin.logpmf(k), 1e-9, 1.0)
        assert_close(to_numpy(d.cdf(k)), twin.cdf(k), 1e-9)
        large = to_numpy(td.Binomial(1e9, probs=np.array([0.2])).log_prob(np.array([199939876.0])))
    # By mpmath with 40 digits; SciPy is off by 7e-8.
    assert_close(large, -21.66156514407538, 1e-12)


def test_certain_trials_and_their_gradient():
    d = td.Binomial(3.0, probs=np.array([0.0, 1.0], "float32"))
    np.testing.assert_array_equal(to_numpy(d.log_prob([0.0, 3.0])), [0.0, 0.0])
    np.testing.assert_array_equal(to_numpy(d.log_prob([1.0, 2.0])), [-np.inf, -np.inf])
    np.testing.assert_array_equal(to_numpy(d.cdf([0.0, 2.0])), [1.0, 0.0])
    np.testing.assert_array_equal(to_numpy(d.sample(9, seed=1)), np.tile([0.0, 3.0], (9, 1)))
    slope = gradient(
        lambda p: td.Binomial(3.0, probs=p).log_prob([0.0, 3.0]), np.array([0.0, 1.0], "float32")
    )[0]
    np.testing.assert_allclose(slope, [-3.0, 3.0])


def test_divergences_of_unequal_numbers_of_trials():
    probs = np.array([0.3])
    with float64_scope():
        small, large = (td.Binomial(np.array([n]), probs=probs) for n in (5.0, 9.0))
        forward = to_numpy(small.kl_divergence(large))
        back = to_numpy(large.kl_divergence(small))
    k = np.arange(6)
    p, q = stats.binom(5, 0.3), stats.binom(9, 0.3)
    assert_close(forward, np.sum(p.pmf(k) * (p.logpmf(k) - q.logpmf(k))), 1e-9)
    assert np.isposinf(back)


def test_beta_binomials_of_many_trials():
    n, a, b = np.array([3000.0]), np.array([0.6]), np.array([25.0])
    table = stats.betabinom(3000, 0.6, 25.0).pmf(np.arange(3001))
    lower, upper = np.cumsum(table), np.cumsum(table[::-1])[::-1] - table
    y = np.array([[0.0], [60.0], [1500.0], [3000.0]])
    at = y[:, 0].astype(int)
    steps = np.arange(3001) < at[:, None]
    with float64_scope():
        d = td.BetaBinomial(n, a, b)
        assert_close(to_numpy(d.cdf(y))[:, 0], lower[at], 1e-9)
        assert_close(to_numpy(d.survival_function(y))[:-1, 0], upper[at[:-1]], 1e-7)
        exact = np.sum(np.where(steps, lower**2, upper**2), axis=1)
        assert_close(to_numpy(d.crps(y))[:, 0], exact, 1e-8)

        def score(a, b):
            return td.BetaBinomial(n, a, b).crps(np.array([60.0]))

        _, slopes = value_and_gradient(score, a, b)
        for i, slope in enumerate(slopes):
            moved = [[x + s * 1e-5 * (i == j) for j, x in enumerate((a, b))] for s in (1, -1)]
            ends = [to_numpy(score(*pair)) for pair in moved]
            np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def test_numbers_of_trials_are_whole():
    with pytest.raises(ValueError, match=r"'total_count' must be a whole number >= 0, got 2\.5"):
        td.BetaBinomial(2.5, 1.0, 1.0)
    d = td.BetaBinomial(0.0, 1.0, 1.0)
    np.testing.assert_array_equal(to_numpy(d.log_prob([0.0, 1.0])), [0.0, -np.inf])
