"""Sampled futures: the model's own distributions step by step, drawn in one compiled loop."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, assert_close, to_numpy
from scipy import stats

from timedist import distributions as td
from timedist.layers import (
    IndependentNegativeBinomial,
    IndependentNormal,
    IndependentPoisson,
    MixtureNormal,
)
from timedist.prediction import predict
from timedist.sequence import AutoregressiveRNN, Rollout

LAGS, CONTEXT, HORIZON, BATCH = (1, 3, 4, 9), 5, 6, 2


def small(**kwargs):
    keras.utils.set_random_seed(1)
    options = {"lags": LAGS, "context_length": CONTEXT, "units": 4, **kwargs}
    options.setdefault("head", IndependentNormal())
    return AutoregressiveRNN(**options)


def past(model, batch=BATCH, horizon=HORIZON, seed=0):
    rng = np.random.default_rng(seed)
    length = model.max_lag + model.context_length
    given = {
        "target": rng.gamma(3.0, 2.0, size=(batch, length)).astype("float32"),
        "features": rng.normal(size=(batch, model.context_length + horizon, 2)).astype("float32"),
    }
    if model.num_series:
        given["series"] = np.arange(batch, dtype="int32") % model.num_series
    return given


def built(model, given):
    if not model.built:
        model.build({name: value.shape for name, value in given.items()})
    return model


def paths_of(model, given, num_paths=3, seed=1):
    built(model, given)
    return Rollout(model, num_paths, seed=seed).predict(given, verbose=0)


def fixed(model, *bias):
    """The model with these network outputs at every step, whatever its inputs."""
    built(model, past(model))
    model.projection.kernel.assign(np.zeros(model.projection.kernel.shape))
    model.projection.bias.assign(np.array(bias))
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "transform": "asinh", "num_series": 2},
        {"cell": "gru", "transform": "none", "depth": 2},
        {"cell": "lstm", "transform": "none", "lags": (HORIZON, 9)},
        {"cell": "gru", "transform": "asinh", "lags": (1,)},
    ],
)
def test_steps_are_those_of_teacher_forcing(options):
    """With almost no noise a path is the medians given itself, which one full pass must find."""
    model = small(**options)
    given = past(model)
    given["target"][0, 4:8] = np.nan
    built(model, given)
    kernel = to_numpy(model.projection.kernel).copy()
    kernel[:, 1] = 0.0
    model.projection.kernel.assign(kernel)
    model.projection.bias.assign(np.array([0.1, -30.0]))
    paths = paths_of(model, given, num_paths=2)
    assert paths.shape == (BATCH, 2, HORIZON)
    assert_close(paths[:, 0], paths[:, 1], 1e-3)
    assert paths.std(axis=-1).min() > 0
    whole = {**given, "target": np.concatenate([given["target"], paths[:, 0]], axis=1)}
    expected = to_numpy(model(whole).quantile(0.5))[:, CONTEXT:]
    assert_close(paths[:, 0], expected, 1e-3, floor=1e-2)


HEADS = {
    "normal": (IndependentNormal(), "none", (0.3, -0.5)),
    "mixture": (MixtureNormal(2), "asinh", (0.5, -0.5, 0.2, -2.0, -0.4, -1.0)),
    "poisson": (IndependentPoisson(), "asinh", (0.4,)),
    "negative-binomial": (IndependentNegativeBinomial(), "asinh", (1.0, 0.2)),
}


def known_cdf(values, scale, grid):
    """By SciPy, from the numbers the head gives."""
    if isinstance(values, td.Normal):
        return stats.norm.cdf(grid / scale - 1.0, *map(to_numpy, (values.loc, values.scale)))
    if isinstance(values, td.Poisson):
        return stats.poisson.cdf(grid, to_numpy(values.rate) * scale)
    if isinstance(values, td.NegativeBinomial):
        number = to_numpy(values.total_count)
        mean = number * np.exp(to_numpy(values.logits)) * scale
        return stats.nbinom.cdf(grid, number, number / (number + mean))
    x = np.arcsinh(grid / (0.04 * scale)) - np.arcsinh(1 / 0.04)
    each = stats.norm.cdf(
        x[:, None], *(to_numpy(getattr(values.components, n))[0] for n in ("loc", "scale"))
    )
    return each @ to_numpy(values.mixture.probs)[0]


@pytest.mark.parametrize("name", HEADS)
def test_paths_follow_the_distribution(name):
    head, transform, bias = HEADS[name]
    model = fixed(small(head=head, transform=transform), *bias)
    given, number = past(model, horizon=3), 2000
    paths = paths_of(model, given, number)
    scale = np.abs(given["target"]).mean(axis=1)
    values = head(np.array([bias], "float32"))
    if model.counts:
        np.testing.assert_array_equal(paths, np.round(paths))
        assert paths.min() >= 0
    for row in range(BATCH):
        grid = np.unique(np.quantile(paths[row], np.linspace(0.02, 0.98, 25)))
        cdf = known_cdf(values, scale[row], grid)
        for step in range(3):
            share = (paths[row, :, step][:, None] <= grid).mean(axis=0)
            assert np.abs(share - cdf).max() < 2.0 / np.sqrt(number)  # Kolmogorov, about 1 in 1500
        # Independent of each other, as this network reads nothing.
        between = np.corrcoef(paths[row].T)[np.triu_indices(3, 1)]
        assert np.abs(between).max() < 4.5 / np.sqrt(number)
    assert abs(np.corrcoef(paths[0, :, 0], paths[1, :, 0])[0, 1]) < 4.5 / np.sqrt(number)


def test_paths_feed_on_themselves():
    """A random walk: each step is drawn around the one before, so the spread grows."""
    model = small(lags=(1,), transform="none", cell="gru", units=1)
    given = past(model, horizon=4)
    built(model, given)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    kernel = np.zeros(model.core.recurrent[0].cell.kernel.shape)
    kernel[0, 2] = 0.5  # the candidate state reads the last value
    model.core.recurrent[0].cell.kernel.assign(kernel)
    bias = np.zeros(model.core.recurrent[0].cell.bias.shape)
    bias[0, 0] = -20.0  # the update gate lets all of it in
    model.core.recurrent[0].cell.bias.assign(bias)
    model.projection.kernel.assign(np.array([[2.0, 0.0]]))
    model.projection.bias.assign(np.array([0.0, -1.5]))
    paths = paths_of(model, given, 1000)
    spread = paths.std(axis=1)
    assert (np.diff(spread, axis=-1) > 0).all()
    for row in range(BATCH):
        assert np.corrcoef(paths[row].T)[0, 1] > 0.5


def test_seeds():
    model = small()
    given = past(built(model, past(model)))
    first, second = Rollout(model, 4, seed=3), Rollout(model, 4, seed=3)
    paths = first.predict(given, verbose=0)
    np.testing.assert_array_equal(paths, second.predict(given, verbose=0))
    assert (paths != first.predict(given, verbose=0)).all()
    assert (paths != paths_of(model, given, 4, seed=4)).all()
    assert len(np.unique(paths)) == paths.size


def test_no_batch_sees_the_noise_of_another():
    """Where a path depends on its noise only, all numbers drawn in many batches are different."""
    model = fixed(small(context_length=1), 0.0, 0.0)
    given = past(model, batch=130)
    given["target"] = np.ones_like(given["target"])
    paths = Rollout(model, 2, seed=1).predict(given, batch_size=2, verbose=0)
    # A pair of float32 numbers may be the same by chance.
    assert paths.size - np.unique(paths).size < 10


def test_nonnegative():
    free = fixed(small(transform="none"), -1.0, 0.0)
    bounded = fixed(small(transform="none", nonnegative=True), -1.0, 0.0)
    given = past(free)
    below = paths_of(free, given, 50)
    assert below.min() < 0
    np.testing.assert_array_equal(paths_of(bounded, given, 50), np.maximum(below, 0.0))


def test_no_path_runs_away():
    model = fixed(small(transform="asinh"), 20.0, 3.0)
    given = past(model)
    paths = paths_of(model, given, 50)
    scale = np.abs(given["target"]).mean(axis=1)
    assert np.isfinite(paths).all()
    assert (np.abs(paths) <= 50.001 * scale[:, None, None]).all()


def test_a_past_with_nothing_in_it():
    model = small(head=MixtureNormal(2))
    given = past(model)
    given["target"][:] = np.nan
    assert np.isfinite(paths_of(model, given)).all()


def test_batches_compile_once(monkeypatch):
    if BACKEND == "torch":
        pytest.skip("torch does not trace")
    calls = []
    original = AutoregressiveRNN.distribution

    def counting(self, *args):
        calls.append(1)
        return original(self, *args)

    monkeypatch.setattr(AutoregressiveRNN, "distribution", counting)
    model = small()
    given = past(model, batch=12)
    built(model, given)
    rollout = Rollout(model, 2, seed=0)
    rollout.predict({name: value[:4] for name, value in given.items()}, batch_size=4, verbose=0)
    traced = len(calls)
    assert traced < HORIZON  # one loop, not one graph a step
    assert rollout.predict(given, batch_size=4, verbose=0).shape == (12, 2, HORIZON)
    fewer = {name: value[:10] for name, value in given.items()}  # 4, 4 and 2
    assert rollout.predict(fewer, batch_size=4, verbose=0).shape == (10, 2, HORIZON)
    assert len(calls) == traced


def test_paths_do_not_depend_on_what_is_shown_meanwhile():
    model = small(num_series=2)
    given = past(model, batch=5)
    built(model, given)
    quiet, shown = (
        Rollout(model, 2, outputs=("paths", "log_prob"), seed=3).predict(given, 2, verbose=verbose)
        for verbose in (0, 2)
    )
    assert quiet["paths"].shape == (5, 2, HORIZON)
    for name, found in quiet.items():
        assert_close(found, shown[name], 1e-5, floor=1.0)


def test_a_model_without_weights_is_built():
    model = small(num_series=2)
    assert not model.built
    assert Rollout(model, 3).predict(past(model), verbose=0).shape == (BATCH, 3, HORIZON)
    assert model.built


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "depth": 2, "num_series": 2},
        {"cell": "gru", "transform": "none", "nonnegative": True},
        {"head": IndependentNegativeBinomial(), "lags": (1,)},
    ],
)
def test_log_probabilities_and_distributions_are_those_of_a_full_pass(options):
    model = small(**options)
    given = past(model)
    given["target"][1, 2:5] = np.nan
    built(model, given)
    rollout = Rollout(model, 3, outputs=("paths", "log_prob", "distribution"), seed=1)
    found = predict(rollout, given, verbose=0)
    paths = found["paths"]
    whole = {name: np.repeat(value, 3, axis=0) for name, value in given.items()}
    whole["target"] = np.concatenate([whole["target"], paths.reshape(-1, HORIZON)], axis=1)
    forced = model(whole)[:, CONTEXT:]
    log_probs = to_numpy(forced.log_prob(paths.reshape(-1, HORIZON)))
    assert found["log_prob"].shape == (BATCH, 3)
    assert_close(found["log_prob"], log_probs.sum(axis=-1).reshape(BATCH, 3), 1e-4, floor=1.0)
    distribution = found["distribution"]
    assert (distribution.batch_shape, distribution.event_shape) == ((BATCH, 3, HORIZON), ())
    assert type(distribution) is type(forced)
    again = to_numpy(distribution.log_prob(paths))
    assert_close(again.reshape(-1, HORIZON), log_probs, 1e-4, floor=1.0)


def test_many_rows_are_drawn_in_blocks(monkeypatch):
    model = small(scheduled_sampling=0.0)
    given = past(model)
    built(model, given)
    outputs = ("paths", "lengths", "log_prob", "distribution")
    monkeypatch.setattr("timedist.ops.scans._BLOCK", 6)
    rollout = Rollout(model, 7, outputs=outputs, seed=1)  # 3 blocks of 3, 3 and 1 paths of each
    found = predict(rollout, given)
    paths, distribution = to_numpy(found["paths"]), found["distribution"]
    assert paths.shape == (BATCH, 7, HORIZON) and distribution.batch_shape == paths.shape
    assert len(np.unique(paths)) == paths.size
    np.testing.assert_array_equal(to_numpy(found["lengths"]), HORIZON)
    log_prob = to_numpy(distribution.log_prob(paths)).sum(axis=-1)
    assert_close(to_numpy(found["log_prob"]), log_prob, 1e-5)
    # What comes after a path is what the model gives of it: no path was taken for another.
    for number in range(7):
        whole = {**given, "target": np.concatenate([given["target"], paths[:, number]], axis=1)}
        forced = to_numpy(model(whole).mean())[:, model.context_length :]
        assert_close(to_numpy(distribution.mean())[:, number], forced, 1e-4)


def test_temperature_makes_paths_more_or_less_varied():
    """Of normal steps the variance has the factor of the temperature, the mean stays."""
    model = fixed(small(transform="none"), 0.3, -0.5)
    given, number = past(model, horizon=2), 2000
    names = ("paths", "log_prob")
    plain, sharp = (
        Rollout(model, number, temperature=t, outputs=names, seed=1).predict(given, verbose=0)
        for t in (1.0, 0.25)
    )
    # Both draw the same noise, which is scaled about the mean, and are scored by one model.
    scale = np.abs(given["target"]).mean(axis=1)[:, None, None]
    loc = (1.0 + 0.3) * scale
    assert_close(sharp["paths"] - loc, 0.5 * (plain["paths"] - loc), 1e-3, floor=1.0)
    deviation = np.log1p(np.exp(-0.5)) * scale
    expected = stats.norm.logpdf(sharp["paths"], loc, deviation).sum(axis=-1)
    assert_close(sharp["log_prob"], expected, 1e-4, floor=1.0)


def test_whole_numbers_are_as_good_as_floats():
    model = small(head=IndependentPoisson())
    given = past(model)
    given["target"] = np.floor(given["target"])
    whole = {**given, "target": given["target"].astype("int32")}
    np.testing.assert_array_equal(paths_of(model, whole), paths_of(model, given))


def test_fewer_steps_than_are_known():
    model = small()
    given = past(built(model, past(model)))
    whole, part = (
        Rollout(model, 2, steps=steps, seed=1).predict(given, verbose=0) for steps in (None, 4)
    )
    assert_close(part, whole[..., :4], 1e-6)


def test_no_series_waits_for_another():
    """A batch of one series gives what the same seed gives it in front of others."""
    model = small()
    given = past(built(model, past(model)), batch=3)
    alone = {name: value[:1] for name, value in given.items()}
    rollout = Rollout(model, 400, seed=2)
    assert rollout.predict(alone, verbose=0).shape == (1, 400, HORIZON)
    many = Rollout(model, 400, seed=3).predict(given, verbose=0)
    one = rollout.predict(alone, verbose=0)
    gap = np.abs(many[0].mean(axis=0) - one[0].mean(axis=0))
    error = np.sqrt(many[0].var(axis=0) / 400 + one[0].var(axis=0) / 400)
    assert (gap < 4.5 * error).all()


def test_what_does_not_fit():
    model = small()
    given = past(model)
    with pytest.raises(ValueError, match=r"Rollout: num_paths must be an int >= 1, got 0"):
        Rollout(model, 0)
    rollout = Rollout(model, 2)
    message = r"target has 13 steps, expected 14: the longest lag, 9, plus the context length, 5"
    with pytest.raises(ValueError, match=message):
        rollout({**given, "target": given["target"][:, 1:]})
    message = r"features have 5 steps, expected more than the context length, 5"
    with pytest.raises(ValueError, match=message):
        rollout({**given, "features": given["features"][:, :CONTEXT]})
    with pytest.raises(ValueError, match=r"features have 11 steps, expected at least 7 more than"):
        Rollout(model, 2, steps=7)(given)
    with pytest.raises(ValueError, match=r"needs the inputs \['features', 'target'\], got \['tar"):
        rollout({"target": given["target"]})
    with pytest.raises(ValueError, match=r"outputs must be one or more of .*, got 'quantiles'"):
        Rollout(model, outputs="quantiles")
    with pytest.raises(ValueError, match=r"temperature must be a positive number, got 0"):
        Rollout(model, temperature=0)
    with pytest.raises(TypeError, match="model must be a generative model such as"):
        Rollout(keras.layers.Dense(2))
    with pytest.raises(TypeError, match="head is for a Keras RNN cell"):
        Rollout(model, head=IndependentNormal())
