"""`Value`: an immutable object made of parameter tensors, declared by a table.

What a distribution is before it is a distribution: construction, validation, structure. It is a
leaf for `keras.tree` and a pytree for the backend, so it may enter and leave compiled functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from timedist.distributions import fields
from timedist.ops import compat

Tensor = Any
Shape = tuple[int | None, ...]

_PACKAGE = "timedist.distributions"


class Value:
    """An immutable object made of tensors, other values and plain Python values.

    A subclass declares its table with `parameter`, `component`, `shared` and `static` in its body;
    the constructor, validation, broadcasting and the pytree protocols follow from it.
    """

    table: ClassVar[tuple[fields.Field, ...]] = ()
    _values: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = tuple(v for v in vars(cls).values() if isinstance(v, fields.Field))
        names = {row.name for row in own}
        cls.table = tuple(row for row in cls.table if row.name not in names) + own
        cls.__signature__ = _signature(cls.table)  # type: ignore[attr-defined]
        compat.register_pytree(cls, cls._flattened, cls._restored)
        home = _home_of(cls)
        if home is not None:
            keras.saving.register_keras_serializable(home)(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = type(self).__signature__.bind(*args, **kwargs)  # type: ignore[attr-defined]
        bound.apply_defaults()
        self.__dict__["_values"] = self._prepared(dict(bound.arguments))
        self._check()

    # --- construction --------------------------------------------------------------------------

    @classmethod
    def trusted(cls, **parameters: Tensor) -> Any:
        """A distribution whose parameters are known to be valid: converts, but looks at no number.

        Args:
            **parameters: as for the constructor, by name.

        Returns:
            The distribution. Layers use this: their raw-to-valid maps give valid values only.
        """
        values = {**cls._defaults(), **parameters}
        if len(values) > len(cls.table) or any(v is fields.REQUIRED for v in values.values()):
            # Says what is wrong. (mypy does not know what `__init_subclass__` sets.)
            cls.__signature__.bind(**parameters)  # type: ignore[attr-defined]
        self = object.__new__(cls)
        self.__dict__["_values"] = self._prepared(values)
        return self

    @classmethod
    @cache
    def _defaults(cls) -> dict[str, Any]:
        """What is not given, by name, in the order of the table."""
        return {row.name: row.default for row in cls.table}

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        self._check_alternatives(values)
        given = [r for r in self._parameters() if values[r.name] is not None]
        inside = [*self._check_components(values), *self._check_shared(values)]
        dtype = common_dtype([*(values[r.name] for r in given), *inside])
        for part in self._components():
            values[part.name] = in_dtype(values[part.name], dtype)
        for name in self._shared_names():
            values[name] = tuple(self._to_tensor(name, x, dtype) for x in values[name])
        tensors = [self._to_tensor(r.name, values[r.name], dtype) for r in given]
        for row, tensor in zip(given, self._broadcast(given, tensors), strict=True):
            values[row.name] = tensor
        return values

    def _check_components(self, values: dict[str, Any]) -> list[Tensor]:
        """Make tuples of sequences of distributions; the tensors of all of them."""
        leaves: list[Tensor] = []
        for row in self._components():
            given = values[row.name]
            if row.many:
                given = values[row.name] = tuple(given) if isinstance(given, Sequence) else ()
            parts = given if row.many else (given,)
            wrong = [type(part).__name__ for part in parts if not isinstance(part, Value)]
            if wrong or not parts:
                wanted = "a non-empty list of distributions" if row.many else "a distribution"
                raise TypeError(
                    f"{type(self).__name__}: {row.name} must be {wanted}, "
                    f"got {wrong[0] if wrong else 'none'}"
                )
            leaves.extend(leaf for part in parts for leaf in part.leaves())
        return leaves

    def _check_shared(self, values: dict[str, Any]) -> list[Any]:
        """The tensors that all the batch shares."""
        for name in self._shared_names():
            if not isinstance(values[name], (list, tuple)):
                raise TypeError(
                    f"{type(self).__name__}: {name} must be a list or a tuple of tensors, got "
                    f"{type(values[name]).__name__}"
                )
        return [x for name in self._shared_names() for x in values[name]]

    def _check_alternatives(self, values: dict[str, Any]) -> None:
        for row in self._parameters():
            if row.instead_of is None:
                continue
            given = [n for n in (row.name, row.instead_of) if values[n] is not None]
            if len(given) != 1:
                raise ValueError(
                    f"{self._family} needs exactly one of {row.name!r} and {row.instead_of!r}, "
                    f"got {'both' if given else 'neither'}"
                )

    def _to_tensor(self, name: str, value: Any, dtype: str) -> Tensor:
        if isinstance(value, Value) or compat.is_symbolic(value):
            raise TypeError(
                f"{self._family}: parameter {name!r} must be a number or a tensor, got {value!r}. "
                "In a functional model build distributions in a layer, e.g. "
                "`timedist.layers.DistributionLambda`."
            )
        try:
            return compat.to_tensor(value, dtype)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{self._family}: parameter {name!r} must be a number or a tensor, got {value!r}"
            ) from error

    def _broadcast(self, rows: list[fields.Parameter], tensors: list[Tensor]) -> list[Tensor]:
        for row, tensor in zip(rows, tensors, strict=True):
            if len(tensor.shape) < row.event_rank:
                raise ValueError(
                    f"{self._family}: parameter {row.name!r} must have at least {row.event_rank} "
                    f"axes, got shape {tuple(tensor.shape)}"
                )
        shapes = [
            tuple(t.shape)[: len(t.shape) - r.event_rank]
            for r, t in zip(rows, tensors, strict=True)
        ]
        if len(set(shapes)) <= 1:
            return tensors
        try:
            return _broadcast_batch(tensors, [row.event_rank for row in rows])
        except Exception as error:  # each backend has its own class for shapes that do not fit
            named = ", ".join(
                f"{r.name} {tuple(t.shape)}" for r, t in zip(rows, tensors, strict=True)
            )
            raise ValueError(
                f"{self._family}: parameters do not broadcast against each other: {named}"
            ) from error

    def _check(self) -> None:
        for row in self._parameters():
            value = self._values[row.name]
            if value is None or not compat.is_concrete(value):
                continue
            holds = compat.to_numpy(row.constraint.holds(value))
            if not np.all(holds):
                array = compat.to_numpy(value)
                bad = array[~np.broadcast_to(holds, array.shape)].flat[0]
                raise ValueError(
                    f"{self._family}: parameter {row.name!r} must be {row.constraint.name}, "
                    f"got {bad:g} (in shape {tuple(array.shape)})"
                )

    # --- structure -----------------------------------------------------------------------------

    @property
    def _family(self) -> str:
        return type(self).__name__

    # Asked at every step of a training loop that is not compiled, so looked up once for a class.

    @classmethod
    @cache
    def _parameters(cls) -> tuple[fields.Parameter, ...]:
        return tuple(row for row in cls.table if isinstance(row, fields.Parameter))

    @classmethod
    @cache
    def _components(cls) -> tuple[fields.Component, ...]:
        return tuple(row for row in cls.table if isinstance(row, fields.Component))

    @classmethod
    @cache
    def _shared_names(cls) -> tuple[str, ...]:
        return tuple(row.name for row in cls.table if isinstance(row, fields.Shared))

    def _given(self) -> list[tuple[str, Any]]:
        """Names and values of what is given: tensors, distributions and tuples of these."""
        rows = [row.name for row in self.table if not isinstance(row, fields.Static)]
        return [(name, self._values[name]) for name in rows if self._values[name] is not None]

    def _children(self) -> list[Any]:
        """Tensors and distributions this value is made of, in the order of the table."""
        children: list[Any] = []
        for _, value in self._given():
            children.extend(value if isinstance(value, tuple) else (value,))
        return children

    def _are_shared(self) -> list[bool]:
        """Of each child, whether it is a tensor without batch axes."""
        names = self._shared_names()
        return [
            name in names
            for name, value in self._given()
            for _ in (value if isinstance(value, tuple) else (value,))
        ]

    def _structure(self) -> tuple:
        """Everything but the tensors, hashable: what is given, and the static values.

        What is given is a name and, for a tuple of distributions or tensors, their number.
        """
        names = tuple(
            (name, len(value) if isinstance(value, tuple) else None)
            for name, value in self._given()
        )
        statics = tuple(
            (row.name, self._values[row.name])
            for row in self.table
            if isinstance(row, fields.Static)
        )
        return names, statics

    @classmethod
    def _rebuilt(cls, structure: tuple, children: Iterable) -> Any:
        names, statics = structure
        self = object.__new__(cls)
        values: dict[str, Any] = {row.name: None for row in cls.table}
        rest = iter(children)
        for name, number in names:
            values[name] = next(rest) if number is None else tuple(islice(rest, number))
        values.update(statics)
        self.__dict__["_values"] = values
        return self

    def _flattened(self) -> tuple[tuple, Any]:
        """What leaves a compiled function of JAX: the children, and the Keras mask if there is one.

        Without it metrics in `fit`, which sees outputs as pytrees, would know of no mask.
        """
        mask = compat.get_keras_mask(self)
        masks = () if mask is None else (mask,)
        return (*self._children(), *masks), (self._structure(), bool(masks))

    @classmethod
    def _restored(cls, description: tuple, parts: Sequence) -> Any:
        structure, masked = description
        self = cls._rebuilt(structure, parts[:-1] if masked else parts)
        if masked:
            compat.set_keras_mask(self, parts[-1])
        return self

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, with arrays for tensors: Keras saves distributions by it."""
        return {name: _plain(value) for name, value in self._values.items() if value is not None}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The inverse of `get_config`."""
        read = keras.saving.deserialize_keras_object
        return cls(**{name: read(value) for name, value in config.items()})

    @property
    def _refuses_numbers(self) -> bool:
        """Whether hooks of it or of a part refuse bad numbers, which a program does not see."""
        return any(part._refuses_numbers for part in self._children() if isinstance(part, Value))

    def leaves(self) -> list[Tensor]:
        """All parameter tensors, those of nested distributions included, in a fixed order."""
        flat: list[Tensor] = []
        for child in self._children():
            flat.extend(child.leaves() if isinstance(child, Value) else [child])
        return flat

    def shared_leaves(self) -> list[bool]:
        """Of each of `leaves()`, whether the batch shares it: whether it has no batch axes."""
        return self._map(lambda _: False, lambda _: True).leaves()

    def map_leaves(self, function: Callable[[Tensor], Tensor]) -> Any:
        """The same distribution with every tensor replaced by `function(tensor)`.

        Args:
            function: takes and returns a tensor; its leading axes are the batch axes, unless it is
                one of those the batch shares. For a function of the batch axes see `map_batch`.

        Returns:
            A distribution of the same family; nothing is converted or checked.
        """
        return self._map(function, function)

    def map_batch(self, function: Callable[[Tensor], Tensor]) -> Any:
        """As `map_leaves`, but leaves the tensors as they are that all the batch shares.

        Args:
            function: takes and returns a tensor whose leading axes are the batch axes.

        Returns:
            A distribution of the same family; nothing is converted or checked.
        """
        return self._map(function, lambda x: x)

    def _map(self, function: Callable, of_shared: Callable) -> Any:
        children = [
            c._map(function, of_shared)
            if isinstance(c, Value)
            else (of_shared if shared else function)(c)
            for c, shared in zip(self._children(), self._are_shared(), strict=True)
        ]
        return self._rebuilt(self._structure(), children)

    def with_leaves(self, leaves: Sequence[Tensor]) -> Any:
        """The same distribution with its parameter tensors replaced, in the order of `leaves()`."""
        rest = iter(leaves)
        return self.map_leaves(lambda _: next(rest))

    def __tf_flatten__(self) -> tuple:
        return (self._structure(), tuple(self._children()))

    @classmethod
    def __tf_unflatten__(cls, metadata: tuple, components: tuple) -> Any:
        return cls._rebuilt(metadata, components)

    def __tf_tracing_type__(self, context: Any) -> Any:
        from timedist.ops.tracing import LeavesTraceType

        skeleton = self.map_leaves(lambda _: 0)
        return LeavesTraceType.of(
            _Skeleton(skeleton),
            self.leaves(),
            lambda s, new: s.distribution.with_leaves(new),
            context,
        )


class _Skeleton:
    """A distribution without its tensors, equal and hashed by what is left of it."""

    def __init__(self, distribution: Value):
        self.distribution = distribution
        self.key = _skeleton_key(distribution)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Skeleton) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _skeleton_key(distribution: Value) -> tuple:
    parts = tuple(
        _skeleton_key(c) if isinstance(c, Value) else None for c in distribution._children()
    )
    return type(distribution), distribution._structure(), parts


def _home_of(cls: type) -> str | None:
    """The name under which Keras saves a value of this package; others register their own."""
    module = cls.__module__
    if not module.startswith(_PACKAGE):
        return None
    own = (".transforms", ".flows", ".kernel", ".kernels")
    return module if module.endswith(own) else _PACKAGE


def _signature(table: tuple[fields.Field, ...]) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    ordered = sorted(table, key=lambda f: f.default is not fields.REQUIRED)
    parameters = [inspect.Parameter(f.name, kind, default=_default(f)) for f in ordered]
    return inspect.Signature(parameters)


def _default(field: fields.Field) -> Any:
    return inspect.Parameter.empty if field.default is fields.REQUIRED else field.default


def _plain(value: Any) -> Any:
    """Arrays for tensors, also for those in a tuple."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return compat.to_numpy(value) if compat.is_tensor(value) else value


