"""Functions known through inducing points, against matrix inverses in NumPy."""

import numpy as np
import pytest
from helpers import float64_scope, gradient, to_numpy
from keras import ops
from scipy import stats

from timedist.distributions import VariationalGaussianProcess, kernels
from timedist.distributions.inducing import InducingVariables

RNG = np.random.default_rng(0)
OUTPUTS, POINTS, NUMBER, FEATURES = 2, 4, 6, 3
Z = RNG.normal(size=(OUTPUTS, POINTS, FEATURES))
LOC = RNG.normal(size=(OUTPUTS, POINTS))
SCALE = np.tril(RNG.normal(size=(OUTPUTS, POINTS, POINTS)))
X = RNG.normal(size=(5, NUMBER, FEATURES))
AMPLITUDE, LENGTH, JITTER = np.array([1.3, 0.8]), 1.7, 1e-3


def covariance(x, y, amplitude):
    """The kernel matrix."""
    squared = ((x[:, None] - y[None]) ** 2).sum(-1)
    return amplitude**2 * np.exp(-0.5 * squared / LENGTH**2)


def expected(x, output):
    """Mean, covariance and divergence by the formulas of the papers."""
    z, amplitude, prior_noise = Z[output], AMPLITUDE[output], JITTER * np.eye(POINTS)
    prior = covariance(z, z, amplitude)
    weights = covariance(x, z, amplitude) @ np.linalg.inv(prior + prior_noise)
    own = SCALE[output] @ SCALE[output].T
    matrix = covariance(x, x, amplitude) - weights @ (prior - own) @ weights.T
    inverse = np.linalg.inv(prior + prior_noise)
    log_dets = np.linalg.slogdet(prior + prior_noise)[1] - np.linalg.slogdet(own)[1]
    distance = LOC[output] @ inverse @ LOC[output]
    divergence = 0.5 * (np.trace(inverse @ own) + distance - POINTS + log_dets)
    return weights @ LOC[output], matrix, divergence


def posterior(scale=SCALE, dtype="float64"):
    """That of the inducing variables above."""
    kernel = kernels.ExponentiatedQuadratic(AMPLITUDE.astype(dtype), np.array(LENGTH, dtype))
    given = (ops.convert_to_tensor(np.asarray(value, dtype)) for value in (Z, LOC, scale))
    return InducingVariables(kernel, *given, JITTER).posterior()


