"""Families with power tails, where the table of families does not reach."""

import mpmath
import numpy as np
import pytest

from timedist import distributions as td
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import array, assert_close

_SHAPES = np.array([0.0, 1e-9, 1e-5, -1e-5, 0.2499999, 0.2500001, -0.3])


def _reference(function, limit):
    """Values and derivatives of a function of xi by many digits; `limit` holds those at 0."""
    with mpmath.workdps(60):
        pairs = [
            (function(mpmath.mpf(xi)), mpmath.diff(function, mpmath.mpf(xi))) if xi else limit
            for xi in _SHAPES.tolist()
        ]
        return np.array(pairs, "float64").T


def test_log_density_and_its_slope_are_smooth_in_the_shape_through_zero():
    value, slope = _reference(lambda xi: -(1 / xi + 1) * mpmath.log(1 + xi), (-1.0, -0.5))
    with float64_scope():
        actual, (gradient,) = value_and_gradient(
            lambda xi: td.GeneralizedPareto(0.0, 1.0, xi).log_prob(1.0), _SHAPES
        )
    assert_close(actual, value, 1e-13)
    assert_close(gradient, slope, 1e-12)


def test_quantile_and_its_slope_are_smooth_in_the_shape_through_zero():
    log_q = mpmath.log(mpmath.mpf(0.125))
    limit = (float(-log_q), float(log_q**2 / 2))
    value, slope = _reference(lambda xi: mpmath.expm1(-xi * log_q) / xi, limit)
    with float64_scope():
        actual, (gradient,) = value_and_gradient(
            lambda xi: td.GeneralizedPareto(0.0, 1.0, xi).quantile(0.875), _SHAPES
        )
    assert_close(actual, value, 1e-13)
    assert_close(gradient, slope, 1e-11)


def test_the_log_density_at_both_ends():
    xi = np.array([-0.5, -1.0, -2.0], "float32")
    d = td.GeneralizedPareto(1.0, 2.0, xi)
    assert_close(d.log_prob(1.0), [-np.log(2.0)] * 3, 1e-6)
    assert_close(d.log_prob(1.0 - 2.0 / xi), [-np.inf, -np.log(2.0), np.inf], 1e-6)
    assert_close(td.Pareto(2.0, 3.0).log_prob(3.0), np.log(2.0 / 3.0), 1e-6)


@pytest.mark.parametrize("xi", [-0.5, 0.0, 0.4, 0.9])
def test_score_against_scoringrules(xi):
    scoringrules = pytest.importorskip("scoringrules")
    y = np.array([-1.0, 0.3, 1.7, 40.0])
    with float64_scope():
        actual = array(td.GeneralizedPareto(np.array(0.2), 1.5, xi).crps(y))
    expected = scoringrules.crps_gpd((y - 0.2) / 1.5, xi) * 1.5
    assert_close(actual, expected, 1e-10)


def test_a_score_exists_for_shapes_below_two_only():
    d = td.GeneralizedPareto(0.0, 1.0, np.array([1.0, 1.9, 2.0, 3.0], "float32"))
    np.testing.assert_array_equal(np.isfinite(array(d.crps(1.0))), [True, True, False, False])
    assert np.isinf(array(td.Pareto(0.5, 1.0).crps(2.0)))


def test_nothing_covers_a_pareto_variable_from_above():
    near, far = td.Pareto(2.0, 1.0), td.Pareto(2.0, 3.0)
    assert np.isinf(array(near.kl_divergence(far)))
    assert_close(far.kl_divergence(near), 2.0 * np.log(3.0), 1e-6)
