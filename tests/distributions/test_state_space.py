"""State space models against statsmodels' Kalman filter and SciPy's joint normal distribution."""

from functools import cache

import keras
import numpy as np
import pytest
from helpers import BACKEND, DTYPES, dtype_scope, fast, float64_scope, to_numpy, value_and_gradient
from keras import ops
from scipy import stats
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

from timedist.distributions import (
    LinearGaussianStateSpaceModel,
    MultivariateNormalDiag,
    MultivariateNormalDiagPlusLowRankCovariance,
    MultivariateNormalTriL,
    Normal,
)
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

RNG = np.random.default_rng(0)
BATCH, STEPS, STATES, SIZE = 2, 9, 3, 2


def tril(*shape):
    """Random Cholesky factors."""
    entries = RNG.normal(size=shape)
    return np.tril(entries, -1) + np.eye(shape[-1]) * RNG.uniform(0.5, 1.5, size=shape)


# The transition and the offset of the observations move; the prior and the noise have a batch.
ARRAYS = {
    "transition": 0.6 * RNG.normal(size=(STEPS, STATES, STATES)),
    "drift": RNG.normal(size=(BATCH, STATES)),
    "shock": tril(STATES, STATES),
    "observation": RNG.normal(size=(SIZE, STATES)),
    "offset": RNG.normal(size=(BATCH, STEPS, SIZE)),
    "error": tril(STEPS, SIZE, SIZE),
    "prior": RNG.normal(size=STATES),
    "spread": tril(BATCH, STATES, STATES),
}
X = 2.0 * RNG.normal(size=(BATCH, STEPS, SIZE))
SEEN = RNG.uniform(size=X.shape) > 0.3
SEEN[:, 2:4] = False  # whole steps
SEEN[0, 0] = False
MISSING = np.where(SEEN, X, np.nan)
NAMES = tuple(ARRAYS)


def model(**arrays):
    """The model of the arrays, taken as they are."""
    a = {**ARRAYS, **arrays}
    return LinearGaussianStateSpaceModel.trusted(
        num_timesteps=STEPS,
        transition_matrix=a["transition"],
        transition_noise=MultivariateNormalTriL.trusted(loc=a["drift"], scale_tril=a["shock"]),
        observation_matrix=a["observation"],
        observation_noise=MultivariateNormalTriL.trusted(loc=a["offset"], scale_tril=a["error"]),
        initial_state_prior=MultivariateNormalTriL.trusted(loc=a["prior"], scale_tril=a["spread"]),
        time_varying=("transition_matrix", "observation_noise"),
    )


def oracle(b, x):
    """What statsmodels finds in one sequence of the batch."""
    twin = KalmanSmoother(SIZE, STATES, STATES)
    twin.bind(np.asarray(x[b], order="C"))
    twin.tolerance = 0.0  # else it takes the covariances for constant at some step
    twin["transition"] = np.moveaxis(ARRAYS["transition"], 0, -1)
    twin["state_intercept"] = ARRAYS["drift"][b][:, None]
    twin["selection"] = np.eye(STATES)
    twin["state_cov"] = ARRAYS["shock"] @ ARRAYS["shock"].T
    twin["design"] = ARRAYS["observation"]
    twin["obs_intercept"] = ARRAYS["offset"][b].T
    errors = ARRAYS["error"] @ ARRAYS["error"].swapaxes(-1, -2)
    twin["obs_cov"] = np.moveaxis(errors, 0, -1)
    twin.initialize_known(ARRAYS["prior"], ARRAYS["spread"][b] @ ARRAYS["spread"][b].T)
    return twin.smooth()


