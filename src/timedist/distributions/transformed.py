"""The distribution of a monotone function of a variable."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from keras import ops

from timedist.distributions import numerical
from timedist.distributions.base import Distribution
from timedist.distributions.composite import Composite, refuse_masses
from timedist.distributions.fields import component
from timedist.distributions.pushforward import Pushforward, typical
from timedist.distributions.shapes import static_shape
from timedist.distributions.transforms import Transform
from timedist.distributions.value import Shape
from timedist.ops import compat, special

Tensor = Any


class TransformedDistribution(Pushforward, Composite):
    r"""The distribution of $Y = f(X)$ for a monotone map $f$ and a scalar $X$.

    $\log p_Y(y) = \log p_X(x) - \log |f'(x)|,\ x = f^{-1}(y)$

    Args:
        base: continuous distribution of X, with scalar events.
        transform: a `timedist.distributions.transforms.Transform`, increasing or decreasing, whose
            parameters broadcast to the batch shape of `base`.

    Raises:
        TypeError: if `base` is no distribution or `transform` no transform.
        ValueError: if the base is discrete, in single values too as `Hurdle` is, its events are no
            scalars, the shapes do not fit, or the transform is not defined on the whole support of
            the base.

    Quantiles are those of the base, transformed. Mean and variance are those of the base where the
    transform is linear, else exact by quadrature where they exist: a mean that is infinite, as
    that of 1/X of an exponential X, comes out as a large number. Entropy and CRPS are exact by
    quadrature; the mode has no formula. The divergence between two distributions with the same
    transform is that of the bases.

    Source: Papoulis, Pillai: Probability, Random Variables and Stochastic Processes, section 5.2.

    >>> from timedist.distributions import Normal, transforms
    >>> TransformedDistribution(Normal([0.0, 1.0], 1.0), transforms.Affine(scale=[2.0, 3.0]))
    Transformed(Normal)(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    base: Any = component()
    transform: Any = component()
    absent: ClassVar[dict[str, str]] = {
        "mode": "it has no formula under a transform; use `.median()`"
    }

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        for name, kind in (("base", Distribution), ("transform", Transform)):
            if not isinstance(values[name], kind):
                raise TypeError(
                    f"TransformedDistribution: {name} must be a {kind.__name__.lower()}, got "
                    f"{type(values[name]).__name__}"
                )
        values = super()._prepared(values)
        shape = values["base"].batch_shape
        if any(static_shape(leaf) != shape for leaf in values["transform"].leaves()):
            values["transform"] = _broadcast(values["transform"], values["base"])
        return values

    def _check(self) -> None:
        if self.base.event_shape or self.base.discrete:
            raise ValueError(
                "TransformedDistribution: base must be continuous with scalar events, got "
                f"{self.base!r}"
            )
        refuse_masses("TransformedDistribution", self.base)
        zero = self.base._zeros()
        ends = [*numerical.support(self.base), *(end + zero for end in self.transform.domain)]
        if all(compat.is_concrete(end) for end in ends):
            low, high, least, greatest = (compat.to_numpy(end) for end in ends)
            if np.any(low < least) or np.any(high > greatest):
                raise ValueError(
                    f"TransformedDistribution: {type(self.transform).__name__} takes values from "
                    f"{np.max(least):g} to {np.min(greatest):g}, but {self.base!r} has values from "
                    f"{np.min(low):g} to {np.max(high):g}"
                )

    @property
    def _decreasing(self) -> bool:
        return self.transform.decreasing

    def _batch_shape(self) -> Shape:
        return self.base.batch_shape

    def _base(self) -> Any:
        return self.base

    def _forward(self, x: Tensor) -> Tensor:
        return self.transform.forward(x)

    def _inverse(self, y: Tensor) -> Tensor:
        low, high = self.base._hook("support")()
        x = self.transform.inverse(y)
        x = x if numerical.is_endless(high) else special.minimum(x, high)
        return x if numerical.is_endless(low) else special.maximum(x, low)

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        return self.transform.log_slope(x)

    def _support(self) -> tuple[Tensor | float, Tensor | float]:
        low, high = self.base._hook("support")()
        low, high = self._forward_end(low, 0), self._forward_end(high, 1)
        return (high, low) if self._decreasing else (low, high)

    def _forward_end(self, end: Tensor | float, number: int) -> Tensor | float:
        """Where an end of the base goes: one of the domain, whatever the parameters, to its own."""
        limit = self.transform.domain[number]
        if isinstance(end, float) and isinstance(limit, float) and end == limit:
            return self.transform.codomain[1 - number if self._decreasing else number]
        return self._forward(end + self.base._zeros())

    def _regular_ends(self) -> tuple[Tensor | bool, Tensor | bool]:
        """Ends that X can take inside the domain of the transform, where nothing is singular."""
        least, greatest = self.transform.domain
        ends = self.base._hook("support")()
        low, high = ((least < end) & (end < greatest) for end in ends)
        return (high, low) if self._decreasing else (low, high)

    def _log_prob_at_ends(self) -> tuple[Tensor | float, Tensor | float]:
        low, high = (self._limit(end) for end in self.base._hook("support")())
        return (high, low) if self._decreasing else (low, high)

    def _limit(self, end: Tensor | float) -> Tensor | float:
        """The log density at an end of the base: -inf if X only tends to it, or if unknown."""
        if numerical.is_endless(end):
            return -math.inf
        end = end + self.base._zeros()
        finite = ops.abs(end) < math.inf
        x = ops.where(finite, end, typical(self.base))
        limit = self.base._hook("log_prob")(x) - self.transform.log_slope(x)
        return ops.stop_gradient(special.where(finite & (limit == limit), limit, -math.inf))

    def _mean(self) -> Tensor:
        if self.transform._slope() is None:
            return numerical.mean(self)
        return self.transform.forward(self.base._hook("mean")())

    def _variance(self) -> Tensor:
        slope = self.transform._slope()
        if slope is None:
            return numerical.variance(self)
        return slope * slope * self.base._hook("variance")()

    def _entropy(self) -> Tensor:
        growth = numerical.expectation(self.base, lambda x, _: self.transform.log_slope(x))
        return self.base._hook("entropy")() + growth

    def _kl(self, other: TransformedDistribution) -> Tensor:
        if _same(self.transform, other.transform):
            return self.base.kl_divergence(other.base)
        return numerical.kl_divergence(self, other)


def _broadcast(transform: Transform, base: Distribution) -> Transform:
    """The transform with parameters of the batch shape of the base."""
    zeros = base._zeros()
    shapes = [static_shape(leaf) for leaf in transform.leaves()]
    try:
        transform = transform.map_leaves(lambda leaf: leaf + zeros)
        fits = all(len(leaf.shape) == len(zeros.shape) for leaf in transform.leaves())
        fits = fits and all(
            static_shape(leaf) == base.batch_shape or None in base.batch_shape
            for leaf in transform.leaves()
        )
    except Exception:  # each backend has its own class for shapes that do not fit
        fits = False
    if not fits:
        raise ValueError(
            f"TransformedDistribution: the parameters of the transform have shapes {shapes}, which "
            f"do not broadcast to the batch shape {base.batch_shape} of {base!r}"
        )
    return transform


def _same(mine: Transform, other: Transform) -> bool:
    """Whether two transforms are known to be equal."""
    if type(mine) is not type(other) or mine._structure() != other._structure():
        return False
    pairs = zip(mine._children(), other._children(), strict=True)
    return all(
        _same(a, b) if isinstance(a, Transform) else a is b or _equal_numbers(a, b)
        for a, b in pairs
    )


def _equal_numbers(a: Tensor, b: Tensor) -> bool:
    return (
        compat.is_concrete(a)
        and compat.is_concrete(b)
        and np.array_equal(compat.to_numpy(a), compat.to_numpy(b))
    )
