"""Families on the positive half line."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import constraints
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import parameter
from timedist.ops import random, special

Tensor = Any


class LogNormal(Distribution):
    r"""The log-normal distribution: the logarithm is normal.

    $p(x) = \exp(-z^2/2) / (x \sigma \sqrt{2\pi}),\ z = (\log x - \mu)/\sigma$ for $x > 0$

    Args:
        loc: mean of the logarithm, tensor broadcastable with `scale`. Default 0.
        scale: standard deviation of the logarithm, positive. Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, chapter 14.

    >>> LogNormal(0.0, [0.5, 1.0])
    LogNormal(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)

    @property
    def _log(self) -> Normal:
        return Normal.trusted(loc=self.loc, scale=self.scale)

    def _at_log(self, x: Tensor, function: Any, below: float) -> Tensor:
        """`function(log x)`, and `below` where x is not positive; NaN stays NaN."""
        outside = x <= 0.0
        return special.where(outside, below, function(ops.log(special.where(outside, 1.0, x))))

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._at_log(x, lambda y: self._log._log_prob(y) - y, -math.inf)

    def _cdf(self, x: Tensor) -> Tensor:
        return self._at_log(x, self._log._cdf, 0.0)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._at_log(x, self._log._log_cdf, -math.inf)

    def _survival(self, x: Tensor) -> Tensor:
        return self._at_log(x, self._log._survival, 1.0)

    def _quantile(self, p: Tensor) -> Tensor:
        return ops.exp(self._log._quantile(p))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return ops.exp(self._log._sample(sample_shape, seed))

    def _mean(self) -> Tensor:
        return ops.exp(self.loc + 0.5 * ops.square(self.scale))

    def _variance(self) -> Tensor:
        square = ops.square(self.scale)
        return ops.expm1(square) * ops.exp(2.0 * self.loc + square)

    def _mode(self) -> Tensor:
        return ops.exp(self.loc - ops.square(self.scale))

    def _entropy(self) -> Tensor:
        return self._log._entropy() + self.loc
