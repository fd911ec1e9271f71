"""Recurrent layers as a causal network, at once and step by step."""

import cores
import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import assert_close, to_numpy

from timedist.ops import recurrent_scan
from timedist.sequence import RecurrentCore

KINDS = [{"cell": "lstm", "depth": 2}, {"cell": "gru"}]


def made(**options):
    """A small network with weights far from zero, so that all it reads is seen."""
    keras.utils.set_random_seed(1)
    core = cores.built(RecurrentCore(**{"units": 4, **options}))
    for weight in core.weights:
        weight.assign(1.5 * to_numpy(weight))
    return core


@pytest.mark.parametrize("options", KINDS)
def test_steps_are_those_of_the_whole_sequence(options):
    cores.check_steps(made(**options))


@pytest.mark.parametrize("least", [0, recurrent_scan.LEAST_WORK])
@pytest.mark.parametrize("options", KINDS)
def test_what_is_static_may_stand_beside_the_sequence(options, least, monkeypatch):
    """On TensorFlow by the loop of the package and, of a sequence this small, by Keras's."""
    monkeypatch.setattr(recurrent_scan, "LEAST_WORK", least)
    cores.check_static(made(**options))


@pytest.mark.parametrize("options", KINDS)
def test_a_step_sees_no_later_one(options):
    cores.check_causal(made(**options))


def test_gradients():
    cores.check_gradients(made())


def test_half_precision():
    cores.check_half_precision(lambda **options: RecurrentCore(units=4, cell="gru", **options))


def test_dropout_acts_in_training_only():
    cores.check_dropout(made(dropout=0.5))


def test_masked_steps_are_passed_over():
    core, x = made(depth=2), cores.sequence()
    mask = np.ones(x.shape[:2], bool)
    mask[:, 3:6] = False
    features, states = core.read(x, mask)
    expected, ends = core.read(np.delete(x, [3, 4, 5], axis=1))
    assert_close(to_numpy(features)[:, 6:], to_numpy(expected)[:, 3:], 1e-5, floor=0.1)
    for mine, its in zip(keras.tree.flatten(states), keras.tree.flatten(ends), strict=True):
        assert_close(mine, to_numpy(its), 1e-5, floor=0.1)


def test_layer(tmp_path):
    check_layer(lambda: RecurrentCore(3, 2, "gru", 0.25), tmp_path, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "units must be an int >= 1, got 0"),
        ({"cell": "rnn"}, r"cell must be one of \('lstm', 'gru'\), got 'rnn'"),
        ({"dropout": 1.5}, "dropout must be a number from 0 to 1, got 1.5"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=f"RecurrentCore: {message}"):
        RecurrentCore(**options)
