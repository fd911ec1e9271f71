"""Distributions in functional graphs."""

import json

import keras
import numpy as np
import pytest
from helpers import to_numpy
from keras import ops

from timedist.layers import IndependentNormal, MixtureNormal, SymbolicDistribution
from timedist.layers.symbolic import BatchSlice, infer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 6)).astype("float32")
Y = RNG.normal(size=(4, 5, 3)).astype("float32")
METHODS = ("log_prob", "prob", "cdf", "log_cdf", "survival_function")


def symbolic(head=None):
    """An input and the symbolic distribution made from it."""
    inputs = keras.Input((None, 6))
    return inputs, (head or IndependentNormal(3))(inputs)


def test_shape_dtype_and_repr():
    _, d = symbolic()
    assert isinstance(d, keras.KerasTensor)
    assert (d.shape, d.dtype) == ((None, None, 3), "float32")
    assert (d.batch_shape, d.event_shape) == ((None, None), (3,))
    assert "Independent(Normal)(batch_shape=(None, None), event_shape=(3,)" in repr(d)


def test_statistics_are_those_of_the_value(tmp_path):
    inputs, d = symbolic()
    names = ["mean", "mode", "median", "variance", "stddev", "entropy"]
    outputs = [getattr(d, name)() for name in names]
    outputs += [d.quantile(0.9), *d.interval(0.9)]
    model = keras.Model(inputs, outputs)
    real = IndependentNormal(3)(X)
    expected = [getattr(real, name)() for name in names] + [real.quantile(0.9), *real.interval(0.9)]
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for symbol, mine, loads, true in zip(outputs, model(X), loaded(X), expected, strict=True):
        assert len(symbol.shape) == len(mine.shape)
        np.testing.assert_allclose(to_numpy(mine), to_numpy(true), rtol=1e-6)
        np.testing.assert_allclose(to_numpy(loads), to_numpy(true), rtol=1e-6)


def test_methods_of_a_symbolic_value(tmp_path):
    inputs, d = symbolic()
    y = keras.Input((None, 3))
    outputs = [getattr(d, name)(y) for name in METHODS]
    assert all(len(o.shape) == 2 for o in outputs)
    model = keras.Model([inputs, y], outputs)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    real = IndependentNormal(3)(X)
    for name, mine, loads in zip(METHODS, model([X, Y]), loaded([X, Y]), strict=True):
        expected = to_numpy(getattr(real, name)(Y))
        np.testing.assert_allclose(to_numpy(mine), expected, rtol=1e-5)
        np.testing.assert_allclose(to_numpy(loads), expected, rtol=1e-5)


def test_methods_of_a_plain_value():
    inputs, d = symbolic()
    model = keras.Model(inputs, [d.log_prob(Y[0, 0]), d.cdf(0.5)])
    real = IndependentNormal(3)(X)
    log_prob, cdf = model(X)
    np.testing.assert_allclose(to_numpy(log_prob), to_numpy(real.log_prob(Y[0, 0])), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(cdf), to_numpy(real.cdf(0.5)), rtol=1e-5)


@pytest.mark.parametrize(
    "index", [np.s_[:, -1], np.s_[:, 1:4], np.s_[..., 0], np.s_[:, ::2], np.s_[1:]], ids=str
)
def test_slices(index, tmp_path):
    inputs, d = symbolic()
    part = d[index]
    assert isinstance(part, SymbolicDistribution)
    model = keras.Model(inputs, part)
    real = IndependentNormal(3)(X)[index]
    assert model(X).batch_shape == real.batch_shape
    assert len(part.batch_shape) == len(real.batch_shape)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(to_numpy(loaded(X).mean()), to_numpy(real.mean()), rtol=1e-6)


def test_slice_config_is_json():
    layer = BatchSlice((slice(1, None, 2), Ellipsis, 0))
    again = BatchSlice.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.index == (slice(1, None, 2), Ellipsis, 0)


def test_sample_of_a_mixture():
    inputs, d = symbolic(MixtureNormal(2, 1))
    drawn = d.sample((7,), seed=1)
    assert drawn.shape == (7, None, None, 1)
    assert keras.Model(inputs, drawn)(X).shape == (7, 4, 5, 1)


def test_sample_inserts_a_layer_and_survives_cloning():
    inputs, d = symbolic()
    model = keras.Model(inputs, keras.layers.Dense(2)(d.sample(seed=3)))
    assert any(type(layer).__name__ == "Sample" for layer in model.layers)
    assert keras.models.clone_model(model)(X).shape == (4, 5, 2)


def test_latent_gradients_by_hand():
    """d loss / d encoder of `Dense(decode(sample))`, written out in NumPy."""
    inputs = keras.Input((5, 6))
    encoder, decoder = keras.layers.Dense(4, name="encoder"), keras.layers.Dense(3, name="decoder")
    posterior = IndependentNormal(2)(encoder(inputs))
    z = posterior.sample(seed=7)
    model = keras.Model(inputs, decoder(z))
    generator = next(
        layer for layer in model.layers if hasattr(layer, "seed_generator")
    ).seed_generator
    start = to_numpy(generator.state.value).copy()
    latent, loc, scale = (
        to_numpy(t) for t in keras.Model(inputs, [z, posterior.mean(), posterior.stddev()])(X)
    )
    generator.state.assign(start)

    kernel, weights = (to_numpy(layer.kernel.value).copy() for layer in (encoder, decoder))
    raw = (X @ kernel + to_numpy(encoder.bias.value))[..., 2:]
    error = latent @ weights + to_numpy(decoder.bias.value) - Y
    to_latent = 2.0 * error @ weights.T / error.size
    to_raw = to_latent * (latent - loc) / scale / (1.0 + np.exp(-raw))
    expected = np.einsum("bti,btj->ij", X, np.concatenate([to_latent, to_raw], -1))

    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(X, Y)
    np.testing.assert_allclose(
        kernel - to_numpy(encoder.kernel.value), expected, rtol=1e-3, atol=1e-6
    )


def test_infer_keeps_what_is_neither_tensor_nor_distribution():
    result = infer(lambda x: {"x": ops.exp(x), "n": 3}, keras.KerasTensor((None, 2)))
    assert result["n"] == 3
    assert result["x"].shape == (None, 2)
