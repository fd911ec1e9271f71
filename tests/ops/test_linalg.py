"""Triangular systems against NumPy."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, float64_scope, gradient, to_numpy
from keras import ops

from timedist.ops import compat, linalg

RNG = np.random.default_rng(0)
LOWER = np.tril(RNG.normal(size=(4, 3, 3)), -1) + 2.0 * np.eye(3)


@pytest.mark.parametrize(
    "shape", [(3,), (1, 3), (4, 3), (5, 1, 3), (2, 5, 4, 3), (0, 4, 3)], ids=str
)
@pytest.mark.parametrize("lower", [True, False])
def test_solutions_of_vectors_that_broadcast(shape, lower):
    matrix = LOWER if lower else LOWER.swapaxes(-1, -2)
    x = RNG.normal(size=shape)
    with float64_scope():
        y = to_numpy(linalg.solve_triangular(*map(ops.convert_to_tensor, (matrix, x)), lower))
        back = to_numpy(linalg.product(*map(ops.convert_to_tensor, (matrix, y))))
    assert y.shape == np.broadcast_shapes(shape, (4, 3))
    assert y.dtype == back.dtype == "float64"
    expected = np.linalg.solve(matrix, np.broadcast_to(x, y.shape)[..., None])[..., 0]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(back, np.broadcast_to(x, y.shape), rtol=1e-12, atol=1e-12)


def test_one_matrix_for_many_vectors():
    x = RNG.normal(size=(5, 4, 3)).astype("float32")
    matrix = LOWER[:1].astype("float32")
    y = to_numpy(linalg.solve_triangular(*map(ops.convert_to_tensor, (matrix, x))))
    np.testing.assert_allclose(np.einsum("ij,...j->...i", matrix[0], y), x, rtol=1e-4, atol=1e-5)


def test_diagonals():
    x = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    matrix = linalg.diagonal_matrix(ops.convert_to_tensor(x))
    np.testing.assert_array_equal(to_numpy(matrix), x[..., None] * np.eye(2))
    np.testing.assert_array_equal(to_numpy(linalg.diagonal(matrix)), x)


def test_more_on_the_diagonal():
    with float64_scope():
        matrix, each = ops.convert_to_tensor(LOWER), ops.convert_to_tensor(np.arange(4.0))
        one, many = (to_numpy(linalg.plus_diagonal(matrix, x)) for x in (0.25, each))
    assert one.dtype == many.dtype == "float64"
    np.testing.assert_array_equal(one, LOWER + 0.25 * np.eye(3))
    np.testing.assert_array_equal(many, LOWER + np.arange(4.0)[:, None, None] * np.eye(3))


def test_diagonals_of_matrices_of_unknown_size():
    def both(matrix, x):
        return linalg.plus_diagonal(matrix, 1.0), linalg.diagonal_matrix(x)

    specs = compat.infer_spec(both, keras.KerasTensor((2, None, None)), keras.KerasTensor((None,)))
    assert [len(spec.shape) for spec in specs] == [3, 2]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        signature = [
            tf.TensorSpec((None, None, None), "float64"),
            tf.TensorSpec((None,), "float64"),
        ]
        known, x = tf.TensorSpec((None, 3), "float64"), np.arange(12.0).reshape(4, 3)
        run = tf.function(both, input_signature=signature)
        plus, matrix = run(LOWER, np.arange(3.0))
        np.testing.assert_array_equal(to_numpy(plus), LOWER + np.eye(3))
        np.testing.assert_array_equal(to_numpy(matrix), np.diag(np.arange(3.0)))
        solve = tf.function(linalg.solve_triangular, input_signature=[signature[0], known])
        np.testing.assert_allclose(LOWER @ to_numpy(solve(LOWER, x))[..., None], x[..., None])


def test_factors():
    with float64_scope():
        root = to_numpy(linalg.cholesky(ops.convert_to_tensor(LOWER @ LOWER.swapaxes(1, 2)), "It"))
    np.testing.assert_allclose(root, LOWER, rtol=1e-12, atol=1e-12)
    wrong = ops.convert_to_tensor(np.array([[1.0, 2.0], [2.0, 1.0]], "float32"))
    with pytest.raises(ValueError, match=r"It, of shape \(2, 2\) and dtype float32, .*`jitter`"):
        linalg.cholesky(wrong, "It")


def test_solutions_of_matrices():
    right = RNG.normal(size=(4, 3, 2))
    with float64_scope():
        root, columns = map(ops.convert_to_tensor, (LOWER, right))
        half, whole = linalg.solve_lower(root, columns), linalg.cholesky_solve(root, columns)
    np.testing.assert_allclose(LOWER @ to_numpy(half), right, rtol=1e-12, atol=1e-12)
    product = LOWER @ LOWER.swapaxes(-1, -2) @ to_numpy(whole)
    np.testing.assert_allclose(product, right, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("size", [0.0, 1e-4, 0.5, 1.0, 3.0, 1e10, 1e30])
def test_log_of_one_plus_the_squared_norm(size):
    direction = np.array([0.6, -0.8], "float32")
    x = (size * direction).astype("float32")
    value = to_numpy(linalg.log1p_squared_norm(ops.convert_to_tensor(x)))
    exact = x.astype("float64")
    np.testing.assert_allclose(value, np.log1p(exact @ exact), rtol=1e-6)
    slope = gradient(linalg.log1p_squared_norm, x)[0]
    np.testing.assert_allclose(slope, 2 * exact / (1 + exact @ exact), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_of_singular_matrices(dtype):
    """Ranks 1 to 4, sizes far apart, and a diagonal with zeros.

    Eigenvalues and triangular factors are each exact for a matrix that differs by n eps norm, and
    the norm of what is decomposed is at most n = 5.
    """
    rows = RNG.normal(size=(4, 5, 5)) * (np.arange(5) < np.arange(1, 5)[:, None, None])
    rows = rows * np.array([1e-4, 1.0, 1e3, 1.0, 1e-2])[:, None]
    matrices = np.concatenate(
        [rows @ rows.swapaxes(1, 2), np.diag([0.0, 2.0, 0.0, 1.0, 0.0])[None]]
    )
    with float64_scope():
        given = ops.convert_to_tensor(matrices.astype(dtype))
        roots = to_numpy(linalg.semidefinite_cholesky(given))
    assert roots.dtype == dtype
    np.testing.assert_array_equal(roots, np.tril(roots))
    assert (np.diagonal(roots, axis1=1, axis2=2) >= 0.0).all()
    size = np.sqrt(np.maximum(np.diagonal(matrices, axis1=1, axis2=2), 1e-30))
    error = (roots @ roots.swapaxes(1, 2) - matrices) / size[:, :, None] / size[:, None]
    assert np.abs(error).max() < 2 * 5**2 * np.finfo(dtype).eps
