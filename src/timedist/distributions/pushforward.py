"""Parent of the families that are a monotone map of another family."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.distributions import numerical
from timedist.distributions.base import Distribution
from timedist.ops import random, special

Tensor = Any


def typical(d: Any) -> Tensor:
    """A value where the distribution has mass, at little cost: its mean, if that is finite."""
    hook = getattr(d, "_typical", None)
    if hook is not None:
        return hook()
    mean = d._hook("mean")()
    return special.where(ops.abs(mean) < math.inf, mean, 1.0)


def upper_quantile(d: Any, p: Tensor) -> Tensor:
    """The x with P(X > x) = p, by the hook `_upper_quantile` of families that have one."""
    hook = getattr(d, "_upper_quantile", None)
    return d._hook("quantile")(1.0 - p) if hook is None else hook(p)


class Pushforward(Distribution):
    r"""Parent of the families $Y = f(X)$, from the family of X and a strictly monotone map.

    $\log p_Y(y) = \log p_X(x) - \log |f'(x)|,\ x = f^{-1}(y)$

    A family gives `_base()`, `_forward(x)`, `_inverse(y)`, `_log_slope(x, y)` and, unless it is the
    whole real line, `_support()`. The inverse only sees values strictly inside the support, and its
    ends where `_regular_ends()` says so; elsewhere the density has the limit of
    `_log_prob_at_ends()`.

    Source: Papoulis, Pillai: Probability, Random Variables and Stochastic Processes, section 5.2.
    """

    @property
    def _decreasing(self) -> bool:
        """Whether the map is decreasing."""
        return False

    def _base(self) -> Any:
        """The distribution of X."""
        raise NotImplementedError

    def _forward(self, x: Tensor) -> Tensor:
        """y from x."""
        raise NotImplementedError

    def _inverse(self, y: Tensor) -> Tensor:
        """x from y."""
        raise NotImplementedError

    def _log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx| at a pair of x and y."""
        raise NotImplementedError

    def _regular_ends(self) -> tuple[Tensor | bool, Tensor | bool]:
        """Whether the inverse and the slope are finite at the low and the high end."""
        return False, False

    def _log_prob_at_ends(self) -> tuple[Tensor | float, Tensor | float]:
        """The log density at those ends where the map is not regular."""
        return -math.inf, -math.inf

    def _typical(self) -> Tensor:
        return numerical.clipped(self._forward(typical(self._base())), *self._hook("support")())

    def _harmless_value(self, like: Tensor) -> Tensor:
        return ops.stop_gradient(self._typical()) + ops.zeros_like(like)

    def _pulled(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x and y, harmless where y is not inside the support, and whether y is below or above."""
        low, high = self._hook("support")()
        at_low, at_high = self._regular_ends()
        below = _beyond(y < low, y == low, at_low)
        above = _beyond(y > high, y == high, at_high)
        y = ops.where(below | above, ops.stop_gradient(self._typical()), y)
        return self._inverse(y), y, below, above

    def _log_prob(self, y: Tensor) -> Tensor:
        x, inner, below, above = self._pulled(y)
        log_prob = self._base()._hook("log_prob")(x) - self._log_slope(x, inner)
        log_prob = special.where(below | above, -math.inf, log_prob)
        limits = zip(self._hook("support")(), self._log_prob_at_ends(), (below, above), strict=True)
        for end, limit, beyond in limits:
            if not (isinstance(limit, float) and limit == -math.inf):
                log_prob = special.where(beyond & (y == end), limit, log_prob)
        return log_prob

    def _log_prob_where(self, y: Tensor, observed: Tensor) -> Tensor:
        # A value outside of the support is one of the harmless ones to `_log_prob` already.
        log_prob = self._hook("log_prob")(special.where(observed, y, -math.inf))
        return special.where(observed, log_prob, 0.0)

    def _pulled_back(self, name: str, y: Tensor, low: float, high: float) -> Tensor:
        """A function of the base at x, `low` below the support and `high` above."""
        x, _, below, above = self._pulled(y)
        value = self._base()._hook(_MIRRORED[name] if self._decreasing else name)(x)
        return special.where(below, low, special.where(above, high, value))

    def _cdf(self, y: Tensor) -> Tensor:
        return self._pulled_back("cdf", y, 0.0, 1.0)

    def _survival(self, y: Tensor) -> Tensor:
        return self._pulled_back("survival", y, 1.0, 0.0)

    def _log_cdf(self, y: Tensor) -> Tensor:
        return self._pulled_back("log_cdf", y, -math.inf, 0.0)

    def _log_survival(self, y: Tensor) -> Tensor:
        return self._pulled_back("log_survival", y, 0.0, -math.inf)

    def _quantile(self, p: Tensor) -> Tensor:
        ends = (p <= 0.0) | (p >= 1.0)
        inner = special.where(ends, 0.5, p)
        low, high = numerical.support(self)
        base = self._base()
        x = upper_quantile(base, inner) if self._decreasing else base._hook("quantile")(inner)
        return ops.where(ends, ops.where(p <= 0.0, low, high), self._forward(x))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self._inside(self._forward(self._base()._hook("sample")(sample_shape, seed)))

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self._inside(self._forward(self._base()._plain_draw(sample_shape, seed)))

    def _inside(self, y: Tensor) -> Tensor:
        """Draws that rounding put on an end of the support, back inside."""
        return numerical.clipped(y, *self._hook("support")())

    def _landmarks(self) -> tuple[Tensor, ...]:
        """Those of the base, and one beyond each side, for an end may be far from all of them."""
        base, ends = self._base(), numerical.support(self)
        marks = list(base._hook("landmarks")())
        stacked = ops.stack(marks, axis=0)
        low, high = ops.min(stacked, axis=0), ops.max(stacked, axis=0)
        least, greatest = numerical.support(base)
        below, above = low - 1.2 * (high - low), high + 1.2 * (high - low)
        marks.append(ops.where(below > least, below, least + 1e-3 * (low - least)))
        marks.append(ops.where(above < greatest, above, greatest + 1e-3 * (high - greatest)))
        return tuple(numerical.clipped(self._forward(mark), *ends) for mark in marks)


_MIRRORED = {
    "cdf": "survival",
    "survival": "cdf",
    "log_cdf": "log_survival",
    "log_survival": "log_cdf",
}


def _beyond(past: Tensor, at_end: Tensor, regular: Tensor | bool) -> Tensor:
    """What is past an end, or at it where the map is not regular there."""
    if isinstance(regular, bool):
        return past if regular else past | at_end
    return past | (at_end & ~regular)
