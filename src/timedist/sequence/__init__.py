"""Models of whole sequences."""

from timedist.sequence.annealing import KLAnnealing
from timedist.sequence.autoregressive import AutoregressiveModel, AutoregressiveRNN
from timedist.sequence.cores import Core, RecurrentCore
from timedist.sequence.generative import Beginning, Generative
from timedist.sequence.recurrent_vae import RecurrentVAE
from timedist.sequence.rollout import Rollout
from timedist.sequence.steps import CellWithHead, StepFunction
from timedist.sequence.tempering import tempered
from timedist.sequence.variational_rnn import VariationalRNN

__all__ = [
    "AutoregressiveModel",
    "AutoregressiveRNN",
    "Beginning",
    "CellWithHead",
    "Core",
    "Generative",
    "KLAnnealing",
    "RecurrentCore",
    "RecurrentVAE",
    "Rollout",
    "StepFunction",
    "VariationalRNN",
    "tempered",
]
