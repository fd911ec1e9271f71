"""Continuous distributions rounded to integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import constraints, sums
from timedist.distributions.composite import Composite, refuse_masses
from timedist.distributions.counts import Integers
from timedist.distributions.fields import component, parameter
from timedist.distributions.inflated import in_batch_of_base
from timedist.distributions.value import Shape
from timedist.ops import compat, random, special

Tensor = Any

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)

_whole_or_infinite = constraints.Constraint(
    "a whole number or infinite",
    lambda x: (ops.abs(x) == math.inf) | (x == special.floor(x)),
    special.floor,
    lambda value: value + 0.5,
)


class Quantized(Integers, Composite):
    r"""A continuous variable rounded up to the next integer.

    $P(k) = F(k) - F(k - 1)$

    Args:
        base: continuous distribution with scalar events.
        low: smallest value, which takes all the mass below it too: a whole number or -inf. Default
            -inf.
        high: largest value, which takes all the mass above it too: a whole number or inf. Default
            inf.

    Raises:
        ValueError: if the base is discrete, in single values too as `Hurdle` is, or has vector
            events, a bound is no whole number, or `low` is above `high`.

    Source: Salimans, Karpathy, Chen, Kingma: PixelCNN++ (2017), section 2.1.

    >>> from timedist.distributions import Normal
    >>> Quantized(Normal([0.0, 10.0], 3.0), low=0.0, high=255.0)
    Quantized(Normal)(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    base: Any = component()
    low: Tensor = parameter(_whole_or_infinite, -math.inf)
    high: Tensor = parameter(_whole_or_infinite, math.inf)

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        return in_batch_of_base("Quantized", super()._prepared(values))

    def _check(self) -> None:
        super()._check()
        if self.base.discrete or self.base.event_shape:
            raise ValueError(
                f"Quantized: base must be continuous with scalar events, got {self.base!r}"
            )
        refuse_masses("Quantized", self.base)
        order = self.low <= self.high
        if compat.is_concrete(order) and not compat.to_numpy(order).all():
            raise ValueError(
                f"Quantized: low must not be above high, got {compat.to_numpy(self.low)} and "
                f"{compat.to_numpy(self.high)}"
            )

    def _batch_shape(self) -> Shape:
        return self.base.batch_shape

    def _clipped(self, x: Tensor) -> Tensor:
        return special.minimum(special.maximum(x, self.low), self.high)

    def _support(self) -> tuple[Tensor, Tensor]:
        low, high = (end + self.base._zeros() for end in self.base._hook("support")())
        return self._clipped(special.floor(low) + 1.0), self._clipped(_ceil(high))

    def _landmarks(self) -> tuple[Tensor, ...]:
        return tuple(self._clipped(_ceil(mark)) for mark in self.base._hook("landmarks")())

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        return self.base._hook("log_cdf")(k), self.base._hook("log_survival")(k)

    def _log_mass(self, k: Tensor) -> Tensor:
        """A difference of distribution functions, or of survival functions in the upper half.

        Where it agrees with the integral of the density to within its rounding, it is the latter,
        which loses no digits.
        """
        ends = ops.stack([k - 1.0, k + self._zeros()], axis=0)
        lower, upper = self._log_tails(ends)
        first, last = k <= self.low, k >= self.high
        below = special.where(first, -math.inf, lower[0])
        above = special.where(first, 0.0, upper[0])
        upto = special.where(last, 0.0, lower[1])
        beyond = special.where(last, -math.inf, upper[1])
        in_lower = upto < above
        large, small = ops.where(in_lower, upto, above), ops.where(in_lower, below, beyond)
        empty = large == -math.inf
        gap = special.where(empty, -1.0, small) - special.where(empty, 0.0, large)
        narrow = (gap > -1.0) & ~empty
        middle = ops.where(narrow, k, self._clipped(self._landmarks()[0]) + ops.zeros_like(k))
        integral = self._log_integral(middle)
        apart = ops.exp(integral - large) + ops.expm1(gap)
        rounding = 8.0 * float(special.finfo(k).eps) * (1.0 - large)
        smooth = narrow & (ops.abs(apart) <= rounding)
        gap = special.where(smooth, -1.0, gap)
        mass = special.where(empty, -math.inf, large + special.log1mexp(gap))
        return ops.where(smooth, integral, mass)

    def _log_integral(self, k: Tensor) -> Tensor:
        """log of the integral of the density from k - 1 to k, by Gauss and Legendre."""
        shape = (*(1,) * len(k.shape), -1)
        nodes = compat.to_tensor((0.5 * _NODES - 0.5).reshape(shape), self.dtype)
        weights = compat.to_tensor(np.log(0.5 * _WEIGHTS).reshape(shape), self.dtype)
        points = ops.moveaxis(k[..., None] + nodes, -1, 0)
        logs = ops.moveaxis(self.base._hook("log_prob")(points), 0, -1)
        return special.logsumexp(logs + weights)

    def _quantile(self, p: Tensor) -> Tensor:
        low, high = self._support()
        x = _ceil(self.base._hook("quantile")(p))
        return ops.stop_gradient(special.minimum(special.maximum(x, low), high))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return ops.stop_gradient(self._clipped(_ceil(self.base._plain_draw(sample_shape, seed))))

    def _mean(self) -> Tensor:
        return self._where_exists("mean", sums.mean(self))

    def _variance(self) -> Tensor:
        return self._where_exists("variance", sums.variance(self))

    def _where_exists(self, name: str, value: Tensor) -> Tensor:
        """The moment, or the base's NaN or infinity where no bound makes it finite."""
        of_base = self.base._hook(name)()
        low, high = self._support()
        bounded = (low > -math.inf) & (high < math.inf)
        return ops.where(bounded | (ops.abs(of_base) < math.inf), value, of_base)

    def _mode(self) -> Tensor:
        low, high = self._support()
        k = _ceil(self.base._hook("mode")())
        near = ops.stack([k - 1.0, k, k + 1.0, low + 0.0 * k, high + 0.0 * k], axis=-1)
        near = special.where(ops.abs(near) < math.inf, near, k[..., None])
        near = special.minimum(special.maximum(near, low[..., None]), high[..., None])
        masses = ops.moveaxis(self._log_mass(ops.moveaxis(near, -1, 0)), 0, -1)
        best = ops.argmax(masses, axis=-1, keepdims=True)
        return ops.take_along_axis(near, best, axis=-1)[..., 0]


def _ceil(x: Tensor) -> Tensor:
    return -special.floor(-x)
