"""The command, in process: what it writes, what it says, how it ends."""

import json
from datetime import datetime

import keras
import polars as pl
import pytest
from frames import polars_frame

from timedist.forecasting import cli, storage
from timedist.forecasting.forecaster import Forecaster


@pytest.fixture(autouse=True)
def tiny_training(monkeypatch):
    """Training of two steps an epoch by a tiny network, whatever the command asks for."""
    real = Forecaster.__init__

    def small(self, *args, **kwargs):
        real(
            self,
            *args,
            **{"units": 4, "steps_per_epoch": 2, "batch_size": 8, "lags": [1, 2, 24], **kwargs},
        )

    monkeypatch.setattr(Forecaster, "__init__", small)


@pytest.fixture
def data(tmp_path):
    """A CSV file of two hourly series."""
    path = tmp_path / "data.csv"
    polars_frame(length=150).write_csv(path)
    return path


@pytest.fixture
def model(data, tmp_path):
    """A fitted model directory."""
    path = tmp_path / "model"
    assert run("fit", data, "-o", path, "--horizon", 3, "--epochs", 1) == 0
    return path


def run(*arguments):
    return cli.run([str(argument) for argument in arguments])


def refused(capsys, *arguments):
    """The one line on stderr of a command that must end with exit code 2."""
    capsys.readouterr()
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("timedist: ")
    return lines[0]


def test_fit_and_forecast_csv_and_parquet(model, data, tmp_path):
    parquet = tmp_path / "data.parquet"
    pl.read_csv(data, try_parse_dates=True).write_parquet(parquet)
    for source, name in ((data, "out.csv"), (parquet, "out.parquet")):
        out = tmp_path / name
        assert (
            run("forecast", model, source, "-o", out, "--num-paths", 20, "--levels", "50,90") == 0
        )
        read = pl.read_csv if name.endswith("csv") else pl.read_parquet
        frame = read(out)
        assert frame.columns == [
            "unique_id",
            "ds",
            "timedist",
            "timedist-median",
            "timedist-lo-50",
            "timedist-hi-50",
            "timedist-lo-90",
            "timedist-hi-90",
        ]
        assert frame["unique_id"].to_list() == ["a"] * 3 + ["b"] * 3
        assert (frame["timedist-lo-90"] <= frame["timedist-lo-50"]).all()
        assert frame["timedist"].is_finite().all()


def test_sample_paths(model, data, tmp_path):
    out = tmp_path / "paths.parquet"
    assert run("forecast", model, data, "-o", out, "--num-paths", 5, "--paths") == 0
    frame = pl.read_parquet(out)
    assert frame.columns == ["unique_id", "ds", "path", "y"]
    assert len(frame) == 2 * 5 * 3


def test_backtest(data, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = ("--horizon", 3, "--windows", 2, "--epochs", 1, "--num-paths", 20)
    assert run("backtest", data, *arguments, "-o", out) == 0
    printed = capsys.readouterr().out
    assert "timedist" in printed
    assert "seasonal naive" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "forecast.png",
        "forecasts.parquet",
        "scores.csv",
    ]
    scores = pl.read_csv(out / "scores.csv")
    assert scores["model"].to_list() == ["timedist", "seasonal naive", "seasonal pool"]


def test_demo(monkeypatch, tmp_path):
    frame = polars_frame(length=24 * 40, start=datetime(2025, 10, 24))
    monkeypatch.setattr(cli, "auckland_pedestrians", lambda: frame)
    out = tmp_path / "demo"
    assert run("demo", "--output", out, "--epochs", 1, "--num-paths", 10) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {"scores.csv", "forecasts.parquet", "forecast.png", "model"}
    assert Forecaster.load(out / "model").horizon == 24


@pytest.mark.parametrize("command", ["demo", "fit", "forecast", "backtest"])
def test_help_teaches(command, capsys):
    assert run(command, "--help") == 0
    printed = capsys.readouterr().out
    assert "--backend" in printed
    assert len(printed.splitlines()) > 15


# --- bad input: one line that says what and where, exit code 2, nothing left behind ---------------


