"""Models of whole sequences."""

from timedist.sequence.autoregressive import AutoregressiveRNN
from timedist.sequence.rollout import Rollout

__all__ = ["AutoregressiveRNN", "Rollout"]
