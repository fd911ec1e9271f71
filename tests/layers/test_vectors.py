"""Heads of families whose parameters are vectors or matrices."""

import numpy as np
import pytest
from conformance import check_layer
from heads import all_rows_hold, parameters
from helpers import to_numpy
from scipy import stats

from timedist import layers

# Arguments, number of raw parameters, event shape, a value inside the support.
HEADS = {
    layers.MultivariateNormalDiag: ((3,), 6, (3,), 1.0),
    layers.MultivariateNormalTriL: ((3,), 9, (3,), 1.0),
    layers.MultivariateNormalDiagPlusLowRankCovariance: ((3, 2), 12, (3,), 1.0),
    layers.MultivariateStudentTTriL: ((3,), 10, (3,), 1.0),
    layers.Dirichlet: ((3,), 3, (3,), (0.2, 0.3, 0.5)),
    layers.Categorical: ((3,), 3, (), 1.0),
    layers.OneHotCategorical: ((3,), 3, (3,), (0.0, 1.0, 0.0)),
    layers.OrderedLogistic: ((4,), 3, (), 1.0),
    layers.Binned: (((0.0, 0.5, 2.0, 5.0),), 3, (), 1.0),
    layers.QuantileGrid: (((0.1, 0.5, 0.9),), 3, (), 1.0),
}


@pytest.mark.parametrize("head", HEADS)
def test_heads_conform(head, tmp_path):
    arguments, size, _, value = HEADS[head]
    assert head.params_size(*arguments) == head(*arguments).width == size
    check_layer(lambda: head(*arguments), tmp_path, size, event_value=value)


@pytest.mark.parametrize("head", HEADS)
def test_extreme_inputs_give_valid_parameters(head):
    arguments, size, event_shape, _ = HEADS[head]
    raw = np.array([-1e4, -80.0, 0.0, 30.0], "float32")[:, None] * np.ones(size, "float32")
    distribution = head(*arguments)(raw)
    assert (distribution.batch_shape, distribution.event_shape) == ((4,), event_shape)
    all_rows_hold(distribution)


def fresh(head, *arguments):
    """The distribution at raw zeros."""
    return head(*arguments)(np.zeros((1, head.params_size(*arguments)), "float32"))


def test_fresh_normal_vectors_are_near_the_standard_normal():
    value = np.array([0.5, -1.0, 2.0], "float32")
    for head, arguments, scale in (
        (layers.MultivariateNormalDiag, (3,), 1.0),
        (layers.MultivariateNormalTriL, (3,), np.log(2.0) + 1e-5),
        (layers.MultivariateNormalDiagPlusLowRankCovariance, (3, 2), 1.0),
    ):
        found = to_numpy(fresh(head, *arguments).log_prob(value))
        np.testing.assert_allclose(found, [stats.norm.logpdf(value, 0.0, scale).sum()], rtol=1e-6)


@pytest.mark.parametrize("head", [layers.MultivariateNormalTriL, layers.MultivariateStudentTTriL])
def test_a_triangle_is_read_in_a_spiral(head):
    raw = np.arange(1.0, 7.0, dtype="float32")[None] / 10.0
    front = np.full((1, head.params_size(3) - 6), 0.5, "float32")
    distribution = head(3)(np.concatenate([front, raw], axis=-1))
    np.testing.assert_allclose(to_numpy(distribution.loc), [[0.5, 0.5, 0.5]])
    factor = parameters(distribution)["scale_tril"][0]
    np.testing.assert_allclose(factor[[1, 2, 2], [0, 0, 1]], [0.6, 0.3, 0.2], rtol=1e-6)
    assert (factor[np.triu_indices(3, 1)] == 0.0).all()
    corner, middle, last = np.diag(factor)  # from 0.4, 0.5, 0.1
    assert middle > corner > last > 0.0


def test_one_hot_vectors_take_the_size_of_the_event():
    head = layers.OneHotCategorical(event_size=3)
    assert head.params_size(event_size=3, name=None) == head.width == 3
    assert layers.OneHotCategorical(1)(np.zeros((4, 1), "float32")).event_shape == (1,)


def test_fresh_categories_are_equally_likely():
    for distribution in (
        fresh(layers.Categorical, 4),
        fresh(layers.OrderedLogistic, 4),
    ):
        found = to_numpy(distribution.prob(np.arange(4.0, dtype="float32")[:, None]))
        np.testing.assert_allclose(found, np.full((4, 1), 0.25), rtol=1e-4)


def test_a_fresh_quantile_grid_is_standard_normal_at_its_levels():
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    found = to_numpy(fresh(layers.QuantileGrid, levels).quantile(np.array(levels, "float32")))
    np.testing.assert_allclose(found, stats.norm.ppf(levels), atol=1e-4)


def test_the_bins_are_those_of_the_argument():
    edges = [0.0, 1.0, 4.0]
    distribution = layers.Binned(edges)(np.log([[1.0, 3.0]]).astype("float32"))
    np.testing.assert_allclose(to_numpy(distribution.cdf(edges)), [0.0, 0.25, 1.0], atol=1e-6)


@pytest.mark.parametrize("size", [0, -1, 1.5, None, True])
def test_wrong_sizes(size):
    with pytest.raises(ValueError, match="event_size must be a positive int"):
        layers.MultivariateNormalTriL(size)
    with pytest.raises(ValueError, match="rank must be a positive int"):
        layers.MultivariateNormalDiagPlusLowRankCovariance(3, size)
    with pytest.raises(ValueError, match="num_categories must be an int of at least 2"):
        layers.OrderedLogistic(size)


def test_wrong_grids():
    with pytest.raises(ValueError, match=r"QuantileGrid: levels"):
        layers.QuantileGrid([0.9, 0.1])
    with pytest.raises(ValueError, match=r"Binned.*edges"):
        layers.Binned([1.0, 0.0])
    with pytest.raises(ValueError, match=r"Binned"):
        layers.Binned([1.0])
