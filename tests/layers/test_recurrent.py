"""Recurrent layers by a faster loop, against the same layers of Keras."""

import keras
import numpy as np
import pytest
from conformance import check_config
from helpers import BACKEND, assert_close, gradient, to_numpy
from keras import ops

from timedist.layers import GRU, LSTM
from timedist.ops import recurrent, recurrent_scan
from timedist.ops.functional import compiled, compiled_gradient, dtype_scope

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 7, 3)).astype("float32")
START = RNG.normal(size=(5, 4)).astype("float32")
# Padded behind, padded in front, gaps, nothing at all, everything.
MASK = np.array(
    [[1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 1, 0], [0] * 7, [1] * 7], bool
)
PAIRS = {"lstm": (LSTM, keras.layers.LSTM), "gru": (GRU, keras.layers.GRU)}
OPTIONS = {
    "plain": {},
    "sequences": {"return_sequences": True},
    "sequences and state": {"return_sequences": True, "return_state": True},
    "no bias": {"use_bias": False},
    "relu": {"activation": "relu"},
    "zeros where masked": {"zero_output_for_mask": True, "return_sequences": True},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "dropout": {"dropout": 0.5, "return_sequences": True},
}


@pytest.fixture(autouse=True)
def however_small(monkeypatch):
    """TensorFlow too runs the loop of the package, which it leaves to larger ones otherwise."""
    monkeypatch.setattr(recurrent_scan, "LEAST_WORK", 0)


def pair(name, dtype="float32", **options):
    """Our layer and Keras's with the same weights, none of them zero."""
    layers = [cls(4, dtype=dtype, **options) for cls in PAIRS[name]]
    for layer in layers:
        layer.build((5, None, 3))
        rng = np.random.default_rng(1)
        layer.set_weights([rng.normal(0.0, 0.5, w.shape) for w in layer.weights])
    return layers


def numbers(result):
    """All outputs in one list of arrays."""
    return [to_numpy(x) for x in (result if isinstance(result, (list, tuple)) else [result])]


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_it_gives_what_keras_gives(name, options, mask):
    ours, theirs = pair(name, **OPTIONS[options])
    found, expected = (numbers(layer(X, mask=mask)) for layer in (ours, theirs))
    assert len(found) == len(expected)
    for mine, its in zip(found, expected, strict=True):
        assert_close(mine, its, 1e-5, floor=1e-2)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("name", PAIRS)
def test_it_goes_on_from_given_states(name, mask):
    ours, theirs = pair(name, return_state=True)
    start = [START] if name == "gru" else [START, -START]
    found, expected = (numbers(x(X, initial_state=start, mask=mask)) for x in (ours, theirs))
    for mine, its in zip(found, expected, strict=True):
        assert_close(mine, its, 1e-5, floor=1e-2)


def test_another_gate_order():
    ours, theirs = pair("gru", reset_after=False)
    assert_close(ours(X), to_numpy(theirs(X)), 1e-5, floor=1e-2)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("name", PAIRS)
def test_gradients(name, mask):
    def total(layer):
        def function(x):
            outputs, *states = layer(x, mask=mask)
            return ops.sum(ops.square(outputs)) + sum(ops.sum(ops.sin(s)) for s in states)

        return gradient(function, X)[0]

    found, expected = map(total, pair(name, return_sequences=True, return_state=True))
    assert_close(found, expected, 1e-4, floor=1e-2)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_of_inputs_and_states_where_they_are_compiled(name):
    def total(layer):
        def function(x, *start):
            outputs, *states = layer(x, initial_state=list(start))
            return ops.sum(ops.square(outputs)) + sum(ops.sum(ops.sin(s)) for s in states)

        starts = [START] if name == "gru" else [START, -START]
        given = [ops.convert_to_tensor(a) for a in (X, *starts)]
        value, gradients = compiled_gradient(function)(*given)
        return [to_numpy(value), *map(to_numpy, gradients)]

    found, expected = map(total, pair(name, return_sequences=True, return_state=True))
    for mine, its in zip(found, expected, strict=True):
        assert_close(mine, its, 1e-4, floor=1e-2)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_weights_learn_as_those_of_keras(name, masked):
    after = []
    for layer in pair(name, return_sequences=True):
        first = [keras.layers.Masking()] if masked else []
        model = keras.Sequential([keras.Input((7, 3)), *first, layer])
        model.compile(keras.optimizers.SGD(0.5), "mse")
        x = np.where(MASK[..., None], X, 0.0)
        model.fit(x, np.ones((5, 7, 4), "float32"), verbose=0)
        after.append(layer.get_weights())
    for mine, its in zip(*after, strict=True):
        assert_close(mine, its, 1e-5, floor=1e-2)


