"""The command from end to end in process: what it writes, what it refuses, and after Ctrl-C."""

import functools
import json
import signal

import keras
import numpy as np
import polars as pl
import pytest
from frames import TINY, columns, polars_frame

from timedist.forecasting import Forecaster, cli, files, storage
from timedist.forecasting.networks import HEADS, NETWORKS
from timedist.forecasting.quantiles import LEVELS
from timedist_cli import commands

LENGTH = 60
SMALL = {name: TINY[name] for name in ("lags", "units", "steps_per_epoch", "batch_size")}


class SmallForecaster(Forecaster):
    """What the command trains, made small."""

    @functools.wraps(Forecaster.__init__)
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**SMALL, **kwargs})


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cli, "Forecaster", SmallForecaster)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.csv"
    files.write_frame(polars_frame(length=LENGTH), path)
    return path


@pytest.fixture(scope="module")
def model(data):
    path = data.parent / "model"
    options = {"horizon": 4, "context_length": 6, "head": "normal", "epochs": 1}
    SmallForecaster(**options).fit(files.read_frame(data), checkpoint=path, verbose=0)
    return path


def run(*arguments):
    return commands.run([str(argument) for argument in arguments])


def listing(path):
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


# --- what it does -----------------------------------------------------------------------------


def test_fit_and_forecast(data, tmp_path, capsys):
    model, options = tmp_path / "model", ["--horizon", 3, "--context-length", 6, "--head", "normal"]
    assert run("fit", data, "-o", model, *options, "--epochs", 1, "--seed", 5) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"wrote {model}" in captured.err
    assert listing(tmp_path) == ["model", "model/forecaster.json", "model/model.keras"]
    config = Forecaster.load(model).config
    assert (config["horizon"], config["freq"], config["seed"]) == (3, "1h", 5)

    out = tmp_path / "forecast.parquet"
    assert run("forecast", model, data, "-o", out, "--num-paths", 5, "--levels", "50,90") == 0
    assert f"wrote {out}" in capsys.readouterr().err
    table = pl.read_parquet(out)
    assert table.columns == [
        "unique_id", "ds", "timedist", "timedist-median", "timedist-lo-50", "timedist-hi-50",
        "timedist-lo-90", "timedist-hi-90",
    ]  # fmt: skip
    assert table.shape == (6, 8)
    assert table["ds"][0] == polars_frame(length=LENGTH + 1)["ds"][-1]

    assert run("fit", data, "-o", model, "--resume") == 0
    assert f"{model} is complete: 2 epochs are done" in capsys.readouterr().err


def test_paths_from_parquet_to_csv(model, data, tmp_path):
    table, out = tmp_path / "data.parquet", tmp_path / "paths.csv"
    files.write_frame(files.read_frame(data), table)
    assert run("forecast", model, table, "-o", out, "--num-paths", 3, "--paths") == 0
    found = pl.read_csv(out)
    assert found.columns == ["unique_id", "ds", "path", "y"]
    assert found.shape == (2 * 3 * 4, 4)


