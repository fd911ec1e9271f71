"""Random draws that `keras.random` lacks, or whose gradient it cuts, and the handling of seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from timedist.ops import compat, special

Tensor = Any
Seed: TypeAlias = "int | keras.random.SeedGenerator | Tensor | None"


class StepSeed(keras.random.SeedGenerator):
    """A seed for one step of a compiled scan: a fixed key, no state to update.

    A `SeedGenerator` writes its state, which must not happen inside a scan. This one derives each
    draw from a key drawn outside the scan and a step number.

    Args:
        key: integer tensor of shape `(2,)`, from `draw_key`.
        step: integer tensor of shape `()`, the number of the step.
    """

    def __init__(self, key: Tensor, step: Tensor):
        self.key = key
        self.step = step
        self.count = 0

    def next(self, ordered: bool = True) -> Tensor:
        """The key of the next draw of this step, shape `(2,)`."""
        del ordered
        self.count += 1
        return folded(self.key, self.step, self.count)


def folded(key: Tensor, *numbers: Any) -> Tensor:
    """A key that follows from a key and integers, by a hash.

    A generator counts its keys up: were a number added to one, the key of a later draw of the
    generator would come out again.
    """
    name = compat.backend_name()
    if name == "jax":
        import jax

        return jax.random.key_data(reduce(jax.random.fold_in, numbers, _wrapped(key)))
    if name == "tensorflow":
        import tensorflow as tf

        return reduce(tf.random.fold_in, [tf.cast(n, key.dtype) for n in numbers], key)
    if key.is_meta:
        return key
    words = [word & 0xFFFFFFFF for word in (*key.tolist(), *map(int, numbers))]
    hashed = np.random.SeedSequence(words).generate_state(2).view("int32")
    return ops.convert_to_tensor(hashed, dtype=compat.dtype_of(key))


def draw_key(seed: Seed) -> Tensor:
    """A key tensor of shape `(2,)` from an int, a `SeedGenerator` or Keras's global seed."""
    return ops.convert_to_tensor(compat.draw_seed(seed))


def seed_from(seed: int, tensors: Iterable[Tensor]) -> StepSeed:
    """A seed made from an int and the bits of tensors, for what can keep no state.

    So the noise is new at every step of training, and the same when the same is seen again. Losses
    and regularisers could not carry a state through a compiled step on JAX.
    """
    bits: Any = 0
    for x in tensors:
        single = ops.cast(ops.stop_gradient(ops.convert_to_tensor(x)), "float32")
        bits = 31 * bits + ops.sum(ops.view(single, "int32"))
    return StepSeed(draw_key(seed), ops.cast(bits, "int32"))


def split(seed: Seed, number: int) -> list[Seed]:
    """Seeds for `number` independent draws: an int is hashed, a generator simply drawn from."""
    if isinstance(seed, int):
        words = np.random.SeedSequence(seed & 0xFFFFFFFFFFFFFFFF).generate_state(number)
        return [int(word) >> 1 for word in words]
    return [seed] * number


_unseeded: ContextVar[Seed] = ContextVar("unseeded", default=None)


@contextmanager
def seeds_from(generator: keras.random.SeedGenerator) -> Iterator[None]:
    """Inside, draws without a seed take theirs from a generator.

    A user's function inside a layer may so draw without one: under JAX's jit Keras's global seed
    must not be touched, only generators the layer owns.
    """
    token = _unseeded.set(generator)
    try:
        yield
    finally:
        _unseeded.reset(token)


def check_seed(seed: Any) -> Seed:
    """`seed` itself (or what stands for `None`), or a `TypeError` that says what it may be."""
    if seed is None:
        return _unseeded.get()
    if isinstance(seed, np.integer):
        return int(seed)
    if isinstance(seed, int) and not isinstance(seed, bool):
        return seed
    if isinstance(seed, keras.random.SeedGenerator):
        return seed
    key = _key_data(seed) if compat.is_tensor(seed) else None
    if key is not None and tuple(key.shape) == (2,) and "int" in compat.dtype_of(key):
        return StepSeed(ops.cast(key, draw_key(0).dtype), ops.zeros((), "int32"))
    raise TypeError(
        "seed must be an int, a keras.random.SeedGenerator, a key (a tensor of two integers, or of "
        f"jax.random.key) or None, got {seed!r} of type {type(seed).__name__}"
    )


def _key_data(key: Tensor) -> Tensor:
    """The integers of a key, which JAX may wrap in a dtype of their own."""
    if compat.backend_name() == "jax":
        import jax

        if jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key):
            return jax.random.key_data(key)
    return key


def normal(shape: Sequence, dtype: str, seed: Seed) -> Tensor:
    """Standard normal draws of the given shape."""
    return keras.random.normal(shape, dtype=dtype, seed=seed)


def uniform(shape: Sequence, dtype: str, seed: Seed) -> Tensor:
    """Uniform draws inside (0, 1): neither end, so that every quantile function is finite.

    Backends draw multiples of eps or eps / 2. A zero stands for what lies below half of one: what
    is drawn once in eight million times is not farther out than that.
    """
    eps = float(np.finfo(dtype).eps)
    draws = keras.random.uniform(shape, minval=0.0, maxval=1.0, dtype=dtype, seed=seed)
    return special.minimum(special.maximum(draws, eps / 4), 1.0 - eps / 2)


