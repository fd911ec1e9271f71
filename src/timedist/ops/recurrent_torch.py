"""Recurrent layers by torch's own kernel: Keras loops over the steps in Python there."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops import recurrent_scan

Tensor = Any


def run(
    layer: keras.layers.RNN, x: Tensor, start: list[Tensor], mask: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    """The outputs and last states of an LSTM or GRU; see `recurrent.by_kernel`."""
    import torch

    is_lstm = isinstance(layer, keras.layers.LSTM)
    weights = _torch_weights(layer.cell, is_lstm)
    kernel: Any = torch.lstm if is_lstm else torch.gru
    first = [state[None] for state in start]
    before: Any = tuple(first) if is_lstm else first[0]
    if mask is not None:
        return _masked(kernel, x, ops.cast(mask, "bool"), before, weights)
    outputs, *states = kernel(x, before, weights, True, 1, 0.0, False, False, True)
    return outputs, [state[0] for state in states]


def weights(layer: keras.layers.RNN) -> tuple[Tensor, Tensor]:
    """`M` and `m`; of an LSTM twice where the candidate is, of which a tanh is taken."""
    m, bias = recurrent_scan.weights(layer)
    if not isinstance(layer, keras.layers.LSTM):
        return m, bias
    doubled = np.repeat([1.0, 1.0, 2.0, 1.0], layer.units)
    doubled = ops.convert_to_tensor(doubled, dtype=layer.compute_dtype)
    return m * doubled, bias * doubled


def step(
    layer: keras.layers.RNN, weights: tuple[Tensor, ...], x: Tensor, states: list[Tensor]
) -> list[Tensor]:
    """The states after one step more; see `recurrent.step`."""
    import torch

    if isinstance(layer, keras.layers.LSTM):
        m, bias = weights
        return _lstm_step(bias, x, states, m)
    return [torch.gru_cell(x, states[0], *_torch_weights(layer.cell, is_lstm=False))]


def step_from(
    layer: keras.layers.RNN, rows: Tensor, known: Tensor, x: Tensor, states: list[Tensor]
) -> list[Tensor]:
    """The same, from the rows of `M` for `x` and the state; see `recurrent.step_from`."""
    if isinstance(layer, keras.layers.LSTM):
        return _lstm_step(known, x, states, rows)
    return recurrent_scan.step_from(layer, rows, known, x, states)


def _lstm_step(known: Tensor, x: Tensor, states: list[Tensor], m: Tensor) -> list[Tensor]:
    """By tanh(z) = 2 sigmoid(2 z) - 1: torch's sigmoid takes half as long as its tanh."""
    import torch

    output, carry = states
    i, f, g, o = torch.addmm(known, torch.cat([x, output], -1), m).sigmoid_().chunk(4, -1)
    carry = torch.addcmul(f * carry, i, 2.0 * g - 1.0)
    return [o * (2.0 * torch.sigmoid(2.0 * carry) - 1.0), carry]


def _torch_weights(cell: keras.Layer, is_lstm: bool) -> list[Tensor]:
    """The weights in torch's layout: rows are gates, in torch's order, two biases."""
    import torch

    kernel, recurrent = cell.kernel.value, cell.recurrent_kernel.value
    bias = cell.bias.value
    biases = [bias, torch.zeros_like(bias)] if is_lstm else [bias[0], bias[1]]
    weights = [kernel.T, recurrent.T, *biases]
    if is_lstm:
        return weights

    # Keras: update, reset, candidate. torch: reset, update, candidate.
    def swapped(w: Tensor) -> Tensor:
        update, reset, candidate = torch.chunk(w, 3)
        return torch.cat([reset, update, candidate])

    return [swapped(w) for w in weights]


def _masked(
    kernel: Any, x: Tensor, mask: Tensor, start: Any, weights: list[Tensor]
) -> tuple[Tensor, list]:
    """The steps that are there, moved together and packed; then each output at its place again."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    time = mask.shape[1]
    order = torch.argsort(~mask, dim=1, stable=True)
    together = torch.take_along_dim(x, order[..., None], 1)
    together = torch.where(torch.take_along_dim(mask, order, 1)[..., None], together, 0.0)
    lengths = mask.sum(dim=1)
    # Torch packs no empty sequence: one step is read, and then not looked at.
    packed = pack_padded_sequence(
        together, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
    )
    sorted_start = keras.tree.map_structure(lambda s: s[:, packed.sorted_indices], start)
    data, *states = kernel(
        packed.data, packed.batch_sizes, sorted_start, weights, True, 1, 0.0, False, False
    )
    packed = packed._replace(data=data)
    outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=time)
    there = (lengths > 0)[:, None]
    firsts = [s[0] for s in (start if isinstance(start, tuple) else (start,))]
    ends = [
        torch.where(there, state[0][packed.unsorted_indices], first)
        for state, first in zip(states, firsts, strict=True)
    ]
    # At a masked step the output is that of the step before it; before the first there is none.
    last = mask.long().cumsum(dim=1) - 1
    outputs = torch.take_along_dim(outputs, last.clamp(min=0)[..., None], 1)
    return torch.where((last >= 0)[..., None], outputs, 0.0), ends
