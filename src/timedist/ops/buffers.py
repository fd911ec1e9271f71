"""Buffers that a loop over steps fills entry by entry."""

from __future__ import annotations

from typing import Any

from keras import ops

from timedist.ops import compat

Tensor = Any


def written(buffer: Tensor, place: Tensor, entry: Tensor, axis: int) -> Tensor:
    """A buffer with an entry at one place along an axis; the buffer given is given up for it.

    A compiled loop of JAX or TensorFlow writes into the buffer itself. On torch a slice update is
    a copy of all of it, so there it is written in place, unless a gradient is recorded.

    Args:
        buffer: tensor, not to be used any more.
        place: int or int tensor, where along the axis.
        entry: tensor of the shape and dtype of the buffer, but of size 1 along the axis.
        axis: int, not negative.

    Returns:
        Tensor of the shape of the buffer.
    """
    name = compat.backend_name()
    if name == "torch":
        import torch

        if not (torch.is_grad_enabled() and (buffer.requires_grad or entry.requires_grad)):
            index = torch.as_tensor(place, dtype=torch.int64, device=buffer.device)
            # Rows that were one repeated, without a copy, become rows of their own.
            return buffer.contiguous().index_copy_(axis, index.reshape(1), entry)
    start = tuple(place if number == axis else 0 for number in range(len(buffer.shape)))
    if name == "tensorflow":
        return _tf_written(buffer, start, entry)
    return ops.slice_update(buffer, start, entry)


def _tf_written(buffer: Tensor, start: tuple, entry: Tensor) -> Tensor:
    """TensorFlow knows no gradient of a slice update."""
    import tensorflow as tf

    def both(buffer: Tensor, entry: Tensor) -> tuple:
        def gradients(upstream: Tensor) -> tuple:
            others = ops.slice_update(upstream, start, tf.zeros_like(entry))
            return others, ops.slice(upstream, start, ops.shape(entry))

        return ops.slice_update(buffer, start, entry), gradients

    return tf.custom_gradient(both)(buffer, entry)
