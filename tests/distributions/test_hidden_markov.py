"""Hidden Markov models against the sum over all paths of short chains."""

import itertools
from functools import cache

import keras
import numpy as np
import pytest
from helpers import BACKEND, DTYPES, dtype_scope, fast, float64_scope, to_numpy, value_and_gradient
from keras import ops
from scipy import stats

from timedist.distributions import (
    Categorical,
    HiddenMarkovModel,
    Independent,
    Normal,
    Poisson,
)
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

RNG = np.random.default_rng(0)
BATCH, STEPS, STATES = 2, 5, 3
PATHS = np.array(list(itertools.product(range(STATES), repeat=STEPS)))


def shares(*shape):
    """Random probabilities, one of them zero."""
    found = RNG.dirichlet(np.ones(STATES), size=shape)
    found[..., 0, :] = [0.0, 0.4, 0.6]
    return found


ARRAYS = {
    "start": RNG.dirichlet(np.ones(STATES), size=BATCH),
    "moves": shares(STATES),
    "loc": 2.0 * RNG.normal(size=(STATES,)),
    "scale": RNG.uniform(0.5, 1.5, size=(BATCH, STATES)),
}
VARYING = {"moves": shares(STEPS - 1, STATES), "loc": 2.0 * RNG.normal(size=(STEPS, STATES))}
VARYING["scale"] = RNG.uniform(0.5, 1.5, size=(BATCH, STEPS, STATES))
X = 2.0 * RNG.normal(size=(BATCH, STEPS))
SEEN = np.array([[True, False, False, True, True], [False, True, True, True, False]])


def arrays(varying, dtype="float64"):
    """The arrays of a model."""
    found = {**ARRAYS, **VARYING} if varying else ARRAYS
    return {name: array.astype(dtype) for name, array in found.items()}


def model(varying, start, moves, loc, scale):
    """The model of the arrays, taken as they are."""
    return HiddenMarkovModel.trusted(
        initial_distribution=Categorical.trusted(probs=start),
        transition_distribution=Categorical.trusted(probs=moves),
        observation_distribution=Normal.trusted(loc=loc, scale=scale),
        num_steps=STEPS,
        time_varying_transition_distribution=varying,
        time_varying_observation_distribution=varying,
    )


def path_weights(varying, b, seen=None):
    """The joint density of the observations and each of the paths."""
    a = arrays(varying)
    moves = np.broadcast_to(a["moves"], (STEPS - 1, STATES, STATES))
    loc = np.broadcast_to(a["loc"], (STEPS, STATES))
    scale = np.broadcast_to(a["scale"][b], (STEPS, STATES))
    each = stats.norm(loc, scale).pdf(X[b][:, None])
    each = each if seen is None else np.where(seen[b][:, None], each, 1.0)
    weights = a["start"][b][PATHS[:, 0]]
    for t in range(STEPS):
        weights = weights * each[t, PATHS[:, t]]
        weights = weights * moves[t, PATHS[:, t], PATHS[:, t + 1]] if t + 1 < STEPS else weights
    return weights


def by_state(weights):
    """The share of every state at every step."""
    one_hot = PATHS[..., None] == np.arange(STATES)
    return (weights[:, None, None] * one_hot).sum(0) / weights.sum()


@cache
def found(varying, missing, dtype):
    """What the model finds, by one compiled function that takes it."""
    seen = SEEN if missing else None

    def everything(d, x):
        total = d.log_prob(x) if seen is None else d.log_prob_where(x, seen)
        posterior = d.posterior_marginals(x, seen).probs
        return total, posterior, d.posterior_mode(x, seen), d.prior_marginals().probs

    with dtype_scope(dtype):
        x = ops.convert_to_tensor((np.where(SEEN, X, np.nan) if missing else X).astype(dtype))
        return [to_numpy(y) for y in fast(everything)(model(varying, **arrays(varying, dtype)), x)]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sum_over_all_paths(varying, missing, dtype):
    total, posterior, mode, prior = found(varying, missing, dtype)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert (total.dtype, mode.dtype) == (dtype, "int32")
    for b in range(BATCH):
        weights = path_weights(varying, b, SEEN if missing else None)
        np.testing.assert_allclose(total[b], np.log(weights.sum()), rtol=tolerance)
        np.testing.assert_allclose(posterior[b], by_state(weights), rtol=0, atol=tolerance)
        np.testing.assert_array_equal(mode[b], PATHS[weights.argmax()])
        weights = path_weights(varying, b, np.zeros_like(SEEN))
        np.testing.assert_allclose(prior[b], by_state(weights), rtol=0, atol=tolerance)


