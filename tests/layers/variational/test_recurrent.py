"""Recurrent layers with a posterior: one draw a sequence, masks, cells of any kind."""

import keras
import numpy as np
import pytest
from conformance import check_layer, serialized
from helpers import to_numpy
from models import QUICK

from timedist.layers import (
    CellReparameterization,
    GRUReparameterization,
    LSTMReparameterization,
)

KINDS = (LSTMReparameterization, GRUReparameterization)
CELLS = {
    "SimpleRNN": lambda: keras.layers.SimpleRNNCell(3),
    "LSTM": lambda: keras.layers.LSTMCell(3),
    "GRU": lambda: keras.layers.GRUCell(3, dropout=0.1, recurrent_dropout=0.1),
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 7, 3)).astype("float32")


@pytest.mark.parametrize("kind", KINDS)
def test_conformance(kind, tmp_path):
    check_layer(lambda: kind(2, return_sequences=True, kl_weight=0.01, seed=1), tmp_path, 3)


@pytest.mark.parametrize("name", CELLS)
def test_any_cell_trains_saves_and_adds_its_divergence_once(name, tmp_path):
    inputs = keras.Input((None, 3))
    cell = CellReparameterization(CELLS[name]())
    outputs = keras.layers.RNN(cell, return_sequences=True)(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.01), "mse", **QUICK)
    start = [w.copy() for w in model.get_weights()]
    history = model.fit(X, X, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    moved = {
        w.name: np.abs(a - w.numpy() if hasattr(w, "numpy") else a).max()
        for a, w in zip(start, model.weights, strict=True)
        if w.trainable
    }
    assert min(moved.values()) > 0.0, moved
    assert sum("untransformed_scale" in name for name in moved) == 2
    model(X)
    assert len(model.losses) == 1
    exact = sum(
        (0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale)).sum()
        for loc, scale in (
            (to_numpy(q.mean()).astype("float64"), to_numpy(q.stddev()).astype("float64"))
            for q in cell.posteriors()
        )
    )
    np.testing.assert_allclose(float(to_numpy(model.losses[0])), exact / len(X), 1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for mine, its in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def narrow(cell):
    """Make the posterior so narrow that the cell is its mean."""
    for raw in cell.untransformed_scales:
        raw.assign(np.full(raw.shape, -30.0))


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM"])
def test_a_narrow_posterior_is_the_ordinary_cell(name):
    cell = CellReparameterization(CELLS[name](), kl_weight=1.0)
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer(X)
    narrow(cell)
    plain = keras.layers.RNN(CELLS[name](), return_sequences=True)
    plain.build(X.shape)
    plain.set_weights([to_numpy(w) for w in cell.cell.get_weights()])
    mask = np.arange(7) < np.array([7, 3, 5, 1])[:, None]
    found, expected = (to_numpy(one(X, mask=mask)) for one in (layer, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_one_draw_holds_for_all_steps_and_examples(kind):
    layer = kind(3, return_sequences=True, return_state=True, kl_weight=1.0)
    same = np.repeat(X[:1], 2, axis=0)
    outputs, *_ = (to_numpy(x) for x in layer(same))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-6)
    again, *_ = (to_numpy(x) for x in layer(same))
    assert np.abs(outputs - again).max() > 1e-4
    # With the same weights a constant input leads to a fixed point; with new ones each step it
    # would keep moving.
    outputs, *_ = (to_numpy(x) for x in layer(np.ones((1, 300, 3), "float32")))
    np.testing.assert_allclose(outputs[0, -1], outputs[0, -2], atol=1e-5)


def test_stacks_and_both_directions():
    cells = [CellReparameterization(make(), kl_weight=1.0) for make in CELLS.values()]
    stacked = keras.layers.RNN(cells, return_sequences=True)
    assert tuple(stacked(X).shape) == (4, 7, 3)
    assert len(stacked.losses) == 3
    both = keras.layers.Bidirectional(LSTMReparameterization(3, kl_weight=1.0))
    assert tuple(both(X).shape) == (4, 6)
    assert len(both.losses) == 2


def test_a_cell_alone_and_a_loop_of_ones_own():
    cell = CellReparameterization(keras.layers.GRUCell(3), kl_weight=1.0)
    state = cell.get_initial_state(4)
    first, _ = cell(X[:, 0], [state] if not isinstance(state, list) else state)
    second, _ = cell(X[:, 0], [state] if not isinstance(state, list) else state)
    assert np.abs(to_numpy(first) - to_numpy(second)).max() > 0.0
    cell.begin_sequence()
    first, _ = cell(X[:, 0], [state] if not isinstance(state, list) else state)
    second, _ = cell(X[:, 0], [state] if not isinstance(state, list) else state)
    cell.end_sequence()
    np.testing.assert_array_equal(to_numpy(first), to_numpy(second))


def test_options_and_wrong_arguments():
    layer = GRUReparameterization(3, dropout=0.2, with_bias=True, kl_weight=0.5, go_backwards=True)
    again = type(layer).from_config(layer.get_config())
    assert serialized(again) == serialized(layer)
    assert again.cell.with_bias and again.cell.cell.dropout == 0.2 and again.go_backwards
    layer(X)
    assert len(layer.cell.posteriors()) == 3
    with pytest.raises(ValueError, match="cell must be one Keras RNN cell"):
        CellReparameterization(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="of a stack, wrap each cell"):
        CellReparameterization(keras.layers.StackedRNNCells([keras.layers.GRUCell(2)]))
    with pytest.raises((TypeError, ValueError), match="unknown_option"):
        LSTMReparameterization(3, unknown_option=1)
