"""Samples of every family: shapes, seeds, goodness of fit, gradients."""

import keras
import numpy as np
import pytest
from cases import CASES
from helpers import assert_close, fast, to_numpy, value_and_gradient
from scipy import stats

per_case = pytest.mark.parametrize("case", CASES, ids=str)
CONTINUOUS = [c for c in CASES if not c.make().discrete]
DISCRETE = [c for c in CASES if c.make().discrete and c.name != "Deterministic"]
ONE_IN_A_MILLION = 1e-6


@per_case
def test_sample_shapes_dtypes_and_seeds(case):
    d = case.make()
    shape = (*d.batch_shape, *d.event_shape)
    one, block = fast(lambda: (d.sample(seed=1), d.sample((2, 3), seed=1)))()
    assert (tuple(one.shape), tuple(block.shape)) == (shape, (2, 3, *shape))
    draws = d.sample(50, seed=7)
    dtype = keras.backend.standardize_dtype(draws.dtype)
    assert dtype == ("int32" if case.name.startswith("Categorical") else "float32")
    first = to_numpy(draws)
    np.testing.assert_array_equal(first, to_numpy(d.sample(50, seed=7)))
    generator = keras.random.SeedGenerator(3)
    one, two = to_numpy(d.sample(50, seed=generator)), to_numpy(d.sample(50, seed=generator))
    again = to_numpy(d.sample(50, seed=keras.random.SeedGenerator(3)))
    np.testing.assert_array_equal(one, again)
    if case.name != "Deterministic":
        assert np.any(first != to_numpy(d.sample(50, seed=8)))
        assert np.any(one != two)
        assert np.any(to_numpy(d.sample(50)) != to_numpy(d.sample(50)))
        assert np.any(first != first[0])
    assert np.all(np.isfinite(to_numpy(d.log_prob(draws))))


@pytest.mark.parametrize("sample_shape", [0, 3, [2], (2, 3), np.int64(3), ()])
def test_sample_shapes_may_be_ints_or_sequences(sample_shape):
    lead = tuple(np.atleast_1d(np.array(sample_shape, int)))
    assert tuple(CASES[0].make().sample(sample_shape, seed=1).shape) == (*lead, 4)


@pytest.mark.parametrize("seed", [1.5, "a", (1, 2), True])
def test_other_seeds_are_refused(seed):
    with pytest.raises(TypeError, match="seed must be"):
        CASES[0].make().sample(seed=seed)


@pytest.mark.parametrize("sample_shape", [-1, (2, -3), 1.5, "ab"])
def test_other_sample_shapes_are_refused(sample_shape):
    with pytest.raises(ValueError, match="sample_shape must be"):
        CASES[0].make().sample(sample_shape, seed=1)


@pytest.mark.parametrize("case", CONTINUOUS, ids=str)
def test_continuous_samples_fit_the_distribution_function(case):
    number = 10000
    d = case.make()
    draws = to_numpy(fast(lambda: d.sample(number, seed=11))()).astype("float64")
    marginal = case.marginal(**{n: v.astype("float64") for n, v in case.arrays().items()})
    u = np.sort(marginal.cdf(draws), axis=0)
    rank = np.arange(1, number + 1).reshape(-1, *(1,) * (u.ndim - 1))
    distance = np.maximum(rank / number - u, u - (rank - 1) / number).max(axis=0)
    # Kolmogorov and Smirnov: P(distance > bound) < 2 exp(-2 number bound^2).
    bound = np.sqrt(np.log(2 / ONE_IN_A_MILLION) / (2 * number))
    assert np.all(distance < bound), (distance, bound)


@pytest.mark.parametrize("case", DISCRETE, ids=str)
def test_discrete_samples_fit_the_masses(case):
    number = 10000
    d = case.make()
    draws = to_numpy(fast(lambda: d.sample(number, seed=11))()).astype("float64")
    twin = case.reference("float32")
    # Cells between the deciles: few enough for every expected count to be large.
    edges = twin.ppf(np.broadcast_to(np.linspace(0.1, 0.9, 9)[:, None], (9, *d.batch_shape)))
    for i in range(d.batch_shape[0]):
        ends = np.unique(edges[:, i])
        below = np.stack([twin.cdf(np.full(d.batch_shape, e))[i] for e in ends])
        expected = number * np.diff(below, prepend=0.0, append=1.0)
        cells = np.searchsorted(ends, draws[:, i], side="left")
        observed = np.bincount(cells, minlength=expected.size)
        kept = expected > 5.0
        assert np.all(observed[~kept] < 30)
        statistic = np.sum((observed - expected)[kept] ** 2 / expected[kept])
        assert statistic < stats.chi2.ppf(1 - ONE_IN_A_MILLION, max(kept.sum() - 1, 1))


