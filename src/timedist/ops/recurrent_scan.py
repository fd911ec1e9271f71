r"""LSTM and GRU as one compiled loop, with its gradient written out, for JAX and TensorFlow.

Of both cells a step is one product $p_t = [x_t, h_{t-1}] M + m$ and a pointwise function of $p_t$
and the states. A derived gradient adds to that of $M$ at every step; here the loop backwards only
carries the states, and the gradients of $M$ and, where it is asked for, of $x$ are made after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops import compat, scans, special
from timedist.ops.functional import tf_program

Tensor = Any
States = tuple[Tensor, ...]


@dataclass(frozen=True)
class Cell:
    """The pointwise part of a cell and its derivative; `h`, the output, is the first state.

    Attributes:
        forward: `forward(p, states)` gives the next states.
        backward: `backward(gradients of the states, p, states before, states after)` gives the
            gradient of `p` and those of the states before, without what comes to `h` by `p`.
        at_once: whether the product with inputs as wide as the state or wider is faster made for
            all steps, before the loop.
    """

    forward: Callable
    backward: Callable
    at_once: bool


# --- the cells -----------------------------------------------------------------------------------


def _sigmoid(x: Tensor) -> Tensor:
    return 0.5 + 0.5 * special.tanh(0.5 * x)


def _lstm_gates(p: Tensor) -> list[Tensor]:
    """Input, forget, candidate, output: sigmoids, but of the candidate a tanh.

    By one tanh of all: XLA makes vector instructions of it, as it does not of several in one loop.
    """
    squeeze = np.repeat([0.5, 0.5, 1.0, 0.5], p.shape[-1] // 4)
    squeeze = ops.convert_to_tensor(squeeze, dtype=p.dtype)
    return ops.split(squeeze * special.tanh(squeeze * p) + (1.0 - squeeze), 4, axis=-1)


def _lstm_forward(p: Tensor, states: States) -> States:
    i, f, g, o = _lstm_gates(p)
    c = f * states[1] + i * g
    return o * special.tanh(c), c


def _lstm_backward(
    gradients: States, p: Tensor, before: States, after: States
) -> tuple[Tensor, States]:
    (dh, dc), (i, f, g, o) = gradients, _lstm_gates(p)
    squashed = special.tanh(after[1])
    dc = dc + dh * o * (1.0 - squashed * squashed)
    of_gates = (
        dc * g * i * (1.0 - i),
        dc * before[1] * f * (1.0 - f),
        dc * i * (1.0 - g * g),
        dh * squashed * o * (1.0 - o),
    )
    return ops.concatenate(of_gates, axis=-1), (ops.zeros_like(dh), dc * f)


def _gru_gates(p: Tensor) -> list[Tensor]:
    """Update, reset, candidate, and the recurrent part of the candidate."""
    z, r, g, recurrent = ops.split(p, 4, axis=-1)
    r = _sigmoid(r)
    return [_sigmoid(z), r, special.tanh(g + r * recurrent), recurrent]


def _gru_forward(p: Tensor, states: States) -> States:
    z, _, g, _ = _gru_gates(p)
    return (z * states[0] + (1.0 - z) * g,)


def _gru_backward(
    gradients: States, p: Tensor, before: States, after: States
) -> tuple[Tensor, States]:
    del after
    (dh,), (z, r, g, recurrent) = gradients, _gru_gates(p)
    of_g = dh * (1.0 - z) * (1.0 - g * g)
    of_z, of_r = dh * (before[0] - g) * z * (1.0 - z), of_g * recurrent * r * (1.0 - r)
    return ops.concatenate([of_z, of_r, of_g, of_g * r], axis=-1), (dh * z,)


LSTM = Cell(_lstm_forward, _lstm_backward, at_once=True)
GRU = Cell(_gru_forward, _gru_backward, at_once=False)


def _lstm_weights(cell: keras.Layer) -> tuple[Tensor, Tensor]:
    kernel, recurrent = (ops.convert_to_tensor(w) for w in (cell.kernel, cell.recurrent_kernel))
    return ops.concatenate([kernel, recurrent], axis=0), ops.convert_to_tensor(cell.bias)


def _gru_weights(cell: keras.Layer) -> tuple[Tensor, Tensor]:
    """The candidate's parts of input and state stand apart: the reset gate is between them."""
    units = cell.units
    kernel, recurrent = (ops.convert_to_tensor(w) for w in (cell.kernel, cell.recurrent_kernel))
    gates = ops.concatenate([kernel[:, : 2 * units], recurrent[:, : 2 * units]], axis=0)
    of_input, of_state = kernel[:, 2 * units :], recurrent[:, 2 * units :]
    candidate = ops.concatenate([of_input, ops.zeros_like(of_state)], axis=0)
    carried = ops.concatenate([ops.zeros_like(of_input), of_state], axis=0)
    bias = ops.convert_to_tensor(cell.bias)
    shared = bias[0, : 2 * units] + bias[1, : 2 * units]
    biases = [shared, bias[0, 2 * units :], bias[1, 2 * units :]]
    return ops.concatenate([gates, candidate, carried], axis=1), ops.concatenate(biases)


