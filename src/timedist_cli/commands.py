"""The commands and their options: all that `--help` needs, without Keras, which takes seconds."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from timedist_cli import BACKENDS, work

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

# Named here too, as the modules that define them take seconds to import.
HEADS = ("mixture", "normal", "student-t", "logistic", "negative-binomial", "poisson")
NETWORKS = ("recurrent", "transformer", "wavenet")
LEVELS = (20, 40, 60, 80, 90)

# mypy knows neither the names nor the members of an Enum that is made of values.
Head = Enum("Head", {name: name for name in HEADS}, type=str)  # type: ignore[misc]
Network = Enum("Network", {name: name for name in NETWORKS}, type=str)  # type: ignore[misc]
Backend = Enum("Backend", {name: name for name in BACKENDS}, type=str)  # type: ignore[misc]

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="CSV or Parquet file: unique_id, ds, y.")
]


def _check_backend(backend: Backend | None) -> Backend | None:
    if backend is not None:
        work().check_backend(backend.value)
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
Members = Annotated[
    int, typer.Option(help="Networks, trained in turn; sample paths are shared out among them.")
]
Seed = Annotated[int, typer.Option(help="Seed of weights, windows and sample paths.")]
Paths = Annotated[
    int, typer.Option("--num-paths", min=1, help="Sample paths the quantiles are taken from.")
]
Windows = Annotated[
    int, typer.Option(min=1, help="Held-out windows of one horizon each, at the end of the data.")
]


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
    work().demo(output, epochs, num_paths, seed)


@app.command()
def fit(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Model directory to write.")],
    horizon: Horizon = 24,
    freq: Freq = None,
    head: HeadOption = Head.mixture,  # type: ignore[attr-defined]
    network: NetworkOption = Network.recurrent,  # type: ignore[attr-defined]
    context_length: Annotated[
        int | None, typer.Option(help="Steps of warm-up; default: twice the horizon, at least 24.")
    ] = None,
    epochs: Epochs = 20,
    members: Members = 2,
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
    options = {"network": network.value, "epochs": epochs, "members": members, "seed": seed}
    options |= {"freq": freq, "context_length": context_length, "head": head.value}
    work().fit(data, output, resume, horizon=horizon, **options)


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
    work().forecast(model, data, output, num_paths, levels, paths)


@app.command()
def backtest(
    data: Data,
    horizon: Horizon = 24,
    windows: Windows = 7,
    freq: Freq = None,
    head: HeadOption = Head.mixture,  # type: ignore[attr-defined]
    network: NetworkOption = Network.recurrent,  # type: ignore[attr-defined]
    epochs: Epochs = 20,
    members: Members = 2,
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
    options = {"network": network.value, "epochs": epochs, "members": members, "seed": seed}
    options |= {"freq": freq, "head": head.value}
    work().backtest(data, windows, num_paths, output, horizon=horizon, **options)


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
    except OSError as error:
        return _complain(str(error))
    except ValueError as error:
        if not isinstance(error, work().ForecastingError):
            raise
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


def _complain(message: str) -> int:
    line = " ".join(message.split())
    print(f"timedist: {line}", file=sys.stderr)
    return 2
