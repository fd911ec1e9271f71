"""A variational Gaussian process as a layer, and the layers that give it its kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.distributions import kernels
from timedist.distributions.inducing import InducingVariables, Posterior
from timedist.distributions.value import in_dtype
from timedist.interop import is_distribution
from timedist.layers.accepting import serializable
from timedist.layers.base import DistributionLayer, refuse_distribution
from timedist.layers.heads import as_event_shape, positive_int
from timedist.ops import compat, linalg, special

Tensor = Any

_LEARNED_NOISE = keras.initializers.Constant(-10.0)
_FIRST_SCALE = 1e-5
_INITIALIZED = (
    "inducing_index_points",
    "unconstrained_observation_noise_variance",
    "variational_inducing_observations_scale",
)


@serializable
class KernelProvider(keras.Layer):
    """A kernel whose parameters are weights, for `VariationalGaussianProcess`.

    Any layer with a property `kernel` may stand in its place.

    Args:
        kernel: a kernel of `timedist.distributions.kernels`, whose parameters are what training
            starts from; or the name of one in small letters, such as `"exponentiated_quadratic"`
            or `"matern_five_halves"`, with its defaults. Parameters with an axis, e.g.
            `amplitude=[1.0, 1.0]`, are one for each output of the process.
        fixed: names of parameters that are not learned, such as `("period",)`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        x1: points, tensor `(..., n, features)`.
        x2: points, tensor `(..., m, features)`.

    Returns:
        The matrix of the covariances of all pairs, `(..., n, m)`.

    Raises:
        TypeError: if `kernel` is something else.
        ValueError: if the name is not known, no parameter has a name in `fixed`, or a parameter
            cannot be learned from where it starts (zero, for a number that stays positive).

    >>> from timedist.distributions import kernels
    >>> season = kernels.ExpSinSquared(period=24.0) * kernels.MaternFiveHalves(length_scale=100.0)
    >>> provider = KernelProvider(season + kernels.Linear(1.0), fixed=("period",))
    >>> provider.kernel
    Sum[Product[ExpSinSquared, MaternFiveHalves], Linear](batch_shape=())
    >>> len(provider.trainable_weights)
    7
    """

    def __init__(
        self, kernel: kernels.Kernel | str, fixed: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.start = _as_kernel(kernel)
        self.fixed = (fixed,) if isinstance(fixed, str) else tuple(fixed)
        rows = self.start.rows()
        unknown = set(self.fixed) - {row.name for row in rows}
        if unknown:
            raise ValueError(
                f"KernelProvider: {self.start!r} has no parameter {sorted(unknown)}, it has "
                f"{sorted({row.name for row in rows})}"
            )
        values = zip(rows, self.start.leaves(), strict=True)
        self.raw = [None if r.name in self.fixed else self._weight(r, v) for r, v in values]

    def _weight(self, row: Any, value: Tensor) -> Any:
        """The weight that `row.constraint` maps to `value`."""
        dtype = _dtype(self)
        raw = compat.to_numpy(row.constraint.to_raw(ops.cast(value, dtype)))
        if not np.isfinite(raw).all():
            raise ValueError(
                f"KernelProvider: the parameter {row.name!r} of {self.start!r} starts at "
                f"{np.min(compat.to_numpy(value)):g}, from where training cannot move it; start at "
                f"a larger number, or give fixed=({row.name!r},)"
            )
        start = keras.initializers.Constant(raw)
        return self.add_weight(
            shape=raw.shape, initializer=start, dtype=dtype, autocast=False, name=row.name
        )

    @property
    def kernel(self) -> kernels.Kernel:
        """The kernel with the current parameters."""
        dtype = _dtype(self)
        leaves = [
            ops.cast(value, dtype)
            if raw is None
            else row.constraint.to_valid(ops.convert_to_tensor(raw))
            for row, value, raw in zip(
                self.start.rows(), self.start.leaves(), self.raw, strict=True
            )
        ]
        return self.start.with_leaves(leaves)

    def call(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The kernel matrix of two sets of points."""
        return self.kernel.matrix(x1, x2)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        kernel = keras.saving.serialize_keras_object(self.start)
        return {**super().get_config(), "kernel": kernel, "fixed": list(self.fixed)}

    @classmethod
    def from_config(cls, config: dict) -> KernelProvider:
        """The inverse of `get_config`."""
        kernel = keras.saving.deserialize_keras_object(config["kernel"])
        return cls(**{**config, "kernel": kernel})


