"""Rows of distributions made of other distributions."""

from typing import Any

import numpy as np
import twins
from keras import ops
from scipy import special, stats
from twins.vectors import Blocks, NormalMixtures

from cases.common import COUNT, COUNTS, LOC, REAL, SCALE, array, floats, powers, trils
from timedist import distributions as td
from timedist.testing import Case

_WEIGHT_LOGITS = array([0.0, 1.0, -1.0], [2.0, -2.0, 0.0])


def _normal_product(loc: Any, scale: Any) -> twins.Product:
    return twins.Product(lambda loc, scale: stats.norm(loc=loc, scale=scale), loc=loc, scale=scale)


CASES = (
    Case(
        "IndependentNormal",
        lambda loc, scale: td.Independent(td.Normal(loc, scale)),
        {
            "loc": array([0.0, 1.0, -2.0], [10.0, 0.0, 0.5]),
            "scale": array([1.0, 0.5, 2.0], [3.0, 0.1, 1.0]),
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
            "loc": array([0.0, 3.0, -2.0], [10.0, 0.0, 0.5]),
            "scale": array([1.0, 0.5, 2.0], [3.0, 0.1, 1.0]),
        },
        lambda logits, loc, scale: twins.Mixture(
            special.softmax(logits, axis=-1), stats.norm(loc=loc, scale=scale)
        ),
        wide={"logits": floats(-1e4, 1e4), "loc": LOC, "scale": powers(-6, 6)},
        values=LOC,  # so far out that a float32 still holds the square of a standardised value
        missing=frozenset({"mode"}),
        sampled=("logits", "loc", "scale"),
    ),
    Case(
        "MixtureOfNormalAndLogistic",
        lambda logits, loc, scale, mean, spread: td.Mixture(
            td.Categorical(logits), [td.Normal(loc, scale), td.Logistic(mean, spread)]
        ),
        {
            "logits": array([0.0, 1.0], [2.0, -2.0]),
            "loc": array(0.0, 10.0),
            "scale": array(1.0, 0.5),
            "mean": array(3.0, 9.0),
            "spread": array(0.5, 2.0),
        },
        lambda logits, loc, scale, mean, spread: twins.Mixture(
            special.softmax(logits, axis=-1),
            twins.Several(stats.norm(loc, scale), stats.logistic(mean, spread)),
        ),
        wide={
            "logits": floats(-1e4, 1e4),
            "loc": LOC,
            "scale": powers(-6, 6),
            "mean": LOC,
            "spread": powers(-6, 6),
        },
        values=LOC,
        tolerances={("entropy", "float64"): (1e-8, "the twin's quadrature; ours agrees to 2e-10")},
        missing=frozenset({"mode"}),
        sampled=("logits", "loc", "scale", "mean", "spread"),
    ),
    Case(
        "MixtureOfMultivariateNormals",
        lambda logits, loc, scale_tril: td.MixtureSameFamily(
            td.Categorical(logits),
            td.MultivariateNormalTriL(loc, ops.tril(ops.convert_to_tensor(scale_tril))),
        ),
        {
            "logits": _WEIGHT_LOGITS[:, :2],
            "loc": array([[0.0, 2.0], [3.0, -1.0]], [[1.0, 0.0], [0.0, 1.0]]),
            "scale_tril": array(
                [[[1.0, 0.0], [0.5, 1.0]], [[0.5, 0.0], [-1.0, 0.3]]],
                [[[2.0, 0.0], [0.1, 1.0]], [[1.0, 0.0], [1.0, 1.0]]],
            ),
        },
        lambda logits, loc, scale_tril: NormalMixtures(
            special.softmax(logits, axis=-1), loc, np.tril(scale_tril)
        ),
        wide={"logits": floats(-1e4, 1e4), "loc": floats(-1e6, 1e6), "scale_tril": trils},
        values=floats(-1e6, 1e6),
        missing=frozenset(
            {
                *("mode", "entropy", "quantile", "median", "crps", "kl_divergence"),
                *("cdf", "log_cdf", "survival_function", "log_survival_function"),
            }
        ),
        sampled=("logits", "loc", "scale_tril"),
    ),
    Case(
        "MixtureOfIndependentNormals",
        lambda logits, loc, scale: td.MixtureSameFamily(
            td.Categorical(logits), td.Independent(td.Normal(loc, scale))
        ),
        {
            "logits": _WEIGHT_LOGITS,
            "loc": array(
                [[0.0, 2.0], [3.0, -1.0], [-2.0, 0.0]], [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
            ),
            "scale": array(
                [[1.0, 0.5], [0.5, 1.0], [2.0, 1.0]], [[1.0, 1.0], [0.3, 1.0], [1.0, 2.0]]
            ),
        },
        lambda logits, loc, scale: twins.Mixture(
            special.softmax(logits, axis=-1), _normal_product(loc, scale), event_rank=1
        ),
        wide={"logits": floats(-1e4, 1e4), "loc": LOC, "scale": powers(-6, 6)},
        values=LOC,  # so far out that a float32 still holds the square of a standardised value
        missing=frozenset({"mode", "entropy", "quantile", "median", "crps", "kl_divergence"}),
        sampled=("logits", "loc", "scale"),
    ),
    Case(
        "MixtureOfPoissons",
        lambda logits, rate: td.MixtureSameFamily(td.Categorical(logits), td.Poisson(rate)),
        {"logits": _WEIGHT_LOGITS[:, :2], "rate": array([0.5, 60.0], [1.0, 2.0])},
        lambda logits, rate: twins.CountMixture(
            special.softmax(logits, axis=-1), stats.poisson(rate)
        ),
        wide={"logits": floats(-1e4, 1e4), "rate": powers(-6, 6)},
        values=COUNT,
        missing=frozenset({"mode"}),
        **COUNTS,
    ),
    Case(
        "MixtureOfPoissonAndNegativeBinomial",
        lambda logits, rate, total_count, odds: td.Mixture(
            td.Categorical(logits), [td.Poisson(rate), td.NegativeBinomial(total_count, odds)]
        ),
        {
            "logits": array([0.0, 1.0], [2.0, -2.0]),
            "rate": array(0.5, 60.0),
            "total_count": array(2.0, 5.0),
            "odds": array(1.0, 3.0),
        },
        lambda logits, rate, total_count, odds: twins.CountMixture(
            special.softmax(logits, axis=-1),
            twins.Several(stats.poisson(rate), stats.nbinom(total_count, special.expit(-odds))),
        ),
        wide={
            "logits": floats(-1e4, 1e4),
            "rate": powers(-6, 6),
            "total_count": powers(-5, 6),
            "odds": floats(-50, 50),
        },
        values=COUNT,
        missing=frozenset({"mode"}),
        **COUNTS,
    ),
    Case(
        "BlockwiseNormalAndLogNormal",
        lambda loc, scale, log_loc, log_scale: td.Blockwise(
            [td.Normal(loc, scale), td.LogNormal(log_loc, log_scale)]
        ),
        {
            "loc": array(0.0, 10.0),
            "scale": array(1.0, 0.5),
            "log_loc": array(0.0, 1.0),
            "log_scale": array(0.3, 0.8),
        },
        lambda loc, scale, log_loc, log_scale: Blocks(
            twins.Several(stats.norm(loc, scale), stats.lognorm(s=log_scale, scale=np.exp(log_loc)))
        ),
        wide={
            "loc": LOC,
            "scale": SCALE,
            "log_loc": floats(-30, 30),
            "log_scale": powers(-3, 2),
        },
        values=REAL,
        missing=frozenset({"marginals"}),
        sampled=("loc", "scale", "log_loc", "log_scale"),
    ),
)
