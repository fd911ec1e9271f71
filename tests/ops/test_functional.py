"""Programs that are compiled once."""

import numpy as np
from helpers import BACKEND, compiled, float64_scope, gradient, to_numpy
from keras import ops

from timedist.distributions import Distribution, Gamma, constraints, parameter


class Counted(Distribution):
    """Counts how often Python runs its formula."""

    scale: object = parameter(constraints.positive, 1.0)
    runs: list = []  # noqa: RUF012 (one list for all)

    def _log_prob(self, x):
        self.runs.append(tuple(x.shape))
        return ops.log(self.scale) - x * self.scale


def test_on_jax_a_method_is_compiled_once_for_a_shape_and_a_dtype():
    Counted.runs.clear()
    x = np.array([1.0, 2.0], "float32")
    for scale in ([1.0, 2.0], [3.0, 4.0]):
        actual = to_numpy(Counted(scale).log_prob(x))
        np.testing.assert_allclose(actual, np.log(scale) - x * scale, rtol=1e-6)
    assert len(Counted.runs) == (1 if BACKEND == "jax" else 2)
    Counted([1.0, 2.0, 3.0]).log_prob(x[:1])
    with float64_scope():
        scale = ops.convert_to_tensor(np.array([1.0, 2.0]))
        assert to_numpy(Counted(scale).log_prob(x)).dtype == "float64"
    assert len(Counted.runs) == (3 if BACKEND == "jax" else 4)


def test_inside_of_what_is_traced_a_method_is_part_of_it():
    x, scale = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")

    def log_prob(x, scale):
        return Counted(scale).log_prob(x)

    Counted.runs.clear()
    np.testing.assert_allclose(compiled(log_prob)(x, scale), np.log(scale) - x * scale, rtol=1e-6)
    assert Counted.runs
    slopes = gradient(log_prob, x, scale)
    np.testing.assert_allclose(slopes[0], -scale, rtol=1e-6)
    np.testing.assert_allclose(slopes[1], 1.0 / scale - x, rtol=1e-5)


def test_parameters_may_be_constants_where_the_value_is_traced():
    d = Gamma([2.0, 3.0], 1.0)
    p = np.array([0.2, 0.9], "float32")
    np.testing.assert_allclose(
        compiled(lambda p: d.quantile(p))(ops.convert_to_tensor(p)), d.quantile(p), rtol=1e-5
    )
