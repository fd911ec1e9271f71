"""Bessel functions of circular distributions against extended precision."""

import mpmath
import numpy as np
import pytest
from helpers import DTYPES, assert_close, dtype_scope, gradient, to_numpy
from scipy import special as reference

from timedist.ops import bessel, special

X = np.array([1e-6, 0.01, 0.5, 3.0, 19.9, 20.1, 49.9, 50.1, 300.0, 1e6])


@pytest.mark.parametrize("dtype", DTYPES)
def test_backends_own_against_scipy(dtype):
    with dtype_scope(dtype):
        x = X.astype(dtype)
        tensor = special.ops.convert_to_tensor(x)
        results = to_numpy(bessel.i0e(tensor)), to_numpy(bessel.i1e(tensor))
    tolerance = {"float32": 2e-6, "float64": 1e-13}[dtype]
    for result, exact in zip(results, (reference.i0e, reference.i1e), strict=True):
        assert_close(result, exact(x.astype("float64")), tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_slopes_without_cancellation(dtype):
    """One minus the ratio is minus the slope of the logarithm, on both sides of the switch."""
    x = X.astype(dtype)
    with mpmath.workdps(40):
        exact = [
            (mpmath.besseli(0, k), mpmath.besseli(1, k), k) for k in map(mpmath.mpf, x.tolist())
        ]
        log_i0e = np.array([float(mpmath.log(a) - k) for a, _, k in exact])
        gap = np.array([float(1 - b / a) for a, b, _ in exact])
    with dtype_scope(dtype):
        tensor = special.ops.convert_to_tensor(x)
        results = to_numpy(bessel.log_i0e(tensor)), to_numpy(bessel.one_minus_i1_over_i0(tensor))
        slope = gradient(bessel.log_i0e, x)[0]
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    assert_close(results[0], log_i0e, tolerance, 0.1)
    assert_close(results[1], gap, tolerance)
    assert_close(-slope, gap, tolerance)
