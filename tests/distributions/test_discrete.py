"""What is special about yes and no and categories."""

import numpy as np
import pytest
from helpers import gradient, to_numpy, value_and_gradient
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


def test_the_score_of_a_yes_is_the_brier_score():
    probs = np.array([0.1, 0.5, 0.9], "float32")
    d = td.Bernoulli(probs=probs)
    for value in (0.0, 1.0):
        np.testing.assert_allclose(to_numpy(d.crps(value)), (probs - value) ** 2, rtol=1e-5)
    # Beyond the support the score grows by the distance.
    beyond, end = to_numpy(d.crps(3.0)), to_numpy(d.crps(1.0))
    np.testing.assert_allclose(beyond, end + 2.0, rtol=1e-6)
    assert np.isnan(to_numpy(d.crps(np.nan))).all()


def test_the_score_of_ordered_categories_is_the_ranked_probability_score():
    d = td.OrderedLogistic(cutpoints=[-1.0, 0.5, 2.0], loc=0.3)
    probs = np.exp([to_numpy(d.log_prob(float(k))) for k in range(4)]).astype("float64")
    for value in range(4):
        steps = np.cumsum(probs)[:-1] - (np.arange(3) >= value)
        np.testing.assert_allclose(to_numpy(d.crps(float(value))), np.sum(steps**2), rtol=1e-5)


def test_near_cutpoints_keep_their_digits():
    near = np.array([0.0, 1e-6], "float32")
    d = td.OrderedLogistic(near, loc=np.float32(0.0))
    np.testing.assert_allclose(to_numpy(d.log_prob(1.0)), np.log(1e-6 / 4), rtol=1e-5)
    far = td.OrderedLogistic(np.array([-1.0, 1.0], "float32"), loc=np.float32(60.0))
    np.testing.assert_allclose(to_numpy(far.log_prob(0.0)), -61.0, rtol=1e-6)


def test_cutpoints_and_locations_broadcast():
    d = td.OrderedLogistic(np.array([-1.0, 1.0], "float32"), loc=np.zeros((3, 2), "float32"))
    assert (d.batch_shape, d.num_categories) == ((3, 2), 3)
    assert tuple(d[0].sample(5, seed=1).shape) == (5, 2)


def test_one_hot_vectors():
    probs = np.array([[0.2, 0.3, 0.5]], "float32")
    d = td.OneHotCategorical(probs=probs)
    draws = to_numpy(d.sample(2000, seed=1))
    assert draws.dtype == "float32"
    np.testing.assert_array_equal(draws.sum(axis=-1), 1.0)
    twin = stats.multinomial(1, probs[0].astype("float64"))
    np.testing.assert_allclose(to_numpy(d.covariance())[0], twin.cov(), atol=1e-7)
    np.testing.assert_array_equal(to_numpy(d.mode()), [[0.0, 0.0, 1.0]])
    assert np.isnan(to_numpy(d.log_prob([[np.nan, 0.0, 1.0]]))).all()
    slope = gradient(lambda z: td.OneHotCategorical(z).log_prob([[1.0, 0.0, 0.0]]), np.log(probs))[
        0
    ]
    np.testing.assert_allclose(slope, [[0.8, -0.3, -0.5]], rtol=1e-5)


def test_divergences_of_near_distributions_do_not_cancel():
    p = np.array([0.3, 0.7], "float32")
    q = np.array([0.3001, 0.6999], "float32")
    exact = np.sum(p.astype("float64") * np.log(p.astype("float64") / q.astype("float64")))
    exact = exact + np.sum(q.astype("float64") - p.astype("float64"))
    for family in (td.Categorical, td.OneHotCategorical):
        value = to_numpy(family(probs=p).kl_divergence(family(probs=q)))
        np.testing.assert_allclose(value, exact, rtol=1e-3)
    with pytest.raises(ValueError, match=r"2 categories.*3"):
        td.Categorical(probs=p).kl_divergence(td.Categorical(logits=[0.0, 0.0, 0.0]))
