"""Multivariate normals and Student t: what the contracts of the rows do not ask."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, float64_scope, to_numpy, value_and_gradient

from timedist import distributions as td
from timedist.ops import compat

TRIL = np.array([[1.0, 0.0], [0.5, 2.0]])


@pytest.mark.parametrize(
    "make,texts",
    [
        (
            lambda: td.MultivariateNormalTriL([0.0, 0.0], np.ones((2, 2), "float32")),
            ("MultivariateNormalTriL", "scale_tril", "lower triangular", "positive diagonal"),
        ),
        (
            lambda: td.MultivariateNormalTriL([0.0, 0.0], [[1.0, 0.0], [3.0, -1.0]]),
            ("scale_tril", "positive diagonal", "-1"),
        ),
        (
            lambda: td.MultivariateNormalTriL([0.0, 0.0], [[1.0, 0.0], [np.nan, 1.0]]),
            ("scale_tril", "nan"),
        ),
        (
            lambda: td.MultivariateNormalTriL([0.0, 0.0, 0.0], TRIL),
            ("scale_tril", "(2, 2)", "3 components"),
        ),
        (
            lambda: td.MultivariateNormalTriL([0.0, 0.0], TRIL[:, :1]),
            ("scale_tril", "(2, 1)", "2 components"),
        ),
        (
            lambda: td.MultivariateNormalTriL(np.zeros((5, 2)), np.stack([TRIL] * 3)),
            ("loc (5, 2)", "scale_tril (3, 2, 2)"),
        ),
        (lambda: td.MultivariateStudentTTriL(0.0, [0.0, 0.0], TRIL), ("df", "positive", "0")),
    ],
)
def test_bad_parameters_are_named(make, texts):
    with pytest.raises(ValueError) as error:
        make()
    for text in texts:
        assert text in str(error.value)


def test_batch_shapes_of_parameters_broadcast():
    loc = np.zeros((5, 1, 2), "float32")
    d = td.MultivariateNormalTriL(loc, np.stack([TRIL] * 3).astype("float32"))
    assert (d.batch_shape, d.event_shape) == ((5, 3), (2,))
    assert d[:, -1].batch_shape == (5,)
    t = td.MultivariateStudentTTriL([3.0, 4.0, 5.0], loc, TRIL)
    assert t.batch_shape == (5, 3)
    x = np.ones((4, 1, 3, 2), "float32")
    assert tuple(t.log_prob(x).shape) == (4, 5, 3)
    np.testing.assert_allclose(
        to_numpy(t.log_prob(x))[0, 0, 1],
        to_numpy(td.MultivariateStudentTTriL(4.0, [0.0, 0.0], TRIL).log_prob([1.0, 1.0])),
        rtol=1e-5,
    )


def test_three_ways_to_say_one_normal():
    with float64_scope():
        x = np.random.default_rng(0).normal(size=(6, 3))
        loc, scale = np.array([1.0, -1.0, 0.0]), np.array([0.5, 2.0, 1.0])
        diagonal = td.MultivariateNormalDiag(loc, scale)
        full = td.MultivariateNormalTriL(loc, np.diag(scale))
        factors = td.MultivariateNormalDiagPlusLowRankCovariance(loc, scale**2, np.zeros((3, 2)))
        single = td.Independent(td.Normal(loc, scale))
        expected = to_numpy(single.log_prob(x))
        for d in (diagonal, full, factors):
            np.testing.assert_allclose(to_numpy(d.log_prob(x)), expected, rtol=1e-12)
            np.testing.assert_allclose(to_numpy(d.covariance()), np.diag(scale**2), atol=1e-15)


def test_loadings_that_swamp_the_noise_lose_no_more_digits_than_they_must():
    """Two equal columns of 1e4: their Gram matrix in float32 has no Cholesky factor."""
    loadings = np.full((3, 2), 1e4)
    parameters = (np.zeros(3), np.ones(3), loadings)
    x = np.array([1.0, -1.0, 0.5])
    with float64_scope():
        exact = to_numpy(td.MultivariateNormalDiagPlusLowRankCovariance(*parameters).log_prob(x))
    single = (p.astype("float32") for p in parameters)
    d = td.MultivariateNormalDiagPlusLowRankCovariance(*single)
    value, gradients = value_and_gradient(lambda x: d.log_prob(x), x.astype("float32"))
    np.testing.assert_allclose(value, exact, rtol=1e-4)
    assert np.all(np.isfinite(gradients[0]))


def test_the_number_of_components_may_be_unknown_while_shapes_are_inferred():
    def all_of(loc, tril, x):
        d = td.MultivariateNormalTriL.trusted(loc=loc, scale_tril=tril)
        return d.log_prob(x), d.entropy(), d.kl_divergence(d), d.sample(seed=0)

    spec = keras.KerasTensor((None, None)), keras.KerasTensor((None, None, None))
    found = compat.infer_spec(all_of, *spec, spec[0])
    assert [len(x.shape) for x in found] == [1, 1, 1, 2]
    if BACKEND == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec(x.shape, "float32") for x in (*spec, spec[0])]
        loc, x = np.zeros((1, 2), "float32"), np.ones((1, 2), "float32")
        log_prob, entropy, _, _ = tf.function(all_of, input_signature=signature)(
            loc, TRIL[None].astype("float32"), x
        )
        d = td.MultivariateNormalTriL(loc, TRIL.astype("float32"))
        np.testing.assert_allclose(to_numpy(log_prob), to_numpy(d.log_prob(x)), rtol=1e-6)
        np.testing.assert_allclose(to_numpy(entropy), to_numpy(d.entropy()), rtol=1e-6)


def test_moments_of_a_heavy_tail_do_not_exist():
    t = td.MultivariateStudentTTriL([0.5, 1.5, 4.0], np.zeros(2, "float32"), TRIL)
    np.testing.assert_array_equal(np.isnan(to_numpy(t.mean())[:, 0]), [True, False, False])
    variance = to_numpy(t.variance())[:, 0]
    assert np.isnan(variance[0]) and np.isinf(variance[1])
    np.testing.assert_allclose(variance[2], 2.0, rtol=1e-6)
