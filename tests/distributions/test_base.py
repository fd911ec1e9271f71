"""Every family against SciPy: densities, distribution functions, quantiles, moments."""

from functools import cache

import keras
import numpy as np
import pytest
from cases import CASES, PROBABILITIES
from helpers import DTYPES, assert_close, dtype_scope, fast, float64_scope, to_numpy

ELEMENTWISE = {
    "log_prob": ("logpdf", "logpmf"),
    "cdf": ("cdf",),
    "survival_function": ("sf",),
    "log_cdf": ("logcdf",),
}
MOMENTS = {
    "mean": "mean",
    "variance": "var",
    "stddev": "std",
    "median": "median",
    "entropy": "entropy",
}

per_case = pytest.mark.parametrize("case", CASES, ids=str)
per_dtype = pytest.mark.parametrize("dtype", DTYPES)


def batched(p, d):
    """Probabilities with axes for the batch behind them."""
    return np.broadcast_to(p.reshape(-1, *(1,) * len(d.batch_shape)), (p.size, *d.batch_shape))


@cache
def evaluated(case, dtype):
    """All methods of a row in one compiled call, which is what takes the time.

    Returns `{method: array}`, with "method beyond" at the values outside the support, at NaN and at
    both infinities, and the values and probabilities used.
    """
    x = case.checked_points(dtype)
    number, shape = len(x), x.shape[1:]
    beyond = [np.full((1, *shape), v, dtype) for v in (*case.outside, np.nan, np.inf, -np.inf)]
    p = batched(PROBABILITIES, case.make()).astype(dtype)
    names, arrays = zip(*case.arrays(dtype).items(), strict=True)

    def all_methods(x, p, *parameters):
        d = case.build(**dict(zip(names, parameters, strict=True)))
        results = {name: getattr(d, name)(x) for name in ELEMENTWISE if name not in case.missing}
        moments = [name for name in MOMENTS if name not in case.missing and name != "median"]
        results |= {name: getattr(d, name)() for name in moments}
        if "mode" not in case.missing:
            results["mode"] = d.mode()
            results["log_prob at the mode"] = d.log_prob(d.mode())
        if "quantile" not in case.missing:
            results["quantile"] = d.quantile(p)
            results["median"] = results["quantile"][4]  # PROBABILITIES[4] is 0.5
        results["prob"] = d.prob(x)
        return results

    with dtype_scope(dtype):
        convert = keras.ops.convert_to_tensor
        tensors = [convert(a) for a in (np.concatenate([x, *beyond]), p, *arrays)]
        results = {name: to_numpy(r) for name, r in fast(all_methods)(*tensors).items()}
    for name in (*ELEMENTWISE, "prob"):
        if name in results:
            results[name], results[f"{name} beyond"] = np.split(results[name], [number])
    return results, x, p


def integers(case, dtype):
    return "int32" if case.name.startswith("Categorical") else dtype


@per_dtype
@pytest.mark.parametrize("method", [*ELEMENTWISE, "prob"])
@per_case
def test_elementwise_methods_agree_with_scipy(case, method, dtype):
    if method in case.missing:
        pytest.skip(f"{case} has no {method}")
    results, x, _ = evaluated(case, dtype)
    twin = case.reference(dtype)
    x = x.astype("float64")
    if method == "prob":
        expected = np.exp(
            next(getattr(twin, n) for n in ELEMENTWISE["log_prob"] if hasattr(twin, n))(x)
        )
    else:
        expected = next(getattr(twin, n) for n in ELEMENTWISE[method] if hasattr(twin, n))(x)
    assert results[method].dtype == dtype
    assert results[method].shape == expected.shape
    # A logarithm crosses zero: its error is measured against one. Probabilities are compared
    # relatively, in the tails too.
    floor = 1.0 if method.startswith("log") else 0.0
    assert_close(results[method], expected, case.tolerance(method, dtype), floor)


