"""Gaussian processes at index points, together and point by point, with their variational bound."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from keras import ops

from timedist.distributions import constraints, inducing, shapes
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import parameter, static
from timedist.distributions.multivariate import MultivariateNormalTriL, Vectors
from timedist.distributions.value import Shape
from timedist.distributions.wrappers import Independent, may_be_equal
from timedist.ops import compat, linalg, random, special

Tensor = Any

_LOG_2PI = math.log(2.0 * math.pi)


class VariationalBound:
    r"""What a variational Gaussian process knows besides its distribution: the bound it maximises.

    $\log p(y) \ge \sum_i E_q[\log N(y_i; f_i, \sigma^2)] - KL(q(u) \Vert p(u))$

    Source: Hensman, Fusi, Lawrence: Gaussian Processes for Big Data (2013), equation 4.
    """

    def surrogate_posterior_kl_divergence_prior(self) -> Tensor:
        """The KL divergence of the distribution of the inducing variables from their prior.

        Returns:
            Tensor of shape `batch_shape`, in nats. Point by point it is the share of each of the n
            index points, one n-th, so that the shares sum to the divergence.
        """
        return self._on_device().divergence  # type: ignore[attr-defined]

    def expected_log_likelihood(self, observations: Any, observed: Any = None) -> Tensor:
        r"""The expected log likelihood of the observation at every index point.

        $E_q[\log N(y; f, \sigma^2)] = \log N(y; \mu, \sigma^2) - v / (2 \sigma^2)$ for the mean
        $\mu$ and the variance $v$ of the function, summed over the outputs.

        Args:
            observations: y, tensor that broadcasts against `batch_shape + event_shape`.
            observed: boolean tensor that broadcasts likewise. What is not observed counts for
                nothing and has gradient zero. Default: everything is observed.

        Returns:
            Tensor of shape `(..., n)` for n index points, in nats.

        Raises:
            ValueError: if the shape of `observations` does not fit.
        """
        d: Any = self._on_device()  # type: ignore[attr-defined]
        y, mean = d._as_value(observations, "expected_log_likelihood"), d.mean()
        noise = d.observation_noise_variance[(..., *(None,) * len(d.event_shape))]
        if observed is not None:
            observed = ops.cast(observed, "bool")
            y = ops.where(observed, y, ops.stop_gradient(mean))
        # The variance of the observations holds the noise, whose share of the quotient is 1.
        spread = (ops.square(y - mean) + d.variance()) / noise - 1.0
        each = -0.5 * (spread + ops.log(noise) + _LOG_2PI)
        return ops.sum(each if observed is None else special.where(observed, each, 0.0), axis=-1)

    def variational_loss(
        self, observations: Any, kl_weight: Any = 1.0, observed: Any = None
    ) -> Tensor:
        """The negative variational bound, which training minimises.

        Args:
            observations: as for `expected_log_likelihood`.
            kl_weight: scalar, the weight of the divergence: the number of index points here over
                that in the whole training set. Default 1: these are all.
            observed: as for `expected_log_likelihood`.

        Returns:
            Tensor of shape `batch_shape`, in nats. Point by point it is the share of each index
            point; the shares sum to the loss of the points together.

        Raises:
            ValueError: if the shape of `observations` does not fit.

        TFP's number is larger by half the number of observations, and so is no bound: it takes the
        variance of the observations for that of the function. The gradients are the same.
        """
        d: Any = self._on_device()  # type: ignore[attr-defined]
        likelihood = d.expected_log_likelihood(observations, observed)
        together = len(d.event_shape) > 1
        likelihood = ops.sum(likelihood, axis=-1) if together else likelihood
        return compat.to_tensor(kl_weight, d.dtype) * d.divergence - likelihood


class VariationalGaussianProcess(VariationalBound, Distribution):
    r"""The joint distribution of the observations of Gaussian processes at n index points.

    $y_e \sim N(\mu_e, \Sigma_e)$ for every output e, independent of the others

    It is what `timedist.layers.VariationalGaussianProcess` makes of the kernel and the inducing
    variables; it has tensors only.

    Args:
        loc: means, tensor of shape `batch_shape + (n, outputs)`, in the unit of the data.
        covariance_matrix: covariance matrices of the observations, the noise on their diagonals,
            shape `batch_shape + (outputs, n, n)`, in that unit squared.
        observation_noise_variance: the share of the noise in the variances, positive, shape
            `batch_shape`.
        divergence: KL divergence of the inducing variables from their prior, in nats, shape
            `batch_shape`. Default 0: the process is exact.
        jitter: number added to the diagonals before they are factored. Default 1e-6.

    Raises:
        ValueError: if a covariance matrix is not symmetric with a positive diagonal, the noise is
            not positive, or the shapes do not fit.

    Index points whose observations are missing are left out exactly by `log_prob_where`.

    Source: Titsias: Variational Learning of Inducing Variables in Sparse Gaussian Processes (2009).

    >>> process = VariationalGaussianProcess([[0.0], [1.0]], [[[1.0, 0.5], [0.5, 1.0]]], 0.1)
    >>> process
    VariationalGaussianProcess(batch_shape=(), event_shape=(2, 1), dtype=float32)
    >>> process.by_point()
    GaussianProcessMarginals(Normal)(batch_shape=(2,), event_shape=(1,), dtype=float32)
    """

    loc: Tensor = parameter(constraints.real, event_rank=2)
    covariance_matrix: Tensor = parameter(constraints.covariance, event_rank=3)
    observation_noise_variance: Tensor = parameter(constraints.positive)
    divergence: Tensor = parameter(constraints.non_negative, 0.0)
    jitter: float = static(1e-6)

    _masked_axes = 1
    _refuses_numbers = True
    absent: ClassVar[dict[str, str]] = dict.fromkeys(
        Vectors.absent,
        "the index points depend on each other; `.by_point()` has it for each of them",
    )

    optimal_variational_posterior = staticmethod(inducing.optimal_variational_posterior)

    def _event_shape(self) -> Shape:
        return shapes.static_shape(self.loc)[-2:]

    def _check(self) -> None:
        number, outputs = self.event_shape
        given = tuple(self.covariance_matrix.shape)
        if given[-3:] != (outputs, number, number):
            raise ValueError(
                f"{self._family}: parameter 'covariance_matrix' of shape {given} does not fit "
                f"{number} index points and {outputs} outputs, for which its last axes are "
                f"{(outputs, number, number)}"
            )
        super()._check()

    def by_point(self) -> GaussianProcessMarginals:
        """The distribution at every index point by itself, its outputs together.

        Returns:
            Independent normals with `batch_shape == (..., n)` and `event_shape == (outputs,)`.
        """
        d = self._on_device()
        noise, divergence = d.observation_noise_variance, d.divergence
        return GaussianProcessMarginals.of(d.loc, d._variance(), noise, divergence)

    @property
    def _by_output(self) -> Independent:
        """The same distribution with the axis of the outputs first."""
        matrix = linalg.plus_diagonal(self.covariance_matrix, self.jitter)
        root = linalg.cholesky(matrix, f"The covariance matrix of {self!r}")
        loc = linalg.transpose(self.loc)
        return Independent.trusted(base=MultivariateNormalTriL.trusted(loc=loc, scale_tril=root))

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._by_output._log_prob(linalg.transpose(x))

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        """Of the observed alone: the others become standard normal, independent of all."""
        observed = ops.logical_and(observed, ops.ones_like(x, dtype="bool"))
        seen = linalg.transpose(observed)
        pairs = ops.logical_and(seen[..., :, None], seen[..., None, :])
        ones = special.full_like(self.covariance_matrix, 1.0 - self.jitter)
        alone = special.where(linalg.on_diagonal(seen), ones, 0.0)
        matrix = ops.where(pairs, self.covariance_matrix, alone)
        d = type(self).trusted(**{**self._values, "covariance_matrix": matrix})
        log_prob = d._log_prob(ops.where(observed, x, ops.stop_gradient(self.loc)))
        missing = special.where(observed, ops.zeros_like(x), 1.0)
        return log_prob + 0.5 * _LOG_2PI * ops.sum(missing, axis=(-2, -1))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return linalg.transpose(self._by_output._sample(sample_shape, seed))

    def _mean(self) -> Tensor:
        return self.loc

    def _mode(self) -> Tensor:
        return self.loc

    def _marginals(self) -> Normal:
        return Normal.trusted(loc=self.loc, scale=ops.sqrt(self._variance()))

    def _variance(self) -> Tensor:
        return linalg.transpose(linalg.diagonal(self.covariance_matrix))

    def _covariance(self) -> Tensor:
        """Between all components of events, shape `(..., n, outputs, n, outputs)`."""
        by_points = linalg.diagonal_matrix(ops.moveaxis(self.covariance_matrix, -3, -1))
        return ops.swapaxes(by_points, -3, -2)

    def _entropy(self) -> Tensor:
        return self._by_output._entropy()

    def _kl(self, other: VariationalGaussianProcess) -> Tensor:
        return self._by_output._kl(other._by_output)


class GaussianProcessMarginals(VariationalBound, Independent):
    r"""Gaussian processes at index points, one by one: independent normals, with the bound.

    $y_e \sim N(\mu_e, v_e + \sigma^2)$ for every output e at every index point

    It has every method of `Independent(Normal(loc, scale))`.

    Args:
        base: the normal distributions of the observations, with the axis of the outputs last.
        observation_noise_variance: the share of the noise in their variances, positive, a tensor
            that broadcasts against `batch_shape`, in the unit of the data squared.
        divergence: each point's share of the KL divergence of the inducing variables from their
            prior, in nats, a tensor that broadcasts likewise. Default 0.

    Raises:
        ValueError: if the noise is not positive or the shapes do not fit.

    Source: Hensman, Fusi, Lawrence: Gaussian Processes for Big Data (2013).

    >>> from timedist.distributions import Normal
    >>> marginals = GaussianProcessMarginals(Normal([[0.0], [1.0]], 1.0), 0.1)
    >>> marginals.variational_loss([[0.0], [1.0]]).shape[0]
    2
    """

    observation_noise_variance: Tensor = parameter(constraints.positive)
    divergence: Tensor = parameter(constraints.non_negative, 0.0)

    @classmethod
    def of(cls, loc: Tensor, variance: Tensor, noise: Tensor, divergence: Tensor) -> Any:
        """From means and variances of shape `(..., n, outputs)`, and the whole divergence."""
        ones = ops.ones_like(loc[..., 0])
        share = divergence[..., None] * (ones / ops.sum(ones, axis=-1, keepdims=True))
        return cls.trusted(
            base=Normal.trusted(loc=loc, scale=ops.sqrt(variance)),
            observation_noise_variance=noise[..., None],
            divergence=share,
        )

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        values = super()._prepared(values)
        names = ("observation_noise_variance", "divergence")
        batch = values["base"]._zeros()[(..., *(0,) * values["reinterpreted_batch_ndims"])]
        found = _broadcast(type(self).__name__, batch, {name: values[name] for name in names})
        return values | dict(zip(names, found, strict=True))


def _broadcast(family: str, batch: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The tensors in the shape of the batch."""
    try:
        whole, *found = compat.broadcast_arrays(batch, *tensors.values())
        fits = may_be_equal(shapes.static_shape(whole), shapes.static_shape(batch))
    except Exception:  # each backend has its own class for shapes that do not fit
        fits = False
    if not fits:
        given = " and ".join(f"{name} {tuple(x.shape)}" for name, x in tensors.items())
        raise ValueError(
            f"{family}: {given} do not broadcast against the batch shape {tuple(batch.shape)}"
        )
    return tuple(found)
