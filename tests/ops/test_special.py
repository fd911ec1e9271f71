"""Special functions against SciPy, tails by name, derivatives against closed forms."""

import numpy as np
import pytest
from helpers import (
    DTYPES,
    assert_close,
    dtype_scope,
    fast,
    gradient,
    to_numpy,
)
from scipy import special as reference
from scipy import stats

from timedist.ops import special

TINY = np.logspace(-30, 0, 31)
WIDE = np.concatenate([-np.logspace(4, -6, 21), [0.0], np.logspace(-6, 4, 21)])
POSITIVE = np.logspace(-6, 6, 61)


def log1mexp(x):
    return np.where(x > -0.7, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def stirling_error(x):
    """In extended precision, by the recurrence up from where the asymptotic series is exact."""
    x = np.asarray(x, np.longdouble)
    total, y = np.zeros_like(x), x.copy()
    for _ in range(40):
        total += (y + 0.5) * np.log1p(1 / y) - 1
        y += 1
    return np.asarray(total + 1 / (12 * y) - 1 / (360 * y**3) + 1 / (1260 * y**5), "float64")


def digamma_error(x):
    x = np.asarray(x, np.longdouble)
    total, y = np.zeros_like(x), x.copy()
    for _ in range(40):
        total += np.log1p(1 / y) - 1 / y + 0.5 / y - 0.5 / (y + 1)
        y += 1
    return np.asarray(total - 1 / (12 * y**2) + 1 / (120 * y**4) - 1 / (252 * y**6), "float64")


# name: (function, SciPy's, arguments, floor below which the error is measured absolutely)
UNARY = {
    "softplus": (special.softplus, lambda x: np.logaddexp(0.0, x), WIDE[np.abs(WIDE) < 80], 0.0),
    "inverse_softplus": (
        special.inverse_softplus,
        lambda y: y + np.log(-np.expm1(-y)),
        POSITIVE,
        1.0,
    ),
    "log_sigmoid": (special.log_sigmoid, reference.log_expit, WIDE[np.abs(WIDE) < 80], 0.0),
    "logit": (special.logit, reference.logit, np.linspace(0.001, 0.999, 40), 1.0),
    "log1mexp": (special.log1mexp, log1mexp, -np.logspace(-6, 1.5, 41), 0.0),
    "log1p_square": (special.log1p_square, lambda u: np.log1p(u * u), WIDE, 0.0),
    "stirling_error": (special.stirling_error, stirling_error, np.logspace(-2, 6, 61), 0.1),
    "digamma_error": (special.digamma_error, digamma_error, np.logspace(-2, 6, 61), 0.1),
    "lgamma": (special.lgamma, reference.gammaln, POSITIVE, 1.0),
    "digamma": (special.digamma, reference.digamma, POSITIVE, 1.0),
    "ndtr": (special.ndtr, reference.ndtr, np.linspace(-12, 8, 41), 0.0),
    "log_ndtr": (special.log_ndtr, reference.log_ndtr, np.linspace(-200, 5, 83), 0.0),
    "log_ndtr above": (special.log_ndtr, reference.log_ndtr, np.linspace(0, 12, 25), 1e-30),
    "ndtri": (
        special.ndtri,
        reference.ndtri,
        np.append(np.logspace(-30, -1, 30), [0.4, 0.6, 0.999]),
        0.0,
    ),
    "log_or_minus_inf": (special.log_or_minus_inf, np.log, POSITIVE, 1.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_values_against_scipy(name, dtype):
    function, exact, points, floor = UNARY[name]
    x = points.astype(dtype)
    with dtype_scope(dtype), np.errstate(over="ignore"):
        result = to_numpy(fast(function)(special.ops.convert_to_tensor(x)))
        assert result.dtype == dtype
        assert_close(
            result, exact(x.astype("float64")), {"float32": 2e-5, "float64": 2e-9}[dtype], floor
        )


@pytest.mark.parametrize("function", [special.softplus, special.log_sigmoid])
def test_the_slope_at_zero_is_one_half(function):
    """Where heads with zero weights start: backends give the absolute value the slope 0 there."""
    slope = gradient(function, np.array([0.0, -0.0], "float32"))[0]
    np.testing.assert_allclose(slope, 0.5)


@pytest.mark.parametrize("name", UNARY)
def test_slopes_against_finite_differences(name):
    function, _, points, _ = UNARY[name]
    points = points[(np.abs(points) > 1e-3) & (np.abs(points) < 50)]
    with dtype_scope("float64"):
        step = (
            1e-6 * np.minimum(np.abs(points), np.abs(1 - points))
            if name in ("logit", "ndtri")
            else 1e-6 * np.abs(points)
        )
        slope = gradient(function, points)[0]
        convert = special.ops.convert_to_tensor
        forward = fast(function)
        sides = [to_numpy(forward(convert(points + s * step))) for s in (1, -1)]
    exact = (sides[0] - sides[1]) / (2 * step)
    assert_close(slope, exact, 1e-5, floor=np.abs(sides[0]) / np.abs(points) * 1e-3)


def test_ends_give_the_limits_and_no_nan_gradient():
    infinite = np.array([-np.inf, np.inf], "float32")
    np.testing.assert_array_equal(
        to_numpy(special.softplus(special.ops.convert_to_tensor(infinite))), [0, np.inf]
    )
    values = special.ops.convert_to_tensor(np.array([0.0, -np.inf], "float32"))
    np.testing.assert_array_equal(to_numpy(special.log1mexp(values)), [-np.inf, 0.0])
    zeros = np.zeros(3, "float32")
    for function in (special.log_or_minus_inf, special.log1mexp):
        assert np.all(to_numpy(function(special.ops.convert_to_tensor(zeros))) == -np.inf)
        assert not np.any(np.isnan(gradient(function, zeros)[0]))


def test_logsumexp_of_nothing():
    x = np.array(
        [[-np.inf, -np.inf], [0.0, -np.inf], [1.0, 2.0], [np.nan, 0.0], [np.inf, 0.0]], "float32"
    )
    result = to_numpy(special.logsumexp(special.ops.convert_to_tensor(x)))
    np.testing.assert_allclose(
        result, [-np.inf, 0.0, np.logaddexp(1, 2), np.nan, np.inf], rtol=1e-6
    )
    slope = gradient(special.logsumexp, x[:3])[0]
    np.testing.assert_allclose(slope[0], 0.0)
    np.testing.assert_allclose(slope[2], reference.softmax(x[2]), rtol=1e-5)


def test_xlogy_at_zero():
    x, y = np.array([0.0, 0.0, 2.0], "float32"), np.array([0.0, 3.0, 3.0], "float32")
    convert = special.ops.convert_to_tensor
    np.testing.assert_allclose(
        to_numpy(special.xlogy(convert(x), convert(y))), reference.xlogy(x, y), rtol=1e-6
    )
    assert all(np.all(np.isfinite(g)) for g in gradient(special.xlogy, x, y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept_where_keras_would_change_it(dtype):
    with dtype_scope(dtype):
        x = special.ops.convert_to_tensor(np.array([1.5, -2.5, np.nan], dtype))
        results = {
            "maximum": special.maximum(x, 0.0),
            "minimum": special.minimum(x, 0.0),
            "floor": special.floor(x),
            "cumsum": special.cumsum(x),
            "where": special.where(x > 0, x, 0.0),
        }
        for name, result in results.items():
            assert to_numpy(result).dtype == dtype, name
        np.testing.assert_array_equal(to_numpy(results["maximum"]), [1.5, 0.0, np.nan])
        np.testing.assert_array_equal(to_numpy(results["minimum"]), [0.0, -2.5, np.nan])


@pytest.mark.parametrize("dtype", DTYPES)
def test_deviance_near_and_far_from_the_mean(dtype):
    mean = np.array([1e-3, 1.0, 50.0, 1e5])[:, None]
    x = np.concatenate([[0.0], np.logspace(-2, 2, 33)]) * mean
    with dtype_scope(dtype):
        x, mean = x.astype(dtype), np.broadcast_to(mean, x.shape).astype(dtype)
        convert = special.ops.convert_to_tensor
        result = to_numpy(special.deviance(convert(x), convert(mean)))
    wide = x.astype(np.longdouble), mean.astype(np.longdouble)
    ratio = (wide[0] - wide[1]) / wide[1]
    exact = wide[1] * ((1 + ratio) * np.log1p(np.maximum(ratio, -1 + 1e-30)) - ratio)
    assert_close(
        result,
        np.where(x == 0, mean, exact).astype("float64"),
        {"float32": 2e-5, "float64": 1e-11}[dtype],
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_poisson_and_binomial_terms_against_scipy(dtype):
    with dtype_scope(dtype):
        convert = special.ops.convert_to_tensor
        rate = np.array([0.1, 3.0, 200.0, 1e5])[:, None]
        k = np.floor(rate + np.linspace(-3, 6, 10) * np.sqrt(rate)).clip(0)
        r = np.broadcast_to(rate, k.shape).astype(dtype)
        result = to_numpy(
            special.log_poisson_pmf(convert(k.astype(dtype)), convert(r), convert(np.log(r)))
        )
        exact = stats.poisson(r.astype("float64")).logpmf(k.astype(dtype).astype("float64"))
        assert_close(result, exact, {"float32": 2e-5, "float64": 1e-9}[dtype], floor=1.0)
        x, y = np.meshgrid([1.0, 7.0, 300.0], [1.0, 40.0, 2000.0])
        p = (x / (x + y) * 0.9).astype(dtype)
        x, y = x.astype(dtype), y.astype(dtype)
        chances = special.Chances(*map(convert, (p, 1 - p, np.log(p), np.log1p(-p))))
        terms = special.log_binomial_term(convert(x), convert(y), chances)
        x, y, p = (v.astype("float64") for v in (x, y, p))
        exact = stats.binom(x + y, p).logpmf(x)
        assert_close(to_numpy(terms), exact, {"float32": 2e-5, "float64": 1e-9}[dtype], floor=1.0)


def test_python_numbers_are_not_rounded_to_float32():
    with dtype_scope("float64"):
        x = special.ops.convert_to_tensor(np.ones(1))
        assert to_numpy(special.where(x > 2.0, x, 0.1))[0] == 0.1
        assert to_numpy(special.maximum(x, 1e300))[0] == 1e300


@pytest.mark.parametrize("dtype", DTYPES)
def test_ratios_and_products_that_overflow_in_part(dtype):
    """asinh(x / e^s), e^s sinh(x) and log(1 + (x / s)^2), where a factor is out of range."""
    far = 0.75 * np.log(float(np.finfo(dtype).max))
    log_scale = np.array([0.0, 1.0, -far, -far]).astype(dtype)
    x = np.array([-0.5, 0.0, 3.0, -np.exp(far / 2)]).astype(dtype)
    exact = np.arcsinh(x[:2].astype("float64") / np.exp(log_scale[:2]))
    away = np.sign(x[2:]) * (np.log(np.abs(x[2:].astype("longdouble"))) - log_scale[2:] + np.log(2))
    exact = np.concatenate([exact, away.astype("float64")])
    with dtype_scope(dtype):
        convert = special.ops.convert_to_tensor
        u = special.asinh_ratio(convert(x), convert(log_scale))
        back = special.exp_sinh(convert(log_scale), u)
        squares = special.log1p_square(convert(x[2:]), special.ops.exp(convert(log_scale[2:])))
        slope = gradient(lambda v: special.asinh_ratio(v, convert(log_scale)), x)[0]
        ratios = special.expm1_ratio(convert(np.array([0.0, 1e-4, 2.0], dtype)))
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    assert_close(to_numpy(u), exact, tolerance)
    assert_close(to_numpy(back), x.astype("float64"), 30 * tolerance)
    assert_close(to_numpy(squares), 2 * (np.abs(exact[2:]) - np.log(2)), tolerance)
    assert_close(slope[1], np.exp(-1.0), tolerance)
    exact = [
        1.0,
        np.expm1(np.float64(np.array(1e-4, dtype))) / np.array(1e-4, dtype),
        np.expm1(2) / 2,
    ]
    assert_close(to_numpy(ratios), exact, tolerance)


def test_the_slope_of_log_ndtr_far_below():
    x = np.array([-3.0, -30.0, -1e3, -1e8, -5.6e9], "float32")
    slope = gradient(lambda t: special.log_ndtr(t), x)[0]
    # The inverse Mills ratio: -x - 1 / x + 2 / x^3 - ... for large -x.
    wide = x.astype("float64")
    exact = np.sqrt(2.0 / np.pi) / reference.erfcx(-wide / np.sqrt(2.0))
    assert_close(slope, exact, 1e-5)
