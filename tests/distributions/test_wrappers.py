"""Independent and mixtures."""

import numpy as np
import pytest
from helpers import gradient, to_numpy, value_and_gradient
from scipy import special

from timedist import distributions as td


def test_independent_drops_only_what_is_missing():
    loc = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "float32")
    x = np.array([[0.5, np.nan, 2.0], [np.nan] * 3], "float32")
    value, (slope,) = value_and_gradient(
        lambda m: td.Independent(td.Normal(m, 1.0)).log_prob_where(x, ~np.isnan(x)), loc
    )
    each = to_numpy(td.Normal(loc, 1.0).log_prob(np.nan_to_num(x)))
    np.testing.assert_allclose(value, [each[0, 0] + each[0, 2], 0.0], rtol=1e-6)
    np.testing.assert_allclose(slope, [[0.5, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_other_events_are_dropped_whole():
    d = td.MixtureSameFamily(
        td.Categorical(logits=np.zeros((2, 2), "float32")),
        td.Independent(td.Normal(np.zeros((2, 2, 3), "float32"), 1.0)),
    )
    x = np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]], "float32")
    value = to_numpy(d.log_prob_where(x, ~np.isnan(x)))
    assert value[0] == 0.0
    np.testing.assert_allclose(value[1], -1.5 * np.log(2 * np.pi), rtol=1e-6)


@pytest.mark.parametrize("ndims", [-1, 3, 1.5])
def test_independent_checks_the_number_of_axes(ndims):
    with pytest.raises(ValueError, match="between 0 and 2"):
        td.Independent(td.Normal(np.zeros((2, 3), "float32"), 1.0), ndims)


def test_independent_of_no_and_two_axes():
    base = td.Normal(np.zeros((2, 3), "float32"), 1.0)
    x = np.ones((2, 3), "float32")
    none, two = td.Independent(base, 0), td.Independent(base, 2)
    assert (none.batch_shape, two.batch_shape, two.event_shape) == ((2, 3), (), (2, 3))
    np.testing.assert_allclose(to_numpy(none.log_prob(x)), to_numpy(base.log_prob(x)))
    np.testing.assert_allclose(
        to_numpy(two.log_prob(x)), to_numpy(base.log_prob(x)).sum(), rtol=1e-6
    )


def test_mixture_checks_its_shapes():
    with pytest.raises(ValueError, match=r"batch shape \(2,\)"):
        td.MixtureSameFamily(td.Categorical(probs=[0.3, 0.7]), td.Normal([0.0, 1.0, 2.0], 1.0))
    with pytest.raises(ValueError, match="mixture must be a Categorical"):
        td.MixtureSameFamily(td.Normal(), td.Normal([0.0, 1.0], 1.0))


def test_a_value_of_fewer_axes_than_the_event_broadcasts():
    d = td.MixtureSameFamily(
        td.Categorical(logits=[0.0, 0.0]),
        td.Independent(td.Normal(np.zeros((2, 3), "float32"), 1.0)),
    )
    np.testing.assert_allclose(to_numpy(d.log_prob(0.0)), -1.5 * np.log(2 * np.pi), rtol=1e-6)


def test_gradients_through_samples_know_of_the_dependence_inside_an_event():
    """E[x1 x2] = sum of weight times both means: its gradients, from samples."""
    number = 20000
    logits = np.array([0.5, -0.5], "float32")
    loc = np.array([[1.0, 2.0], [-1.0, 0.5]], "float32")

    def products(z, m):
        parts = td.Independent(td.Normal(m, 0.7))
        x = td.MixtureSameFamily(td.Categorical(z), parts).sample(seed=2)
        return x[..., 0] * x[..., 1]

    copies = [np.broadcast_to(v, (number, *v.shape)).copy() for v in (logits, loc)]
    to_logits, to_loc = gradient(products, *copies)
    weights = special.softmax(logits.astype("float64"))
    each = loc.prod(axis=1)
    exact_logits = weights * (each - weights @ each)
    exact_loc = weights[:, None] * loc[:, ::-1]
    for found, exact in ((to_logits, exact_logits), (to_loc, exact_loc)):
        error = found.std(axis=0) / number**0.5
        assert np.all(np.abs(found.mean(axis=0) - exact) < 4 * error)
