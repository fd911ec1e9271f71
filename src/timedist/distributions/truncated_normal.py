"""The normal distribution on an interval, accurate however far in a tail the interval lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import constraints
from timedist.distributions.base import Distribution
from timedist.distributions.ends import between, check_order
from timedist.distributions.fields import parameter
from timedist.ops import compat, special

Tensor = Any

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(22)
_NODES, _WEIGHTS = 0.5 * (1.0 + _NODES), 0.5 * _WEIGHTS
_HALF_NORMAL = math.sqrt(0.5 * math.pi)
# exp(-u^2/2 - t u) is below exp(-40) beyond the distance _reach(t, 40): nothing of an integral.
_NEGLIGIBLE = 40.0
_STEPS = 4


def _limit(x: Tensor) -> float:
    """A number whose square is far from overflow."""
    return 0.125 * float(special.finfo(x).max) ** 0.5


def _reach(t: Tensor, energy: Tensor | float) -> Tensor:
    """The u > 0 with u^2 / 2 + t u = energy."""
    return 2.0 * energy / (t + ops.sqrt(ops.square(t) + 2.0 * energy))


def _steps(t: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Positions u in (0, length), u^2 / 2 + t u there and quadrature weights, on a last axis."""
    width = special.minimum(length, ops.stop_gradient(_reach(t, _NEGLIGIBLE)))[..., None]
    u = width * compat.to_tensor(_NODES, compat.dtype_of(t))
    energy = u * (t[..., None] + 0.5 * u)
    return u, energy, width * compat.to_tensor(_WEIGHTS, compat.dtype_of(t)) * ops.exp(-energy)


def _tail(t: Tensor, length: Tensor) -> Tensor:
    """Integral of exp(-u^2/2 - t u) from 0 to `length`, for t >= 0; positive terms only."""
    return ops.sum(_steps(t, length)[2], axis=-1)


def _half(length: Tensor) -> Tensor:
    """`_tail(0, length)`."""
    return _HALF_NORMAL * ops.erf(length * math.sqrt(0.5))


