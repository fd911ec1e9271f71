"""Rows of the families on the positive half line."""

from typing import Any

import numpy as np
from scipy import stats
from twins import positive as twins

from cases.common import BAD_SCALE, LOC, REAL, SCALE, array, floats, powers
from timedist import distributions as td
from timedist.distributions import transforms
from timedist.testing import Case


def _bad(name: str, **others: Any) -> tuple:
    """Messages for a parameter that must be positive."""
    return tuple(
        ({name: value, **others}, (name, "positive", text))
        for value, text in ((-1.0, "-1"), ([1.0, 0.0], "0"), (float("nan"), "nan"))
    )


_NEAR_THE_LEAST = "a small p leaves the quantile few digits beyond the least value"
_NEAR_THE_GREATEST = "1 + xi z cancels near the greatest value"

CASES = (
    Case(
        "Exponential",
        td.Exponential,
        {"rate": array(1.0, 0.02, 30.0, 2.5)},
        lambda rate: stats.expon(scale=1.0 / rate),
        wide={"rate": SCALE},
        values=REAL,
        points=(0.0,),
        outside=(-1.0,),
        invalid=_bad("rate"),
        sampled=("rate",),
    ),
    Case(
        "HalfNormal",
        td.HalfNormal,
        {"scale": array(1.0, 0.02, 30.0, 2.5)},
        lambda scale: stats.halfnorm(scale=scale),
        wide={"scale": SCALE},
        values=REAL,
        points=(0.0,),
        outside=(-1.0,),
        invalid=_bad("scale"),
        sampled=("scale",),
    ),
    Case(
        "Weibull",
        td.Weibull,
        {"concentration": array(0.7, 1.0, 2.5, 8.0), "scale": array(1000.0, 0.1, 50.0, 2.0)},
        lambda concentration, scale: stats.weibull_min(concentration, scale=scale),
        wide={"concentration": powers(-2, 4), "scale": SCALE},
        values=REAL,
        outside=(-1.0,),
        invalid=(*_bad("concentration"), *_bad("scale", concentration=1.0)),
        sampled=("concentration", "scale"),
    ),
    Case(
        "LogNormal",
        td.LogNormal,
        {"loc": array(0.0, -3.0, 3.0, 1.0), "scale": array(1.0, 0.2, 1.5, 0.5)},
        lambda loc, scale: stats.lognorm(s=scale, scale=np.exp(loc)),
        wide={"loc": floats(-30, 30), "scale": powers(-3, 2)},
        values=REAL,
        outside=(-1.0, 0.0),
        invalid=BAD_SCALE,
        sampled=("loc", "scale"),
    ),
    Case(
        "LogLogistic",
        td.LogLogistic,
        {"loc": array(0.0, -3.0, 3.0, 10.0), "scale": array(0.4, 0.1, 0.7, 1.3)},
        twins.LogLogistic,
        wide={"loc": floats(-30, 30), "scale": powers(-3, 2)},
        values=REAL,
        outside=(-1.0,),
        invalid=BAD_SCALE,
        sampled=("loc", "scale"),
    ),
    Case(
        "Gamma",
        td.Gamma,
        {"concentration": array(0.9, 1.0, 3.5, 40.0), "rate": array(0.02, 1.0, 30.0, 2.5)},
        lambda concentration, rate: stats.gamma(concentration, scale=1.0 / rate),
        wide={"concentration": powers(-3, 8), "rate": SCALE},
        values=REAL,
        outside=(-1.0,),
        invalid=(*_bad("concentration"), *_bad("rate", concentration=1.0)),
        sampled=("concentration", "rate"),
    ),
    Case(
        "InverseGamma",
        td.InverseGamma,
        {"concentration": array(0.8, 1.5, 3.5, 40.0), "scale": array(1.0, 0.02, 30.0, 2.5)},
        lambda concentration, scale: stats.invgamma(concentration, scale=scale),
        wide={"concentration": powers(-3, 8), "scale": SCALE},
        values=REAL,
        outside=(-1.0, 0.0),
        invalid=(*_bad("concentration"), *_bad("scale", concentration=1.0)),
        sampled=("concentration", "scale"),
    ),
    Case(
        "Pareto",
        td.Pareto,
        {"concentration": array(0.8, 1.5, 3.5, 8.0), "scale": array(1.0, 0.02, 30.0, 2.5)},
        twins.Pareto,
        wide={"concentration": powers(-3, 4), "scale": SCALE},
        values=REAL,
        outside=(-1.0, 0.0, 0.01),
        invalid=(*_bad("concentration"), *_bad("scale", concentration=1.0)),
        sampled=("concentration", "scale"),
        tolerances={("round trip", "float64"): (2e-6, _NEAR_THE_LEAST)},
    ),
    Case(
        "GeneralizedPareto",
        td.GeneralizedPareto,
        {
            "loc": array(0.0, -3.0, 100.0, 0.5),
            "scale": array(1.0, 1.0, 50.0, 2.0),
            "concentration": array(0.0, 0.6, -0.4, 1e-5),
        },
        lambda loc, scale, concentration: stats.genpareto(concentration, loc=loc, scale=scale),
        wide={"loc": LOC, "scale": SCALE, "concentration": floats(-5, 5)},
        values=REAL,
        outside=(-4.0,),
        invalid=BAD_SCALE,
        sampled=("loc", "scale", "concentration"),
        tolerances={
            ("round trip", "float64"): (1e-6, _NEAR_THE_LEAST),
            ("survival_function", "float32"): (2e-4, _NEAR_THE_GREATEST),
            ("prob", "float32"): (2e-4, _NEAR_THE_GREATEST),
        },
    ),
    Case(
        "TransformedNormal",
        lambda loc, scale: td.TransformedDistribution(
            td.Normal(loc, scale), transforms.Chain([transforms.Softplus(), transforms.Affine(0.5)])
        ),
        {"loc": array(0.0, 2.0, -1.0, 5.0), "scale": array(1.0, 0.5, 0.7, 2.0)},
        twins.Softplus,
        wide={"loc": LOC, "scale": SCALE},
        values=REAL,
        outside=(-1.0, 0.0),
        invalid=(({"loc": 0.0, "scale": -1.0}, ("scale", "positive", "-1")),),
        missing=frozenset({"mode"}),
        sampled=("loc", "scale"),
    ),
    Case(
        "TransformedGamma",  # by a decreasing map
        lambda concentration, rate: td.TransformedDistribution(
            td.Gamma(concentration, rate), transforms.Reciprocal()
        ),
        {"concentration": array(2.5, 3.5, 8.0, 40.0), "rate": array(1.0, 0.2, 30.0, 2.5)},
        lambda concentration, rate: stats.invgamma(concentration, scale=rate),
        wide={"concentration": powers(-1, 4), "rate": powers(-5, 5)},
        values=REAL,
        outside=(-1.0, 0.0),
        missing=frozenset({"mode"}),
        sampled=("concentration", "rate"),
    ),
)
