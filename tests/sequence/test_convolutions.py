"""The WaveNet: plain NumPy over its taps, how far it sees, and what is kept."""

import cores
import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import assert_close, fast, to_numpy
from keras import ops

from timedist.sequence import AutoregressiveWaveNet, ConvolutionalCore


def make(**options):
    keras.utils.set_random_seed(2)
    return ConvolutionalCore(**{"units": 8, "dilations": (1, 2, 4), **options})


def small(**options):
    return cores.small(AutoregressiveWaveNet, **{"dilations": (1, 2, 4), **options})


SHAPES = [(2, (1, 2, 4)), (3, (2, 1)), (2, (7,)), (4, (3, 16))]


@pytest.mark.parametrize(("kernel_size", "dilations"), SHAPES)
def test_steps_are_those_of_the_whole_sequence(kernel_size, dilations):
    cores.check_steps(make(kernel_size=kernel_size, dilations=dilations))


def test_a_step_sees_no_later_one():
    cores.check_causal(make())


def test_what_is_static_may_stand_beside_the_sequence():
    cores.check_static(make())


def test_gradients():
    cores.check_gradients(make())


def test_layer(tmp_path):
    check_layer(lambda: ConvolutionalCore(8, 3, (1, 2)), tmp_path, 5)


def test_half_precision():
    cores.check_half_precision(make)


def test_dropout_acts_in_training_only():
    cores.check_dropout(make(dropout=0.5))


def in_numpy(core, x):
    """The definition in float64, tap by tap."""

    def dense(layer, x):
        kernel, bias = (to_numpy(w.value).astype("float64") for w in layer.weights)
        return x @ kernel + bias

    x, total = dense(core.entry, x.astype("float64")), 0.0
    for block, dilation in zip(core.blocks, core.dilations, strict=True):
        kernel, bias = (to_numpy(w.value) for w in block.convolution.weights)
        convolved = np.zeros((*x.shape[:2], 2 * core.units)) + bias
        for tap, weights in enumerate(kernel):
            back = min(dilation * (core.kernel_size - 1 - tap), x.shape[1])
            convolved[:, back:] += x[:, : x.shape[1] - back] @ weights
        passing, gate = np.split(convolved, 2, axis=-1)
        z = np.tanh(passing) / (1.0 + np.exp(-gate))
        total = total + dense(block.skip, z)
        if block.residual is not None:
            x = x + dense(block.residual, z)
    return np.maximum(dense(core.exit, np.maximum(total, 0.0)), 0.0)


@pytest.mark.parametrize(("kernel_size", "dilations"), SHAPES)
def test_features_are_those_of_the_definition(kernel_size, dilations):
    core, x = cores.built(make(kernel_size=kernel_size, dilations=dilations)), cores.sequence()
    assert_close(cores.at_once(core, x), in_numpy(core, x), 1e-5, floor=0.1)


@pytest.mark.parametrize(("kernel_size", "dilations"), [(2, (1, 2, 4)), (3, (2, 1))])
def test_how_far_it_sees(kernel_size, dilations):
    core = cores.built(make(kernel_size=kernel_size, dilations=dilations))
    reach = (kernel_size - 1) * sum(dilations)
    assert core.receptive_field == reach + 1
    x = np.repeat(cores.sequence(1), 2, axis=0)
    x[1, 0] += 1.0
    reference, changed = cores.at_once(core, x)
    error = np.abs(changed - reference).max(axis=-1)
    assert error[reach] > 1e-5
    assert error[reach + 1 :].max() < 1e-6


def test_what_is_kept_is_what_the_taps_reach():
    core = cores.built(make(kernel_size=3))
    shared, state = fast(lambda x: core.begin(x, 30))(ops.convert_to_tensor(cores.sequence()))
    assert not keras.tree.flatten(shared)
    assert [tuple(kept.shape) for kept in state] == [(2, 2, 8), (2, 4, 8), (2, 8, 8)]


def test_paths_have_the_density_of_one_pass():
    cores.check_rollout(small(dropout=0.3))


def test_another_context_than_in_training():
    model = small()
    cores.series(model)
    other = small(context_length=20)
    cores.series(other)
    other.set_weights(model.get_weights())
    cores.check_rollout(other)


def test_training():
    cores.check_training(small(dropout=0.1))


def test_sampling_compiles_once():
    cores.check_sampling_compiles_once(small())


def test_sampling_in_half_precision():
    cores.check_rollout(small(dtype="mixed_bfloat16"), bound=0.05)


def test_keras_file_in_safe_mode(tmp_path):
    cores.check_file(small(kernel_size=3, dropout=0.1), tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "units must be an int >= 1, got 0"),
        ({"kernel_size": 1}, "kernel_size must be an int >= 2, got 1"),
        ({"dilations": ()}, r"dilations must be one or more ints >= 1, got \(\)"),
        ({"dilations": (1, 0)}, r"dilations must be one or more ints >= 1, got \(1, 0\)"),
        ({"dilations": 4}, "dilations must be one or more ints >= 1, got 4"),
        ({"dropout": 1.5}, r"dropout must be a number from 0 to 1, got 1\.5"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=f"ConvolutionalCore: {message}"):
        make(**options)
