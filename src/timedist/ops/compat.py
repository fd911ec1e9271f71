"""What TimeDist needs of Keras and its backends beyond their public API, each use with its reason.

This is the only file that imports ``keras.src``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

# `backend.compute_output_spec` runs a function on specs; the public door to it is a method of
# layers, and we need it for functions.
# `get_keras_mask` / `set_keras_mask` read and write masks of tensors that refuse attributes (JAX).
# `AutocastScope` decides in which precision a layer reads its variables: a posterior needs theirs.
from keras.src.backend import AutocastScope as _AutocastScope
from keras.src.backend import compute_output_spec as _keras_compute_output_spec
from keras.src.backend import get_keras_mask, set_keras_mask

# RNN layers tell the cells of this class when a sequence begins and ends; they have no public hook.
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

# Under a `tf.distribute` strategy each replica's loss is its share of that of all.
from keras.src.losses.loss import scale_loss_for_distribution

# `draw_seed` has no public name: samplers that `keras.random` lacks must spend the same seeds as
# those it has.
from keras.src.random.seed_generator import draw_seed

__all__ = [
    "DropoutRNNCell",
    "draw_seed",
    "get_keras_mask",
    "scale_loss_for_distribution",
    "set_keras_mask",
]

Tensor = Any

_NATIVE = ("tensorflow_probability", "numpyro", "torch")


def backend_name() -> str:
    """Name of the Keras backend: ``"jax"``, ``"tensorflow"`` or ``"torch"``."""
    return keras.backend.backend()


def compiles() -> bool:
    """Whether `predict` compiles a model, anew for inputs of another shape."""
    return backend_name() != "torch"


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor of the backend (KerasTensors and NumPy arrays are not)."""
    return ops.is_tensor(x)


def native_library(x: Any) -> str | None:
    """Name of the library whose distribution `x` is (none is imported here), or `None`.

    A user's subclass of a library's distribution counts as the library's.
    """
    if not (hasattr(x, "log_prob") and hasattr(x, "sample")):
        return None
    roots = [cls.__module__.partition(".")[0] for cls in type(x).__mro__]
    return next((root for root in roots if root in _NATIVE), None)


def is_native(x: Any) -> bool:
    """Whether `x` is a distribution of TFP, NumPyro or torch."""
    return native_library(x) is not None


def is_symbolic(x: Any) -> bool:
    """Whether `x` is a `keras.KerasTensor`."""
    return isinstance(x, keras.KerasTensor)


def is_concrete(x: Any) -> bool:
    """Whether the numbers of `x` can be looked at now: not while a backend traces or infers."""
    if isinstance(x, np.ndarray):
        return True
    if not is_tensor(x):
        return False
    name = backend_name()
    if name == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer)
    if name == "tensorflow":
        return hasattr(x, "numpy")
    import torch

    if torch.compiler.is_compiling() or x.is_meta:
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(x)


def has_only_cpus() -> bool:
    """Whether what is compiled or called runs on CPUs."""
    name = backend_name()
    if name == "jax":
        import jax

        return jax.default_backend() == "cpu"
    if name == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_physical_devices("GPU")
    import torch

    return not torch.cuda.is_available()


def is_on_cpu(x: Tensor) -> bool:
    """Whether a concrete tensor lies in the memory of the host, all of it on one device."""
    name = backend_name()
    if name == "jax":
        return [device.platform for device in x.devices()] == ["cpu"]
    return "cpu" in str(x.device).lower()


def is_placeholder(x: Any) -> bool:
    """Whether `x` has no numbers at all: a meta tensor, by which Keras infers shapes on torch."""
    return bool(getattr(x, "is_meta", False))


def dtype_of(x: Any) -> str:
    """The name of the dtype of a tensor."""
    return keras.backend.standardize_dtype(x.dtype)


def epsilon(x: Any) -> float:
    """The rounding unit of the floating dtype of `x`."""
    return float(np.finfo(keras.backend.standardize_dtype(x.dtype)).eps)


def detach(x: Any) -> Any:
    """`x` without its gradient, ready for NumPy on every backend."""
    return x.detach() if hasattr(x, "detach") else x


def to_numpy(x: Any) -> np.ndarray:
    """A NumPy copy of `x`, with or without a recorded gradient."""
    return x if isinstance(x, np.ndarray) else ops.convert_to_numpy(detach(x))


def has_nan(x: Any) -> bool:
    """Whether there is a NaN among the numbers of a concrete tensor."""
    if backend_name() == "torch" and is_tensor(x):  # without the copy that Keras makes for NumPy
        return bool(x.isnan().any())
    return bool(np.isnan(to_numpy(x)).any())


