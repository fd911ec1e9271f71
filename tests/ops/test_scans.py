"""Loops that keep every state, against the same loops in NumPy."""

import numpy as np
import pytest
from helpers import BACKEND, compiled, gradient, to_numpy
from keras import ops

from timedist.ops.scans import blocks, in_blocks, loop, scan

RNG = np.random.default_rng(0)
STARTS = {"a": RNG.normal(size=3).astype("float32"), "b": np.zeros((), "float32")}
FACTOR = np.float32(0.5)
NOISE = RNG.normal(size=(6, 3)).astype("float32")


def mixed(state, constants, entries):
    """A state of two tensors."""
    a = constants["factor"] * state["a"] + entries["noise"]
    return {"a": a, "b": state["b"] + ops.sum(a)}


def doubled(state, constants, entries):
    """A step without constants or sequences."""
    assert constants == {} and entries == {}
    return 2.0 * state


def by_hand(reverse):
    """Both states after each step."""
    a, b, found = STARTS["a"], 0.0, []
    for noise in NOISE[::-1] if reverse else NOISE:
        a = FACTOR * a + noise
        b = b + a.sum()
        found.append((a, b))
    found = found[::-1] if reverse else found
    return np.stack([a for a, _ in found]), np.stack([b for _, b in found])


def states(start, factor, noise, reverse=False):
    """All states of the loop."""
    return scan(mixed, start, {"factor": factor}, {"noise": noise}, len(NOISE), reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_all_states_in_the_order_of_the_sequences(reverse):
    start = {key: ops.convert_to_tensor(x) for key, x in STARTS.items()}
    tensors = (start, ops.convert_to_tensor(FACTOR), ops.convert_to_tensor(NOISE))
    once = states(*tensors, reverse)
    again = compiled(lambda *given: states(*given, reverse))(*tensors)
    for found in (once, again):
        for mine, its in zip((found["a"], found["b"]), by_hand(reverse), strict=True):
            np.testing.assert_allclose(to_numpy(mine), its, rtol=1e-6)


def test_neither_constants_nor_sequences():
    found = scan(doubled, ops.convert_to_tensor(np.float32(1.0)), {}, {}, 4)
    np.testing.assert_array_equal(to_numpy(found), [2.0, 4.0, 8.0, 16.0])


def test_gradients_reach_start_constants_and_sequences():
    def last(a, factor, noise):
        return states({"a": a, "b": ops.zeros(())}, factor, noise)["a"][-1]

    of_start, of_factor, of_noise = gradient(last, STARTS["a"], FACTOR, NOISE)
    np.testing.assert_allclose(of_start, np.full(3, 0.5**6), rtol=1e-6)
    powers = 0.5 ** np.arange(6)[::-1]
    np.testing.assert_allclose(of_noise, np.tile(powers[:, None], 3), rtol=1e-6)
    before = np.concatenate([STARTS["a"][None], by_hand(False)[0][:-1]]).sum(-1)
    np.testing.assert_allclose(of_factor, (powers * before).sum(), rtol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="nothing is compiled there")
def test_what_is_compiled_is_found_again():
    calls = []

    def step(state, constants, entries):
        calls.append(1)
        return state + entries["x"]

    first, second = (ops.convert_to_tensor(x) for x in (NOISE, NOISE + 1.0))
    zero = ops.zeros((3,))
    scan(step, zero, {}, {"x": first}, 6)
    number = len(calls)
    found = scan(step, zero, {}, {"x": second}, 6)
    assert len(calls) == number
    np.testing.assert_allclose(to_numpy(found), np.cumsum(NOISE + 1.0, axis=0), rtol=1e-5)


def running_sums(start, values, reverse=False):
    """The sums, of other shapes than the state: as floats doubled, and as flags of their signs."""

    def step(state, entry):
        total = state + entry["value"]
        return total, {"doubled": ops.stack([total, total], axis=-1), "positive": total > 0.0}

    return loop(step, start, {"value": values}, len(NOISE), reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_outputs_may_differ_from_the_state(reverse):
    start = STARTS["a"]
    order = slice(None, None, -1) if reverse else slice(None)
    sums = start + np.cumsum(NOISE[order], axis=0)
    tensors = (ops.convert_to_tensor(start), ops.convert_to_tensor(NOISE))
    for run in (running_sums, compiled(lambda a, b: running_sums(a, b, reverse))):
        end, found = run(*tensors, reverse) if run is running_sums else run(*tensors)
        np.testing.assert_allclose(to_numpy(end), sums[-1], rtol=1e-5)
        doubled = to_numpy(found["doubled"])
        np.testing.assert_allclose(doubled, np.stack([sums, sums], axis=-1)[order], rtol=1e-5)
        np.testing.assert_array_equal(to_numpy(found["positive"]), (sums > 0.0)[order])


def test_gradients_of_outputs():
    def of_all(start, values):
        return ops.sum(running_sums(start, values)[1]["doubled"])

    to_start, to_values = gradient(of_all, STARTS["a"], NOISE)
    np.testing.assert_allclose(to_start, np.full(3, 2.0 * len(NOISE)))
    counts = np.arange(len(NOISE), 0, -1.0)
    np.testing.assert_allclose(to_values, np.repeat(2.0 * counts[:, None], 3, axis=1))


def shifted(x, number):
    """In each block a tensor and the number of the block."""
    return blocks(lambda i: x + ops.cast(i, x.dtype), number)


def test_blocks_of_rows():
    expected = np.arange(3)[:, None] + np.array([0.5, 1.5])
    x = ops.convert_to_tensor(expected[0])
    for number in (1, 3):
        found = to_numpy(compiled(lambda x, number=number: shifted(x, number))(x))
        np.testing.assert_array_equal(found, expected[:number])


def test_blocks_hold_all_there_is(monkeypatch):
    assert in_blocks(None, 3) == (1, None) and in_blocks(3, None) == (1, 3)
    if BACKEND == "torch":
        assert in_blocks(4097) == (1, 4097)
    monkeypatch.setattr("timedist.ops.compat.compiles", lambda: True)
    sizes = ((1, 1), (4096, 1), (4097, 1), (100, 32), (1000, 32), (9, 9**9), (7, 0))
    for number, rows in sizes:
        found, each = in_blocks(number, rows)
        assert (found - 1) * each < number <= found * each
        assert each * rows <= 4096 or each == 1
    assert in_blocks(4097) == (2, 2049) and in_blocks(9, 9**9) == (9, 1)
