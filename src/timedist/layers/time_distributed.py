"""`TimeDistributed` for layers that return distributions; one call for those with tensors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from timedist.interop import as_distribution, is_distribution
from timedist.layers.accepting import serializable
from timedist.layers.folding import by_sequence, folded
from timedist.layers.symbolic import infer
from timedist.ops import compat

Tensor = Any


@serializable
class TimeDistributed(keras.layers.TimeDistributed):
    """Applies a layer to every time step, by one call on all steps at once.

    Time is folded into the batch, the wrapped layer runs once, and every tensor or parameter of a
    distribution that it returns is unfolded. For layers that treat the elements of a batch alike
    this is what `keras.layers.TimeDistributed` computes, step by step; a layer with batch
    statistics (`BatchNormalization` while training) takes them over all steps together.

    The heads of this package act on the last axis, so `IndependentNormal(3)` needs no
    `TimeDistributed` around it; it may have one.

    Activity regularisers of the wrapped layer and of the layers in it count as they do without
    `TimeDistributed`: the sum over the steps that are not masked, for each sequence. What the layer
    adds by `add_loss` counts once.

    Args:
        layer: a `keras.Layer`; it may return tensors, distributions of TimeDist, or native
            distributions of TFP, NumPyro or torch.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(batch, time, ...)`.
        training: passed on to the wrapped layer by Keras.
        mask: boolean tensor `(batch, time, ...)`, folded and passed on if the layer takes one.

    Returns:
        What the layer returns, with `(batch, time)` in front instead of `batch * time`.

    Raises:
        ValueError: if the input has fewer than three axes or the mask does not fit it.

    >>> import keras
    >>> from timedist.layers import IndependentNormal
    >>> TimeDistributed(IndependentNormal(3))(keras.ops.zeros((32, 10, 6)))
    Independent(Normal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    def build(self, input_shape: Any) -> None:
        """Build the wrapped layer for one step."""
        child_shape = self._get_child_input_shape(input_shape)
        if type(self.layer).build is keras.Layer.build and not self.layer.built:
            # A layer without `build` makes its weights when called: call it on one symbolic step.
            infer(self.layer, keras.KerasTensor(child_shape, self.compute_dtype))
            self.built = True
        else:
            super().build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Any:
        """Fold, call the layer once, unfold."""
        del training  # Keras hands it to the wrapped layer itself
        shape, options = ops.shape(inputs), {}
        flat_mask = None
        if mask is not None:
            _check_mask(mask, inputs)
            flat_mask = _folded(mask)
            if "mask" in inspect.signature(self.layer.call).parameters:
                options["mask"] = flat_mask
        with folded(shape[0], shape[1], flat_mask), _regularized_by_sequence(self.layer):
            outputs = self.layer(_folded(inputs), **options)
        return keras.tree.map_structure(lambda x: _unfolded(x, shape[0], shape[1]), outputs)

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """Symbolic output; a symbolic distribution where the layer returns one."""
        return infer(self.call, inputs, training=training, mask=mask)


@contextmanager
def _regularized_by_sequence(layer: keras.Layer) -> Iterator[None]:
    """While this lasts, activity regularisers see what they would see without the fold.

    Keras divides what they give by the first axis, which holds all steps here.
    """
    regularized = [part for part in compat.layers_of(layer) if part.activity_regularizer]
    given = [part.activity_regularizer for part in regularized]
    for part in regularized:
        part.activity_regularizer = by_sequence(part.activity_regularizer)
    try:
        yield
    finally:
        for part, regularizer in zip(regularized, given, strict=True):
            part.activity_regularizer = regularizer


def _folded(x: Tensor) -> Tensor:
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def _unfolded(x: Any, batch: Any, time: Any) -> Any:
    lead = (-1, time) if isinstance(time, int) else (batch, time)
    if is_distribution(x):
        distribution = as_distribution(x)
        return distribution.reshape_batch((*lead, *distribution.batch_shape[1:]))
    return ops.reshape(x, (*lead, *ops.shape(x)[1:]))


def _check_mask(mask: Any, inputs: Tensor) -> None:
    given, expected = tuple(mask.shape), tuple(inputs.shape)[:2]
    fits = len(given) >= 2 and all(
        a == b for a, b in zip(given, expected, strict=False) if None not in (a, b)
    )
    if not fits:
        raise ValueError(
            f"TimeDistributed: the mask has shape {given}, expected (batch, time, ...) beginning "
            "with "
            f"{expected}, as the input of shape {tuple(inputs.shape)}"
        )
