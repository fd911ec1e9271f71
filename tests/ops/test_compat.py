"""What is taken from Keras and its backends."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, compiled, float64_scope, to_numpy
from keras import ops

from timedist.ops import compat


def test_kinds_of_arrays_are_told_apart():
    tensor, symbol = ops.ones((2,)), keras.KerasTensor((2,))
    assert compat.backend_name() == BACKEND
    assert compat.is_tensor(tensor)
    assert not compat.is_tensor(np.ones(2))
    assert not compat.is_tensor(symbol)
    assert compat.is_symbolic(symbol)
    assert compat.is_concrete(tensor)
    assert compat.is_concrete(np.ones(2))
    assert not compat.is_concrete(symbol)
    assert compat.epsilon(tensor) == np.finfo("float32").eps


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs tests uncompiled")
def test_traced_tensors_are_not_concrete():
    seen = []

    def look(x):
        seen.append(compat.is_concrete(x))
        return x + 1.0

    compiled(look)(ops.ones((2,)))
    assert seen == [False]


def test_broadcast_arrays():
    arrays = [ops.ones((3, 1)), ops.zeros((2,)), ops.ones(())]
    assert [tuple(a.shape) for a in compat.broadcast_arrays(*arrays)] == [(3, 2)] * 3
    with pytest.raises(Exception):  # noqa: B017 - each backend has its own error
        compat.broadcast_arrays(ops.ones((3,)), ops.ones((2,)))


@pytest.mark.parametrize(
    "value", [0.1, [0.1, 0.2], 3, [1, 2], np.array(0.1), True, np.array([True])]
)
def test_to_tensor_rounds_numbers_to_the_dtype_only(value):
    with float64_scope():
        tensor = compat.to_tensor(value, "float64")
        np.testing.assert_array_equal(to_numpy(tensor), np.asarray(value, "float64"))
    assert keras.backend.standardize_dtype(compat.to_tensor(value, "float32").dtype) == "float32"


def test_to_tensor_refuses_text():
    with pytest.raises((TypeError, ValueError)):
        compat.to_tensor("a", "float32")


def test_infer_spec_keeps_unknown_sizes():
    spec = compat.infer_spec(lambda x: [x + 1.0, ops.sum(x, axis=-1)], keras.KerasTensor((None, 3)))
    assert [tuple(s.shape) for s in spec] == [(None, 3), (None,)]


def test_keras_caller_names_the_layer():
    found = []

    class Asking(keras.layers.Layer):
        def call(self, x):
            found.append(compat.keras_caller())
            return x

    layer = Asking()
    layer(ops.ones((1, 2)))
    assert found[-1] == ("layer", layer)
    assert compat.keras_caller() is None


def test_a_numpy_scalar_keeps_its_digits():
    with float64_scope():
        assert float(compat.to_tensor(np.float64(1.1), "float64")) == 1.1


def test_an_array_keeps_its_digits_after_a_program_in_float32():
    table = np.array([0.1, 0.2])
    program = compiled(lambda x: x * compat.to_tensor(table, compat.dtype_of(x)))
    program(ops.ones((2,)))  # lives on, and on JAX what it made of the table with it
    with float64_scope():
        np.testing.assert_array_equal(to_numpy(compat.to_tensor(table, "float64")), table)
        exact = compiled(lambda x: x * compat.to_tensor(table, "float64"))
        np.testing.assert_array_equal(to_numpy(exact(ops.ones((2,), "float64"))), table)
