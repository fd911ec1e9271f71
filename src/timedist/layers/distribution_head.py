"""A head with the dense layer in front of it, by the name of its family."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

import keras

from timedist import distributions as td
from timedist.layers import blockwise_head, families, mixture_same_family, mixtures, vectors
from timedist.layers.accepting import serializable
from timedist.layers.base import DistributionLayer
from timedist.layers.heads import Head

Tensor = Any

_OWN = ("name", "dtype", "trainable", "convert_to_tensor_fn", "validate_args", "sample_dtype")


def head_names() -> dict[str, type[Head]]:
    """All heads of the package by their names in small letters.

    A head of independent components has its family's name too.

    Returns:
        A dictionary from names such as `"student_t"`, `"independent_student_t"`,
        `"mixture_normal"` and `"multivariate_normal_tril"` to classes.

    >>> head_names()["student_t"].__name__
    'IndependentStudentT'
    """
    names = {_snake(cls.__name__).removesuffix("_head"): cls for cls in _heads()}
    return {name.removeprefix("independent_"): cls for name, cls in names.items()} | names


def _heads() -> Iterator[type[Head]]:
    for module in (families, mixtures, mixture_same_family, vectors, blockwise_head):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Head) and "family" in vars(value):
                yield value


def _snake(name: str) -> str:
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return "_".join(words).lower().replace("tri_l", "tril")


@serializable
class DistributionHead(DistributionLayer):
    """A head together with the `Dense` layer that gives its parameters.

    Args:
        head: the name of a head or of its family in small letters (`"normal"`, `"student_t"`,
            `"mixture_normal"`, `"multivariate_normal_tril"`, …; `head_names()` lists them), the
            class of a head, or a head.
        kernel_initializer: of the `Dense` layer. Default `"glorot_uniform"`.
        bias_initializer: of the `Dense` layer. Default `"zeros"`.
        **options: of the head, such as `event_shape`, `event_size` or `num_components`; and those
            of this layer: `name`, `dtype`, `trainable`, and `convert_to_tensor_fn` as for
            `DistributionLayer`.

    Call arguments:
        inputs: tensor `(..., features)`.

    Returns:
        The distribution of the head, with `batch_shape == (...)`, or the tensor it is converted to.

    Raises:
        ValueError: if the name is not known (the message lists those that are), or the head does
            not tell how many parameters it takes.
        TypeError: if `head` is something else, or an option is missing or unknown.

    >>> import keras
    >>> DistributionHead("normal", event_shape=3)(keras.ops.zeros((32, 10, 8)))
    Independent(Normal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    def __init__(
        self,
        head: str | type[Head] | Head,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(**{key: options.pop(key) for key in _OWN if key in options})
        self.head = _as_head(head, options)
        self.dense = keras.layers.Dense(
            self.head.width,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            dtype=self.dtype_policy,
            name="dense",
        )

    def build(self, input_shape: Any) -> None:
        """Make the weights of the dense layer."""
        self.dense.build(input_shape)
        self.built = True

    def call(self, inputs: Tensor) -> td.Distribution:
        """The distribution at each step."""
        return self.head(self.dense(inputs))

    def get_config(self) -> dict:
        """The constructor's arguments."""
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "head": keras.saving.serialize_keras_object(self.head),
            "kernel_initializer": serialize(self.dense.kernel_initializer),
            "bias_initializer": serialize(self.dense.bias_initializer),
        }

    @classmethod
    def from_config(cls, config: dict) -> DistributionHead:
        """The inverse of `get_config`."""
        head = keras.saving.deserialize_keras_object(config["head"])
        return super().from_config({**config, "head": head})


def _as_head(head: Any, options: dict[str, Any]) -> Head:
    made = _head(head, options)
    if made.width is None:
        raise ValueError(
            f"DistributionHead: {type(made).__name__} {made.name!r} does not know how many "
            "parameters its component layer takes; put a `keras.layers.Dense` in front of it"
        )
    return made


def _head(head: Any, options: dict[str, Any]) -> Head:
    if isinstance(head, Head):
        if options:
            raise TypeError(
                f"DistributionHead: {sorted(options)} are options of a head to be made; "
                f"{head!r} is made already"
            )
        return head
    made = _named(head) if isinstance(head, str) else head
    if not (isinstance(made, type) and issubclass(made, Head)):
        raise TypeError(
            "DistributionHead: head must be the name of a head, a class of heads or a head of "
            f"`timedist.layers`, got {head!r}"
        )
    return made(**options)


def _named(name: str) -> type[Head]:
    known = head_names()
    if name in known:
        return known[name]
    short = sorted({min((n for n in known if known[n] is cls), key=len) for cls in known.values()})
    close = difflib.get_close_matches(name.lower(), known, n=3)
    meant = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    raise ValueError(f"DistributionHead: unknown head {name!r}; {meant}Known: {', '.join(short)}")
