"""The machinery of heads: sizes, order of the parameters, errors."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy

from timedist import distributions as td
from timedist import layers

EVENTS = ((), (3,), (2, 2), 3)


@pytest.mark.parametrize("event_shape", EVENTS)
def test_shapes_and_params_size(event_shape):
    shape = (event_shape,) if isinstance(event_shape, int) else event_shape
    number = int(np.prod(shape))
    for head, arguments, each in (
        (layers.IndependentNormal, (), 2),
        (layers.IndependentStudentT, (), 3),
        (layers.IndependentPoisson, (), 1),
        (layers.ZeroInflatedPoisson, (), 2),
    ):
        made = head(*arguments, event_shape)
        assert made.width == head.params_size(*arguments, event_shape) == each * number
    for batch_shape in ((), (2, 7)):
        raw = np.zeros((*batch_shape, 2 * number), "float32")
        distribution = layers.IndependentNormal(event_shape)(raw)
        assert distribution.batch_shape == batch_shape
        assert distribution.event_shape == shape
    assert layers.MixtureNormal(2, event_shape).width == 2 * (1 + 2 * number)


def test_parameters_stand_in_the_order_of_the_constructor():
    raw = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    distribution = layers.IndependentNormal(3)(raw)
    np.testing.assert_allclose(to_numpy(distribution.base.loc), raw[..., :3], rtol=1e-6)
    scale = to_numpy(distribution.base.scale)
    np.testing.assert_allclose(scale, np.log1p(np.exp(raw[..., 3:])), rtol=1e-6)
    laplace = layers.IndependentLaplace(3)(raw)
    expected = np.log1p(np.exp(raw[..., 3:]) * (np.e - 1.0))
    np.testing.assert_allclose(to_numpy(laplace.base.scale), expected, rtol=1e-6)
    matrix = layers.IndependentNormal((3, 1))(raw)
    np.testing.assert_allclose(to_numpy(matrix.base.loc)[..., 0], raw[..., :3], rtol=1e-6)


def test_sizes_may_be_numbers_of_numpy():
    head = layers.IndependentNormal(np.int64(3))
    assert head.event_shape == layers.IndependentNormal(np.array([3])).event_shape == (3,)
    assert type(head.event_shape[0]) is int
    assert layers.MixtureNormal(np.int32(2), [1]).get_config()["num_components"] == 2
    assert type(layers.MultivariateNormalTriL(np.int64(2)).event_size) is int


def test_a_head_without_a_layer():
    raw = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    found = layers.IndependentNormal.new(raw, 3, validate_args=False, name=None)
    expected = layers.IndependentNormal(3)(raw)
    np.testing.assert_array_equal(to_numpy(found.log_prob(0.5)), to_numpy(expected.log_prob(0.5)))
    assert layers.MultivariateNormalTriL.new(raw[..., :5], event_size=2).event_shape == (2,)


def test_wrong_width_names_the_layer_and_the_fix():
    with pytest.raises(
        ValueError, match=r"'mine' \(IndependentNormal\) needs 6 .*\(4, 5\).*Dense\(6\)"
    ):
        layers.IndependentNormal(3, name="mine")(np.zeros((4, 5), "float32"))
    with pytest.raises(ValueError, match=r"needs 14 parameters.*Dense\(14\)"):
        layers.MixtureNormal(2, 3)(keras.Input((None, 5)))


@pytest.mark.parametrize("event_shape", [0, (2, 0), -1, (None,), 1.5, "ab"])
def test_wrong_event_shape(event_shape):
    with pytest.raises((ValueError, TypeError)):
        layers.IndependentNormal(event_shape)


def test_unknown_arguments_are_refused():
    with pytest.raises(ValueError, match="total_count"):
        layers.IndependentNormal(total_count=3)


@pytest.mark.parametrize("event_shape", [(), (2, 2)], ids=["scalar", "matrix"])
def test_a_head_of_ones_own_costs_two_lines(event_shape, tmp_path):
    @keras.saving.register_keras_serializable("test_heads")
    class MyLaplace(layers.IndependentHead):
        family = td.Laplace

    check_layer(lambda: MyLaplace(event_shape), tmp_path, MyLaplace.params_size(event_shape))
