"""Fan charts: what is drawn, and that pictures reach the disk."""

import sys

import numpy as np
import pytest

from timedist import plotting

pytest.importorskip("matplotlib")

HOURS = np.datetime64("2025-01-01T00:00:00") + np.arange(6) * np.timedelta64(3600, "s")
SAMPLES = np.random.default_rng(0).normal(size=(200, 6))


@pytest.fixture
def axes():
    from matplotlib import pyplot

    figure, ax = pyplot.subplots()
    yield ax
    pyplot.close(figure)


def test_fan_chart_draws_intervals_median_and_truth(axes):
    truth = np.array([0.0, 1.0, np.nan, 1.0, 0.0, -1.0])
    drawn = plotting.fan_chart(HOURS, SAMPLES, truth, levels=(0.9, 0.5), title="A", ax=axes)
    assert drawn is axes
    assert axes.get_title(loc="left") == "A"
    assert len(axes.collections) == 2
    median, line = axes.lines
    np.testing.assert_allclose(median.get_ydata(), np.median(SAMPLES, axis=0))
    np.testing.assert_array_equal(line.get_ydata(), truth)
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["90% interval", "50% interval", "median", "truth"]


def test_a_title_is_no_formula(axes):
    plotting.fan_chart(HOURS, SAMPLES, title="$_$", ax=axes)
    axes.figure.canvas.draw()
    assert axes.get_title(loc="left") == "$_$"


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_band_is_the_central_interval(axes, level):
    plotting.fan_chart(np.arange(6.0), SAMPLES, levels=(level,), ax=axes)
    low, high = np.quantile(SAMPLES, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(low.min())
    assert corners[:, 1].max() == pytest.approx(high.max())
    assert len(axes.lines) == 1  # no truth was given


def test_current_axes_are_the_default(axes):
    assert plotting.fan_chart(np.arange(6), SAMPLES) is axes


def test_fan_charts_write_a_picture_and_leave_no_figure(tmp_path):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    charts = [{"times": HOURS, "samples": SAMPLES * k, "title": str(k)} for k in (1, 2)]
    charts[0]["truth"] = np.full(6, np.nan)
    plotting.fan_charts(charts, tmp_path / "a.png", "heading")
    picture = pyplot.imread(tmp_path / "a.png")
    assert picture.shape[0] > 300
    assert picture[..., :3].std() > 0.01
    assert pyplot.get_fignums() == before


def test_a_failed_drawing_leaves_no_figure(tmp_path):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    with pytest.raises(ValueError, match=r"unequal size"):
        plotting.fan_charts([{"times": HOURS[:2], "samples": SAMPLES}], tmp_path / "a.png")
    assert pyplot.get_fignums() == before
    assert not (tmp_path / "a.png").exists()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "timedist\[forecast\]"'):
        plotting.fan_chart(np.arange(6), SAMPLES)
