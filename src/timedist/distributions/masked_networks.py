"""Dense networks each of whose outputs sees only the inputs that come before its own (MADE).

Every input has a place in an order, its degree; every hidden unit has a degree too, and sees what
has no larger one. An output sees the hidden units of smaller degree than its input.

Source: Germain, Gregor, Murray, Larochelle: MADE: Masked Autoencoder for Distribution Estimation
(2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops import linalg, special

Tensor = Any
Degrees = tuple[tuple[int, ...], ...]

ORDERS = ("left-to-right", "right-to-left", "random")
KINDS = ("equal", "random", "with_zero")
# (That of Keras gives float32 of float64 on JAX.)
_EXACT: dict[Any, Callable] = {"tanh": special.tanh}


def degrees(size: int, order: Any, units: Sequence[int], kind: str, seed: int) -> Degrees:
    """The degrees of the inputs, then those of the units of each hidden layer.

    Args:
        size: the number of inputs.
        order: one of `ORDERS`, or the place of each input, 1 for the first; inputs may share one.
        units: the number of units of each hidden layer.
        kind: `"equal"`, the degrees from 1 on in equal numbers, as TFP has them; `"random"`; or
            `"with_zero"`, the same from 0 on: units of degree 0 see the conditional input only.
        seed: of what is random.

    Returns:
        A tuple of tuples of ints, one for the inputs and one for each hidden layer.
    """
    rng = np.random.default_rng(seed)
    found = [_places(size, order, rng)]
    top = max(found[0])
    for number in units:
        least = min(*found[-1], top - 1) if top > 1 else 0
        if kind == "random":
            row = rng.integers(least, top, size=number)
        elif kind == "equal":
            row = np.ceil(np.arange(1, number + 1) * (top - 1) / (number + 1))
            row = np.maximum(row, least)
        else:
            row = np.arange(number) * top // number
        found.append(tuple(int(x) for x in row))
    return tuple(found)


def _places(size: int, order: Any, rng: np.random.Generator) -> tuple[int, ...]:
    places = np.arange(1, size + 1)
    if isinstance(order, str):
        rows = {"left-to-right": places, "right-to-left": places[::-1]}
        places = rows[order] if order in rows else rng.permutation(places)
    else:
        places = np.asarray(order)
    return tuple(int(x) for x in places)


@cache
def masks(degrees: Degrees, params: int) -> tuple[np.ndarray, ...]:
    """Which entries of each kernel count: boolean matrices `(inputs, outputs)`."""
    rows = [np.array(row)[:, None] for row in degrees]
    hidden = [a <= b.T for a, b in pairwise(rows)]
    return (*hidden, np.repeat(rows[-1] < rows[0].T, params, axis=1))


def prepared(
    kernels: Sequence[Tensor],
    biases: Sequence[Tensor],
    context_kernels: Sequence[Tensor],
    degrees: Degrees,
    activation: Any = None,
    context: Tensor | None = None,
) -> Callable[[Tensor], Tensor]:
    """A network as a function of its inputs, with all that does not depend on them computed once.

    Args:
        kernels: of each layer, tensor `(inputs, outputs)`; the last gives all numbers for the first
            component, then for the next.
        biases: of each layer, tensor `(outputs,)`; or none.
        context_kernels: of each layer, or of the first ones; or none.
        degrees: see `degrees`.
        activation: of the hidden layers, as for a Keras layer.
        context: the conditional input, tensor `(..., context)`, if there are `context_kernels`.

    Returns:
        A function from `(..., size)` to `(..., size, params)`; the batch axes broadcast.
    """
    size = len(degrees[0])
    params = kernels[-1].shape[-1] // size
    active = _EXACT.get(activation) or keras.activations.get(activation)
    masked = [
        kernel * ops.convert_to_tensor(mask.astype(keras.backend.standardize_dtype(kernel.dtype)))
        for kernel, mask in zip(kernels, masks(degrees, params), strict=True)
    ]
    added: list[Any] = list(biases) or [0.0 for _ in kernels]
    for number, kernel in enumerate(context_kernels):
        added[number] = added[number] + linalg.matmul(context, kernel)

    def run(x: Tensor) -> Tensor:
        for number, (kernel, more) in enumerate(zip(masked, added, strict=True)):
            x = linalg.matmul(x, kernel) + more
            x = active(x) if number + 1 < len(masked) else x
        return ops.reshape(x, (*ops.shape(x)[:-1], size, params))

    return run
