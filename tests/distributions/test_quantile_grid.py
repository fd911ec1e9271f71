"""Grids of quantiles: the definition, the tails, and what happens where quantiles are equal."""

import numpy as np
import pytest
from helpers import assert_close, float64_scope, gradient, to_numpy
from scipy import integrate

from timedist import distributions as td

LEVELS = (0.1, 0.3, 0.5, 0.8, 0.95)
VALUES = np.array([-2.0, -1.0, 0.0, 0.5, 3.0])
# Three quantiles are equal in the middle, two at the lower end.
TIED = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 2.0])
TIED_LEVELS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def test_the_given_quantiles_are_the_quantiles():
    with float64_scope():
        d = td.QuantileGrid(LEVELS, VALUES)
        assert_close(d.quantile(np.array(LEVELS)), VALUES, 1e-14, 1.0)
        assert_close(d.cdf(VALUES), LEVELS, 1e-14)


def test_tails_are_exponential_through_the_two_outer_quantiles():
    with float64_scope():
        d = td.QuantileGrid(LEVELS, VALUES)
        p = np.array([1e-12, 1e-4, 0.05])
        lower = np.interp(np.log(p), *_line(np.log(LEVELS[:2]), VALUES[:2]))
        assert_close(d.quantile(p), lower, 1e-13)
        rest = 1.0 - np.array(LEVELS[-2:])
        small = p[1:] / 4
        upper = np.interp(np.log(small), *_line(np.log(rest), VALUES[-2:]))
        assert_close(d.quantile(1.0 - small), upper, 1e-12)
        assert_close(d.survival_function(upper), small, 1e-12)
        far = np.array([-900.0, 900.0])
        logs = to_numpy(d.log_cdf(far))[0], to_numpy(d.log_survival_function(far))[1]
        scale = 1.0 / np.log(3.0), 2.5 / np.log(4.0)
        expected = np.log(0.1) - 898.0 / scale[0], np.log(0.05) - 897.0 / scale[1]
        np.testing.assert_allclose(logs, expected, rtol=1e-13)


def _line(x, y):
    """Two points so far out on the line through two others that interpolation reaches all."""
    slope = (y[1] - y[0]) / (x[1] - x[0])
    ends = np.array([-60.0, 1.0])
    return ends, y[0] + slope * (ends - x[0])


def test_the_score_is_twice_the_mean_pinball_loss():
    """By adaptive quadrature over all levels, for values in a tail, at a knot and between."""
    with float64_scope():
        d = td.QuantileGrid(LEVELS, VALUES)
        y = np.array([-9.0, 0.5, 1.3])
        actual = to_numpy(d.crps(y))

        def loss(p, value):
            quantile = float(to_numpy(d.quantile(np.array(p))))
            return 2.0 * (float(value < quantile) - p) * (quantile - value)

        for value, score in zip(y, actual, strict=True):
            ends = sorted({*LEVELS, float(to_numpy(d.cdf(np.array(value))))})
            parts = [
                integrate.quad(loss, a, b, (value,), epsabs=1e-11, limit=200)[0]
                for a, b in zip([0.0, *ends], [*ends, 1.0], strict=True)
            ]
            assert score == pytest.approx(sum(parts), rel=1e-8)


def test_equal_quantiles_are_a_jump():
    with float64_scope():
        d = td.QuantileGrid(TIED_LEVELS, TIED)
        x = np.array([-1e-9, 0.0, 0.5, 1.0 - 1e-9, 1.0, 2.0])
        assert_close(d.cdf(x), [0.0, 0.2, 0.25, 0.3, 0.7, 0.9], 1e-8)
        assert_close(d.survival_function(x), [1.0, 0.8, 0.75, 0.7, 0.3, 0.1], 1e-8)
        log_prob = to_numpy(d.log_prob(x))
        assert log_prob[0] == -np.inf
        np.testing.assert_array_equal(log_prob[[1, 4]], [np.inf, np.inf])
        assert_close(log_prob[[2, 5]], np.log([0.1, 0.2]), 1e-12)
        assert_close(d.quantile(np.array([0.0, 0.15, 0.6])), [0.0, 0.0, 1.0], 1e-12)
        assert to_numpy(d.log_prob(d.mode())) == np.inf
        assert float(to_numpy(d.entropy())) == -np.inf


def test_divergences_of_jumps():
    with float64_scope():
        tied, plain = td.QuantileGrid(TIED_LEVELS, TIED), td.QuantileGrid(LEVELS, VALUES)
        other = td.QuantileGrid((0.2, 0.3, 0.4, 0.5, 0.6, 0.9), TIED)
        assert float(to_numpy(tied.kl_divergence(tied))) == pytest.approx(0.0, abs=1e-14)
        assert float(to_numpy(tied.kl_divergence(plain))) == np.inf
        # The lower jump, the piece between, the upper jump, the piece above, the upper tail.
        p, q = np.array([0.2, 0.1, 0.4, 0.2, 0.1]), np.array([0.3, 0.1, 0.2, 0.3, 0.1])
        scales = 1.0 / np.log(0.3 / 0.1), 1.0 / np.log(0.4 / 0.1)
        tail = 0.1 * (np.log(scales[1] / scales[0]) + scales[0] / scales[1] - 1.0)
        expected = np.sum(p * np.log(p / q)) + tail
        assert float(to_numpy(tied.kl_divergence(other))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("method", ["log_prob", "cdf", "crps", "quantile"])
def test_gradients_beside_a_jump_are_finite(method):
    at = np.array([0.05, 0.4, 0.95] if method == "quantile" else [-0.5, 0.5, 3.0], "float32")
    values = np.stack([TIED.astype("float32")] * 3)
    found = gradient(lambda v, x: getattr(td.QuantileGrid(TIED_LEVELS, v), method)(x), values, at)
    assert all(np.all(np.isfinite(g)) for g in found), found


def test_all_quantiles_equal_are_a_point():
    d = td.QuantileGrid((0.1, 0.9), [1.0, 1.0])
    np.testing.assert_array_equal(to_numpy(d.cdf([0.9, 1.0, 1.1])), [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(to_numpy(d.survival_function([0.9, 1.0, 1.1])), [1.0, 0.0, 0.0])
    np.testing.assert_allclose(to_numpy(d.crps([0.0, 1.0, 3.0])), [1.0, 0.0, 2.0], atol=1e-6)
    assert float(d.mean()) == 1.0 and float(d.variance()) == 0.0


@pytest.mark.parametrize(
    "levels", [(0.5,), (0.5, 0.4), (0.0, 0.5), (0.5, 1.0), (0.5, float("nan"))]
)
def test_bad_levels_are_refused(levels):
    with pytest.raises(ValueError, match=r"QuantileGrid: levels must be .* got \("):
        td.QuantileGrid(levels, np.arange(len(levels), dtype="float32"))


def test_levels_may_be_any_sequence():
    d = td.QuantileGrid(np.array([0.25, 0.75]), [[0.0, 1.0]])
    assert d.levels == (0.25, 0.75) and hash(d._structure()) is not None
