"""Models of whole sequences."""

from timedist.sequence.annealing import KLAnnealing
from timedist.sequence.autoregressive import AutoregressiveModel, AutoregressiveRNN
from timedist.sequence.cores import Core, RecurrentCore
from timedist.sequence.generative import Beginning, Generative
from timedist.sequence.mixture_density_rnn import MixtureDensityRNN
from timedist.sequence.recurrent_vae import RecurrentVAE
from timedist.sequence.rollout import Rollout
from timedist.sequence.steps import CellWithHead, StepFunction
from timedist.sequence.tempering import tempered

__all__ = [
    "AutoregressiveModel",
    "AutoregressiveRNN",
    "Beginning",
    "CellWithHead",
    "Core",
    "Generative",
    "KLAnnealing",
    "MixtureDensityRNN",
    "RecurrentCore",
    "RecurrentVAE",
    "Rollout",
    "StepFunction",
    "tempered",
]