def test_backtest(data, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    options = ["--horizon", 4, "--windows", 2, "--head", "normal", "--epochs", 1, "--num-paths", 5]
    assert run("backtest", data, *options, "-o", out) == 0
    captured = capsys.readouterr()
    for expected in ("4 held-out windows of 4 steps of 1h", "timedist", "seasonal naive", "MASE"):
        assert expected in captured.out
    assert listing(out) == ["forecast.png", "forecasts.parquet", "scores.csv"]
    assert pl.read_parquet(out / "forecasts.parquet")["cutoff"].n_unique() == 2


def test_demo(tmp_path, capsys, monkeypatch):
    # The last week of the demo's data, and one before it to learn from.
    first = np.datetime64("2025-10-20T00:00:00").astype(object)
    hours = (np.datetime64("2025-12-01") - np.datetime64("2025-10-20")).astype(int) * 24
    frame = polars_frame(length=int(hours) + 30, start=first)
    monkeypatch.setattr(cli, "auckland_pedestrians", lambda: frame)
    out = tmp_path / "demo"
    assert run("demo", "--output", out, "--epochs", 1, "--num-paths", 4) == 0
    captured = capsys.readouterr()
    assert "56 held-out windows of 24 steps of 1h" in captured.out
    assert f"on {keras.backend.backend()}" in captured.err
    expected = ["forecast.png", "forecasts.parquet", "model", "scores.csv"]
    assert sorted(file.name for file in out.iterdir()) == expected
    assert Forecaster.load(out / "model").done == [1, 1]
    table = pl.read_parquet(out / "forecasts.parquet")
    assert str(table["cutoff"].min()) == "2025-11-02 23:00:00"
    assert str(table["ds"].max()) == "2025-11-30 23:00:00"
    assert table.columns[:6] == ["unique_id", "ds", "cutoff", "y", "timedist", "timedist-median"]
    assert set(pl.read_csv(out / "scores.csv")["model"]) == {
        "timedist", "seasonal naive", "seasonal pool"
    }  # fmt: skip


@pytest.mark.parametrize("command", [[], ["demo"], ["fit"], ["forecast"], ["backtest"]])
def test_help_teaches(command, capsys):
    assert run(*command, "--help") == 0
    text = capsys.readouterr().out
    assert "Usage" in text
    expected = {
        "": ["unique_id", "timedist demo", "timedist fit", "timedist forecast"],
        "demo": ["Auckland", "--output", "--epochs", "--backend"],
        "fit": ["Ctrl-C", "--resume", "--horizon", *HEADS],
        "forecast": ["MODEL", "DATA", "--levels", "--paths"],
        "backtest": ["--windows", "baselines"],
    }
    for word in expected["".join(command)]:
        assert word in text


def test_the_options_name_what_there_is():
    assert set(HEADS) == set(commands.HEADS)
    assert set(NETWORKS) == set(commands.NETWORKS)
    assert LEVELS == commands.LEVELS


def test_nothing_asked_for_shows_the_help(capsys):
    assert run() in (0, 2)
    captured = capsys.readouterr()
    assert "timedist fit" in captured.out + captured.err


# --- Ctrl-C -----------------------------------------------------------------------------------


def interrupt(monkeypatch, epoch):
    """Ctrl-C after the first step of the given epoch."""
    original = cli.FitProgress.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        original(self, batch, logs)
        (task,) = self.display.tasks
        if task.completed == (epoch - 1) * self.params["steps"] + 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(cli.FitProgress, "on_train_batch_end", on_train_batch_end)


def test_ctrl_c_and_resume(data, tmp_path, capsys, monkeypatch):
    model, options = tmp_path / "model", ["--horizon", 4, "--head", "normal", "--epochs", 3]
    with monkeypatch.context() as patch:
        interrupt(patch, epoch=2)
        assert run("fit", data, "-o", model, *options) == 130
    text = capsys.readouterr().err
    assert f"interrupted: {model} holds epoch 1 of 6" in text
    assert "go on with --resume" in text
    assert Forecaster.load(model).epochs_done == 1
    assert listing(tmp_path) == ["model", "model/forecaster.json", "model/model.keras"]
    assert run("fit", data, "-o", model, "--resume") == 0
    assert Forecaster.load(model).done == [3, 3]
    assert listing(tmp_path) == ["model", "model/forecaster.json", "model/model.keras"]


def test_ctrl_c_before_the_first_checkpoint_leaves_nothing(data, tmp_path, capsys, monkeypatch):
    def fit(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Forecaster, "fit", fit)
    assert run("fit", data, "-o", tmp_path / "model") == 130
    assert "--resume" not in capsys.readouterr().err
    small = ("--horizon", 12, "--windows", 1)
    assert run("backtest", data, *small, "-o", tmp_path / "a" / "b") == 130
    assert run("demo", "--output", tmp_path / "demo") == 130
    assert listing(tmp_path) == []


# --- bad input --------------------------------------------------------------------------------


def refused(capsys, tmp_path, *arguments):
    """The one line on stderr; the exit code is 2 and no file has come or gone."""
    before = listing(tmp_path)
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("timedist: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    assert listing(tmp_path) == before
    return captured.err.removeprefix("timedist: ").rstrip("\n")


def csv(path, **changed):
    table = {**columns(length=LENGTH), **changed}
    pl.DataFrame({name: column for name, column in table.items() if column is not None}).write_csv(
        path
    )
    return path


def doubled(table):
    return {name: [*column, column[0]] for name, column in table.items()}


BAD = {
    "missing column": ({"y": None}, "column 'y' is missing; expected unique_id, ds, y"),
    "duplicates": (
        doubled(columns(length=LENGTH)),
        "series 'a' has more than one row at 2025-01-01 00:00:00 (1 doubled rows in all)",
    ),
    "text in y": (
        {"y": ["1"] * 7 + ["closed"] + ["2"] * (2 * LENGTH - 8)},
        "column 'y' has 'closed' in row 8, which is no number",
    ),
    "infinite y": ({"y": [float("inf")] * 2 * LENGTH}, "column 'y' has inf in row 1"),
    "no time": (
        {"ds": ["yesterday"] * 2 * LENGTH},
        "column 'ds' has 'yesterday' in row 1, which is no time",
    ),
    "off the grid": (
        {"ds": [*columns(length=LENGTH)["ds"][:-1], columns()["ds"][3].replace(minute=7)]},
        "series 'b' has a row at 2025-01-01 03:07:00, which does not fit the frequency 1h",
    ),
    "no value": ({"y": [1.0] * LENGTH + [None] * LENGTH}, "series 'b' has no value in column 'y'"),
    "no rows": ({"unique_id": [], "ds": [], "y": []}, "the data have no rows"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["fit", "forecast", "backtest"])
def test_bad_data(command, name, model, tmp_path, capsys):
    changed, message = BAD[name]
    path = csv(tmp_path / "bad.csv", **changed)
    arguments = {
        "fit": ["fit", path, "-o", tmp_path / "model"],
        "forecast": ["forecast", model, path, "-o", tmp_path / "out.csv"],
        "backtest": ["backtest", path, "-o", tmp_path / "out"],
    }[command]
    assert refused(capsys, tmp_path, *arguments).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file"),
        ("data.xlsx", b"", "expected a .csv or .parquet file"),
        ("empty.csv", b"", "cannot be read as csv: "),
        ("text.parquet", b"unique_id,ds,y", "cannot be read as parquet: "),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\xff\xfe\n\xff,\x00", ""),
    ],
)
def test_wrong_file(name, content, message, tmp_path, capsys):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    found = refused(capsys, tmp_path, "fit", path, "-o", tmp_path / "model")
    assert found.startswith(f"{path}: {message}")


def test_series_too_short(tmp_path, model, capsys):
    path = tmp_path / "short.csv"
    files.write_frame(polars_frame(length=20), path)
    message = "series 'a' has 20 steps of 1h, at least 28 are needed for the context and horizon"
    assert message in refused(capsys, tmp_path, "fit", path, "-o", tmp_path / "m", "--horizon", 4)
    files.write_frame(polars_frame(length=5), path)
    message = "series 'a' has 5 steps of 1h, at least 6 are needed for the context"
    found = refused(capsys, tmp_path, "forecast", model, path, "-o", tmp_path / "out.csv")
    assert message in found
    files.write_frame(polars_frame(length=40), path)
    message = "no series reaches from before the first to the end of a held-out window"
    found = refused(capsys, tmp_path, "backtest", path, "--windows", 1, "-o", tmp_path / "out")
    assert found == f"{path}: {message}"
    files.write_frame(polars_frame(length=5), path)
    message = "the data span 5 steps; nothing is left to train on before 7 windows of 24 steps"
    assert message in refused(capsys, tmp_path, "backtest", path, "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--horizon", 0], "horizon must be a whole number of at least 1, got 0"),
        (["fit", "--horizon", "many"], "Invalid value for '--horizon'"),
        (["fit", "--context-length", 0], "context_length must be a whole number of at least 1"),
        (["fit", "--members", 0], "members must be a whole number of at least 1, got 0"),
        (["fit", "--epochs", 0], "epochs must be a whole number of at least 1, got 0"),
        (["fit", "--head", "cauchy"], "Invalid value for '--head'"),
        (["fit", "--head", "poisson", "--freq", "often"], "frequency 'often' is not understood"),
        (["fit", "--colour", "red"], "No such option"),
        (["backtest", "--windows", 0], "Invalid value for '--windows'"),
        (["backtest", "--horizon", 0], "horizon must be a whole number of at least 1, got 0"),
        (["backtest", "--num-paths", 0], "Invalid value for '--num-paths'"),
    ],
)
def test_bad_options(arguments, message, data, tmp_path, capsys):
    command, *options = arguments
    found = refused(capsys, tmp_path, command, data, "-o", tmp_path / "out", *options)
    assert message in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--levels", "90,x"], "--levels must be numbers with commas between, got '90,x'"),
        (["--levels", "0"], "levels must be between 0 and 100 (percent), got 0.0"),
        (["--num-paths", 0], "Invalid value for '--num-paths'"),
    ],
)
def test_bad_options_of_forecast(options, message, model, data, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert message in refused(capsys, tmp_path, "forecast", model, data, "-o", out, *options)


def test_places_that_cannot_be_written(model, data, tmp_path, capsys):
    out = tmp_path / "no" / "out.csv"
    found = refused(capsys, tmp_path, "forecast", model, data, "-o", out, "--num-paths", 2)
    assert found == f"cannot write {out}: the directory {out.parent} does not exist"
    found = refused(capsys, tmp_path, "forecast", model, data, "-o", tmp_path / "out.txt")
    assert found == f"{tmp_path / 'out.txt'}: expected a .csv or .parquet file"
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    found = refused(capsys, tmp_path, "fit", data, "-o", tmp_path / "file")
    assert found == f"{tmp_path / 'file'} is a file; a model is saved as a directory"
    for command in (["backtest", data, "--output"], ["demo", "--output"]):
        found = refused(capsys, tmp_path, *command, tmp_path / "file")
        assert found == f"{tmp_path / 'file'} is a file; the output is a directory"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine", encoding="utf-8")
    for command in (["fit", data, "-o", tmp_path / "model"], ["demo", "--output", tmp_path]):
        found = refused(capsys, tmp_path, *command)
        assert found.startswith(f"{tmp_path / 'model'} exists and is no model directory")


def test_bad_models(model, data, tmp_path, capsys):
    def forecast(path):
        return refused(capsys, tmp_path, "forecast", path, data, "-o", tmp_path / "out.csv")

    bad = tmp_path / "model"
    assert forecast(bad) == f"model {bad} does not exist"
    bad.mkdir()
    assert forecast(bad) == f"model {bad} has no forecaster.json: it is no model directory"
    description = json.loads((model / storage.DESCRIPTION).read_text(encoding="utf-8"))
    text = json.dumps({**description, "format": 1})
    (bad / storage.DESCRIPTION).write_text(text, encoding="utf-8")
    assert forecast(bad).startswith(f"model {bad} has format 1, this version of timedist reads")
    (bad / storage.DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
    (bad / storage.MODEL).write_bytes((model / storage.MODEL).read_bytes()[:1000])
    damaged = f"model {bad} is damaged: model.keras is missing or not what was written"
    assert forecast(bad) == damaged
    assert refused(capsys, tmp_path, "fit", data, "-o", bad, "--resume") == damaged


def test_unknown_series(model, tmp_path, capsys):
    path = tmp_path / "other.csv"
    files.write_frame(polars_frame(ids=("a", "new"), length=LENGTH), path)
    found = refused(capsys, tmp_path, "forecast", model, path, "-o", tmp_path / "out.csv")
    assert "series 'new' was not there when the model was fitted (1 unknown series)" in found


def test_a_backend_chosen_too_late(data, tmp_path, capsys):
    running = keras.backend.backend()
    other = "torch" if running == "jax" else "jax"
    found = refused(capsys, tmp_path, "fit", data, "-o", tmp_path / "m", "--backend", other)
    assert found.startswith(f"--backend {other} comes too late, Keras runs on {running} already")


def test_missing_arguments(capsys, tmp_path):
    assert "Missing argument 'DATA'" in refused(capsys, tmp_path, "fit", "-o", tmp_path / "m")
    assert "No such command 'predict'" in refused(capsys, tmp_path, "predict")
