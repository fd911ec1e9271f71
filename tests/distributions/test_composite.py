"""Distributions made of others that have a probability beside a density."""

import numpy as np
import pytest
from helpers import to_numpy
from scipy import stats

from timedist import distributions as td
from timedist.distributions.transforms import Exp

HURDLE = td.Hurdle(td.Gamma(2.0, 1.0), probs=0.4)
CENSORED = td.Censored(td.Normal(), 0.0)


def transformed(base):
    """A transform of the base."""
    return td.TransformedDistribution(base, Exp())


@pytest.mark.parametrize("base", [HURDLE, CENSORED], ids=["hurdle", "censored"])
@pytest.mark.parametrize("wrapper", [td.Truncated, td.Censored, td.Quantized, transformed])
def test_no_density_is_taken_of_a_probability(wrapper, base):
    with pytest.raises(ValueError, match=r"the other way round, as in `Hurdle\("):
        wrapper(base)


@pytest.mark.parametrize("wrapper", [td.Hurdle, td.ZeroInflated])
def test_zero_has_one_probability(wrapper):
    with pytest.raises(ValueError, match="zero has a probability in Hurdle"):
        wrapper(HURDLE, probs=0.1)
    sales = wrapper(td.Censored(td.Gamma(2.0, 1.0), high=3.0), probs=0.4)
    expected = np.log([0.4, 0.6 * stats.gamma(2.0).sf(3.0)])
    np.testing.assert_allclose(to_numpy(sales.log_prob([0.0, 3.0])), expected, rtol=1e-5)
    levels = np.array([0.2, 0.9, 0.97], "float32")  # 0.6 of 0.2 have the mass of what is sold out
    found = to_numpy(sales.quantile(levels))
    np.testing.assert_array_equal(found, np.array([0.0, 3.0, 3.0], "float32"))
