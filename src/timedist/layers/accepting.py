"""The base of every TimeDist layer: a Keras layer whose inputs may be distributions."""

from __future__ import annotations

from typing import Any

import keras

from timedist.interop import is_distribution
from timedist.ops import compat


class AcceptsDistributions(keras.Layer):
    """A Keras layer whose inputs may be distributions; arrays are converted as in any layer.

    Keras would turn a distribution into an array before `call` sees it (which raises). Inputs keep
    their dtype: probabilities are not computed in bfloat16 because the network is.

    Args:
        **kwargs: of `keras.Layer`: `name`, `dtype`, `trainable`.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("autocast", False)
        super().__init__(**kwargs)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.supports_masking = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Convert the arrays among the arguments, then call the layer."""
        if len(args) == 1 and not kwargs and compat.is_tensor(args[0]):
            args = (self._converted(args[0]),)  # a walk through structures costs more, on torch
        else:
            args, kwargs = keras.tree.map_structure(self._converted, (args, kwargs))
        outputs = super().__call__(*args, **kwargs)
        if self.activity_regularizer is not None:
            for output in keras.tree.flatten(outputs):
                if is_distribution(output):  # Keras itself knows of tensors only
                    self.add_loss(self.activity_regularizer(output))
        return outputs

    def _converted(self, x: Any) -> Any:
        if is_distribution(x):
            return x
        mask = compat.get_keras_mask(x)
        converted = self.dtype_policy.convert_input(x, self.autocast, self.input_dtype)
        if mask is not None:
            compat.set_keras_mask(converted, mask)
        return converted


def serializable(cls: type) -> type:
    """Register a layer or loss under the package name, so that safe loading finds it."""
    return keras.saving.register_keras_serializable("timedist")(cls)
