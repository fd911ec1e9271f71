"""The recurrent model under teacher forcing: what it sees at each step, and what it gives."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, assert_close, fast, to_numpy
from keras import ops

import timedist
from timedist import distributions as td
from timedist.layers import (
    IndependentLogistic,
    IndependentNegativeBinomial,
    IndependentNormal,
    IndependentPoisson,
    MixtureNormal,
)
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import AutoregressiveModel, AutoregressiveRNN, Rollout, ScheduledSampling

LAGS, CONTEXT, STEPS, BATCH = (1, 3, 5), 4, 9, 3
MAX_LAG = max(LAGS)


def small(**kwargs):
    keras.utils.set_random_seed(1)
    options = {"lags": LAGS, "context_length": CONTEXT, "units": 4, **kwargs}
    options.setdefault("head", IndependentNormal())
    return AutoregressiveRNN(**options)


def inputs(model, batch=BATCH, steps=STEPS, seed=0, width=2):
    rng = np.random.default_rng(seed)
    given = {
        "target": rng.gamma(3.0, 2.0, size=(batch, model.max_lag + steps)).astype("float32"),
        "features": rng.normal(size=(batch, steps, width)).astype("float32"),
    }
    if model.num_series:
        given["series"] = rng.integers(model.num_series, size=batch).astype("int32")
    return given


def built(model, given):
    if not model.built:
        model.build({name: value.shape for name, value in given.items()})
    return model


def medians(model, given):
    """Medians at every step, for heads whose quantiles have a formula."""
    built(model, given)
    return to_numpy(fast(lambda x: model(x).quantile(0.5))(tensors(given)))


def densities(model, given):
    """Log densities of the target at every step."""
    built(model, given)
    future = given["target"][:, model.max_lag :]
    return to_numpy(fast(lambda x, y: model(x).log_prob(y))(tensors(given), future))


def seen_from(changed, reference, step):
    """Whether a change is seen from this step on, and not before, but for rounding."""
    error = np.abs(changed - reference) / np.abs(reference)
    assert error[:step].max(initial=0.0) < 2e-6
    assert step >= len(error) or error[step] > 1e-5


def tensors(given):
    return {name: ops.convert_to_tensor(value) for name, value in given.items()}


def rows(given, number):
    """The first series of a batch, many times."""
    return {name: np.repeat(value[:1], number, axis=0) for name, value in given.items()}


def train_once(model, given):
    """One compiled training step; the loss, and whether all weights stayed finite and one moved."""
    built(model, given).compile("adam", NegativeLogLikelihood(missing="mask"))
    before = [w.copy() for w in model.get_weights()]
    loss = model.train_on_batch(given, given["target"][:, model.max_lag :])
    after = model.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
    return float(loss)


@pytest.mark.parametrize(("cell", "transform"), [("lstm", "asinh"), ("gru", "none")])
def test_shapes(cell, transform):
    model = small(cell=cell, transform=transform, depth=2, num_series=6, head=MixtureNormal(2))
    given = inputs(model)
    distribution = model(given)
    assert isinstance(distribution, td.TransformedDistribution)
    assert distribution.batch_shape == (BATCH, STEPS)
    assert distribution.event_shape == ()
    assert densities(model, given).shape == (BATCH, STEPS)


def test_default_head_and_arguments():
    model = AutoregressiveRNN()
    assert isinstance(model.head, MixtureNormal)
    assert (model.lags, model.max_lag, model.counts) == ((1, 2, 3), 3, False)
    assert small(lags=(5, 1)).lags == (1, 5)


@pytest.mark.parametrize(("lag", "cell"), [(1, "lstm"), (2, "gru"), (5, "lstm")])
def test_a_step_sees_the_target_its_lag_ago_and_no_later(lag, cell):
    model, steps = small(lags=(lag,), cell=cell), np.arange(CONTEXT, 12)
    given = rows(inputs(model, steps=12), 1 + len(steps))
    for row, step in enumerate(steps):
        given["target"][1 + row, lag + step :] += 3.0  # this step and all later ones
    reference, *changed = medians(model, given)
    for step, found in zip(steps, changed, strict=True):
        seen_from(found, reference, step + lag)


def test_a_step_sees_its_own_features_and_no_later():
    model = small()
    given = rows(inputs(model), 2)
    given["features"][1, 6] += 1.0
    reference, changed = medians(model, given)
    seen_from(changed, reference, 6)


def test_series_do_not_see_each_other():
    model = small(num_series=4)
    given = inputs(model)
    alone = {name: value[1:2] for name, value in given.items()}
    assert_close(medians(model, given)[1:2], medians(model, alone), 1e-5)


def test_embedding_tells_series_apart():
    model = small(num_series=3)
    given = rows(inputs(model), 3)
    given["series"] = np.array([0, 1, 1], "int32")
    found = medians(model, given)
    assert (found[0] != found[1]).any()
    assert_close(found[1], found[2], 1e-6)


def test_one_series_needs_no_embedding():
    model = small(num_series=1)
    given = inputs(model)
    assert model.embedding is None
    del given["series"]
    assert np.isfinite(train_once(model, given))


def test_scale_is_the_mean_of_the_known_past():
    model = small()
    target = np.full((4, MAX_LAG + STEPS), 7.0, "float32")
    target[0, ::2], target[0, 1::2] = np.nan, -4.0
    target[1] = 0.0
    target[2] = np.nan
    target[3, MAX_LAG + CONTEXT :] = 1e6  # the future is not known
    assert_close(model.scale_of(ops.convert_to_tensor(target)), [4.0, 1.0, 1.0, 7.0], 1e-6)


@pytest.mark.parametrize("transform", ["asinh", "none"])
def test_the_network_reads_zero_at_the_scale(transform):
    model = small(transform=transform)
    scale = ops.convert_to_tensor([0.01, 1.0, 1e5])
    assert_close(model.compressed(scale, scale), [0.0, 0.0, 0.0], 1e-6, floor=1.0)
    tenfold = to_numpy(model.compressed(10.0 * scale, scale))
    assert_close(tenfold, [tenfold[0]] * 3, 1e-5)
    assert tenfold[0] > 0.5


@pytest.mark.parametrize("transform", ["asinh", "none"])
def test_scale_equivariance(transform):
    model = small(transform=transform)
    given = rows(inputs(model), 2)
    given["target"][1] *= 10.0
    built(model, given)
    # Apart from the logarithm of the scale, the last input, nothing knows the unit of the data.
    cell = model.core.recurrent[0].cell
    kernel = to_numpy(cell.kernel).copy()
    kernel[-1] = 0.0
    cell.kernel.assign(kernel)
    plain, tenfold = medians(model, given)
    assert_close(tenfold, 10.0 * plain, 1e-4, floor=1e-2)


@pytest.mark.parametrize("head", [MixtureNormal(2), IndependentLogistic(), IndependentPoisson()])
def test_missing_values(head):
    model = small(head=head, num_series=2)
    given = inputs(model)
    target = np.round(given["target"])
    target[0, 3:9] = np.nan
    target[1] = np.nan
    target[2, :-1] = 0.0
    given["target"] = target
    built(model, given)
    found = to_numpy(fast(lambda x: model(x).log_prob(2.0))(tensors(given)))
    assert np.isfinite(found).all()
    assert np.isfinite(train_once(model, given))


def test_missing_is_not_zero():
    model = small(transform="none")
    given = rows(inputs(model), 2)
    given["target"][:, MAX_LAG + CONTEXT + 1] = np.nan, 0.0
    missing, zero = medians(model, given)
    assert np.isfinite(missing).all()
    seen_from(missing, zero, CONTEXT + 2)


@pytest.mark.parametrize("head", [IndependentPoisson(), IndependentNegativeBinomial()])
def test_heads_of_counts_describe_the_counts(head):
    model = small(head=head)
    assert model.counts
    given = inputs(model)
    given["target"] = np.round(given["target"])
    assert isinstance(model(given), head.family)
    # The same network output stands for a mean in units of the scale.
    raw = np.random.default_rng(0).normal(size=(2, 5, model.projection.units)).astype("float32")
    scale = np.array([[2.0], [300.0]], "float32")
    expected = to_numpy(head(raw).mean()) * scale
    assert_close(model.distribution(ops.convert_to_tensor(raw), scale).mean(), expected, 1e-4)
    assert np.isfinite(train_once(model, given))


def test_keras_file_in_safe_mode(tmp_path):
    model = small(
        head=MixtureNormal(2), cell="gru", depth=2, num_series=4, nonnegative=True, dropout=0.1
    )
    given = inputs(model)
    expected = densities(model, given)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, AutoregressiveRNN)
    assert_close(densities(loaded, given), expected, 1e-5)
    ours, theirs = ({**each.get_config(), "head": None} for each in (model, loaded))
    assert ours == theirs
    assert loaded.head.num_components == 2
    assert (loaded.nonnegative, loaded.core.dropout, loaded.core.cell) == (True, 0.1, "gru")


def test_training_compiles_once(monkeypatch):
    """However many batches and epochs, also when the learning rate changes."""
    if BACKEND == "torch":
        pytest.skip("torch does not trace")
    calls = []
    original = AutoregressiveModel.distribution

    def counting(self, *args):
        calls.append(1)
        return original(self, *args)

    model = small(scheduled_sampling=0.5)
    given = inputs(model, batch=12)
    built(model, given).compile(keras.optimizers.Adam(0.01), NegativeLogLikelihood(missing="mask"))
    monkeypatch.setattr(AutoregressiveModel, "distribution", counting)
    y = given["target"][:, MAX_LAG:]
    model.fit(given, y, batch_size=4, epochs=1, verbose=0)
    traced = len(calls)
    assert traced
    model.optimizer.learning_rate = 0.02
    model.fit(given, y, batch_size=4, epochs=3, verbose=0)
    assert len(calls) == traced


def test_dropout_acts_in_training_only():
    model = small(dropout=0.5)
    given = inputs(model)
    one, other = (to_numpy(model(given, training=False).quantile(0.5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    one, other = (to_numpy(model(given, training=True).quantile(0.5)) for _ in range(2))
    assert (one != other).any()


def test_what_is_known_of_a_series_is_read():
    model = small()
    given = {**rows(inputs(model), 2), "static": np.array([[0.0, 1.0], [2.0, 1.0]], "float32")}
    first, second = medians(model, given)
    assert (first != second).all()
    path = {**given, "static": given["static"][[1, 1]]}
    assert_close(medians(model, path), np.stack([second, second]), 1e-6)


def in_training(model, given):
    """Medians of a training call."""
    return to_numpy(model(tensors(given), training=True).quantile(0.5))


def test_scheduled_sampling_reads_its_own_draws_behind_the_context():
    own, mixed, forced = (small(scheduled_sampling=rate, seed=3) for rate in (1.0, 0.5, 0.0))
    given = rows(inputs(own), 2)
    given["target"][1, MAX_LAG + CONTEXT :] *= 3.0
    built(forced, given)
    for model in (own, mixed):
        built(model, given)
        for mine, its in zip(model.trainable_variables, forced.trainable_variables, strict=True):
            mine.assign(its)
        assert_close(medians(model, given), medians(forced, given), 1e-6)  # outside of training
    truth = medians(forced, given)
    assert_close(in_training(forced, given), truth, 1e-6)
    for model in (own, mixed):
        found = in_training(model, given)
        assert_close(found[:, : CONTEXT + 1], truth[:, : CONTEXT + 1], 1e-6)
        assert (found[:, CONTEXT + 1 :] != truth[:, CONTEXT + 1 :]).any()
    # Draws follow from the truth before them, one step at a time: no path of its own goes astray.
    known = rows(inputs(own), 200)
    differences = in_training(own, known)[:, -1] - medians(own, known)[:, -1]
    assert differences.std() > 0
    assert np.isfinite(train_once(own, given))
    own.sampling_rate.assign(0.0)
    assert_close(in_training(own, given), medians(own, given), 1e-6)
    schedule = ScheduledSampling(warmup_epochs=2, stop=0.5)
    own.fit(given, given["target"][:, MAX_LAG:], epochs=2, callbacks=[schedule], verbose=0)
    assert float(to_numpy(own.sampling_rate)) == 0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": ()}, "lags must be distinct ints >= 1"),
        ({"lags": (0, 1)}, "lags must be distinct ints >= 1"),
        ({"lags": (1, 1)}, "lags must be distinct ints >= 1"),
        ({"lags": (1.5,)}, "lags must be distinct ints >= 1"),
        ({"scheduled_sampling": 2}, "scheduled_sampling must be a number from 0 to 1, got 2"),
        ({"context_length": 0}, "context_length must be an int >= 1, got 0"),
        ({"units": -1}, "units must be an int >= 1, got -1"),
        ({"depth": 1.0}, r"depth must be an int >= 1, got 1\.0"),
        ({"num_series": -1}, "num_series must be an int >= 0, got -1"),
        ({"cell": "rnn"}, r"cell must be one of \('lstm', 'gru'\), got 'rnn'"),
        ({"transform": "log"}, r"transform must be one of \('asinh', 'none'\), got 'log'"),
        (
            {"head": IndependentNormal(3)},
            "head must be a head of timedist.layers for scalar events",
        ),
        ({"head": IndependentNormal((), "mean")}, r"the head '.*' gives a tensor.*='mean'"),
        ({"head": keras.layers.Dense(2)}, "head must be a head of timedist.layers for scalar"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=f"(AutoregressiveRNN|RecurrentCore): {message}"):
        AutoregressiveRNN(**options)


def test_inputs_that_do_not_fit():
    model = small(num_series=2)
    given = inputs(model)
    with pytest.raises(
        ValueError, match=r"needs the inputs \['features', 'series', 'target'\], got"
    ):
        model({"target": given["target"], "features": given["features"]})
    short = {**given, "target": given["target"][:, 1:]}
    message = (
        r"target has 13 steps, expected 14: the longest lag, 5, plus the 9 steps of the features"
    )
    with pytest.raises(ValueError, match=message):
        model(short)
    with pytest.raises(ValueError, match=r"series has shape \(3, 1\), expected \(3,\)"):
        model({**given, "series": given["series"][:, None]})
    for wrong in (2, -1):
        series = np.array([0, wrong, 1], "int32")
        message = rf"1 numbers of series that are not in 0, …, 1, the first {wrong} at index \(1,\)"
        with pytest.raises(ValueError, match=message):
            model({**given, "series": series})
        with pytest.raises(ValueError, match=message):
            Rollout(model, 2).predict({**given, "series": series}, verbose=0)


def test_predict_gives_what_the_call_gives():
    model = small(num_series=3)
    given = inputs(model)
    predicted = timedist.predict(model, given, verbose=0)
    assert_close(predicted.quantile(0.5), medians(model, given), 1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_scheduled_sampling_in_other_precisions(policy):
    model = small(scheduled_sampling=0.5, dtype=policy)
    assert np.isfinite(train_once(model, inputs(model)))
