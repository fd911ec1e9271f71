"""Metrics of distributions: in compiled models and alone, against NumPy, SciPy and others."""

import keras
import numpy as np
import pytest
import scoringrules
from helpers import BACKEND, to_numpy
from keras import ops
from models import QUICK
from scipy import stats

import timedist
from timedist.distributions import Categorical, Independent, MixtureSameFamily, Normal, Poisson
from timedist.layers import IndependentNormal
from timedist.metrics import (
    CRPS,
    CalibrationError,
    Coverage,
    DistributionMetric,
    EnergyScore,
    MeanAbsoluteError,
    NegativeLogLikelihood,
    Pinball,
    Sharpness,
)
from timedist.ops import compat

RNG = np.random.default_rng(0)
N, T, D = 10, 4, 3
X = RNG.normal(size=(N, T, 2)).astype("float32")
Y = RNG.normal(size=(N, T, D)).astype("float32")
LOC = RNG.normal(size=(N, T, D)).astype("float32")
SCALE = np.exp(0.3 * RNG.normal(size=(N, T, D))).astype("float32")
MASK = np.arange(T) < RNG.integers(1, T + 1, size=N)[:, None]
WEIGHT = RNG.uniform(0.1, 2.0, size=(N, T)).astype("float32")
LEVELS = (0.2, 0.5, 0.9)
EVERY = {
    "nll": NegativeLogLikelihood,
    "crps": CRPS,
    "energy": lambda **kwargs: EnergyScore(200, **kwargs),
    "pinball": lambda **kwargs: Pinball(LEVELS, **kwargs),
    "coverage": lambda **kwargs: Coverage(0.8, **kwargs),
    "sharpness": lambda **kwargs: Sharpness(0.8, **kwargs),
    "calibration": lambda **kwargs: CalibrationError(5, **kwargs),
    "median": MeanAbsoluteError,
    "mean": lambda **kwargs: MeanAbsoluteError("mean", **kwargs),
}


def normal(loc=LOC, scale=SCALE, mask=None):
    """The distribution of the tests, with a Keras mask."""
    made = Independent(Normal(loc, scale))
    if mask is not None:
        compat.set_keras_mask(made, ops.convert_to_tensor(mask))
    return made


def expected(y, loc, scale, weight):
    """Every metric by NumPy, SciPy and scoringrules; weights of steps, NaN where missing."""
    y, loc, scale = (a.astype("float64") for a in (y, loc, scale))
    there = ~np.isnan(y)
    each = weight[..., None] * there
    steps = weight * there.any(-1)
    twin = stats.norm(loc, scale)

    def over_components(score):
        return np.where(there, score * each, 0.0).sum() / each.sum()

    def over_steps(score):
        return np.where(there, score * each, 0.0).sum() / steps.sum()

    def energy():
        x = np.where(there, twin.rvs((500, *y.shape), random_state=RNG), 0.0)
        distance = np.linalg.norm(x - np.where(there, y, 0.0), axis=-1).mean(0)
        spread = np.linalg.norm(x[::2] - x[1::2], axis=-1).mean(0)
        return ((distance - 0.5 * spread) * steps).sum() / steps.sum()

    def calibration():
        levels = np.arange(1, 5) / 5
        shares = [over_components(twin.cdf(y) <= u) for u in levels]
        return np.abs(shares - levels).mean()

    pinball = [scoringrules.quantile_score(y, twin.ppf(p), p) for p in LEVELS]
    return {
        "nll": over_steps(-twin.logpdf(y)),
        "crps": over_steps(scoringrules.crps_normal(y, loc, scale)),
        "energy": energy(),
        "pinball": over_steps(np.mean(pinball, axis=0)),
        "coverage": over_components(np.abs(twin.cdf(y) - 0.5) <= 0.4),
        "sharpness": over_components(twin.ppf(0.9) - twin.ppf(0.1)),
        "calibration": calibration(),
        "median": over_components(np.abs(y - loc)),
        "mean": over_components(np.abs(y - loc)),
    }


def check(found, right):
    """Every metric is right, the one from samples nearly."""
    for name in EVERY:
        tolerance = 0.03 if name == "energy" else 2e-5
        np.testing.assert_allclose(to_numpy(found[name]), right[name], tolerance, err_msg=name)