@cache
def found(dtype, missing):
    """All that filter and smoother find, by one compiled function that takes the value."""
    with dtype_scope(dtype):
        arrays = {name: array.astype(dtype) for name, array in ARRAYS.items()}
        seen = ops.convert_to_tensor(SEEN) if missing else None

        def everything(d, x):
            total = d.log_prob(x) if seen is None else d.log_prob_where(x, seen)
            return total, d.forward_filter(x, seen), d.posterior_marginals(x, seen)

        x = ops.convert_to_tensor((MISSING if missing else X).astype(dtype))
        answer = fast(everything)(model(**arrays), x)
        return keras.tree.map_structure(to_numpy, tuple(map(tuple, (answer[:1], *answer[1:]))))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_filter_and_smoother_agree_with_statsmodels(dtype, missing):
    (total,), filtered, smoothed = found(dtype, missing)
    close = {"rtol": 1e-10, "atol": 1e-10} if dtype == "float64" else {"rtol": 1e-3, "atol": 1e-3}
    for b in range(BATCH):
        twin = oracle(b, MISSING if missing else X)
        expected = (
            twin.llf_obs,
            np.moveaxis(twin.filtered_state, -1, 0),
            np.moveaxis(twin.filtered_state_cov, -1, 0),
            np.moveaxis(twin.predicted_state, -1, 0)[1:],
            np.moveaxis(twin.predicted_state_cov, -1, 0)[1:],
        )
        np.testing.assert_allclose(total[b], twin.llf, **close)
        for mine, its in zip(filtered, expected, strict=False):
            assert mine.dtype == dtype
            np.testing.assert_allclose(mine[b], its, **close)
        np.testing.assert_allclose(smoothed[0][b], np.moveaxis(twin.smoothed_state, -1, 0), **close)
        covs = np.moveaxis(twin.smoothed_state_cov, -1, 0)
        np.testing.assert_allclose(smoothed[1][b], covs, **close)
        if not missing:
            means, covs = (
                np.moveaxis(x, -1, 0) for x in (twin.forecasts, twin.forecasts_error_cov)
            )
            np.testing.assert_allclose(filtered[5][b], means, **close)
            np.testing.assert_allclose(filtered[6][b], covs, **close)


@cache
def joint():
    """Mean and covariance of all components, and what follows from them."""
    with float64_scope():

        def moments(d, x):
            more = (d.variance(), d.entropy(), d.log_prob(x), d[:1].kl_divergence(d))
            return d.mean(), d.covariance(), *more, d.marginals().log_prob(x)

        answer = fast(moments)(model(), ops.convert_to_tensor(X))
        return [to_numpy(x) for x in answer]


def test_the_joint_distribution_is_one_normal():
    mean, cov, variance, entropy, log_prob, divergence, single = joint()
    size = STEPS * SIZE
    mean, cov = mean.reshape(BATCH, size), cov.reshape(BATCH, size, size)
    twins = [stats.multivariate_normal(mean[b], cov[b]) for b in range(BATCH)]
    flat = X.reshape(BATCH, size)
    np.testing.assert_allclose(
        log_prob, [t.logpdf(x) for t, x in zip(twins, flat, strict=True)], rtol=1e-9
    )
    np.testing.assert_allclose(entropy, [t.entropy() for t in twins], rtol=1e-9)
    diagonal = np.diagonal(cov, axis1=-2, axis2=-1)
    np.testing.assert_allclose(variance.reshape(BATCH, size), diagonal, rtol=1e-9)
    expected = stats.norm(mean, np.sqrt(diagonal)).logpdf(flat)
    np.testing.assert_allclose(single.reshape(BATCH, size), expected, rtol=1e-9)
    shift, inverse = mean[0] - mean[1], np.linalg.inv(cov[1])
    volume = np.linalg.slogdet(cov[1])[1] - np.linalg.slogdet(cov[0])[1]
    direct = 0.5 * (np.trace(inverse @ cov[0]) + shift @ inverse @ shift - size + volume)
    np.testing.assert_allclose(divergence, [0.0, direct], rtol=1e-8, atol=1e-8)


def test_draws_have_the_moments():
    number = 4000
    draws = fast(lambda d: d.sample(number, seed=1))(model(**in_float32()))
    draws = to_numpy(draws).reshape(number, BATCH, -1)
    mean, cov = (x.reshape(BATCH, -1) for x in joint()[:2])
    for b in range(BATCH):
        matrix = cov[b].reshape(STEPS * SIZE, -1)
        check_moments(draws[:, b], mean[b], matrix)


def check_moments(draws, mean, cov):
    """That mean and covariance of draws lie within 5 standard errors."""
    number, variance = len(draws), np.diag(cov)
    assert (np.abs(draws.mean(0) - mean) < 5 * np.sqrt(variance / number)).all()
    error = np.sqrt((np.outer(variance, variance) + cov**2) / number)
    assert (np.abs(np.cov(draws.T) - cov) < 5 * error).all()


def in_float32():
    """The arrays as float32."""
    return {name: array.astype("float32") for name, array in ARRAYS.items()}


