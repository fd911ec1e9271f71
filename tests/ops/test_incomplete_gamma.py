"""The incomplete gamma functions against SciPy, both tails, with derivatives in both arguments."""

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

from timedist.ops.incomplete_gamma import log_gammainc

A = np.array([0.01, 0.5, 1.0, 3.0, 40.0, 1000.0, 2e4])[:, None]
P = np.array([1e-6, 0.01, 0.3, 0.5, 0.8, 0.999, 1 - 1e-7])


def points():
    x = np.maximum(special.gammaincinv(A, P), 1e-30)
    return np.ascontiguousarray(np.broadcast_to(A, x.shape)), x


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_tails_against_scipy(dtype):
    a, x = (v.astype(dtype) for v in points())
    with dtype_scope(dtype):
        lower, upper = (
            to_numpy(v) for v in fast(log_gammainc)(*map(ops.convert_to_tensor, (a, x)))
        )
    a, x = a.astype("float64"), x.astype("float64")
    tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
    assert lower.dtype == dtype
    assert_close(np.exp(lower), special.gammainc(a, x), tolerance)
    assert_close(np.exp(upper), special.gammaincc(a, x), tolerance)


def test_derivatives_against_finite_differences():
    arguments = [v[:6] for v in points()]
    with float64_scope():
        for tail in (0, 1):

            def function(a, x, tail=tail):
                return log_gammainc(a, x)[tail]

            forward = fast(function)
            _, gradients = compiled_gradient(function)(*map(ops.convert_to_tensor, arguments))
            for i, name in enumerate("ax"):
                step = 1e-5 * arguments[i]
                sides = []
                for sign in (1, -1):
                    moved = list(arguments)
                    moved[i] = arguments[i] + sign * step
                    sides.append(to_numpy(forward(*map(ops.convert_to_tensor, moved))))
                exact = (sides[0] - sides[1]) / (2 * step)
                rounding = (1e-5 + np.abs(sides[0])) * 1e-5 / step * 1e-5
                assert_close(
                    to_numpy(gradients[i]), exact, 2e-6, floor=rounding, err_msg=f"{tail} to {name}"
                )


def test_the_derivative_where_the_series_has_its_value_at_once():
    """The derivative of log Q(1, x) = -x to a, where the fraction's numerator a - 1 is zero."""
    x = np.array([2.5, 4.0, 9.0])

    def upper(a, x):
        return log_gammainc(a, x)[1]

    with float64_scope():
        to_a, to_x = (
            to_numpy(g)
            for g in compiled_gradient(upper)(*map(ops.convert_to_tensor, (np.ones(3), x)))[1]
        )
    step = 1e-5
    exact = (np.log(special.gammaincc(1 + step, x)) - np.log(special.gammaincc(1 - step, x))) / (
        2 * step
    )
    assert_close(to_a, exact, 1e-7)
    assert_close(to_x, -np.ones(3), 1e-12)


def test_ends_of_the_half_line():
    a, x = np.full(2, 2.0, "float32"), np.array([0.0, np.inf], "float32")

    def both(*arguments):
        return ops.stack(log_gammainc(*arguments))

    lower, upper = to_numpy(both(*map(ops.convert_to_tensor, (a, x))))
    np.testing.assert_array_equal(lower, [-np.inf, 0.0])
    np.testing.assert_array_equal(upper, [0.0, -np.inf])
    _, gradients = compiled_gradient(both)(*map(ops.convert_to_tensor, (a, x)))
    assert not any(np.any(np.isnan(to_numpy(g))) for g in gradients)
