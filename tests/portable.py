"""Models of sequences to be saved by one backend and loaded by another, and what they then say."""

import numpy as np
from helpers import to_numpy

import timedist
from timedist.layers import IndependentNormal, MixtureNormal
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import (
    AutoregressiveRNN,
    AutoregressiveTransformer,
    AutoregressiveWaveNet,
    DeepStateSpace,
    MixtureDensityRNN,
    RecurrentVAE,
    Rollout,
    VariationalRNN,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 7, 3)).astype("float32")
FLAGGED = np.concatenate([X[..., :2], X[..., 2:] > 0], axis=-1).astype("float32")
TARGET = RNG.gamma(3.0, 2.0, size=(6, 7 + 3)).astype("float32")
FEATURES = RNG.normal(size=(6, 7, 2)).astype("float32")
SERIES = {"lags": (1, 3), "context_length": 4, "units": 4}
NATS = NegativeLogLikelihood(missing="mask")

# Each with what it is trained on.
MODELS = {
    "recurrent": lambda: AutoregressiveRNN(MixtureNormal(2), **SERIES, cell="gru"),
    "transformer": lambda: AutoregressiveTransformer(**SERIES, heads=2, depth=1),
    "wavenet": lambda: AutoregressiveWaveNet(**SERIES, dilations=(1, 2)),
    "mixture": lambda: MixtureDensityRNN(2, 2, covariance="full", end=True, units=4),
    "state space": lambda: DeepStateSpace(trend=True, units=4),
    "autoencoder": lambda: RecurrentVAE(
        IndependentNormal(3), latent_dim=2, units=4, cell="gru", prior="flow"
    ),
    "variational": lambda: VariationalRNN(IndependentNormal(3), latent_dim=2, units=4),
}


def data(name):
    """What a model is trained on."""
    if name in ("recurrent", "transformer", "wavenet"):
        return {"target": TARGET, "features": FEATURES}, TARGET[:, 3:]
    if name == "state space":
        return {"target": TARGET[:, :4], "features": FEATURES}, TARGET[:, :7, None]
    return (FLAGGED, FLAGGED) if name == "mixture" else (X, X)


def saved(name, folder):
    """A model after a step of training, in a file; and what it says."""
    model = MODELS[name]()
    model.compile("adam", NATS, jit_compile=False)  # which else torch would compile for minutes
    model.fit(*data(name), verbose=0)
    model.save(folder / f"{name}.keras")
    return described(name, model)


def described(name, model):
    """Parameters of distributions as arrays; draws with one seed are there, and the same again."""
    first, second = (drawn(name, model) for _ in range(2))
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
    if name == "state space":
        return model.forecast(data(name)[0]).leaves()
    if name == "autoencoder":
        log_prob = model.prior_distribution().log_prob(np.ones((1, 2), "float32"))
        return [*model.reconstruct(X).leaves(), to_numpy(log_prob)]
    if name == "variational":
        return [*model.encode(X).leaves(), *model.reconstruct(X).leaves()]
    return timedist.predict(model, data(name)[0], verbose=0).leaves()


def drawn(name, model):
    """A few draws with a seed."""
    if name == "state space":
        return model.sample_paths(data(name)[0], 2, seed=1)
    if name in ("recurrent", "transformer", "wavenet"):
        past = {"target": TARGET[:, :7], "features": FEATURES}
        return Rollout(model, 2, seed=1).predict(past, verbose=0)
    found = model.generate(3, 4, seed=1)
    return np.nan_to_num(found) if name == "mixture" else found
