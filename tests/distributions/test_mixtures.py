"""Mixtures of one family and of several."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, float64_scope, gradient, to_numpy
from keras import ops
from scipy import special, stats

from timedist import distributions as td


def test_other_events_are_dropped_whole():
    d = td.MixtureSameFamily(
        td.Categorical(logits=np.zeros((2, 2), "float32")),
        td.Independent(td.Normal(np.zeros((2, 2, 3), "float32"), 1.0)),
    )
    x = np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]], "float32")
    value = to_numpy(d.log_prob_where(x, ~np.isnan(x)))
    assert value[0] == 0.0
    np.testing.assert_allclose(value[1], -1.5 * np.log(2 * np.pi), rtol=1e-6)


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


PARTS = (
    lambda: [td.Normal([0.0, 1.0], 1.0), td.Laplace([3.0, 2.0], 0.5)],
    lambda: [td.Poisson([2.0, 3.0]), td.NegativeBinomial(2.0, [0.0, 1.0])],
)


def test_a_mixture_of_one_family_is_the_same_written_either_way():
    logits = np.array([0.3, -0.4], "float32")
    loc, scale = np.array([0.0, 2.0], "float32"), np.array([1.0, 0.5], "float32")
    one = td.MixtureSameFamily(td.Categorical(logits), td.Normal(loc, scale))
    two = td.Mixture(
        td.Categorical(logits), [td.Normal(m, s) for m, s in zip(loc, scale, strict=True)]
    )
    x = np.linspace(-3, 4, 5).astype("float32")
    for method in ("log_prob", "cdf", "log_survival_function", "quantile", "crps"):
        argument = (x + 3.5) / 8 if method == "quantile" else x
        left, right = (to_numpy(getattr(d, method)(argument)) for d in (one, two))
        np.testing.assert_allclose(left, right, rtol=1e-5, err_msg=method)
    for method in ("mean", "variance", "entropy"):
        left, right = (to_numpy(getattr(d, method)()) for d in (one, two))
        np.testing.assert_allclose(left, right, rtol=1e-5, err_msg=method)


def test_a_mixture_of_families_checks_its_components():
    weights = td.Categorical(probs=[[0.3, 0.7], [0.5, 0.5]])
    normal, poisson = td.Normal([0.0, 1.0], 1.0), td.Poisson([1.0, 2.0])
    with pytest.raises(ValueError, match=r"2 categories.*3 components"):
        td.Mixture(weights, [normal] * 3)
    with pytest.raises(ValueError, match="all continuous or all discrete"):
        td.Mixture(weights, [normal, poisson])
    with pytest.raises(ValueError, match=r"batch shape \(2,\)"):
        td.Mixture(weights, [normal, td.Normal()])
    with pytest.raises(ValueError, match=r"event shape \(\)"):
        td.Mixture(weights, [normal, td.MultivariateNormalDiag(np.zeros((2, 3)), np.ones(3))])
    with pytest.raises(ValueError, match="mixture must be a Categorical"):
        td.Mixture(normal, [normal])
    for wrong in ([], normal, [normal, 1.0]):
        with pytest.raises(TypeError, match="components must be a non-empty list of distributions"):
            td.Mixture(weights, wrong)


@pytest.mark.parametrize("parts", PARTS)
def test_a_mixture_of_families_is_a_value(parts):
    """Sliced, reshaped, taken apart and put together, and through `predict`'s concatenation."""
    d = td.Mixture(td.Categorical(probs=[[0.3, 0.7], [0.5, 0.5]]), parts())
    assert d[1].components[1].batch_shape == ()
    assert d.reshape_batch((1, 2)).batch_shape == (1, 2)
    again = d.with_leaves(d.leaves())
    assert repr(again) == repr(d) and isinstance(again.components, tuple)
    np.testing.assert_array_equal(to_numpy(again.mean()), to_numpy(d.mean()))


def test_components_take_the_wider_dtype():
    with float64_scope():
        d = td.Mixture(
            td.Categorical(logits=np.zeros((2,), "float32")),
            [td.Normal(np.float64(0.0), 1.0), td.Laplace(np.float32(1.0), 1.0)],
        )
        assert {keras.backend.standardize_dtype(leaf.dtype) for leaf in d.leaves()} == {"float64"}
        assert to_numpy(d.log_prob(0.5)).dtype == "float64"


def test_counts_with_different_ends():
    """A quantile at one is the largest value, and nothing is beyond it."""
    d = td.Mixture(
        td.Categorical(probs=[0.5, 0.5]),
        [td.Binomial(3.0, probs=0.5), td.Binomial(10.0, probs=0.3)],
    )
    k = np.arange(12.0)
    mass = 0.5 * stats.binom(3, 0.5).pmf(k) + 0.5 * stats.binom(10, 0.3).pmf(k)
    np.testing.assert_allclose(to_numpy(d.prob(k.astype("float32"))), mass, rtol=2e-5, atol=1e-9)
    assert float(d.quantile(1.0)) == 10.0 and float(d.quantile(0.0)) == 0.0
    entropy = -np.sum(special.xlogy(mass, mass))
    np.testing.assert_allclose(to_numpy(d.entropy()), entropy, rtol=1e-5)


