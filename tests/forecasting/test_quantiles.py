"""Sample paths as columns."""

import numpy as np
import pytest

from timedist.forecasting.errors import ForecastingError
from timedist.forecasting.quantiles import LEVELS, check_levels, summary


def test_columns_and_values():
    paths = np.random.default_rng(0).normal(size=(3, 500, 4))
    table = summary(paths, levels=(80, 95.5))
    assert list(table) == [
        "timedist", "timedist-median", "timedist-lo-80", "timedist-hi-80",
        "timedist-lo-95.5", "timedist-hi-95.5",
    ]  # fmt: skip
    assert all(column.shape == (12,) for column in table.values())
    np.testing.assert_allclose(table["timedist"][5], paths[1, :, 1].mean())
    np.testing.assert_allclose(table["timedist-median"][5], np.median(paths[1, :, 1]))
    np.testing.assert_allclose(table["timedist-lo-80"][5], np.quantile(paths[1, :, 1], 0.1))
    np.testing.assert_allclose(table["timedist-hi-80"][5], np.quantile(paths[1, :, 1], 0.9))


def test_no_level_takes_the_column_of_another():
    table = summary(np.zeros((1, 2, 3)), levels=(90, 90.00001, 99.99999))
    assert [name for name in table if "-lo-" in name] == [
        "timedist-lo-90", "timedist-lo-90.00001", "timedist-lo-99.99999",
    ]  # fmt: skip


def test_default_levels():
    assert LEVELS == (20, 40, 60, 80, 90)
    assert len(summary(np.zeros((1, 2, 3)))) == 2 + 2 * len(LEVELS)


@pytest.mark.parametrize("level", [0, 100, -5, 101, float("nan")])
def test_levels_are_percentages(level):
    for function in (check_levels, lambda levels: summary(np.zeros((1, 2, 3)), levels)):
        with pytest.raises(ForecastingError, match=r"between 0 and 100 \(percent\), got"):
            function([50, level])
