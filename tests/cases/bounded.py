"""Rows of the families on a bounded interval, and of what is cut off or clipped at two ends."""

import numpy as np
from hypothesis import strategies as st
from scipy import stats
from twins import bounded as twins

from cases.common import COUNTS, LOC, SCALE, array, floats, powers
from timedist import distributions as td
from timedist.testing import Case

_SHARE = floats(0.0, 1.0)
_LOW = st.one_of(st.just(-np.inf), floats(-1e10, -1.0))
_HIGH = st.one_of(st.just(np.inf), floats(1.0, 1e10))
# Doubles are this sparse near an end that is not zero.
_NEAR_END = {("round trip", "float64"): (1e-6, "the spacing of doubles near an end")}

_DIFFERENCE = "a difference of distribution functions of the base"
_DIFFERENCES = {
    ("round trip", "float64"): (1e-4, _DIFFERENCE),
    **{
        (method, "float32"): (2e-3, _DIFFERENCE)
        for method in ("cdf", "survival_function", "log_cdf", "log_survival_function", "quantile")
    },
}


def _bad_concentrations(name: str) -> tuple:
    return (
        (
            {"concentration1": 0.0, "concentration0": 1.0},
            (name, "concentration1", "positive", "0"),
        ),
        (
            {"concentration1": 1.0, "concentration0": [1.0, -2.0]},
            (name, "concentration0", "positive", "-2"),
        ),
        (
            {"concentration1": np.ones(2, "float32"), "concentration0": np.ones(3, "float32")},
            ("concentration1", "(2,)", "concentration0", "(3,)"),
        ),
    )


def _bad_ends(name: str) -> tuple:
    ends = {"loc": 0.0, "scale": 1.0}
    return (
        ({**ends, "low": 2.0, "high": 1.0}, (name, "low", "below high", "2", "1")),
        ({**ends, "low": float("nan"), "high": 1.0}, ("low", "real", "nan")),
        (
            {**ends, "low": np.zeros(2, "float32"), "high": np.ones(3, "float32")},
            ("low", "(2,)", "high", "(3,)"),
        ),
    )


