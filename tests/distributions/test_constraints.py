"""Raw-to-valid maps and their inverses."""

import numpy as np
import pytest
from helpers import DTYPES, dtype_scope, gradient, to_numpy
from keras import ops

from timedist.distributions import constraints

ALL = {
    "real": constraints.real,
    "positive": constraints.positive,
    "greater than 1": constraints.greater_than(1.0),
    "greater than 2, from 5": constraints.greater_than(2.0, start=5.0),
    "unit interval": constraints.unit_interval,
    "simplex": constraints.simplex,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_every_raw_value_maps_to_a_valid_one(name, dtype):
    with dtype_scope(dtype):
        raw = ops.convert_to_tensor(np.array([-1e6, -100.0, -1.0, 0.0, 1.0, 100.0, 1e6], dtype))
        valid = ALL[name].to_valid(raw)
        assert to_numpy(valid).dtype == dtype
        assert np.all(to_numpy(ALL[name].holds(valid)))


@pytest.mark.parametrize("name", ALL)
def test_to_raw_inverts_to_valid(name):
    raw = np.array([-3.0, -0.5, 0.0, 2.0], "float32")
    constraint = ALL[name]
    valid = constraint.to_valid(ops.convert_to_tensor(raw))
    again = to_numpy(constraint.to_raw(valid))
    if name == "simplex":  # known up to a constant
        again = again - again[0] + raw[0]
    np.testing.assert_allclose(again, raw, rtol=1e-4, atol=1e-4)


def test_starts_and_slopes():
    start = constraints.greater_than(2.0, start=5.0).to_valid(ops.zeros((1,)))
    np.testing.assert_allclose(to_numpy(start), 5.0, rtol=1e-6)
    np.testing.assert_allclose(
        to_numpy(constraints.positive.to_valid(ops.zeros((1,)))), np.log(2), rtol=1e-5
    )
    slope = gradient(constraints.positive.to_valid, np.zeros(1, "float32"))[0]
    np.testing.assert_allclose(slope, 0.5)


@pytest.mark.parametrize("name", ALL)
def test_nan_is_never_valid(name):
    assert not np.any(
        to_numpy(ALL[name].holds(ops.convert_to_tensor(np.array([np.nan], "float32"))))
    )