@serializable
class VariationalGaussianProcess(DistributionLayer):
    r"""Gaussian processes of the inputs, through their values at learned inducing points.

    $y = f(x) + \epsilon,\ f \sim GP(m, k),\ \epsilon \sim N(0, \sigma^2)$, with a normal
    distribution of the values $u = f(z)$ at a few points z instead of all data.

    Train it with `timedist.losses.VariationalLoss(num_examples)`, the negative bound. The layer
    adds no loss of its own: its distribution carries the divergence of the inducing variables.

    Args:
        num_inducing_points: number m of the inducing points.
        kernel_provider: a layer with a property `kernel`, such as `KernelProvider`; or what
            `KernelProvider` takes: a kernel, or the name of one.
        event_shape: the number of outputs, each with a process of its own; int or tuple of one.
            Default `(1,)`.
        inducing_index_points_initializer: of z, of shape `(outputs, m, features)`. Default Glorot
            uniform; better are points scattered among the data, e.g. a `Constant` of some inputs.
        unconstrained_observation_noise_variance_initializer: of the number whose softplus is
            $\sigma^2$. Default the constant -10: a variance of 4.5e-5.
        variational_inducing_observations_scale_initializer: of the factor S of the covariance of u,
            of shape `(outputs, m, m)`; only its lower triangle counts. Default 1e-5 on the
            diagonal.
        mean_fn: m, a function from points `(..., k, features)` to their means `(..., k)`. Default:
            one learned number.
        jitter: number added to the diagonals of matrices that are factored. Default 1e-6.
        joint: what is returned, see below. Default `False`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., n, features)`: n index points.

    Returns:
        With `joint=False` a `GaussianProcessMarginals`: a distribution at every index point, with
        `batch_shape == (..., n)` and `event_shape == (outputs,)`. Every batch of rows may be given
        by itself, so that losses, masks, weights of steps and `timedist.predict` work as for any
        head, and no matrix of n rows is made.
        With `joint=True`, as in TFP, a `VariationalGaussianProcess`: one distribution of all n
        points, with `batch_shape == (...)` and `event_shape == (n, outputs)`, whose draws are
        functions. Inputs `(batch, time, features)` give a process over the time of each sequence.
        The bound is the same.

    Raises:
        ValueError: if an argument is not as said, or the inputs have fewer than two axes.
        TypeError: if the provider's kernel is none of `timedist.distributions.kernels`.

    Source: Titsias: Variational Learning of Inducing Variables in Sparse Gaussian Processes (2009);
    Hensman, Fusi, Lawrence: Gaussian Processes for Big Data (2013).

    >>> import keras
    >>> inputs = keras.ops.zeros((32, 4))
    >>> VariationalGaussianProcess(10, "matern_five_halves")(inputs)
    GaussianProcessMarginals(Normal)(batch_shape=(32,), event_shape=(1,), dtype=float32)
    >>> VariationalGaussianProcess(10, "matern_five_halves", joint=True)(inputs)
    VariationalGaussianProcess(batch_shape=(), event_shape=(32, 1), dtype=float32)
    """

    def __init__(
        self,
        num_inducing_points: int,
        kernel_provider: Any,
        event_shape: int | Sequence[int] = (1,),
        inducing_index_points_initializer: Any = None,
        unconstrained_observation_noise_variance_initializer: Any = _LEARNED_NOISE,
        variational_inducing_observations_scale_initializer: Any = None,
        mean_fn: Callable[[Tensor], Tensor] | None = None,
        jitter: float = 1e-6,
        joint: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_inducing_points = positive_int("num_inducing_points", num_inducing_points)
        self.kernel_provider = _as_provider(kernel_provider, self.dtype_policy)
        self.event_shape = as_event_shape(event_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                "VariationalGaussianProcess: event_shape must be the number of outputs, an int or "
                f"a tuple of one, got {event_shape!r}"
            )
        if unconstrained_observation_noise_variance_initializer is None:
            raise ValueError(
                "VariationalGaussianProcess needs an initializer of the observation noise: without "
                "noise there is no bound to train"
            )
        get = keras.initializers.get
        self.inducing_index_points_initializer = get(inducing_index_points_initializer)
        self.unconstrained_observation_noise_variance_initializer = get(
            unconstrained_observation_noise_variance_initializer
        )
        self.variational_inducing_observations_scale_initializer = get(
            variational_inducing_observations_scale_initializer
        )
        self.mean_fn = _checked_function(mean_fn)
        self.jitter = _positive_number("jitter", jitter)
        self.joint = bool(joint)

    def build(self, input_shape: Any) -> None:
        """Make the weights, those of the provider among them."""
        if input_shape is None:
            refuse_distribution(self, "index points")
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"The layer {self.name!r} (VariationalGaussianProcess) needs index points of shape "
                f"(..., n, features) with a known number of features, got {tuple(input_shape)}"
            )
        outputs, number, features = *self.event_shape, self.num_inducing_points, input_shape[-1]
        for layer in (self.kernel_provider, self.mean_fn):
            if isinstance(layer, keras.Layer) and not layer.built:
                layer.build((None, features))
        if self.mean_fn is None:
            self.mean = self._weight("mean", (), "zeros")
        self.unconstrained_observation_noise_variance = self._weight(
            "observation_noise_variance",
            (),
            self.unconstrained_observation_noise_variance_initializer,
        )
        self.inducing_index_points = self._weight(
            "inducing_index_points",
            (outputs, number, features),
            self.inducing_index_points_initializer,
        )
        self.variational_inducing_observations_loc = self._weight(
            "variational_inducing_observations_loc", (outputs, number), "zeros"
        )
        self.variational_inducing_observations_scale = self._weight(
            "variational_inducing_observations_scale",
            (outputs, number, number),
            self.variational_inducing_observations_scale_initializer or _small_identity,
        )
        self.built = True

    def _weight(self, name: str, shape: tuple, initializer: Any) -> Any:
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, dtype=_dtype(self), autocast=False
        )

    def call(self, inputs: Tensor) -> td.GaussianProcessMarginals | td.VariationalGaussianProcess:
        """The processes at the index points."""
        if is_distribution(inputs):
            refuse_distribution(self, "index points")
        points, posterior = ops.cast(inputs, _dtype(self)), self._posterior()
        noise = special.softplus(self._value(self.unconstrained_observation_noise_variance))
        divergence = posterior.divergence()
        prior = self._prior_mean_by_point(points)
        if not self.joint:
            loc, variance = posterior.marginals(points)
            return td.GaussianProcessMarginals.of(prior + loc, variance + noise, noise, divergence)
        loc, covariance = posterior.joint(points)
        return td.VariationalGaussianProcess.trusted(
            loc=prior + loc,
            covariance_matrix=linalg.plus_diagonal(covariance, noise),
            observation_noise_variance=noise,
            divergence=divergence,
            jitter=self.jitter,
        )

    def _posterior(self) -> Posterior:
        """What the inducing variables say of the functions."""
        kernel = self.kernel_provider.kernel
        if not isinstance(kernel, kernels.Kernel):
            raise TypeError(
                f"The layer {self.name!r} (VariationalGaussianProcess) needs a provider whose "
                "`kernel` is a kernel of `timedist.distributions.kernels`; that of "
                f"{self.kernel_provider.name!r} is {kernel!r}"
            )
        if kernel.batch_shape not in ((), (1,), self.event_shape):
            raise ValueError(
                f"The layer {self.name!r} (VariationalGaussianProcess) has event_shape "
                f"{self.event_shape}, but the parameters of its kernel {kernel!r} are for another "
                "number of outputs"
            )
        points = self._value(self.inducing_index_points)
        return InducingVariables(
            in_dtype(kernel, _dtype(self)),
            points,
            self._value(self.variational_inducing_observations_loc) - self._prior_mean(points),
            self._value(self.variational_inducing_observations_scale),
            self.jitter,
        ).posterior()

    def _prior_mean(self, points: Tensor) -> Tensor:
        """The mean of the prior at points `(..., k, features)`, which broadcasts to `(..., k)`."""
        if self.mean_fn is None:
            return self._value(self.mean)
        mean = self._value(self.mean_fn(points))
        given, number = tuple(mean.shape), points.shape[-2]
        fits = not given or not isinstance(number, int) or given[-1] in (1, None, number)
        if len(given) >= len(points.shape) or not fits:
            raise ValueError(
                f"The layer {self.name!r} (VariationalGaussianProcess): mean_fn must give one "
                f"number for each point, of points {tuple(points.shape)} a tensor of shape "
                f"{tuple(points.shape)[:-1]}, got {given}"
            )
        return mean

    def _prior_mean_by_point(self, points: Tensor) -> Tensor:
        """The same at the index points, with the axis of the outputs last."""
        by_output = points[..., None, :, :]
        zeros = ops.zeros_like(by_output[..., 0])
        return linalg.transpose(self._prior_mean(by_output) + zeros)

    def _value(self, x: Any) -> Tensor:
        return ops.cast(ops.convert_to_tensor(x), _dtype(self))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        serialize, initializer = keras.saving.serialize_keras_object, keras.initializers.serialize
        names = [f"{name}_initializer" for name in _INITIALIZED]
        own = {name: getattr(self, name) for name in names}
        return {
            **super().get_config(),
            "num_inducing_points": self.num_inducing_points,
            "kernel_provider": serialize(self.kernel_provider),
            "event_shape": self.event_shape,
            **{name: None if value is None else initializer(value) for name, value in own.items()},
            "mean_fn": serialize(self.mean_fn),
            "jitter": self.jitter,
            "joint": self.joint,
        }

    @classmethod
    def from_config(cls, config: dict) -> VariationalGaussianProcess:
        """The inverse of `get_config`."""
        made = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("kernel_provider", "mean_fn")
        }
        return cls(**{**config, **made})


