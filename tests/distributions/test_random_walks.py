"""Random walks and autoregressions against SciPy's joint normal, statsmodels and NumPyro."""

from functools import cache

import keras
import numpy as np
import pytest
from helpers import BACKEND, fast, float64_scope, to_numpy, value_and_gradient
from keras import ops
from scipy import stats
from statsmodels.tsa.statespace.sarimax import SARIMAX

from timedist.distributions import (
    Autoregressive,
    GaussianRandomWalk,
    LinearGaussianStateSpaceModel,
    MultivariateNormalDiag,
    MultivariateNormalTriL,
    Normal,
)
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

RNG = np.random.default_rng(0)
BATCH, STEPS = 2, 8
X = 2.0 * RNG.normal(size=(BATCH, STEPS))
SEEN = np.array([[0, 1, 1, 0, 0, 0, 1, 1], [1, 0, 0, 1, 0, 1, 1, 0]], "bool")

WALK = {
    "scale": np.array([0.5, 2.0]),
    "drift": np.array([0.3, -0.2]),
    "initial_loc": np.array([1.0, 0.0]),
    "initial_scale": np.array([3.0, 0.7]),
}
AR = {
    "coefficients": np.array([[1.2, -0.5, 0.3], [0.4, 0.1, 0.2]]),
    "level_scale": np.array([0.8, 1.5]),
    "first": RNG.normal(size=3),
    "root": np.tril(RNG.normal(size=(BATCH, 3, 3)), -1) + np.eye(3),
    "loc": np.array([2.0, -1.0]),
}
STATIONARY = {
    "coefficients": np.array([[1.5, -0.8], [0.3, 0.2]]),
    "level_scale": np.array([0.8, 1.5]),
    "loc": np.array([2.0, -1.0]),
}


def walk(**arrays):
    """A random walk."""
    return GaussianRandomWalk.trusted(num_steps=STEPS, **arrays)


def autoregression(first, root, **arrays):
    """An autoregression with any distribution of its first values."""
    initial = MultivariateNormalTriL.trusted(loc=first, scale_tril=root)
    return Autoregressive.trusted(num_steps=STEPS, initial_distribution=initial, **arrays)


def stationary(**arrays):
    """An autoregression that has begun long ago."""
    return Autoregressive.stationary(num_steps=STEPS, **arrays)


CASES = {"walk": (walk, WALK), "any": (autoregression, AR), "stationary": (stationary, STATIONARY)}


def by_hand(name):
    """Mean and covariance of each sequence, step by step in NumPy."""
    if name == "walk":
        lags, first = np.ones((BATCH, 1)), WALK["initial_loc"][:, None]
        cov, noise = WALK["initial_scale"][:, None, None] ** 2, WALK["scale"]
        drift = WALK["drift"]
    else:
        arrays = CASES[name][1]
        lags, noise = arrays["coefficients"], arrays["level_scale"]
        drift = (1.0 - lags.sum(-1)) * arrays["loc"]
        if name == "any":
            first, cov = np.tile(AR["first"], (BATCH, 1)), AR["root"] @ AR["root"].swapaxes(-1, -2)
        else:
            first, cov = np.tile(arrays["loc"][:, None], 2), np.stack([long_ago(b) for b in (0, 1)])
    order = lags.shape[-1]
    mean, joint = np.zeros((BATCH, STEPS)), np.zeros((BATCH, STEPS, STEPS))
    mean[:, :order], joint[:, :order, :order] = first, cov
    for t in range(order, STEPS):
        before = range(t - 1, t - 1 - order, -1)
        mean[:, t] = drift + (lags * mean[:, before]).sum(-1)
        row = (lags[:, :, None] * joint[:, before]).sum(1)
        joint[:, t], joint[:, :, t] = row, row
        joint[:, t, t] = (lags * row[:, before]).sum(-1) + noise**2
    return mean, joint


def long_ago(b):
    """The covariance of two values after many steps."""
    one, two = STATIONARY["coefficients"][b]
    move, cov = np.array([[one, two], [1.0, 0.0]]), np.eye(2)
    for _ in range(500):
        cov = move @ cov @ move.T + np.diag([STATIONARY["level_scale"][b] ** 2, 0.0])
    return cov


