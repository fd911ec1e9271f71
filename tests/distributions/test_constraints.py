"""Raw-to-valid maps and their inverses."""

import numpy as np
import pytest
from helpers import DTYPES, dtype_scope, gradient, to_numpy
from keras import ops

from timedist.distributions import constraints

ALL = {
    "real": constraints.real,
    "positive": constraints.positive,
    "softplus": constraints.softplus,
    "softplus and 1e-3": constraints.shifted_softplus(1e-3),
    "greater than 1": constraints.greater_than(1.0),
    "greater than 2, from 5": constraints.greater_than(2.0, start=5.0),
    "real, from -2": constraints.real_from(-2.0),
    "between 0 and 1/2, from 0.1": constraints.between(0.0, 0.5, start=0.1),
    "increasing": constraints.increasing(),
    "unit interval": constraints.unit_interval,
    "simplex": constraints.simplex,
    "non-negative": constraints.non_negative,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_every_raw_value_maps_to_a_valid_one(name, dtype):
    with dtype_scope(dtype):
        raw = ops.convert_to_tensor(np.array([-1e6, -100.0, -1.0, 0.0, 1.0, 100.0, 1e6], dtype))
        valid = ALL[name].to_valid(raw)
        assert to_numpy(valid).dtype == dtype
        assert np.all(to_numpy(ALL[name].holds(valid)))


@pytest.mark.parametrize("name", ALL)
def test_to_raw_inverts_to_valid(name):
    raw = np.array([-3.0, -0.5, 0.0, 2.0], "float32")
    constraint = ALL[name]
    valid = constraint.to_valid(ops.convert_to_tensor(raw))
    again = to_numpy(constraint.to_raw(valid))
    if name == "simplex":  # known up to a constant
        again = again - again[0] + raw[0]
    np.testing.assert_allclose(again, raw, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("constraint", "start"),
    [
        (constraints.positive, 1.0),
        (constraints.softplus, np.log(2.0)),
        (constraints.shifted_softplus(0.5), 0.5 + np.log(2.0)),
        (constraints.greater_than(2.0), 3.0),
        (constraints.greater_than(2.0, start=5.0), 5.0),
        (constraints.real_from(-2.0), -2.0),
        (constraints.between(2.0, 6.0), 4.0),
        (constraints.between(0.0, 0.5, start=0.1), 0.1),
        (constraints.increasing(), [0.0, 1.0, 2.0]),
        (constraints.increasing([-1.0, -0.5, 3.0]), [-1.0, -0.5, 3.0]),
    ],
)
def test_starts(constraint, start):
    found = to_numpy(constraint.to_valid(ops.zeros(np.shape(start) or (1,))))
    np.testing.assert_allclose(found, np.atleast_1d(start), rtol=2e-5)


def test_slope():
    slope = gradient(constraints.positive.to_valid, np.zeros(1, "float32"))[0]
    np.testing.assert_allclose(slope, 1.0 - np.exp(-1.0), rtol=1e-6)


@pytest.mark.parametrize("wrong", [[1.0, 1.0, 2.0], [0.0, 2.0, 1.0], [0.0, np.nan, 1.0]])
def test_what_does_not_increase(wrong):
    assert not to_numpy(constraints.ordered.holds(ops.convert_to_tensor(wrong))).all()


@pytest.mark.parametrize("name", ALL)
def test_nan_is_never_valid(name):
    assert not np.any(
        to_numpy(ALL[name].holds(ops.convert_to_tensor(np.array([np.nan], "float32"))))
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky_factors_from_packed_entries(dtype):
    raw = np.array([[0.0, 5.0, 1.0, -7.0, 8.0, -2.0], [-1e6, 1e6, 1e6, 0.0, 1.0, -1e3]], dtype)
    constraint = constraints.lower_cholesky
    with dtype_scope(dtype):
        valid = constraint.to_valid(ops.convert_to_tensor(raw))
        assert to_numpy(valid).dtype == dtype
        assert np.all(to_numpy(constraint.holds(valid)))
        again = to_numpy(constraint.to_raw(valid))
        matrix = to_numpy(valid)
        expected = constraints.positive.to_valid(
            ops.convert_to_tensor(np.array([-7.0, 8.0, 0.0], dtype))
        )
    np.testing.assert_array_equal(matrix[0][np.tril_indices(3, -1)], [-2.0, 1.0, 5.0])
    np.testing.assert_array_equal(np.triu(matrix, 1), 0.0)
    np.testing.assert_allclose(np.diag(matrix[0]), to_numpy(expected), rtol=1e-6)
    np.testing.assert_allclose(again[0], raw[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_triangles_of_every_size_have_their_inverse(size):
    raw = np.random.default_rng(size).normal(size=(2, size * (size + 1) // 2)).astype("float32")
    constraint = constraints.cholesky_factor(constraints.softplus)
    assert constraint.raw_shape((size, size)) == raw.shape[1:]
    matrix = constraint.to_valid(ops.convert_to_tensor(raw))
    assert to_numpy(constraint.holds(matrix)).all()
    np.testing.assert_allclose(to_numpy(constraint.to_raw(matrix)), raw, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_floor_moves_nothing_above_a_thousand_floors(dtype):
    raw = np.array([-7.6, -5.0, -3.0, 0.0, 4.0, 40.0], dtype)
    with dtype_scope(dtype):
        found = to_numpy(constraints.softplus.to_valid(ops.convert_to_tensor(raw)))
    np.testing.assert_allclose(found, np.log1p(np.exp(raw.astype("float64"))), rtol=1e-6)


def test_the_floor_keeps_the_order_and_the_slope():
    least = constraints.floor(ops.zeros((), "float32"))
    raw = np.linspace(-18.0, -11.0, 400).astype("float32")  # at -14.6 the distance is the floor
    found = to_numpy(constraints.softplus.to_valid(ops.convert_to_tensor(raw)))
    assert (found >= least).all() and (np.diff(found) >= 0.0).all() and (np.diff(found) > 0).any()
    slope = gradient(constraints.softplus.to_valid, raw)[0]
    assert (slope > 0.0).all()
    np.testing.assert_allclose(slope, np.gradient(found, raw), rtol=0.1, atol=2e-8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_floor_has_its_inverse(dtype):
    least = 4.0 * np.finfo(dtype).eps
    value = np.array([1.5, 2.0, 5.0, 19.0, 21.0, 24.0, 1e3], dtype) * least
    with dtype_scope(dtype):
        raw = constraints.softplus.to_raw(ops.convert_to_tensor(value))
        again = to_numpy(constraints.softplus.to_valid(raw))
    np.testing.assert_allclose(again, value, rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_covariance_matrices_from_packed_entries(dtype):
    raw = np.array([[0.0, 0.5, 1.0, -0.7, 0.8, -0.2], [2.0, 1.0, -1.0, 0.0, 0.3, 1.5]], dtype)
    constraint = constraints.covariance
    with dtype_scope(dtype):
        valid = constraint.to_valid(ops.convert_to_tensor(raw))
        assert to_numpy(valid).dtype == dtype
        assert np.all(to_numpy(constraint.holds(valid)))
        root = to_numpy(constraints.lower_cholesky.to_valid(ops.convert_to_tensor(raw)))
        again = to_numpy(constraint.to_raw(valid))
        matrix = to_numpy(valid)
    np.testing.assert_allclose(matrix, root @ root.swapaxes(-1, -2), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again, raw, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [[[1.0, 0.2], [0.1, 1.0]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, np.inf], [np.inf, 1.0]]]
)
def test_what_is_no_covariance_matrix(wrong):
    found = constraints.covariance.holds(ops.convert_to_tensor(np.array(wrong, "float32")))
    assert not to_numpy(found).all()


def test_a_number_of_entries_that_makes_no_triangle_is_refused():
    with pytest.raises(ValueError, match=r"n \(n \+ 1\) / 2 entries, got 4"):
        constraints.lower_cholesky.to_valid(ops.zeros((2, 4)))