def _small_identity(shape: tuple, dtype: str) -> Tensor:
    """Matrices with small numbers on their diagonals, the start of the factor S."""
    return ops.zeros(shape, dtype) + _FIRST_SCALE * ops.eye(shape[-1], dtype=dtype)


def _dtype(layer: keras.Layer) -> str:
    """The dtype of the weights and of all that is computed: Cholesky factors need float32."""
    return "float64" if layer.variable_dtype == "float64" else "float32"


def _as_kernel(kernel: Any) -> kernels.Kernel:
    if isinstance(kernel, kernels.Kernel):
        return kernel
    known = kernels.named()
    if not isinstance(kernel, str):
        raise TypeError(
            "KernelProvider: kernel must be a kernel of `timedist.distributions.kernels` or the "
            f"name of one, got {kernel!r}"
        )
    if kernel not in known:
        raise ValueError(
            f"KernelProvider: unknown kernel {kernel!r}; known: {', '.join(sorted(known))}"
        )
    return known[kernel]()


def _as_provider(provider: Any, dtype: Any) -> keras.Layer:
    if isinstance(provider, (kernels.Kernel, str)):
        return KernelProvider(provider, dtype=dtype)
    if not isinstance(provider, keras.Layer) or not hasattr(type(provider), "kernel"):
        raise TypeError(
            "VariationalGaussianProcess: kernel_provider must be a layer with a property `kernel`, "
            "such as `timedist.layers.KernelProvider`, a kernel of "
            f"`timedist.distributions.kernels` or the name of one, got {provider!r}"
        )
    return provider


def _checked_function(function: Any) -> Any:
    if function is not None and not callable(function):
        raise TypeError(f"VariationalGaussianProcess: mean_fn must be a function, got {function!r}")
    return function


def _positive_number(name: str, value: Any) -> float:
    if not checks.is_number(value) or not value > 0.0:
        raise ValueError(
            f"VariationalGaussianProcess: {name} must be a positive number, got {value!r}"
        )
    return float(value)
