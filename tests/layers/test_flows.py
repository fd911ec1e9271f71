"""Masked autoregressive networks and transforms."""

import keras
import numpy as np
import pytest
from conformance import check_layer

from timedist import layers


def transform(**options):
    made = layers.AutoregressiveNetwork(2, 3, hidden_units=[8], activation="tanh")
    return layers.AutoregressiveTransform(made, **options)


def test_the_transform_conforms(tmp_path):
    check_layer(transform, tmp_path, 6, before=(lambda: layers.IndependentNormal(3),))
