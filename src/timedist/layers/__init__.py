"""Keras layers that return and take distributions."""

from timedist.layers.base import DistributionLambda, DistributionLayer
from timedist.layers.heads import (
    Head,
    IndependentBernoulli,
    IndependentHead,
    IndependentLogistic,
    IndependentNegativeBinomial,
    IndependentNormal,
    IndependentPoisson,
    IndependentStudentT,
    MixtureHead,
    MixtureNormal,
)
from timedist.layers.statistics import Sample, Statistic
from timedist.layers.symbolic import SymbolicDistribution
from timedist.layers.time_distributed import TimeDistributed

__all__ = [
    "DistributionLambda",
    "DistributionLayer",
    "Head",
    "IndependentBernoulli",
    "IndependentHead",
    "IndependentLogistic",
    "IndependentNegativeBinomial",
    "IndependentNormal",
    "IndependentPoisson",
    "IndependentStudentT",
    "MixtureHead",
    "MixtureNormal",
    "Sample",
    "Statistic",
    "SymbolicDistribution",
    "TimeDistributed",
]
