"""Families on the real line that lean to one side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import closed_crps, constraints, divergences, entropies, solve
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import LocationScale
from timedist.distributions.fields import parameter
from timedist.ops import compat, random, special

Tensor = Any

_LOG_2 = math.log(2.0)
_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


class AsymmetricLaplace(LocationScale):
    r"""The asymmetric Laplace distribution: exponential tails of two rates.

    $p(x) = \frac{1}{\sigma (\kappa + 1/\kappa)} \exp(-\kappa z)$ for $z \ge 0$, with
    $\exp(z/\kappa)$ for $z < 0$, where $z = (x - \mu)/\sigma$

    Its likelihood in `loc` is the pinball loss of the quantile $\kappa^2 / (1 + \kappa^2)$.

    Args:
        loc: mode, tensor broadcastable with the others, in the unit of the data. Default 0.
        scale: positive, same unit. Default 1.
        skewness: $\kappa$, positive: SciPy's `kappa` and NumPyro's `asymmetry`; below 1 it leans
            to the right, above 1 to the left. Default 1, the Laplace distribution.

    Raises:
        ValueError: if `scale` or `skewness` is not positive or the shapes do not broadcast.

    Source: Kozubowski, Podgorski: A multivariate and asymmetric generalization of Laplace
    distribution (2000).

    >>> AsymmetricLaplace(0.0, [1.0, 2.0], skewness=0.5)
    AsymmetricLaplace(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    skewness: Tensor = parameter(constraints.positive, 1.0)

    def _log_sides(self) -> tuple[Tensor, Tensor]:
        """log P(Z < 0) and log P(Z > 0)."""
        log_square = 2.0 * ops.log(self.skewness)
        return special.log_sigmoid(log_square), special.log_sigmoid(-log_square)

    def _tails(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """log P(Z <= z), right for z <= 0, and log P(Z > z), right for z >= 0."""
        left, right = self._log_sides()
        below, above = special.minimum(z, 0.0), special.maximum(z, 0.0)
        return left + below / self.skewness, right - above * self.skewness

    def _log_prob(self, x: Tensor) -> Tensor:
        z = self._z(x)
        exponent = special.minimum(z, 0.0) / self.skewness - special.maximum(z, 0.0) * self.skewness
        return exponent + self._log_peak() - ops.log(self.scale)

    def _log_peak(self) -> Tensor:
        """log density of Z at 0, - log(skewness + 1 / skewness)."""
        return 0.5 * sum(self._log_sides())

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        lower, upper = self._tails(z)
        return ops.where(z < 0.0, lower, special.log1mexp(upper))

    def _std_log_survival(self, z: Tensor) -> Tensor:
        lower, upper = self._tails(z)
        return ops.where(z < 0.0, special.log1mexp(lower), upper)

    def _std_quantile(self, p: Tensor) -> Tensor:
        left, right = self._log_sides()
        lower = p < ops.exp(left)
        below, above = special.where(lower, p, 0.5), special.where(lower, 0.5, p)
        return ops.where(
            lower,
            (ops.log(below) - left) * self.skewness,
            (right - ops.log1p(-above)) / self.skewness,
        )

    def _std_noise(self, shape: tuple, seed: random.Seed) -> Tensor:
        first, second = (
            ops.log(random.uniform(shape, self.dtype, s)) for s in random.split(seed, 2)
        )
        return first * self.skewness - second / self.skewness

    def _mean(self) -> Tensor:
        return self.loc + self.scale * (1.0 / self.skewness - self.skewness)

    def _variance(self) -> Tensor:
        return ops.square(self.scale / self.skewness) + ops.square(self.scale * self.skewness)

    def _mode(self) -> Tensor:
        return self.loc

    _entropy = entropies.asymmetric_laplace
    _crps = closed_crps.asymmetric_laplace

    def _landmarks(self) -> tuple[Tensor, ...]:
        return (
            self.loc,
            self.loc - self.scale * self.skewness,
            self.loc + self.scale / self.skewness,
        )


class Gumbel(LocationScale):
    r"""The Gumbel distribution: the largest of many values with light tails.

    $F(x) = \exp(-\exp(-z)),\ z = (x - \mu)/\sigma$

    Args:
        loc: mode, tensor broadcastable with `scale`, in the unit of the data. Default 0.
        scale: positive, same unit; the standard deviation is scale times pi / sqrt(6). Default 1.

    Raises:
        ValueError: if a scale is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 2, chapter 22.

    >>> Gumbel(0.0, [1.0, 2.0])
    Gumbel(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        # Far below, where exp(-z) is infinite, z must not be.
        least = -1e4 * ops.stop_gradient(self.scale)
        z = special.maximum(x - self.loc, least) / self.scale
        return -z - ops.exp(-z) - ops.log(self.scale)

    def _std_log_cdf(self, z: Tensor) -> Tensor:
        # So large at most that its product with a cdf of zero is zero.
        most = math.log(float(special.finfo(z).max)) - 1.0
        finite = -ops.exp(-special.maximum(z, -most))
        return special.where(z < -most, -math.inf, finite)

    def _std_log_survival(self, z: Tensor) -> Tensor:
        far = z > 20.0
        near = special.log1mexp(self._std_log_cdf(special.where(far, 0.0, z)))
        return ops.where(far, -z - 0.5 * ops.exp(-special.where(far, z, 0.0)), near)

    def _std_quantile(self, p: Tensor) -> Tensor:
        return -ops.log(-ops.log(p))

    def _mean(self) -> Tensor:
        return self.loc + np.euler_gamma * self.scale

    def _variance(self) -> Tensor:
        return (math.pi**2 / 6.0) * ops.square(self.scale)

    def _mode(self) -> Tensor:
        return self.loc

    _entropy = entropies.gumbel
    _kl = divergences.gumbel


class NormalScore(Distribution):
    """Parent of the families where a function of asinh((x - loc) / width) is standard normal.

    With u for that asinh, a family writes how u becomes the normal score z and back.
    """

    loc: Tensor = parameter(constraints.real, 0.0)
    scale: Tensor = parameter(constraints.positive, 1.0)
    skewness: Tensor = parameter(constraints.real, 0.0)
    tailweight: Tensor = parameter(constraints.positive, 1.0)

    def _log_width(self) -> Tensor:
        """log of what x - loc is divided by."""
        raise NotImplementedError

    def _score(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """z and log dz/du."""
        raise NotImplementedError

    def _unscore(self, z: Tensor) -> Tensor:
        """u."""
        raise NotImplementedError

    def _downhill(self, u: Tensor) -> Tensor:
        """Minus the slope of the log density in u; its root is between 0 and the median's u."""
        raise NotImplementedError

    def _u(self, x: Tensor) -> Tensor:
        return special.asinh_ratio(x - self.loc, self._log_width())

    def _x(self, u: Tensor) -> Tensor:
        return self.loc + special.exp_sinh(self._log_width(), u)

    def _z(self, x: Tensor) -> Tensor:
        return self._score(self._u(x))[0]

    def _log_prob(self, x: Tensor) -> Tensor:
        u = self._u(x)
        z, log_slope = self._score(u)
        # So far out that the slope of the square could be infinite, it is flat.
        far = 1e-3 * float(special.finfo(z).max) ** 0.5
        z = special.minimum(special.maximum(z, -far), far)
        log_normal = -0.5 * ops.square(z) - _LOG_SQRT_2PI
        return log_normal + log_slope - special.log_cosh(u) - self._log_width()

    def _cdf(self, x: Tensor) -> Tensor:
        return special.ndtr(self._z(x))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return special.log_ndtr(self._z(x))

    def _survival(self, x: Tensor) -> Tensor:
        return special.ndtr(-self._z(x))

    def _log_survival(self, x: Tensor) -> Tensor:
        return special.log_ndtr(-self._z(x))

    def _quantile(self, p: Tensor) -> Tensor:
        return self._x(self._unscore(special.ndtri(p)))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        shape = (*sample_shape, *ops.shape(self.loc))
        return self._x(self._unscore(random.normal(shape, self.dtype, seed)))

    def _mode(self) -> Tensor:
        median = self._unscore(ops.zeros_like(self.loc))
        low, high = special.minimum(median, 0.0), special.maximum(median, 0.0)
        root = solve.increasing_root(self._downhill, low, high)
        step = compat.epsilon(root) ** (1 / 3)
        slope = (self._downhill(root + step) - self._downhill(root - step)) / (2.0 * step)
        return self._x(solve.with_implicit_gradient(root, self._downhill(root), slope))


class SinhArcsinh(NormalScore):
    r"""The sinh-arcsinh distribution: a normal one with skewness and tails of its own.

    $X = \mu + \sigma c \sinh(\tau (\operatorname{asinh} Z + \varepsilon))$, Z standard normal,
    $c = 2 / \sinh(\tau \operatorname{asinh} 2)$

    Args:
        loc: tensor broadcastable with the others, in the unit of the data; the median without
            skewness. Default 0.
        scale: positive, same unit; without skewness two scales above `loc` lie 2.3 % of the mass,
            whatever the tails. Default 1.
        skewness: $\varepsilon$, positive for a longer tail to the right. Default 0.
        tailweight: $\tau$, positive; above 1 the tails are heavier than normal. Default 1.

    Raises:
        ValueError: if `scale` or `tailweight` is not positive or the shapes do not broadcast.

    Source: Jones, Pewsey: Sinh-arcsinh distributions (2009), with the parameters of TFP.

    >>> SinhArcsinh(0.0, [1.0, 2.0], skewness=0.5, tailweight=1.2)
    SinhArcsinh(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_width(self) -> Tensor:
        end = self.tailweight * math.asinh(2.0)
        return ops.log(self.scale) + 2.0 * _LOG_2 - end - ops.log(-ops.expm1(-2.0 * end))

    def _asinh_score(self, u: Tensor) -> Tensor:
        """asinh of z, cut where half the square of z becomes infinite."""
        most = 0.5 * math.log(float(special.finfo(u).max)) + 1.5 * _LOG_2 + 0.01
        v = u / self.tailweight - self.skewness
        return special.minimum(special.maximum(v, -most), most)

    def _score(self, u: Tensor) -> tuple[Tensor, Tensor]:
        v = self._asinh_score(u)
        return special.sinh(v), special.log_cosh(v) - ops.log(self.tailweight)

    def _unscore(self, z: Tensor) -> Tensor:
        return self.tailweight * (special.asinh(z) + self.skewness)

    def _downhill(self, u: Tensor) -> Tensor:
        v = self._asinh_score(u)
        return special.tanh(u) + special.tanh(v) * ops.square(special.sinh(v)) / self.tailweight


class JohnsonSU(NormalScore):
    r"""Johnson's S_U distribution: the asinh of the value is normal.

    $Z = \gamma + \delta \operatorname{asinh}((X - \mu)/\sigma)$ is standard normal.

    Args:
        skewness: $\gamma$, tensor broadcastable with the others; positive for a longer tail to the
            left.
        tailweight: $\delta$, positive; the smaller, the heavier the tails.
        loc: tensor in the unit of the data; the median without skewness. Default 0.
        scale: positive, same unit. Default 1.

    Raises:
        ValueError: if `scale` or `tailweight` is not positive or the shapes do not broadcast.

    Source: Johnson, Kotz, Balakrishnan: Continuous Univariate Distributions 1, section 12.4.3.

    >>> JohnsonSU(skewness=-1.0, tailweight=2.0, loc=[0.0, 1.0])
    JohnsonSU(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    skewness: Tensor = parameter(constraints.real)
    tailweight: Tensor = parameter(constraints.positive)

    def _log_width(self) -> Tensor:
        return ops.log(self.scale)

    def _score(self, u: Tensor) -> tuple[Tensor, Tensor]:
        return self.skewness + self.tailweight * u, ops.log(self.tailweight)

    def _unscore(self, z: Tensor) -> Tensor:
        return (z - self.skewness) / self.tailweight

    def _downhill(self, u: Tensor) -> Tensor:
        return self.tailweight * (self.skewness + self.tailweight * u) + special.tanh(u)

    def _mean(self) -> Tensor:
        growth = ops.exp(0.5 / ops.square(self.tailweight))
        return self.loc - self.scale * growth * special.sinh(self.skewness / self.tailweight)

    def _variance(self) -> Tensor:
        square = 1.0 / ops.square(self.tailweight)
        spread = ops.exp(square) * special.cosh(2.0 * self.skewness / self.tailweight) + 1.0
        return 0.5 * ops.square(self.scale) * ops.expm1(square) * spread
