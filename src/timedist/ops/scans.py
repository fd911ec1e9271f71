"""Loops over the steps of a sequence that keep every state, compiled once for each step function.

`keras.ops.scan` compiles anew on JAX for every closure, runs eagerly step by step on TensorFlow,
and on torch its gradient takes time that grows with the square of the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
from keras import ops

from timedist.ops import compat

Tensor = Any


def scan(
    step: Callable, start: Any, constants: Any, sequences: Any, length: int, reverse: bool = False
) -> Any:
    """All states of a recursion: `state = step(state, constants, entries of this step)`.

    Args:
        step: function of the module's top level, so that what is compiled for it is found again;
            gives a state of the structure, shapes and dtypes of `start`.
        start: tensor or structure of tensors, the state before the first step.
        constants: structure of tensors, the same at every step.
        sequences: structure of tensors with the steps along their first axes; may be empty.
        length: the number of steps, at least 1.
        reverse: whether the last step comes first.

    Returns:
        The states after each step, in the order of the sequences whatever the direction, stacked
        along a new first axis.
    """
    name = compat.backend_name()
    if name == "jax":
        return _jax_scan()(step, start, constants, sequences, length, reverse)
    if name == "torch":
        return _torch_scan(step, start, constants, sequences, length, reverse)
    import tensorflow as tf

    if not tf.executing_eagerly():
        return _tf_scan(step, start, constants, sequences, length, reverse)
    given = (start, constants, sequences)
    flat = [ops.convert_to_tensor(x) for x in keras.tree.flatten(given)]
    structure = _Structure(keras.tree.map_structure(lambda _: 0, given))
    specs = tuple(tf.TensorSpec(x.shape, x.dtype) for x in flat)
    states = _tf_program(step, length, reverse, structure, specs)(*flat)
    return keras.tree.pack_sequence_as(start, states)


class _Structure:
    """A structure without its tensors, to find what is compiled for it."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Structure) and self.value == other.value

    def __hash__(self) -> int:
        return hash(repr(self.value))


@cache
def _jax_scan() -> Callable:
    import jax

    def run(
        step: Callable, start: Any, constants: Any, sequences: Any, length: int, reverse: bool
    ) -> Any:
        def both(state: Any, entries: Any) -> tuple:
            state = step(state, constants, entries)
            return state, state

        return jax.lax.scan(both, start, sequences, length=length, reverse=reverse)[1]

    return jax.jit(run, static_argnums=(0, 4, 5))


def _torch_scan(
    step: Callable, start: Any, constants: Any, sequences: Any, length: int, reverse: bool
) -> Any:
    import torch

    # The gradient of `unbind` is one `stack`; that of an index is a whole sequence of zeros.
    parts = [torch.unbind(x) for x in keras.tree.flatten(sequences)]
    numbers = range(length)
    state, states = start, []
    for i in reversed(numbers) if reverse else numbers:
        entries = keras.tree.pack_sequence_as(sequences, [part[i] for part in parts])
        state = step(state, constants, entries)
        states.append(state)
    states = states[::-1] if reverse else states
    columns = zip(*(keras.tree.flatten(s) for s in states), strict=True)
    return keras.tree.pack_sequence_as(start, [torch.stack(column) for column in columns])


@cache
def _tf_program(
    step: Callable, length: int, reverse: bool, structure: _Structure, specs: tuple
) -> Callable:
    """One program for each signature: TensorFlow warns of a function that is traced many times."""
    import tensorflow as tf

    def run(*flat: Tensor) -> list[Tensor]:
        start, constants, sequences = keras.tree.pack_sequence_as(structure.value, flat)
        states = _tf_scan(step, start, constants, sequences, length, reverse)
        return keras.tree.flatten(states)

    return tf.function(run, autograph=False).get_concrete_function(*specs)


def _tf_scan(
    step: Callable, start: Any, constants: Any, sequences: Any, length: int, reverse: bool
) -> Any:
    empty = not keras.tree.flatten(sequences)

    def both(state: Any, entries: Any) -> tuple:
        state = step(state, constants, sequences if empty else entries)
        return state, state

    return ops.scan(both, start, None if empty else sequences, length=length, reverse=reverse)[1]
