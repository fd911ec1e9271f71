"""Strategies, parameters and messages that the rows of several groups share."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from timedist.testing import Case


def floats(low: float, high: float) -> st.SearchStrategy:
    low, high = float(np.float32(low)), float(np.float32(high))
    return st.floats(low, high, width=32, allow_subnormal=False)


def powers(low: float, high: float) -> st.SearchStrategy:
    return st.floats(low, high, width=32).map(lambda e: float(np.float32(10.0**e)))


def array(*values: Any) -> np.ndarray:
    return np.array(values, "float64")


def diagonal(x: np.ndarray) -> np.ndarray:
    return x[..., None] * np.eye(x.shape[-1])


def trils(shape: tuple) -> st.SearchStrategy:
    """Lower triangular matrices with diagonals from 1e-3 to 1e3."""

    def triangular(x: np.ndarray) -> np.ndarray:
        entries = 10.0 ** np.diagonal(x, axis1=-2, axis2=-1)
        return (np.tril(x, -1) + diagonal(entries)).astype("float32")

    return arrays("float32", shape, elements=floats(-3, 3), fill=floats(-3, 3)).map(triangular)


def shares(shape: tuple) -> st.SearchStrategy:
    """Shares that sum to one, zeros among them."""

    def normalised(x: np.ndarray) -> np.ndarray:
        shares = np.exp((x - x.max(axis=-1, keepdims=True)).astype("float64"))
        return (shares / shares.sum(axis=-1, keepdims=True)).astype("float32")

    return arrays("float32", shape, elements=floats(-120, 0), fill=floats(-120, 0)).map(normalised)


REAL = floats(-1e30, 1e30)
LOC = floats(-1e10, 1e10)
SCALE = powers(-10, 10)
COUNT = st.one_of(st.integers(0, 20), st.integers(0, 10**7)).map(float)

LOCATIONS = array(0.0, -3.0, 100.0, 0.5)
SCALES = array(1.0, 0.1, 50.0, 2.0)
BAD_SCALE = (
    ({"loc": 0.0, "scale": -1.0}, ("scale", "positive", "-1")),
    ({"loc": 0.0, "scale": [1.0, 0.0]}, ("scale", "positive", "0")),
    ({"loc": float("nan"), "scale": 1.0}, ("loc", "real", "nan")),
    ({"loc": 0.0, "scale": float("nan")}, ("scale", "positive", "nan")),
    (
        {"loc": np.zeros(2, "float32"), "scale": np.ones(3, "float32")},
        ("loc", "(2,)", "scale", "(3,)"),
    ),
)


def location_scale(family: Any, twin: Any, **more: Any) -> Case:
    return Case(
        family.__name__,
        family,
        {"loc": LOCATIONS, "scale": SCALES},
        lambda loc, scale: twin(loc=loc, scale=scale),
        wide={"loc": LOC, "scale": SCALE},
        values=REAL,
        invalid=BAD_SCALE,
        sampled=("loc", "scale"),
        **more,
    )


def either(name: str, other: str) -> tuple:
    """Messages for a family with two ways to say one parameter."""
    return (
        ({name: [0.5], other: [0.5]}, (name, other, "both")),
        ({}, (name, other, "neither")),
    )


# Rows of families of counts: nothing between the integers, and quantiles that are steps.
COUNTS = {"no_gradient": frozenset({"quantile"}), "outside": (-1.0, 0.5, 3.7, -np.inf, np.inf)}
