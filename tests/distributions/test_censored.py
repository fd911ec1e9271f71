"""Censored distributions at their ends."""

import numpy as np
import pytest
from scipy import stats

from timedist import distributions as td
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import assert_close


def test_ends_have_masses_and_values_beyond_count_as_ends():
    base = stats.norm(1.0, 2.0)
    x = np.array([-3.0, 0.0, 1.5, 4.0, 9.0])
    with float64_scope():
        d = td.Censored(td.Normal(np.float64(1.0), 2.0), 0.0, 4.0)
        at = [base.logcdf(0.0)] * 2, [base.logpdf(1.5)], [base.logsf(4.0)] * 2
        assert_close(d.log_prob(x), np.concatenate(at), 1e-12)
        assert_close(d.cdf(np.array([0.0, 4.0])), [base.cdf(0.0), 1.0], 1e-12)


def test_sold_out_stock():
    """The mass at the stock is that of all demands that reach it; its gradient raises the rate."""
    demand, stock = stats.poisson(7.5), 9.0
    k = np.array([0.0, 8.0, 9.0])
    with float64_scope():
        d = td.Censored(td.Poisson(np.float64(7.5)), high=stock)
        expected = [demand.logpmf(0), demand.logpmf(8), demand.logsf(8)]
        assert_close(d.log_prob(k), expected, 1e-10)
        sales = np.minimum(np.arange(200), stock)
        assert_close(d.mean(), np.sum(sales * demand.pmf(np.arange(200))), 1e-10)

    def log_prob(rate):
        return td.Censored(td.Poisson(rate), high=stock).log_prob(stock)

    _, (gradient,) = value_and_gradient(log_prob, np.array([7.5], "float32"))
    slope = (stats.poisson(7.501).logsf(8) - stats.poisson(7.499).logsf(8)) / 0.002
    assert_close(gradient, [slope], 1e-3)


def test_divergence_from_other_ends_is_infinite():
    base = td.Normal(0.0, 1.0)
    d = td.Censored(base, 0.0)
    assert float(d.kl_divergence(td.Censored(base, 0.5))) == np.inf
    assert float(d.kl_divergence(td.Censored(base, 0.0))) == pytest.approx(0.0, abs=1e-6)


def test_the_divergence_of_a_density_from_masses_is_refused():
    censored = td.Censored(td.Normal(0.0, 1.0), -1.0, 1.0)
    for pair in ((censored, td.Normal(0.0, 1.0)), (td.Normal(0.0, 1.0), censored)):
        with pytest.raises(NotImplementedError, match="no exact method"):
            pair[0].kl_divergence(pair[1])
