"""Sampling by step functions and by Keras cells, against what is known of their paths."""

import keras
import numpy as np
import pytest
from helpers import assert_close, to_numpy
from keras import ops
from scipy import stats

from timedist import distributions as td
from timedist.layers import Categorical, GRUReparameterization, IndependentNormal
from timedist.prediction import predict
from timedist.sequence import AutoregressiveModel, CellWithHead, Core, Rollout, StepFunction

RNG = np.random.default_rng(0)


def autoregression(state, y, covariates):
    """y_t = 2 + 0.8 (y_{t-1} - 2) + 0.5 e."""
    return td.Normal(2.0 + 0.8 * (y - 2.0), 0.5), state


class Straight(Core):
    """Features that are the inputs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.units = 5

    def call(self, x, training=None):
        return x

    def begin(self, x, steps):
        return (), ()

    def step(self, x, i, shared, state):
        return x, state


def by_function():
    return autoregression, {"prefix": np.full((2, 1), 5.0, "float32")}


def by_cell():
    cell = keras.layers.SimpleRNNCell(1, activation="linear")
    cell.build((None, 1))
    for weight, value in zip(cell.weights, ([[0.8]], [[0.0]], [0.4]), strict=True):
        weight.assign(np.array(value))
    head = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2), IndependentNormal()])
    raw = np.log(np.expm1(0.5))
    head.layers[0].set_weights([np.array([[1.0, 0.0]]), np.array([0.0, raw])])
    return CellWithHead(cell, head), {"prefix": np.full((2, 1), 5.0, "float32")}


def by_model():
    """The scale, 2, is that of the known past, and the mean of the process."""
    model = AutoregressiveModel(
        Straight(), IndependentNormal(), lags=(1,), context_length=3, transform="none"
    )
    target = np.array([[0.0, 1.0, 2.0, 5.0]] * 2, "float32")
    given = {"target": target, "features": np.zeros((2, 3 + 5, 2), "float32")}
    model.build({name: value.shape for name, value in given.items()})
    raw = np.log(np.expm1(0.25))
    model.projection.set_weights([np.array([[0.8, 0.0]] + [[0.0, 0.0]] * 4), np.array([0.0, raw])])
    return model, given


@pytest.mark.parametrize("make", [by_function, by_cell, by_model])
def test_many_paths_of_an_autoregression(make):
    """Mean, deviation and quantiles within four standard errors of what they are known to be."""
    number, steps = 100_000, 5
    model, given = make()
    paths = Rollout(model, number, steps=steps, seed=1).predict(given, verbose=0)
    assert paths.shape == (2, number, steps)
    powers = 0.8 ** np.arange(1, steps + 1)
    mean, deviation = 2.0 + powers * 3.0, 0.5 * np.sqrt(np.cumsum(0.64 ** np.arange(steps)))
    error = deviation / np.sqrt(number)
    assert (np.abs(paths.mean(axis=1) - mean) < 4.0 * error).all()
    for p in (0.05, 0.25, 0.5, 0.75, 0.95):
        wanted = stats.norm.ppf(p, mean, deviation)
        wide = np.sqrt(p * (1 - p) / number) / stats.norm.pdf(wanted, mean, deviation)
        assert (np.abs(np.quantile(paths, p, axis=1) - wanted) < 4.0 * wide).all()
    correlation = np.corrcoef(paths[0, :, 0], paths[0, :, 1])[0, 1]
    assert abs(correlation - 0.8 * deviation[0] / deviation[1]) < 4.0 / np.sqrt(number)


def small_model(events, width):
    """A stock model of what follows on events, with covariates beside them."""
    keras.utils.set_random_seed(1)
    gru = keras.layers.GRU(4, return_sequences=True)
    head = keras.Sequential([keras.layers.Dense(4), IndependentNormal(2)])
    model = keras.Sequential([gru, head])
    model(np.zeros((1, 3, events + width), "float32"))
    return model, CellWithHead(gru.cell, head)


@pytest.mark.parametrize("width", [0, 3])
def test_a_cell_gives_what_its_model_gives(width):
    model, cell = small_model(2, width)
    prefix = RNG.normal(size=(3, 4, 2)).astype("float32")
    covariates = RNG.normal(size=(3, 4 + 5, width)).astype("float32")
    given = {"prefix": prefix} | ({"covariates": covariates} if width else {})
    rollout = Rollout(cell, 2, steps=5, outputs=("paths", "log_prob", "distribution"), seed=1)
    found = predict(rollout, given, verbose=0)
    paths = found["paths"]
    assert paths.shape == (3, 2, 5, 2)
    for path in range(2):
        whole = np.concatenate([prefix, paths[:, path]], axis=1)
        forced = model(np.concatenate([whole[:, :-1], covariates[:, 1:]], axis=-1))[:, 3:]
        log_prob = to_numpy(forced.log_prob(paths[:, path]))
        assert_close(found["log_prob"][:, path], log_prob.sum(axis=1), 1e-5, floor=1.0)
        assert_close(
            found["distribution"].mean()[:, path], to_numpy(forced.mean()), 1e-5, floor=0.1
        )


def test_prefixes_of_different_lengths():
    """Padded in front or behind, with what must not be seen, as each alone."""
    _, cell = small_model(2, 1)
    prefix = RNG.normal(size=(3, 6, 2)).astype("float32")
    covariates = RNG.normal(size=(3, 6 + 4, 1)).astype("float32")
    before, behind = np.arange(6) >= 2, np.arange(6) < 3
    mask = np.stack([np.ones(6, bool), before, behind])
    prefix[~mask] = np.nan
    rollout = Rollout(cell, 1, steps=3, outputs="distribution")

    def first(prefix, covariates, mask=None):
        given = {"prefix": prefix, "covariates": covariates}
        found = predict(rollout, given | ({} if mask is None else {"mask": mask}), verbose=0)
        return found.mean()[:, :, 0]

    found = first(prefix, covariates, mask)
    for row, part in enumerate((slice(0, 6), slice(2, 6), slice(0, 3))):
        alone = first(prefix[row, part][None], covariates[row, part.start : part.stop + 3][None])
        assert_close(found[row], alone[0], 1e-5)


def test_what_is_known_of_a_step_reaches_it():
    rollout = Rollout(
        lambda state, y, known: (td.Normal(known[:, 0], 1e-6), state), num_paths=2, seed=0
    )
    known = RNG.normal(size=(3, 1 + 4, 2)).astype("float32")
    given = {"prefix": np.zeros((3, 1), "float32"), "covariates": known}
    paths = rollout.predict(given, verbose=0)
    assert_close(paths, np.repeat(known[:, None, 1:, 0], 2, axis=1), 1e-4, floor=1.0)


def test_states_are_carried():
    """A state that counts, from where it is told to begin."""

    def counting(state, y, known):
        return td.Normal(state["number"], 1e-6), {"number": state["number"] + 1.0}

    given = {"prefix": np.zeros((2, 3), "float32")}
    given["state"] = {"number": np.array([0.0, 10.0], "float32")}
    paths = Rollout(counting, 2, steps=3).predict(given, verbose=0)
    assert_close(paths[0, 0], [2.0, 3.0, 4.0], 1e-4)
    assert_close(paths[1, 1], [12.0, 13.0, 14.0], 1e-4)


def test_a_path_ends_where_it_stops():
    """Coins until the first head: lengths have the geometric distribution."""

    def coin(state, y, known):
        return td.Bernoulli(probs=0.0 * y + 0.3), state

    names, number, steps = ("paths", "lengths", "log_prob"), 4000, 12
    rollout = Rollout(coin, number, steps=steps, stop=lambda y: y > 0.5, outputs=names, seed=1)
    found = rollout.predict({"prefix": np.zeros((1, 1), "float32")}, verbose=0)
    paths, lengths = found["paths"][0], found["lengths"][0]
    for k in range(1, 5):
        share, chance = (lengths == k).mean(), stats.geom.pmf(k, 0.3)
        assert abs(share - chance) < 4.5 * np.sqrt(chance * (1 - chance) / number)
    ended = lengths < steps
    np.testing.assert_array_equal(paths.sum(axis=1)[ended], 1.0)
    np.testing.assert_array_equal(paths.argmax(axis=1)[ended] + 1, lengths[ended])
    expected = np.log(0.3) + (lengths - 1) * np.log(0.7)
    assert_close(found["log_prob"][0][ended], expected[ended], 1e-5)


def test_uncertain_weights_are_drawn_once_for_a_batch():
    keras.utils.set_random_seed(1)
    gru = GRUReparameterization(4, return_sequences=True)
    head = keras.Sequential([keras.layers.Dense(2), IndependentNormal()])
    model = keras.Sequential([gru, head])
    model(np.zeros((1, 3, 1), "float32"))
    head.layers[0].set_weights([np.array([[1.0, 0.0]] * 4), np.array([0.0, -30.0])])
    rollout = Rollout(gru.cell, 3, steps=4, head=head, seed=1)
    given = {"prefix": np.tile([[0.5, 1.0, -0.5]], (2, 1)).astype("float32")}
    first, second = (rollout.predict(given, verbose=0) for _ in range(2))
    for paths in (first, second):
        assert_close(paths, np.broadcast_to(paths[:1, :1], paths.shape), 1e-4, floor=1.0)
    assert np.abs(first - second).max() > 1e-3
    assert gru.cell._drawn is None


def test_events_may_be_embedded():
    keras.utils.set_random_seed(1)
    embedding = keras.layers.Embedding(3, 2)
    gru = keras.layers.GRU(4, return_sequences=True)
    head = keras.Sequential([keras.layers.Dense(3), Categorical(3)])
    model = keras.Sequential([embedding, gru, head])
    prefix = np.array([[0, 2, 1], [1, 1, 0]], "int32")
    model(prefix)
    rollout = Rollout(
        CellWithHead(gru.cell, head, embedding), 2, steps=4, outputs=("paths", "log_prob"), seed=1
    )
    found = rollout.predict({"prefix": prefix}, verbose=0)
    assert set(np.unique(found["paths"])) <= {0, 1, 2}
    for path in range(2):
        whole = np.concatenate([prefix, found["paths"][:, path]], axis=1)
        log_prob = to_numpy(model(whole[:, :-1])[:, 2:].log_prob(whole[:, 3:]))
        assert_close(found["log_prob"][:, path], log_prob.sum(axis=1), 1e-5)


def test_numbers_of_categories_stop_too():
    def counting(state, y, known):
        logits = ops.one_hot((y + 1) % 4, 4) * 100.0
        return td.Categorical(logits=logits), state

    rollout = Rollout(counting, 2, steps=5, stop=lambda y: y == 3, outputs=("paths", "lengths"))
    found = rollout.predict({"prefix": np.array([[0], [2]], "int32")}, verbose=0)
    np.testing.assert_array_equal(found["paths"][0], [[1, 2, 3, 0, 0]] * 2)
    np.testing.assert_array_equal(found["paths"][1], [[3, 0, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(found["lengths"], [[3, 3], [1, 1]])


def test_what_does_not_fit():
    prefix = np.zeros((2, 3), "float32")
    rollout = Rollout(autoregression, 2, steps=4)
    for given, message in (
        ({"target": prefix}, r'dictionary with "prefix" is needed, got \[\'target\'\]'),
        ({"prefix": prefix[:, :0]}, r"prefix must have the shape .* got \(2, 0\)"),
        (
            {"prefix": prefix, "covariates": np.zeros((2, 6, 1), "float32")},
            "covariates have 6 steps, expected at least 7: 3 of the prefix and the 4 to draw",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            rollout(given)
    # A walk of integers would be a walk of draws that are cut off.
    with pytest.raises(
        ValueError, match=r"are integers, those that are drawn, of Normal.* are not"
    ):
        Rollout(lambda state, y, _: (td.Normal(ops.cast(y, "float32"), 1.0), state), steps=4)(
            {"prefix": prefix.astype("int32")}
        )
    message = (
        r"have the shape \(1,\), those that are drawn, of Normal.*\(\); give a prefix of shape"
    )
    scalars = Rollout(lambda state, y, covariates: (td.Normal(y[:, 0], 1.0), state), 2, steps=4)
    with pytest.raises(ValueError, match=message):
        scalars({"prefix": prefix[..., None]})
    with pytest.raises(ValueError, match=r"Rollout: there is nothing to predict, .* \(0, 3\)"):
        rollout.predict({"prefix": prefix[:0]}, verbose=0)
    with pytest.raises(ValueError, match="without covariates it must be told how many steps"):
        Rollout(autoregression)({"prefix": prefix})
    with pytest.raises(ValueError, match="the cell 'c' has no weights yet"):
        Rollout(keras.layers.GRUCell(3, name="c"), head=keras.layers.Dense(2))
    with pytest.raises(TypeError, match="head must be the layer that gives a distribution"):
        Rollout(keras.layers.GRUCell(3))
    with pytest.raises(TypeError, match="cell must be a Keras RNN cell"):
        CellWithHead(keras.layers.Dense(3), keras.layers.Dense(2))
    with pytest.raises(TypeError, match="function must be a function, got 3"):
        StepFunction(3)
