"""The weight of a divergence while a model trains."""

import keras
import numpy as np
import pytest
from helpers import assert_close, to_numpy

from timedist.layers import IndependentNormal
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import KLAnnealing, RecurrentVAE


def test_annealing_sets_the_weight_of_the_model_that_trains():
    model, seen = RecurrentVAE(IndependentNormal(2), latent_dim=1, units=3), []
    x = np.random.default_rng(0).normal(size=(8, 4, 2)).astype("float32")

    class Remember(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            (inner,) = (layer for layer in self.model.layers if layer is model)
            seen.append(float(to_numpy(inner.kl_weight)))

    remember = Remember()
    outer = keras.Sequential([keras.Input((4, 2)), model])
    outer.compile("adam", NegativeLogLikelihood(reduction="mean_over_sequences"))
    options = {"batch_size": 4, "epochs": 3, "verbose": 0}
    outer.fit(x, x, callbacks=[KLAnnealing(warmup_steps=4, start=0.2), remember], **options)
    assert_close(seen, [0.2, 0.4, 0.6, 0.8, 1.0, 1.0], 1e-6)
    seen.clear()
    cyclic = KLAnnealing(warmup_epochs=1, cycle=2, stop=0.5)
    outer.fit(x, x, callbacks=[cyclic, remember], **options)
    assert_close(seen, [0.0, 0.0, 0.5, 0.5, 0.0, 0.0], 1e-6)
    with pytest.raises(ValueError, match=r"nothing in the model '.*' has a variable kl_weight"):
        other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        other.compile("adam", "mse")
        other.fit(x[:, 0], x[:, 0], callbacks=[KLAnnealing(1)], verbose=0)


class Weighted(keras.layers.Layer):
    """A layer of one's own whose divergence has a weight."""

    def build(self, input_shape):
        self.kl_weight = self.add_weight(shape=(), trainable=False, name="kl_weight")
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs):
        self.add_loss(self.kl_weight * self.scale**2)
        return self.scale * inputs


def test_annealing_sets_any_variable_of_that_name():
    layer, x = Weighted(), np.ones((4, 2), "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), layer])
    model.compile("adam", "mse")
    model.fit(x, x, epochs=2, callbacks=[KLAnnealing(warmup_epochs=4)], verbose=0)
    assert_close(layer.kl_weight, 0.25, 1e-6)


def test_schedules():
    by_steps = KLAnnealing(warmup_steps=2, start=1.0, stop=3.0)
    assert [by_steps.weight(t) for t in range(4)] == [1.0, 2.0, 3.0, 3.0]
    endless = KLAnnealing(warmup_steps=2, cycle=3)
    assert [endless.weight(t) for t in range(7)] == [0.0, 0.5, 1.0, 0.0, 0.5, 1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either warmup_epochs or warmup_steps, got None and None"),
        ({"warmup_epochs": 1, "warmup_steps": 2}, "give either"),
        ({"warmup_epochs": 0}, "warmup_epochs must be an int >= 1, got 0"),
        ({"warmup_steps": 1.5}, r"warmup_steps must be an int >= 1, got 1\.5"),
        ({"warmup_steps": 2, "start": -1}, "start must be a number >= 0, got -1"),
        ({"warmup_steps": 5, "cycle": 4}, "cycle must be an int >= 5, got 4"),
        ({"warmup_steps": 5, "cycles": 4}, "cycles needs cycle"),
    ],
)
def test_annealing_that_does_not_fit(options, message):
    with pytest.raises(ValueError, match=f"KLAnnealing: {message}"):
        KLAnnealing(**options)
