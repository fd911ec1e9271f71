"""Distributions over vectors of shares that sum to one."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import constraints, divergences, entropies
from timedist.distributions.bounded import Beta
from timedist.distributions.fields import parameter
from timedist.distributions.multivariate import Vectors
from timedist.ops import linalg, random, special

Tensor = Any

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


class Dirichlet(Vectors):
    r"""The Dirichlet distribution of n shares that sum to one.

    $p(x) = \frac{\Gamma(\sum_i \alpha_i)}{\prod_i \Gamma(\alpha_i)} \prod_i x_i^{\alpha_i - 1}$

    Args:
        concentration: $\alpha$, positive, tensor of shape `batch_shape + (n,)`, without unit.

    Raises:
        ValueError: if a concentration is not positive or there is no axis of components.

    Values that do not sum to one, to about three digits, have the log density `-inf`. The mode is
    NaN unless every concentration is above one.

    Source: Kotz, Balakrishnan, Johnson: Continuous Multivariate Distributions 1, chapter 49; log
    gammas by the series of Loader, Fast and Accurate Computation of Binomial Probabilities (2000).

    >>> Dirichlet([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    Dirichlet(batch_shape=(2,), event_shape=(3,), dtype=float32)
    """

    concentration: Tensor = parameter(constraints.positive, event_rank=1)

    @property
    def _total(self) -> Tensor:
        return ops.sum(self.concentration, axis=-1)

    def _log_peak(self) -> Tensor:
        """What the deviances leave of the log density."""
        alpha, total = self.concentration, self._total
        each = 0.5 * ops.log(alpha) - special.stirling_error(alpha)
        rest = special.stirling_error(total) - 0.5 * ops.log(total)
        return ops.sum(each, axis=-1) + rest - (self._size - 1) * _LOG_SQRT_2PI

    def _log_prob(self, x: Tensor) -> Tensor:
        alpha, total = self.concentration, self._total[..., None]
        valid = ops.all(constraints.simplex.holds(x), axis=-1)
        certain = ops.any((x == 0.0) & (alpha > 1.0), axis=-1)
        inside = valid & ~certain
        zero = x == 0.0
        body = special.where(inside[..., None] & ~zero, x, alpha / total)
        log_body = ops.log(body)
        away = special.deviance(alpha, total * body, ops.log(total) + log_body)
        # The sums of the masses `total * x` and of `alpha` differ where x sums to one inexactly.
        terms = total * body - alpha - away - log_body
        at_zero = special.where(alpha < 1.0, math.inf, ops.log(total / alpha))
        each = ops.where(zero, at_zero + ops.zeros_like(body), terms)
        log_prob = self._log_peak() + ops.sum(each, axis=-1)
        missing = ops.any(x != x, axis=-1)
        return special.where(missing, math.nan, special.where(inside, log_prob, -math.inf))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        """Normalised gammas, by their logarithms: small concentrations make tiny gammas."""
        alpha = self.concentration
        alpha = ops.broadcast_to(alpha, (*sample_shape, *ops.shape(alpha)))
        return ops.softmax(random.log_gamma(alpha, seed), axis=-1)

    def _mean(self) -> Tensor:
        return self.concentration / self._total[..., None]

    def _mode(self) -> Tensor:
        above = self.concentration - 1.0
        inner = ops.all(above > 0.0, axis=-1, keepdims=True)
        above = special.where(inner, above, 1.0)
        return special.where(inner, above / ops.sum(above, axis=-1, keepdims=True), math.nan)

    def _variance(self) -> Tensor:
        total = self._total[..., None]
        mean = self._mean()
        return mean * ((total - self.concentration) / total) / (total + 1.0)

    def _covariance(self) -> Tensor:
        mean = self._mean()
        outer = mean[..., :, None] * mean[..., None, :]
        return (linalg.diagonal_matrix(mean) - outer) / (self._total + 1.0)[..., None, None]

    def _marginals(self) -> Beta:
        rest = self._total[..., None] - self.concentration
        return Beta.trusted(concentration1=self.concentration, concentration0=rest)

    _entropy = entropies.dirichlet
    _kl = divergences.dirichlet
