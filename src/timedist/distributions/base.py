"""`Distribution`: an immutable value made of parameter tensors.

The base does the shape, dtype and seed work once, in its public methods; a family declares a table
of parameters and a few hooks (`_log_prob`, `_sample`, …). A hook a family does not write either
follows from others or makes the public method raise `NotImplementedError`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, dataclass_transform

import keras
import numpy as np
from keras import ops

from timedist.distributions import derived, divergences, fields, shapes
from timedist.distributions.value import Shape, Value
from timedist.ops import compat, random, special

Tensor = Any

_FIX = (
    "Call a method that says which tensor you mean, e.g. `.sample()`, `.mean()` or "
    "`.quantile(0.9)` (in a Sequential model: a `timedist.layers.Sample()` in between, or "
    '`convert_to_tensor_fn="sample"` of the layer that makes it).'
)


class DistributionTypeError(TypeError, ValueError):
    """A distribution where a tensor is needed.

    It is a `ValueError` as well because Keras hides all other errors behind a `RuntimeError` when
    it builds a model on its first batch.
    """


@dataclass_transform(
    field_specifiers=(fields.parameter, fields.component, fields.shared, fields.static),
    frozen_default=True,
)
class Distribution(Value):
    """A batch of probability distributions of one family, as an immutable value.

    Shapes are `sample_shape + batch_shape + event_shape`. Time is a batch axis: a sequence head
    over `(batch, time, features)` has `batch_shape == (batch, time)`, and `log_prob(y)` has that
    shape too. Parameters broadcast against each other and are at least float32.

    Where Keras or NumPy asks for an array, it is the mean; inside a layer that knows nothing of
    distributions it is a `TypeError`.

    To write a family, declare its parameters and write hooks:

    >>> from timedist.distributions import Distribution, constraints, parameter
    >>> from keras import ops
    >>> class Rayleigh(Distribution):
    ...     scale: object = parameter(constraints.positive, 1.0)
    ...     def _log_prob(self, x):
    ...         z = x / self.scale
    ...         return ops.log(z / self.scale) - 0.5 * z * z
    ...     def _mean(self):
    ...         return self.scale * (3.141592653589793 / 2) ** 0.5
    >>> Rayleigh([1.0, 2.0])
    Rayleigh(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    discrete: ClassVar[bool] = False
    # Whether single values have probability though the rest is continuous.
    _mixed: bool = False
    # How many leading axes of the event a Keras mask has behind those of the batch.
    _masked_axes: ClassVar[int] = 0
    absent: ClassVar[dict[str, str]] = {}

    # --- shapes --------------------------------------------------------------------------------

    @property
    def batch_shape(self) -> Shape:
        """Shape of the batch, time axes included; unknown sizes are `None`."""
        hook = getattr(self, "_batch_shape", None)
        if hook is not None:
            return hook()
        row = next(r for r in self._parameters() if self._values[r.name] is not None)
        shape = shapes.static_shape(self._values[row.name])
        return shape[: len(shape) - row.event_rank]

    @property
    def event_shape(self) -> Shape:
        """Shape of one draw; `()` for scalar families."""
        hook = getattr(self, "_event_shape", None)
        return () if hook is None else hook()

    @property
    def shape(self) -> Shape:
        """`batch_shape + event_shape`, the shape of the mean."""
        return self.batch_shape + self.event_shape

    @property
    def ndim(self) -> int:
        """Number of axes of `shape`."""
        return len(self.shape)

    @property
    def dtype(self) -> str:
        """Dtype of the parameters, at least float32."""
        return keras.backend.standardize_dtype(self.leaves()[0].dtype)

    def __repr__(self) -> str:
        return (
            f"{self._family}(batch_shape={self.batch_shape}, event_shape={self.event_shape}, "
            f"dtype={self.dtype})"
        )

    def __getitem__(self, index: Any) -> Any:
        """Slice the batch axes, e.g. `d[:, -1]` is the last step of every sequence."""
        index = shapes.full_index(index, len(self.batch_shape), self._family)
        return self.map_batch(lambda leaf: leaf[index])

    def __len__(self) -> int:
        if not self.batch_shape:
            raise TypeError(f"{self!r} has no batch axis and so no length")
        return self.batch_shape[0]  # type: ignore[return-value]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def reshape_batch(self, shape: Sequence[Any]) -> Any:
        """The same distributions in another batch shape.

        Args:
            shape: the new batch shape; sizes may be scalars of the backend, one may be -1.

        Returns:
            A distribution with the same number of batch elements.
        """
        rank = len(self.batch_shape)
        return self.map_batch(lambda x: ops.reshape(x, (*shape, *ops.shape(x)[rank:])))

    # --- arrays --------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        mean = self._mean_for_conversion()
        if compat.is_placeholder(mean):
            return np.zeros(tuple(mean.shape), dtype or self.dtype)
        return np.asarray(compat.to_numpy(mean), dtype=dtype)

    def __jax_array__(self) -> Tensor:
        return self._mean_for_conversion()

    def numpy(self) -> np.ndarray:
        """The mean as an array; Keras's `predict_on_batch` asks by this name."""
        return np.asarray(self)

    def _mean_for_conversion(self) -> Tensor:
        caller = compat.keras_caller()
        if caller is not None:
            kind, owner = caller
            remedy = (
                _FIX
                if kind == "layer"
                else (
                    "Use `timedist.losses.NegativeLogLikelihood`, or let the model output "
                    "`.mean()`."
                )
            )
            raise DistributionTypeError(
                f"The {kind} {owner.name!r} ({type(owner).__name__}) takes a tensor but got a "
                f"distribution, {self!r}. {remedy}"
            )
        return self.mean()

    def __bool__(self) -> bool:
        raise TypeError(f"the truth value of a distribution is not defined: {self!r}")

    # --- drawing -------------------------------------------------------------------------------

    def sample(self, sample_shape: int | Sequence[int] = (), seed: random.Seed = None) -> Tensor:
        """Draw independent samples, with gradients to the parameters of continuous families.

        Args:
            sample_shape: int or tuple, the shape of the block of samples. Default `()`: one draw.
            seed: int, `keras.random.SeedGenerator`, a key (tensor of two integers, or of
                `jax.random.key`) or `None` (Keras's global seed). Inside a layer that runs under
                JAX's jit, give a `SeedGenerator` the layer owns; in a function of yours, a key.

        Returns:
            Tensor of shape `sample_shape + batch_shape + event_shape`.

        Raises:
            TypeError: if the seed is none of these.
        """
        on_device = self._on_device()
        return on_device._hook("sample")(shapes.as_shape(sample_shape), random.check_seed(seed))

    def draw(self, sample_shape: int | Sequence[int] = (), seed: random.Seed = None) -> Tensor:
        """As `sample`, but without gradients, which makes mixtures cheaper.

        Args:
            sample_shape: as for `sample`.
            seed: as for `sample`.

        Returns:
            Tensor of shape `sample_shape + batch_shape + event_shape`.

        Raises:
            TypeError: if the seed is neither int, `SeedGenerator` nor `None`.
        """
        return self._on_device()._plain_draw(shapes.as_shape(sample_shape), random.check_seed(seed))

    def sample_and_log_prob(
        self, sample_shape: int | Sequence[int] = (), seed: random.Seed = None
    ) -> tuple[Tensor, Tensor]:
        """Draw samples together with their log densities.

        Args:
            sample_shape: as for `sample`.
            seed: as for `sample`.

        Returns:
            Tensors of shape `sample_shape + batch_shape + event_shape` and `sample_shape +
            batch_shape`.
        """
        x = self.sample(sample_shape, seed)
        return x, self.log_prob(x)

    def _plain_draw(self, shape: tuple, seed: random.Seed) -> Tensor:
        hook = getattr(self, "_draw", None) or self._hook("sample")
        return ops.stop_gradient(hook(shape, seed))

    # --- densities -----------------------------------------------------------------------------

    def log_prob(self, value: Any) -> Tensor:
        """Logarithm of the density or mass at `value`; `-inf` outside the support, NaN at NaN.

        Args:
            value: tensor that broadcasts against `batch_shape + event_shape`.

        Returns:
            Tensor of the broadcast shape without the event axes.

        Raises:
            ValueError: if the shape of `value` does not fit.
        """
        return self._at(value, "log_prob")

    def prob(self, value: Any) -> Tensor:
        """Density or mass at `value`: `exp(log_prob(value))`; see `log_prob`."""
        return ops.exp(self.log_prob(value))

    def cdf(self, value: Any) -> Tensor:
        """P(X <= value), elementwise over the batch; arguments and result as for `log_prob`."""
        return self._at(value, "cdf")

    def log_cdf(self, value: Any) -> Tensor:
        """log P(X <= value), by a formula of its own in the lower tail where the family has one."""
        return self._at(value, "log_cdf")

    def survival_function(self, value: Any) -> Tensor:
        """P(X > value), by a formula of its own in the upper tail where the family has one."""
        return self._at(value, "survival")

    def log_survival_function(self, value: Any) -> Tensor:
        """log P(X > value), by a formula of its own in the upper tail where the family has one."""
        return self._at(value, "log_survival")

    def crps(self, value: Any) -> Tensor:
        r"""Continuous ranked probability score of the distribution if `value` happens; 0 is best.

        $\int (F(x) - 1\{x \ge y\})^2\,dx$, by a formula or an exact numerical method.

        Args:
            value: tensor that broadcasts against `batch_shape + event_shape`, in any unit.

        Returns:
            Tensor of the shape of `log_prob(value)`, in the unit of the value; for `Independent` of
            every component, with the event axes. NaN at NaN.

        Raises:
            NotImplementedError: for vectors whose components are not independent.

        Source: Gneiting, Raftery: Strictly Proper Scoring Rules (2007), section 4.2.
        """
        return self._at(value, "crps")

    def quantile(self, p: Any) -> Tensor:
        """The smallest x with `cdf(x) >= p`.

        Args:
            p: probability in [0, 1], a tensor that broadcasts against `batch_shape`.

        Returns:
            Tensor of the broadcast shape (for `Independent`: of every component, with the event
            axes).

        Raises:
            ValueError: if a number in `p` is outside [0, 1].
        """
        on_device = self._on_device()
        hook = on_device._hook("quantile")
        p = compat.to_tensor(p, on_device.dtype)
        if compat.is_concrete(p):
            self._check_probabilities(compat.to_numpy(p))
        shapes.check_broadcast(self._family, "quantile", tuple(p.shape), self.batch_shape)
        return hook(p)

    def _check_probabilities(self, p: np.ndarray) -> None:
        if not np.all((p >= 0.0) & (p <= 1.0)):
            raise ValueError(f"{self._family}.quantile: p must be in [0, 1], got {p!r}")

    def interval(self, level: float) -> tuple[Tensor, Tensor]:
        """The central interval that holds `level` of the probability.

        Args:
            level: number in (0, 1), e.g. 0.9 for the interval from the 5 % to the 95 % quantile.

        Returns:
            Two tensors, lower and upper end, each of the shape of `quantile`.

        Raises:
            ValueError: if `level` is not between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"interval: level must be between 0 and 1, got {level!r}")
        return self.quantile(0.5 - level / 2), self.quantile(0.5 + level / 2)

    # --- moments -------------------------------------------------------------------------------

    def mean(self) -> Tensor:
        """Expected value, shape `batch_shape + event_shape`; NaN where it does not exist."""
        return self._on_device()._hook("mean")()

    def variance(self) -> Tensor:
        """Variance of every component, shape `batch_shape + event_shape`; NaN where undefined."""
        return self._on_device()._hook("variance")()

    def stddev(self) -> Tensor:
        """Square root of `variance`."""
        return ops.sqrt(self.variance())

    def mode(self) -> Tensor:
        """The most probable value, shape `batch_shape + event_shape`."""
        return self._on_device()._hook("mode")()

    def median(self) -> Tensor:
        """`quantile(0.5)`."""
        return self.quantile(0.5)

    def covariance(self) -> Tensor:
        """Covariance matrix of vector events, shape `batch_shape + event_shape + event_shape`."""
        return self._on_device()._hook("covariance")()

    def marginals(self) -> Distribution:
        """The distribution of every component of the event alone: the event axes become batch axes.

        Returns:
            A distribution of scalars with `batch_shape + event_shape` for batch shape; of scalars
            it is the distribution itself.

        Raises:
            NotImplementedError: if no family is known for the components.

        >>> from timedist.distributions import MultivariateNormalTriL
        >>> d = MultivariateNormalTriL([0.0, 1.0], [[1.0, 0.0], [3.0, 4.0]])
        >>> d.marginals()
        Normal(batch_shape=(2,), event_shape=(), dtype=float32)
        """
        on_device = self._on_device()
        return on_device._hook("marginals")() if self.event_shape else on_device

    def entropy(self) -> Tensor:
        """Differential or Shannon entropy in nats, shape `batch_shape`."""
        return self._on_device()._hook("entropy")()

    def kl_divergence(self, other: Distribution) -> Tensor:
        r"""Kullback-Leibler divergence of `other` from this distribution, in nats.

        $\int p(x) \log\frac{p(x)}{q(x)}\,dx$, infinite where q does not cover p.

        Args:
            other: distribution q with the same event shape and a batch shape that broadcasts.

        Returns:
            Tensor of the broadcast batch shape.

        Raises:
            TypeError: if `other` is no distribution.
            ValueError: if the shapes do not fit.
            NotImplementedError: if no exact method is known for the two families.

        Source: Kullback, Leibler: On Information and Sufficiency (1951).
        """
        _check_pair(self, other)
        return divergences.between(self._on_device(), other._on_device())

    def _in_batch_of(self, like: Tensor) -> Any:
        """The distribution broadcast to a batch shape."""
        rank = len(self.batch_shape)
        return self.map_batch(
            lambda x: ops.broadcast_to(x, (*ops.shape(like), *ops.shape(x)[rank:]))
        )

    def _widened(self) -> Any:
        """The same distribution as one of a larger family, where divergences have a formula."""
        return self

    def cross_entropy(self, other: Distribution) -> Tensor:
        """-E[log q(X)] under this distribution: `entropy() + kl_divergence(other)`."""
        return self.entropy() + self.kl_divergence(other)

    # --- for losses ----------------------------------------------------------------------------

    def log_prob_where(self, value: Any, observed: Any) -> Tensor:
        """`log_prob(value)`, counting only what is observed; the rest has gradient exactly zero.

        Args:
            value: tensor of shape `batch_shape + event_shape`; may be NaN where not observed.
            observed: boolean tensor of the same shape.

        Returns:
            Tensor of shape `batch_shape`. Components of `Independent` that are not observed are
            left out of the sum; for other vectors one missing component leaves out the whole event.
        """
        on_device = self._on_device()
        value = on_device._as_value(value, "log_prob_where")
        return on_device._log_prob_of_observed(value, ops.cast(observed, "bool"))

    def _log_prob_of_observed(self, value: Tensor, observed: Tensor) -> Tensor:
        hook = getattr(self, "_log_prob_where", None)
        if hook is not None:
            return hook(value, observed)
        axes = tuple(range(-len(self.event_shape), 0))
        whole = ops.all(observed, axis=axes) if axes else observed
        each = ops.reshape(whole, (*ops.shape(whole), *(1 for _ in axes))) if axes else whole
        log_prob = self._hook("log_prob")(ops.where(each, value, self._harmless_value(value)))
        return special.where(whole, log_prob, 0.0)

    def _harmless_value(self, like: Tensor) -> Tensor:
        """A value with finite log density and gradients, to stand where none is observed."""
        for name in ("mode", "mean"):
            with contextlib.suppress(NotImplementedError):
                value = ops.stop_gradient(ops.cast(self._hook(name)(), like.dtype))
                return special.where(ops.isfinite(value), value, 1.0)
        return ops.ones_like(like)

    def _masses_at(self) -> list[Tensor]:
        """The values of a `_mixed` family that have a probability, each of the batch shape."""
        return []

    # --- dispatch ------------------------------------------------------------------------------

    def _on_device(self) -> Any:
        """Itself, with NumPy parameters (from `timedist.predict`) turned into tensors."""
        if any(isinstance(leaf, np.ndarray) for leaf in self.leaves()):
            return self.map_leaves(ops.convert_to_tensor)
        return self

    def _hook(self, name: str) -> Callable:
        hook = derived.hook(self, name)
        if hook is None:
            reason = self.absent.get(name, "TimeDist has no formula for it")
            raise NotImplementedError(f"{self._family} has no {name}: {reason}")
        return hook

    def _zeros(self) -> Tensor:
        """Zeros of the batch shape, whose sizes may be unknown."""
        plain = (fields.Static, fields.Shared)
        given = (row for row in self.table if not isinstance(row, plain))
        row = next(r for r in given if self._values.get(r.name) is not None)
        value = self._values[row.name]
        if isinstance(row, fields.Parameter):
            return ops.zeros_like(value[(..., *(0,) * row.event_rank)] if row.event_rank else value)
        return (value[0] if isinstance(value, tuple) else value)._zeros()

    def _at(self, value: Any, name: str) -> Tensor:
        """Call hook `name` at `value`, converted and checked."""
        on_device = self._on_device()
        return on_device._hook(name)(on_device._as_value(value, name))

    def _as_value(self, value: Any, method: str) -> Tensor:
        """`value` as a tensor that is known to broadcast, with all event axes."""
        value = compat.to_tensor(value, self.dtype)
        shapes.check_broadcast(self._family, method, tuple(value.shape), self.shape)
        missing = len(self.event_shape) - len(value.shape)
        return ops.reshape(value, (*(1,) * missing, *ops.shape(value))) if missing > 0 else value


def _check_pair(mine: Any, other: Any) -> None:
    if not isinstance(other, Distribution):
        raise TypeError(f"kl_divergence takes a distribution, got {type(other).__name__}")
    if mine.event_shape != other.event_shape:
        raise ValueError(
            f"kl_divergence: event shapes differ: {mine.event_shape} of {mine!r} and "
            f"{other.event_shape} of {other!r}"
        )
    shapes.check_broadcast(mine._family, "kl_divergence", other.batch_shape, mine.batch_shape)


compat.register_tensor_conversion(Distribution, lambda d: d._mean_for_conversion())
