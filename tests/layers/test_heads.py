"""Heads: sizes, order of the parameters, conformance, errors."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy

from timedist import distributions as td
from timedist import layers

HEADS = (
    layers.IndependentNormal,
    layers.IndependentStudentT,
    layers.IndependentLogistic,
    layers.IndependentBernoulli,
    layers.IndependentPoisson,
    layers.IndependentNegativeBinomial,
)
SIZES = {"IndependentStudentT": 3, "IndependentBernoulli": 1, "IndependentPoisson": 1}
EVENTS = ((), (3,), (2, 2))


def names(value):
    """Readable test ids."""
    return getattr(value, "__name__", str(value).replace(" ", ""))


@pytest.mark.parametrize("event_shape", EVENTS, ids=names)
@pytest.mark.parametrize("head", HEADS, ids=names)
def test_heads_conform(head, event_shape, tmp_path):
    check_layer(lambda: head(event_shape), tmp_path, head.params_size(event_shape))


@pytest.mark.parametrize("event_shape", EVENTS, ids=names)
def test_mixtures_conform(event_shape, tmp_path):
    size = layers.MixtureNormal.params_size(2, event_shape)
    check_layer(lambda: layers.MixtureNormal(2, event_shape), tmp_path, size)


@pytest.mark.parametrize("event_shape", [*EVENTS, 3], ids=names)
@pytest.mark.parametrize("head", HEADS, ids=names)
def test_shapes_and_params_size(head, event_shape):
    shape = (event_shape,) if isinstance(event_shape, int) else event_shape
    size = head.params_size(event_shape)
    assert size == SIZES.get(head.__name__, 2) * int(np.prod(shape))
    for batch_shape in ((), (2, 7)):
        distribution = head(event_shape)(np.zeros((*batch_shape, size), "float32"))
        assert distribution.batch_shape == batch_shape
        assert distribution.event_shape == shape
        value = distribution.mean()
        assert tuple(value.shape) == (*batch_shape, *shape)
        assert tuple(distribution.log_prob(np.ones(value.shape)).shape) == batch_shape


def test_parameters_stand_in_the_order_of_the_constructor():
    raw = np.random.default_rng(0).normal(size=(2, 5, 6)).astype("float32")
    distribution = layers.IndependentNormal(3)(raw)
    np.testing.assert_allclose(to_numpy(distribution.base.loc), raw[..., :3], rtol=1e-6)
    scale = to_numpy(distribution.base.scale)
    np.testing.assert_allclose(scale, np.log1p(np.exp(raw[..., 3:])), rtol=1e-3)
    matrix = layers.IndependentNormal((3, 1))(raw)
    np.testing.assert_allclose(to_numpy(matrix.base.loc)[..., 0], raw[..., :3], rtol=1e-6)


def test_mixture_parameters_are_logits_then_one_component_after_the_other():
    raw = np.random.default_rng(0).normal(size=(4, 2 + 2 * 6)).astype("float32")
    distribution = layers.MixtureNormal(2, 3)(raw)
    expected = np.exp(raw[:, :2]) / np.exp(raw[:, :2]).sum(-1, keepdims=True)
    np.testing.assert_allclose(to_numpy(distribution.mixture.probs), expected, rtol=1e-5)
    for k in range(2):
        own = raw[:, 2 + 6 * k : 2 + 6 * (k + 1)]
        single = layers.IndependentNormal(3)(own)
        part = distribution.components[:, k]
        np.testing.assert_allclose(to_numpy(part.mean()), to_numpy(single.mean()), rtol=1e-6)
        np.testing.assert_allclose(to_numpy(part.stddev()), to_numpy(single.stddev()), rtol=1e-6)


@pytest.mark.parametrize("head", HEADS, ids=names)
def test_extreme_inputs_give_valid_parameters(head):
    size = head.params_size()
    for number in (-1e4, -80.0, 0.0, 30.0):
        distribution = head()(np.full((1, 1, size), number, "float32"))
        for row in type(distribution)._parameters():
            value = distribution._values[row.name]
            if value is not None:
                assert to_numpy(row.constraint.holds(value)).all(), (
                    head.__name__,
                    number,
                    row.name,
                )


def test_student_t_has_a_variance_from_the_start():
    distribution = layers.IndependentStudentT()(np.zeros((1, 3), "float32"))
    np.testing.assert_allclose(to_numpy(distribution.df), 8.0, rtol=1e-5)
    low = layers.IndependentStudentT()(np.full((1, 3), -50.0, "float32"))
    assert np.isfinite(to_numpy(low.variance())).all()


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


@pytest.mark.parametrize("number", [0, -1, 1.5, None])
def test_wrong_number_of_components(number):
    with pytest.raises(ValueError, match="num_components"):
        layers.MixtureNormal(number)


def test_a_head_of_ones_own_costs_two_lines(tmp_path):
    @keras.saving.register_keras_serializable("test_heads")
    class IndependentLaplace(layers.IndependentHead):
        family = td.Laplace

    check_layer(lambda: IndependentLaplace(2), tmp_path, IndependentLaplace.params_size(2))


def test_a_mixture_of_ones_own_costs_two_lines(tmp_path):
    @keras.saving.register_keras_serializable("test_heads")
    class MixturePoisson(layers.MixtureHead):
        family = td.Poisson

    check_layer(lambda: MixturePoisson(3), tmp_path, MixturePoisson.params_size(3))
