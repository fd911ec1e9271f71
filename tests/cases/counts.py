"""Rows of the families of counts and categories."""

import numpy as np
import twins
from hypothesis import strategies as st
from scipy import special, stats
from twins import counts

from cases.common import COUNT, COUNTS, REAL, array, either, floats, powers
from timedist import distributions as td
from timedist.testing import Case

_LOGITS = array(0.0, -3.0, 2.0, 12.0)
_CATEGORY_LOGITS = array(
    [0.0, 1.0, -2.0, 0.5], [3.0, 3.0, 3.0, 3.0], [-9.0, 0.0, 4.0, -1.0], [1.0, 0.0, 0.0, 1.0]
)
NO_MEAN = frozenset({"mean", "variance", "stddev"})
DISCRETE = {"no_gradient": frozenset({"cdf", "quantile"})}
_NO_CRPS = NO_MEAN | {"crps"}
_TRIALS = 40.0
_ZEROS = array(0.3, 0.01, 0.9, 0.5)
_TABLE = np.arange(3000.0)[:, None]
_UNIT_VECTOR = frozenset(
    {"cdf", "log_cdf", "survival_function", "log_survival_function", "quantile", "crps"}
)


def _unit_vectors(shape: tuple) -> st.SearchStrategy:
    indices = st.lists(st.integers(0, shape[-1] - 1), min_size=shape[0], max_size=shape[0])
    return indices.map(lambda i: np.eye(shape[-1], dtype="float32")[i])


