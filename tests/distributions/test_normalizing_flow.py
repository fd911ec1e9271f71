"""Normalizing flows as values: exact densities, weights that all the batch shares."""

import json

import keras
import numpy as np
import pytest
from helpers import compiled, float64_scope, gradient, to_numpy
from keras import ops
from scipy import stats

from timedist import distributions as td
from timedist.distributions import flows, masked_networks

RNG = np.random.default_rng(0)


def random_flow(size=2, context=2, order="left-to-right", dtype="float32", **options):
    degrees = masked_networks.degrees(size, order, [8], "with_zero", seed=1)
    shapes = ((size, 8), (8, 2 * size))
    return flows.MaskedAutoregressive(
        [0.5 * RNG.normal(size=shape).astype(dtype) for shape in shapes],
        degrees,
        [0.3 * RNG.normal(size=n).astype(dtype) for _, n in shapes],
        [0.5 * RNG.normal(size=(context, n)).astype(dtype) for _, n in shapes if context],
        activation="tanh",
        **options,
    )


def example(dtype="float32"):
    """Two flows of two components, conditioned on two features at three times four steps."""
    options = {"dtype": dtype, "log_scale_bound": 0.7}
    both = [random_flow(**options), random_flow(order="right-to-left", **options)]
    base = td.Independent(td.Normal(np.zeros((3, 4, 2), dtype), 1.0))
    return td.NormalizingFlow(base, both, RNG.normal(size=(3, 4, 2)).astype(dtype))


def test_the_density_integrates_to_one():
    d = example()[0, :2]
    axis = np.linspace(-30.0, 30.0, 751, dtype="float32")
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    total = to_numpy(ops.sum(d.prob(grid[:, :, None]), axis=(0, 1))) * (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(total, 1.0, rtol=2e-3)


def test_the_density_is_that_of_the_change_of_variables():
    with float64_scope():
        d = example("float64")
        x = RNG.normal(size=(3, 4, 2))
        y, step = x, 1e-6
        moved = [x[..., None, :] + sign * step * np.eye(2) for sign in (-1, 1)]
        for flow in d.transforms:
            y = flow.forward(y, d.context)
            moved = [flow.forward(m, d.context[..., None, :]) for m in moved]
        jacobian = (to_numpy(moved[1]) - to_numpy(moved[0])) / (2 * step)
        expected = stats.norm.logpdf(x).sum(-1) - np.log(np.abs(np.linalg.det(jacobian)))
        np.testing.assert_allclose(to_numpy(d.log_prob(y)), expected, rtol=1e-7)


def test_draws_and_densities_agree():
    d = example()
    x, log_prob = d.sample_and_log_prob((5, 2), seed=1)
    assert tuple(x.shape) == (5, 2, 3, 4, 2)
    assert tuple(log_prob.shape) == (5, 2, 3, 4)
    noise = d.base.sample((5, 2), seed=1)
    y = noise
    total = d.base.log_prob(noise)
    for flow in d.transforms:
        y = flow.forward(y, d.context)
        total = total - flow.log_det(y, d.context)
    np.testing.assert_allclose(to_numpy(x), to_numpy(y), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(log_prob), to_numpy(total), rtol=1e-5, atol=1e-5)


def test_a_linear_flow_is_the_multivariate_normal():
    """y = x + A y, with the standard deviations of x in the log scales."""
    shifts, scales = np.array([[0, 0.5, -1.0], [0, 0, 0.7], [0, 0, 0]]), np.array([1.0, 2.0, 0.5])
    kernel = np.stack([shifts, np.zeros((3, 3))], axis=-1).reshape(3, 6)
    bias = np.stack([[1.0, -2.0, 0.0], np.log(scales)], axis=-1).reshape(6)
    flow = flows.MaskedAutoregressive(
        [kernel.astype("float32")], ((1, 2, 3),), [bias.astype("float32")]
    )
    d = td.NormalizingFlow(td.MultivariateNormalDiag(np.zeros(3, "float32"), np.ones(3)), flow)
    root = np.linalg.inv(np.eye(3) - shifts.T)
    mean, covariance = root @ bias[::2], root @ np.diag(scales**2) @ root.T
    y = RNG.normal(size=(20, 3)).astype("float32")
    expected = stats.multivariate_normal(mean, covariance).logpdf(y)
    np.testing.assert_allclose(to_numpy(d.log_prob(y)), expected, rtol=1e-4, atol=1e-4)
    draws = to_numpy(d.sample(20000, seed=3))
    error = 5.0 * np.sqrt(np.diag(covariance).max() / 20000)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=error)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=5 * covariance.max() / 100)


