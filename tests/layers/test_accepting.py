"""What layers take, and that layers which know no distributions refuse them."""

import keras
import numpy as np
import pytest
from keras import ops

from timedist.distributions import Independent, Normal
from timedist.layers import IndependentNormal, Sample
from timedist.layers.accepting import AcceptsDistributions, serializable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5, 6)).astype("float32")
Y = RNG.normal(size=(8, 5, 2)).astype("float32")
FIX = r"takes a tensor but got a distribution.*\.sample\(\).*\.mean\(\)"


def distribution():
    """A distribution as a head makes it."""
    return IndependentNormal(3)(X)


STRANGERS = {
    "Dense": lambda name: keras.layers.Dense(2, name=name),
    "LSTM": lambda name: keras.layers.LSTM(2, name=name),
    "Dropout": lambda name: keras.layers.Dropout(0.5, name=name),
    "Reshape": lambda name: keras.layers.Reshape((15,), name=name),
    "Activation": lambda name: keras.layers.Activation("relu", name=name),
    "Lambda": lambda name: keras.layers.Lambda(lambda d: d, name=name),
    "TimeDistributed": lambda name: keras.layers.TimeDistributed(keras.layers.Dense(2), name=name),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_eager_call_is_refused(kind):
    with pytest.raises(TypeError, match=rf"'stranger' \({kind}\) {FIX}"):
        STRANGERS[kind]("stranger")(distribution())


def test_merging_layers_refuse():
    with pytest.raises(TypeError, match=rf"'stranger' \(Concatenate\) {FIX}"):
        keras.layers.Concatenate(name="stranger")([distribution(), distribution()])


def functional():
    inputs = keras.Input((5, 6))
    return keras.Model(inputs, keras.layers.Dense(2, name="stranger")(IndependentNormal(3)(inputs)))


def sequential():
    return keras.Sequential([IndependentNormal(3), keras.layers.Dense(2, name="stranger")])


class Subclassed(keras.Model):
    """A model that forgets to sample."""

    def __init__(self):
        super().__init__()
        self.head = IndependentNormal(3)
        self.stranger = keras.layers.Dense(2, name="stranger")

    def call(self, x):
        return self.stranger(self.head(x))


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "compiled"])
@pytest.mark.parametrize("make", [functional, sequential, Subclassed], ids=lambda f: f.__name__)
def test_fit_is_refused(make, eager):
    model = make()
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.raises(TypeError, match=rf"(?s)'stranger' \(Dense\) {FIX}"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("make", [functional, sequential, Subclassed], ids=lambda f: f.__name__)
def test_calling_and_predicting_are_refused(make):
    with pytest.raises(TypeError, match=rf"(?s)'stranger' \(Dense\) {FIX}"):
        make()(X)
    with pytest.raises(TypeError, match=rf"(?s)'stranger' \(Dense\) {FIX}"):
        make().predict(X, verbose=0)


def test_operations_in_a_functional_graph_are_refused():
    inputs = keras.Input((5, 6))
    d = IndependentNormal(3)(inputs)
    with pytest.raises(TypeError, match=r"(?s)got a distribution"):
        keras.Model(inputs, ops.exp(d))(X)
    with pytest.raises(TypeError, match=r"(?s)got a distribution"):
        keras.Model(inputs, d + 1.0)(X)


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "compiled"])
@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_stock_losses_are_refused_with_the_fix(loss, eager):
    model = keras.Sequential([IndependentNormal(3)])
    model.compile("sgd", loss, run_eagerly=eager)
    with pytest.raises(TypeError, match=r"(?s)got a distribution.*NegativeLogLikelihood"):
        model.fit(X, X[..., :3], verbose=0)


def test_a_sample_in_between_is_what_the_message_says():
    model = keras.Sequential([IndependentNormal(3), Sample(), keras.layers.Dense(2)])
    assert model(X).shape == (8, 5, 2)


def test_accepting_layers_take_anything_a_layer_takes():
    @serializable
    class Echo(AcceptsDistributions):
        """Gives back what it got."""

        def call(self, first, second=None, training=None):
            return first

    normal = Independent(Normal(X, 1.0), 1)
    echo = Echo()
    assert echo(normal) is normal
    assert echo(X, second=normal, training=True).shape == X.shape
    assert [a is b for a, b in zip(echo([normal, normal]), [normal, normal], strict=True)] == [
        True,
        True,
    ]
    assert keras.saving.get_registered_name(Echo) == "timedist>Echo"
    assert echo.supports_masking
