"""The heads of mixtures and of values with additional zeros."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from heads import all_rows_hold
from helpers import to_numpy

from timedist import distributions as td
from timedist import layers
from timedist.layers import mixtures

MIXTURES = [v for name, v in vars(mixtures).items() if name.startswith("Mixture")]
MIXTURES = [head for head in MIXTURES if "family" in vars(head)]
ZEROS = [v for name, v in vars(mixtures).items() if name.startswith(("Zero", "Hurdle"))]
ZEROS = [head for head in ZEROS if "family" in vars(head)]
INSIDE = {"MixtureBeta": 0.4, "MixtureLogitNormal": 0.4}
EXTREMES = np.array([-1e4, -80.0, 0.0, 30.0], "float32")[:, None]


@pytest.mark.parametrize("head", MIXTURES)
def test_mixtures_conform(head, tmp_path):
    value = INSIDE.get(head.__name__, 1.0)
    check_layer(lambda: head(2, 3), tmp_path, head.params_size(2, 3), event_value=value)


@pytest.mark.parametrize("head", ZEROS)
def test_heads_of_zeros_conform(head, tmp_path):
    check_layer(lambda: head(3), tmp_path, head.params_size(3))


@pytest.mark.parametrize("head", MIXTURES)
def test_mixtures_are_valid_at_extreme_inputs(head):
    assert getattr(layers, head.__name__) is head
    distribution = head(2, 3)(EXTREMES * np.ones(head.params_size(2, 3), "float32"))
    assert (distribution.batch_shape, distribution.event_shape) == ((4,), (3,))
    all_rows_hold(distribution)


@pytest.mark.parametrize("head", ZEROS)
def test_heads_of_zeros_are_valid_at_extreme_inputs(head):
    assert getattr(layers, head.__name__) is head
    distribution = head(3)(EXTREMES * np.ones(head.params_size(3), "float32"))
    assert (distribution.batch_shape, distribution.event_shape) == ((4,), (3,))
    all_rows_hold(distribution)


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


def test_zeros_come_first_then_the_family():
    raw = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    found = layers.ZeroInflatedPoisson(3)(raw).base
    np.testing.assert_allclose(to_numpy(found.logits), raw[:, :3], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(found.base.log_rate), raw[:, 3:], rtol=1e-6)


@pytest.mark.parametrize("number", [0, -1, 1.5, None, True])
def test_wrong_number_of_components(number):
    with pytest.raises(ValueError, match="num_components"):
        layers.MixtureNormal(number)


def test_a_mixture_of_ones_own_costs_two_lines(tmp_path):
    @keras.saving.register_keras_serializable("test_mixtures")
    class MixtureCauchy(layers.MixtureHead):
        family = td.Cauchy

    check_layer(lambda: MixtureCauchy(3), tmp_path, MixtureCauchy.params_size(3))
