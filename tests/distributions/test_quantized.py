"""What is special about rounding up."""

import numpy as np
import pytest
from helpers import assert_close, float64_scope, to_numpy
from scipy import stats

from timedist import distributions as td


def test_scales_from_a_thousandth_to_a_million():
    scale = np.array([1e-3, 1.0, 1e3, 1e6])
    with float64_scope():
        d = td.Quantized(td.Normal(np.full(4, 0.4), scale))
        log_prob = to_numpy(d.log_prob(np.array([1.0, 3.0, 2e3, 2e6])))
        mean, variance = to_numpy(d.mean()), to_numpy(d.variance())
    twin = stats.norm(0.4, scale)
    middle = stats.norm.logpdf(([2e3 - 0.9, 2e6 - 0.9]) / scale[2:]) - np.log(scale[2:])
    # The midpoint rule misses (z^2 - 1) / (24 scale^2) of a smooth density.
    assert_close(log_prob[2:], middle + 3.0 / (24.0 * scale[2:] ** 2), 1e-10)
    assert_close(log_prob[:2], [0.0, np.log(twin.sf(2.0)[1] - twin.sf(3.0)[1])], 1e-12, 1.0)
    # Sheppard: what is wide is shifted by a half and widened by a twelfth.
    assert_close(mean, [1.0, 0.9, 0.9, 0.9], 1e-8)
    assert_close(variance[1:], scale[1:] ** 2 + 1.0 / 12.0, 1e-8)


def test_far_tails_are_finite():
    d = td.Quantized(td.Normal(np.zeros(2, "float32"), np.array([0.01, 1.0], "float32")))
    log_prob = to_numpy(d.log_prob([1e3, -1e7]))
    assert_close(log_prob, [-0.5 * (999.0 / 0.01) ** 2, -0.5e14], 1e-5)


def test_supports_of_the_base_are_rounded_too():
    d = td.Quantized(td.LogNormal(np.array([0.0], "float32"), np.array([1.0], "float32")))
    np.testing.assert_array_equal(to_numpy(d.log_prob([0.0, -1.0])), [-np.inf, -np.inf])
    np.testing.assert_allclose(to_numpy(d.prob([1.0])), 0.5, rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(d.quantile([0.0])), [1.0])
    assert to_numpy(d.sample(200, seed=1)).min() == 1.0


def test_moments_that_the_base_lacks():
    heavy = td.Cauchy(np.array([0.0], "float32"), np.array([1.0], "float32"))
    assert not np.isfinite(to_numpy(td.Quantized(heavy).mean())).any()
    assert np.isfinite(to_numpy(td.Quantized(heavy, -5.0, 5.0).mean())).all()


def test_only_continuous_scalars_can_be_rounded():
    with pytest.raises(ValueError, match="continuous with scalar events"):
        td.Quantized(td.Poisson(1.0))
