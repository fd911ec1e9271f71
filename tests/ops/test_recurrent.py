"""Recurrent layers by the fastest way, against the same layers as Keras runs them."""

import keras
import numpy as np
import pytest
from helpers import assert_close, gradient, to_numpy
from keras import ops

from timedist.ops import recurrent

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 7, 3)).astype("float32")
# Padded behind, padded in front, gaps, nothing at all, everything.
MASK = np.array(
    [[1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 1, 0], [0] * 7, [1] * 7], bool
)
LAYERS = {
    "lstm": lambda **options: keras.layers.LSTM(4, **options),
    "gru": lambda **options: keras.layers.GRU(4, **options),
    "gru with one bias": lambda **options: keras.layers.GRU(4, reset_after=False, **options),
    "lstm without bias": lambda **options: keras.layers.LSTM(4, use_bias=False, **options),
    "lstm of relu": lambda **options: keras.layers.LSTM(4, activation="relu", **options),
    "zeros where masked": lambda **options: keras.layers.GRU(
        4, zero_output_for_mask=True, **options
    ),
    "backwards": lambda **options: keras.layers.LSTM(4, go_backwards=True, **options),
}


def made(name, dtype="float32"):
    """A layer with weights, none of them zero."""
    layer = LAYERS[name](return_sequences=True, return_state=True, dtype=dtype)
    layer.build((None, None, 3))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(0.0, 0.5, w.shape) for w in layer.weights])
    return layer


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("name", LAYERS)
def test_it_gives_what_the_layer_gives(name, mask):
    layer = made(name)
    outputs, states = recurrent.run(layer, ops.convert_to_tensor(X), mask)
    expected, *ends = layer(X, mask=mask)
    assert_close(outputs, to_numpy(expected), 1e-5, floor=1e-2)
    assert len(states) == len(ends)
    for mine, its in zip(states, ends, strict=True):
        assert_close(mine, to_numpy(its), 1e-5, floor=1e-2)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gradients_are_those_of_the_layer(name, mask):
    layer = made(name)

    def total(outputs, states):
        return ops.sum(ops.square(outputs)) + sum(ops.sum(ops.sin(s)) for s in states)

    def plain(x):
        outputs, *states = layer(x, mask=mask)
        return total(outputs, states)

    (found,) = gradient(lambda x: total(*recurrent.run(layer, x, mask)), X)
    (expected,) = gradient(plain, X)
    assert_close(found, expected, 1e-4, floor=1e-2)


def test_weights_learn_by_it():
    """One step of a training loop moves the weights as one with the layer itself does."""

    class Last(keras.Model):
        def __init__(self, fast):
            super().__init__()
            self.layer, self.fast = made("gru"), fast

        def call(self, x):
            return recurrent.run(self.layer, x)[1][0] if self.fast else self.layer(x)[1]

    after = []
    for fast in (True, False):
        model = Last(fast)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(X, RNG.normal(size=(5, 4)) * 0.0 + 1.0, verbose=0)
        after.append(model.get_weights())
    for mine, its in zip(*after, strict=True):
        assert_close(mine, its, 1e-5, floor=1e-2)


def test_dtypes():
    half = made("lstm", dtype=keras.DTypePolicy("mixed_bfloat16"))
    outputs, _ = recurrent.run(half, ops.cast(ops.convert_to_tensor(X), "bfloat16"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    expected, *_ = half(X)
    assert_close(ops.cast(outputs, "float32"), to_numpy(ops.cast(expected, "float32")), 1e-2, 1.0)
