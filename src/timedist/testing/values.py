"""Contracts of the methods that need no draw: against the twin, and against each other."""

from __future__ import annotations

from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops.functional import as_one_program, compiled, dtype_scope, float64_scope
from timedist.testing import oracles
from timedist.testing.case import PROBABILITIES, Case, NotApplicableError
from timedist.testing.compare import array, assert_close

ELEMENTWISE = {
    "log_prob": ("logpmf", "logpdf"),
    "cdf": ("cdf",),
    "survival_function": ("sf",),
    "log_cdf": ("logcdf",),
    "log_survival_function": ("logsf",),
}
MOMENTS = {"mean": "mean", "variance": "var", "stddev": "std", "entropy": "entropy"}
_MIDDLE = 4  # PROBABILITIES[4] is 0.5


def batched(p: np.ndarray, d: Any) -> np.ndarray:
    """Probabilities with axes for the batch behind them."""
    return np.broadcast_to(p.reshape(-1, *(1,) * len(d.batch_shape)), (p.size, *d.batch_shape))


@cache
def evaluated(case: Case, dtype: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """All methods of a row, `{method: array}`, and the values and probabilities used.

    "method beyond" holds the results outside the support, at NaN and at both infinities.
    """
    x = case.checked_points(dtype)
    shape = x.shape[1:]
    beyond = [np.full((1, *shape), v, dtype) for v in (*case.outside, np.nan, np.inf, -np.inf)]
    p = batched(PROBABILITIES, case.make()).astype(dtype)
    with dtype_scope(dtype):
        points = np.concatenate([x, *beyond])
        tensors = [ops.convert_to_tensor(a) for a in (points, x, p)]
        found = as_one_program(_every_method, (case,), case.make(dtype), *tensors)
        results = {name: array(r) for name, r in found.items()}
    for name in ("prob", *ELEMENTWISE):
        if name in results:
            results[name], results[f"{name} beyond"] = np.split(results[name], [len(x)])
    return results, x, p


def _every_method(case: Case, d: Any, points: Any, x: Any, p: Any) -> dict[str, Any]:
    arguments: dict[str, tuple] = {name: (points,) for name in ("prob", *ELEMENTWISE)}
    arguments |= {name: () for name in (*MOMENTS, "mode", "covariance")}
    arguments |= {"quantile": (p,), "crps": (x,)}
    if not d.event_shape:
        del arguments["covariance"]
    return {name: getattr(d, name)(*a) for name, a in arguments.items() if case.has(name)}


def _expected(twin: Any, names: tuple[str, ...], x: np.ndarray) -> np.ndarray | None:
    function = next((getattr(twin, name) for name in names if hasattr(twin, name)), None)
    return None if function is None else function(x)


def _elementwise(case: Case, dtype: str) -> None:
    results, x, _ = evaluated(case, dtype)
    twin, x = case.reference(dtype), x.astype("float64")
    for method, names in ELEMENTWISE.items():
        expected = _expected(twin, names, x) if case.has(method) else None
        if expected is None:
            continue
        assert results[method].dtype == dtype, (method, results[method].dtype)
        assert results[method].shape == expected.shape, (method, results[method].shape)
        # A logarithm crosses zero: its error is measured against one. Probabilities are compared
        # relatively, in the tails too.
        floor = 1.0 if method.startswith("log") else 0.0
        tolerance = case.tolerance(method, dtype)
        assert_close(results[method], expected, tolerance, floor, f"{case} {method}")
    if case.has("prob"):
        density = np.exp(oracles.log_mass(twin)(x))
        assert_close(
            results["prob"], density, case.tolerance("prob", dtype), 1e-300, f"{case} prob"
        )


def methods_agree_with_the_twin_in_float64(case: Case) -> None:
    """Densities and distribution functions, tails included."""
    _elementwise(case, "float64")


def methods_agree_with_the_twin_in_float32(case: Case) -> None:
    """Densities and distribution functions, tails included."""
    _elementwise(case, "float32")


def _quantiles(case: Case, dtype: str) -> None:
    case.needs("quantile")
    results, _, p = evaluated(case, dtype)
    twin = case.reference(dtype)
    expected = np.asarray(twin.ppf(p.astype("float64")), "float64")
    actual = results["quantile"]
    if case.make().discrete:
        # A jump of the distribution function may be as near to p as rounding.
        error = max(4 * np.finfo(dtype).eps, case.tolerance("quantile", dtype) / 16)
        assert np.all(twin.ppf(np.maximum(p - error, 0.0)) <= actual), case
        assert np.all(actual <= twin.ppf(np.minimum(p + error, 1.0))), case
        return
    # A quantile crosses zero where location and spread cancel: measured against both.
    spread = np.abs(twin.ppf(np.full_like(p, 0.75)) - twin.ppf(np.full_like(p, 0.25)))
    floor = spread + np.abs(twin.ppf(np.full_like(p, 0.5)))
    assert_close(actual, expected, case.tolerance("quantile", dtype), floor, f"{case} quantile")


def quantiles_agree_with_the_twin_in_float64(case: Case) -> None:
    """Quantiles, far tails included."""
    _quantiles(case, "float64")


def quantiles_agree_with_the_twin_in_float32(case: Case) -> None:
    """Quantiles, far tails included."""
    _quantiles(case, "float32")


def _moments(case: Case, dtype: str) -> None:
    results, _, _ = evaluated(case, dtype)
    twin = case.reference(dtype)
    for method, name in (*MOMENTS.items(), ("covariance", "cov")):
        if method not in results or not hasattr(twin, name):
            continue
        expected = np.asarray(getattr(twin, name)(), "float64")
        actual = results[method]
        assert actual.shape == expected.shape, (case, method, actual.shape, expected.shape)
        # SciPy says infinite where a mean does not exist; TimeDist says NaN.
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(np.isfinite(actual), finite, f"{case} {method}")
        expected = np.where(finite, expected, actual)
        floor: Any = 1.0 if method == "entropy" else 0.0
        if method == "mean" and "stddev" in results:
            floor = 1e-3 * np.where(np.isfinite(results["stddev"]), results["stddev"], 1.0)
        tolerance = max(case.tolerance(method, dtype), 1e-9 if dtype == "float64" else 1e-4)
        assert_close(actual, expected, tolerance, floor, f"{case} {method}")


def moments_and_entropy_agree_with_the_twin_in_float64(case: Case) -> None:
    """Mean, variance, standard deviation, covariance, entropy."""
    _moments(case, "float64")


def moments_and_entropy_agree_with_the_twin_in_float32(case: Case) -> None:
    """Mean, variance, standard deviation, covariance, entropy."""
    _moments(case, "float32")


def marginals_agree_with_the_twin(case: Case) -> None:
    """Components of a vector alone have the densities and quantiles of the twin's."""
    case.needs("marginals")
    d = case.make("float64")
    twin = case.twin(**case.rounded("float64"))
    if not d.event_shape or not hasattr(twin, "marginal"):
        raise NotApplicableError("for vectors whose marginals the twin knows")
    alone, p = twin.marginal(), batched(np.array([0.01, 0.3, 0.8]), d)
    p = np.broadcast_to(p.reshape(*p.shape, *(1,) * len(d.event_shape)), (*p.shape, *d.event_shape))
    with float64_scope():
        marginals = case.make("float64").marginals()
        assert marginals.batch_shape == (*d.batch_shape, *d.event_shape)
        assert marginals.event_shape == ()
        x = array(marginals.quantile(ops.convert_to_tensor(p.copy())))
        log_prob = marginals.log_prob(ops.convert_to_tensor(x))
    assert_close(x, alone.ppf(p), 1e-8, 1e-3, f"{case} quantile of marginals")
    assert_close(log_prob, oracles.log_mass(alone)(x), 1e-8, 1.0, f"{case} marginals")


def crps_agrees_with_the_quantile_form_of_the_twin(case: Case) -> None:
    """The score in both dtypes, from one tail to the other."""
    case.needs("crps")
    for dtype, rtol in (("float64", 1e-8), ("float32", 1e-3)):
        results, x, _ = evaluated(case, dtype)
        marginal = case.marginal(**case.rounded(dtype))
        if case.mixed and not hasattr(marginal, "crps"):
            raise NotApplicableError(
                f"the twin of {case} has no quadrature for masses beside a density"
            )
        x = x.astype("float64")
        usable = np.isfinite(x).reshape(len(x), -1).all(axis=1)
        y = x[usable]
        own = getattr(marginal, "crps", None)
        expected = own(y) if own else oracles.crps(marginal, y, y.shape[1:])
        actual = results["crps"][usable]
        tolerance = max(rtol, case.tolerances.get(("crps", dtype), (0.0,))[0])
        assert_close(actual, expected, tolerance, 0.0, f"{case} crps {dtype}")


def divergence_agrees_with_the_twin(case: Case) -> None:
    """From the row to the same row with its batch moved by one; and nothing from itself."""
    case.needs("kl_divergence")
    moved = {name: np.roll(value, 1, axis=0) for name, value in case.rounded("float64").items()}
    with float64_scope():
        d = case.make("float64")
        actual, own = array(d.kl_divergence(case.build(**moved))), array(d.kl_divergence(d))
    assert_close(own, np.zeros(own.shape), 1e-9, 1.0, f"{case} divergence from itself")
    twin, other = case.reference(), case.twin(**moved)
    if hasattr(twin, "kl"):
        expected = twin.kl(other)
    elif case.mixed:
        raise NotApplicableError(f"the twin of {case} has no divergence")
    else:
        if d.event_shape:
            twin, other = case.marginal(**case.rounded("float64")), case.marginal(**moved)
        shape = np.shape(twin.ppf(np.full((1,) * (1 + len(d.event_shape)), 0.5)))
        expected = oracles.kl(twin, other, shape)
        expected = expected.sum(axis=tuple(range(1, expected.ndim)))
    finite = np.isfinite(actual)
    assert np.all(actual >= -1e-12), (case, actual)
    tolerance = max(1e-5, case.tolerances.get(("kl_divergence", "float64"), (0.0,))[0])
    # An infinite divergence is a sum over panels without mass for the twin's quadrature.
    infinite = np.isinf(expected) | ~finite
    assert_close(
        np.where(infinite, 0.0, actual),
        np.where(infinite, 0.0, expected),
        tolerance,
        1.0,
        f"{case} kl",
    )
    for value in actual[~finite]:
        assert value == np.inf, (case, actual)


def the_mode_is_the_most_probable_value(case: Case) -> None:
    """No checked value has a higher density than the mode."""
    case.needs("mode")
    results, _, _ = evaluated(case, "float64")
    with float64_scope():
        at_mode = array(case.make("float64").log_prob(results["mode"]))
    assert np.all(at_mode >= results["log_prob"] - 1e-9), (case, at_mode)


def _panels(case: Case) -> np.ndarray:
    powers = np.logspace(-9, -1, 17)
    middle = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    return batched(np.concatenate([powers, middle, 1.0 - powers[::-1]]), case.make())


def the_quantile_inverts_the_cdf(case: Case) -> None:
    """F(Q(p)) = p, and densities integrate to the differences of F."""
    d32 = case.make()
    case.needs("quantile", "cdf")
    if d32.discrete or d32.event_shape or case.mixed:
        raise NotApplicableError("for densities of scalars")
    nodes, weights = np.polynomial.legendre.leggauss(20)
    rank = len(d32.batch_shape)
    p = _panels(case)
    with float64_scope():
        d = case.make("float64")
        ends = array(d.quantile(ops.convert_to_tensor(p)))
        low, high = ends[:-1, None], ends[1:, None]
        x = low + (high - low) * (1.0 + nodes.reshape(-1, *(1,) * rank)) / 2
        density = array(d.prob(ops.convert_to_tensor(x)))
        cdf = array(d.cdf(ops.convert_to_tensor(ends)))
        survival = array(d.survival_function(ops.convert_to_tensor(ends)))
    mass = np.sum(density * weights.reshape(-1, *(1,) * rank), axis=1) * ((high - low) / 2)[:, 0]
    # Near p = 1 only the survival function sees the digits that a quantile resolves.
    lower = p < 0.5
    tolerance = max(1e-9, case.tolerances.get(("round trip", "float64"), (0.0,))[0])
    assert_close(
        np.where(lower, cdf, survival), np.where(lower, p, 1.0 - p), tolerance, 0.0, f"{case} F(Q)"
    )
    tolerance = max(1e-5, case.tolerances.get(("mass", "float64"), (0.0,))[0])
    assert_close(mass, np.diff(p, axis=0), tolerance, 1e-2, f"{case} mass")


def masses_sum_to_the_cdf(case: Case) -> None:
    """F is the sum of the masses, and a quantile the smallest integer that reaches p."""
    d32 = case.make()
    case.needs("quantile", "cdf")
    if not d32.discrete or d32.event_shape or getattr(case.reference(), "not_integers", False):
        raise NotApplicableError("for masses of integers")
    with float64_scope():
        d = case.make("float64")
        p = batched(np.array([0.0, 1e-6, 0.1, 0.5, 0.9, 1.0 - 1e-9]), d)
        q = array(d.quantile(ops.convert_to_tensor(p))).astype("float64")
        at, before = (array(d.cdf(ops.convert_to_tensor(v))) for v in (q, q - 1.0))
        top, start = int(q[-1].max()), int(q[0].min())
        k = np.broadcast_to(
            np.arange(start, top + 1.0).reshape(-1, 1), (top + 1 - start, *d.batch_shape)
        )
        masses = array(d.prob(ops.convert_to_tensor(k.copy())))
    totals = np.cumsum(masses, axis=0)
    columns = np.arange(d.batch_shape[0])
    assert_close(totals[(q - start).astype(int), columns], at, 1e-8, 1e-3, f"{case} cdf")
    assert_close(totals[-1], np.ones(d.batch_shape), 1e-8, 1.0, f"{case} total")
    assert np.all(at >= p), case
    assert np.all((before < p) | (q == q[0])), case


def nothing_is_beyond_the_support(case: Case) -> None:
    """-inf, 0 and 1 outside and at infinity, NaN at NaN."""
    results, _, _ = evaluated(case, "float32")
    ends = {
        "cdf": (1, 0),
        "survival_function": (0, 1),
        "log_cdf": (0, -np.inf),
        "log_survival_function": (-np.inf, 0),
    }
    beyond = {m: results[f"{m} beyond"] for m in ("log_prob", *ends) if case.has(m)}
    assert np.all(beyond["log_prob"][:-3] == -np.inf), (case, beyond["log_prob"][:-3])
    for method, values in beyond.items():
        assert np.all(np.isnan(values[-3])), (case, method)
        for at_end, expected in zip(values[-2:], ends.get(method, ()), strict=False):
            assert_close(at_end, np.full(at_end.shape, expected), 1e-6, 1.0, f"{case} {method}")


def intervals_hold_their_level(case: Case) -> None:
    """`interval` and `median` are quantiles."""
    case.needs("quantile")
    d, results = case.make(), evaluated(case, "float32")[0]
    low, middle, high = results["quantile"][[_MIDDLE - 2, _MIDDLE, _MIDDLE + 2]]
    level = PROBABILITIES[_MIDDLE + 2] - PROBABILITIES[_MIDDLE - 2]
    lower, upper = d.interval(level)
    assert_close(lower, low, 1e-4, 1e-6, f"{case} lower end")
    assert_close(upper, high, 1e-4, 1e-6, f"{case} upper end")
    assert_close(d.median(), middle, 1e-5, 1e-6, f"{case} median")
    assert np.all(array(lower) <= array(upper)), case


def compiled_methods_agree_with_eager_ones(case: Case) -> None:
    """A compiled function gives the numbers an eager one gives, with parameters as arguments."""
    x = case.checked_points()
    names, arrays = zip(*case.arrays().items(), strict=True)

    def both(x: Any, *parameters: Any) -> tuple:
        d = case.build(**dict(zip(names, parameters, strict=True)))
        return d.log_prob(x), d

    convert = keras.ops.convert_to_tensor
    log_prob, d = compiled(both)(convert(x), *map(convert, arrays))
    assert_close(log_prob, array(case.make().log_prob(x)), 1e-4, 1.0, f"{case} compiled")
    assert d.batch_shape == case.make().batch_shape
    assert d.event_shape == case.make().event_shape


CONTRACTS = (
    methods_agree_with_the_twin_in_float64,
    methods_agree_with_the_twin_in_float32,
    quantiles_agree_with_the_twin_in_float64,
    quantiles_agree_with_the_twin_in_float32,
    moments_and_entropy_agree_with_the_twin_in_float64,
    moments_and_entropy_agree_with_the_twin_in_float32,
    marginals_agree_with_the_twin,
    crps_agrees_with_the_quantile_form_of_the_twin,
    divergence_agrees_with_the_twin,
    the_mode_is_the_most_probable_value,
    the_quantile_inverts_the_cdf,
    masses_sum_to_the_cdf,
    nothing_is_beyond_the_support,
    intervals_hold_their_level,
    compiled_methods_agree_with_eager_ones,
)
