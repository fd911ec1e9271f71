"""Dual numbers and the loops that carry them."""

import numpy as np
from helpers import assert_close, compiled_gradient, float64_scope, to_numpy
from keras import ops

from timedist.ops.duals import Dual, forward_differentiable, iterate


def test_arithmetic_has_the_derivatives_of_calculus():
    @forward_differentiable
    def function(x, y):
        return (2.0 - x * y) / (y + 3.0) + 1.0 / x - (-y) * 0.5 + (x - y) * x

    x, y = np.array([0.5, -1.5]), np.array([2.0, 0.3])
    with float64_scope():
        value, (to_x, to_y) = compiled_gradient(function)(
            ops.convert_to_tensor(x), ops.convert_to_tensor(y)
        )
        value, to_x, to_y = (to_numpy(v) for v in (value, to_x, to_y))
    assert_close(value, (2 - x * y) / (y + 3) + 1 / x + y / 2 + (x - y) * x, 1e-14)
    assert_close(to_x, -y / (y + 3) - 1 / x**2 + 2 * x - y, 1e-14)
    assert_close(to_y, (-x * (y + 3) - (2 - x * y)) / (y + 3) ** 2 + 0.5 - x, 1e-14)


def test_a_loop_stops_for_each_element_and_broadcasts():
    @forward_differentiable
    def exponential(x):
        """exp(x) as a product of ratios of its partial sums."""

        def step(m, term, total):
            term = term * x * (1.0 / m)
            grown = total + term
            return (term, grown), grown / total

        one = Dual.constant(1.0, x)
        return iterate(step, (one, one), one, 200)

    x = np.array([[0.0, 1e-8, 0.5], [1.0, 5.0, 20.0]])
    with float64_scope():
        value, (slope,) = compiled_gradient(exponential)(ops.convert_to_tensor(x))
        assert_close(to_numpy(value), np.exp(x), 1e-13)
        assert_close(to_numpy(slope), np.exp(x), 1e-13)


def test_gradients_of_broadcast_arguments_are_summed():
    @forward_differentiable
    def product(x, y):
        return x * y

    x, y = np.ones((3, 1), "float32"), np.array([1.0, 2.0], "float32")
    _, (to_x, to_y) = compiled_gradient(product)(ops.convert_to_tensor(x), ops.convert_to_tensor(y))
    np.testing.assert_allclose(to_numpy(to_x), np.full((3, 1), 3.0))
    np.testing.assert_allclose(to_numpy(to_y), np.full(2, 3.0))
