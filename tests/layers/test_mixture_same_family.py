"""Heads of a mixture whose components are another head's."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy
from keras import ops
from models import QUICK

from timedist import distributions as td
from timedist import layers
from timedist.layers import CategoricalMixtureOfOneHotCategorical, MixtureSameFamily
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import AutoregressiveRNN

RNG = np.random.default_rng(0)


@keras.saving.register_keras_serializable("test_mixture_same_family")
class Own(layers.DistributionLayer):
    """A user's component: weights, and a width nobody is told."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.loc = keras.layers.Dense(2)

    def call(self, inputs):
        return td.Independent(td.Laplace(self.loc(inputs), 1.0), 1)


@keras.saving.register_keras_serializable("test_mixture_same_family")
class Built(Own):
    """The same with a `build` of its own."""

    def build(self, input_shape):
        self.loc.build(input_shape)
        self.built = True


@keras.saving.register_keras_serializable("test_mixture_same_family")
def unit_normal(t):
    """A function as the component layer."""
    return td.Independent(td.Normal(t, 1.0), 1)


COMPONENTS = {
    "IndependentNormal": (lambda: layers.IndependentNormal(3), 14, (3,)),
    "MultivariateNormalTriL": (lambda: layers.MultivariateNormalTriL(2), 12, (2,)),
    "IndependentStudentT": (layers.IndependentStudentT, 8, ()),
    "function": (lambda: unit_normal, 8, (3,)),
    "own layer": (Own, 8, (2,)),
    "own layer with build": (Built, 8, (2,)),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_mixtures_conform(name, tmp_path):
    make, width, event_shape = COMPONENTS[name]
    layer = MixtureSameFamily(2, make())
    distribution = layer(RNG.normal(size=(4, 5, width)).astype("float32"))
    assert isinstance(distribution, td.MixtureSameFamily)
    assert (distribution.batch_shape, distribution.event_shape) == ((4, 5), event_shape)
    check_layer(lambda: MixtureSameFamily(2, make()), tmp_path, width)


def test_one_hot_mixtures_conform(tmp_path):
    check_layer(
        lambda: CategoricalMixtureOfOneHotCategorical(3, 2),
        tmp_path,
        CategoricalMixtureOfOneHotCategorical.params_size(3, 2),
        event_value=(0.0, 1.0, 0.0),
    )


def test_it_is_the_mixture_of_independent_components():
    raw = RNG.normal(size=(4, 14)).astype("float32")
    mine = MixtureSameFamily(2, layers.IndependentNormal(3))
    special = layers.MixtureNormal(2, 3)
    assert mine.width == special.width == MixtureSameFamily.params_size(2, 6, name=None) == 14
    assert mine.event_shape == (3,)
    assert mine.family is td.Normal
    y = RNG.normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(
        to_numpy(mine(raw).log_prob(y)), to_numpy(special(raw).log_prob(y)), rtol=1e-6
    )


def test_unit_vectors_have_the_mean_and_the_draws_of_their_probabilities():
    raw = RNG.normal(size=(1, 8)).astype("float32")
    distribution = CategoricalMixtureOfOneHotCategorical(3, num_components=2)(raw)
    units = np.eye(3, dtype="float32")[:, None]
    expected = to_numpy(distribution.prob(units))[:, 0]
    np.testing.assert_allclose(expected.sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(distribution.mean())[0], expected, rtol=1e-5)
    np.testing.assert_allclose(
        to_numpy(distribution.variance())[0], expected * (1.0 - expected), rtol=1e-5
    )
    draws = to_numpy(distribution.sample(4000, seed=1))[:, 0]
    assert (draws.sum(-1) == 1.0).all() and set(np.unique(draws)) == {0.0, 1.0}
    assert np.abs(draws.mean(0) - expected).max() < 4.0 * 0.5 / 4000**0.5


def test_weights_of_the_component_layer_are_trained():
    model = keras.Sequential([keras.layers.Dense(8), MixtureSameFamily(2, Own())])
    model.compile("sgd", NegativeLogLikelihood(), **QUICK)
    x, y = RNG.normal(size=(8, 5, 4)), RNG.normal(size=(8, 5, 2))
    model.build((None, 5, 4))
    start = model.get_weights()
    assert len(start) == 4
    model.fit(x, y, verbose=0)
    assert all((a != b).any() for a, b in zip(start, model.get_weights(), strict=True))


def test_by_name_and_in_a_recurrent_network():
    head = layers.DistributionHead(
        "mixture_same_family", num_components=2, component_layer=layers.IndependentStudentT()
    )
    assert head(np.zeros((4, 5, 3), "float32")).event_shape == ()
    counts = MixtureSameFamily(2, layers.IndependentPoisson())
    model = AutoregressiveRNN(counts, lags=(1,), context_length=3, units=2)
    assert model.counts is True
    given = {"target": np.ones((2, 6)), "features": np.zeros((2, 5, 1))}
    assert model(given).batch_shape == (2, 5)


def test_what_does_not_know_its_width_needs_a_dense_layer_in_front():
    head = MixtureSameFamily(2, Own(), name="mine")
    assert head.width is None
    with pytest.raises(ValueError, match=r"MixtureSameFamily 'mine' does not know.*Dense"):
        layers.DistributionHead(head)
    with pytest.raises(ValueError, match=r"head must be a head"):
        AutoregressiveRNN(head)
    for wrong in (2, 7):
        with pytest.raises(ValueError, match=rf"'mine'.*multiple of 2; got shape \(4, {wrong}\)"):
            head(np.zeros((4, wrong), "float32"))
    with pytest.raises(ValueError, match=r"needs 14 parameters.*Dense\(14\)"):
        MixtureSameFamily(2, layers.IndependentNormal(3))(np.zeros((4, 13), "float32"))


def test_wrong_components():
    with pytest.raises(TypeError, match=r"component_layer must be a layer or a function.*got 3"):
        MixtureSameFamily(2, 3)
    with pytest.raises(ValueError, match=r"'mine' \(IndependentNormal\) gives a tensor.*'mean'"):
        MixtureSameFamily(2, layers.IndependentNormal(3, "mean", name="mine"))
    with pytest.raises(TypeError, match="expected a distribution"):
        MixtureSameFamily(2, keras.layers.Dense(2))(np.zeros((4, 8), "float32"))
    with pytest.raises(TypeError, match="expected a distribution"):
        MixtureSameFamily(2, ops.exp)(np.zeros((4, 8), "float32"))


@pytest.mark.parametrize("number", [0, -1, 1.5, None, True])
def test_wrong_numbers(number):
    with pytest.raises(ValueError, match="num_components must be a positive int"):
        MixtureSameFamily(number, layers.IndependentNormal())
    with pytest.raises(ValueError, match="num_components must be a positive int"):
        CategoricalMixtureOfOneHotCategorical(3, number)
    with pytest.raises(ValueError, match="event_size must be a positive int"):
        CategoricalMixtureOfOneHotCategorical(number, 3)