@cache
def found(name):
    """What a distribution answers, by one compiled function that takes it as an argument."""
    function, arrays = CASES[name]

    def everything(d, x):
        flat = MultivariateNormalDiag.trusted(loc=x, scale_diag=ops.ones_like(x))
        return {
            "log_prob": d.log_prob(x),
            "seen": d.log_prob_where(ops.where(SEEN, x, np.nan * x), SEEN),
            "none": d.log_prob_where(x, np.zeros_like(SEEN)),
            "mean": d.mean(),
            "variance": d.variance(),
            "covariance": d.covariance(),
            "entropy": d.entropy(),
            "from normal": d.kl_divergence(flat),
            "from other": d[:1].kl_divergence(d),
            "mode": d.mode(),
            "marginals": d.marginals().log_prob(x),
            "draws": d.sample(4000, seed=1),
            "slice": d[1].log_prob(x[1]),
            "block": d.log_prob(ops.stack([x, x + 1.0])[:, :, None])[..., 0],
        }

    with float64_scope():
        answer = fast(everything)(function(**arrays), ops.convert_to_tensor(X))
        return {key: to_numpy(value) for key, value in answer.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_joint_distribution_is_normal(name):
    answer, (mean, joint) = found(name), by_hand(name)
    diagonal = np.diagonal(joint, axis1=-2, axis2=-1)
    expected = {"mean": mean, "mode": mean, "covariance": joint, "variance": diagonal}
    expected["marginals"] = stats.norm(mean, np.sqrt(diagonal)).logpdf(X)
    twins = [stats.multivariate_normal(mean[b], joint[b]) for b in range(BATCH)]
    expected["log_prob"] = [twin.logpdf(x) for twin, x in zip(twins, X, strict=True)]
    expected["entropy"] = [twin.entropy() for twin in twins]
    expected["none"] = np.zeros(BATCH)
    expected["seen"] = [
        stats.multivariate_normal(mean[b, s], joint[b][np.ix_(s, s)]).logpdf(X[b, s])
        for b, s in enumerate(SEEN)
    ]
    others = [(X[b], np.eye(STEPS)) for b in range(BATCH)]
    expected["from normal"] = [divergence(mean[b], joint[b], *others[b]) for b in range(BATCH)]
    expected["from other"] = [0.0, divergence(mean[0], joint[0], mean[1], joint[1])]
    for key, value in expected.items():
        assert answer[key].dtype == "float64"
        np.testing.assert_allclose(answer[key], value, rtol=1e-9, atol=1e-10, err_msg=key)
    np.testing.assert_allclose(answer["slice"], answer["log_prob"][1], rtol=1e-5)
    np.testing.assert_allclose(answer["block"][0, 0], answer["log_prob"][0], rtol=1e-5)
    assert answer["block"].shape == (2, BATCH)


def divergence(mean, cov, other, its):
    """Of one normal from another."""
    shift, inverse = mean - other, np.linalg.inv(its)
    volume = np.linalg.slogdet(its)[1] - np.linalg.slogdet(cov)[1]
    return 0.5 * (np.trace(inverse @ cov) + shift @ inverse @ shift - len(mean) + volume)


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_moments(name):
    draws, (mean, joint) = found(name)["draws"], by_hand(name)
    number = len(draws)
    assert draws.shape == (number, BATCH, STEPS)
    for b in range(BATCH):
        mine, variance = draws[:, b], np.diag(joint[b])
        assert (np.abs(mine.mean(0) - mean[b]) < 5 * np.sqrt(variance / number)).all()
        error = np.sqrt((np.outer(variance, variance) + joint[b] ** 2) / number)
        assert (np.abs(np.cov(mine.T) - joint[b]) < 5 * error).all()


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_differences(name):
    function, arrays = CASES[name]

    def total(x, *given):
        d = function(**dict(zip(arrays, given, strict=True)))
        draws = ops.sum(d.sample(2, seed=3) * x, axis=(0, -1))
        return d.log_prob(x) + d.log_prob_where(x, SEEN) + 0.1 * draws

    def seen(x):
        return function(**arrays).log_prob_where(x, SEEN)

    with float64_scope():
        given = [X, *arrays.values()]
        _, slopes = value_and_gradient(total, *given)
        quick, rng = fast(total), np.random.default_rng(1)
        for i, slope in enumerate(slopes):
            way = rng.normal(size=slope.shape) * (given[i] != 0.0)
            ends = []
            for step in (1e-6, -1e-6):
                moved = [a + step * way if j == i else a for j, a in enumerate(given)]
                ends.append(to_numpy(quick(*map(ops.convert_to_tensor, moved))).sum())
            expected = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose((slope * way).sum(), expected, rtol=1e-6, atol=1e-7)
        (of_x,) = value_and_gradient(seen, np.where(SEEN, X, np.nan))[1]
    assert (of_x[~SEEN] == 0.0).all() and (of_x[SEEN] != 0.0).all()


def test_stationary_autoregressions_are_those_of_statsmodels():
    (one, two), scale = STATIONARY["coefficients"][0], STATIONARY["level_scale"][0]
    y = (X - STATIONARY["loc"][:, None])[0]
    twin = SARIMAX(y, order=(2, 0, 0), trend="n").loglike([one, two, scale**2])
    answer = found("stationary")
    np.testing.assert_allclose(answer["log_prob"][0], twin, rtol=1e-9)
    gaps = SARIMAX(np.where(SEEN[0], y, np.nan), order=(2, 0, 0), trend="n")
    np.testing.assert_allclose(answer["seen"][0], gaps.loglike([one, two, scale**2]), rtol=1e-9)


@pytest.mark.skipif(BACKEND != "jax", reason="NumPyro is JAX's")
def test_a_walk_by_its_scale_alone_is_that_of_numpyro():
    from numpyro.distributions import GaussianRandomWalk as Twin

    mine, twin = GaussianRandomWalk([0.5, 2.0], STEPS), Twin(np.array([0.5, 2.0]), STEPS)
    x = X.astype("float32")
    log_prob = fast(lambda d, x: d.log_prob(x))(mine, x)
    np.testing.assert_allclose(to_numpy(log_prob), twin.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(mine.variance()), twin.variance, rtol=1e-6)


def test_a_walk_seen_with_an_error_is_a_state_space_model():
    """The mean of the walk given what is seen, by the joint normal and by the smoother."""
    with float64_scope():
        walk_only = walk(**WALK)
        level = LinearGaussianStateSpaceModel(
            STEPS,
            transition_matrix=np.eye(1),
            transition_noise=MultivariateNormalDiag(WALK["drift"][:, None], WALK["scale"][:, None]),
            observation_matrix=np.eye(1),
            observation_noise=MultivariateNormalDiag(np.zeros(1), np.full(1, 0.5)),
            initial_state_prior=MultivariateNormalDiag(
                WALK["initial_loc"][:, None], WALK["initial_scale"][:, None]
            ),
        )
        smoothed = fast(lambda d, x: d.posterior_marginals(x)[0])(level, X[..., None])
        mean, cov = to_numpy(walk_only.mean()), to_numpy(walk_only.covariance())
    gain = cov @ np.linalg.inv(cov + 0.25 * np.eye(STEPS))
    expected = mean + (gain @ (X - mean)[..., None])[..., 0]
    np.testing.assert_allclose(to_numpy(smoothed)[..., 0], expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["walk", "any"])
def test_a_thousand_steps_in_float32(name):
    steps = 1000
    x = np.cumsum(RNG.normal(size=steps)).astype("float32")
    seen = np.arange(steps) % 3 > 0

    def log_prob(scale, x):
        if name == "walk":
            d = GaussianRandomWalk.trusted(scale=scale, num_steps=steps)
        else:
            d = Autoregressive.stationary([0.9, 0.05], scale, steps)
        return d.log_prob(x) + d.log_prob_where(x, seen)

    value, slopes = value_and_gradient(log_prob, np.float32(1.0), x)
    with float64_scope():
        exact, its = value_and_gradient(log_prob, np.float64(1.0), x.astype("float64"))
    np.testing.assert_allclose(value, exact, rtol=1e-4)
    np.testing.assert_allclose(slopes[0], its[0], rtol=1e-3)
    np.testing.assert_allclose(slopes[1], its[1], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", CASES)
def test_masks_saving_and_float32(name):
    function, arrays = CASES[name]
    d = function(**{key: array.astype("float32") for key, array in arrays.items()})
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(d))

    def both(d, x):
        expected = d.log_prob_where(x, SEEN)
        compat.set_keras_mask(d, ops.convert_to_tensor(SEEN))
        return NegativeLogLikelihood(reduction=None)(x, d), -expected

    x = ops.convert_to_tensor(X.astype("float32"))
    program = fast(both)
    np.testing.assert_allclose(*map(to_numpy, program(again, x)), rtol=1e-5)
    same = to_numpy(program(d, x)[1])
    assert same.dtype == "float32"
    np.testing.assert_allclose(same, -found(name)["seen"], rtol=1e-4)


def test_as_many_steps_as_needed():
    first = MultivariateNormalDiag([0.0, 1.0], [1.0, 2.0])
    d = Autoregressive([0.5, 0.1], 1.0, first, num_steps=2)
    x = np.array([0.3, 0.4], "float32")
    np.testing.assert_allclose(to_numpy(d.log_prob(x)), to_numpy(first.log_prob(x)), rtol=1e-5)
    assert to_numpy(d.sample(3, seed=1)).shape == (3, 2)
    one = GaussianRandomWalk(2.0, num_steps=1)
    assert to_numpy(one.sample(seed=1)).shape == (1,)
    np.testing.assert_allclose(
        to_numpy(one.log_prob([1.0])), stats.norm(0.0, 2.0).logpdf(1.0), 1e-5
    )


def initial(size=2):
    """A normal of the first values."""
    return MultivariateNormalDiag(np.zeros(size, "float32"), np.ones(size, "float32"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GaussianRandomWalk(-1.0, 4), ("GaussianRandomWalk", "scale", "positive", "-1")),
        (lambda: GaussianRandomWalk(1.0, 0), ("GaussianRandomWalk", "num_steps", ">= 1", "0")),
        (
            lambda: Autoregressive([0.1, 0.2, 0.3], 1.0, initial(), 9),
            ("Autoregressive", "initial_distribution", "3 components", "(3,)", "got 2"),
        ),
        (
            lambda: Autoregressive([0.1, 0.2], 1.0, initial(), 1),
            ("Autoregressive", "num_steps", "at least 2", "got 1"),
        ),
        (
            lambda: Autoregressive(np.zeros((3, 2), "float32"), [1.0, 1.0], initial(), 9),
            ("Autoregressive", "broadcast", "coefficients (3, 2)", "level_scale (2,)"),
        ),
        (lambda: Autoregressive.stationary([1.1], 1.0, 9), ("no stationary sequence", "(1,)")),
        (lambda: Autoregressive.stationary([0.5, 0.6], 1.0, 9), ("no stationary sequence", "(2,)")),
        (lambda: Autoregressive.stationary([0.5], -1.0, 9), ("level_scale", "positive", "-1")),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises(ValueError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


def test_first_values_of_another_kind_and_what_is_not_there():
    with pytest.raises(TypeError, match=r"initial_distribution must be a multivariate normal"):
        Autoregressive([0.1, 0.2], 1.0, Normal([0.0, 0.0], 1.0), 9)
    d = GaussianRandomWalk(1.0, 4)
    with pytest.raises(NotImplementedError, match="steps depend on each other"):
        d.quantile(0.5)
    with pytest.raises(ValueError, match=r"\(3,\) does not broadcast against \(4,\)"):
        d.log_prob(np.zeros(3, "float32"))


@pytest.mark.skipif(BACKEND != "torch", reason="shapes are inferred without numbers on torch")
@pytest.mark.parametrize("name", CASES)
def test_shapes_without_numbers(name):
    with keras.device("meta"):
        function, arrays = CASES[name]
        tensors = {key: ops.zeros(x.shape) for key, x in arrays.items()}
        d, x = function(**tensors), ops.zeros(X.shape)
        assert d.log_prob_where(x, x > 0.0).shape == d.log_prob(x).shape == (BATCH,)
        assert d.sample(3, seed=1).shape == (3, BATCH, STEPS)
