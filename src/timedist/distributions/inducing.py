"""Gaussian processes that are known through their values at a few inducing points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from timedist.distributions.kernels import Kernel
from timedist.distributions.value import common_dtype
from timedist.ops import compat, linalg, special

Tensor = Any


@dataclass(frozen=True)
class InducingVariables:
    r"""Normal distributions of the values u of Gaussian processes at inducing points.

    $u_e \sim N(m_e, S_e S_e^\top)$ for every output e, against the prior $N(0, K_{zz})$; given u,
    the functions are those of the prior.

    With the Cholesky factor $K_{zz} = L L^\top$ all is written in the whitened variables
    $L^{-1} u$, and nothing is inverted.

    Args:
        kernel: the covariance function of the prior.
        index_points: z, tensor of shape `(outputs, m, features)`.
        loc: m, less the mean of the prior, shape `(outputs, m)`.
        scale: S, shape `(outputs, m, m)`; what stands above the diagonal does not count.
        jitter: number added to the diagonal of $K_{zz}$.

    Source: Titsias: Variational Learning of Inducing Variables in Sparse Gaussian Processes (2009);
    Hensman, Fusi, Lawrence: Gaussian Processes for Big Data (2013).
    """

    kernel: Kernel
    index_points: Tensor
    loc: Tensor
    scale: Tensor
    jitter: float

    def posterior(self) -> Posterior:
        """What everything else follows from, computed once."""
        prior = self.kernel.matrix(self.index_points, self.index_points)
        root = linalg.cholesky(
            linalg.plus_diagonal(prior, self.jitter), "The kernel matrix of the inducing points"
        )
        below = ops.tril(self.scale)
        columns = linalg.solve_triangular(root, ops.moveaxis(below, -1, 0))
        return Posterior(
            self, root, linalg.solve_triangular(root, self.loc), ops.moveaxis(columns, 0, -2)
        )


@dataclass(frozen=True)
class Posterior:
    """The distribution of functions that inducing variables give, in whitened variables.

    Args:
        inducing: the inducing variables.
        root: L, shape `(outputs, m, m)`.
        loc: $L^{-1} m$, shape `(outputs, m)`.
        scale: the transpose of $L^{-1} S$, shape `(outputs, m, m)`.
    """

    inducing: InducingVariables
    root: Tensor
    loc: Tensor
    scale: Tensor

    def divergence(self) -> Tensor:
        """KL divergence of the inducing variables from their prior, summed over the outputs.

        Returns:
            Scalar tensor, in nats.
        """
        own = ops.log(ops.abs(linalg.diagonal(self.inducing.scale)))
        volume = ops.log(linalg.diagonal(self.root)) - own
        squared = ops.square(self.loc) + ops.sum(ops.square(self.scale), axis=-2) - 1.0
        return ops.sum(0.5 * squared + volume)

    def marginals(self, index_points: Tensor) -> tuple[Tensor, Tensor]:
        """Means, less that of the prior, and variances of the functions at index points.

        Args:
            index_points: x, tensor of shape `(..., n, features)`.

        Returns:
            Two tensors of shape `(..., n, outputs)`.
        """
        points = index_points[..., None, :, :]
        prior = linalg.transpose(self.inducing.kernel.apply(points, points))
        mean, explained, *added = self._projections(points)
        variance = prior - ops.sum(ops.square(explained), axis=-1)
        for part in added:
            variance = variance + ops.sum(ops.square(part), axis=-1)
        return mean, special.maximum(variance, 0.0)  # not below zero by rounding

    def joint(self, index_points: Tensor) -> tuple[Tensor, Tensor]:
        """Means, less that of the prior, and covariance matrices of the functions.

        Args:
            index_points: x, tensor of shape `(..., n, features)`.

        Returns:
            Tensors of shape `(..., n, outputs)` and `(..., outputs, n, n)`.
        """
        points = index_points[..., None, :, :]
        mean, *parts = self._projections(points)
        explained, *added = (linalg.gram(ops.swapaxes(part, -3, -2)) for part in parts)
        prior = self.inducing.kernel.matrix(points, points)
        return mean, sum(added, prior - explained)

    def _projections(self, points: Tensor) -> tuple[Tensor, ...]:
        """The mean, and vectors whose products are what u takes from and adds to the covariance.

        The last of them, of the jitter, is small: u is known no better than it is factored.
        """
        cross = self.inducing.kernel.matrix(points, self.inducing.index_points)
        explained = linalg.solve_triangular(self.root, ops.swapaxes(cross, -3, -2))
        weights = linalg.solve_triangular(linalg.transpose(self.root), explained, lower=False)
        return (
            ops.sum(explained * self.loc, axis=-1),
            explained,
            linalg.product(self.scale, explained),
            weights * self.inducing.jitter**0.5,
        )


def optimal_variational_posterior(
    kernel: Kernel,
    inducing_index_points: Any,
    observation_index_points: Any,
    observations: Any,
    observation_noise_variance: Any,
    jitter: float = 1e-6,
) -> tuple[Tensor, Tensor]:
    r"""The distribution of the inducing variables that makes the bound largest, in closed form.

    $m = \sigma^{-2} K_{zz} \Sigma^{-1} K_{zx} y,\ S S^\top = K_{zz} \Sigma^{-1} K_{zz},\
    \Sigma = K_{zz} + \sigma^{-2} K_{zx} K_{xz}$

    Args:
        kernel: the covariance function of the prior, whose mean is zero.
        inducing_index_points: z, tensor of shape `batch + (m, features)`.
        observation_index_points: x of all training data, shape `batch + (n, features)`.
        observations: y, less the mean of the prior, shape `batch + (n,)`.
        observation_noise_variance: $\sigma^2$, positive number.
        jitter: number added to the diagonal of $K_{zz}$. Default 1e-6.

    Returns:
        m of shape `batch + (m,)`, and the lower triangular S of shape `batch + (m, m)`: values for
        `variational_inducing_observations_loc` and `..._scale` of the layer.

    Raises:
        ValueError: if the kernel matrix is not positive definite.

    Source: Titsias (2009), equation 10.

    >>> from timedist.distributions import kernels
    >>> x = [[0.0], [1.0], [2.0]]
    >>> kernel = kernels.ExponentiatedQuadratic()
    >>> loc, scale = optimal_variational_posterior(kernel, x[:2], x, [0.0, 1.0, 0.0], 0.1)
    >>> loc.shape[0], scale.shape[0]
    (2, 2)
    """
    given = (inducing_index_points, observation_index_points, observations)
    dtype = common_dtype([*given, *kernel.leaves()])
    z, x, y = (compat.to_tensor(value, dtype) for value in given)
    noise = ops.sqrt(compat.to_tensor(observation_noise_variance, dtype))
    prior = linalg.plus_diagonal(kernel.matrix(z, z), jitter)
    root = linalg.cholesky(prior, "The kernel matrix of the inducing points")
    whitened = ops.solve_triangular(root, kernel.matrix(z, x), lower=True) / noise
    precision = linalg.plus_diagonal(linalg.gram(whitened), 1.0)
    inner = linalg.cholesky(precision, "The precision of the inducing variables")
    seen = linalg.solve_triangular(inner, linalg.product(whitened, y / noise))
    seen = linalg.solve_triangular(linalg.transpose(inner), seen, lower=False)
    # root inner^-T is a factor of the covariance; its triangular one follows without squaring it.
    factor = ops.solve_triangular(inner, linalg.transpose(root), lower=True)
    triangle = linalg.transpose(ops.qr(factor)[1])
    signs = ops.sign(linalg.diagonal(triangle))
    return linalg.product(root, seen), triangle * signs[..., None, :]