CASES = (
    Case(
        "Uniform",
        td.Uniform,
        {"low": array(0.0, -3.0, 5.0, -1.0), "high": array(1.0, 4.0, 9.0, 1e4)},
        lambda low, high: twins.Uniform(low, high),
        wide={"low": floats(-1e30, -1e-30), "high": floats(1e-30, 1e30)},
        values=floats(-1e30, 1e30),
        outside=(-1e5, 1e5),
        invalid=(
            ({"low": 1.0, "high": 1.0}, ("Uniform", "low", "below high", "1")),
            ({"low": [0.0, 2.0], "high": 1.0}, ("Uniform", "low 2", "high 1")),
            ({"low": 0.0, "high": np.inf}, ("Uniform", "finite", "inf")),
            (
                {"low": np.zeros(2, "float32"), "high": np.ones(3, "float32")},
                ("low", "(2,)", "high", "(3,)"),
            ),
        ),
        sampled=("low", "high"),
        tolerances=_NEAR_END,
    ),
    Case(
        "Beta",
        td.Beta,
        {
            "concentration1": array(1.5, 3.0, 1.0, 60.0),
            "concentration0": array(2.5, 2.0, 5.0, 20.0),
        },
        lambda concentration1, concentration0: stats.beta(concentration1, concentration0),
        wide={"concentration1": powers(-3, 6), "concentration0": powers(-3, 6)},
        values=_SHARE,
        outside=(-1.0, 2.0),
        invalid=_bad_concentrations("Beta"),
        sampled=("concentration1", "concentration0"),
    ),
    Case(
        "Kumaraswamy",
        td.Kumaraswamy,
        {
            "concentration1": array(1.5, 3.0, 1.0, 10.0),
            "concentration0": array(2.5, 2.0, 5.0, 6.0),
        },
        lambda concentration1, concentration0: twins.Kumaraswamy(concentration1, concentration0),
        wide={"concentration1": powers(-3, 6), "concentration0": powers(-3, 6)},
        values=_SHARE,
        outside=(-1.0, 2.0),
        invalid=_bad_concentrations("Kumaraswamy"),
        sampled=("concentration1", "concentration0"),
    ),
    Case(
        "LogitNormal",
        td.LogitNormal,
        {"loc": array(0.0, -2.0, 1.0, 3.0), "scale": array(1.0, 0.2, 0.8, 0.5)},
        lambda loc, scale: twins.LogitNormal(loc, scale),
        wide={"loc": floats(-100, 100), "scale": powers(-5, 5)},
        values=_SHARE,
        outside=(-1.0, 0.0, 1.0, 2.0),
        invalid=(({"loc": 0.0, "scale": 0.0}, ("LogitNormal", "scale", "positive", "0")),),
        missing=frozenset({"mode"}),
        sampled=("loc", "scale"),
    ),
    Case(
        "TruncatedNormal",
        td.TruncatedNormal,
        {
            "loc": array(0.0, 1.0, -2.0, 5.0),
            "scale": array(1.0, 2.0, 0.5, 3.0),
            "low": array(-40.0, 0.0, 0.0, -1.0),  # finite, for finite differences
            "high": array(1.0, 90.0, 3.0, 2.0),
        },
        twins.TruncatedNormal,
        wide={"loc": LOC, "scale": SCALE, "low": _LOW, "high": _HIGH},
        values=floats(-1e30, 1e30),
        outside=(-1e5, 1e5),
        invalid=(
            ({"loc": 0.0, "scale": -1.0, "low": 0.0}, ("scale", "positive", "-1")),
            *_bad_ends("TruncatedNormal"),
        ),
        sampled=("loc", "scale", "low", "high"),
        tolerances=_NEAR_END,
    ),
    Case(
        "TruncatedLogistic",
        lambda loc, scale, low, high: td.Truncated(td.Logistic(loc, scale), low, high),
        {
            "loc": array(0.0, 1.0, -20.0, 5.0),
            "scale": array(1.0, 2.0, 0.5, 3.0),
            "low": array(-60.0, 0.0, 0.0, -1.0),  # finite, for finite differences
            "high": array(1.0, 150.0, 3.0, 2.0),
        },
        lambda loc, scale, low, high: twins.Between(stats.logistic(loc, scale), low, high),
        wide={"loc": floats(-1e3, 1e3), "scale": powers(-10, 2), "low": _LOW, "high": _HIGH},
        values=floats(-1e10, 1e10),
        outside=(-1e5, 1e5),
        invalid=(*_bad_ends("Truncated(Logistic)"),),
        missing=frozenset({"mode"}),
        sampled=("loc", "scale", "low", "high"),
        tolerances=_DIFFERENCES,
    ),
    Case(
        "TruncatedPoisson",
        lambda rate, low, high: td.Truncated(td.Poisson(rate), low, high),
        {
            "rate": array(0.5, 7.5, 3.0, 5.0),
            "low": array(0.5, -0.5, 1.5, 29.5),
            "high": array(40.5, 9.5, 6.5, 39.5),
        },
        lambda rate, low, high: twins.IntegersBetween(stats.poisson(rate), low, high),
        wide={"rate": powers(-2, 2), "low": floats(-100.0, 2.0), "high": floats(2.0, 1e6)},
        values=st.integers(0, 1000).map(float),
        invalid=(
            ({"rate": 1.0, "low": 0.2, "high": 0.8}, ("Truncated(Poisson)", "no mass", "0.2")),
            ({"rate": 1.0, "low": 3.0, "high": 2.0}, ("low", "at most high", "3", "2")),
        ),
        missing=frozenset({"mode"}),
        **COUNTS,
    ),
    Case(
        "CensoredNormal",
        lambda loc, scale, low, high: td.Censored(td.Normal(loc, scale), low, high),
        {
            "loc": array(0.0, 1.0, -2.0, 5.0),
            "scale": array(1.0, 2.0, 0.5, 3.0),
            "low": array(-40.0, 0.0, -2.5, -1.0),  # finite, for finite differences
            "high": array(1.0, 90.0, 3.0, 2.0),
        },
        lambda loc, scale, low, high: twins.Clipped(stats.norm(loc, scale), low, high),
        wide={"loc": LOC, "scale": SCALE, "low": _LOW, "high": _HIGH},
        values=floats(-1e30, 1e30),
        invalid=_bad_ends("Censored(Normal)"),
        missing=frozenset({"mode"}),
        sampled=("loc", "scale", "low", "high"),
        mixed=True,
    ),
    Case(
        "CensoredPoisson",
        lambda rate, low=1.0, high=9.0: td.Censored(td.Poisson(rate), low, high),
        {"rate": array(0.5, 7.5, 3.0, 12.0)},
        lambda rate: twins.IntegersBetween(stats.poisson(rate), 1.0, 9.0, clipped=True),
        wide={"rate": powers(-2, 2)},
        values=st.integers(0, 1000).map(float),
        invalid=(
            ({"rate": 1.0, "low": 0.5}, ("Censored(Poisson)", "low", "whole number", "0.5")),
            ({"rate": 1.0, "low": 2.0, "high": 2.0}, ("low", "below high", "2")),
        ),
        missing=frozenset({"mode"}),
        no_gradient=frozenset({"quantile"}),
    ),
)
