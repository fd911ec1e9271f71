"""Native distributions of TFP, NumPyro and torch, each on its backend."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, to_numpy
from models import QUICK

import timedist
from timedist.distributions import Distribution, Independent, Normal
from timedist.interop import NativeDistribution, as_distribution
from timedist.layers import DistributionLambda, SymbolicDistribution, TimeDistributed
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 10, 5)).astype("float32")
Y = (X[..., :3] * 2.0).astype("float32")
LOC = RNG.normal(size=(8, 10, 3)).astype("float32")
SCALE = np.exp(RNG.normal(size=(8, 10, 3))).astype("float32")
LIBRARY = {"jax": "numpyro", "tensorflow": "tensorflow_probability", "torch": "torch"}[BACKEND]


def native_normal(loc, scale):
    """Independent normals of the library that belongs to the backend."""
    if BACKEND == "jax":
        import numpyro.distributions as nd

        return nd.Normal(loc, scale).to_event(1)
    if BACKEND == "tensorflow":
        import tensorflow_probability as tfp

        return tfp.distributions.Independent(tfp.distributions.Normal(loc, scale), 1)
    import torch

    return torch.distributions.Independent(torch.distributions.Normal(loc, scale), 1)


@keras.saving.register_keras_serializable("test_native")
class UsersLayer(keras.layers.Layer):
    """A plain Keras layer that returns a native distribution."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.loc = keras.layers.Dense(3)
        self.raw = keras.layers.Dense(3, activation="softplus")

    def call(self, x):
        return native_normal(self.loc(x), self.raw(x) + 0.1)


def pair():
    """A native distribution behind our interface, and ours."""
    loc, scale = keras.ops.convert_to_tensor(LOC), keras.ops.convert_to_tensor(SCALE)
    return as_distribution(native_normal(loc, scale)), Independent(Normal(LOC, SCALE), 1)


def test_ours_stays_ours():
    normal = Normal(0.0, 1.0)
    assert as_distribution(normal) is normal
    with pytest.raises(TypeError, match=r"expected a distribution of timedist.*got float"):
        as_distribution(1.0)


def test_shapes_and_repr():
    native, ours = pair()
    assert isinstance(native, NativeDistribution)
    assert (native.batch_shape, native.event_shape) == (ours.batch_shape, ours.event_shape)
    assert native.dtype == "float32"
    assert f"{LIBRARY}.Independent(batch_shape=(8, 10), event_shape=(3,)" in repr(native)


def test_methods():
    native, ours = pair()
    for name in ("mean", "variance", "stddev", "entropy"):
        np.testing.assert_allclose(
            to_numpy(getattr(native, name)()), to_numpy(getattr(ours, name)()), rtol=1e-5
        )
    np.testing.assert_allclose(to_numpy(native.log_prob(Y)), to_numpy(ours.log_prob(Y)), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(native), LOC, rtol=1e-6)


def test_samples():
    native, _ = pair()
    draws = to_numpy(native.sample(2000, seed=3))
    assert draws.shape == (2000, 8, 10, 3)
    z = (draws - LOC) / SCALE
    assert abs(z.mean()) < 0.02
    assert abs(z.std() - 1.0) < 0.02
    np.testing.assert_array_equal(draws, to_numpy(native.sample(2000, seed=3)))
    generator = keras.random.SeedGenerator(1)
    first, second = (to_numpy(native.sample(seed=generator)) for _ in range(2))
    assert (first != second).any()


def test_what_only_the_other_library_could_do():
    native, _ = pair()
    with pytest.raises(NotImplementedError, match=LIBRARY):
        native[:, -1]
    with pytest.raises(NotImplementedError, match=LIBRARY):
        native.quantile(0.5)