def bounded(x, centre, spread, array=np):
    """A smooth, bounded function without symmetry, whose expectation always exists."""
    z = (x - centre) / spread
    square = 1.0 + z * z
    return z / array.sqrt(square) + 1.0 / square


def expectation(twin, centre, spread):
    """E[bounded(X)], by Gauss and Legendre between the quantiles of the distribution."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    powers = np.logspace(-8, -1, 29)
    p = np.concatenate([powers, np.linspace(0.15, 0.85, 15), 1.0 - powers[::-1]])
    edges = twin.ppf(np.broadcast_to(p.reshape(-1, *(1,) * centre.ndim), (p.size, *centre.shape)))
    low, high = edges[:-1, None], edges[1:, None]
    x = low + (high - low) * (1.0 + nodes.reshape(-1, *(1,) * centre.ndim)) / 2
    density = weights.reshape(-1, *(1,) * centre.ndim) * twin.pdf(x) * (high - low) / 2
    return np.sum(bounded(x, centre, spread) * density, axis=(0, 1))


@pytest.mark.parametrize("case", CONTINUOUS, ids=str)
def test_gradients_through_samples_are_those_of_the_expectation(case):
    """d E[f(X)] / d parameter from samples, within four standard errors of finite differences."""
    number = 4000
    parameters = case.arrays("float32")
    exact = {n: v.astype("float64") for n, v in parameters.items()}
    marginal = case.marginal(**exact)
    half = np.full(marginal.mean().shape, 0.5)
    centre, spread = marginal.ppf(half) + 0.0, marginal.ppf(half + 0.25) - marginal.ppf(half - 0.25)
    batch_rank = len(case.make().batch_shape)
    names = tuple(parameters)
    # One copy of the parameters for each draw gives the gradient of each draw.
    copies = [np.broadcast_to(v, (number, *v.shape)).copy() for v in parameters.values()]
    c, s = centre.astype("float32"), spread.astype("float32")

    def of_draws(*arrays):
        draws = case.build(**dict(zip(names, arrays, strict=True))).sample(seed=5)
        return bounded(draws, *map(keras.ops.convert_to_tensor, (c, s)), keras.ops)

    value, gradients = value_and_gradient(fast(of_draws), *copies)
    event_axes = tuple(range(batch_rank, centre.ndim))
    target = expectation(marginal, centre, spread).sum(axis=event_axes)
    drawn = value.sum(axis=tuple(a + 1 for a in event_axes)).astype("float64")
    assert np.all(np.abs(drawn.mean(axis=0) - target) < 5 * drawn.std(axis=0) / number**0.5)
    for name, per_draw in zip(names, gradients, strict=True):
        assert np.all(np.isfinite(per_draw))
        entries = np.ndindex(exact[name].shape[batch_rank:])
        for entry in entries:
            at = (..., *entry) if entry else ...
            step = 1e-4 * np.maximum(np.abs(exact[name][at]), 0.1)
            sides = []
            for sign in (1.0, -1.0):
                moved = exact[name].copy()
                moved[at] += sign * step
                shifted = expectation(case.marginal(**exact | {name: moved}), centre, spread)
                sides.append(shifted.sum(axis=event_axes))
            slope = (sides[0] - sides[1]) / (2 * step)
            each = per_draw[at].astype("float64")
            error = each.std(axis=0) / number**0.5
            wrong = np.abs(each.mean(axis=0) - slope) > 4 * error + 1e-5 * np.abs(slope).max()
            assert not wrong.any(), (name, entry, each.mean(axis=0), slope, error)


@per_case
def test_samples_have_gradients_to_continuous_parameters_only(case):
    names, arrays = zip(*case.arrays().items(), strict=True)

    def draw(*parameters):
        d = case.build(**dict(zip(names, parameters, strict=True)))
        return keras.ops.cast(d.sample(20, seed=3), "float32")

    _, gradients = value_and_gradient(draw, *arrays)
    moved = {n for n, g in zip(names, gradients, strict=True) if np.any(g != 0.0)}
    assert moved == set(case.sampled)
    assert all(np.all(np.isfinite(g)) for g in gradients)
    assert_close(len(case.sampled) > 0, not case.make().discrete or case.name == "Deterministic", 0)
