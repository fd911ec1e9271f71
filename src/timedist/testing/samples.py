"""Contracts of draws: shapes, seeds, goodness of fit, gradients."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from timedist.ops.functional import value_and_gradient
from timedist.testing import oracles
from timedist.testing.case import Case, NotApplicableError
from timedist.testing.compare import array, assert_close

ONE_IN_A_MILLION = 1e-6
_NUMBER = 4000


def _draws(d: Any, seed: Any, number: Any = _NUMBER) -> np.ndarray:
    """Draws of one size for all contracts: what a sampler costs is mostly its compilation."""
    return array(d.sample(number, seed=seed))


def draws_have_the_shapes_and_follow_the_seed(case: Case) -> None:
    """Shape, dtype, the same draw for the same seed and another for another."""
    d = case.make()
    shape = (*d.batch_shape, *d.event_shape)
    first = _draws(d, 7)
    assert first.shape == (_NUMBER, *shape)
    np.testing.assert_array_equal(first, _draws(d, 7))
    one, two = (_draws(d, g) for g in [keras.random.SeedGenerator(3)] * 2)
    np.testing.assert_array_equal(one, _draws(d, keras.random.SeedGenerator(3)))
    if np.any(first != first[0]):  # all but a family of constants
        assert np.any(first != _draws(d, 8)) and np.any(one != two)
        assert np.any(_draws(d, None) != _draws(d, None))
    assert np.all(np.isfinite(array(d.log_prob(first)))), f"{case} draws without density"
    assert tuple(d.draw((2, 3), seed=1).shape) == (2, 3, *shape)


def a_draw_brings_its_log_density(case: Case) -> None:
    """`sample_and_log_prob` is the two, together."""
    d = case.make()
    x, log_prob = d.sample_and_log_prob((2, 3), seed=7)
    np.testing.assert_array_equal(array(x), _draws(d, 7, (2, 3)))
    assert tuple(log_prob.shape) == (2, 3, *d.batch_shape)
    assert_close(log_prob, array(d.log_prob(x)), 1e-5, 1.0, f"{case} log_prob of draws")


def draws_fit_the_distribution_function(case: Case) -> None:
    """Kolmogorov and Smirnov for densities, chi-square for masses."""
    d = case.make()
    draws = _draws(d, 7).astype("float64")
    if d.event_shape and not hasattr(case.twin(**case.rounded()), "marginal"):
        _fit_moments(case, draws)
    elif case.mixed:
        _fit_mixed(case, draws)
    elif d.discrete:
        _fit_masses(case, draws)
    else:
        u = np.sort(case.marginal(**case.rounded()).cdf(draws), axis=0)
        rank = np.arange(1, _NUMBER + 1).reshape(-1, *(1,) * (u.ndim - 1))
        distance = np.maximum(rank / _NUMBER - u, u - (rank - 1) / _NUMBER).max(axis=0)
        # Kolmogorov and Smirnov: P(distance > bound) < 2 exp(-2 number bound^2).
        bound = np.sqrt(np.log(2 / ONE_IN_A_MILLION) / (2 * _NUMBER))
        assert np.all(distance < bound), (case, distance, bound)


def _fit_moments(case: Case, draws: np.ndarray) -> None:
    """Every mean, within five standard errors."""
    error = draws.std(axis=0) / _NUMBER**0.5 + 1e-7
    mean = np.asarray(case.twin(**case.rounded()).mean())
    finite = np.isfinite(mean)
    assert np.all(np.abs(draws.mean(axis=0) - mean)[finite] < 5 * error[finite]), case
    twin = case.twin(**case.rounded())
    if hasattr(twin, "cov"):
        centred = draws - draws.mean(axis=0)
        products = centred[..., :, None] * centred[..., None, :]
        error = products.std(axis=0) / _NUMBER**0.5 + 1e-6
        cov = np.asarray(twin.cov())
        finite = np.isfinite(cov)
        assert np.all(np.abs(products.mean(axis=0) - cov)[finite] < 6 * error[finite]), case


def _fit_mixed(case: Case, draws: np.ndarray) -> None:
    """The distribution function at the draws themselves, jumps included."""
    twin = case.twin(**case.rounded())
    grid = np.quantile(draws, np.linspace(0.02, 0.98, 25), axis=0, method="lower")
    share = (draws[None] <= grid[:, None]).mean(axis=1)
    expected = twin.cdf(grid)
    error = np.sqrt(expected * (1 - expected) / _NUMBER) + 1 / _NUMBER
    assert np.all(np.abs(share - expected) < 5 * error), case


def _fit_masses(case: Case, draws: np.ndarray) -> None:
    d, twin = case.make(), case.twin(**case.rounded())
    if draws.std() == 0.0 and not hasattr(twin, "ppf"):
        return
    # Cells between the deciles: few enough for every expected count to be large.
    deciles = np.linspace(0.1, 0.9, 9)
    edges = np.asarray(twin.ppf(np.broadcast_to(deciles[:, None], (9, *d.batch_shape))), "float64")
    from scipy import stats

    for i in range(d.batch_shape[0]):
        ends = np.unique(edges[:, i])
        below = np.stack([twin.cdf(np.full(d.batch_shape, e))[i] for e in ends])
        expected = _NUMBER * np.diff(below, prepend=0.0, append=1.0)
        cells = np.searchsorted(ends, draws[:, i], side="left")
        observed = np.bincount(cells, minlength=expected.size)
        kept = expected > 5.0
        assert np.all(observed[~kept] < 30), case
        statistic = np.sum((observed - expected)[kept] ** 2 / expected[kept])
        limit = stats.chi2.ppf(1 - ONE_IN_A_MILLION, max(kept.sum() - 1, 1))
        assert statistic < limit, (case, statistic, limit)


def _bounded(x: Any, centre: Any, spread: Any, sqrt: Any = np.sqrt) -> Any:
    """A smooth, bounded function without symmetry, whose expectation always exists."""
    z = (x - centre) / spread
    square = 1.0 + z * z
    return z / sqrt(square) + 1.0 / square


def gradients_through_draws_are_those_of_the_expectation(case: Case) -> None:
    """d E[f(X)] / d parameter from draws, within four standard errors of finite differences."""
    d = case.make()
    exact = case.rounded()
    if d.discrete or case.mixed or (d.event_shape and not hasattr(case.twin(**exact), "marginal")):
        raise NotApplicableError("for densities whose marginals the twin knows")
    marginal = case.marginal(**exact)
    shape = (*d.batch_shape, *d.event_shape)
    quartiles = [marginal.ppf(np.full(shape, p)) for p in (0.25, 0.5, 0.75)]
    centre, spread = quartiles[1], quartiles[2] - quartiles[0]
    names, each, value = _gradient_of_each_draw(case, centre, spread)
    rank = len(d.batch_shape)
    event_axes = tuple(range(rank, len(shape)))

    def expectation(parameters: dict) -> np.ndarray:
        twin = case.marginal(**parameters)
        whole = oracles.integral(twin, lambda x: _bounded(x, centre, spread), shape)
        return whole.sum(axis=event_axes)

    drawn = value.sum(axis=tuple(a + 1 for a in event_axes)).astype("float64")
    error = drawn.std(axis=0) / _NUMBER**0.5
    assert np.all(np.abs(drawn.mean(axis=0) - expectation(exact)) < 5 * error + 1e-6), case
    for name, per_draw in zip(names, each, strict=True):
        assert np.all(np.isfinite(per_draw)), (case, name)
        if name not in case.sampled:
            assert not np.any(per_draw), (case, name)
            continue
        for entry in np.ndindex(exact[name].shape[rank:]):
            slope = _slope(expectation, exact, name, entry)
            _within_error(per_draw[(..., *entry)], slope, f"{case} {name}{entry}")


def _gradient_of_each_draw(case: Case, centre: np.ndarray, spread: np.ndarray) -> tuple:
    """Names, gradients and values: one copy of the parameters for each draw."""
    parameters = case.arrays("float32")
    copies = [np.broadcast_to(v, (_NUMBER, *v.shape)).copy() for v in parameters.values()]
    c, s = (keras.ops.convert_to_tensor(a.astype("float32")) for a in (centre, spread))

    def of_draws(*arrays: Any) -> Any:
        draws = case.build(**dict(zip(parameters, arrays, strict=True))).sample(seed=5)
        return _bounded(draws, c, s, keras.ops.sqrt)

    value, gradients = value_and_gradient(of_draws, *copies)
    return tuple(parameters), gradients, value


def _slope(expectation: Any, exact: dict, name: str, entry: tuple) -> np.ndarray:
    at = (..., *entry)
    step = 1e-4 * np.maximum(np.abs(exact[name][at]), 0.1)
    sides = []
    for sign in (1.0, -1.0):
        moved = exact[name].copy()
        moved[at] += sign * step
        sides.append(expectation(exact | {name: moved}))
    return (sides[0] - sides[1]) / (2 * step)


def _within_error(per_draw: np.ndarray, slope: np.ndarray, what: str) -> None:
    each = per_draw.astype("float64")
    error = each.std(axis=0) / math.sqrt(_NUMBER)
    wrong = np.abs(each.mean(axis=0) - slope) > 4 * error + 1e-5 * np.abs(slope).max() + 1e-7
    assert not wrong.any(), (what, each.mean(axis=0), slope, error)


def draws_have_gradients_to_the_sampled_parameters_only(case: Case) -> None:
    """Nonzero and finite for `sampled`, exactly zero for all others."""
    names, arrays = zip(*case.arrays().items(), strict=True)

    def draw(*parameters: Any) -> Any:
        d = case.build(**dict(zip(names, parameters, strict=True)))
        return keras.ops.cast(d.sample(20, seed=3), "float32")

    _, gradients = value_and_gradient(draw, *arrays)
    assert all(np.all(np.isfinite(g)) for g in gradients), case
    moved = {n for n, g in zip(names, gradients, strict=True) if np.any(g != 0.0)}
    assert moved == set(case.sampled), (case, moved)


CONTRACTS = (
    draws_have_the_shapes_and_follow_the_seed,
    a_draw_brings_its_log_density,
    draws_fit_the_distribution_function,
    gradients_through_draws_are_those_of_the_expectation,
    draws_have_gradients_to_the_sampled_parameters_only,
)
