"""`MixtureDensityRNN`: sequences of vectors, flags and an end, step by step from a mixture."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.layers import (
    BlockwiseHead,
    Head,
    IndependentBernoulli,
    MixtureNormal,
    MixtureSameFamily,
    MultivariateNormalTriL,
)
from timedist.layers.accepting import serializable
from timedist.layers.heads import at_least_float32
from timedist.layers.symbolic import infer
from timedist.ops import compat, feeding, special
from timedist.ops.random import StepSeed
from timedist.sequence import latent_tasks
from timedist.sequence.cores import RecurrentCore
from timedist.sequence.generative import Beginning, Generative
from timedist.sequence.rollout import Rollout
from timedist.targets import Targets

Tensor = Any

COVARIANCES = ("diagonal", "full")

# Sequences that are drawn at once, unless the batch size is given.
_MOST_ROWS = 4096


@serializable
class MixtureDensityRNN(Generative, keras.Model):
    r"""A recurrent model of sequences whose steps have a mixture of normals and yes-or-no channels.

    $p(x_{1:T}) = \prod_t \Big[\sum_k \pi_{tk}\, N(r_t; \mu_{tk}, \Sigma_{tk})\Big]
    \prod_j p_{tj}^{f_{tj}} (1 - p_{tj})^{1 - f_{tj}}$

    A step $x_t$ is a real vector $r_t$, then flags $f_t$ of zeros and ones, the last of which may
    say that the sequence ends here. All parameters of a step come from the steps before it. It is
    trained by teacher forcing: `fit(x, x)` with
    `NegativeLogLikelihood(reduction="mean_over_sequences")`, whose `loss` is in nats for each
    sequence.

    Args:
        event_size: int, the number of real channels.
        num_components: int, the number K of normals. Default 10.
        covariance: `"diagonal"` (default) or `"full"`, of each normal.
        flags: int, the number of channels of zeros and ones, such as a lifted pen. Default 0.
        end: whether there is one more, the last channel, which is 1 at the last step of a sequence
            and 0 before. Generated sequences end with it. Default `False`.
        units: int, width of each recurrent layer. Default 64.
        depth: int, number of recurrent layers. Default 1.
        cell: `"lstm"` (default) or `"gru"`.
        dropout: number, the fraction of the last recurrent layer's output that is dropped in
            training. Default 0.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: tensor `(batch, time, event_size + flags + end)`, best standardised. Steps that are
            masked or hold a NaN are passed over: sequences of several lengths may be padded by NaN,
            before or behind.
        training: whether dropout is on.
        mask: boolean tensor `(batch, time)`. Default: the Keras mask of the input.

    Returns:
        The distribution of every step given those before it, `batch_shape == (batch, time)`: a
        `Blockwise` of the mixture and the flags, or the mixture alone where there are none. Its
        Keras mask leaves out the steps that are passed over.

    Raises:
        ValueError: if an argument or the shape of the input does not fit.

    Source: Graves: Generating Sequences With Recurrent Neural Networks (2013); Ha, Schmidhuber:
    World Models (2018).

    >>> import numpy as np
    >>> model = MixtureDensityRNN(2, num_components=3, end=True, units=8)
    >>> model(np.zeros((5, 10, 3), "float32")).batch_shape
    (5, 10)
    >>> model.generate(4, steps=20, temperature=0.5, seed=1).shape
    (4, 20, 3)
    """

    def __init__(
        self,
        event_size: int,
        num_components: int = 10,
        covariance: str = "diagonal",
        flags: int = 0,
        end: bool = False,
        units: int = 64,
        depth: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.event_size = checks.count(owner, "event_size", event_size, 1)
        self.num_components = checks.count(owner, "num_components", num_components, 1)
        self.covariance = checks.choice(owner, "covariance", covariance, COVARIANCES)
        self.flags, self.end = checks.count(owner, "flags", flags, 0), end
        if not isinstance(end, bool):
            raise ValueError(f"{owner}: end must be True or False, got {end!r}")
        self.core = RecurrentCore(units, depth, cell, dropout, dtype=self.dtype_policy, name="core")
        self.head = self._made_head()
        self.projection = keras.layers.Dense(
            self.head.width, dtype=self.dtype_policy, name="projection"
        )
        self.supports_masking = True
        self._tasks = latent_tasks.Tasks()
        self._rollouts = _Rollouts()

    @property
    def channels(self) -> int:
        """The width of a step: real channels, flags and the end."""
        return self.event_size + self.flags + int(self.end)

    def _made_head(self) -> Head:
        size, number = self.event_size, self.num_components
        mixture: Head = (
            MixtureNormal(number, size)
            if self.covariance == "diagonal"
            else MixtureSameFamily(number, MultivariateNormalTriL(size))
        )
        yes_or_no = self.channels - size
        return BlockwiseHead([mixture, IndependentBernoulli(yes_or_no)]) if yes_or_no else mixture

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        self._check_shape(input_shape)
        self.core.build((None, None, self.channels))
        self.projection.build((None, None, self.core.units))
        self.head.build((None, None, self.projection.units))
        self.built = True

    def _check_shape(self, shape: Any) -> None:
        if len(shape) != 3 or shape[-1] != self.channels:
            raise ValueError(
                f"MixtureDensityRNN takes sequences of shape (batch, time, {self.channels}), "
                f"{self.event_size} real channels and {self.channels - self.event_size} of zeros "
                f"and ones, got shape {tuple(shape)}"
            )

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> td.Distribution:
        """Teacher forcing: the distribution of every step given the true steps before it."""
        events, there = _behind_the_start(inputs, mask)
        features = self.core.read(events[:, :-1], there[:, :-1])[0]
        distribution = self._distribution(self.core.thinned(features, training=training))
        # Losses shall pass over the same steps, not over those that the recurrent layers did.
        compat.set_keras_mask(distribution, there[:, 1:])
        return distribution

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        """The symbolic distribution of the same shape."""
        return infer(self.call, inputs, training=training, mask=mask)

    def begin(self, inputs: Any, steps: int | None = None) -> Beginning:
        """Read the known steps.

        Args:
            inputs: a dictionary of `"prefix"`: `(batch, time, channels)`, and `"mask"`: boolean
                `(batch, time)`, false where nothing is known; all may be. Default: all is known.
            steps: int, how many steps are to be drawn.

        Returns:
            A `Beginning`.

        Raises:
            ValueError: if the number of steps is not given or the prefix does not fit.
        """
        if steps is None:
            raise ValueError("MixtureDensityRNN: a Rollout must be told how many steps to draw")
        if not isinstance(inputs, dict) or "prefix" not in inputs:
            given = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
            raise ValueError(
                f'MixtureDensityRNN: a Rollout needs a dictionary with "prefix", got {given}'
            )
        self._check_shape(inputs["prefix"].shape)
        events, there = _behind_the_start(inputs["prefix"], inputs.get("mask"))
        numbers = ops.arange(ops.shape(events)[1], dtype="int32")
        last = ops.max(ops.where(there, numbers, 0), axis=1)
        read = ops.logical_and(there, numbers < last[:, None])
        state = self.core.read(events, read)[1]
        index = ops.broadcast_to(last[:, None, None], (ops.shape(events)[0], 1, self.channels))
        event = ops.take_along_axis(events, index, axis=1)[:, 0]
        return Beginning(steps, event, {}, self.core.step_weights(events), state)

    def step(
        self, i: Tensor, y: Tensor, known: Any, shared: Any, state: Any, seed: StepSeed
    ) -> tuple[td.Distribution, Any]:
        """The distribution of the next step and the next state."""
        del known, seed
        features, state = self.core.step(y, i, shared, state)
        return self._distribution(features), state

    def _distribution(self, features: Tensor) -> td.Distribution:
        return self.head(self.projection(features))

    def log_prob(
        self, x: Any, mask: Any = None, per_step: bool = False, batch_size: int | None = None
    ) -> np.ndarray:
        r"""The log likelihood of every sequence, or of each of its steps given those before.

        Args:
            x: array `(sequences, time, channels)`, as for the call.
            mask: boolean array `(sequences, time)`, false where a step is padding. Default: none.
            per_step: whether there is a number for each step. Default `False`: their sum.
            batch_size: int, sequences in a batch. Default 32, as in Keras.

        Returns:
            Array `(sequences,)` or `(sequences, time)`, in nats; steps that are padding have 0.

        Raises:
            ValueError: if the shapes do not fit.
        """
        model, known = self._tasks.model(self, _step_log_probs, {}), self._known("x", x, mask)
        feeding.refuse_nothing("MixtureDensityRNN", known)
        found = model.predict(known, batch_size=batch_size, verbose=0)
        return found if per_step else found.sum(axis=-1)

    def generate(
        self,
        number: int,
        steps: int,
        temperature: float = 1.0,
        seed: int | None = None,
        prefix: Any = None,
        mask: Any = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Draw new sequences, or how given ones may go on.

        Args:
            number: int, how many; with a prefix, how many for each of its sequences.
            steps: int, how many steps at most.
            temperature: positive number: below 1 sequences are less, above more varied, see
                `tempered`. Default 1.
            seed: int or `None`. With the same seed and batch size the draws are the same.
            prefix: array `(sequences, time, channels)`, the steps before; padded steps as for the
                call. Default: none.
            mask: boolean array `(sequences, time)`, of the prefix. Default: none.
            batch_size: int, how many sequences of the prefix, or of new ones, are drawn at once.
                Default: what makes 4,096 sequences, at least one.

        Returns:
            Array `(number, steps, channels)`, or `(sequences, number, steps, channels)` with a
            prefix: what follows it. Behind the end of a sequence there are NaN.

        Raises:
            ValueError: if a number or a shape is not as said.
        """
        number = checks.count("MixtureDensityRNN.generate", "number", number, 1)
        steps = checks.count("MixtureDensityRNN.generate", "steps", steps, 1)
        each = 1 if prefix is None else number
        known = self._known("prefix", prefix, mask) if prefix is not None else self._unknown(number)
        rollout = self._rollouts.rollout(self, each, steps, temperature)
        latent_tasks.reseed(rollout.seed_generator, seed, "MixtureDensityRNN")
        batch_size = batch_size or max(1, _MOST_ROWS // each)
        found = rollout.predict(known, batch_size=batch_size, verbose=0)
        drawn = np.arange(steps) < found["lengths"][..., None]
        paths = np.where(drawn[..., None], found["paths"], np.nan)
        return paths[:, 0] if prefix is None else paths

    def _unknown(self, number: int) -> dict[str, np.ndarray]:
        """So many prefixes of which nothing is known."""
        if not self.built:
            self.build((None, None, self.channels))
        zeros = np.zeros((number, 1, self.channels), "float32")
        return {"prefix": zeros, "mask": zeros[..., 0] > 0.0}

    def _known(self, name: str, x: Any, mask: Any) -> dict[str, Any]:
        """Sequences by this name, and their mask, checked."""
        x = np.asarray(ops.convert_to_numpy(x))
        shape = x.shape
        self._check_shape(shape)
        if not self.built:
            self.build(shape)
        mask = np.ones(shape[:2]) if mask is None else ops.convert_to_numpy(mask)
        mask = np.asarray(mask, "bool")
        if mask.shape != shape[:2]:
            raise ValueError(
                f"MixtureDensityRNN: mask must have the shape (sequences, time), {shape[:2]} for "
                f"these sequences, got {mask.shape}"
            )
        return {name: x, "mask": mask}

    def get_config(self) -> dict:
        """The constructor's arguments."""
        own = ("event_size", "num_components", "covariance", "flags", "end")
        of_core = ("units", "depth", "cell", "dropout")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in own},
            **{name: getattr(self.core, name) for name in of_core},
        }


