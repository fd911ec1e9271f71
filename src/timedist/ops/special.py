"""Special functions that `keras.ops` lacks, accurate in the tails, differentiable on all backends.

Functions a backend has are called there; the rest is written once in `keras.ops`. Conventions:
arguments broadcast, have one floating dtype, and so has the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from timedist.ops import compat

# One name for all that is elementwise: users of `special` need not know which file has it.
from timedist.ops.elementary import (  # noqa: F401
    arcsin,
    arctan,
    ceil,
    cos,
    cosh,
    cumsum,
    finfo,
    floor,
    full_like,
    hypot,
    largest_so_far,
    maximum,
    minimum,
    parts,
    sin,
    sinh,
    tan,
    tanh,
    where,
)

Tensor = Any

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_LOG_2 = math.log(2.0)


# --- elementary functions without cancellation -------------------------------------------------


def minus_abs(x: Tensor) -> Tensor:
    """-|x|, with the derivative -1 at 0, where backends give `abs` the derivative 0.

    Sums of two branches that meet smoothly at 0 need one of the two slopes there.
    """
    return ops.where(x < 0.0, x, -x)


def only_where(
    condition: Tensor, function: Callable, x: Tensor, inside: float, outside: Any = math.inf
) -> Tensor:
    """`function(x)` where the condition holds, elsewhere `outside`, in value and in gradient.

    Args:
        condition: boolean tensor.
        function: elementwise; sees `inside` where the condition does not hold.
        x: tensor of the shape of the condition.
        inside: a number for which function and gradient are finite.
        outside: number or tensor.
    """
    return where(condition, function(where(condition, x, inside)), outside)


def beside(flags: Tensor, x: Tensor) -> Tensor:
    """Flags of the first axes of `x` with the rank of `x`."""
    behind = (1,) * (len(x.shape) - len(flags.shape))
    return ops.reshape(flags, (*ops.shape(flags), *behind))


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), exact at both ends."""
    if compat.backend_name() == "torch" and compat.is_tensor(x):
        import torch

        # One operation instead of seven, on a part of an axis ten times faster after a copy; its
        # own threshold, 20, is too early in float64.
        return torch.nn.functional.softplus(x.contiguous(), threshold=50.0)
    if compat.backend_name() == "tensorflow" and compat.is_tensor(x):
        return ops.softplus(x)
    return maximum(x, 0.0) + ops.log1p(ops.exp(minus_abs(x)))


def inverse_softplus(y: Tensor) -> Tensor:
    """The x with softplus(x) = y, for y > 0."""
    far = y > 50.0
    inner = where(far, 1.0, y)
    return ops.where(far, y, inner + ops.log(-ops.expm1(-inner)))


def log_sigmoid(x: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x)))."""
    return -softplus(-x)


def logit(p: Tensor) -> Tensor:
    """log(p / (1 - p))."""
    return ops.log(p) - ops.log1p(-p)


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x <= 0; -inf at 0.

    Source: Maechler, Accurately computing log(1 - exp(-|a|)), Rmpfr vignette (2012).
    """
    near = x > -_LOG_2
    small = where(near, x, -_LOG_2)
    large = where(near, -_LOG_2, x)
    return ops.where(near, log_or_minus_inf(-ops.expm1(small)), ops.log1p(-ops.exp(large)))


def expm1_ratio(x: Tensor) -> Tensor:
    """(exp(x) - 1) / x, and 1 at 0."""
    near = ops.abs(x) < 1e-3
    small, large = where(near, x, 0.0), where(near, 1.0, x)
    series = 1.0 + small / 2.0 * (1.0 + small / 3.0 * (1.0 + small / 4.0))
    return ops.where(near, series, ops.expm1(large) / large)


def log1p_ratio(x: Tensor) -> Tensor:
    """log(1 + x) / x, and 1 at 0, with its derivative.

    Near 0 by the series of the inverse hyperbolic tangent.
    """
    near = ops.abs(x) < 0.25
    small, large = where(near, x, 0.0), where(near, 1.0, x)
    square = ops.square(small / (2.0 + small))
    series = ops.zeros_like(x)
    for order in range(19, 1, -2):
        series = (series + 1.0 / order) * square
    return ops.where(near, 2.0 / (2.0 + small) * (1.0 + series), ops.log1p(large) / large)


