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
        values = np.concatenate([part for s in series for part in (gap, s.astype("float32"))])
        lengths = np.array([len(s) for s in series])
        self._keep(values, lengths, padding, starts, features, first)

    @classmethod
    def flat(
        cls, values: Array, lengths: Array, starts: Array, features: Array, first: int
    ) -> SeriesWindows:
        """Windows of series that stand one behind the other in an array, which is not copied.

        The array may be a `np.memmap`: then only the windows that are cut are read from the file,
        and the series need not fit in memory. What lies before the first value of a series is
        missing, as with `padding`, however far a window reaches.

        Args:
            values: float array of all values of the first series, then of the second, and so on.
            lengths: int array, the number of values of each series.
            starts: as for the constructor.
            features: as for the constructor; may be a `np.memmap` too.
            first: as for the constructor.

        Returns:
            The windows.

        Raises:
            ValueError: if the lengths do not add up to the number of values.
        """
        if np.sum(lengths) != len(values):
            raise ValueError(
                f"SeriesWindows: the lengths of the series add up to {np.sum(lengths)}, but there "
                f"are {len(values)} values"
            )
        self = cls.__new__(cls)
        self._keep(values, np.asarray(lengths), 0, starts, features, first)
        return self

    def _keep(
        self,
        values: Array,
        lengths: Array,
        padding: int,
        starts: Array,
        features: Array,
        first: int,
    ) -> None:
        self.values, self.lengths, self.padding = values, lengths, padding
        self.offsets = np.cumsum(lengths + padding) - lengths
        self.starts = np.asarray(starts) - first
        self.features = features.astype("float32", copy=False)

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
        first = self.offsets[series] + at - before
        if np.all(at + self.padding >= before):
            return _cut(self.values, first, before + after).astype("float32", copy=False)
        index = first[:, None] + np.arange(before + after)
        missing = index < self.offsets[series][:, None]
        return np.where(missing, np.float32(np.nan), self.values[np.maximum(index, 0)])

    def known(self, series: Array, at: Array, before: int, after: int) -> Array:
        """Features of the same steps as `target`, `(n, before + after, width)`."""
        return _cut(self.features, self.starts[series] + at - before, before + after)


def _cut(rows: Array, first: Array, length: int) -> Array:
    """`length` rows from each of `first` on; whole windows at a time, not row by row."""
    windows = np.lib.stride_tricks.sliding_window_view(rows, (length, *rows.shape[1:]))
    return windows[(first, *(0,) * (rows.ndim - 1))]


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
        weights: float array `(series,)`, how much more often than others a window of each series
            is drawn; default: all windows alike.
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
        weights: Array | None = None,
    ) -> None:
        super().__init__()
        self.windows = windows
        self.history, self.context, self.horizon = history, context, horizon
        self.batch_size, self.steps = batch_size, steps
        self.seed, self.epoch = seed, epoch
        # The positions at which a whole window fits, and the weight of all those up to a series.
        self.places = windows.lengths - (context + horizon) + 1
        self.weights = np.ones(len(self.places)) if weights is None else np.asarray(weights, float)
        self.bounds = np.cumsum([0.0, *(self.weights * self.places)])

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[dict, Array]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        drawn = rng.uniform(0.0, self.bounds[-1], size=self.batch_size)
        series = np.searchsorted(self.bounds, drawn, side="right") - 1
        place = (drawn - self.bounds[series]) / self.weights[series]
        at = np.minimum(place.astype(int), self.places[series] - 1) + self.context
        target = self.windows.target(series, at, self.history + self.context, self.horizon)
        features = self.windows.known(series, at, self.context, self.horizon)
        inputs = {"target": target, "features": features, "series": series.astype("int32")}
        return inputs, target[:, self.history :]

    def on_epoch_end(self) -> None:
        """Other windows in the next epoch."""
        self.epoch += 1
