"""Families of yes and no and of categories; category numbers are int32."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from keras import ops

from timedist.distributions import closed_crps, constraints, divergences, entropies, fields
from timedist.distributions.base import Distribution
from timedist.distributions.chances import chances
from timedist.distributions.counts import Counts
from timedist.distributions.fields import parameter
from timedist.ops import compat, linalg, random, special

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
    outside = special.where(k < 0.0, below, special.full_like(k, above))
    return special.where(k != k, math.nan, ops.where(inside, value, outside))


class Bernoulli(Counts):
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

    def _top(self) -> float:
        return 1.0

    def _log_mass(self, k: Tensor) -> Tensor:
        given = chances(self)
        return ops.where(k > 0.5, given.log_yes, given.log_no)

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        given = chances(self)
        return given.log_no + 0.0 * k, given.log_yes + 0.0 * k

    def _quantile(self, p: Tensor) -> Tensor:
        return ops.cast(p > ops.sigmoid(-self.logits), self.dtype)

    def _mean(self) -> Tensor:
        return self.probs

    def _mode(self) -> Tensor:
        return ops.cast(self.logits > 0.0, self.dtype)

    def _variance(self) -> Tensor:
        return ops.sigmoid(self.logits) * ops.sigmoid(-self.logits)

    _entropy = entropies.bernoulli
    _crps = closed_crps.bernoulli
    _kl = divergences.bernoulli


_NUMBERS = "category numbers have no {}; use {}"


class _Categories(Distribution):
    """Parent of families over the categories 0, 1, …, K - 1, from `_log_probs()`."""

    discrete = True

    def _log_probs(self) -> Tensor:
        """Normalised log probabilities, shape `batch_shape + (K,)`."""
        raise NotImplementedError

    @property
    def num_categories(self) -> int:
        """The number K of categories."""
        return int(self.leaves()[0].shape[-1])

    def _masses(self) -> Tensor:
        """Probabilities of the same shape."""
        raise NotImplementedError

    _entropy = entropies.categorical
    _kl = divergences.categorical


class _ByLogits(_Categories):
    """Parent of the families whose categories have logits or probabilities."""

    logits: Tensor = fields.logits_of_categories()
    probs: Tensor = fields.probs_of_categories()

    def _log_probs(self) -> Tensor:
        return ops.log_softmax(self.logits, axis=-1)

    def _masses(self) -> Tensor:
        return self.probs


class _CategoryNumbers(_Categories):
    """Parent of the families whose draws are the numbers of categories."""

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
            total = self._at_category(k, special.cumsum(self._masses()))
            return special.where(k >= self.num_categories - 1.0, 1.0, total)

        return _step(x, below, 0.0, 1.0)

    def _quantile(self, p: Tensor) -> Tensor:
        short = special.cumsum(self._masses())[..., :-1] < p[..., None]
        return ops.cast(ops.sum(ops.cast(short, "int32"), axis=-1), "int32")

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return random.categorical(self._log_probs(), sample_shape, seed)

    def _mode(self) -> Tensor:
        return ops.cast(ops.argmax(self._log_probs(), axis=-1), "int32")


class Categorical(_ByLogits, _CategoryNumbers):
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

    absent: ClassVar[dict[str, str]] = {
        "mean": _NUMBERS.format("mean", "`.probs`, `.mode()` or `.sample()`"),
        "variance": _NUMBERS.format("variance", "`.probs` or `.entropy()`"),
        "crps": _NUMBERS.format("distance", "`.log_prob(value)`, or `OrderedLogistic`"),
    }


class OneHotCategorical(_ByLogits):
    r"""A distribution over the unit vectors of K categories.

    $P(e_k) = \exp(\mathrm{logits}_k) / \sum_j \exp(\mathrm{logits}_j)$

    Args:
        logits: unnormalised log probabilities, tensor of shape `batch_shape + (K,)`. Give this or
            `probs`.
        probs: probabilities, same shape, non-negative and summing to one.

    Raises:
        ValueError: if both or neither is given, or probabilities do not sum to one.

    Draws have the dtype of the parameters; other vectors than unit vectors have probability zero.

    Source: Bishop: Pattern Recognition and Machine Learning, section 2.2.

    >>> OneHotCategorical(probs=[[0.2, 0.8], [0.5, 0.5]])
    OneHotCategorical(batch_shape=(2,), event_shape=(2,), dtype=float32)
    """

    absent: ClassVar[dict[str, str]] = dict.fromkeys(
        ("cdf", "quantile", "crps"),
        "unit vectors have no order; use `.log_prob(value)`",
    )

    def _event_shape(self) -> tuple:
        return (self.num_categories,)

    def _log_prob(self, x: Tensor) -> Tensor:
        valid = ops.all((x == 0.0) | (x == 1.0), axis=-1) & (ops.sum(x, axis=-1) == 1.0)
        each = special.where(x == 1.0, self._log_probs(), 0.0)
        log_prob = special.where(valid, ops.sum(each, axis=-1), -math.inf)
        return special.where(ops.any(x != x, axis=-1), math.nan, log_prob)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self._unit(random.categorical(self._log_probs(), sample_shape, seed))

    def _mode(self) -> Tensor:
        return self._unit(ops.argmax(self.leaves()[0], axis=-1))

    def _unit(self, index: Tensor) -> Tensor:
        return ops.one_hot(index, self.num_categories, dtype=self.dtype)

    def _marginals(self) -> Bernoulli:
        return Bernoulli.trusted(probs=self.probs)

    def _mean(self) -> Tensor:
        return self.probs

    def _variance(self) -> Tensor:
        return self.probs * -ops.expm1(self._log_probs())

    def _covariance(self) -> Tensor:
        products = self.probs[..., :, None] * self.probs[..., None, :]
        return linalg.with_diagonal(-products, self._variance())


class OrderedLogistic(_CategoryNumbers):
    r"""A distribution over ordered categories: a logistic variable cut at thresholds.

    $P(Y \le k) = 1 / (1 + \exp(\mathrm{loc} - c_k))$

    Args:
        cutpoints: thresholds c, tensor of shape `batch_shape + (K - 1,)`, increasing along the last
            axis.
        loc: location of the variable behind, tensor of shape `batch_shape`.

    Raises:
        ValueError: if cutpoints do not increase.

    Draws are int32. Categories in order have no distances, so no mean; `crps` is the ranked
    probability score, which counts the categories between.

    Source: McCullagh: Regression Models for Ordinal Data (1980); Epstein: A Scoring System for
    Probability Forecasts of Ranked Categories (1969).

    >>> OrderedLogistic(cutpoints=[-1.0, 1.0], loc=0.5)
    OrderedLogistic(batch_shape=(), event_shape=(), dtype=float32)
    """

    cutpoints: Tensor = parameter(constraints.increasing(), event_rank=1)
    loc: Tensor = parameter(constraints.real)
    absent: ClassVar[dict[str, str]] = {
        "mean": _NUMBERS.format("mean", "`.median()`, `.mode()` or `.sample()`"),
        "variance": _NUMBERS.format("variance", "`.entropy()`"),
    }

    @property
    def num_categories(self) -> int:
        """The number K of categories, one more than cutpoints."""
        return int(self.cutpoints.shape[-1]) + 1

    def _from_loc(self) -> Tensor:
        return self.cutpoints - self.loc[..., None]

    def _log_probs(self) -> Tensor:
        z = self._from_loc()
        lower, upper = special.log_sigmoid(z), special.log_sigmoid(-z)
        # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b))
        gaps = lower[..., 1:] + upper[..., :-1] + special.log1mexp(z[..., :-1] - z[..., 1:])
        return ops.concatenate([lower[..., :1], gaps, upper[..., -1:]], axis=-1)

    def _masses(self) -> Tensor:
        return ops.exp(self._log_probs())

    def _survival(self, x: Tensor) -> Tensor:
        def above(k: Tensor) -> Tensor:
            z = ops.concatenate([self._from_loc(), self._from_loc()[..., -1:]], axis=-1)
            total = self._at_category(k, ops.sigmoid(-z))
            return special.where(k >= self.num_categories - 1.0, 0.0, total)

        return _step(x, above, 1.0, 0.0)

    _crps = closed_crps.ordered_logistic
