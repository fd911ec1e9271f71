"""Where `accuracy.py` looks: probabilities, extreme parameters, and what may miss a bound and why.

`EXTREMES` are keyed by the rows of the table of families; values of one row stand side by side and
are appended to the batch of the row. A row without an entry is measured at its own parameters.
"""

import numpy as np

# Both tails: quantiles of the first, and what lies above the quantile of the second.
LOWER = np.array([1e-12, 1e-9, 1e-6, 1e-3, 0.02, 0.2, 0.5])
UPPER = np.array([0.3, 0.05, 1e-3, 1e-6, 1e-9, 1e-12])

_LOC_SCALE = {"loc": [0.0, 0.0, 1e6, -1e3], "scale": [1e-6, 1e6, 1e3, 1e-3]}

EXTREMES = {
    "Normal": _LOC_SCALE,
    "Laplace": _LOC_SCALE,
    "Logistic": _LOC_SCALE,
    "Cauchy": _LOC_SCALE,
    "Gumbel": _LOC_SCALE,
    "StudentT": {"df": [0.1, 3.0, 1e6], "loc": [0.0, 1e3, -5.0], "scale": [1e-3, 1e3, 2.0]},
    "AsymmetricLaplace": {"loc": [0.0, 1e3], "scale": [1e-3, 1e3], "skewness": [1e-2, 1e2]},
    "SinhArcsinh": {
        "loc": [0.0, 1e3],
        "scale": [1e-3, 1e3],
        "skewness": [-1.0, 1.0],
        "tailweight": [0.5, 2.0],
    },
    "JohnsonSU": {
        "skewness": [-2.0, 2.0],
        "tailweight": [0.7, 5.0],
        "loc": [0.0, 1e3],
        "scale": [1e-3, 1e3],
    },
    "VonMises": {"loc": [0.0, 1.0], "concentration": [1e-3, 100.0]},
    "Exponential": {"rate": [1e-6, 1e6]},
    "HalfNormal": {"scale": [1e-6, 1e6]},
    "Weibull": {"concentration": [0.2, 1.0, 50.0], "scale": [1e-3, 1e6, 1.0]},
    "LogNormal": {"loc": [-5.0, 5.0, 0.0], "scale": [1e-2, 0.5, 2.5]},
    "LogLogistic": {"loc": [-5.0, 5.0, 0.0], "scale": [1e-2, 0.1, 0.9]},
    "Gamma": {"concentration": [0.1, 0.5, 1e3, 1e5], "rate": [1.0, 1e3, 1e-3, 1.0]},
    "InverseGamma": {"concentration": [0.5, 3.0, 1e3], "scale": [1e-3, 1e3, 1.0]},
    "Pareto": {"concentration": [0.5, 3.0, 100.0], "scale": [1e-3, 1e3, 1.0]},
    "GeneralizedPareto": {
        "loc": [0.0, 0.0, 10.0],
        "scale": [1e-3, 1e3, 1.0],
        "concentration": [-0.4, 1e-6, 0.4],
    },
    "Uniform": {"low": [-1e6, 0.0], "high": [1e6, 1e-6]},
    "Beta": {
        "concentration1": [0.1, 0.5, 1e3, 2.0],
        "concentration0": [0.1, 50.0, 1e3, 1e4],
    },
    "Kumaraswamy": {"concentration1": [0.3, 20.0], "concentration0": [0.3, 20.0]},
    "LogitNormal": {"loc": [-3.0, 3.0], "scale": [0.1, 3.0]},
    "PoissonRate": {"rate": [1e-6, 1e-2, 1e3]},
    "NegativeBinomialLogits": {
        "total_count": [1e-2, 1e3, 10.0],
        "logits": [3.0, -5.0, 8.0],
    },
    "Geometric": {"logits": [-8.0, 8.0]},
    "BernoulliLogits": {"logits": [-8.0, 5.0]},
    "Dirichlet": {"concentration": [[0.1, 0.1, 0.1], [1e3, 1.0, 1e-1]]},
    "QuantileGrid": {
        "values": [[-1e6, 0.0, 1e-6, 1.0, 1e6], [1e3, 1e3 + 1, 1e3 + 2, 1e3 + 3, 1e3 + 4]]
    },
    "BinnedLogits": {
        "edges": [[-1e6, 0.0, 1e-6, 1.0, 1e6], [0.0, 1.0, 2.0, 3.0, 4.0]],
        "logits": [[0.0, 1.0, 2.0, 3.0], [-30.0, 0.0, 0.0, -30.0]],
    },
    "Deterministic": {"loc": [-1e30, 1e30]},
}

# (row, method, dtype): (the error allowed, why it is above the common bound)
EXCEPTIONS = {
    ("Kumaraswamy", "variance", "float64"): (
        2e-5,
        "by quadrature; a density that is infinite at 1 is cut off where doubles end",
    ),
    ("TruncatedNormal", "quantile", "float64"): (
        5e-6,
        "the reference's: in 40 digits the tail probability of ours is right to 3e-15",
    ),
    ("LogNormal", "log_prob", "float32"): (
        1e-4,
        "the logarithm of the value is rounded before it is divided by a scale of 0.01",
    ),
    ("GeneralizedPareto", "log_prob", "float32"): (
        1e-3,
        "1 + xi z cancels near the greatest value",
    ),
}
