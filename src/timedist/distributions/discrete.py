"""Families of counts and categories.

Counts are drawn and scored in the dtype of the parameters, so that they feed a network as they are;
categories are int32.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from keras import ops

from timedist.distributions import constraints, solve
from timedist.distributions.base import Distribution
from timedist.distributions.fields import parameter
from timedist.ops import compat, random, special
from timedist.ops.incomplete_beta import log_betainc
from timedist.ops.incomplete_gamma import log_gammainc

Tensor = Any


def _on_counts(k: Tensor, function: Any) -> Tensor:
    """`function(k)` at integers >= 0, `-inf` at other numbers, NaN at NaN."""
    valid = (k >= 0.0) & (k == special.floor(k)) & (k < math.inf)
    result = special.where(valid, function(special.where(valid, k, 0.0)), -math.inf)
    return special.where(k != k, math.nan, result)


def _step(k: Tensor, function: Any, below: float, above: float) -> Tensor:
    """`function(floor(k))` for k >= 0, `below` for k < 0, `above` at infinity, NaN at NaN."""
    inside = (k >= 0.0) & (k < math.inf)
    value = function(special.floor(special.where(inside, k, 0.0)))
    outside = special.where(k < 0.0, below, ops.full_like(k, above))
    return special.where(k != k, math.nan, ops.where(inside, value, outside))


class _Counts(Distribution):
    """Parent of families on 0, 1, … that know both log tails at integers: `_log_tails(k)`."""

    discrete = True

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """log P(X <= k) and log P(X > k)."""
        raise NotImplementedError

    def _log_cdf(self, x: Tensor) -> Tensor:
        return _step(x, lambda k: self._log_tails(k)[0], -math.inf, 0.0)

    def _cdf(self, x: Tensor) -> Tensor:
        return _step(x, lambda k: ops.exp(self._log_tails(k)[0]), 0.0, 1.0)

    def _survival(self, x: Tensor) -> Tensor:
        return _step(x, lambda k: ops.exp(self._log_tails(k)[1]), 1.0, 0.0)

    def _quantile(self, p: Tensor) -> Tensor:
        mean, variance = self._hook("mean")(), self._hook("variance")()
        p = p + 0.0 * mean
        guess = mean + 4.0 * ops.sqrt(variance) + 4.0
        return solve.smallest_integer(self._cdf, p, guess + 0.0 * p)


class Bernoulli(Distribution):
    r"""The Bernoulli distribution of a yes (1) or no (0).

    $P(1) = \pi,\ P(0) = 1 - \pi,\ \pi = 1 / (1 + \exp(-\mathrm{logits}))$

    Args:
        logits: log odds of a 1, any real tensor. Give this or `probs`.
        probs: probability of a 1, in [0, 1].

    Raises:
        ValueError: if both or neither is given, or a probability is outside [0, 1].

    Source: Johnson, Kemp, Kotz: Univariate Discrete Distributions, section 3.3.

    >>> Bernoulli(probs=[0.1, 0.9])
    Bernoulli(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    logits: Tensor = parameter(constraints.real, instead_of="probs", convert=special.logit)
    probs: Tensor = parameter(constraints.unit_interval, instead_of="logits", convert=ops.sigmoid)
    discrete = True

    def _log_prob(self, x: Tensor) -> Tensor:
        def mass(k: Tensor) -> Tensor:
            return special.where(k > 1.0, -math.inf, self._log_mass(k == 1.0))

        return _on_counts(x, mass)

    def _log_mass(self, yes: Tensor) -> Tensor:
        """log P(1) where `yes`, else log P(0); from the parameter given, which may be 0 or 1."""
        if self._values["probs"] is None:
            return special.log_sigmoid(ops.where(yes, self.logits, -self.logits))
        probs = self.probs
        return ops.where(
            yes,
            special.log_or_minus_inf(special.where(yes, probs, 1.0)),
            ops.log1p(-special.where(yes, 0.0, probs)),
        )

    def _cdf(self, x: Tensor) -> Tensor:
        return _step(
            x, lambda k: special.where(k >= 1.0, 1.0, ops.sigmoid(-self.logits) + 0.0 * k), 0.0, 1.0
        )

    def _quantile(self, p: Tensor) -> Tensor:
        return ops.cast(p > ops.sigmoid(-self.logits), self.dtype)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        probs = self.probs
        noise = random.uniform((*sample_shape, *ops.shape(probs)), self.dtype, seed)
        return ops.cast(noise < probs, self.dtype)

    def _mean(self) -> Tensor:
        return self.probs

    def _mode(self) -> Tensor:
        return ops.cast(self.logits > 0.0, self.dtype)

    def _variance(self) -> Tensor:
        return ops.sigmoid(self.logits) * ops.sigmoid(-self.logits)

    def _entropy(self) -> Tensor:
        size = ops.abs(self.logits)
        certain = size == math.inf
        size = special.where(certain, 0.0, size)
        entropy = special.softplus(-size) + size * ops.sigmoid(-size)
        return special.where(certain, 0.0, entropy)


class Categorical(Distribution):
    r"""A distribution over the categories 0, 1, …, K - 1.

    $P(k) = \exp(\mathrm{logits}_k) / \sum_j \exp(\mathrm{logits}_j)$

    Args:
        logits: unnormalised log probabilities, tensor of shape `batch_shape + (K,)`. Give this or
            `probs`.
        probs: probabilities, same shape, non-negative and summing to one.

    Raises:
        ValueError: if both or neither is given, or probabilities do not sum to one.

    Draws are int32. The mean of category numbers has no meaning and raises `NotImplementedError`.

    Source: Bishop: Pattern Recognition and Machine Learning, section 2.2.

    >>> Categorical(probs=[[0.2, 0.8], [0.5, 0.5]])
    Categorical(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    logits: Tensor = parameter(
        constraints.real, event_rank=1, instead_of="probs", convert=special.log_or_minus_inf
    )
    probs: Tensor = parameter(
        constraints.simplex, event_rank=1, instead_of="logits", convert=ops.softmax
    )
    discrete = True
    absent: ClassVar[dict[str, str]] = {
        "mean": "category numbers have no mean; use `.probs`, `.mode()` or `.sample()`",
        "variance": "category numbers have no variance; use `.probs` or `.entropy()`",
    }

    @property
    def num_categories(self) -> int:
        """The number K of categories."""
        return int(self.leaves()[0].shape[-1])

    def _log_probs(self) -> Tensor:
        """Normalised log probabilities, shape `batch_shape + (K,)`."""
        return ops.log_softmax(self.logits, axis=-1)

    def _at_category(self, x: Tensor, table: Tensor) -> Tensor:
        """The entry of `table` at the clipped integer part of `x`."""
        index = ops.cast(ops.clip(special.floor(x), 0.0, self.num_categories - 1.0), "int32")
        index, table = compat.broadcast_arrays(index[..., None], table)
        return ops.take_along_axis(table, index[..., :1], axis=-1)[..., 0]

    def _log_prob(self, x: Tensor) -> Tensor:
        def mass(k: Tensor) -> Tensor:
            return special.where(
                k >= self.num_categories, -math.inf, self._at_category(k, self._log_probs())
            )

        return _on_counts(x, mass)

    def _cdf(self, x: Tensor) -> Tensor:
        def below(k: Tensor) -> Tensor:
            total = self._at_category(k, special.cumsum(self.probs))
            return special.where(k >= self.num_categories - 1.0, 1.0, total)

        return _step(x, below, 0.0, 1.0)

    def _quantile(self, p: Tensor) -> Tensor:
        short = special.cumsum(self.probs)[..., :-1] < p[..., None]
        return ops.cast(ops.sum(ops.cast(short, "int32"), axis=-1), "int32")

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return random.categorical(self._log_probs(), sample_shape, seed)

    def _mode(self) -> Tensor:
        return ops.cast(ops.argmax(self.leaves()[0], axis=-1), "int32")

    def _entropy(self) -> Tensor:
        probs = self.probs
        return -ops.sum(special.xlogy(probs, probs), axis=-1)


class Poisson(_Counts):
    r"""The Poisson distribution of counts.

    $P(k) = \lambda^k e^{-\lambda} / k!$

    Args:
        rate: expected count, positive tensor. Give this or `log_rate`.
        log_rate: its logarithm, any real tensor.

    Raises:
        ValueError: if both or neither is given, or a rate is not positive.

    Source: Johnson, Kemp, Kotz: Univariate Discrete Distributions, chapter 4; the mass by Loader,
    Fast and Accurate Computation of Binomial Probabilities (2000).

    >>> Poisson([0.5, 20.0])
    Poisson(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    rate: Tensor = parameter(constraints.positive, instead_of="log_rate", convert=ops.exp)
    log_rate: Tensor = parameter(constraints.real, instead_of="rate", convert=ops.log)

    def _log_prob(self, x: Tensor) -> Tensor:
        return _on_counts(x, lambda k: special.log_poisson_pmf(k, self.rate, self.log_rate))

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        upper, lower = log_gammainc(k + 1.0, self.rate)
        return lower, upper

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        rate = self.rate
        return random.poisson(ops.broadcast_to(rate, (*sample_shape, *ops.shape(rate))), seed)

    def _mean(self) -> Tensor:
        return self.rate

    def _variance(self) -> Tensor:
        return self.rate

    def _mode(self) -> Tensor:
        return special.floor(self.rate)

    def with_mean_times(self, factor: Tensor) -> Poisson:
        """The distribution with its mean times `factor`, a positive tensor of the batch shape."""
        return Poisson.trusted(log_rate=self.log_rate + ops.log(factor))


class NegativeBinomial(_Counts):
    r"""The negative binomial distribution: counts that vary more than Poisson counts.

    $P(k) = \frac{\Gamma(r + k)}{\Gamma(r)\,k!} (1 - \pi)^r \pi^k$, the number of successes of
    probability $\pi$ before the r-th failure; the mean is $r \pi / (1 - \pi)$.

    Args:
        total_count: number r of failures, positive, need not be an integer.
        logits: log odds of a success, any real tensor. Give this or `probs`.
        probs: probability of a success, in [0, 1).

    Raises:
        ValueError: if both or neither of `logits` and `probs` is given, or a value is out of range.

    Source: Johnson, Kemp, Kotz: Univariate Discrete Distributions, chapter 5.

    >>> NegativeBinomial(total_count=3.0, logits=[0.0, 1.0])
    NegativeBinomial(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    total_count: Tensor = parameter(constraints.positive)
    logits: Tensor = parameter(constraints.real, instead_of="probs", convert=special.logit)
    probs: Tensor = parameter(constraints.below_one, instead_of="logits", convert=ops.sigmoid)

    def _log_prob(self, x: Tensor) -> Tensor:
        r, logits = self.total_count, self.logits
        log_p, log_q = special.log_sigmoid(logits), special.log_sigmoid(-logits)

        def mass(k: Tensor) -> Tensor:
            zero = k == 0.0
            safe = special.where(zero, 1.0, k)
            term = special.log_binomial_term(r, safe, log_q, log_p) - ops.log1p(safe / r)
            return ops.where(zero, r * log_q, term)

        return _on_counts(x, mass)

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        return log_betainc(self.total_count, k + 1.0, ops.sigmoid(-self.logits), self.probs)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        r = self.total_count
        r = ops.broadcast_to(r, (*sample_shape, *ops.shape(r)))
        return random.poisson(random.gamma(r, first) * ops.exp(self.logits), second)

    def _mean(self) -> Tensor:
        return self.total_count * ops.exp(self.logits)

    def _variance(self) -> Tensor:
        return self._mean() * (1.0 + ops.exp(self.logits))

    def _mode(self) -> Tensor:
        return special.floor(special.maximum(self.total_count - 1.0, 0.0) * ops.exp(self.logits))

    def with_mean_times(self, factor: Tensor) -> NegativeBinomial:
        """The distribution with its mean times `factor`, a positive tensor of the batch shape."""
        logits = self.logits + ops.log(factor)
        return NegativeBinomial.trusted(total_count=self.total_count, logits=logits)
