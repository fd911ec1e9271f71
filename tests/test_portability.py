"""A model trained on one backend gives the same distribution on the others."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import BACKEND

import timedist
from timedist.layers import (
    IndependentNegativeBinomial,
    MixtureNormal,
    TimeDistributed,
)
from timedist.losses import NegativeLogLikelihood

OTHERS = ("tensorflow", "torch")
LOADER = """
import sys
import keras, numpy as np, timedist
folder = sys.argv[1]
model = keras.models.load_model(folder + "/model.keras", safe_mode=True)
predicted = timedist.predict(model, np.load(folder + "/x.npy"), verbose=0)
leaves = [leaf for d in predicted for leaf in d.leaves()]
np.savez(folder + "/" + keras.backend.backend() + ".npz", *leaves)
print(*[repr(d) for d in predicted], sep="\\n")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model trained here, its inputs, and its distributions."""
    folder = tmp_path_factory.mktemp("portable")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 6, 3)).astype("float32")
    x[0, 4:] = 0.0
    inputs = keras.Input((None, 3))
    hidden = keras.layers.SimpleRNN(4, return_sequences=True)(keras.layers.Masking()(inputs))
    step = keras.Sequential([keras.layers.Dense(10), MixtureNormal(2, 2)])
    outputs = [
        TimeDistributed(step)(hidden),
        IndependentNegativeBinomial()(TimeDistributed(keras.layers.Dense(2))(hidden)),
    ]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.05), [NegativeLogLikelihood() for _ in outputs])
    y = [x[..., :2], np.floor(np.abs(x[..., 0]))]
    model.fit(x, y, epochs=3, verbose=0)
    model.save(folder / "model.keras")
    np.save(folder / "x.npy", x)
    return folder, timedist.predict(model, x, verbose=0)


@pytest.mark.skipif(BACKEND != "jax", reason="runs once, from the session on JAX")
@pytest.mark.parametrize("other", OTHERS)
def test_the_other_backends_agree(trained, other):
    folder, expected = trained
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(folder)],
        env={**os.environ, "KERAS_BACKEND": other},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[-3:-1] == [repr(distribution) for distribution in expected]
    found = np.load(folder / f"{other}.npz")
    leaves = [leaf for distribution in expected for leaf in distribution.leaves()]
    assert len(found.files) == len(leaves)
    for name, leaf in zip(found.files, leaves, strict=True):
        np.testing.assert_allclose(found[name], leaf, rtol=1e-5, atol=1e-5)
