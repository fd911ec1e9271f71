"""A recurrent network, a transformer and a WaveNet, side by side on pedestrians hour by hour.

    python examples/autoregressive_models.py

Three autoregressive models of the counts on 21 streets of Auckland read the same windows and end in
the same head, a mixture of three normals. They are trained on the hours up to 2 November 2025 and
scored on the next 28 days by the mean log density of an hour given the hours before it, in nats;
the unit is one person. The counts have uniform noise from 0 to 1 on top, so that no value has a
mass of its own, and the probability of the counts themselves is at least as high.

Each model reaches at least REACHED nats an hour. A fourth one with the same head but no past, which
sees only the calendar, the street and how busy it is there, stays MARGIN or more below each of
them. (Trained four times as long it reaches -5.07, and the others -4.77 to -4.79.) All four then
generate days.
"""

import keras
import numpy as np

import timedist
from timedist.datasets import auckland_pedestrians
from timedist.datasets.windows import RandomWindows, SeriesWindows
from timedist.forecasting.panel import Panel
from timedist.layers import MixtureNormal
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import (
    AutoregressiveModel,
    AutoregressiveRNN,
    AutoregressiveTransformer,
    AutoregressiveWaveNet,
    Core,
    Rollout,
)

REACHED, MARGIN = -5.0, 0.15
LAGS, CONTEXT, DAY, DAYS, BATCH = (1, 2, 24, 168), 24, 24, 28, 64


@keras.saving.register_keras_serializable("examples")
class Calendar(Core):
    """Dense layers that see of each hour what is known in advance, and nothing of the past."""

    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = [keras.layers.Dense(units, activation="relu") for _ in range(2)]

    def build(self, input_shape):
        """Make the weights."""
        self.dense[0].build((None, input_shape[-1] - 2 * len(LAGS)))
        self.dense[1].build((None, self.units))
        self.built = True

    def call(self, x, training=None):
        """Lagged values, and whether they are missing, stand first."""
        return self.dense[1](self.dense[0](x[..., 2 * len(LAGS) :]))

    def begin(self, x, steps):
        """Nothing is kept of the past."""
        return [], []

    def step(self, x, i, shared, state):
        """A step is like any other."""
        return self(x), state


def models(streets):
    """The models by name, the one without a past first."""
    options = {"context_length": CONTEXT, "num_series": streets, "nonnegative": True}
    return {
        "calendar only": AutoregressiveModel(Calendar(), MixtureNormal(3), LAGS, **options),
        "recurrent": AutoregressiveRNN(MixtureNormal(3), LAGS, units=48, **options),
        "transformer": AutoregressiveTransformer(
            MixtureNormal(3), LAGS, units=32, heads=2, feedforward=2, **options
        ),
        "WaveNet": AutoregressiveWaveNet(
            MixtureNormal(3), LAGS, units=32, dilations=(1, 2, 4, 8), **options
        ),
    }


def data():
    """Windows of the hours to train on and of all hours, and the names of the streets."""
    panel = Panel.from_frame(auckland_pedestrians()).until(np.datetime64("2025-11-30T23:00:00"))
    rng = np.random.default_rng(0)
    series = [counts + rng.uniform(size=counts.shape) for counts in panel.series]
    features = panel.frequency.features(panel.stamps(np.arange(panel.end)))
    train, whole = (
        SeriesWindows([x[:end] for x in series], panel.starts, features, 0, max(LAGS) + CONTEXT)
        for end in (panel.end - DAYS * DAY, panel.end)
    )
    return train, whole, panel.ids


def held_out(train, whole):
    """The days behind the training, of all streets."""
    street, day = (x.ravel() for x in np.meshgrid(np.arange(len(train.lengths)), np.arange(DAYS)))
    at = train.lengths[street] + day * DAY
    target = whole.target(street, at, max(LAGS) + CONTEXT, DAY)
    features = whole.known(street, at, CONTEXT, DAY)
    return {"target": target, "features": features, "series": street.astype("int32")}


def trained(model, windows, steps):
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=6e-3, warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
    model.compile(optimizer, NegativeLogLikelihood(missing="mask"))
    batches = RandomWindows(windows, max(LAGS), CONTEXT, DAY, BATCH, steps, seed=0)
    model.fit(batches, epochs=1, verbose=0)
    return model


def nats(model, test):
    """The mean log density of an hour of the days held out."""
    predicted = timedist.predict(model, test, batch_size=196, verbose=0)
    density = np.asarray(predicted.log_prob(test["target"][:, max(LAGS) :]))[:, CONTEXT:]
    return float(np.nanmean(density))


def plot(path, streets, target, drawn):
    """A row for each model: three days as they were, black, and as it draws them from midnight on.

    Paths that leave the picture at the top go beyond twice the most that was counted.
    """
    import matplotlib.pyplot as plt

    size = (10, 2.0 * len(drawn))
    figure, axes = plt.subplots(
        len(drawn), len(streets), figsize=size, sharex=True, sharey="col", layout="constrained"
    )
    for (name, paths), row in zip(drawn.items(), axes, strict=True):
        for axis, real, some in zip(row, target[:, -CONTEXT - DAY :], paths, strict=True):
            axis.plot(np.arange(DAY), some.T, color="tab:blue", alpha=0.5, linewidth=0.8)
            axis.plot(np.arange(-CONTEXT, DAY), real, "k", linewidth=1.2)
            axis.axvline(-0.5, color="tab:gray", linewidth=0.8, linestyle=":")
            axis.set_ylim(0.0, 2.0 * real.max())
        row[0].set_ylabel(name)
    for axis, street in zip(axes[0], streets, strict=True):
        axis.set_title(street)
    for axis in axes[-1]:
        axis.set(xlabel="hour", xticks=range(-CONTEXT, DAY + 1, 12))
    figure.savefig(path, dpi=110)


def main(steps=350, path=None):
    train, whole, names = data()
    test = held_out(train, whole)
    shown = {name: x[[95, 180, 430]] for name, x in test.items()}
    past = {**shown, "target": shown["target"][:, : max(LAGS) + CONTEXT]}
    results, drawn = {}, {}
    for name, model in models(len(names)).items():
        keras.utils.set_random_seed(0)
        results[name] = nats(trained(model, train, steps), test)
        drawn[name] = Rollout(model, 10, seed=1).predict(past, verbose=0)
        print(f"{name}: {results[name]:.3f} nats an hour", flush=True)
    if path is not None:
        plot(path, [names[number] for number in shown["series"]], shown["target"], drawn)
    return results, drawn


if __name__ == "__main__":
    main(path="autoregressive_models.png")
