"""Penalties by the divergence of a layer's output from a prior, as in variational autoencoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from timedist.distributions import Distribution
from timedist.interop import as_distribution
from timedist.layers.accepting import serializable
from timedist.layers.folding import mean_over_sequences
from timedist.layers.statistics import TakesDistribution
from timedist.layers.symbolic import SymbolicDistribution
from timedist.ops import compat, random

Tensor = Any


class _Penalty:
    """What regulariser and layer share: arguments, the divergence of every step, the config."""

    def _prepare(
        self,
        distribution_b: Distribution | Callable[[], Distribution],
        use_exact_kl: bool,
        test_points_reduce_axis: Any,
        test_points_fn: Callable | None,
        weight: float | None,
    ) -> None:
        if not callable(distribution_b):
            distribution_b = as_distribution(distribution_b)
        if test_points_reduce_axis not in (None, ()):
            raise ValueError(
                f"{type(self).__name__}: axes of test points in front of the batch are averaged by "
                f"themselves; leave test_points_reduce_axis out, got {test_points_reduce_axis!r}"
            )
        self.distribution_b = distribution_b
        self.use_exact_kl = bool(use_exact_kl)
        self.test_points_fn = test_points_fn
        self.weight = 1.0 if weight is None else float(weight)

    def _penalty(self, a: Distribution, seed: random.Seed, mask: Tensor | None) -> Tensor:
        """The weighted divergence in nats for each sequence."""
        b = self.distribution_b() if callable(self.distribution_b) else self.distribution_b
        if self.use_exact_kl:
            nats = a.kl_divergence(b)
        else:
            points = a.sample(seed=seed) if self.test_points_fn is None else self.test_points_fn(a)
            nats = a.log_prob(points) - b.log_prob(points)
            extra = len(nats.shape) - len(a.batch_shape)
            nats = ops.mean(nats, axis=tuple(range(extra))) if extra else nats
        return self.weight * mean_over_sequences(nats, mask)

    def _own_config(self) -> dict:
        serialize = keras.saving.serialize_keras_object
        return {
            "distribution_b": serialize(self.distribution_b),
            "use_exact_kl": self.use_exact_kl,
            "test_points_fn": serialize(self.test_points_fn),
            "weight": self.weight,
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The inverse of `get_config`."""
        for name in ("distribution_b", "test_points_fn"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


@serializable
class KLDivergenceRegularizer(_Penalty, keras.regularizers.Regularizer):
    r"""Activity regulariser: the divergence of a layer's distribution from a prior.

    $w \cdot \frac1B \sum_i \sum_t \mathrm{KL}[a_{it} \,\|\, b]$ over the sequences i of a batch of
    B and their steps t that are not masked: nats for each sequence, whatever the batch, counted
    once.
    With `NegativeLogLikelihood(reduction="mean_over_sequences")` the loss is $-\mathrm{ELBO}$ of a
    sequence.

    Args:
        distribution_b: the prior b, a distribution with the layer's event shape and a batch shape
            that broadcasts; or a function without arguments that makes it at every call.
        use_exact_kl: whether the divergence is exact (default); else it is
            $\log a(z) - \log b(z)$ at test points, which every pair of families has.
        test_points_reduce_axis: leave it out: axes of test points in front of the batch are
            averaged.
        test_points_fn: function of a that gives the test points. Default `None`: one draw.
        weight: what the divergence is multiplied by. Default 1.

    Call arguments:
        distribution_a: the distribution a of shape `(batch, ...)`, which a distribution layer with
            this `activity_regularizer` hands over.

    Returns:
        Scalar.

    Raises:
        ValueError: if `test_points_reduce_axis` is given, or the shapes do not fit.
        NotImplementedError: on a call, if no exact divergence is known for the families.

    Source: Kingma, Welling: Auto-Encoding Variational Bayes (2014), section 2.2.

    >>> from timedist.distributions import Independent, Normal
    >>> prior = Independent(Normal([0.0, 0.0], 1.0))
    >>> float(KLDivergenceRegularizer(prior)(Independent(Normal([[[1.0, 1.0]] * 5], 1.0))))
    5.0
    """

    def __init__(
        self,
        distribution_b: Distribution | Callable[[], Distribution],
        use_exact_kl: bool = True,
        test_points_reduce_axis: Any = (),
        test_points_fn: Callable | None = None,
        weight: float | None = None,
    ) -> None:
        self._prepare(distribution_b, use_exact_kl, test_points_reduce_axis, test_points_fn, weight)

    def __call__(self, distribution_a: Any) -> Tensor:
        """The penalty."""
        a = as_distribution(distribution_a)
        # Keras tracks no state of a regulariser: the noise follows from the numbers themselves.
        seed = None if self.use_exact_kl else random.seed_from(0, a.leaves())
        return self._penalty(a, seed, compat.get_keras_mask(distribution_a))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return self._own_config()


@serializable
class KLDivergenceAddLoss(_Penalty, TakesDistribution):
    r"""A layer that hands its distribution on and adds its divergence from a prior to the loss.

    $w \cdot \frac1B \sum_i \sum_t \mathrm{KL}[a_{it} \,\|\, b]$, as for
    `KLDivergenceRegularizer`, whose arguments it has; the mask is kept.

    Args:
        distribution_b: see `KLDivergenceRegularizer`.
        use_exact_kl: likewise. Default `True`.
        test_points_reduce_axis: likewise.
        test_points_fn: likewise. Default `None`: one draw.
        weight: likewise. Default 1.
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution_a: the distribution a of shape `(batch, ...)`.

    Returns:
        The distribution a.

    Raises:
        TypeError: if the input is no distribution.
        ValueError: if `test_points_reduce_axis` is given, or the shapes do not fit.
        NotImplementedError: on a call, if no exact divergence is known for the families.

    Source: Kingma, Welling: Auto-Encoding Variational Bayes (2014), section 2.2.

    >>> from timedist.distributions import Independent, Normal
    >>> layer = KLDivergenceAddLoss(Independent(Normal([0.0, 0.0], 1.0)))
    >>> posterior = layer(Independent(Normal([[[1.0, 1.0]] * 5], 1.0)))
    >>> [float(loss) for loss in layer.losses]
    [5.0]
    """

    def __init__(
        self,
        distribution_b: Distribution | Callable[[], Distribution],
        use_exact_kl: bool = True,
        test_points_reduce_axis: Any = None,
        test_points_fn: Callable | None = None,
        weight: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._prepare(distribution_b, use_exact_kl, test_points_reduce_axis, test_points_fn, weight)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, distribution_a: Any) -> Any:
        """Add the penalty and hand the distribution on."""
        a = self._distribution(distribution_a)
        mask = compat.get_keras_mask(distribution_a)
        self.add_loss(self._penalty(a, self.seed_generator, mask))
        return distribution_a

    def compute_output_spec(self, distribution_a: Any) -> Any:
        """The same distribution, as the output of this layer."""
        if isinstance(distribution_a, SymbolicDistribution):
            return SymbolicDistribution(distribution_a.spec)
        return keras.KerasTensor(distribution_a.shape, distribution_a.dtype)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), **self._own_config()}
