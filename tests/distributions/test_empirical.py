"""Distributions that are their values."""

import numpy as np
from helpers import gradient, to_numpy

from timedist import distributions as td


def test_deterministic_draws_pass_the_gradient_on():
    loc = np.array([1.0, 2.0], "float32")
    np.testing.assert_array_equal(to_numpy(td.Deterministic(loc).sample(3)), np.stack([loc] * 3))
    slope = gradient(lambda m: td.Deterministic(m).sample(3), loc)[0]
    np.testing.assert_array_equal(slope, [3.0, 3.0])


def test_all_mass_is_at_the_value():
    d = td.Deterministic([1.0, 2.0])
    np.testing.assert_array_equal(to_numpy(d.log_prob([1.0, 1.0])), [0.0, -np.inf])
    np.testing.assert_array_equal(to_numpy(d.cdf([1.0, 1.0])), [1.0, 0.0])
    np.testing.assert_array_equal(to_numpy(d.variance()), [0.0, 0.0])