def _pieces(a: Tensor, b: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """An interval [a, b] as one or two pieces that begin at its point nearest to 0.

    Returns that point's distance from 0, the length of the first piece, and that of the second,
    which is not empty where 0 is inside.
    """
    one_sided = (a > 0.0) | (b < 0.0)
    t = special.where(one_sided, ops.where(a > 0.0, a, -b), 0.0)
    return t, ops.where(one_sided, width, -a), special.where(one_sided, 0.0, b)


def _mass(a: Tensor, b: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """The distance t from 0 to [a, b], and the integral of exp((t^2 - z^2) / 2) over [a, b]."""
    t, first, second = _pieces(a, b, width)
    # Ends that are nearer than the dtype can tell must not give a logarithm of zero.
    return t, special.maximum(_tail(t, first) + _half(second), float(special.finfo(t).tiny))


def _log_share(a: Tensor, z: Tensor, b: Tensor, gaps: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """log P(Z <= z | a <= Z <= b); `gaps` are the distances z - a, b - z and b - a."""
    below, above, width = gaps
    t, whole = _mass(a, b, width)
    _, part = _mass(a, z, below)
    # How much farther from 0 than [a, b] the part is.
    away = special.where(z < 0.0, ops.where(b < 0.0, above, -z), 0.0)
    return special.log_or_minus_inf(part) - ops.log(whole) - away * (t + 0.5 * away)


class TruncatedNormal(Distribution):
    r"""The normal distribution, given that it is between two ends.

    $p(x) \propto \exp(-z^2/2),\ z = (x - \mu)/\sigma$ for $\mathrm{low} \le x \le \mathrm{high}$

    Args:
        loc: mean before truncation, tensor broadcastable with the others, in the unit of the data.
            Default 0.
        scale: standard deviation before truncation, positive, same unit. Default 1.
        low: lower end, same unit; may be -inf, the default.
        high: upper end, above `low`, same unit; may be inf, the default.

    Raises:
        ValueError: if a scale is not positive, `low` is not below `high` or the shapes do not
            broadcast.

    Densities count from the point of the interval that is nearest to `loc`, so that no mass
    underflows and no two large numbers are subtracted; samples have gradients to all parameters.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, section 13.10.1.

    >>> TruncatedNormal(loc=[0.0, 1.0], scale=1.0, low=0.0)
    TruncatedNormal(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)
    low: Tensor = parameter(constraints.real, -math.inf)
    high: Tensor = parameter(constraints.real, math.inf)

    def _check(self) -> None:
        super()._check()
        check_order(self._family, self.low, self.high)

    def _support(self) -> tuple[Tensor, Tensor]:
        return self.low, self.high

    def _landmarks(self) -> tuple[Tensor, ...]:
        mean, spread = self._mean(), ops.sqrt(self._variance())
        marks = [mean + k * spread for k in (0, -1, 1, -2, 2)]
        return between(marks, self.low, self.high)

    def _clip(self, x: Tensor) -> Tensor:
        """The nearest finite value of the interval."""
        limit = float(special.finfo(self.low).max)
        x = special.minimum(special.maximum(x, -limit), limit)
        return special.minimum(special.maximum(x, self.low), self.high)

    def _in_scales(self, difference: Tensor) -> Tensor:
        """A difference as a number of scales, at most a number whose square is finite."""
        limit = _limit(difference)
        near = ops.abs(difference) < limit * self.scale
        # A quotient whose derivative does not need the square of the scale, which may underflow.
        log_scale = ops.log(self.scale)
        number = special.where(near, difference, 0.0) / ops.stop_gradient(self.scale)
        number = number * ops.exp(ops.stop_gradient(log_scale) - log_scale)
        return ops.where(near, number, limit * ops.sign(difference))

    def _standard_ends(self) -> tuple[Tensor, Tensor, Tensor]:
        """Both ends and their distance, in scales from loc."""
        a, b = self._in_scales(self.low - self.loc), self._in_scales(self.high - self.loc)
        return a, b, self._in_scales(self.high - self.low)

    def _standard(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, and its distances from both ends, in scales."""
        gaps = self._in_scales(x - self.low), self._in_scales(self.high - x)
        return (self._in_scales(x - self.loc), *gaps)

    def _log_prob(self, x: Tensor) -> Tensor:
        inner = self._clip(x)
        a, b, width = self._standard_ends()
        z, below, above = self._standard(inner)
        t, whole = _mass(a, b, width)
        away = ops.where(a > 0.0, below, ops.where(b < 0.0, above, ops.abs(z)))
        log_prob = -away * (t + 0.5 * away) - ops.log(whole) - ops.log(self.scale)
        outside = (x < self.low) | (x > self.high) | (ops.abs(x) == math.inf)
        return special.where(x != x, math.nan, special.where(outside, -math.inf, log_prob))

    def _log_cdf(self, x: Tensor) -> Tensor:
        a, b, width = self._standard_ends()
        z, below, above = self._standard(self._clip(x))
        log_cdf = _log_share(a, z, b, (below, above, width))
        log_cdf = special.where(x <= self.low, -math.inf, log_cdf)
        return special.where(x != x, math.nan, special.where(x >= self.high, 0.0, log_cdf))

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._mirrored()._log_cdf(-x)

    def _mirrored(self) -> TruncatedNormal:
        """The distribution of -X."""
        return TruncatedNormal.trusted(
            loc=-self.loc, scale=self.scale, low=-self.high, high=-self.low
        )

    def _quantile(self, p: Tensor) -> Tensor:
        p = p + 0.0 * self.scale
        ends = (p <= 0.0) | (p >= 1.0)
        inner = special.where(ends, 0.5, p)
        x = ops.stop_gradient(self._clip(self._searched(inner)))
        below, above = (ops.exp(tail) for tail in (self._log_cdf(x), self._log_survival(x)))
        rest = ops.where(inner > 0.5, 1.0 - inner - above, below - inner)
        slope = ops.stop_gradient(ops.exp(self._log_prob(x)))
        usable = (slope > 0.0) & (slope < math.inf)
        # A last step of Newton resolves values near an end, and brings the implicit gradient.
        step = special.where(usable, rest / special.where(usable, slope, 1.0), 0.0)
        return ops.where(ends, ops.where(p <= 0.0, self.low, self.high), self._clip(x - step))

    def _searched(self, p: Tensor) -> Tensor:
        """The quantile without gradient, by its distance u from the mode in scales.

        Newton's method on log P(between the mode and u) in log u, or on log P(beyond u) in u, the
        latter before truncation. Both are concave, and start where the steps do not overshoot.
        """
        a, b, width = (end + 0.0 * p for end in self._standard_ends())
        t, first, second = _pieces(a, b, width)
        upper, lower = a > 0.0, b < 0.0
        above, below = _half(second), _tail(t, first)
        tiny, endless = float(special.finfo(p).tiny), special.full_like(p, _limit(p))
        whole = special.maximum(above + below, tiny)
        # The probabilities above and below the mode; exact where one is nothing.
        above = special.where(upper, 1.0, special.where(lower, 0.0, above / whole))
        below = special.where(upper, 0.0, special.where(lower, 1.0, below / whole))
        up = p > below
        length = ops.where(up & ~upper, second, first)
        rest = ops.where(up, 1.0 - p, p)
        inner = special.maximum(ops.where(up, p - below, (1.0 - p) - above), tiny)
        outer = rest < inner
        log_inner = ops.log(inner) + ops.log(whole)
        beyond_end = ops.exp(-length * (t + 0.5 * length)) * _tail(t + length, endless)
        log_rest = ops.log(special.maximum(rest * whole + beyond_end, tiny))

        def improve(_: Tensor, u: Tensor) -> Tensor:
            near = _tail(ops.where(outer, t + u, t), ops.where(outer, endless, u))
            energy = u * (t + 0.5 * u)
            inward = (log_inner - ops.log(near)) * near / u * ops.exp(special.minimum(energy, 9.0))
            outward = u + (ops.log(near) - energy - log_rest) * near
            u = ops.where(outer, outward, u * ops.exp(special.minimum(inward, 9.0)))
            return special.minimum(special.maximum(u, tiny), length)

        farthest = _reach(t, special.maximum(ops.log(_tail(t, endless)) - log_rest, 0.0))
        start = ops.where(outer, special.minimum(farthest, length), ops.exp(log_inner))
        start = ops.stop_gradient(special.maximum(start, tiny))
        distance = self.scale * ops.fori_loop(0, _STEPS, improve, start)
        return self._mode() + ops.where(up, distance, -distance)

    def _mode(self) -> Tensor:
        return self._clip(self.loc)

    def _offsets(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What an expectation takes: nodes on a last axis, and the mass.

        Of the nodes, offsets from the mode in scales, their energies and their probabilities.
        """
        a, b, width = self._standard_ends()
        t, first, second = _pieces(a, b, width)
        one, two = _steps(t, first), _steps(0.0 * t, second)
        offset = ops.concatenate([ops.where(a[..., None] > 0.0, one[0], -one[0]), two[0]], axis=-1)
        energy, weight = (ops.concatenate([one[i], two[i]], axis=-1) for i in (1, 2))
        mass = special.maximum(ops.sum(weight, axis=-1), float(special.finfo(weight).tiny))
        return offset, energy, weight / mass[..., None], mass

    def _mean(self) -> Tensor:
        offset, _, probability, _ = self._offsets()
        return self._mode() + self.scale * ops.sum(offset * probability, axis=-1)

    def _variance(self) -> Tensor:
        offset, _, probability, _ = self._offsets()
        mean = ops.sum(offset * probability, axis=-1, keepdims=True)
        square = ops.sum(ops.square(offset - mean) * probability, axis=-1)
        return ops.square(self.scale) * square

    def _entropy(self) -> Tensor:
        _, energy, probability, mass = self._offsets()
        return ops.sum(energy * probability, axis=-1) + ops.log(mass) + ops.log(self.scale)
