"""A layer that is a variable, and an initializer of blocks."""

import keras
import numpy as np
import pytest
from conformance import serialized
from helpers import float64_scope, to_numpy
from keras import ops

from timedist.distributions import Independent, Normal
from timedist.layers import BlockwiseInitializer, DistributionLambda, VariableLayer
from timedist.losses import NegativeLogLikelihood

RNG = np.random.default_rng(0)


@keras.saving.register_keras_serializable("test_variable_layer")
def trainable_normal(t):
    """Locations and raw scales side by side."""
    return Independent(Normal(t[..., 0], ops.softplus(t[..., 1])))


def test_a_trainable_distribution_learns_its_data(tmp_path):
    start = BlockwiseInitializer(["zeros", keras.initializers.Constant(0.5413)], sizes=[1, 1])
    model = keras.Sequential(
        [VariableLayer((3, 2), initializer=start), DistributionLambda(trainable_normal)]
    )
    y = RNG.normal([1.0, -2.0, 0.0], [0.5, 1.0, 2.0], size=(400, 3)).astype("float32")
    x = np.zeros((400, 1), "float32")
    model.compile(keras.optimizers.Adam(0.1), NegativeLogLikelihood())
    d = model(x)
    assert (d.batch_shape, d.event_shape) == ((), (3,))
    np.testing.assert_allclose(to_numpy(d.stddev()), 1.0, 1e-3)
    model.fit(x, y, batch_size=400, epochs=150, verbose=0)
    d = model(x)
    np.testing.assert_allclose(to_numpy(d.mean()), y.mean(0), atol=1e-2)
    np.testing.assert_allclose(to_numpy(d.stddev()), y.std(0), rtol=1e-2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(to_numpy(again(x).mean()), to_numpy(d.mean()))


def test_options_and_config():
    layer = VariableLayer(4, activation="softplus", initializer="ones", regularizer="l2")
    np.testing.assert_allclose(to_numpy(layer(np.ones((2, 2)))), np.log1p(np.e) * np.ones(4), 1e-6)
    np.testing.assert_allclose(float(layer.losses[0]), 0.04, 1e-5)
    assert serialized(type(layer).from_config(layer.get_config())) == serialized(layer)
    with float64_scope():
        assert to_numpy(VariableLayer(2, dtype="float64")(np.ones(1))).dtype == "float64"
    with pytest.raises(ValueError, match="must be a positive int or a tuple"):
        VariableLayer((2, 0))


def test_blocks():
    made = BlockwiseInitializer(["zeros", "ones"], [2, 1])
    np.testing.assert_array_equal(to_numpy(made((2, 3))), [[0, 0, 1], [0, 0, 1]])
    again = keras.initializers.deserialize(keras.initializers.serialize(made))
    np.testing.assert_array_equal(to_numpy(again((3,), dtype="float64")), [0, 0, 1])
    with pytest.raises(ValueError, match=r"make a last axis of 3, got shape \(2, 4\)"):
        made((2, 4))
    with pytest.raises(ValueError, match="2 initializers need as many sizes"):
        BlockwiseInitializer(["zeros", "ones"], [2])
