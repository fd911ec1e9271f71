"""Heads of families whose parameters are vectors or matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, ClassVar

from timedist import distributions as td
from timedist.distributions import constraints
from timedist.distributions.constraints import Constraint
from timedist.distributions.fields import REQUIRED, Parameter
from timedist.layers.accepting import serializable
from timedist.layers.heads import Head, Shapes, Tensor, positive_int


class VectorHead(Head):
    """Base of the heads of families of vectors; name the family, and the head is complete.

    Args:
        event_size: int, the number n of components of one draw.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: all values of the first parameter,
            then of the next, in the order of the family's constructor; a lower triangular matrix
            takes n (n + 1) / 2, in the order of `tfp.math.fill_triangular`: the numbers 1, …, 6
            make the rows 4; 6, 5; 3, 2, 1.

    Returns:
        A distribution with `batch_shape == (...)` and `event_shape == (n,)`.

    Raises:
        ValueError: if the last axis has another size or `event_size` is no positive int.
    """

    def __init__(
        self,
        event_size: int,
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        self.event_size = size = positive_int("event_size", event_size)
        super().__init__(self._layout(size), convert_to_tensor_fn, validate_args, **kwargs)

    @classmethod
    def params_size(cls, event_size: int, name: str | None = None) -> int:
        """How many parameters the layer in front must give; `name` means nothing."""
        del name
        return cls._total(cls._layout(event_size))

    @classmethod
    def _layout(cls, event_size: int) -> Shapes:
        return {row.name: (event_size,) * row.event_rank for row in cls.rows()}

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw."""
        return (self.event_size,)

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution whose parameters stand on the last axis."""
        return self._read(self._checked(inputs))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "event_size": self.event_size}


class CategoryHead(Head):
    """Base of the heads of families of categories; name the family, and the head is complete.

    Args:
        num_categories: int, the number K of categories, at least 2.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers.

    Returns:
        A distribution with `batch_shape == (...)`.

    Raises:
        ValueError: if the last axis has another size or `num_categories` is no int above 1.
    """

    def __init__(self, num_categories: int, **kwargs: Any) -> None:
        self.num_categories = positive_int("num_categories", num_categories, 2)
        super().__init__(self._layout(num_categories), **kwargs)

    @classmethod
    def params_size(cls, num_categories: int) -> int:
        """How many parameters the layer in front must give for this number of categories."""
        return cls._total(cls._layout(num_categories))

    @classmethod
    def _layout(cls, num_categories: int) -> Shapes:
        return {row.name: (num_categories,) for row in cls.rows()}

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution whose parameters stand on the last axis."""
        return self._read(self._checked(inputs))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "num_categories": self.num_categories}


@serializable
class Categorical(CategoryHead):
    """Head of one category out of K, from K logits.

    Arguments, result and errors as for `CategoryHead`; `params_size(num_categories)` is K.

    >>> import keras
    >>> Categorical(4)(keras.ops.zeros((32, 10, 4)))
    Categorical(batch_shape=(32, 10), event_shape=(), dtype=float32)
    """

    family = td.Categorical


@serializable
class OrderedLogistic(CategoryHead):
    """Head of one of K ordered categories, from K - 1 cutpoints that always increase.

    The first cutpoint is taken as it is, each other one lies above the one before by a softplus;
    `loc` is 0, since moving it would only move all cutpoints. A fresh head gives all categories the
    same probability. Arguments, result and errors as for `CategoryHead`;
    `params_size(num_categories)` is K - 1.

    >>> import keras
    >>> OrderedLogistic(4)(keras.ops.zeros((32, 10, 3)))
    OrderedLogistic(batch_shape=(32, 10), event_shape=(), dtype=float32)
    """

    family = td.OrderedLogistic
    fixed: ClassVar = {"loc": 0.0}

    @classmethod
    def _layout(cls, num_categories: int) -> Shapes:
        return {"cutpoints": (num_categories - 1,)}

    def _constraint(self, row: Parameter) -> Constraint:
        shares = [k / self.num_categories for k in range(1, self.num_categories)]
        return constraints.increasing([math.log(p / (1.0 - p)) for p in shares])


