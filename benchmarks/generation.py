"""What it costs to generate: seconds for one batch against horizon, paths and series.

KERAS_BACKEND=jax python -m benchmarks.generation --plot docs/generation_cost.png
"""

import argparse

from benchmarks.pairs import Curve, Section, Side, exponent, machine
from benchmarks.scaling import times

FIXED = {"horizon": 48, "paths": 64, "series": 16}
SIZES = {
    "horizon": (48, 96, 192, 384, 768),
    "paths": (64, 128, 256, 512, 1024),
    "series": (16, 32, 64, 128, 256),
}
CONTEXT = 48
NAMES = (
    "AutoregressiveRNN",
    "AutoregressiveTransformer",
    "AutoregressiveWaveNet",
    "MixtureDensityRNN",
    "VariationalRNN",
    "RecurrentVAE",
)


def of_series(kind, **options):
    """A function that makes one that generates by a model of series."""

    def made(horizon, paths, series):
        import numpy as np

        from timedist.layers import MixtureNormal
        from timedist.sequence import Rollout

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
        import numpy as np

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


def models():
    """Functions of horizon, paths and series that make what generates."""
    from timedist import sequence
    from timedist.layers import IndependentNormal

    return {
        "AutoregressiveRNN": of_series(sequence.AutoregressiveRNN, units=32),
        "AutoregressiveTransformer": of_series(
            sequence.AutoregressiveTransformer, units=32, window=CONTEXT
        ),
        "AutoregressiveWaveNet": of_series(sequence.AutoregressiveWaveNet, units=32),
        "MixtureDensityRNN": of_prefixes(sequence.MixtureDensityRNN(2, 3, units=32)),
        "VariationalRNN": of_prefixes(sequence.VariationalRNN(IndependentNormal(2), 4, units=32)),
        "RecurrentVAE": from_nothing(sequence.RecurrentVAE(IndependentNormal(2), 4, units=32)),
    }


def curve(model, varied, sizes):
    """A function that gives the seconds for each size of what is varied."""
    import keras

    keras.utils.set_random_seed(0)
    make = models()[model]
    return lambda: times(lambda size: make(**{**FIXED, varied: size}), sizes)


def sections():
    """Every model, on JAX."""
    fixed = ", ".join(f"{name} {size}" for name, size in FIXED.items())
    text = (
        f"Seconds to generate one batch, with {fixed} where nothing else is said; the transformer "
        f"looks back at {CONTEXT} steps."
    )
    curves = [
        Curve(f"{model}: {varied}", _side(model, varied), sizes)
        for model in NAMES
        for varied, sizes in SIZES.items()
    ]
    yield Section("Generation", text, curves=tuple(curves))


def _side(model, varied):
    arguments = {"model": model, "varied": varied}
    return Side("TimeDist", "benchmarks.generation:curve", "jax", ("keras", "jax"), arguments)


def measured(names):
    """Times by model and what is varied."""
    table = {}
    for name in names:
        for varied, sizes in SIZES.items():
            found = table[name, varied] = curve(name, varied, sizes)()
            numbers = "".join(f"{1000 * t:>9.1f}" for t in found)
            slope = exponent(sizes, found)
            print(f"{name:<26}{varied:<9}{numbers}  ms   exponent {slope:.2f}", flush=True)
    return table


def plot(path, table, title):
    """Seconds against what is varied, on logarithmic axes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(SIZES), figsize=(11, 3.6), sharey=True, layout="constrained")
    for axis, (varied, sizes) in zip(axes, SIZES.items(), strict=True):
        for (name, what), found in table.items():
            if what == varied:
                slope = exponent(sizes, found)
                axis.loglog(sizes, found, "o-", ms=3, label=f"{name}: {slope:.2f}")
        others = ", ".join(f"{name} {size}" for name, size in FIXED.items() if name != varied)
        axis.set(xlabel=varied, title=f"{varied} ({others})")
        axis.set_xticks(sizes, sizes)
        axis.minorticks_off()
        axis.legend(title="exponent", fontsize=7, loc="upper left")
    axes[0].set_ylabel("seconds for all paths")
    axes[0].set_ylim(top=40.0 * max(map(max, table.values())))  # room for the legends
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def main():
    """Print the table, and draw it."""
    import keras

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--plot", help="where to write a picture")
    options = parser.parse_args()
    title = machine(("keras", keras.backend.backend()))
    print(title)
    table = measured(options.models)
    if options.plot:
        plot(options.plot, table, title)


if __name__ == "__main__":
    main()
