"""What tests need of a backend: numbers out, float64 in, gradients, compilation."""

import keras
import numpy as np
from keras import ops

from timedist.ops.functional import (
    compiled,
    compiled_gradient,
    dtype_scope,
    float64_scope,
    value_and_gradient,
)
from timedist.testing.compare import assert_close

__all__ = [
    "BACKEND",
    "DTYPES",
    "assert_close",
    "compiled",
    "compiled_gradient",
    "dtype_scope",
    "fast",
    "float64_scope",
    "gradient",
    "to_numpy",
    "value_and_gradient",
]

BACKEND = keras.backend.backend()
DTYPES = ("float32", "float64")


def to_numpy(x):
    """A NumPy array from a tensor (with or without a recorded gradient), an array or a number."""
    return ops.convert_to_numpy(x) if ops.is_tensor(x) else np.asarray(x)


def fast(function):
    """`function` compiled where that is faster for a few calls of loops: not on torch."""
    return compiled(function)


def gradient(function, *arrays):
    """The gradients of the sum of `function(*arrays)` to each array, as NumPy arrays."""
    return value_and_gradient(function, *arrays)[1]