def _ordered(shape: tuple) -> st.SearchStrategy:
    gaps = st.lists(floats(1e-3, 50.0), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    return gaps.map(lambda g: np.cumsum(np.array(g, "float32").reshape(shape), axis=-1) - 20.0)


CASES = (
    Case(
        "BernoulliLogits",
        lambda logits=None, probs=None: td.Bernoulli(logits, probs),
        {"logits": _LOGITS},
        lambda logits: stats.bernoulli(special.expit(logits)),
        wide={"logits": REAL},
        values=st.sampled_from([0.0, 1.0]),
        outside=(-1.0, 0.5, 2.0),
        invalid=(
            *either("logits", "probs"),
            ({"logits": float("nan")}, ("Bernoulli", "logits", "nan")),
        ),
        **DISCRETE,
    ),
    Case(
        "BernoulliProbs",
        td.Bernoulli,
        {"probs": array(0.5, 0.01, 0.8, 0.99)},
        lambda probs: stats.bernoulli(probs),
        wide={"probs": floats(0.0, 1.0)},
        values=st.sampled_from([0.0, 1.0]),
        outside=(-1.0, 0.5, 2.0),
        invalid=(
            ({"probs": 1.5}, ("Bernoulli", "probs", "[0, 1]", "1.5")),
            ({"probs": [0.5, -0.1]}, ("Bernoulli", "probs", "[0, 1]", "-0.1")),
        ),
        **DISCRETE,
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
            *either("logits", "probs"),
            ({"logits": 1.0}, ("Categorical", "logits", "axes")),
        ),
        missing=_NO_CRPS,
        **DISCRETE,
    ),
    Case(
        "CategoricalProbs",
        lambda logits=None, probs=None: td.Categorical(logits, probs),
        {"probs": special.softmax(0.5 * _CATEGORY_LOGITS, axis=-1)},
        lambda probs: twins.Categories(probs),
        wide={"probs": st.just(0.25)},
        values=st.integers(0, 3).map(float),
        outside=(-1.0, 0.5, 4.0),
        invalid=(
            ({"probs": [0.5, 1.5]}, ("Categorical", "probs", "summing to one", "0.5")),
            ({"probs": [1.5, -0.5]}, ("Categorical", "probs", "non-negative", "-0.5")),
        ),
        missing=_NO_CRPS,
        **DISCRETE,
    ),
    Case(
        "PoissonRate",
        td.Poisson,
        {"rate": array(0.05, 7.5, 40.0, 400.0)},
        lambda rate: stats.poisson(rate),
        wide={"rate": powers(-10, 10)},
        values=COUNT,
        invalid=(
            *either("rate", "log_rate"),
            ({"rate": 0.0}, ("Poisson", "rate", "positive", "0")),
            ({"rate": [1.0, -2.0]}, ("Poisson", "rate", "positive", "-2")),
        ),
        **COUNTS,
    ),
    Case(
        "PoissonLogRate",
        td.Poisson,
        {"log_rate": array(-5.0, 0.0, 1.5, 5.0)},
        lambda log_rate: stats.poisson(np.exp(log_rate)),
        wide={"log_rate": floats(-50, 50)},
        values=COUNT,
        **COUNTS,
    ),
    Case(
        "NegativeBinomialLogits",
        td.NegativeBinomial,
        {"total_count": array(0.3, 1.0, 5.0, 200.0), "logits": array(0.0, 3.0, -2.0, 1.0)},
        lambda total_count, logits: stats.nbinom(total_count, special.expit(-logits)),
        wide={"total_count": powers(-5, 6), "logits": floats(-50, 50)},
        values=COUNT,
        invalid=(
            ({"total_count": 1.0}, ("NegativeBinomial", "logits", "probs", "neither")),
            ({"total_count": 1.0, "logits": 0.0, "probs": 0.5}, ("logits", "probs", "both")),
            (
                {"total_count": -1.0, "logits": 0.0},
                ("NegativeBinomial", "total_count", "positive", "-1"),
            ),
        ),
        **COUNTS,
    ),
    Case(
        "NegativeBinomialProbs",
        td.NegativeBinomial,
        {"total_count": array(0.3, 1.0, 5.0, 200.0), "probs": array(0.5, 0.9, 0.1, 0.6)},
        lambda total_count, probs: stats.nbinom(total_count, 1.0 - probs),
        wide={"total_count": powers(-5, 6), "probs": floats(1e-30, 1.0 - 1e-6)},
        values=COUNT,
        invalid=(({"total_count": 1.0, "probs": 1.5}, ("NegativeBinomial", "probs", "1.5")),),
        **COUNTS,
    ),
    Case(
        "Geometric",
        lambda logits=None, probs=None: td.Geometric(logits, probs),
        {"logits": array(0.0, -4.0, 3.0, 1.0)},
        lambda logits: stats.geom(special.expit(logits), loc=-1),
        wide={"logits": floats(-50, 50)},
        values=COUNT,
        invalid=(
            *either("logits", "probs"),
            ({"probs": 0.0}, ("Geometric", "probs", "(0, 1]", "0")),
        ),
        **COUNTS,
    ),
    Case(
        "Binomial",
        lambda logits, total_count=_TRIALS: td.Binomial(total_count, logits),
        {"logits": array(0.0, -4.0, 3.0, 1.0)},
        lambda logits: stats.binom(_TRIALS, special.expit(logits)),
        wide={"logits": floats(-1e10, 1e10)},
        values=st.integers(0, 40).map(float),
        invalid=(
            ({"logits": 0.0, "total_count": 1.5}, ("Binomial", "total_count", "whole", "1.5")),
            ({"logits": 0.0, "total_count": -1.0}, ("Binomial", "total_count", "whole", "-1")),
        ),
        no_gradient=COUNTS["no_gradient"],
        outside=(*COUNTS["outside"], 41.0),
    ),
    Case(
        "BinomialProbs",
        lambda probs: td.Binomial(500.0, probs=probs),
        {"probs": array(0.5, 0.01, 0.8, 0.95)},
        lambda probs: stats.binom(500, probs),
        wide={"probs": floats(0.0, 1.0)},
        values=st.integers(0, 500).map(float),
        invalid=(({"probs": 1.5}, ("Binomial", "probs", "[0, 1]", "1.5")),),
        no_gradient=COUNTS["no_gradient"],
        outside=(*COUNTS["outside"], 501.0),
    ),
    Case(
        "BetaBinomial",
        lambda concentration1, concentration0: td.BetaBinomial(
            _TRIALS, concentration1, concentration0
        ),
        {
            "concentration1": array(0.5, 2.0, 20.0, 3.0),
            "concentration0": array(0.7, 0.4, 10.0, 60.0),
        },
        lambda concentration1, concentration0: counts.beta_binomial(
            _TRIALS, concentration1, concentration0
        ),
        wide={"concentration1": powers(-6, 6), "concentration0": powers(-6, 6)},
        values=st.integers(0, 40).map(float),
        invalid=(
            (
                {"concentration1": 0.0, "concentration0": 1.0},
                ("BetaBinomial", "concentration1", "positive", "0"),
            ),
        ),
        no_gradient=COUNTS["no_gradient"],
        outside=(*COUNTS["outside"], 41.0),
    ),
    Case(
        "OneHotCategorical",
        lambda logits=None, probs=None: td.OneHotCategorical(logits, probs),
        {"logits": 0.5 * _CATEGORY_LOGITS},
        lambda logits: counts.UnitVectors(special.softmax(logits, axis=-1)),
        wide={"logits": REAL},
        values=_unit_vectors,
        outside=(0.0, 0.5, 1.0),
        invalid=(
            *either("logits", "probs"),
            ({"probs": [0.5, 1.5]}, ("OneHotCategorical", "probs", "summing to one", "0.5")),
        ),
        missing=_UNIT_VECTOR,
        no_gradient=frozenset({"log_prob"}),  # to the value; test_discrete.py has the logits
    ),
    Case(
        "OrderedLogistic",
        td.OrderedLogistic,
        {
            "cutpoints": array(
                [-1.0, 0.0, 2.0], [-3.0, 1.0, 9.0], [0.0, 0.1, 0.2], [5.0, 6.0, 7.0]
            ),
            "loc": array(0.0, 2.0, -3.0, 5.5),
        },
        lambda cutpoints, loc: twins.Categories(
            np.diff(special.expit(cutpoints - loc[..., None]), prepend=0.0, append=1.0)
        ),
        wide={"cutpoints": _ordered, "loc": floats(-1e4, 1e4)},
        values=st.integers(0, 3).map(float),
        outside=(-1.0, 0.5, 4.0),
        invalid=(
            ({"cutpoints": [1.0, 0.0], "loc": 0.0}, ("OrderedLogistic", "cutpoints", "increas")),
        ),
        missing=NO_MEAN,
        **DISCRETE,
    ),
    Case(
        "ZeroInflatedPoisson",
        lambda rate, probs=None, logits=None: td.ZeroInflated(td.Poisson(rate), logits, probs),
        {"rate": array(0.05, 7.5, 60.0, 1.0), "probs": _ZEROS},
        lambda rate, probs: counts.zero_inflated(stats.poisson(rate).pmf(_TABLE), probs),
        wide={"rate": powers(-10, 10), "probs": floats(0.0, 1.0)},
        values=COUNT,
        invalid=(
            ({"rate": 1.0}, ("ZeroInflated", "logits", "probs", "neither")),
            ({"rate": 1.0, "probs": -0.5}, ("probs", "[0, 1]", "-0.5")),
            ({"rate": [1.0, 2.0], "probs": [0.1, 0.2, 0.3]}, ("probs", "(3,)", "(2,)")),
        ),
        **COUNTS,
    ),
    Case(
        "HurdleNegativeBinomial",
        lambda total_count, logits, probs: td.Hurdle(
            td.NegativeBinomial(total_count, logits), probs=probs
        ),
        {
            "total_count": array(0.3, 1.0, 5.0, 50.0),
            "logits": array(0.0, 3.0, -2.0, 1.0),
            "probs": _ZEROS,
        },
        lambda total_count, logits, probs: counts.hurdle(
            stats.nbinom(total_count, special.expit(-logits)).pmf(_TABLE),
            stats.nbinom(total_count, special.expit(-logits)).sf(0),
            probs,
        ),
        wide={
            "total_count": powers(-5, 6),
            "logits": floats(-50, 50),
            "probs": floats(1e-6, 1.0 - 1e-6),
        },
        values=COUNT,
        tolerances={("prob", "float32"): (5e-5, "the exponential of a logarithm near -18")},
        **COUNTS,
    ),
    Case(
        "ZeroInflatedLogNormal",
        lambda loc, scale, probs: td.ZeroInflated(td.LogNormal(loc, scale), probs=probs),
        {
            "loc": array(0.0, -3.0, 3.0, 1.0),
            "scale": array(1.0, 0.2, 1.5, 0.5),
            "probs": array(0.2, 0.01, 0.62, 0.35),
        },
        counts.ZerosAndLogNormal,
        wide={"loc": floats(-30, 30), "scale": powers(-3, 2), "probs": floats(0.0, 1.0)},
        values=REAL,
        outside=(-1.0,),
        missing=frozenset({"mode"}),
        no_gradient=frozenset({"log_prob", "cdf", "crps"}),  # zero is a jump in the value
        sampled=("loc", "scale", "probs"),
        mixed=True,
    ),
    Case(
        "QuantizedNormal",
        lambda loc, scale: td.Quantized(td.Normal(loc, scale)),
        {"loc": array(0.3, 100.2, -3.0, 0.5), "scale": array(0.7, 20.0, 3.0, 20.0)},
        lambda loc, scale: counts.rounded_up(stats.norm(loc, scale), -300, 400),
        wide={"loc": floats(-1e8, 1e8), "scale": powers(-6, 10)},
        values=st.integers(-(10**6), 10**6).map(float),
        no_gradient=COUNTS["no_gradient"],
        outside=(0.5, -3.7, np.inf),
    ),
    Case(
        "QuantizedWithBounds",
        lambda loc, scale, low=0.0: td.Quantized(td.Logistic(loc, scale), low, 255.0),
        {"loc": array(0.3, 100.2, 250.0, 128.0), "scale": array(0.7, 20.0, 10.0, 100.0)},
        lambda loc, scale: counts.rounded_up(stats.logistic(loc, scale), 0, 255, bounded=True),
        wide={"loc": floats(-1e8, 1e8), "scale": powers(-6, 10)},
        values=st.integers(0, 255).map(float),
        invalid=(
            ({"loc": 0.0, "scale": 1.0, "low": 0.5}, ("Quantized", "low", "whole", "0.5")),
            ({"loc": 0.0, "scale": 1.0, "low": 300.0}, ("Quantized", "low", "high", "300")),
        ),
        no_gradient=COUNTS["no_gradient"],
        outside=(-1.0, 0.5, 256.0),
    ),
)
