"""`VariationalRNN`: a recurrent network with a latent vector at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.layers import IndependentNormal
from timedist.layers.accepting import serializable
from timedist.layers.symbolic import infer
from timedist.ops import random, special
from timedist.sequence import variational_tasks
from timedist.sequence.coders import DenseCoder, build_dense, dense_layers, through, unseen
from timedist.sequence.latent_model import LatentVariableModel
from timedist.sequence.variational_cell import CELLS, VariationalCell

Tensor = Any


@dataclass(frozen=True)
class LatentPath:
    """One way through sequences: the latent vectors that were drawn, and what they go with.

    Attributes:
        posterior: the posterior of the latent vector at each step, given those before.
        prior: the prior of it, likewise.
        z: the latent vectors, `(batch, time, latent_dim)`.
        likelihood: the distribution of the data at each step given the latent vectors.
        states: the recurrent states after the last step, each `(batch, units)`.
    """

    posterior: td.Independent
    prior: td.Independent
    z: Tensor
    likelihood: td.Distribution
    states: list

    def divergences(self, mask: Tensor | None) -> Tensor:
        """Nats between posterior and prior over the steps that count, `(batch, latent_dim)`."""
        nats = self.posterior.base.kl_divergence(self.prior.base)
        if mask is not None:
            nats = special.where(ops.cast(mask, "bool")[..., None], nats, 0.0)
        return ops.sum(nats, axis=1)


@serializable
class VariationalRNN(LatentVariableModel):
    r"""A variational recurrent network: a latent vector at every step, whose prior is learned.

    $p(x, z) = \prod_t p(z_t \mid h_{t-1})\, p(x_t \mid z_t, h_{t-1})$, where
    $h_t = \mathrm{cell}(x_t, z_t;\, h_{t-1})$ holds everything before. The posterior of a step is
    $q(z_t \mid x_t, h_{t-1})$. With `NegativeLogLikelihood(reduction="mean_over_sequences")` the
    `loss` of `fit` and `evaluate` is

    $-\mathbb E_q \sum_t \log p(x_t \mid z_{\le t}, x_{<t}) + w \sum_t \mathrm{KL}[q(z_t \mid x_t,
    h_{t-1}) \,\|\, p(z_t \mid h_{t-1})]$

    in nats for each sequence, whatever the batch and the padding: the negative evidence lower bound
    if the weight w is 1 and nothing is free. The divergence is exact.

    Args:
        head: a head of `timedist.layers` whose event is one step of a sequence, or any layer that
            gives such a distribution from the features of a step.
        latent_dim: int, the number of components of the latent vector at a step.
        units: int, width of the recurrent cell. Default 64.
        cell: `"lstm"` (default) or `"gru"`.
        hidden_units: the sizes of the hidden layers of each network: those that read data and
            latent vectors, and those of prior, posterior and likelihood. Default `(64,)`.
        free_bits: number, the nats that every latent component may use for nothing over a whole
            sequence: below them, in the mean of a batch, its divergence costs no less. Default 0.
        kl_weight: number, the weight w of the divergence at the beginning; the variable
            `kl_weight` holds what it is, see `KLAnnealing`. Default 1.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: tensor `(batch, time, channels)`. To read data of another kind, such as categories,
            put layers in front.
        training: not used by the model itself, but by layers of yours in it.
        mask: boolean tensor `(batch, time)`. Default: the Keras mask of the input, as of a
            `Masking` layer in front. A masked step is passed over.

    Returns:
        The distribution at each step given what lies before and a draw from the posterior,
        `batch_shape == (batch, time)`, with the mask.

    Raises:
        ValueError: if an argument or the shape of the input does not fit.

    Source: Chung, Kastner, Dinh, Goel, Courville, Bengio: A Recurrent Latent Variable Model for
    Sequential Data (2015).

    >>> import numpy as np
    >>> from timedist.layers import IndependentNormal
    >>> model = VariationalRNN(IndependentNormal(3), latent_dim=2, units=8)
    >>> model(np.zeros((5, 10, 3), "float32")).batch_shape
    (5, 10)
    >>> model.generate(4, steps=10, seed=1).shape
    (4, 10, 3)
    """

    def __init__(
        self,
        head: keras.Layer,
        latent_dim: int,
        units: int = 64,
        cell: str = "lstm",
        hidden_units: Sequence[int] = (64,),
        free_bits: float = 0.0,
        kl_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(head, latent_dim, free_bits, kl_weight, **kwargs)
        owner = "VariationalRNN"
        self.units = checks.count(owner, "units", units, 1)
        self.cell = checks.choice(owner, "cell", cell, tuple(CELLS))
        self.hidden_units = _sizes(hidden_units)
        policy, hidden = self.dtype_policy, self.hidden_units
        self.reader = dense_layers(hidden, policy)
        self.prior = DenseCoder(IndependentNormal(latent_dim), hidden, dtype=policy, name="prior")
        self.decoder = DenseCoder(head, hidden, dtype=policy, name="decoder")
        # Posterior and draws leave the recurrence in the precision of distributions.
        self.path_dtype = "float64" if self.compute_dtype == "float64" else "float32"
        self.recurrence = keras.layers.RNN(
            VariationalCell(latent_dim, units, cell, hidden, dtype=policy, name="cell"),
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,  # else JAX takes a state for the output of a masked step
            dtype=self.path_dtype,
            name="recurrence",
        )

    @property
    def head(self) -> keras.Layer:
        """The layer that gives the distribution at a step."""
        return self.decoder.head

    def build(self, input_shape: Any) -> None:
        """Make the weights for sequences of this many channels."""
        self.channels = self._known_channels(input_shape)
        width = build_dense(self.reader, self.channels)
        self.recurrence.build((None, None, width + self.latent_dim))
        self.prior.build((None, None, self.units))
        features = self.units + self.recurrence.cell.latent_width
        self.decoder.build((None, None, features))
        step = infer(self.decoder, keras.KerasTensor((None, None, features), self.compute_dtype))
        self.event_shape, self.draw_dtype = step.event_shape, step.dtype
        self.built = True

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> td.Distribution:
        """The distribution at each step given a draw; its divergence is added to the loss."""
        del training  # Keras hands it to the layers itself
        path = self.path(inputs, self.noise(inputs, self.seed_generator), mask)
        self._add_divergence(path.divergences(mask))
        return path.likelihood

    def noise(self, x: Tensor, seed: Any) -> Tensor:
        """Standard normal draws for every step of sequences.

        Args:
            x: tensor `(batch, time, channels)`.
            seed: int, `SeedGenerator` or `None`.

        Returns:
            Tensor `(batch, time, latent_dim)`.
        """
        return random.normal((*ops.shape(x)[:2], self.latent_dim), self.path_dtype, seed)

    def path(self, x: Tensor, noise: Tensor, mask: Tensor | None = None) -> LatentPath:
        r"""The way through sequences that given noise takes: $z_t = \mu_t + \sigma_t \epsilon_t$.

        Args:
            x: tensor `(batch, time, channels)`.
            noise: tensor `(batch, time, latent_dim)`, the $\epsilon$; of zeros every latent vector
                is the mean of its posterior.
            mask: boolean tensor `(batch, time)`, false where a step is padding. Default: none.

        Returns:
            A `LatentPath`, which has gradients.
        """
        inputs, mask = self.inputs(x, noise, mask)
        outputs, *states = self.recurrence(inputs, mask=mask)
        return self.assembled(outputs, states, mask)

    def inputs(self, x: Tensor, noise: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the recurrence takes, `(batch, time, width)`, and the mask; as for `path`."""
        x, mask = unseen(x, mask, self.compute_dtype)
        parts = [ops.cast(part, self.path_dtype) for part in (self.read(x), noise)]
        return ops.concatenate(parts, axis=-1), mask

    def assembled(self, outputs: Tensor, states: list, mask: Tensor | None) -> LatentPath:
        """The path of what the recurrence gave, at all steps or at one."""
        ends = np.cumsum(self.recurrence.cell.sizes)[:-1].tolist()
        loc, scale, z, latent, before = ops.split(outputs, ends, axis=-1)
        if mask is not None:
            scale = special.where(mask[..., None], scale, 1.0)
        posterior = td.Independent.trusted(base=td.Normal.trusted(loc=loc, scale=scale))
        likelihood = self.decoder(ops.concatenate([latent, before], axis=-1))
        return LatentPath(posterior, self.prior(before), z, likelihood, states)

    def read(self, x: Tensor) -> Tensor:
        """Features of what was observed, `(..., channels)`, as the recurrence takes them."""
        return through(self.reader, ops.cast(x, self.compute_dtype))

    def encode(self, x: Any, mask: Any = None, batch_size: int | None = None) -> td.Distribution:
        """The filtering posterior of the latent vector of every step, given what lies before.

        Args:
            x: array `(sequences, time, channels)`; or what `predict` takes, with batches of such
                arrays or of dictionaries of `"x"` and `"mask"`.
            mask: boolean array `(sequences, time)`, false where a step is padding. Default: none.
            batch_size: int, sequences in a batch. Default 32, as in Keras.

        Returns:
            A distribution with NumPy parameters, `batch_shape == (sequences, time)`. The latent
            vectors before a step are the means of their posteriors, so nothing is drawn.

        Raises:
            ValueError: if the shapes do not fit or a step that is not masked has NaN.
        """
        return self._run(variational_tasks.encoded, self._sequences(x, mask), batch_size)

    def reconstruct(
        self, x: Any, mask: Any = None, batch_size: int | None = None
    ) -> td.Distribution:
        """The distribution at each step given the means of the posteriors, without a draw.

        Args:
            x: as for `encode`.
            mask: as for `encode`.
            batch_size: as for `encode`.

        Returns:
            A distribution with NumPy parameters, `batch_shape == (sequences, time)`.

        Raises:
            ValueError: if the shapes do not fit or a step that is not masked has NaN.
        """
        return self._run(variational_tasks.reconstructed, self._sequences(x, mask), batch_size)

    def generate(
        self,
        number: int,
        steps: int,
        seed: int | None = None,
        prefix: Any = None,
        mask: Any = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Draw new sequences, or what may follow the given ones, step by step.

        At each step a latent vector is drawn from the prior and data from the head, which the
        network then reads.

        Args:
            number: int, how many; after a prefix, how many for each sequence. Each draws latent
                vectors of the prefix of its own, from the posterior.
            steps: int, how many steps to draw.
            seed: int or `None`. With the same seed and batch size the draws are the same.
            prefix: array `(sequences, time, channels)`, or what `encode` takes. Default: none.
            mask: boolean array `(sequences, time)`, false where the prefix is padding, before or
                behind it. Default: none.
            batch_size: as for `encode`.

        Returns:
            Array of shape `(number, steps)` + the shape of an event, with a prefix
            `(sequences, number, steps)` + that.

        Raises:
            ValueError: if a number is no positive int, the model is not built, its head draws
                something else than the channels that it reads, or the shapes do not fit.
        """
        owner = "VariationalRNN.generate"
        number = checks.count(owner, "number", number, 1)
        steps = checks.count(owner, "steps", steps, 1)
        self._check_feeds_back(prefix, mask)
        options: dict[str, Any] = {"seed": seed, "distribution": False, "steps": steps}
        if prefix is None:
            rows = np.zeros((number, 1), "float32")
            return self._run(variational_tasks.generated, rows, batch_size, **options)
        inputs = self._sequences(prefix, mask)
        options["number"] = number
        return self._run(variational_tasks.followed, inputs, batch_size, **options)

    def importance_weighted_bound(
        self,
        x: Any,
        num_samples: int = 100,
        seed: int | None = None,
        mask: Any = None,
        batch_size: int | None = None,
        resample: bool = False,
    ) -> np.ndarray:
        r"""A lower bound of the log likelihood of every sequence, tight for many draws.

        $\log \frac1K \sum_k \prod_t p(x_t \mid z^k_{\le t}, x_{<t})\, p(z^k_t \mid h^k_{t-1}) /
        q(z^k_t \mid x_t, h^k_{t-1})$ with K ways through the sequence drawn from the posteriors

        Its expectation is the evidence lower bound for one draw, never falls with more of them and
        tends to $\log p(x)$. Neither `kl_weight` nor `free_bits` matters.

        Args:
            x: as for `encode`.
            num_samples: int, the number K of draws. Default 100. The longer the sequences, the more
                are needed.
            seed: int or `None`.
            mask: as for `encode`.
            batch_size: int, sequences in a batch; all their draws are taken at once. Default:
                what makes 4,096 drawn sequences, at least one.
            resample: whether the draws are the particles of a filter: at each step after which an
                effective number below K / 2 is left, they are drawn anew by their weights. So the
                bound is tight for long sequences too. Default `False`.

        Returns:
            Array `(sequences,)`, in nats.

        Raises:
            ValueError: if `num_samples` is no positive int, or the shapes do not fit.

        Source: Burda, Grosse, Salakhutdinov: Importance Weighted Autoencoders (2016); with
        resampling: Maddison, Lawson, Tucker, Heess, Norouzi, Mnih, Doucet, Teh: Filtering
        Variational Objectives (2017).
        """
        task = variational_tasks.resampled_bound if resample else variational_tasks.bound
        return self._scores(task, x, num_samples, seed, mask, batch_size)

    def anomaly_score(
        self,
        x: Any,
        num_samples: int = 100,
        per_step: bool = False,
        seed: int | None = None,
        mask: Any = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        r"""How unlike the training data a sequence is, or each of its steps after those before.

        Of a sequence it is `-importance_weighted_bound`, an estimate of $-\log p(x)$ in nats. That
        of a step is what it adds, an estimate of $-\log p(x_t \mid x_{<t})$: how much of a surprise
        it was at its time. With the same seed and batch size the steps add up to the sequence.

        Args:
            x: as for `importance_weighted_bound`.
            num_samples: likewise.
            per_step: whether there is a score for each step. Default `False`.
            seed: as for `importance_weighted_bound`.
            mask: likewise.
            batch_size: likewise.

        Returns:
            Array `(sequences,)` or `(sequences, time)`; masked steps have 0.

        Raises:
            ValueError: as for `importance_weighted_bound`.
        """
        if per_step:
            task = variational_tasks.step_scores
            return self._scores(task, x, num_samples, seed, mask, batch_size)
        return -self._scores(variational_tasks.bound, x, num_samples, seed, mask, batch_size)

    def _check_feeds_back(self, prefix: Any, mask: Any) -> None:
        """Raise if there is nothing that `generate` could go on from."""
        if prefix is None and mask is not None:
            raise ValueError("VariationalRNN.generate: mask is that of a prefix; give one")
        if prefix is None or not hasattr(prefix, "shape"):
            self._check_built("generate")
        if self.built and math.prod(self.event_shape) != self.channels:
            raise ValueError(
                f"VariationalRNN.generate: the head {self.head.name!r} draws events of shape "
                f"{self.event_shape}, and the model {self.name!r} reads {self.channels} channels; "
                "what is drawn could not be read"
            )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        names = ("units", "cell", "hidden_units")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _sizes(hidden_units: Any) -> tuple[int, ...]:
    """The sizes of hidden layers, which a file holds as a list."""
    if isinstance(hidden_units, str) or not hasattr(hidden_units, "__iter__"):
        raise ValueError(
            "VariationalRNN: hidden_units must be a list of ints >= 1, one for each hidden layer, "
            f"got {hidden_units!r}"
        )
    sizes = [checks.count("VariationalRNN", "hidden_units", n, 1) for n in hidden_units]
    return tuple(sizes)
