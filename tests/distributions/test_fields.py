"""The parameter table, as someone uses it who writes a family."""

import numpy as np
import pytest
from helpers import BACKEND, to_numpy
from keras import ops

from timedist.distributions import Distribution, constraints, parameter, shared, static


class Rayleigh(Distribution):
    """A family written with the public names only."""

    scale: object = parameter(constraints.positive, 1.0)
    label: str = static("waves")

    def _log_prob(self, x):
        z = x / self.scale
        return ops.log(z / self.scale) - 0.5 * z * z


class NamedRayleigh(Rayleigh):
    """A subclass adds a row in front of those it inherits."""

    height: object = parameter(constraints.real)


def test_defaults_positions_and_names():
    assert Rayleigh().batch_shape == ()
    assert Rayleigh([1.0, 2.0]).batch_shape == (2,)
    assert Rayleigh(scale=2.0, label="wind").label == "wind"
    assert [row.name for row in NamedRayleigh.table] == ["scale", "label", "height"]
    assert NamedRayleigh(3.0).height == 3.0  # required parameters come first
    with pytest.raises(TypeError, match="height"):
        NamedRayleigh()


def test_hooks_make_methods_and_missing_ones_say_so():
    d = Rayleigh([1.0, 2.0])
    np.testing.assert_allclose(to_numpy(d.log_prob(1.0)), [-0.5, -np.log(4) - 0.125], rtol=1e-6)
    for method in (d.mean, d.variance, d.stddev, d.mode, d.entropy, d.median, d.sample):
        with pytest.raises(NotImplementedError, match="Rayleigh has no"):
            method()


def test_static_values_survive_slicing():
    assert Rayleigh([1.0, 2.0], label="wind")[0].label == "wind"


def test_the_table_is_read_from_the_class():
    assert Rayleigh.scale.constraint is constraints.positive
    with pytest.raises(AttributeError, match="immutable"):
        Rayleigh().scale = 2.0


class Polynomial(Distribution):
    """Normal around a polynomial of `x`, whose coefficients all the batch shares."""

    x: object = parameter(constraints.real)
    coefficients: object = shared()

    def _mean(self):
        return sum(c * self.x**i for i, c in enumerate(self.coefficients))


def test_tensors_that_the_batch_shares():
    d = Polynomial([[0.0, 1.0, 2.0]] * 2, [np.float64(1.0), np.zeros(3)])
    assert d.dtype == "float64" or BACKEND == "jax"
    assert d.shared_leaves() == [False, True, True]
    part = d[0]
    assert part.batch_shape == (3,)
    assert part.coefficients[1] is d.coefficients[1]
    np.testing.assert_array_equal(to_numpy(part.mean()), np.ones(3))
    doubled = d.map_leaves(lambda leaf: 2.0 * leaf), d.map_batch(lambda leaf: 2.0 * leaf)
    assert [float(to_numpy(each.coefficients[0])) for each in doubled] == [2.0, 1.0]
    assert to_numpy(doubled[1].x)[0, 1] == 2.0
    assert isinstance(d.get_config()["coefficients"][1], np.ndarray)
    with pytest.raises(TypeError, match="coefficients must be a list or a tuple of tensors"):
        Polynomial(0.0, 1.0)