def test_means_and_covariances():
    with float64_scope():
        mean, matrix = map(to_numpy, posterior().joint(ops.convert_to_tensor(X)))
    assert mean.dtype == matrix.dtype == "float64"
    assert (mean.shape, matrix.shape) == ((5, NUMBER, OUTPUTS), (5, OUTPUTS, NUMBER, NUMBER))
    for b in range(5):
        for output in range(OUTPUTS):
            loc, own, _ = expected(X[b], output)
            np.testing.assert_allclose(mean[b, :, output], loc, rtol=1e-9, atol=1e-10)
            np.testing.assert_allclose(matrix[b, output], own, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_variances_are_the_diagonals(dtype, tolerance):
    with float64_scope():
        x = ops.convert_to_tensor(X.astype(dtype))
        mean, variance = map(to_numpy, posterior(dtype=dtype).marginals(x))
        loc, matrix = map(to_numpy, posterior(dtype=dtype).joint(x))
    diagonals = np.moveaxis(np.diagonal(matrix, axis1=-2, axis2=-1), -1, -2)
    np.testing.assert_allclose(mean, loc, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(variance, diagonals, rtol=tolerance, atol=tolerance)


def test_the_divergence_is_summed_over_outputs():
    with float64_scope():
        found = to_numpy(posterior().divergence())
    total = sum(expected(X[0], output)[2] for output in range(OUTPUTS))
    np.testing.assert_allclose(found, total, rtol=1e-9)


def test_what_stands_above_the_diagonal_counts_for_nothing():
    def all_of(scale):
        found = posterior(scale)
        loc, variance = found.marginals(ops.convert_to_tensor(X))
        return ops.sum(loc) + ops.sum(variance) + found.divergence()

    with float64_scope():
        full = SCALE + np.triu(np.ones((POINTS, POINTS)), 1)
        np.testing.assert_allclose(to_numpy(all_of(full)), to_numpy(all_of(SCALE)), rtol=1e-12)

        def through(scale):
            kernel = kernels.ExponentiatedQuadratic(AMPLITUDE, np.array(LENGTH))
            z, loc = map(ops.convert_to_tensor, (Z, LOC))
            found = InducingVariables(kernel, z, loc, scale, JITTER).posterior()
            return ops.sum(found.marginals(ops.convert_to_tensor(X))[1]) + found.divergence()

        slope = gradient(through, full)[0]
    assert (np.triu(slope, 1) == 0.0).all()
    assert (np.tril(slope)[np.tril(np.ones_like(slope)) > 0] != 0.0).all()


def test_variances_do_not_fall_below_zero():
    # Known exactly at the inducing points: what is left is rounding.
    kernel = kernels.ExponentiatedQuadratic(1000.0)
    z = np.linspace(0.0, 5.0, 6, dtype="float32").reshape(1, 6, 1)
    given = (z, np.zeros((1, 6), "float32"), 1e-6 * np.eye(6, dtype="float32")[None])
    known = InducingVariables(kernel, *map(ops.convert_to_tensor, given), 1e-6).posterior()
    assert (to_numpy(known.marginals(ops.convert_to_tensor(z[0]))[1]) >= 0.0).all()


def exact(x, y, noise):
    """Log marginal likelihood of the exact process."""
    matrix = covariance(x, x, AMPLITUDE[0]) + noise * np.eye(len(x))
    return stats.multivariate_normal(np.zeros(len(x)), matrix).logpdf(y)


def bound(z, x, y, noise, jitter=1e-12):
    """The bound at the optimal distribution of the inducing variables."""
    kernel = kernels.ExponentiatedQuadratic(np.array(AMPLITUDE[0]), np.array(LENGTH))
    loc, scale = VariationalGaussianProcess.optimal_variational_posterior(
        kernel, z, x, y, np.array(noise), jitter
    )
    points = ops.convert_to_tensor(z)[None]
    found = InducingVariables(kernel, points, loc[None], scale[None], jitter).posterior()
    mean, matrix = found.joint(ops.convert_to_tensor(x))
    process = VariationalGaussianProcess(
        mean, matrix + noise * ops.convert_to_tensor(np.eye(len(x))), noise, found.divergence()
    )
    return -to_numpy(process.variational_loss(y[:, None])), to_numpy(scale)


def test_the_bound_is_the_marginal_likelihood_if_the_inducing_points_are_the_data():
    x, y, noise = X.reshape(-1, FEATURES), RNG.normal(size=5 * NUMBER), 0.3
    with float64_scope():
        found, scale = bound(x, x, y, noise)
    np.testing.assert_allclose(found, exact(x, y, noise), rtol=1e-6)
    np.testing.assert_array_equal(np.triu(scale, 1), 0.0)
    assert (np.diagonal(scale) > 0.0).all()


def test_the_bound_of_fewer_points_is_that_of_titsias():
    x, y, noise = X.reshape(-1, FEATURES), RNG.normal(size=5 * NUMBER), 0.3
    z = x[::3]
    weights = covariance(x, z, AMPLITUDE[0]) @ np.linalg.inv(covariance(z, z, AMPLITUDE[0]))
    low_rank = weights @ covariance(z, x, AMPLITUDE[0])
    rest = np.trace(covariance(x, x, AMPLITUDE[0]) - low_rank)
    density = stats.multivariate_normal(np.zeros(len(x)), low_rank + noise * np.eye(len(x)))
    with float64_scope():
        found, _ = bound(z, x, y, noise)
    np.testing.assert_allclose(found, density.logpdf(y) - rest / (2 * noise), rtol=1e-6)
    assert found < exact(x, y, noise)


def test_the_optimum_is_a_maximum():
    x, y, noise = X.reshape(-1, FEATURES), RNG.normal(size=5 * NUMBER), 0.3
    z = x[::3]
    with float64_scope():
        kernel = kernels.ExponentiatedQuadratic(np.array(AMPLITUDE[0]), np.array(LENGTH))
        best = VariationalGaussianProcess.optimal_variational_posterior(
            kernel, z, x, y, np.array(noise)
        )

        def loss(loc, scale):
            points = ops.convert_to_tensor(z)[None]
            found = InducingVariables(kernel, points, loc[None], scale[None], 1e-6).posterior()
            mean, variance = found.marginals(ops.convert_to_tensor(x))
            squared = ops.square(ops.convert_to_tensor(y)[:, None] - mean) + variance
            return 0.5 * ops.sum(squared) / noise + found.divergence()

        slopes = gradient(loss, *map(to_numpy, best))
    assert max(np.abs(slope).max() for slope in slopes) < 1e-4


def test_inducing_points_that_coincide_need_jitter():
    z = np.zeros((1, 3, 1), "float32")
    given = map(ops.convert_to_tensor, (z, z[..., 0], np.eye(3, dtype="float32")[None]))
    with pytest.raises(ValueError, match=r"kernel matrix of the inducing points.*`jitter`"):
        InducingVariables(kernels.ExponentiatedQuadratic(100.0), *given, 1e-9).posterior()