@per_dtype
@per_case
def test_quantile_agrees_with_scipy(case, dtype):
    if "quantile" in case.missing:
        pytest.skip(f"{case} has no quantile")
    results, _, p = evaluated(case, dtype)
    twin = case.reference(dtype)
    expected = twin.ppf(p.astype("float64"))
    assert results["quantile"].dtype == integers(case, dtype)
    if case.make().discrete:
        # A jump of the distribution function may be as near to p as rounding.
        error = 4 * np.finfo(dtype).eps
        assert np.all(twin.ppf(np.maximum(p - error, 0.0)) <= results["quantile"])
        assert np.all(results["quantile"] <= twin.ppf(np.minimum(p + error, 1.0)))
        return
    # A quantile crosses zero where location and spread cancel: measured against both.
    spread = np.abs(twin.ppf(np.full_like(p, 0.75)) - twin.ppf(np.full_like(p, 0.25)))
    floor = spread + np.abs(twin.median())
    assert_close(results["quantile"], expected, case.tolerance("quantile", dtype), floor)


@per_dtype
@pytest.mark.parametrize("method", MOMENTS)
@per_case
def test_moments_agree_with_scipy(case, method, dtype):
    if method in case.missing:
        pytest.skip(f"{case} has no {method}")
    results, _, _ = evaluated(case, dtype)
    twin = case.reference(dtype)
    expected = np.asarray(getattr(twin, MOMENTS[method])(), "float64")
    assert results[method].shape == expected.shape
    assert results[method].dtype == (integers(case, dtype) if method == "median" else dtype)
    # SciPy says infinite where a mean does not exist; TimeDist says NaN.
    expected = np.where(np.isfinite(expected), expected, results[method])
    finite = np.isfinite(results[method])
    np.testing.assert_array_equal(finite, np.isfinite(np.asarray(getattr(twin, MOMENTS[method])())))
    floor = 1.0 if method == "entropy" else 1e-6 * results["stddev"] if method == "mean" else 0.0
    assert_close(results[method], expected, case.tolerance(method, dtype), floor)


@per_case
def test_the_mode_is_the_most_probable_value(case):
    if "mode" in case.missing:
        pytest.skip(f"{case} has no mode")
    results, _, _ = evaluated(case, "float64")
    assert np.all(results["log_prob at the mode"] >= results["log_prob"] - 1e-9)


def discrete(case):
    return bool(case.make().discrete)


def scalar(case):
    return case.make().event_shape == ()


CONTINUOUS_SCALAR = [c for c in CASES if not discrete(c) and scalar(c)]
DISCRETE_SCALAR = [c for c in CASES if discrete(c) and c.name != "Deterministic"]


@pytest.mark.parametrize("case", CONTINUOUS_SCALAR, ids=str)
def test_quantile_inverts_the_cdf_and_the_density_integrates_to_it(case):
    nodes, weights = np.polynomial.legendre.leggauss(40)
    powers = np.logspace(-9, -1, 17)
    p = np.concatenate([powers, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 1.0 - powers[::-1]])
    names, arrays = zip(*case.arrays("float64").items(), strict=True)

    def panels(p, *parameters):
        d = case.build(**dict(zip(names, parameters, strict=True)))
        ends = d.quantile(p)
        low, high = ends[:-1, None], ends[1:, None]
        position = (1.0 + nodes.reshape(-1, *(1,) * len(d.batch_shape))) / 2
        x = low + (high - low) * keras.ops.convert_to_tensor(position)
        mass = (
            keras.ops.sum(
                d.prob(x)
                * keras.ops.convert_to_tensor(weights.reshape(-1, *(1,) * len(d.batch_shape))),
                axis=1,
            )
            * ((high - low) / 2)[:, 0]
        )
        return d.cdf(ends), d.survival_function(ends), mass

    with float64_scope():
        p = batched(p, case.make())
        results = fast(panels)(*(keras.ops.convert_to_tensor(a) for a in (p, *arrays)))
        cdf, survival, mass = (to_numpy(r) for r in results)
    # Near p = 1 only the survival function sees the digits that a quantile resolves.
    assert_close(np.where(p < 0.5, cdf, survival), np.where(p < 0.5, p, 1.0 - p), 1e-9)
    assert_close(mass, np.diff(p, axis=0), 1e-6, floor=1e-6)
    assert_close(mass.sum(axis=0), np.ones(mass.shape[1:]), 1e-8)


