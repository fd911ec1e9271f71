"""Distributions of other libraries (TFP, NumPyro, torch): what only a look at a backend can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from timedist.ops import compat, random

Tensor = Any


def flatten(native: Any) -> tuple[list[Tensor], Callable[[list], Any]]:
    """The tensors a native distribution is made of, and the function that puts it together again.

    The last tensor carries nothing but the batch shape, which symbolic tensors could not tell else.
    """
    library = compat.native_library(native)
    if library == "numpyro":
        import jax
        import jax.numpy as jnp

        leaves, structure = jax.tree_util.tree_flatten(native)
        shape = jnp.zeros(native.batch_shape)
        return [*leaves, shape], lambda new: jax.tree_util.tree_unflatten(structure, new[:-1])
    if library == "tensorflow_probability":
        import tensorflow as tf

        leaves = tf.nest.flatten(native, expand_composites=True)
        shape = tf.ensure_shape(tf.zeros(native.batch_shape_tensor()), native.batch_shape)
        return [*leaves, shape], lambda new: tf.nest.pack_sequence_as(
            native, new[:-1], expand_composites=True
        )
    import torch

    # torch's distributions cannot be taken apart: the object itself is kept.
    return [torch.zeros(native.batch_shape)], lambda new: native


def sample(native: Any, shape: Sequence[int], seed: random.Seed) -> Tensor:
    """Draws from a native distribution, reparameterised where it can be."""
    library = compat.native_library(native)
    if library == "numpyro":
        return native.sample(random.jax_key(seed), tuple(shape))
    if library == "tensorflow_probability":
        return native.sample(tuple(shape), seed=random.tf_seed(seed))
    import torch

    draw = native.rsample if native.has_rsample else native.sample
    if seed is None:
        return draw(torch.Size(shape))
    first, second = random.draw_key(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(first + second) & 0xFFFFFFFF)
        return draw(torch.Size(shape))


def statistic(native: Any, name: str) -> Tensor:
    """A statistic such as `mean`, a method in TFP and a property in the others."""
    try:
        found = getattr(native, name, None)
    except NotImplementedError:
        found = None
    if found is None:
        raise NotImplementedError(
            f"{type(native).__name__} of {compat.native_library(native)} has no {name}"
        )
    return ops.convert_to_tensor(found() if callable(found) else found)


def distributions(library: str) -> Any:
    """The module of the distributions of a library."""
    if library == "numpyro":
        import numpyro.distributions as module
    elif library == "tensorflow_probability":
        from tensorflow_probability import distributions as module
    else:
        import torch.distributions as module
    return module


def to_array(library: str, x: Tensor) -> Any:
    """A tensor of the backend as one of a library: itself if it is one, else a copy of it."""
    backend = {"numpyro": "jax", "tensorflow_probability": "tensorflow"}.get(library, library)
    if compat.backend_name() == backend:
        return x
    array = np.array(compat.to_numpy(x))
    if backend == "jax":
        import jax.numpy as jnp

        return jnp.asarray(array)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(array)
    import torch

    return torch.from_numpy(array)


def from_array(x: Any) -> Any:
    """A parameter of a native distribution as we take it; Python numbers and our tensors stay."""
    if compat.is_tensor(x) or isinstance(x, (bool, int, float)):
        return x
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def arguments(native: Any) -> dict[str, Any]:
    """What a native distribution was made of, by name."""
    return dict(getattr(native, "parameters", None) or vars(native))
