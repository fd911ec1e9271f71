"""Kernels against their formulas in NumPy, and their derivatives."""

import numpy as np
import pytest
from helpers import DTYPES, dtype_scope, float64_scope, gradient, to_numpy
from keras import ops

from timedist.distributions import kernels

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 3))


def squared(x, y, scale):
    """Squared distances of all pairs, in length scales."""
    return ((x[:, None] - y[None]) ** 2).sum(-1) / scale**2


def matern(order):
    def formula(x, y, a, scale):
        r = np.sqrt(2 * order * squared(x, y, scale))
        polynomial = {0.5: 1.0, 1.5: 1.0 + r, 2.5: 1.0 + r + r**2 / 3}[order]
        return a**2 * polynomial * np.exp(-r)

    return formula


# For each kernel its parameters and its formula of two sets of points.
ROWS = {
    kernels.ExponentiatedQuadratic: (
        {"amplitude": 1.3, "length_scale": 0.7},
        lambda x, y, a, scale: a**2 * np.exp(-0.5 * squared(x, y, scale)),
    ),
    kernels.MaternOneHalf: ({"amplitude": 1.3, "length_scale": 0.7}, matern(0.5)),
    kernels.MaternThreeHalves: ({"amplitude": 1.3, "length_scale": 0.7}, matern(1.5)),
    kernels.MaternFiveHalves: ({"amplitude": 1.3, "length_scale": 0.7}, matern(2.5)),
    kernels.RationalQuadratic: (
        {"amplitude": 1.3, "length_scale": 0.7, "scale_mixture_rate": 2.5},
        lambda x, y, a, scale, rate: a**2 * (1 + squared(x, y, scale) / (2 * rate)) ** -rate,
    ),
    kernels.ExpSinSquared: (
        {"amplitude": 1.3, "length_scale": 0.7, "period": 2.2},
        lambda x, y, a, scale, p: (
            a**2 * np.exp(-2 * (np.sin(np.pi * (x[:, None] - y) / p) ** 2).sum(-1) / scale**2)
        ),
    ),
    kernels.Linear: (
        {"bias_amplitude": 0.4, "slope_amplitude": 1.7, "shift": -0.3},
        lambda x, y, b, s, c: b**2 + s**2 * (x - c) @ (y - c).T,
    ),
    kernels.Constant: ({"constant": 0.6}, lambda x, y, c: np.full((len(x), len(y)), c)),
}
KERNELS = pytest.mark.parametrize("kernel", ROWS, ids=lambda cls: cls.__name__)


def made(kernel, dtype="float64"):
    """The kernel of a row."""
    return kernel(**{name: np.array(value, dtype) for name, value in ROWS[kernel][0].items()})


@KERNELS
@pytest.mark.parametrize("dtype", DTYPES)
def test_matrices_are_those_of_the_formula(kernel, dtype):
    parameters, formula = ROWS[kernel]
    with dtype_scope(dtype):
        found = to_numpy(made(kernel, dtype).matrix(X.astype(dtype), Y.astype(dtype)))
    assert found.dtype == dtype
    rtol = 1e-5 if dtype == "float32" else 1e-12
    expected = formula(X, Y, *parameters.values())
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)


@KERNELS
def test_pairs_are_the_diagonal_of_the_matrix(kernel):
    with float64_scope():
        pairs = to_numpy(made(kernel).apply(X[:4], Y))
        matrix = to_numpy(made(kernel).matrix(X[:4], Y))
        one = to_numpy(made(kernel).apply(X[0], Y[0], example_ndims=0))
    np.testing.assert_allclose(pairs, np.diag(matrix), rtol=1e-12)
    np.testing.assert_allclose(one, pairs[0], rtol=1e-12)


@KERNELS
def test_matrices_are_positive_semidefinite(kernel):
    points = RNG.normal(size=(30, 2))
    with float64_scope():
        eigenvalues = np.linalg.eigvalsh(to_numpy(made(kernel).matrix(points, points)))
    assert eigenvalues.min() > -1e-12 * eigenvalues.max()


@KERNELS
def test_gradients_agree_with_finite_differences(kernel):
    names, values = zip(*ROWS[kernel][0].items(), strict=True)
    arrays = [X[:4], Y, *(np.array(value) for value in values)]

    def evaluate(x, y, *parameters):
        return kernel(**dict(zip(names, parameters, strict=True))).matrix(x, y)

    def total(arrays):
        tensors = (ops.convert_to_tensor(np.asarray(array)) for array in arrays)
        return to_numpy(evaluate(*tensors)).sum()

    with float64_scope():
        slopes = gradient(evaluate, *arrays)
        for position, slope in enumerate(slopes):
            step = 1e-6 * np.random.default_rng(position).normal(size=arrays[position].shape)
            above, below = (
                total([*arrays[:position], arrays[position] + move, *arrays[position + 1 :]])
                for move in (step, -step)
            )
            expected = (above - below) / 2.0
            np.testing.assert_allclose((slope * step).sum(), expected, rtol=1e-6, atol=1e-13)


@KERNELS
def test_gradients_are_finite_at_equal_points(kernel):
    points = np.repeat(RNG.normal(size=(2, 3)), 2, axis=0).astype("float32")
    names, values = zip(*ROWS[kernel][0].items(), strict=True)

    def evaluate(x, *parameters):
        return kernel(**dict(zip(names, parameters, strict=True))).matrix(x, x)

    slopes = gradient(evaluate, points, *(np.array(value, "float32") for value in values))
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_near_points_far_from_the_origin_keep_their_distance():
    x = np.array([[1e4], [1e4 + 0.125]], "float32")
    found = to_numpy(kernels.MaternOneHalf().matrix(x, x))
    np.testing.assert_allclose(found[0, 1], np.exp(-0.125), rtol=1e-6)


def test_features_have_scales_of_their_own():
    scales = np.array([0.5, 2.0, 10.0])
    with float64_scope():
        kernel = kernels.FeatureScaled(made(kernels.MaternFiveHalves), scales)
        found = to_numpy(kernel.matrix(X, Y))
        expected = to_numpy(made(kernels.MaternFiveHalves).matrix(X / scales, Y / scales))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_names():
    assert list(kernels.named()) == [
        "exponentiated_quadratic",
        "matern_one_half",
        "matern_three_halves",
        "matern_five_halves",
        "rational_quadratic",
        "exp_sin_squared",
        "linear",
        "constant",
    ]
    assert set(kernels.named().values()) == set(ROWS)


@KERNELS
def test_parameters_out_of_range_are_refused(kernel):
    name = next(iter(ROWS[kernel][0]))
    with pytest.raises(ValueError, match=rf"{kernel.__name__}: parameter '{name}' must be"):
        kernel(**{name: -1.0})
