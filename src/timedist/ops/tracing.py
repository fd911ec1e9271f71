"""How `tf.function` sees a value made of tensors, by TensorFlow's public tracing protocol.

Imported on the TensorFlow backend only.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class LeavesTraceType(tf.types.experimental.TraceType):
    """The trace type of an object that is a structure (hashable) plus a list of tensors.

    TensorFlow takes any object with `__array__` for an array unless it brings its own trace type.
    """

    def __init__(self, structure: Any, leaf_types: tuple, rebuild: Any):
        self.structure = structure
        self.leaf_types = leaf_types
        self.rebuild = rebuild

    @classmethod
    def of(cls, structure: Any, leaves: list, rebuild: Any, context: Any) -> LeavesTraceType:
        """The trace type of `structure` and `leaves`; `rebuild(structure, leaves)` undoes it."""
        tensors = [tf.convert_to_tensor(leaf) for leaf in leaves]
        types = tuple(tensor.__tf_tracing_type__(context) for tensor in tensors)
        return cls(structure, types, rebuild)

    def is_subtype_of(self, other: Any) -> bool:
        """Whether a function traced for `other` serves values of this type."""
        return self._same_structure(other) and all(
            a.is_subtype_of(b) for a, b in zip(self.leaf_types, other.leaf_types, strict=True)
        )

    def most_specific_common_supertype(self, others: Any) -> LeavesTraceType | None:
        """The narrowest type that holds this one and the others, or `None`."""
        if not all(self._same_structure(other) for other in others):
            return None
        columns = zip(*(other.leaf_types for other in others), strict=True) if others else ()
        types = tuple(
            leaf.most_specific_common_supertype(list(column))
            for leaf, column in zip(
                self.leaf_types, columns or ((),) * len(self.leaf_types), strict=False
            )
        )
        if any(leaf is None for leaf in types):
            return None
        return LeavesTraceType(self.structure, types, self.rebuild)

    def placeholder_value(self, placeholder_context: Any) -> Any:
        """The value a function is traced with."""
        return self._rebuilt(
            leaf.placeholder_value(placeholder_context) for leaf in self.leaf_types
        )

    def to_tensors(self, value: Any) -> list:
        """The tensors of a value."""
        leaves = value.leaves()
        return [
            tensor
            for leaf_type, leaf in zip(self.leaf_types, leaves, strict=True)
            for tensor in leaf_type.to_tensors(leaf)
        ]

    def from_tensors(self, tensors: Any) -> Any:
        """A value from an iterator of tensors."""
        return self._rebuilt(leaf.from_tensors(tensors) for leaf in self.leaf_types)

    def flatten(self) -> list:
        """The types of the tensors."""
        return [part for leaf in self.leaf_types for part in leaf.flatten()]

    def cast(self, value: Any, cast_context: Any) -> Any:
        """A value with its tensors cast to this type."""
        leaves = value.leaves()
        return self._rebuilt(
            leaf_type.cast(leaf, cast_context)
            for leaf_type, leaf in zip(self.leaf_types, leaves, strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.structure, self.leaf_types))

    def __eq__(self, other: Any) -> bool:
        return self._same_structure(other) and self.leaf_types == other.leaf_types

    def _same_structure(self, other: Any) -> bool:
        return isinstance(other, LeavesTraceType) and self.structure == other.structure

    def _rebuilt(self, leaves: Any) -> Any:
        return self.rebuild(self.structure, list(leaves))
