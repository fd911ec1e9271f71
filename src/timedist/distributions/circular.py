"""Families of angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import constraints, divergences, entropies, solve
from timedist.distributions.base import Distribution
from timedist.distributions.fields import parameter
from timedist.ops import bessel, compat, random, special

Tensor = Any

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_LARGEST_DROP = 40.0
_PROPOSALS = 24
_PI_HIGH, _PI_LOW = 3.1415927410125732, -8.742278000372485e-08  # pi, in two float32


class VonMises(Distribution):
    r"""The von Mises distribution, the normal distribution of angles.

    $p(x) = \exp(\kappa \cos(x - \mu)) / (2 \pi I_0(\kappa))$

    The density has period $2\pi$. All else takes the angles as numbers from loc - pi to loc + pi:
    `cdf` is 0 below and 1 above, `quantile` and `sample` lie there, `crps` is in radians.

    Args:
        loc: circular mean and mode, tensor broadcastable with `concentration`, in radians; `mean()`
            gives it back.
        concentration: $\kappa$, positive; for large values the standard deviation is about
            $\kappa^{-1/2}$. `variance()` is the circular variance $1 - I_1(\kappa)/I_0(\kappa)$,
            as in TFP.

    Raises:
        ValueError: if `concentration` is not positive or the shapes do not broadcast.

    Source: Mardia, Jupp: Directional Statistics (2000), section 3.5.4.

    >>> VonMises(loc=[0.0, 1.0], concentration=2.0)
    VonMises(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    loc: Tensor = parameter(constraints.real)
    concentration: Tensor = parameter(constraints.positive)

    def _std_log_prob(self, z: Tensor) -> Tensor:
        exponent = -2.0 * self.concentration * ops.square(special.sin(0.5 * z))
        return exponent - bessel.log_i0e(self.concentration) - math.log(2.0 * math.pi)

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._std_log_prob(x - self.loc)

    def _reach(self, z: Tensor) -> Tensor:
        """How far below z, at most down to -pi, the density is not negligible to that at z."""
        sine, cosine = special.sin(-0.5 * z), special.cos(0.5 * z)
        gap = 0.5 * _LARGEST_DROP / self.concentration
        rest = ops.square(cosine) - gap
        whole = rest <= 0.0
        gap = special.where(whole, 0.25, gap)
        rest, cosine = special.where(whole, 0.0, rest), special.where(whole, 0.5, cosine)
        far_sine = ops.sqrt(ops.square(sine) + gap)
        # sin(a - b) from the squares of the sines of a and b, whose difference is the gap
        ratio = gap / (far_sine * cosine + sine * ops.sqrt(rest))
        part = 2.0 * special.arcsin(special.minimum(ratio, 1.0))
        # Two summands, so that float32 resolves the distance to -pi. XLA would add the constants up
        # if the second were one.
        whole_reach = (z + _PI_HIGH) + (_PI_LOW + 0.0 * z)
        return ops.where(whole, whole_reach, ops.stop_gradient(part))

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        """log P(Z <= z) for -pi <= z <= 0, by Gauss-Legendre quadrature."""
        reach = self._reach(z)
        dtype = compat.dtype_of(z)
        node, weight = (compat.to_tensor(t, dtype) for t in (0.25 + 0.25 * _NODES, 0.5 * _WEIGHTS))
        half = reach[..., None] * node
        sines = special.sin(half) * special.sin(half - z[..., None])
        drop = 2.0 * self.concentration[..., None] * sines
        mass = reach * ops.sum(weight * ops.exp(-drop), axis=-1)
        return self._std_log_prob(z) + special.log_or_minus_inf(mass)

    def _log_lower_tail(self, z: Tensor) -> Tensor:
        """log P(Z <= -|z|)."""
        return self._std_log_cdf(special.maximum(special.minus_abs(z), -math.pi))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._log_side(x - self.loc)

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._log_side(self.loc - x)

    def _log_side(self, z: Tensor) -> Tensor:
        tail = self._log_lower_tail(z)
        return ops.where(z < 0.0, tail, special.log1mexp(tail))

    def _quantile(self, p: Tensor) -> Tensor:
        lower = p < 0.5
        tail = ops.where(lower, p, 1.0 - p) + 0.0 * self.loc
        end = tail <= 0.0
        z = self._lower_quantile(special.where(end, 0.25, tail))
        z = special.where(end, -math.pi, z)
        return self.loc + ops.where(lower, z, -z)

    def _lower_quantile(self, tail: Tensor) -> Tensor:
        """The z <= 0 with P(Z <= z) = tail."""
        target = ops.log(tail)
        least = math.log(float(special.finfo(tail).tiny)) - 1.0

        def residual(z: Tensor) -> Tensor:
            return special.maximum(self._std_log_cdf(z), least) - target

        # Below 0 the cdf is convex, and its slope at most the density at 0.
        peak = ops.exp(self._std_log_prob(ops.zeros_like(tail)))
        root = solve.increasing_root(residual, -math.pi * (1.0 - 2.0 * tail), (tail - 0.5) / peak)
        return self._with_gradient(root, target)

    def _with_gradient(self, z: Tensor, log_cdf: Tensor) -> Tensor:
        """z <= 0 with the gradient by which its log cdf stays what is given."""
        z = special.maximum(z, -math.pi * (1.0 - 4.0 * compat.epsilon(z)))
        actual = self._std_log_cdf(z)
        slope = ops.exp(self._std_log_prob(z) - actual)
        return solve.with_implicit_gradient(z, actual - log_cdf, slope)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        z = self._noise(sample_shape, seed)
        lower = self._with_gradient(special.minus_abs(z), ops.zeros_like(z))
        return self.loc + ops.where(z < 0.0, lower, -lower)

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.loc + self._noise(sample_shape, seed)

    def _noise(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        """Draws of Z without gradient, the first accepted of many from a wrapped Cauchy law.

        At least 0.658 are accepted, so that all are refused once in 10^11 draws.

        Source: Best, Fisher: Efficient Simulation of the von Mises Distribution (1979).
        """
        kappa = ops.stop_gradient(special.maximum(self.concentration, 1e-10))[..., None]
        shape = (*sample_shape, *ops.shape(self.loc), _PROPOSALS)
        first, second = (random.uniform(shape, self.dtype, s) for s in random.split(seed, 2))
        width = 0.5 / kappa
        width = width + ops.square(width) / (1.0 + ops.sqrt(1.0 + ops.square(width)))
        angle = math.pi * (first - 0.5)
        sine, cosine = ops.square(special.sin(angle)), ops.square(special.cos(angle))
        sine = width * sine / (width + 2.0 * cosine)
        energy = kappa * (width + 2.0 * sine)
        accepted = ops.log(energy / second) + 1.0 - energy >= 0.0
        chosen = ops.argmax(ops.cast(accepted, "int32"), axis=-1)[..., None]
        z = 2.0 * special.arcsin(ops.sqrt(special.minimum(sine, 1.0)))
        z = ops.where(first < 0.5, -z, z)
        return ops.stop_gradient(ops.take_along_axis(z, chosen, axis=-1)[..., 0])

    def _mean(self) -> Tensor:
        return self.loc

    def _mode(self) -> Tensor:
        return self.loc

    def _variance(self) -> Tensor:
        return bessel.one_minus_i1_over_i0(self.concentration)

    _entropy = entropies.von_mises
    _kl = divergences.von_mises

    def _support(self) -> tuple[Tensor, Tensor]:
        return self.loc - math.pi, self.loc + math.pi

    def _landmarks(self) -> tuple[Tensor, ...]:
        spread = special.minimum(1.0 / ops.sqrt(self.concentration), 1.0)
        return self.loc, self.loc - 2.0 * spread, self.loc + 2.0 * spread
