"""Training on random windows of real series, against one batch that is always the same."""

from benchmarks.pairs import BACKENDS, Pair, Section, Side

BATCH, CONTEXT, HORIZON, UNITS, STEPS = 64, 72, 24, 64, 20
LAGS = (1, 2, 3, 24, 168)


def drawn():
    """Batches of windows of the Auckland series, as `Forecaster` draws them."""
    import numpy as np

    from timedist.datasets import auckland_pedestrians
    from timedist.datasets.windows import RandomWindows, SeriesWindows
    from timedist.forecasting.panel import Panel

    panel = Panel.from_frame(auckland_pedestrians())
    features = panel.frequency.features(panel.stamps(np.arange(panel.end)))
    windows = SeriesWindows(panel.series, panel.starts, features, 0, max(LAGS) + CONTEXT)
    return RandomWindows(windows, max(LAGS), CONTEXT, HORIZON, BATCH, STEPS, seed=0)


def repeated(batch):
    """A data set that has nothing to do."""
    import keras

    class Repeated(keras.utils.PyDataset):
        def __len__(self):
            return STEPS

        def __getitem__(self, index):
            return batch

    return Repeated()


def epoch(fixed=False):
    """A function that fits one epoch."""
    import keras

    from timedist.layers import MixtureNormal
    from timedist.losses import NegativeLogLikelihood
    from timedist.sequence import AutoregressiveRNN

    keras.utils.set_random_seed(0)
    windows = drawn()
    model = AutoregressiveRNN(MixtureNormal(3), LAGS, CONTEXT, units=UNITS, num_series=21)
    model.compile("adam", NegativeLogLikelihood(missing="mask"))
    data = repeated(windows[0]) if fixed else windows
    return lambda: model.fit(data, verbose=0)


def sections():
    """Each backend."""
    text = (
        f"One training step of `AutoregressiveRNN(units={UNITS})` on {BATCH} windows of {CONTEXT} "
        f"and {HORIZON} hours of the pedestrians of Auckland, drawn by `RandomWindows`. The other "
        "side trains on one batch that is always the same."
    )
    yield Section("Feeding", text, tuple(_pairs()))


def _pairs():
    for backend in BACKENDS:
        mine, fixed = _side("RandomWindows", backend), _side("one batch", backend, fixed=True)
        yield Pair(f"training step, {backend}", mine, fixed, 1.05, per=STEPS)


def _side(name, backend, **arguments):
    return Side(name, "benchmarks.feeding:epoch", backend, ("keras", backend), arguments)
