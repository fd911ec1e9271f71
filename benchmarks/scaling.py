"""How time grows with steps, batch and series, and memory with the data."""

import statistics
import time

from benchmarks.pairs import Curve, Pair, Section, Side

STEPS = (10, 30, 100, 300, 1000, 3000, 10_000)
BATCHES = (16, 64, 256, 1024, 4096)
SERIES = (1, 10, 100, 1000, 10_000, 100_000)
BATCH, LENGTH, INPUTS, OUTPUTS, UNITS = 32, 100, 8, 3, 16
PAST, HORIZON, PATHS = 24, 4, 4
SAMPLES = 4096


def times(make, sizes, repeats=7):
    """For each size the median seconds of what `make(size)` gives, once it has been compiled.

    All sizes take turns: a slow moment of the machine falls on all of them.
    """
    runs = [make(size) for size in sizes]
    for run in runs:
        run()
    rounds = [[seconds(run) for run in runs] for _ in range(repeats)]
    return [statistics.median(found) for found in zip(*rounds, strict=True)]


def seconds(run):
    """The time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def trained(recurrent, batch=BATCH, steps=LENGTH):
    """A function that takes one training step."""
    import keras
    import numpy as np

    from timedist.layers import LSTM, IndependentNormal
    from timedist.losses import NegativeLogLikelihood

    head = IndependentNormal(OUTPUTS)
    layers = [LSTM(UNITS, return_sequences=True)] if recurrent else []
    model = keras.Sequential([*layers, keras.layers.Dense(head.width), head])
    model.compile("adam", NegativeLogLikelihood())
    x = np.ones((batch, steps, INPUTS), "float32")
    return lambda: model.fit(x, x[..., :OUTPUTS], batch_size=batch, verbose=0)


def training(varied, recurrent, sizes):
    """Seconds of a training step against its steps or its batch."""
    return lambda: times(lambda size: trained(recurrent, **{varied: size}), sizes)


def windows_of(number):
    """So many short series."""
    import numpy as np

    from timedist.datasets.windows import SeriesWindows

    values = np.random.default_rng(0).gamma(3.0, 2.0, number * 2 * PAST).astype("float32")
    lengths, starts = np.full(number, 2 * PAST), np.zeros(number, int)
    features = np.zeros((2 * PAST + HORIZON, 2), "float32")
    return SeriesWindows.flat(values, lengths, starts, features, 0)


def drawing(sizes):
    """Seconds to draw 100 batches of windows out of so many series."""
    from timedist.datasets.windows import RandomWindows

    def made(number):
        batches = RandomWindows(windows_of(number), 1, PAST, HORIZON, 64, 100, seed=0)
        return lambda: [batches[index] for index in range(100)]

    return lambda: times(made, sizes)


def forecasting(sizes):
    """Seconds to cut the windows of so many series and to draw paths of their future."""
    import numpy as np

    from timedist.layers import IndependentNormal
    from timedist.sequence import AutoregressiveRNN, Rollout

    model = AutoregressiveRNN(IndependentNormal(), (1, 2), PAST, units=4)
    rollout = Rollout(model, PATHS, seed=0)

    def made(number):
        windows = windows_of(number)

        def run():
            series, at = np.arange(number), windows.lengths
            past = {
                "target": windows.target(series, at, 2 + PAST, 0),
                "features": windows.known(series, at, PAST, HORIZON),
            }
            return rollout.predict(past, batch_size=1000, verbose=0)

        return run

    return lambda: times(made, sizes)


def held(samples, where):
    """Most megabytes in use during `timedist.predict`; on the host without what comes of it."""
    import tracemalloc
    from unittest import mock

    import jax
    import keras
    import numpy as np

    import timedist
    from timedist.ops import compat

    head = timedist.layers.IndependentNormal(OUTPUTS)
    model = keras.Sequential([keras.layers.Dense(head.width), head])
    x = np.ones((samples, LENGTH, INPUTS), "float32")
    on_device, to_numpy = [], compat.to_numpy

    def watched(tensor):
        on_device.append(sum(array.nbytes for array in jax.live_arrays()))
        return to_numpy(tensor)

    def run():
        tracemalloc.start()
        with mock.patch.object(compat, "to_numpy", watched):  # when a batch is there in full
            result = timedist.predict(model, x, verbose=0)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        size = sum(leaf.nbytes for leaf in result.leaves())
        return {"device": max(on_device), "host": peak - size}[where] / 1e6

    return run


def sections():
    """Curves and memory, on JAX."""
    yield Section("Scaling", _TEXT, curves=tuple(_curves()))
    text = (
        "`timedist.predict` on 4 times the samples, each with a normal distribution of "
        f"{OUTPUTS} numbers at {LENGTH} steps. On the device: all that is there when a batch has "
        "been computed, weights included. On the host: the most that is allocated, less the "
        "result; without the inputs."
    )
    pairs = tuple(_of_memory(where, most) for where, most in (("device", 1.05), ("host", None)))
    yield Section("Memory", text, pairs)


_TEXT = (
    f"One training step of `IndependentNormal({OUTPUTS})` and its likelihood after a dense layer, "
    f"or after `LSTM({UNITS})`, on {BATCH} sequences of {LENGTH} steps where nothing else is said. "
    f"100 batches of 64 windows, drawn out of many series. {PATHS} paths of {HORIZON} steps for "
    "every series by `AutoregressiveRNN(units=4)`, the cutting of windows included. The exponent "
    "is that of the upper half of the sizes: 1 is linear."
)


def _curves():
    for varied, sizes in (("steps", STEPS), ("batch", BATCHES)):
        for recurrent in (False, True):
            what = f"training step{' with LSTM' if recurrent else ''}: {varied}"
            yield Curve(what, _side("training", varied=varied, recurrent=recurrent), sizes)
    yield Curve("drawing windows: series", _side("drawing"), SERIES)
    yield Curve("forecasting: series", _side("forecasting"), SERIES)


def _of_memory(where, most):
    ours, theirs = (
        _side("held", f"{samples} samples", samples=samples, where=where)
        for samples in (4 * SAMPLES, SAMPLES)
    )
    return Pair(f"memory of the {where}", ours, theirs, most, "value", "MB", rounds=3)


def _side(function, name="TimeDist", **arguments):
    return Side(name, f"benchmarks.scaling:{function}", "jax", ("keras", "jax"), arguments)