@serializable
class OneHotCategorical(VectorHead):
    """Head of a vector with a 1 at one of n places and 0 elsewhere, from n logits.

    Arguments, result and errors as for `VectorHead`, with `sample_dtype` in front of
    `validate_args`, as in TFP; `params_size(event_size)` is n.

    >>> import keras
    >>> OneHotCategorical(4)(keras.ops.zeros((32, 10, 4)))
    OneHotCategorical(batch_shape=(32, 10), event_shape=(4,), dtype=float32)
    """

    family = td.OneHotCategorical

    def __init__(
        self,
        event_size: int,
        convert_to_tensor_fn: Any = None,
        sample_dtype: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            event_size, convert_to_tensor_fn, validate_args, sample_dtype=sample_dtype, **kwargs
        )


@serializable
class MultivariateNormalDiag(VectorHead):
    """Head of a normal vector with independent components: `loc`, and `scale_diag` by a softplus.

    Arguments, result and errors as for `VectorHead`; `params_size(event_size)` is 2 n.

    >>> import keras
    >>> MultivariateNormalDiag(3)(keras.ops.zeros((32, 10, 6)))
    MultivariateNormalDiag(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.MultivariateNormalDiag


@serializable
class MultivariateNormalTriL(VectorHead):
    """Head of a normal vector with any covariance, by its Cholesky factor.

    The factor's diagonal is made positive by a plain softplus plus 1e-5, as in TFP; a fresh head
    has log 2 there. Arguments, result and errors as for `VectorHead`; `params_size(event_size)` is
    n + n (n + 1) / 2.

    >>> import keras
    >>> MultivariateNormalTriL(3)(keras.ops.zeros((32, 10, 9)))
    MultivariateNormalTriL(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.MultivariateNormalTriL
    narrowed: ClassVar = {
        "scale_tril": constraints.cholesky_factor(constraints.shifted_softplus(1e-5))
    }


@serializable
class MultivariateNormalDiagPlusLowRankCovariance(VectorHead):
    """Head of a normal vector whose covariance is a diagonal plus a matrix of low rank.

    For long vectors: the number of parameters grows with n, not with its square.

    Args:
        event_size: int, the number n of components of one draw.
        rank: int, the rank r of the second part of the covariance.
        **kwargs: of `keras.Layer` and `DistributionLayer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: n of `loc`, n of the diagonal, and
            n r of the factor, row after row.

    Returns:
        A distribution with `batch_shape == (...)` and `event_shape == (n,)`.

    Raises:
        ValueError: if the last axis has another size, or `event_size` or `rank` is no positive int.

    Source: Salinas, Bohlke-Schneider, Callot, Medico, Gasthaus: High-Dimensional Multivariate
    Forecasting with Low-Rank Gaussian Copula Processes (2019), section 3.

    >>> import keras
    >>> MultivariateNormalDiagPlusLowRankCovariance(3, rank=1)(keras.ops.zeros((2, 9)))
    MultivariateNormalDiagPlusLowRankCovariance(batch_shape=(2,), event_shape=(3,), dtype=float32)
    """

    family = td.MultivariateNormalDiagPlusLowRankCovariance

    def __init__(self, event_size: int, rank: int, **kwargs: Any) -> None:
        self.rank = positive_int("rank", rank)
        super().__init__(event_size, **kwargs)
        self._use({**self.shapes, "cov_perturb_factor": (event_size, rank)})

    @classmethod
    def params_size(cls, event_size: int, rank: int) -> int:  # type: ignore[override]
        """How many parameters the layer in front must give for a vector of this size."""
        return event_size * (2 + rank)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "rank": self.rank}


