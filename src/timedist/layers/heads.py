"""Heads: layers without weights that read the parameters of a distribution off the last axis.

A head for a family is its class and, where the family's own range is too wide for a network, a
narrower constraint; splitting, raw-to-valid maps and sizes follow from the family's table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from timedist import distributions as td
from timedist.distributions import constraints
from timedist.distributions.constraints import Constraint
from timedist.distributions.fields import Parameter
from timedist.layers.accepting import serializable
from timedist.layers.base import DistributionLayer

Tensor = Any


def _as_shape(event_shape: int | Sequence[int]) -> tuple[int, ...]:
    shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
    if not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(
            f"event_shape must be a positive int or a tuple of them, got {event_shape!r}"
        )
    return shape


class Head(DistributionLayer):
    """Base of the heads of a family; a subclass names the family.

    Attributes:
        family: the family, a subclass of `Distribution` with scalar parameters.
        narrowed: constraints to use instead of the family's, by name of the parameter.
    """

    family: ClassVar[type[td.Distribution]]
    narrowed: ClassVar[dict[str, Constraint]] = {}

    @classmethod
    def rows(cls) -> list[Parameter]:
        """The parameters the network gives; of two that say the same, the unconstrained one."""
        table = cls.family._parameters()
        return [
            row for row in table if row.instead_of is None or row.constraint is constraints.real
        ]

    def _read(self, raw: Tensor, event_shape: tuple[int, ...]) -> Any:
        """The family with parameters of shape `(...) + event_shape` from `(..., params_size)`."""
        rows = self.rows()
        parts = ops.split(raw, len(rows), axis=-1)
        lead = ops.shape(raw)[:-1]
        values = {
            row.name: self.narrowed.get(row.name, row.constraint).to_valid(
                ops.reshape(part, (*lead, *event_shape))
            )
            for row, part in zip(rows, parts, strict=True)
        }
        base = self.family.trusted(**values)
        rank = len(event_shape)
        return td.Independent.trusted(base=base, reinterpreted_batch_ndims=rank) if rank else base

    def _checked(self, inputs: Tensor, size: int) -> Tensor:
        """The inputs in float32 at least, or an error that names the layer to put in front."""
        if not inputs.shape or inputs.shape[-1] != size:
            raise ValueError(
                f"The layer {self.name!r} ({type(self).__name__}) needs {size} parameters on the "
                f"last axis, got shape {tuple(inputs.shape)}. Put a "
                f"`keras.layers.Dense({size})` in front "
                "of it (see its `params_size`)."
            )
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return ops.cast(inputs, "float64" if dtype == "float64" else "float32")


class IndependentHead(Head):
    """Base of the heads with independent components; name the family, and the head is complete.

    $\\log p(y) = \\sum_i \\log p(y_i)$ over the components of the event.

    Args:
        event_shape: int or tuple, the shape of one draw at each step. Default `()`: a scalar.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: first all values of the first
            parameter, then of the next, in the order of the family's constructor.

    Returns:
        A distribution with `batch_shape == (...)` and the event shape.

    Raises:
        ValueError: if the last axis has another size.

    >>> import keras
    >>> from timedist.distributions import Laplace
    >>> class IndependentLaplace(IndependentHead):
    ...     family = Laplace
    >>> IndependentLaplace(3)(keras.ops.zeros((32, 10, IndependentLaplace.params_size(3))))
    Independent(Laplace)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    def __init__(self, event_shape: int | Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_shape = _as_shape(event_shape)

    @classmethod
    def params_size(cls, event_shape: int | Sequence[int] = ()) -> int:
        """How many parameters the layer in front must give for an event of this shape."""
        return len(cls.rows()) * math.prod(_as_shape(event_shape))

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution whose parameters stand on the last axis."""
        size = self.params_size(self.event_shape)
        return self._read(self._checked(inputs, size), self.event_shape)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "event_shape": self.event_shape}


class MixtureHead(Head):
    """Base of the heads with a mixture of independent components; a subclass names the family.

    $p(y) = \\sum_k \\pi_k \\prod_i p_k(y_i)$

    Args:
        num_components: number K of components.
        event_shape: int or tuple, the shape of one draw at each step. Default `()`: a scalar.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: K logits, then the parameters of each
            component in turn.

    Returns:
        A `MixtureSameFamily` with `batch_shape == (...)` and the event shape.

    Raises:
        ValueError: if the last axis has another size or `num_components` is not positive.
    """

    def __init__(
        self, num_components: int, event_shape: int | Sequence[int] = (), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_components, int) or num_components < 1:
            raise ValueError(f"num_components must be a positive int, got {num_components!r}")
        self.num_components = num_components
        self.event_shape = _as_shape(event_shape)

    @classmethod
    def params_size(cls, num_components: int, event_shape: int | Sequence[int] = ()) -> int:
        """How many parameters the layer in front must give."""
        return num_components * (1 + len(cls.rows()) * math.prod(_as_shape(event_shape)))

    def call(self, inputs: Tensor) -> td.MixtureSameFamily:
        """The mixture whose parameters stand on the last axis."""
        number = self.num_components
        raw = self._checked(inputs, self.params_size(number, self.event_shape))
        logits, rest = raw[..., :number], raw[..., number:]
        each = rest.shape[-1] // number
        components = self._read(
            ops.reshape(rest, (*ops.shape(rest)[:-1], number, each)), self.event_shape
        )
        mixture = td.Categorical.trusted(logits=logits)
        return td.MixtureSameFamily.trusted(mixture=mixture, components=components)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "event_shape": self.event_shape,
        }


@serializable
class IndependentNormal(IndependentHead):
    """Head of independent normal components: `loc` as it is, `scale` by a softplus.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentNormal(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Normal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Normal


@serializable
class IndependentStudentT(IndependentHead):
    """Head of independent Student-t components: `df` above 2, so the variance is finite.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is three times
    the number of components. A fresh head starts near 8 degrees of freedom.

    >>> import keras
    >>> IndependentStudentT(3)(keras.ops.zeros((32, 10, 9)))
    Independent(StudentT)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.StudentT
    narrowed: ClassVar = {"df": constraints.greater_than(2.0, start=8.0)}


@serializable
class IndependentLogistic(IndependentHead):
    """Head of independent logistic components: `loc` as it is, `scale` by a softplus.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentLogistic()(keras.ops.zeros((32, 10, 2)))
    Logistic(batch_shape=(32, 10), event_shape=(), dtype=float32)
    """

    family = td.Logistic


@serializable
class IndependentBernoulli(IndependentHead):
    """Head of independent Bernoulli components, from log odds.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentBernoulli(3)(keras.ops.zeros((32, 10, 3)))
    Independent(Bernoulli)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Bernoulli


@serializable
class IndependentPoisson(IndependentHead):
    """Head of independent Poisson components, from log rates.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentPoisson(3)(keras.ops.zeros((32, 10, 3)))
    Independent(Poisson)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Poisson


@serializable
class IndependentNegativeBinomial(IndependentHead):
    """Head of independent negative binomial components: `total_count` by a softplus, and log odds.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentNegativeBinomial()(keras.ops.zeros((32, 10, 2)))
    NegativeBinomial(batch_shape=(32, 10), event_shape=(), dtype=float32)
    """

    family = td.NegativeBinomial


@serializable
class MixtureNormal(MixtureHead):
    """Head of a mixture of normal components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureNormal(2, 3)(keras.ops.zeros((32, 10, MixtureNormal.params_size(2, 3))))
    MixtureSameFamily(Independent(Normal))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Normal