BAD_DATA = {
    "missing column": (lambda f: f.drop("y"), "column 'y' is missing"),
    "duplicate timestamps": (lambda f: pl.concat([f, f.head(1)]), "'a' has more than one row at"),
    "step off the grid": (
        lambda f: f.with_columns(
            pl.when(pl.int_range(pl.len()) == 5)
            .then(pl.col("ds") + pl.duration(minutes=20))
            .otherwise(pl.col("ds"))
            .alias("ds")
        ),
        "does not fit the frequency 1h",
    ),
    "strings in y": (
        lambda f: f.with_columns(
            pl.when(pl.int_range(pl.len()) == 5)
            .then(pl.lit("many"))
            .otherwise(pl.col("y").cast(pl.String))
            .alias("y")
        ),
        "'many' in row 6",
    ),
    "series shorter than the context": (lambda f: f.head(65), "'b' has 5 steps of 1h"),
    "no rows": (lambda f: f.head(0), "no rows"),
}


@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_bad_data(case, suffix, tmp_path, capsys):
    change, message = BAD_DATA[case]
    path = tmp_path / f"data.{suffix}"
    frame = change(polars_frame(length=60))
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    line = refused(capsys, "fit", path, "-o", tmp_path / "model", "--horizon", 3)
    assert str(path) in line
    assert message in line
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_wrong_files(tmp_path, capsys):
    assert "no such file" in refused(capsys, "fit", tmp_path / "no.csv", "-o", tmp_path / "m")
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    assert "expected a .csv or .parquet" in refused(capsys, "fit", text, "-o", tmp_path / "m")
    garbage = tmp_path / "garbage.parquet"
    garbage.write_bytes(b"\x00\x01garbage")
    assert "cannot be read as parquet" in refused(capsys, "fit", garbage, "-o", tmp_path / "m")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["garbage.parquet", "notes.txt"]


def test_bad_options(data, tmp_path, capsys):
    fit = ("fit", data, "-o", tmp_path / "model")
    assert "horizon must be" in refused(capsys, *fit, "--horizon", 0)
    assert "frequency 'often'" in refused(capsys, *fit, "--freq", "often")
    assert "--head" in refused(capsys, *fit, "--head", "cauchy")
    assert "--windows" in refused(capsys, "backtest", data, "--windows", 0)
    assert "nothing is left to train on" in refused(capsys, "backtest", data, "--windows", 99)
    assert "DATA" in refused(capsys, "fit")
    assert not (tmp_path / "model").exists()


def test_bad_model_directories(model, data, tmp_path, capsys):
    out = tmp_path / "out.csv"
    forecast = ("forecast", model, data, "-o", out)
    description = model / storage.DESCRIPTION
    good = description.read_text()
    description.write_text(json.dumps({**json.loads(good), "format": 99}))
    assert "format 99" in refused(capsys, *forecast)
    description.write_text(good[: len(good) // 2])
    assert "damaged" in refused(capsys, *forecast)
    description.write_text(good)
    (model / storage.MODEL).write_bytes(b"half")
    assert "damaged" in refused(capsys, *forecast)
    description.unlink()
    assert "no model directory" in refused(capsys, *forecast)
    assert "does not exist" in refused(capsys, "forecast", tmp_path / "no", data, "-o", out)
    assert not out.exists()


def test_bad_forecasts(model, data, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert "levels" in refused(capsys, "forecast", model, data, "-o", out, "--levels", "0,150")
    assert "--levels" in refused(capsys, "forecast", model, data, "-o", out, "--levels", "wide")
    assert ".csv or .parquet" in refused(capsys, "forecast", model, data, "-o", tmp_path / "o.xlsx")
    nowhere = tmp_path / "no" / "out.csv"
    assert "does not exist" in refused(capsys, "forecast", model, data, "-o", nowhere)
    other = tmp_path / "other.csv"
    polars_frame(ids=("c",), length=60).write_csv(other)
    assert "'c' was not there" in refused(capsys, "forecast", model, other, "-o", out)
    assert not out.exists()


def test_a_foreign_directory_is_never_replaced(data, tmp_path, capsys):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    assert "no model directory" in refused(capsys, "fit", data, "-o", precious, "--horizon", 3)
    assert (precious / "thesis.tex").read_text() == "years of work"


# --- Ctrl-C ---------------------------------------------------------------------------------------


def test_interrupt_keeps_the_last_whole_epoch_and_resume_goes_on(monkeypatch, data, tmp_path):
    model = tmp_path / "model"
    begin = keras.callbacks.Callback.on_epoch_begin

    def interrupt(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        return begin(self, epoch, logs)

    monkeypatch.setattr(keras.callbacks.Callback, "on_epoch_begin", interrupt)
    assert run("fit", data, "-o", model, "--horizon", 3, "--epochs", 3) == 130
    assert Forecaster.load(model).epochs_done == 1
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    monkeypatch.undo()
    assert run("fit", data, "-o", model, "--resume") == 0
    assert Forecaster.load(model).epochs_done == 3
