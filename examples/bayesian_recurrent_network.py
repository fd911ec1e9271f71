"""A recurrent network that knows what it does not know: intervals widen outside the training range.

    python examples/bayesian_recurrent_network.py

An LSTM whose weights have a posterior, drawn once for a sequence, forecasts the next hour of
pedestrian counts from the hours before it. It is trained on 50 quiet days, with fewer than 400
people in every hour; the noise has one learned size, so that only what is not known can widen an
interval. On busy days, with more than 1,200 people in some hour, the 90 % intervals are at least
WIDER times as wide as on other quiet days, and the spread of the mean over draws of the weights
MORE times. Those of an ordinary LSTM are as wide as ever.
"""

import keras
import numpy as np
from keras import ops

import timedist
from timedist.datasets import auckland_pedestrians
from timedist.distributions import Independent, Normal
from timedist.layers import DenseReparameterization, DistributionLayer, LSTMReparameterization
from timedist.losses import NegativeLogLikelihood

QUIET, BUSY, WIDER, MORE = 400, 1200, 1.2, 2.0
HOURS, UNITS = 24, 16


@keras.saving.register_keras_serializable("examples")
class NormalOfOneScale(DistributionLayer):
    """Normal distributions with the inputs for means and one learned deviation."""

    def build(self, input_shape):
        """Make the deviation."""
        self.raw = self.add_weight(shape=(), initializer="zeros", name="raw_scale")
        self.built = True

    def call(self, inputs):
        """The distributions of these means."""
        return Independent(Normal(inputs, 1e-3 + ops.softplus(ops.convert_to_tensor(self.raw))))


def days():
    """Days of 25 hours, in hundreds of people: quiet ones to train and to test, and busy ones."""
    frame = auckland_pedestrians()
    counts = frame["y"].to_numpy().reshape(frame["unique_id"].n_unique(), -1)
    starts = np.arange(0, counts.shape[1] - HOURS, HOURS)
    windows = counts[:, starts[:, None] + np.arange(HOURS + 1)].reshape(-1, HOURS + 1)
    windows = windows[~np.isnan(windows).any(axis=1)]
    windows = np.random.default_rng(0).permutation(windows)
    most = windows.max(axis=1)
    quiet, busy = windows[(most < QUIET) & (most > 100)], windows[most > BUSY]
    return [part.astype("float32") / 100.0 for part in (quiet[:50], quiet[300:500], busy[:200])]


def network(uncertain):
    options = {"activation": "relu", "return_sequences": True}
    if uncertain:
        core, last = LSTMReparameterization(UNITS, **options), DenseReparameterization(1)
    else:
        core, last = keras.layers.LSTM(UNITS, **options), keras.layers.Dense(1)
    return keras.Sequential([keras.Input((None, 1)), core, last, NormalOfOneScale()])


def trained(uncertain, windows, epochs):
    keras.utils.set_random_seed(0)
    model = network(uncertain)
    rate = keras.optimizers.schedules.CosineDecay(0.03, epochs)
    loss = NegativeLogLikelihood(reduction="mean_over_sequences")
    model.compile(keras.optimizers.Adam(rate, clipnorm=10.0), loss)
    x, y = windows[:, :-1, None], windows[:, 1:, None]
    model.fit(x, y, batch_size=len(windows), epochs=epochs, verbose=0)
    return model


def forecast(model, windows, draws):
    """The forecast of every hour after the eighth, a mixture over draws of the weights if any."""
    x = windows[:, :-1, None]
    return timedist.predict(model, x, num_draws=draws, batch_size=200, verbose=0)[:, 8:].marginals()


def widths(predicted):
    """Mean width of 90 % intervals, and mean spread of the mean over the draws of the weights."""
    low, high = (np.asarray(end) for end in predicted.interval(0.9))
    means = predicted.components.mean() if hasattr(predicted, "components") else [0.0]
    return float(np.mean(high - low)), float(np.asarray(means).std(axis=-1).mean())


def plot(path, forecasts, windows):
    """A quiet and a busy day with their intervals, as a picture."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for axis, name in zip(axes, ("quiet", "busy"), strict=True):
        hours, truth = np.arange(9, HOURS + 1), windows[name][0, 9:]
        for model, colour in (("ordinary", "tab:gray"), ("uncertain weights", "tab:blue")):
            low, high = forecasts[model, name][:1].interval(0.9)
            low, high = np.asarray(low)[0, :, 0], np.asarray(high)[0, :, 0]
            axis.fill_between(hours, low, high, color=colour, alpha=0.4, label=f"{model}, 90 %")
        axis.plot(hours, truth, "k.-", label="counted")
        axis.set(title=f"a {name} day", xlabel="hour", ylabel="hundreds of people")
    axes[0].legend()
    figure.savefig(path, dpi=110)


def main(epochs=150, path=None):
    train, quiet, busy = days()
    windows = {"quiet": quiet, "busy": busy}
    forecasts, results = {}, {}
    for name, uncertain, draws in (("ordinary", False, None), ("uncertain weights", True, 50)):
        model = trained(uncertain, train, epochs)
        for kind, part in windows.items():
            forecasts[name, kind] = forecast(model, part, draws)
        inside, outside = (widths(forecasts[name, kind]) for kind in windows)
        results[name] = (outside[0] / inside[0], outside[1] / max(inside[1], 1e-9))
        print(f"{name}: intervals of {inside[0]:.2f} on quiet days, {outside[0]:.2f} on busy ones")
        print(f"    spread of the mean over the weights {inside[1]:.2f} and {outside[1]:.2f}")
    if path is not None:
        plot(path, forecasts, windows)
    return results


if __name__ == "__main__":
    main(path="bayesian_recurrent_network.png")
