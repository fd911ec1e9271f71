"""The loops of recurrent layers, by a faster way than Keras's own where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops import compat, recurrent_scan, recurrent_torch

Tensor = Any


def by_kernel(
    layer: keras.layers.RNN, x: Tensor, start: list[Tensor], mask: Tensor | None, training: Any
) -> tuple[Tensor, Tensor, list[Tensor]] | None:
    """What an LSTM or GRU makes of sequences, if there is a faster way to compute it than Keras's.

    On torch Keras loops over the steps in Python, on the CPU always and with a mask everywhere;
    torch's own kernel, with the layer's weights, is many times faster. On JAX and TensorFlow the
    compiled loop of `recurrent_scan` has a gradient that is cheaper than the one derived.

    Args:
        layer: a built `keras.layers.LSTM` or `GRU`.
        x: tensor `(batch, time, width)`.
        start: the states before the first step, tensors `(batch, units)`.
        mask: boolean tensor `(batch, time)`, or `None`; masked steps are passed over.
        training: whether dropout is on.

    Returns:
        The last output `(batch, units)`, the outputs `(batch, time, units)`, and the last states;
        `None` where the layer has to run by Keras.
    """
    if not _is_plain(layer, x, training):
        return None
    if compat.backend_name() == "torch":
        outputs, states = recurrent_torch.run(layer, x, start, mask)
    elif mask is None and recurrent_scan.is_faster(layer, x):
        outputs, states = recurrent_scan.run(layer, x, start)
    else:
        return None
    return outputs[:, -1], outputs, states


def by_torch(layer: keras.layers.RNN, x: Tensor, mask: Any, training: Any) -> Tensor | None:
    """What a call of an LSTM or GRU gives on torch, if there is no more to it than the kernel.

    What Keras prepares for a loop in Python takes a tenth of the kernel's time.

    Args:
        layer: a built `keras.layers.LSTM` or `GRU`; its states are zero at the first step.
        x: tensor `(batch, time, width)`.
        mask: as for `by_kernel`.
        training: whether dropout is on.

    Returns:
        The outputs of all steps or the last, as the layer says; `None` where Keras has to call it.
    """
    if compat.backend_name() != "torch" or layer.stateful or layer.return_state:
        return None
    if not _is_plain(layer, x, training):
        return None
    zeros = x.new_zeros((x.shape[0], layer.units))
    start = [zeros, zeros] if isinstance(layer, keras.layers.LSTM) else [zeros]
    outputs, _ = recurrent_torch.run(layer, x, start, mask)
    return outputs if layer.return_sequences else outputs[:, -1]


def with_static(layer: keras.layers.RNN, x: Tensor, static: Tensor) -> Tensor | None:
    """What an LSTM or GRU makes of sequences some of whose inputs are the same at all steps.

    These are multiplied once for each sequence; and where all others are data, as lags are, no
    gradient of inputs is computed, though what is static may be learned.

    Args:
        layer: a built `keras.layers.LSTM` or `GRU`.
        x: tensor `(batch, time, width)`, the first inputs.
        static: tensor `(batch, static width)`, the inputs behind them.

    Returns:
        The outputs `(batch, time, units)`; `None` where the inputs have to be joined.
    """
    by_scan = compat.backend_name() != "torch" and recurrent_scan.is_faster(layer, x)
    if not by_scan or not _is_plain(layer, x, training=False):
        return None
    start = layer.get_initial_state(batch_size=ops.shape(x)[0])
    return recurrent_scan.run(layer, x, start, static)[0]


def weights(layer: keras.layers.RNN, x: Tensor) -> tuple[Tensor, ...]:
    """The weights as single steps read them, to be put together once for all steps.

    Args:
        layer: a built `keras.layers.LSTM` or `GRU`.
        x: what it is to read, or anything of that dtype.

    Returns:
        Tensors for `step`, `known_part` and `step_from`; none where the layer has to run by Keras.
    """
    return _formulas().weights(layer) if _is_plain(layer, x, training=False) else ()


def step(
    layer: keras.layers.RNN, weights: tuple[Tensor, ...], x: Tensor, states: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """One step of an LSTM or GRU, without dropout.

    Args:
        layer: a built `keras.layers.LSTM` or `GRU`.
        weights: those of `weights`.
        x: tensor `(rows, width)`.
        states: the states before the step, tensors `(rows, units)`.

    Returns:
        The output `(rows, units)`, and the states after the step.
    """
    if weights:
        after = _formulas().step(layer, weights, x, states)
        return after[0], after
    output, after = layer.cell(x, states, training=False)
    return output, list(after)


def known_part(weights: tuple[Tensor, ...], x: Tensor, columns: Sequence[int]) -> Tensor:
    """What a step takes from the inputs that are known before it, for all steps in one product.

    Args:
        weights: those of `weights`.
        x: tensor `(..., width)`; its `columns` are not read.
        columns: positions of the inputs that are known at their step only.

    Returns:
        A tensor `(..., 4 * units)` for `step_from`.
    """
    m, bias = weights
    others = [row for row in range(x.shape[-1]) if row not in columns]
    return ops.matmul(_taken(x, others, axis=-1), _taken(m, others, axis=0)) + bias


def step_from(
    layer: keras.layers.RNN,
    weights: tuple[Tensor, ...],
    known: Tensor,
    x: Tensor,
    columns: Sequence[int],
    states: list[Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """As `step`, of inputs that are known but for some columns.

    Args:
        layer: as for `step`.
        weights: as for `step`, not empty.
        known: the step's rows `(rows, 4 * units)` of `known_part`.
        x: tensor `(rows, len(columns))`.
        columns: the same as those of `known_part`.
        states: as for `step`.
    """
    m, _ = weights
    width = m.shape[0] - layer.units
    rows = _taken(m, [*columns, *range(width, m.shape[0])], axis=0)
    after = _formulas().step_from(layer, rows, known, x, states)
    return after[0], after


def _taken(x: Tensor, places: list[int], axis: int) -> Tensor:
    return ops.take(x, ops.convert_to_tensor(np.array(places, "int32")), axis=axis)


def _formulas() -> ModuleType:
    return recurrent_torch if compat.backend_name() == "torch" else recurrent_scan


def _is_plain(layer: keras.layers.RNN, x: Tensor, training: Any) -> bool:
    """Whether the layer is the usual one, which is what the kernels compute."""
    cell, activations = layer.cell, keras.activations
    usual = (
        cell.activation is activations.tanh
        and cell.recurrent_activation is activations.sigmoid
        and cell.use_bias
        and getattr(cell, "reset_after", True)
    )
    other = layer.go_backwards or layer.unroll or layer.zero_output_for_mask
    drops = training and (cell.dropout or cell.recurrent_dropout)
    dtypes = {compat.dtype_of(x), cell.compute_dtype, cell.variable_dtype}
    alike = len(dtypes) == 1 and dtypes <= {"float32", "float64"}
    return usual and not other and not drops and alike and not compat.is_placeholder(x)
