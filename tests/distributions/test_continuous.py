"""What is special about the symmetric families on the real line."""

import numpy as np
import pytest
import scoringrules
from helpers import assert_close, fast, gradient, to_numpy
from keras import ops
from scipy import stats

from timedist import distributions as td

FAMILIES = {
    "Normal": (td.Normal, stats.norm),
    "Laplace": (td.Laplace, stats.laplace),
    "Logistic": (td.Logistic, stats.logistic),
    "StudentT": (lambda: td.StudentT(3.0), lambda: stats.t(3.0)),
    "Cauchy": (td.Cauchy, stats.cauchy),
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


def test_quantiles_at_the_ends():
    d = td.Normal([0.0, 5.0], 2.0)
    np.testing.assert_array_equal(to_numpy(d.quantile(0.0)), [-np.inf, -np.inf])
    np.testing.assert_array_equal(to_numpy(d.quantile(1.0)), [np.inf, np.inf])


@pytest.mark.parametrize("name", ["Normal", "Laplace", "Logistic"])
def test_crps_against_scoringrules(name):
    y = np.linspace(-30.0, 30.0, 13)
    exact = getattr(scoringrules, f"crps_{name.lower()}")(y, 1.0, 2.0)
    result = FAMILIES[name][0](1.0, 2.0).crps(y.astype("float32"))
    assert_close(to_numpy(result), exact, 2e-6)


@pytest.mark.parametrize("family", [td.Normal, td.Laplace, td.Cauchy, td.Gumbel])
def test_divergences_near_and_far_do_not_cancel(family):
    """Twice the shift, four times the divergence; and finite for scales 1e15 apart."""
    d = family(0.0, 1.0)
    near = family([1e-3, 2e-3], 1.0)
    small, large = to_numpy(d.kl_divergence(near))
    assert 0.0 < small < 1e-5
    np.testing.assert_allclose(large / small, 4.0, rtol=0.01)
    assert np.all(np.isfinite(to_numpy(d.kl_divergence(family([0.0, 1e5], 1e15)))))
