"""A histogram as a distribution."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from keras import ops

from timedist.distributions import constraints, fields
from timedist.distributions.fields import parameter
from timedist.distributions.piecewise import Pieces, Piecewise
from timedist.ops import special

Tensor = Any

_EDGES = replace(
    constraints.ordered,
    name="finite and increasing along the last axis",
    holds=lambda x: constraints.ordered.holds(x) & (ops.abs(x) < math.inf),
)


class Binned(Piecewise):
    r"""A histogram: K bins with probabilities of their own, uniform within each.

    $p(x) = \pi_k / (e_{k+1} - e_k),\ e_k \le x < e_{k+1}$

    Args:
        edges: ends of the bins, tensor of shape `(K + 1,)` or `batch_shape + (K + 1,)`, increasing,
            in the unit of the data.
        logits: unnormalised log probabilities, tensor of shape `batch_shape + (K,)`. Give this or
            `probs`.
        probs: probabilities, same shape, non-negative and summing to one.

    Raises:
        ValueError: if the edges do not increase, the sizes do not fit, both or neither of logits
            and probs is given, or probabilities do not sum to one.

    The last bin holds its upper edge. The mode is the middle of the densest bin.

    Source: Scott: Multivariate Density Estimation (2015), section 3.1.

    >>> d = Binned(edges=[0.0, 1.0, 10.0], probs=[0.5, 0.5])
    >>> float(d.mean()), float(d.cdf(1.0))
    (3.0, 0.5)
    """

    edges: Tensor = parameter(_EDGES, event_rank=1)
    logits: Tensor = fields.logits_of_categories()
    probs: Tensor = fields.probs_of_categories()

    def _check(self) -> None:
        super()._check()
        given = "logits" if self._values["probs"] is None else "probs"
        edges, bins = self.edges.shape[-1], self._values[given].shape[-1]
        if edges != bins + 1 or bins < 1:
            raise ValueError(
                f"Binned: K + 1 edges go with K {given}, got {edges} edges and {bins} {given}"
            )

    def _pieces(self) -> Pieces:
        log_mass = ops.log_softmax(self.logits, axis=-1)
        mass = ops.exp(log_mass)
        none = ops.zeros_like(mass[..., :1])
        below = ops.concatenate([none, special.cumsum(mass)], axis=-1)
        above = ops.concatenate([none, special.cumsum(ops.flip(mass, axis=-1))], axis=-1)
        above = ops.flip(above, axis=-1)
        return Pieces(self.edges, below, above, log_mass, none[..., 0], none[..., 0])

    def _support(self) -> tuple[Tensor, Tensor]:
        return self.edges[..., 0], self.edges[..., -1]
