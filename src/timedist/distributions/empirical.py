"""Distributions that are their values: one, or a sample."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist import scores
from timedist.distributions import closed_crps, constraints, divergences, entropies, numerical
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

    def _support(self) -> tuple[Tensor, Tensor]:
        return self.loc, self.loc

    _entropy = entropies.deterministic
    _crps = closed_crps.deterministic
    _kl = divergences.deterministic


class Empirical(Distribution):
    r"""The distribution of a sample: every value has the share of the sample that equals it.

    $P(X \le x) = \frac1n \sum_i 1\{x_i \le x\}$

    Args:
        samples: tensor of shape `batch_shape + (n,)`, n >= 1, in the unit of the data.

    Raises:
        ValueError: if there is no sample, or one is NaN.

    Draws are taken from the sample with equal chances, and pass their gradient on to it. `quantile`
    is the smallest value of the sample that reaches p, `mode` the smallest of the most frequent
    ones, `variance` that of the distribution (it divides by n). `log_prob` and `cdf` take memory
    for all pairs of what is asked and the sample, a divergence for all pairs of the two samples.

    Source: van der Vaart: Asymptotic Statistics, chapter 19.

    >>> d = Empirical([3.0, 1.0, 2.0, 2.0])
    >>> float(d.cdf(2.0)), float(d.quantile(0.5)), float(d.crps(2.0))
    (0.75, 2.0, 0.125)
    """

    samples: Tensor = parameter(constraints.real, event_rank=1)
    discrete = True

    def _check(self) -> None:
        super()._check()
        if self._number == 0:
            raise ValueError(
                "Empirical: samples must have at least one value on the last axis, got shape "
                f"{tuple(self.samples.shape)}"
            )

    @property
    def _number(self) -> int:
        return int(self.samples.shape[-1])

    def _share(self, x: Tensor, chosen: Tensor) -> Tensor:
        share = ops.sum(ops.cast(chosen, self.dtype), axis=-1) / self._number
        return special.where(x != x, math.nan, share)

    def _log_prob(self, x: Tensor) -> Tensor:
        return special.log_or_minus_inf(self._share(x, self.samples == x[..., None]))

    def _cdf(self, x: Tensor) -> Tensor:
        return self._share(x, self.samples <= x[..., None])

    def _survival(self, x: Tensor) -> Tensor:
        return self._share(x, self.samples > x[..., None])

    def _quantile(self, p: Tensor) -> Tensor:
        # A few units of rounding less, so that p = k / n, rarely a float, gives the k-th value.
        shrunk = p * (1.0 - 4.0 * float(special.finfo(p).eps))
        position = -special.floor(-self._number * shrunk)
        return _picked(ops.sort(self.samples, axis=-1), position - 1.0)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        shape = (*sample_shape, *ops.shape(self._zeros()))
        return _picked(self.samples, self._number * random.uniform(shape, self.dtype, seed))

    def _mean(self) -> Tensor:
        return ops.sum(self.samples, axis=-1) / self._number

    def _variance(self) -> Tensor:
        return ops.sum(ops.square(self.samples - self._mean()[..., None]), axis=-1) / self._number

    def _mode(self) -> Tensor:
        ordered, counts = self._counts()
        return _picked(ordered, ops.cast(ops.argmax(counts, axis=-1), self.dtype))

    def _entropy(self) -> Tensor:
        shares = self._counts()[1] / self._number
        return -ops.sum(special.xlogy(shares, shares), axis=-1)

    def _counts(self) -> tuple[Tensor, Tensor]:
        """The samples in order, and at the last of equal ones their number, at others 0."""
        ordered = ops.sort(self.samples, axis=-1)
        new = ordered[..., 1:] != ordered[..., :-1]
        edge = ops.ones_like(ordered[..., :1], dtype="bool")
        first, last = (ops.concatenate(parts, axis=-1) for parts in ([edge, new], [new, edge]))
        index = ops.arange(self._number, dtype=self.dtype)
        start = special.where(first, index + ops.zeros_like(ordered), 0.0)
        return ordered, special.where(last, index - special.largest_so_far(start) + 1.0, 0.0)

    @numerical.completed
    def _crps(self, y: Tensor) -> Tensor:
        y = y + self._zeros()
        samples = ops.moveaxis(self.samples + 0.0 * y[..., None], -1, 0)
        return scores.crps_samples(y, samples)

    def _kl(self, other: Empirical) -> Tensor:
        values = ops.moveaxis(self.samples, -1, 0)
        return ops.sum(self._log_prob(values) - other._log_prob(values), axis=0) / self._number

    def _support(self) -> tuple[Tensor, Tensor]:
        return ops.min(self.samples, axis=-1), ops.max(self.samples, axis=-1)


def _picked(table: Tensor, position: Tensor) -> Tensor:
    """The entries at the integer parts of positions, which are cut off at both ends.

    Args:
        table: tensor of shape `batch_shape + (n,)`.
        position: floating tensor that broadcasts against `(...) + batch_shape`.

    Returns:
        Tensor of the broadcast shape.
    """
    position = position + ops.zeros_like(table[..., 0])
    batch = ops.shape(table)[:-1]
    index = ops.clip(position, 0.0, float(table.shape[-1] - 1))
    # The axes in front go behind: each row of the table is then read once, not once for each.
    index = ops.moveaxis(ops.reshape(ops.cast(index, "int32"), (-1, *batch)), 0, -1)
    found = ops.moveaxis(ops.take_along_axis(table, index, axis=-1), -1, 0)
    return ops.reshape(found, ops.shape(position))
