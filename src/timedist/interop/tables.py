"""Which family of another library is which of ours, and how its parameters are called there.

One line a family: its name there (`function=class` where a function makes it), then each of our
parameters as `ours`, `ours:argument` or `ours:argument:attribute` where the names differ; `a|b` are
two ways to say one parameter, of which the one that was given is taken.
"""

from __future__ import annotations

_SAME_IN_ALL = {
    "Normal": "Normal loc scale",
    "Laplace": "Laplace loc scale",
    "Cauchy": "Cauchy loc scale",
    "StudentT": "StudentT df loc scale",
    "Gumbel": "Gumbel loc scale",
    "VonMises": "VonMises loc concentration",
    "LogNormal": "LogNormal loc scale",
    "Gamma": "Gamma concentration rate",
    "Exponential": "Exponential rate",
    "Weibull": "Weibull concentration scale",
    "HalfNormal": "HalfNormal scale",
    "Uniform": "Uniform low high",
    "Beta": "Beta concentration1 concentration0",
    "Kumaraswamy": "Kumaraswamy concentration1 concentration0",
    "Bernoulli": "Bernoulli logits|probs",
    "Binomial": "Binomial total_count logits|probs",
    "NegativeBinomial": "NegativeBinomial total_count logits|probs",
    "Geometric": "Geometric logits|probs",
    "Categorical": "Categorical logits|probs",
    "Dirichlet": "Dirichlet concentration",
}

TORCH = _SAME_IN_ALL | {
    "InverseGamma": "InverseGamma concentration scale:rate",
    "Pareto": "Pareto concentration:alpha scale",
    "GeneralizedPareto": "GeneralizedPareto loc scale concentration",
    "Poisson": "Poisson rate",
    "OneHotCategorical": "OneHotCategorical logits|probs",
    "MultivariateNormalTriL": "MultivariateNormal loc scale_tril",
    "MultivariateNormalDiagPlusLowRankCovariance": (
        "LowRankMultivariateNormal loc cov_diag_factor:cov_diag cov_perturb_factor:cov_factor"
    ),
    "Independent": "Independent base:base_distribution:base_dist reinterpreted_batch_ndims",
    "MixtureSameFamily": (
        "MixtureSameFamily mixture:mixture_distribution components:component_distribution"
    ),
}

NUMPYRO = _SAME_IN_ALL | {
    "AsymmetricLaplace": "AsymmetricLaplace loc scale skewness:asymmetry",
    "Logistic": "Logistic loc scale",
    "InverseGamma": "InverseGamma concentration scale:rate",
    "Pareto": "Pareto concentration:alpha scale",
    "TruncatedNormal": "TruncatedNormal loc scale low high",
    "BetaBinomial": "BetaBinomial total_count concentration1 concentration0",
    "Poisson": "Poisson rate",
    "OrderedLogistic": "OrderedLogistic cutpoints loc:predictor",
    "Deterministic": "Delta loc:v",
    "MultivariateNormalTriL": "MultivariateNormal loc scale_tril",
    "MultivariateNormalDiagPlusLowRankCovariance": (
        "LowRankMultivariateNormal loc cov_diag_factor:cov_diag cov_perturb_factor:cov_factor"
    ),
    "MultivariateStudentTTriL": "MultivariateStudentT df loc scale_tril",
    "Independent": "Independent base:base_dist reinterpreted_batch_ndims",
    "MixtureSameFamily": (
        "MixtureSameFamily mixture:mixing_distribution components:component_distribution"
    ),
    "Mixture": "MixtureGeneral mixture:mixing_distribution components:component_distributions",
    "Truncated": "TruncatedDistribution=TwoSidedTruncatedDistribution base:base_dist low high",
    "ZeroInflated": (
        "ZeroInflatedDistribution=ZeroInflated base:base_dist logits:gate_logits|probs:gate"
    ),
    "Hurdle": "HurdleDistribution=Hurdle base:base_dist logits:gate_logits|probs:gate",
}

TFP = _SAME_IN_ALL | {
    "Logistic": "Logistic loc scale",
    "SinhArcsinh": "SinhArcsinh loc scale skewness tailweight",
    "JohnsonSU": "JohnsonSU skewness tailweight loc scale",
    "InverseGamma": "InverseGamma concentration scale",
    "Pareto": "Pareto concentration scale",
    "GeneralizedPareto": "GeneralizedPareto loc scale concentration",
    "LogLogistic": "LogLogistic loc scale",
    "LogitNormal": "LogitNormal loc scale",
    "TruncatedNormal": "TruncatedNormal loc scale low high",
    "BetaBinomial": "BetaBinomial total_count concentration1 concentration0",
    "Poisson": "Poisson rate|log_rate",
    "OneHotCategorical": "OneHotCategorical logits|probs",
    "OrderedLogistic": "OrderedLogistic cutpoints loc",
    "Deterministic": "Deterministic loc",
    "MultivariateNormalDiag": "MultivariateNormalDiag loc scale_diag",
    "MultivariateNormalTriL": "MultivariateNormalTriL loc scale_tril",
    "MultivariateNormalDiagPlusLowRankCovariance": (
        "MultivariateNormalDiagPlusLowRankCovariance loc cov_diag_factor cov_perturb_factor"
    ),
    "Independent": "Independent base:distribution reinterpreted_batch_ndims",
    "MixtureSameFamily": (
        "MixtureSameFamily mixture:mixture_distribution components:components_distribution"
    ),
    "Mixture": "Mixture mixture:cat components",
    "Quantized": "QuantizedDistribution base:distribution low high",
    "Blockwise": "Blockwise distributions",
}

TABLES = {"torch": TORCH, "numpyro": NUMPYRO, "tensorflow_probability": TFP}
