"""A model trained on one backend gives the same distribution on the others."""

import os
import subprocess
import sys

import keras
import numpy as np
import portable
import pytest
from helpers import BACKEND

import timedist
from timedist.layers import (
    DenseFlipout,
    EmbeddingReparameterization,
    IndependentNegativeBinomial,
    LSTMReparameterization,
    MaskedAutoregressiveFlow,
    MixtureNormal,
    MultivariateNormalTriL,
    TimeDistributed,
    VariationalGaussianProcess,
    WeightNorm,
)
from timedist.losses import NegativeLogLikelihood

OTHERS = sorted({"jax", "tensorflow", "torch"} - {BACKEND})
LOADER = """
import sys
import keras, numpy as np, timedist
import portable
folder = sys.argv[1]
model = keras.models.load_model(folder + "/model.keras", safe_mode=True)
predicted = timedist.predict(model, np.load(folder + "/x.npy"), verbose=0)
leaves = [leaf for d in predicted for leaf in d.leaves()]
np.savez(folder + "/" + keras.backend.backend() + ".npz", *leaves)
uncertain = keras.models.load_model(folder + "/uncertain.keras", safe_mode=True)
np.savez(folder + "/" + keras.backend.backend() + "-uncertain.npz", *uncertain.get_weights())
for name in portable.MODELS:
    loaded = keras.models.load_model(f"{folder}/{name}.keras", safe_mode=True)
    parts = portable.described(name, loaded)
    np.savez(f"{folder}/{keras.backend.backend()}-{name}.npz", *parts)
assert np.isfinite(uncertain.evaluate(*np.load(folder + "/ids.npy"), verbose=0))
print(*[repr(d) for d in predicted], sep="\\n")
"""


def without_compiler(model):
    """Torch would take minutes to compile what JAX had compiled: Keras saves that it was."""
    model.compile(model.optimizer, model.loss, jit_compile=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with models trained here, their inputs, and what they say."""
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
        MultivariateNormalTriL(2)(WeightNorm(keras.layers.Dense(5))(hidden)),
        MaskedAutoregressiveFlow(2, num_transforms=2, hidden_units=(4,))(hidden),
        VariationalGaussianProcess(3, "matern_three_halves")(hidden),
    ]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.05), [NegativeLogLikelihood() for _ in outputs])
    y = [x[..., :2], np.floor(np.abs(x[..., 0])), x[..., :2], x[..., :2], x[..., :1]]
    model.fit(x, y, epochs=3, verbose=0)
    without_compiler(model)
    model.save(folder / "model.keras")
    np.save(folder / "x.npy", x)
    train_uncertain(folder)
    said = {name: portable.saved(name, folder) for name in portable.MODELS}
    return folder, timedist.predict(model, x, verbose=0), said


def train_uncertain(folder):
    """A model whose weights are random: its posteriors and the number of sequences are saved."""
    ids = np.random.default_rng(0).integers(0, 5, (2, 16, 6))
    model = keras.Sequential(
        [
            keras.Input((6,)),
            EmbeddingReparameterization(5, 3),
            LSTMReparameterization(3, return_sequences=True),
            DenseFlipout(1),
        ]
    )
    model.compile("adam", "mse")
    model.fit(*ids, verbose=0)
    without_compiler(model)
    model.save(folder / "uncertain.keras")
    np.save(folder / "ids.npy", ids)
    np.savez(folder / "uncertain.npz", *model.get_weights())


@pytest.mark.parametrize("other", OTHERS)
def test_the_other_backends_agree(trained, other):
    folder, expected, said = trained
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(folder)],
        env={**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[-6:-1] == [repr(distribution) for distribution in expected]
    weights, same = (np.load(folder / f"{name}uncertain.npz") for name in (f"{other}-", ""))
    for name in same.files:
        np.testing.assert_array_equal(weights[name], same[name])
    for name, parts in said.items():
        made = np.load(folder / f"{other}-{name}.npz")
        assert len(made.files) == len(parts)
        for part, mine in zip(made.files, parts, strict=True):
            np.testing.assert_allclose(made[part], mine, rtol=1e-4, atol=1e-4, err_msg=name)
    found = np.load(folder / f"{other}.npz")
    leaves = [leaf for distribution in expected for leaf in distribution.leaves()]
    assert len(found.files) == len(leaves)
    for name, leaf in zip(found.files, leaves, strict=True):
        np.testing.assert_allclose(found[name], leaf, rtol=1e-5, atol=1e-5)