def with_gaps(y):
    """Targets of which some components are missing, and one whole step."""
    gaps = y.copy()
    gaps[1, 0], gaps[3, 2, 1], gaps[7, 1, 0] = np.nan, np.nan, np.nan
    return gaps


def test_batches_masks_weights_and_missing_values_add_up():
    y, counted = with_gaps(Y), np.where(MASK[..., None], with_gaps(Y), np.nan)
    found = {}
    for name, make in EVERY.items():
        metric = make(missing="mask")
        for part in (slice(0, 7), slice(7, N)):
            batch = normal(LOC[part], SCALE[part], MASK[part])
            metric.update_state(y[part], batch, WEIGHT[part])
        found[name] = metric.result()
        metric.reset_state()
        assert all((to_numpy(v.value) == 0.0).all() for v in metric.variables)
        assert to_numpy(metric.result()) == 0.0
    check(found, expected(counted, LOC, SCALE, WEIGHT))


def test_weights_of_sequences():
    metric = CRPS()
    metric.update_state(Y, normal(), WEIGHT[:, 0])
    of_steps = np.broadcast_to(WEIGHT[:, :1], (N, T))
    right = expected(Y, LOC, SCALE, of_steps)["crps"]
    np.testing.assert_allclose(to_numpy(metric.result()), right, 2e-5)


def small_model():
    """Masked features to three normals a step."""
    inputs = keras.Input((T, 2))
    hidden = keras.layers.Dense(2 * D)(keras.layers.Masking()(inputs))
    return keras.Model(inputs, IndependentNormal(D)(hidden))


def test_evaluate_is_what_predict_says():
    model, x = small_model(), np.where(MASK[..., None], X, 0.0).astype("float32")
    model.compile(
        loss=timedist.losses.CRPS(missing="mask"),
        metrics=[make(missing="mask", name=name) for name, make in EVERY.items()],
        weighted_metrics=[
            make(missing="mask", name=f"weighted_{name}") for name, make in EVERY.items()
        ],
        **QUICK,
    )
    y = with_gaps(Y)
    found = model.evaluate(x, y, sample_weight=WEIGHT, batch_size=5, verbose=0, return_dict=True)
    base = timedist.predict(model, x, verbose=0).base
    counted = np.where(MASK[..., None], y, np.nan)
    check(found, expected(counted, base.loc, base.scale, np.ones((N, T))))
    weighted = {name: found[f"weighted_{name}"] for name in EVERY}
    check(weighted, expected(counted, base.loc, base.scale, WEIGHT))


def test_fit_is_what_predict_says():
    model = keras.Sequential([keras.layers.Dense(2 * D), IndependentNormal(D)])
    model.compile(
        keras.optimizers.SGD(0.0),
        timedist.losses.EnergyScore(4),
        metrics=[make(name=name) for name, make in EVERY.items()],
        **QUICK,
    )
    history = model.fit(X, Y, batch_size=5, epochs=2, verbose=0, shuffle=False).history
    base = timedist.predict(model, X, verbose=0).base
    right = expected(Y, base.loc, base.scale, np.ones((N, T)))
    for epoch in range(2):
        check({name: values[epoch] for name, values in history.items()}, right)


