"""Keras's recurrent layers, run by the fastest loop each backend has."""

from __future__ import annotations

from typing import Any

import keras

from timedist.layers.accepting import serializable
from timedist.ops import recurrent

Tensor = Any


@serializable
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` by a faster loop: the same arguments, weights and numbers.

    On torch it runs by torch's own kernel, masks, states and gradients included, where Keras loops
    over the steps in Python. On CPUs on JAX and, compiled, on TensorFlow it runs by one loop whose
    gradient is written out; on JAX it can't be differentiated forwards (`jax.jvp`) then. What runs
    by Keras as before: layers with other activations, without bias, backwards or in half precision,
    training with dropout inside the cell, and on JAX and TensorFlow masked sequences; on TensorFlow
    a number of steps that is small or not known in advance, too.

    Arguments, result and errors as for `keras.layers.LSTM`.

    Source: Hochreiter, Schmidhuber: Long Short-Term Memory (1997).

    >>> import numpy as np
    >>> tuple(LSTM(4, return_sequences=True)(np.zeros((2, 7, 3), "float32")).shape)
    (2, 7, 4)
    """

    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """The outputs of all steps or the last, and the states if they are asked for."""
        found = _called(self, sequences, initial_state, mask, training)
        return super().call(sequences, initial_state, mask, training) if found is None else found

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple:
        """All steps: the last output, the outputs and the last states."""
        return _looped(self, super().inner_loop, sequences, initial_state, mask, training)


@serializable
class GRU(keras.layers.GRU):
    """`keras.layers.GRU` by a faster loop: the same arguments, weights and numbers.

    As `LSTM`; a layer with `reset_after=False` runs by Keras too.

    Arguments, result and errors as for `keras.layers.GRU`.

    Source: Cho et al.: Learning Phrase Representations using RNN Encoder-Decoder (2014).

    >>> import numpy as np
    >>> tuple(GRU(4, return_sequences=True)(np.zeros((2, 7, 3), "float32")).shape)
    (2, 7, 4)
    """

    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """The outputs of all steps or the last, and the states if they are asked for."""
        found = _called(self, sequences, initial_state, mask, training)
        return super().call(sequences, initial_state, mask, training) if found is None else found

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple:
        """All steps: the last output, the outputs and the last states."""
        return _looped(self, super().inner_loop, sequences, initial_state, mask, training)


def _called(layer: Any, x: Tensor, start: Any, mask: Any, training: bool) -> Tensor | None:
    return recurrent.by_torch(layer, x, _one(mask), training) if start is None else None


def _one(mask: Any) -> Any:
    """The mask of the sequences; Keras may give those of the states with it."""
    return mask[0] if isinstance(mask, (list, tuple)) else mask


def _looped(
    layer: Any, by_keras: Any, x: Tensor, start: Any, mask: Any, training: bool
) -> tuple[Tensor, Tensor, list[Tensor]]:
    states = list(start) if isinstance(start, (list, tuple)) else [start]
    found = recurrent.by_kernel(layer, x, states, _one(mask), training)
    return by_keras(x, start, mask, training=training) if found is None else found