def test_gradients_through_vectors_need_conditional_distributions():
    parts = td.MultivariateNormalDiagPlusLowRankCovariance(
        np.zeros((2, 3), "float32"), np.ones(3, "float32"), np.ones((3, 1), "float32")
    )
    d = td.MixtureSameFamily(td.Categorical(logits=[0.0, 0.0]), parts)
    with pytest.raises(NotImplementedError, match=r"given those before it.*draw\(\)"):
        d.sample(seed=1)
    assert tuple(d.draw(4, seed=1).shape) == (4, 3)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow has unknown sizes at run time")
def test_families_with_an_unknown_batch_size():
    import tensorflow as tf

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec((None, 2)), tf.TensorSpec((None,))]
    )
    def everything(logits, x):
        d = td.Mixture(td.Categorical(logits), [td.Normal(x, 1.0), td.Laplace(x + 1.0, 2.0)])
        assert d.batch_shape == (None,)
        return d.quantile(0.3), d.log_prob(x), d.crps(x), d.sample(3, seed=1), d.entropy()

    shapes = [tuple(r.shape) for r in everything(ops.zeros((5, 2)), ops.zeros((5,)))]
    assert shapes == [(5,), (5,), (5,), (3, 5), (5,)]


def with_masses():
    """Counts with zeros beside a density, a stock that sells out, and a plain component."""
    parts = [
        td.Hurdle(td.Gamma(2.5, 0.7), probs=0.6),
        td.Censored(td.Normal(0.3, 1.2), high=2.0),
        td.Normal(1.0, 2.0),
    ]
    return td.Mixture(td.Categorical(probs=[0.5, 0.3, 0.2]), parts), parts


def test_a_density_counts_for_nothing_where_another_component_has_a_probability():
    d, (hurdle, censored, plain) = with_masses()
    found = to_numpy(d.log_prob(np.array([0.0, 2.0, 1.0], "float32")))
    sold_out = stats.norm(0.3, 1.2).sf(2.0)
    inside = 0.5 * 0.4 * stats.gamma(2.5, scale=1 / 0.7).pdf(1.0)
    inside += 0.3 * stats.norm(0.3, 1.2).pdf(1.0) + 0.2 * stats.norm(1.0, 2.0).pdf(1.0)
    expected = np.log([0.5 * 0.6, 0.3 * sold_out, inside])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for part in (hurdle, censored):
        assert part._mixed
    assert d._mixed and not plain._mixed


def test_what_is_no_density_has_no_entropy_by_quadrature():
    d, _ = with_masses()
    with pytest.raises(NotImplementedError, match="single values have a probability"):
        d.entropy()
    with pytest.raises(NotImplementedError, match="single values have a probability"):
        d.kl_divergence(d)


def test_draws_at_a_probability_move_with_no_parameter():
    def total(rate):
        d = td.Mixture(
            td.Categorical(probs=[0.5, 0.5]),
            [td.Hurdle(td.Gamma(2.0, rate), probs=0.9), td.Hurdle(td.Gamma(3.0, rate), probs=0.8)],
        )
        draws = d.sample(500, seed=3)
        return ops.where(draws == 0.0, draws, 0.0)

    assert gradient(total, np.array(0.7, "float32"))[0] == 0.0


def test_quantiles_are_the_value_where_the_distribution_jumps():
    d, _ = with_masses()
    same = td.MixtureSameFamily(
        td.Categorical(probs=[0.5, 0.5]), td.Censored(td.Normal([0.0, 1.0], 1.0), 0.0, 2.5)
    )
    for mixture, value in ((d, 0.0), (d, 2.0), (same, 0.0), (same, 2.5)):
        upto = to_numpy(mixture.cdf(value))
        below = upto - to_numpy(mixture.prob(value))
        p = (below + (upto - below) * np.array([0.01, 0.5, 0.99])).astype("float32")
        assert (to_numpy(mixture.quantile(p)) == value).all()
        if below > 0.01:
            assert to_numpy(mixture.quantile(np.float32(below - 0.01))) < value
    ends = [td.Censored(td.Normal(), high=high) for high in (2.0, 4.0)]
    stock = td.Mixture(td.Categorical(probs=[0.5, 0.5]), ends)
    expected = 0.5 * stats.norm.sf([2.0, 4.0])
    np.testing.assert_allclose(to_numpy(stock.prob([2.0, 4.0])), expected, rtol=1e-4)
    assert to_numpy(stock.quantile(np.float32(0.9999))) < 4.0
