"""Symmetric families on the real line whose tails are powers."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import closed_crps, constraints, divergences, entropies, solve
from timedist.distributions.continuous import Symmetric
from timedist.distributions.fields import parameter
from timedist.ops import random, special
from timedist.ops.incomplete_beta import log_betainc

Tensor = Any

_LOG_2 = math.log(2.0)
_FAR = 40.0  # log of z^2 / df; what is neglected is its inverse


class StudentT(Symmetric):
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

    @property
    def _log_peak(self) -> Tensor:
        """log density of Z at 0."""
        return special.log_gamma_step(0.5 * self.df) - 0.5 * math.log(2.0 * math.pi)

    def _log_prob_of(self, x: Tensor, scale: Tensor) -> Tensor:
        """log density of Z at x / scale, a ratio that may overflow."""
        log_square = special.log1p_square(x, scale * ops.sqrt(self.df))
        return self._log_peak - 0.5 * (self.df + 1.0) * log_square

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._log_prob_of(x - self.loc, self.scale) - ops.log(self.scale)

    def _log_body_and_tails(self, log_t: Tensor) -> tuple[Tensor, Tensor]:
        """log P(|Z| <= t) and log P(|Z| > t) from log t."""
        log_ratio = 2.0 * log_t - ops.log(self.df)
        # Farther out nothing is left but the power, whose base would underflow.
        far = log_ratio > _FAR
        excess = special.where(far, log_ratio - _FAR, 0.0)
        log_ratio = special.where(far, _FAR, log_ratio)
        tails, body = log_betainc(
            0.5 * self.df,
            special.full_like(self.df, 0.5),
            ops.sigmoid(-log_ratio),
            ops.sigmoid(log_ratio),
        )
        tails = tails - 0.5 * self.df * excess
        return ops.where(far, special.log1mexp(tails), body), tails

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        centre = z == 0.0
        _, tails = self._log_body_and_tails(ops.log(special.where(centre, 1.0, ops.abs(z))))
        lower = tails - _LOG_2
        log_cdf = ops.where(z < 0.0, lower, special.log1mexp(lower))
        return special.where(centre, -_LOG_2 + z * 2.0 * ops.exp(self._log_peak), log_cdf)

    def _std_quantile(self, p: Tensor) -> Tensor:
        tail = special.minimum(p, 1.0 - p)
        outside, centre = tail <= 0.0, tail >= 0.5
        t = self._abs_quantile(special.where(outside | centre, 0.25, tail))
        t = ops.where(outside, math.inf, ops.where(centre, 0.0, t))
        return ops.where(p < 0.5, -t, t)

    def _abs_quantile(self, tail: Tensor) -> Tensor:
        """t > 0 with P(Z > t) = tail, solved for log t where log P is closest to linear in it."""
        df, peak = self.df, self._log_peak
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
        log_square = special.softplus(2.0 * root - ops.log(df))
        log_density = peak - 0.5 * (df + 1.0) * log_square + _LOG_2 + root
        slope = ops.exp(log_density - ops.where(central, body, tails))
        return ops.exp(solve.with_implicit_gradient(root, off_target(body, tails), slope))

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        return random.student_t(ops.broadcast_to(self.df, shape), seed)

    def _mean(self) -> Tensor:
        return special.where(self.df > 1.0, self.loc, math.nan)

    def _variance(self) -> Tensor:
        df = self.df
        finite = ops.square(self.scale) * df / special.where(df > 2.0, df - 2.0, 1.0)
        infinite = special.where(df > 1.0, special.full_like(df, math.inf), math.nan)
        return ops.where(df > 2.0, finite, infinite)

    _entropy = entropies.student_t
    _crps = closed_crps.student_t

    def _landmarks(self) -> tuple[Tensor, ...]:
        return tuple(self.loc + c * self.scale for c in (0.0, -3.0, -1.0, 1.0, 3.0))


class Cauchy(Symmetric):
    r"""The Cauchy distribution, which has no mean.

    $p(x) = 1 / [\pi \sigma (1 + z^2)],\ z = (x - \mu)/\sigma$

    Args:
        loc: median and mode, tensor broadcastable with `scale`, in the unit of the data. Default 0.
        scale: half of the distance between the quartiles, positive, same unit. Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 16.

    >>> Cauchy(loc=[0.0, 1.0], scale=2.0)
    Cauchy(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        log_square = special.log1p_square(x - self.loc, self.scale)
        return -log_square - ops.log(self.scale) - math.log(math.pi)

    def _std_cdf(self, z: Tensor) -> Tensor:
        low = z < -1.0
        tail = special.arctan(-1.0 / special.where(low, z, -1.0))
        return ops.where(low, tail, 0.5 * math.pi + special.arctan(z)) / math.pi

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        lower = self._std_cdf(special.minus_abs(z))
        return ops.where(z < 0.0, special.log_or_minus_inf(lower), ops.log1p(-lower))

    def _std_quantile(self, p: Tensor) -> Tensor:
        lower = p < 0.5
        tail = ops.where(lower, p, 1.0 - p)
        far = tail < 0.25
        z = special.tan(math.pi * special.where(far, 0.25, 0.5 - tail))
        z = ops.where(far, 1.0 / special.tan(math.pi * special.where(far, tail, 0.25)), z)
        return ops.where(lower, -z, z)

    def _mean(self) -> Tensor:
        return special.full_like(self.loc, math.nan)

    def _variance(self) -> Tensor:
        return special.full_like(self.loc, math.nan)

    _entropy = entropies.cauchy
    _crps = closed_crps.cauchy
    _kl = divergences.cauchy
