"""Distributions made of other distributions."""

from __future__ import annotations

from typing import Any

from keras import ops

from timedist.distributions.composite import Composite
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import component, static
from timedist.distributions.multivariate import MultivariateNormalTriL
from timedist.distributions.value import Shape
from timedist.ops import linalg, random, special

Tensor = Any


def may_be_equal(left: Shape, right: Shape) -> bool:
    """Whether two shapes agree as far as they are known."""
    return len(left) == len(right) and all(
        a == b for a, b in zip(left, right, strict=True) if a is not None and b is not None
    )


def known_size(shape: Shape) -> int:
    """The number of elements of an event shape, which must be known."""
    total = 1
    for size in shape:
        if size is None:
            raise ValueError(f"the event shape {shape} must be known")
        total *= size
    return total


class Product(Composite):
    """Parent of vectors of independent parts, which write `_log_cdf`: P(every part <= value)."""

    def _survival(self, x: Tensor) -> Tensor:
        return -ops.expm1(self._hook("log_cdf")(x))

    def _log_survival(self, x: Tensor) -> Tensor:
        return special.log1mexp(self._hook("log_cdf")(x))


class Independent(Product):
    r"""Takes trailing batch axes of a distribution as the axes of one event.

    $\log p(x) = \sum_i \log p_i(x_i)$

    Args:
        base: the distribution of the components.
        reinterpreted_batch_ndims: how many trailing batch axes of `base` become event axes. Default
            1.

    Raises:
        ValueError: if `base` has fewer batch axes.

    `quantile`, `median` and `crps` are those of each component; `cdf` is P(every component <=
    value), and `survival_function` P(not every component <= value).

    >>> from timedist.distributions import Normal
    >>> Independent(Normal([[0.0, 1.0, 2.0]], 1.0))
    Independent(Normal)(batch_shape=(1,), event_shape=(3,), dtype=float32)
    """

    base: Any = component()
    reinterpreted_batch_ndims: int = static(1)

    def _check(self) -> None:
        rank, taken = len(self.base.batch_shape), self.reinterpreted_batch_ndims
        if not isinstance(taken, int) or not 0 <= taken <= rank:
            raise ValueError(
                f"Independent: reinterpreted_batch_ndims must be an int between 0 and {rank}, the "
                f"number of batch axes of {self.base!r}, got {taken!r}"
            )
        super()._check()

    def _batch_shape(self) -> Shape:
        shape = self.base.batch_shape
        return shape[: len(shape) - self.reinterpreted_batch_ndims]

    def _event_shape(self) -> Shape:
        shape = self.base.batch_shape
        return shape[len(shape) - self.reinterpreted_batch_ndims :] + self.base.event_shape

    def _zeros(self) -> Tensor:
        return self.base._zeros()[(..., *(0,) * self.reinterpreted_batch_ndims)]

    def _sum(self, x: Tensor) -> Tensor:
        axes = tuple(range(-self.reinterpreted_batch_ndims, 0))
        return ops.sum(x, axis=axes) if axes else x

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._sum(self.base._hook("log_prob")(x))

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        return self._sum(self.base._log_prob_of_observed(x, observed))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._sum(self.base.log_cdf(x))

    def _quantile(self, p: Tensor) -> Tensor:
        return self.base.quantile(
            ops.reshape(p, (*ops.shape(p), *(1,) * self.reinterpreted_batch_ndims))
        )

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.base._hook("sample")(sample_shape, seed)

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.base._plain_draw(sample_shape, seed)

    def _mean(self) -> Tensor:
        return self.base.mean()

    def _mode(self) -> Tensor:
        return self.base.mode()

    def _variance(self) -> Tensor:
        return self.base.variance()

    def _entropy(self) -> Tensor:
        return self._sum(self.base.entropy())

    def _kl(self, other: Independent) -> Tensor:
        return self._sum(self.base.kl_divergence(other.base))

    def _marginals(self) -> Any:
        return self.base.marginals()

    def _widened(self) -> Any:
        """Normal components are a normal vector, whose divergence from any other is known."""
        if type(self.base) is not Normal or self.reinterpreted_batch_ndims != 1:
            return self
        diagonal = linalg.diagonal_matrix(self.base.scale)
        return MultivariateNormalTriL.trusted(loc=self.base.loc, scale_tril=diagonal)

    def _crps(self, y: Tensor) -> Tensor:
        return self.base.crps(y)

    def _covariance(self) -> Tensor:
        if self.base.event_shape or self.reinterpreted_batch_ndims != 1:
            raise NotImplementedError(
                f"{self._family} has no covariance: its events have shape {self.event_shape}, not "
                "one axis of scalars; use `.variance()`"
            )
        return linalg.diagonal_matrix(self.base.variance())

    def _conditional(self, i: int, before: Tensor) -> Any:
        """The distribution of component `i` of the flat event; those before it do not matter."""
        del before
        base = self.base
        while isinstance(base, Independent):
            base = base.base
        if base.event_shape:
            raise NotImplementedError(
                f"{self._family}.sample: gradients are known for `Independent` scalars"
            )
        lead = ops.shape(base.leaves()[0])[: len(self.batch_shape)]
        return base.reshape_batch((*lead, known_size(self.event_shape)))[..., i]
