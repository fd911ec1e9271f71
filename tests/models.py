"""Small models of the three Keras kinds, ending in a distribution, and data for them."""

import keras
import numpy as np

from timedist.layers import IndependentNormal

# How to compile when the way does not matter: JAX is slow without jit, TensorFlow's XLA with it.
QUICK = {"jit_compile": keras.backend.backend() == "jax"}

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 10, 5)).astype("float32")
Y = (X[..., :3] * 2 + RNG.normal(size=(48, 10, 3)) * 0.1).astype("float32")


def functional():
    """A functional model."""
    inputs = keras.Input((None, 5))
    hidden = keras.layers.Dense(6, kernel_initializer=keras.initializers.GlorotUniform(1))(inputs)
    return keras.Model(inputs, IndependentNormal(3)(hidden))


def sequential():
    """A Sequential model without input shape."""
    return keras.Sequential([keras.layers.Dense(6), IndependentNormal(3)])


@keras.saving.register_keras_serializable("test_models")
class Subclassed(keras.Model):
    """A subclassed model."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(6)
        self.head = IndependentNormal(3)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return self.head(self.dense(x))


KINDS = (functional, sequential, Subclassed)


def two_outputs(as_dict=False):
    """A functional model with one distribution and one plain output."""
    inputs = keras.Input((None, 5))
    hidden = keras.layers.Dense(6)(inputs)
    head = IndependentNormal(3, name="dist")(hidden)
    plain = keras.layers.Dense(1, name="plain")(hidden)
    return keras.Model(inputs, {"dist": head, "plain": plain} if as_dict else [head, plain])
