"""Pictures of distributions over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray

_COLOUR = "#2a6f97"
_TRUTH = "#d1495b"


def fan_chart(
    times: Array,
    samples: Array,
    truth: Array | None = None,
    levels: Sequence[float] = (0.5, 0.9),
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw central intervals, the median, and what happened.

    Args:
        times: `(n,)`, numbers or `datetime64`.
        samples: float array `(number, n)`, draws at each time.
        truth: float array `(n,)`, drawn over it; NaN leaves a gap. Default: none.
        levels: levels of the intervals in (0, 1).
        title: title of the chart.
        ax: matplotlib axes to draw on; default: the current ones.

    Returns:
        The axes.

    Raises:
        ImportError: if matplotlib is not installed.

    >>> import matplotlib; matplotlib.use("Agg")
    >>> draws = np.random.default_rng(0).normal(size=(50, 3))
    >>> ax = fan_chart(np.arange(3), draws, title="three steps")
    >>> ax.get_title(loc="left")
    'three steps'
    """
    ax = _pyplot().gca() if ax is None else ax
    for level in sorted(levels, reverse=True):
        low, high = np.quantile(samples, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        shade = 0.15 + 0.35 * (1 - level)
        ax.fill_between(
            times, low, high, color=_COLOUR, alpha=shade, linewidth=0, label=f"{level:.0%} interval"
        )
    ax.plot(times, np.median(samples, axis=0), color=_COLOUR, linewidth=1.4, label="median")
    if truth is not None:
        ax.plot(times, truth, color=_TRUTH, linewidth=1.1, label="truth")
    ax.set_title(title, loc="left", fontsize=10, parse_math=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def fan_charts(charts: Sequence[dict], path: Any, heading: str = "") -> None:
    """Draw one fan chart below the other and save them as a picture.

    Args:
        charts: arguments of `fan_chart` for each, as dictionaries.
        path: file to write, e.g. a PNG.
        heading: heading above all.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    pyplot = _pyplot()
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure, axes = pyplot.subplots(
        len(charts), 1, figsize=(11, 2.3 * len(charts) + 0.6), sharex=True, squeeze=False
    )
    try:
        for ax, chart in zip(axes[:, 0], charts, strict=True):
            fan_chart(**chart, ax=ax)
            ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
            ax.margins(x=0.01)
        locator = AutoDateLocator()
        axes[-1, 0].xaxis.set_major_locator(locator)
        axes[-1, 0].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.suptitle(heading, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.legend(
            handles, labels, loc="upper right", ncols=len(labels), frameon=False, fontsize=9
        )
        figure.tight_layout(rect=(0, 0, 1, 0.985))
        figure.savefig(path, dpi=110)
    finally:
        pyplot.close(figure)


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            'timedist.plotting needs matplotlib: pip install "timedist[forecast]"'
        ) from error
    return pyplot
