"""Cutting windows out of many series at once, by NumPy indexing."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

Array = np.ndarray


class SeriesWindows:
    """Series of different lengths in one flat array, from which any windows are cut in one go.

    Args:
        series: one float array for each series, NaN where missing.
        starts: position of the first value of each series on a common time axis, in steps.
        features: float array `(time, width)` of what is known of every step of the common axis.
        first: position of the first row of `features` on that axis.
        padding: how many missing values to put before each series. Windows may reach into them.
    """

    def __init__(
        self, series: Sequence[Array], starts: Array, features: Array, first: int, padding: int
    ) -> None:
        gap = np.full(padding, np.nan, dtype="float32")
        self.values = np.concatenate([part for s in series for part in (gap, s.astype("float32"))])
        self.lengths = np.array([len(s) for s in series])
        self.offsets = np.cumsum(self.lengths + padding) - self.lengths
        self.starts = np.asarray(starts) - first
        self.features = features.astype("float32")

    def target(self, series: Array, at: Array, before: int, after: int) -> Array:
        """Values of `before` steps up to, and `after` steps from, position `at` of each series.

        Args:
            series: int array `(n,)`, numbers of series.
            at: int array `(n,)`, positions within them.
            before: number of steps before the position.
            after: number of steps from the position on.

        Returns:
            Float array `(n, before + after)`.
        """
        first = self.offsets[series] + at
        return self.values[first[:, None] + np.arange(-before, after)]

    def known(self, series: Array, at: Array, before: int, after: int) -> Array:
        """Features of the same steps as `target`, `(n, before + after, width)`."""
        first = self.starts[series] + at
        return self.features[first[:, None] + np.arange(-before, after)]


class RandomWindows(keras.utils.PyDataset):
    """Batches of random training windows, the same for the same seed and epoch.

    Args:
        windows: the series.
        history: steps of history before each window's context.
        context: steps of context.
        horizon: steps to forecast.
        batch_size: windows in a batch.
        steps: batches in an epoch.
        seed: int.
        epoch: number of the first epoch, to go on where training stopped.
    """

    def __init__(
        self,
        windows: SeriesWindows,
        history: int,
        context: int,
        horizon: int,
        batch_size: int,
        steps: int,
        seed: int,
        epoch: int = 0,
    ) -> None:
        super().__init__()
        self.windows = windows
        self.history, self.context, self.horizon = history, context, horizon
        self.batch_size, self.steps = batch_size, steps
        self.seed, self.epoch = seed, epoch
        # Every position at which a whole window fits, counted through all series.
        self.places = np.cumsum(windows.lengths - (context + horizon) + 1)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[dict, Array]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        place = rng.integers(self.places[-1], size=self.batch_size)
        series = np.searchsorted(self.places, place, side="right")
        before_series = np.concatenate([[0], self.places])[series]
        at = place - before_series + self.context
        target = self.windows.target(series, at, self.history + self.context, self.horizon)
        features = self.windows.known(series, at, self.context, self.horizon)
        inputs = {"target": target, "features": features, "series": series.astype("int32")}
        return inputs, target[:, self.history :]

    def on_epoch_end(self) -> None:
        """Other windows in the next epoch."""
        self.epoch += 1
