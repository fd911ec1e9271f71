"""`TimeDistributed`: the same as Keras's on tensors, by one call; and distributions."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy
from keras import ops
from models import QUICK

from timedist.distributions import Distribution, Normal
from timedist.layers import (
    DistributionLayer,
    IndependentNormal,
    MixtureNormal,
    SymbolicDistribution,
    TimeDistributed,
)
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

RNG = np.random.default_rng(0)


def nested_sequential():
    """A Sequential model as the wrapped layer."""
    return keras.Sequential([keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(2)])


def nested_functional():
    """A functional model as the wrapped layer."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3)(inputs)
    return keras.Model(inputs, keras.layers.Concatenate()([hidden, inputs]))


LAYERS = {
    "Dense": (lambda: keras.layers.Dense(3), (4,)),
    "Conv1D": (lambda: keras.layers.Conv1D(2, 3), (6, 4)),
    "Conv2D": (lambda: keras.layers.Conv2D(2, 3, padding="same"), (5, 5, 3)),
    "Flatten": (keras.layers.Flatten, (3, 2)),
    "LayerNormalization": (keras.layers.LayerNormalization, (4,)),
    "LSTM": (lambda: keras.layers.LSTM(3), (6, 4)),
    "LSTM_sequences": (lambda: keras.layers.LSTM(3, return_sequences=True), (6, 4)),
    "Sequential": (nested_sequential, (4,)),
    "Functional": (nested_functional, (4,)),
}


def pair(make, x):
    """Ours and Keras's with the same weights."""
    ours, theirs = TimeDistributed(make()), keras.layers.TimeDistributed(make())
    ours.build(x.shape)
    theirs.build(x.shape)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.parametrize("kind", LAYERS)
def test_values_of_kerass_own(kind):
    make, features = LAYERS[kind]
    x = RNG.normal(size=(3, 4, *features)).astype("float32")
    ours, theirs = pair(make, x)
    expected = to_numpy(theirs(x))
    np.testing.assert_allclose(to_numpy(ours(x)), expected, rtol=1e-5, atol=1e-6)
    assert ours.compute_output_shape(x.shape) == expected.shape
    for batch_shape in ((None, 4), (None, None), (3, 4)):
        symbolic = ours(keras.Input(batch_shape=(*batch_shape, *features)))
        assert symbolic.shape == (*batch_shape, *expected.shape[2:])


@pytest.mark.parametrize("kind", ["Dense", "LSTM", "Sequential", "Functional"])
def test_files_of_kerass_own(kind, tmp_path):
    make, features = LAYERS[kind]
    x = RNG.normal(size=(3, 4, *features)).astype("float32")
    for unknown in (False, True):
        inputs = keras.Input((None if unknown else 4, *features))
        model = keras.Model(inputs, TimeDistributed(make())(inputs))
        model.save(tmp_path / "m.keras")
        loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
        assert isinstance(loaded.layers[-1], TimeDistributed)
        np.testing.assert_allclose(to_numpy(loaded(x)), to_numpy(model(x)), rtol=1e-6)
    model.save_weights(tmp_path / "w.weights.h5")
    fixed = keras.Input((4, *features))
    theirs = keras.Model(fixed, keras.layers.TimeDistributed(make())(fixed))
    theirs.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(to_numpy(theirs(x)), to_numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_embedding():
    x = RNG.integers(0, 7, size=(3, 4, 5))
    ours, theirs = pair(lambda: keras.layers.Embedding(7, 2), x)
    np.testing.assert_allclose(to_numpy(ours(x)), to_numpy(theirs(x)))


def test_a_mask_reaches_the_wrapped_layer():
    x = RNG.normal(size=(3, 4, 6, 2)).astype("float32")
    mask = np.arange(6) < RNG.integers(1, 7, size=(3, 4, 1))
    ours, theirs = pair(lambda: keras.layers.LSTM(3), x)
    masked = to_numpy(ours(x, mask=ops.convert_to_tensor(mask)))
    expected = to_numpy(theirs(x, mask=ops.convert_to_tensor(mask)))
    np.testing.assert_allclose(masked, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(masked - to_numpy(ours(x))).max() > 1e-3


def test_the_mask_of_the_steps_is_that_of_the_output():
    x = RNG.normal(size=(3, 4, 2)).astype("float32")
    x[0, 2:] = 0.0
    masked = keras.layers.Masking()(x)
    ours, theirs = pair(lambda: keras.layers.Dense(3), x)
    mine, its = (to_numpy(compat.get_keras_mask(layer(masked))) for layer in (ours, theirs))
    np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(mine, x.any(-1))


def test_training_and_gradients_of_kerass_own():
    x = RNG.normal(size=(3, 4, 5)).astype("float32")
    y = RNG.normal(size=(3, 4, 2)).astype("float32")
    weights = []
    start = None
    for wrapper in (TimeDistributed, keras.layers.TimeDistributed):
        model = keras.Sequential([keras.Input((4, 5)), wrapper(keras.layers.Dense(2))])
        start = model.get_weights() if start is None else start
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.1), "mse", **QUICK)
        model.train_on_batch(x, y)
        weights.append(model.get_weights())
    for mine, its in zip(*weights, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-6)


