"""The base of layers whose kernel and bias have a posterior, a prior and a divergence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from timedist.distributions import Distribution
from timedist.layers.variational.divergence import BayesianLayer
from timedist.layers.variational.posteriors import (
    default_mean_field_normal_fn,
    default_multivariate_normal_fn,
)

Tensor = Any
Shape = Sequence[int]

_KINDS = ("posterior_fn", "posterior_tensor_fn", "prior_fn", "divergence_fn")
_STATISTICS = ("sample", "mean", "mode")


class WeightPosterior(BayesianLayer):
    r"""Base of the layers with a posterior over kernel and bias.

    At every call the weights are drawn once, $w \sim q(w)$, and
    $\mathrm{KL}[q(w) \,\|\, p(w)]$ is added to the loss; see `BayesianLayer` for its weight.

    Functions that make a posterior or a prior take `(dtype, shape, name, trainable,
    add_variable_fn)` and return a distribution whose event has the shape; see
    `default_mean_field_normal_fn`. Functions of your own must be registered with
    `keras.saving.register_keras_serializable` to be saved.

    Args:
        kernel_posterior_fn: makes the posterior of the kernel. Default: mean-field normal.
        kernel_posterior_tensor_fn: what of the posterior is the kernel: `"sample"` (default),
            `"mean"`, `"mode"`, or a function of the posterior.
        kernel_prior_fn: makes the prior of the kernel; `None` for no prior and no divergence.
            Default: standard normal.
        kernel_divergence_fn: function of posterior, prior and kernel that gives the divergence in
            nats. Default `None`: the exact one. With one of your own `kl_weight` is 1 unless given,
            as in TFP.
        bias_posterior_fn: makes the posterior of the bias; `None` for no bias. Default: a point.
        bias_posterior_tensor_fn: as for the kernel.
        bias_prior_fn: as for the kernel. Default `None`: no prior and no divergence.
        bias_divergence_fn: as for the kernel.
        seed: int, of the draws. Default `None`: Keras's.
        kl_weight: see `BayesianLayer`. Default `None`: 1 / N, N taken from `fit`.
        **kwargs: of `keras.Layer`.
    """

    def __init__(
        self,
        kernel_posterior_fn: Callable | None = None,
        kernel_posterior_tensor_fn: Any = "sample",
        kernel_prior_fn: Callable | None = default_multivariate_normal_fn,
        kernel_divergence_fn: Callable | None = None,
        bias_posterior_fn: Any = "default",
        bias_posterior_tensor_fn: Any = "sample",
        bias_prior_fn: Callable | None = None,
        bias_divergence_fn: Callable | None = None,
        seed: int | None = None,
        kl_weight: float | None = None,
        **kwargs: Any,
    ) -> None:
        own = kernel_divergence_fn is not None or bias_divergence_fn is not None
        super().__init__(kl_weight=1.0 if own and kl_weight is None else kl_weight, **kwargs)
        if bias_posterior_fn == "default":
            bias_posterior_fn = default_mean_field_normal_fn(is_singular=True)
        self.functions = {
            "kernel_posterior_fn": kernel_posterior_fn or default_mean_field_normal_fn(),
            "kernel_posterior_tensor_fn": self._tensor_fn(kernel_posterior_tensor_fn),
            "kernel_prior_fn": kernel_prior_fn,
            "kernel_divergence_fn": kernel_divergence_fn,
            "bias_posterior_fn": bias_posterior_fn,
            "bias_posterior_tensor_fn": self._tensor_fn(bias_posterior_tensor_fn),
            "bias_prior_fn": bias_prior_fn,
            "bias_divergence_fn": bias_divergence_fn,
        }
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Not a tracked attribute: `add_weight` tracks the variables already.
        self.__dict__["_variables_by_name"] = {}

    def _tensor_fn(self, given: Any) -> Any:
        if not callable(given) and given not in _STATISTICS:
            raise ValueError(
                f"{type(self).__name__}: a posterior_tensor_fn must be one of {_STATISTICS} or a "
                f"function of the posterior, got {given!r}"
            )
        return given

    def _build_weights(self, kernel: Shape, bias: Shape) -> None:
        """Make the variables of posteriors and priors."""
        BayesianLayer.build(self, None)
        self.weight_shapes = {"kernel": tuple(kernel), "bias": tuple(bias)}
        for part in self.weight_shapes:
            self._distribution(part, "posterior")
            self._distribution(part, "prior")
        self.built = True

    def _distribution(self, part: str, kind: str) -> Distribution | None:
        """The posterior or prior of the kernel or bias, from the variables as they are now."""
        make = self.functions[f"{part}_{kind}_fn"]
        if make is None:
            return None
        shape, name = self.weight_shapes[part], f"{part}_{kind}"
        made = make(self.variable_dtype, shape, name, self.trainable, self._variable)
        if not isinstance(made, Distribution) or tuple(made.event_shape) != shape:
            raise ValueError(
                f"{type(self).__name__}: {name}_fn must return a distribution with events of shape "
                f"{shape}, got {made!r}"
            )
        return made

    def _variable(self, name: str, shape: Shape, **options: Any) -> Tensor:
        """The variable of this name, made the first time."""
        if name not in self._variables_by_name:
            self._variables_by_name[name] = self.add_weight(
                shape=tuple(shape), name=name, autocast=False, **options
            )
        return ops.convert_to_tensor(self._variables_by_name[name])

    def _drawn(self, part: str, posterior: Distribution) -> Tensor:
        """The kernel or bias of this call."""
        function = self.functions[f"{part}_posterior_tensor_fn"]
        if function == "sample":
            return posterior.sample(seed=self.seed_generator)
        return getattr(posterior, function)() if isinstance(function, str) else function(posterior)

    def _divergence(self, part: str, posterior: Distribution, drawn: Any) -> list[Tensor]:
        """The divergence of the kernel or bias in nats, if it has a prior."""
        prior = self._distribution(part, "prior")
        if prior is None:
            return []
        own = self.functions[f"{part}_divergence_fn"]
        nats = posterior.kl_divergence(prior) if own is None else own(posterior, prior, drawn)
        return [ops.sum(nats)]

    def _use_weights(self, inputs: Tensor, training: Any) -> Tensor:
        """What the layer makes of its inputs, without activation; adds the divergence."""
        kernel: Any = self._distribution("kernel", "posterior")
        outputs, drawn = self._transformed(inputs, kernel)
        nats = self._divergence("kernel", kernel, drawn)
        bias = self._distribution("bias", "posterior")
        if bias is not None:
            drawn = self._drawn("bias", bias)
            outputs = self._biased(outputs, drawn)
            nats = [*nats, *self._divergence("bias", bias, drawn)]
        if nats:
            self.add_divergence(sum(nats), training)
        return outputs

    def _transformed(self, inputs: Tensor, posterior: Distribution) -> tuple[Tensor, Tensor | None]:
        """The linear map of the inputs, and the kernel that was drawn, if one was."""
        kernel = self._drawn("kernel", posterior)
        return self._linear(inputs, kernel), kernel

    def _linear(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """The linear map of the layer, with a given kernel."""
        raise NotImplementedError

    def _biased(self, outputs: Tensor, bias: Tensor) -> Tensor:
        return outputs + ops.cast(bias, outputs.dtype)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        functions = {
            name: keras.saving.serialize_keras_object(value)
            for name, value in self.functions.items()
        }
        return {**super().get_config(), **functions, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict) -> WeightPosterior:
        """The inverse of `get_config`."""
        names = {f"{part}_{kind}" for part in ("kernel", "bias") for kind in _KINDS}
        read = keras.saving.deserialize_keras_object
        return cls(**{k: read(v) if k in names else v for k, v in config.items()})
