"""The heads with a flow at every step."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import compiled, gradient, to_numpy
from keras import ops
from models import QUICK

from timedist import distributions as td
from timedist import layers, losses, predict
from timedist.distributions.base import DistributionTypeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5, 4)).astype("float32")
Y = RNG.normal(size=(6, 5, 3)).astype("float32")
KINDS = {
    "maf": lambda **options: layers.MaskedAutoregressiveFlow(3, 2, [8], "tanh", **options),
    "nvp": lambda **options: layers.RealNVP(3, 2, [8], "tanh", **options),
}
per_kind = pytest.mark.parametrize("kind", KINDS)


def shaken(layer, size=0.3):
    """The layer with random weights."""
    layer(X)
    rng = np.random.default_rng(1)
    layer.set_weights([w + size * rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer


@per_kind
def test_they_conform(kind, tmp_path):
    check_layer(KINDS[kind], tmp_path, 4)


@per_kind
def test_a_fresh_head_is_standard_normal(kind):
    d = KINDS[kind]()(X)
    normal = td.MultivariateNormalDiag(np.zeros(3, "float32"), np.ones(3, "float32"))
    np.testing.assert_allclose(to_numpy(d.log_prob(Y)), to_numpy(normal.log_prob(Y)), rtol=1e-5)
    assert d.batch_shape == (6, 5)


@per_kind
def test_density_and_draws_agree_and_depend_on_the_features(kind):
    d = shaken(KINDS[kind]())(X)
    draws = d.sample(2, seed=1)
    x = draws
    for flow in reversed(d.transforms):
        x = flow.inverse(x, d.context)
    np.testing.assert_allclose(to_numpy(x), to_numpy(d.base.sample(2, seed=1)), atol=1e-4)
    twice = to_numpy(d[0, :1].log_prob(Y[0])), to_numpy(d[1, :1].log_prob(Y[0]))
    assert np.abs(twice[0] - twice[1]).min() > 1e-4


@per_kind
def test_each_component_depends_on_all_others(kind):
    """The Hessian of the log density has no zeros."""
    d = shaken(KINDS[kind](), 0.7)(X)[0, 0]
    y, step = Y[0, 0], 0.3
    (slopes,) = gradient(d.log_prob, np.stack([y, *(y + step * np.eye(3, dtype="float32"))]))
    assert np.abs(slopes[1:] - slopes[0]).min() > 1e-4


def test_orders():
    assert [layers.RealNVP(5)._order(i) for i in range(4)] == [
        [1, 1, 1, 2, 2],
        [2, 2, 2, 1, 1],
        [1, 2, 1, 2, 1],
        [2, 1, 2, 1, 2],
    ]
    head = layers.MaskedAutoregressiveFlow(1)
    assert head(X).event_shape == (1,)


def two_moons(number, seed):
    """Points of two noisy half circles; the feature tells which of the two."""
    rng = np.random.default_rng(seed)
    which, angle = rng.integers(0, 2, number), np.pi * rng.uniform(size=number)
    sign = 1.0 - 2.0 * which
    points = np.stack([np.cos(angle) + 0.5 * (which - 0.5), sign * np.sin(angle)], axis=-1)
    points = points + 0.1 * rng.normal(size=points.shape)
    return sign[:, None].astype("float32"), points.astype("float32")


@pytest.mark.parametrize("kind", [layers.MaskedAutoregressiveFlow, layers.RealNVP])
def test_it_learns_what_no_diagonal_normal_can(kind):
    keras.utils.set_random_seed(1)
    x, y = two_moons(1024, 0)
    model = keras.Sequential([kind(2, num_transforms=4)])
    model.compile(keras.optimizers.Adam(0.005), losses.NegativeLogLikelihood(), **QUICK)
    model.fit(x, y, epochs=20, batch_size=128, verbose=0)
    x, y = two_moons(1024, 1)
    mine = float(model.evaluate(x, y, batch_size=1024, verbose=0))
    best = 0.0  # of a diagonal normal for each moon, fitted to the very points it is scored on
    for sign in (-1.0, 1.0):
        points = y[x[:, 0] == sign]
        entropy = 0.5 * np.log(2 * np.pi * np.e * points.var(axis=0)).sum()
        best += entropy * len(points) / len(y)
    assert mine < best - 0.6


def test_predictions_of_many_batches_keep_the_weights():
    head = shaken(KINDS["maf"]())
    model = keras.Sequential([head])
    whole = predict(model, X, batch_size=4, verbose=0)
    assert whole.batch_shape == (6, 5)
    assert all(isinstance(leaf, np.ndarray) for leaf in whole.leaves())
    expected = head(X)
    for mine, its in zip(whole.leaves(), expected.leaves(), strict=True):
        assert mine.shape == tuple(its.shape)
    np.testing.assert_allclose(
        to_numpy(whole.log_prob(Y)), to_numpy(expected.log_prob(Y)), rtol=1e-5, atol=1e-5
    )
    assert tuple(whole[-1].sample(2, seed=1).shape) == (2, 5, 3)
    score = losses.EnergyScore(4)
    np.testing.assert_allclose(
        to_numpy(score(Y, whole)), to_numpy(score(Y, whole._on_device())), rtol=1e-6
    )


def test_predictions_with_draws_of_the_weights_in_front():
    head = shaken(KINDS["nvp"]())
    model = keras.Sequential([keras.layers.Dropout(0.5), layers.DenseFlipout(4), head])
    d = predict(model, X, batch_size=4, verbose=0, num_draws=3)
    assert isinstance(d, td.MixtureSameFamily)
    assert d.batch_shape == (6, 5)
    each = to_numpy(d.components.prob(Y[..., None, :]))
    assert np.ptp(each, axis=-1).max() > 1e-3
    np.testing.assert_allclose(to_numpy(d.prob(Y)), each.mean(axis=-1), rtol=1e-4)


def test_draws_of_the_networks_themselves_make_no_mixture():
    class Uncertain(layers.DistributionLayer):
        """Its networks are others at every call."""

        def __init__(self):
            super().__init__()
            self.seed = keras.random.SeedGenerator(1)

        def call(self, inputs):
            base = td.Independent(td.Normal(inputs[..., :2], 1.0))
            flow = td.flows.MaskedAutoregressive(
                [keras.random.normal((2, 4), seed=self.seed)], ((1, 2),)
            )
            return td.NormalizingFlow(base, [flow])

    with pytest.raises(ValueError, match="every draw of the weights gives NormalizingFlow"):
        predict(keras.Sequential([Uncertain()]), X, verbose=0, num_draws=2)


def test_a_compiled_function_makes_it():
    head = shaken(KINDS["maf"]())
    run = compiled(lambda x: (head(x), head(x).sample(seed=1)))
    d, draws = run(ops.convert_to_tensor(X))
    np.testing.assert_allclose(to_numpy(d.log_prob(Y)), to_numpy(head(X).log_prob(Y)), rtol=1e-4)
    np.testing.assert_allclose(to_numpy(draws), to_numpy(head(X).sample(seed=1)), atol=1e-4)


def test_missing_targets_and_conversion():
    gaps = Y.copy()
    gaps[0, 0, 1] = gaps[2] = np.nan
    d = shaken(KINDS["maf"]())(X)
    loss = losses.NegativeLogLikelihood(missing="mask")(gaps, d)
    there = ~np.isnan(gaps).any(-1)
    # A component alone is not known to be missing: the whole event counts for nothing.
    count = (~np.isnan(gaps)).any(-1).sum()
    np.testing.assert_allclose(
        float(loss), -to_numpy(d.log_prob(Y))[there].sum() / count, rtol=1e-5
    )
    drawn = KINDS["nvp"](convert_to_tensor_fn="sample")(X)
    assert tuple(drawn.shape) == (6, 5, 3)
    assert np.isfinite(float(losses.EnergyScore(4)(Y, d)))


@per_kind
def test_time_distributed_is_the_head_itself(kind):
    head = shaken(KINDS[kind]())
    d = layers.TimeDistributed(head)(X)
    assert d.batch_shape == (6, 5)
    np.testing.assert_allclose(to_numpy(d.log_prob(Y)), to_numpy(head(X).log_prob(Y)), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RealNVP(1), "at least 2 components.*use `MaskedAutoregressiveFlow`"),
        (lambda: layers.RealNVP(2, 1), "num_transforms must be an int of at least 2, got 1"),
        (lambda: layers.MaskedAutoregressiveFlow((2, 3)), r"number of components.*got \(2, 3\)"),
        (lambda: layers.MaskedAutoregressiveFlow(2, 0), "num_transforms must be a positive int"),
        (lambda: layers.MaskedAutoregressiveFlow(2, 2, [0]), "hidden_units must be a positive int"),
        (
            lambda: layers.MaskedAutoregressiveFlow(2, log_scale_bound=0.0),
            "log_scale_bound must be a positive number or None, got 0.0",
        ),
        (
            lambda: layers.MaskedAutoregressiveFlow(2)(keras.Input((5, None))),
            "a known number of features",
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_inputs():
    head = KINDS["maf"]()
    head(X)
    with pytest.raises(ValueError, match=r"built for 4 features, got shape \(6, 5, 3\)"):
        head(Y)
    with pytest.raises(DistributionTypeError):
        KINDS["maf"]()(td.Independent(td.Normal(X, 1.0)))
