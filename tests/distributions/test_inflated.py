"""What is special about zeros of their own."""

import keras
import numpy as np
import pytest
from helpers import assert_close, float64_scope, gradient, to_numpy
from scipy import stats

from timedist import distributions as td


def test_probabilities_of_zero_and_one():
    d = td.ZeroInflated(td.Poisson([2.0, 2.0]), probs=[0.0, 1.0])
    np.testing.assert_allclose(to_numpy(d.log_prob(0.0)), [-2.0, 0.0], rtol=1e-6)
    assert to_numpy(d.log_prob(3.0))[1] == -np.inf
    np.testing.assert_array_equal(to_numpy(d.sample(9, seed=1))[:, 1], 0.0)
    slope = gradient(
        lambda p: td.ZeroInflated(td.Poisson([2.0, 2.0]), probs=p).log_prob([3.0, 0.0]),
        np.array([0.0, 1.0], "float32"),
    )[0]
    assert np.all(np.isfinite(slope))
    np.testing.assert_allclose(slope[0], -1.0, rtol=1e-6)


def test_a_hurdle_over_a_rare_count_is_nearly_always_one():
    rate, probs = 1e-8, 0.25
    with float64_scope():
        d = td.Hurdle(td.Poisson(np.array([rate])), probs=np.array([probs]))
        assert_close(to_numpy(d.prob([0.0])), probs, 1e-12)
        assert_close(to_numpy(d.prob([1.0])), 1.0 - probs, 1e-7)
        assert_close(to_numpy(d.mean()), 1.0 - probs, 1e-7)
        assert set(to_numpy(d.sample(500, seed=1)).ravel()) == {0.0, 1.0}


def test_continuous_bases_are_the_same_with_a_hurdle():
    base = td.LogNormal(np.array([0.5], "float32"), np.array([0.8], "float32"))
    one, two = (f(base, probs=0.3) for f in (td.ZeroInflated, td.Hurdle))
    x = np.array([-1.0, 0.0, 0.7, 5.0], "float32")
    for method in ("log_prob", "cdf", "survival_function", "log_cdf", "crps"):
        np.testing.assert_array_equal(
            to_numpy(getattr(one, method)(x)), to_numpy(getattr(two, method)(x))
        )
    np.testing.assert_array_equal(to_numpy(one.sample(9, seed=1)), to_numpy(two.sample(9, seed=1)))
    with pytest.raises(NotImplementedError, match="no mode: zero has a probability"):
        one.mode()


def test_the_gradient_at_a_positive_value():
    def log_prob(loc, p):
        return td.ZeroInflated(td.LogNormal(loc, 0.8), probs=p).log_prob(2.0)

    slopes = gradient(log_prob, np.array([0.5], "float32"), np.array([0.3], "float32"))
    np.testing.assert_allclose(slopes[0], (np.log(2.0) - 0.5) / 0.64, rtol=1e-5)
    np.testing.assert_allclose(slopes[1], -1.0 / 0.7, rtol=1e-5)


def test_divergence_between_the_two():
    with float64_scope():
        inflated = td.ZeroInflated(td.Poisson(np.array([2.0])), probs=np.array([0.3]))
        hurdle = td.Hurdle(td.Poisson(np.array([3.0])), probs=np.array([0.5]))
        value = to_numpy(inflated.kl_divergence(hurdle))
    k = np.arange(60)
    p, q = (
        0.7 * stats.poisson(2.0).pmf(k),
        0.5 * stats.poisson(3.0).pmf(k) / stats.poisson(3.0).sf(0),
    )
    p[0], q[0] = p[0] + 0.3, 0.5
    assert_close(value, np.sum(p * np.log(p / q)), 1e-9)


def test_parameters_take_the_batch_of_the_base():
    d = td.ZeroInflated(td.Poisson(np.ones((3, 2), "float32")), probs=0.3)
    assert d.batch_shape == (3, 2)
    assert d[1].batch_shape == (2,)
    leaves = keras.tree.map_structure(lambda x: tuple(x.shape), d.leaves())
    assert leaves == [(3, 2), (3, 2)]


@pytest.mark.parametrize("base", [td.Normal(0.0, 1.0), td.Categorical(probs=[0.5, 0.5])])
def test_other_bases_are_refused(base):
    with pytest.raises(ValueError, match="family of counts or of positive numbers"):
        td.ZeroInflated(base, probs=0.3)


@pytest.mark.parametrize("family", [td.ZeroInflated, td.Hurdle])
@pytest.mark.parametrize("base", [td.Poisson(2.0), td.Gamma(2.0, 1.0)], ids=["counts", "amounts"])
def test_nothing_but_zero_has_no_entropy(family, base):
    """Nor is it away from itself; from others by the logarithm of their zeros."""
    certain, other = family(base, probs=1.0), family(base, probs=0.25)
    zero = to_numpy(other.prob(0.0)) if base.discrete else 0.25
    assert to_numpy(certain.entropy()) == 0.0
    assert to_numpy(certain.kl_divergence(certain)) == 0.0
    np.testing.assert_allclose(to_numpy(certain.kl_divergence(other)), -np.log(zero), rtol=1e-6)
    assert to_numpy(other.kl_divergence(certain)) == np.inf
