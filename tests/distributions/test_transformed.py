"""`TransformedDistribution`, where the table of families does not reach."""

import numpy as np
import pytest

from timedist import distributions as td
from timedist.distributions import transforms as tf
from timedist.ops.functional import float64_scope, value_and_gradient
from timedist.testing.compare import array, assert_close


def test_exp_of_a_normal_is_a_log_normal():
    loc, scale, y = np.array([0.5, -1.0]), np.array([0.7, 0.3]), np.array([1.2, 0.4])
    with float64_scope():
        base = td.Normal(loc, scale)
        mine, twin = td.TransformedDistribution(base, tf.Exp()), td.LogNormal(loc, scale)
        for method in ("mean", "variance", "entropy"):
            assert_close(getattr(mine, method)(), array(getattr(twin, method)()), 1e-10)
        assert_close(mine.crps(y), array(twin.crps(y)), 1e-10)


def test_a_draw_is_the_transformed_draw_of_the_base():
    base = td.Normal(np.zeros(3, "float32"), 1.0)
    d = td.TransformedDistribution(base, tf.Softplus())
    for method in ("sample", "draw"):
        drawn = getattr(d, method)(4, seed=5)
        assert_close(drawn, tf.Softplus().forward(getattr(base, method)(4, seed=5)), 1e-6)


def test_ends_that_the_base_can_take_keep_their_density_and_gradient():
    def log_prob(rate):
        affine = tf.Affine(np.full(2, 3.0, "float32"), 2.0)
        return td.TransformedDistribution(td.Exponential(rate), affine).log_prob(3.0)

    value, (slope,) = value_and_gradient(log_prob, np.array([2.0, 0.5], "float32"))
    assert_close(value, np.log([1.0, 0.25]), 1e-6, 1.0)
    assert_close(slope, [0.5, 2.0], 1e-6)


def test_an_end_where_the_slope_vanishes_or_explodes_has_the_limit():
    base = td.Exponential(np.ones(2, "float32"))
    power = tf.Power(np.array([2.0, 0.5], "float32"))
    assert_close(td.TransformedDistribution(base, power).log_prob(0.0), [np.inf, -np.inf], 0.0)


def test_values_outside_the_range_have_no_effect_on_gradients():
    y = np.array([-1.0, 0.0, 1.0, 2.0, 0.5], "float32")

    def log_prob(loc):
        return td.TransformedDistribution(td.Normal(loc, 1.0), tf.Sigmoid()).log_prob(y)

    value, (slope,) = value_and_gradient(log_prob, np.full(5, 0.3, "float32"))
    np.testing.assert_array_equal(array(value)[:4], -np.inf)
    assert_close(slope, [0.0, 0.0, 0.0, 0.0, -0.3], 1e-5)
    d = td.TransformedDistribution(td.Normal(np.full(5, 0.3, "float32"), 1.0), tf.Sigmoid())
    np.testing.assert_array_equal(array(d.cdf(y))[:4], [0.0, 0.0, 1.0, 1.0])


def test_divergence_with_the_same_transform_is_that_of_the_bases():
    with float64_scope():
        p, q = td.Normal(np.zeros(2), 1.0), td.Normal(np.ones(2), np.array([2.0, 0.5]))
        other = tf.Chain([tf.Exp(), tf.Affine(0.0, 1.0)])
        expected = array(p.kl_divergence(q))
        same = [td.TransformedDistribution(d, tf.Affine(1.0, 3.0)) for d in (p, q)]
        assert_close(same[0].kl_divergence(same[1]), expected, 1e-15)
        mixed = td.TransformedDistribution(p, tf.Exp()), td.TransformedDistribution(q, other)
        assert_close(mixed[0].kl_divergence(mixed[1]), expected, 1e-8)


def test_transforms_of_transforms():
    with float64_scope():
        base = td.Normal(np.zeros(2), 0.5)
        inner = td.TransformedDistribution(base, tf.Exp())
        d = td.TransformedDistribution(inner, tf.Negative())
        assert_close(d.mean(), [-np.exp(0.125)] * 2, 1e-10)
        assert_close(d.cdf(-1.0), [0.5, 0.5], 1e-12)
        assert_close(d.quantile(0.1), -array(inner.quantile(0.9)), 1e-12)


def test_one_transform_for_a_batch_of_bases_can_be_sliced():
    d = td.TransformedDistribution(td.Normal(np.zeros((2, 3), "float32"), 1.0), tf.Affine(1.0, 2.0))
    assert d[:, -1].batch_shape == (2,)
    assert_close(d[0].mean(), [1.0] * 3, 1e-5)


def test_the_mode_says_why_it_is_absent():
    d = td.TransformedDistribution(td.Normal(0.0, 1.0), tf.Exp())
    with pytest.raises(NotImplementedError, match="mode"):
        d.mode()


def test_bad_arguments_say_what_fits():
    normal = td.Normal(np.zeros(2, "float32"), 1.0)
    with pytest.raises(ValueError, match="Log takes values from 0"):
        td.TransformedDistribution(normal, tf.Log())
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        td.TransformedDistribution(normal, tf.Affine(np.zeros(3, "float32")))
    with pytest.raises(ValueError, match="continuous"):
        td.TransformedDistribution(td.Poisson(1.0), tf.Exp())
    with pytest.raises(TypeError, match="transform must be a transform"):
        td.TransformedDistribution(normal, normal)
    with pytest.raises(TypeError, match="base must be a distribution"):
        td.TransformedDistribution(tf.Exp(), tf.Exp())


def test_moments_of_another_unit_are_those_of_the_base():
    """By formula: of heavy tails quadrature would give a number where there is none."""
    affine = tf.Affine(1.0, 2.0)
    for base in (td.Cauchy(0.0, 1.0), td.StudentT(1.5), td.Pareto(1.0, 1.0), td.Normal(3.0, 0.5)):
        d = td.TransformedDistribution(base, affine)
        np.testing.assert_array_equal(array(d.mean()), 1.0 + 2.0 * array(base.mean()))
        np.testing.assert_array_equal(array(d.variance()), 4.0 * array(base.variance()))
        mirrored = td.TransformedDistribution(base, tf.Chain([tf.Negative(), affine]))
        np.testing.assert_array_equal(array(mirrored.mean()), -array(d.mean()))
        np.testing.assert_array_equal(array(mirrored.variance()), array(d.variance()))
