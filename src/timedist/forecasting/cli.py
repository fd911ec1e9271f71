"""What `demo`, `fit`, `forecast` and `backtest` do; their options are in `timedist_cli`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from timedist.datasets import auckland_pedestrians
from timedist.forecasting import backtest as backtests
from timedist.forecasting import report, storage
from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.files import check_suffix, read_frame, write_frame
from timedist.forecasting.forecaster import Forecaster
from timedist.forecasting.panel import Panel
from timedist.forecasting.progress import FitProgress, StopOnInterrupt
from timedist.forecasting.quantiles import check_levels

# What people read goes to stderr, so that stdout stays free for data.
_console = Console(stderr=True)


def demo(output: Path, epochs: int, num_paths: int, seed: int) -> None:
    """Forecast the real data that come with the package, beside two simple rules."""
    started = time.monotonic()
    forecaster = Forecaster(horizon=24, epochs=epochs, seed=seed)
    with _ready_directory(output):
        storage.refuse_foreign_directory(output / "model")
        panel = Panel.from_frame(auckland_pedestrians()).until(np.datetime64("2025-11-30T23:00:00"))
        _backtest(forecaster, panel, 28, num_paths, output, output / "model")
    _say(f"done in {time.monotonic() - started:.0f} seconds on {keras.backend.backend()}")


def fit(data: Path, output: Path, resume: bool, **options: Any) -> None:
    """Train a `Forecaster` with these options on all series of a file, and save it."""
    storage.refuse_foreign_directory(output)
    forecaster = Forecaster.load(output) if resume else Forecaster(**options)
    panel = _panel(data, forecaster.config["freq"])
    if resume and forecaster.epochs_done >= forecaster.epochs_in_all:
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


def forecast(
    model: Path, data: Path, output: Path, num_paths: int, levels: str, paths: bool
) -> None:
    """Forecast what follows the last row of every series of a file."""
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


def backtest(data: Path, windows: int, num_paths: int, output: Path | None, **options: Any) -> None:
    """Train without the last windows of a file, forecast each of them, and print the scores."""
    forecaster = Forecaster(**options)
    panel = _panel(data, options["freq"])
    with nullcontext() if output is None else _ready_directory(output), _about(data):
        _backtest(forecaster, panel, windows, num_paths, output, None)


def check_backend(name: str) -> None:
    """Refuse a backend other than the one Keras runs on."""
    running = keras.backend.backend()
    if name != running:
        raise ForecastingError(
            f"--backend {name} comes too late, Keras runs on {running} already; use the command "
            "timedist, or set KERAS_BACKEND"
        )


def _say(message: str) -> None:
    _console.print(message, markup=False, highlight=False, soft_wrap=True)


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
    total, done = forecaster.epochs_in_all, forecaster.epochs_done
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
