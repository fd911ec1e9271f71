"""What is special about Student's t and the Cauchy distribution."""

import numpy as np
import pytest
import scoringrules
from helpers import assert_close, dtype_scope, gradient, to_numpy
from scipy import integrate, stats

from timedist import distributions as td


def test_student_t_moments_where_they_do_not_exist():
    d = td.StudentT(df=[0.5, 1.0, 1.5, 2.0, 3.0], loc=1.0)
    np.testing.assert_array_equal(to_numpy(d.mean()), [np.nan, np.nan, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(
        to_numpy(d.variance()), [np.nan, np.nan, np.inf, np.inf, 3.0], rtol=1e-6
    )
    np.testing.assert_array_equal(to_numpy(d.mode()), np.ones(5))


def test_cauchy_has_no_moments():
    d = td.Cauchy([0.0, 1.0], 2.0)
    assert np.all(np.isnan(to_numpy(d.mean()))) and np.all(np.isnan(to_numpy(d.variance())))


def test_student_t_with_many_degrees_of_freedom_is_normal():
    x = np.linspace(-5, 5, 11).astype("float32")
    t, normal = td.StudentT(1e9), td.Normal()
    assert_close(to_numpy(t.log_prob(x)), to_numpy(normal.log_prob(x)), 1e-5, floor=1.0)
    assert_close(to_numpy(t.entropy()), to_numpy(normal.entropy()), 1e-5)
    assert_close(to_numpy(t.crps(x)), to_numpy(normal.crps(x)), 1e-5)


@pytest.mark.parametrize("df", [0.6, 1.0, 1.0 + 1e-6, 1.001, 1.7])
def test_crps_around_one_degree_of_freedom(df):
    """Where the formula of scoringrules has a pole, and below it, where the mean is infinite."""
    y = np.array([-20.0, 0.0, 0.3, 4.0])
    with dtype_scope("float64"):
        result = to_numpy(td.StudentT(np.full(4, df)).crps(y))

    def squared(log_x, side):
        return stats.t.sf(np.exp(log_x), df) ** 2 * np.exp(log_x) if side else 0.0

    tail = 2 * integrate.quad(squared, -60, 300, (True,), limit=500, epsabs=0, epsrel=1e-11)[0]
    rise = [integrate.quad(lambda x: 2 * stats.t.cdf(x, df) - 1, 0, v, epsrel=1e-11)[0] for v in y]
    assert_close(result, tail + np.array(rise), 1e-8)


def test_crps_against_scoringrules():
    y, df = np.linspace(-40.0, 40.0, 9), np.array([1.5, 3.0, 30.0])[:, None]
    with dtype_scope("float64"):
        result = to_numpy(td.StudentT(df, 1.0, np.full((3, 1), 2.0)).crps(y))
    assert_close(result, scoringrules.crps_t(y, df, 1.0, 2.0), 1e-9)


def test_crps_is_infinite_up_to_half_a_degree_of_freedom():
    np.testing.assert_array_equal(to_numpy(td.StudentT([0.1, 0.5]).crps(1.0)), [np.inf, np.inf])


@pytest.mark.parametrize("df", [1.0, 2.5])
def test_log_density_where_the_ratio_overflows(df):
    """Forty powers of ten away in float32: a finite value and the slope of a power."""

    def log_prob(scale):
        d = td.Cauchy(0.0, scale) if df == 1.0 else td.StudentT(df, 0.0, scale)
        return d.log_prob(1e30)

    scale = np.full(1, 1e-10, "float32")
    assert_close(to_numpy(log_prob(scale)), stats.t(df, scale=1e-10).logpdf(1e30), 1e-5)
    assert_close(gradient(log_prob, scale)[0], df / scale, 1e-5)


@pytest.mark.parametrize("df", [0.3, 1.0, 2.5])
def test_student_t_far_out(df):
    """Beyond what a float32 can be squared."""
    d, t = td.StudentT(np.float32(df)), stats.t(df)
    x = np.array([1e10, 1e18, 1.9e19, 1e25, 1e37], "float32")
    expected = np.log(t.sf(1e10)) - df * np.log(x.astype("float64") / 1e10)
    np.testing.assert_allclose(to_numpy(d.log_survival_function(x)), expected, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(d.log_cdf(-x)), expected, rtol=1e-5)
    normal = expected > -80.0  # their probabilities are not denormal
    p = np.exp(expected[normal]).astype("float32")
    np.testing.assert_allclose(to_numpy(d.quantile(p)), -x[normal], rtol=1e-3)


def test_a_quantile_of_student_t_beyond_the_square_root_of_all_numbers():
    p = np.array([1e-20, 1e-25, 1e-37], "float32")
    expected = to_numpy(td.Cauchy(0.0, 1.0).quantile(p))
    np.testing.assert_allclose(to_numpy(td.StudentT(1.0).quantile(p)), expected, rtol=1e-4)
    slope = gradient(lambda df: td.StudentT(df).quantile(p[0] * 1e5), np.ones(1, "float32"))[0]
    # From P(X < -t) = c(df) t^-df: the logarithm of a quantile changes by log(t) and a little.
    t = -to_numpy(td.StudentT(1.0).quantile(p[0] * 1e5))
    np.testing.assert_allclose(slope / t, np.log(t), rtol=0.01)
