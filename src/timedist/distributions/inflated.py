"""Distributions on zero and above with a probability of their own for zero."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import constraints, numerical, solve
from timedist.distributions.base import Distribution
from timedist.distributions.chances import chances
from timedist.distributions.composite import Composite
from timedist.distributions.fields import component, parameter
from timedist.distributions.value import Shape
from timedist.ops import compat, random, special

Tensor = Any


def in_batch_of_base(family: str, values: dict[str, Any]) -> dict[str, Any]:
    """The given parameters beside `base`, broadcast to its batch shape."""
    zeros, base = values["base"]._zeros(), values["base"]
    for name, given in values.items():
        if name == "base" or given is None:
            continue
        shape, known = tuple(given.shape), base.batch_shape
        pairs = zip(reversed(shape), reversed(known), strict=False)
        if len(shape) > len(known) or any(a not in (1, b) for a, b in pairs if None not in (a, b)):
            raise ValueError(
                f"{family}: {name!r} of shape {shape} does not broadcast to the batch shape "
                f"{known} of {base!r}"
            )
        values[name] = ops.where(zeros == 0.0, given, zeros)
    return values


def _log_add(x: Tensor, y: Tensor) -> Tensor:
    x, y = compat.broadcast_arrays(x, y)
    return special.logsumexp(ops.stack([x, y], axis=-1))


class _WithZeros(Composite):
    """Parent of the families that have mass at zero beside what a base has above it.

    A family gives `_log_zero()`, log P(0), and `_log_weight()`, the logarithm of what multiplies
    the masses or densities of the base above zero.
    """

    base: Any = component()
    logits: Tensor = parameter(constraints.real, instead_of="probs", convert=special.logit)
    probs: Tensor = parameter(constraints.unit_interval, instead_of="logits", convert=ops.sigmoid)

    def _log_zero(self) -> Tensor:
        raise NotImplementedError

    def _log_weight(self) -> Tensor:
        raise NotImplementedError

    def _log_cdf_at(self, lower: Tensor) -> Tensor:
        """log P(X <= x) for x >= 0 from the base's."""
        raise NotImplementedError

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        return in_batch_of_base(type(self).__name__, super()._prepared(values))

    def _check(self) -> None:
        super()._check()
        base = self.base
        usable = base.event_shape == () and (not base.discrete or hasattr(base, "_log_tails"))
        low = base._hook("support")()[0] if usable else -1.0
        if not isinstance(low, float):
            low = float(compat.to_numpy(low).min()) if compat.is_concrete(low) else 0.0
        if low < 0.0:
            raise ValueError(
                f"{type(self).__name__}: base must be a family of counts or of positive numbers, "
                f"got {base!r}"
            )

        if base._mixed and compat.is_concrete(base._zeros()):
            self._refuse_zeros()

    def _refuse_zeros(self) -> None:
        """A `ValueError` for a continuous base that has a mass at zero of its own."""
        at_zero = self.base._hook("cdf")(self.base._zeros())
        if compat.to_numpy(at_zero).max() > 0.0:
            raise ValueError(
                f"{type(self).__name__}: zero has a probability in {self.base!r} already"
            )

    @property
    def _mixed(self) -> bool:  # type: ignore[override]
        return not self.discrete

    def _masses_at(self) -> list[Tensor]:
        return [self.base._zeros(), *self.base._masses_at()]

    def _batch_shape(self) -> Shape:
        return self.base.batch_shape

    def _support(self) -> tuple[Tensor | float, Tensor | float]:
        return 0.0, self.base._hook("support")()[1]

    def _landmarks(self) -> tuple[Tensor, ...]:
        return self.base._hook("landmarks")()

    def _base_log_zero(self) -> Tensor:
        """log P(0) of the base."""
        zeros = self.base._zeros()
        return self.base._hook("log_prob")(zeros) if self.discrete else zeros - math.inf

    def _base_log_above(self) -> Tensor:
        """log P(X > 0) of the base."""
        zeros = self.base._zeros()
        return self.base._hook("log_survival")(zeros) if self.discrete else zeros

    def _log_mass(self, k: Tensor) -> Tensor:
        zero = k == 0.0
        above = self._log_weight() + self.base._log_mass(special.where(zero, 1.0, k))
        return ops.where(zero, self._log_zero(), above)

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self.base._log_tails(k)
        return self._log_cdf_at(lower), self._log_weight() + upper

    def _log_prob(self, x: Tensor) -> Tensor:
        zero, below = x == 0.0, x < 0.0
        inside = special.where(zero | below, 1.0, x)
        above = self._log_weight() + self.base._hook("log_prob")(inside)
        return ops.where(zero, self._log_zero(), special.where(below, -math.inf, above))

    def _log_cdf(self, x: Tensor) -> Tensor:
        lower = self.base._hook("log_cdf")(special.maximum(x, 0.0))
        return special.where(x < 0.0, -math.inf, self._log_cdf_at(lower))

    def _log_survival(self, x: Tensor) -> Tensor:
        upper = self.base._hook("log_survival")(special.maximum(x, 0.0))
        return special.where(x < 0.0, 0.0, self._log_weight() + upper)

    def _quantile(self, p: Tensor) -> Tensor:
        if not self.discrete:
            inside = p > self.probs
            found = special.where(inside, numerical.quantile(self, p), 0.0)
            return self._or_mass(p, found) if self.base._mixed else found
        # What the base has below x, from F(x) = P(0) + weight (F_base(x) - P_base(0)).
        at_zero = ops.exp(self._log_zero())
        excess = (p - at_zero) * ops.exp(-self._log_weight())
        zero = p <= at_zero
        p_base = ops.exp(self._base_log_zero()) + special.where(zero, 0.0, excess)
        largest = 1.0 - float(special.finfo(p_base).eps) / 2.0
        p_base = special.where(p >= 1.0, 1.0, special.minimum(p_base, largest))
        return special.where(zero, 0.0, self.base._hook("quantile")(p_base))

    def _draw_above(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        """What is drawn where the mass at zero is not."""
        return self.base._plain_draw(sample_shape, seed)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        draw = self._draw_above(sample_shape, second)
        noise = random.uniform((*sample_shape, *ops.shape(self.probs)), self.dtype, first)
        draw = ops.stop_gradient(special.where(noise < self.probs, 0.0, draw))
        return draw if self.discrete else _with_gradient(self, draw)

    def _mode(self) -> Tensor:
        if not self.discrete:
            raise NotImplementedError(
                f"{self._family} has no mode: zero has a probability, all else a density"
            )
        mode = special.maximum(self.base._hook("mode")(), 1.0)
        return special.where(self._log_zero() >= self._log_mass(mode), 0.0, mode)

    def _mean(self) -> Tensor:
        return ops.exp(self._log_weight()) * self.base._hook("mean")()

    def _variance(self) -> Tensor:
        weight, mean = ops.exp(self._log_weight()), self.base._hook("mean")()
        return weight * (self.base._hook("variance")() + (1.0 - weight) * ops.square(mean))

    def _entropy(self) -> Tensor:
        zero, weight = self._log_zero(), self._log_weight()
        base_zero = self._base_log_zero()
        rest = self.base._hook("entropy")() + _exp_times(base_zero, base_zero)
        above = _exp_times(weight, weight) * ops.exp(self._base_log_above())
        return ops.exp(weight) * rest - above - _exp_times(zero, zero)

    def _kl(self, other: Any) -> Tensor:
        zero, weight, base_zero = self._log_zero(), self._log_weight(), self._base_log_zero()
        rest = self.base.kl_divergence(other.base)
        rest = rest - _exp_times(base_zero, base_zero - other._base_log_zero())
        above = _exp_times(weight, weight - other._log_weight()) * ops.exp(self._base_log_above())
        at_zero = _exp_times(zero, zero - other._log_zero())
        return _exp_times(weight, rest) + above + at_zero


def _exp_times(log_value: Tensor, factor: Tensor) -> Tensor:
    """`exp(log_value) * factor`, and 0 where the logarithm is -inf."""
    none = log_value == -math.inf
    return special.where(none, 0.0, ops.exp(log_value) * special.where(none, 0.0, factor))


class ZeroInflated(_WithZeros):
    r"""A distribution with a probability of additional zeros.

    $P(0) = \pi + (1 - \pi) P_\mathrm{base}(0)$, and $(1 - \pi)\,p_\mathrm{base}(x)$ for x > 0

    Args:
        base: family of counts, or a continuous family of positive numbers.
        logits: log odds of an additional zero, any real tensor of the batch shape of `base`. Give
            this or `probs`.
        probs: its probability, in [0, 1].

    Raises:
        ValueError: if both or neither of `logits` and `probs` is given, or `base` has negative
            values or, if it is continuous, a probability of zero.

    With a continuous base zero has a probability and all else a density: `log_prob(0)` is the
    logarithm of the probability, elsewhere that of the density, and `entropy` adds both parts.

    Source: Lambert: Zero-Inflated Poisson Regression (1992).

    >>> from timedist.distributions import Poisson
    >>> ZeroInflated(Poisson([1.0, 5.0]), probs=0.3)
    ZeroInflated(Poisson)(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_weight(self) -> Tensor:
        return chances(self).log_no

    def _log_zero(self) -> Tensor:
        _, _, extra, rest = chances(self)
        return _log_add(extra, rest + self._base_log_zero()) if self.discrete else extra

    def _log_cdf_at(self, lower: Tensor) -> Tensor:
        _, _, extra, rest = chances(self)
        return _log_add(extra, rest + lower)


class Hurdle(_WithZeros):
    r"""Zero with a probability, else a draw of another distribution given that it is above zero.

    $P(0) = \pi$, and $(1 - \pi)\,p_\mathrm{base}(x) / P_\mathrm{base}(X > 0)$ for x > 0

    Args:
        base: family of counts, or a continuous family of positive numbers (for which it is the same
            as `ZeroInflated`).
        logits: log odds of zero, any real tensor of the batch shape of `base`. Give this or
            `probs`.
        probs: probability of zero, in [0, 1].

    Raises:
        ValueError: if both or neither of `logits` and `probs` is given, or `base` has negative
            values or, if it is continuous, a probability of zero.

    Source: Mullahy: Specification and Testing of Some Modified Count Data Models (1986).

    >>> from timedist.distributions import Poisson
    >>> Hurdle(Poisson([1.0, 5.0]), probs=0.3)
    Hurdle(Poisson)(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    def _log_weight(self) -> Tensor:
        return chances(self).log_no - self._base_log_above()

    def _log_zero(self) -> Tensor:
        return chances(self).log_yes

    def _log_cdf_at(self, lower: Tensor) -> Tensor:
        _, _, extra, rest = chances(self)
        if not self.discrete:
            return _log_add(extra, rest + lower)
        # F_base(x) - P_base(0), which may be far smaller than both.
        start = self._base_log_zero() + ops.zeros_like(lower)
        alone = lower <= start
        gap = special.log1mexp(special.where(alone, -1.0, start - lower))
        above = special.where(alone, 0.0, lower) + gap + self._log_weight()
        return _log_add(extra, special.where(alone, -math.inf, above))

    def _draw_above(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        if not self.discrete:
            return self.base._plain_draw(sample_shape, seed)
        at_zero, above = ops.exp(self._base_log_zero()), ops.exp(self._base_log_above())
        noise = random.uniform((*sample_shape, *ops.shape(above)), self.dtype, seed)
        return special.maximum(self.base._hook("quantile")(at_zero + above * noise), 1.0)


def _with_gradient(d: Distribution, draw: Tensor) -> Tensor:
    """A draw with its implicit gradient where it is not zero."""
    draw = ops.stop_gradient(draw)
    above = draw > 0.0
    inside = special.where(above, draw, 1.0)
    density = special.where(above, ops.exp(d._hook("log_prob")(inside)), 0.0)
    return solve.with_implicit_gradient(draw, d._hook("cdf")(inside), density)
