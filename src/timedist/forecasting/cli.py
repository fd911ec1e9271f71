"""The `timedist` command: `demo`, `fit`, `forecast` and `backtest`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from enum import Enum
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import typer
from rich.console import Console

from timedist.datasets import auckland_pedestrians
from timedist.forecasting import backtest as backtests
from timedist.forecasting import report, storage
from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.files import check_suffix, read_frame, write_frame
from timedist.forecasting.forecaster import HEADS, NETWORKS, Forecaster
from timedist.forecasting.panel import Panel
from timedist.forecasting.progress import FitProgress, StopOnInterrupt
from timedist.forecasting.quantiles import LEVELS, check_levels

app = typer.Typer(
    name="timedist",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Probabilistic forecasts of time series.

    DATA is a CSV or Parquet file with the columns **unique_id** (name of the series), **ds** (time)
    and **y** (number). Rows may come in any order; missing rows and empty values are gaps.

    A first try: `timedist demo --output demo`. Then with your own data:
    `timedist fit sales.csv -o model --horizon 28`, and
    `timedist forecast model sales.csv -o forecast.csv`.
    """,
)

Head = Enum("Head", {name: name for name in HEADS}, type=str)  # type: ignore[misc]
Network = Enum("Network", {name: name for name in NETWORKS}, type=str)  # type: ignore[misc]
Backend = Enum("Backend", {name: name for name in ("jax", "tensorflow", "torch")}, type=str)  # type: ignore[misc]

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="CSV or Parquet file: unique_id, ds, y.")
]


def _check_backend(backend: Backend | None) -> Backend | None:
    running = keras.backend.backend()
    if backend is not None and backend.value != running:
        raise ForecastingError(
            f"--backend {backend.value} comes too late, Keras runs on {running} already; use the "
            "command timedist, or set KERAS_BACKEND"
        )
    return backend


BackendOption = Annotated[
    Backend | None,
    typer.Option(
        help="Keras backend; default: KERAS_BACKEND, else jax.",
        show_default=False,
        callback=_check_backend,
    ),
]
Freq = Annotated[
    str | None,
    typer.Option(help="Step of the series, e.g. 1h, 15m, 1d, 1mo; default: the most common one."),
]
Horizon = Annotated[int, typer.Option(help="How many steps to forecast.")]
Epochs = Annotated[int, typer.Option(help="Epochs of 100 training steps of 64 windows.")]
HeadOption = Annotated[Head, typer.Option(help="Distribution at each step.")]
NetworkOption = Annotated[Network, typer.Option(help="What reads the past of a series.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, windows and sample paths.")]
Paths = Annotated[
    int, typer.Option("--num-paths", min=1, help="Sample paths the quantiles are taken from.")
]
Windows = Annotated[
    int, typer.Option(min=1, help="Held-out windows of one horizon each, at the end of the data.")
]

# What people read goes to stderr, so that stdout stays free for data.
_console = Console(stderr=True)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Directory for what the demo leaves.")] = Path(
        "demo"
    ),
    epochs: Epochs = 20,
    num_paths: Paths = 200,
    seed: Seed = 0,
    backend: BackendOption = None,
) -> None:
    """Forecast real data: pedestrians on 21 streets of Auckland, hour by hour.

    Trains on the counts up to 2 November 2025, forecasts each of the next 28 days from the data
    before it, and compares with two simple rules: the same hour last week, and the pool of the last
    7 days and the last 8 same weekdays. Leaves scores.csv, forecasts.parquet, forecast.png and
    model/.
    """
    del backend
    started = time.monotonic()
    forecaster = Forecaster(horizon=24, epochs=epochs, seed=seed)
    with _ready_directory(output):
        storage.refuse_foreign_directory(output / "model")
        panel = Panel.from_frame(auckland_pedestrians()).until(np.datetime64("2025-11-30T23:00:00"))
        _backtest(forecaster, panel, 28, num_paths, output, output / "model")
    _say(f"done in {time.monotonic() - started:.0f} seconds on {keras.backend.backend()}")


@app.command()
def fit(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Model directory to write.")],
    horizon: Horizon = 24,
    freq: Freq = None,
    head: HeadOption = Head.mixture,  # type: ignore[attr-defined]
    network: NetworkOption = Network.recurrent,  # type: ignore[attr-defined]
    context_length: Annotated[
        int | None, typer.Option(help="Steps of warm-up; default: horizon, at least 24.")
    ] = None,
    epochs: Epochs = 20,
    seed: Seed = 0,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on after the last whole checkpoint in the model directory, with the options "
            "that training began with.",
        ),
    ] = False,
    backend: BackendOption = None,
) -> None:
    """Train a forecaster on all series of DATA and save it.

    The model directory holds the last whole epoch at any time: after Ctrl-C, `--resume` goes on
    from there.
    """
    del backend
    storage.refuse_foreign_directory(output)
    if resume:
        forecaster = Forecaster.load(output)
    else:
        options = {"network": network.value, "epochs": epochs, "seed": seed}
        forecaster = Forecaster(horizon, freq, context_length, head.value, **options)
    panel = _panel(data, forecaster.config["freq"])
    if resume and forecaster.epochs_done >= forecaster.config["epochs"]:
        _say(f"{output} is complete: {forecaster.epochs_done} epochs are done")
        return
    try:
        with _about(data):
            _fit(forecaster, panel, output, resume)
    except KeyboardInterrupt:
        if forecaster.epochs_done:
            _say("go on with --resume")
        raise
    _say(f"wrote {output}")


