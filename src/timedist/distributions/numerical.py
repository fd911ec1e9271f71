"""What a continuous scalar family does not write, by quadrature and by search.

An integral over the support is cut at landmarks, points that show where the mass is. Between two
of them it is a tanh-sinh quadrature, beyond the last a tanh-sinh or exp-sinh one, according to
whether the support ends; all nodes of all panels are one evaluation.

Source: Takahasi, Mori: Double Exponential Formulas for Numerical Integration (1974).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from timedist.distributions import solve
from timedist.ops import compat, random, special

Tensor = Any

_STEP = 0.11
_NUMBER = 80
_BETWEEN = (np.arange(_NUMBER) - (_NUMBER - 1) / 2) * _STEP * 0.8
_TO_END = np.arange(_NUMBER) * _STEP - 5.5
_ENDLESS = np.arange(_NUMBER) * _STEP - 3.7


def _tanh_sinh(t: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions in (0, 1) as distances from the low and the high end, and weights."""
    low = 1.0 / (1.0 + np.exp(-math.pi * np.sinh(t)))
    high = 1.0 / (1.0 + np.exp(math.pi * np.sinh(t)))
    return low, high, step * math.pi * np.cosh(t) * low * high


def _exp_sinh(t: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions in (0, inf), and weights."""
    position = np.exp(0.5 * math.pi * np.sinh(t))
    return position, step * 0.5 * math.pi * np.cosh(t) * position


def integral(function: Callable, low: Tensor, high: Tensor, landmarks: Sequence[Tensor]) -> Tensor:
    """The integral of an elementwise function from `low` to `high`.

    Args:
        function: of tensors with an axis of nodes in front; finite at every node.
        low: tensor, may be -inf.
        high: tensor of the same shape, not below `low`, may be inf.
        landmarks: finite tensors of that shape that show where the function changes.

    Returns:
        Tensor of that shape.
    """
    x, weight = nodes(low, high, landmarks)
    value = function(x)
    return ops.sum(special.where(weight > 0.0, value, 0.0) * weight, axis=0)


def nodes(low: Tensor, high: Tensor, landmarks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Nodes and weights of an integral, with an axis of nodes in front; see `integral`."""
    stop = ops.stop_gradient
    inside = [special.minimum(special.maximum(stop(m), stop(low)), stop(high)) for m in landmarks]
    marks = ops.sort(ops.stack(inside, axis=0), axis=0)
    first, last = marks[:1], marks[-1:]
    spread = last - first
    spread = ops.where(spread > 0.0, spread, 1.0 + ops.abs(first))
    parts = [_end(first, low[None], spread, -1.0)]
    if len(inside) > 1:
        parts.append(_between(marks[:-1], marks[1:]))
    parts.append(_end(last, high[None], spread, 1.0))
    points, weights = zip(*parts, strict=True)
    return ops.concatenate(points, axis=0), ops.concatenate(weights, axis=0)


def _columns(tables: tuple[np.ndarray, ...], like: Tensor) -> list[Tensor]:
    """Tables along a new first axis, with axes for `like` behind."""
    limit = float(special.finfo(like).max) ** 0.5
    shape = (-1, *(1,) * len(like.shape))
    dtype = compat.dtype_of(like)
    return [compat.to_tensor(np.minimum(t, limit).reshape(shape), dtype) for t in tables]


def _between(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Panels between neighbours along the first axis."""
    width = high - low
    near, far, weight = _columns(_tanh_sinh(_BETWEEN, 0.8 * _STEP), low)
    x = ops.where(near < far, low + width * near, high - width * far)
    return _merged(x), _merged(weight * width)


def _end(mark: Tensor, end: Tensor, spread: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """The panel from a landmark to an end of the support, which may be infinite."""
    finite = ops.abs(end) < math.inf
    end = ops.where(finite, end, mark)
    width = side * (end - mark)
    near, far, weight = _columns(_tanh_sinh(_TO_END, _STEP), mark)
    # Distances count from the end, where a density may be infinite.
    x = ops.where(near < far, end - side * width * near, mark + side * width * far)
    position, endless = _columns(_exp_sinh(_ENDLESS, _STEP), mark)
    x = ops.where(finite, x, mark + side * spread * position)
    return _merged(x), _merged(ops.where(finite, weight * width, spread * endless))


def _merged(x: Tensor) -> Tensor:
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


# --- what follows for a distribution -----------------------------------------------------------


def support(d: Any, like: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """The ends of the support as tensors of the batch shape, broadcast with `like`."""
    zero = d._zeros() + 0.0 * like
    low, high = d._hook("support")()
    return low + zero, high + zero


def is_endless(end: Tensor | float) -> bool:
    """Whether a support goes on for ever there, whatever the parameters are."""
    return isinstance(end, float) and math.isinf(end)


def half_line(_: Any) -> tuple[float, float]:
    """The support of positive numbers, for a family to name: `_support = numerical.half_line`."""
    return 0.0, math.inf


def unit_interval(_: Any) -> tuple[float, float]:
    """The support of shares, likewise."""
    return 0.0, 1.0


def clipped(x: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """The nearest finite value that rounding keeps strictly between the ends."""
    info = special.finfo(x)
    low = special.maximum(low, -float(info.max))
    high = special.minimum(high, float(info.max))
    top = high - 0.5 * float(info.eps) * abs(high)
    return special.maximum(special.minimum(x, top), low + float(info.tiny))


def finite_landmarks(d: Any, like: Tensor) -> list[Tensor]:
    """The finite landmarks of a distribution, broadcast with `like`."""
    zero = ops.zeros_like(like)
    marks = [ops.stop_gradient(mark) + zero for mark in d._hook("landmarks")()]
    return [special.where(ops.abs(mark) < math.inf, mark, 0.0) for mark in marks]


def expectation(d: Any, function: Callable, *more: Tensor) -> Tensor:
    """E[function(X)], without a sample.

    Args:
        d: continuous scalar distribution with `_log_prob`.
        function: `function(x, log_prob)` of nodes and their log densities.
        *more: landmarks besides those of `d`.

    Returns:
        Tensor of the batch shape.
    """
    low, high = support(d)
    marks = [*finite_landmarks(d, low), *(mark + ops.zeros_like(low) for mark in more)]
    x, weight = nodes(low, high, marks)
    density = ops.stop_gradient(d._hook("log_prob")(x))
    # A node without mass must not bring its own infinities, nor those of its gradient.
    alive = (density > math.log(float(special.finfo(x).tiny))) & (density < math.inf)
    # Nor must one that rounding put on an end, where another density may be nothing or infinite.
    alive = alive & (weight > 0.0) & (x > low) & (x < high)
    x = ops.where(alive, x, marks[0] + ops.zeros_like(x))
    log_prob = d._hook("log_prob")(x)
    mass = special.where(alive, ops.exp(special.where(alive, log_prob, 0.0)) * weight, 0.0)
    value = function(x, log_prob)
    # Where the mass underflows an infinite value would make a NaN.
    usable = mass > 0.0
    return ops.sum(mass * special.where(usable, value, 0.0), axis=0)


def mean(d: Any) -> Tensor:
    """E[X]."""
    centre = ops.stop_gradient(d._hook("landmarks")()[0])
    return centre + expectation(d, lambda x, _: x - centre)


def variance(d: Any) -> Tensor:
    """E[(X - E[X])^2]."""
    middle = d._hook("mean")()
    return expectation(d, lambda x, _: ops.square(x - middle))


def entropy(d: Any) -> Tensor:
    """-E[log p(X)]."""
    return -expectation(d, lambda _, log_prob: log_prob)


def kl_divergence(d: Any, other: Any) -> Tensor:
    """E[log p(X) - log q(X)]."""
    marks = finite_landmarks(other, d._zeros())
    return expectation(d, lambda x, log_p: log_p - other._hook("log_prob")(x), *marks)


def completed(score: Callable) -> Callable:
    """A score of finite values, with what is left: infinite at infinity, NaN at NaN."""

    def whole(d: Any, y: Tensor) -> Tensor:
        missing, endless = y != y, ops.abs(y) == math.inf
        finite = score(d, special.where(missing | endless, 0.0, y))
        return special.where(missing, math.nan, special.where(endless, math.inf, finite))

    return whole


@completed
def crps(d: Any, y: Tensor) -> Tensor:
    r"""$\int_{-\infty}^y F(x)^2 dx + \int_y^\infty (1 - F(x))^2 dx$."""
    low, high = support(d, y)
    y = y + ops.zeros_like(low)
    inside = special.minimum(special.maximum(y, low), high)
    cut = ops.stop_gradient(inside)
    cdf, survival = d._hook("cdf"), d._hook("survival")

    def squared(x: Tensor) -> Tensor:
        return ops.square(ops.where(x < cut, cdf(x), survival(x)))

    score = integral(squared, low, high, [cut, *finite_landmarks(d, low)])
    # The cut moves with y, which the nodes do not know.
    slope = ops.stop_gradient(ops.square(cdf(cut)) - ops.square(survival(cut)))
    return score + slope * (inside - cut) + ops.abs(y - inside)


def quantile(d: Any, p: Tensor) -> Tensor:
    """The root of F(x) = p, searched for in asinh(x), with the implicit gradient."""
    low, high = support(d, p)
    p = p + ops.zeros_like(low)
    ends = (p <= 0.0) | (p >= 1.0)
    inner = special.where(ends, 0.5, p)
    upper = inner > 0.5

    def residual(x: Tensor) -> Tensor:
        above = 1.0 - inner - d._hook("survival")(x)
        return ops.where(upper, above, d._hook("cdf")(x) - inner)

    top = 0.5 * math.log(float(special.finfo(p).max))
    start = special.maximum(special.asinh(low), -top)
    stop = special.minimum(special.asinh(high), top)
    root = solve.increasing_root(lambda t: residual(special.sinh(t)), start, stop)
    x = special.minimum(special.maximum(special.sinh(root), low), high)
    density = ops.exp(d._hook("log_prob")(x))
    exact = solve.with_implicit_gradient(x, residual(x), density)
    return ops.where(ends, ops.where(p <= 0.0, low, high), exact)


def sample(d: Any, shape: tuple, seed: random.Seed) -> Tensor:
    """The quantile of a uniform draw; of a density strictly inside the support."""
    uniform = random.uniform((*shape, *ops.shape(d._zeros())), d.dtype, seed)
    draw = d._hook("quantile")(uniform)
    return draw if d.discrete else clipped(draw, *support(d))


def landmarks(d: Any) -> tuple[Tensor, ...]:
    """The median and two quantiles on either side."""
    zero = d._zeros()
    return tuple(d._hook("quantile")(zero + p) for p in (0.5, 0.02, 0.25, 0.75, 0.98))
