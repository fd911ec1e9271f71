"""Families on a bounded interval, where the table of families does not reach."""

import numpy as np
import pytest
from scipy import stats

from timedist import distributions as td
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import array, assert_close

_SMALL = (np.array([0.01, 0.5, 0.2]), np.array([0.02, 0.7, 5.0]))
_LARGE = (np.array([1e5]), np.array([3e3]))


@pytest.mark.parametrize("a, b", [_SMALL, _LARGE], ids=["small", "large"])
def test_beta_with_small_and_large_concentrations(a, b):
    twin = stats.beta(a, b)
    p = np.array([1e-12, 0.3, 1 - 1e-9])[:, None] + np.zeros_like(a)
    x = twin.ppf(p)
    with float64_scope():
        d = td.Beta(a, b)
        quantile, cdf, survival = (
            array(f) for f in (d.quantile(p), d.cdf(x), d.survival_function(x))
        )
        entropy = array(d.entropy())
    assert_close(quantile, x, 1e-9, 1e-280)
    inner = (x > 1e-290) & (x < 1.0)
    assert_close(cdf[inner], twin.cdf(x)[inner], 1e-10)
    assert_close(survival[inner], twin.sf(x)[inner], 1e-9)
    assert_close(entropy, twin.entropy(), 1e-9, 1.0)


def test_log_density_at_the_ends_follows_the_concentrations():
    d = td.Beta(np.array([0.5, 1.0, 2.0], "float32"), 3.0)
    np.testing.assert_allclose(array(d.log_prob(0.0)), [np.inf, np.log(3.0), -np.inf], rtol=1e-6)
    np.testing.assert_array_equal(array(d.log_prob(1.0)), [-np.inf] * 3)
    k = td.Kumaraswamy(3.0, np.array([0.5, 1.0, 2.0], "float32"))
    np.testing.assert_allclose(array(k.log_prob(1.0)), [np.inf, np.log(3.0), -np.inf], rtol=1e-6)


@pytest.mark.parametrize("family", [td.Beta, td.Kumaraswamy], ids=["Beta", "Kumaraswamy"])
def test_the_mode_of_a_flat_or_hollow_density_is_an_end(family):
    a = np.array([0.5, 2.0, 0.9, 1.0, 3.0], "float32")
    b = np.array([2.0, 0.5, 0.3, 1.0, 1.0], "float32")
    np.testing.assert_array_equal(array(family(a, b).mode()), [0.0, 1.0, 1.0, 0.0, 1.0])


def test_draws_of_tiny_concentrations_have_a_density_and_gradients():
    def draw(a, b):
        return td.Beta(a, b).sample(500, seed=3)

    ones = np.full(4, 1e-2, "float32")
    x, gradients = value_and_gradient(draw, ones, ones)
    assert np.all((array(x) > 0.0) & (array(x) < 1.0))
    assert all(np.all(np.isfinite(array(g))) for g in gradients)
    assert np.all(np.isfinite(array(td.Beta(ones, ones).log_prob(array(x)))))


def test_uniform_divergence_is_infinite_where_the_other_does_not_reach():
    d = td.Uniform(0.0, 1.0)
    assert float(d.kl_divergence(td.Uniform(-1.0, 3.0))) == pytest.approx(np.log(4.0))
    assert float(d.kl_divergence(td.Uniform(0.5, 3.0))) == np.inf
