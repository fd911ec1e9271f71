"""Sums over many integers against plain ones."""

import numpy as np
import pytest
from helpers import assert_close, float64_scope, to_numpy
from keras import ops
from scipy import stats

from timedist import distributions as td
from timedist.distributions import sums


def tensors(*numbers):
    return [ops.convert_to_tensor(np.array([x])) for x in numbers]


@pytest.mark.parametrize("high", [3.0, 128.0, 200.0, 256.0, 300.0, 5000.0, np.inf])
@pytest.mark.parametrize("low", [0.0, 1e3])
def test_total_is_the_sum(low, high):
    def function(k, array=np):
        return array.exp(-(k - low) / 150.0) / array.sqrt(k + 1.0)

    k = low + np.arange(min(high, 8000.0))
    with float64_scope():
        ends = tensors(low, low + high)
        marks = tensors(low + 100.0, low + 400.0)
        value = to_numpy(sums.total(lambda k: function(k, ops), *ends, marks))
        logs = to_numpy(sums.log_total(lambda k: ops.log(function(k, ops)) - 2e3, *ends, marks))
    assert_close(value, function(k).sum(), 1e-10)
    assert_close(logs, np.log(function(k).sum()) - 2e3, 1e-12)


def test_nothing_to_sum_is_zero():
    with float64_scope():
        value = to_numpy(sums.total(lambda k: 1.0 + 0.0 * k, *tensors(4.0, 4.0), tensors(4.0)))
    np.testing.assert_array_equal(value, 0.0)


def test_moments_from_tails():
    with float64_scope():
        d = td.NegativeBinomial(np.array([0.4, 30.0]), probs=np.array([0.99, 0.5]))
        mean, variance = to_numpy(sums.mean(d)), to_numpy(sums.variance(d))
        entropy = to_numpy(sums.entropy(td.Geometric(probs=np.array([0.003]))))
    twin = stats.nbinom([0.4, 30.0], [0.01, 0.5])
    assert_close(mean, twin.mean(), 1e-9)
    assert_close(variance, twin.var(), 1e-8)
    assert_close(entropy, stats.bernoulli(0.003).entropy() / 0.003, 1e-9)
