"""`BlockwiseHead`: a head made of heads, for channels of different families."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras

from timedist import distributions as td
from timedist.layers.accepting import serializable
from timedist.layers.heads import Head, Tensor


@serializable
class BlockwiseHead(Head):
    r"""Head of channels of different families: each head gives its own, side by side as one vector.

    $\log p(y) = \sum_i \log p_i(y_i)$ over the heads' events.

    Args:
        heads: list of heads of scalars or vectors, such as `[IndependentNormal(2),
            IndependentBernoulli(1)]`. Each must tell its `width`; put a flow or a layer of your own
            in a model of its own.
        convert_to_tensor_fn: as for `DistributionLayer`. Default `None`: no conversion.
        validate_args: as for `DistributionLayer`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(..., params_size)`, any real numbers: the parameters of the first head,
            then those of the next.

    Returns:
        A `Blockwise` with `batch_shape == (...)`; the events of the heads follow each other along
        the last axis.

    Raises:
        TypeError: if one of `heads` is no head.
        ValueError: if there is none, one does not tell its width, gives a tensor by its own
            `convert_to_tensor_fn` or has an event with more than one axis; or if the last axis of
            the inputs has another size.

    >>> import keras
    >>> from timedist.layers import IndependentBernoulli, IndependentNormal
    >>> head = BlockwiseHead([IndependentNormal(2), IndependentBernoulli(1)])
    >>> head.width
    5
    >>> head(keras.ops.zeros((32, 10, 5))).event_shape
    (3,)
    """

    family = td.Blockwise

    def __init__(
        self,
        heads: Sequence[Head],
        convert_to_tensor_fn: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        heads = _checked(heads)
        super().__init__({}, convert_to_tensor_fn, validate_args, **kwargs)
        self.heads = heads
        self.width = self.params_size([head.width for head in heads])

    @classmethod
    def params_size(cls, widths: Sequence[int | None]) -> int:
        """How many parameters the layer in front must give.

        Args:
            widths: how many parameters each of the heads takes.

        Returns:
            Their sum.
        """
        return sum(width or 0 for width in widths)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw."""
        return (sum(math.prod(_event_shape(head)) for head in self.heads),)

    def _ends(self) -> list[int]:
        return list(accumulate(head.width or 0 for head in self.heads))

    def build(self, input_shape: Any) -> None:
        """Make the weights of the heads, if some have any."""
        self._check_size(input_shape)
        for head in self.heads:
            if not head.built:
                head.build((*input_shape[:-1], head.width))
        self.built = True

    def call(self, inputs: Tensor) -> td.Blockwise:
        """The distributions of the heads, side by side."""
        raw, ends = self._checked(inputs), self._ends()
        blocks = zip(self.heads, (0, *ends), ends, strict=False)
        return td.Blockwise.trusted(
            distributions=[head(raw[..., start:end]) for head, start, end in blocks]
        )

    def get_config(self) -> dict:
        """The constructor's arguments."""
        heads = [keras.saving.serialize_keras_object(head) for head in self.heads]
        return {**super().get_config(), "heads": heads}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The inverse of `get_config`."""
        heads = [keras.saving.deserialize_keras_object(head) for head in config["heads"]]
        return super().from_config({**config, "heads": heads})


def _event_shape(head: Head) -> tuple[int, ...]:
    """The shape of one draw; a head without such a property has scalars."""
    return tuple(getattr(head, "event_shape", ()))


def _checked(heads: Any) -> list[Head]:
    """The heads as a list, if they are heads whose distributions can stand side by side."""
    example = "`[IndependentNormal(2), IndependentBernoulli(1)]`"
    if not isinstance(heads, Sequence) or isinstance(heads, str) or not heads:
        raise ValueError(
            f"BlockwiseHead: heads must be a list of one head or more, e.g. {example}, got "
            f"{heads!r}"
        )
    for head in heads:
        if not isinstance(head, Head):
            raise TypeError(
                f"BlockwiseHead: heads must be heads of `timedist.layers`, e.g. {example}, got "
                f"{head!r}"
            )
        _check_one(head)
    return list(heads)


def _check_one(head: Head) -> None:
    called = f"BlockwiseHead: the head {head.name!r} ({type(head).__name__})"
    if head.width is None:
        raise ValueError(
            f"{called} does not tell how many parameters it takes, so the input can not be split; "
            "give one whose `width` is known"
        )
    if head.convert_to_tensor_fn is not None:
        raise ValueError(
            f"{called} gives a tensor, by its convert_to_tensor_fn={head.convert_to_tensor_fn!r}; "
            "give that to the BlockwiseHead instead"
        )
    if len(_event_shape(head)) > 1:
        raise ValueError(
            f"{called} has events of shape {_event_shape(head)}; side by side stand scalars and "
            "vectors only"
        )
