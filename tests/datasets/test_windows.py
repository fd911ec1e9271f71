"""Windows cut by indexing, against windows cut one by one."""

import numpy as np
import pytest

from timedist.datasets.windows import RandomWindows, SeriesWindows

SERIES = [np.arange(20.0), 100.0 + np.arange(12.0), 200.0 + np.arange(30.0)]
STARTS = np.array([3, 10, 0])
FEATURES = np.stack([np.arange(-2.0, 38.0), np.arange(-2.0, 38.0) ** 2], axis=1)
HISTORY, CONTEXT, HORIZON = 4, 3, 2


@pytest.fixture
def windows():
    return SeriesWindows(SERIES, STARTS, FEATURES, first=-2, padding=HISTORY + CONTEXT)


def batches(windows, **kwargs):
    options = {"batch_size": 64, "steps": 3, "seed": 1, **kwargs}
    return RandomWindows(windows, HISTORY, CONTEXT, HORIZON, **options)


def test_target_and_known(windows):
    series, at = np.array([0, 1, 2, 1]), np.array([5, 2, 30, 12])
    target = windows.target(series, at, 4, 0)
    assert target.dtype == np.float32
    expected = [
        [1, 2, 3, 4],
        [np.nan, np.nan, 100, 101],
        [226, 227, 228, 229],
        [108, 109, 110, 111],
    ]
    np.testing.assert_array_equal(target, np.array(expected, "float32"))
    known = windows.known(series, at, 2, 2)
    np.testing.assert_array_equal(known[..., 0], (STARTS[series] + at)[:, None] + [-2, -1, 0, 1])
    np.testing.assert_array_equal(known[..., 1], known[..., 0] ** 2)


def test_windows_never_reach_into_the_series_before(windows):
    every = [(s, a) for s, one in enumerate(SERIES) for a in range(len(one) + 1)]
    series, at = np.array(every).T
    target = windows.target(series, at, HISTORY + CONTEXT, 0)
    for row, (s, a) in zip(target, every, strict=True):
        one = np.concatenate([np.full(HISTORY + CONTEXT, np.nan), SERIES[s]])
        np.testing.assert_array_equal(row, one[a : a + HISTORY + CONTEXT].astype("float32"))


def test_a_batch(windows):
    inputs, target = batches(windows)[0]
    assert inputs["target"].shape == (64, HISTORY + CONTEXT + HORIZON)
    assert inputs["features"].shape == (64, CONTEXT + HORIZON, 2)
    assert inputs["series"].dtype == np.int32
    np.testing.assert_array_equal(target, inputs["target"][:, HISTORY:])
    # Values count the steps of their series, so that the features must stand beside them.
    position = target - 100.0 * inputs["series"][:, None] + STARTS[inputs["series"]][:, None]
    np.testing.assert_array_equal(inputs["features"][..., 0], position)
    assert not np.isnan(target).any()


def test_every_place_is_drawn_and_no_other(windows):
    seen = set()
    for index in range(20):
        inputs, target = batches(windows)[index]
        seen |= set(zip(inputs["series"].tolist(), target[:, 0].tolist(), strict=True))
    whole = CONTEXT + HORIZON
    every = {(s, x) for s, one in enumerate(SERIES) for x in one[: len(one) - whole + 1].tolist()}
    assert seen == every


def test_windows_are_drawn_by_weight(windows):
    inputs, _ = batches(windows, batch_size=20_000, weights=[1.0, 0.0, 3.0])[0]
    drawn = np.bincount(inputs["series"], minlength=3) / 20_000
    whole = CONTEXT + HORIZON - 1
    mass = np.array([1.0, 0.0, 3.0]) * [len(one) - whole for one in SERIES]
    expected = mass / mass.sum()
    # Four standard deviations of a share.
    assert (abs(drawn - expected) <= 4 * np.sqrt(expected * (1 - expected) / 20_000)).all()


def test_epochs_differ_and_can_be_repeated(windows):
    first = batches(windows)
    assert len(first) == 3
    start = first[0][1]
    np.testing.assert_array_equal(start, batches(windows)[0][1])
    assert (start != first[1][1]).any()
    assert (start != batches(windows, seed=2)[0][1]).any()
    first.on_epoch_end()
    assert (start != first[0][1]).any()
    np.testing.assert_array_equal(first[0][1], batches(windows, epoch=1)[0][1])


@pytest.fixture
def on_disk(tmp_path):
    """The same series in a file."""
    values = np.concatenate(SERIES).astype("float32")
    values.tofile(tmp_path / "values")
    mapped = np.memmap(tmp_path / "values", "float32", mode="r")
    return SeriesWindows.flat(mapped, [len(one) for one in SERIES], STARTS, FEATURES, first=-2)


def test_windows_from_a_file_are_the_same(windows, on_disk):
    assert isinstance(on_disk.values, np.memmap)
    every = [(s, a) for s, one in enumerate(SERIES) for a in range(len(one) + 1)]
    for series, at in (np.array(every).T, np.array([[0], [12]])):
        before = HISTORY + CONTEXT
        found = on_disk.target(series, at, before, 0)
        assert type(found) is np.ndarray
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, windows.target(series, at, before, 0))
    for (inputs, target), (expected, wanted) in zip(
        map(batches(on_disk).__getitem__, range(3)),
        map(batches(windows).__getitem__, range(3)),
        strict=True,
    ):
        np.testing.assert_array_equal(target, wanted)
        for name, value in inputs.items():
            assert type(value) is np.ndarray
            np.testing.assert_array_equal(value, expected[name])


def test_lengths_that_do_not_add_up():
    with pytest.raises(ValueError, match="add up to 3, but there are 4 values"):
        SeriesWindows.flat(np.zeros(4), [1, 2], STARTS[:2], FEATURES, first=-2)
