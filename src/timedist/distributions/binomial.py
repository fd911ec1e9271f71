"""Counts out of a known number."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import constraints, sums
from timedist.distributions.counts import Counts, bernoulli_divergence, log_chances, times
from timedist.distributions.fields import parameter
from timedist.ops import compat, random, special
from timedist.ops.incomplete_beta import log_betainc

Tensor = Any

_LOG_2 = math.log(2.0)
# Terms of a sum over all counts that are held in memory at a time.
_CHUNK = 256

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
        n, (log_p, log_q) = self.total_count, log_chances(self)
        none, all_ = k <= 0.0, k >= n
        certain = (log_p == -math.inf) | (log_q == -math.inf)
        inner = ops.logical_not(none | all_)
        term = special.log_binomial_term(
            special.where(inner, k, 1.0),
            special.where(inner, n - k, 1.0),
            special.where(certain, -_LOG_2, log_p),
            special.where(certain, -_LOG_2, log_q),
        )
        edge = ops.where(none, times(n, log_q), times(n, log_p))
        return ops.where(inner, special.where(certain, -math.inf, term), edge)

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        rest = self.total_count - k
        log_p, log_q = log_chances(self)
        rest = special.where(rest > 0.0, rest, 1.0)
        return log_betainc(rest, k + 1.0, ops.exp(log_q), ops.exp(log_p))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        shape = (*sample_shape, *ops.shape(self.total_count))
        n, p = (ops.broadcast_to(x, shape) for x in (self.total_count, self.probs))
        return random.binomial(n, p, seed)

    def _mean(self) -> Tensor:
        return self.total_count * self.probs

    def _variance(self) -> Tensor:
        log_p, log_q = log_chances(self)
        return self.total_count * ops.exp(log_p + log_q)

    def _mode(self) -> Tensor:
        mode = special.floor((self.total_count + 1.0) * self.probs)
        return special.minimum(mode, self.total_count)

    def _kl(self, other: Binomial) -> Tensor:
        closed = self.total_count * bernoulli_divergence(self, other)
        equal = self.total_count == other.total_count
        return ops.where(equal, closed, sums.kl_divergence(self, other))


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
        logs = special.log_sigmoid(-ratio), special.log_sigmoid(ratio)
        first = special.log_negative_binomial_pmf(k, a, *logs)
        second = special.log_negative_binomial_pmf(n - k, b, *logs)
        both = special.log_negative_binomial_pmf(safe, a + b, *logs)
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

    def _crps(self, y: Tensor) -> Tensor:
        """E|X - y| - E|X - X'| / 2."""
        missing, endless = y != y, ops.abs(y) == math.inf
        y = special.where(missing | endless, 0.0, y) + self._zeros()
        top = self.total_count + ops.zeros_like(y)
        cut = special.minimum(special.maximum(special.floor(y) + 1.0, 0.0), top)
        distance = sums.expectation(self, lambda k, _: ops.abs(k - y), cut)
        score = special.where(endless, math.inf, distance - self._half_distance())
        return special.where(missing, math.nan, score)

    def _half_distance(self) -> Tensor:
        """E|X - X'| / 2, the sum over k of P(X = k) E(k - X)^+, with its derivatives.

        No backend differentiates a loop of unknown length, so the derivatives of the sums run along
        with them; those of the masses are differences of digammas.
        """
        n, a, b = (ops.stop_gradient(x)[..., None] for x in self.leaves())
        frozen = BetaBinomial.trusted(total_count=n, concentration1=a, concentration0=b)
        start = ops.zeros((), dtype=compat.dtype_of(n))
        steps = sums.steps(_CHUNK, start)
        both = special.digamma(a + b) - special.digamma(n + a + b)

        def unfinished(start: Tensor, *state: Tensor) -> Tensor:
            return ops.any(start <= n)

        def advance(start: Tensor, below: Tensor, excess: Tensor, result: Tensor) -> tuple:
            k = start + steps
            inside = k <= n
            k = ops.where(inside, k, ops.zeros_like(k))
            mass = special.where(inside, ops.exp(frozen._log_mass(k)), 0.0)
            to_a = mass * (special.digamma(k + a) - special.digamma(a) + both)
            to_b = mass * (special.digamma(n - k + b) - special.digamma(b) + both)
            terms = ops.stack([mass, to_a, to_b], axis=0)
            cdf = below + special.cumsum(terms)
            before = excess + special.cumsum(cdf) - cdf
            product = terms[:1] * before
            slope = terms[1:] * before[:1]
            each = ops.concatenate([product[:1], product[1:] + slope], axis=0)
            result = result + ops.sum(each, axis=-1, keepdims=True)
            excess = before[..., -1:] + cdf[..., -1:]
            return start + float(_CHUNK), cdf[..., -1:], excess, result

        zero = ops.zeros_like(ops.stack([n, n, n], axis=0))
        found = ops.while_loop(unfinished, advance, (start, zero, zero, zero))[3]
        value, to_a, to_b = (found[i, ..., 0] for i in range(3))
        moved_a = self.concentration1 - ops.stop_gradient(self.concentration1)
        moved_b = self.concentration0 - ops.stop_gradient(self.concentration0)
        return value + to_a * moved_a + to_b * moved_b