@serializable
class MultivariateStudentTTriL(VectorHead):
    """Head of a Student-t vector with any scale matrix; `df` above 2, so the variance is finite.

    Arguments, result and errors as for `VectorHead`; `params_size(event_size)` is
    1 + n + n (n + 1) / 2. A fresh head starts near 8 degrees of freedom.

    >>> import keras
    >>> MultivariateStudentTTriL(3)(keras.ops.zeros((32, 10, 10)))
    MultivariateStudentTTriL(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.MultivariateStudentTTriL
    narrowed: ClassVar = {"df": constraints.greater_than(2.0, start=8.0)}


@serializable
class Dirichlet(VectorHead):
    """Head of a vector of shares that sum to one; a fresh head gives all vectors the same density.

    Arguments, result and errors as for `VectorHead`; `params_size(event_size)` is n.

    >>> import keras
    >>> Dirichlet(3)(keras.ops.zeros((32, 10, 3)))
    Dirichlet(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Dirichlet


@serializable
class Binned(Head):
    """Head of a histogram over given bins, from one logit for each.

    Args:
        edges: ends of the K bins, K + 1 increasing numbers in the unit of the data.
        **kwargs: of `keras.Layer` and `DistributionLayer`.

    Call arguments:
        inputs: tensor `(..., K)`, any real numbers.

    Returns:
        A `Binned` distribution with `batch_shape == (...)`; a fresh head gives all bins the same
        probability.

    Raises:
        ValueError: if the last axis has another size or the edges do not increase.

    >>> import keras
    >>> Binned([0.0, 1.0, 2.0, 5.0])(keras.ops.zeros((32, 10, 3)))
    Binned(batch_shape=(32, 10), event_shape=(), dtype=float32)
    """

    family = td.Binned
    fixed: ClassVar = {"edges": REQUIRED}

    def __init__(self, edges: Sequence[float], **kwargs: Any) -> None:
        super().__init__({"logits": (len(edges) - 1,)}, edges=edges, **kwargs)

    @classmethod
    def params_size(cls, edges: Sequence[float]) -> int:
        """How many parameters the layer in front must give: one for each bin."""
        return len(edges) - 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw."""
        return ()

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution whose parameters stand on the last axis."""
        return self._read(self._checked(inputs))


@serializable
class QuantileGrid(Head):
    """Head of the quantiles at given levels, which never cross.

    The first quantile is taken as it is, each other one lies above the one before by a softplus; a
    fresh head gives those of the standard normal distribution.

    Args:
        levels: the K >= 2 probabilities of the quantiles, increasing, in (0, 1).
        **kwargs: of `keras.Layer` and `DistributionLayer`.

    Call arguments:
        inputs: tensor `(..., K)`, any real numbers.

    Returns:
        A `QuantileGrid` distribution with `batch_shape == (...)`.

    Raises:
        ValueError: if the last axis has another size or the levels are not in order.

    Source: Park, Maddix, Aubet, Kan, Gasthaus, Wang: Learning Quantile Functions without Quantile
    Crossing for Distribution-free Time Series Forecasting (2022), section 3.

    >>> import keras
    >>> QuantileGrid([0.1, 0.5, 0.9])(keras.ops.zeros((32, 10, 3)))
    QuantileGrid(batch_shape=(32, 10), event_shape=(), dtype=float32)
    """

    family = td.QuantileGrid
    fixed: ClassVar = {"levels": REQUIRED}

    def __init__(self, levels: Sequence[float], **kwargs: Any) -> None:
        number = len(levels)
        self.family(levels=tuple(levels), values=list(range(number)))  # says what is wrong
        super().__init__({"values": (number,)}, levels=levels, **kwargs)

    @classmethod
    def params_size(cls, levels: Sequence[float]) -> int:
        """How many parameters the layer in front must give: one for each level."""
        return len(levels)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw."""
        return ()

    def _constraint(self, row: Parameter) -> Constraint:
        return constraints.increasing([NormalDist().inv_cdf(level) for level in self.levels])

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution whose parameters stand on the last axis."""
        return self._read(self._checked(inputs))