@pytest.mark.parametrize("missing", [False, True])
def test_paths_given_the_observations_have_the_moments_of_the_smoother(missing):
    _, _, (mean, cov) = found("float64", missing)
    x, seen = (MISSING, SEEN) if missing else (X, None)
    draw = fast(lambda d, x: d.posterior_sample(x, 2000, seen, seed=2))
    draws = to_numpy(draw(model(**in_float32()), ops.convert_to_tensor(x.astype("float32"))))
    assert draws.shape == (2000, BATCH, STEPS, STATES)
    for b in range(BATCH):
        for t in range(STEPS):
            check_moments(draws[:, b, t], mean[b, t], cov[b, t])


def test_slices_samples_and_blocks_of_values():
    d = model(**in_float32())
    assert (d.batch_shape, d.event_shape, d.dtype) == ((BATCH,), (STEPS, SIZE), "float32")
    assert d[1].batch_shape == () and d[:, None].batch_shape == (BATCH, 1)
    block = np.stack([X, X + 1.0, X - 1.0]).astype("float32")

    def parts_of(d, x):
        more = d[:, None].log_prob(x[0][:, None])[:, 0], d.sample((2, 1), seed=1)
        return d.log_prob(x), d[1].log_prob(x[:, 1]), *more

    whole, second, first, draws = map(to_numpy, fast(parts_of)(d, ops.convert_to_tensor(block)))
    assert whole.shape == (3, BATCH) and draws.shape == (2, 1, BATCH, STEPS, SIZE)
    np.testing.assert_allclose(second, whole[:, 1], rtol=1e-4)
    np.testing.assert_allclose(first, whole[0], rtol=1e-4)


