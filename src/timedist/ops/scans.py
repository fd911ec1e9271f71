"""Loops over the steps of a sequence, compiled, and with gradients whose cost is linear.

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
from timedist.ops.functional import tf_program

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
        return _jax_scan()(step, length, reverse, start, constants, sequences)
    if name == "torch":
        return _all_states(step, length, reverse, start, constants, sequences)
    import tensorflow as tf

    if not tf.executing_eagerly():
        return _all_states(step, length, reverse, start, constants, sequences)
    statics, tensors = (step, length, reverse), (start, constants, sequences)
    return tf_program(_all_states, statics, tensors)


def loop(
    step: Callable, start: Any, sequences: Any, length: int, reverse: bool = False
) -> tuple[Any, Any]:
    """As `scan`, of a step that may be any closure and gives outputs of its own.

    Inside a compiled function it is compiled with it. Outside of one JAX compiles it at each call:
    where it is called again and again by itself, use `scan`.

    Args:
        step: `step(state, entries of this step)`, gives the next state and a structure of outputs.
        start: as for `scan`.
        sequences: as for `scan`.
        length: as for `scan`.
        reverse: as for `scan`.

    Returns:
        The last state, and the outputs of all steps, stacked along a new first axis.
    """
    if compat.backend_name() == "jax":
        import jax

        return jax.lax.scan(step, start, sequences, length=length, reverse=reverse)
    if compat.backend_name() == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            return _tf_loop(step, start, sequences, length, reverse)
    return _eager_loop(step, start, sequences, length, reverse)


# Rows that a CPU's caches hold of a step: of 16,000 at once each took up to a fourth longer. Where
# nothing is compiled, each block would cost a loop in Python more.
_BLOCK = 4096


def in_blocks(number: Any, rows: Any = 1) -> tuple[int, Any]:
    """In how many blocks a loop over many rows is quickest, and how many things are in each.

    Args:
        number: how many things there are, or what stands for a number that is unknown.
        rows: of how many rows each of them is, likewise.

    Returns:
        How many blocks, and the things in each, so many that all are in some block.
    """
    known = isinstance(number, int) and isinstance(rows, int)
    if not (known and compat.compiles() and compat.has_only_cpus()):
        return 1, number
    each = max(1, -(-number // max(1, -(-number * rows // _BLOCK))))
    return max(1, -(-number // each)), each


def blocks(function: Callable, number: int) -> Any:
    """`function(block)` of each block in turn.

    Args:
        function: of the number of a block, an integer tensor `()`; gives a structure of tensors.
        number: how many blocks, at least 1.

    Returns:
        What the function gave, stacked along a new first axis.
    """
    numbers = ops.arange(number, dtype="int32")
    if number == 1:
        return keras.tree.map_structure(lambda x: x[None], function(numbers[0]))
    return loop(lambda state, i: (state, function(i)), (), numbers, number)[1]


def _eager_loop(
    step: Callable, start: Any, sequences: Any, length: int, reverse: bool
) -> tuple[Any, Any]:
    # The gradient of `unstack` is one `stack`; that of an index is a whole sequence of zeros.
    parts = [ops.unstack(x, length) for x in keras.tree.flatten(sequences)]
    numbers = range(length)
    state, outputs = start, []
    for i in reversed(numbers) if reverse else numbers:
        entries = keras.tree.pack_sequence_as(sequences, [part[i] for part in parts])
        state, output = step(state, entries)
        outputs.append(output)
    columns = zip(*(keras.tree.flatten(x) for x in outputs), strict=True)
    stacks = [ops.stack(column[::-1] if reverse else column) for column in columns]
    return state, keras.tree.pack_sequence_as(outputs[0], stacks)


def _tf_loop(
    step: Callable, start: Any, sequences: Any, length: int, reverse: bool
) -> tuple[Any, Any]:
    """`keras.ops.scan` on TensorFlow takes outputs of the structure of the state only."""
    import tensorflow as tf

    flat = [ops.convert_to_tensor(x) for x in keras.tree.flatten(start)]
    xs = [ops.convert_to_tensor(x) for x in keras.tree.flatten(sequences)]
    read = [tf.TensorArray(x.dtype, length, element_shape=x.shape[1:]).unstack(x) for x in xs]

    def stepped(state: list, entries: list) -> tuple:
        entries = keras.tree.pack_sequence_as(sequences, entries)
        return step(keras.tree.pack_sequence_as(start, state), entries)

    like = _tf_outputs(stepped, flat, [x[0] for x in xs])
    kinds = [(x.dtype, x.shape) for x in keras.tree.flatten(like)]
    written = [tf.TensorArray(dtype, length, element_shape=shape) for dtype, shape in kinds]

    def body(i: Any, state: list, written: list) -> tuple:
        at = length - 1 - i if reverse else i
        after, outputs = stepped(state, [x.read(at) for x in read])
        after = [
            tf.ensure_shape(x, x0.shape)
            for x, x0 in zip(keras.tree.flatten(after), flat, strict=True)
        ]
        outputs = keras.tree.flatten(outputs)
        return i + 1, after, [a.write(at, x) for a, x in zip(written, outputs, strict=True)]

    _, flat_end, written = tf.while_loop(
        lambda i, *_: i < length, body, (tf.constant(0), flat, written), maximum_iterations=length
    )
    stacks = [x.stack() for x in written]
    end = keras.tree.pack_sequence_as(start, flat_end)
    return end, keras.tree.pack_sequence_as(like, stacks)


def _tf_outputs(stepped: Callable, state: list, entries: list) -> Any:
    """Tensors like the outputs of a step, of a graph that is not run."""
    import tensorflow as tf

    specs = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), (state, entries))
    traced = tf.function(lambda s, x: stepped(s, x)[1], autograph=False, reduce_retracing=False)
    return traced.get_concrete_function(*specs).structured_outputs


def _all_states(
    step: Callable, length: int, reverse: bool, start: Any, constants: Any, sequences: Any
) -> Any:
    def both(state: Any, entries: Any) -> tuple:
        state = step(state, constants, entries)
        return state, state

    return loop(both, start, sequences, length, reverse)[1]


@cache
def _jax_scan() -> Callable:
    import jax

    return jax.jit(_all_states, static_argnums=(0, 1, 2))
