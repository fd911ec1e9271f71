"""Independent."""

import numpy as np
import pytest
from helpers import to_numpy, value_and_gradient

from timedist import distributions as td


def test_independent_drops_only_what_is_missing():
    loc = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "float32")
    x = np.array([[0.5, np.nan, 2.0], [np.nan] * 3], "float32")
    value, (slope,) = value_and_gradient(
        lambda m: td.Independent(td.Normal(m, 1.0)).log_prob_where(x, ~np.isnan(x)), loc
    )
    each = to_numpy(td.Normal(loc, 1.0).log_prob(np.nan_to_num(x)))
    np.testing.assert_allclose(value, [each[0, 0] + each[0, 2], 0.0], rtol=1e-6)
    np.testing.assert_allclose(slope, [[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("ndims", [-1, 3, 1.5])
def test_independent_checks_the_number_of_axes(ndims):
    with pytest.raises(ValueError, match="between 0 and 2"):
        td.Independent(td.Normal(np.zeros((2, 3), "float32"), 1.0), ndims)


def test_independent_of_no_and_two_axes():
    base = td.Normal(np.zeros((2, 3), "float32"), 1.0)
    x = np.ones((2, 3), "float32")
    none, two = td.Independent(base, 0), td.Independent(base, 2)
    assert (none.batch_shape, two.batch_shape, two.event_shape) == ((2, 3), (), (2, 3))
    np.testing.assert_allclose(to_numpy(none.log_prob(x)), to_numpy(base.log_prob(x)))
    np.testing.assert_allclose(
        to_numpy(two.log_prob(x)), to_numpy(base.log_prob(x)).sum(), rtol=1e-6
    )


def test_statistics_of_every_component():
    loc = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "float32")
    base = td.Normal(loc, 2.0)
    d, other = td.Independent(base), td.Independent(td.Normal(0.5 * loc, 1.0))
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(to_numpy(d.crps(x)), to_numpy(base.crps(x)))
    divergence = to_numpy(base.kl_divergence(other.base)).sum(axis=-1)
    np.testing.assert_allclose(to_numpy(d.kl_divergence(other)), divergence, rtol=1e-6)
    assert tuple(d.covariance().shape) == (2, 3, 3)


def test_events_of_two_axes_have_no_covariance():
    d = td.Independent(td.Normal(np.zeros((2, 3), "float32"), 1.0), 2)
    with pytest.raises(NotImplementedError, match=r"covariance.*one axis"):
        d.covariance()