def test_seen_means_and_covariances_of_states():
    _, _, (mean, cov) = found("float64", False)
    with float64_scope():
        seen = fast(lambda d, m, c: d.latents_to_observations(m, c))
        means, covs = map(to_numpy, seen(model(), *map(ops.convert_to_tensor, (mean, cov))))
    h = ARRAYS["observation"]
    np.testing.assert_allclose(means, mean @ h.T + ARRAYS["offset"], rtol=1e-10)
    errors = ARRAYS["error"] @ ARRAYS["error"].swapaxes(-1, -2)
    np.testing.assert_allclose(covs, h @ cov @ h.T + errors, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_differences():
    with float64_scope():

        def total(x, *arrays):
            d = model(**dict(zip(NAMES, arrays, strict=True)))
            return d.log_prob_where(x, SEEN) + 0.1 * ops.sum(d.posterior_marginals(x, SEEN)[0])

        arrays = [np.where(SEEN, X, 7.0), *ARRAYS.values()]
        _, slopes = value_and_gradient(total, *arrays)
        quick, rng = fast(total), np.random.default_rng(1)
        for i, slope in enumerate(slopes):
            way = rng.normal(size=slope.shape)
            way = np.tril(way) if NAMES[i - 1] in ("shock", "error", "spread") and i else way
            ends = []
            for step in (1e-6, -1e-6):
                moved = [a + step * way if j == i else a for j, a in enumerate(arrays)]
                ends.append(to_numpy(quick(*map(ops.convert_to_tensor, moved))).sum())
            expected = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose((slope * way).sum(), expected, rtol=1e-5, atol=1e-6)
    assert (slopes[0][~SEEN] == 0.0).all() and (slopes[0][SEEN] != 0.0).any()


def test_states_without_noise_of_their_own():
    """A smooth trend: the slope alone has noise, so the covariance of the noise is singular."""
    steps = 30
    y = np.cumsum(np.cumsum(RNG.normal(size=steps)))[:, None] + RNG.normal(size=(steps, 1))
    with float64_scope():
        d = LinearGaussianStateSpaceModel(
            steps,
            transition_matrix=np.array([[1.0, 1.0], [0.0, 1.0]]),
            transition_noise=MultivariateNormalDiag(np.zeros(1), np.ones(1)),
            observation_matrix=np.array([[1.0, 0.0]]),
            observation_noise=MultivariateNormalDiag(np.zeros(1), np.full(1, 0.8)),
            initial_state_prior=MultivariateNormalDiag(np.zeros(2), np.full(2, 100.0)),
            selection_matrix=np.array([[0.0], [1.0]]),
        )

        def everything(d, x):
            return (
                d.log_prob(x),
                *d.posterior_marginals(x),
                d.mean(),
                d.covariance(),
                d.sample(2, seed=1),
            )

        answer = fast(everything)(d, y)
        log_prob, mean, cov, prior, joint, draws = (to_numpy(x) for x in answer)
    # Two states of deviation 100, then the noise of the slope in every step between.
    times = np.arange(steps)
    ways = [np.clip(times - k - 1, 0, None) for k in range(steps)]
    expected = 1e4 * (1.0 + np.outer(times, times)) + sum(np.outer(way, way) for way in ways)
    expected = expected + 0.64 * np.eye(steps)
    assert draws.shape == (2, steps, 1)
    np.testing.assert_allclose(joint[:, 0, :, 0], expected, rtol=1e-9)
    np.testing.assert_array_equal(prior, np.zeros((steps, 1)))
    twin = KalmanSmoother(1, 2, 1)
    twin.tolerance = 0.0
    twin["transition"] = [[1.0, 1.0], [0.0, 1.0]]
    twin["selection"], twin["state_cov"] = [[0.0], [1.0]], [[1.0]]
    twin["design"], twin["obs_cov"] = [[1.0, 0.0]], [[0.64]]
    twin.initialize_known(np.zeros(2), 1e4 * np.eye(2))
    twin.bind(y)
    expected = twin.smooth()
    np.testing.assert_allclose(log_prob, expected.llf, rtol=1e-9)
    np.testing.assert_allclose(mean, expected.smoothed_state.T, rtol=1e-8, atol=1e-8)
    expected = np.moveaxis(expected.smoothed_state_cov, -1, 0)
    np.testing.assert_allclose(cov, expected, rtol=1e-8, atol=1e-8)


def test_a_thousand_steps_in_float32():
    steps = 1000
    y = np.cumsum(RNG.normal(size=(steps, 1)), axis=0).astype("float32")
    seen = (np.arange(steps) % 7 != 0)[:, None]

    def run(scale, y):
        d = LinearGaussianStateSpaceModel.trusted(
            num_timesteps=steps,
            transition_matrix=np.array([[1.0, 1.0], [0.0, 1.0]], "float32"),
            transition_noise=MultivariateNormalDiag.trusted(
                loc=np.zeros(2, "float32"), scale_diag=scale
            ),
            observation_matrix=np.array([[1.0, 0.0]], "float32"),
            observation_noise=MultivariateNormalDiag([0.0], [1e-2]),
            initial_state_prior=MultivariateNormalDiag([0.0, 0.0], [1e3, 1e3]),
        )
        return d.log_prob_where(y, seen), d.forward_filter(y, seen), d.posterior_marginals(y, seen)

    scale = np.array([0.5, 1e-4], "float32")
    total, filtered, smoothed = fast(run)(*map(ops.convert_to_tensor, (scale, y)))
    for covs in (filtered[2], filtered[4], filtered[6], smoothed[1]):
        covs = to_numpy(covs).astype("float64")
        size = np.sqrt(np.diagonal(covs, axis1=-2, axis2=-1))
        assert (np.linalg.eigvalsh(covs / size[:, :, None] / size[:, None]) > -1e-6).all()
        assert (size > 0.0).all()
    assert all(np.isfinite(to_numpy(x)).all() for x in (total, *filtered, *smoothed))
    _, (slope, of_y) = value_and_gradient(lambda s, y: run(s, y)[0], scale, y)
    assert np.isfinite(slope).all() and (slope != 0.0).all()
    assert (of_y[~seen] == 0.0).all() and np.isfinite(of_y).all()


def test_any_multivariate_normal_is_noise():
    x = X[0, :4].astype("float32")
    wide = MultivariateNormalDiagPlusLowRankCovariance([0.5, 1.0], [1.0, 2.0], [[0.5], [1.0]])
    factor = np.linalg.cholesky(np.diag([1.0, 2.0]) + np.outer([0.5, 1.0], [0.5, 1.0]))
    same = MultivariateNormalTriL([0.5, 1.0], factor.astype("float32"))

    def log_probs(first, second, x):
        eye = np.eye(2, dtype="float32")
        models = [LinearGaussianStateSpaceModel(4, eye, n, eye, n, n) for n in (first, second)]
        return [d.log_prob(x) for d in models]

    np.testing.assert_allclose(*map(to_numpy, fast(log_probs)(wide, same, x)), rtol=1e-5)


def test_a_keras_mask_leaves_steps_out():
    mask = SEEN[..., 0]

    def both(d, x):
        expected = d.log_prob_where(x, np.broadcast_to(mask[..., None], X.shape))
        compat.set_keras_mask(d, ops.convert_to_tensor(mask))
        return NegativeLogLikelihood(reduction=None)(x, d), -expected

    x = ops.convert_to_tensor(X.astype("float32"))
    np.testing.assert_allclose(*map(to_numpy, fast(both)(model(**in_float32()), x)), rtol=1e-5)


def test_saving():
    d = model(**in_float32())
    config = keras.saving.serialize_keras_object(d)
    again = keras.saving.deserialize_keras_object(config)
    assert again.time_varying == d.time_varying
    log_prob, x = fast(lambda d, x: d.log_prob(x)), ops.convert_to_tensor(X.astype("float32"))
    np.testing.assert_array_equal(to_numpy(log_prob(again, x)), to_numpy(log_prob(d, x)))


def parts(**changed):
    """The arguments of a small model, some changed."""
    noise = MultivariateNormalDiag([0.0, 0.0], [1.0, 1.0])
    return {
        "num_timesteps": 4,
        "transition_matrix": np.eye(2, dtype="float32"),
        "transition_noise": noise,
        "observation_matrix": np.ones((1, 2), "float32"),
        "observation_noise": MultivariateNormalDiag([0.0], [1.0]),
        "initial_state_prior": noise,
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"num_timesteps": 0}, ("num_timesteps", "int >= 1", "0")),
        (
            {"transition_matrix": np.ones((3, 3), "float32")},
            ("transition_matrix", "(2, 2)", "(3, 3)"),
        ),
        ({"transition_matrix": [1.0, 2.0]}, ("transition_matrix", "at least 2 axes", "(2,)")),
        (
            {"observation_matrix": np.ones((2, 2), "float32")},
            ("observation_matrix", "(1, 2)", "(2, 2)"),
        ),
        (
            {"transition_noise": MultivariateNormalDiag([0.0], [1.0])},
            ("transition_noise", "2 components", "1 components"),
        ),
        (
            {"selection_matrix": np.ones((2, 1), "float32")},
            ("selection_matrix", "(2, 2)", "(2, 1)"),
        ),
        ({"transition_matrix": [[1.0, np.nan], [0.0, 1.0]]}, ("transition_matrix", "nan")),
        ({"time_varying": ("noise",)}, ("time_varying", "transition_matrix", "noise")),
        (
            {
                "time_varying": ("transition_matrix",),
                "transition_matrix": np.ones((3, 2, 2), "float32"),
            },
            ("transition_matrix", "4 steps", "(3, 2, 2)"),
        ),
        (
            {
                "transition_matrix": np.ones((3, 2, 2), "float32"),
                "observation_matrix": np.ones((2, 1, 2), "float32"),
            },
            ("broadcast", "transition_matrix (3,)", "observation_matrix (2,)"),
        ),
    ],
)
def test_wrong_arguments(changed, words):
    with pytest.raises(ValueError) as error:
        LinearGaussianStateSpaceModel(**parts(**changed))
    assert all(word in str(error.value) for word in ("LinearGaussianStateSpaceModel", *words)), (
        error.value
    )


