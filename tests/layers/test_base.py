"""`DistributionLayer` and `DistributionLambda`."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy
from keras import ops

from timedist.distributions import Distribution, Independent, Normal
from timedist.layers import DistributionLambda, DistributionLayer, SymbolicDistribution
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")


@keras.saving.register_keras_serializable("test_base")
def from_one(t):
    """A normal of the two halves of the last axis."""
    loc, raw = ops.split(t, 2, axis=-1)
    return Independent(Normal(loc, ops.softplus(raw)), 1)


@keras.saving.register_keras_serializable("test_base")
def from_two(loc, scale):
    """A normal of its two parameters."""
    return Independent(Normal(loc, scale), 1)


def test_lambda_conforms(tmp_path):
    check_layer(lambda: DistributionLambda(from_one), tmp_path, 6)


def test_layer_of_ones_own_conforms(tmp_path):
    @keras.saving.register_keras_serializable("test_base")
    class WithWeights(DistributionLayer):
        """A user's layer: weights, an argument, a distribution."""

        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.loc = keras.layers.Dense(units)
            self.raw = keras.layers.Dense(units, activation="softplus")

        def call(self, inputs):
            return Independent(Normal(self.loc(inputs), 0.1 + self.raw(inputs)), 1)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    check_layer(lambda: WithWeights(2), tmp_path, 6)


def two_inputs(function):
    first, second = keras.Input((None, 3)), keras.Input((None, 3))
    return keras.Model([first, second], DistributionLambda(function)([first, second]))


def test_a_list_of_inputs_is_passed_as_one_or_one_by_one(tmp_path):
    a, b = X[..., :3], np.exp(X[..., 3:])
    one_by_one = two_inputs(from_two)
    as_list = two_inputs(lambda t: from_two(t[0], t[1]))
    for model in (one_by_one, as_list):
        distribution = model([a, b])
        assert distribution.batch_shape == (4, 5)
        np.testing.assert_allclose(to_numpy(distribution.mean()), a)
        np.testing.assert_allclose(to_numpy(distribution.stddev()), b, rtol=1e-6)
    one_by_one.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(to_numpy(loaded([a, b]).mean()), a)


def test_defaults_are_no_inputs():
    layer = DistributionLambda(lambda t, scale=2.0: Normal(t[0] + t[1], scale))
    assert to_numpy(layer([X, X]).mean()) == pytest.approx(2 * X)


def test_a_distribution_may_be_the_input():
    inputs = keras.Input((None, 6))
    posterior = DistributionLambda(from_one)(inputs)
    shifted = DistributionLambda(lambda d: Independent(Normal(d.base.loc + 1.0, d.base.scale), 1))(
        posterior
    )
    assert isinstance(shifted, SymbolicDistribution)
    model = keras.Model(inputs, [posterior, shifted])
    first, second = model(X)
    np.testing.assert_allclose(to_numpy(second.mean()), to_numpy(first.mean()) + 1.0, rtol=1e-6)


def test_a_lambda_is_refused_in_safe_mode_and_loads_without(tmp_path):
    inputs = keras.Input((None, 6))
    layer = DistributionLambda(lambda t: __import__("timedist").distributions.Normal(t, 1.0))
    with pytest.warns(UserWarning, match="lambda"):
        keras.Model(inputs, layer(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="safe_mode"):
        keras.models.load_model(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=False)
    assert isinstance(loaded.outputs[0], SymbolicDistribution)


def test_the_backends_own_operations():
    def split(t):
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            loc, raw = tf.split(t, num_or_size_splits=2, axis=-1)
            return Normal(loc, tf.math.softplus(raw))
        if keras.backend.backend() == "jax":
            import jax

            loc, raw = jax.numpy.split(t, 2, axis=-1)
            return Normal(loc, jax.nn.softplus(raw))
        import torch

        loc, raw = torch.chunk(t, 2, dim=-1)
        return Normal(loc, torch.nn.functional.softplus(raw))

    inputs = keras.Input((None, 6))
    output = DistributionLambda(split)(inputs)
    assert output.batch_shape == (None, None, 3)
    assert keras.Model(inputs, output)(X).batch_shape == (4, 5, 3)


def test_what_is_no_distribution_is_refused():
    with pytest.raises(TypeError, match="expected a distribution"):
        DistributionLambda(lambda t: t)(X)
    with pytest.raises(TypeError, match="takes a function"):
        DistributionLambda(3)


def test_structures_of_distributions():
    class Pair(DistributionLayer):
        def call(self, inputs):
            return {"a": Normal(inputs, 1.0), "b": [inputs, Normal(inputs, 2.0)]}

    inputs = keras.Input((None, 6))
    output = Pair()(inputs)
    assert isinstance(output["a"], SymbolicDistribution)
    assert not isinstance(output["b"][0], SymbolicDistribution)
    real = keras.Model(inputs, output)(X)
    assert isinstance(real["b"][1], Distribution)
    np.testing.assert_allclose(to_numpy(real["b"][1].stddev()), np.full(X.shape, 2.0))


def test_inputs_keep_their_dtype_and_their_mask():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = DistributionLambda(lambda t: Normal(t, 1.0))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    masked = keras.layers.Masking(dtype="float32")(np.where(X > 0, X, 0.0) * (X[..., :1] > 0))
    output = layer(masked)
    np.testing.assert_array_equal(to_numpy(output.loc), to_numpy(masked))
    np.testing.assert_array_equal(
        to_numpy(compat.get_keras_mask(output)), to_numpy(compat.get_keras_mask(masked))
    )


def test_weights_of_inner_layers_are_trained():
    class Own(DistributionLayer):
        def __init__(self):
            super().__init__()
            self.loc = keras.layers.Dense(2)

        def call(self, inputs):
            return Independent(Normal(self.loc(inputs), 1.0), 1)

    model = keras.Sequential([Own()])
    model.compile("sgd", NegativeLogLikelihood())
    model.fit(X, X[..., :2], verbose=0)
    assert len(model.trainable_weights) == 2
