"""Counts out of a known number."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import closed_crps, constraints, divergences, sums
from timedist.distributions.chances import chances, times
from timedist.distributions.counts import Counts
from timedist.distributions.fields import parameter
from timedist.ops import random, special
from timedist.ops.incomplete_beta import log_betainc

Tensor = Any

_LOG_2 = math.log(2.0)

_whole = constraints.Constraint(
    "a whole number >= 0",
    lambda x: (x >= 0.0) & (x == special.floor(x)) & (x < math.inf),
    lambda raw: special.floor(special.softplus(raw)),
    lambda value: special.inverse_softplus(value + 0.5),
)


class Binomial(Counts):
    r"""The binomial distribution of the number of successes in independent trials.

    $P(k) = \binom{n}{k} \pi^k (1 - \pi)^{n - k}$

    Args:
        total_count: number n of trials, a whole number.
        logits: log odds of a success, any real tensor. Give this or `probs`.
        probs: probability of a success, in [0, 1].

    Raises:
        ValueError: if both or neither of `logits` and `probs` is given, or a value is out of range.

    Source: Johnson, Kemp, Kotz: Univariate Discrete Distributions, chapter 3; the mass by Loader,
    Fast and Accurate Computation of Binomial Probabilities (2000).

    >>> Binomial(10.0, probs=[0.5, 0.1])
    Binomial(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    total_count: Tensor = parameter(_whole)
    logits: Tensor = parameter(constraints.real, instead_of="probs", convert=special.logit)
    probs: Tensor = parameter(constraints.unit_interval, instead_of="logits", convert=ops.sigmoid)

    def _top(self) -> Tensor:
        return self.total_count

    def _log_mass(self, k: Tensor) -> Tensor:
        n, given = self.total_count, chances(self)
        none, all_ = k <= 0.0, k >= n
        certain = (given.log_yes == -math.inf) | (given.log_no == -math.inf)
        inner = ops.logical_not(none | all_)
        successes, failures = special.where(inner, k, 1.0), special.where(inner, n - k, 1.0)
        term = special.log_binomial_term(successes, failures, given.even_where(certain))
        edge = ops.where(none, times(n, given.log_no), times(n, given.log_yes))
        return ops.where(inner, special.where(certain, -math.inf, term), edge)

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        rest = self.total_count - k
        given = chances(self)
        rest = special.where(rest > 0.0, rest, 1.0)
        return log_betainc(rest, k + 1.0, given.no, given.yes)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        shape = (*sample_shape, *ops.shape(self.total_count))
        n, p = (ops.broadcast_to(x, shape) for x in (self.total_count, self.probs))
        return random.binomial(n, p, seed)

    def _mean(self) -> Tensor:
        return self.total_count * self.probs

    def _variance(self) -> Tensor:
        given = chances(self)
        return self.total_count * given.yes * given.no

    def _mode(self) -> Tensor:
        mode = special.floor((self.total_count + 1.0) * self.probs)
        return special.minimum(mode, self.total_count)

    _kl = divergences.binomial


class BetaBinomial(Counts):
    r"""The beta-binomial distribution: a binomial one whose probability has a beta distribution.

    $P(k) = \binom{n}{k} B(k + \alpha, n - k + \beta) / B(\alpha, \beta)$

    Args:
        total_count: number n of trials, a whole number.
        concentration1: shape $\alpha$ of the beta distribution at 1, positive.
        concentration0: its shape $\beta$ at 0, positive.

    Raises:
        ValueError: if a value is out of range.

    The tails are sums of about 700 terms whatever n is, and a quantile some thirty of them; `crps`
    takes a loop over all n + 1 counts.

    Source: Johnson, Kemp, Kotz: Univariate Discrete Distributions, section 6.2.2.

    >>> BetaBinomial(10.0, concentration1=2.0, concentration0=[1.0, 5.0])
    BetaBinomial(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    total_count: Tensor = parameter(_whole)
    concentration1: Tensor = parameter(constraints.positive)
    concentration0: Tensor = parameter(constraints.positive)

    def _top(self) -> Tensor:
        return self.total_count

    def _log_mass(self, k: Tensor) -> Tensor:
        """By three negative binomial terms, at the probability where each is near its mode."""
        n, a, b = self.total_count, self.concentration1, self.concentration0
        none = n == 0.0
        safe = special.where(none, 1.0, n)
        k = special.minimum(special.where(none, 0.0, k), n)
        ratio = ops.log(a + b) - ops.log(safe)
        given = special.chances_from_logits(-ratio)
        first = special.log_negative_binomial_pmf(k, a, given)
        second = special.log_negative_binomial_pmf(n - k, b, given)
        both = special.log_negative_binomial_pmf(safe, a + b, given)
        return special.where(none, 0.0, first + second - both)

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        zero = ops.zeros_like(k + self.total_count)
        low = ops.stack([zero, k + 1.0 + zero], axis=0)
        high = ops.stack([k + 1.0 + zero, self.total_count + 1.0 + zero], axis=0)
        marks = [mark + ops.zeros_like(low) for mark in self._landmarks()]
        logs = sums.log_total(self._log_mass, low, special.maximum(high, low), marks)
        return special.minimum(logs[0], 0.0), special.minimum(logs[1], 0.0)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        seeds = random.split(seed, 3)
        n, a, b = (ops.broadcast_to(x, (*sample_shape, *ops.shape(x))) for x in self.leaves())
        logits = random.log_gamma(a, seeds[0]) - random.log_gamma(b, seeds[1])
        return random.binomial(n, ops.sigmoid(logits), seeds[2])

    def _mean(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        return self.total_count * (a / (a + b))

    def _variance(self) -> Tensor:
        n, a, b = self.total_count, self.concentration1, self.concentration0
        return n * (a / (a + b)) * (b / (a + b)) * ((a + b + n) / (a + b + 1.0))

    def _mode(self) -> Tensor:
        n, a, b = self.total_count, self.concentration1, self.concentration0
        total = special.maximum(a + b - 2.0, 0.0)
        between = special.floor((n + 1.0) * (a - 1.0) / special.where(total > 0.0, total, 1.0))
        inner = (a > 1.0) & (b > 1.0)
        between = special.minimum(special.where(inner, between, 0.0), n)
        return ops.where(inner, between, ops.where(a > b, n, ops.zeros_like(n)))

    _crps = closed_crps.beta_binomial
