"""What is asked of a trained `RecurrentVAE`, each as a model whose `predict` runs in batches.

How it is run holds for every model with latent variables.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import distributions as td
from timedist.ops import compat, feeding, special
from timedist.prediction import predict
from timedist.sequence.coders import at_every_step
from timedist.targets import Targets

Tensor = Any
Task = Callable[..., Any]


class TaskModel(keras.Model):
    """A function of a trained model and a batch, as a model of its own.

    Args:
        model: the trained model.
        task: function of it, a batch, a mask or `None`, a `SeedGenerator` and the options.
        options: keyword arguments of the function.
    """

    def __init__(self, model: Any, task: Task, options: dict[str, Any]) -> None:
        # Data keep their dtype: of a network in bfloat16 too the likelihood is that of the data.
        super().__init__(autocast=False)
        self.model, self.task = model, task
        self.__dict__["options"] = options
        self.seed_generator = keras.random.SeedGenerator(0)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """What the function gives for a batch."""
        if isinstance(inputs, dict):
            x, mask = inputs["x"], inputs.get("mask")
        else:
            x, mask = inputs, compat.get_keras_mask(inputs)
        mask = None if mask is None else ops.cast(mask, "bool")
        return self.task(self.model, x, mask, self.seed_generator, **self.options)


class Tasks:
    """The models of the tasks a model was asked for, made once; Keras sees no layers in it."""

    def __init__(self, kind: type[TaskModel] = TaskModel) -> None:
        self.kind = kind
        self.made: dict[tuple, TaskModel] = {}

    def model(
        self, asked: Any, task: Task, options: dict[str, Any], lengths: tuple = ()
    ) -> TaskModel:
        """The model of a task with these options, compiled the way the model itself is.

        `lengths` are the numbers of steps it is for: a model that has seen others does not know
        the number of steps any more when TensorFlow compiles it.
        """
        way = (asked.run_eagerly, asked.jit_compile)
        key = (task.__name__, way, lengths, *options.values())
        if key not in self.made:
            self.made[key] = self.kind(asked, task, options)
            self.made[key].run_eagerly, self.made[key].jit_compile = way
        return self.made[key]

    def run(
        self,
        asked: keras.Model,
        task: Task,
        inputs: Any,
        batch_size: int | None,
        seed: int | None,
        distribution: bool,
        options: dict[str, Any],
        lengths: tuple = (),
    ) -> Any:
        """A task on a data set of any size, in batches: a distribution, or else arrays."""
        feeding.refuse_nothing(type(asked).__name__, inputs)
        model = self.model(asked, task, options, lengths)
        reseed(model.seed_generator, seed, type(asked).__name__)
        if distribution:
            return predict(model, inputs, batch_size=batch_size, verbose=0)
        return model.predict(inputs, batch_size=batch_size, verbose=0)


def encoded(vae: Any, x: Tensor, mask: Tensor | None, seed: Any) -> td.Distribution:
    """The posterior of every sequence."""
    del seed
    return vae.encoder(x, mask=mask)


def decoded(vae: Any, z: Tensor, mask: Tensor | None, seed: Any, steps: int) -> td.Distribution:
    """The distribution at every step given latent vectors."""
    del seed
    return vae.decoder(at_every_step(z, steps), mask=mask)


def reconstructed(vae: Any, x: Tensor, mask: Tensor | None, seed: Any) -> td.Distribution:
    """The distribution at every step given the mean of the posterior."""
    z = vae.encoder(x, mask=mask).mean()
    return decoded(vae, z, mask, seed, ops.shape(x)[1])


def generated(vae: Any, rows: Tensor, mask: Tensor | None, seed: Any, steps: int) -> Tensor:
    """Draws of as many sequences as there are rows, their latent vectors from the prior."""
    z = vae.prior_distribution().draw(ops.shape(rows)[0], seed=seed)
    z = ops.reshape(z, (-1, vae.latent_dim))
    return decoded(vae, z, mask, seed, steps).draw(seed=seed)


def bound(vae: Any, x: Tensor, mask: Tensor | None, seed: Any, num_samples: int) -> Tensor:
    """The importance-weighted bound of every sequence, `(batch,)`."""
    z, log_q, log_p = _draws(vae, x, mask, seed, num_samples)
    log_x = -ops.sum(_step_scores(vae, z, x, mask), axis=-1)
    return ops.logsumexp(log_x + log_p - log_q, axis=0) - math.log(num_samples)


def step_scores(vae: Any, x: Tensor, mask: Tensor | None, seed: Any, num_samples: int) -> Tensor:
    """The mean of -log p(x_t | z) over draws from the posterior, `(batch, time)`."""
    z, _, _ = _draws(vae, x, mask, seed, num_samples)
    return ops.mean(_step_scores(vae, z, x, mask), axis=0)


def _draws(vae: Any, x: Tensor, mask: Any, seed: Any, number: int) -> tuple[Tensor, ...]:
    """Draws `(number, batch, latent)` from the posterior, their log q and log p of the prior."""
    posterior = vae.encoder(x, mask=mask)
    z = posterior.draw(number, seed=seed)
    return z, posterior.log_prob(z), vae.prior_distribution().log_prob(z)


def _step_scores(vae: Any, z: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """-log p(x_t | z) for all draws at once, `(number, batch, time)`; 0 at a masked step."""
    number, (batch, steps) = z.shape[0], ops.shape(x)[:2]

    def for_each(part: Tensor) -> Tensor:
        return ops.reshape(
            ops.broadcast_to(part[None], (number, *ops.shape(part))), (-1, *ops.shape(part)[1:])
        )

    mask = None if mask is None else for_each(mask)
    decoder_input = at_every_step(ops.reshape(z, (-1, z.shape[-1])), steps)
    likelihood = vae.decoder(decoder_input, mask=mask)
    nats = surprise(vae, likelihood, for_each(x), mask)
    return ops.reshape(nats, (number, batch, steps))


def surprise(
    model: keras.Model, likelihood: td.Distribution, x: Tensor, mask: Tensor | None
) -> Tensor:
    """-log p of every step of sequences, `(batch, time)`; 0 at a masked step."""
    targets = Targets.of(x, likelihood, "mask", f"The model {model.name!r}")
    nats = targets.negative_log_likelihood()
    return nats if mask is None else special.where(mask, nats, 0.0)


def reseed(generator: keras.random.SeedGenerator, seed: Any, owner: str) -> None:
    """Let the draws of a generator follow from an int; from a new seed if it is `None`."""
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if seed is not None and not whole:
        raise TypeError(f"{owner}: seed must be an int or None, got {seed!r}")
    new = keras.random.SeedGenerator(None if seed is None else int(seed))
    generator.state.assign(new.state)
