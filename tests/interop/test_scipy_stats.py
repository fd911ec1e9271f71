"""Frozen distributions of SciPy from ours and back."""

import numpy as np
import pytest
from elsewhere import ours_of
from helpers import to_numpy
from scipy import stats

from timedist import distributions as td
from timedist.interop import from_scipy, scipy_stats, to_scipy


@pytest.mark.parametrize("name", scipy_stats._ROWS)
def test_there_and_back(name):
    ours, value = ours_of(name)
    theirs = to_scipy(ours)
    log_prob = theirs.logpmf if hasattr(theirs.dist, "pmf") else theirs.logpdf
    expected = to_numpy(ours.log_prob(value))
    np.testing.assert_allclose(log_prob(value), expected, rtol=2e-4, atol=1e-5)
    again = from_scipy(theirs)
    assert type(again) is type(ours)
    assert again.batch_shape == ours.batch_shape
    np.testing.assert_allclose(to_numpy(again.log_prob(value)), expected, rtol=2e-4, atol=1e-5)


def test_arguments_by_place_and_by_name_and_by_default():
    for frozen in (stats.t(4.0, 1.0, 2.0), stats.t(df=4.0, loc=1.0, scale=2.0)):
        found = from_scipy(frozen)
        assert [float(to_numpy(x)) for x in (found.df, found.loc, found.scale)] == [4.0, 1.0, 2.0]
    found = from_scipy(stats.norm())
    assert (float(to_numpy(found.loc)), float(to_numpy(found.scale))) == (0.0, 1.0)


def test_what_cannot_be_said():
    with pytest.raises(NotImplementedError, match=r"no scipy.stats.gamma with loc=3.0"):
        from_scipy(stats.gamma(2.0, loc=3.0))
    with pytest.raises(NotImplementedError, match=r"no scipy.stats.geom with loc=0.0"):
        from_scipy(stats.geom(0.5))
    with pytest.raises(NotImplementedError, match=r"no family for scipy.stats.cosine; .*norm"):
        from_scipy(stats.cosine())
    with pytest.raises(TypeError, match=r"frozen distribution of scipy.stats, got float"):
        from_scipy(0.5)
    with pytest.raises(TypeError, match=r"expected a distribution of timedist, got rv"):
        to_scipy(stats.norm())
    with pytest.raises(NotImplementedError, match=r"SciPy has no family for Independent.*Gamma"):
        to_scipy(td.Independent(td.Normal([0.0], 1.0)))