def test_noise_of_another_kind():
    with pytest.raises(TypeError, match=r"transition_noise must be a multivariate normal.*Normal"):
        LinearGaussianStateSpaceModel(**parts(transition_noise=Normal([0.0, 0.0], 1.0)))


def test_values_of_another_shape_and_what_is_not_there():
    d = LinearGaussianStateSpaceModel(**parts())
    for method in (d.log_prob, d.forward_filter, d.posterior_marginals, d.posterior_sample):
        with pytest.raises(ValueError, match=r"\(3, 1\) does not broadcast against \(4, 1\)"):
            method(np.zeros((3, 1), "float32"))
    with pytest.raises(NotImplementedError, match="steps depend on each other"):
        d.quantile(0.5)


@pytest.mark.skipif(BACKEND != "torch", reason="shapes are inferred without numbers on torch")
def test_shapes_without_numbers():
    with keras.device("meta"):
        d = model(**{name: ops.zeros(array.shape) for name, array in ARRAYS.items()})
        x = ops.zeros(X.shape)
        assert d.log_prob_where(x, x > 0.0).shape == d.log_prob(x).shape == (BATCH,)
        assert d.sample(3, seed=1).shape == (3, *X.shape)
        assert d.posterior_marginals(x)[0].shape == (BATCH, STEPS, STATES)
