"""Every distribution as a value: immutable, checked, sliced, a pytree, the same when compiled."""

import keras
import numpy as np
import pytest
from cases import CASES
from helpers import BACKEND, compiled, fast, to_numpy, value_and_gradient
from keras import ops

from timedist import distributions as td

per_case = pytest.mark.parametrize("case", CASES, ids=str)


def stacked(case, copies=3):
    """The row with one more batch axis in front."""
    arrays = {n: np.broadcast_to(v, (copies, *v.shape)).copy() for n, v in case.arrays().items()}
    return case.build(**arrays)


def leaves(d):
    return [to_numpy(leaf) for leaf in d.leaves()]


def assert_same_leaves(left, right):
    for a, b in zip(leaves(left), leaves(right), strict=True):
        np.testing.assert_array_equal(a, b)


@per_case
def test_slicing(case):
    d = stacked(case)
    size = d.batch_shape[1]
    indices = (
        (0, (size,)),
        (-1, (size,)),
        (slice(1, None), (2, size)),
        ((slice(None), -1), (3,)),
        ((..., 0), (3,)),
        (None, (1, 3, size)),
        ((0, 1), ()),
        (..., (3, size)),
        ((slice(None), None, slice(0, 2)), (3, 1, 2)),
    )
    for index, shape in indices:
        part = d[index]
        assert part.batch_shape == shape, index
        assert part.event_shape == d.event_shape
        assert type(part) is type(d)
    for index in ((0, 0, 0), (0, 0, Ellipsis, 0)):
        with pytest.raises(IndexError, match="3 indices for a batch of 2 axes"):
            d[index]
    x = np.repeat(case.checked_points()[:3, None], 3, axis=1)
    both = fast(lambda x: (d.log_prob(x), d[:, -1].log_prob(x[:, :, -1])))
    whole, part = (to_numpy(r) for r in both(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(whole[:, :, -1], part, rtol=1e-6)


@per_case
def test_length_iteration_and_reshape(case):
    d = stacked(case)
    size = d.batch_shape[1]
    assert len(d) == 3
    assert [part.batch_shape for part in d] == [(size,)] * 3
    with pytest.raises(TypeError, match="no batch axis"):
        len(d[0, 0])
    assert d.reshape_batch((-1,)).batch_shape == (3 * size,)
    assert d.reshape_batch((size, 3)).event_shape == d.event_shape
    assert_same_leaves(d.reshape_batch((-1,)).reshape_batch((3, size)), d)
    assert d.ndim == 2 + len(d.event_shape)


@per_case
def test_repr_names_family_shapes_and_dtype(case):
    d = case.make()
    for part in (d._family, str(d.batch_shape), str(d.event_shape), "float32"):
        assert part in repr(d)


@per_case
def test_it_is_immutable(case):
    d = case.make()
    for row in d.table:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(d, row.name, 1.0)


@per_case
def test_leaves_round_trip(case):
    d = case.make()
    other = d.with_leaves([leaf + 0.0 for leaf in d.leaves()])
    assert type(other) is type(d)
    assert_same_leaves(d, other)
    assert repr(other) == repr(d)


@per_case
def test_it_is_a_leaf_for_keras_tree(case):
    d = case.make()
    assert keras.tree.flatten([d, {"a": d}]) == [d, d]
    assert keras.tree.map_structure(lambda leaf: leaf is d, (d,)) == (True,)


@pytest.mark.parametrize(
    "case,arguments,parts",
    [(c, kwargs, parts) for c in CASES for kwargs, parts in c.invalid],
    ids=lambda x: str(x) if not isinstance(x, tuple) else "",
)
def test_invalid_parameters_are_refused_by_name_and_value(case, arguments, parts):
    with pytest.raises(ValueError) as error:
        case.build(**arguments)
    for part in parts:
        assert part in str(error.value)


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"Normal.*'loc'.*number or a tensor"):
        td.Normal("a", 1.0)
    with pytest.raises(TypeError, match="unexpected keyword"):
        td.Normal(mu=1.0)
    with pytest.raises(TypeError, match="functional model"):
        td.Normal(keras.Input((3,)), 1.0)
    with pytest.raises(TypeError, match="must be a distribution"):
        td.Independent(1.0)


@per_case
def test_arrays_of_it_are_its_mean(case):
    d = case.make()
    if "mean" in case.missing:
        with pytest.raises(NotImplementedError, match="mean"):
            np.asarray(d)
    else:
        mean = to_numpy(d.mean())
        np.testing.assert_array_equal(np.asarray(d), mean)
        np.testing.assert_array_equal(to_numpy(ops.convert_to_tensor(d)), mean)
        assert np.asarray(d, dtype="float64").dtype == "float64"
    with pytest.raises(TypeError, match="truth value"):
        bool(d)


@per_case
def test_numpy_parameters_give_the_same_results(case):
    d = case.make()
    host = d.map_leaves(to_numpy)
    assert all(isinstance(leaf, np.ndarray) for leaf in host.leaves())
    assert repr(host) == repr(d)
    x = case.checked_points()
    np.testing.assert_array_equal(to_numpy(host.log_prob(x)), to_numpy(d.log_prob(x)))
    drawn, same = (to_numpy(each.sample((2, 3), seed=1)) for each in (host, d))
    np.testing.assert_array_equal(drawn, same)
    assert host[0].batch_shape == d[0].batch_shape
    if "mean" not in case.missing:
        np.testing.assert_array_equal(np.asarray(host), np.asarray(d))


@per_case
def test_bfloat16_parameters_are_scored_in_float32(case):
    low = {n: ops.cast(v, "bfloat16") for n, v in case.arrays().items() if n != "probs"}
    if "probs" in case.parameters:
        pytest.skip("rounded probabilities may not sum to one")
    d = case.build(**low)
    assert d.dtype == "float32"
    x = case.checked_points()
    same = case.build(**{n: ops.cast(v, "float32") for n, v in low.items()})
    result = d.log_prob(ops.cast(x, "bfloat16"))
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_array_equal(to_numpy(d.log_prob(x)), to_numpy(same.log_prob(x)))


@per_case
def test_compiled_functions_take_and_give_distributions(case):
    """The whole value goes in and out, and its methods give the same numbers as uncompiled."""
    d = case.make()
    x = ops.convert_to_tensor(case.checked_points())

    @compiled
    def score_and_return(dist, value):
        doubled = dist.map_leaves(lambda leaf: leaf + 0.0)
        return doubled, dist.log_prob(value), dist.sample((2, 3), seed=4)

    back, log_prob, draws = score_and_return(d, x)
    assert repr(back) == repr(d)
    assert_same_leaves(back, d)
    eager = to_numpy(d.log_prob(x))
    np.testing.assert_allclose(to_numpy(log_prob), eager, rtol=2e-5, atol=2e-5)
    same = to_numpy(d.sample((2, 3), seed=4))
    np.testing.assert_allclose(to_numpy(draws), same, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(
    BACKEND != "tensorflow", reason="how tf.function traces is a matter of TensorFlow"
)
@per_case
def test_tensorflow_traces_once_for_one_signature(case):
    import tensorflow as tf

    traces = []

    @tf.function
    def score(dist, value):
        traces.append(1)
        return dist.log_prob(value)

    d, x = case.make(), tf.convert_to_tensor(case.checked_points()[:2])
    for scale in (1.0, 1.0):
        score(d.map_leaves(lambda leaf, s=scale: leaf * s), x)
    assert len(traces) == 1

    @tf.function(reduce_retracing=True)
    def relaxed(dist, value):
        traces.append(2)
        return dist.log_prob(value), dist.batch_shape

    for copies in (2, 3, 4, 5):
        log_prob, _ = relaxed(stacked(case, copies), x[:, None])
        assert log_prob.shape == (2, copies, *d.batch_shape)
    assert traces.count(2) == 2  # the second shape makes the batch size unknown


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has unknown sizes at run time")
@per_case
def test_tensorflow_with_unknown_batch_size(case):
    import tensorflow as tf

    arrays = case.arrays()

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec((None, *v.shape[1:]), tf.float32) for v in arrays.values()],
    )
    def everything(*parameters):
        d = case.build(**dict(zip(arrays, parameters, strict=True)))
        assert d.batch_shape[0] is None
        draws = d.sample((2,), seed=1)
        results = [d.log_prob(draws), draws]
        results += [
            getattr(d, m)()
            for m in ("mean", "mode", "variance", "entropy")
            if m not in case.missing
        ]
        if "quantile" not in case.missing:
            results.append(d.quantile(0.3))
        return results

    results = everything(*arrays.values())
    d = case.make()
    np.testing.assert_allclose(results[1], d.sample((2,), seed=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(results[0], d.log_prob(results[1]), rtol=1e-4, atol=1e-5)


@per_case
def test_what_is_not_observed_has_no_loss_and_no_gradient(case):
    d = case.make()
    names, parameters = zip(*case.arrays().items(), strict=True)
    shape = (*d.batch_shape, *d.event_shape)
    x = case.checked_points()[4]
    observed = np.ones(shape, bool)
    observed[0] = False
    broken = np.where(observed, x, np.nan).astype("float32")

    def score(*values):
        return case.build(**dict(zip(names, values, strict=True))).log_prob_where(broken, observed)

    value, gradients = value_and_gradient(score, *parameters)
    assert value.shape == d.batch_shape
    np.testing.assert_array_equal(value[0], 0.0)
    np.testing.assert_allclose(value[1:], to_numpy(d.log_prob(x))[1:], rtol=1e-5)
    for g in gradients:
        np.testing.assert_array_equal(g[0], 0.0)
        assert np.all(np.isfinite(g))


def test_python_numbers_do_not_raise_the_dtype():
    assert td.Normal(0.0, 1).dtype == "float32"
    assert td.Normal(np.zeros(2, "float32"), 2.0).dtype == "float32"
    assert td.Normal([1, 2], 2).dtype == "float32"
    assert td.Normal(np.array([1, 2]), 2).batch_shape == (2,)
