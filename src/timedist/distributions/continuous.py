"""Symmetric families on the real line with light tails, and the parents of location and scale."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import closed_crps, constraints, derived, divergences, entropies
from timedist.distributions.base import Distribution
from timedist.distributions.fields import parameter
from timedist.ops import random, special

Tensor = Any

_LOG_2 = math.log(2.0)
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


class LocationScale(Distribution):
    """Parent of the families X = loc + scale Z, from the functions of Z.

    A family writes `_log_prob` and functions of Z, whose names begin with `_std_`:
    `_std_quantile`; one or more of `_std_cdf`, `_std_log_cdf`, `_std_survival` and
    `_std_log_survival`, each accurate in its tail (the others follow); and `_std_noise`, which
    draws, where there is a faster way than by the quantile.
    """

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    def _std_quantile(self, p: Tensor) -> Tensor:
        """Quantile of Z."""
        raise NotImplementedError

    def _std(self, name: str, z: Tensor) -> Tensor:
        """One of the four probabilities of Z, from another if the family writes only that."""
        return derived.probability(self, name, "_std_")(z)  # type: ignore[misc]

    def _cdf(self, x: Tensor) -> Tensor:
        return self._std("cdf", self._z(x))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._std("log_cdf", self._z(x))

    def _survival(self, x: Tensor) -> Tensor:
        return self._std("survival", self._z(x))

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._std("log_survival", self._z(x))

    def _quantile(self, p: Tensor) -> Tensor:
        return self.loc + self.scale * self._std_quantile(p)

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        return self._std_quantile(random.uniform(shape, self.dtype, seed))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        noise = self._std_noise((*sample_shape, *ops.shape(self.loc)), seed)
        return self.loc + self.scale * noise


class Symmetric(LocationScale):
    """Parent of the location-scale families that are symmetric: upper tails are lower tails."""

    def _std_survival(self, z: Tensor) -> Tensor:
        return self._std("cdf", -z)

    def _std_log_survival(self, z: Tensor) -> Tensor:
        return self._std("log_cdf", -z)

    def _mode(self) -> Tensor:
        return self.loc


class Normal(Symmetric):
    r"""The normal (Gaussian) distribution.

    $p(x) = \exp(-z^2/2) / (\sigma \sqrt{2\pi}),\ z = (x - \mu)/\sigma$

    Args:
        loc: mean, tensor broadcastable with `scale`, in the unit of the data. Default 0.
        scale: standard deviation, positive, same unit. Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 13.

    >>> Normal(loc=[0.0, 1.0], scale=2.0)
    Normal(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        z = self._z(x)
        return -_LOG_SQRT_2PI - (0.5 * z * z + ops.log(self.scale))

    def _std_cdf(self, z: Tensor) -> Tensor:
        return special.ndtr(z)

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        return special.log_ndtr(z)

    def _std_quantile(self, p: Tensor) -> Tensor:
        return special.ndtri(p)

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        return random.normal(shape, self.dtype, seed)

    def _mean(self) -> Tensor:
        return self.loc

    def _variance(self) -> Tensor:
        return ops.square(self.scale)

    _entropy = entropies.normal
    _crps = closed_crps.normal
    _kl = divergences.normal


class Laplace(Symmetric):
    r"""The Laplace (double exponential) distribution.

    $p(x) = \exp(-|z|) / (2\sigma),\ z = (x - \mu)/\sigma$

    Args:
        loc: mean and median, tensor broadcastable with `scale`, in the unit of the data. Default 0.
        scale: mean absolute deviation, positive, same unit. Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 2, chapter 24.

    >>> Laplace(0.0, [1.0, 2.0])
    Laplace(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        return -ops.abs(self._z(x)) - ops.log(self.scale) - _LOG_2

    def _std_cdf(self, z: Tensor) -> Tensor:
        tail = 0.5 * ops.exp(special.minus_abs(z))
        return ops.where(z < 0.0, tail, 1.0 - tail)

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        return ops.where(z < 0.0, z - _LOG_2, ops.log1p(-0.5 * ops.exp(special.minus_abs(z))))

    def _std_quantile(self, p: Tensor) -> Tensor:
        lower = p < 0.5
        below, above = special.where(lower, p, 0.5), special.where(lower, 0.5, p)
        return ops.where(lower, ops.log(below) + _LOG_2, -ops.log1p(-above) - _LOG_2)

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        return ops.log(random.uniform(shape, self.dtype, first)) - ops.log(
            random.uniform(shape, self.dtype, second)
        )

    def _mean(self) -> Tensor:
        return self.loc

    def _variance(self) -> Tensor:
        return 2.0 * ops.square(self.scale)

    _entropy = entropies.laplace
    _crps = closed_crps.laplace
    _kl = divergences.laplace


class Logistic(Symmetric):
    r"""The logistic distribution.

    $F(x) = 1 / (1 + \exp(-z)),\ z = (x - \mu)/\sigma$

    Args:
        loc: mean and median, tensor broadcastable with `scale`, in the unit of the data. Default 0.
        scale: positive, same unit; the standard deviation is scale times pi / sqrt(3). Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 2, chapter 23.

    >>> Logistic(0.0, [1.0, 2.0])
    Logistic(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        size = ops.abs(self._z(x))
        return -size - 2.0 * special.softplus(-size) - ops.log(self.scale)

    def _std_cdf(self, z: Tensor) -> Tensor:
        return ops.sigmoid(z)

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        return special.log_sigmoid(z)

    def _std_quantile(self, p: Tensor) -> Tensor:
        return special.logit(p)

    def _mean(self) -> Tensor:
        return self.loc

    def _variance(self) -> Tensor:
        return (math.pi**2 / 3.0) * ops.square(self.scale)

    _entropy = entropies.logistic
    _crps = closed_crps.logistic