@pytest.mark.parametrize("case", DISCRETE_SCALAR, ids=str)
def test_masses_sum_to_the_cdf_and_quantile_is_the_smallest_integer(case):
    with float64_scope():
        d = case.make("float64")
        p = batched(np.array([0.0, 1e-6, 0.1, 0.5, 0.9, 1.0 - 1e-9]), d)

        def around(p):
            q = keras.ops.cast(d.quantile(p), "float64")
            return q, *keras.ops.unstack(d.cdf(keras.ops.stack([q, q - 1.0])), 2)

        q, at, before = (to_numpy(r) for r in fast(around)(keras.ops.convert_to_tensor(p)))
        top = int(q[-1].max())
        k = np.broadcast_to(np.arange(top + 1.0).reshape(-1, 1), (top + 1, *d.batch_shape))
        masses = to_numpy(fast(d.prob)(keras.ops.convert_to_tensor(k)))
    totals = np.cumsum(masses, axis=0)
    assert_close(totals[q.astype(int), np.arange(d.batch_shape[0])], at, 1e-9, floor=1e-3)
    assert_close(totals[-1], np.ones(d.batch_shape), 1e-8)
    assert np.all(at >= p)
    assert np.all((before < p) | (q == 0))


@per_case
def test_beyond_the_support_and_at_nan(case):
    results, _, _ = evaluated(case, "float32")
    ends = {"cdf": (1, 0), "survival_function": (0, 1), "log_cdf": (0, -np.inf)}
    beyond = {m: results[f"{m} beyond"] for m in ("log_prob", *ends) if m not in case.missing}
    assert np.all(beyond["log_prob"][:-3] == -np.inf)
    for method, values in beyond.items():
        assert np.all(np.isnan(values[-3])), method
        for at_end, expected in zip(values[-2:], ends.get(method, ()), strict=False):
            assert_close(at_end, np.full(at_end.shape, expected), 1e-6, floor=1.0, err_msg=method)


@per_case
def test_a_probability_outside_the_unit_interval_is_refused(case):
    if "quantile" in case.missing:
        pytest.skip(f"{case} has no quantile")
    d = case.make()
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"quantile.*\[0, 1\]"):
            d.quantile(p)
    for level in (0.0, 1.0, -0.5):
        with pytest.raises(ValueError, match="level"):
            d.interval(level)


def test_python_numbers_keep_their_digits_in_float64():
    with float64_scope():
        d = CASES[0].make("float64")
        for method in (d.quantile, d.prob):
            exact = to_numpy(method(np.array(0.1, "float64")))
            np.testing.assert_array_equal(to_numpy(method(0.1)), exact)


@pytest.mark.parametrize("case", (CASES[0], CASES[5], CASES[-4]), ids=str)
def test_interval_holds_its_level_and_the_median_is_the_middle(case):
    d = case.make()
    np.testing.assert_array_equal(to_numpy(d.median()), to_numpy(d.quantile(0.5)))
    both = fast(lambda: (d.interval(0.8), (d.quantile(0.1), d.quantile(0.9))))
    (lower, upper), (low, high) = both()
    np.testing.assert_allclose(to_numpy(lower), to_numpy(low), rtol=1e-4)
    np.testing.assert_allclose(to_numpy(upper), to_numpy(high), rtol=1e-4)
    assert np.all(to_numpy(lower) <= to_numpy(upper))


@per_case
def test_missing_methods_say_so(case):
    d = case.make()
    for method in sorted(case.missing):
        needed = {"median": "quantile", "stddev": "variance"}.get(method, method)
        with pytest.raises(NotImplementedError) as error:
            getattr(d, method)() if method != "quantile" else d.quantile(0.5)
        assert d._family in str(error.value)
        assert needed in str(error.value)


@per_case
def test_a_value_of_the_wrong_shape_is_refused_with_names_and_shapes(case):
    d = case.make()
    wrong = (7,) * (len(d.batch_shape) + len(d.event_shape))
    x = np.zeros(wrong, "float32")
    for method in ("log_prob", "cdf", "survival_function", "log_cdf"):
        with pytest.raises(ValueError) as error:
            getattr(d, method)(x)
        for part in (d._family, str(wrong), str((*d.batch_shape, *d.event_shape))):
            assert part in str(error.value)
