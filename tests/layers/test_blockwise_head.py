"""A head made of heads: channels of different families."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import assert_close, to_numpy
from models import QUICK

import timedist
from timedist import distributions as td
from timedist import layers
from timedist.layers import BlockwiseHead
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import RecurrentVAE

RNG = np.random.default_rng(0)


def real_and_yes_no():
    return BlockwiseHead([layers.IndependentNormal(2), layers.IndependentBernoulli(1)])


@keras.saving.register_keras_serializable("test_blockwise_head")
class Unknown(layers.DistributionLayer):
    """A user's layer that is no head."""


HEADS = {
    "real, yes or no": (real_and_yes_no, 5, 3),
    "a mixture and scalars": (
        lambda: BlockwiseHead(
            [
                layers.MixtureSameFamily(2, layers.MultivariateNormalTriL(2)),
                layers.IndependentPoisson(),
                layers.Categorical(3),
            ]
        ),
        16,
        4,
    ),
    "of another one": (
        lambda: BlockwiseHead([layers.IndependentLaplace(), real_and_yes_no()]),
        7,
        4,
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_conform(name, tmp_path):
    make, width, size = HEADS[name]
    head = make()
    assert (head.width, head.event_shape) == (width, (size,))
    distribution = head(RNG.normal(size=(4, 5, width)).astype("float32"))
    assert isinstance(distribution, td.Blockwise)
    assert (distribution.batch_shape, distribution.event_shape) == ((4, 5), (size,))
    check_layer(make, tmp_path, width)


def test_each_head_reads_its_own_part():
    raw = RNG.normal(size=(4, 5)).astype("float32")
    normal, chance = real_and_yes_no()(raw).distributions
    assert_close(normal.mean(), raw[:, :2], 1e-6)
    assert_close(normal.stddev(), np.log1p(np.exp(raw[:, 2:4])), 1e-5)
    assert_close(chance.mean(), 1.0 / (1.0 + np.exp(-raw[:, 4:])), 1e-5)


def test_a_missing_channel_counts_for_nothing():
    raw = RNG.normal(size=(2, 5)).astype("float32")
    y = np.array([[0.3, np.nan, 1.0], [np.nan] * 3], "float32")
    distribution = real_and_yes_no()(raw)
    normal, chance = distribution.distributions
    found = NegativeLogLikelihood(missing="mask", reduction="sum")(y, distribution)
    expected = normal.base.log_prob([[0.3, 0.3]] * 2)[0, 0] + chance.log_prob([[1.0]] * 2)[0]
    assert_close(found, -to_numpy(expected), 1e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: layers.DistributionHead(real_and_yes_no()),
        lambda: layers.DistributionHead("blockwise", heads=real_and_yes_no().heads),
        lambda: layers.TimeDistributed(layers.DistributionHead(real_and_yes_no())),
    ],
    ids=["head", "name", "time distributed"],
)
def test_where_a_head_works(wrap, tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), wrap()])
    model.compile("adam", NegativeLogLikelihood(), **QUICK)
    x = RNG.normal(size=(6, 5, 4)).astype("float32")
    y = np.concatenate([x[..., :2], x[..., 2:3] > 0.0], axis=-1).astype("float32")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    predicted = timedist.predict(model, x, verbose=0)
    assert predicted.batch_shape == (6, 5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(loaded(x).mean(), predicted.mean(), 1e-5)


def test_a_recurrent_autoencoder_of_a_real_and_a_binary_channel():
    """A wave and whether it rises: both follow from one phase."""
    keras.utils.set_random_seed(0)
    phase = np.random.default_rng(1).uniform(0.0, 2.0 * np.pi, size=(256, 1))
    angle = phase + 0.8 * np.arange(8)
    x = np.stack([np.sin(angle), np.cos(angle) > 0.0], axis=-1).astype("float32")
    head = BlockwiseHead([layers.IndependentNormal(), layers.IndependentBernoulli()])
    model = RecurrentVAE(head, latent_dim=2, units=24, cell="gru")
    loss = NegativeLogLikelihood(reduction="mean_over_sequences")
    model.compile(keras.optimizers.Adam(0.02), loss)
    before = model.evaluate(x, x, verbose=0)
    model.fit(x, x, batch_size=32, epochs=30, verbose=0)
    assert model.evaluate(x, x, verbose=0) < before - 8.0
    reconstructed = model.reconstruct(x)
    wave, rising = reconstructed.distributions
    assert np.abs(to_numpy(wave.mean()) - x[..., 0]).mean() < 0.25
    assert ((to_numpy(rising.mean()) > 0.5) == x[..., 1]).mean() > 0.9
    drawn = model.generate(4, 8, seed=1)
    assert set(np.unique(drawn[..., 1])) == {0.0, 1.0}


def test_what_does_not_fit():
    normal, mine = layers.IndependentNormal, Unknown(name="mine")
    for wrong in ([], "normal", normal()):
        with pytest.raises(ValueError, match=r"heads must be a list of one head or more.*got"):
            BlockwiseHead(wrong)
    with pytest.raises(TypeError, match=r"heads must be heads of `timedist.layers`.*mine"):
        BlockwiseHead([normal(), mine])
    with pytest.raises(ValueError, match=r"'mix' \(MixtureSameFamily\) does not tell how many"):
        BlockwiseHead([layers.MixtureSameFamily(2, mine, name="mix")])
    with pytest.raises(ValueError, match=r"'n' \(IndependentNormal\) gives a tensor.*'mean'"):
        BlockwiseHead([normal(2, "mean", name="n")])
    with pytest.raises(ValueError, match=r"'n' \(IndependentNormal\) has events of shape \(2, 2\)"):
        BlockwiseHead([normal((2, 2), name="n")])
    with pytest.raises(ValueError, match=r"\(BlockwiseHead\) needs 5 parameters.*Dense\(5\)"):
        real_and_yes_no()(np.zeros((3, 4), "float32"))
