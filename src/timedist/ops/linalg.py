"""Triangular systems of vectors that broadcast against a batch of matrices, and factorisations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from timedist.ops import compat, special

Tensor = Any


def transpose(x: Tensor) -> Tensor:
    """Matrices with rows and columns exchanged."""
    return ops.swapaxes(x, -1, -2)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Products of matrices, broadcast, in full precision.

    (`keras.ops.matmul` gives float32 of float64 on torch, and JAX rounds float32 on some devices.)
    """
    name = compat.backend_name()
    if name == "jax":
        import jax.numpy as jnp

        return jnp.matmul(a, b, precision="highest")
    if name == "torch":
        import torch

        return torch.matmul(a, b)
    return ops.matmul(a, b)


def product(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrices `(..., n, m)` times vectors `(..., m)`, broadcast."""
    return _by_columns(matmul, matrix, x)


def gram(matrix: Tensor) -> Tensor:
    """Matrices times their own transpose."""
    return matmul(matrix, transpose(matrix))


def diagonal(matrix: Tensor) -> Tensor:
    """The diagonals of square matrices `(..., n, n)`, shape `(..., n)`."""
    return ops.diagonal(matrix, axis1=-2, axis2=-1)


def on_diagonal(x: Tensor) -> Tensor:
    """A boolean square matrix of the size of the last axis of `x`, true on the diagonal."""
    size = ops.shape(x)[-1]  # a tensor where it is not known
    index = np.arange(size) if isinstance(size, int) else ops.arange(size)
    return ops.convert_to_tensor(index[:, None] == index[None, :])


def diagonal_matrix(x: Tensor) -> Tensor:
    """Square matrices `(..., n, n)` with the vectors `(..., n)` on their diagonals."""
    return special.where(on_diagonal(x), x[..., None], 0.0)


def with_diagonal(matrix: Tensor, x: Tensor) -> Tensor:
    """Square matrices with their diagonals replaced by vectors."""
    return ops.where(on_diagonal(x), x[..., None] + ops.zeros_like(matrix), matrix)


def plus_diagonal(matrix: Tensor, x: Any) -> Tensor:
    """Square matrices with a number, or one for each matrix, added to their diagonals."""
    return with_diagonal(matrix, diagonal(matrix) + (x[..., None] if hasattr(x, "dtype") else x))


def semidefinite_cholesky(matrix: Tensor) -> Tensor:
    """Lower triangular factors of symmetric matrices that may be singular, rounding included.

    Eigenvalues below zero, which only rounding makes, count as zero. The gradient is not defined
    where eigenvalues are equal.
    """
    size = ops.sqrt(special.where(diagonal(matrix) > 0.0, diagonal(matrix), 1.0))
    values, vectors = ops.eigh(matrix / (size[..., :, None] * size[..., None, :]))
    rows = ops.sqrt(ops.relu(values))[..., :, None] * transpose(vectors) * size[..., None, :]
    upper = ops.qr(rows)[1]
    signs = special.where(diagonal(upper) < 0.0, -ops.ones_like(size), 1.0)
    return transpose(upper * signs[..., :, None])


def cholesky(matrix: Tensor, what: str) -> Tensor:
    """The lower triangular factors of positive definite matrices.

    Args:
        matrix: tensor `(..., n, n)`.
        what: how the message calls it.

    Raises:
        ValueError: if a matrix is not positive definite and its numbers can be looked at.
    """
    try:
        return ops.cholesky(matrix)
    except Exception as error:  # each backend has its own class for it
        raise ValueError(
            f"{what}, of shape {tuple(matrix.shape)} and dtype {compat.dtype_of(matrix)}, has no "
            "Cholesky factor: it is not positive definite within the rounding of its dtype. Give a "
            "larger `jitter`, or compute in float64."
        ) from error


def solve_triangular(matrix: Tensor, x: Tensor, lower: bool = True) -> Tensor:
    """The vectors y with `matrix y = x`.

    Args:
        matrix: triangular matrices, shape `batch + (n, n)`.
        x: vectors, shape `(..., n)` that broadcasts against `batch + (n,)`.
        lower: whether the matrices are lower or upper triangular.

    Returns:
        Tensor of the broadcast shape `(..., n)`.
    """
    if len(x.shape) < len(matrix.shape) - 1:
        x = compat.broadcast_arrays(x, matrix[..., 0])[0]
    return _by_columns(lambda a, b: _solve_triangular(a, b, lower), matrix, x)


def _solve_triangular(matrix: Tensor, columns: Tensor, lower: bool) -> Tensor:
    """The solution; `keras.ops` refuses a system of which TensorFlow knows one size alone."""
    if compat.backend_name() != "tensorflow":
        return ops.solve_triangular(matrix, columns, lower=lower)
    import tensorflow as tf

    return tf.linalg.triangular_solve(matrix, columns, lower=lower)


def _by_columns(function: Callable, matrix: Tensor, x: Tensor) -> Tensor:
    """`function(matrix, columns)` of vectors; those that share a matrix are columns side by side.

    So a block of samples does not repeat the matrices.
    """
    shape = ops.shape(x)
    extra = len(shape) + 1 - len(matrix.shape)
    if extra <= 0:
        return function(matrix, x[..., None])[..., 0]
    columns = ops.moveaxis(ops.reshape(x, (-1, *shape[extra:])), 0, -1)
    y = ops.moveaxis(function(matrix, columns), -1, 0)
    return ops.reshape(y, (*shape[:extra], *ops.shape(y)[1:]))


def log1p_squared_norm(x: Tensor) -> Tensor:
    """log(1 + |x|^2) of the vectors along the last axis, without overflow."""
    size = ops.stop_gradient(ops.max(ops.abs(x), axis=-1))
    size = special.where((size > 1.0) & (size < math.inf), size, 1.0)
    total = ops.sum(ops.square(x / size[..., None]), axis=-1)
    return 2.0 * ops.log(size) + ops.log1p(total + (ops.square(1.0 / size) - 1.0))


def cholesky_solve(root: Tensor, columns: Tensor) -> Tensor:
    """The matrices X with `root root^T X = columns`, from lower triangular factors.

    Args:
        root: tensor `batch + (n, n)`.
        columns: tensor `batch + (n, m)`.

    Returns:
        Tensor `batch + (n, m)`.
    """
    half = solve_lower(root, columns)
    return _solve_triangular(transpose(root), half, False)


def solve_lower(matrix: Tensor, columns: Tensor) -> Tensor:
    """The matrices X with `matrix X = columns`, for lower triangular ones, both of one batch."""
    return _solve_triangular(matrix, columns, True)
