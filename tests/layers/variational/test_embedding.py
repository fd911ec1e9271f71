"""An embedding with a posterior."""

import keras
import numpy as np
import pytest
from conformance import check_layer, serialized
from helpers import to_numpy
from models import QUICK

from timedist.layers import EmbeddingReparameterization, IndependentNormal
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

RNG = np.random.default_rng(0)
K = RNG.integers(0, 5, size=(8, 6))


@keras.saving.register_keras_serializable("test_embedding")
class Largest(keras.layers.Layer):
    """The number of the largest feature."""

    supports_masking = True

    def call(self, x):
        return keras.ops.argmax(x, axis=-1)


def test_conformance(tmp_path):
    options = {"kl_weight": 0.01, "seed": 1}
    check_layer(lambda: EmbeddingReparameterization(5, 3, **options), tmp_path, 5, (Largest,))


def test_a_category_has_one_vector_in_a_batch():
    layer = EmbeddingReparameterization(5, 3, kl_weight=1.0)
    found = to_numpy(layer(K))
    assert found.shape == (8, 6, 3)
    for category in range(5):
        rows = found[category == K]
        np.testing.assert_array_equal(rows, rows[:1] + np.zeros_like(rows))
    assert np.abs(found - to_numpy(layer(K))).max() > 0.0


def test_it_trains_saves_and_masks(tmp_path):
    inputs = keras.Input((None,), dtype="int32")
    vectors = EmbeddingReparameterization(5, 2, mask_zero=True, seed=1)(inputs)
    model = keras.Model(inputs, IndependentNormal(1)(vectors))
    model.compile("sgd", NegativeLogLikelihood(), **QUICK)
    start = [w.copy() for w in model.get_weights()]
    history = model.fit(K, RNG.normal(size=(8, 6, 1)), verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert np.abs(start[0] - model.get_weights()[0]).max() > 0.0
    np.testing.assert_array_equal(to_numpy(compat.get_keras_mask(model(K))), K != 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for mine, its in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_config_and_wrong_arguments():
    layer = EmbeddingReparameterization(5, 3, kl_weight=1.0)
    assert serialized(type(layer).from_config(layer.get_config())) == serialized(layer)
    with pytest.raises(TypeError, match=r"has no bias, got \['bias_prior_fn'\]"):
        EmbeddingReparameterization(5, 3, bias_prior_fn=None)
    with pytest.raises(ValueError, match="input_dim must be a positive int"):
        EmbeddingReparameterization(0, 3)
