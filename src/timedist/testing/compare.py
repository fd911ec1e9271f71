"""Comparing arrays by a relative error that says how it is measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from timedist.ops import compat


def array(x: Any) -> np.ndarray:
    """A NumPy array from a tensor, an array or a number."""
    return np.asarray(compat.to_numpy(x) if compat.is_tensor(x) else x)


def assert_close(
    actual: Any, expected: Any, rtol: float, floor: Any = 0.0, err_msg: str = ""
) -> None:
    """Raise unless |actual - expected| <= rtol * max(|expected|, floor); infinities and NaN alike.

    Args:
        actual: tensor or array.
        expected: array that broadcasts to its shape.
        rtol: the relative tolerance.
        floor: the size an error is measured against at least; for values that cross zero.
        err_msg: what the message begins with.

    Raises:
        AssertionError: that names the number of bad elements, the worst error, and the first.

    >>> assert_close([1.0, 2.0], [1.0, 2.0], 1e-9)
    """
    actual, expected = np.asarray(array(actual), "float64"), np.asarray(expected, "float64")
    expected = np.broadcast_to(expected, actual.shape)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        error = np.abs(actual - expected) / np.maximum(np.abs(expected), np.maximum(floor, 1e-300))
    wrong = ~(same | (error <= rtol))
    if wrong.any():
        where = tuple(np.argwhere(wrong)[0])
        worst = np.nanmax(np.where(wrong, error, 0.0))
        raise AssertionError(
            f"{err_msg}: {wrong.sum()} of {wrong.size} differ by more than {rtol:g}, "
            f"worst {worst:.3g}; "
            f"first at {where}: got {actual[where]!r}, expected {expected[where]!r}"
        )
