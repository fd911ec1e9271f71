"""Positive semidefinite kernels: the covariance functions of Gaussian processes, as values."""

from __future__ import annotations

import math
import re
from typing import Any

from keras import ops

from timedist.distributions import constraints
from timedist.distributions.fields import component, parameter
from timedist.distributions.kernel import Kernel, Product, Sum
from timedist.ops import special

Tensor = Any

__all__ = [
    "Constant",
    "ExpSinSquared",
    "ExponentiatedQuadratic",
    "FeatureScaled",
    "Kernel",
    "Linear",
    "MaternFiveHalves",
    "MaternOneHalf",
    "MaternThreeHalves",
    "Product",
    "RationalQuadratic",
    "Stationary",
    "Sum",
    "named",
]


class Stationary(Kernel):
    """Parent of the kernels of the distance of two points; write `_correlation(squared)`."""

    amplitude: Tensor = parameter(constraints.positive, 1.0)
    length_scale: Tensor = parameter(constraints.positive, 1.0)

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        gap = (x1 - x2) / self.length_scale[..., None]
        return ops.square(self.amplitude) * self._correlation(ops.sum(ops.square(gap), axis=-1))

    def _correlation(self, squared: Tensor) -> Tensor:
        """k / amplitude^2 as a function of the squared distance in length scales."""
        raise NotImplementedError


def _distance(squared: Tensor) -> Tensor:
    """The square root, with gradient zero at 0."""
    return special.only_where(squared > 0.0, ops.sqrt, squared, inside=1.0, outside=0.0)


class ExponentiatedQuadratic(Stationary):
    r"""The kernel of infinitely smooth functions, also called RBF or squared exponential.

    $k(x, y) = a^2 \exp(-r^2 / 2),\ r = \lVert x - y \rVert / l$

    Args:
        amplitude: a, standard deviation of the functions, positive, in their unit. Default 1.
        length_scale: l, the distance over which they change, positive, in the unit of the points.
            Default 1. For one length scale for each feature see `FeatureScaled`.

    Raises:
        ValueError: if a parameter is not positive.

    Source: Rasmussen, Williams (2006), equation 4.9.

    >>> kernel = ExponentiatedQuadratic(2.0, length_scale=0.5)
    >>> float(kernel.apply([0.0], [0.0], example_ndims=0))
    4.0
    """

    def _correlation(self, squared: Tensor) -> Tensor:
        return ops.exp(-0.5 * squared)


class MaternOneHalf(Stationary):
    r"""The Matérn kernel of order 1/2, of rough functions: the Ornstein-Uhlenbeck process.

    $k(x, y) = a^2 \exp(-r),\ r = \lVert x - y \rVert / l$

    Args:
        amplitude: a, standard deviation of the functions, positive, in their unit. Default 1.
        length_scale: l, positive, in the unit of the points. Default 1.

    Raises:
        ValueError: if a parameter is not positive.

    Source: Rasmussen, Williams (2006), equation 4.18.

    >>> round(float(MaternOneHalf().apply([0.0], [1.0], example_ndims=0)), 4)
    0.3679
    """

    def _correlation(self, squared: Tensor) -> Tensor:
        return ops.exp(-_distance(squared))


class MaternThreeHalves(Stationary):
    r"""The Matérn kernel of order 3/2, of functions with a continuous derivative.

    $k(x, y) = a^2 (1 + z) \exp(-z),\ z = \sqrt{3}\, \lVert x - y \rVert / l$

    Args:
        amplitude: a, standard deviation of the functions, positive, in their unit. Default 1.
        length_scale: l, positive, in the unit of the points. Default 1.

    Raises:
        ValueError: if a parameter is not positive.

    Source: Rasmussen, Williams (2006), equation 4.17.

    >>> round(float(MaternThreeHalves().apply([0.0], [1.0], example_ndims=0)), 4)
    0.4834
    """

    def _correlation(self, squared: Tensor) -> Tensor:
        z = _distance(3.0 * squared)
        return (1.0 + z) * ops.exp(-z)


class MaternFiveHalves(Stationary):
    r"""The Matérn kernel of order 5/2, of functions with two continuous derivatives.

    $k(x, y) = a^2 (1 + z + z^2 / 3) \exp(-z),\ z = \sqrt{5}\, \lVert x - y \rVert / l$

    Args:
        amplitude: a, standard deviation of the functions, positive, in their unit. Default 1.
        length_scale: l, positive, in the unit of the points. Default 1.

    Raises:
        ValueError: if a parameter is not positive.

    Source: Rasmussen, Williams (2006), equation 4.17.

    >>> round(float(MaternFiveHalves().apply([0.0], [1.0], example_ndims=0)), 4)
    0.524
    """

    def _correlation(self, squared: Tensor) -> Tensor:
        z = _distance(5.0 * squared)
        return (1.0 + z + ops.square(z) / 3.0) * ops.exp(-z)