def log1p_square(x: Tensor, scale: Tensor | None = None) -> Tensor:
    """log(1 + (x / scale)^2) without overflow, even of the ratio; `scale` is 1 by default."""
    scale = ops.ones_like(x) if scale is None else scale + ops.zeros_like(x)
    big = ops.abs(x) > scale
    inside = where(big, 0.0, x) / scale
    outside = ops.where(big, ops.abs(x), scale)
    far = 2.0 * (ops.log(outside) - ops.log(scale)) + ops.log1p(ops.square(scale / outside))
    return ops.where(big, far, ops.log1p(ops.square(inside)))


def log_ratio(x: Tensor, scale: Tensor) -> Tensor:
    """log(x / scale) for x >= scale > 0, without cancellation near and overflow far away."""
    near = x < 2.0 * scale
    excess = (ops.where(near, x, scale) - scale) / scale
    far = ops.log(ops.where(near, scale, x)) - ops.log(scale)
    return ops.where(near, ops.log1p(excess), far)


def asinh(x: Tensor) -> Tensor:
    """Inverse of sinh, without cancellation for negative x (and in float64 on every backend)."""
    return asinh_ratio(x, ops.zeros_like(x))


def asinh_ratio(x: Tensor, log_scale: Tensor) -> Tensor:
    """asinh(x / exp(log_scale)) without overflow of the ratio, with a derivative at 0."""
    size = -minus_abs(x)
    log_size = ops.log(where(size > 0.0, size, 1.0)) - log_scale
    far = (log_size > 19.0) & (size > 0.0)
    least = 8.0 - math.log(float(finfo(x).max))
    near = where(far, 0.0, size) * ops.exp(-maximum(log_scale, least))
    value = ops.log1p(near + ops.square(near) / (1.0 + ops.sqrt(1.0 + ops.square(near))))
    value = ops.where(far, log_size + _LOG_2, value)
    return ops.where(x < 0.0, -value, value)


def exp_sinh(log_scale: Tensor, x: Tensor) -> Tensor:
    """exp(log_scale) sinh(x), where one factor may overflow and the product does not."""
    minus = minus_abs(x)
    size = -0.5 * ops.expm1(2.0 * minus) * ops.exp(log_scale - minus)
    return ops.where(x < 0.0, -size, size)


def log_cosh(x: Tensor) -> Tensor:
    """log(cosh(x)) without overflow."""
    size = ops.abs(x)
    return size + ops.log1p(ops.exp(-2.0 * size)) - _LOG_2


def xlogy(x: Tensor, y: Tensor) -> Tensor:
    """x log(y), and 0 where x = 0."""
    zero = x == 0.0
    return where(zero, 0.0, x * ops.log(where(zero, 1.0, y)))


def logsumexp(x: Tensor) -> Tensor:
    """log of the sum of exponentials along the last axis; -inf, without NaN gradient, of -inf."""
    top = ops.stop_gradient(ops.max(x, axis=-1, keepdims=True))
    top = where(ops.abs(top) < math.inf, top, 0.0)
    total = ops.sum(ops.exp(x - top), axis=-1)
    return log_or_minus_inf(total) + top[..., 0]


def log_or_minus_inf(x: Tensor) -> Tensor:
    """log(x), and -inf with gradient zero where x <= 0."""
    empty = x <= 0.0
    return where(empty, -math.inf, ops.log(where(empty, 1.0, x)))


# --- gamma functions ---------------------------------------------------------------------------


def lgamma(x: Tensor) -> Tensor:
    """Logarithm of the absolute value of the gamma function."""
    name = compat.backend_name()
    if name == "jax":
        import jax.scipy.special as jsp

        return jsp.gammaln(x)
    if name == "tensorflow":
        import tensorflow as tf

        return tf.math.lgamma(x)
    import torch

    return torch.special.gammaln(x)


def digamma(x: Tensor) -> Tensor:
    """Derivative of `lgamma`."""
    name = compat.backend_name()
    if name == "jax":
        import jax.scipy.special as jsp

        return jsp.digamma(x)
    if name == "tensorflow":
        import tensorflow as tf

        return tf.math.digamma(x)
    import torch

    return torch.special.digamma(x)


