"""Forward-mode derivatives for loops that stop when they have converged.

No backend differentiates such a loop in reverse (JAX refuses, the others unroll it), so the value
and its derivatives are computed side by side, by dual numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from timedist.ops import compat

Tensor = Any


class Dual:
    """A tensor with its derivatives along some directions; with no directions a plain tensor."""

    def __init__(self, value: Tensor, parts: tuple = ()):
        self.value = value
        self.parts = parts

    @classmethod
    def constant(cls, number: float, like: Dual) -> Dual:
        """A number in the shape, dtype and directions of `like`."""
        zero = ops.zeros_like(like.value)
        return cls(zero + number, tuple(zero for _ in like.parts))

    def flat(self) -> tuple:
        """Value and derivatives as one tuple of tensors, the form loops carry."""
        return (self.value, *self.parts)

    @classmethod
    def of(cls, flat: tuple) -> Dual:
        """The inverse of `flat`."""
        return cls(flat[0], tuple(flat[1:]))

    def where(self, condition: Tensor, other: Dual) -> Dual:
        """This where `condition` holds, else `other`."""
        pairs = zip(self.flat(), other.flat(), strict=True)
        return Dual.of(tuple(ops.where(condition, mine, its) for mine, its in pairs))

    def __add__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value + other, self.parts)
        return Dual(self.value + other.value, self._combine(other, lambda s, o: s + o))

    def __mul__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value * other, tuple(part * other for part in self.parts))
        parts = self._combine(other, lambda s, o: s * other.value + o * self.value)
        return Dual(self.value * other.value, parts)

    def __truediv__(self, other: Dual) -> Dual:
        value = self.value / other.value
        return Dual(value, self._combine(other, lambda s, o: (s - value * o) / other.value))

    def __rtruediv__(self, other: float) -> Dual:
        value = other / self.value
        return Dual(value, tuple(-value * part / self.value for part in self.parts))

    def __neg__(self) -> Dual:
        return self * -1.0

    def __sub__(self, other: Any) -> Dual:
        return self + (-other)

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def _combine(self, other: Dual, function: Callable) -> tuple:
        return tuple(function(s, o) for s, o in zip(self.parts, other.parts, strict=True))


def forward_differentiable(function: Callable[..., Dual]) -> Callable[..., Tensor]:
    """A function of tensors, with gradients, from a function of `Dual`s.

    Args:
        function: takes `Dual`s of one shape and dtype, returns one such.

    Returns:
        A function of broadcastable tensors; its gradient runs `function` again with derivatives.
    """

    @ops.custom_gradient
    def evaluated(*args: Tensor) -> Any:
        def gradient(*received: Tensor, upstream: Tensor = None) -> tuple:
            upstream = received[0] if upstream is None else upstream
            zero, one = ops.zeros_like(args[0]), ops.ones_like(args[0])
            directions = [
                tuple(one if i == j else zero for j in range(len(args))) for i in range(len(args))
            ]
            result = function(*(Dual(a, parts) for a, parts in zip(args, directions, strict=True)))
            return tuple(upstream * part for part in result.parts)

        return function(*(Dual(a) for a in args)).value, gradient

    return lambda *args: evaluated(*compat.broadcast_arrays(*args))


def iterate(step: Callable, state: tuple[Dual, ...], total: Dual, limit: int) -> Dual:
    """Multiply `total` by the factors of `step` until each factor is one, derivatives too.

    Args:
        step: `step(m, *state)` gives the next state and the factor, a tuple and a `Dual`.
        state: what `step` carries.
        total: start of the product.
        limit: the most steps.

    Returns:
        The product. Elements that have converged are not touched again.
    """
    eps = 2.0 * compat.epsilon(total.value)

    def unfinished(m: Tensor, state: tuple, total: tuple, active: Tensor) -> Tensor:
        return ops.logical_and(m < limit, ops.any(active))

    def advance(m: Tensor, state: tuple, total: tuple, active: Tensor) -> tuple:
        new_state, factor = step(m, *(Dual.of(flat) for flat in state))
        product = (Dual.of(total) * factor).where(active, Dual.of(total))
        moving = ops.abs(factor.value - 1.0) > eps
        # A fraction that ends by a zero numerator has its value before its derivatives.
        for part, sum_of_parts in zip(factor.parts, product.parts, strict=True):
            moving = moving | (ops.abs(part * product.value) > eps * ops.abs(sum_of_parts))
        flats = tuple(dual.flat() for dual in new_state)
        return m + 1.0, flats, product.flat(), ops.logical_and(active, moving)

    first = ops.ones((), dtype=total.value.dtype)
    active = ops.ones_like(total.value, dtype="bool")
    start = (first, tuple(dual.flat() for dual in state), total.flat(), active)
    return Dual.of(ops.while_loop(unfinished, advance, start)[2])
