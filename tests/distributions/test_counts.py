"""What is special about counts."""

import numpy as np
import pytest
from helpers import assert_close, float64_scope, gradient, to_numpy
from scipy import special, stats

from timedist import distributions as td


def test_large_counts_in_float32():
    rate, k = np.array([1e6, 1e6, 3e3], "float32"), np.array([1e6, 1.002e6, 3.3e3], "float32")
    exact = stats.poisson(rate.astype("float64"))
    wide = k.astype("float64")
    assert_close(to_numpy(td.Poisson(rate).log_prob(k)), exact.logpmf(wide), 2e-5, floor=1.0)
    r, logits = np.array([50.0, 1e4], "float32"), np.array([5.0, 0.0], "float32")
    counts = np.array([8000.0, 10100.0], "float32")
    twin = stats.nbinom(r.astype("float64"), 1 / (1 + np.exp(logits.astype("float64"))))
    result = to_numpy(td.NegativeBinomial(r, logits).log_prob(counts))
    assert_close(result, twin.logpmf(counts.astype("float64")), 2e-5, floor=1.0)


def test_quantiles_at_the_ends():
    d = td.Poisson([0.1, 30.0])
    np.testing.assert_array_equal(to_numpy(d.quantile(0.0)), [0.0, 0.0])
    np.testing.assert_array_equal(to_numpy(d.quantile(1.0)), [np.inf, np.inf])


def test_cdf_is_a_step_function():
    d = td.Poisson([2.0])
    np.testing.assert_array_equal(to_numpy(d.cdf([3.7])), to_numpy(d.cdf([3.0])))
    np.testing.assert_array_equal(to_numpy(d.cdf([-0.5])), [0.0])


def test_a_certain_success_has_no_negative_binomial():
    with pytest.raises(ValueError, match=r"'probs' must be in \[0, 1\), got 1"):
        td.NegativeBinomial(total_count=2.0, probs=1.0)


def test_large_rates_have_entropy_and_score():
    rate = np.array([3e3, 1e8])
    exact = 0.5 * np.log(2.0 * np.pi * np.e * rate) - 1.0 / (12.0 * rate) - 1.0 / (24.0 * rate**2)
    with float64_scope():
        assert_close(to_numpy(td.Poisson(rate).entropy()), exact, 1e-9)
        score = to_numpy(td.Poisson(rate[:1]).crps(np.array([3e3, 1e6])))
    # Wei, Held: Calibration Tests for Count Data (2014), equation 12, for the score at any value.
    y, twin = np.array([3e3, 1e6]), stats.poisson(rate[0])
    spread = rate[0] * (special.ive(0, 2 * rate[0]) + special.ive(1, 2 * rate[0]))
    exact = (y - rate[0]) * (2 * twin.cdf(y) - 1) + 2 * rate[0] * twin.pmf(y) - spread
    assert_close(score, exact, 1e-9)


def test_scores_between_the_integers_and_far_away():
    d = td.Poisson(np.array([2.5], "float32"))
    low, high, between = (to_numpy(d.crps(np.float32(y))) for y in (2.0, 3.0, 2.25))
    np.testing.assert_allclose(between, 0.75 * low + 0.25 * high, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(d.crps(-4.0)), to_numpy(d.crps(0.0)) + 4.0, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(d.crps(1e20)), 1e20, rtol=1e-5)
    assert to_numpy(d.crps(np.inf)) == np.inf
    assert np.isnan(to_numpy(d.crps(np.nan)))


def test_divergences_between_families_of_counts():
    with float64_scope():
        p = td.NegativeBinomial(np.array([3.0]), probs=np.array([0.6]))
        q = td.Poisson(np.array([4.0]))
        value, geometric = to_numpy(p.kl_divergence(q)), td.Geometric(probs=np.array([0.4]))
        one = td.NegativeBinomial(np.array([1.0]), probs=np.array([0.6]))
        same = to_numpy(geometric.kl_divergence(one))
        beyond = to_numpy(q.kl_divergence(td.Binomial(np.array([50.0]), probs=np.array([0.1]))))
    k = np.arange(400)
    mass = stats.nbinom(3, 0.4).pmf(k)
    exact = np.sum(mass * (stats.nbinom(3, 0.4).logpmf(k) - stats.poisson(4.0).logpmf(k)))
    assert_close(value, exact, 1e-9)
    np.testing.assert_allclose(same, 0.0, atol=1e-9)
    assert np.isposinf(beyond)


def test_draws_of_tiny_shapes_do_not_underflow():
    d = td.NegativeBinomial(np.array([0.003], "float32"), logits=np.array([60.0], "float32"))
    draws = to_numpy(d.sample(4000, seed=1))
    # log of the gamma variable is -E / r, E exponential: half the draws lie above the median.
    exact = stats.gamma(0.003).sf(np.exp(-60.0) * 0.5)
    assert abs((draws > 0).mean() - exact) < 5 * np.sqrt(exact * (1 - exact) / 4000) + 0.01


def test_a_certain_success_comes_at_once():
    d = td.Geometric(probs=np.array([1.0, 0.5], "float32"))
    np.testing.assert_array_equal(to_numpy(d.sample(20, seed=1))[:, 0], 0.0)
    np.testing.assert_allclose(to_numpy(d.log_prob(0.0)), [0.0, np.log(0.5)], rtol=1e-6)
    assert to_numpy(d.log_prob(3.0))[0] == -np.inf
    slope = gradient(lambda p: td.Geometric(probs=p).log_prob(0.0), np.ones(1, "float32"))[0]
    np.testing.assert_allclose(slope, 1.0)
