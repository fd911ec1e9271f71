"""Sorting of small and large arrays, by itself and compiled, and its gradient."""

import numpy as np
import pytest
from helpers import DTYPES, compiled, compiled_gradient, dtype_scope, gradient, to_numpy
from keras import ops

from timedist.ops.sorting import sort


@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_along_the_last_axis(dtype):
    x = np.array([[2.0, -1.0, -np.inf, 1e30], [-1e-30, np.inf, -3.0, 0.0]], dtype)
    factors = np.arange(8.0).reshape(2, 4).astype(dtype)
    finite = np.clip(x, -5.0, 5.0)
    with dtype_scope(dtype):
        convert = ops.convert_to_tensor
        found = to_numpy(sort(convert(x)))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, np.sort(x, axis=-1))
        in_graph = to_numpy(compiled(sort)(convert(x)))

        def weighted(v):
            return ops.sum(sort(v) * convert(factors))

        slopes = [*gradient(weighted, finite), *compiled_gradient(weighted)(convert(finite))[1]]
    np.testing.assert_array_equal(in_graph, found)
    places = np.argsort(np.argsort(finite, axis=-1), axis=-1)
    for slope in slopes:
        np.testing.assert_array_equal(to_numpy(slope), np.take_along_axis(factors, places, axis=-1))


def test_many_rows_are_sorted_in_parts():
    rng = np.random.default_rng(0)
    x = rng.permutation(53 * 7 * 300).reshape(53, 7, 300).astype("float32") - 5e4
    factors = rng.normal(size=x.shape).astype("float32")
    places = np.argsort(np.argsort(x, axis=-1), axis=-1)
    x, factors = ops.convert_to_tensor(x), ops.convert_to_tensor(factors)
    np.testing.assert_array_equal(to_numpy(compiled(sort)(x)), np.sort(to_numpy(x), axis=-1))
    slope = compiled_gradient(lambda v: ops.sum(sort(v) * factors))(x)[1][0]
    exact = np.take_along_axis(to_numpy(factors), places, axis=-1)
    np.testing.assert_array_equal(to_numpy(slope), exact)
