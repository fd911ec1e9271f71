"""Inverting distribution functions by bracketing search, compiled and vectorised."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from timedist.ops import special

Tensor = Any


def increasing_root(function: Callable[[Tensor], Tensor], lower: Tensor, upper: Tensor) -> Tensor:
    """The root of an increasing function in a bracket, to the last bit the dtype resolves.

    Args:
        function: elementwise increasing, tensors of one shape to tensors of that shape.
        lower: tensor with `function(lower) <= 0`.
        upper: tensor of the same shape with `function(upper) >= 0`.

    Returns:
        Tensor of that shape; no gradient flows through it.

    Source: Chandrupatla, A new hybrid quadratic/bisection algorithm for finding the zero of a
    nonlinear function without using derivatives (1997).
    """
    lower, upper = ops.stop_gradient(lower), ops.stop_gradient(upper)
    info = special.finfo(lower)
    eps, tiny = float(info.eps), float(info.tiny)

    def proceed(step, a, b, c, fa, fb, fc, t, done):
        return ops.logical_and(step < 200, ops.logical_not(ops.all(done)))

    def advance(step, a, b, c, fa, fb, fc, t, done):
        x = a + t * (b - a)
        fx = function(x)
        same = ops.sign(fx) == ops.sign(fa)
        c, fc = ops.where(same, a, b), ops.where(same, fa, fb)
        b, fb = ops.where(same, b, a), ops.where(same, fb, fa)
        a, fa = x, fx
        best = ops.where(ops.abs(fa) < ops.abs(fb), a, b)
        smallest = special.minimum(ops.abs(fa), ops.abs(fb))
        width = ops.abs(b - a)
        limit = (eps * ops.abs(best) + tiny) / special.maximum(width, tiny)
        done = (limit > 0.5) | (smallest == 0.0)
        t = ops.where(
            done, 0.5, ops.clip(_inverse_quadratic(a, b, c, fa, fb, fc), limit, 1.0 - limit)
        )
        # A finished element stays where it is: its bracket collapses onto the best point.
        b = ops.where(done, best, b)
        a = ops.where(done, best, a)
        return step + 1, a, b, c, fa, fb, fc, t, done

    fa, fb = function(lower), function(upper)
    half = 0.5 * ops.ones_like(lower)
    at_end = ops.where(ops.abs(fa) < ops.abs(fb), lower, upper)
    done = (fa >= 0.0) | (fb <= 0.0)
    start = (ops.where(done, at_end, lower), ops.where(done, at_end, upper))
    state = (0, *start, lower, fa, fb, fa, half, done)
    _, a, b, *_ = ops.while_loop(proceed, advance, state)
    return ops.stop_gradient(0.5 * (a + b))


def _inverse_quadratic(a, b, c, fa, fb, fc) -> Tensor:
    """The next point as a fraction of the way from a to b; one half where there is no fit."""
    safe = special.where((fa != fb) & (fb != fc) & (fa != fc) & (a != b) & (b != c), 1.0, fa * 0.0)
    ok = safe > 0.5

    def divide(x: Tensor, y: Tensor) -> Tensor:
        return ops.where(ok, x, 0.0 * x) / ops.where(ok, y, ops.ones_like(y))

    xi, phi = divide(a - b, c - b), divide(fa - fb, fc - fb)
    first = divide(fa, fb - fa) * divide(fc, fb - fc)
    second = divide(c - a, b - a) * divide(fa, fc - fa) * divide(fb, fc - fb)
    ok = ok & (ops.square(phi) < xi) & (ops.square(1.0 - phi) < 1.0 - xi)
    return special.where(ok, first + second, 0.5)


def reached(log_tails: tuple[Tensor, Tensor], p: Tensor) -> Tensor:
    """Whether F(k) >= p, from the logarithms of F(k) and 1 - F(k), by the smaller of the two.

    Near p = 1 only the upper tail has the digits that tell its integers apart.
    """
    lower, upper = log_tails
    return ops.where(p > 0.5, ops.exp(upper) <= 1.0 - p, ops.exp(lower) >= p)


def smallest_integer(log_tails: Callable, p: Tensor, guess: Tensor) -> Tensor:
    """The smallest integer k >= 0 with F(k) >= p; infinite at p = 1.

    Args:
        log_tails: log F(k) and log(1 - F(k)), elementwise, of tensors of one shape.
        p: tensor of probabilities.
        guess: tensor of the same shape, an upper bound to try first.

    Returns:
        Tensor of that shape.
    """
    certain = p >= 1.0
    p = special.where(certain, 0.0, p)

    def short_of(k: Tensor) -> Tensor:
        return ops.logical_not(reached(log_tails(k), p))

    def too_low(step, low, high):
        return ops.logical_and(step < 64, ops.any(short_of(high)))

    def double(step, low, high):
        short = short_of(high)
        return step + 1, ops.where(short, high, low), ops.where(short, 2.0 * high + 1.0, high)

    def apart(step, low, high):
        return ops.logical_and(step < 128, ops.any(high - low > 1.0))

    def halve(step, low, high):
        middle = special.floor(0.5 * (low + high))
        inside = (middle > low) & (middle < high)
        short = short_of(middle)
        low_, high_ = ops.where(short, middle, low), ops.where(short, high, middle)
        # Beyond the integers the dtype can tell apart there is no middle: take the upper end.
        return step + 1, ops.where(inside, low_, high - 1.0), ops.where(inside, high_, high)

    low, high = -ops.ones_like(p), special.floor(special.maximum(guess, 0.0))
    _, low, high = ops.while_loop(too_low, double, (0, low, high))
    _, _, high = ops.while_loop(apart, halve, (0, low, high))
    return ops.stop_gradient(special.where(certain, math.inf, high))


def with_implicit_gradient(root: Tensor, residual: Tensor, slope: Tensor) -> Tensor:
    """`root` with the gradient of the implicit function `residual(root; parameters) = 0`.

    One Newton step from the root: its value is the root again, and its derivative is that of the
    implicit function theorem, -(d residual / d parameter) / slope.

    Args:
        root: tensor, without gradient.
        residual: the residual at the root, with gradients to the parameters.
        slope: derivative of the residual in its first argument at the root.

    Returns:
        Tensor of the shape of `root`.
    """
    slope = ops.stop_gradient(slope)
    usable = slope > 0.0
    step = (residual - ops.stop_gradient(residual)) / special.where(usable, slope, 1.0)
    return root - special.where(usable, step, 0.0)
