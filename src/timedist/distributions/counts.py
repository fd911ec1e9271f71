"""Families of counts, which are drawn and scored in the dtype of their parameters."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import constraints, divergences, entropies, numerical, solve
from timedist.distributions.base import Distribution
from timedist.distributions.chances import chances, times
from timedist.distributions.fields import parameter
from timedist.ops import random, special
from timedist.ops.incomplete_beta import log_betainc
from timedist.ops.incomplete_gamma import log_gammainc

Tensor = Any

_above_zero = constraints.Constraint(
    "in (0, 1]", lambda x: (x > 0.0) & (x <= 1.0), ops.sigmoid, special.logit
)


class Integers(Distribution):
    """Parent of families on the integers, from two functions and the ends of the support.

    A family gives `_log_mass(k)` and `_log_tails(k)`, defined and smooth for real `k` between the
    ends, and `_support()`; moments, entropy, CRPS and divergence follow by exact sums.
    """

    discrete = True

    def _log_mass(self, k: Tensor) -> Tensor:
        """log P(X = k)."""
        raise NotImplementedError

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """log P(X <= k) and log P(X > k), for k below the upper end."""
        raise NotImplementedError

    def _inside(self, x: Tensor, valid: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """`x` where it is valid, elsewhere an end of the support or 0."""
        low = special.where(ops.abs(low) < math.inf, low, special.minimum(high, 0.0))
        return ops.where(valid, x, low)

    def _log_prob(self, x: Tensor) -> Tensor:
        low, high = numerical.support(self, 0.0 * special.where(ops.abs(x) < math.inf, x, 0.0))
        valid = (x == special.floor(x)) & (x >= low) & (x <= high) & (ops.abs(x) < math.inf)
        log_mass = self._log_mass(self._inside(x, valid, low, high))
        return special.where(x != x, math.nan, special.where(valid, log_mass, -math.inf))

    def _both_tails(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log P(X <= x) and log P(X > x) for any x."""
        low, high = numerical.support(self, 0.0 * special.where(ops.abs(x) < math.inf, x, 0.0))
        valid = (x >= low) & (x < high) & (ops.abs(x) < math.inf)
        tails = self._log_tails(special.floor(self._inside(x, valid, low, high)))
        below, above = (x < low) | (x == -math.inf), (x >= high) | (x == math.inf)
        lower = special.where(below, -math.inf, special.where(above, 0.0, tails[0]))
        upper = special.where(below, 0.0, special.where(above, -math.inf, tails[1]))
        return special.where(x != x, math.nan, lower), special.where(x != x, math.nan, upper)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._both_tails(x)[0]

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._both_tails(x)[1]


class Counts(Integers):
    """Parent of families on 0, 1, … up to `_top()`, which is infinity if a family says nothing."""

    def _top(self) -> Tensor | float:
        return math.inf

    def _support(self) -> tuple[Tensor | float, Tensor | float]:
        return 0.0, self._top()

    def _landmarks(self) -> tuple[Tensor, ...]:
        mean, variance = self._hook("mean")(), self._hook("variance")()
        spread = ops.sqrt(special.where(variance < math.inf, variance, ops.square(mean)))
        return mean, *(mean + z * spread for z in (-6.0, -2.0, 2.0, 6.0))

    def _quantile(self, p: Tensor) -> Tensor:
        top = self._top() + self._zeros() + 0.0 * p
        mean, variance = self._hook("mean")(), self._hook("variance")()
        guess = special.minimum(mean + 4.0 * ops.sqrt(variance) + 4.0 + 0.0 * p, top)
        found = solve.smallest_integer(self._both_tails, p + 0.0 * guess, guess)
        return special.minimum(found, top)


class Poisson(Counts):
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

    def _log_mass(self, k: Tensor) -> Tensor:
        return special.log_poisson_pmf(k, self.rate, self.log_rate)

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

    _kl = divergences.poisson

    def with_mean_times(self, factor: Tensor) -> Poisson:
        """The distribution with its mean times `factor`, a positive tensor of the batch shape."""
        return Poisson.trusted(log_rate=self.log_rate + ops.log(factor))


class NegativeBinomial(Counts):
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

    def _log_mass(self, k: Tensor) -> Tensor:
        return special.log_negative_binomial_pmf(k, self.total_count, chances(self))

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        given = chances(self)
        return log_betainc(self.total_count, k + 1.0, given.no, given.yes)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        r = self.total_count
        r = ops.broadcast_to(r, (*sample_shape, *ops.shape(r)))
        return random.poisson(ops.exp(random.log_gamma(r, first) + self.logits), second)

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


class Geometric(Counts):
    r"""The geometric distribution of the number of failures before the first success.

    $P(k) = \pi (1 - \pi)^k$

    Args:
        logits: log odds of a success, any real tensor. Give this or `probs`.
        probs: probability of a success, in (0, 1].

    Raises:
        ValueError: if both or neither is given, or a probability is outside (0, 1].

    Source: Johnson, Kemp, Kotz: Univariate Discrete Distributions, section 5.2.

    >>> Geometric(probs=[0.5, 0.1])
    Geometric(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    logits: Tensor = parameter(constraints.real, instead_of="probs", convert=special.logit)
    probs: Tensor = parameter(_above_zero, instead_of="logits", convert=ops.sigmoid)

    def _log_mass(self, k: Tensor) -> Tensor:
        given = chances(self)
        return given.log_yes + times(k, given.log_no)

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        upper = (k + 1.0) * chances(self).log_no
        return special.log1mexp(upper), upper

    def _quantile(self, p: Tensor) -> Tensor:
        certain = p >= 1.0
        p = special.where(certain, 0.0, p)
        k = special.floor(ops.log1p(-p) / chances(self).log_no)
        # The quotient may have been rounded across an integer.
        k = ops.where(solve.reached(self._both_tails(k - 1.0), p), k - 1.0, k)
        k = ops.where(solve.reached(self._both_tails(k), p), k, k + 1.0)
        return ops.stop_gradient(special.where(certain, math.inf, special.maximum(k, 0.0)))

    def _mean(self) -> Tensor:
        return ops.exp(-self.logits)

    def _variance(self) -> Tensor:
        return self._mean() * (1.0 + self._mean())

    def _mode(self) -> Tensor:
        return self._zeros()

    _entropy = entropies.geometric
    _kl = divergences.geometric