def test_paths_given_the_observations_have_their_probabilities():
    number = 4000
    draw = fast(lambda d, x: d.posterior_sample(x, number, SEEN, seed=1))
    x = ops.convert_to_tensor(X.astype("float32"))
    draws = to_numpy(draw(model(True, **arrays(True, "float32")), x))
    assert draws.shape == (number, BATCH, STEPS) and draws.dtype == "int32"
    for b in range(BATCH):
        weights = path_weights(True, b, SEEN)
        weights = weights / weights.sum()
        drawn = (draws[:, b][:, None] == PATHS).all(-1).sum(0)
        binomial = stats.binom(number, weights)
        # The tails beyond 5 standard deviations, exact for rare paths too.
        assert (binomial.cdf(drawn) > 3e-7).all() and (binomial.sf(drawn - 1) > 3e-7).all()


@pytest.mark.parametrize("varying", [False, True])
def test_moments_and_marginals(varying):
    def moments(d, x):
        return d.mean(), d.variance(), d.marginals().cdf(x), d.sample(4000, seed=3)

    x = ops.convert_to_tensor(X.astype("float32"))
    a = arrays(varying)
    answer = fast(moments)(model(varying, **arrays(varying, "float32")), x)
    mean, variance, cdf, draws = map(to_numpy, answer)
    assert draws.shape == (4000, BATCH, STEPS)
    for b in range(BATCH):
        prior = by_state(path_weights(varying, b, np.zeros_like(SEEN)))
        loc = np.broadcast_to(a["loc"], (STEPS, STATES))
        scale = np.broadcast_to(a["scale"][b], (STEPS, STATES))
        expected = (prior * loc).sum(-1)
        spread = (prior * (scale**2 + (loc - expected[:, None]) ** 2)).sum(-1)
        np.testing.assert_allclose(mean[b], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance[b], spread, rtol=1e-4)
        below = (prior * stats.norm(loc, scale).cdf(X[b][:, None])).sum(-1)
        np.testing.assert_allclose(cdf[b], below, rtol=1e-4, atol=1e-6)
        mine = draws[:, b]
        assert (np.abs(mine.mean(0) - expected) < 5 * np.sqrt(spread / len(mine))).all()
        # Neighbours depend on each other through the chain alone.
        pairs = (mine[:, :-1] - expected[:-1]) * (mine[:, 1:] - expected[1:])
        joint = path_weights(varying, b, np.zeros_like(SEEN))
        centred = loc - expected[:, None]
        steps = np.arange(STEPS - 1)
        both = centred[steps, PATHS[:, :-1]] * centred[steps + 1, PATHS[:, 1:]]
        exact = (joint[:, None] * both).sum(0)
        assert (np.abs(pairs.mean(0) - exact) < 5 * pairs.std(0) / np.sqrt(len(mine))).all()


def test_gradients_are_those_of_differences():
    names = tuple(ARRAYS)

    def total(x, *given):
        return model(True, **dict(zip(names, given, strict=True))).log_prob_where(x, SEEN)

    with float64_scope():
        given = [np.where(SEEN, X, 7.0), *arrays(True).values()]
        _, slopes = value_and_gradient(total, *given)
        quick, rng = fast(total), np.random.default_rng(1)
        for i, slope in enumerate(slopes):
            way = rng.normal(size=slope.shape) * (given[i] != 0.0)
            ends = []
            for step in (1e-6, -1e-6):
                moved = [a + step * way if j == i else a for j, a in enumerate(given)]
                ends.append(to_numpy(quick(*map(ops.convert_to_tensor, moved))).sum())
            expected = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose((slope * way).sum(), expected, rtol=1e-6, atol=1e-7)
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert (slopes[0][~SEEN] == 0.0).all() and (slopes[0][SEEN] != 0.0).all()


