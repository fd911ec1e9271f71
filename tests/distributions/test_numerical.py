"""Quadrature, search and draws of continuous families that write only a density or a quantile."""

import numpy as np
import pytest
from keras import ops
from scipy import integrate

from timedist import distributions as td
from timedist.distributions import Distribution, constraints, numerical, parameter
from timedist.ops import special
from timedist.ops.functional import float64_scope
from timedist.testing.compare import array, assert_close


class Triangular(Distribution):
    """The density 2 x / high^2 on (0, high), of which only the distribution function is written."""

    high: object = parameter(constraints.positive, 1.0)

    def _log_prob(self, x):
        inside = (x > 0.0) & (x < self.high)
        log_prob = ops.log(special.where(inside, 2.0 * x, 1.0)) - 2.0 * ops.log(self.high)
        return special.where(inside, log_prob, -np.inf)

    def _cdf(self, x):
        return ops.square(special.minimum(special.maximum(x, 0.0), self.high) / self.high)

    def _support(self):
        return 0.0, self.high


def test_everything_follows_from_a_density_and_a_distribution_function():
    high = np.array([0.5, 3.0])
    with float64_scope():
        d = Triangular(high)
        assert_close(d.mean(), 2.0 / 3.0 * high, 1e-10)
        assert_close(d.variance(), high**2 / 18.0, 1e-9)
        assert_close(d.entropy(), 0.5 + np.log(high / 2.0), 1e-9)
        assert_close(d.quantile(0.25), high / 2.0, 1e-12)
        y = np.array([0.1, 4.0])
        expected = [
            integrate.quad(
                lambda x, h=h, v=v: (min((x / h) ** 2, 1.0) - (x >= v)) ** 2,
                0.0,
                4.0,
                points=[min(v, h), h],
                limit=200,
            )[0]
            for h, v in zip(high, y, strict=True)
        ]
        assert_close(d.crps(y), np.array(expected), 1e-8)
    draws = array(Triangular(high.astype("float32")).sample(4000, seed=1))
    assert np.all((draws > 0.0) & (draws < high))
    error = np.sqrt(high**2 / 18.0 / 4000)
    assert np.all(np.abs(draws.mean(axis=0) - 2.0 / 3.0 * high) < 5 * error)


@pytest.mark.parametrize("d", [Triangular(2.0), td.Normal(1.0, 2.0), td.Poisson(3.0)])
def test_the_score_is_infinite_at_infinity_and_missing_at_nan(d):
    np.testing.assert_array_equal(
        array(d.crps(np.array([np.inf, -np.inf, np.nan], "float32"))), [np.inf, np.inf, np.nan]
    )


def test_clipped_stays_strictly_between_the_ends():
    x = np.array([-np.inf, 0.0, 0.5, 1.0, np.inf], "float32")
    arguments = (
        ops.convert_to_tensor(a) for a in (x, np.zeros(1, "float32"), np.ones(1, "float32"))
    )
    inside = array(numerical.clipped(*arguments))
    assert np.all((inside > 0.0) & (inside < 1.0))
    assert inside[2] == 0.5
    ends = ops.convert_to_tensor(np.array([-np.inf], "float32"))
    assert np.all(np.isfinite(array(numerical.clipped(ops.convert_to_tensor(x), ends, -ends))))
