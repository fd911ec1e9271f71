"""Divergences of a layer's output from a prior: for each sequence, once, masked steps left out."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy
from keras import ops
from models import QUICK

from timedist.distributions import (
    Gamma,
    Independent,
    MultivariateNormalDiag,
    MultivariateNormalTriL,
    Normal,
    Poisson,
)
from timedist.layers import (
    IndependentNormal,
    KLDivergenceAddLoss,
    KLDivergenceRegularizer,
    Statistic,
    TimeDistributed,
)
from timedist.layers import MultivariateNormalTriL as TriLHead

RNG = np.random.default_rng(0)
B, T, D = 12, 5, 2
X = RNG.normal(size=(B, T, 4)).astype("float32")
LENGTHS = RNG.integers(1, T + 1, size=B)
THERE = np.arange(T) < LENGTHS[:, None]


def prior():
    """A standard normal vector."""
    return Independent(Normal(np.zeros(D, "float32"), 1.0))


@pytest.mark.parametrize("way", ["layer", "regularizer"])
def test_conformance(way, tmp_path):
    if way == "layer":
        check_layer(
            lambda: KLDivergenceAddLoss(prior()), tmp_path, 2 * D, (lambda: IndependentNormal(D),)
        )
    else:
        penalty = KLDivergenceRegularizer(prior())
        check_layer(lambda: IndependentNormal(D, activity_regularizer=penalty), tmp_path, 2 * D)


def encoder(way, masked=False, wrapped=False):
    """A model that ends in the mean of a penalised distribution."""
    inputs = keras.Input((None, 4))
    hidden = keras.layers.Masking()(inputs) if masked else inputs
    hidden = keras.layers.Dense(2 * D, kernel_initializer=keras.initializers.RandomNormal(seed=1))(
        hidden
    )
    if way == "regularizer":
        head = IndependentNormal(D, activity_regularizer=KLDivergenceRegularizer(prior()))
        posterior = (TimeDistributed(head) if wrapped else head)(hidden)
    else:
        posterior = KLDivergenceAddLoss(prior())(IndependentNormal(D)(hidden))
    return keras.Model(inputs, Statistic("mean")(posterior))


def divergence(model, x):
    """The divergence of every step by the exact formula."""
    dense = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    d = IndependentNormal(D)(ops.convert_to_tensor(x @ dense.get_weights()[0]))
    loc, scale = to_numpy(d.mean()).astype("float64"), to_numpy(d.stddev()).astype("float64")
    return (0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale)).sum(-1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("way", ["regularizer", "layer", "wrapped regularizer"])
def test_it_is_that_of_a_sequence_whatever_the_batch(way, masked):
    x = np.where(THERE[..., None], X, 0.0).astype("float32") if masked else X
    model = encoder(way.split()[-1], masked, "wrapped" in way)
    model.compile("sgd", lambda y, mean: 0.0 * ops.sum(mean), **QUICK)
    there = THERE if masked else np.ones((B, T), bool)
    exact = (divergence(model, x) * there).sum() / B
    for batch_size in (1, 3, B):
        loss = model.evaluate(x, np.zeros((B, T, D)), batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(loss, exact, 1e-5)


def test_an_estimate_has_the_mean_of_the_exact_divergence():
    raw = ops.convert_to_tensor(np.repeat(RNG.normal(size=(1, 2 * D)), 4000, axis=0), "float32")
    posterior = IndependentNormal(D)(raw)
    exact = float(to_numpy(KLDivergenceRegularizer(prior())(posterior)))
    draws = posterior.sample(seed=0)
    spread = np.std(to_numpy(posterior.log_prob(draws) - prior().log_prob(draws)))
    layer = KLDivergenceAddLoss(prior(), use_exact_kl=False)
    layer(posterior)
    many = KLDivergenceRegularizer(
        prior(), use_exact_kl=False, test_points_fn=lambda d: d.sample(3, seed=2)
    )
    estimates = (
        KLDivergenceRegularizer(prior(), use_exact_kl=False)(posterior),
        many(posterior),
        layer.losses[0],
    )
    for estimate in estimates:
        assert abs(float(to_numpy(estimate)) - exact) < 5 * spread / 4000**0.5


def test_any_normal_vector_has_an_exact_divergence_from_any_other():
    raw = ops.convert_to_tensor(RNG.normal(size=(3, 5)), "float32")
    posterior = TriLHead(2)(raw)
    loc, scale = np.array([0.1, -0.2], "float32"), np.array([1.0, 2.0], "float32")
    factor = np.diag(scale)
    found = [
        to_numpy(posterior.kl_divergence(other))
        for other in (
            MultivariateNormalTriL(loc, factor),
            MultivariateNormalDiag(loc, scale),
            Independent(Normal(loc, scale)),
        )
    ]
    np.testing.assert_allclose(found[1], found[0], 1e-5)
    np.testing.assert_allclose(found[2], found[0], 1e-5)
    backwards = to_numpy(Independent(Normal(loc, scale)).kl_divergence(posterior))
    expected = to_numpy(MultivariateNormalTriL(loc, factor).kl_divergence(posterior))
    np.testing.assert_allclose(backwards, expected, 1e-5)


def test_weight_and_a_prior_made_at_every_call():
    layer = KLDivergenceAddLoss(prior, weight=0.5)
    posterior = Independent(Normal(np.ones((B, T, D), "float32"), 1.0))
    layer(posterior)
    np.testing.assert_allclose(float(to_numpy(layer.losses[0])), 0.5 * T * 0.5 * D, 1e-5)


def test_saving(tmp_path):
    for way in ("regularizer", "layer"):
        model = encoder(way)
        model.compile("sgd", "mse", **QUICK)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        y = np.zeros((B, T, D), "float32")
        mine, its = (m.evaluate(X, y, verbose=0) for m in (model, loaded))
        np.testing.assert_allclose(its, mine, 1e-5)


def test_what_has_no_exact_divergence_says_so():
    penalty = KLDivergenceRegularizer(Gamma(2.0, 1.0))
    with pytest.raises(NotImplementedError, match="no exact method is known"):
        penalty(Poisson(np.ones(3, "float32")))
    with pytest.raises(ValueError, match="leave test_points_reduce_axis out, got 0"):
        KLDivergenceRegularizer(prior(), test_points_reduce_axis=0)
    with pytest.raises(TypeError, match="takes a distribution"):
        KLDivergenceAddLoss(prior())(X)
