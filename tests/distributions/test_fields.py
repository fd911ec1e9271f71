"""The parameter table, as someone uses it who writes a family."""

import numpy as np
import pytest
from helpers import to_numpy
from keras import ops

from timedist.distributions import Distribution, constraints, parameter, static


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