def gamma(concentration: Tensor, seed: Seed) -> Tensor:
    """Gamma(concentration, rate 1) draws with implicit gradients to the concentration.

    Source: Figurnov, Mohamed, Mnih: Implicit Reparameterization Gradients (2018).
    """
    name = compat.backend_name()
    if name == "jax":
        import jax

        return jax.random.gamma(jax_key(seed), concentration)
    if name == "tensorflow":
        import tensorflow as tf

        shape = tf.shape(concentration)
        return tf.random.stateless_gamma(
            shape, tf_seed(seed), alpha=concentration, dtype=concentration.dtype
        )
    import torch

    return torch._standard_gamma(concentration, generator=_torch_generator(seed, concentration))


def log_gamma(concentration: Tensor, seed: Seed) -> Tensor:
    """Logarithms of gamma draws, finite where the draws of a small concentration underflow.

    Source: Marsaglia, Tsang: A Simple Method for Generating Gamma Variables (2000), section 6.
    """
    first, second = split(seed, 2)
    shape, dtype = ops.shape(concentration), compat.dtype_of(concentration)
    power = ops.log(uniform(shape, dtype, second)) / concentration
    return ops.log(gamma(concentration + 1.0, first)) + power


def student_t(df: Tensor, seed: Seed) -> Tensor:
    """Draws of Student's t with location 0 and scale 1, differentiable in the degrees of freedom.

    One coordinate of a pair whose distance R from the centre has P(R > r) = (1 + r^2/df)^(-df/2).

    Source: Bailey: Polar Generation of Random Variates with the t-Distribution (1994).
    """
    dtype = compat.dtype_of(df)
    info = np.finfo(dtype)
    # More cannot be told from a normal distribution, and a number divided by them might be 0.
    df = special.minimum(df, 1e30)
    draws = uniform((2, *ops.shape(df)), dtype, seed)
    energy = -ops.log(draws[0]) / df
    square = -df * ops.expm1(-2.0 * energy)
    farthest = 0.5 * float(np.log(info.max))
    radius = ops.sqrt(square) * ops.exp(special.minimum(energy, farthest))
    return radius * special.cos(2.0 * math.pi * draws[1])


# Rates from here on are drawn as normal variables: backends count in int32 or int64, and the two
# distribution functions differ by less than 1e-5.
_LARGE_RATE = 2.0**30


def poisson(rate: Tensor, seed: Seed) -> Tensor:
    """Poisson draws, in the dtype of `rate`; no gradient."""
    first, second = split(seed, 2)
    rate = ops.stop_gradient(rate)
    large = rate > _LARGE_RATE
    bounded = ops.where(large, ops.full_like(rate, _LARGE_RATE), rate)
    noise = normal(ops.shape(rate), keras.backend.standardize_dtype(rate.dtype), second)
    return ops.where(large, rate + ops.sqrt(rate) * noise, _poisson(bounded, first))


def _poisson(rate: Tensor, seed: Seed) -> Tensor:
    name = compat.backend_name()
    if name == "jax":
        import jax

        return jax.random.poisson(jax_key(seed), rate).astype(rate.dtype)
    if name == "tensorflow":
        import tensorflow as tf

        return tf.random.stateless_poisson(tf.shape(rate), tf_seed(seed), rate, dtype=rate.dtype)
    import torch

    return torch.poisson(rate.detach(), generator=_torch_generator(seed, rate))


def binomial(total_count: Tensor, probs: Tensor, seed: Seed) -> Tensor:
    """Binomial draws, in the dtype of two tensors of one shape; no gradient."""
    name = compat.backend_name()
    if name == "jax":
        import jax

        draws = jax.random.binomial(jax_key(seed), total_count, probs)
        return jax.lax.stop_gradient(draws.astype(probs.dtype))
    if name == "tensorflow":
        import tensorflow as tf

        return tf.stop_gradient(
            tf.random.stateless_binomial(
                tf.shape(probs), tf_seed(seed), total_count, probs, output_dtype=probs.dtype
            )
        )
    import torch

    generator = _torch_generator(seed, probs)
    return torch.binomial(total_count.detach(), probs.detach(), generator=generator)


def categorical(logits: Tensor, shape: Sequence, seed: Seed) -> Tensor:
    """Draws of shape `shape + logits.shape[:-1]` (int32) from logits `(..., K)`, by Gumbel-max."""
    noise = uniform(
        (*shape, *ops.shape(logits)), keras.backend.standardize_dtype(logits.dtype), seed
    )
    return ops.cast(ops.argmax(logits - ops.log(-ops.log(noise)), axis=-1), "int32")


def jax_key(seed: Seed) -> Tensor:
    """A key of `jax.random`."""
    return _wrapped(compat.draw_seed(seed))


def _wrapped(key: Tensor) -> Tensor:
    import jax

    return jax.random.wrap_key_data(ops.cast(key, "uint32"), impl="threefry2x32")


def tf_seed(seed: Seed) -> Tensor:
    """A seed of TensorFlow's stateless samplers, int32 of shape `(2,)`."""
    import tensorflow as tf

    return tf.cast(compat.draw_seed(seed), "int32")


def _torch_generator(seed: Seed, like: Tensor) -> Any:
    import torch

    if like.is_meta:
        return None
    first, second = compat.draw_seed(seed)
    generator = torch.Generator(device=like.device)
    return generator.manual_seed(int(first + second) & 0xFFFFFFFF)
