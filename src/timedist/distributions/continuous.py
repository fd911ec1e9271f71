"""Families on the real line."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import constraints, solve
from timedist.distributions.base import Distribution
from timedist.distributions.fields import parameter
from timedist.ops import random, special
from timedist.ops.incomplete_beta import log_betainc

Tensor = Any

_LOG_2 = math.log(2.0)


class LocationScale(Distribution):
    """Parent of the symmetric families X = loc + scale Z, from the functions of Z.

    A family gives the functions of Z, whose names begin with `_std_`; upper tails follow by
    symmetry.
    """

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)

    def _std_log_prob(self, z: Tensor) -> Tensor:
        """log density of Z."""
        raise NotImplementedError

    def _std_cdf(self, z: Tensor) -> Tensor:
        """P(Z <= z), accurate in the lower tail."""
        raise NotImplementedError

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        """log P(Z <= z), accurate in the lower tail."""
        raise NotImplementedError

    def _std_quantile(self, p: Tensor) -> Tensor:
        """Quantile of Z."""
        raise NotImplementedError

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        """Draws of Z."""
        raise NotImplementedError

    def _std_variance(self) -> Tensor | float:
        """Variance of Z."""
        raise NotImplementedError

    def _std_entropy(self) -> Tensor | float:
        """Entropy of Z."""
        raise NotImplementedError

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._std_log_prob(self._z(x)) - ops.log(self.scale)

    def _cdf(self, x: Tensor) -> Tensor:
        return self._std_cdf(self._z(x))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._std_log_cdf(self._z(x))

    def _survival(self, x: Tensor) -> Tensor:
        return self._std_cdf(-self._z(x))

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._std_log_cdf(-self._z(x))

    def _quantile(self, p: Tensor) -> Tensor:
        return self.loc + self.scale * self._std_quantile(p)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        noise = self._std_noise((*sample_shape, *ops.shape(self.loc)), seed)
        return self.loc + self.scale * noise

    def _mean(self) -> Tensor:
        return self.loc

    def _mode(self) -> Tensor:
        return self.loc

    def _variance(self) -> Tensor:
        return ops.square(self.scale) * self._std_variance()

    def _entropy(self) -> Tensor:
        return ops.log(self.scale) + self._std_entropy()


class Normal(LocationScale):
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

    def _std_log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * ops.square(z) - 0.5 * math.log(2.0 * math.pi)

    def _std_cdf(self, z: Tensor) -> Tensor:
        return special.ndtr(z)

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        return special.log_ndtr(z)

    def _std_quantile(self, p: Tensor) -> Tensor:
        return special.ndtri(p)

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        return random.normal(shape, self.dtype, seed)

    def _std_variance(self) -> float:
        return 1.0

    def _std_entropy(self) -> float:
        return 0.5 + 0.5 * math.log(2.0 * math.pi)


class Laplace(LocationScale):
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

    def _std_log_prob(self, z: Tensor) -> Tensor:
        return -ops.abs(z) - _LOG_2

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

    def _std_variance(self) -> float:
        return 2.0

    def _std_entropy(self) -> float:
        return 1.0 + _LOG_2


class Logistic(LocationScale):
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

    def _std_log_prob(self, z: Tensor) -> Tensor:
        return -ops.abs(z) - 2.0 * special.softplus(-ops.abs(z))

    def _std_cdf(self, z: Tensor) -> Tensor:
        return ops.sigmoid(z)

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        return special.log_sigmoid(z)

    def _std_quantile(self, p: Tensor) -> Tensor:
        return special.logit(p)

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        return special.logit(random.uniform(shape, self.dtype, seed))

    def _std_variance(self) -> float:
        return math.pi**2 / 3.0

    def _std_entropy(self) -> float:
        return 2.0


class StudentT(LocationScale):
    r"""Student's t distribution with location and scale.

    $p(x) = \frac{\Gamma((\nu+1)/2)}{\Gamma(\nu/2)\sqrt{\nu\pi}\,\sigma}
    (1 + z^2/\nu)^{-(\nu+1)/2},\ z = (x - \mu)/\sigma$

    Args:
        df: degrees of freedom, positive. The mean is NaN for df <= 1 and the variance infinite for
            1 < df <= 2 and NaN below, as in SciPy and TFP.
        loc: median, tensor broadcastable with the others, in the unit of the data. Default 0.
        scale: positive, same unit. Default 1.

    Raises:
        ValueError: if `df` or a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 2, chapter 28.

    >>> StudentT(df=4.0, loc=[0.0, 1.0], scale=2.0)
    StudentT(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    df: Tensor = parameter(constraints.positive)
    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)

    def _log_norm(self) -> Tensor:
        """log density at z = 0; the difference of log gammas by Stirling, so that none cancels."""
        half = 0.5 * self.df
        ratio = half * ops.log1p(0.5 / half) - 0.5
        errors = special.stirling_error(half + 0.5) - special.stirling_error(half)
        return ratio + errors - 0.5 * math.log(2.0 * math.pi)

    def _std_log_prob(self, z: Tensor) -> Tensor:
        return self._log_norm() - 0.5 * (self.df + 1.0) * special.log1p_square(
            z / ops.sqrt(self.df)
        )

    def _log_body_and_tails(self, log_t: Tensor) -> tuple[Tensor, Tensor]:
        """log P(|Z| <= t) and log P(|Z| > t) from log t."""
        log_ratio = 2.0 * log_t - ops.log(self.df)
        tails, body = log_betainc(
            0.5 * self.df,
            ops.full_like(self.df, 0.5),
            ops.sigmoid(-log_ratio),
            ops.sigmoid(log_ratio),
        )
        return body, tails

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        centre = z == 0.0
        _, tails = self._log_body_and_tails(ops.log(special.where(centre, 1.0, ops.abs(z))))
        lower = tails - _LOG_2
        log_cdf = ops.where(z < 0.0, lower, special.log1mexp(lower))
        return special.where(centre, -_LOG_2 + z * 2.0 * ops.exp(self._log_norm()), log_cdf)

    def _std_cdf(self, z: Tensor) -> Tensor:
        return ops.exp(self._std_log_cdf(z))

    def _std_quantile(self, p: Tensor) -> Tensor:
        tail = special.minimum(p, 1.0 - p)
        outside, centre = tail <= 0.0, tail >= 0.5
        t = self._abs_quantile(special.where(outside | centre, 0.25, tail))
        t = ops.where(outside, math.inf, ops.where(centre, 0.0, t))
        return ops.where(p < 0.5, -t, t)

    def _abs_quantile(self, tail: Tensor) -> Tensor:
        """t > 0 with P(Z > t) = tail, solved for log t where log P is closest to linear in it."""
        df, peak = self.df, self._log_norm()
        tail = tail + 0.0 * peak
        central = tail > 0.25
        body_target = ops.log1p(-2.0 * tail)
        tail_target = ops.log(tail) + _LOG_2

        def off_target(body: Tensor, tails: Tensor) -> Tensor:
            return ops.where(central, body - body_target, tail_target - tails)

        def residual(log_t: Tensor) -> Tensor:
            return off_target(*self._log_body_and_tails(log_t))

        # The density is at most its peak, and below peak * df^((df+1)/2) t^-(df+1).
        lower = body_target - _LOG_2 - peak
        upper = (peak + 0.5 * (df - 1.0) * ops.log(df) - ops.log(tail)) / df
        lower = special.minimum(lower, upper) - 0.1
        upper = special.maximum(upper, lower) + 0.1
        root = solve.increasing_root(residual, lower, upper)
        body, tails = self._log_body_and_tails(root)
        log_density = self._std_log_prob(ops.exp(root)) + _LOG_2 + root
        slope = ops.exp(log_density - ops.where(central, body, tails))
        return ops.exp(solve.with_implicit_gradient(root, off_target(body, tails), slope))

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        half = ops.broadcast_to(0.5 * self.df, shape)
        chi = random.gamma(half, second) / half
        chi = special.maximum(chi, float(special.finfo(chi).tiny))
        return random.normal(shape, self.dtype, first) / ops.sqrt(chi)

    def _mean(self) -> Tensor:
        return special.where(self.df > 1.0, self.loc, math.nan)

    def _std_variance(self) -> Tensor:
        df = self.df
        finite = df / special.where(df > 2.0, df - 2.0, 1.0)
        return ops.where(
            df > 2.0, finite, special.where(df > 1.0, ops.full_like(df, math.inf), math.nan)
        )

    def _std_entropy(self) -> Tensor:
        half = 0.5 * self.df
        # digamma(half + 1/2) - digamma(half), without its cancellation
        slope = ops.log1p(0.5 / half) + 0.25 / (half * (half + 0.5))
        slope = slope + special.digamma_error(half + 0.5) - special.digamma_error(half)
        return (half + 0.5) * slope - self._log_norm()
