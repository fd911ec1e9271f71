"""Rows of the families on the real line and on the circle."""

from scipy import stats
from twins import real_line as twins

from cases.common import (
    BAD_SCALE,
    LOC,
    LOCATIONS,
    REAL,
    SCALE,
    SCALES,
    array,
    floats,
    location_scale,
    powers,
)
from timedist import distributions as td
from timedist.testing import Case

CASES = (
    location_scale(td.Normal, stats.norm),
    location_scale(td.Laplace, stats.laplace),
    location_scale(td.Logistic, stats.logistic),
    location_scale(td.Cauchy, stats.cauchy),
    location_scale(td.Gumbel, stats.gumbel_r),
    Case(
        "StudentT",
        td.StudentT,
        {
            "df": array(0.7, 2.0, 4.0, 60.0),
            "loc": array(0.0, -3.0, 100.0, 0.5),
            "scale": array(1.0, 0.1, 50.0, 2.0),
        },
        lambda df, loc, scale: stats.t(df, loc=loc, scale=scale),
        wide={"df": powers(-2, 6), "loc": LOC, "scale": SCALE},
        values=REAL,
        invalid=(
            ({"df": 0.0}, ("StudentT", "df", "positive", "0")),
            ({"df": 2.0, "scale": -1.0}, ("StudentT", "scale", "positive", "-1")),
            ({"df": [1.0, 2.0], "loc": [0.0, 0.0, 0.0]}, ("df", "(2,)", "loc", "(3,)")),
        ),
        sampled=("df", "loc", "scale"),
    ),
    Case(
        "AsymmetricLaplace",
        td.AsymmetricLaplace,
        {"loc": LOCATIONS, "scale": SCALES, "skewness": array(1.0, 0.4, 2.5, 0.05)},
        lambda loc, scale, skewness: stats.laplace_asymmetric(skewness, loc=loc, scale=scale),
        wide={"loc": LOC, "scale": SCALE, "skewness": powers(-4, 4)},
        values=REAL,
        invalid=(
            *BAD_SCALE,
            ({"skewness": 0.0}, ("AsymmetricLaplace", "skewness", "positive", "0")),
        ),
        tolerances={("mass", "float64"): (2e-4, "the density has a kink inside a panel")},
        sampled=("loc", "scale", "skewness"),
    ),
    Case(
        "SinhArcsinh",
        td.SinhArcsinh,
        {
            "loc": LOCATIONS,
            "scale": SCALES,
            "skewness": array(0.0, 0.5, -1.0, 0.3),
            "tailweight": array(1.0, 1.5, 0.7, 2.0),
        },
        twins.SinhArcsinh,
        wide={"loc": LOC, "scale": SCALE, "skewness": floats(-50, 50), "tailweight": powers(-2, 2)},
        values=REAL,
        invalid=(
            *BAD_SCALE,
            ({"tailweight": -1.0}, ("SinhArcsinh", "tailweight", "positive", "-1")),
        ),
        sampled=("loc", "scale", "skewness", "tailweight"),
    ),
    Case(
        "JohnsonSU",
        td.JohnsonSU,
        {
            "skewness": array(0.0, 0.5, -2.0, 0.3),
            "tailweight": array(1.0, 1.5, 3.0, 0.9),
            "loc": LOCATIONS,
            "scale": SCALES,
        },
        lambda skewness, tailweight, loc, scale: stats.johnsonsu(
            skewness, tailweight, loc=loc, scale=scale
        ),
        wide={
            "skewness": floats(-100, 100),
            "tailweight": powers(-2, 2),
            "loc": LOC,
            "scale": SCALE,
        },
        values=REAL,
        invalid=(
            (
                {"skewness": 0.0, "tailweight": 0.0},
                ("JohnsonSU", "tailweight", "positive", "0"),
            ),
        ),
        sampled=("skewness", "tailweight", "loc", "scale"),
    ),
    Case(
        "VonMises",
        td.VonMises,
        {"loc": array(0.0, 0.5, -3.0, 1.5), "concentration": array(0.2, 2.0, 15.0, 400.0)},
        twins.VonMises,
        wide={"loc": LOC, "concentration": powers(-10, 10)},
        values=REAL,
        invalid=(
            (
                {"loc": 0.0, "concentration": -1.0},
                ("VonMises", "concentration", "positive", "-1"),
            ),
        ),
        tolerances={("round trip", "float64"): (2e-7, "the spacing of numbers next to pi")},
        sampled=("loc", "concentration"),
    ),
)
