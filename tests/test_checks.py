"""Checks of arguments: what passes, and what an error says."""

import numpy as np
import pytest
from helpers import float64_scope, to_numpy
from keras import ops

from timedist import checks


def test_what_passes():
    assert checks.level("who", np.float32(0.5)) == 0.5
    assert checks.levels("who", np.array([0.25, 0.75])) == (0.25, 0.75)
    assert checks.count("who", "number", np.int64(3), 1) == 3
    assert checks.choice("who", "kind", "a", ("a", "b")) == "a"
    assert checks.same_shape((None, 3), (4, 3))
    assert not checks.same_shape((None, 3), (4, 1))
    assert not checks.same_shape((3,), (4, 3))
    checks.shapes("who", a=(None, 3), b=(7, 1))


def test_one_dtype_for_all():
    with float64_scope():
        x, y = checks.tensors("who", x=0.1, y=np.float64(0.1))
        assert to_numpy(x) == to_numpy(y) == 0.1
        assert str(to_numpy(x).dtype) == "float64"
    x, y = checks.tensors("who", x=[1, True], y=ops.cast([0.5, 0.5], "bfloat16"))
    assert str(to_numpy(x).dtype) == str(to_numpy(y).dtype) == "float32"
    assert to_numpy(x).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("given", [True, "0.5", None, 0, 1, float("nan"), [0.5]], ids=str)
def test_levels_that_are_none(given):
    with pytest.raises(ValueError, match="who: level must be between 0 and 1, got"):
        checks.level("who", given)
    with pytest.raises(ValueError, match="who: levels must be a sequence of numbers"):
        checks.levels("who", [given])


@pytest.mark.parametrize("given", [True, 1, 2.0, "3", None], ids=str)
def test_counts_that_are_none(given):
    with pytest.raises(ValueError, match="who: number must be an int >= 2, got"):
        checks.count("who", "number", given, 2)


@pytest.mark.parametrize("given", [True, 0.0, -1, float("inf"), float("nan"), "3", None], ids=str)
def test_positive_numbers(given):
    assert checks.positive("who", "size", np.float32(0.5)) == 0.5
    with pytest.raises(ValueError, match="who: size must be a positive number, got"):
        checks.positive("who", "size", given)


def test_what_is_refused():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    checks.refuse("who", "odd ones", x, x > 4)
    with pytest.raises(ValueError, match=r"who: got 2 large ones, the first 3 at index \(1, 0\)"):
        checks.refuse("who", "large ones", x, x > 2)
    with pytest.raises(ValueError, match=r"who: shapes do not broadcast .* a \(2,\), b \(3,\)"):
        checks.shapes("who", a=(2,), b=(3,))
