"""The deep state space model: against statsmodels, by the chain rule, by draws, and trained."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, assert_close, fast, float64_scope, to_numpy
from keras import ops
from scipy import stats
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother
from statsmodels.tsa.statespace.structural import UnobservedComponents

from timedist import distributions as td
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat
from timedist.sequence import DeepStateSpace, deep_state_space

BATCH, CONTEXT, STEPS = 3, 8, 12
NLL = NegativeLogLikelihood(missing="mask")


def data(batch=BATCH, context=CONTEXT, steps=STEPS, seed=0, dtype="float32", **more):
    """Inputs with missing values in the past, and the whole series with more in the future."""
    rng = np.random.default_rng(seed)
    y = (3.0 + rng.normal(size=(batch, steps)).cumsum(axis=1)).astype(dtype)
    y[0, 2:4] = np.nan
    y[-1, 0] = np.nan
    inputs = {
        "target": y[:, :context].copy(),
        "features": rng.normal(size=(batch, steps, 2)).astype(dtype),
        "seasons": np.tile(np.arange(2, steps + 2, dtype="int32"), (batch, 1)),
        "series": np.arange(batch, dtype="int32"),
        **more,
    }
    y[1, -2] = np.nan
    return inputs, y[..., None]


def small(spread=0.3, **kwargs):
    """A built model whose weights are large enough that everything depends on everything."""
    keras.utils.set_random_seed(1)
    model = DeepStateSpace(**{"units": 3, **kwargs})
    model.build({"features": (None, None, 2)})
    rng = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    return model


NOISE, OFFSET = 0.4, 0.1  # in the unit of the series


def constant(model, strengths, means, spreads):
    """The model without any input, its biases set to parameters in the unit of the series."""
    structure = model.structure
    for weight in model.trainable_weights:
        weight.assign(np.zeros(weight.shape))

    def raw(constraint, values):
        return to_numpy(constraint.to_raw(ops.convert_to_tensor(np.asarray(values))))

    strengths = np.asarray(strengths) / structure.shock_units()
    bias = [
        [OFFSET],
        raw(deep_state_space.NOISE, [NOISE]),
        raw(deep_state_space.STRENGTH, strengths),
    ]
    model.projection.bias.assign(np.concatenate(bias))
    spreads = raw(deep_state_space.SPREAD, np.asarray(spreads) / structure.units())
    model.initial.bias.assign(np.concatenate([means / structure.units(), spreads]))
    return model


def answers(model, inputs, y):
    """Scale, log likelihood, and moments of the future, by one compiled function."""

    loss = NegativeLogLikelihood(missing="mask", reduction=None, dtype=y.dtype)

    def ask(inputs, y):
        future = model.given_past(inputs)
        return (
            model.location_and_scale(inputs)[1],
            -loss(y, model(inputs)),
            future.mean()[..., 0],
            future.variance()[..., 0],
        )

    return [to_numpy(x) for x in fast(ask)(tensors(inputs), ops.convert_to_tensor(y))]


def stacked(*inputs):
    """Inputs as one batch, so that one function is compiled for all of them."""
    return {name: np.concatenate([part[name] for part in inputs]) for name in inputs[0]}


def tensors(inputs):
    return {name: ops.convert_to_tensor(x) for name, x in inputs.items()}


# --- against statsmodels -------------------------------------------------------------------------

# From our states to those of statsmodels: there the seasons sum to zero, the present one first.
WITHOUT_MEAN = np.eye(4) - 0.25
SEASONAL = np.vstack(
    [[1.0, *[0.25] * 4], *(np.concatenate([[0.0], WITHOUT_MEAN[i]]) for i in (2, 1, 0))]
)


@pytest.mark.parametrize(
    ("ours", "theirs", "strengths", "states"),
    [
        ({}, {"level": "llevel"}, [0.3], np.eye(1)),
        ({"trend": True}, {"level": "lltrend"}, [0.3, 0.02], np.eye(2)),
        (
            {"seasonal": (4,)},
            {"level": "llevel", "seasonal": 4, "stochastic_seasonal": False},
            [0.3, 1e-9],
            SEASONAL,
        ),
    ],
    ids=["local level", "local linear trend", "seasonal"],
)
def test_with_constant_parameters_it_is_the_structural_model(ours, theirs, strengths, states):
    number = states.shape[1]
    means = np.linspace(0.5, -0.5, number)
    spreads = np.full(number, 0.7)
    spreads[:1] = 0.9
    with float64_scope():
        model = constant(small(dtype="float64", **ours), strengths, means, spreads)
        inputs, y = data(dtype="float64")
        scales, log_probs, forecasts, variances = answers(model, inputs, y)
    assert_close(scales, np.nanmean(np.abs(inputs["target"]), axis=1), 1e-12)
    for b, scale in enumerate(scales):
        series = (y[b, :, 0] - OFFSET * scale).copy()
        log_prob, _ = oracle(theirs, strengths, states, means, spreads, scale, series)
        assert_close(log_probs[b], log_prob, 1e-9)
        series[CONTEXT:] = np.nan
        _, (mean, variance) = oracle(theirs, strengths, states, means, spreads, scale, series)
        assert_close(forecasts[b], mean[CONTEXT:] + OFFSET * scale, 1e-9)
        assert_close(variances[b], variance[CONTEXT:], 1e-9)


def oracle(kind, strengths, states, means, spreads, scale, series):
    """Log likelihood, and mean and variance of each step given those before it."""
    twin = UnobservedComponents(series, **kind)
    twin.loglikelihood_burn, twin.ssm.tolerance = 0, 0.0
    cov = states @ np.diag((scale * spreads) ** 2) @ states.T
    twin.ssm.initialize_known(scale * states @ means, cov)
    deviations = scale * np.array([NOISE, *strengths])[: len(twin.param_names)]
    found = twin.filter(deviations**2)
    seen = np.isfinite(series)
    filtered = found.filter_results
    assert (filtered.llf_obs[~seen] == 0.0).all()
    variance = (
        np.einsum(
            "in,nmt,im->t",
            filtered.design[..., 0],
            filtered.predicted_state_cov,
            filtered.design[..., 0],
        )[:-1]
        + deviations[0] ** 2
    )
    return filtered.llf_obs.sum(), (filtered.forecasts[0], variance)


def test_moving_seasons_of_two_periods_and_a_trend():
    strengths, spreads = [0.3, 0.02, 0.2, 0.1], np.linspace(0.5, 1.0, 9)
    means = np.linspace(-0.5, 0.5, 9)
    steps = np.arange(STEPS)
    seasons = np.stack([steps + 6, steps // 3], axis=-1)
    with float64_scope():
        model = constant(
            small(dtype="float64", trend=True, seasonal=(4, 3)), strengths, means, spreads
        )
        inputs, y = data(dtype="float64", seasons=np.tile(seasons, (BATCH, 1, 1)))
        scales, log_probs, *_ = answers(model, inputs, y)
    design, selection = np.zeros((1, 9, STEPS)), np.zeros((9, 4, STEPS))
    design[0, 0], selection[0, 0], selection[1, 1] = 1.0, 1.0, 1.0
    for i, states in enumerate((2 + seasons[:, 0] % 4, 6 + seasons[:, 1] % 3)):
        design[0, states, steps], selection[states, 2 + i, steps] = 1.0, 1.0
    for b, scale in enumerate(scales):
        twin = KalmanSmoother(1, 9, 4)
        twin.bind(y[b] - OFFSET * scale)
        twin.tolerance = 0.0
        twin["transition"] = np.eye(9)
        twin["transition", 0, 1] = 1.0
        twin["design"], twin["selection"] = design, selection
        twin["state_cov"] = np.diag((scale * np.array(strengths)) ** 2)
        twin["obs_cov"] = [[(scale * NOISE) ** 2]]
        twin.initialize_known(scale * means, np.diag((scale * spreads) ** 2))
        assert_close(log_probs[b], twin.filter().llf, 1e-9)


# --- forecasts -----------------------------------------------------------------------------------

FULL = {"trend": True, "seasonal": (4,), "num_series": 3}


@pytest.fixture(scope="module")
def model():
    model = small(**FULL)
    model.compile("adam", NLL)
    model.optimizer.build(model.trainable_variables)
    return model


def log_prob(d, y):
    return to_numpy(fast(lambda d, y: d.log_prob_where(y, ops.logical_not(ops.isnan(y))))(d, y))


def test_past_and_future_make_the_whole(model):
    """log p(past) + log p(future | past) = log p(all), missing values on both sides."""
    inputs, y = data()
    future = model.joint_forecast(inputs)
    assert (future.batch_shape, future.event_shape) == ((BATCH,), (STEPS - CONTEXT, 1))
    past_only = np.where(np.arange(STEPS)[:, None] < CONTEXT, y, np.nan)
    found = answers(model, stacked(inputs, inputs), np.concatenate([past_only, y]))[1]
    past, whole = np.split(found, 2)
    assert_close(past + log_prob(future, y[:, CONTEXT:]), whole, 1e-4)


def test_marginals_and_paths_are_those_of_the_joint_distribution(model):
    inputs, _ = data()
    number, horizon = 4000, STEPS - CONTEXT
    joint, marginal = model.joint_forecast(inputs), model.forecast(inputs, batch_size=2)
    assert isinstance(marginal, td.Normal)
    assert marginal.batch_shape == (BATCH, horizon)
    mean, cov = (to_numpy(x) for x in fast(lambda d: (d.mean(), d.covariance()))(joint))
    mean, cov = mean[..., 0], cov[:, :, 0, :, 0]
    variance = np.diagonal(cov, axis1=1, axis2=2)
    assert_close(marginal.loc, mean, 1e-4, floor=0.1)
    assert_close(np.square(marginal.scale), variance, 1e-4)
    paths = model.sample_paths(inputs, number, seed=1)
    assert paths.shape == (BATCH, number, horizon)
    # Steps of a path without their correlation: each is standard normal, and so are all moments.
    root = np.linalg.cholesky(cov)
    z = np.linalg.solve(root, np.swapaxes(paths - mean[:, None], 1, 2))
    assert (np.abs(z.mean(axis=-1)) < 4.5 / np.sqrt(number)).all()
    moments = z @ np.swapaxes(z, 1, 2) / number - np.eye(horizon)
    assert (np.abs(moments) < 4.5 * np.sqrt(2.0 / number)).all()
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3


def test_seeds_and_batches(model):
    inputs, _ = data()
    with pytest.raises(ValueError, match="num_paths must be an int >= 1"):
        model.sample_paths(inputs, 0)
    paths = model.sample_paths(inputs, 5, seed=1)
    np.testing.assert_array_equal(paths, model.sample_paths(inputs, 5, seed=1))
    assert (paths != model.sample_paths(inputs, 5, seed=2)).all()
    assert (model.sample_paths(inputs, 5) != model.sample_paths(inputs, 5)).all()


def test_a_forecast_is_compiled_once(model, monkeypatch):
    calls, encoded = [], DeepStateSpace._encoded
    monkeypatch.setattr(
        DeepStateSpace, "_encoded", lambda self, *args: calls.append(1) or encoded(self, *args)
    )
    inputs, _ = data()
    model.sample_paths(inputs, 6, seed=1, batch_size=3)
    before = len(calls)
    model.sample_paths(stacked(inputs, inputs), 6, seed=2, batch_size=3)
    # On torch nothing is compiled: each batch is encoded once, whatever the number of paths.
    assert len(calls) == (before + 2 if BACKEND == "torch" else before)


def test_nothing_of_the_future_is_seen(model):
    inputs, _ = data()
    changed = {**inputs, "features": inputs["features"].copy()}
    changed["features"][:, CONTEXT + 2 :] += 5.0
    ours, theirs = (model.forecast(x) for x in (inputs, changed))
    same, other = np.s_[:, :2], np.s_[:, 2:]
    assert_close(ours.loc[same], theirs.loc[same], 1e-5)
    assert (ours.loc[other] != theirs.loc[other]).any()


# --- units, padding, series ----------------------------------------------------------------------


@pytest.mark.parametrize("center", [False, True])
def test_the_unit_of_the_data_does_not_matter(center):
    model = small(seasonal=(4,), center=center)
    for (
        layer
    ) in model.core.recurrent:  # but for the logarithm of the scale, which the network reads
        kernel = to_numpy(layer.cell.kernel).copy()
        kernel[-1] = 0.0
        layer.cell.kernel.assign(kernel)
    inputs, y = data()
    factor, shift = np.float32(20.0), np.float32(7.0 if center else 0.0)
    scaled = {**inputs, "target": factor * inputs["target"] + shift}
    both = np.concatenate([y, factor * y + shift])
    _, found, mean, _ = answers(model, stacked(inputs, scaled), both)
    plain = found[:BATCH] - np.isfinite(y).sum(axis=(1, 2)) * np.log(factor)
    assert_close(found[BATCH:], plain, 1e-4)
    assert_close(mean[BATCH:], factor * mean[:BATCH] + shift, 1e-4, floor=1.0)


def padded(inputs, y, before, behind):
    """The same steps with what means nothing around them, and the mask that says so."""

    def pad(x, value):
        return np.pad(
            x, ((0, 0), (before, behind), *[(0, 0)] * (x.ndim - 2)), constant_values=value
        )

    steps = y.shape[1]
    mask = pad(np.ones((len(y), steps), "bool"), False)
    target = np.pad(inputs["target"], ((0, 0), (before, 0)), constant_values=99.0)
    longer = {"target": target, "features": pad(inputs["features"], np.nan), "mask": mask}
    return {**inputs, **longer, "seasons": pad(inputs["seasons"], 3)}, pad(y, 99.0)


def test_padding_changes_nothing(model):
    inputs, y = data()
    longer, targets = padded(inputs, y, 3, 2)
    mask = fast(lambda x: compat.get_keras_mask(model(x)))(tensors(longer))
    np.testing.assert_array_equal(to_numpy(mask), longer["mask"])
    (_, ours, mean, variance), (_, theirs, means, variances) = (
        answers(model, *x) for x in ((inputs, y), (longer, targets))
    )
    assert_close(theirs, ours, 1e-5)
    assert_close(means[:, :-2], mean, 1e-4, floor=0.1)
    assert_close(variances[:, :-2], variance, 1e-4)
    forecast = model.forecast(longer)  # of another length than before
    assert_close(forecast.loc, means, 1e-4, floor=0.1)


def test_a_series_without_a_known_value(model):
    inputs, y = data()
    inputs["target"][1], y[1] = np.nan, np.nan
    y[2, :CONTEXT], inputs["target"][2] = 0.0, 0.0
    forecast = model.forecast(inputs)
    assert all(np.isfinite(x).all() for x in (forecast.loc, forecast.scale))
    expected = -answers(model, inputs, y)[1][[0, 2]].mean()  # nothing of the other is observed
    assert_close(model.evaluate(inputs, y, verbose=0), expected, 1e-5)


def test_embedding_tells_series_apart():
    model = small(num_series=3, cell="gru", depth=2)
    inputs, _ = data()
    rows = {name: np.repeat(x[:1], 3, axis=0) for name, x in inputs.items()}
    rows["series"] = np.array([0, 1, 1], "int32")
    found = to_numpy(fast(lambda x: model(x).mean())(tensors(rows)))
    assert (found[0] != found[1]).any()
    assert_close(found[1], found[2], 1e-6)


# --- training ------------------------------------------------------------------------------------

LEVEL_STEP, SIGMAS = 0.1, (0.2, 1.5)


def panel(number, seed, steps=20, context=5):
    """Levels that begin at 5 +- 1 and move by 0.1, seen with an error that a feature tells."""
    rng = np.random.default_rng(seed)
    noisy = rng.integers(2, size=(number, steps))
    moves = LEVEL_STEP * rng.normal(size=(number, steps))
    moves[:, 0] = 5.0 + rng.normal(size=number)
    level = moves.cumsum(axis=1)
    y = level + np.where(noisy, SIGMAS[1], SIGMAS[0]) * rng.normal(size=(number, steps))
    y = y.astype("float32")
    inputs = {"target": y[:, :context], "features": noisy[..., None].astype("float32")}
    return inputs, y[..., None]


def local_level(noise, step):
    """Models with known parameters; `noise` has steps on its last axis, which may be one."""
    noise, step = np.broadcast_arrays(noise.astype("float32"), np.float32(step))
    return td.LinearGaussianStateSpaceModel(
        noise.shape[-1],
        transition_matrix=np.eye(1, dtype="float32"),
        transition_noise=td.MultivariateNormalDiag(0.0 * step[..., None], step[..., None]),
        observation_matrix=np.eye(1, dtype="float32"),
        observation_noise=td.MultivariateNormalDiag(0.0 * noise[..., None], noise[..., None]),
        initial_state_prior=td.MultivariateNormalDiag([5.0], [1.0]),
        time_varying=("transition_noise", "observation_noise"),
    )


def of_future(d, y, context):
    """log p(future | past)."""
    past = np.where(np.arange(y.shape[1])[:, None] < context, y, np.nan)
    return log_prob(d, y) - log_prob(d, past)


def test_noise_that_a_feature_tells_is_learned():
    keras.utils.set_random_seed(0)
    (train, y), (test, y_test) = panel(200, 0), panel(500, 1)
    model = DeepStateSpace(units=6, cell="gru")
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, 120)), NLL)
    model.fit(train, y, batch_size=100, epochs=60, verbose=0)
    context = test["target"].shape[1]
    future = y_test[:, context:]
    found = log_prob(model.joint_forecast(test), future)
    noisy = test["features"][..., 0] > 0.5
    true = of_future(local_level(np.where(noisy, *SIGMAS[::-1]), LEVEL_STEP), y_test, context)
    # The best of all models with constant parameters, chosen on the test data themselves.
    noises, moves = np.meshgrid(np.linspace(0.6, 1.4, 9), [0.02, 0.1, 0.2, 0.3])
    rows = np.ones((1, y_test.shape[1]))
    grid = local_level(noises.reshape(-1, 1) * rows, moves.reshape(-1, 1) * rows)
    constant = of_future(grid[:, None], y_test, context).mean(axis=1).max()
    assert abs(found.mean() - true.mean()) / future.shape[1] < 0.03
    assert (found.mean() - constant) / future.shape[1] > 0.4
    forecast = model.forecast(test)
    ahead = noisy[:, context:]
    assert np.median(forecast.scale[ahead]) > 2.0 * np.median(forecast.scale[~ahead])


def test_one_compiled_training_step():
    model = small(cell="gru", depth=2, **FULL)
    model.compile("adam", NLL)
    inputs, y = data()
    before = model.get_weights()
    loss = model.train_on_batch(inputs, y)
    assert np.isfinite(loss)
    after = model.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    assert all((a != b).any() for a, b in zip(after, before, strict=True))


def test_fit_builds_the_model():
    model = DeepStateSpace(units=3)
    model.compile("adam", NLL)
    inputs, y = data()
    with pytest.raises(ValueError, match="no weights yet"):
        model.forecast(inputs)
    assert np.isfinite(model.fit(inputs, y, verbose=0).history["loss"][0])


def test_in_a_functional_model():
    given, y = data()
    del given["series"]
    inputs = {
        name: keras.Input(x.shape[1:], dtype=str(x.dtype), name=name) for name, x in given.items()
    }
    distribution = DeepStateSpace(seasonal=(4,), units=3)(inputs)
    assert tuple(distribution.mean().shape) == (None, STEPS, 1)
    model = keras.Model(inputs, distribution)
    model.compile("adam", NLL)
    assert np.isfinite(model.train_on_batch(given, y))


# --- files, precision, errors --------------------------------------------------------------------


def test_file_in_safe_mode(model, tmp_path):
    inputs, _ = data()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    assert_close(loaded.forecast(inputs).loc, model.forecast(inputs).loc, 1e-6)
    assert DeepStateSpace.from_config(model.get_config()).structure.seasonal == (4,)


def test_mixed_precision():
    model = small(dtype="mixed_bfloat16", seasonal=(4,))
    inputs, y = data()
    found = answers(model, inputs, y)
    assert {str(x.dtype) for x in found} == {"float32"}
    assert_close(found[0], np.nanmean(np.abs(inputs["target"]), axis=1), 1e-6)
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"level": False}, ValueError, ("level",)),
        ({"units": 0}, ValueError, ("units", ">= 1", "0")),
        ({"cell": "rnn"}, ValueError, ("cell", "lstm", "rnn")),
        ({"center": "yes"}, TypeError, ("center", "yes")),
    ],
)
def test_wrong_arguments(kwargs, error, words):
    with pytest.raises(error) as caught:
        DeepStateSpace(**kwargs)
    assert all(word in str(caught.value) for word in ("DeepStateSpace", *words)), caught.value


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seasons": None}, ("needs the inputs", "seasons")),
        ({"features": np.zeros((3, 12))}, ("features", "(batch, steps, width)", "(3, 12)")),
        ({"target": np.zeros((3, 8, 1))}, ("target", "(3, 8, 1)", "(3, None)")),
        ({"seasons": np.zeros((3, 11))}, ("seasons", "(3, 11)", "(3, 12)", "(3, 12, 1)")),
        ({"series": np.zeros((3, 1))}, ("series", "(3, 1)", "(3,)")),
        ({"mask": np.ones((3, 8))}, ("mask", "(3, 8)", "(3, 12)")),
        ({"target": np.zeros((3, 12))}, ("12 steps", "forecast", "future")),
        ({"target": np.zeros((3, 13)), "mask": np.ones((3, 12))}, ("13 steps", "mask 12")),
        ({"features": np.full((3, 12, 2), np.nan)}, ("72 features", "not finite", "(0, 0, 0)")),
        ({"target": np.full((3, 8), np.inf)}, ("24 infinite values", "target", "inf")),
        ({"series": np.array([0, 3, 1])}, ("series", "0, …, 2", "3 at index (1,)")),
    ],
)
def test_wrong_inputs(model, changed, words):
    inputs, _ = data(**changed)
    inputs = {name: x for name, x in inputs.items() if x is not None}
    with pytest.raises(ValueError) as caught:
        model.forecast(inputs)
    assert all(word in str(caught.value) for word in ("DeepStateSpace", *words)), caught.value
