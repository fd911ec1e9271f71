"""How many sequences a batch holds, also where time has been folded into it.

Sums over a data set are reported for each sequence. Inside `TimeDistributed` the first axis holds
all steps of all sequences, which a layer that is called there can't know by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keras import ops

from timedist.ops import special

Tensor = Any


@dataclass(frozen=True)
class Fold:
    """What `TimeDistributed` knows of the batch it hands on.

    Attributes:
        batch: the number of sequences.
        time: the number of steps of each.
        mask: boolean tensor of shape `(batch * time,)`, or `None`.
    """

    batch: Any
    time: Any
    mask: Tensor | None


class _Active(threading.local):
    fold: Fold | None = None


_active = _Active()


@contextmanager
def folded(batch: Any, time: Any, mask: Tensor | None) -> Iterator[None]:
    """While this lasts, a first axis holds `batch * time` steps."""
    outer = _active.fold
    if outer is not None:
        # Folded twice: the sequences are the outermost ones.
        if mask is None and outer.mask is not None:
            mask = ops.repeat(outer.mask, time)
        batch, time = outer.batch, outer.time * time
    _active.fold = Fold(batch, time, mask)
    try:
        yield
    finally:
        _active.fold = outer


def mean_over_sequences(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """The sum over all that is not masked, divided by the number of sequences.

    Args:
        values: tensor of shape `(batch, ...)`; of a single value, shape `()`, it is that value.
        mask: boolean tensor whose shape is a prefix of that of the values, or `None`: the mask of
            the fold, if there is one.

    Returns:
        Scalar.
    """
    fold = _active.fold
    mask = fold.mask if mask is None and fold is not None else mask
    if mask is not None and len(values.shape):
        values = _unmasked(values, mask)
    number = fold.batch if fold is not None else ops.shape(values)[0] if len(values.shape) else 1
    return ops.sum(values) / ops.cast(number, values.dtype)


def _unmasked(x: Tensor, mask: Tensor) -> Tensor:
    """`x` with zeros where the mask, of the shape of its first axes, is false."""
    return special.where(special.beside(mask, x), x, 0.0)


def by_sequence(regularizer: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A regulariser of tensors as Keras wants it inside a fold.

    Keras divides what it gives by the first axis, which holds all steps: they are multiplied out,
    and what is masked is 0.
    """

    def regularize(outputs: Any) -> Tensor:
        fold = _active.fold
        if fold is None or not ops.is_tensor(outputs):
            return regularizer(outputs)
        if fold.mask is not None:
            outputs = _unmasked(outputs, fold.mask)
        penalty = regularizer(outputs)
        return penalty * ops.cast(fold.time, penalty.dtype)

    return regularize
