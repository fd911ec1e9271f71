"""The chances of success and failure, and products with their logarithms."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist.ops import special

Tensor = Any


def chances(d: Any) -> special.Chances:
    """The chances of a family with `logits` or `probs`, from the one given; they may be certain."""
    if d._values["probs"] is None:
        return special.chances_from_logits(d.logits)
    certain = d.probs >= 1.0
    log_no = ops.log1p(-special.where(certain, 0.0, d.probs))
    log_no = special.where(certain, -math.inf, log_no)
    return special.Chances(d.probs, 1.0 - d.probs, special.log_or_minus_inf(d.probs), log_no)


def times(count: Tensor, log_value: Tensor) -> Tensor:
    """`count * log_value`, and 0 where the count is 0, even of minus infinity."""
    certain = log_value == -math.inf
    product = count * special.where(certain, 0.0, log_value)
    return special.where(certain & (count > 0.0), -math.inf, product)
