"""Distributions through stock Keras: every kind of model, every way to compile it."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, to_numpy
from keras import ops
from models import KINDS, QUICK, X, Y, functional, sequential, two_outputs

import timedist
from timedist.distributions import Distribution, Independent, Normal
from timedist.layers import DistributionLayer, IndependentNormal, Sample
from timedist.losses import NegativeLogLikelihood

WAYS = [{"jit_compile": False}, {"run_eagerly": True}]
if BACKEND == "jax":
    WAYS = [{"jit_compile": True}, {"jit_compile": False}]
if BACKEND == "tensorflow":
    WAYS += [{"jit_compile": True}]
if BACKEND != "torch":
    WAYS += [{"steps_per_execution": 2}]


def compiled(make, **way):
    """A model compiled with the loss."""
    model = make()
    model.compile(keras.optimizers.Adam(0.01), NegativeLogLikelihood(), metrics=["mae"], **way)
    return model


def check_evaluation(model):
    """`evaluate`, `predict` and `timedist.predict` against the model's own output."""
    loss, mae = model.evaluate(X, Y, verbose=0, batch_size=16)
    distribution, mean = model(X), model.predict(X, verbose=0, batch_size=16)
    assert isinstance(mean, np.ndarray)
    assert mean.shape == (48, 10, 3)
    np.testing.assert_allclose(mean, to_numpy(distribution.mean()), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss, -to_numpy(distribution.log_prob(Y)).mean(), rtol=1e-4)
    np.testing.assert_allclose(mae, np.abs(mean - Y).mean(), rtol=1e-4)
    predicted = timedist.predict(model, X, batch_size=16, verbose=0)
    assert (predicted.batch_shape, predicted.event_shape) == ((48, 10), (3,))
    for mine, its in zip(predicted.leaves(), distribution.leaves(), strict=True):
        np.testing.assert_allclose(mine, to_numpy(its), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("make", KINDS, ids=lambda f: f.__name__)
def test_fit_evaluate_predict(make, way):
    model = compiled(make, **way)
    history = model.fit(X, Y, epochs=2, batch_size=16, verbose=0, validation_data=(X, Y)).history
    assert set(history) == {"loss", "mae", "val_loss", "val_mae"}
    assert history["loss"][1] < history["loss"][0]
    if way != {"run_eagerly": True} or BACKEND != "jax":
        check_evaluation(model)


@pytest.mark.skipif(BACKEND != "jax", reason="the other backends run eagerly above")
def test_run_eagerly_on_jax():
    model = compiled(functional, run_eagerly=True)
    assert np.isfinite(model.fit(X[:8], Y[:8], verbose=0).history["loss"][0])


def test_batch_methods():
    model = compiled(functional, **QUICK)
    loss, _ = model.train_on_batch(X, Y)
    again, _ = model.test_on_batch(X, Y)
    assert again < loss
    mean = model.predict_on_batch(X)
    np.testing.assert_allclose(np.asarray(mean), to_numpy(model(X).mean()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", KINDS, ids=lambda f: f.__name__)
def test_save_and_load_in_safe_mode(make, tmp_path):
    model = compiled(make, **QUICK)
    model.fit(X, Y, verbose=0)
    timedist.predict(model, X, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_allclose(to_numpy(loaded(X).mean()), to_numpy(model(X).mean()), rtol=1e-6)
    assert isinstance(loaded.loss, NegativeLogLikelihood)
    mine, its = model.evaluate(X, Y, verbose=0), loaded.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(mine, its, rtol=1e-5)


@pytest.mark.parametrize("make", [functional, sequential], ids=lambda f: f.__name__)
def test_clone(make):
    model = make()
    expected = to_numpy(model(X).mean())
    clone = keras.models.clone_model(model)
    clone.build(X.shape)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(to_numpy(clone(X).mean()), expected, rtol=1e-6)


@pytest.mark.parametrize("as_dict", [False, True], ids=["list", "dict"])
def test_one_distribution_and_one_plain_output(as_dict, tmp_path):
    model, plain = two_outputs(as_dict), Y[..., :1]
    if as_dict:
        y, losses = {"dist": Y, "plain": plain}, {"dist": NegativeLogLikelihood(), "plain": "mse"}
        metrics = {"dist": ["mae"], "plain": ["mae"]}
    else:
        y, losses, metrics = [Y, plain], [NegativeLogLikelihood(), "mse"], [["mae"], ["mae"]]
    model.compile("adam", losses, metrics=metrics)
    history = model.fit(X, y, verbose=0, epochs=2).history
    assert history["loss"][1] < history["loss"][0]
    assert {"dist_mae", "plain_mae"} <= set(history)
    predicted = timedist.predict(model, X, verbose=0)
    means = model.predict(X, verbose=0)
    first, second = ("dist", "plain") if as_dict else (0, 1)
    assert predicted[first].batch_shape == (48, 10)
    np.testing.assert_allclose(np.asarray(predicted[first]), means[first], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(predicted[second], means[second], rtol=1e-5, atol=1e-5)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        to_numpy(loaded(X)[first].mean()), to_numpy(model(X)[first].mean()), rtol=1e-6
    )


@pytest.mark.parametrize("make", KINDS, ids=lambda f: f.__name__)
def test_mixed_bfloat16(make):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = compiled(make)
        history = model.fit(X, Y, epochs=3, batch_size=16, verbose=0).history
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert history["loss"][-1] < history["loss"][0]
    assert model(X).dtype == "float32"
    assert model.predict(X, verbose=0).dtype == "float32"


def test_mixed_bfloat16_with_a_latent_sample():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((10, 5))
        latent = IndependentNormal(4)(keras.layers.Dense(8)(inputs)).sample(seed=1)
        model = keras.Model(inputs, IndependentNormal(3)(keras.layers.Dense(6)(latent)))
        model.compile("adam", NegativeLogLikelihood())
        assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])
    finally:
        keras.mixed_precision.set_global_policy("float32")


class Counted(DistributionLayer):
    """A head that counts how often Python runs it."""

    calls = 0

    def call(self, inputs):
        type(self).calls += 1
        return Independent(Normal.trusted(loc=inputs, scale=ops.ones_like(inputs)), 1)


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs Python at every step")
def test_training_and_prediction_compile_once():
    inputs = keras.Input((10, 5))
    model = keras.Model(inputs, Counted()(keras.layers.Dense(3)(inputs)))
    model.compile("sgd", NegativeLogLikelihood(), metrics=["mae"])
    model.fit(X, Y, batch_size=16, verbose=0)
    timedist.predict(model, X, batch_size=16, verbose=0)
    traced = Counted.calls
    model.fit(X, Y, batch_size=16, epochs=3, verbose=0)
    timedist.predict(model, X, batch_size=16, verbose=0)
    assert Counted.calls == traced


class Batches(keras.utils.PyDataset):
    """Batches of 16 as a `PyDataset`."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[16 * i : 16 * (i + 1)], Y[16 * i : 16 * (i + 1)]


def test_other_data_sources():
    model = compiled(functional, **QUICK)
    assert np.isfinite(model.fit(Batches(), verbose=0).history["loss"][0])

    def generate():
        while True:
            yield X[:16], Y[:16]

    assert np.isfinite(model.fit(generate(), steps_per_epoch=2, verbose=0).history["loss"][0])
    native = native_dataset()
    np.testing.assert_allclose(
        model.evaluate(native, verbose=0), model.evaluate(X, Y, batch_size=16, verbose=0), rtol=1e-5
    )


def native_dataset():
    """A `DataLoader` on torch, a `tf.data.Dataset` on TensorFlow, arrays in batches on JAX."""
    if BACKEND == "torch":
        import torch

        pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
        return torch.utils.data.DataLoader(pairs, batch_size=16)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    return Batches()


def test_summary_and_weighted_metrics():
    model = functional()
    lines = []
    model.summary(print_fn=lines.append)
    assert "IndependentNormal" in "".join(lines)
    model.compile("sgd", NegativeLogLikelihood(), weighted_metrics=["mae"])
    weight = np.zeros((48, 10), "float32")
    weight[:, :4] = 1.0
    _, mae = model.evaluate(X, Y, sample_weight=weight, verbose=0)
    mean = model.predict(X, verbose=0)
    np.testing.assert_allclose(mae, np.abs(mean - Y)[:, :4].mean(), rtol=1e-4)


def test_a_model_inside_a_model():
    inner, inputs = functional(), keras.Input((None, 5))
    model = keras.Model(inputs, Sample()(inner(inputs)))
    assert model(X).shape == (48, 10, 3)
    assert isinstance(keras.Model(inputs, inner(inputs))(X), Distribution)


def test_early_stopping_restores_and_checkpoints(tmp_path):
    model = compiled(functional, **QUICK)
    callbacks = [
        keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.keras", monitor="loss", save_best_only=True
        ),
    ]
    model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks)
    loaded = keras.models.load_model(tmp_path / "best.keras")
    np.testing.assert_allclose(to_numpy(loaded(X).mean()), to_numpy(model(X).mean()), rtol=1e-5)
