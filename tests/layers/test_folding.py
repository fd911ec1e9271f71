"""What `TimeDistributed` makes of penalties: they are those of the layer without it."""

import keras
import numpy as np
import pytest
from helpers import to_numpy
from keras import ops

from timedist.layers import TimeDistributed
from timedist.layers.folding import folded, mean_over_sequences

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 3)).astype("float32")
MASK = np.arange(5) < np.array([5, 2, 3, 1])[:, None]


def test_sums_are_divided_by_the_number_of_sequences():
    values = RNG.normal(size=(4, 5, 2)).astype("float32")
    tensor, mask = ops.convert_to_tensor(values), ops.convert_to_tensor(MASK)
    np.testing.assert_allclose(to_numpy(mean_over_sequences(tensor)), values.sum() / 4, 1e-5)
    masked = (values * MASK[..., None]).sum() / 4
    np.testing.assert_allclose(to_numpy(mean_over_sequences(tensor, mask)), masked, 1e-5)
    np.testing.assert_allclose(to_numpy(mean_over_sequences(tensor[0, 0, 0])), values[0, 0, 0])
    flat, flat_mask = ops.reshape(tensor, (20, 2)), ops.reshape(mask, (20,))
    with folded(4, 5, flat_mask):
        np.testing.assert_allclose(to_numpy(mean_over_sequences(flat)), masked, 1e-5)
    with folded(2, 2, None), folded(4, 5, None):
        np.testing.assert_allclose(to_numpy(mean_over_sequences(flat)), values.sum() / 2, 1e-5)
    with folded(4, 1, ops.convert_to_tensor(MASK[:, 0] & False)), folded(4, 5, None):
        assert float(to_numpy(mean_over_sequences(flat))) == 0.0


def nested():
    """Two regularised layers in one."""
    return keras.Sequential(
        [
            keras.layers.Dense(3, activity_regularizer="l2"),
            keras.layers.Dense(2, activity_regularizer="l1"),
        ]
    )


@pytest.mark.parametrize("make", [lambda: keras.layers.Dense(2, activity_regularizer="l2"), nested])
def test_activity_regularizers_count_as_without_it(make):
    plain, wrapped = make(), TimeDistributed(make())
    plain(X)
    wrapped.build(X.shape)
    wrapped.set_weights(plain.get_weights())
    for _ in range(2):  # the regularisers are back in their places after a call
        wrapped(X)
        found, exact = ([float(to_numpy(x)) for x in layer.losses] for layer in (wrapped, plain))
        np.testing.assert_allclose(found, exact, 1e-5)
    assert all(layer.activity_regularizer.__class__.__name__[0] == "L" for layer in parts(wrapped))


def parts(wrapped):
    """The regularised layers."""
    return getattr(wrapped.layer, "layers", [wrapped.layer])


def test_regularisers_of_layers_with_time_see_no_fold():
    layer = keras.layers.Dense(2, activity_regularizer="l2")
    layer(X)
    exact = float(to_numpy(layer.losses[0]))
    TimeDistributed(layer)(X)
    layer(X)
    np.testing.assert_allclose(float(to_numpy(layer.losses[0])), exact, 1e-5)


def test_masked_steps_are_left_out():
    layer = keras.layers.Dense(2, activity_regularizer="l2", bias_initializer="ones")
    wrapped = TimeDistributed(layer)
    outputs = to_numpy(wrapped(X, mask=ops.convert_to_tensor(MASK)))
    exact = 0.01 * (outputs**2 * MASK[..., None]).sum() / 4
    np.testing.assert_allclose(float(to_numpy(wrapped.losses[0])), exact, 1e-5)


def test_added_losses_count_once():
    @keras.saving.register_keras_serializable("test_folding")
    class Adds(keras.Layer):
        def call(self, x):
            self.add_loss(1.0 + 0.0 * ops.sum(x))
            return x

    wrapped = TimeDistributed(Adds())
    wrapped(X)
    assert [float(to_numpy(loss)) for loss in wrapped.losses] == [1.0]


def test_in_a_compiled_step():
    def loss(model):
        model.compile("sgd", "mse")
        return model.evaluate(X, np.zeros((4, 5, 2), "float32"), verbose=0)

    layer = keras.layers.Dense(2, activity_regularizer="l2")
    inputs = keras.Input((None, 3))
    plain = loss(keras.Model(inputs, layer(inputs)))
    np.testing.assert_allclose(
        loss(keras.Model(inputs, TimeDistributed(layer)(inputs))), plain, 1e-5
    )
