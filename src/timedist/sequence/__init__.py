"""Models of whole sequences."""

from timedist.sequence.annealing import Annealing, KLAnnealing, ScheduledSampling
from timedist.sequence.attention import AutoregressiveTransformer, TransformerCore
from timedist.sequence.autoregressive import AutoregressiveModel, AutoregressiveRNN
from timedist.sequence.convolutions import AutoregressiveWaveNet, ConvolutionalCore
from timedist.sequence.cores import Core, RecurrentCore
from timedist.sequence.deep_state_space import DeepStateSpace
from timedist.sequence.generative import Beginning, Generative
from timedist.sequence.mixture_density_rnn import MixtureDensityRNN
from timedist.sequence.recurrent_vae import RecurrentVAE
from timedist.sequence.rollout import Rollout
from timedist.sequence.steps import CellWithHead, StepFunction
from timedist.sequence.tempering import tempered
from timedist.sequence.variational_rnn import VariationalRNN

__all__ = [
    "Annealing",
    "AutoregressiveModel",
    "AutoregressiveRNN",
    "AutoregressiveTransformer",
    "AutoregressiveWaveNet",
    "Beginning",
    "CellWithHead",
    "ConvolutionalCore",
    "Core",
    "DeepStateSpace",
    "Generative",
    "KLAnnealing",
    "MixtureDensityRNN",
    "RecurrentCore",
    "RecurrentVAE",
    "Rollout",
    "ScheduledSampling",
    "StepFunction",
    "TransformerCore",
    "VariationalRNN",
    "tempered",
]
