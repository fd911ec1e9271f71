"""Families of vectors whose components depend on each other, all with elliptical contours."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from keras import ops

from timedist.distributions import constraints, divergences, entropies
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import parameter
from timedist.distributions.power_tails import StudentT
from timedist.distributions.value import Shape
from timedist.ops import linalg, random, special

Tensor = Any

_LOG_2PI = math.log(2.0 * math.pi)


class Vectors(Distribution):
    """Parent of the families of vectors; the first vector parameter gives the number of components.

    Every other vector or matrix parameter has that number of rows, and so of columns if its name
    is `scale_tril`.
    """

    absent: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("cdf", "log_cdf", "survival", "log_survival", "quantile"),
            "the components depend on each other; take samples, or `Independent` of a scalar "
            "family for quantiles of every component",
        ),
        "crps": "vectors have an energy score, `timedist.scores.energy_score` of samples; for the "
        "CRPS of every component take `Independent` of a scalar family",
    }

    def _event_shape(self) -> Shape:
        row = next(row for row in self._parameters() if row.event_rank)
        return (self._values[row.name].shape[-1],)

    @property
    def _size(self) -> Any:
        """The number of components: an int, or a floating scalar where it is not known."""
        known = self._event_shape()[0]
        if known is not None:
            return known
        row = next(row for row in self._parameters() if row.event_rank)
        return ops.cast(ops.shape(self._values[row.name])[-1], self.dtype)

    def _check(self) -> None:
        for row in self._parameters():
            shape = tuple(self._values[row.name].shape)
            square = row.constraint is constraints.lower_cholesky
            sizes = shape[len(shape) - row.event_rank :][: 2 if square else 1]
            if any(size != self._size for size in sizes):
                raise ValueError(
                    f"{self._family}: parameter {row.name!r} of shape {shape} does not fit events "
                    f"of {self._size} components"
                )
        super()._check()


class _MultivariateNormal(Vectors):
    """Parent of the multivariate normals, from a factor of the covariance matrix.

    A family gives `_factor()`, whatever it computes once from its parameters, and functions of it.
    """

    loc: Tensor = parameter(constraints.real, event_rank=1)

    def _factor(self) -> Any:
        raise NotImplementedError

    def _squared(self, delta: Tensor, factor: Any) -> Tensor:
        """delta^T covariance^-1 delta."""
        raise NotImplementedError

    def _log_volume(self, factor: Any) -> Tensor:
        """log sqrt(det covariance)."""
        raise NotImplementedError

    def _trace(self, other: Any, factor: Any) -> Tensor:
        """trace(covariance^-1 times the covariance of `other`)."""
        raise NotImplementedError

    def _noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        """Draws of X - loc, of the given shape."""
        raise NotImplementedError

    def _log_prob(self, x: Tensor) -> Tensor:
        factor = self._factor()
        squared = self._squared(x - self.loc, factor)
        return -0.5 * (squared + self._size * _LOG_2PI) - self._log_volume(factor)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.loc + self._noise((*sample_shape, *ops.shape(self.loc)), seed)

    def _mean(self) -> Tensor:
        return self.loc

    def _mode(self) -> Tensor:
        return self.loc

    def _tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return ops.cholesky(self._hook("covariance")())

    def _marginals(self) -> Normal:
        return Normal.trusted(loc=self.loc, scale=ops.sqrt(self._hook("variance")()))

    def _widened(self) -> MultivariateNormalTriL:
        return MultivariateNormalTriL.trusted(loc=self.loc, scale_tril=self._tril())

    _entropy = entropies.multivariate_normal
    _kl = divergences.multivariate_normal


class MultivariateNormalDiag(_MultivariateNormal):
    r"""The multivariate normal distribution of independent components, as one vector.

    $p(x) = \prod_i \exp(-z_i^2/2) / (\sigma_i \sqrt{2\pi}),\ z_i = (x_i - \mu_i)/\sigma_i$

    Args:
        loc: mean, tensor of shape `batch_shape + (n,)`, in the unit of the data.
        scale_diag: standard deviations, positive, shape `batch_shape + (n,)`, same unit.

    Raises:
        ValueError: if a scale is not positive or the shapes do not fit.

    `Independent(Normal(loc, scale))` is the same distribution with quantiles and scores of every
    component.

    Source: Anderson: An Introduction to Multivariate Statistical Analysis, section 2.3.

    >>> MultivariateNormalDiag([[0.0, 1.0], [2.0, 3.0]], [1.0, 2.0])
    MultivariateNormalDiag(batch_shape=(2,), event_shape=(2,), dtype=float32)
    """

    scale_diag: Tensor = parameter(constraints.positive, event_rank=1)

    def _factor(self) -> Tensor:
        return self.scale_diag

    def _squared(self, delta: Tensor, factor: Tensor) -> Tensor:
        return ops.sum(ops.square(delta / factor), axis=-1)

    def _log_volume(self, factor: Tensor) -> Tensor:
        return ops.sum(ops.log(factor), axis=-1)

    def _trace(self, other: MultivariateNormalDiag, factor: Tensor) -> Tensor:
        return ops.sum(ops.square(other.scale_diag / factor), axis=-1)

    def _tril(self) -> Tensor:
        return linalg.diagonal_matrix(self.scale_diag)

    def _noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        return self.scale_diag * random.normal(shape, self.dtype, seed)

    def _variance(self) -> Tensor:
        return ops.square(self.scale_diag)

    def _covariance(self) -> Tensor:
        return linalg.diagonal_matrix(self._variance())

    def _conditional(self, i: int, before: Tensor) -> Normal:
        """The distribution of component `i`, given those before it."""
        del before
        return Normal.trusted(loc=self.loc[..., i], scale=self.scale_diag[..., i])


class MultivariateNormalTriL(_MultivariateNormal):
    r"""The multivariate normal distribution, from the Cholesky factor L of its covariance.

    $p(x) = (2\pi)^{-n/2} |\det L|^{-1} \exp(-z^\top z / 2),\ L z = x - \mu$

    Args:
        loc: mean, tensor of shape `batch_shape + (n,)`, in the unit of the data.
        scale_tril: L, lower triangular with a positive diagonal, shape `batch_shape + (n, n)`, same
            unit. From a covariance matrix: `keras.ops.cholesky(covariance)`.

    Raises:
        ValueError: if `scale_tril` is not lower triangular with a positive diagonal, or the shapes
            do not fit.

    Source: Anderson: An Introduction to Multivariate Statistical Analysis, section 2.3.

    >>> MultivariateNormalTriL([0.0, 1.0], [[1.0, 0.0], [0.5, 2.0]])
    MultivariateNormalTriL(batch_shape=(), event_shape=(2,), dtype=float32)
    """

    scale_tril: Tensor = parameter(constraints.lower_cholesky, event_rank=2)

    def _factor(self) -> Tensor:
        return self.scale_tril

    def _squared(self, delta: Tensor, factor: Tensor) -> Tensor:
        return ops.sum(ops.square(linalg.solve_triangular(factor, delta)), axis=-1)

    def _log_volume(self, factor: Tensor) -> Tensor:
        return ops.sum(ops.log(linalg.diagonal(factor)), axis=-1)

    def _trace(self, other: MultivariateNormalTriL, factor: Tensor) -> Tensor:
        columns = ops.moveaxis(other.scale_tril, -1, 0)
        return ops.sum(self._squared(columns, factor), axis=0)

    def _tril(self) -> Tensor:
        return self.scale_tril

    def _noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        return linalg.product(self.scale_tril, random.normal(shape, self.dtype, seed))

    def _variance(self) -> Tensor:
        return ops.sum(ops.square(self.scale_tril), axis=-1)

    def _covariance(self) -> Tensor:
        return linalg.gram(self.scale_tril)

    def _conditional(self, i: int, before: Tensor) -> Normal:
        """The distribution of component `i`, given those before it."""
        centre, _ = _given(self.loc, self.scale_tril, i, before)
        return Normal.trusted(loc=centre, scale=self.scale_tril[..., i, i])


class MultivariateNormalDiagPlusLowRankCovariance(_MultivariateNormal):
    r"""The multivariate normal distribution with few common factors: many components at low cost.

    The covariance is $\mathrm{diag}(d) + U U^\top$. A density takes $O(n r^2)$ operations.

    Args:
        loc: mean, tensor of shape `batch_shape + (n,)`, in the unit of the data.
        cov_diag_factor: d, variances of the components' own noise, positive, shape `batch_shape +
            (n,)`, in that unit squared.
        cov_perturb_factor: U, loadings on the r common factors, shape `batch_shape + (n, r)`, in
            the unit of the data.

    Raises:
        ValueError: if a variance is not positive or the shapes do not fit.

    Nothing squares the loadings: $I + U^\top D^{-1} U$ of the Woodbury identity has the Cholesky
    factor that a QR decomposition of $D^{-1/2} U$ stacked on $I$ gives, at half its loss of digits.

    Source: Petersen, Pedersen: The Matrix Cookbook (2012), section 3.2.2; Salinas et al.:
    High-Dimensional Multivariate Forecasting with Low-Rank Gaussian Copula Processes (2019).

    >>> MultivariateNormalDiagPlusLowRankCovariance([0.0, 1.0], [1.0, 2.0], [[0.5], [1.5]]).dtype
    'float32'
    """

    cov_diag_factor: Tensor = parameter(constraints.positive, event_rank=1)
    cov_perturb_factor: Tensor = parameter(constraints.real, event_rank=2)

    def _factor(self) -> tuple[Tensor, Tensor, Tensor]:
        """sqrt(d), W = U / sqrt(d), and the upper triangular R with R^T R = I + W^T W."""
        spread = ops.sqrt(self.cov_diag_factor)
        loadings = self.cov_perturb_factor / spread[..., None]
        eye = np.eye(int(loadings.shape[-1]), dtype=self.dtype)
        eye = ops.zeros_like(loadings[..., :1, :]) + ops.convert_to_tensor(eye)
        return spread, loadings, ops.qr(ops.concatenate([loadings, eye], axis=-2))[1]

    def _squared(self, delta: Tensor, factor: tuple) -> Tensor:
        """The least squares |z - W v|^2 + |v|^2, which the best v of the factors leaves."""
        spread, loadings, root = factor
        z = delta / spread
        v = linalg.solve_triangular(
            linalg.transpose(root), linalg.product(linalg.transpose(loadings), z)
        )
        v = linalg.solve_triangular(root, v, lower=False)
        rest = z - linalg.product(loadings, v)
        return ops.sum(ops.square(rest), axis=-1) + ops.sum(ops.square(v), axis=-1)

    def _log_volume(self, factor: tuple) -> Tensor:
        spread, _, root = factor
        volume = ops.sum(ops.log(ops.abs(linalg.diagonal(root))), axis=-1)
        return ops.sum(ops.log(spread), axis=-1) + volume

    def _trace(self, other: MultivariateNormalDiagPlusLowRankCovariance, factor: tuple) -> Tensor:
        spread, loadings, root = factor
        rows = linalg.solve_triangular(linalg.transpose(root), ops.moveaxis(loadings, -2, 0))
        kept = 1.0 - ops.moveaxis(ops.sum(ops.square(rows), axis=-1), 0, -1)
        own = ops.sum(kept * other.cov_diag_factor / ops.square(spread), axis=-1)
        columns = ops.moveaxis(other.cov_perturb_factor, -1, 0)
        return own + ops.sum(self._squared(columns, factor), axis=0)

    def _noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        own = ops.sqrt(self.cov_diag_factor) * random.normal(shape, self.dtype, first)
        rank = int(self.cov_perturb_factor.shape[-1])
        common = random.normal((*shape[:-1], rank), self.dtype, second)
        return own + linalg.product(self.cov_perturb_factor, common)

    def _variance(self) -> Tensor:
        return self.cov_diag_factor + ops.sum(ops.square(self.cov_perturb_factor), axis=-1)

    def _covariance(self) -> Tensor:
        return linalg.diagonal_matrix(self.cov_diag_factor) + linalg.gram(self.cov_perturb_factor)


class MultivariateStudentTTriL(Vectors):
    r"""The multivariate Student t distribution: vectors with common outliers.

    $p(x) = \frac{\Gamma((\nu + n)/2)}{\Gamma(\nu/2) (\nu\pi)^{n/2} |\det L|}
    (1 + z^\top z / \nu)^{-(\nu + n)/2},\ L z = x - \mu$

    Args:
        df: degrees of freedom, positive, tensor of shape `batch_shape`. The mean is NaN for
            df <= 1; the variance is infinite for 1 < df <= 2 and NaN below.
        loc: location of every component, shape `batch_shape + (n,)`, in the unit of the data.
        scale_tril: L, lower triangular with a positive diagonal, shape `batch_shape + (n, n)`, same
            unit. The covariance is $L L^\top \nu / (\nu - 2)$.

    Raises:
        ValueError: if `df` is not positive, `scale_tril` is not lower triangular with a positive
            diagonal, or the shapes do not fit.

    Source: Kotz, Nadarajah: Multivariate t Distributions and Their Applications (2004), chapter 1.

    >>> MultivariateStudentTTriL(4.0, [0.0, 1.0], [[1.0, 0.0], [0.5, 2.0]])
    MultivariateStudentTTriL(batch_shape=(), event_shape=(2,), dtype=float32)
    """

    df: Tensor = parameter(constraints.positive)
    loc: Tensor = parameter(constraints.real, event_rank=1)
    scale_tril: Tensor = parameter(constraints.lower_cholesky, event_rank=2)

    @property
    def _normal(self) -> MultivariateNormalTriL:
        return MultivariateNormalTriL.trusted(loc=self.loc, scale_tril=self.scale_tril)

    def _log_peak(self) -> Tensor:
        """log density at loc; the difference of log gammas by Stirling, so that none cancels."""
        half, more = 0.5 * self.df, 0.5 * self._size
        ratio = (half + more - 0.5) * ops.log1p(more / half) - more
        errors = special.stirling_error(half + more) - special.stirling_error(half)
        volume = self._normal._log_volume(self.scale_tril)
        return ratio + errors - more * _LOG_2PI - volume

    def _log_prob(self, x: Tensor) -> Tensor:
        z = linalg.solve_triangular(self.scale_tril, x - self.loc)
        far = linalg.log1p_squared_norm(z / ops.sqrt(self.df)[..., None])
        return self._log_peak() - 0.5 * (self.df + self._size) * far

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        half = ops.broadcast_to(0.5 * self.df, (*sample_shape, *ops.shape(self.df)))
        chi = random.gamma(half, second) / half
        chi = special.maximum(chi, float(special.finfo(chi).tiny))
        noise = self._normal._noise((*sample_shape, *ops.shape(self.loc)), first)
        return self.loc + noise / ops.sqrt(chi)[..., None]

    def _mean(self) -> Tensor:
        return special.where(self.df[..., None] > 1.0, self.loc, math.nan)

    def _mode(self) -> Tensor:
        return self.loc

    def _spread(self) -> Tensor:
        """The factor df / (df - 2) of the variance."""
        return StudentT.trusted(df=self.df).variance()

    def _variance(self) -> Tensor:
        return self._normal._variance() * self._spread()[..., None]

    def _covariance(self) -> Tensor:
        return self._normal._covariance() * self._spread()[..., None, None]

    def _marginals(self) -> StudentT:
        scale = ops.sqrt(self._normal._variance())
        return StudentT(df=self.df[..., None], loc=self.loc, scale=scale)

    _entropy = entropies.multivariate_student_t

    def _conditional(self, i: int, before: Tensor) -> StudentT:
        """The distribution of component `i`, given those before it."""
        centre, z = _given(self.loc, self.scale_tril, i, before)
        ratio = (self.df + ops.sum(ops.square(z), axis=-1)) / (self.df + i)
        scale = self.scale_tril[..., i, i] * ops.sqrt(ratio)
        return StudentT.trusted(df=self.df + i, loc=centre, scale=scale)


def _given(loc: Tensor, tril: Tensor, i: int, before: Tensor) -> tuple[Tensor, Tensor]:
    """The centre of component `i` given those before it, and these standardised."""
    z = linalg.solve_triangular(tril[..., :i, :i], before - loc[..., :i]) if i else before
    return loc[..., i] + ops.sum(tril[..., i, :i] * z, axis=-1), z
