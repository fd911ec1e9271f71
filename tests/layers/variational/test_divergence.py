"""The divergence of weights counts once for a data set, whatever batch, padding and wrapper."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, to_numpy
from keras import ops
from models import QUICK

from timedist.distributions import Independent, Normal
from timedist.layers import (
    DenseLocalReparameterization,
    DenseReparameterization,
    DistributionLambda,
    TimeDistributed,
)
from timedist.layers.variational.divergence import number_of_examples
from timedist.losses import NegativeLogLikelihood

RNG = np.random.default_rng(0)
N, T, F, SIGMA = 64, 5, 3, 0.7
X = RNG.normal(size=(N, T, F)).astype("float32")
Y = (X @ np.array([[0.5], [-1.0], [0.2]]) + SIGMA * RNG.normal(size=(N, T, 1))).astype("float32")
LENGTHS = RNG.integers(1, T + 1, size=N)
SCALE_RAW = -1.5


def expected_loss(x, y, there, loc, scale):
    """-ELBO / N in nats for each sequence, in closed form."""
    x, y, loc, scale = (a.astype("float64") for a in (x, y, loc, scale))
    squares = (y - x @ loc) ** 2 + x**2 @ scale**2
    steps = 0.5 * np.log(2 * np.pi * SIGMA**2) + squares[..., 0] / (2 * SIGMA**2)
    return (steps * there).sum() / len(x) + normal_kl(loc, scale) / N


def normal_kl(loc, scale):
    """From a standard normal."""
    return (0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale)).sum()


def likelihood(mean):
    """The distribution of the targets."""
    return Independent(Normal(mean, SIGMA))


def linear_model(layer, masked=False, wrapped=False):
    """A linear-Gaussian model with uncertain weights, which has seen its training set."""
    model = keras.Sequential(
        [
            *([keras.layers.Masking()] if masked else []),
            TimeDistributed(layer) if wrapped else layer,
            DistributionLambda(likelihood),
        ]
    )
    loss = NegativeLogLikelihood(reduction="mean_over_sequences")
    model.compile(keras.optimizers.SGD(0.0), loss, **QUICK)
    model.fit(X, Y, batch_size=N, verbose=0)
    return model


def weights(layer):
    """Location and scale of the kernel."""
    posterior = layer._distribution("kernel", "posterior")
    return to_numpy(posterior.mean()), to_numpy(posterior.stddev())


def linear_layer(kind=DenseReparameterization, **options):
    """A layer with a wide posterior."""
    raw = keras.initializers.RandomNormal(SCALE_RAW, 0.1, seed=1)
    from timedist.layers import default_mean_field_normal_fn

    make = default_mean_field_normal_fn(
        loc_initializer=keras.initializers.RandomNormal(0.0, 0.5, seed=2),
        untransformed_scale_initializer=raw,
    )
    return kind(1, kernel_posterior_fn=make, bias_posterior_fn=None, seed=3, **options)


def padded():
    """Sequences of different lengths, and what counts of them."""
    there = np.arange(T) < LENGTHS[:, None]
    return np.where(there[..., None], X, 0.0).astype("float32"), there


@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_the_elbo_of_a_linear_gaussian_model_is_its_closed_form(batch_size):
    layer = linear_layer(DenseLocalReparameterization)
    model = linear_model(layer)
    options = {"batch_size": batch_size, "verbose": 0}
    draws = np.array([model.evaluate(X, Y, **options) for _ in range(12)])
    exact = expected_loss(X, Y, np.ones((N, T)), *weights(layer))
    # The noise of a draw is bounded by that of its 64 * 5 independent steps.
    assert abs(draws.mean() - exact) < 4 * draws.std(ddof=1) / len(draws) ** 0.5, (draws, exact)
    assert draws.std() < 0.05 * exact


@pytest.mark.parametrize("case", ["plain", "padded", "wrapped", "padded and wrapped"])
def test_the_loss_does_not_move_with_batch_padding_or_wrapper(case):
    layer = linear_layer(kernel_posterior_tensor_fn="mean")
    model = linear_model(layer, "padded" in case, "wrapped" in case)
    x, there = padded() if "padded" in case else (X, np.ones((N, T)))
    loc, scale = weights(layer)
    exact = expected_loss(x, Y, there, loc, 0.0 * scale + 1e-30)
    exact += (normal_kl(loc, scale) - normal_kl(loc, 0.0 * scale + 1e-30)) / N
    for batch_size in (1, 8, 64):
        loss = model.evaluate(x, Y, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(loss, exact, 1e-5)


def test_one_draw_for_a_batch_is_unbiased_too():
    layer = linear_layer()
    model = linear_model(layer)
    draws = np.array([model.evaluate(X, Y, batch_size=N, verbose=0) for _ in range(60)])
    exact = expected_loss(X, Y, np.ones((N, T)), *weights(layer))
    assert abs(draws.mean() - exact) < 4 * draws.std(ddof=1) / len(draws) ** 0.5


def test_the_number_of_sequences_is_that_of_the_latest_fit():
    layer = linear_layer()
    model = linear_model(layer)
    assert float(to_numpy(layer.number_of_sequences)) == N
    model.fit(X[:10], Y[:10], validation_data=(X, Y), verbose=0)
    assert float(to_numpy(layer.number_of_sequences)) == 10
    model.evaluate(X, Y, verbose=0)
    assert float(to_numpy(layer.number_of_sequences)) == 10
    model.fit(X, Y, validation_split=0.25, verbose=0)
    assert float(to_numpy(layer.number_of_sequences)) == 48


def test_a_saved_model_remembers_it(tmp_path):
    layer = linear_layer(kernel_posterior_tensor_fn="mean")
    inputs = keras.Input((None, F))
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse", **QUICK)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0), 1e-5
    )
    assert loaded.evaluate(X, Y, verbose=0) > float(np.mean((to_numpy(loaded(X)) - Y) ** 2)) + 0.01


def test_where_it_is_not_known_training_is_refused():
    def made():
        model = keras.Sequential([linear_layer(), DistributionLambda(likelihood)])
        model.compile("sgd", NegativeLogLikelihood(), **QUICK)
        return model

    message = r"must know the number N of training sequences.*Give it `kl_weight=1 / N`"
    with pytest.raises(ValueError, match=message):
        made().train_on_batch(X, Y)
    with pytest.raises(ValueError, match=message):
        made().fit(((X[i : i + 8], Y[i : i + 8]) for i in range(0, N, 8)), verbose=0)
    model = made()
    model(X)
    with pytest.raises(ValueError, match=message):
        model.evaluate(X, Y, verbose=0)


def test_a_given_weight_is_taken_as_it_is():
    layer = linear_layer(kl_weight=0.25)
    layer(X)
    loc, scale = weights(layer)
    np.testing.assert_allclose(float(layer.losses[0]), 0.25 * normal_kl(loc, scale), 1e-5)
    with pytest.raises(ValueError, match="kl_weight must not be negative, got -1"):
        linear_layer(kl_weight=-1.0)


def test_a_divergence_of_ones_own_has_its_own_weight():
    def half(posterior, prior, drawn):
        return 0.5 * posterior.kl_divergence(prior)

    layer = linear_layer(kernel_divergence_fn=half)
    layer(X)
    np.testing.assert_allclose(float(layer.losses[0]), 0.5 * normal_kl(*weights(layer)), 1e-5)


def test_number_of_examples():
    assert number_of_examples(X) == N
    assert number_of_examples({"a": [X[:7], Y[:7]]}) == 7
    assert number_of_examples(ops.convert_to_tensor(X)) == N
    assert number_of_examples(iter([X])) is None
    assert number_of_examples(None) is None


@pytest.mark.skipif(BACKEND != "torch", reason="the loader of torch")
def test_number_of_examples_of_a_loader():
    import torch

    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    assert number_of_examples(torch.utils.data.DataLoader(data, batch_size=7)) == N


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the data sets of TensorFlow")
def test_number_of_examples_of_a_tensorflow_data_set():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y))
    assert number_of_examples(data.batch(8, drop_remainder=True)) == N
    assert number_of_examples(data.batch(7)) is None
    assert number_of_examples(data.batch(8, drop_remainder=True).repeat()) is None
