"""A recurrent network that knows what it does not know: intervals widen outside the training range.

    python examples/bayesian_recurrent_network.py

An LSTM whose weights have a posterior, drawn once for a sequence, forecasts the next hour of
pedestrian counts from the hours before it. It is trained on quiet days only, with fewer than 400
people an hour. On busy days, with more than 1,200, its 90 % intervals are WIDER times as wide as on
quiet days; those of an ordinary LSTM of the same size hardly change.
"""

import keras
import numpy as np

import timedist
from timedist.datasets import auckland_pedestrians
from timedist.layers import (
    DenseReparameterization,
    IndependentNormal,
    LSTMReparameterization,
)
from timedist.losses import NegativeLogLikelihood

QUIET, BUSY, WIDER = 400, 1200, 3.0
HOURS, UNITS = 24, 16


def days():
    """Days of 25 hours, in hundreds of people: quiet ones to train and to test, and busy ones."""
    frame = auckland_pedestrians()
    counts = frame["y"].to_numpy().reshape(frame["unique_id"].n_unique(), -1)
    hours = counts.shape[1] // HOURS * HOURS - HOURS
    starts = np.arange(0, hours, HOURS)
    windows = counts[:, starts[:, None] + np.arange(HOURS + 1)].reshape(-1, HOURS + 1)
    windows = windows[~np.isnan(windows).any(axis=1)]
    windows = np.random.default_rng(0).permutation(windows)
    most = windows.max(axis=1)
    quiet, busy = windows[(most < QUIET) & (most > 100)], windows[most > BUSY]
    return [part.astype("float32") / 100.0 for part in (quiet[:300], quiet[300:600], busy[:300])]


def network(uncertain):
    if uncertain:
        core = LSTMReparameterization(UNITS, return_sequences=True)
        last = DenseReparameterization(2)
    else:
        core = keras.layers.LSTM(UNITS, return_sequences=True)
        last = keras.layers.Dense(2)
    return keras.Sequential([keras.Input((None, 1)), core, last, IndependentNormal(1)])


def width(model, windows, draws):
    """The mean width of 90 % intervals of the last hours, in hundreds of people."""
    x = windows[:, :-1, None]
    predicted = timedist.predict(model, x, num_draws=draws, batch_size=300, verbose=0)
    low, high = predicted[:, HOURS // 2 :].marginals().interval(0.9)
    return float(np.mean(np.asarray(high) - np.asarray(low)))


def main(epochs=150):
    train, quiet, busy = days()
    results = {}
    for name, uncertain in (("ordinary", False), ("uncertain weights", True)):
        keras.utils.set_random_seed(0)
        model = network(uncertain)
        loss = NegativeLogLikelihood(reduction="mean_over_sequences")
        model.compile(keras.optimizers.Adam(0.01), loss)
        model.fit(train[:, :-1, None], train[:, 1:, None], batch_size=100, epochs=epochs, verbose=0)
        draws = 100 if uncertain else None
        inside, outside = (width(model, part, draws) for part in (quiet, busy))
        ratio = outside / inside
        results[name] = {"inside": inside, "outside": outside, "ratio": ratio}
        print(f"{name}: {inside:.2f} on quiet days, {outside:.2f} on busy ones: {ratio:.1f}")
    return results


if __name__ == "__main__":
    main()