class _Rollouts:
    """The rollouts of a model, made once for what is asked, so that each is compiled once."""

    def __init__(self) -> None:
        self.made: dict[tuple, Rollout] = {}

    def rollout(
        self, model: MixtureDensityRNN, number: int, steps: int, temperature: float
    ) -> Rollout:
        """The rollout for so many paths and steps, compiled the way the model itself is."""
        way = (model.run_eagerly, model.jit_compile)
        key = (number, steps, temperature, way)
        if key not in self.made:
            self.made[key] = made = Rollout(
                model,
                num_paths=number,
                steps=steps,
                temperature=temperature,
                stop=_ended if model.end else None,
                outputs=("paths", "lengths"),
            )
            made.run_eagerly, made.jit_compile = way
        return self.made[key]


def _ended(y: Tensor) -> Tensor:
    """Whether a step is the last of its sequence."""
    return y[..., -1] > 0.5


def _behind_the_start(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sequences behind a step of zeros that stands for the start, and which steps are there."""
    x = at_least_float32(x)
    there = ops.logical_not(ops.any(ops.isnan(x), axis=-1))
    if mask is not None:
        there = ops.logical_and(there, ops.cast(mask, "bool"))
    # What stands at a step that is passed over, NaN included, is not seen.
    x = special.where(there[..., None], x, 0.0)
    start = ops.ones_like(there[:, :1])
    return ops.pad(x, [[0, 0], [1, 0], [0, 0]]), ops.concatenate([start, there], axis=1)


def _step_log_probs(model: MixtureDensityRNN, x: Tensor, mask: Tensor | None, seed: Any) -> Tensor:
    """log p of every step given those before, `(batch, time)`; 0 where a step is padding."""
    del seed
    distribution = model(x, mask=mask)
    targets = Targets.of(x, distribution, "mask", f"The model {model.name!r}")
    return -targets.negative_log_likelihood()
