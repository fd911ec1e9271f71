"""What is special about the families on the real line."""

import numpy as np
import pytest
from helpers import assert_close, fast, gradient, to_numpy
from keras import ops
from scipy import stats

from timedist import distributions as td

FAMILIES = {
    "Normal": (td.Normal, stats.norm),
    "Laplace": (td.Laplace, stats.laplace),
    "Logistic": (td.Logistic, stats.logistic),
    "StudentT": (lambda: td.StudentT(3.0), lambda: stats.t(3.0)),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_both_far_tails_in_float32(name):
    """A survival function of 1e-30 and a log cdf where the cdf is one to rounding."""
    make, twin = FAMILIES[name]
    far = twin().isf(np.array([1e-6, 1e-15, 1e-30])).astype("float32")

    def tails(x):
        d = make()
        return d.survival_function(x), d.cdf(-x), d.log_cdf(x)

    upper, lower, log_cdf = (to_numpy(r) for r in fast(tails)(ops.convert_to_tensor(far)))
    exact = twin().sf(far.astype("float64"))
    assert_close(upper, exact, 5e-5)
    assert_close(lower, exact, 5e-5)
    assert_close(log_cdf, -exact, 5e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_slopes_at_the_centre(name):
    """Where formulas for the two sides meet, derivatives are those of the density."""
    make, twin = FAMILIES[name]
    zero = np.zeros(1, "float32")
    density = twin().pdf(0.0)
    np.testing.assert_allclose(gradient(lambda x: make().cdf(x), zero)[0], density, rtol=1e-5)
    np.testing.assert_allclose(
        gradient(lambda x: make().log_cdf(x), zero)[0], 2 * density, rtol=1e-5
    )
    np.testing.assert_allclose(
        gradient(lambda x: make().survival_function(x), zero)[0], -density, rtol=1e-5
    )


def test_student_t_moments_where_they_do_not_exist():
    d = td.StudentT(df=[0.5, 1.0, 1.5, 2.0, 3.0], loc=1.0)
    np.testing.assert_array_equal(to_numpy(d.mean()), [np.nan, np.nan, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(
        to_numpy(d.variance()), [np.nan, np.nan, np.inf, np.inf, 3.0], rtol=1e-6
    )
    np.testing.assert_array_equal(to_numpy(d.mode()), np.ones(5))


def test_student_t_with_many_degrees_of_freedom_is_normal():
    x = np.linspace(-5, 5, 11).astype("float32")
    t, normal = td.StudentT(1e9), td.Normal()
    assert_close(to_numpy(t.log_prob(x)), to_numpy(normal.log_prob(x)), 1e-5, floor=1.0)
    assert_close(to_numpy(t.entropy()), to_numpy(normal.entropy()), 1e-5)


def test_quantiles_at_the_ends():
    d = td.Normal([0.0, 5.0], 2.0)
    np.testing.assert_array_equal(to_numpy(d.quantile(0.0)), [-np.inf, -np.inf])
    np.testing.assert_array_equal(to_numpy(d.quantile(1.0)), [np.inf, np.inf])
