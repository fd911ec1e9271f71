"""What it costs to generate: seconds for one batch against horizon, paths and series.

    KERAS_BACKEND=jax python benchmarks/generation.py --plot docs/generation_jax.png

Every setting is compiled by a first call, which is not counted; then the median of `--repeats`
calls counts. The exponent is the slope of log seconds over log size through the upper half of the
sizes: 1 is linear.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import time

import keras
import numpy as np

from timedist.layers import IndependentNormal, MixtureNormal
from timedist.sequence import (
    AutoregressiveRNN,
    AutoregressiveTransformer,
    AutoregressiveWaveNet,
    MixtureDensityRNN,
    RecurrentVAE,
    Rollout,
    VariationalRNN,
)

FIXED = {"horizon": 48, "paths": 64, "series": 16}
SIZES = {
    "horizon": (48, 96, 192, 384, 768),
    "paths": (64, 128, 256, 512, 1024),
    "series": (16, 32, 64, 128, 256),
}
CONTEXT = 48


def of_series(kind, **options):
    """A function that makes one that generates by a model of series."""

    def made(horizon, paths, series):
        model = kind(MixtureNormal(3), lags=(1, 2, 24), context_length=CONTEXT, **options)
        past = {
            "target": np.random.default_rng(0).gamma(3.0, 2.0, (series, 24 + CONTEXT)),
            "features": np.zeros((series, CONTEXT + horizon, 4)),
        }
        past = {name: value.astype("float32") for name, value in past.items()}
        model.build({name: value.shape for name, value in past.items()})
        rollout = Rollout(model, paths, seed=0)
        return lambda: rollout.predict(past, batch_size=series, verbose=0)

    return made


def of_prefixes(model):
    """The same by a model of sequences of vectors, after prefixes."""

    def made(horizon, paths, series):
        prefix = np.zeros((series, CONTEXT, 2), "float32")
        if not model.built:
            model.build((None, None, 2))
        return lambda: model.generate(paths, horizon, prefix=prefix, batch_size=series, seed=0)

    return made


def from_nothing(model):
    """The same by a model whose sequences have no past: `paths * series` of them."""

    def made(horizon, paths, series):
        number = paths * series
        if not model.built:
            model.build((None, None, 2))
        return lambda: model.generate(number, horizon, batch_size=number, seed=0)

    return made


MODELS = {
    "AutoregressiveRNN": of_series(AutoregressiveRNN, units=32),
    "AutoregressiveTransformer": of_series(AutoregressiveTransformer, units=32, window=CONTEXT),
    "AutoregressiveWaveNet": of_series(AutoregressiveWaveNet, units=32),
    "MixtureDensityRNN": of_prefixes(MixtureDensityRNN(2, 3, units=32)),
    "VariationalRNN": of_prefixes(VariationalRNN(IndependentNormal(2), 4, units=32)),
    "RecurrentVAE": from_nothing(RecurrentVAE(IndependentNormal(2), 4, units=32)),
}


def seconds(generate, repeats):
    """The median time of a call that has been compiled."""
    generate()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        generate()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def exponent(sizes, times):
    """The slope through the upper half, on logarithmic axes."""
    upper = slice(len(sizes) // 2, None)
    return float(np.polyfit(np.log(sizes[upper]), np.log(times[upper]), 1)[0])


def measured(names, repeats):
    """Times by model and what is varied."""
    table = {}
    for name in names:
        for varied, sizes in SIZES.items():
            settings = [{**FIXED, varied: size} for size in sizes]
            times = [seconds(MODELS[name](**setting), repeats) for setting in settings]
            table[name, varied] = times
            numbers = "".join(f"{1000 * t:>9.1f}" for t in times)
            slope = exponent(sizes, times)
            print(f"{name:<26}{varied:<9}{numbers}  ms   exponent {slope:.2f}", flush=True)
            keras.backend.clear_session()
    return table


def plot(path, table, title):
    """Seconds against what is varied, on logarithmic axes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(SIZES), figsize=(11, 3.6), sharey=True, layout="constrained")
    for axis, (varied, sizes) in zip(axes, SIZES.items(), strict=True):
        for (name, what), times in table.items():
            if what == varied:
                slope = exponent(sizes, times)
                axis.loglog(sizes, times, "o-", ms=3, label=f"{name}: {slope:.2f}")
        others = ", ".join(f"{name} {size}" for name, size in FIXED.items() if name != varied)
        axis.set(xlabel=varied, title=f"{varied} ({others})")
        axis.set_xticks(sizes, sizes)
        axis.minorticks_off()
        axis.legend(title="exponent", fontsize=7, loc="upper left")
    axes[0].set_ylabel("seconds for all paths")
    axes[0].set_ylim(top=40.0 * max(map(max, table.values())))  # room for the legends
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def versions():
    """What is measured, where."""
    backend = keras.backend.backend()
    package = "tensorflow-cpu" if backend == "tensorflow" else backend
    found = [f"python {platform.python_version()}"]
    for name in ("timedist", "keras", package):
        found.append(f"{name} {importlib.metadata.version(name)}")
    return f"{backend}: {', '.join(found)}; {os.cpu_count()} CPUs"


def main():
    """Print the table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the median counts")
    parser.add_argument("--plot", help="where to write a picture")
    options = parser.parse_args()
    title = versions()
    print(title)
    table = measured(options.models, options.repeats)
    if options.plot:
        plot(options.plot, table, title)


if __name__ == "__main__":
    main()
