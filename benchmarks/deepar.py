"""DeepAR beside GluonTS's: training, sampling, memory and score on the data of `timedist demo`.

Both have two layers of 40 units, a Student t, a context of 72 and a horizon of 24 hours, the same
lags, batches of 64 windows, the number of the series as an input, and float32. Everything else is
what each library has by default.
"""

import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.pairs import BACKENDS, Pair, Section, Side
from benchmarks.worker import peak

HORIZON, CONTEXT, UNITS, DEPTH, BATCH, BATCHES, PATHS = 24, 72, 40, 2, 64, 100, 100
WINDOWS, SCORED_PATHS, EPOCHS = 28, 200, 20
SERIES, STEPS = 21, 1065 * 24  # up to 30 November 2025, as in the demo
WIDTH = 107  # of what enters the first layer: lags, features, the scale, the series
# Those GluonTS has for hourly data.
SEASONS = (*range(24, 169, 24), 336, 504, 672, 720)
LAGS = (1, 2, 3, 4, 5, 6, 7, *(lag + shift for lag in SEASONS for shift in (-1, 0, 1)))


def values():
    """The counts, `(series, steps)`, NaN where missing; read without TimeDist, which has Keras."""
    import polars as pl

    folder = Path(find_spec("timedist").origin).parent / "datasets"
    column = pl.read_parquet(folder / "auckland_pedestrians.parquet")["y"].cast(pl.Float32)
    return column.to_numpy().reshape(SERIES, -1)[:, :STEPS]


# --- TimeDist ----------------------------------------------------------------------------------


def panel():
    """The same as a `Panel`."""
    import numpy as np

    from timedist.datasets import auckland_pedestrians
    from timedist.forecasting.panel import Panel

    return Panel.from_frame(auckland_pedestrians()).until(np.datetime64("2025-11-30T23:00:00"))


def past_of(data):
    """What the demo trains on."""
    import numpy as np

    return data.until(data.stamps(np.array([STEPS - WINDOWS * HORIZON - 1]))[0])


def forecaster(epochs=1, batches=BATCHES):
    """An unfitted DeepAR."""
    from timedist.forecasting.forecaster import Forecaster

    sizes = {"units": UNITS, "depth": DEPTH, "members": 1}
    sizes |= {"batch_size": BATCH, "steps_per_epoch": batches}
    return Forecaster(
        HORIZON, context_length=CONTEXT, head="student-t", lags=LAGS, epochs=epochs, **sizes
    )


def training():
    """Seconds of one more epoch."""
    data, model = past_of(panel()), forecaster()

    def run():
        model.config["epochs"] = model.epochs_done + 1
        start = time.perf_counter()
        model.fit(data, resume=True, verbose=0)
        return time.perf_counter() - start

    return run


def lstms(of):
    """Seconds of nothing but the recurrent layers, forwards and backwards, as in an epoch."""
    from benchmarks import training as networks

    sizes = {"inputs": WIDTH, "sizes": [UNITS] * DEPTH, "steps": CONTEXT + HORIZON}
    part = getattr(networks, of)(**sizes, batches=BATCHES)

    def run():
        start = time.perf_counter()
        part()
        return time.perf_counter() - start

    return run


def sampling(batches=1):
    """Paths of all series from what is in memory: features, history, draws."""
    import numpy as np

    data = panel()
    model = forecaster(batches=batches).fit(data, verbose=0)
    return lambda: model.sample_windows(data, np.arange(SERIES), data.lengths, PATHS)


def drawing():
    """Paths of all series from inputs that are ready."""
    import numpy as np

    from timedist.sequence import Rollout

    data = panel()
    model = forecaster(batches=1).fit(data, verbose=0).model.members[0]
    inputs = {
        "target": np.stack([one[-(max(LAGS) + CONTEXT) :] for one in data.series]),
        "features": data.frequency.features(
            data.stamps(STEPS - CONTEXT + np.arange(CONTEXT + HORIZON))
        ),
        "series": np.arange(SERIES, dtype="int32"),
    }
    inputs["features"] = np.repeat(inputs["features"][None], SERIES, axis=0)
    inputs["target"] = inputs["target"].astype("float32")
    rollout = Rollout(model, PATHS, seed=0)
    return lambda: rollout.predict(inputs, verbose=0)


def memory():
    """Megabytes that reading the data, an epoch and sampling add to a started backend's."""
    import keras

    keras.ops.convert_to_numpy(keras.ops.ones(()))
    before = peak()
    sampling(BATCHES)()
    added = peak() - before
    return lambda: {"added": added, "added or all": added}


