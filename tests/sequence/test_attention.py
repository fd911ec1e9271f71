"""The transformer: Keras's attention where both are the same, rotations, and what is kept."""

import cores
import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import assert_close, fast, to_numpy
from keras import ops

from timedist.sequence import AutoregressiveTransformer, TransformerCore, attention


def make(**options):
    keras.utils.set_random_seed(2)
    return TransformerCore(**{"units": 8, "depth": 2, "heads": 2, **options})


def small(**options):
    return cores.small(AutoregressiveTransformer, **{"depth": 2, "heads": 2, **options})


@pytest.mark.parametrize("window", [None, 2, 4])
def test_steps_are_those_of_the_whole_sequence(window):
    cores.check_steps(make(window=window))


@pytest.mark.parametrize("window", [None, 4])
def test_a_step_sees_no_later_one(window):
    cores.check_causal(make(window=window))


def test_what_is_static_may_stand_beside_the_sequence():
    cores.check_static(make())


@pytest.mark.parametrize("window", [None, 4])
def test_gradients(window):
    cores.check_gradients(make(window=window))


def test_layer(tmp_path):
    check_layer(lambda: TransformerCore(8, heads=2, window=3), tmp_path, 5)


def test_half_precision():
    cores.check_half_precision(make)


def test_dropout_acts_in_training_only():
    cores.check_dropout(make(dropout=0.5))


def with_keras(core, x):
    """The same network of Keras's own layers, with the weights of ours, without positions."""
    layers = keras.layers
    x = core.entry(x)
    for block in core.blocks:
        part = block.attention
        theirs = layers.MultiHeadAttention(part.heads, part.size)
        theirs.build(x.shape, x.shape)
        kernel, bias = (to_numpy(w.value) for w in part.inward.weights)
        shape = (core.units, 3, part.heads, part.size)
        kernel, bias = kernel.reshape(shape), bias.reshape(shape[1:])
        out, out_bias = (to_numpy(w.value) for w in part.outward.weights)
        pairs = [(kernel[:, number], bias[number]) for number in range(3)]
        pairs.append((out.reshape(part.heads, part.size, core.units), out_bias))
        theirs.set_weights([weight for pair in pairs for weight in pair])
        normed = block.before_attention(x)
        x = x + theirs(normed, normed, use_causal_mask=True)
        x = x + block.narrow(block.wide(block.before_dense(x)))
    return core.norm(x)


def test_without_positions_it_is_the_attention_of_keras(monkeypatch):
    monkeypatch.setattr(attention, "rotated", lambda x, positions: x)
    core, x = cores.built(make()), cores.sequence()
    assert_close(cores.at_once(core, x), to_numpy(with_keras(core, x)), 1e-5, floor=0.1)


def test_rotation_is_a_product_of_complex_numbers():
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 6)).astype("float32")
    positions = np.array([-7, 0, 1, 30, 4000])
    numbers = x[..., :3] + 1j * x[..., 3:]
    rates = 10000.0 ** (-np.arange(3) / 3)
    turned = numbers * np.exp(1j * positions[:, None, None] * rates)
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    found = to_numpy(attention.rotated(ops.convert_to_tensor(x), ops.convert_to_tensor(positions)))
    assert_close(found[:, :4], expected[:, :4], 1e-5, floor=1.0)
    assert_close(found, expected, 1e-3, floor=1.0)  # an angle of 4000 in float32
    np.testing.assert_array_equal(found[:, 1], x[:, 1])


def test_products_depend_on_the_distance():
    query, key = np.random.default_rng(1).normal(size=(2, 1, 4, 2, 8)).astype("float32")

    def products(shift):
        positions = ops.arange(4) + shift
        one, other = (to_numpy(attention.rotated(x, positions)) for x in (query, key))
        return np.einsum("bqhd,bkhd->bhqk", one, other)

    near, far = products(0), products(500)
    assert_close(far, near, 1e-3, floor=1.0)
    assert np.abs(near - np.einsum("bqhd,bkhd->bhqk", query, key)).max() > 0.1


def test_a_window_sees_so_many_steps_in_each_layer():
    core = cores.built(make(window=4))
    reach = core.depth * (4 - 1)
    x = np.repeat(cores.sequence(1), 2, axis=0)
    x[1, 0] += 1.0
    reference, changed = cores.at_once(core, x)
    error = np.abs(changed - reference).max(axis=-1)
    assert error[reach] > 1e-5
    assert error[reach + 1 :].max() < 1e-6
    # What happened before is out of sight, so a later start gives the same features.
    later = cores.at_once(core, x[:, 3:])
    assert_close(later[0, reach:], reference[3 + reach :], 1e-4, floor=0.1)


def test_a_wide_window_sees_all():
    narrow, free = cores.built(make(window=50)), cores.built(make())
    free.set_weights(narrow.get_weights())
    x = cores.sequence()
    assert_close(cores.at_once(narrow, x), cores.at_once(free, x), 1e-5, floor=0.1)
    cores.check_steps(narrow, contexts=(5,))


def test_what_is_kept_stands_once_for_each_series():
    core = cores.built(make(window=4))
    shared, state = fast(lambda x: core.begin(x, 30))(ops.convert_to_tensor(cores.sequence()))
    assert [[tuple(part.shape) for part in layer] for layer in shared] == [
        [(2, 2, 4, 3), (2, 2, 3, 4)]
    ] * 2
    assert [[tuple(part.shape) for part in layer] for layer in state] == [
        [(2, 2, 4, 4), (2, 2, 4, 4)]
    ] * 2


def test_paths_have_the_density_of_one_pass():
    cores.check_rollout(small(dropout=0.3))


def test_another_context_than_in_training():
    model = small(window=6)
    cores.series(model)
    other = small(window=6, context_length=20)
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
    cores.check_file(small(window=3, feedforward=2, dropout=0.1), tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "units must be an int >= 1, got 0"),
        ({"depth": 1.0}, r"depth must be an int >= 1, got 1\.0"),
        ({"heads": 0}, "heads must be an int >= 1, got 0"),
        ({"feedforward": 0}, "feedforward must be an int >= 1, got 0"),
        ({"dropout": -0.1}, r"dropout must be a number from 0 to 1, got -0\.1"),
        ({"window": 1}, "window must be an int >= 2, got 1"),
        ({"units": 10}, r"units must be a multiple of 2 \* heads = 4, got 10"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=f"TransformerCore: {message}"):
        make(**options)
