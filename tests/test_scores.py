"""Scores against `scoringrules`, NumPy and numbers worked out by hand."""

import numpy as np
import pytest
import scoringrules
from helpers import (
    DTYPES,
    assert_close,
    compiled,
    dtype_scope,
    gradient,
    to_numpy,
    value_and_gradient,
)
from keras import ops

from timedist import scores
from timedist.distributions import Normal

RNG = np.random.default_rng(0)


def rounded(x):
    """Numbers that float32 can hold, as float64: both precisions get the same."""
    return np.asarray(x, "float32").astype("float64")


Y = rounded(RNG.normal(size=(4, 5)))
SAMPLES = rounded(RNG.normal(size=(40, 4, 5)))
LOWER, UPPER = rounded(np.sort(RNG.normal(size=(2, 4, 5)), axis=0))
VARIANCE = rounded(np.exp(UPPER))
ROOT = rounded(RNG.normal(size=(4, 5, 5)))
COVARIANCE = rounded(ROOT @ ROOT.swapaxes(-1, -2) + np.eye(5))
PROBS = rounded(RNG.dirichlet(np.ones(3), size=(4, 5)))
LEVELS = (0.5, 0.8, 0.95)
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


def members_last(samples):
    """Samples as `scoringrules` has them: their axis before the last one of vectors."""
    return np.moveaxis(samples, 0, -2)


def covariance_score():
    """The Dawid-Sebastiani score by NumPy."""
    error = Y - LOWER
    return np.linalg.slogdet(COVARIANCE)[1] + np.einsum(
        "...i,...ij,...j", error, np.linalg.inv(COVARIANCE), error
    )


