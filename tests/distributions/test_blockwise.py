"""Channels of different families in one vector."""

import numpy as np
import pytest
from helpers import to_numpy, value_and_gradient

from timedist import distributions as td


def channels():
    return [
        td.Normal([0.0, 1.0], [1.0, 2.0]),
        td.Independent(td.LogNormal([[0.0, 1.0], [0.5, 0.2]], 0.5)),
        td.Poisson([2.0, 30.0]),
    ]


X = np.array([[0.3, 1.0, 2.0, 1.0], [2.0, 0.5, 3.0, 33.0]], "float32")


def each(parts, x=X):
    """The parts with their columns."""
    return zip(parts, (x[:, 0], x[:, 1:3], x[:, 3]), strict=True)


def test_it_is_the_sum_and_the_concatenation_of_its_parts():
    d, parts = td.Blockwise(channels()), channels()
    assert (d.batch_shape, d.event_shape, d.discrete) == ((2,), (4,), False)
    for name in ("log_prob", "log_cdf"):
        expected = sum(to_numpy(getattr(part, name)(x)) for part, x in each(parts))
        np.testing.assert_allclose(to_numpy(getattr(d, name)(X)), expected, rtol=1e-6)
    entropy = sum(to_numpy(part.entropy()) for part in parts)
    np.testing.assert_allclose(to_numpy(d.entropy()), entropy, rtol=1e-6)
    for name in ("mean", "variance", "mode", "median"):
        columns = [to_numpy(getattr(part, name)()).reshape(2, -1) for part in parts]
        np.testing.assert_array_equal(to_numpy(getattr(d, name)()), np.concatenate(columns, 1))
    crps = [to_numpy(part.crps(x)).reshape(2, -1) for part, x in each(parts)]
    np.testing.assert_array_equal(to_numpy(d.crps(X)), np.concatenate(crps, axis=1))


def test_what_is_not_observed_is_left_out_alone():
    x = X.copy()
    x[0, 1] = x[1, 3] = x[1, 0] = np.nan

    def score(loc):
        normal, *rest = channels()
        normal = td.Normal(loc, normal.scale)
        return td.Blockwise([normal, *rest]).log_prob_where(x, ~np.isnan(x))

    value, (slope,) = value_and_gradient(score, np.array([0.0, 1.0], "float32"))
    normal, log_normal, poisson = channels()
    kept = to_numpy(log_normal.base.log_prob(X[:, 1:3]))
    first = to_numpy(normal.log_prob(X[:, 0]))[0] + kept[0, 1] + to_numpy(poisson.log_prob(1.0))[0]
    np.testing.assert_allclose(value, [first, kept[1].sum()], rtol=1e-5)
    assert slope[0] != 0.0 and slope[1] == 0.0


def test_samples_are_those_of_each_family_with_gradients_to_the_continuous():
    def draw(loc, rate):
        d = td.Blockwise([td.Normal(loc, 1.0), td.Poisson(rate)])
        return d.sample(50, seed=3)

    arrays = np.zeros(2, "float32"), np.array([3.0, 40.0], "float32")
    draws, (to_loc, to_rate) = value_and_gradient(draw, *arrays)
    assert draws.shape == (50, 2, 2)
    assert np.all(draws[..., 1] == np.floor(draws[..., 1]))
    np.testing.assert_allclose(to_loc, 50.0)
    np.testing.assert_array_equal(to_rate, 0.0)
    assert np.any(draws[:, 0, 0] != draws[:, 1, 0])


def test_covariances_stand_in_blocks():
    tril = np.array([[1.0, 0.0], [0.5, 2.0]], "float32")
    d = td.Blockwise([td.Poisson(3.0), td.MultivariateNormalTriL([0.0, 0.0], tril)])
    expected = np.zeros((3, 3))
    expected[0, 0], expected[1:, 1:] = 3.0, tril @ tril.T
    np.testing.assert_allclose(to_numpy(d.covariance()), expected, rtol=1e-6)


def test_divergences_add():
    one, two = td.Blockwise(channels()), td.Blockwise(channels()[:1] + channels()[1:])
    np.testing.assert_allclose(to_numpy(one.kl_divergence(two)), 0.0, atol=1e-6)
    normal, *rest = channels()
    moved = td.Blockwise([td.Normal(normal.loc + 1.0, normal.scale), *rest])
    np.testing.assert_allclose(to_numpy(one.kl_divergence(moved)), [0.5, 0.125], rtol=1e-5)


def test_bad_blocks_are_refused():
    with pytest.raises(ValueError, match=r"batch shapes differ: \(2,\).*\(3,\)"):
        td.Blockwise([td.Normal([0.0, 1.0], 1.0), td.Normal([0.0, 1.0, 2.0], 1.0)])
    matrix = td.Independent(td.Normal(np.zeros((2, 3, 4), "float32"), 1.0), 2)
    with pytest.raises(ValueError, match="scalars or vectors"):
        td.Blockwise([matrix])
    with pytest.raises(TypeError, match="distributions must be a non-empty list"):
        td.Blockwise([])
