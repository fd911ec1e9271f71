"""`Targets`: what losses and metrics cannot show."""

import numpy as np
import pytest
from helpers import to_numpy
from keras import ops
from scipy import stats

from timedist.distributions import (
    Censored,
    Gamma,
    Hurdle,
    Independent,
    Normal,
    Poisson,
    VariationalGaussianProcess,
)
from timedist.ops import compat
from timedist.targets import Targets

LOC = np.arange(12, dtype="float32").reshape(2, 2, 3)


def targets(y=LOC, missing="mask", mask=None):
    """Targets against three normals a step."""
    distribution = Independent(Normal(LOC, 1.0))
    if mask is not None:
        compat.set_keras_mask(distribution, ops.convert_to_tensor(mask))
    return Targets.of(y, distribution, missing, "The test")


def test_what_counts():
    y = LOC.copy()
    y[0, 0], y[1, 1, 2] = np.nan, np.nan
    mask = np.array([[True, True], [False, True]])
    assert targets(missing="error").counted() is None
    assert to_numpy(targets(y).counted()).tolist() == [[False, True], [True, True]]
    assert to_numpy(targets(y, mask=mask).counted()).tolist() == [[False, True], [False, True]]
    of_components = to_numpy(targets(y, mask=mask).weights(True, [[2.0, 2.0], [3.0, 3.0]]))
    assert of_components.sum(-1).tolist() == [[0.0, 6.0], [0.0, 6.0]]


def test_a_mask_reaches_into_events_whose_axes_are_steps():
    matrix = np.broadcast_to(np.eye(3, dtype="float32"), (2, 1, 3, 3))
    distribution = VariationalGaussianProcess(LOC[:, 0, :, None], matrix, 1.0)
    mask = np.array([[True, False, True], [False, False, False]])
    compat.set_keras_mask(distribution, ops.convert_to_tensor(mask))
    found = Targets.of(LOC[:, 0, :, None], distribution, "error", "The test")
    assert to_numpy(found.observed)[..., 0].tolist() == mask.tolist()
    assert to_numpy(found.counted()).tolist() == [True, False]
    expected = 0.5 * np.log(2 * np.pi) * mask.sum(-1)
    np.testing.assert_allclose(
        to_numpy(found.negative_log_likelihood()), expected, rtol=1e-5, atol=1e-5
    )


def test_the_filling_is_where_the_density_is():
    y = LOC.copy()
    y[0, 0, 0] = np.nan
    assert to_numpy(targets(y).filled()).tolist() == LOC.tolist()
    with pytest.raises(ValueError, match=r'The test got 1 NaN .*\(0, 0, 0\).*missing="mask"'):
        targets(y, missing="error")


def test_the_transform_of_counts_has_two_ends():
    rate = np.ones((2, 1), "float32")
    y = np.array([[0.0], [1.0]])
    below, upto = Targets.of(y, Independent(Poisson(rate)), "error", "The test").transform()
    ends = np.exp(-1.0) * np.array([0.0, 1.0, 2.0])
    np.testing.assert_allclose(to_numpy(below)[:, 0], ends[:2], atol=1e-6)
    np.testing.assert_allclose(to_numpy(upto)[:, 0], ends[1:], atol=1e-6)
    below, upto = targets().transform()
    assert to_numpy(below).tolist() == to_numpy(upto).tolist() == np.full((2, 2, 3), 0.5).tolist()


def test_the_transform_of_a_probability_beside_a_density_has_two_ends():
    sales = Hurdle(Gamma([2.0, 2.0, 2.0], 1.0), probs=0.4)
    y = np.array([0.0, 1.5, 3.0], "float32")
    below, upto = Targets.of(y, sales, "error", "The test").transform()
    inside = 0.4 + 0.6 * stats.gamma(2.0).cdf(y)
    np.testing.assert_allclose(to_numpy(upto), inside, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(below), [0.0, *inside[1:]], rtol=1e-5)
    stock = Censored(Normal([0.0, 0.0], 1.0), high=1.0)
    y = np.array([1.0, 3.0], "float32")
    below, upto = Targets.of(y, stock, "error", "The test").transform()
    np.testing.assert_allclose(to_numpy(below), stats.norm.cdf([1.0, 1.0]), rtol=1e-5)
    assert (to_numpy(upto) == 1.0).all()
