"""Gamma families, where the table of families does not reach."""

import mpmath
import numpy as np
import pytest
from keras import ops
from scipy import stats

from timedist import distributions as td
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import array, assert_close

_P = np.array([1e-12, 1e-3, 0.5, 0.999, 1.0 - 1e-12])[:, None]


@pytest.mark.parametrize("a", [[0.05, 0.2], [30.0, 1e3]], ids=["small", "large"])
def test_far_tails_of_small_and_large_concentrations(a):
    a = np.array(a)
    twin = stats.gamma(a, scale=0.5)
    x = twin.ppf(_P)
    with float64_scope():
        d = td.Gamma(a, 2.0)
        quantile, cdf, survival = (
            array(y) for y in (d.quantile(_P), d.cdf(x), d.survival_function(x))
        )
    assert_close(quantile, x, 1e-11)
    assert_close(cdf, twin.cdf(x), 1e-10)
    assert_close(survival, twin.sf(x), 1e-10)


def test_log_density_of_a_large_concentration_against_many_digits():
    a, x = 1e6, 993000.0
    with mpmath.workdps(40):
        expected = a * mpmath.log(x) - x - mpmath.loggamma(a) - mpmath.log(x)
    with float64_scope():
        actual = array(td.Gamma(np.array([a]), 1.0).log_prob(x))
    assert_close(actual, [float(expected)], 1e-14)


def test_the_log_density_at_zero_follows_the_concentration():
    d = td.Gamma(np.array([0.5, 1.0, 2.0], "float32"), 3.0)
    assert_close(d.log_prob(0.0), [np.inf, np.log(3.0), -np.inf], 1e-6)


def test_draws_of_a_tiny_concentration_have_a_density_and_gradients():
    def draw(a, rate):
        return td.Gamma(a, rate).sample(200, seed=3)

    tiny, rate = np.full(4, 1e-3, "float32"), np.full(4, 2.0, "float32")
    x, gradients = value_and_gradient(draw, tiny, rate)
    assert np.all(array(x) > 0.0)
    assert all(np.all(np.isfinite(array(g))) for g in gradients)
    log_prob = td.Gamma(tiny, rate).log_prob(ops.convert_to_tensor(array(x)))
    assert np.all(np.isfinite(array(log_prob)))


@pytest.mark.parametrize("family", [td.Gamma, td.InverseGamma])
def test_divergence_between_near_neighbours_keeps_its_digits(family):
    # To second order half the Fisher information times the squared step.
    a, step = 1e4, 1e-3
    with float64_scope(), mpmath.workdps(40):
        actual = array(family(np.array([a]), 1.0).kl_divergence(family(np.array([a + step]), 1.0)))
        information = mpmath.psi(1, a)
        third = mpmath.psi(2, a)
        expected = information * step**2 / 2 + third * step**3 / 6
    assert_close(actual, [float(expected)], 1e-5)


def test_moments_that_do_not_exist_are_infinite():
    d = td.InverseGamma(np.array([0.4, 1.0, 1.5, 2.5], "float32"), 1.0)
    np.testing.assert_array_equal(np.isinf(array(d.mean())), [True, True, False, False])
    np.testing.assert_array_equal(np.isinf(array(d.variance())), [True, True, True, False])
    np.testing.assert_array_equal(np.isinf(array(d.crps(1.0))), [True, False, False, False])