def in_dtype(value: Any, dtype: str) -> Any:
    """The value, or each in a tuple, with its floating tensors in `dtype`."""
    if isinstance(value, tuple):
        return tuple(in_dtype(part, dtype) for part in value)
    dtypes = {compat.dtype_of(leaf) for leaf in value.leaves()}
    wrong = {d for d in dtypes if keras.backend.is_float_dtype(d)} - {dtype}
    if not wrong:
        return value
    return value.map_leaves(
        lambda leaf: ops.cast(leaf, dtype) if compat.dtype_of(leaf) in wrong else leaf
    )


def _broadcast_batch(tensors: list[Tensor], ranks: list[int]) -> list[Tensor]:
    """Broadcast the leading axes of tensors, all but the last `rank` of each."""
    if not any(ranks):
        return list(compat.broadcast_arrays(*tensors))
    firsts = [t[(..., *(0,) * rank)] for t, rank in zip(tensors, ranks, strict=True)]
    batches = compat.broadcast_arrays(*firsts)
    return [
        compat.broadcast_arrays(t, batch[(..., *(None,) * rank)])[0]
        for t, batch, rank in zip(tensors, batches, ranks, strict=True)
    ]


def common_dtype(values: Sequence[Any]) -> str:
    """The floating dtype all parameters share: at least float32, Python numbers do not count."""
    dtypes = {keras.backend.standardize_dtype(v.dtype) for v in values if hasattr(v, "dtype")}
    floats = {d for d in dtypes if keras.backend.is_float_dtype(d)}
    if "float64" in floats:
        return "float64"
    return "float64" if not floats and keras.backend.floatx() == "float64" else "float32"