@app.command()
def forecast(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model directory that `fit` wrote.")
    ],
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV or Parquet file to write.")],
    num_paths: Paths = 200,
    levels: Annotated[str, typer.Option(help="Levels of the intervals in percent.")] = ",".join(
        map(str, LEVELS)
    ),
    paths: Annotated[
        bool, typer.Option("--paths", help="Write the sample paths instead of quantiles.")
    ] = False,
    backend: BackendOption = None,
) -> None:
    """Forecast what follows the last row of every series of DATA.

    Writes unique_id, ds, timedist (the mean), timedist-median, and timedist-lo-L and timedist-hi-L
    for every level L.
    """
    del backend
    check_suffix(output)
    check_levels(chosen := _levels(levels))
    forecaster = Forecaster.load(model)
    panel = _panel(data, forecaster.config["freq"])
    with _about(data):
        if paths:
            frame = forecaster.sample_paths(panel, num_paths)
        else:
            frame = forecaster.forecast(panel, chosen, num_paths)
    write_frame(frame, output)
    _say(f"wrote {output}")


@app.command()
def backtest(
    data: Data,
    horizon: Horizon = 24,
    windows: Windows = 7,
    freq: Freq = None,
    head: HeadOption = Head.mixture,  # type: ignore[attr-defined]
    network: NetworkOption = Network.recurrent,  # type: ignore[attr-defined]
    epochs: Epochs = 20,
    num_paths: Paths = 200,
    seed: Seed = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Directory for scores, forecasts and picture."),
    ] = None,
    backend: BackendOption = None,
) -> None:
    """Train once without the last windows of DATA, forecast each of them, and print the scores.

    The baselines are the same phase of the last season, and the pool of past seasons at that phase.
    """
    del backend
    options = {"network": network.value, "epochs": epochs, "seed": seed}
    forecaster = Forecaster(horizon, freq, head=head.value, **options)
    panel = _panel(data, freq)
    with nullcontext() if output is None else _ready_directory(output), _about(data):
        _backtest(forecaster, panel, windows, num_paths, output, None)


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: what stands behind `timedist` on the command line; default: that of this
            process.

    Returns:
        0 if all went well, 2 for bad input (one line on stderr says what and where), 130 after
        Ctrl-C.
    """
    try:
        result = app(arguments, standalone_mode=False)
    except (ForecastingError, OSError) as error:
        return _complain(str(error))
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        # Typer's own errors (a missing argument, a value of the wrong type) carry their exit code.
        if not hasattr(error, "format_message"):
            raise
        return _complain(f"{error.format_message()} (see timedist --help)")
    return result if isinstance(result, int) else 0


def _say(message: str) -> None:
    _console.print(message, markup=False, highlight=False, soft_wrap=True)


def _complain(message: str) -> int:
    line = " ".join(message.split())
    print(f"timedist: {line}", file=sys.stderr)
    return 2


@contextmanager
def _about(data: Path) -> Iterator[None]:
    """Name the file in what is wrong with its data."""
    try:
        yield
    except ForecastingError as error:
        text = str(error)
        raise ForecastingError(text if text.startswith(str(data)) else f"{data}: {text}") from error


def _panel(data: Path, freq: str | None) -> Panel:
    with _about(data):
        return Panel.from_frame(read_frame(data), freq)


def _levels(text: str) -> list[float]:
    try:
        return [float(level) for level in text.split(",")]
    except ValueError as error:
        raise ForecastingError(
            f"--levels must be numbers with commas between, got {text!r}"
        ) from error


@contextmanager
def _ready_directory(path: Path) -> Iterator[None]:
    """Make an output directory, with its parents; if nothing comes of it, take them away again."""
    if path.exists() and not path.is_dir():
        raise ForecastingError(f"{path} is a file; the output is a directory")
    made = [directory for directory in (path, *path.parents) if not directory.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty: something whole is in it
            for directory in made:
                directory.rmdir()
        raise


def _fit(
    forecaster: Forecaster, panel: Panel, checkpoint: Path | None, resume: bool = False
) -> None:
    """Train with a progress bar; after Ctrl-C say what is kept."""
    total, done = forecaster.config["epochs"], forecaster.epochs_done
    interrupt = StopOnInterrupt()
    try:
        with FitProgress(_console, total, done) as bar:
            forecaster.fit(panel, checkpoint, resume, callbacks=[bar, interrupt], verbose=0)
    except KeyboardInterrupt:
        if checkpoint is not None and forecaster.epochs_done:
            _say(f"interrupted: {checkpoint} holds epoch {forecaster.epochs_done} of {total}")
        raise
    finally:
        interrupt.restore()


def _backtest(
    forecaster: Forecaster,
    panel: Panel,
    windows: int,
    num_paths: int,
    output: Path | None,
    model: Path | None,
) -> None:
    first = panel.end - windows * forecaster.horizon
    past = panel.until(panel.stamps(np.array([first - 1]))[0])
    if not past.ids:
        raise ForecastingError(
            f"the data span {panel.end - panel.starts.min()} steps; nothing is left to train on "
            f"before {windows} windows of {forecaster.horizon} steps"
        )
    backtests.places(forecaster, panel, first, windows)  # better known before training than after
    _fit(forecaster, past, model)
    with _console.status("forecasting the held-out windows"):
        result = backtests.run(forecaster, panel, first, windows, num_paths)
        scores = result.scores()
    title = (
        f"{len(result.at)} held-out windows of {forecaster.horizon} steps of {panel.frequency.name}"
    )
    report.print_scores(scores, Console(), title)
    if output is not None:
        written = report.write(result, scores, output)
        _say("wrote " + ", ".join(map(str, [*written, *([model] if model else [])])))
