"""Transforms: each is inverted, and its slope is that of finite differences."""

import numpy as np
import pytest

from timedist.distributions import transforms as tf
from timedist.ops.functional import float64_scope
from timedist.testing.compare import array, assert_close

_ONE = np.ones(4)
# Functions, for the dtype of parameters is that of the scope they are made in.
TRANSFORMS = {
    "Affine": lambda: tf.Affine(3.0 * _ONE, 2.0),
    "Sinh": lambda: tf.Sinh(0.5 * _ONE, 2.0),
    "Exp": tf.Exp,
    "Log": tf.Log,
    "Softplus": tf.Softplus,
    "Sigmoid": tf.Sigmoid,
    "Tanh": tf.Tanh,
    "Power": lambda: tf.Power(2.5 * _ONE),
    "Reciprocal": tf.Reciprocal,
    "Negative": tf.Negative,
    "Chain": lambda: tf.Chain([tf.Reciprocal(), tf.Softplus(), tf.Affine(_ONE, 0.5)]),
}


@pytest.fixture(params=TRANSFORMS)
def transform(request):
    with float64_scope():
        yield TRANSFORMS[request.param]()


def _points(transform):
    low = array(transform.domain[0])
    return (
        np.array([0.2, 0.9, 1.4, 3.0]) if np.all(low == 0.0) else np.array([-2.0, -0.3, 0.7, 3.0])
    )


def test_inverse_and_slope(transform):
    x, step = _points(transform), 1e-6
    y = array(transform.forward(x))
    back = transform.inverse(y)
    high, low = (array(transform.forward(x + h)) for h in (step, -step))
    assert y.dtype == np.float64
    assert_close(back, x, 1e-12, 1.0)
    assert np.all((high > low) != transform.decreasing)
    slope = np.abs(high - low) / (2 * step)
    assert_close(transform.log_slope(x), np.log(slope), 1e-8, 1.0)
    least, greatest = (array(end) for end in transform.codomain)
    assert np.all((least < y) & (y < greatest))


def test_ends_of_the_domain_go_to_the_ends_of_the_codomain(transform):
    image = transform._image((-np.inf, np.inf))
    for end, expected in zip(image, transform.codomain, strict=True):
        assert_close(end, np.broadcast_to(array(expected), np.shape(array(end))), 1e-6)


def test_a_chain_applies_its_last_transform_first():
    chain = tf.Chain([tf.Exp(), tf.Affine(1.0, 2.0)])
    assert_close(chain.forward(0.5), np.exp(2.0), 1e-6)
    assert not chain.decreasing
    assert tf.Chain([tf.Negative(), tf.Exp()]).decreasing


def test_a_chain_has_the_domain_its_parts_allow():
    low, high = tf.Chain([tf.Log(), tf.Affine(1.0, 2.0)]).domain
    assert (float(low), float(high)) == (-0.5, np.inf)


def test_a_chain_is_made_of_transforms():
    with pytest.raises(TypeError, match="Chain"):
        tf.Chain([])
    with pytest.raises(TypeError, match="Chain"):
        tf.Chain([tf.Exp(), np.exp])


def test_far_out_values_do_not_overflow():
    assert_close(tf.Softplus().inverse(1e4), 1e4, 1e-6)
    assert_close(tf.Softplus().inverse(1e-30), np.log(1e-30), 1e-6)
    assert_close(tf.Tanh().log_slope(-200.0), np.log(4.0) - 400.0, 1e-6)
    assert_close(tf.Sigmoid().log_slope(1e4), -1e4, 1e-6)
