"""Families on the positive half line, where the table of families does not reach."""

import mpmath
import numpy as np
import pytest
from scipy import special

from timedist import distributions as td
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import array, assert_close


def test_the_log_density_at_zero_follows_the_shape():
    shape = np.array([0.5, 1.0, 2.0], "float32")
    expected = [np.inf, -np.log(3.0), -np.inf]
    assert_close(td.Weibull(shape, 3.0).log_prob(0.0), expected, 1e-6)
    assert_close(td.LogLogistic(float(np.log(3.0)), 1 / shape).log_prob(0.0), expected, 1e-6)
    assert_close(td.Exponential(3.0).log_prob(0.0), np.log(3.0), 1e-6)


def test_observed_zeros_teach_the_rate():
    _, (slope,) = value_and_gradient(
        lambda rate: td.Exponential(rate).log_prob(0.0), np.array([2.0, 0.5], "float32")
    )
    assert_close(slope, [0.5, 2.0], 1e-6)


def test_weibull_variance_of_a_steep_shape_does_not_cancel():
    k = np.array([3.0, 6.0, 50.0, 1e4])
    with mpmath.workdps(40):
        expected = [
            float(mpmath.gamma(1 + 2 / mpmath.mpf(c)) - mpmath.gamma(1 + 1 / mpmath.mpf(c)) ** 2)
            for c in k
        ]
    with float64_scope():
        assert_close(td.Weibull(k, 1.0).variance(), expected, 1e-12)
    assert_close(td.Weibull(k.astype("float32"), 1.0).variance(), expected, 1e-5)


def test_half_normal_quantiles_in_both_far_tails():
    low, high = np.array([1e-300, 1e-12, 0.4999]), np.array([0.5001, 0.9, 1.0 - 1e-12])
    expected = [2.0**0.5 * special.erfinv(low), -special.ndtri((1.0 - high) / 2.0)]
    with float64_scope():
        actual = td.HalfNormal(np.array(2.0)).quantile(np.concatenate([low, high]))
    assert_close(actual, 2.0 * np.concatenate(expected), 1e-12)


@pytest.mark.parametrize("scale", [1e-3, 0.9, 1.1, 20.0])
def test_log_normal_score_keeps_its_digits(scale):
    y = np.exp(np.array([-1.5, 0.0, 1.0]) * scale)
    with mpmath.workdps(60):
        s = mpmath.mpf(scale)
        expected = []
        for value in y:
            value = mpmath.mpf(float(value))
            w = mpmath.log(value) / s
            tail = mpmath.ncdf(w - s) - mpmath.ncdf(-s / mpmath.sqrt(2))
            expected.append(
                float(value * (2 * mpmath.ncdf(w) - 1) - 2 * mpmath.exp(s**2 / 2) * tail)
            )
    with float64_scope():
        assert_close(td.LogNormal(np.array(0.0), scale).crps(y), expected, 1e-11)


def test_scores_below_the_support_are_the_distance_and_the_score_at_zero():
    for d in (td.LogNormal(0.0, 0.5), td.LogLogistic(0.0, 0.3), td.Gamma(2.0), td.Weibull(2.0)):
        assert_close(d.crps(-2.0), 2.0 + array(d.crps(0.0)), 1e-5)


def test_log_logistic_score_against_its_closed_form():
    scale = np.array([0.3, 1.0, 1.9])
    with mpmath.workdps(30):
        # At 0 the score is the integral of the squared survival function.
        expected = [float(mpmath.e * mpmath.gamma(1 + s) * mpmath.gamma(2 - s)) for s in scale]
    with float64_scope():
        assert_close(td.LogLogistic(1.0, scale).crps(0.0), expected, 1e-9)
    assert np.isinf(array(td.LogLogistic(1.0, 2.0).crps(0.5)))