def stirling_error(x: Tensor) -> Tensor:
    """What Stirling's formula leaves of log Gamma(x).

    lgamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2].

    Taking it instead of `lgamma` keeps differences of log gammas exact for large arguments.

    Source: NIST Digital Library of Mathematical Functions, 5.11.1.
    """
    large = x > 8.0
    series_at = where(large, x, 8.0)
    direct_at = where(large, 8.0, x)
    direct = lgamma(direct_at) - (
        (direct_at - 0.5) * ops.log(direct_at) - direct_at + _LOG_SQRT_2PI
    )
    return ops.where(large, _stirling_series(series_at), direct)


def log_gamma_step(a: Tensor) -> Tensor:
    """log Gamma(a + 1/2) - log Gamma(a) - log(a) / 2; by Stirling, so that none cancels."""
    errors = stirling_error(ops.stack([a + 0.5, a], axis=0))
    return a * ops.log1p(0.5 / a) - 0.5 + (errors[0] - errors[1])


def _stirling_series(x: Tensor) -> Tensor:
    inverse = 1.0 / x
    square = inverse * inverse
    total = 1 / 156 - 3617 / 122400 * square
    for coefficient in (
        -691 / 360360,
        1 / 1188,
        -1 / 1680,
        1 / 1260,
        -1 / 360,
        1 / 12,
    ):
        total = total * square + coefficient
    return total * inverse


def digamma_error(x: Tensor) -> Tensor:
    """The derivative of `stirling_error`: digamma(x) - [log x - 1 / (2 x)].

    Source: NIST Digital Library of Mathematical Functions, 5.11.2.
    """
    large = x > 15.0
    square = ops.square(1.0 / where(large, x, 15.0))
    series = ops.zeros_like(x)
    for coefficient in (-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12):
        series = (series + coefficient) * square
    direct_at = where(large, 15.0, x)
    direct = digamma(direct_at) - ops.log(direct_at) + 0.5 / direct_at
    return ops.where(large, series, direct)


def log_beta(a: Tensor, b: Tensor) -> Tensor:
    """log of the beta function of a, b > 0, without the cancellation of three log gammas."""
    errors = stirling_error(a) + stirling_error(b) - stirling_error(a + b)
    powers = (a - 0.5) * ops.log1p(b / a) + (b - 0.5) * ops.log1p(a / b)
    return errors - powers - 0.5 * ops.log(a + b) + _LOG_SQRT_2PI


def deviance(x: Tensor, mean: Tensor, log_mean: Tensor | None = None) -> Tensor:
    """x log(x / mean) + mean - x, without cancellation where x is near the mean.

    Args:
        x: tensor >= 0.
        mean: tensor >= 0.
        log_mean: its logarithm, for means that underflow.

    Source: Loader, Fast and Accurate Computation of Binomial Probabilities (2000), section 2.
    """
    log_mean = ops.log(mean) if log_mean is None else log_mean
    total = x + mean
    ratio = (x - mean) / where(total > 0.0, total, 1.0)
    near = ops.abs(ratio) < 0.25
    inner = where(near, ratio, 0.0)
    square = inner * inner
    series = ops.zeros_like(ratio)
    for order in range(14, 0, -1):
        series = (series + 1.0 / (2 * order + 1)) * square
    close = inner * (x - mean) + 2.0 * x * inner * series
    empty, extreme = x == 0.0, ops.abs(ratio) > 0.99
    log_x = ops.log(where(empty, 1.0, x))
    # A difference of logarithms has the rounding of both, a logarithm of the ratio only its own.
    log_ratio = ops.log(where(extreme, 1.0, x) / where(extreme, 1.0, mean))
    log_ratio = ops.where(extreme, log_x - where(empty, 0.0, log_mean), log_ratio)
    far = where(empty, 0.0, x * log_ratio) + mean - x
    return ops.where(near, close, far)


def log_poisson_pmf(k: Tensor, rate: Tensor, log_rate: Tensor) -> Tensor:
    """k log(rate) - rate - log(k!) by the saddle-point expansion, for k >= 0."""
    zero = k == 0.0
    safe = where(zero, 1.0, k)
    body = (
        -deviance(safe, rate, log_rate) - stirling_error(safe) - 0.5 * ops.log(safe) - _LOG_SQRT_2PI
    )
    return ops.where(zero, -rate, body)


