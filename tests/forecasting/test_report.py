"""What a backtest leaves behind: the table on the terminal and three files."""

import io

import numpy as np
import polars as pl
import pytest
from frames import polars_frame
from rich.console import Console

from timedist.forecasting import report
from timedist.forecasting.backtest import Backtest
from timedist.forecasting.panel import Panel

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def result():
    panel = Panel.from_frame(polars_frame(ids=tuple("abcdef"), length=60))
    series, at = (a.ravel() for a in np.meshgrid(np.arange(6), [48, 54], indexing="ij"))
    panel.series[2][48:] = np.nan
    rng = np.random.default_rng(0)
    samples = {name: rng.gamma(5.0, 10.0, size=(12, 40, 6)) for name in ("timedist", "other")}
    return Backtest(panel, series, at, 6, samples, np.ones(12))


def test_print_scores():
    out = io.StringIO()
    values = {"wql": 0.12345, "crps": 7.06, "mase": 0.5, "coverage-50": 0.507, "coverage-90": 0.9}
    report.print_scores({"timedist": values}, Console(file=out, width=120), "12 windows")
    text = out.getvalue()
    assert text.startswith("12 windows")
    for expected in ("mean weighted quantile loss", "0.1235", "7.1", "0.5000", "50.7%", "90.0%"):
        assert expected in text


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_write(result, tmp_path):
    scores = result.scores()
    paths = report.write(result, scores, tmp_path)
    assert [path.name for path in paths] == ["scores.csv", "forecasts.parquet", "forecast.png"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(path.name for path in paths)
    table = pl.read_csv(paths[0])
    assert table.columns == ["model", "wql", "crps", "mase", "coverage-50", "coverage-90"]
    assert table["model"].to_list() == ["timedist", "other"]
    for row in table.iter_rows(named=True):
        for name, value in scores[row["model"]].items():
            assert row[name] == pytest.approx(value)
    assert pl.read_parquet(paths[1]).equals(result.frame(), null_equal=True)
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_draw_shows_series_of_all_sizes(result, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(report.plotting, "fan_charts", lambda charts, *_: seen.extend(charts))
    report.draw(result, tmp_path / "a.png", number=3, windows=2)
    assert [chart["title"] for chart in seen] == ["f", "d", "c"]
    for chart in seen:
        assert chart["times"].shape == chart["truth"].shape == (12,)
        assert chart["samples"].shape == (40, 12)
        assert (np.diff(chart["times"]) == np.timedelta64(3600, "s")).all()
    rows = result.series == 5
    np.testing.assert_array_equal(seen[0]["truth"], result.truth[rows].ravel())
    np.testing.assert_array_equal(seen[0]["samples"][:, 6:], result.samples["timedist"][rows][1])


def test_draw_with_fewer_series_than_asked_for(result, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(report.plotting, "fan_charts", lambda charts, *_: seen.extend(charts))
    report.draw(result, tmp_path / "a.png", number=20)
    assert len(seen) == 6
