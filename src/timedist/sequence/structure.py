"""The parts of a structural time series model as blocks of one state vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from timedist import checks

Tensor = Any

# The slope changes the level at every step, so it is counted in a smaller unit.
_SLOPE = 0.1


class Structure:
    r"""A level, a slope and one value for each season: what moves, and what is seen of it.

    The level moves by the slope; everything else stays where it is but for shocks, each part's own.
    What is seen is the level plus the value of the present season of each period, and that season
    is the one that its shock moves.

    Args:
        owner: the name of whoever asks, for errors.
        level: whether there is a level.
        trend: whether the level has a slope.
        seasonal: the numbers of seasons in each period.

    Raises:
        TypeError: if `level` or `trend` is not a truth value.
        ValueError: if a period is no int above 1, a trend has no level, or there is nothing.

    Source: Harvey: Forecasting, Structural Time Series Models and the Kalman Filter (1989), section
    2.3; seasons: Rangapuram et al.: Deep State Space Models for Time Series Forecasting (2018).
    """

    def __init__(self, owner: str, level: bool, trend: bool, seasonal: Sequence[int]) -> None:
        for name, given in (("level", level), ("trend", trend)):
            if not isinstance(given, bool):
                raise TypeError(f"{owner}: {name} must be True or False, got {given!r}")
        if not isinstance(seasonal, (tuple, list)):
            raise TypeError(f"{owner}: seasonal must be a tuple of periods, got {seasonal!r}")
        self.level, self.trend = level, trend
        self.seasonal = tuple(checks.count(owner, "a period", p, 2) for p in seasonal)
        if trend and not level:
            raise ValueError(
                f"{owner}: trend=True needs level=True: the slope is that of the level"
            )
        if not level and not self.seasonal:
            raise ValueError(
                f"{owner}: a level or a period is needed, got level=False, seasonal=()"
            )

    @property
    def first(self) -> int:
        """How many states stand in front of those of the seasons."""
        return int(self.level) + int(self.trend)

    @property
    def states(self) -> int:
        """The number n of states: level, slope, the seasons of each period."""
        return self.first + sum(self.seasonal)

    @property
    def shocks(self) -> int:
        """The number r of shocks: one for the level, the slope and each period."""
        return self.first + len(self.seasonal)

    def _owners(self) -> np.ndarray:
        """Which shock may move which state, ones in a matrix `(n, r)`."""
        part = [*range(self.first), *np.repeat(np.arange(self.first, self.shocks), self.seasonal)]
        return np.equal.outer(part, np.arange(self.shocks)).astype("float64")

    def units(self) -> np.ndarray:
        """The size of each state if the series has the size 1, `(n,)`."""
        units = np.ones(self.states)
        units[1 : 1 + int(self.trend)] = _SLOPE
        return units

    def shock_units(self) -> np.ndarray:
        """The size of each shock likewise, `(r,)`."""
        return np.max(self._owners() * self.units()[:, None], axis=0)

    def transition(self, real: Tensor | None, dtype: str) -> Tensor:
        """The transition matrices, `(n, n)`; with steps that are none, `(batch, steps, n, n)`.

        Args:
            real: boolean tensor `(batch, steps)`, false where no time passes.
            dtype: of the result.
        """
        moved = np.eye(self.states)
        if not self.trend:
            return ops.convert_to_tensor(moved.astype(dtype))
        moved[0, 1] = 1.0
        moved = ops.convert_to_tensor(moved.astype(dtype))
        if real is None:
            return moved
        still = ops.convert_to_tensor(np.eye(self.states, dtype=dtype))
        return ops.where(real[..., None, None], moved, still)

    def present(self, seasons: Tensor | None, dtype: str) -> Tensor:
        """Ones for the level, the slope and the present seasons, zeros for the other seasons.

        Args:
            seasons: int tensor `(batch, steps, number of periods)`; the season is what is left of
                it after whole periods. `None` if there are no periods.
            dtype: of the result.

        Returns:
            Tensor `(batch, steps, n)`; `(n,)` without periods.
        """
        if seasons is None:
            return ops.convert_to_tensor(np.ones(self.states, dtype))
        seasons = ops.cast(seasons, "int32")
        parts = [
            ops.one_hot(ops.mod(seasons[..., i], period), period, dtype=dtype)
            for i, period in enumerate(self.seasonal)
        ]
        always = ops.ones((*ops.shape(seasons)[:-1], self.first), dtype=dtype)
        return ops.concatenate([always, *parts], axis=-1)

    def observation(self, present: Tensor) -> Tensor:
        """What is seen of the states, `(…, 1, n)`: the slope is not."""
        visible = np.ones(self.states)
        visible[1 : 1 + int(self.trend)] = 0.0
        return (present * ops.cast(visible, present.dtype))[..., None, :]

    def selection(self, present: Tensor) -> Tensor:
        """Which states the shocks move, `(…, n, r)`."""
        return present[..., None] * ops.cast(self._owners(), present.dtype)