# --- the loops -----------------------------------------------------------------------------------


def _forward(cell: Cell, x: Tensor, start: States, m: Tensor, bias: Tensor) -> tuple:
    """The states of all steps, each `(time, batch, units)`, and `p` of all steps."""
    width = x.shape[-1]
    at_once = cell.at_once and width >= start[0].shape[-1]
    entries = ops.matmul(x, m[:width]) + bias if at_once else x

    def step(states: States, entry: Tensor) -> tuple:
        if at_once:
            p = entry + ops.matmul(states[0], m[width:])
        else:
            p = ops.matmul(ops.concatenate([entry, states[0]], axis=-1), m) + bias
        states = cell.forward(p, states)
        return states, (states, p)

    return scans.loop(step, start, entries, x.shape[0])[1]


def _backward(
    cell: Cell, given: tuple, kept: tuple, d_outputs: Tensor, d_last: States
) -> tuple[Tensor, States, Tensor, Tensor]:
    """The gradients of `p` of all steps, the first states, and the weights."""
    (x, start, m, bias), (after, p) = given, kept
    before = tuple(
        ops.concatenate([first[None], states[:-1]], axis=0)
        for first, states in zip(start, after, strict=True)
    )
    carried = ops.transpose(m[x.shape[-1] :])

    def step(gradients: States, entries: tuple) -> tuple:
        d_output, *known = entries
        dp, (dh, *others) = cell.backward((gradients[0] + d_output, *gradients[1:]), *known)
        return (dh + ops.matmul(dp, carried), *others), dp

    entries = (d_outputs, p, before, after)
    d_start, dp = scans.loop(step, d_last, entries, x.shape[0], reverse=True)
    # Joining what a step reads, for one product, would take longer than two products.
    rows = [ops.matmul(ops.transpose(_flat(read)), _flat(dp)) for read in (x, before[0])]
    dm = ops.concatenate(rows, axis=0)
    d_bias = ops.sum(dp, axis=0 if len(bias.shape) == 2 else (0, 1))
    return dp, d_start, dm, d_bias


def _of_inputs(x: Tensor, m: Tensor, dp: Tensor) -> Tensor:
    """The gradient of the inputs: by itself, so that it is left out where they are data."""
    dx = ops.matmul(_flat(dp), ops.transpose(m[: x.shape[-1]]))
    return ops.reshape(dx, ops.shape(x))


def _flat(x: Tensor) -> Tensor:
    return ops.reshape(x, (-1, x.shape[-1]))


# On TensorFlow XLA compiles the loop for every shape: that pays from so many steps times units on.
LEAST_WORK = 1024


def is_faster(layer: keras.layers.RNN, x: Tensor) -> bool:
    """Whether this loop beats Keras's: on CPUs; on TensorFlow compiled, of a known, larger size.

    On GPUs Keras has cuDNN's.
    """
    if compat.backend_name() == "jax":
        return compat.has_only_cpus()
    return _xla_pays() and None not in x.shape[1:] and x.shape[1] * layer.units >= LEAST_WORK


