"""The recurrent mixture density network: teacher forcing, padding, draws, files."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, assert_close, to_numpy
from keras import ops
from models import QUICK
from scipy import stats
from scipy.special import expit, log_softmax, logsumexp

from timedist import distributions as td
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat
from timedist.sequence import MixtureDensityRNN, Rollout

STEPS = 6
NLL = NegativeLogLikelihood(reduction="mean_over_sequences")


def small(spread=0.7, **kwargs):
    """A built model whose weights are large enough that everything depends on everything."""
    options = {"num_components": 2, "flags": 1, "end": True, "units": 3, **kwargs}
    model = MixtureDensityRNN(2, **options)
    model.build((None, None, model.channels))
    rng = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    if model.end:  # not at once
        bias = to_numpy(model.projection.bias).copy()
        bias[-1] = -2.0
        model.projection.bias.assign(bias)
    model.compile(keras.optimizers.Adam(0.01), NLL, **QUICK)
    return model


def fixed(*bias, **kwargs):
    """A model with these network outputs at every step, whatever is before."""
    model = small(**kwargs)
    model.projection.kernel.assign(np.zeros(model.projection.kernel.shape))
    model.projection.bias.assign(np.array(bias))
    return model


def sequences(number=4, steps=STEPS, channels=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(number, steps, channels)).astype("float32")
    x[..., 2:] = x[..., 2:] > 0.5
    return x


@pytest.fixture(scope="module")
def model():
    return small()


# --- teacher forcing ------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_step_is_a_mixture_and_flags(covariance):
    model, x = small(covariance=covariance), sequences()
    distribution = model(x)
    assert isinstance(distribution, td.Blockwise)
    assert (distribution.batch_shape, distribution.event_shape) == ((4, STEPS), (4,))
    mixture, flags = distribution.distributions
    logits, means = (to_numpy(a)[1, 3] for a in (mixture.mixture.logits, mixture.components.mean()))
    spreads = to_numpy(mixture.components.covariance())[1, 3]
    assert (abs(spreads[:, 0, 1]) > 1e-3).all() == (covariance == "full")
    parts = zip(means, spreads, strict=True)
    each = [stats.multivariate_normal(*part).logpdf(x[1, 3, :2]) for part in parts]
    chances = expit(to_numpy(flags.base.logits)[1, 3])
    of_flags = stats.bernoulli(chances).logpmf(x[1, 3, 2:]).sum()
    expected = logsumexp(log_softmax(logits) + each) + of_flags
    assert_close(model.log_prob(x, per_step=True)[1, 3], expected, 1e-4)


def test_without_flags_it_is_the_mixture_alone():
    model = small(flags=0, end=False)
    distribution = model(sequences(channels=2))
    assert isinstance(distribution, td.MixtureSameFamily)
    drawn = model.generate(3, 5, seed=1)
    assert drawn.shape == (3, 5, 2)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_step_depends_on_all_before_and_on_none_after(cell):
    model, x = small(cell=cell, depth=2), sequences()
    start = model.log_prob(x, per_step=True)
    later = x.copy()
    later[:, 3:] += 1.0
    changed = model.log_prob(later, per_step=True)
    assert_close(changed[:, :3], start[:, :3], 1e-5)
    first = x.copy()
    first[:, 0] = 1.0 - first[:, 0]
    changed = model.log_prob(first, per_step=True)
    assert (abs(changed[:, 1:] - start[:, 1:]) > 1e-5).all()


def test_the_loss_is_in_nats_for_each_sequence_and_falls(model):
    x = sequences(16)
    model = small()
    expected = -model.log_prob(x).mean()
    assert_close(model.evaluate(x, x, batch_size=4, verbose=0), expected, 1e-5)
    model.fit(x, x, epochs=5, verbose=0)
    assert model.evaluate(x, x, verbose=0) < expected - 1.0


# --- sequences of several lengths -----------------------------------------------------------------


def test_padding_counts_for_nothing_wherever_it_is(model):
    x = sequences()
    expected = model.log_prob(x)
    for places in (range(STEPS), range(3, STEPS + 3), (0, 1, 4, 5, 7, 8)):
        padded = np.full((4, STEPS + 3, 4), np.nan, "float32")
        padded[:, list(places)] = x
        there = np.isfinite(padded[..., 0])
        assert_close(model.log_prob(padded), expected, 1e-5)
        assert (model.log_prob(padded, per_step=True)[~there] == 0.0).all()
        distribution = model(padded)
        np.testing.assert_array_equal(to_numpy(compat.get_keras_mask(distribution)), there)
        loss = model.evaluate(padded, padded, batch_size=2, verbose=0)
        assert_close(loss, -expected.mean(), 1e-5)
        padded[~there] = 7.0
        assert_close(model.log_prob(padded, there), expected, 1e-5)
    masking = keras.Sequential([keras.layers.Masking(7.0), model])
    masking.compile("adam", NLL, **QUICK)
    assert_close(masking.evaluate(padded, padded, verbose=0), -expected.mean(), 1e-5)


def test_nothing_is_learned_from_padding():
    steps = []
    for extra in (0, 2):
        model = small()
        x = np.pad(sequences(), ((0, 0), (0, extra), (0, 0)), constant_values=np.nan)
        model.train_on_batch(x, x)
        steps.append(model.get_weights())
    for plain, padded in zip(*steps, strict=True):
        assert np.isfinite(padded).all()
        assert_close(padded, plain, 1e-4, floor=1e-3)


# --- draws ----------------------------------------------------------------------------------------


def known_and_drawn(prefix, mask, found):
    """The prefix and each of its paths as one sequence, padded by NaN."""
    paths, lengths = found["paths"], found["lengths"]
    inside = np.arange(paths.shape[2]) < lengths[..., None]
    drawn = np.where(inside[..., None], paths, np.nan)
    known = np.where(mask[..., None], prefix, np.nan)[:, None]
    known = np.broadcast_to(known, (*paths.shape[:2], *prefix.shape[1:]))
    return np.concatenate([known, drawn], axis=2)


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "depth": 2},
        {"cell": "gru", "covariance": "full"},
        {"cell": "gru", "flags": 0, "end": False},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_steps_of_a_rollout_are_those_of_teacher_forcing(options):
    model = small(**options)
    prefix = sequences(5, channels=model.channels)
    mask = np.arange(STEPS) < np.arange(0, 5)[:, None]  # of the first series nothing is known
    prefix[~mask] = np.nan
    stop = (lambda y: y[..., -1] > 0.5) if model.end else None
    asked = ("paths", "lengths", "log_prob")
    rollout = Rollout(model, 3, 8, stop=stop, outputs=asked, temperature=0.8, seed=1)
    found = rollout.predict({"prefix": prefix, "mask": mask}, verbose=0)
    whole = known_and_drawn(prefix, mask, found)
    nats = model.log_prob(whole.reshape(15, -1, model.channels), per_step=True)
    expected = nats.reshape(5, 3, -1)[..., STEPS:].sum(axis=-1)
    assert_close(found["log_prob"], expected, 1e-4)
    lengths = found["lengths"]
    if model.end:
        assert lengths.min() < 4 and len(np.unique(lengths)) > 2
    else:
        assert (lengths == 8).all()


# Logits of the components, means and raw scales of each; log odds of the flag and of the end.
BIAS = (1.0, -0.5, 2.0, -1.0, 0.1, -0.4, -3.0, 0.5, -0.2, 0.3, -0.6, -1.2)


def test_draws_follow_the_distribution_and_stop_at_the_end():
    number, steps = 4000, 30
    drawn = fixed(*BIAS).generate(number, steps, seed=1)
    assert drawn.shape == (number, steps, 4)
    inside = np.isfinite(drawn)
    assert (inside.all(axis=-1) == inside.any(axis=-1)).all()
    lengths = inside[..., 0].sum(axis=1)
    ends = drawn[np.arange(number), lengths - 1, 3]
    assert (ends[lengths < steps] == 1.0).all()
    assert np.nansum(drawn[..., 3], axis=1).max() == 1.0
    stop = expit(BIAS[-1])
    observed = np.bincount(np.minimum(lengths, 12), minlength=13)[1:]
    expected = number * stats.geom(stop).pmf(np.arange(1, 13))
    expected[-1] = number - expected[:-1].sum()
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    real = drawn[inside[..., 0]]
    flag = expit(BIAS[-2])
    error = 4.0 * np.sqrt(flag * (1.0 - flag) / len(real))
    assert abs(real[:, 2].mean() - flag) < error
    weights = expit([1.5, -1.5])
    for axis in (0, 1):
        scales = np.log1p(np.exp([BIAS[4 + axis], BIAS[8 + axis]]))
        means = (BIAS[2 + axis], BIAS[6 + axis])

        def cdf(x, means=means, scales=scales):
            return stats.norm.cdf(x[:, None], means, scales) @ weights

        assert stats.kstest(real[:2000, axis], cdf).pvalue > 1e-3


def test_temperature(model):
    warm, cold = (model.generate(400, 8, t, seed=1) for t in (1.0, 0.05))
    scores = [model.log_prob(drawn, per_step=True) for drawn in (warm, cold)]
    counts = [np.isfinite(drawn[..., 0]).sum() for drawn in (warm, cold)]
    assert scores[1].sum() / counts[1] > scores[0].sum() / counts[0] + 1.0
    first = cold[:, 0, :2]
    assert first.std(axis=0).max() < 0.5 * warm[:, 0, :2].std(axis=0).min()


def test_what_may_follow_a_prefix():
    model, x = small(end=False), sequences(2, channels=3)
    mask = np.array([[True] * STEPS, [True] * 2 + [False] * (STEPS - 2)])
    drawn = model.generate(500, 2, seed=1, prefix=x, mask=mask, batch_size=1)
    assert drawn.shape == (2, 500, 2, 3)
    x[~mask] = np.nan
    steps = np.concatenate([x, np.zeros((2, 1, 3), "float32")], axis=1)
    expected = model(steps)
    mean, spread = (to_numpy(a)[:, -1] for a in (expected.mean(), expected.stddev()))
    assert (abs(drawn[:, :, 0].mean(axis=1) - mean) < 4.0 * spread / np.sqrt(500)).all()
    assert abs(mean[0] - mean[1]).max() > 0.1


def test_prefixes_of_any_length_and_kind():
    model, x = small(end=False), sequences(2, channels=3)
    for steps in (2, 3, 5):
        prefix = ops.convert_to_tensor(x[:, :steps])
        drawn = model.generate(2, 3, seed=1, prefix=prefix, mask=[[True] * steps] * 2)
        assert drawn.shape == (2, 2, 3, 3)
        np.testing.assert_array_equal(drawn, model.generate(2, 3, seed=1, prefix=x[:, :steps]))


def test_seeds_and_programs(model, monkeypatch):
    calls, step = [], MixtureDensityRNN.step
    monkeypatch.setattr(
        MixtureDensityRNN, "step", lambda self, *args: calls.append(1) or step(self, *args)
    )
    first = model.generate(3, 9, seed=1)
    traced = len(calls)
    np.testing.assert_array_equal(first, model.generate(3, 9, seed=1))
    other = model.generate(3, 9, seed=2)
    assert (first[:, 0] != other[:, 0]).any()
    assert (model.generate(3, 9)[:, 0] != model.generate(3, 9)[:, 0]).any()
    if BACKEND != "torch":
        assert len(calls) == traced < 9


# --- what it learns -------------------------------------------------------------------------------


def test_it_learns_what_no_single_normal_says():
    """The first step goes left or right, all others on in that direction, and the fifth ends."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], size=(256, 1, 1))
    x = side * 2.0 + 0.1 * rng.normal(size=(256, 5, 1))
    end = np.broadcast_to(np.arange(5)[:, None] == 4, (256, 5, 1))
    x = np.concatenate([x, end], axis=-1).astype("float32")
    keras.utils.set_random_seed(1)
    model = MixtureDensityRNN(1, num_components=2, end=True, units=16, cell="gru")
    model.compile(keras.optimizers.Adam(0.03), NLL, **QUICK)
    model.fit(x, x, batch_size=64, epochs=40, verbose=0)
    entropy = np.log(2.0) + 5.0 * stats.norm(0.0, 0.1).entropy()
    assert -model.log_prob(x).mean() < entropy + 2.5
    drawn = model.generate(200, 8, seed=1)
    assert (np.isfinite(drawn[..., 0]).sum(axis=1) == 5).mean() > 0.5
    sides = np.sign(drawn[:, :4, 0])
    assert (sides == sides[:, :1]).mean() > 0.9
    assert 0.25 < (sides[:, 0] > 0.0).mean() < 0.75


