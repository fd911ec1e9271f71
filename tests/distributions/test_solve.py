"""Inverting functions by bracketing search."""

import numpy as np
import pytest
from helpers import DTYPES, assert_close, compiled_gradient, dtype_scope, fast, to_numpy
from keras import ops
from scipy import stats

from timedist.distributions import solve


@pytest.mark.parametrize("dtype", DTYPES)
def test_increasing_root_is_exact_to_rounding(dtype):
    target = np.array([-8.0, -1e-3, 0.0, 1e-6, 0.5, 27.0], dtype)
    with dtype_scope(dtype):
        y = ops.convert_to_tensor(target)
        roots = {
            "cubic": (
                fast(lambda y: solve.increasing_root(lambda x: x**3 - y, y * 0 - 5, y * 0 + 4))(y),
                np.cbrt(target),
            ),
            "steep": (
                fast(
                    lambda y: solve.increasing_root(
                        lambda x: ops.exp(20 * x) - 2 - y * y, y * 0 - 9, y * 0 + 9
                    )
                )(y),
                np.log(2 + target.astype("float64") ** 2) / 20,
            ),
        }
        eps = np.finfo(dtype).eps
        for name, (root, exact) in roots.items():
            assert to_numpy(root).dtype == dtype
            # x^3 is flat at 0: there the root is known as well as its cube can be told from zero.
            assert_close(
                to_numpy(root),
                exact,
                8 * eps,
                floor=1e-3 if name == "cubic" else 0.05,
                err_msg=name,
            )


def test_a_root_on_the_edge_of_the_bracket_is_kept():
    low, high = ops.convert_to_tensor([0.0, -1.0]), ops.convert_to_tensor([1.0, 0.0])
    root = to_numpy(solve.increasing_root(lambda x: x, low, high))
    np.testing.assert_allclose(root, 0.0, atol=1e-30)


def test_smallest_integer():
    rate = np.array([0.1, 3.0, 40.0])
    p = np.array([[0.0], [1e-4], [0.5], [0.99], [1.0 - 1e-7]], "float32") + np.zeros(3, "float32")
    twin, k = stats.poisson(rate), np.arange(200)[:, None]
    tables = [
        ops.convert_to_tensor(table.T.astype("float32"))
        for table in (twin.logcdf(k), twin.logsf(k))
    ]

    def tails(k):
        index = ops.cast(ops.clip(k, 0, 199), "int32")
        lower, upper = (
            ops.stack([ops.take(table[i], index[..., i]) for i in range(3)], axis=-1)
            for table in tables
        )
        return ops.where(k < 0, -np.inf, lower), ops.where(k < 0, 0.0, upper)

    for guess in (0.0, 50.0):
        found = solve.smallest_integer(
            tails, ops.convert_to_tensor(p), ops.convert_to_tensor(guess + 0 * p)
        )
        expected = np.maximum(twin.ppf(p.astype("float64")), 0)
        np.testing.assert_array_equal(to_numpy(found), expected)
    certain = solve.smallest_integer(tails, ops.ones((1, 3)), ops.ones((1, 3)))
    assert np.all(to_numpy(certain) == np.inf)


def test_implicit_gradient():
    """The root of x^3 = y has derivative 1 / (3 x^2)."""
    y = np.array([0.125, 8.0], "float32")

    def root(y):
        x = ops.stop_gradient(ops.power(y, 1 / 3))
        return solve.with_implicit_gradient(x, x**3 - y, 3 * x**2)

    value, (slope,) = compiled_gradient(root)(ops.convert_to_tensor(y))
    np.testing.assert_allclose(to_numpy(value), np.cbrt(y), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(slope), 1 / (3 * np.cbrt(y) ** 2), rtol=1e-5)
