"""Dense layers with a posterior: moments of outputs, divergences, and what every layer does."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy
from keras import ops

from timedist.distributions import (
    Independent,
    MultivariateNormalTriL,
    Normal,
)
from timedist.layers import (
    DenseFlipout,
    DenseLocalReparameterization,
    DenseReparameterization,
    DenseVariational,
    DistributionLambda,
    VariableLayer,
)

KINDS = (DenseReparameterization, DenseLocalReparameterization, DenseFlipout)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6, 3)).astype("float32")


@keras.saving.register_keras_serializable("test_dense")
def trainable(kernel_size, bias_size, dtype):
    """A mean-field posterior as in TFP's tutorials."""
    n = kernel_size + bias_size
    unit = DistributionLambda(mean_field)
    return keras.Sequential([VariableLayer(2 * n, dtype=dtype, initializer="normal"), unit])


@keras.saving.register_keras_serializable("test_dense")
def mean_field(t):
    """Means and raw deviations side by side."""
    loc, raw = ops.split(t, 2, axis=-1)
    return Independent(Normal(loc, 1e-5 + 0.1 * ops.softplus(raw)))


@keras.saving.register_keras_serializable("test_dense")
def standard(kernel_size, bias_size, dtype):
    """A fixed prior, made by a function of the input instead of a layer."""
    zeros = np.zeros(kernel_size + bias_size, dtype)
    return lambda _: Independent(Normal(ops.convert_to_tensor(zeros), 1.0))


@pytest.mark.parametrize("kind", KINDS)
def test_conformance(kind, tmp_path):
    check_layer(lambda: kind(2, activation="tanh", kl_weight=0.01, seed=1), tmp_path, 3)


@pytest.mark.parametrize("exact", [False, True])
def test_conformance_of_the_variational_one(exact, tmp_path):
    def make():
        return DenseVariational(2, trainable, standard, 0.01, exact, seed=1, name="dense")

    check_layer(make, tmp_path, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_of_the_outputs(kind):
    layer = kind(2, kl_weight=1.0, seed=1)
    number = 600
    x = ops.convert_to_tensor(X[:, 0])
    draws = np.stack([to_numpy(layer(x)) for _ in range(number)])
    posterior = layer._distribution("kernel", "posterior")
    loc, scale = to_numpy(posterior.mean()), to_numpy(posterior.stddev())
    bias = to_numpy(layer._distribution("bias", "posterior").mean())
    variance = X[:, 0] ** 2 @ scale**2
    error = np.sqrt(variance / number)
    assert np.all(np.abs(draws.mean(0) - X[:, 0] @ loc - bias) < 5 * error)
    # The variance of a variance of normal draws is 2 variance^2 / number.
    assert np.all(np.abs(draws.var(0) - variance) < 5 * variance * np.sqrt(2 / number))
    covariance = np.mean((draws - draws.mean(0))[:, 0] * (draws - draws.mean(0))[:, 1], axis=0)
    shared = (X[0, 0] * X[1, 0]) @ scale**2 if kind is DenseReparameterization else 0.0
    spread = np.sqrt(variance[0] * variance[1] * 2 / number)
    assert np.all(np.abs(covariance - shared) < 5 * spread)


@pytest.mark.parametrize("kind", KINDS)
def test_the_divergence_is_its_closed_form(kind):
    layer = kind(2, kl_weight=1.0)
    layer(X)
    posterior = layer._distribution("kernel", "posterior")
    loc, scale = (to_numpy(p).astype("float64") for p in (posterior.mean(), posterior.stddev()))
    exact = (0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale)).sum()
    assert len(layer.losses) == 1
    np.testing.assert_allclose(float(layer.losses[0]), exact, 1e-5)


def test_flipout_shares_the_draw_over_the_steps_of_a_sequence():
    layer = DenseFlipout(2, kl_weight=1.0, bias_posterior_fn=None)
    outputs = to_numpy(layer(np.ones((20, 6, 3), "float32")))
    np.testing.assert_allclose(outputs, outputs[:, :1] + np.zeros((1, 6, 1)), rtol=1e-5, atol=1e-6)
    assert np.abs(outputs - outputs[:1]).max() > 0.0


def test_gradients_reach_the_posterior_and_an_input_of_zeros_has_finite_ones():
    for kind in KINDS:
        model = keras.Sequential([kind(1, kl_weight=0.0)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.build((None, 3))
        before = [w.copy() for w in model.get_weights()]
        model.fit(np.zeros((4, 3), "float32"), np.ones((4, 1), "float32"), verbose=0)
        assert all(np.isfinite(w).all() for w in model.get_weights())
        model.fit(X[:, 0], np.ones((4, 1), "float32"), verbose=0)
        moved = [np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True)]
        assert min(moved[:3]) > 0.0, (kind, moved)


def test_posteriors_that_do_not_fit():
    def vector(dtype, shape, name, trainable, add_variable_fn):
        return Independent(Normal(np.zeros(3, "float32"), 1.0))

    with pytest.raises(ValueError, match=r"kernel_posterior_fn must return .* shape \(3, 2\)"):
        DenseReparameterization(2, kernel_posterior_fn=vector)(X)

    def matrix(dtype, shape, name, trainable, add_variable_fn):
        flat = np.zeros(shape, "float32")
        rows = MultivariateNormalTriL(flat, np.eye(shape[-1], dtype="float32"))
        return Independent(rows, 1)

    layer = DenseReparameterization(2, kernel_posterior_fn=matrix, kernel_prior_fn=None)
    assert tuple(layer(X).shape) == (4, 6, 2)
    for kind in (DenseLocalReparameterization, DenseFlipout):
        with pytest.raises(ValueError, match="needs a posterior of independent normal weights"):
            kind(2, kernel_posterior_fn=matrix)(X)
    with pytest.raises(ValueError, match=r"posterior_tensor_fn must be one of .*got 'median'"):
        DenseFlipout(2, kernel_posterior_tensor_fn="median")
    with pytest.raises(ValueError, match="units must be a positive int, got 0"):
        DenseFlipout(0)


def test_the_variational_layer_says_what_its_functions_must_give():
    def too_short(kernel_size, bias_size, dtype):
        return lambda _: Independent(Normal(np.zeros(3, "float32"), 1.0))

    with pytest.raises(ValueError, match=r"make_posterior_fn .* vectors of 8 numbers"):
        DenseVariational(2, too_short, standard)(X)


def test_the_variational_layer_estimates_the_divergence_without_bias():
    layer = DenseVariational(2, trainable, standard, 1.0, use_bias=False, seed=1)
    exact = DenseVariational(2, trainable, standard, 1.0, True, use_bias=False, seed=1)
    for made in (layer, exact):
        made.build((None, 3))
    exact.set_weights(layer.get_weights())
    estimates = []
    for _ in range(200):
        layer(X)
        estimates.append(float(layer.losses[0]))
    exact(X)
    error = np.std(estimates) / len(estimates) ** 0.5
    assert abs(np.mean(estimates) - float(exact.losses[0])) < 5 * error
