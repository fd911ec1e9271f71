"""TimeDist: a probability distribution at every time step, for Keras 3."""

from timedist import distributions, interop, layers, losses, metrics, scores, sequence
from timedist.prediction import predict

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "distributions",
    "interop",
    "layers",
    "losses",
    "metrics",
    "predict",
    "scores",
    "sequence",
]
