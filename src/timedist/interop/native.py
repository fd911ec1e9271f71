"""A distribution of TFP, NumPyro or torch behind the interface of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from timedist.distributions import Distribution
from timedist.distributions.value import Shape
from timedist.ops import compat, native, random

Tensor = Any


def is_distribution(x: Any) -> bool:
    """Whether `x` is a distribution, ours or a native one.

    Args:
        x: anything.

    Returns:
        True for what `as_distribution` takes.

    >>> is_distribution(0.0)
    False
    """
    return isinstance(x, Distribution) or compat.is_native(x)


def as_distribution(distribution: Any) -> Distribution:
    """A `Distribution` from one of ours or a native one of TFP, NumPyro or torch.

    Args:
        distribution: a `timedist.distributions.Distribution`, or a distribution of the library that
            belongs to the backend (TFP on TensorFlow, NumPyro on JAX, `torch.distributions` on
            torch).

    Returns:
        The same object if it is ours, else a `NativeDistribution`.

    Raises:
        TypeError: if it is neither.

    >>> from timedist.distributions import Normal
    >>> as_distribution(Normal(0.0, 1.0))
    Normal(batch_shape=(), event_shape=(), dtype=float32)
    """
    if isinstance(distribution, Distribution):
        return distribution
    if compat.is_native(distribution):
        return NativeDistribution(distribution)
    raise TypeError(
        "expected a distribution of timedist, tensorflow_probability, numpyro or torch, got "
        f"{type(distribution).__name__}"
    )


class _Origin:
    """What a native distribution is besides its tensors: its type and how to build it again."""

    def __init__(self, distribution: Any, rebuild: Any):
        self.type = type(distribution)
        self.rebuild = rebuild
        self.batch_rank = len(distribution.batch_shape)
        self.event_shape = tuple(distribution.event_shape)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Origin) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple:
        return self.type, self.batch_rank, self.event_shape


class NativeDistribution(Distribution):
    """A native distribution, optionally seen in another batch shape.

    It has what the native one has: `sample`, `log_prob`, `cdf`, `mean`, `variance`, `mode`,
    `entropy`.
    Its batch cannot be sliced, since only the other library knows the shapes of its parameters.

    Args:
        distribution: a distribution of TFP, NumPyro or torch.
    """

    def __init__(self, distribution: Any):
        leaves, rebuild = native.flatten(distribution)
        self._fill(leaves, _Origin(distribution, rebuild), False)

    def _fill(self, leaves: Sequence, origin: _Origin, reshaped: bool) -> None:
        # The last leaf carries nothing but the batch shape.
        self.__dict__["_values"] = {"leaves": tuple(leaves), "origin": origin, "reshaped": reshaped}

    def _children(self) -> list:
        return list(self._values["leaves"])

    def _are_shared(self) -> list[bool]:
        return [False for _ in self._values["leaves"]]

    def _structure(self) -> tuple:
        return self._values["origin"], self._values["reshaped"]

    @classmethod
    def _rebuilt(cls, structure: tuple, children: Any) -> NativeDistribution:
        self = object.__new__(cls)
        self._fill(tuple(children), *structure)
        return self

    @property
    def native(self) -> Any:
        """The native distribution."""
        return self._values["origin"].rebuild(list(self._values["leaves"]))

    @property
    def dtype(self) -> str:
        """Dtype of the native parameters."""
        return super().dtype

    @property
    def _family(self) -> str:
        origin = self._values["origin"]
        return f"{origin.type.__module__.split('.')[0]}.{origin.type.__name__}"

    def _batch_shape(self) -> Shape:
        carrier = self._values["leaves"][-1]
        return tuple(size if isinstance(size, int) else None for size in carrier.shape)

    def _event_shape(self) -> Shape:
        return self._values["origin"].event_shape

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(
            f"{self._family}: the batch of a native distribution cannot be sliced"
        )

    def reshape_batch(self, shape: Sequence[Any]) -> NativeDistribution:
        """The same seen in another batch shape; see `Distribution.reshape_batch`."""
        *leaves, carrier = self._values["leaves"]
        leaves.append(ops.reshape(carrier, tuple(shape)))
        return self._rebuilt((self._values["origin"], True), leaves)

    def _folded(self, x: Tensor) -> Tensor:
        """A value with our batch axes as one with the native batch axes."""
        if not self._values["reshaped"]:
            return x
        carrier, event = self._values["leaves"][-1], self.event_shape
        x = x + ops.zeros((*ops.shape(carrier), *event), x.dtype)
        front = ops.shape(x)[: len(x.shape) - len(self.shape)]
        batch = tuple(self.native.batch_shape)
        return ops.reshape(x, (*front, *((-1, *batch[1:]) if batch else ()), *event))

    def _unfolded(self, x: Tensor, event_rank: int) -> Tensor:
        """The inverse, for a result with `event_rank` event axes."""
        if not self._values["reshaped"]:
            return x
        shape, carrier = ops.shape(x), self._values["leaves"][-1]
        at = len(shape) - event_rank
        front = shape[: at - self._values["origin"].batch_rank]
        return ops.reshape(x, (*front, *ops.shape(carrier), *shape[at:]))

    def _apply(self, name: str, x: Tensor) -> Tensor:
        return self._unfolded(getattr(self.native, name)(self._folded(x)), 0)

    def _statistic(self, name: str) -> Tensor:
        value = native.statistic(self.native, name)
        return self._unfolded(value, len(self.event_shape))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self._unfolded(native.sample(self.native, sample_shape, seed), len(self.event_shape))

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._apply("log_prob", x)

    def _cdf(self, x: Tensor) -> Tensor:
        return self._apply("cdf", x)

    def _mean(self) -> Tensor:
        return self._statistic("mean")

    def _variance(self) -> Tensor:
        return self._statistic("variance")

    def _mode(self) -> Tensor:
        return self._statistic("mode")

    def _entropy(self) -> Tensor:
        return self._unfolded(native.statistic(self.native, "entropy"), 0)
