"""Histograms against SciPy's, and the edges of their support."""

import numpy as np
import pytest
from helpers import assert_close, float64_scope, gradient, to_numpy
from scipy import stats

from timedist import distributions as td

EDGES = np.array([-2.0, -1.0, 0.0, 0.5, 3.0])
PROBS = np.array([0.1, 0.4, 0.0, 0.5])


def test_methods_agree_with_scipys_histogram():
    twin = stats.rv_histogram((PROBS, EDGES), density=False)
    x, p = np.linspace(-1.9, 2.9, 23), np.array([0.05, 0.3, 0.45, 0.75, 1.0])
    with float64_scope():
        d = td.Binned(EDGES, probs=PROBS)
        assert_close(d.prob(x), twin.pdf(x), 1e-13, 1e-13)
        assert_close(d.cdf(x), twin.cdf(x), 1e-13)
        assert_close(d.survival_function(x), twin.sf(x), 1e-12)
        assert_close(d.quantile(p), twin.ppf(p), 1e-13, 1.0)
        for method, expected in (("mean", twin.mean()), ("variance", twin.var())):
            assert_close(getattr(d, method)(), expected, 1e-13)
        assert_close(d.entropy(), twin.entropy(), 1e-12)


def test_the_edges_belong_to_the_support():
    d = td.Binned(EDGES.astype("float32"), probs=PROBS.astype("float32"))
    np.testing.assert_allclose(to_numpy(d.prob([-2.0, 3.0, 3.1])), [0.1, 0.2, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(d.quantile([0.0, 1.0])), [-2.0, 3.0])


def test_a_quantile_at_an_empty_bin_is_the_smallest_value():
    d = td.Binned([0.0, 1.0, 2.0, 3.0], probs=[0.5, 0.0, 0.5])
    np.testing.assert_allclose(to_numpy(d.quantile([0.5, 0.75])), [1.0, 2.5], rtol=1e-6)


def test_the_mode_is_the_middle_of_the_densest_bin():
    d = td.Binned([0.0, 10.0, 11.0], probs=[[0.6, 0.4], [0.95, 0.05]])
    np.testing.assert_array_equal(to_numpy(d.mode()), [10.5, 5.0])


def test_divergence_of_histograms_with_other_edges():
    with float64_scope():
        p = td.Binned([0.0, 1.0, 3.0], probs=np.array([0.5, 0.5]))
        q = td.Binned([-1.0, 2.0, 3.0], probs=np.array([0.6, 0.4]))
        # On [0, 1), [1, 2) and [2, 3): masses and densities by hand.
        expected = 0.5 * np.log(0.5 / 0.2) + 0.25 * np.log(0.25 / 0.2) + 0.25 * np.log(0.25 / 0.4)
        assert_close(p.kl_divergence(q), expected, 1e-12)
        assert float(to_numpy(q.kl_divergence(p))) == np.inf


def test_draws_have_gradients_to_edges_and_probabilities():
    edges, logits = EDGES.astype("float32"), np.array([0.0, 1.0, 0.5, -1.0], "float32")
    slopes = gradient(lambda e, g: td.Binned(e, g).sample(2000, seed=1), edges, logits)
    # A shift of all edges shifts every draw; the mean moves with the logits as the formula says.
    assert slopes[0].sum() == pytest.approx(2000.0, rel=1e-4)
    expected = gradient(lambda g: td.Binned(edges, g).mean(), logits)[0]
    np.testing.assert_allclose(slopes[1] / 2000, expected, atol=0.05)


def test_tails_keep_their_digits():
    """A last bin of tiny mass: SciPy's 1 - cdf would lose it."""
    with float64_scope():
        d = td.Binned([0.0, 1.0, 2.0], probs=np.array([1.0 - 1e-12, 1e-12]))
        assert_close(d.survival_function(np.array(1.75)), 0.25e-12, 1e-12)
        assert_close(d.quantile(np.array(1.0 - 2.0**-42)), 2.0 - 2.0**-42 / 1e-12, 1e-9)
