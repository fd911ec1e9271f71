"""Keras's recurrent layers, by the fastest way that each backend has to run them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from timedist.ops import compat

Tensor = Any


def run(layer: keras.layers.RNN, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, list]:
    """What an LSTM or GRU layer makes of sequences: its outputs, and its states at the end.

    On torch Keras loops over the steps in Python, and with a mask on every device; torch's own
    kernel, with the layer's weights, is many times faster. On JAX and TensorFlow nothing that was
    measured beats Keras's compiled scan.

    Args:
        layer: a built `keras.layers.LSTM` or `GRU` with `return_sequences` and `return_state`.
        x: tensor `(batch, time, width)`.
        mask: boolean tensor `(batch, time)`; masked steps are passed over. Default: none.

    Returns:
        Tensor `(batch, time, units)`, and the list of states `(batch, units)`.
    """
    if compat.backend_name() == "torch" and _is_plain(layer, x):
        return _by_torch(layer, x, mask)
    outputs, *states = layer(x, mask=mask)
    return outputs, states


def _is_plain(layer: keras.layers.RNN, x: Tensor) -> bool:
    """Whether torch's kernel computes what the layer does."""
    if type(layer) not in (keras.layers.LSTM, keras.layers.GRU):
        return False
    cell, config = layer.cell, layer.get_config()
    usual = {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "use_bias": True,
        "stateful": False,
        "go_backwards": False,
        "zero_output_for_mask": False,
        "activity_regularizer": None,
    }
    same = all(config.get(name, value) == value for name, value in usual.items())
    reset = getattr(cell, "reset_after", True)
    dtypes = {compat.dtype_of(x), layer.compute_dtype, layer.variable_dtype}
    real = len(dtypes) == 1 and dtypes <= {"float32", "float64"} and not x.is_meta
    return same and reset and real


def _by_torch(layer: keras.layers.RNN, x: Tensor, mask: Tensor | None) -> tuple[Tensor, list]:
    import torch

    is_lstm = isinstance(layer, keras.layers.LSTM)
    weights = _torch_weights(layer.cell, is_lstm)
    kernel: Any = torch.lstm if is_lstm else torch.gru
    zeros = x.new_zeros((1, x.shape[0], layer.units))
    start = (zeros, zeros) if is_lstm else zeros
    if mask is None:
        outputs, *states = kernel(x, start, weights, True, 1, 0.0, False, False, True)
        return outputs, [state[0] for state in states]
    return _by_torch_masked(kernel, x, ops.cast(mask, "bool"), start, weights)


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


def _by_torch_masked(
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
    ends = [torch.where(there, s[0][packed.unsorted_indices], 0.0) for s in states]
    # At a masked step the output is that of the step before it; before the first there is none.
    last = mask.long().cumsum(dim=1) - 1
    outputs = torch.take_along_dim(outputs, last.clamp(min=0)[..., None], 1)
    return torch.where((last >= 0)[..., None], outputs, 0.0), ends
