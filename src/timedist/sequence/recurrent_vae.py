"""`RecurrentVAE`: a recurrent autoencoder with one latent vector for a sequence."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.layers.accepting import serializable
from timedist.sequence import latent_priors, latent_tasks
from timedist.sequence.coders import (
    POSTERIORS,
    RecurrentDecoder,
    RecurrentEncoder,
    at_every_step,
    build_layer,
)
from timedist.sequence.cores import CELLS
from timedist.sequence.latent_model import LatentVariableModel

Tensor = Any


@serializable
class RecurrentVAE(LatentVariableModel):
    r"""A recurrent variational autoencoder: one latent vector says what a sequence is like.

    $p(x_{1:T}) = \int p(z) \prod_t p(x_t \mid z)\,dz$. A recurrent encoder reads a sequence and
    gives the posterior $q(z \mid x)$; a recurrent decoder gets the latent vector at every step and
    gives a distribution there. With `NegativeLogLikelihood(reduction="mean_over_sequences")` the
    `loss` of `fit` and `evaluate` is

    $-\mathbb E_q \sum_t \log p(x_t \mid z) + w\, \mathrm{KL}[q(z \mid x) \,\|\, p(z)]$

    in nats for each sequence, whatever the batch and the padding: the negative evidence lower bound
    if the weight w is 1 and nothing is free.

    Args:
        head: a head of `timedist.layers` whose event is one step of a sequence, or any layer that
            gives such a distribution from the features of a step.
        latent_dim: int, the number of components of the latent vector.
        units: int, width of each recurrent layer. Default 64.
        depth: int, number of recurrent layers in the encoder and in the decoder. Default 1.
        cell: `"lstm"` (default) or `"gru"`.
        prior: `"standard"` (default), the standard normal; `"mixture"`, a learned mixture of
            normals; `"flow"`, a learned `MaskedAutoregressiveFlow` of the standard normal; a
            distribution with `event_shape == (latent_dim,)`; or a layer that gives one, which is
            called on one row of zeros, such as `RealNVP(latent_dim)`.
        prior_components: int, the number of normals in the mixture. Default 10.
        posterior: `"diagonal"` (default), a normal with independent components, or `"full"`, one
            with any covariance.
        free_bits: number, the nats that every latent component may use for nothing: below them, in
            the mean of a batch, its divergence costs no less. Where prior or posterior does not
            have independent components, `latent_dim` times as much for the whole vector. Default 0.
        kl_weight: number, the weight w of the divergence at the beginning; the variable
            `kl_weight` holds what it is, see `KLAnnealing`. Default 1.
        **kwargs: of `keras.Model`.

    The divergence is exact where a method is known for the two families (of both kinds of posterior
    from any normal prior), else it is $\log q(z) - \log p(z)$ of the draw that is decoded.

    Call arguments:
        inputs: tensor `(batch, time, channels)`. To read data of another kind, such as categories,
            put layers in front.
        training: not used by the model itself, but by layers of yours in it.
        mask: boolean tensor `(batch, time)`. Default: the Keras mask of the input, as of a
            `Masking` layer in front. Encoder and decoder pass over masked steps.

    Returns:
        The distribution at each step given a draw from the posterior, `batch_shape == (batch,
        time)`, with the mask.

    Raises:
        ValueError: if an argument or the shape of the input does not fit.

    Source: Kingma, Welling: Auto-Encoding Variational Bayes (2014); of sequences: Fabius, van
    Amersfoort: Variational Recurrent Auto-Encoders (2015).

    >>> import numpy as np
    >>> from timedist.layers import IndependentNormal
    >>> model = RecurrentVAE(IndependentNormal(3), latent_dim=2, units=8)
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
        depth: int = 1,
        cell: str = "lstm",
        prior: Any = "standard",
        prior_components: int = 10,
        posterior: str = "diagonal",
        free_bits: float = 0.0,
        kl_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(head, latent_dim, free_bits, kl_weight, **kwargs)
        owner = "RecurrentVAE"
        self.units = checks.count(owner, "units", units, 1)
        self.depth = checks.count(owner, "depth", depth, 1)
        self.cell = checks.choice(owner, "cell", cell, tuple(CELLS))
        self.posterior = checks.choice(owner, "posterior", posterior, tuple(POSTERIORS))
        self.prior_components = checks.count(owner, "prior_components", prior_components, 1)
        self.prior_name = prior if isinstance(prior, str) else None
        self.prior = latent_priors.make_prior(
            prior, self.latent_dim, self.prior_components, self.variable_dtype
        )
        options = {"units": units, "depth": depth, "cell": cell, "dtype": self.dtype_policy}
        self.encoder = RecurrentEncoder(latent_dim, posterior, name="encoder", **options)
        self.decoder = RecurrentDecoder(head, name="decoder", **options)

    @property
    def head(self) -> keras.Layer:
        """The layer that gives the distribution at a step."""
        return self.decoder.head

    def build(self, input_shape: Any) -> None:
        """Make the weights for sequences of this many channels."""
        self.channels = self._known_channels(input_shape)
        self.encoder.build((None, None, self.channels))
        self.decoder.build((None, None, self.latent_dim))
        if isinstance(self.prior, keras.Layer):
            build_layer(self.prior, (1, 1))
        self.built = True

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> td.Distribution:
        """The distribution at each step given a draw; its divergence is added to the loss."""
        del training  # Keras hands it to the layers itself
        posterior, prior = self.encoder(inputs, mask=mask), self.prior_distribution()
        z = posterior.sample(seed=self.seed_generator)
        self._add_divergence(latent_priors.divergences(posterior, prior, z))
        return self.decoder(at_every_step(z, ops.shape(inputs)[1]), mask=mask)

    def prior_distribution(self) -> td.Distribution:
        """The distribution of latent vectors as it is now; `batch_shape` is `()` or `(1,)`."""
        return latent_priors.prior_distribution(self.prior, self.latent_dim)

    def encode(self, x: Any, mask: Any = None, batch_size: int | None = None) -> td.Distribution:
        """The posterior of the latent vector of every sequence.

        Args:
            x: array `(sequences, time, channels)`; or what `predict` takes, with batches of such
                arrays or of dictionaries of `"x"` and `"mask"`.
            mask: boolean array `(sequences, time)`, false where a step is padding. Default: none.
            batch_size: int, sequences in a batch. Default 32, as in Keras.

        Returns:
            A distribution with NumPy parameters, `batch_shape == (sequences,)`. Inside a layer or
            where gradients are wanted call `model.encoder(x, mask=mask)`.

        Raises:
            ValueError: if the shapes do not fit or a step that is not masked has NaN.
        """
        return self._run(latent_tasks.encoded, self._sequences(x, mask), batch_size)

    def decode(self, z: Any, steps: int, batch_size: int | None = None) -> td.Distribution:
        """The distribution at each step given latent vectors.

        Args:
            z: array `(sequences, latent_dim)`.
            steps: int, the length of the sequences.
            batch_size: as for `encode`.

        Returns:
            A distribution with NumPy parameters, `batch_shape == (sequences, steps)`.

        Raises:
            ValueError: if the shapes do not fit or the model is not built.
        """
        steps = checks.count("RecurrentVAE.decode", "steps", steps, 1)
        self._check_built("decode")
        shape = tuple(np.shape(z))
        if len(shape) != 2 or shape[-1] != self.latent_dim:
            raise ValueError(
                "RecurrentVAE.decode: z must have the shape (sequences, latent_dim) with "
                f"latent_dim {self.latent_dim}, got {shape}"
            )
        return self._run(latent_tasks.decoded, z, batch_size, steps=steps)

    def reconstruct(
        self, x: Any, mask: Any = None, batch_size: int | None = None
    ) -> td.Distribution:
        """The distribution at each step given the mean of the posterior, without a draw.

        Args:
            x: as for `encode`.
            mask: as for `encode`.
            batch_size: as for `encode`.

        Returns:
            A distribution with NumPy parameters, `batch_shape == (sequences, time)`.

        Raises:
            ValueError: if the shapes do not fit or a step that is not masked has NaN.
        """
        return self._run(latent_tasks.reconstructed, self._sequences(x, mask), batch_size)

    def generate(
        self, number: int, steps: int, seed: int | None = None, batch_size: int | None = None
    ) -> np.ndarray:
        """Draw new sequences: latent vectors from the prior, then every step.

        Args:
            number: int, how many.
            steps: int, their length.
            seed: int or `None`. With the same seed and batch size the draws are the same.
            batch_size: as for `encode`.

        Returns:
            Array of shape `(number, steps)` + the shape of an event.

        Raises:
            ValueError: if a number is no positive int or the model is not built.
        """
        number = checks.count("RecurrentVAE.generate", "number", number, 1)
        steps = checks.count("RecurrentVAE.generate", "steps", steps, 1)
        self._check_built("generate")
        rows = np.zeros((number, 1), "float32")
        return self._run(latent_tasks.generated, rows, batch_size, seed, False, steps=steps)

    def interpolate(
        self,
        x_a: Any,
        x_b: Any,
        number: int,
        mask_a: Any = None,
        mask_b: Any = None,
        batch_size: int | None = None,
    ) -> td.Distribution:
        """What lies between sequences: steps along a line from one latent mean to the other.

        Args:
            x_a: array `(sequences, time, channels)`, where the lines begin.
            x_b: likewise, where they end; it may have another length.
            number: int, the number of points on each line, both ends included.
            mask_a: as for `encode`, of `x_a`.
            mask_b: likewise, of `x_b`.
            batch_size: as for `encode`.

        Returns:
            A distribution, `batch_shape == (sequences, number, time)` with the time of `x_a`.

        Raises:
            ValueError: if the shapes do not fit or `number` is no int above 1.
        """
        number = checks.count("RecurrentVAE.interpolate", "number", number, 2)
        ends = [
            np.asarray(ops.convert_to_numpy(self.encode(x, mask, batch_size).mean()))
            for x, mask in ((x_a, mask_a), (x_b, mask_b))
        ]
        if ends[0].shape != ends[1].shape:
            raise ValueError(
                "RecurrentVAE.interpolate: x_a and x_b must be as many sequences, got "
                f"{len(ends[0])} and {len(ends[1])}"
            )
        share = np.linspace(0.0, 1.0, number, dtype=ends[0].dtype)[:, None]
        z = (1.0 - share) * ends[0][:, None] + share * ends[1][:, None]
        steps = int(np.shape(x_a)[1])
        found = self.decode(z.reshape(-1, self.latent_dim), steps, batch_size)
        return found.reshape_batch((len(z), number, steps))

    def importance_weighted_bound(
        self,
        x: Any,
        num_samples: int = 100,
        seed: int | None = None,
        mask: Any = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        r"""A lower bound of the log likelihood of every sequence, tight for many draws.

        $\log \frac1K \sum_k p(x \mid z_k)\, p(z_k) / q(z_k \mid x),\ z_k \sim q$

        Its expectation is the evidence lower bound for one draw, never falls with more of them and
        tends to $\log p(x)$. Neither `kl_weight` nor `free_bits` matters.

        Args:
            x: as for `encode`.
            num_samples: int, the number K of draws. Default 100.
            seed: int or `None`.
            mask: as for `encode`.
            batch_size: int, sequences in a batch; all their draws are decoded at once. Default:
                what makes 4,096 decoded sequences, at least one.

        Returns:
            Array `(sequences,)`, in nats.

        Raises:
            ValueError: if `num_samples` is no positive int, or the shapes do not fit.

        Source: Burda, Grosse, Salakhutdinov: Importance Weighted Autoencoders (2016).
        """
        return self._scores(latent_tasks.bound, x, num_samples, seed, mask, batch_size)

    def anomaly_score(
        self,
        x: Any,
        num_samples: int = 100,
        per_step: bool = False,
        seed: int | None = None,
        mask: Any = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        r"""How unlike the training data a sequence is, or each of its steps; in nats.

        Of a sequence it is `-importance_weighted_bound`, an estimate of $-\log p(x)$. That of a
        step is $-\mathbb E_q \log p(x_t \mid z)$: a surprise even for the latent vector that
        explains the whole sequence best. Their sum is the negative evidence lower bound less the
        divergence, which belongs to no step.

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
            return self._scores(latent_tasks.step_scores, x, num_samples, seed, mask, batch_size)
        return -self._scores(latent_tasks.bound, x, num_samples, seed, mask, batch_size)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        names = ("units", "depth", "cell", "prior_components", "posterior")
        prior = self.prior_name or keras.saving.serialize_keras_object(self.prior)
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "prior": prior,
        }

    @classmethod
    def from_config(cls, config: dict) -> RecurrentVAE:
        """The inverse of `get_config`."""
        prior = config["prior"]
        if not isinstance(prior, str):
            prior = keras.saving.deserialize_keras_object(prior)
        return super().from_config({**config, "prior": prior})
