"""The parent of families that are monotone maps of other families."""

import numpy as np
from keras import ops

from timedist import distributions as td
from timedist.distributions import Pushforward, constraints, parameter
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import array, assert_close


class Shadow(Pushforward):
    """-log X of an exponential X: a decreasing map onto the real line, Gumbel's distribution."""

    rate: object = parameter(constraints.positive, 1.0)

    @property
    def _decreasing(self):
        return True

    def _base(self):
        return td.Exponential.trusted(rate=self.rate)

    def _forward(self, x):
        return -ops.log(x)

    def _inverse(self, y):
        return ops.exp(-y)

    def _log_slope(self, x, y):
        return y


def test_a_decreasing_map_swaps_the_tails():
    y, p = np.array([-3.0, 0.5, 30.0]), np.array([1e-12, 0.3, 1.0 - 1e-9])
    with float64_scope():
        d = Shadow(np.array(2.0))
        assert_close(d.cdf(y), np.exp(-2.0 * np.exp(-y)), 1e-12)
        assert_close(d.survival_function(y), -np.expm1(-2.0 * np.exp(-y)), 1e-12)
        assert_close(d.log_prob(y), np.log(2.0) - y - 2.0 * np.exp(-y), 1e-12)
        assert_close(d.quantile(p), -np.log(-np.log(p) / 2.0), 1e-12)
        assert_close(d.mean(), np.log(2.0) + 0.5772156649015329, 1e-10)


def test_values_outside_have_no_effect_on_gradients():
    def log_prob(scale):
        y = np.array([-1.0, 0.0, np.inf, 2.0], "float32")
        return td.Weibull(2.0, scale).log_prob(y)

    value, (slope,) = value_and_gradient(log_prob, np.full(4, 3.0, "float32"))
    np.testing.assert_array_equal(np.isfinite(array(value)), [False, False, False, True])
    np.testing.assert_array_equal(array(slope)[:3], 0.0)
    # -2 / scale + 2 y^2 / scale^3
    assert_close(array(slope)[3], -2 / 3 + 8 / 27, 1e-5)


def test_draws_that_underflow_stay_inside_the_support():
    d = td.Weibull(np.full(3, 1e-2, "float32"), 1.0)
    x = d.sample(200, seed=1)
    assert np.all(array(x) > 0.0)
    assert np.all(np.isfinite(array(d.log_prob(x))))