def learning():
    """Seconds of a whole training, and the score after it."""
    return _learnt(forecaster(EPOCHS))


def demo():
    """The same of what `timedist demo` trains."""
    from timedist.forecasting.forecaster import Forecaster

    return _learnt(Forecaster(HORIZON))


def _learnt(model):
    from timedist.forecasting import backtest

    data = panel()
    past, first = past_of(data), STEPS - WINDOWS * HORIZON
    start = time.perf_counter()
    model.fit(past, verbose=0)
    trained = time.perf_counter() - start
    found = backtest.run(model, data, first, WINDOWS, SCORED_PATHS)
    score = found.scores()["timedist"]["wql"]
    return lambda: {"trained": trained, "score": score}


# --- GluonTS -----------------------------------------------------------------------------------


def entries(ends):
    """A data set of GluonTS: every series up to each of these positions."""
    import pandas as pd

    start = pd.Period("2023-01-01 00:00", "h")
    return [
        {"start": start, "target": row[:end], "feat_static_cat": [number]}
        for number, row in enumerate(values())
        for end in ends
    ]


def clock():
    """A callback that notes the seconds of epochs."""
    from lightning.pytorch import Callback

    class Clock(Callback):
        def __init__(self):
            self.seconds = []

        def on_train_epoch_start(self, *_):
            self.start = time.perf_counter()

        def on_train_epoch_end(self, *_):
            self.seconds.append(time.perf_counter() - self.start)

    return Clock()


def trained(data, epochs=1, batches=BATCHES, **options):
    """A predictor of GluonTS, and the seconds of each epoch: checkpoints are not counted."""
    import logging
    import tempfile

    from gluonts.torch.model.deepar import DeepAREstimator

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    timed = clock()
    quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
    with tempfile.TemporaryDirectory() as folder:
        own = {"max_epochs": epochs, "callbacks": [timed], "default_root_dir": folder}
        estimator = DeepAREstimator(
            freq="h",
            prediction_length=HORIZON,
            context_length=CONTEXT,
            num_layers=DEPTH,
            hidden_size=UNITS,
            lags_seq=list(LAGS),
            num_feat_static_cat=1,
            cardinality=[SERIES],
            batch_size=BATCH,
            num_batches_per_epoch=batches,
            trainer_kwargs={"accelerator": "cpu", **own, **quiet},
            **options,
        )
        return estimator.train(data, cache_data=True), timed.seconds


def gluonts_training():
    """Seconds of a second epoch; without dropout, as ours."""
    data = entries([STEPS - WINDOWS * HORIZON])
    return lambda: trained(data, epochs=2, dropout_rate=0.0)[1][-1]


def gluonts_sampling(batches=1):
    """As `sampling`."""
    data = entries([STEPS])
    predictor, _ = trained(data, batches=batches)
    return lambda: list(predictor.predict(data, num_samples=PATHS))


def gluonts_drawing():
    """As `drawing`: the network by itself."""
    import torch
    from gluonts.dataset.loader import InferenceDataLoader
    from gluonts.torch.batchify import batchify

    data = entries([STEPS])
    predictor, _ = trained(data, batches=1)
    loader = InferenceDataLoader(
        data, transform=predictor.input_transform, batch_size=BATCH, stack_fn=batchify
    )
    batch = next(iter(loader))
    inputs = [batch[name] for name in predictor.input_names]
    network = predictor.prediction_net.eval()

    def run():
        with torch.no_grad():
            network(*inputs, num_parallel_samples=PATHS).numpy()

    return run


def gluonts_memory():
    """As `memory`; beside what is added all there is."""
    import lightning.pytorch

    lightning.pytorch.seed_everything(0, verbose=False)
    before = peak()
    gluonts_sampling(BATCHES)()
    after = peak()
    return lambda: {"added": after - before, "added or all": after}


def gluonts_learning(epochs=EPOCHS):
    """As `learning`."""
    import numpy as np

    from timedist.forecasting.backtest import score

    first = STEPS - WINDOWS * HORIZON
    predictor, seconds = trained(entries([first]), epochs)
    windows = entries(first + HORIZON * np.arange(WINDOWS))
    found = predictor.predict(windows, num_samples=SCORED_PATHS)
    samples = np.stack([forecast.samples for forecast in found])
    truth = values()[:, first:].reshape(-1, HORIZON).astype("float64")
    wql = score(truth, samples, np.full(len(truth), np.nan))["wql"]
    return lambda: {"trained": sum(seconds), "score": wql}


# --- the table ---------------------------------------------------------------------------------


