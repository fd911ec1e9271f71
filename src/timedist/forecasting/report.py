"""What a backtest leaves behind: a table, scores, forecasts and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from timedist import plotting
from timedist.forecasting.backtest import Backtest
from timedist.forecasting.files import write_frame
from timedist.forecasting.storage import whole_file

_COLUMNS = (
    ("wql", "mean weighted quantile loss"),
    ("crps", "CRPS"),
    ("mase", "MASE"),
    ("coverage-50", "in 50 % interval"),
    ("coverage-90", "in 90 % interval"),
)


def print_scores(scores: dict[str, dict[str, float]], console: Console, title: str) -> None:
    """Print a table of scores.

    Args:
        scores: scores by model and by name, as `Backtest.scores` gives them.
        console: where to print.
        title: title of the table.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("model", no_wrap=True)
    for _, heading in _COLUMNS:
        table.add_column(heading, justify="right")
    for model, values in scores.items():
        table.add_row(model, *(_formatted(name, values[name]) for name, _ in _COLUMNS))
    console.print(table)


def _formatted(name: str, value: float) -> str:
    if name.startswith("coverage"):
        return f"{value:.1%}"
    return f"{value:.1f}" if name == "crps" else f"{value:.4f}"


def write(backtest: Backtest, scores: dict[str, dict[str, float]], directory: Path) -> list[Path]:
    """Write `scores.csv`, `forecasts.parquet` and `forecast.png`.

    Args:
        backtest: the backtest.
        scores: its scores.
        directory: where to write; it must exist.

    Returns:
        The paths written.
    """
    paths = [directory / name for name in ("scores.csv", "forecasts.parquet", "forecast.png")]
    columns = {"model": list(scores), **{n: [s[n] for s in scores.values()] for n, _ in _COLUMNS}}
    write_frame(backtest.panel.to_frame(columns), paths[0])
    write_frame(backtest.frame(), paths[1])
    with whole_file(paths[2]) as fresh:
        draw(backtest, fresh)
    return paths


def draw(backtest: Backtest, path: Path, number: int = 4, windows: int = 7) -> None:
    """Draw fan charts of the first windows of several series, the truth over them.

    Args:
        backtest: the backtest.
        path: file to write.
        number: number of series, spread over all sizes.
        windows: number of consecutive windows for each.
    """
    truth, samples = backtest.truth, backtest.samples["timedist"]
    sizes = {s: np.nansum(truth[backtest.series == s]) for s in np.unique(backtest.series)}
    ranked = sorted(sizes, key=lambda s: -sizes[s])
    chosen = [
        ranked[i] for i in np.unique(np.linspace(0, len(ranked) - 1, number).round().astype(int))
    ]
    charts = []
    for s in chosen:
        rows = np.flatnonzero(backtest.series == s)[:windows]
        first = backtest.panel.starts[s] + backtest.at[rows]
        positions = (first[:, None] + np.arange(backtest.horizon)).ravel()
        charts.append(
            {
                "times": backtest.panel.stamps(positions),
                "samples": np.concatenate(list(samples[rows]), axis=-1),
                "truth": truth[rows].ravel(),
                "title": backtest.panel.ids[s],
            }
        )
    step = backtest.panel.frequency.name
    heading = f"Forecasts of {backtest.horizon} steps of {step}, each from the data before it"
    plotting.fan_charts(charts, path, heading)
