"""What models of sequences with latent variables have in common."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist.layers import Head
from timedist.layers.symbolic import infer
from timedist.sequence import latent_priors, latent_tasks

Tensor = Any

# Sequences times draws that a bound takes at once, unless the batch size is given.
_MOST_ROWS = 4096


class LatentVariableModel(keras.Model):
    """Base of models of sequences whose loss has the divergence of a latent posterior in it.

    A subclass has a `build` that sets `channels`, and a `head`.

    Args:
        head: the layer that gives the distribution at a step; only looked at here.
        latent_dim: the number of components of a latent vector.
        free_bits: nats that every latent component may use for nothing.
        kl_weight: the weight of the divergence at the beginning.
        **kwargs: of `keras.Model`.

    Attributes:
        kl_weight: variable, the weight of the divergence as it is.

    Raises:
        ValueError: if an argument does not fit.
    """

    channels: int

    def __init__(
        self, head: Any, latent_dim: int, free_bits: float, kl_weight: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        _check_head(head, owner)
        self.latent_dim = checks.count(owner, "latent_dim", latent_dim, 1)
        self.free_bits = checks.not_negative(owner, "free_bits", free_bits)
        self.first_kl_weight = checks.not_negative(owner, "kl_weight", kl_weight)
        self.seed_generator = keras.random.SeedGenerator()
        self.kl_weight = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.first_kl_weight),
            trainable=False,
            autocast=False,
            name="kl_weight",
        )
        self.supports_masking = True
        self._tasks = latent_tasks.Tasks()

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """The symbolic distribution of the same shape."""
        return infer(self.call, inputs, training=training, mask=mask)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "head": keras.saving.serialize_keras_object(self.head),
            "latent_dim": self.latent_dim,
            "free_bits": self.free_bits,
            "kl_weight": self.first_kl_weight,
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The inverse of `get_config`."""
        return cls(**{**config, "head": keras.saving.deserialize_keras_object(config["head"])})

    def _known_channels(self, input_shape: Any) -> int:
        """The number of channels of the shape of sequences."""
        shape = tuple(input_shape)
        if len(shape) != 3 or shape[-1] is None:
            raise ValueError(
                f"{type(self).__name__} takes sequences of shape (batch, time, channels) with a "
                f"known number of channels, got shape {shape}"
            )
        return int(shape[-1])

    def _add_divergence(self, nats: Tensor) -> None:
        """Add divergences `(batch, groups)` to the loss, as they are weighed now."""
        nats = latent_priors.penalty(nats, self.free_bits, self.latent_dim)
        self.add_loss(ops.cast(ops.convert_to_tensor(self.kl_weight), nats.dtype) * nats)

    def _scores(
        self, task: Any, x: Any, num_samples: int, seed: Any, mask: Any, batch_size: int | None
    ) -> np.ndarray:
        """A score by draws, all draws of a batch at once."""
        number = checks.count(type(self).__name__, "num_samples", num_samples, 1)
        if batch_size is None and hasattr(x, "shape"):
            batch_size = max(1, _MOST_ROWS // number)
        inputs = self._sequences(x, mask)
        return self._run(task, inputs, batch_size, seed, False, num_samples=number)

    def _run(
        self,
        task: Any,
        inputs: Any,
        batch_size: int | None,
        seed: int | None = None,
        distribution: bool = True,
        **options: Any,
    ) -> Any:
        """A task on a data set of any size, in batches; it is compiled once for its options."""
        return self._tasks.run(self, task, inputs, batch_size, seed, distribution, options)

    def _sequences(self, x: Any, mask: Any) -> Any:
        """Sequences, with their mask if there is one, as a task takes them; checked if arrays."""
        owner = type(self).__name__
        if not hasattr(x, "shape"):
            self._check_built("use it on a data set")
            if mask is not None:
                raise ValueError(
                    f"{owner}: mask is for arrays; a data set has it in its batches, "
                    f'dictionaries of "x" and "mask", got {type(x).__name__}'
                )
            return x
        if not self.built:
            self.build((None, *x.shape[1:]))
        if len(x.shape) != 3 or x.shape[-1] != self.channels or 0 in x.shape:
            empty = ", of which none may be 0" if 0 in x.shape else ""
            raise ValueError(
                f"{owner}: x must have the shape (sequences, time, {self.channels}){empty}, got "
                f"{tuple(x.shape)}"
            )
        if mask is None:
            _refuse_nan(x, True, owner)
            return x
        mask = np.asarray(ops.convert_to_numpy(mask), "bool")
        if mask.shape != tuple(x.shape[:2]):
            raise ValueError(
                f"{owner}: mask must have the shape (sequences, time), {tuple(x.shape[:2])} "
                f"for this x, got {mask.shape}"
            )
        _refuse_nan(x, mask, owner)
        return {"x": x, "mask": mask}

    def _check_built(self, what: str) -> None:
        if not self.built:
            raise ValueError(
                f"{type(self).__name__}: {what}: the model {self.name!r} has no weights yet; train "
                "it, call it on sequences or `build((None, None, channels))` first"
            )


def _refuse_nan(x: Any, mask: Any, owner: str) -> None:
    bad = np.isnan(ops.convert_to_numpy(x)).any(axis=-1) & mask
    if bad.any():
        sequence, step = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{owner}: x has NaN at {int(bad.sum())} steps that are not masked, the first at step "
            f"{step} of sequence {sequence}, which the network can't read; mask these steps or "
            "fill in what is missing"
        )


def _check_head(head: Any, owner: str) -> None:
    if not isinstance(head, keras.Layer):
        raise ValueError(f"{owner}: head must be a layer, got {head!r}")
    if isinstance(head, Head) and head.width is None:
        raise ValueError(
            f"{owner}: the head {head.name!r} does not tell how many parameters it takes; put "
            "it behind a `keras.layers.Dense` in a `keras.Sequential`"
        )
    converted = getattr(head, "convert_to_tensor_fn", None)
    if converted is not None:
        raise ValueError(
            f"{owner}: the head {head.name!r} gives a tensor, by its "
            f"convert_to_tensor_fn={converted!r}; leave that out"
        )