# Score, its arguments, what it should be.
CASES = {
    "pinball": (
        lambda y, q: scores.pinball(y, q, 0.8),
        (Y, LOWER),
        lambda: scoringrules.quantile_score(Y, LOWER, 0.8),
    ),
    "coverage": (scores.coverage, (Y, LOWER, UPPER), lambda: (LOWER <= Y) & (Y <= UPPER)),
    "interval": (
        lambda *a: scores.interval_score(*a, 0.9),
        (Y, LOWER, UPPER),
        lambda: scoringrules.interval_score(Y, LOWER, UPPER, 0.1),
    ),
    "crps": (
        scores.crps_samples,
        (Y, SAMPLES),
        lambda: scoringrules.crps_ensemble(Y, SAMPLES, m_axis=0, estimator="nrg"),
    ),
    "fair crps": (
        lambda *a: scores.crps_samples(*a, fair=True),
        (Y, SAMPLES),
        lambda: scoringrules.crps_ensemble(Y, SAMPLES, m_axis=0, estimator="fair"),
    ),
    "energy": (
        scores.energy_score,
        (Y, SAMPLES),
        lambda: scoringrules.es_ensemble(Y, members_last(SAMPLES)),
    ),
    "fair energy": (
        lambda *a: scores.energy_score(*a, fair=True),
        (Y, SAMPLES),
        lambda: scoringrules.es_ensemble(Y, members_last(SAMPLES), estimator="fair"),
    ),
    "variogram": (
        scores.variogram_score,
        (Y, SAMPLES),
        lambda: scoringrules.vs_ensemble(Y, members_last(SAMPLES)),
    ),
    "weighted variogram": (
        lambda *a: scores.variogram_score(*a[:2], 1.0, a[2]),
        (Y, SAMPLES, np.abs(ROOT)),
        lambda: scoringrules.vs_ensemble(Y, members_last(SAMPLES), np.abs(ROOT), p=1.0),
    ),
    "event": (
        scores.brier,
        (Y > 0, PROBS[..., 0]),
        lambda: scoringrules.brier_score((Y > 0).astype(int), PROBS[..., 0]),
    ),
    "categories": (
        scores.brier,
        (np.arange(20).reshape(4, 5) % 3, PROBS),
        lambda: ((PROBS - np.eye(3)[np.arange(20).reshape(4, 5) % 3]) ** 2).sum(-1),
    ),
    "covariance": (scores.dawid_sebastiani, (Y, LOWER, COVARIANCE), covariance_score),
    "variance": (
        lambda y, m, v: scores.dawid_sebastiani(y, m, variance=v),
        (Y, LOWER, VARIANCE),
        lambda: np.log(VARIANCE) + (Y - LOWER) ** 2 / VARIANCE,
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_against_other_implementations(case, dtype):
    score, arrays, expected = CASES[case]
    arrays = [a if a.dtype.kind != "f" else a.astype(dtype) for a in arrays]
    with dtype_scope(dtype):
        found = score(*arrays)
        assert str(to_numpy(found).dtype) == dtype
        assert_close(found, expected(), TOLERANCE[dtype], floor=1.0)


def test_compiled():
    def run(y, samples, lower, upper):
        return (
            scores.energy_score(y, samples),
            scores.interval_score(y, lower, upper, 0.9),
            scores.dawid_sebastiani(y, lower, ops.eye(5)),
            scores.brier(ops.cast(y > 0, y.dtype), ops.sigmoid(lower)),
        )

    arrays = [ops.convert_to_tensor(a, "float32") for a in (Y, SAMPLES, LOWER, UPPER)]
    found = compiled(run)(*arrays)
    assert_close(found[0], CASES["energy"][2](), 1e-5)
    assert_close(found[1], CASES["interval"][2](), 1e-5)
    assert_close(found[2], ((Y - LOWER) ** 2).sum(-1), 1e-5)
    assert_close(found[3], ((Y > 0) - 1 / (1 + np.exp(-LOWER))) ** 2, 1e-4)


# --- numbers by hand ---------------------------------------------------------------------------


def test_lists_and_numbers():
    assert float(scores.pinball(3, [1.0], 0.5)[0]) == 1.0
    assert float(scores.crps_samples(1, [0, 2])) == 0.5
    assert float(scores.coverage([1, 5], 0, 2)[1]) == 0.0
    # The width is 2; 1 outside at level 0.5 costs 2 / 0.5 more.
    assert float(scores.interval_score(4, 1, 3, 0.5)) == 6.0
    assert float(scores.variogram_score([0, 4], [[0, 1], [1, 0]])) == 2.0
    assert float(scores.brier(0, 0.5)) == 0.25
    # Distances 5 and 5; four ordered pairs, two of them 10 apart.
    assert float(scores.energy_score([0, 0], [[3, 4], [-3, -4]])) == 2.5
    assert float(scores.energy_score([0, 0], [[3, 4], [-3, -4]], fair=True)) == 0.0
    assert_close(scores.dawid_sebastiani(0.0, 2.0, variance=4.0), np.log(4.0) + 1.0, 1e-6)


def test_weighted_interval_score():
    # Bracher et al. (2021), equation 2, by hand: (0.5 * 2 + 0.25 * 6) / 1.5.
    assert_close(scores.weighted_interval_score(4.0, 2.0, [1.0], [3.0], [0.5]), 5 / 3, 1e-6)
    quantiles = np.sort(RNG.normal(size=(7, 4, 5)), axis=0).astype("float32")
    lowers, uppers = quantiles[[2, 1, 0]], quantiles[[4, 5, 6]]
    found = scores.weighted_interval_score(Y, quantiles[3], lowers, uppers, LEVELS)
    levels = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]
    each = [scoringrules.quantile_score(Y, q, p) for q, p in zip(quantiles, levels, strict=True)]
    assert_close(found, 2 * np.mean(each, axis=0), 1e-5)


def test_log_score():
    assert_close(scores.log_score(2.0, Normal(0.0, 1.0)), 2.0 + 0.5 * np.log(2 * np.pi), 1e-6)


# --- samples -----------------------------------------------------------------------------------


def test_precisions_may_differ():
    expected = to_numpy(scores.crps_samples(Y, SAMPLES))
    assert_close(scores.crps_samples(Y.astype("float32"), SAMPLES), expected, 1e-5)
    assert_close(scores.crps_samples(Y, SAMPLES.astype("float32")), expected, 1e-5)
    half = ops.cast(Y, "bfloat16")
    found = to_numpy(scores.crps_samples(half, SAMPLES.astype("float32")))
    assert str(found.dtype) == "float32"


def test_of_one_sample_it_is_the_distance():
    assert_close(scores.crps_samples(Y, SAMPLES[:1]), np.abs(Y - SAMPLES[0]), 1e-6)
    distance = np.linalg.norm(Y - SAMPLES[0], axis=-1)
    assert_close(scores.energy_score(Y, SAMPLES[:1]), distance, 1e-6)


def test_energy_of_one_component_is_the_crps():
    expected = to_numpy(scores.crps_samples(Y, SAMPLES))
    found = scores.energy_score(Y[..., None], SAMPLES[..., None])
    assert_close(found, expected, 1e-5, floor=1.0)


def test_crps_of_many_normal_samples_is_that_of_the_normal():
    draws = RNG.normal(size=(20000, 1)).astype("float32")
    y = np.array([0.0], "float32")
    # Gneiting and Raftery (2007), section 4.2: the CRPS of a standard normal at 0.
    expected = np.sqrt(2.0 / np.pi) - 1.0 / np.sqrt(np.pi)
    assert_close(scores.crps_samples(y, draws), expected, 0.02)


def test_fair_scores_do_not_depend_on_the_number_of_samples():
    draws = RNG.normal(size=(2, 40000, 1)).astype("float32")
    y = np.zeros((40000, 1), "float32")
    expected = np.sqrt(2.0 / np.pi) - 1.0 / np.sqrt(np.pi)
    crps = to_numpy(scores.crps_samples(y, draws, fair=True))
    bound = 4 * crps.std() / np.sqrt(len(crps))
    assert abs(crps.mean() - expected) < bound
    assert abs(to_numpy(scores.energy_score(y, draws, fair=True)).mean() - expected) < bound
    assert to_numpy(scores.crps_samples(y, draws)).mean() > expected + bound


@pytest.mark.parametrize("score", [scores.crps_samples, scores.energy_score])
def test_scales_and_shifts(score):
    found = to_numpy(score(Y, SAMPLES))
    assert_close(score(10 * Y + 3, 10 * SAMPLES + 3), 10 * found, 1e-4, floor=1.0)
    # Far from zero the score keeps the digits that the data have.
    assert_close(score(Y + 4096, SAMPLES + 4096), found, 2e-3)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_energy_neither_overflows_nor_underflows(size):
    expected = size * CASES["energy"][2]()
    assert_close(
        scores.energy_score(Y * np.float32(size), SAMPLES * np.float32(size)), expected, 1e-4
    )


@pytest.mark.parametrize("fair", [False, True])
def test_gradient_of_the_energy_score(fair):
    samples, y = SAMPLES[:6, 0, :3], Y[0, :3]

    def brute(x):
        pairs = np.linalg.norm(x[:, None] - x[None], axis=-1).sum()
        divisor = 2 * 6 * (5 if fair else 6)
        return np.linalg.norm(x - y, axis=-1).mean() - pairs / divisor

    step = 1e-6
    expected = np.zeros_like(samples)
    for at in np.ndindex(samples.shape):
        moved = np.zeros_like(samples)
        moved[at] = step
        expected[at] = (brute(samples + moved) - brute(samples - moved)) / (2 * step)
    value, (found,) = value_and_gradient(
        lambda x: scores.energy_score(y.astype("float32"), x, fair), samples.astype("float32")
    )
    assert_close(value, brute(samples), 1e-5)
    assert_close(found, expected, 1e-4, floor=0.1)


def test_gradients_where_samples_coincide():
    same = np.ones((3, 2), "float32")
    (energy,) = gradient(lambda x: scores.energy_score(same[0], x), same)
    assert (energy == 0.0).all()
    (variogram,) = gradient(lambda x: scores.variogram_score(np.float32([1.0, 2.0]), x), same)
    assert (variogram == 0.0).all()


# --- what is missing, and bad arguments --------------------------------------------------------


def test_pinball_is_least_at_the_quantile():
    draws = RNG.exponential(size=4000).astype("float32")
    grid = np.linspace(0.1, 4.0, 200, dtype="float32")
    losses = to_numpy(scores.pinball(draws, grid[:, None], 0.8)).mean(axis=1)
    assert abs(grid[losses.argmin()] - np.quantile(draws, 0.8)) < 0.03


@pytest.mark.parametrize("case", CASES)
def test_missing_truth_gives_missing_scores(case):
    score, (y, *others), _ = CASES[case]
    y = y.astype("float32")
    y[1, 2] = np.nan
    missing = np.isnan(to_numpy(score(y, *others)))
    expected = np.isnan(y)
    assert (missing == (expected.any(-1) if missing.ndim == 1 else expected)).all()


WRONG = {
    "level of pinball": (lambda: scores.pinball(Y, Y, 1.0), "level must be between 0 and 1, got 1"),
    "level in percent": (lambda: scores.interval_score(Y, Y, Y, 90), "level must be .* got 90"),
    "level of text": (lambda: scores.pinball(Y, Y, "0.5"), "level must be .* got '0.5'"),
    "no levels": (lambda: scores.weighted_interval_score(1, 1, [], [], []), "levels must be"),
    "bad levels": (lambda: scores.weighted_interval_score(1, 1, [1], [1], [0]), "levels must be"),
    "one level": (lambda: scores.weighted_interval_score(1, 1, [1], [1], 0.5), "levels must be"),
    "shapes": (lambda: scores.pinball(Y, Y[:3], 0.5), r"do not broadcast .* quantile \(3, 5\)"),
    "shape of ends": (
        lambda: scores.weighted_interval_score(Y, Y, [Y], [Y, Y], [0.5]),
        r"uppers has shape \(2, 4, 5\), expected \(1, 4, 5\)",
    ),
    "ends": (
        lambda: scores.interval_score([0, 0], [0, 2], [1, 1], 0.5),
        r"1 lower ends above their upper ends, the first 2 at index \(1,\)",
    ),
    "shape of samples": (
        lambda: scores.crps_samples(Y, SAMPLES[..., 0]),
        r"samples has shape \(40, 4\), expected \(40, 4, 5\)",
    ),
    "no samples": (lambda: scores.crps_samples(Y, SAMPLES[:0]), "1 or more samples"),
    "one sample": (lambda: scores.crps_samples(1, 1), "1 or more samples"),
    "fair of one": (lambda: scores.crps_samples(Y, SAMPLES[:1], True), "2 or more samples"),
    "fair energy": (lambda: scores.energy_score(Y, SAMPLES[:1], True), "2 or more samples"),
    "no vector": (lambda: scores.energy_score(1.0, [1.0]), "a vector on the last axis"),
    "order": (lambda: scores.variogram_score(Y, SAMPLES, 0.0), "p must be a positive number"),
    "weights": (
        lambda: scores.variogram_score(Y, SAMPLES, weights=-1),
        "20? negative weights|1 neg",
    ),
    "shape of weights": (
        lambda: scores.variogram_score(Y, SAMPLES, weights=np.ones(4)),
        "do not broadcast",
    ),
    "probability": (lambda: scores.brier(1, 1.5), "1 probabilities not in .* the first 1.5"),
    "no probability": (lambda: scores.brier(1, np.nan), "probabilities not in"),
    "event": (lambda: scores.brier(2, 0.5), "neither 0 nor 1, the first 2"),
    "category": (lambda: scores.brier([3], [[0.5, 0.5]]), "categories other than 0 to 1"),
    "fraction": (lambda: scores.brier([0.5], [[0.5, 0.5]]), "categories other than 0 to 1"),
    "sum": (lambda: scores.brier([1], [[0.5, 0.6]]), "sums of probabilities other than 1"),
    "no moments": (lambda: scores.dawid_sebastiani(Y, Y), "exactly one .* got neither"),
    "moments": (lambda: scores.dawid_sebastiani(Y, Y, ROOT, Y), "exactly one .* got both"),
    "variance": (lambda: scores.dawid_sebastiani(Y, Y, variance=0), "variances that are not pos"),
    "asymmetric": (lambda: scores.dawid_sebastiani(Y, Y, ROOT), "finite and symmetric"),
    "indefinite": (lambda: scores.dawid_sebastiani(Y, Y, -COVARIANCE), "positive definite"),
    "size": (lambda: scores.dawid_sebastiani(Y, Y, np.eye(3)), r"expected \(\.\.\., 5, 5\)"),
    "text": (lambda: scores.pinball("high", 1.0, 0.5), "y must be an array of numbers, got 'high'"),
    "ragged": (lambda: scores.coverage([[1], [2, 3]], 1, 2), "y must be an array of numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_distribution_is_no_array():
    with pytest.raises(TypeError, match=r"quantile must be an array, .*\.quantile\(0\.9\)"):
        scores.pinball(1.0, Normal(0.0, 1.0), 0.5)
    with pytest.raises(TypeError, match=r"log_prob, got float"):
        scores.log_score(1.0, 0.5)
