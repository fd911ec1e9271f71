"""Models of whole sequences."""

from timedist.sequence.annealing import KLAnnealing
from timedist.sequence.autoregressive import AutoregressiveRNN
from timedist.sequence.deep_state_space import DeepStateSpace
from timedist.sequence.recurrent_vae import RecurrentVAE
from timedist.sequence.rollout import Rollout

__all__ = ["AutoregressiveRNN", "DeepStateSpace", "KLAnnealing", "RecurrentVAE", "Rollout"]
