"""`Kernel`: the parent of the positive semidefinite kernels, and their sums and products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from timedist.distributions.fields import Parameter, component
from timedist.distributions.value import Shape, Value, common_dtype, in_dtype
from timedist.ops import compat

Tensor = Any


class Kernel(Value):
    r"""A positive semidefinite function of two points, an immutable value made of its parameters.

    $k(x, y)$ is the covariance of the values $f(x)$ and $f(y)$ of a random function. Kernels add
    and multiply: `k1 + k2`, `k1 * k2`.

    Parameters broadcast against each other; their axes are the batch axes of the kernel, which
    broadcast against those of the points. Results have the wider dtype of points and parameters.

    A subclass declares its parameters and writes `_apply(x1, x2)`: of points that broadcast against
    each other, with the features on the last axis. Parameters have axes for the points already:
    they broadcast against the points without their features.

    Source: Rasmussen, Williams: Gaussian Processes for Machine Learning (2006), chapter 4.

    >>> from timedist.distributions import constraints, parameter
    >>> from keras import ops
    >>> class Brownian(Kernel):
    ...     rate: object = parameter(constraints.positive, 1.0)
    ...     def _apply(self, x1, x2):
    ...         return self.rate * ops.minimum(x1, x2)[..., 0]
    >>> Brownian(2.0).matrix([[1.0], [3.0]], [[1.0], [3.0]]).shape[0]
    2
    """

    def apply(self, x1: Any, x2: Any, example_ndims: int = 1) -> Tensor:
        """The covariances k(x1, x2) of pairs of points.

        Args:
            x1: points, tensor of shape `batch + examples + (features,)`, in any unit.
            x2: points, a tensor that broadcasts against `x1`.
            example_ndims: how many axes of the points, before the features, stand behind the batch
                axes of the kernel. Default 1.

        Returns:
            Tensor of the broadcast shape without the features.

        Raises:
            ValueError: if the numbers of features differ.
        """
        kernel, x1, x2 = self._aligned("apply", x1, x2, least_axes=1)
        return kernel._at(x1, x2, example_ndims)

    def matrix(self, x1: Any, x2: Any) -> Tensor:
        """The covariances of all pairs of points of two sets.

        Args:
            x1: points, tensor of shape `batch + (n, features)`, in any unit.
            x2: points, tensor of shape `batch + (m, features)`; the batches broadcast.

        Returns:
            Tensor of shape `batch + (n, m)`.

        Raises:
            ValueError: if the numbers of features differ, or a set has fewer than two axes.
        """
        kernel, x1, x2 = self._aligned("matrix", x1, x2, least_axes=2)
        return kernel._at(x1[..., :, None, :], x2[..., None, :, :], 2)

    def __add__(self, other: Any) -> Any:
        return Sum([self, other]) if isinstance(other, Kernel) else NotImplemented

    def __mul__(self, other: Any) -> Any:
        return Product([self, other]) if isinstance(other, Kernel) else NotImplemented

    def __repr__(self) -> str:
        return f"{self._family}(batch_shape={self.batch_shape})"

    @property
    def batch_shape(self) -> Shape:
        """The common shape of the parameters, without their own axes."""
        found = [
            tuple(leaf.shape)[: len(leaf.shape) - row.event_rank]
            for row, leaf in zip(self.rows(), self.leaves(), strict=True)
        ]
        return np.broadcast_shapes(*found)

    def rows(self) -> list[Parameter]:
        """The rows of the parameter table, those of nested kernels included, as `leaves()`."""
        found: list[Parameter] = []
        for row, value in self._rows_and_values():
            if isinstance(row, Parameter):
                found.append(row)
            else:
                found.extend(inner for part in _parts(value) for inner in part.rows())
        return found

    # --- for subclasses ------------------------------------------------------------------------

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        raise NotImplementedError(f"{self._family} must implement `_apply`")

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        """As for any value; what is given as `None` has its default."""
        for row in self._components():
            given = values[row.name]
            parts = tuple(given) if row.many and isinstance(given, Sequence) else (given,)
            if not parts or not all(isinstance(part, Kernel) for part in parts):
                wanted = "a non-empty list of kernels" if row.many else "a kernel"
                raise TypeError(
                    f"{type(self).__name__}: {row.name} must be {wanted}, got {given!r}"
                )
        defaults = {row.name: row.default for row in self._parameters()}
        return super()._prepared(
            {k: defaults.get(k) if v is None else v for k, v in values.items()}
        )

    def _rows_and_values(self) -> list[tuple[Any, Any]]:
        rows = {row.name: row for row in self.table}
        return [(rows[name], value) for name, value in self._given()]

    def _aligned(
        self, method: str, x1: Any, x2: Any, least_axes: int
    ) -> tuple[Any, Tensor, Tensor]:
        """The kernel and the points in one dtype, checked."""
        dtype = common_dtype([x1, x2, *self.leaves()])
        x1, x2 = compat.to_tensor(x1, dtype), compat.to_tensor(x2, dtype)
        first, second = tuple(x1.shape), tuple(x2.shape)
        if min(len(first), len(second)) < least_axes:
            raise ValueError(
                f"{self._family}.{method}: points must have at least {least_axes} axes, the "
                f"features on the last, got shapes {first} and {second}"
            )
        if first[-1] != second[-1]:
            raise ValueError(
                f"{self._family}.{method}: points must have the same number of features on their "
                f"last axis, got shapes {first} and {second}"
            )
        return in_dtype(self, dtype), x1, x2

    def _at(self, x1: Tensor, x2: Tensor, example_ndims: int) -> Tensor:
        """`_apply` of the kernel with axes of size 1 for the examples, behind its batch."""
        return self._with_examples(example_ndims)._apply(x1, x2)

    def _with_examples(self, number: int) -> Any:
        children: list[Any] = []
        for row, value in self._rows_and_values():
            if isinstance(row, Parameter):
                own = (slice(None),) * row.event_rank
                children.append(value[(..., *(None,) * number, *own)])
            else:
                children.extend(part._with_examples(number) for part in _parts(value))
        return self._rebuilt(self._structure(), children)


def _parts(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


class _Combination(Kernel):
    """Parent of what is made of several kernels."""

    kernels: Any = component(many=True)

    @property
    def _family(self) -> str:
        name = type(self).__name__
        if "_values" not in self.__dict__:  # a message about arguments of which nothing is made yet
            return name
        return f"{name}[{', '.join(part._family for part in self.kernels)}]"


class Sum(_Combination):
    """The sum of kernels, of independent functions that add; also written `k1 + k2`.

    Args:
        kernels: non-empty list of kernels.

    Raises:
        TypeError: if something else is among them.

    >>> from timedist.distributions.kernels import ExponentiatedQuadratic, Linear
    >>> ExponentiatedQuadratic() + Linear()
    Sum[ExponentiatedQuadratic, Linear](batch_shape=())
    """

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        first, *rest = (part._apply(x1, x2) for part in self.kernels)
        return sum(rest, first)


class Product(_Combination):
    """The product of kernels, of independent functions that multiply; also written `k1 * k2`.

    Args:
        kernels: non-empty list of kernels.

    Raises:
        TypeError: if something else is among them.

    >>> from timedist.distributions.kernels import ExpSinSquared, MaternFiveHalves
    >>> ExpSinSquared(period=24.0) * MaternFiveHalves(length_scale=100.0)
    Product[ExpSinSquared, MaternFiveHalves](batch_shape=())
    """

    def _apply(self, x1: Tensor, x2: Tensor) -> Tensor:
        return math.prod(part._apply(x1, x2) for part in self.kernels)