def test_slices_and_reshapes_keep_the_weights():
    d = example()
    flags = d.shared_leaves()
    assert sum(flags) == 12
    for part, shape in (
        (d[0], (4,)),
        (d[:, -1], (3,)),
        (d[..., None, 1:], (3, 1, 3)),
        (d.reshape_batch((12,)), (12,)),
        (d.reshape_batch((2, -1, 3)), (2, 2, 3)),
    ):
        assert part.batch_shape == shape
        assert tuple(part.context.shape) == (*shape, 2)
        for shared, mine, its in zip(flags, part.leaves(), d.leaves(), strict=True):
            assert (mine is its) == shared
    y = RNG.normal(size=(3, 4, 2)).astype("float32")
    whole = to_numpy(d.log_prob(y))
    np.testing.assert_allclose(to_numpy(d[:, -1].log_prob(y[:, -1])), whole[:, -1], rtol=1e-5)
    flat = d.reshape_batch((12,)).log_prob(y.reshape(12, 2))
    np.testing.assert_allclose(to_numpy(flat), whole.reshape(12), rtol=1e-5)
    assert [part.batch_shape for part in d] == [(4,)] * 3


def test_compiled_functions_take_and_give_it():
    d = example()
    y = ops.convert_to_tensor(RNG.normal(size=(3, 4, 2)).astype("float32"))
    run = compiled(lambda d, y: (d[:, -1], d.log_prob(y), d.sample(2, seed=1)))
    last, log_prob, draws = run(d, y)
    assert last.batch_shape == (3,)
    np.testing.assert_allclose(to_numpy(log_prob), to_numpy(d.log_prob(y)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(to_numpy(draws), to_numpy(d.sample(2, seed=1)), rtol=1e-3, atol=1e-4)
    for mine, its in zip(last.leaves(), d[:, -1].leaves(), strict=True):
        np.testing.assert_array_equal(to_numpy(mine), to_numpy(its))


def test_gradients_reach_the_weights():
    d = example()
    y = RNG.normal(size=(3, 4, 2)).astype("float32")
    arrays = [to_numpy(leaf) for leaf in d.leaves()]
    for function in (
        lambda *leaves: d.with_leaves(leaves).log_prob(ops.convert_to_tensor(y)),
        lambda *leaves: d.with_leaves(leaves).sample(3, seed=1),
    ):
        slopes = gradient(function, *arrays)
        assert all(np.isfinite(slope).all() and np.abs(slope).max() > 0.0 for slope in slopes)


def test_it_is_saved_with_its_weights():
    d = example()
    text = json.dumps(keras.saving.serialize_keras_object(d))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert repr(again) == repr(d)
    y = np.ones((3, 4, 2), "float32")
    np.testing.assert_array_equal(to_numpy(again.log_prob(y)), to_numpy(d.log_prob(y)))


def test_the_base_and_the_context_broadcast():
    base = td.MultivariateNormalDiag(np.zeros(2, "float32"), [1.0, 2.0])
    flow = random_flow()
    d = td.NormalizingFlow(base, flow, np.zeros((3, 4, 2), "float32"))
    assert d.batch_shape == (3, 4)
    assert tuple(d.sample(5, seed=1).shape) == (5, 3, 4, 2)
    assert td.NormalizingFlow(d, flow, np.zeros(2, "float32"))[0].batch_shape == (4,)
    with pytest.raises(ValueError, match=r"context of shape \(5, 2\) does not fit the batch"):
        td.NormalizingFlow(d, flow, np.zeros((5, 2), "float32"))


def test_a_mixture_of_flows():
    d = example()
    mixture = td.MixtureSameFamily(td.Categorical(logits=np.zeros((3, 4), "float32")), d)
    y = RNG.normal(size=(3, 2)).astype("float32")
    each = to_numpy(d.prob(y[:, None]))
    np.testing.assert_allclose(to_numpy(mixture.prob(y)), each.mean(axis=1), rtol=1e-4)
    assert tuple(mixture[0].draw(5, seed=1).shape) == (5, 2)


def test_one_missing_component_leaves_out_the_event():
    d = example()
    y = RNG.normal(size=(3, 4, 2)).astype("float32")
    observed = np.ones((3, 4, 2), "bool")
    observed[1, 2, 0] = observed[0, 0] = False
    gaps = np.where(observed, y, np.nan).astype("float32")
    expected = np.where(observed.all(-1), to_numpy(d.log_prob(y)), 0.0)
    np.testing.assert_allclose(to_numpy(d.log_prob_where(gaps, observed)), expected, rtol=1e-5)
    arrays = [to_numpy(leaf) for leaf in d.leaves()]
    slopes = gradient(lambda *leaves: d.with_leaves(leaves).log_prob_where(gaps, observed), *arrays)
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert not slopes[-1][~observed.all(-1)].any()


def test_values_that_are_no_numbers():
    d = example()[0, 0]
    nan, inf = np.nan, np.inf
    values = np.array([[0.0, inf], [-inf, 0.0], [nan, 0.0], [0.0, nan], [inf, nan]], "float32")
    found = to_numpy(d.log_prob(values))
    np.testing.assert_array_equal(found, [-inf, -inf, nan, nan, nan])


@pytest.mark.parametrize(
    "method",
    ["mean", "variance", "stddev", "mode", "covariance", "entropy", "marginals", "median"],
)
def test_what_has_no_formula_says_what_to_do(method):
    with pytest.raises(NotImplementedError, match="sample"):
        getattr(example(), method)()


def test_what_has_no_formula_at_a_value():
    d = example()
    for method in ("cdf", "survival_function", "log_cdf", "crps"):
        with pytest.raises(NotImplementedError, match="sample"):
            getattr(d, method)(np.zeros(2))
    with pytest.raises(NotImplementedError, match="sample"):
        d.quantile(0.5)
    with pytest.raises(NotImplementedError, match="sample"):
        np.asarray(d)
    with pytest.raises(NotImplementedError, match="sample_and_log_prob"):
        d.kl_divergence(d)


def test_wrong_arguments():
    base, flow = td.Independent(td.Normal(np.zeros(2, "float32"), 1.0)), random_flow()
    for arguments, error, message in (
        ((3, [flow]), TypeError, "base must be a distribution, got int"),
        ((base, [base]), TypeError, "transforms must be a list of flows, got Independent"),
        ((base, []), TypeError, "got none"),
        ((base, [flow]), ValueError, "a context of 2 features, got none"),
        ((base, [random_flow(context=0)], np.zeros(2)), ValueError, "takes no context, got one"),
        ((td.Normal(0.0, 1.0), [flow]), ValueError, "vectors of 2 components"),
        ((base, [flow, random_flow(3)]), ValueError, "vectors of 2 and 3 components"),
        ((td.OneHotCategorical([0.0, 0.0]), [flow]), ValueError, "must be continuous"),
    ):
        with pytest.raises(error, match=message):
            td.NormalizingFlow(*arguments)