@pytest.mark.parametrize("training", [True, False], ids=["train", "evaluate"])
def test_a_users_layer_in_time_distributed(training):
    inputs = keras.Input((10, 5))
    output = TimeDistributed(UsersLayer())(inputs)
    assert isinstance(output, SymbolicDistribution)
    assert (output.batch_shape, output.event_shape) == ((None, 10), (3,))
    model = keras.Model(inputs, output)
    assert len(model.trainable_weights) == 4
    model.compile(keras.optimizers.Adam(0.01), NegativeLogLikelihood(), metrics=["mae"])
    if training:
        history = model.fit(X, Y, epochs=3, verbose=0).history["loss"]
        assert history[-1] < history[0]
    distribution = model(X)
    layer = model.layers[-1].layer
    ours = Independent(Normal(layer.loc(X), layer.raw(X) + 0.1), 1)
    assert isinstance(distribution, Distribution)
    assert distribution.batch_shape == (8, 10)
    np.testing.assert_allclose(
        to_numpy(distribution.log_prob(Y)), to_numpy(ours.log_prob(Y)), rtol=1e-4
    )
    np.testing.assert_allclose(to_numpy(distribution.mean()), to_numpy(ours.mean()), rtol=1e-5)
    np.testing.assert_allclose(
        to_numpy(distribution.entropy()), to_numpy(ours.entropy()), rtol=1e-4, atol=1e-5
    )
    assert tuple(distribution.sample((2, 3), seed=1).shape) == (2, 3, 8, 10, 3)
    loss, mae = model.evaluate(X, Y, verbose=0)
    mean = model.predict(X, verbose=0)
    np.testing.assert_allclose(loss, -to_numpy(ours.log_prob(Y)).mean(), rtol=1e-4)
    np.testing.assert_allclose(mae, np.abs(mean - Y).mean(), rtol=1e-4)


def test_files(tmp_path):
    inputs = keras.Input((10, 5))
    model = keras.Model(inputs, TimeDistributed(UsersLayer())(inputs))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(to_numpy(loaded(X).mean()), to_numpy(model(X).mean()), rtol=1e-6)


def test_in_a_lambda_layer():
    inputs = keras.Input((10, 3))
    output = DistributionLambda(lambda t: native_normal(t, keras.ops.exp(t)))(inputs)
    symbols = [output.sample(seed=1), output.mean(), output.log_prob(0.5), output.entropy(), output]
    assert [symbol.shape for symbol in symbols[1:4]] == [(None, 10, 3), (None, 10), (None, 10)]
    drawn, mean, log_prob, entropy, distribution = keras.Model(inputs, symbols)(LOC)
    assert tuple(drawn.shape) == (8, 10, 3)
    assert tuple(log_prob.shape) == tuple(entropy.shape) == (8, 10)
    np.testing.assert_allclose(to_numpy(mean), LOC)
    assert isinstance(distribution, NativeDistribution)


def test_in_the_loss():
    loc, scale = keras.ops.convert_to_tensor(LOC), keras.ops.convert_to_tensor(SCALE)
    ours = to_numpy(NegativeLogLikelihood()(Y, Independent(Normal(LOC, SCALE), 1)))
    np.testing.assert_allclose(
        to_numpy(NegativeLogLikelihood()(Y, native_normal(loc, scale))), ours, rtol=1e-5
    )
    y = Y.copy()
    y[0, 0, 0] = np.nan
    loss = NegativeLogLikelihood(missing="mask")
    assert np.isfinite(to_numpy(loss(y, native_normal(loc, scale))))


def test_unknown_length():
    inputs = keras.Input((None, 5))
    output = TimeDistributed(UsersLayer())(inputs)
    assert (output.batch_shape, output.event_shape) == ((None, None), (3,))
    model = keras.Model(inputs, output)
    model.compile("sgd", NegativeLogLikelihood(), **QUICK)
    model.fit(X, Y, verbose=0)
    for length in (10, 4):
        distribution = model(X[:, :length])
        assert distribution.batch_shape == (8, length)
        assert tuple(distribution.log_prob(Y[:, :length]).shape) == (8, length)
        assert tuple(distribution.log_prob(0.0).shape) == (8, length)
        assert tuple(distribution.sample(2).shape) == (2, 8, length, 3)


def test_predict_is_refused():
    inputs = keras.Input((10, 5))
    model = keras.Model(inputs, TimeDistributed(UsersLayer())(inputs), name="native")
    with pytest.raises(
        TypeError, match=r"(?s)'native'.*native distribution.*timedist.distributions"
    ):
        timedist.predict(model, X, verbose=0)


def test_a_subclass_of_a_librarys_distribution_counts_as_the_librarys():
    parent = type(_native_normal())
    child = type("Mine", (parent,), {"__module__": "mine"})
    assert compat.native_library(child(0.0, 1.0)) == parent.__module__.partition(".")[0]


def _native_normal():
    if keras.backend.backend() == "jax":
        from numpyro.distributions import Normal
    elif keras.backend.backend() == "tensorflow":
        from tensorflow_probability.python.distributions import Normal
    else:
        from torch.distributions import Normal
    return Normal(0.0, 1.0)