class Chances(NamedTuple):
    """The probabilities of a success and a failure, and their logarithms, which may be -inf."""

    yes: Tensor
    no: Tensor
    log_yes: Tensor
    log_no: Tensor

    def mirrored(self) -> Chances:
        """Success and failure exchanged."""
        return Chances(self.no, self.yes, self.log_no, self.log_yes)

    def even_where(self, condition: Tensor) -> Chances:
        """One half where the condition holds."""
        halves = (0.5, 0.5, -_LOG_2, -_LOG_2)
        return Chances(*(where(condition, h, x) for h, x in zip(halves, self, strict=True)))


def chances_from_logits(logits: Tensor) -> Chances:
    """`Chances` from the log odds of a success."""
    logs = log_sigmoid(logits), log_sigmoid(-logits)
    return Chances(ops.sigmoid(logits), ops.sigmoid(-logits), *logs)


def log_binomial_term(x: Tensor, y: Tensor, given: Chances) -> Tensor:
    """log [Gamma(x+y+1) / (Gamma(x+1) Gamma(y+1)) p^x q^y] for x, y > 0, by the saddle point.

    Source: Loader (2000), equation 4, for real x and y.
    """
    n = x + y
    log_n = ops.log(n)
    errors = stirling_error(n) - stirling_error(x) - stirling_error(y)
    deviances = deviance(x, n * given.yes, log_n + given.log_yes)
    deviances = deviances + deviance(y, n * given.no, log_n + given.log_no)
    return errors - deviances + 0.5 * (log_n - ops.log(x) - ops.log(y)) - _LOG_SQRT_2PI


def log_negative_binomial_pmf(k: Tensor, r: Tensor, given: Chances) -> Tensor:
    """log [Gamma(r+k) / (Gamma(r) k!) q^r p^k] for k >= 0; p may be 0."""
    impossible = given.log_yes == -math.inf
    zero = k == 0.0
    safe = where(zero, 1.0, k)
    term = log_binomial_term(r, safe, given.even_where(impossible).mirrored()) - ops.log1p(safe / r)
    return ops.where(zero, r * given.log_no, where(impossible, -math.inf, term))


# --- the normal distribution function ----------------------------------------------------------


def ndtr(x: Tensor) -> Tensor:
    """Standard normal distribution function, accurate in the lower tail."""
    name = compat.backend_name()
    if name == "jax":
        import jax.scipy.special as jsp

        return jsp.ndtr(x)
    if name == "tensorflow":
        import tensorflow as tf

        return 0.5 * tf.math.erfc(-x * math.sqrt(0.5))
    import torch

    return 0.5 * torch.special.erfc(-x * math.sqrt(0.5))


def log_ndtr(x: Tensor) -> Tensor:
    """Logarithm of the standard normal distribution function, accurate in both tails.

    (JAX's own is off by 1e-5 in float32 about -6; its slope and torch's cancel far below.)
    """
    high, low = x > 0.0, x < -4.0
    upper = ops.log1p(-ndtr(-where(high, x, 0.0)))
    middle = ops.log(ndtr(where(high | low, -1.0, x)))
    t = where(low, -x, 4.0)
    lower = -0.5 * t * t - _LOG_SQRT_2PI - ops.log(_inverse_mills(t))
    return ops.where(high, upper, ops.where(low, lower, middle))


def _inverse_mills(t: Tensor) -> Tensor:
    """Density over upper tail of the standard normal distribution for t >= 4, a fraction.

    Source: NIST Digital Library of Mathematical Functions, 7.9.3.
    """
    fraction = t
    for order in range(30 if compat.dtype_of(t) == "float64" else 10, 0, -1):
        fraction = t + order / fraction
    return fraction


def ndtri(p: Tensor) -> Tensor:
    """Standard normal quantile function."""
    name = compat.backend_name()
    if name == "jax":
        import jax.scipy.special as jsp

        return jsp.ndtri(p)
    if name == "tensorflow":
        import tensorflow as tf

        return tf.math.ndtri(p)
    import torch

    return torch.special.ndtri(p)
