"""The table of families: one row gives a family every contract test.

A row says how to build the distribution from named float64 arrays, how to build its SciPy twin from
the same arrays, and whatever is special about it, with the reason beside the exception.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import twins
from hypothesis import strategies as st
from scipy import special, stats

from timedist import distributions as td

PROBABILITIES = np.array([1e-8, 1e-3, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999, 1.0 - 1e-7])


@dataclass(frozen=True, eq=False)
class Case:
    """One row.

    Attributes:
        name: how the tests call it.
        build: makes the distribution from the parameters, given by name.
        parameters: float64 arrays, each of shape `batch_shape + its own trailing axes`.
        twin: makes the SciPy distribution from the same float64 arrays.
        wide: hypothesis strategies of valid float32 parameters, by name: the widest sensible range.
        values: strategy of values for `wide` parameters.
        points: values to check besides the quantiles at `PROBABILITIES`.
        outside: values of probability zero (log density -inf).
        invalid: `(keyword arguments of build, text the ValueError must contain)`.
        missing: public methods the family cannot give.
        tolerances: `(method, dtype) -> (relative tolerance, reason)`, where the common one fails.
        no_gradient: methods without a useful derivative: not differentiable or piecewise constant.
        sampled: parameters to which samples have gradients.
    """

    name: str
    build: Callable[..., td.Distribution]
    parameters: Mapping[str, np.ndarray]
    twin: Callable[..., Any]
    wide: Mapping[str, st.SearchStrategy]
    values: st.SearchStrategy
    points: tuple = ()
    outside: tuple = ()
    invalid: tuple = ()
    missing: frozenset = frozenset()
    tolerances: Mapping[tuple, tuple] = field(default_factory=dict)
    no_gradient: frozenset = frozenset()
    sampled: tuple = ()

    def __str__(self) -> str:
        return self.name

    def arrays(self, dtype: str = "float32") -> dict[str, np.ndarray]:
        """The parameters, rounded to `dtype`."""
        return {name: np.asarray(value).astype(dtype) for name, value in self.parameters.items()}

    def make(self, dtype: str = "float32") -> td.Distribution:
        """The distribution of this row."""
        return self.build(**self.arrays(dtype))

    def reference(self, dtype: str = "float64") -> Any:
        """The SciPy twin of `make(dtype)`: of the rounded parameters, in float64."""
        return self.twin(**{n: v.astype("float64") for n, v in self.arrays(dtype).items()})

    def marginal(self, **parameters: np.ndarray) -> Any:
        """The scalar twin of every component of the event."""
        twin = self.twin(**parameters)
        return twin.marginal() if len(self.make().event_shape) else twin

    def checked_points(self, dtype: str = "float32") -> np.ndarray:
        """Values `(number, *batch_shape, *event_shape)` from one tail to the other, in `dtype`."""
        marginal = self.marginal(**{n: v.astype("float64") for n, v in self.arrays().items()})
        d = self.make()
        shape = (*d.batch_shape, *d.event_shape)
        p = np.broadcast_to(
            PROBABILITIES.reshape(-1, *(1,) * len(shape)), (PROBABILITIES.size, *shape)
        )
        if d.event_shape:  # another probability for every component
            p = np.stack([np.roll(p[..., i], 2 * i, axis=0) for i in range(shape[-1])], axis=-1)
        more = [np.full((1, *shape), point) for point in self.points]
        return np.concatenate([marginal.ppf(p), *more]).astype(dtype)

    def tolerance(self, method: str, dtype: str) -> float:
        """The relative tolerance for `method`."""
        common = {"float32": 2e-5, "float64": 1e-10}[dtype]
        return self.tolerances.get((method, dtype), (common, ""))[0]


def _floats(low: float, high: float) -> st.SearchStrategy:
    low, high = float(np.float32(low)), float(np.float32(high))
    return st.floats(low, high, width=32, allow_subnormal=False)


def _powers(low: float, high: float) -> st.SearchStrategy:
    return st.floats(low, high, width=32).map(lambda e: float(np.float32(10.0**e)))


def _array(*values: Any) -> np.ndarray:
    return np.array(values, "float64")


REAL = _floats(-1e30, 1e30)
LOC = _floats(-1e10, 1e10)
SCALE = _powers(-10, 10)
COUNT = st.one_of(st.integers(0, 20), st.integers(0, 10**7)).map(float)

_LOC = _array(0.0, -3.0, 100.0, 0.5)
_SCALE = _array(1.0, 0.1, 50.0, 2.0)
_BAD_SCALE = (
    ({"loc": 0.0, "scale": -1.0}, ("scale", "positive", "-1")),
    ({"loc": 0.0, "scale": [1.0, 0.0]}, ("scale", "positive", "0")),
    ({"loc": float("nan"), "scale": 1.0}, ("loc", "real", "nan")),
    ({"loc": 0.0, "scale": float("nan")}, ("scale", "positive", "nan")),
    (
        {"loc": np.zeros(2, "float32"), "scale": np.ones(3, "float32")},
        ("loc", "(2,)", "scale", "(3,)"),
    ),
)


def _location_scale(family: Any, twin: Any, **more: Any) -> Case:
    return Case(
        family.__name__,
        family,
        {"loc": _LOC, "scale": _SCALE},
        lambda loc, scale: twin(loc=loc, scale=scale),
        wide={"loc": LOC, "scale": SCALE},
        values=REAL,
        invalid=_BAD_SCALE,
        sampled=("loc", "scale"),
        **more,
    )


def _either(name: str, other: str) -> tuple:
    """Messages for a family with two ways to say one parameter."""
    return (
        ({name: [0.5], other: [0.5]}, (name, other, "both")),
        ({}, (name, other, "neither")),
    )


CONTINUOUS = (
    _location_scale(td.Normal, stats.norm),
    _location_scale(td.Laplace, stats.laplace),
    _location_scale(td.Logistic, stats.logistic),
    Case(
        "StudentT",
        td.StudentT,
        {
            "df": _array(0.7, 2.0, 4.0, 1e4),
            "loc": _array(0.0, -3.0, 100.0, 0.5),
            "scale": _array(1.0, 0.1, 50.0, 2.0),
        },
        lambda df, loc, scale: stats.t(df, loc=loc, scale=scale),
        wide={"df": _powers(-2, 6), "loc": LOC, "scale": SCALE},
        values=REAL,
        invalid=(
            ({"df": 0.0}, ("StudentT", "df", "positive", "0")),
            ({"df": 2.0, "scale": -1.0}, ("StudentT", "scale", "positive", "-1")),
            ({"df": [1.0, 2.0], "loc": [0.0, 0.0, 0.0]}, ("df", "(2,)", "loc", "(3,)")),
        ),
        sampled=("df", "loc", "scale"),
    ),
    Case(
        "LogNormal",
        td.LogNormal,
        {"loc": _array(0.0, -3.0, 3.0, 1.0), "scale": _array(1.0, 0.2, 1.5, 0.5)},
        lambda loc, scale: stats.lognorm(s=scale, scale=np.exp(loc)),
        wide={"loc": _floats(-30, 30), "scale": _powers(-3, 2)},
        values=REAL,
        outside=(-1.0, 0.0),
        invalid=_BAD_SCALE,
        sampled=("loc", "scale"),
    ),
)

_LOGITS = _array(0.0, -3.0, 2.0, 12.0)
_CATEGORY_LOGITS = _array(
    [0.0, 1.0, -2.0, 0.5], [3.0, 3.0, 3.0, 3.0], [-9.0, 0.0, 4.0, -1.0], [1.0, 0.0, 0.0, 1.0]
)
_NO_MEAN = frozenset({"mean", "variance", "stddev"})
_DISCRETE = {"no_gradient": frozenset({"cdf", "quantile"})}
_COUNTS = {"no_gradient": frozenset({"quantile"}), "outside": (-1.0, 0.5, 3.7, -np.inf, np.inf)}

DISCRETE = (
    Case(
        "BernoulliLogits",
        lambda logits=None, probs=None: td.Bernoulli(logits, probs),
        {"logits": _LOGITS},
        lambda logits: stats.bernoulli(special.expit(logits)),
        wide={"logits": REAL},
        values=st.sampled_from([0.0, 1.0]),
        outside=(-1.0, 0.5, 2.0),
        invalid=(
            *_either("logits", "probs"),
            ({"logits": float("nan")}, ("Bernoulli", "logits", "nan")),
        ),
        **_DISCRETE,
    ),
    Case(
        "BernoulliProbs",
        td.Bernoulli,
        {"probs": _array(0.5, 0.01, 0.8, 0.99)},
        lambda probs: stats.bernoulli(probs),
        wide={"probs": _floats(0.0, 1.0)},
        values=st.sampled_from([0.0, 1.0]),
        outside=(-1.0, 0.5, 2.0),
        invalid=(
            ({"probs": 1.5}, ("Bernoulli", "probs", "[0, 1]", "1.5")),
            ({"probs": [0.5, -0.1]}, ("Bernoulli", "probs", "[0, 1]", "-0.1")),
        ),
        **_DISCRETE,
    ),
    Case(
        "CategoricalLogits",
        td.Categorical,
        {"logits": _CATEGORY_LOGITS},
        lambda logits: twins.Categories(special.softmax(logits, axis=-1)),
        wide={"logits": REAL},
        values=st.integers(0, 3).map(float),
        outside=(-1.0, 0.5, 4.0),
        invalid=(
            *_either("logits", "probs"),
            ({"logits": 1.0}, ("Categorical", "logits", "axes")),
        ),
        missing=_NO_MEAN,
        **_DISCRETE,
    ),
    Case(
        "CategoricalProbs",
        lambda logits=None, probs=None: td.Categorical(logits, probs),
        {"probs": special.softmax(_CATEGORY_LOGITS, axis=-1)},
        lambda probs: twins.Categories(probs),
        wide={"probs": st.just(0.25)},
        values=st.integers(0, 3).map(float),
        outside=(-1.0, 0.5, 4.0),
        invalid=(
            ({"probs": [0.5, 1.5]}, ("Categorical", "probs", "summing to one", "0.5")),
            ({"probs": [1.5, -0.5]}, ("Categorical", "probs", "non-negative", "-0.5")),
        ),
        missing=_NO_MEAN,
        **_DISCRETE,
    ),
    Case(
        "PoissonRate",
        td.Poisson,
        {"rate": _array(0.05, 7.5, 300.0, 2e4)},
        lambda rate: stats.poisson(rate),
        wide={"rate": _powers(-10, 10)},
        values=COUNT,
        invalid=(
            *_either("rate", "log_rate"),
            ({"rate": 0.0}, ("Poisson", "rate", "positive", "0")),
            ({"rate": [1.0, -2.0]}, ("Poisson", "rate", "positive", "-2")),
        ),
        missing=frozenset({"entropy"}),
        **_COUNTS,
    ),
    Case(
        "PoissonLogRate",
        td.Poisson,
        {"log_rate": _array(-5.0, 0.0, 1.5, 5.0)},
        lambda log_rate: stats.poisson(np.exp(log_rate)),
        wide={"log_rate": _floats(-50, 50)},
        values=COUNT,
        missing=frozenset({"entropy"}),
        **_COUNTS,
    ),
    Case(
        "NegativeBinomialLogits",
        td.NegativeBinomial,
        {"total_count": _array(0.3, 1.0, 5.0, 200.0), "logits": _array(0.0, 3.0, -2.0, 1.0)},
        lambda total_count, logits: stats.nbinom(total_count, special.expit(-logits)),
        wide={"total_count": _powers(-5, 6), "logits": _floats(-50, 50)},
        values=COUNT,
        invalid=(
            ({"total_count": 1.0}, ("NegativeBinomial", "logits", "probs", "neither")),
            ({"total_count": 1.0, "logits": 0.0, "probs": 0.5}, ("logits", "probs", "both")),
            (
                {"total_count": -1.0, "logits": 0.0},
                ("NegativeBinomial", "total_count", "positive", "-1"),
            ),
        ),
        missing=frozenset({"entropy"}),
        **_COUNTS,
    ),
    Case(
        "NegativeBinomialProbs",
        td.NegativeBinomial,
        {"total_count": _array(0.3, 1.0, 5.0, 200.0), "probs": _array(0.5, 0.9, 0.1, 0.6)},
        lambda total_count, probs: stats.nbinom(total_count, 1.0 - probs),
        wide={"total_count": _powers(-5, 6), "probs": _floats(1e-30, 1.0 - 1e-6)},
        values=COUNT,
        invalid=(({"total_count": 1.0, "probs": 1.5}, ("NegativeBinomial", "probs", "1.5")),),
        missing=frozenset({"entropy"}),
        **_COUNTS,
    ),
    Case(
        "Deterministic",
        td.Deterministic,
        {"loc": _array(0.0, -3.0, 2.5, 1e3)},
        lambda loc: twins.Point(loc),
        wide={"loc": REAL},
        values=REAL,
        invalid=(({"loc": float("nan")}, ("Deterministic", "loc", "nan")),),
        no_gradient=frozenset({"log_prob", "cdf"}),
        sampled=("loc",),
    ),
)

_WEIGHT_LOGITS = _array([0.0, 1.0, -1.0], [2.0, -2.0, 0.0])


def _normal_product(loc: Any, scale: Any) -> twins.Product:
    return twins.Product(lambda loc, scale: stats.norm(loc=loc, scale=scale), loc=loc, scale=scale)


WRAPPED = (
    Case(
        "IndependentNormal",
        lambda loc, scale: td.Independent(td.Normal(loc, scale)),
        {
            "loc": _array([0.0, 1.0, -2.0], [10.0, 0.0, 0.5]),
            "scale": _array([1.0, 0.5, 2.0], [3.0, 0.1, 1.0]),
        },
        _normal_product,
        wide={"loc": LOC, "scale": SCALE},
        values=REAL,
        sampled=("loc", "scale"),
    ),
    Case(
        "MixtureOfNormals",
        lambda logits, loc, scale: td.MixtureSameFamily(
            td.Categorical(logits), td.Normal(loc, scale)
        ),
        {
            "logits": _WEIGHT_LOGITS,
            "loc": _array([0.0, 3.0, -2.0], [10.0, 0.0, 0.5]),
            "scale": _array([1.0, 0.5, 2.0], [3.0, 0.1, 1.0]),
        },
        lambda logits, loc, scale: twins.Mixture(
            special.softmax(logits, axis=-1), stats.norm(loc=loc, scale=scale)
        ),
        wide={"logits": _floats(-1e4, 1e4), "loc": LOC, "scale": _powers(-6, 6)},
        values=LOC,  # so far out that a float32 still holds the square of a standardised value
        missing=frozenset({"mode", "entropy"}),
        sampled=("logits", "loc", "scale"),
    ),
    Case(
        "MixtureOfIndependentNormals",
        lambda logits, loc, scale: td.MixtureSameFamily(
            td.Categorical(logits), td.Independent(td.Normal(loc, scale))
        ),
        {
            "logits": _WEIGHT_LOGITS,
            "loc": _array(
                [[0.0, 2.0], [3.0, -1.0], [-2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
            ),
            "scale": _array(
                [[1.0, 0.5], [0.5, 1.0], [2.0, 1.0]], [[1.0, 1.0], [0.3, 1.0], [1.0, 2.0]]
            ),
        },
        lambda logits, loc, scale: twins.Mixture(
            special.softmax(logits, axis=-1), _normal_product(loc, scale), event_rank=1
        ),
        wide={"logits": _floats(-1e4, 1e4), "loc": LOC, "scale": _powers(-6, 6)},
        values=LOC,  # so far out that a float32 still holds the square of a standardised value
        missing=frozenset({"mode", "entropy", "quantile", "median"}),
        sampled=("logits", "loc", "scale"),
    ),
    Case(
        "MixtureOfPoissons",
        lambda logits, rate: td.MixtureSameFamily(td.Categorical(logits), td.Poisson(rate)),
        {"logits": _WEIGHT_LOGITS, "rate": _array([0.5, 5.0, 60.0], [1.0, 2.0, 200.0])},
        lambda logits, rate: twins.Mixture(special.softmax(logits, axis=-1), stats.poisson(rate)),
        wide={"logits": _floats(-1e4, 1e4), "rate": _powers(-6, 6)},
        values=COUNT,
        missing=frozenset({"mode", "entropy"}),
        **_COUNTS,
    ),
)


CASES = CONTINUOUS + DISCRETE + WRAPPED
