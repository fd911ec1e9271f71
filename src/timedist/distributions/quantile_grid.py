"""A distribution given by some of its quantiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from timedist.distributions import constraints
from timedist.distributions.fields import parameter, static
from timedist.distributions.piecewise import Pieces, Piecewise
from timedist.ops import compat

Tensor = Any


class QuantileGrid(Piecewise):
    r"""The distribution of given quantiles: linear between them, with exponential tails beyond.

    $Q(p) = v_k + (v_{k+1} - v_k) \frac{p - p_k}{p_{k+1} - p_k}$ for $p_k \le p \le p_{k+1}$, and
    $Q(p) = v_1 + (v_2 - v_1) \frac{\log(p / p_1)}{\log(p_2 / p_1)}$ for $p < p_1$; for $p > p_K$
    likewise with $1 - p$: each tail is the exponential one through the two outermost quantiles.

    Args:
        levels: the K >= 2 probabilities of the quantiles, a static tuple, increasing, in (0, 1).
        values: the quantiles, tensor of shape `batch_shape + (K,)`, non-decreasing, in the unit of
            the data.

    Raises:
        ValueError: if levels or values are not in order, or their numbers differ.

    The quantiles never cross, and every method is a closed form. Where values are equal the
    distribution function jumps and the density is infinite; everything else stays finite.

    Source: Park, Maddix, Aubet, Kan, Gasthaus, Wang: Learning Quantile Functions without Quantile
    Crossing for Distribution-free Time Series Forecasting (2022), section 3.

    >>> d = QuantileGrid((0.25, 0.5, 0.75), [-1.0, 0.0, 2.0])
    >>> float(d.quantile(0.625)), float(d.cdf(-1.0))
    (1.0, 0.25)
    """

    levels: tuple[float, ...] = static()
    values: Tensor = parameter(constraints.non_decreasing, event_rank=1)

    def _check(self) -> None:
        super()._check()
        levels = np.asarray(self.levels, "float64").reshape(-1)
        if len(levels) < 2 or not np.all(np.diff([0.0, *levels, 1.0]) > 0.0):
            raise ValueError(
                "QuantileGrid: levels must be two or more increasing numbers in (0, 1), got "
                f"{self.levels!r}"
            )
        if self.values.shape[-1] != len(levels):
            raise ValueError(
                f"QuantileGrid: values must have {len(levels)} numbers on the last axis, one for "
                f"each level, got shape {tuple(self.values.shape)}"
            )
        # Static fields are part of what a compiled function is looked up by, so hashable.
        self._values["levels"] = tuple(float(level) for level in levels)

    def _pieces(self) -> Pieces:
        levels, values = np.array(self.levels), self.values
        tables = (levels, 1.0 - levels, np.log(np.diff(levels)))
        below, above, log_mass = (compat.to_tensor(table, self.dtype) for table in tables)
        left = (values[..., 1] - values[..., 0]) / math.log(levels[1] / levels[0])
        ratio = (1.0 - levels[-2]) / (1.0 - levels[-1])
        right = (values[..., -1] - values[..., -2]) / math.log(ratio)
        return Pieces(values, below, above, log_mass, left, right)