def _xla_pays() -> bool:
    """Whether TensorFlow is better off with XLA: inside of what it compiles, on CPUs."""
    import tensorflow as tf

    return not tf.executing_eagerly() and compat.has_only_cpus()


def run(
    layer: keras.layers.RNN, x: Tensor, start: list[Tensor], static: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """The outputs `(batch, time, units)` and last states of a plain LSTM or GRU.

    The last inputs may be `static`, `(batch, width)`: what they bring is added as a bias is.
    """
    cell, (m, bias) = _cell_of(layer), weights(layer)
    if static is not None:
        width = x.shape[-1]
        bias = ops.matmul(static, m[width : -layer.units]) + bias
        m = ops.concatenate([m[:width], m[-layer.units :]], axis=0)
    looped = _jax_loop(cell) if compat.backend_name() == "jax" else _tf_loop(cell)
    outputs, states = looped(ops.swapaxes(x, 0, 1), tuple(start), m, bias)
    return ops.swapaxes(outputs, 0, 1), list(states)


def weights(layer: keras.layers.RNN) -> tuple[Tensor, Tensor]:
    """`M` and `m`."""
    by_cell = _lstm_weights if isinstance(layer, keras.layers.LSTM) else _gru_weights
    return by_cell(layer.cell)


def _cell_of(layer: keras.layers.RNN) -> Cell:
    return LSTM if isinstance(layer, keras.layers.LSTM) else GRU


def step(
    layer: keras.layers.RNN, weights: tuple[Tensor, ...], x: Tensor, states: list[Tensor]
) -> list[Tensor]:
    """The states after one step more; see `recurrent.step`."""
    m, bias = weights
    return step_from(layer, m, bias, x, states)


def step_from(
    layer: keras.layers.RNN, rows: Tensor, known: Tensor, x: Tensor, states: list[Tensor]
) -> list[Tensor]:
    """The same, from the rows of `M` for `x` and the state; see `recurrent.step_from`."""
    cell, given = _cell_of(layer), (known, x, tuple(states), rows)
    if compat.backend_name() == "tensorflow" and _xla_pays():
        return list(tf_program(_step, (cell,), given, by_xla=True))
    return list(_step(cell, *given))


def _step(cell: Cell, known: Tensor, x: Tensor, states: States, m: Tensor) -> States:
    p = known + ops.matmul(ops.concatenate([x, states[0]], axis=-1), m)
    return cell.forward(p, states)


def _ends(after: States) -> States:
    return tuple(states[-1] for states in after)


@cache
def _jax_loop(cell: Cell) -> Callable:
    import jax

    @jax.custom_vjp
    def looped(x: Tensor, start: States, m: Tensor, bias: Tensor) -> tuple:
        after, _ = _forward(cell, x, start, m, bias)
        return after[0], _ends(after)

    def forward(*given: Any) -> tuple:
        kept = _forward(cell, *given)
        return (kept[0][0], _ends(kept[0])), (given, kept)

    def backward(residuals: tuple, gradients: tuple) -> tuple:
        (x, _, m, _), _ = residuals
        dp, *others = _backward(cell, *residuals, *gradients)
        return _of_inputs(x, m, dp), *others

    looped.defvjp(forward, backward)
    return jax.jit(looped)


def _tf_loop(cell: Cell) -> Callable:
    import tensorflow as tf

    @tf.custom_gradient
    def flat_loop(x: Tensor, m: Tensor, bias: Tensor, *start: Tensor) -> tuple:
        given = (x, start, m, bias)
        after, p = tf_program(_forward, (cell,), given, by_xla=True)

        def backward(d_outputs: Tensor, *d_last: Tensor) -> tuple:
            gradients = (given, (after, p), d_outputs, d_last)
            dp, d_start, dm, d_bias = tf_program(_backward, (cell,), gradients, by_xla=True)
            return _of_inputs(x, m, dp), dm, d_bias, *d_start

        return (after[0], *_ends(after)), backward

    def looped(x: Tensor, start: States, m: Tensor, bias: Tensor) -> tuple:
        outputs, *states = flat_loop(x, m, bias, *start)
        return outputs, states

    return looped
