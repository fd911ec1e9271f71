"""Truncated distributions: ends of other shapes, far tails, bases with losses of their own."""

import numpy as np
import pytest
from scipy import stats

from timedist import distributions as td
from timedist.ops.functional import float64_scope
from timedist.testing.compare import array, assert_close


def test_base_and_ends_broadcast_both_ways():
    wide = td.Truncated(td.Logistic(0.0, 1.0), np.zeros(3, "float32"), 2.0)
    assert wide.batch_shape == (3,) and tuple(wide.sample(5, seed=1).shape) == (5, 3)
    assert wide[1:].batch_shape == (2,)
    deep = td.Truncated(td.Logistic(np.zeros((2, 1), "float32"), 1.0), np.zeros(3, "float32"))
    assert deep.batch_shape == (2, 3) and deep[0].batch_shape == (3,)
    with pytest.raises(ValueError, match=r"low of shape \(3,\).*\(2,\)"):
        td.Truncated(td.Logistic(np.zeros(2, "float32"), 1.0), np.zeros(3, "float32"))


def test_an_interval_far_in_the_upper_tail():
    p = np.array([1e-6, 0.3, 0.9, 1 - 1e-9])
    with float64_scope():
        d = td.Truncated(td.Normal(np.float64(0.0), 1.0), 30.0, np.inf)
        exact = td.TruncatedNormal(np.float64(0.0), 1.0, 30.0, np.inf)
        assert_close(d.quantile(p), array(exact.quantile(p)), 1e-12)
        assert_close(d.log_prob(30.1), array(exact.log_prob(30.1)), 1e-12)
        assert_close(d.mean(), array(exact.mean()), 1e-10)
        assert_close(d.variance(), array(exact.variance()), 1e-7)


def test_a_base_on_the_positive_half_line():
    base = stats.lognorm(1.0)
    mass = base.cdf(3.0)
    with float64_scope():
        d = td.Truncated(td.LogNormal(np.float64(0.0), 1.0), -1.0, 3.0)
        assert array(d.log_prob(-0.5)) == -np.inf
        assert_close(d.log_prob(2.0), base.logpdf(2.0) - np.log(mass), 1e-12)
        assert_close(d.quantile(0.25), base.ppf(0.25 * mass), 1e-12)
        assert_close(d.mean(), base.expect(lambda x: x, lb=0.0, ub=3.0) / mass, 1e-8)


def test_integers_without_a_least_one():
    p, ends, base = (
        np.array([[0.0], [1e-4], [0.3], [0.99]]),
        np.array([3.0, -2.0]),
        stats.norm(0, 2),
    )
    with float64_scope():
        d = td.Truncated(td.Quantized(td.Normal(np.zeros(2), 2.0)), high=ends)
        assert_close(d.quantile(p), np.ceil(base.ppf(p * base.cdf(ends))), 0.0)
        assert_close(d.quantile(1.0), ends, 0.0)


def test_bases_without_scalar_events_or_tails_are_refused():
    with pytest.raises(ValueError, match="scalar events"):
        td.Truncated(td.Independent(td.Normal([0.0, 1.0], 1.0)), 0.0)
    with pytest.raises(ValueError, match="family of integers"):
        td.Truncated(td.Categorical(logits=[0.0, 1.0]), 0.0)
