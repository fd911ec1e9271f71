"""The examples run; the seed's programs as they stand but for imports and `Lambda`."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import BACKEND, to_numpy
from keras import ops
from keras.layers import Dense, Input, Lambda
from keras.models import Model

import timedist.distributions as tfd
from timedist.layers import DistributionLambda, TimeDistributed

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
SEEDS = [path for path in EXAMPLES if path.stem.startswith("seed_")]


# Examples that train for long: where they do so to the end, and how briefly elsewhere, where only
# what does not depend on it is checked. That numbers agree between backends has tests of its own.
LONG = {
    "autoregressive_models": ("tensorflow", {"steps": 20}),
    "bayesian_recurrent_network": ("jax", {"epochs": 5}),
    "deep_state_space": ("torch", {"epochs": 1}),
    "mixture_density_rnn": ("torch", {"epochs": 3}),
    "probabilistic_regression": ("jax", {"epochs": 10}),
    "recurrent_vae": ("tensorflow", {"epochs": 3}),
    "variational_rnn": ("torch", {"epochs": 3}),
}


def check_distribution(distribution):
    """What every program of the seed was after."""
    assert isinstance(distribution, tfd.Distribution)
    assert (distribution.batch_shape, distribution.event_shape) == ((32, 10), (3,))
    sample = distribution.sample(seed=1)
    assert tuple(sample.shape) == (32, 10, 3)
    log_prob = to_numpy(distribution.log_prob(sample))
    assert log_prob.shape == (32, 10)
    assert np.isfinite(log_prob).all()


def check_history(history):
    assert history["loss"][-1] < history["loss"][0]


def test_all_examples_are_tested():
    tested = Path(__file__).read_text()
    assert len(SEEDS) == 3
    assert not [
        path.stem for path in EXAMPLES if path not in SEEDS and f'"{path.stem}"' not in tested
    ]


@pytest.mark.parametrize("path", SEEDS, ids=lambda p: p.stem)
def test_seed_program(path, tmp_path, capsys):
    program = runpy.run_path(str(path), run_name=path.stem)
    sampler, _ = program["build"]()
    x = keras.random.normal((32, 10, 5))
    assert tuple(sampler(x).shape) == (32, 10, 3)
    assert (to_numpy(sampler(x)) != to_numpy(sampler(x))).any()
    distribution, history = program["main"](tmp_path / "m.keras", epochs=2)
    check_distribution(distribution)
    check_history(history)
    assert "Output shape: (32, 10, 3)" in capsys.readouterr().out


def test_time_distributed_head(tmp_path):
    path = next(path for path in EXAMPLES if path.stem == "time_distributed_head")
    program = runpy.run_path(str(path), run_name=path.stem)
    results = program["main"](tmp_path / "m.keras", epochs=2)
    assert len(results) == 2
    for distribution, history in results:
        check_distribution(distribution)
        check_history(history)


def is_trained(name):
    """Whether an example is trained to the end on this backend."""
    return name not in LONG or LONG[name][0] == BACKEND


def ran(name, **arguments):
    """The globals of an example, and what its `main` returns."""
    path = next(path for path in EXAMPLES if path.stem == name)
    program = runpy.run_path(str(path), run_name=path.stem)
    briefly = {} if is_trained(name) else LONG[name][1]
    return program, program["main"](**arguments, **briefly)


def test_custom_training_loop():
    program, losses = ran("custom_training_loop")
    assert losses[0] > 8.0
    assert losses[-1] <= program["REACHED"]


def test_probabilistic_regression():
    program, scores = ran("probabilistic_regression")
    assert list(scores) == list(program["REACHED"])
    if not is_trained("probabilistic_regression"):
        assert all(np.isfinite(score) for score in scores.values())
        return
    missed = {n: (scores[n], low) for n, low in program["REACHED"].items() if not scores[n] >= low}
    assert not missed


def test_variational_autoencoder():
    program, results = ran("variational_autoencoder")
    assert results["bound"] >= program["REACHED"]
    assert results["drawn"].shape == (6, 8, 8)
    assert abs(results["independent pixels"] + 25.2) < 0.05


def test_mixture_density_network():
    program, scores = ran("mixture_density_network")
    assert scores["mixture of five"] >= program["REACHED"]
    assert scores["mixture of five"] >= scores["one normal"] + 0.7


def test_intervals_widen_outside_the_training_range(tmp_path):
    program, ratios = ran("bayesian_recurrent_network", path=tmp_path / "days.png")
    if is_trained("bayesian_recurrent_network"):
        wider, more = ratios["uncertain weights"]
        assert wider >= program["WIDER"]
        assert more >= program["MORE"]
    assert abs(ratios["ordinary"][0] - 1.0) < 1e-3
    assert (tmp_path / "days.png").stat().st_size > 10_000


def test_digits_row_by_row(tmp_path):
    program, results = ran("recurrent_vae", path=tmp_path / "digits.png")
    if is_trained("recurrent_vae"):
        assert results["bound"] >= program["REACHED"]
    assert results["bound"] > results["elbo"]
    assert abs(results["independent"] + 25.2) < 0.05
    assert results["drawn"].shape == (12, 8, 8)
    assert set(np.unique(results["drawn"])) == {0.0, 1.0}
    assert (tmp_path / "digits.png").stat().st_size > 5_000


def test_digits_with_a_latent_vector_at_every_row(tmp_path):
    program, results = ran("variational_rnn", path=tmp_path / "digits.png")
    if is_trained("variational_rnn"):
        assert results["bound"] >= program["REACHED"]
    assert results["bound"] > results["elbo"]
    assert abs(results["independent"] + 25.2) < 0.05
    real = program["data"]()[1][:12]
    np.testing.assert_array_equal(results["completed"][:, :4], real[:, :4])
    assert (results["completed"] != real).any()
    assert results["drawn"].shape == (12, 8, 8)
    assert set(np.unique(results["drawn"])) == {0.0, 1.0}
    assert (tmp_path / "digits.png").stat().st_size > 5_000


def test_autoregressive_models_know_more_than_the_calendar(tmp_path):
    program, (nats, drawn) = ran("autoregressive_models", path=tmp_path / "days.png")
    calendar = nats.pop("calendar only")
    assert set(nats) == {"recurrent", "transformer", "WaveNet"}
    if is_trained("autoregressive_models"):
        assert min(nats.values()) >= program["REACHED"]
        assert min(nats.values()) >= calendar + program["MARGIN"]
        assert calendar > -5.4  # what they are compared with has learned something too
    for paths in drawn.values():
        assert paths.shape == (3, 10, 24)
        assert np.isfinite(paths).all()
        assert paths.min() >= 0.0
    assert (tmp_path / "days.png").stat().st_size > 20_000


def test_digits_stroke_by_stroke(tmp_path):
    program, results = ran("mixture_density_rnn", path=tmp_path / "strokes.png")
    if is_trained("mixture_density_rnn"):
        assert results["nats"] >= program["REACHED"]
        assert results["per_step"] >= program["PER_STEP"]
    assert abs(results["independent"] + 28.9) < 0.5
    drawn = results["drawn"]
    assert drawn.shape == (16, 25, 4)
    there = np.isfinite(drawn[..., 0])
    assert set(np.unique(drawn[there][:, 2:])) == {0.0, 1.0}
    if is_trained("mixture_density_rnn"):
        assert 6.0 < there.sum(axis=1).mean() < 16.0
    assert (tmp_path / "strokes.png").stat().st_size > 5_000


def test_people_a_day(tmp_path):
    program, results = ran("deep_state_space", path=tmp_path / "weeks.png")
    if is_trained("deep_state_space"):
        assert results["day by day"] >= results["by weekday"] + program["REACHED"]
        assert results["whole weeks"] >= results["by weekday"] + program["MORE"]
        assert 0.8 < results["coverage"] < 0.95
    assert np.isfinite(results["whole weeks"])
    assert (tmp_path / "weeks.png").stat().st_size > 10_000


# The seed's three programs, letter for letter but for the imports and `Lambda` on distributions.

time_steps = 10
input_dim = 5
output_dim = 3
batch_size = 32


def make_independent_normal(mean, scale):
    return tfd.Independent(tfd.Normal(loc=mean, scale=scale), reinterpreted_batch_ndims=1)


def check_model(model, distribution_model):
    x = keras.random.normal((batch_size, time_steps, input_dim))
    assert tuple(model(x).shape) == (batch_size, time_steps, output_dim)
    check_distribution(distribution_model(x))


def test_first_program():
    input_layer = Input(shape=(time_steps, input_dim))
    mean_layer = TimeDistributed(Dense(output_dim))(input_layer)
    scale_layer = TimeDistributed(Dense(output_dim, activation="softplus"))(input_layer)
    distribution_layer = DistributionLambda(lambda t: make_independent_normal(t[0], t[1]))(
        [mean_layer, scale_layer]
    )
    sample_layer = distribution_layer.sample()
    check_model(Model(input_layer, sample_layer), Model(input_layer, distribution_layer))


def split(params):
    """`tf.split` on TensorFlow, as in the seed; `keras.ops` elsewhere."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        mean, scale = tf.split(params, num_or_size_splits=2, axis=-1)
        return mean, tf.math.softplus(scale)
    mean, scale = ops.split(params, 2, axis=-1)
    return mean, ops.softplus(scale)


def test_second_program():
    input_layer = Input(shape=(time_steps, input_dim))
    combined_layer = TimeDistributed(Dense(output_dim * 2))(input_layer)
    mean_scale = Lambda(split)(combined_layer)
    mean_layer, scale_layer = mean_scale
    distribution_layer = DistributionLambda(lambda t: make_independent_normal(t[0], t[1]))(
        [mean_layer, scale_layer]
    )
    check_model(
        Model(input_layer, distribution_layer.sample()), Model(input_layer, distribution_layer)
    )


def test_second_program_in_one_lambda():
    input_layer = Input(shape=(time_steps, input_dim))
    combined_layer = TimeDistributed(Dense(output_dim * 2))(input_layer)
    distribution_layer = DistributionLambda(lambda t: make_independent_normal(*split(t)))(
        combined_layer
    )
    check_model(
        Model(input_layer, distribution_layer.sample()), Model(input_layer, distribution_layer)
    )
