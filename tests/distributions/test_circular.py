"""What is special about families of angles."""

import mpmath
import numpy as np
import pytest
from helpers import assert_close, dtype_scope, gradient, to_numpy
from scipy import special

from timedist import distributions as td

CONCENTRATIONS = np.array([1e-6, 0.1, 3.0, 49.0, 51.0, 1e3, 1e6, 1e12])


def test_density_has_a_period():
    d = td.VonMises(0.5, 3.0)
    x = np.linspace(-2.0, 3.0, 6, dtype="float32")
    assert_close(
        to_numpy(d.log_prob(x + np.float32(4 * np.pi))), to_numpy(d.log_prob(x)), 1e-5, 1.0
    )


def test_distribution_function_ends_half_a_turn_from_loc():
    d = td.VonMises(1.0, 2.0)
    ends = np.array([-50.0, 1.0 - np.pi, 1.0, 1.0 + np.pi, 50.0], "float32")
    np.testing.assert_allclose(to_numpy(d.cdf(ends)), [0, 0, 0.5, 1, 1], atol=1e-6)
    quantiles = to_numpy(d.quantile(np.array([0.0, 0.5, 1.0], "float32")))
    np.testing.assert_allclose(quantiles, [1.0 - np.pi, 1.0, 1.0 + np.pi], rtol=1e-6)


def _exact(kappa):
    kappa = mpmath.mpf(kappa)
    ratio = mpmath.besseli(1, kappa) / mpmath.besseli(0, kappa)
    log_norm = mpmath.log(2 * mpmath.pi * mpmath.besseli(0, kappa))
    return float(1 - ratio), float(log_norm - kappa * ratio), float(kappa - log_norm)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_variance_entropy_and_peak_for_all_concentrations(dtype):
    kappa = CONCENTRATIONS.astype(dtype)
    with mpmath.workdps(40), dtype_scope(dtype):
        exact = np.array([_exact(float(k)) for k in kappa])
        d = td.VonMises(np.zeros(len(kappa), dtype), kappa)
        results = d.variance(), d.entropy(), d.log_prob(0.0)
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    for result, expected in zip(results, exact.T, strict=True):
        assert_close(to_numpy(result), expected, tolerance)


def test_far_tails_of_high_concentrations():
    """Against the normal distribution, whose tails they approach."""
    kappa = np.array([1e4, 1e8])
    with dtype_scope("float64"):
        z = -5.0 / np.sqrt(kappa)
        d = td.VonMises(np.zeros(2), kappa)
        log_cdf = to_numpy(d.log_cdf(z))
        quantile = to_numpy(d.quantile(special.ndtr(-5.0)))
    # The next term of the expansion is of the order of 1 / kappa times the fourth power of z.
    assert_close(log_cdf, np.full(2, special.log_ndtr(-5.0)), 1e-3)
    assert_close(log_cdf[1], special.log_ndtr(-5.0), 1e-6)
    assert_close(quantile, z, 1e-3)


def test_divergence_of_nearly_equal_concentrations():
    """Half the Fisher information times the square of the step, without cancellation."""
    kappa, step = 1e6, 100.0
    with dtype_scope("float64"):
        d = td.VonMises(0.0, np.array([kappa]))
        result = to_numpy(d.kl_divergence(td.VonMises(0.0, np.array([kappa + step]))))
    assert_close(result, 0.25 * step**2 / kappa**2, 1e-3)


def test_gradient_of_the_distribution_function_to_the_concentration():
    kappa, h = 2.0, 1e-5
    with dtype_scope("float64"):
        z = np.array([-2.0, -0.3, 1.0])

        def cdf(k):
            return td.VonMises(np.zeros(3), k).cdf(z)

        slope = gradient(cdf, np.full(3, kappa))[0]
        sides = [to_numpy(cdf(np.full(3, kappa + s))) for s in (h, -h)]
    assert_close(slope, (sides[0] - sides[1]) / (2 * h), 1e-7)


def test_draws_without_gradients_are_those_with_them():
    d = td.VonMises(np.zeros(3, "float32"), np.array([1e-6, 1.0, 1e6], "float32"))
    np.testing.assert_allclose(
        to_numpy(d.draw(50, seed=1)), to_numpy(d.sample(50, seed=1)), rtol=1e-5
    )
