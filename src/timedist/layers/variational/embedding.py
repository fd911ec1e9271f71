"""An embedding with a posterior over its vectors."""

from __future__ import annotations

from typing import Any

from keras import ops

from timedist.layers.accepting import serializable
from timedist.layers.heads import positive_int
from timedist.layers.variational.weights import WeightPosterior

Tensor = Any


@serializable
class EmbeddingReparameterization(WeightPosterior):
    r"""Turns category numbers into vectors that are drawn at every call.

    $y = E_x,\ E \sim q(E)$

    A category has the same vector everywhere in a batch. Rare categories keep a wide posterior.

    Args:
        input_dim: int, the number of categories.
        output_dim: int, the size of the vectors.
        mask_zero: whether category 0 means that there is nothing, and makes a mask. Default
            `False`.
        **kwargs: of `WeightPosterior`, whose kernel is the table of vectors (there is no bias), and
            of `keras.Layer`.

    Call arguments:
        inputs: tensor `(batch, ...)` of category numbers from 0 to `input_dim - 1`.
        training: whether this is a training step; given by Keras.

    Returns:
        Tensor `(batch, ..., output_dim)`.

    Raises:
        ValueError: if a size is no positive int, or a posterior does not fit.
        TypeError: if an option of the bias is given.

    Source: Blundell, Cornebise, Kavukcuoglu, Wierstra: Weight Uncertainty in Neural Networks
    (2015).

    >>> import keras
    >>> tuple(EmbeddingReparameterization(10, 3)(keras.ops.ones((2, 5), dtype="int32")).shape)
    (2, 5, 3)
    """

    def __init__(
        self, input_dim: int, output_dim: int, mask_zero: bool = False, **kwargs: Any
    ) -> None:
        unknown = [name for name in kwargs if name.startswith("bias_")]
        if unknown:
            raise TypeError(f"EmbeddingReparameterization has no bias, got {unknown}")
        super().__init__(bias_posterior_fn=None, **kwargs)
        self.input_dim = positive_int("input_dim", input_dim)
        self.output_dim = positive_int("output_dim", output_dim)
        self.mask_zero = bool(mask_zero)
        # Category numbers must not be cast to the precision of the network.
        self.autocast = False

    def build(self, input_shape: Any = None) -> None:
        """Make the variables."""
        del input_shape
        self._build_weights((self.input_dim, self.output_dim), ())

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Draw the table and look the vectors up."""
        return self._use_weights(inputs, training)

    def _linear(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        found = ops.take(kernel, ops.cast(inputs, "int32"), axis=0)
        return ops.cast(found, self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where the category is not 0, if that means nothing."""
        return ops.not_equal(inputs, 0) if self.mask_zero else previous_mask

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The shape of the input with an axis for the vectors."""
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        kept = {name: value for name, value in config.items() if not name.startswith("bias_")}
        own = {name: getattr(self, name) for name in ("input_dim", "output_dim", "mask_zero")}
        return {**kept, **own}
