"""Gaussian processes at index points against SciPy's multivariate normal."""

import numpy as np
import pytest
from helpers import DTYPES, compiled, dtype_scope, float64_scope, gradient, to_numpy
from keras import ops
from scipy import stats

from timedist.distributions import (
    GaussianProcessMarginals,
    Independent,
    Normal,
    VariationalGaussianProcess,
)
from timedist.losses import CRPS, NegativeLogLikelihood
from timedist.ops import compat

RNG = np.random.default_rng(0)
BATCH, NUMBER, OUTPUTS = 3, 5, 2
LOC = RNG.normal(size=(BATCH, NUMBER, OUTPUTS))
ROOT = np.tril(RNG.normal(size=(BATCH, OUTPUTS, NUMBER, NUMBER)), -1) + 1.5 * np.eye(NUMBER)
MATRIX = ROOT @ ROOT.swapaxes(-1, -2)
NOISE, DIVERGENCE = np.array([0.2, 0.5, 1.1]), np.array([3.0, 1.0, 0.0])
Y = RNG.normal(size=(BATCH, NUMBER, OUTPUTS))
SEEN = RNG.uniform(size=Y.shape) > 0.4


def process(dtype="float64", jitter=0.0):
    """The process of the arrays above."""
    arrays = (array.astype(dtype) for array in (LOC, MATRIX, NOISE, DIVERGENCE))
    return VariationalGaussianProcess(*arrays, jitter=jitter)


def twins(b):
    """SciPy's distributions of the outputs of one batch element."""
    return [stats.multivariate_normal(LOC[b, :, e], MATRIX[b, e]) for e in range(OUTPUTS)]