def _pair(what, backend, name, most, theirs_on=None, **how):
    ours = Side(f"TimeDist on {backend}", f"benchmarks.deepar:{name}", backend, ("keras", backend))
    path = f"benchmarks.deepar:gluonts_{name}"
    theirs = Side("GluonTS", path, theirs_on, ("gluonts", "lightning", "torch"))
    return Pair(f"{what}, {backend}", ours, theirs, most, **how)


def _of_speed(backend):
    most = 0.5 if backend == BACKENDS[0] else 1.0
    what = f"training, {BATCHES} batches"
    yield _pair(what, backend, "training", most, figure="value", unit="s")
    most = 0.33 if backend == BACKENDS[0] else 1.0
    yield _pair("sampling, inputs ready", backend, "drawing", most)
    yield _pair("sampling, from the series", backend, "sampling", most)


def _of_parts():
    """The recurrent layers by themselves, and the whole of a step."""
    how = {"figure": "value", "per": BATCHES}
    for backend in BACKENDS:
        packages, path = ("keras", backend), "benchmarks.deepar:lstms"
        part = Side("the LSTMs", path, backend, packages, {"of": "recurrent_part"})
        whole = Side("all", "benchmarks.deepar:training", backend, packages)
        yield Pair(f"the LSTMs, {backend}", part, whole, **how)
    packages, bare = ("gluonts", "lightning", "torch"), {"of": "bare_recurrent_part"}
    part = Side("torch.nn.LSTM", "benchmarks.deepar:lstms", None, packages, bare)
    whole = Side("all", "benchmarks.deepar:gluonts_training", None, packages)
    yield Pair("torch.nn.LSTM, of GluonTS", part, whole, **how)


def _of_memory(backend):
    how = {"unit": "MB", "rounds": 1}
    yield _pair("added", backend, "memory", None, figure="added", **how)
    yield _pair("added, to all of GluonTS", backend, "memory", 1.0, figure="added or all", **how)


def _of_the_demo():
    """The forecaster as it is, beside three times the training of GluonTS's."""
    ours = Side("TimeDist", "benchmarks.deepar:demo", "jax", ("keras", "jax"))
    path, epochs = "benchmarks.deepar:gluonts_learning", {"epochs": 3 * EPOCHS}
    theirs = Side(f"GluonTS, {3 * EPOCHS} epochs", path, "torch", ("gluonts", "torch"), epochs)
    for what, most, figure, unit in (
        ("quantile loss of the demo, jax", 1.0, "score", ""),
        ("training of the demo, jax", 0.5, "trained", "s"),
    ):
        yield Pair(what, ours, theirs, most, figure, unit, rounds=1)


def _of_learning(backend):
    how = {"rounds": 1, "theirs_on": "torch"}
    yield _pair("quantile loss", backend, "learning", 1.0, figure="score", unit="", **how)
    yield _pair("training", backend, "learning", None, figure="trained", unit="s", **how)


def sections():
    """DeepAR beside GluonTS's."""
    both = (
        f"`AutoregressiveRNN` and GluonTS's `DeepAREstimator`, {DEPTH} layers of {UNITS}, a "
        f"Student t, context {CONTEXT}, horizon {HORIZON}, the same {len(LAGS)} lags, batches of "
        f"{BATCH}, on the {SERIES} series of `timedist demo`."
    )
    yield Section(
        "DeepAR: speed",
        f"{both} Of training the second epoch counts, on GluonTS's side without what its trainer "
        f"does between epochs, on ours with all of `fit`. Of sampling, {PATHS} paths of every "
        "series, a later call: of the network by itself, and of what a user calls.",
        tuple(pair for backend in BACKENDS for pair in _of_speed(backend)),
    )
    yield Section(
        "DeepAR: where a training step goes",
        "The time of the recurrent layers by themselves, forwards and backwards, and that of the "
        "whole step, of either library.",
        tuple(_of_parts()),
    )
    yield Section(
        "DeepAR: memory",
        "What reading the same data, training an epoch and sampling add to the peak of a process "
        "that has imported Keras and started its backend, and, for GluonTS, torch and Lightning; "
        "and the same beside all that GluonTS's process takes.",
        tuple(pair for backend in BACKENDS for pair in _of_memory(backend)),
    )
    yield Section(
        "DeepAR: what is learnt",
        f"Mean weighted quantile loss of {SCORED_PATHS} paths on the {WINDOWS} held-out days of "
        f"`timedist demo`, after {EPOCHS} epochs of {BATCHES} batches with each library's own "
        "optimiser and regularisation, and the seconds that training took, compiling included; and "
        "the same of the two networks that the demo trains.",
        (
            *(pair for backend in BACKENDS for pair in _of_learning(backend)),
            *_of_the_demo(),
        ),
    )