def test_vectors_with_missing_components():
    loc = RNG.normal(size=(STATES, 2)).astype("float32")
    x = RNG.normal(size=(STEPS, 2)).astype("float32")
    seen = RNG.uniform(size=x.shape) > 0.4
    a = arrays(False, "float32")

    def both(loc, x):
        chain = (Categorical(probs=a["start"]), Categorical(probs=a["moves"]))
        d = HiddenMarkovModel(*chain, Independent(Normal(loc, 1.0)), STEPS)
        posterior = d.posterior_marginals(x, seen)
        return d.log_prob_where(x, seen), posterior.log_prob(posterior.mode()), d.mean()

    given = map(ops.convert_to_tensor, (loc, np.where(seen, x, np.nan)))
    log_prob, _, mean = map(to_numpy, fast(both)(*given))
    assert mean.shape == (BATCH, STEPS, 2)
    each = np.where(seen[:, None], stats.norm(loc, 1.0).logpdf(x[:, None]), 0.0).sum(-1)
    for b in range(BATCH):
        weights = ARRAYS["start"][b][PATHS[:, 0]]
        weights = weights * ARRAYS["moves"][PATHS[:, :-1], PATHS[:, 1:]].prod(-1)
        weights = weights * np.exp(each[np.arange(STEPS), PATHS].sum(-1))
        np.testing.assert_allclose(log_prob[b], np.log(weights.sum()), rtol=1e-5)


def test_counts_blocks_and_slices():
    start, moves = (
        Categorical(probs=x) for x in ([[0.5, 0.5], [0.9, 0.1]], np.eye(2, dtype="float32"))
    )
    d = HiddenMarkovModel(start, moves, Poisson([1.0, 5.0]), 3)
    assert d.discrete and (d.batch_shape, d.event_shape) == ((2,), (3,))
    assert d[0].batch_shape == () and d[None, :, None].batch_shape == (1, 2, 1)
    k = np.array([[0.0, 1.0, 2.0], [4.0, 5.0, 6.0], [0.0, 9.0, 0.5], [0.0, -1.0, 2.0]], "float32")

    def parts(d, k):
        block = d.log_prob(k[:, None])
        return block, d[1].log_prob(k), d.sample((2, 2), seed=1), d.posterior_mode(k[:2, None])

    answer = fast(parts)(d, ops.convert_to_tensor(k))
    block, second, draws, mode = map(to_numpy, answer)
    each = stats.poisson([1.0, 5.0]).logpmf(k[:, :, None]).sum(1)
    expected = np.logaddexp(*(np.log([[0.5, 0.9], [0.5, 0.1]])[:, None] + each.T[..., None]))
    np.testing.assert_allclose(block, expected, rtol=1e-5)
    np.testing.assert_array_equal(second, block[:, 1])
    assert draws.shape == (2, 2, 2, 3) and (draws == np.floor(draws)).all()
    np.testing.assert_array_equal(mode, [[[0] * 3] * 2, [[1] * 3] * 2])


def test_a_thousand_steps_in_float32():
    rng, steps = np.random.default_rng(2), 1000
    x = rng.normal(size=steps).astype("float32")

    def log_prob(loc, x):
        moves = Categorical.trusted(logits=3.0 * np.eye(STATES, dtype="float32"))
        start = Categorical.trusted(logits=np.zeros(STATES, "float32"))
        seen = Normal.trusted(loc=loc, scale=1.0)
        return HiddenMarkovModel.trusted(
            initial_distribution=start,
            transition_distribution=moves,
            observation_distribution=seen,
            num_steps=steps,
        ).log_prob(x)

    loc = np.array([-1.0, 0.0, 1.0])
    value, (slope, _) = value_and_gradient(log_prob, loc.astype("float32"), x)
    with float64_scope():
        exact, (its, _) = value_and_gradient(log_prob, loc, x.astype("float64"))
    np.testing.assert_allclose(value, exact, rtol=1e-4)
    np.testing.assert_allclose(slope, its, rtol=1e-3, atol=1e-2)


