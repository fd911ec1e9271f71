"""What is special about counts and categories."""

import numpy as np
import pytest
from helpers import assert_close, gradient, to_numpy, value_and_gradient
from scipy import stats

from timedist import distributions as td


def test_probabilities_of_zero_and_one_are_certain_and_differentiable():
    d = td.Bernoulli(probs=[0.0, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(
        to_numpy(d.log_prob([0.0, 1.0, 1.0, 0.0])), [0, -np.inf, 0, -np.inf]
    )
    np.testing.assert_array_equal(to_numpy(d.entropy()), np.zeros(4))
    slope = gradient(
        lambda p: td.Bernoulli(probs=p).log_prob([0.0, 1.0]), np.array([0.0, 1.0], "float32")
    )[0]
    np.testing.assert_allclose(slope, [-1.0, 1.0])


def test_small_probabilities_keep_their_digits():
    d = td.Bernoulli(probs=np.array([1e-10], "float32"))
    np.testing.assert_allclose(to_numpy(d.log_prob([0.0])), -1e-10, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(d.variance()), 1e-10, rtol=1e-5)


def test_the_gradient_of_bernoulli_logits_at_zero_is_that_of_the_sigmoid():
    slope = gradient(lambda z: td.Bernoulli(z).log_prob([1.0, 0.0]), np.zeros(2, "float32"))[0]
    np.testing.assert_allclose(slope, [0.5, -0.5])


def test_a_category_of_probability_zero_spoils_nothing():
    probs = np.array([[0.0, 0.25, 0.75]], "float32")

    def score(p):
        return td.Categorical(probs=p).log_prob([1.0])

    value, (slope,) = value_and_gradient(score, probs)
    np.testing.assert_allclose(value, np.log([0.25]), rtol=1e-6)
    assert np.all(np.isfinite(slope))
    d = td.Categorical(probs=probs)
    assert to_numpy(d.log_prob([0.0]))[0] == -np.inf
    assert np.all(np.isfinite(to_numpy(d.entropy())))
    assert not np.any(to_numpy(d.sample(500, seed=1)) == 0)
    assert d.num_categories == 3


def test_categories_have_no_mean_and_the_message_says_what_there_is():
    try:
        td.Categorical(logits=[0.0, 1.0]).mean()
    except NotImplementedError as error:
        assert ".probs" in str(error)
    else:
        raise AssertionError("no error")


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
