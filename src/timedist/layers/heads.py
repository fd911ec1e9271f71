"""Heads: layers without weights that read the parameters of a distribution off the last axis.

A head for a family is its class and, where the family's own range is too wide for a network, a
narrower constraint; splitting, raw-to-valid maps and sizes follow from the family's table.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from keras import ops

from timedist import distributions as td
from timedist.distributions import constraints
from timedist.distributions.constraints import Constraint
from timedist.distributions.fields import REQUIRED, Parameter
from timedist.layers.base import DistributionLayer
from timedist.ops import compat, special

Tensor = Any
Shapes = dict[str, tuple[int, ...]]


class Head(DistributionLayer):
    """Base of the heads of a family; a subclass names the family.

    Raw zeros give a distribution near mean 0 and scale 1 where the family can have them, so that a
    fresh network on standardised data starts from a sensible forecast. The heads `tfp.layers` has
    read their parameters as those do, by a plain softplus: their scale starts at log 2.

    Attributes:
        family: the family, a subclass of `Distribution`.
        narrowed: constraints to use instead of the family's, by name of the parameter.
        fixed: parameters of the family that the network does not give but the user of the head, as
            keyword arguments of its constructor, with their defaults (`REQUIRED` for none).
        width: of an instance: how many numbers the layer in front must give at each step; `None` if
            it depends on a component layer that does not tell.

    Args:
        shapes: the shape of each parameter the network gives, for one step.
        convert_to_tensor_fn: as for `DistributionLayer`.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`, and those in `fixed`.
    """

    family: type[td.Distribution]
    narrowed: ClassVar[dict[str, Constraint]] = {}
    fixed: ClassVar[dict[str, Any]] = {}
    width: int | None

    def __init__(
        self,
        shapes: Shapes,
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        given = {name: kwargs.pop(name, default) for name, default in self.fixed.items()}
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self._use(shapes)
        for name, value in given.items():
            if value is REQUIRED:
                raise TypeError(
                    f"{type(self).__name__} needs {name!r}, a parameter of "
                    f"{self.family.__name__} that it does not learn: give "
                    f"`{type(self).__name__}(..., {name}=...)`"
                )
            setattr(self, name, _plain(value))
        if self.fixed:  # let the family say what is wrong with them
            self._read(ops.zeros((self.width,)), self.family)

    @classmethod
    def new(cls, params: Any, *args: Any, **kwargs: Any) -> td.Distribution:
        """The distribution of a tensor of raw parameters, where no layer is wanted.

        Args:
            params: tensor `(..., params_size)`.
            *args: of the constructor.
            **kwargs: of the constructor.

        Returns:
            The distribution the layer would give.
        """
        return cls(*args, **kwargs).call(ops.convert_to_tensor(params))

    @classmethod
    def rows(cls) -> list[Parameter]:
        """The parameters the network gives, in the order of the family's constructor.

        Of two that say the same it is the unconstrained one.
        """
        table = {row.name: row for row in cls.family._parameters() if row.name not in cls.fixed}
        ordered = [
            table[name] for name in inspect.signature(cls.family).parameters if name in table
        ]
        return [r for r in ordered if r.instead_of is None or r.constraint is constraints.real]

    def _use(self, shapes: Shapes) -> None:
        self.shapes, self.width = shapes, self._total(shapes)
        self.__dict__["_parts"] = None

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.fixed}}

    @classmethod
    def _total(cls, shapes: Shapes) -> int:
        return sum(cls._raw_sizes(shapes))

    @classmethod
    def _raw_sizes(cls, shapes: Shapes) -> list[int]:
        rows = {row.name: cls.narrowed.get(row.name, row.constraint) for row in cls.rows()}
        return [math.prod(rows[name].raw_shape(shape)) for name, shape in shapes.items()]

    def _split_into(self) -> tuple[list[int], list[tuple]]:
        """The sizes of the parts of the last axis; and of each its name, raw shape and map."""
        if self._parts is None:  # looked up once: on torch it would count in every training step
            rows = [(row.name, self._constraint(row)) for row in self.rows()]
            parts = [
                (name, kind.raw_shape(self.shapes[name]), kind.to_valid) for name, kind in rows
            ]
            self.__dict__["_parts"] = self._raw_sizes(self.shapes), parts
        return self._parts

    def _constraint(self, row: Parameter) -> Constraint:
        return self.narrowed.get(row.name, row.constraint)

    def _read(self, raw: Tensor, make: Any = None) -> Any:
        """The family with valid parameters from a tensor whose last axis holds the raw ones."""
        values = {name: getattr(self, name) for name in self.fixed}
        sizes, parts = self._split_into()
        for (name, shape, to_valid), piece in zip(parts, special.parts(raw, sizes), strict=True):
            fits = len(shape) == 1
            raw_one = piece if fits else ops.reshape(piece, (*ops.shape(raw)[:-1], *shape))
            values[name] = to_valid(raw_one)
        return (make or self.family.trusted)(**values)

    @classmethod
    def _repeated(cls, event_shape: tuple[int, ...]) -> Shapes:
        """Shapes of the parameters of independent components: all that of the event."""
        return {row.name: event_shape for row in cls.rows()}

    def _check_size(self, shape: Sequence[int | None]) -> None:
        """Raise an error that names the layer to put in front, unless the last axis fits."""
        size = self.width
        if not shape or shape[-1] != size:
            raise ValueError(
                f"The layer {self.name!r} ({type(self).__name__}) needs {size} parameters on the "
                f"last axis, got shape {tuple(shape)}. Put a `keras.layers.Dense({size})` in front "
                "of it (see its `params_size`)."
            )

    def _checked(self, inputs: Tensor) -> Tensor:
        """The inputs, if they fit, in float32 at least."""
        self._check_size(inputs.shape)
        return at_least_float32(inputs)


class IndependentHead(Head):
    r"""Base of the heads with independent components; name the family, and the head is complete.

    $\log p(y) = \sum_i \log p(y_i)$ over the components of the event.

    Args:
        event_shape: int or tuple, the shape of one draw at each step. Default `()`: a scalar.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
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
    >>> class MyLaplace(IndependentHead):
    ...     family = Laplace
    >>> MyLaplace(3)(keras.ops.zeros((32, 10, MyLaplace.params_size(3))))
    Independent(Laplace)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    def __init__(
        self,
        event_shape: int | Sequence[int] = (),
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        self.event_shape = shape = as_event_shape(event_shape)
        super().__init__(self._repeated(shape), convert_to_tensor_fn, validate_args, **kwargs)

    @classmethod
    def params_size(cls, event_shape: int | Sequence[int] = (), name: str | None = None) -> int:
        """How many parameters the layer in front must give; `name` means nothing."""
        del name
        return cls._total(cls._repeated(as_event_shape(event_shape)))

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution whose parameters stand on the last axis."""
        return _independent(self._read(self._checked(inputs)), len(self.event_shape))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "event_shape": self.event_shape}


class MixtureHead(Head):
    r"""Base of the heads with a mixture of independent components; a subclass names the family.

    $p(y) = \sum_k \pi_k \prod_i p_k(y_i)$

    Args:
        num_components: number K of components.
        event_shape: int or tuple, the shape of one draw at each step. Default `()`: a scalar.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
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
        self,
        num_components: int,
        event_shape: int | Sequence[int] = (),
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        self.num_components = positive_int("num_components", num_components)
        self.event_shape = shape = as_event_shape(event_shape)
        super().__init__(self._repeated(shape), convert_to_tensor_fn, validate_args, **kwargs)
        self.width = self.params_size(num_components, shape)

    @classmethod
    def params_size(
        cls, num_components: int, event_shape: int | Sequence[int] = (), name: str | None = None
    ) -> int:
        """How many parameters the layer in front must give; `name` means nothing."""
        del name
        return num_components * (1 + cls._total(cls._repeated(as_event_shape(event_shape))))

    def call(self, inputs: Tensor) -> td.MixtureSameFamily:
        """The mixture whose parameters stand on the last axis."""

        def components(raw: Tensor) -> td.Distribution:
            return _independent(self._read(raw), len(self.event_shape))

        return mixture_of(self._checked(inputs), self.num_components, components)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "event_shape": self.event_shape,
        }


class ZeroHead(Head):
    r"""Base of the heads with additional zeros; name the family and the wrapper.

    $p(y) = \prod_i p(y_i)$, each component being zero with a probability of its own.

    Attributes:
        family: the family of the values: counts, or positive numbers.
        wrapper: `ZeroInflated` or `Hurdle`.

    Args:
        event_shape: int or tuple, the shape of one draw at each step. Default `()`: a scalar.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: the log odds of a zero for each
            component, then the parameters of the family as for `IndependentHead`.

    Returns:
        A distribution with `batch_shape == (...)` and the event shape.

    Raises:
        ValueError: if the last axis has another size.
    """

    wrapper: ClassVar[type[td.Distribution]]

    def __init__(
        self,
        event_shape: int | Sequence[int] = (),
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        self.event_shape = shape = as_event_shape(event_shape)
        super().__init__(self._repeated(shape), convert_to_tensor_fn, validate_args, **kwargs)
        self.width = self.params_size(shape)

    @classmethod
    def params_size(cls, event_shape: int | Sequence[int] = ()) -> int:
        """How many parameters the layer in front must give for an event of this shape."""
        shape = as_event_shape(event_shape)
        return math.prod(shape) + cls._total(cls._repeated(shape))

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution whose parameters stand on the last axis."""
        raw, number = self._checked(inputs), math.prod(self.event_shape)
        odds, rest = special.parts(raw, (number, raw.shape[-1] - number))
        base = self._read(rest)
        logits = ops.reshape(odds, (*ops.shape(raw)[:-1], *self.event_shape))
        zeros = self.wrapper.trusted(base=base, logits=logits)
        return _independent(zeros, len(self.event_shape))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "event_shape": self.event_shape}


def at_least_float32(inputs: Tensor) -> Tensor:
    """The inputs in float64 if they are so, else in float32: no likelihood is in bfloat16."""
    return ops.cast(inputs, "float64" if compat.dtype_of(inputs) == "float64" else "float32")


def mixture_of(raw: Tensor, number: int, components: Callable) -> td.MixtureSameFamily:
    """A mixture from K logits on the last axis, then the parameters of each component in turn.

    Args:
        raw: tensor `(..., K + K n)`.
        number: number K of components.
        components: gives their distribution from a tensor `(..., K, n)`.
    """
    logits, rest = special.parts(raw, (number, raw.shape[-1] - number))
    rest = ops.reshape(rest, (*ops.shape(rest)[:-1], number, rest.shape[-1] // number))
    return td.MixtureSameFamily.trusted(
        mixture=td.Categorical.trusted(logits=logits), components=components(rest)
    )


def as_event_shape(event_shape: Any) -> tuple[int, ...]:
    """An event shape, an int or a sequence of them, as a tuple of positive ints."""
    shape = (event_shape,) if isinstance(event_shape, Integral) else tuple(event_shape)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in shape):
        raise ValueError(
            f"event_shape must be a positive int or a tuple of them, got {event_shape!r}"
        )
    return tuple(map(int, shape))


def positive_int(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int if it is one of at least `least`, else a `ValueError` that names it."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        wanted = "a positive int" if least == 1 else f"an int of at least {least}"
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return int(value)


def _independent(base: td.Distribution, rank: int) -> td.Distribution:
    return td.Independent.trusted(base=base, reinterpreted_batch_ndims=rank) if rank else base


def _plain(value: Any) -> Any:
    """A number, or tuples of numbers, that a config can hold."""
    array = compat.to_numpy(value) if compat.is_tensor(value) else np.asarray(value)
    return array.item() if array.ndim == 0 else tuple(_plain(part) for part in array)