def test_a_compiled_model_is_saved_with_its_metrics(tmp_path):
    model = small_model()
    model.compile(loss=timedist.losses.Pinball([0.5]), metrics=[CRPS(), Coverage(0.5)], **QUICK)
    before = model.evaluate(X, Y, verbose=0, return_dict=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(before, rel=1e-5)
    assert set(before) == {"loss", "crps", "coverage_50"}


# --- calibration -------------------------------------------------------------------------------


def test_calibration_of_counts_is_that_of_czado_gneiting_held():
    rate = np.exp(RNG.normal(size=200)).astype("float32")
    y = RNG.poisson(rate * 1.5).astype("float32")
    levels = np.arange(1, 10) / 10
    below, upto = stats.poisson.cdf(y - 1, rate), stats.poisson.cdf(y, rate)
    share = np.clip((levels[:, None] - below) / (upto - below), 0.0, 1.0)
    right = np.abs(share.mean(-1) - levels).mean()
    found = CalibrationError()(y, Independent(Poisson(rate[:, None])))
    np.testing.assert_allclose(to_numpy(found), right, 1e-4)
    # Where the forecast is right, what is left is chance.
    truth = RNG.poisson(rate).astype("float32")
    assert to_numpy(CalibrationError()(truth, Poisson(rate))) < 1 / np.sqrt(len(rate)) < right


def test_calibration_of_what_is_certain_to_be_wrong_is_a_half():
    assert to_numpy(CalibrationError()(np.full(5, 99.0), Normal(np.zeros(5), 1.0))) == 0.5
    impossible = Categorical(probs=np.tile([[0.5, 0.5, 0.0]], (5, 1)))
    np.testing.assert_allclose(to_numpy(CalibrationError(2)(np.full(5, 2.0), impossible)), 0.5)


# --- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_config_round_trip(name):
    metric = EVERY[name](missing="mask", name="mine")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert (again.missing, again.name) == ("mask", "mine")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Coverage(90), "Coverage: level must be between 0 and 1, got 90"),
        (lambda: Sharpness(0.0), "Sharpness: level must be between 0 and 1"),
        (lambda: Pinball([1.5]), "Pinball: levels must be"),
        (lambda: EnergyScore(1), "EnergyScore: num_samples must be an int >= 2"),
        (lambda: CalibrationError(1), "CalibrationError: bins must be an int >= 2, got 1"),
        (lambda: MeanAbsoluteError("mode"), "of must be one of .* got 'mode'"),
        (lambda: CRPS(missing="drop"), "CRPS: missing must be one of .* got 'drop'"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_inputs():
    metric = CRPS()
    with pytest.raises(TypeError, match=r"metric 'crps' takes a distribution but got .*4, 3\)"):
        metric(Y, LOC)
    with pytest.raises(ValueError, match=r"targets of shape \(10, 4\), expected \(10, 4, 3\)"):
        metric(Y[..., 0], normal())
    with pytest.raises(ValueError, match=r"sample weights of shape \(4,\), expected \(10, 4\)"):
        metric(Y, normal(), WEIGHT[0])
    with pytest.raises(ValueError, match=r'6? NaN targets.*missing="mask"'):
        metric(with_gaps(Y), normal())
    with pytest.raises(NotImplementedError, match="DistributionMetric must implement"):
        DistributionMetric()(Y, normal())


def test_metrics_in_fit_leave_masked_steps_out():
    x = X.copy()
    x[:, 2:] = 0.0
    model = keras.Sequential(
        [keras.layers.Masking(), keras.layers.Dense(2 * D), IndependentNormal(D)]
    )
    model.compile(
        keras.optimizers.SGD(0.0), timedist.losses.NegativeLogLikelihood(), metrics=[CRPS()]
    )
    inside = model.fit(x, Y, batch_size=len(x), verbose=0).history
    outside = model.evaluate(x, Y, batch_size=len(x), verbose=0, return_dict=True)
    all_steps = float(to_numpy(CRPS()(Y, model(X))))
    np.testing.assert_allclose(inside["crps"][0], outside["crps"], 1e-5)
    np.testing.assert_allclose(inside["loss"][0], outside["loss"], 1e-5)
    assert abs(outside["crps"] - all_steps) > 1e-4


@pytest.mark.skipif(BACKEND == "torch", reason="torch does not compile by itself")
def test_nan_without_a_word_is_a_nan_metric_under_compilation():
    model = small_model()
    names = [name for name in EVERY if name != "sharpness"]
    metrics = [EVERY[name](name=name) for name in names]
    model.compile(loss=timedist.losses.CRPS(), metrics=metrics, **QUICK)
    found = model.evaluate(X, with_gaps(Y), verbose=0, return_dict=True)
    assert all(np.isnan(found[name]) for name in names)


def test_components_that_depend_on_each_other():
    parts = Independent(Normal(np.zeros((4, 2, D), "float32"), 1.0))
    mixture = MixtureSameFamily(Categorical(logits=np.zeros((4, 2), "float32")), parts)
    for metric in (CRPS(), Coverage(), CalibrationError()):
        with pytest.raises(NotImplementedError, match="MixtureSameFamily"):
            metric(Y[0], mixture)
    right = np.abs(Y[0]).mean()
    np.testing.assert_allclose(to_numpy(MeanAbsoluteError("mean")(Y[0], mixture)), right, 1e-5)
