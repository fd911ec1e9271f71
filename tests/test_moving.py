"""Every cell of the table in `docs/moving_from_tfp_layers.md`."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conformance import arrays
from helpers import BACKEND, to_numpy
from models import QUICK
from moving import MOVES, table

import timedist
from timedist import layers
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

PAGE = Path(__file__).parents[1] / "docs" / "moving_from_tfp_layers.md"
RNG = np.random.default_rng(0)
SHAPES = {"sequence": (5,), "images": (5, 5), "volumes": (4, 4, 4)}
EVERY = pytest.mark.parametrize("move", MOVES, ids=lambda move: move.name)


def model_of(move, wrap=False, mask=False):
    """The layer in a functional model, and inputs for it."""
    steps = SHAPES[move.inputs]
    shape = (4, *([3] if wrap and move.inputs != "sequence" else []), *steps, move.size)
    inputs = keras.Input((None, *shape[2:]))
    hidden = keras.layers.Masking()(inputs) if mask else inputs
    layer = move.make()
    outputs = layers.TimeDistributed(layer)(hidden) if wrap else layer(hidden)
    x = RNG.normal(size=shape).astype("float32")
    return keras.Model(inputs, outputs), x


def targets_of(output):
    """Targets inside the support of a distribution, or of the shape of a tensor."""
    if not isinstance(output, timedist.distributions.Distribution):
        return np.zeros(output.shape, "float32"), "mse"
    drawn = to_numpy(output.sample(seed=0)).astype("float32")
    if hasattr(output, "variational_loss"):
        return drawn, timedist.losses.VariationalLoss(4)
    return drawn, NegativeLogLikelihood()


def trained(model, x):
    """The loss of a compiled step, finite, and the weights after it."""
    output = model(x)
    y, loss = targets_of(output)
    if not output.shape or output.shape[0] != len(x):  # of a variable: one output for all
        y = np.zeros((len(x), *np.shape(y)), "float32")
        loss = lambda y, output: keras.ops.mean((y - output) ** 2)  # noqa: E731
    model.compile(keras.optimizers.SGD(0.01), loss, **QUICK)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_the_page_shows_the_table():
    assert "\n".join(table()) in PAGE.read_text(), "put `moving.table()` into the page"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="once, where TFP runs")
def test_no_public_name_is_missing():
    program = (
        "import inspect, tensorflow_probability as tfp\n"
        "names = [n for n in dir(tfp.layers) if n[0] != '_']\n"
        "print(*(n for n in names if not inspect.ismodule(getattr(tfp.layers, n))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
    )
    names = done.stdout.splitlines()[-1].split()
    assert len(names) == 30
    assert sorted(move.name for move in MOVES) == sorted(names)
    assert all(hasattr(layers, move.ours or move.name) for move in MOVES)


@EVERY
def test_it_trains_and_saves_in_safe_mode(move, tmp_path):
    model, x = model_of(move)
    trained(model, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    for mine, its in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    assert [a.shape for a in arrays(loaded(x))] == [a.shape for a in arrays(model(x))]


@EVERY
def test_it_keeps_the_mask(move):
    if move.masked:
        pytest.skip(move.masked)
    model, x = model_of(move, mask=True)
    x[0, 3:] = 0.0
    mask = compat.get_keras_mask(model(x))
    np.testing.assert_array_equal(to_numpy(mask), (x != 0.0).any(-1))


@EVERY
def test_it_works_in_time_distributed(move):
    if move.timed:
        pytest.skip(move.timed)
    model, x = model_of(move, wrap=True)
    output = model(x)
    assert tuple(output.shape)[:2] == x.shape[:2]
    trained(model, x)
