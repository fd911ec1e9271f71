"""A deep state space model of 21 places: people a day, with days missing.

    python examples/deep_state_space.py

The daily sums of the pedestrian counts of Auckland, with every fifth day of the past hidden. One
network reads the calendar and says for every place how fast its level and its days of the week move
and how noisy a day is; the exact filter does the rest. Trained on windows until June 2025, it
forecasts every week from July to December given the four weeks before. The log density of a day
is at least REACHED nats higher than that of independent normals around the mean of the same
weekday in those four weeks, with a deviation for each place and weekday from the training data.
That of a whole week, which knows how its days depend on each other, is MORE nats a day higher. The
90 % intervals hold some 86 % of the days: the noise is normal, and some days in a city are not.
"""

import datetime

import keras
import numpy as np

from timedist.datasets import auckland_pedestrians
from timedist.distributions import Normal
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import DeepStateSpace

REACHED, MORE = 0.04, 0.2
CONTEXT, HORIZON = 28, 7
STEPS, PLACES = CONTEXT + HORIZON, 21
FIRST, SPLIT = datetime.date(2023, 1, 1), datetime.date(2025, 7, 1)
HOLIDAYS = {(1, 1), (1, 2), (2, 6), (4, 25), (12, 25), (12, 26)}


def data():
    """Thousands of people a day, `(places, days)`, and of each day weekday and features."""
    frame = auckland_pedestrians()
    hours = frame["y"].to_numpy().reshape(frame["unique_id"].n_unique(), -1, 24)
    days = [FIRST + datetime.timedelta(int(i)) for i in range(hours.shape[1])]
    weekday = np.array([day.weekday() for day in days])
    year = 2.0 * np.pi * np.array([day.timetuple().tm_yday for day in days])[:, None] / 365.25
    holiday = np.array([[(day.month, day.day) in HOLIDAYS] for day in days])
    waves = [f(k * year) for k in (1, 2) for f in (np.sin, np.cos)]
    features = np.concatenate([np.eye(7)[weekday], holiday, *waves], axis=1)
    return hours.sum(axis=-1).astype("float32") / 1000.0, weekday, features.astype("float32")


def windows(table, series, at, seed):
    """Inputs and whole targets of windows that begin at days `at`, past days hidden at random."""
    people, weekday, features = table
    steps = at[:, None] + np.arange(STEPS)
    y = people[series[:, None], steps]
    hidden = np.random.default_rng(seed).uniform(size=y.shape) < 0.2
    y = np.where(hidden & (np.arange(STEPS) < CONTEXT), np.nan, y)
    inputs = {
        "target": y[:, :CONTEXT],
        "features": features[steps],
        "seasons": weekday[steps].astype("int32"),
        "series": series.astype("int32"),
    }
    return inputs, y[..., None]


def trained(inputs, y, epochs):
    keras.utils.set_random_seed(0)
    model = DeepStateSpace(seasonal=(7,), units=32, num_series=PLACES)
    rate = keras.optimizers.schedules.CosineDecay(0.02, epochs * 32)
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=10.0)
    model.compile(optimizer, NegativeLogLikelihood(missing="mask"))
    model.fit(inputs, y, batch_size=128, epochs=epochs, verbose=0)
    return model


def by_weekday(inputs, y, deviations=None):
    """Independent normals: the mean of the weekday in the past, and deviations relative to it.

    The deviations of each place and weekday, if not given, are those of what is to be forecast.
    """
    past, weekday = inputs["target"], inputs["seasons"]
    overall = np.nanmean(past, axis=1, keepdims=True)
    each = [np.where(weekday[:, :CONTEXT] == day, past, np.nan) for day in range(7)]
    number = np.stack([np.isfinite(x).sum(axis=1) for x in each], axis=1)
    total = np.stack([np.nansum(x, axis=1) for x in each], axis=1)
    means = np.where(number > 0, total / np.maximum(number, 1), overall)
    ahead = weekday[:, CONTEXT:]
    loc = np.take_along_axis(means, ahead, axis=1)
    group = 7 * inputs["series"][:, None] + ahead
    if deviations is None:
        errors = np.square((y[:, CONTEXT:, 0] - loc) / overall)
        seen = np.isfinite(errors)
        number = np.bincount(group[seen], minlength=7 * PLACES)
        deviations = np.sqrt(np.bincount(group[seen], errors[seen], 7 * PLACES) / number)
    spread = (overall * deviations[group]).astype("float32")
    return Normal(loc.astype("float32"), spread), deviations


def nats(distribution, future):
    """The mean log density of the days that are known."""
    seen = np.isfinite(future)
    each = np.asarray(
        keras.ops.convert_to_numpy(distribution.log_prob(np.where(seen, future, 1.0)))
    )
    return float(each[seen].mean())


def plot(path, forecast, paths, y):
    """Forecasts of a few windows, past and truth, as a picture."""
    import matplotlib.pyplot as plt

    days = np.arange(STEPS) - CONTEXT
    ahead = days[CONTEXT:]
    figure, axes = plt.subplots(len(y), 1, figsize=(8, 2.2 * len(y)), sharex=True)
    for i, axis in enumerate(axes):
        mean, spread = forecast.loc[i], forecast.scale[i]
        for width, shade in ((1.645, 0.2), (0.674, 0.35)):
            low, high = mean - width * spread, mean + width * spread
            axis.fill_between(ahead, low, high, color="C0", alpha=shade, lw=0)
        axis.plot(ahead, paths[i].T, color="C0", lw=0.6)
        axis.plot(days, y[i, :, 0], "k.-", ms=4, lw=0.8)
        axis.set_ylabel("1,000 people")
    axes[-1].set_xlabel("days; 50 % and 90 % intervals, three paths; gaps: days hidden")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(epochs=6, path=None):
    table = data()
    split = (SPLIT - FIRST).days
    rng = np.random.default_rng(0)
    series, at = rng.integers(PLACES, size=4096), rng.integers(split - STEPS + 1, size=4096)
    train = windows(table, series, at, 1)
    weeks = np.arange(split - CONTEXT, table[0].shape[1] - STEPS + 1, HORIZON)
    test, y = windows(table, np.repeat(np.arange(PLACES), len(weeks)), np.tile(weeks, PLACES), 2)
    model = trained(*train, epochs)
    future = y[:, CONTEXT:, 0]
    forecast, joint = (f(test, batch_size=182) for f in (model.forecast, model.joint_forecast))
    seen = np.isfinite(future)
    whole = joint.log_prob_where(y[:, CONTEXT:], seen[..., None])
    results = {
        "day by day": nats(forecast, future),
        "whole weeks": float(np.asarray(keras.ops.convert_to_numpy(whole)).sum() / seen.sum()),
        "by weekday": nats(by_weekday(test, y, by_weekday(*train)[1])[0], future),
    }
    for name, score in results.items():
        print(f"{name}: {score:.3f} nats a day, of thousands of people")
    within = np.abs(future - forecast.loc) < 1.645 * forecast.scale
    results["coverage"] = float(within[seen].mean())
    print(f"of the days {100 * results['coverage']:.0f} % are within the 90 % intervals")
    if path is not None:
        rows = np.array([9, 4, 16]) * len(weeks) + np.array([3, 12, 22])
        paths = model.sample_paths({name: x[rows] for name, x in test.items()}, 3, seed=1)
        plot(path, forecast[rows], paths, y[rows])
    return results


if __name__ == "__main__":
    main(path="deep_state_space.png")
