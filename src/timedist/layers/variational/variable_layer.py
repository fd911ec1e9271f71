"""A layer that is a variable, and an initializer made of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from timedist.layers.accepting import serializable
from timedist.layers.heads import as_event_shape

Tensor = Any


@serializable
class VariableLayer(keras.Layer):
    """Returns a trainable variable, whatever its input is.

    With a `DistributionLambda` behind it, it is a trainable distribution.

    Args:
        shape: int or tuple of ints, the shape of the variable.
        dtype: dtype of the variable, or a Keras dtype policy. Default: Keras's global policy.
        activation: function of the variable, or its name. Default `None`: the variable itself.
        initializer: of the variable. Default `"zeros"`.
        regularizer: of the variable. Default `None`.
        constraint: of the variable. Default `None`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: anything; it is not used.

    Returns:
        Tensor of the shape of the variable; it has no batch axis.

    Raises:
        ValueError: if the shape is no positive int or tuple of them.

    >>> import keras
    >>> VariableLayer(3, initializer="ones")(keras.ops.zeros((2, 5))).shape[0]
    3
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        dtype: Any = None,
        activation: Any = None,
        initializer: Any = "zeros",
        regularizer: Any = None,
        constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, **kwargs)
        self.shape = as_event_shape(shape)
        self.activation = keras.activations.get(activation)
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)
        self.constraint = keras.constraints.get(constraint)
        self.constant = self.add_weight(
            shape=self.shape,
            initializer=self.initializer,
            regularizer=self.regularizer,
            constraint=self.constraint,
            name="constant",
        )
        self.built = True

    def call(self, inputs: Any) -> Tensor:
        """The variable, after the activation."""
        del inputs
        return self.activation(ops.convert_to_tensor(self.constant))

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """The shape of the variable."""
        del inputs
        return keras.KerasTensor(self.shape, self.compute_dtype)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "shape": self.shape,
            "activation": keras.activations.serialize(self.activation),
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "constraint": keras.constraints.serialize(self.constraint),
        }


@serializable
class BlockwiseInitializer(keras.initializers.Initializer):
    """Initializes blocks along the last axis, each by an initializer of its own.

    Args:
        initializers: list of Keras initializers or their names.
        sizes: list of ints, the sizes of the blocks along the last axis.

    Raises:
        ValueError: if the numbers of initializers and sizes differ; on a call, if the sizes do not
            add up to the last axis.

    >>> BlockwiseInitializer(["zeros", "ones"], sizes=[1, 2])((2, 3)).shape[-1]
    3
    """

    def __init__(self, initializers: Sequence[Any], sizes: Sequence[int]) -> None:
        self.initializers = [keras.initializers.get(one) for one in initializers]
        self.sizes = [int(size) for size in sizes]
        if len(self.initializers) != len(self.sizes):
            raise ValueError(
                f"BlockwiseInitializer: {len(self.initializers)} initializers need as many sizes, "
                f"got {self.sizes}"
            )

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Values of a shape whose last axis is the sum of the sizes."""
        *lead, last = tuple(shape)
        if last != sum(self.sizes):
            raise ValueError(
                f"BlockwiseInitializer: blocks of sizes {self.sizes} make a last axis of "
                f"{sum(self.sizes)}, got shape {tuple(shape)}"
            )
        pairs = zip(self.initializers, self.sizes, strict=True)
        return ops.concatenate([one((*lead, size), dtype=dtype) for one, size in pairs], axis=-1)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        serialized = [keras.initializers.serialize(one) for one in self.initializers]
        return {"initializers": serialized, "sizes": self.sizes}

    @classmethod
    def from_config(cls, config: dict) -> BlockwiseInitializer:
        """The inverse of `get_config`."""
        made = [keras.initializers.deserialize(one) for one in config["initializers"]]
        return cls(made, config["sizes"])