class RationalQuadratic(Stationary):
    r"""The kernel of smooth functions with many length scales at once.

    $k(x, y) = a^2 (1 + r^2 / (2 \alpha))^{-\alpha},\ r = \lVert x - y \rVert / l$

    Args:
        amplitude: a, standard deviation of the functions, positive, in their unit. Default 1.
        length_scale: l, positive, in the unit of the points. Default 1.
        scale_mixture_rate: alpha, positive; the larger, the nearer to one length scale. Default 1.

    Raises:
        ValueError: if a parameter is not positive.

    Source: Rasmussen, Williams (2006), equation 4.19.

    >>> float(RationalQuadratic().apply([0.0], [2.0 ** 0.5], example_ndims=0))
    0.5
    """

    scale_mixture_rate: Tensor = parameter(constraints.positive, 1.0)

    def _correlation(self, squared: Tensor) -> Tensor:
        rate = self.scale_mixture_rate
        return ops.exp(-rate * ops.log1p(squared / (2.0 * rate)))


class ExpSinSquared(Kernel):
    r"""The kernel of periodic functions: seasons that repeat for ever.

    $k(x, y) = a^2 \exp(-2 \sum_i \sin^2(\pi (x_i - y_i) / p) / l^2)$

    A season that changes slowly is `ExpSinSquared(...) * ExponentiatedQuadratic(...)`.

    Args:
        amplitude: a, standard deviation of the functions, positive, in their unit. Default 1.
        length_scale: l, smoothness within a period, positive, without unit. Default 1.
        period: p, positive, in the unit of the points. Default 1.

    Raises:
        ValueError: if a parameter is not positive.

    Source: Rasmussen, Williams (2006), equation 4.31.

    >>> round(float(ExpSinSquared(period=24.0).apply([1.0], [25.0], example_ndims=0)), 4)
    1.0
    """

    amplitude: Tensor = parameter(constraints.positive, 1.0)
    length_scale: Tensor = parameter(constraints.positive, 1.0)
    period: Tensor = parameter(constraints.positive, 1.0)

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        waves = special.sin(math.pi * (x1 - x2) / self.period[..., None])
        gap = waves / self.length_scale[..., None]
        return ops.square(self.amplitude) * ops.exp(-2.0 * ops.sum(ops.square(gap), axis=-1))


class Linear(Kernel):
    r"""The kernel of linear functions: a Gaussian process with it is Bayesian linear regression.

    $k(x, y) = b^2 + s^2 \sum_i (x_i - c)(y_i - c)$

    Args:
        bias_amplitude: b, standard deviation of the functions at c, non-negative, in their unit.
            Default 0.
        slope_amplitude: s, standard deviation of their slopes, non-negative. Default 1.
        shift: c, any real number, in the unit of the points. Default 0.

    Raises:
        ValueError: if an amplitude is negative.

    Source: Rasmussen, Williams (2006), section 4.2.2.

    >>> float(Linear(1.0).apply([2.0, 1.0], [3.0, 1.0], example_ndims=0))
    8.0
    """

    bias_amplitude: Tensor = parameter(constraints.non_negative, 0.0)
    slope_amplitude: Tensor = parameter(constraints.non_negative, 1.0)
    shift: Tensor = parameter(constraints.real, 0.0)

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        shift = self.shift[..., None]
        product = ops.sum((x1 - shift) * (x2 - shift), axis=-1)
        return ops.square(self.bias_amplitude) + ops.square(self.slope_amplitude) * product


class Constant(Kernel):
    """The kernel of functions that are the same everywhere: `k(x, y) = c`.

    Args:
        constant: c, their variance, positive. Default 1.

    Raises:
        ValueError: if it is not positive.

    >>> kernel = Constant(4.0) * MaternOneHalf()
    >>> float(kernel.apply([0.0], [0.0], example_ndims=0))
    4.0
    """

    constant: Tensor = parameter(constraints.positive, 1.0)

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        return self.constant + ops.zeros_like((x1 + x2)[..., 0])


class FeatureScaled(Kernel):
    r"""A kernel of points whose features have scales of their own.

    $k(x, y) = k_0(x / s, y / s)$, feature by feature: automatic relevance determination.

    Args:
        kernel: the kernel $k_0$.
        scale_diag: s, positive, shape `batch_shape + (features,)`, in the units of the features.

    Raises:
        ValueError: if a scale is not positive, or on points with another number of features.

    Source: Rasmussen, Williams (2006), section 5.1.

    >>> kernel = FeatureScaled(ExponentiatedQuadratic(), [1.0, 10.0])
    >>> round(float(kernel.apply([0.0, 0.0], [1.0, 10.0], example_ndims=0)), 4)
    0.3679
    """

    kernel: Any = component()
    scale_diag: Tensor = parameter(constraints.positive, event_rank=1)

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        number, features = self.scale_diag.shape[-1], x1.shape[-1]
        if number not in (1, features):
            raise ValueError(
                f"FeatureScaled: scale_diag has {number} scales, the points have {features} "
                "features"
            )
        return self.kernel._apply(x1 / self.scale_diag, x2 / self.scale_diag)


_NAMED: tuple[type[Kernel], ...] = (
    ExponentiatedQuadratic,
    MaternOneHalf,
    MaternThreeHalves,
    MaternFiveHalves,
    RationalQuadratic,
    ExpSinSquared,
    Linear,
    Constant,
)


def named() -> dict[str, type[Kernel]]:
    """The kernels that need no other, by their names in small letters.

    >>> named()["matern_five_halves"].__name__
    'MaternFiveHalves'
    """
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower(): cls for cls in _NAMED}