def test_stateful():
    ours, theirs = pair("lstm", stateful=True)
    for _ in range(2):
        assert_close(ours(X), to_numpy(theirs(X)), 1e-5, floor=1e-2)


def test_half_precision():
    ours, theirs = pair("lstm", dtype=keras.DTypePolicy("mixed_bfloat16"))
    found, expected = (layer(X) for layer in (ours, theirs))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert_close(ops.cast(found, "float32"), to_numpy(ops.cast(expected, "float32")), 1e-2, 1.0)


def test_the_kernel_is_taken_where_there_is_one(monkeypatch):
    """And only there, or these tests would compare Keras with itself."""
    taken, original, whole = [], recurrent.by_kernel, recurrent.by_torch

    def counting(*args):
        taken.append(original(*args) is not None)
        return original(*args)

    def counting_whole_calls(*args):
        found = whole(*args)
        taken.extend([] if found is None else [True])
        return found

    monkeypatch.setattr(recurrent, "by_kernel", counting)
    monkeypatch.setattr(recurrent, "by_torch", counting_whole_calls)
    for options in ({}, {"return_sequences": True}, {"dropout": 0.5}):
        pair("gru", **options)[0](X, mask=MASK)
    pair("gru", dropout=0.5)[0](X, training=True)
    pair("lstm", activation="relu")[0](X)
    assert taken == [BACKEND == "torch"] * 3 + [False] * 2
    taken.clear()
    for name in PAIRS:
        compiled(pair(name)[0])(ops.convert_to_tensor(X))
    assert all(taken) and taken


@pytest.mark.parametrize("name", PAIRS)
def test_float64(name):
    with dtype_scope("float64"):
        ours, theirs = pair(name, dtype="float64", return_sequences=True)
        x = ops.convert_to_tensor(X.astype("float64"))
        found, expected = compiled(ours)(x), theirs(x)
        assert keras.backend.standardize_dtype(found.dtype) == "float64"
        assert_close(found, to_numpy(expected), 1e-5, floor=1e-2)


@pytest.mark.parametrize("name", PAIRS)
def test_a_single_step(name):
    layer = pair(name)[0]
    states = [START] if name == "gru" else [START, -START]
    states = [ops.convert_to_tensor(s) for s in states]
    x = ops.convert_to_tensor(X[:, 0])
    found, after = recurrent.step(layer, recurrent.weights(layer, x), x, states)
    expected, its = layer.cell(x, states)
    for mine, theirs in zip([found, *after], [expected, *its], strict=True):
        # The states are of the size of one: 1e-6 is eight of their roundings.
        assert_close(mine, to_numpy(theirs), 1e-5, floor=0.1)


@pytest.mark.parametrize("name", PAIRS)
def test_a_single_step_of_inputs_that_are_known_in_part(name):
    layer = pair(name)[0]
    states = [START] if name == "gru" else [START, -START]
    x, *states = (ops.convert_to_tensor(a) for a in (X[:, 0], *states))
    weights = recurrent.weights(layer, x)
    known = recurrent.known_part(weights, x, (0, 2))
    own = ops.take(x, np.array([0, 2], "int32"), axis=-1)
    found, after = recurrent.step_from(layer, weights, known, own, (0, 2), states)
    expected, its = layer.cell(x, states)
    for mine, theirs in zip([found, *after], [expected, *its], strict=True):
        # The states are of the size of one: 1e-6 is eight of their roundings.
        assert_close(mine, to_numpy(theirs), 1e-5, floor=0.1)


def test_what_keras_has_to_run_is_run_by_keras():
    layer = pair("lstm", activation="relu")[0]
    x, *states = (ops.convert_to_tensor(a) for a in (X[:, 0], START, -START))
    assert recurrent.weights(layer, x) == ()
    found, _ = recurrent.step(layer, (), x, states)
    assert_close(found, to_numpy(layer.cell(x, states)[0]), 1e-6)


def test_any_number_of_steps_and_sequences():
    ours, theirs = pair("lstm", return_sequences=True)
    model = keras.Sequential([keras.Input((None, 3)), ours])
    for shape in ((2, 5, 3), (3, 5, 3), (2, 9, 3), (1, 1, 3)):
        x = np.ones(shape, "float32")
        assert_close(model.predict(x, verbose=0), to_numpy(theirs(x)), 1e-5, floor=1e-2)


@pytest.mark.parametrize("name", PAIRS)
def test_configuration_and_file(name, tmp_path):
    ours, theirs = PAIRS[name]
    check_config(lambda: ours(3, return_sequences=True, dropout=0.25))
    assert ours(3, name="a").get_config() == theirs(3, name="a").get_config()
    model = keras.Sequential([keras.Input((None, 3)), ours(4)])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    assert type(loaded.layers[0]) is ours
    assert_close(loaded(X), to_numpy(model(X)), 1e-5, floor=1e-2)