def as_it_is(x: Any) -> Tensor:
    """An array, a scalar of NumPy or a tensor as a tensor of its own dtype."""
    # A NumPy scalar would become a float32, an array keeps its dtype. A new view, because JAX
    # remembers by identity what it made of an array, float32 also when float64 is asked for later.
    if isinstance(x, (np.ndarray, np.generic)):
        x = np.asarray(x).view()
    return ops.convert_to_tensor(x)


def to_tensor(x: Any, dtype: str) -> Tensor:
    """`x` as a tensor of a floating dtype; Python numbers are rounded to that dtype only.

    (`keras.ops` takes a Python float for a `floatx`, and so cuts a float64 to float32.)
    """
    if not is_tensor(x) and all(type(n) in (int, float) for n in keras.tree.flatten(x)):
        return ops.convert_to_tensor(x, dtype=dtype)
    tensor = as_it_is(x)
    given = dtype_of(tensor)
    if given == "string":
        raise TypeError(f"text is no number: {x!r}")
    return tensor if given == dtype else ops.cast(tensor, dtype)


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Broadcast tensors against each other, unknown sizes included (`keras.ops` has no such op)."""
    name = backend_name()
    if name == "jax":
        import jax.numpy as jnp

        return tuple(jnp.broadcast_arrays(*arrays))
    if name == "tensorflow":
        import tensorflow as tf

        shape = tf.shape(arrays[0])
        for array in arrays[1:]:
            shape = tf.broadcast_dynamic_shape(shape, tf.shape(array))
        static = arrays[0].shape
        for array in arrays[1:]:
            static = tf.broadcast_static_shape(static, array.shape)
        return tuple(tf.ensure_shape(tf.broadcast_to(a, shape), static) for a in arrays)
    import torch

    return tuple(torch.broadcast_tensors(*arrays))


def infer_spec(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The structure of KerasTensors that `function` (tensors in, tensors out) would return.

    Unknown sizes stay `None` on all backends.
    """
    return _keras_compute_output_spec(function, *args, **kwargs)


def keras_caller() -> tuple[str, Any] | None:
    """The innermost Keras layer or loss in whose `__call__` we are, and which of the two.

    A tensor conversion has no other way to know who asks for it: Keras converts the inputs of a
    layer before it opens the layer's call context. Only failing conversions pay for the walk.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in ("__call__", "tf____call__"):
            owner = frame.f_locals.get("self")
            if isinstance(owner, keras.Layer):
                return "layer", owner
            if isinstance(owner, keras.losses.Loss):
                return "loss", owner
        frame = frame.f_back  # type: ignore[assignment]
    return None


def full_value(variable: keras.Variable) -> Tensor:
    """The value of a variable in its own dtype, where the layer computes in less too."""
    with _AutocastScope(None):
        return ops.convert_to_tensor(variable)


def layers_of(layer: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers in it; Keras's own walk has no public name."""
    return list(layer._flatten_layers())


def keras_loop() -> tuple[str, Any] | None:
    """The Keras loop over a data set that runs now, `"fit"` or `"evaluate"`, and its `x`.

    Keras tells neither layers nor callbacks how large the data set is: only the loop itself knows.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name, scope = frame.f_code.co_name, frame.f_locals
        if name in ("fit", "evaluate") and isinstance(scope.get("self"), keras.Model):
            return name, scope.get("x")
        frame = frame.f_back  # type: ignore[assignment]
    return None


def register_pytree(
    cls: type,
    flatten: Callable[[Any], tuple[tuple, Any]],
    unflatten: Callable[[Any, Sequence], Any],
) -> None:
    """Let instances of `cls` leave and enter compiled functions of the backend.

    TensorFlow asks the class itself (`__tf_flatten__` and its kin). On torch nothing is registered:
    `keras.tree` *is* torch's registry there, and a registered class would stop being a leaf.
    """
    if backend_name() == "jax":
        import jax

        jax.tree_util.register_pytree_node(cls, flatten, unflatten)


def register_tensor_conversion(cls: type, convert: Callable[[Any], Tensor]) -> None:
    """Tell TensorFlow how instances of `cls` become tensors (JAX and NumPy ask the class)."""
    if backend_name() == "tensorflow":
        import tensorflow as tf

        def conversion(value, dtype=None, name=None, as_ref=False):
            del name, as_ref
            tensor = convert(value)
            return tensor if dtype is None else tf.cast(tensor, dtype)

        tf.register_tensor_conversion_function(cls, conversion)
