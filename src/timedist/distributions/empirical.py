"""Distributions that are their values."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import constraints
from timedist.distributions.base import Distribution
from timedist.distributions.fields import parameter
from timedist.ops import random, special

Tensor = Any


class Deterministic(Distribution):
    r"""All probability at one value.

    $P(X = \mu) = 1$

    Args:
        loc: the value, any real tensor, in the unit of the data.

    Raises:
        ValueError: if a value is NaN.

    >>> Deterministic([1.0, 2.0])
    Deterministic(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    loc: Tensor = parameter(constraints.real)
    discrete = True

    def _log_prob(self, x: Tensor) -> Tensor:
        mass = special.where(x == self.loc, ops.zeros_like(x + self.loc), -math.inf)
        return special.where(x != x, math.nan, mass)

    def _cdf(self, x: Tensor) -> Tensor:
        return special.where(x != x, math.nan, ops.cast(x >= self.loc, self.dtype))

    def _quantile(self, p: Tensor) -> Tensor:
        return self.loc + 0.0 * p

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        del seed
        return ops.broadcast_to(self.loc, (*sample_shape, *ops.shape(self.loc)))

    def _mean(self) -> Tensor:
        return self.loc

    def _mode(self) -> Tensor:
        return self.loc

    def _variance(self) -> Tensor:
        return ops.zeros_like(self.loc)

    def _entropy(self) -> Tensor:
        return ops.zeros_like(self.loc)