def test_training_is_passed_on():
    layer = TimeDistributed(keras.layers.Dropout(0.5))
    x = np.ones((3, 4, 50), "float32")
    assert (to_numpy(layer(x, training=True)) == 0.0).any()
    np.testing.assert_array_equal(to_numpy(layer(x, training=False)), x)
    np.testing.assert_array_equal(to_numpy(layer(x)), x)


class Counted(keras.layers.Layer):
    """Counts its calls and keeps the shapes it saw."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def call(self, x):
        self.shapes.append(tuple(x.shape))
        return 2.0 * x


def test_the_wrapped_layer_is_called_once():
    inner = Counted()
    layer = TimeDistributed(inner)
    x = RNG.normal(size=(3, 50, 2)).astype("float32")
    layer.build(x.shape)
    inner.shapes.clear()
    np.testing.assert_allclose(to_numpy(layer(x)), 2.0 * x)
    assert inner.shapes == [(150, 2)]


def test_several_outputs():
    class Two(keras.layers.Layer):
        def call(self, x):
            return {"twice": 2.0 * x, "normal": Normal(x, 1.0), "sum": ops.sum(x, axis=-1)}

    x = RNG.normal(size=(3, 4, 2)).astype("float32")
    inputs = keras.Input((None, 2))
    symbolic = TimeDistributed(Two())(inputs)
    assert isinstance(symbolic["normal"], SymbolicDistribution)
    assert symbolic["sum"].shape == (None, None)
    real = keras.Model(inputs, symbolic)(x)
    np.testing.assert_allclose(to_numpy(real["twice"]), 2.0 * x)
    np.testing.assert_allclose(to_numpy(real["normal"].mean()), x)
    assert real["normal"].batch_shape == (3, 4, 2)
    np.testing.assert_allclose(to_numpy(real["sum"]), x.sum(-1), rtol=1e-6)


def test_a_head_conforms(tmp_path):
    check_layer(lambda: TimeDistributed(IndependentNormal(3)), tmp_path, 6)


def test_a_nested_model_with_a_head_conforms(tmp_path):
    def make():
        return TimeDistributed(keras.Sequential([keras.layers.Dense(14), MixtureNormal(2, 3)]))

    check_layer(make, tmp_path, 2)


def test_a_head_needs_no_wrapper_and_may_have_one():
    raw = RNG.normal(size=(32, 10, 6)).astype("float32")
    plain, wrapped = IndependentNormal(3)(raw), TimeDistributed(IndependentNormal(3))(raw)
    assert (wrapped.batch_shape, wrapped.event_shape) == (plain.batch_shape, plain.event_shape)
    for mine, its in zip(wrapped.leaves(), plain.leaves(), strict=True):
        np.testing.assert_allclose(to_numpy(mine), to_numpy(its), rtol=1e-6)


class OwnModel(keras.Model):
    """A subclassed model as the wrapped layer, with its weights made in `call`."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(6)
        self.head = IndependentNormal(3)

    def call(self, x):
        return self.head(self.dense(x))


class OwnLayer(DistributionLayer):
    """A user's layer without `build`, as in the seed's third program."""

    def __init__(self):
        super().__init__()
        self.loc = keras.layers.Dense(3)
        self.raw = keras.layers.Dense(3, activation="softplus")

    def call(self, x):
        return Normal(self.loc(x), self.raw(x) + 0.1)


@pytest.mark.parametrize("length", [None, 10], ids=str)
@pytest.mark.parametrize("make", [OwnModel, OwnLayer], ids=lambda f: f.__name__)
def test_layers_and_models_of_ones_own(make, length):
    x = RNG.normal(size=(8, 10, 5)).astype("float32")
    inputs = keras.Input((length, 5))
    symbolic = TimeDistributed(make())(inputs)
    model = keras.Model(inputs, symbolic)
    assert len(model.trainable_weights) == (2 if make is OwnModel else 4)
    assert symbolic.shape == (None, length, 3)
    model.compile("sgd", NegativeLogLikelihood(), **QUICK)
    start = [w.copy() for w in model.get_weights()]
    model.fit(x, x[..., :3], verbose=0)
    assert all((a != b).any() for a, b in zip(start, model.get_weights(), strict=True))
    eager = TimeDistributed(make())(x)
    assert isinstance(eager, Distribution)
    assert eager.shape == (8, 10, 3)


def test_twice_around():
    x = RNG.normal(size=(2, 3, 4, 6)).astype("float32")
    distribution = TimeDistributed(TimeDistributed(IndependentNormal(3)))(x)
    assert (distribution.batch_shape, distribution.event_shape) == ((2, 3, 4), (3,))
    np.testing.assert_allclose(to_numpy(distribution.mean()), x[..., :3], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3,), (3, 5), (2, 4), (12,)], ids=str)
def test_wrong_masks(shape):
    layer = TimeDistributed(keras.layers.Dense(2))
    with pytest.raises(ValueError, match=r"mask has shape .*\(3, 4\)"):
        layer(np.zeros((3, 4, 2), "float32"), mask=ops.ones(shape, dtype="bool"))


def test_wrong_inputs():
    with pytest.raises(ValueError, match="at least 3 dim"):
        TimeDistributed(keras.layers.Dense(2))(np.zeros((3, 4), "float32"))
    with pytest.raises(ValueError, match="layer"):
        TimeDistributed(ops.exp)


def test_an_empty_batch():
    layer = TimeDistributed(IndependentNormal(3))
    assert layer(np.zeros((0, 4, 6), "float32")).batch_shape == (0, 4)
