"""Vectors whose components come from distributions of different families."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from keras import ops

from timedist.distributions.fields import component
from timedist.distributions.value import Shape
from timedist.distributions.wrappers import Product, may_be_equal
from timedist.ops import random

Tensor = Any


class Blockwise(Product):
    r"""Independent distributions side by side, as one vector: channels of different families.

    $\log p(x) = \sum_i \log p_i(x_i)$

    Args:
        distributions: list of distributions of scalars or vectors with one batch shape; their
            events follow each other along the last axis.

    Raises:
        TypeError: if one of them is no distribution.
        ValueError: if the batch shapes differ or an event has more than one axis.

    `quantile`, `median` and `crps` are those of each component; `cdf` is P(every component <=
    value), and `survival_function` P(not every component <= value). Samples have gradients to the
    continuous blocks.

    >>> from timedist.distributions import Normal, Poisson
    >>> Blockwise([Normal([0.0, 1.0], 1.0), Poisson([2.0, 3.0])])
    Blockwise(Normal, Poisson)(batch_shape=(2,), event_shape=(2,), dtype=float32)
    """

    distributions: Any = component(many=True)
    made_of = "distributions"
    absent: ClassVar[dict[str, str]] = {
        "marginals": "its components have different families; take the marginals of each of "
        "`.distributions`",
    }

    def _check(self) -> None:
        first = self.distributions[0]
        for part in self.distributions:
            if not may_be_equal(part.batch_shape, first.batch_shape):
                raise ValueError(
                    f"Blockwise: batch shapes differ: {first.batch_shape} of {first!r} and "
                    f"{part.batch_shape} of {part!r}"
                )
            if len(part.event_shape) > 1 or None in part.event_shape:
                raise ValueError(
                    f"Blockwise: events must be scalars or vectors of a known size, got {part!r}"
                )

    def _batch_shape(self) -> Shape:
        return self.distributions[0].batch_shape

    @property
    def _size(self) -> int:
        return sum(math.prod(part.event_shape) for part in self.distributions)

    def _event_shape(self) -> Shape:
        return (self._size,)

    def _blocks(self, x: Tensor) -> list[Tensor]:
        """The parts of a vector as the distributions take them."""
        blocks, start = [], 0
        for part in self.distributions:
            if part.event_shape:
                blocks.append(x[..., start : start + part.event_shape[0]])
                start += part.event_shape[0]
            else:
                blocks.append(x[..., start])
                start += 1
        return blocks

    def _joined(self, values: Sequence[Tensor]) -> Tensor:
        """The inverse: values of the parts as one vector."""
        columns = [
            ops.cast(value if part.event_shape else value[..., None], self.dtype)
            for part, value in zip(self.distributions, values, strict=True)
        ]
        return ops.concatenate(columns, axis=-1)

    def _per_part(self, function: Callable) -> Tensor:
        return self._joined([function(part) for part in self.distributions])

    def _summed(self, name: str, *vectors: Tensor) -> Tensor:
        """The sum over the parts of a hook of their blocks."""
        blocks = zip(*(self._blocks(vector) for vector in vectors), strict=True)
        parts = zip(self.distributions, blocks, strict=True)
        return sum(part._hook(name)(*block) for part, block in parts)

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._summed("log_prob", x)

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        return self._summed("log_prob_of_observed", x, observed)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._summed("log_cdf", x)

    def _crps(self, y: Tensor) -> Tensor:
        parts = zip(self.distributions, self._blocks(y), strict=True)
        return self._joined([part.crps(block) for part, block in parts])

    def _quantile(self, p: Tensor) -> Tensor:
        return self._per_part(lambda part: part.quantile(p))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        seeds = iter(random.split(seed, len(self.distributions)))
        return self._per_part(lambda part: part._hook("sample")(sample_shape, next(seeds)))

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        seeds = iter(random.split(seed, len(self.distributions)))
        return self._per_part(lambda part: part._plain_draw(sample_shape, next(seeds)))

    def _mean(self) -> Tensor:
        return self._per_part(lambda part: part.mean())

    def _mode(self) -> Tensor:
        return self._per_part(lambda part: part.mode())

    def _variance(self) -> Tensor:
        return self._per_part(lambda part: part.variance())

    def _covariance(self) -> Tensor:
        """A block on the diagonal for every part, in rows of the whole width."""
        size, rows, start = self._size, [], 0
        for part in self.distributions:
            block = part.covariance() if part.event_shape else part.variance()[..., None, None]
            width = block.shape[-1]
            margins = [(0, 0)] * (len(block.shape) - 1) + [(start, size - start - width)]
            rows.append(ops.pad(block, margins))
            start += width
        return ops.concatenate(rows, axis=-2)

    def _entropy(self) -> Tensor:
        return sum(part.entropy() for part in self.distributions)

    def _kl(self, other: Blockwise) -> Tensor:
        if [p.event_shape for p in self.distributions] != [
            p.event_shape for p in other.distributions
        ]:
            raise ValueError(
                f"kl_divergence: the blocks of {self!r} and {other!r} have different sizes"
            )
        pairs = zip(self.distributions, other.distributions, strict=True)
        return sum(p.kl_divergence(q) for p, q in pairs)
