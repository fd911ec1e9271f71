"""Entries of a buffer: at their place, with gradients, and on torch without a copy."""

import numpy as np
import pytest
from helpers import BACKEND, gradient, to_numpy
from keras import ops

from timedist.ops.buffers import written

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_an_entry_is_at_its_place(axis, as_tensor):
    buffer = RNG.normal(size=(3, 4, 5)).astype("float32")
    entry = RNG.normal(size=buffer.shape).astype("float32").take([0], axis)
    expected = buffer.copy()
    np.moveaxis(expected, axis, 0)[2:3] = np.moveaxis(entry, axis, 0)
    place = ops.convert_to_tensor(2, "int32") if as_tensor else 2
    given = ops.convert_to_tensor(buffer.copy())
    found = written(given, place, ops.convert_to_tensor(entry), axis)
    np.testing.assert_array_equal(to_numpy(found), expected)
    assert BACKEND != "torch" or found is given


def test_gradients_reach_buffer_and_entry():
    buffer, entry = np.ones((2, 3), "float32"), np.ones((2, 1), "float32")
    of_buffer, of_entry = gradient(lambda b, e: 2.0 * written(b, 1, e, axis=1), buffer, entry)
    np.testing.assert_array_equal(of_buffer, [[2.0, 0.0, 2.0]] * 2)
    np.testing.assert_array_equal(of_entry, [[2.0]] * 2)
