"""Dense layers with a posterior over their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from timedist.distributions import Distribution, Independent, Normal
from timedist.layers.accepting import serializable
from timedist.layers.heads import positive_int
from timedist.layers.variational.divergence import BayesianLayer
from timedist.layers.variational.weights import WeightPosterior
from timedist.ops import random, special

Tensor = Any


def loc_and_scale(layer: keras.Layer, posterior: Distribution) -> tuple[Tensor, Tensor]:
    """Location and scale of a mean-field normal posterior, or an error that names the layer."""
    base = posterior.base if isinstance(posterior, Independent) else posterior
    if not isinstance(base, Normal):
        raise ValueError(
            f"The layer {layer.name!r} ({type(layer).__name__}) needs a posterior of independent "
            f"normal weights, got {posterior!r}; use `default_mean_field_normal_fn`, or the layer "
            "of that name that ends in `Reparameterization`"
        )
    return base.loc, base.scale


class DensePosterior(WeightPosterior):
    """Base of the dense layers with a posterior over kernel and bias.

    Args:
        units: int, the size of the last axis of the output.
        activation: function, or its name. Default `None`: none.
        activity_regularizer: of the output. Default `None`.
        **kwargs: of `WeightPosterior` and of `keras.Layer`.

    Call arguments:
        inputs: tensor `(batch, ..., features)`.
        training: whether this is a training step; given by Keras.

    Returns:
        Tensor `(batch, ..., units)`. The mask of the input is kept.

    Raises:
        ValueError: if `units` is no positive int, or a posterior does not fit.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        activity_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int("units", units)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """Make the variables."""
        self._build_weights((input_shape[-1], self.units), (self.units,))

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Draw the weights and use them."""
        return self.activation(self._use_weights(inputs, training))

    def _linear(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return ops.matmul(inputs, ops.cast(kernel, inputs.dtype))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The shape of the input with `units` on the last axis."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


@serializable
class DenseReparameterization(DensePosterior):
    r"""A dense layer whose weights are drawn at every call, with gradients to their posterior.

    $y = \phi(x W + b),\ W \sim q(W)$

    All examples and steps of a batch share a draw. Arguments, result and errors as for
    `DensePosterior` and `WeightPosterior`.

    Source: Kingma, Welling: Auto-Encoding Variational Bayes (2014); Blundell, Cornebise,
    Kavukcuoglu, Wierstra: Weight Uncertainty in Neural Networks (2015).

    >>> import keras
    >>> DenseReparameterization(3)(keras.ops.ones((2, 10, 4))).shape[-1]
    3
    """


@serializable
class DenseLocalReparameterization(DensePosterior):
    r"""A dense layer that draws its output instead of its weights: less noise in the gradient.

    $y = \phi(z + b),\ z_j \sim N\bigl(\sum_i x_i \mu_{ij},\ \sum_i x_i^2 \sigma_{ij}^2\bigr)$

    Every example and every step has a draw of its own: a network of such layers is no function of
    one weight for a whole sequence. Arguments, result and errors as for `DensePosterior` and
    `WeightPosterior`; the posterior of the kernel must be mean-field normal.

    Source: Kingma, Salimans, Welling: Variational Dropout and the Local Reparameterization Trick
    (2015).

    >>> import keras
    >>> DenseLocalReparameterization(3)(keras.ops.ones((2, 10, 4))).shape[-1]
    3
    """

    def _transformed(self, inputs: Tensor, posterior: Distribution) -> tuple[Tensor, None]:
        loc, scale = loc_and_scale(self, posterior)
        wide = ops.cast(inputs, loc.dtype)
        mean = ops.matmul(wide, loc)
        variance = ops.matmul(ops.square(wide), ops.square(scale))
        # An input of zeros has no variance, where a square root has no derivative.
        some = variance > 0.0
        spread = special.where(some, ops.sqrt(special.where(some, variance, 1.0)), 0.0)
        noise = random.normal(ops.shape(mean), mean.dtype, self.seed_generator)
        return ops.cast(mean + spread * noise, inputs.dtype), None


@serializable
class DenseFlipout(DensePosterior):
    r"""A dense layer whose examples share one draw of the weights up to signs of their own.

    $y = \phi(x \mu + ((x \circ s)\,\Delta W) \circ r + b),\ \Delta W = W - \mu,\ W \sim q(W)$, with
    random signs s and r

    The draws of two examples of a batch are uncorrelated, so the gradient has less noise than with
    one draw for all; all steps of a sequence share the signs. Arguments, result and errors as for
    `DensePosterior` and `WeightPosterior`; the posterior of the kernel must be mean-field normal.

    Source: Wen, Vicol, Ba, Tran, Grosse: Flipout: Efficient Pseudo-Independent Weight Perturbations
    on Mini-Batches (2018).

    >>> import keras
    >>> DenseFlipout(3)(keras.ops.ones((2, 10, 4))).shape[-1]
    3
    """

    def _transformed(self, inputs: Tensor, posterior: Distribution) -> tuple[Tensor, Tensor]:
        return flipped_out(self, inputs, posterior, channel_axis=-1)


def flipped_out(
    layer: WeightPosterior, inputs: Tensor, posterior: Distribution, channel_axis: int
) -> tuple[Tensor, Tensor]:
    """The linear map of a layer with a perturbation of its own for every example, and the kernel.

    Args:
        layer: the layer, which has `_linear` and `_drawn`.
        inputs: tensor whose first axis counts examples.
        posterior: of the kernel.
        channel_axis: the axis of features in inputs and outputs.
    """
    loc, _ = loc_and_scale(layer, posterior)
    kernel = layer._drawn("kernel", posterior)
    mean = layer._linear(inputs, loc)
    first = _signs(layer, inputs, channel_axis)
    perturbed = layer._linear(inputs * first, kernel - loc)
    return mean + perturbed * _signs(layer, mean, channel_axis), kernel


def _signs(layer: WeightPosterior, like: Tensor, channel_axis: int) -> Tensor:
    """Random signs for each example and channel, equal along all other axes."""
    shape = [1] * len(like.shape)
    shape[0], shape[channel_axis] = ops.shape(like)[0], ops.shape(like)[channel_axis]
    uniform = random.uniform(tuple(shape), "float32", layer.seed_generator)
    return ops.cast(ops.where(uniform < 0.5, -1.0, 1.0), like.dtype)


@serializable
class DenseVariational(BayesianLayer):
    r"""A dense layer whose kernel and bias have one joint posterior, made by a model.

    $y = \phi(x W + b),\ (W, b) \sim q$

    Args:
        units: int, the size of the last axis of the output.
        make_posterior_fn: function of `(kernel_size, bias_size, dtype)` that returns a layer, model
            or function which, called with one input of zeros, gives a distribution of vectors of
            `kernel_size + bias_size` numbers, e.g. a `VariableLayer` with a `DistributionLambda`
            behind it. The kernel comes first.
        make_prior_fn: likewise the prior; it may have trainable variables.
        kl_weight: see `BayesianLayer`. Default `None`: 1 / N, N taken from `fit`.
        kl_use_exact: whether the divergence is exact; else it is $\log q(w) - \log p(w)$ of the
            weights drawn. Default `False`.
        activation: function, or its name. Default `None`: none.
        use_bias: whether there is a bias. Default `True`.
        activity_regularizer: of the output. Default `None`.
        seed: int, of the draws. Default `None`: Keras's.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(batch, ..., features)`.
        training: whether this is a training step; given by Keras.

    Returns:
        Tensor `(batch, ..., units)`. The mask of the input is kept.

    Raises:
        ValueError: if `units` is no positive int, or a distribution has another size.

    Source: Blundell, Cornebise, Kavukcuoglu, Wierstra: Weight Uncertainty in Neural Networks
    (2015).

    >>> import keras
    >>> from timedist.distributions import Independent, Normal
    >>> from timedist.layers import DistributionLambda, VariableLayer
    >>> def posterior(kernel_size, bias_size, dtype):
    ...     n = kernel_size + bias_size
    ...     unit = DistributionLambda(lambda t: Independent(Normal(t, 0.1)))
    ...     return keras.Sequential([VariableLayer(n, dtype=dtype), unit])
    >>> layer = DenseVariational(3, posterior, posterior)
    >>> layer(keras.ops.ones((2, 10, 4))).shape[-1]
    3
    """

    def __init__(
        self,
        units: int,
        make_posterior_fn: Callable,
        make_prior_fn: Callable,
        kl_weight: float | None = None,
        kl_use_exact: bool = False,
        activation: Any = None,
        use_bias: bool = True,
        activity_regularizer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kl_weight, activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_int("units", units)
        self.make_posterior_fn, self.make_prior_fn = make_posterior_fn, make_prior_fn
        self.kl_use_exact, self.use_bias = bool(kl_use_exact), bool(use_bias)
        self.activation = keras.activations.get(activation)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        """Make posterior and prior."""
        super().build(input_shape)
        sizes = input_shape[-1] * self.units, self.units if self.use_bias else 0
        self.posterior = self.make_posterior_fn(*sizes, self.variable_dtype)
        self.prior = self.make_prior_fn(*sizes, self.variable_dtype)
        for made in (self.posterior, self.prior):
            if isinstance(made, keras.Layer) and not made.built:
                made.build((1, input_shape[-1]))
        self.built = True

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Draw the weights and use them."""
        size = inputs.shape[-1] * self.units
        # One distribution for all inputs: what makes it is asked by an input without a mask.
        asked = ops.zeros((1, inputs.shape[-1]), self.variable_dtype)
        posterior = self._checked("make_posterior_fn", self.posterior(asked), size)
        prior = self._checked("make_prior_fn", self.prior(asked), size)
        weights = posterior.sample(seed=self.seed_generator)
        if self.kl_use_exact:
            nats = posterior.kl_divergence(prior)
        else:
            nats = posterior.log_prob(weights) - prior.log_prob(weights)
        self.add_divergence(nats, training)
        weights = ops.cast(weights, inputs.dtype)
        kernel = ops.reshape(weights[:size], (inputs.shape[-1], self.units))
        outputs = ops.matmul(inputs, kernel)
        return self.activation(outputs + weights[size:] if self.use_bias else outputs)

    def _checked(self, name: str, made: Any, size: int) -> Distribution:
        size += self.units if self.use_bias else 0
        shape = (getattr(made, "batch_shape", None), getattr(made, "event_shape", None))
        if shape != ((), (size,)):
            raise ValueError(
                f"DenseVariational: what {name} returns must give one distribution of vectors of "
                f"{size} numbers, got {made!r}; wrap independent ones by `Independent`"
            )
        return made

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The shape of the input with `units` on the last axis."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "units": self.units,
            "make_posterior_fn": serialize(self.make_posterior_fn),
            "make_prior_fn": serialize(self.make_prior_fn),
            "kl_use_exact": self.kl_use_exact,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict) -> DenseVariational:
        """The inverse of `get_config`."""
        for name in ("make_posterior_fn", "make_prior_fn"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
