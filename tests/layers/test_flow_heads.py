"""The heads with a flow at every step."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy
from models import QUICK

from timedist import distributions as td
from timedist import layers, losses, predict
from timedist.distributions.base import DistributionTypeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 6)).astype("float32")
KINDS = {
    "maf": lambda **options: layers.MaskedAutoregressiveFlow(3, 2, [8], **options),
    "nvp": lambda **options: layers.RealNVP(3, 2, [8], **options),
}
per_kind = pytest.mark.parametrize("kind", KINDS)


@per_kind
def test_they_conform(kind, tmp_path):
    check_layer(KINDS[kind], tmp_path, 4)
