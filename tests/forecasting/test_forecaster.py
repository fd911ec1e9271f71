"""The forecaster from data frame to data frame: training, forecasts, files, resuming, refusals."""

from datetime import timedelta

import keras
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from frames import START, TINY, columns, pandas_frame, polars_frame, tiny_forecaster
from helpers import assert_close, to_numpy

from timedist.forecasting import Forecaster, ForecastingError
from timedist.forecasting.panel import Panel

HOUR = timedelta(hours=1)
LENGTH = 60


@pytest.fixture(scope="module")
def frame():
    return polars_frame(length=LENGTH)


@pytest.fixture(scope="module")
def fitted(frame):
    return tiny_forecaster().fit(frame, verbose=0)


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(path)
    return path


def refusal(function, *args, **kwargs):
    with pytest.raises(ForecastingError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def weights(forecaster):
    return [to_numpy(variable) for variable in forecaster.model.weights]


class Stop(keras.callbacks.Callback):
    """Ctrl-C in the second step of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.at, self.epoch = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.at and batch == 0:
            raise KeyboardInterrupt


class StopInTheSecond(keras.callbacks.Callback):
    """Ctrl-C in the second epoch of the second network."""

    begun = 0

    def on_train_begin(self, logs=None):
        self.begun += 1

    def on_epoch_begin(self, epoch, logs=None):
        if (self.begun, epoch) == (2, 1):
            raise KeyboardInterrupt


def test_training_changes_the_weights_and_counts_epochs(fitted):
    assert fitted.epochs_done == TINY["epochs"]
    assert fitted.ids == ("a", "b")
    assert fitted.config["freq"] == "1h"
    assert (
        int(fitted.model.members[0].optimizer.iterations)
        == TINY["epochs"] * TINY["steps_per_epoch"]
    )
    assert all(np.isfinite(w).all() for w in weights(fitted))


def test_forecast(fitted, frame):
    table = fitted.forecast(levels=(50, 90), num_paths=20)
    assert isinstance(table, pl.DataFrame)
    assert table.columns == [
        "unique_id", "ds", "timedist", "timedist-median", "timedist-lo-50", "timedist-hi-50",
        "timedist-lo-90", "timedist-hi-90",
    ]  # fmt: skip
    assert table["unique_id"].to_list() == ["a"] * 4 + ["b"] * 4
    after = [START + (LENGTH + step) * HOUR for step in range(4)]
    assert table["ds"].to_list() == after * 2
    low90, low50, median, high50, high90 = (
        table[f"timedist-{name}"].to_numpy()
        for name in ("lo-90", "lo-50", "median", "hi-50", "hi-90")
    )
    assert (low90 <= low50).all()
    assert (low50 <= median).all()
    assert (median <= high50).all()
    assert (high50 <= high90).all()
    assert (low90 >= 0).all()  # counts are never negative, and so are their forecasts
    assert (table["timedist"].to_numpy()[4:] > table["timedist"].to_numpy()[:4]).all()


def test_forecast_follows_the_library_and_the_end_of_each_series(fitted):
    data = pandas_frame(length=LENGTH)
    data = data.drop(data.index[-10:]).sample(frac=1.0, random_state=0)
    table = fitted.forecast(data, levels=(), num_paths=2)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["unique_id", "ds", "timedist", "timedist-median"]
    ends = {"a": LENGTH, "b": LENGTH - 10}
    for name, end in ends.items():
        times = table["ds"][table["unique_id"] == name]
        assert list(times) == [START + (end + step) * HOUR for step in range(4)]


def test_one_of_the_series_is_enough_and_gaps_are_allowed(fitted):
    data = polars_frame(ids=("b",), length=8).with_row_index().filter(pl.col("index") != 5)
    table = fitted.forecast(data, num_paths=2)
    assert table["unique_id"].to_list() == ["b"] * 4
    assert np.isfinite(table["timedist"].to_numpy()).all()


def test_sample_paths(fitted):
    table = fitted.sample_paths(num_paths=3)
    assert table.columns == ["unique_id", "ds", "path", "y"]
    assert table["unique_id"].to_list() == ["a"] * 12 + ["b"] * 12
    assert table["path"].to_list() == [0] * 4 + [1] * 4 + [2] * 4 + [0] * 4 + [1] * 4 + [2] * 4
    after = [START + (LENGTH + step) * HOUR for step in range(4)]
    assert table["ds"].to_list() == after * 6
    assert table["y"].n_unique() > 12


def test_only_what_lies_before_a_window_is_read(fitted, frame):
    panel = Panel.from_frame(frame)
    changed = Panel.from_frame(
        frame.with_columns(
            pl.when(pl.col("ds") >= START + 40 * HOUR).then(1e4).otherwise("y").alias("y")
        )
    )
    series, at = np.array([0, 1, 0, 1]), np.array([40, 40, 41, 41])
    found = []
    for one in (panel, changed):
        fitted._rollouts.clear()  # the same seed again
        found.append(fitted.sample_windows(one, series, at, num_paths=3))
    np.testing.assert_array_equal(found[0][:2], found[1][:2])
    assert (found[0][2:] != found[1][2:]).all()


def test_save_and_load(fitted, saved, frame):
    loaded = Forecaster.load(saved)
    assert loaded.config == fitted.config
    assert (loaded.ids, loaded.epochs_done) == (fitted.ids, fitted.epochs_done)
    for ours, theirs in zip(weights(fitted), weights(loaded), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    states = [f.model.members[0].optimizer.variables for f in (fitted, loaded)]
    for ours, theirs in zip(*states, strict=True):
        np.testing.assert_array_equal(to_numpy(ours), to_numpy(theirs))
    assert sum(np.abs(to_numpy(v)).sum() for v in states[1]) > 0
    # 5 paths were not drawn yet: both begin with the seed of the forecaster.
    expected = fitted.forecast(frame, num_paths=5)
    found = loaded.forecast(frame, num_paths=5)
    for name in expected.columns[2:]:
        assert_close(found[name].to_numpy(), expected[name].to_numpy(), 1e-5)
    assert refusal(loaded.forecast).startswith(
        "a loaded forecaster needs the data to forecast from"
    )


def test_ctrl_c_keeps_the_checkpoint_and_resuming_ends_where_training_would_have(
    fitted, frame, tmp_path
):
    path = tmp_path / "model"
    stopped = tiny_forecaster()
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(frame, checkpoint=path, callbacks=[Stop(epoch=1)], verbose=0)
    assert stopped.epochs_done == 1
    resumed = Forecaster.load(path)
    assert resumed.epochs_done == 1
    resumed.fit(frame, checkpoint=path, resume=True, verbose=0)
    assert resumed.epochs_done == 2
    for ours, theirs in zip(weights(fitted), weights(resumed), strict=True):
        assert_close(theirs, ours, 1e-5, floor=1e-2)
    assert Forecaster.load(path).epochs_done == 2
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    other = polars_frame(ids=("a", "b", "c"), length=LENGTH)
    assert "the data have 3 series of 1h, the model to resume" in refusal(
        resumed.fit, other, resume=True
    )


def test_ctrl_c_while_saving_counts_the_epoch_on_disk(frame, tmp_path, monkeypatch):
    forecaster = tiny_forecaster(epochs=1, steps_per_epoch=1)

    def interrupted(self, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(Forecaster, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        forecaster.fit(frame, checkpoint=tmp_path / "model", verbose=0)
    assert forecaster.epochs_done == 0


def test_counts(frame):
    forecaster = tiny_forecaster(head="negative-binomial", epochs=1).fit(frame, verbose=0)
    y = forecaster.sample_paths(num_paths=20)["y"].to_numpy()
    np.testing.assert_array_equal(y, np.round(y))
    assert y.min() >= 0
    fraction = frame.with_columns(pl.col("y") + 0.5)
    message = refusal(forecaster.fit, fraction, verbose=0)
    assert message.startswith("the head negative-binomial is for counts, but series 'a' has ")
    assert message.endswith(".5")
    assert "has -1" in refusal(forecaster.fit, frame.with_columns(pl.lit(-1.0).alias("y")))


@pytest.mark.parametrize("network", ["transformer", "wavenet"])
def test_other_networks(frame, network, tmp_path):
    options = {"network": network, "units": 8, "epochs": 1, "steps_per_epoch": 1}
    forecaster = tiny_forecaster(**options).fit(frame, verbose=0)
    assert forecaster.model.members[0].core.units == 8
    forecast = forecaster.forecast(num_paths=5)
    assert np.isfinite(forecast["timedist"].to_numpy()).all()
    forecaster.save(tmp_path / "model")
    again = Forecaster.load(tmp_path / "model").forecast(frame, num_paths=5)
    kinds = {
        type(one.model.members[0]) for one in (forecaster, Forecaster.load(tmp_path / "model"))
    }
    assert len(kinds) == 1
    assert_close(again["timedist"].to_numpy(), forecast["timedist"].to_numpy(), 1e-5)
    if network == "wavenet":  # six steps of context
        assert forecaster.model.members[0].core.receptive_field >= 6


def test_a_new_fit_finds_its_own_frequency(frame):
    forecaster = tiny_forecaster(epochs=1, steps_per_epoch=1).fit(frame, verbose=0)
    daily = polars_frame(ids=("x",), length=30, step=timedelta(days=1))
    forecaster.fit(daily, verbose=0)
    assert (forecaster.config["freq"], forecaster.ids) == ("1d", ("x",))
    assert forecaster.epochs_done == 1
    message = refusal(forecaster.forecast, Panel.from_frame(frame))
    assert message == "the data have the frequency 1h, the model has 1d"


def test_each_network_is_trained_by_itself(frame, tmp_path):
    """Stopped in the second network and resumed, both are what they are without a stop."""
    both = tiny_forecaster(members=2).fit(frame, verbose=0)
    assert (both.done, both.epochs_done, both.epochs_in_all) == ([2, 2], 4, 4)
    first, second = ([to_numpy(w) for w in one.weights] for one in both.model.members)
    for w, alone in zip(first, weights(tiny_forecaster().fit(frame, verbose=0)), strict=True):
        assert_close(w, alone, 1e-5)
    assert any((w != other).any() for w, other in zip(first, second, strict=True))
    stopped = tiny_forecaster(members=2)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(frame, tmp_path / "model", callbacks=[StopInTheSecond()], verbose=0)
    resumed = Forecaster.load(tmp_path / "model")
    assert resumed.done == [2, 1]
    resumed.fit(frame, resume=True, verbose=0)
    for w, expected in zip(weights(resumed), weights(both), strict=True):
        assert_close(w, expected, 1e-5)


def test_paths_are_shared_out_among_the_networks(frame):
    forecaster = tiny_forecaster(members=3).fit(frame, verbose=0)
    panel = Panel.from_frame(frame)
    series, at = forecaster._ends(panel)
    paths = forecaster.sample_windows(panel, series, at, num_paths=5)
    assert paths.shape == (2, 5, 4)
    assert {name: rollout.num_paths for name, rollout in forecaster._rollouts.items()} == {
        (0, 2): 2,
        (1, 2): 2,
        (2, 1): 1,
    }
    members = [rollout.model for rollout in forecaster._rollouts.values()]
    assert members == forecaster.model.members
    assert forecaster.sample_windows(panel, series, at, num_paths=1).shape == (2, 1, 4)


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        (0, [1, 1, 1]),
        (0.5, [3 / 7, 3 / 7, 15 / 7]),
        (1, [1 / 9, 1 / 9, 25 / 9]),
        (9, [0.1, 0.1, 3]),
    ],
)
def test_large_series_are_drawn_more_often(weighting, expected):
    frame = polars_frame(ids=("a", "b", "c"), length=5)
    sizes = pl.Series([2.0] * 5 + [-2.0] * 5 + [50.0] * 5)
    weights = tiny_forecaster(weighting=weighting)._weights(
        Panel.from_frame(frame.with_columns(y=sizes))
    )
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_series_of_zeros_are_drawn_alike():
    panel = Panel.from_frame(polars_frame(ids=("a", "b"), length=5).with_columns(y=pl.lit(0.0)))
    np.testing.assert_array_equal(tiny_forecaster()._weights(panel), [1.0, 1.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon must be a whole number of at least 1, got 0"),
        ({"horizon": 2.5}, "horizon must be a whole number of at least 1, got 2.5"),
        ({"context_length": 0}, "context_length must be a whole number of at least 1, got 0"),
        ({"epochs": -1}, "epochs must be a whole number of at least 1, got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"seed": -1}, "seed must be a whole number from 0 to 2147483646, got -1"),
        ({"seed": 2**31}, "seed must be a whole number from 0 to 2147483646, got 2147483648"),
        ({"lags": [0, 1]}, "lags must be different whole numbers from 1 on, got [0, 1]"),
        ({"lags": []}, "lags must be different whole numbers from 1 on, got []"),
        ({"weighting": -1}, "weighting must be 0 or larger, got -1"),
        ({"weighting": float("nan")}, "weighting must be 0 or larger, got nan"),
        (
            {"network": "rnn"},
            "network must be one of recurrent, transformer, wavenet, got 'rnn'",
        ),
        (
            {"head": "cauchy"},
            "head must be one of mixture, normal, student-t, logistic, negative-binomial, poisson, "
            "got 'cauchy'",
        ),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    assert refusal(tiny_forecaster, **options) == message


def test_default_context():
    assert Forecaster(3).context_length == 24
    assert Forecaster(48).context_length == 96


def test_not_fitted(frame, tmp_path):
    message = "the forecaster is not fitted: call fit(frame) or Forecaster.load(path) first"
    forecaster = tiny_forecaster()
    assert refusal(forecaster.forecast, frame) == message
    assert refusal(forecaster.sample_paths, frame) == message
    assert refusal(forecaster.save, tmp_path / "model") == message


def test_series_too_short_to_fit(frame):
    short = pl.concat([frame, polars_frame(ids=("c",), length=9)])
    assert refusal(tiny_forecaster().fit, short) == (
        "series 'c' has 9 steps of 1h, at least 10 are needed for the context and horizon"
    )


def test_what_cannot_be_forecast(fitted, frame):
    short = polars_frame(ids=("a",), length=5)
    assert refusal(fitted.forecast, short) == (
        "series 'a' has 5 steps of 1h, at least 6 are needed for the context"
    )
    unknown = polars_frame(ids=("a", "z"), length=20)
    assert refusal(fitted.forecast, unknown) == (
        "series 'z' was not there when the model was fitted (1 unknown series)"
    )
    assert "levels must be between 0 and 100" in refusal(fitted.forecast, frame, levels=(100,))
    assert refusal(fitted.forecast, frame, num_paths=0) == "num_paths must be at least 1, got 0"
    shifted = {**columns(length=20)}
    shifted["ds"][3] += timedelta(minutes=1)
    assert "does not fit the frequency 1h" in refusal(fitted.forecast, pl.DataFrame(shifted))


def test_load_refuses_what_it_cannot_read(saved, tmp_path):
    import json

    from timedist.forecasting import storage

    description = json.loads((saved / storage.DESCRIPTION).read_text(encoding="utf-8"))
    for number, wrong in enumerate(
        ({"config": {"horizon": 0}}, {"config": {"colour": 1}}, {"ids": 3})
    ):
        path = tmp_path / str(number)
        path.mkdir()
        (path / storage.MODEL).write_bytes((saved / storage.MODEL).read_bytes())
        text = json.dumps({**description, **wrong})
        (path / storage.DESCRIPTION).write_text(text, encoding="utf-8")
        assert refusal(Forecaster.load, path).startswith(f"model {path} cannot be read: ")


def test_frames_of_narwhals_itself(fitted, frame):
    table = fitted.forecast(nw.from_native(frame), levels=(), num_paths=2)
    assert isinstance(table, pl.DataFrame)