# --- files, precision, errors ---------------------------------------------------------------------


def test_file_in_safe_mode(tmp_path):
    options = {"covariance": "full", "cell": "gru", "depth": 2, "dropout": 0.1}
    model, x = small(**options), sequences()
    model.save_weights(tmp_path / "before.weights.h5")
    model.generate(2, 3, seed=1)
    model.log_prob(x)
    model.save_weights(tmp_path / "after.weights.h5")
    sizes = [(tmp_path / f"{n}.weights.h5").stat().st_size for n in ("before", "after")]
    assert sizes[0] == sizes[1]
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, MixtureDensityRNN)
    assert loaded.get_config() == model.get_config()
    assert_close(loaded.log_prob(x), model.log_prob(x), 1e-5)


def test_mixed_precision():
    model, x = small(dtype="mixed_bfloat16"), sequences()
    assert model(x).dtype == "float32"
    assert model.core.recurrent[0].compute_dtype == "bfloat16"
    assert np.isfinite(model.train_on_batch(x, x))
    exact = small()
    exact.set_weights(model.get_weights())
    assert_close(model.log_prob(x), exact.log_prob(x), 0.1, floor=1.0)
    assert np.isfinite(model.generate(3, 4, seed=1)[:, 0]).all()


def test_in_a_functional_model():
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, small()(inputs))
    assert model(sequences()).batch_shape == (4, STEPS)
    assert model.outputs[0].event_shape == (4,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"event_size": 0}, r"event_size must be an int >= 1, got 0"),
        ({"num_components": 1.5}, r"num_components must be an int >= 1, got 1.5"),
        ({"covariance": "low rank"}, r"covariance must be one of .*got 'low rank'"),
        ({"flags": -1}, r"flags must be an int >= 0, got -1"),
        ({"end": "yes"}, r"end must be True or False, got 'yes'"),
        ({"cell": "rnn"}, r"cell must be one of"),
        ({"units": 0}, r"units must be an int >= 1, got 0"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        MixtureDensityRNN(**{"event_size": 2, **options})


def test_what_does_not_fit(model):
    with pytest.raises(ValueError, match=r"shape \(batch, time, 4\), 2 real channels and 2 of"):
        MixtureDensityRNN(2, flags=1, end=True)(np.zeros((3, 5, 2), "float32"))
    with pytest.raises(ValueError, match=r"\(batch, time, 4\), .* got shape \(3, 4\)"):
        model.log_prob(np.zeros((3, 4), "float32"))
    with pytest.raises(ValueError, match=r"mask must have the shape .*\(4, 6\).*got \(4, 5\)"):
        model.log_prob(sequences(), np.ones((4, 5), "bool"))
    with pytest.raises(ValueError, match=r"\(batch, time, 4\), .* got shape \(4, 6, 3\)"):
        model.generate(2, 3, prefix=sequences()[..., :3])
    for wrong in ({"number": 0, "steps": 3}, {"number": 3, "steps": None}):
        with pytest.raises(ValueError, match=r"MixtureDensityRNN.generate: .* must be an int >= 1"):
            model.generate(**wrong)
    with pytest.raises(ValueError, match=r"temperature must be a positive number, got 0.0"):
        model.generate(2, 3, 0.0)
    with pytest.raises(TypeError, match=r"seed must be an int or None"):
        model.generate(2, 3, seed=0.5)
    with pytest.raises(ValueError, match=r"told how many steps"):
        Rollout(model, 2)({"prefix": sequences()})
    with pytest.raises(ValueError, match=r"a dictionary with \"prefix\", got \['x'\]"):
        Rollout(model, 2, 3)({"x": sequences()})
    with pytest.raises(ValueError, match=r"got shape \(4, 6, 3\)"):
        Rollout(model, 2, 3)({"prefix": sequences()[..., :3]})