def test_one_step_is_a_mixture():
    d = HiddenMarkovModel(
        Categorical(probs=[0.3, 0.7]),
        Categorical(probs=np.eye(2, dtype="float32")),
        Normal([0.0, 3.0], 1.0),
        1,
    )
    x = np.array([1.0], "float32")
    expected = np.log(0.3 * stats.norm.pdf(1.0) + 0.7 * stats.norm.pdf(-2.0))
    np.testing.assert_allclose(to_numpy(d.log_prob(x)), expected, rtol=1e-5)
    assert to_numpy(d.posterior_mode(x)).tolist() == [0]
    assert to_numpy(d.sample(4, seed=1)).shape == (4, 1)


def test_a_keras_mask_leaves_steps_out():
    def both(d, x):
        expected = d.log_prob_where(x, SEEN)
        compat.set_keras_mask(d, ops.convert_to_tensor(SEEN))
        return NegativeLogLikelihood(reduction=None)(x, d), -expected

    x = ops.convert_to_tensor(X.astype("float32"))
    answer = fast(both)(model(False, **arrays(False, "float32")), x)
    np.testing.assert_allclose(*map(to_numpy, answer), rtol=1e-5)


def test_saving():
    d = model(True, **arrays(True, "float32"))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(d))
    log_prob, x = fast(lambda d, x: d.log_prob(x)), ops.convert_to_tensor(X.astype("float32"))
    np.testing.assert_array_equal(to_numpy(log_prob(again, x)), to_numpy(log_prob(d, x)))


def parts(**changed):
    """The arguments of a small model, some changed."""
    return {
        "initial_distribution": Categorical(probs=[0.5, 0.5]),
        "transition_distribution": Categorical(probs=np.eye(2, dtype="float32")),
        "observation_distribution": Normal([0.0, 1.0], 1.0),
        "num_steps": 4,
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"num_steps": 0}, ("num_steps", "int >= 1", "0")),
        (
            {"transition_distribution": Categorical(probs=[0.5, 0.5])},
            ("transition_distribution", "(2,)", "()"),
        ),
        (
            {"transition_distribution": Categorical(logits=np.zeros((2, 3), "float32"))},
            ("transition_distribution", "2 states", "3"),
        ),
        (
            {"observation_distribution": Normal([0.0, 1.0, 2.0], 1.0)},
            ("observation_distribution", "(2,)", "(3,)"),
        ),
        (
            {"time_varying_observation_distribution": True},
            ("observation_distribution", "(4, 2)", "(2,)"),
        ),
        ({"num_steps": 1, "time_varying_transition_distribution": True}, ("one step",)),
        (
            {
                "initial_distribution": Categorical(logits=np.zeros((3, 2), "float32")),
                "observation_distribution": Normal(np.zeros((4, 2), "float32"), 1.0),
            },
            ("broadcast", "initial_distribution (3,)", "observation_distribution (4,)"),
        ),
    ],
)
def test_wrong_arguments(changed, words):
    with pytest.raises(ValueError) as error:
        HiddenMarkovModel(**parts(**changed))
    assert all(w in str(error.value) for w in ("HiddenMarkovModel", *words)), error.value


def test_a_chain_of_another_kind_and_what_is_not_there():
    with pytest.raises(TypeError, match=r"initial_distribution must be a Categorical.*Normal"):
        HiddenMarkovModel(**parts(initial_distribution=Normal(0.0, 1.0)))
    d = HiddenMarkovModel(**parts())
    for method in (d.log_prob, d.posterior_mode, d.posterior_marginals, d.posterior_sample):
        with pytest.raises(ValueError, match=r"\(3,\) does not broadcast against \(4,\)"):
            method(np.zeros(3, "float32"))
    for method in (d.entropy, d.mode, d.covariance):
        with pytest.raises(NotImplementedError, match="HiddenMarkovModel has no"):
            method()


@pytest.mark.skipif(BACKEND != "torch", reason="shapes are inferred without numbers on torch")
def test_shapes_without_numbers():
    with keras.device("meta"):
        d = model(False, **{name: ops.zeros(array.shape) for name, array in ARRAYS.items()})
        x = ops.zeros(X.shape)
        assert d.log_prob_where(x, x > 0.0).shape == d.log_prob(x).shape == (BATCH,)
        assert d.sample(3, seed=1).shape == (3, *X.shape)
        assert d.posterior_mode(x).shape == d.mean().shape == X.shape
