"""Intervals far in a tail, narrow ones and ends at infinity; the oracle is mpmath."""

import mpmath
import numpy as np
import pytest

from timedist import distributions as td
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import array, assert_close

# (loc, scale, low, high)
_INTERVALS = (
    (0.0, 1.0, 30.0, np.inf),
    (0.0, 1.0, -np.inf, -30.0),
    (0.0, 1.0, -np.inf, np.inf),
    (0.0, 1.0, 0.0, 1e-6),
    (0.0, 1.0, -40.0, -39.5),
    (0.0, 1e-3, 1.0, 2.0),
    (5.0, 2.0, 0.0, np.inf),
)


def _exact(loc, scale, low, high):
    """Mass, mean, variance and entropy with sixty digits, from Johnson, Kotz, Balakrishnan."""
    loc, scale = mpmath.mpf(loc), mpmath.mpf(scale)
    a, b = (mpmath.mpf(low) - loc) / scale, (mpmath.mpf(high) - loc) / scale
    root = mpmath.sqrt(2)
    upper = mpmath.erfc(a / root) - mpmath.erfc(b / root)
    mass = (upper if a > 0 else mpmath.erfc(-b / root) - mpmath.erfc(-a / root)) / 2
    ends = [mpmath.mpf(0) if mpmath.isinf(z) else mpmath.npdf(z) / mass for z in (a, b)]
    slopes = [
        mpmath.mpf(0) if mpmath.isinf(z) else z * e for z, e in zip((a, b), ends, strict=True)
    ]
    shift, bend = ends[0] - ends[1], slopes[0] - slopes[1]
    entropy = mpmath.log(mpmath.sqrt(2 * mpmath.pi * mpmath.e) * scale * mass) + bend / 2
    return mass, loc + scale * shift, scale**2 * (1 + bend - shift**2), entropy


def test_moments_and_densities_against_sixty_digits():
    parameters = np.array(_INTERVALS).T
    with mpmath.workdps(60), float64_scope():
        exact = [_exact(*interval) for interval in _INTERVALS]
        mass, mean, variance, entropy = (np.array(part) for part in zip(*exact, strict=True))
        d = td.TruncatedNormal(*parameters)
        x = np.array([float(m) for m in mean])
        log_prob = [
            mpmath.log(mpmath.npdf((v - mpmath.mpf(i[0])) / i[1]) / m / mpmath.mpf(i[1]))
            for v, i, m in zip(x, _INTERVALS, mass, strict=True)
        ]
        assert_close(d.mean(), mean.astype(float), 1e-12, 1.0)
        assert_close(d.variance(), variance.astype(float), 1e-11)
        assert_close(d.entropy(), entropy.astype(float), 1e-12, 1.0)
        assert_close(d.log_prob(x), np.array(log_prob).astype(float), 1e-12, 1.0)


def test_quantiles_invert_both_tails_far_out():
    parameters = np.array(_INTERVALS).T
    p = np.array([1e-12, 1e-3, 0.3, 0.7, 0.999])[:, None] + np.zeros(len(_INTERVALS))
    with float64_scope():
        d = td.TruncatedNormal(*parameters)
        x = d.quantile(p)
        lower, upper = array(d.cdf(x)), array(d.survival_function(x))
    # Where the interval is far from zero, doubles are too sparse for more.
    actual, expected = np.where(p < 0.5, lower, upper), np.where(p < 0.5, p, 1 - p)
    assert_close(actual[1:], expected[1:], 1e-6)
    from_zero = [2, 3, 6]
    assert_close(lower[:, from_zero], p[:, from_zero], 1e-10)


def test_draws_far_in_a_tail_have_gradients_to_every_parameter():
    def draw(loc, scale, low, high):
        return td.TruncatedNormal(loc, scale, low, high).sample(200, seed=3)

    columns = np.array([(0.0, 1.0, 30.0, 31.0), (0.0, 1.0, -50.0, -49.0)], "float32").T
    x, gradients = value_and_gradient(draw, *columns)
    x = array(x)
    assert np.all((x >= columns[2]) & (x <= columns[3]))
    for gradient in gradients:
        assert np.all(np.isfinite(array(gradient))) and np.any(array(gradient) != 0.0)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_scales_give_no_nan(scale):
    def log_prob(x, loc, scale, low, high):
        return td.TruncatedNormal(loc, scale, low, high).log_prob(x)

    low = np.array([-np.inf, 1e-40, -1.0, 1e20], "float32")
    high = np.array([np.inf, 2e-38, np.inf, 2e20], "float32")
    x = np.array([3.0, 1e-38, -1.0, 1.5e20], "float32")
    value, gradients = value_and_gradient(log_prob, x, 0 * x, 0 * x + scale, low, high)
    assert not np.any(np.isnan(array(value)))
    assert not any(np.any(np.isnan(array(g))) for g in gradients)
