"""Families with the power tails of extreme value theory."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import closed_crps, constraints, divergences, entropies
from timedist.distributions.fields import parameter
from timedist.distributions.positive import FromExponential
from timedist.ops import special

Tensor = Any


class Pareto(FromExponential):
    r"""The Pareto distribution.

    $P(X > x) = (m/x)^\alpha$ for $x \ge m$

    Args:
        concentration: the tail index alpha, positive, broadcastable with `scale`. The mean is
            infinite for alpha <= 1, the variance for alpha <= 2, the CRPS for alpha <= 1/2.
        scale: the least value m, positive, in the unit of the data. Default 1.

    Raises:
        ValueError: if a parameter is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 20.

    >>> Pareto([3.0, 1.5], scale=10.0)
    Pareto(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    concentration: Tensor = parameter(constraints.positive)
    scale: Tensor = parameter(constraints.positive, 1.0)

    def _support(self) -> tuple[Tensor, float]:
        return self.scale, math.inf

    def _regular_ends(self) -> tuple[bool, bool]:
        return True, False

    def _forward(self, x: Tensor) -> Tensor:
        return self.scale * ops.exp(x / self.concentration)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.concentration * special.log_ratio(y, self.scale)

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.log(y) - ops.log(self.concentration)

    def _mean(self) -> Tensor:
        a = self.concentration
        return special.only_where(a > 1.0, lambda a: self.scale * (a / (a - 1.0)), a, 2.0)

    def _variance(self) -> Tensor:
        def finite(a: Tensor) -> Tensor:
            return ops.square(self.scale / (a - 1.0)) * (a / (a - 2.0))

        return special.only_where(self.concentration > 2.0, finite, self.concentration, 3.0)

    def _mode(self) -> Tensor:
        return self.scale

    _entropy = entropies.pareto
    _kl = divergences.pareto
    _crps = closed_crps.pareto


class GeneralizedPareto(FromExponential):
    r"""The generalised Pareto distribution of what exceeds a high threshold.

    $P(X > x) = (1 + \xi z)^{-1/\xi},\ z = (x - \mu)/\sigma \ge 0$, and $\exp(-z)$ for $\xi = 0$

    Args:
        loc: the least value, tensor broadcastable with the others, in the unit of the data. Default
            0.
        scale: positive, same unit. Default 1.
        concentration: the shape xi, any real number: power tails above 0, exponential tails at 0,
            the greatest value `loc - scale / concentration` below. The mean is infinite from 1 on,
            the variance from 1/2, the CRPS from 2. Default 0.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Everything is smooth in `concentration` through 0, gradients included.

    Source: Coles: An Introduction to Statistical Modeling of Extreme Values (2001), section 4.2;
    Friederichs, Thorarinsdottir: Forecast Verification for Extreme Value Distributions (2012).

    >>> GeneralizedPareto(10.0, 2.0, [-0.5, 0.0, 0.3])
    GeneralizedPareto(batch_shape=(3,), event_shape=(), dtype=float32)
    """

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)
    concentration: Tensor = parameter(constraints.real, 0.0)

    def _support(self) -> tuple[Tensor, Tensor]:
        bounded = self.concentration < 0.0
        length = self.scale / special.where(bounded, -self.concentration, 1.0)
        return self.loc, special.where(bounded, self.loc + length, math.inf)

    def _regular_ends(self) -> tuple[bool, bool]:
        return True, False

    def _log_prob_at_ends(self) -> tuple[float, Tensor]:
        zero = ops.zeros_like(self.scale)
        steep = special.where(self.concentration < -1.0, zero + math.inf, -math.inf)
        return -math.inf, ops.where(self.concentration == -1.0, -ops.log(self.scale), steep)

    def _forward(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x * special.expm1_ratio(self.concentration * x)

    def _growth(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """z and xi z, well inside the range of the dtype and above -1."""
        info = special.finfo(y)
        limit = float(info.max) / 64.0 / special.maximum(ops.abs(self.concentration), 1.0)
        limit = ops.stop_gradient(self.scale * limit)
        z = special.minimum(y - self.loc, limit) / self.scale
        growth = special.maximum(self.concentration * z, -1.0 + 0.5 * float(info.eps))
        return z, growth

    def _inverse(self, y: Tensor) -> Tensor:
        z, growth = self._growth(y)
        far = ops.abs(growth) > 0.25
        xi = special.where(far, self.concentration, 1.0)
        power = ops.log1p(special.where(far, growth, 0.0)) / xi
        return ops.where(far, power, z * special.log1p_ratio(special.where(far, 0.0, growth)))

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.log(self.scale) + self.concentration * x

    def _mean(self) -> Tensor:
        xi = self.concentration
        return special.only_where(xi < 1.0, lambda xi: self.loc + self.scale / (1.0 - xi), xi, 0.0)

    def _variance(self) -> Tensor:
        def finite(xi: Tensor) -> Tensor:
            return ops.square(self.scale / (1.0 - xi)) / (1.0 - 2.0 * xi)

        return special.only_where(self.concentration < 0.5, finite, self.concentration, 0.0)

    def _mode(self) -> Tensor:
        return ops.where(self.concentration < -1.0, self._support()[1], self.loc)

    _entropy = entropies.generalized_pareto
    _crps = closed_crps.generalized_pareto
