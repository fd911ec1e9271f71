"""Probability distributions as immutable values, on every Keras backend."""

from timedist.distributions import constraints, flows, kernels, transforms
from timedist.distributions.base import Distribution
from timedist.distributions.binned import Binned
from timedist.distributions.binomial import BetaBinomial, Binomial
from timedist.distributions.blockwise import Blockwise
from timedist.distributions.bounded import Beta, Kumaraswamy, LogitNormal, Uniform
from timedist.distributions.censored import Censored
from timedist.distributions.circular import VonMises
from timedist.distributions.continuous import Laplace, LocationScale, Logistic, Normal, Symmetric
from timedist.distributions.counts import Counts, Geometric, Integers, NegativeBinomial, Poisson
from timedist.distributions.dirichlet import Dirichlet
from timedist.distributions.discrete import (
    Bernoulli,
    Categorical,
    OneHotCategorical,
    OrderedLogistic,
)
from timedist.distributions.empirical import Deterministic, Empirical
from timedist.distributions.fields import component, parameter, shared, static
from timedist.distributions.gamma import Gamma, InverseGamma
from timedist.distributions.gaussian_processes import (
    GaussianProcessMarginals,
    VariationalGaussianProcess,
)
from timedist.distributions.hidden_markov import HiddenMarkovModel
from timedist.distributions.inflated import Hurdle, ZeroInflated
from timedist.distributions.mixtures import Mixture, MixtureSameFamily
from timedist.distributions.multivariate import (
    MultivariateNormalDiag,
    MultivariateNormalDiagPlusLowRankCovariance,
    MultivariateNormalTriL,
    MultivariateStudentTTriL,
)
from timedist.distributions.normalizing_flow import NormalizingFlow
from timedist.distributions.pareto import GeneralizedPareto, Pareto
from timedist.distributions.positive import (
    Exponential,
    HalfNormal,
    LogLogistic,
    LogNormal,
    Weibull,
)
from timedist.distributions.power_tails import Cauchy, StudentT
from timedist.distributions.pushforward import Pushforward
from timedist.distributions.quantile_grid import QuantileGrid
from timedist.distributions.quantized import Quantized
from timedist.distributions.random_walks import Autoregressive, GaussianRandomWalk
from timedist.distributions.skewed import AsymmetricLaplace, Gumbel, JohnsonSU, SinhArcsinh
from timedist.distributions.state_space import LinearGaussianStateSpaceModel
from timedist.distributions.transformed import TransformedDistribution
from timedist.distributions.truncated import Truncated
from timedist.distributions.truncated_normal import TruncatedNormal
from timedist.distributions.wrappers import Independent

__all__ = [
    "AsymmetricLaplace",
    "Autoregressive",
    "Bernoulli",
    "Beta",
    "BetaBinomial",
    "Binned",
    "Binomial",
    "Blockwise",
    "Categorical",
    "Cauchy",
    "Censored",
    "Counts",
    "Deterministic",
    "Dirichlet",
    "Distribution",
    "Empirical",
    "Exponential",
    "Gamma",
    "GaussianProcessMarginals",
    "GaussianRandomWalk",
    "GeneralizedPareto",
    "Geometric",
    "Gumbel",
    "HalfNormal",
    "HiddenMarkovModel",
    "Hurdle",
    "Independent",
    "Integers",
    "InverseGamma",
    "JohnsonSU",
    "Kumaraswamy",
    "Laplace",
    "LinearGaussianStateSpaceModel",
    "LocationScale",
    "LogLogistic",
    "LogNormal",
    "Logistic",
    "LogitNormal",
    "Mixture",
    "MixtureSameFamily",
    "MultivariateNormalDiag",
    "MultivariateNormalDiagPlusLowRankCovariance",
    "MultivariateNormalTriL",
    "MultivariateStudentTTriL",
    "NegativeBinomial",
    "Normal",
    "NormalizingFlow",
    "OneHotCategorical",
    "OrderedLogistic",
    "Pareto",
    "Poisson",
    "Pushforward",
    "QuantileGrid",
    "Quantized",
    "SinhArcsinh",
    "StudentT",
    "Symmetric",
    "TransformedDistribution",
    "Truncated",
    "TruncatedNormal",
    "Uniform",
    "VariationalGaussianProcess",
    "VonMises",
    "Weibull",
    "ZeroInflated",
    "component",
    "constraints",
    "flows",
    "kernels",
    "parameter",
    "shared",
    "static",
    "transforms",
]
