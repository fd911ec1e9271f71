"""Probability distributions as immutable values, on every Keras backend."""

from timedist.distributions import constraints, transforms
from timedist.distributions.base import Distribution
from timedist.distributions.continuous import Laplace, LocationScale, Logistic, Normal, StudentT
from timedist.distributions.discrete import Bernoulli, Categorical, NegativeBinomial, Poisson
from timedist.distributions.empirical import Deterministic
from timedist.distributions.fields import component, parameter, static
from timedist.distributions.positive import LogNormal
from timedist.distributions.wrappers import Independent, MixtureSameFamily, TransformedDistribution

__all__ = [
    "Bernoulli",
    "Categorical",
    "Deterministic",
    "Distribution",
    "Independent",
    "Laplace",
    "LocationScale",
    "LogNormal",
    "Logistic",
    "MixtureSameFamily",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "StudentT",
    "TransformedDistribution",
    "component",
    "constraints",
    "parameter",
    "static",
    "transforms",
]
