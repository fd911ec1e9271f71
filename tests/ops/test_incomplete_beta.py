"""The incomplete beta function against SciPy, both tails, with derivatives in every argument."""

import numpy as np
import pytest
from helpers import (
    DTYPES,
    assert_close,
    compiled_gradient,
    dtype_scope,
    fast,
    float64_scope,
    to_numpy,
)
from keras import ops
from scipy import special

from timedist.ops.incomplete_beta import log_betainc

# Small, equal, lopsided and large shapes; from one tail to the other in each.
A = np.array([0.02, 0.5, 1.0, 1.0, 2.5, 30.0, 0.5, 400.0, 5000.0, 3.0])[:, None]
B = np.array([0.5, 0.5, 1.0, 4.0, 1.0, 50.0, 300.0, 0.5, 5000.0, 1e4])[:, None]
P = np.array([1e-6, 0.01, 0.3, 0.5, 0.8, 0.999])


def points():
    x = special.betaincinv(A, B, P)
    y = special.betaincinv(B, A, 1.0 - P)
    a, b = np.broadcast_to(A, x.shape), np.broadcast_to(B, x.shape)
    return [np.ascontiguousarray(v) for v in (a, b, x, y)]


def from_smaller(a, b, x, y):
    """Complements as the callers give them: one argument exact, the other derived."""
    return log_betainc(a, b, ops.where(x < y, x, 1.0 - y), ops.where(x < y, 1.0 - x, y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_tails_against_scipy(dtype):
    a, b, x, y = (v.astype(dtype) for v in points())
    with dtype_scope(dtype):
        lower, upper = (
            to_numpy(v) for v in fast(from_smaller)(*map(ops.convert_to_tensor, (a, b, x, y)))
        )
    a, b, x, y = (v.astype("float64") for v in (a, b, x, y))
    below = x < y
    exact_lower = np.where(below, special.betainc(a, b, x), special.betaincc(b, a, y))
    exact_upper = np.where(below, special.betaincc(a, b, x), special.betainc(b, a, y))
    tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
    assert lower.dtype == dtype
    assert_close(np.exp(lower), exact_lower, tolerance)
    assert_close(np.exp(upper), exact_upper, tolerance)


def test_derivatives_against_finite_differences():
    """Of the library's function, whose values SciPy has checked, in float64."""
    a, b, x, _ = points()
    a, b, x = (v[1:9, :5] for v in (a, b, x))

    def lower(a, b, x):
        return log_betainc(a, b, x, 1.0 - x)[0]

    with float64_scope():
        arguments = [a, b, x]
        gradients = [
            to_numpy(g) for g in compiled_gradient(lower)(*map(ops.convert_to_tensor, arguments))[1]
        ]
        forward = fast(lower)
        for i, name in enumerate("abx"):
            size = np.minimum(x, 1 - x) if name == "x" else arguments[i]
            step = 1e-5 * size
            sides = []
            for sign in (1, -1):
                moved = [*arguments[:i], arguments[i] + sign * step, *arguments[i + 1 :]]
                sides.append(to_numpy(forward(*map(ops.convert_to_tensor, moved))))
            exact = (sides[0] - sides[1]) / (2 * step)
            rounding = 1e-5 * np.abs(sides[0]) / size
            assert_close(gradients[i], exact, 1e-6, floor=rounding, err_msg=name)


def test_the_derivative_where_the_fraction_ends_by_itself():
    """I_x(1, b) = 1 - (1 - x)^b: the fraction ends after one term, its derivatives do not."""
    b, x = np.array([3.0, 0.7, 12.0]), np.array([0.1, 0.3, 0.05])

    def upper(a, b, x):
        return log_betainc(a, b, x, 1.0 - x)[1]

    with float64_scope():
        to_a, to_b, _ = (
            to_numpy(g)
            for g in compiled_gradient(upper)(*map(ops.convert_to_tensor, (np.ones(3), b, x)))[1]
        )
        assert_close(to_b, np.log1p(-x), 1e-9)
        step = 1e-5
        exact = (
            np.log(special.betaincc(1 + step, b, x)) - np.log(special.betaincc(1 - step, b, x))
        ) / (2 * step)
        assert_close(to_a, exact, 1e-6)


def test_ends_of_the_interval():
    a, b = np.full(2, 2.0, "float32"), np.full(2, 3.0, "float32")
    x, y = np.array([0.0, 1.0], "float32"), np.array([1.0, 0.0], "float32")

    def both(*arguments):
        return ops.stack(log_betainc(*arguments))

    lower, upper = to_numpy(both(*map(ops.convert_to_tensor, (a, b, x, y))))
    np.testing.assert_array_equal(lower, [-np.inf, 0.0])
    np.testing.assert_array_equal(upper, [0.0, -np.inf])
    _, gradients = compiled_gradient(both)(*map(ops.convert_to_tensor, (a, b, x, y)))
    assert not any(np.any(np.isnan(to_numpy(g))) for g in gradients)
