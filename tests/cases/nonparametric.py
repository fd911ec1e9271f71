"""Rows of the families that are their values: points, samples, histograms, grids of quantiles."""

import numpy as np
from hypothesis.extra.numpy import arrays
from scipy import special
from twins import nonparametric

from cases.common import LOC, REAL, array, either, floats, shares
from timedist import distributions as td
from timedist.testing import Case

# The oracles' quadrature is exact where its panels end at the knots.
_LEVELS = tuple(np.linspace(0.055, 0.945, 121)[[6, 26, 55, 92, 114]])
_KNOTS = array(
    [-2.0, -1.0, 0.25, 0.5, 3.0],
    [0.0, 0.5, 2.0, 50.0, 100.0],
    [100.0, 101.0, 102.5, 103.0, 120.0],
    [-7.0, -6.5, -3.0, -2.0, -1.875],
)
_LOGITS = array(
    [0.0, 1.0, -2.0, 0.5], [3.0, 3.0, 3.1, 3.0], [-3.0, 0.0, 2.0, -1.0], [1.0, 0.2, 0.1, 1.0]
)
_SAMPLES = np.random.default_rng(5).normal(array([0.0], [-3.0], [100.0], [0.5]), 2.0, (4, 7))


def _in_order(shape: tuple) -> object:
    """Float32 vectors in order along the last axis, of all sizes, some neighbours equal."""
    return arrays("float32", shape, elements=LOC, fill=LOC).map(lambda x: np.sort(x, axis=-1))


def _rising(shape: tuple) -> object:
    """The same with no equal neighbours."""

    def spread(x: np.ndarray) -> np.ndarray:
        for i in range(1, x.shape[-1]):
            x[..., i] = np.maximum(x[..., i], np.nextafter(x[..., i - 1], np.float32(np.inf)))
        return x

    return _in_order(shape).map(spread)


_JUMPS = {("mass", "float64"): (0.5, "the contract's quadrature knows of no jumps")}
# Near an edge of size 100 a float64 holds few digits of the distance to it.
_ROUNDED = _JUMPS | {("round trip", "float64"): (1e-4, "distances from an edge are rounded")}
_BAD_EDGES = (
    ({"edges": [0.0, 1.0, 1.0], "logits": [0.0, 0.0]}, ("Binned", "edges", "increasing", "1")),
    ({"edges": [0.0, 1.0, np.inf], "logits": [0.0, 0.0]}, ("Binned", "edges", "inf")),
    ({"edges": [0.0, 1.0], "logits": [0.0, 0.0]}, ("Binned", "2 edges", "2 logits")),
)

CASES = (
    Case(
        "Deterministic",
        td.Deterministic,
        {"loc": array(0.0, -3.0, 2.5, 1e3)},
        nonparametric.Point,
        wide={"loc": REAL},
        values=REAL,
        invalid=(({"loc": float("nan")}, ("Deterministic", "loc", "nan")),),
        no_gradient=frozenset({"log_prob", "cdf"}),
        sampled=("loc",),
    ),
    Case(
        "Empirical",
        td.Empirical,
        {"samples": _SAMPLES},
        nonparametric.Sample,
        wide={"samples": REAL},
        values=REAL,
        outside=(-1e4, 0.123, 1e4),
        invalid=(
            ({"samples": [1.0, float("nan")]}, ("Empirical", "samples", "nan")),
            ({"samples": np.zeros((3, 0), "float32")}, ("Empirical", "samples", "(3, 0)")),
            ({"samples": 1.0}, ("Empirical", "samples", "axes")),
        ),
        # The checked values are samples, where the score has a kink.
        no_gradient=frozenset({"log_prob", "cdf", "crps"}),
        sampled=("samples",),
    ),
    Case(
        "QuantileGrid",
        lambda values: td.QuantileGrid(_LEVELS, values),
        {"values": _KNOTS},
        lambda values: nonparametric.Grid.of_quantiles(_LEVELS, values),
        wide={"values": _in_order},
        values=REAL,
        invalid=(
            ({"values": [3.0, 2.0, 4.0, 5.0, 6.0]}, ("values", "non-decreasing", "2")),
            ({"values": [1.0, 2.0, 4.0, 5.0, np.inf]}, ("values", "non-decreasing", "inf")),
            ({"values": [1.0, 2.0]}, ("QuantileGrid", "values", "5", "(2,)")),
        ),
        tolerances=_JUMPS,
        sampled=("values",),
    ),
    Case(
        "BinnedLogits",
        lambda edges, logits=None, probs=None: td.Binned(edges, logits, probs),
        {"edges": _KNOTS, "logits": _LOGITS},
        lambda edges, logits: nonparametric.Grid.of_bins(edges, special.softmax(logits, axis=-1)),
        wide={"edges": _rising, "logits": floats(-1e4, 1e4)},
        values=REAL,
        outside=(-1e3, 1e3),
        invalid=_BAD_EDGES,
        tolerances=_ROUNDED,
        sampled=("edges", "logits"),
    ),
    Case(
        "BinnedProbs",
        lambda probs=None, logits=None: td.Binned(_KNOTS[0].tolist(), logits, probs),
        {"probs": special.softmax(_LOGITS, axis=-1)},
        lambda probs: nonparametric.Grid.of_bins(
            np.tile(_KNOTS[0], (len(probs), 1)), probs / probs.sum(axis=-1, keepdims=True)
        ),
        wide={"probs": shares},
        values=floats(-10, 10),
        outside=(-1e3, 1e3),
        invalid=(
            *either("logits", "probs"),
            ({"probs": [0.5, 0.5, 0.5, 0.5]}, ("Binned", "probs", "summing to one")),
        ),
        tolerances=_ROUNDED,
        sampled=("probs",),
    ),
)
