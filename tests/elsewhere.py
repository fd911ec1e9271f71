"""Families with parameters and a value, for the comparison with other libraries."""

import numpy as np

from timedist import distributions as td

SHIFT = np.array([-0.5, 0.2], "float32")
POSITIVE = np.array([0.7, 1.6], "float32")
LARGE = np.array([2.5, 4.0], "float32")
LOGITS = np.array([-0.4, 0.9], "float32")
COUNT = np.array([5.0, 9.0], "float32")
VECTOR = np.array([[0.1, -0.3], [1.0, 0.5]], "float32")
SPREAD = np.array([[1.0, 0.4], [0.5, 2.0]], "float32")
FACTOR = np.array([[[1.0, 0.0], [0.3, 0.8]], [[0.5, 0.0], [-0.2, 1.5]]], "float32")

# For each family its parameters and a value inside the support.
FAMILIES = {
    "Normal": ([SHIFT, POSITIVE], 0.3),
    "Laplace": ([SHIFT, POSITIVE], 0.3),
    "AsymmetricLaplace": ([SHIFT, POSITIVE, LARGE], 0.3),
    "Logistic": ([SHIFT, POSITIVE], 0.3),
    "Cauchy": ([SHIFT, POSITIVE], 0.3),
    "StudentT": ([LARGE, SHIFT, POSITIVE], 0.3),
    "Gumbel": ([SHIFT, POSITIVE], 0.3),
    "SinhArcsinh": ([SHIFT, POSITIVE, LOGITS, LARGE], 0.3),
    "JohnsonSU": ([LOGITS, LARGE, SHIFT, POSITIVE], 0.3),
    "VonMises": ([SHIFT, LARGE], 0.3),
    "LogNormal": ([SHIFT, POSITIVE], 0.6),
    "Gamma": ([LARGE, POSITIVE], 0.6),
    "InverseGamma": ([LARGE, POSITIVE], 0.6),
    "Exponential": ([POSITIVE], 0.6),
    "Weibull": ([LARGE, POSITIVE], 0.6),
    "HalfNormal": ([POSITIVE], 0.6),
    "Pareto": ([LARGE, POSITIVE], 1.9),
    "GeneralizedPareto": ([SHIFT, POSITIVE, LOGITS], 0.6),
    "LogLogistic": ([SHIFT, POSITIVE], 0.6),
    "Uniform": ([SHIFT, LARGE], 0.6),
    "Beta": ([LARGE, POSITIVE], 0.4),
    "Kumaraswamy": ([LARGE, POSITIVE], 0.4),
    "LogitNormal": ([SHIFT, POSITIVE], 0.4),
    "TruncatedNormal": ([SHIFT, POSITIVE, -POSITIVE, LARGE], 0.3),
    "Bernoulli": ([LOGITS], 1.0),
    "Binomial": ([COUNT, LOGITS], 2.0),
    "BetaBinomial": ([COUNT, LARGE, POSITIVE], 2.0),
    "Poisson": ([POSITIVE], 2.0),
    "NegativeBinomial": ([LARGE, LOGITS], 2.0),
    "Geometric": ([LOGITS], 2.0),
    "Categorical": ([VECTOR], 1.0),
    "OneHotCategorical": ([VECTOR], [0.0, 1.0]),
    "OrderedLogistic": ([np.array([[-1.0, 1.0]] * 2, "float32"), SHIFT], 1.0),
    "Deterministic": ([np.array([0.5, 0.5], "float32")], 0.5),
    "MultivariateNormalDiag": ([VECTOR, SPREAD], [0.3, 0.4]),
    "MultivariateNormalTriL": ([VECTOR, FACTOR], [0.3, 0.4]),
    "MultivariateNormalDiagPlusLowRankCovariance": ([VECTOR, SPREAD, FACTOR], [0.3, 0.4]),
    "MultivariateStudentTTriL": ([LARGE, VECTOR, FACTOR], [0.3, 0.4]),
    "Dirichlet": ([SPREAD], [0.3, 0.7]),
}


def _parts():
    return [td.Normal(SHIFT, POSITIVE), td.StudentT(LARGE, SHIFT, 2.0)]


WRAPPED = {
    "Independent": lambda: (td.Independent(td.Gamma(SPREAD, 2.0), 1), [0.3, 0.4]),
    "MixtureSameFamily": lambda: (
        td.MixtureSameFamily(td.Categorical(logits=VECTOR), td.Normal(VECTOR, SPREAD)),
        0.3,
    ),
    "Mixture": lambda: (td.Mixture(td.Categorical(logits=VECTOR), _parts()), 0.3),
    "Truncated": lambda: (td.Truncated(td.Logistic(SHIFT, POSITIVE), -POSITIVE, LARGE), 0.3),
    "ZeroInflated": lambda: (td.ZeroInflated(td.Poisson(POSITIVE), logits=LOGITS), 0.0),
    "Hurdle": lambda: (td.Hurdle(td.Poisson(POSITIVE), probs=[0.2, 0.6]), 2.0),
    "Quantized": lambda: (td.Quantized(td.Normal(SHIFT, POSITIVE), -3.0, 5.0), 1.0),
    "Blockwise": lambda: (
        td.Blockwise([td.Independent(td.Normal(VECTOR, SPREAD)), td.Exponential(POSITIVE)]),
        [0.1, 0.2, 0.3],
    ),
}


def ours_of(name):
    """The distribution of a row, and a value."""
    if name in WRAPPED:
        distribution, value = WRAPPED[name]()
    else:
        arguments, value = FAMILIES[name]
        distribution = getattr(td, name)(*arguments)
    return distribution, np.asarray(value, "float32")