def over_batch(function):
    """What `function(batch element, output, twin)` gives, summed over the outputs."""
    return np.array([sum(function(b, e, t) for e, t in enumerate(twins(b))) for b in range(BATCH)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_densities_and_entropy(dtype):
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    with dtype_scope(dtype):
        d = process(dtype)
        log_prob, entropy = to_numpy(d.log_prob(Y.astype(dtype))), to_numpy(d.entropy())
        mode = to_numpy(d.log_prob(d.mode()))
    assert log_prob.dtype == entropy.dtype == dtype
    expected = over_batch(lambda b, e, twin: twin.logpdf(Y[b, :, e]))
    np.testing.assert_allclose(log_prob, expected, rtol=tolerance)
    np.testing.assert_allclose(entropy, over_batch(lambda b, e, t: t.entropy()), rtol=tolerance)
    assert (mode > log_prob).all()


def test_jitter_is_added_to_the_diagonal():
    with float64_scope():
        found = to_numpy(process(jitter=0.1).log_prob(Y))
        wide = MATRIX + 0.1 * np.eye(NUMBER)
        direct = to_numpy(VariationalGaussianProcess(LOC, wide, NOISE, jitter=0.0).log_prob(Y))
        variance = to_numpy(process(jitter=0.1).variance())
    np.testing.assert_allclose(found, direct, rtol=1e-10)
    np.testing.assert_allclose(variance, to_numpy(process().variance()))


def test_moments():
    d = process("float32")
    np.testing.assert_allclose(to_numpy(d.mean()), LOC, rtol=1e-6)
    variance = np.moveaxis(np.diagonal(MATRIX, axis1=-2, axis2=-1), -1, -2)
    np.testing.assert_allclose(to_numpy(d.variance()), variance, rtol=1e-5)
    np.testing.assert_allclose(to_numpy(d.stddev()), np.sqrt(variance), rtol=1e-5)
    covariance = to_numpy(d.covariance())
    assert covariance.shape == (BATCH, NUMBER, OUTPUTS, NUMBER, OUTPUTS)
    for e in range(OUTPUTS):
        np.testing.assert_allclose(covariance[:, :, e, :, e], MATRIX[:, e], rtol=1e-5, atol=1e-6)
    assert (covariance[:, :, 0, :, 1] == 0.0).all()


def test_draws_have_the_moments():
    number = 4000
    draws = to_numpy(process("float32").sample(number, seed=1))
    assert draws.shape == (number, BATCH, NUMBER, OUTPUTS)
    for b in range(BATCH):
        for e in range(OUTPUTS):
            mine = draws[:, b, :, e]
            spread = np.sqrt(np.diag(MATRIX[b, e]))
            assert (np.abs(mine.mean(0) - LOC[b, :, e]) < 5 * spread / number**0.5).all()
            error = 5 * np.sqrt(2.0 / number) * spread[:, None] * spread[None]
            assert (np.abs(np.cov(mine.T) - MATRIX[b, e]) < error).all()


def test_draws_have_gradients():
    def total(loc, matrix):
        d = VariationalGaussianProcess.trusted(
            loc=loc, covariance_matrix=matrix, observation_noise_variance=0.1
        )
        return ops.sum(d.sample(seed=2))

    slopes = gradient(total, LOC.astype("float32"), MATRIX.astype("float32"))
    np.testing.assert_allclose(slopes[0], np.ones_like(LOC), rtol=1e-6)
    assert np.isfinite(slopes[1]).all()
    assert np.abs(slopes[1]).max() > 0.0


def test_divergence_of_two_processes():
    with float64_scope():
        p, q = process(), VariationalGaussianProcess(LOC + 0.3, 2.0 * MATRIX, NOISE, jitter=0.0)
        found, own = to_numpy(p.kl_divergence(q)), to_numpy(p.kl_divergence(p))

    def direct(b, e, twin):
        inverse = np.linalg.inv(2.0 * MATRIX[b, e])
        shift = np.full(NUMBER, 0.3)
        trace, distance = np.trace(inverse @ MATRIX[b, e]), shift @ inverse @ shift
        return 0.5 * (trace + distance - NUMBER + NUMBER * np.log(2.0))

    np.testing.assert_allclose(found, over_batch(direct), rtol=1e-9)
    np.testing.assert_allclose(own, np.zeros(BATCH), atol=1e-9)


def test_missing_observations_are_left_out_exactly():
    y = np.where(SEEN, Y, np.nan)
    with float64_scope():
        found = to_numpy(process(jitter=1e-6).log_prob_where(y, SEEN))

    def seen_only(b, e, twin):
        kept = SEEN[b, :, e]
        matrix = MATRIX[b, e][np.ix_(kept, kept)]
        return stats.multivariate_normal(LOC[b, kept, e], matrix).logpdf(Y[b, kept, e])

    np.testing.assert_allclose(found, over_batch(seen_only), rtol=1e-5)


def test_missing_observations_have_no_gradient():
    def total(loc, y):
        d = VariationalGaussianProcess.trusted(
            loc=loc, covariance_matrix=MATRIX.astype("float32"), observation_noise_variance=0.1
        )
        seen = SEEN[..., :1] & np.ones_like(SEEN)
        return d.log_prob_where(y, seen) + ops.sum(d.expected_log_likelihood(y, seen), axis=-1)

    y = np.where(SEEN[..., :1], Y, np.nan).astype("float32")
    for slope in gradient(total, LOC.astype("float32"), y):
        unseen = ~(SEEN[..., :1] & np.ones_like(SEEN))
        assert (slope[unseen] == 0.0).all()
        assert (slope[~unseen] != 0.0).all()


def test_a_keras_mask_leaves_index_points_out():
    mask = SEEN[..., 0]
    d = process("float32")
    compat.set_keras_mask(d, ops.convert_to_tensor(mask))
    loss = to_numpy(NegativeLogLikelihood(reduction=None)(Y.astype("float32"), d))
    seen = np.broadcast_to(mask[..., None], Y.shape)
    expected = -to_numpy(process("float32").log_prob_where(Y.astype("float32"), seen))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert np.abs(loss + to_numpy(process("float32").log_prob(Y.astype("float32")))).max() > 1.0


def test_expected_log_likelihood():
    with float64_scope():
        joint, single = process(), process().by_point()
        found, seen = (to_numpy(joint.expected_log_likelihood(Y, s)) for s in (None, SEEN))
        np.testing.assert_allclose(to_numpy(single.expected_log_likelihood(Y)), found, rtol=1e-12)
        both = to_numpy(single.expected_log_likelihood(np.where(SEEN, Y, np.nan), SEEN))
    variance = np.moveaxis(np.diagonal(MATRIX, axis1=-2, axis2=-1), -1, -2)
    noise = NOISE[:, None, None]
    # Gauss-Hermite quadrature is exact for squares.
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    f = LOC + np.sqrt(variance - noise) * nodes[:, None, None, None]
    each = -0.5 * ((Y - f) ** 2 / noise + np.log(2 * np.pi * noise))
    each = np.tensordot(weights / weights.sum(), each, 1)
    np.testing.assert_allclose(found, each.sum(-1), rtol=1e-10)
    np.testing.assert_allclose(seen, np.where(SEEN, each, 0.0).sum(-1), rtol=1e-10)
    np.testing.assert_allclose(both, seen, rtol=1e-10)


def test_the_loss_of_the_points_sums_to_that_of_the_process():
    with float64_scope():
        joint, single = process(), process().by_point()
        likelihood = to_numpy(joint.expected_log_likelihood(Y)).sum(-1)
        for weight in (1.0, np.float64(0.25)):
            found = to_numpy(joint.variational_loss(Y, weight))
            np.testing.assert_allclose(found, weight * DIVERGENCE - likelihood, rtol=1e-12)
            shares = to_numpy(single.variational_loss(Y, weight))
            assert shares.shape == (BATCH, NUMBER)
            np.testing.assert_allclose(shares.sum(-1), found, rtol=1e-12)
        kl = to_numpy(joint.surrogate_posterior_kl_divergence_prior())
        shares = to_numpy(single.surrogate_posterior_kl_divergence_prior())
    np.testing.assert_array_equal(kl, DIVERGENCE)
    np.testing.assert_allclose(shares.sum(-1), DIVERGENCE, rtol=1e-12)


def test_marginals_are_independent_normals():
    single = process("float32").by_point()
    assert isinstance(single, GaussianProcessMarginals)
    assert (single.batch_shape, single.event_shape) == ((BATCH, NUMBER), (OUTPUTS,))
    variance = np.moveaxis(np.diagonal(MATRIX, axis1=-2, axis2=-1), -1, -2)
    other = Independent(Normal(LOC.astype("float32"), np.sqrt(variance).astype("float32")), 1)
    for name in ("mean", "variance", "entropy", "median", "covariance"):
        expected = to_numpy(getattr(other, name)())
        np.testing.assert_allclose(to_numpy(getattr(single, name)()), expected, rtol=1e-5)
    y = Y.astype("float32")
    for name in ("log_prob", "crps", "cdf"):
        expected = to_numpy(getattr(other, name)(y))
        np.testing.assert_allclose(to_numpy(getattr(single, name)(y)), expected, rtol=1e-4)
    np.testing.assert_allclose(float(CRPS()(y, single)), float(CRPS()(y, other)), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(single.kl_divergence(single)), 0.0, atol=1e-6)
    np.testing.assert_allclose(to_numpy(single.kl_divergence(other)), 0.0, atol=1e-5)


def test_marginals_of_every_component():
    joint, single = process("float32").marginals(), process("float32").by_point().marginals()
    for alone in (joint, single):
        assert isinstance(alone, Normal)
        assert alone.batch_shape == (BATCH, NUMBER, OUTPUTS)
        np.testing.assert_allclose(to_numpy(alone.mean()), LOC, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(joint.stddev()), to_numpy(single.stddev()), rtol=1e-6)


def test_slices_keep_what_belongs_to_them():
    d = process("float32")
    np.testing.assert_allclose(
        to_numpy(d[1].variational_loss(Y[1])), to_numpy(d.variational_loss(Y))[1], rtol=1e-5
    )
    single = d.by_point()[:, -2:]
    assert single.batch_shape == (BATCH, 2)
    np.testing.assert_allclose(
        to_numpy(single.variational_loss(Y[:, -2:])),
        to_numpy(d.by_point().variational_loss(Y))[:, -2:],
        rtol=1e-5,
    )
    with pytest.raises(IndexError):
        d[0][0]


def test_arrays_for_parameters_as_from_predict():
    d = process("float32").map_leaves(to_numpy)
    single = process("float32").by_point().map_leaves(to_numpy)
    for either in (d, single, d.by_point()):
        assert np.isfinite(to_numpy(either.variational_loss(Y))).all()
    assert np.isfinite(to_numpy(d.log_prob_where(Y, SEEN))).all()
    assert to_numpy(single.surrogate_posterior_kl_divergence_prior()).shape == (BATCH, NUMBER)


def test_compiled():
    def both(*arrays):
        d = VariationalGaussianProcess.trusted(
            **dict(zip(("loc", "covariance_matrix"), arrays, strict=True)),
            observation_noise_variance=0.5,
        )
        return d, d.by_point(), d.log_prob(Y.astype("float32"))

    arrays = (ops.convert_to_tensor(array.astype("float32")) for array in (LOC, MATRIX))
    d, single, log_prob = compiled(both)(*arrays)
    np.testing.assert_allclose(to_numpy(d.log_prob(Y)), to_numpy(log_prob), rtol=1e-5)
    assert isinstance(single, GaussianProcessMarginals)
    assert single.batch_shape == (BATCH, NUMBER)


@pytest.mark.parametrize("name", ["cdf", "survival_function", "log_cdf", "crps", "quantile"])
def test_what_only_single_points_have(name):
    with pytest.raises(NotImplementedError, match=r"depend on each other; `.by_point\(\)`"):
        getattr(process("float32"), name)(0.5)


def test_wrong_parameters():
    good = {"loc": [[0.0], [1.0]], "covariance_matrix": np.eye(2)[None]}
    with pytest.raises(ValueError, match=r"'covariance_matrix' of shape \(1, 3, 3\).*2 index"):
        VariationalGaussianProcess(good["loc"], np.eye(3)[None], 1.0)
    for wrong in ([[1.0, 0.5], [0.4, 1.0]], [[1.0, 0.0], [0.0, -1.0]], [[1.0, np.nan]] * 2):
        with pytest.raises(ValueError, match="symmetric with a positive diagonal"):
            VariationalGaussianProcess(good["loc"], [wrong], 1.0)
    with pytest.raises(ValueError, match="'observation_noise_variance' must be positive"):
        VariationalGaussianProcess(**good, observation_noise_variance=0.0)
    with pytest.raises(ValueError, match="'observation_noise_variance' must be positive"):
        GaussianProcessMarginals(Normal([[0.0]], 1.0), -1.0)
    with pytest.raises(ValueError, match=r"\(3,\).* do not broadcast against .*\(2,\)"):
        GaussianProcessMarginals(Normal([[0.0], [1.0]], 1.0), [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"\(5, 2\).* do not broadcast against .*\(2,\)"):
        GaussianProcessMarginals(Normal([[0.0], [1.0]], 1.0), np.ones((5, 2)))
    with pytest.raises(ValueError, match="expected_log_likelihood: a value of shape"):
        process("float32").variational_loss(np.zeros((4, 4)))


def test_a_matrix_that_is_not_positive_definite():
    d = VariationalGaussianProcess([[0.0], [1.0]], [[[1.0, 2.0], [2.0, 1.0]]], 1.0)
    several = Independent(
        VariationalGaussianProcess([[[0.0], [1.0]]] * 3, [[[1.0, 2.0], [2.0, 1.0]]], 1.0)
    )
    for bad in (d, several):
        with pytest.raises(ValueError, match=r"VariationalGaussianProcess\(.*no Cholesky factor"):
            bad.log_prob(np.zeros(bad.event_shape, "float32"))
