"""Models of whole sequences."""

from timedist.sequence.annealing import KLAnnealing
from timedist.sequence.autoregressive import AutoregressiveRNN
from timedist.sequence.recurrent_vae import RecurrentVAE
from timedist.sequence.rollout import Rollout
from timedist.sequence.variational_rnn import VariationalRNN

__all__ = ["AutoregressiveRNN", "KLAnnealing", "RecurrentVAE", "Rollout", "VariationalRNN"]
