"""The recurrent autoencoder: what its loss is, its bounds, its draws, masks and files."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, assert_close, to_numpy
from keras import ops
from scipy import stats
from scipy.special import logsumexp

import timedist
from timedist import distributions as td
from timedist.layers import (
    DistributionLayer,
    IndependentBernoulli,
    IndependentNormal,
    IndependentPoisson,
    MaskedAutoregressiveFlow,
    RealNVP,
)
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat
from timedist.sequence import RecurrentVAE, latent_priors

STEPS, CHANNELS, PADDING = 4, 2, -9.0
NLL = NegativeLogLikelihood(reduction="mean_over_sequences")


def small(channels=CHANNELS, spread=1.0, **kwargs):
    """A built model whose weights are large enough that everything depends on everything."""
    keras.utils.set_random_seed(1)
    options = {"head": IndependentNormal(channels), "latent_dim": 1, "units": 3, **kwargs}
    model = RecurrentVAE(**options)
    model.build((None, None, channels))
    rng = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    model.compile(keras.optimizers.Adam(0.01), NLL)
    return model


def certain(model):
    """The model with a posterior so narrow that its draws are its mean."""
    bias = to_numpy(model.encoder.projection.bias).copy()
    bias[model.latent_dim :] = -20.0
    model.encoder.projection.bias.assign(bias)
    return model


def sequences(number=6, steps=STEPS, channels=CHANNELS, seed=0):
    return np.random.default_rng(seed).normal(size=(number, steps, channels)).astype("float32")


def padded(x, before=0, behind=0, value=PADDING):
    return np.pad(x, ((0, 0), (before, behind), (0, 0)), constant_values=value)


def normals(distribution):
    """Means and deviations of predicted independent normals."""
    return distribution.base.loc, distribution.base.scale


def eager_loss(model, x, **kwargs):
    model(x, **kwargs)
    (loss,) = model.losses
    return float(to_numpy(loss))


@keras.saving.register_keras_serializable("tests")
class RealAndYesNo(DistributionLayer):
    """A head for one real channel and one of zeros and ones."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3)

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.built = True

    def call(self, inputs):
        raw = self.dense(inputs)
        normal = IndependentNormal().call(raw[..., :2])
        return td.Blockwise.trusted(
            distributions=(normal, IndependentBernoulli().call(raw[..., 2:]))
        )


class LinearEncoder(DistributionLayer):
    """Not the exact posterior of a `LinearDecoder`, but one that covers it."""

    def call(self, inputs, mask=None):
        del mask
        return td.Independent(td.Normal(0.3 * ops.sum(inputs, axis=1), 0.9))


class LinearDecoder(DistributionLayer):
    """x_t = slope_t z + offset_t + noise: the likelihood of a sequence is normal."""

    slopes, offsets, noise = np.array([1.0, -0.5, 2.0]), np.array([0.3, 0.0, -1.0]), 0.7

    def call(self, inputs, mask=None):
        del mask
        slopes, offsets = (ops.convert_to_tensor(a, "float32") for a in (self.slopes, self.offsets))
        return td.Normal(inputs[..., 0] * slopes + offsets, self.noise)

    def log_likelihood(self, x):
        covariance = np.outer(self.slopes, self.slopes) + self.noise**2 * np.eye(3)
        return stats.multivariate_normal(self.offsets, covariance).logpdf(x[..., 0])


# --- the loss ------------------------------------------------------------------------------------


def test_loss_is_the_negative_bound_in_nats_for_each_sequence():
    model, x = small(), sequences(8)
    posterior = model.encode(x)
    loc, scale = (a[:, 0] for a in normals(posterior))
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = loc[:, None] + scale[:, None] * nodes
    means, scales = normals(model.decode(z.reshape(-1, 1), STEPS, batch_size=320))
    shape = (8, 40, STEPS, CHANNELS)
    each = stats.norm(means.reshape(shape), scales.reshape(shape)).logpdf(x[:, None])
    log_x = each.sum(axis=(-2, -1))
    weights = weights / weights.sum()
    expected = log_x @ weights
    spread = np.sqrt((log_x - expected[:, None]) ** 2 @ weights)
    divergence = 0.5 * (scale**2 + loc**2 - 1.0) - np.log(scale)
    repeats = 64
    error = np.sqrt(np.mean(spread**2) / (8 * repeats))
    assert 0.0 < error < 0.2
    rows = np.tile(x, (repeats, 1, 1))
    found = model.evaluate(rows, rows, batch_size=512, verbose=0)
    assert abs(found - np.mean(divergence - expected)) < 4.0 * error


def test_neither_the_batch_nor_padding_changes_the_loss():
    model, x = certain(small(latent_dim=2)), sequences(12)
    expected = model.evaluate(x, x, batch_size=12, verbose=0)
    assert_close(model.evaluate(x, x, batch_size=4, verbose=0), expected, 1e-5)
    masking = keras.Sequential([keras.layers.Masking(PADDING), model])
    masking.compile("adam", NLL)
    for before, behind in ((0, 3), (3, 0)):
        longer = padded(x, before, behind)
        assert_close(masking.evaluate(longer, longer, batch_size=4, verbose=0), expected, 1e-5)
    # The weight of the divergence is a variable: no program is made anew.
    nats = to_numpy(ops.sum(_divergences(model, x), axis=-1)).mean()
    model.kl_weight.assign(0.25)
    weighted = model.evaluate(x, x, batch_size=4, verbose=0)
    assert_close(weighted, expected - 0.75 * nats, 1e-4)


def _divergences(model, x):
    posterior = model.encoder(ops.convert_to_tensor(x))
    return latent_priors.divergences(posterior, model.prior_distribution(), posterior.mean())


def test_a_mask_is_kept_and_nothing_is_seen_through_it():
    model, x = small(latent_dim=2), sequences(3)
    longer = padded(x, 0, 2, np.nan)
    mask = np.arange(STEPS + 2) < STEPS
    mask = np.tile(mask, (3, 1))
    mask[0, 1] = False
    distribution = model(ops.convert_to_tensor(longer), mask=ops.convert_to_tensor(mask))
    assert distribution.batch_shape == (3, STEPS + 2)
    np.testing.assert_array_equal(to_numpy(compat.get_keras_mask(distribution)), mask)
    mask[0, 1] = True
    assert_close(model.encode(longer, mask=mask).mean(), model.encode(x).mean(), 1e-5)
    found = model.importance_weighted_bound(longer, 3, seed=1, mask=mask)
    assert_close(found, model.importance_weighted_bound(x, 3, seed=1), 1e-4)
    by_step = model.anomaly_score(longer, 3, per_step=True, seed=1, mask=mask)
    assert by_step.shape == (3, STEPS + 2)
    assert (by_step[:, STEPS:] == 0.0).all()
    assert (by_step[:, :STEPS] != 0.0).all()


# --- what is free --------------------------------------------------------------------------------


def test_free_bits_and_weight_of_the_model():
    model, x = small(latent_dim=3, free_bits=0.5, kl_weight=0.5, spread=0.3), sequences()
    each = to_numpy(_divergences(model, x)).mean(axis=0)
    assert (each < 0.5).any()
    assert_close(eager_loss(model, x), 0.5 * np.maximum(each, 0.5).sum(), 1e-5)


# --- bounds --------------------------------------------------------------------------------------


def test_bounds_rise_to_the_exact_likelihood_of_a_linear_model():
    model = RecurrentVAE(IndependentNormal(), latent_dim=1, units=2)
    model.encoder, model.decoder = LinearEncoder(), LinearDecoder()
    model.build((None, None, 1))
    x = sequences(4, 3, 1)
    exact = model.decoder.log_likelihood(x).mean()
    rows = np.repeat(x, 250, axis=0)
    means, errors = [], []
    for number in (1, 8):
        found = model.importance_weighted_bound(rows, number, seed=number, batch_size=1000)
        found = found.reshape(4, 250)
        means.append(found.mean())
        errors.append(np.sqrt(found.var(axis=1).sum() / 250) / 4)
    assert means[0] + 4.0 * errors[0] < means[1] - 4.0 * errors[1]
    assert means[1] < exact + 4.0 * errors[1]
    many = model.importance_weighted_bound(x, 2000, seed=3, batch_size=4)
    assert_close(many, model.decoder.log_likelihood(x), 0.03)
    assert_close(model.anomaly_score(x, 2000, seed=3, batch_size=4), -many, 1e-6)


def test_the_bound_of_a_recurrent_decoder_by_quadrature():
    model, x = small(prior="mixture", prior_components=2, spread=0.4), sequences(3)
    z = np.linspace(-9.0, 9.0, 601, dtype="float32")[:, None]
    means, scales = normals(model.decode(z, STEPS, batch_size=601))
    log_x = stats.norm(means, scales).logpdf(x[:, None]).sum(axis=(-2, -1))
    log_z = to_numpy(model.prior_distribution().log_prob(z))
    exact = logsumexp(log_x + log_z, axis=-1) + np.log(z[1, 0] - z[0, 0])
    found = model.importance_weighted_bound(x, 1000, seed=1, batch_size=3)
    assert_close(found, exact, 0.02, floor=1.0)


# --- draws and reconstructions -------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return small(latent_dim=2, head=RealAndYesNo())


def test_generated_sequences(model):
    found = model.generate(6, steps=5, seed=1, batch_size=3)
    assert found.shape == (6, 5, CHANNELS)
    assert set(np.unique(found[..., 1])) <= {0.0, 1.0}
    assert (found[:3] != found[3:]).any()
    np.testing.assert_array_equal(found, model.generate(6, steps=5, seed=1, batch_size=3))
    assert (found != model.generate(6, steps=5, seed=2, batch_size=3)).any()
    assert (model.generate(6, 5, batch_size=3) != model.generate(6, 5, batch_size=3)).any()


def test_what_is_asked_again_is_not_compiled_again(model, monkeypatch):
    calls, call = [], RealAndYesNo.call
    monkeypatch.setattr(RealAndYesNo, "call", lambda self, x: calls.append(1) or call(self, x))
    model.generate(3, steps=5, seed=5, batch_size=3)
    before = len(calls)
    model.generate(6, steps=5, seed=6, batch_size=3)
    assert len(calls) == (before + 2 if BACKEND == "torch" else before)


def test_reconstructions_and_what_lies_between(model):
    x = sequences(4)
    reconstructed = model.reconstruct(x)
    assert reconstructed.batch_shape == (4, STEPS)
    between = model.interpolate(x, x[::-1], 3)
    assert (between.batch_shape, between.event_shape) == ((4, 3, STEPS), (CHANNELS,))
    means, ends = to_numpy(between.mean()), to_numpy(reconstructed.mean())
    assert_close(means[:, 0], ends, 1e-4, floor=0.1)
    assert_close(means[:, -1], ends[::-1], 1e-4, floor=0.1)
    latent = to_numpy(model.encode(x).mean())
    middle = model.decode(np.tile((latent + latent[::-1]) / 2, (3, 1)), STEPS)
    assert_close(means[:, 1], to_numpy(middle.mean())[:4], 1e-4, floor=0.1)


def test_steps_of_an_anomaly(model):
    x = sequences(3)
    x[..., 1] = x[..., 1] > 0.0
    plain = model.anomaly_score(x, 50, per_step=True, seed=1, batch_size=3)
    x[1, 2, 0] += 30.0
    odd = model.anomaly_score(x, 50, per_step=True, seed=1, batch_size=3)
    assert odd[1].argmax() == 2
    assert_close(odd[[0, 2]], plain[[0, 2]], 1e-4)


def test_predict_gives_draws_of_the_call(model):
    predicted = timedist.predict(model, sequences(4), verbose=0)
    assert isinstance(predicted, td.Blockwise)
    assert predicted.batch_shape == (4, STEPS)


# --- priors, heads, files ------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["standard", "mixture", "flow"])
def test_every_prior_trains(prior):
    model, x = small(latent_dim=2, prior=prior, prior_components=3, spread=0.3), sequences()
    before = [w.copy() for w in model.get_weights()]
    moved = {id(w): i for i, w in enumerate(model.weights)}
    assert np.isfinite(model.train_on_batch(x, x))
    after = model.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    of_prior = model.prior.trainable_weights if prior != "standard" else []
    assert bool(of_prior) == (prior != "standard")
    for weights in (of_prior, model.encoder.trainable_weights, model.decoder.trainable_weights):
        changes = [(before[moved[id(w)]] != after[moved[id(w)]]).any() for w in weights]
        assert any(changes) or not weights


@pytest.mark.parametrize(
    "prior",
    [
        RealNVP(2, num_transforms=2),
        td.Independent(td.Normal([1.0, 2.0], [0.5, 3.0])),
        td.MultivariateNormalTriL([0.0, 1.0], [[1.0, 0.0], [0.5, 2.0]]),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_priors_of_ones_own(prior):
    model = small(latent_dim=2, prior=prior, spread=0.3)
    assert np.isfinite(eager_loss(model, sequences()))
    again = RecurrentVAE.from_config(model.get_config())
    again.build((None, None, CHANNELS))
    z = np.ones((1, 2), "float32")
    if not isinstance(prior, keras.Layer):
        found = again.prior_distribution().log_prob(z)
        assert_close(found, prior.log_prob(z), 1e-6)


@pytest.mark.parametrize(
    ("head", "event_shape"),
    [
        (IndependentPoisson(2), (2,)),
        (MaskedAutoregressiveFlow(2, num_transforms=2), (2,)),
        (RealAndYesNo(), (2,)),
        (IndependentNormal(), ()),
        (keras.Sequential([keras.layers.Dense(4), IndependentNormal(2)]), (2,)),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_heads(head, event_shape):
    model = small(head=head, latent_dim=2, spread=0.3)
    distribution = model(sequences(3))
    assert (distribution.batch_shape, distribution.event_shape) == ((3, STEPS), event_shape)


def test_file_in_safe_mode(tmp_path):
    options = {"prior": "flow", "posterior": "full", "cell": "gru", "depth": 2, "free_bits": 0.1}
    model = small(latent_dim=2, head=RealAndYesNo(), spread=0.3, **options)
    model.kl_weight.assign(0.5)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, RecurrentVAE)
    assert float(loaded.kl_weight) == 0.5
    x, z = ops.convert_to_tensor(sequences(3)), np.ones((1, 2), "float32")
    for ask in (
        lambda m: m.encoder(x).covariance(),
        lambda m: m.decoder(x).mean(),
        lambda m: m.prior_distribution().log_prob(z),
    ):
        assert_close(ask(loaded), to_numpy(ask(model)), 1e-5)
    ours, theirs = ({**m.get_config(), "head": None} for m in (model, loaded))
    assert ours == theirs


def test_a_file_holds_the_weights_once(model, tmp_path):
    model.generate(3, steps=5, seed=5, batch_size=3)
    model.save_weights(tmp_path / "asked.weights.h5")
    small(latent_dim=2, head=RealAndYesNo()).save_weights(tmp_path / "fresh.weights.h5")
    asked, fresh = ((tmp_path / f"{n}.weights.h5").stat().st_size for n in ("asked", "fresh"))
    assert asked == fresh


def test_mixed_precision():
    model = small(latent_dim=2, dtype="mixed_bfloat16", prior="mixture", spread=0.3)
    x = sequences()
    distribution = model(x)
    assert distribution.dtype == "float32"
    assert model.encoder(ops.convert_to_tensor(x)).dtype == "float32"
    assert compat.dtype_of(model.losses[0]) == "float32"
    assert model.encoder.core.recurrent[0].compute_dtype == "bfloat16"
    exact = small(latent_dim=2, prior="mixture", spread=0.3)
    found, expected = (to_numpy(m.encoder(ops.convert_to_tensor(x)).mean()) for m in (model, exact))
    assert np.abs(found - expected).max() < 0.05


def test_functional_model_of_sequences_of_any_length():
    inputs = keras.Input((None, CHANNELS))
    outputs = small(latent_dim=2)(keras.layers.Masking(PADDING)(inputs))
    assert (outputs.batch_shape, outputs.event_shape) == ((None, None), (CHANNELS,))


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": 3}, "head must be a layer, got 3"),
        ({"head": IndependentNormal(2, "mean")}, r"the head '.*' gives a tensor.*='mean'"),
        ({"latent_dim": 0}, "latent_dim must be an int >= 1, got 0"),
        ({"units": 1.0}, r"units must be an int >= 1, got 1\.0"),
        ({"depth": 0}, "depth must be an int >= 1, got 0"),
        ({"cell": "rnn"}, r"cell must be one of \('lstm', 'gru'\), got 'rnn'"),
        ({"posterior": "any"}, r"posterior must be one of \('diagonal', 'full'\), got 'any'"),
        ({"prior": "normal"}, r"prior must be one of .*, a distribution or a layer .*'normal'"),
        ({"prior_components": 0}, "prior_components must be an int >= 1, got 0"),
        ({"free_bits": -1.0}, r"free_bits must be a number >= 0, got -1\.0"),
        ({"kl_weight": "a"}, "kl_weight must be a number >= 0, got 'a'"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=f"RecurrentVAE: {message}"):
        RecurrentVAE(**{"head": IndependentNormal(2), "latent_dim": 2, **options})


def test_inputs_that_do_not_fit():
    model = RecurrentVAE(IndependentNormal(2), 2)
    with pytest.raises(ValueError, match=r"generate: the model '.*' has no weights yet"):
        model.generate(2, 3)
    with pytest.raises(ValueError, match=r"sequences of shape \(batch, time, channels\)"):
        model.encode(np.zeros((3, 4), "float32"))
    prior = td.Independent(td.Normal([0.0, 0.0, 0.0], 1.0))
    with pytest.raises(ValueError, match="one distribution of vectors of 2 components"):
        RecurrentVAE(IndependentNormal(2), 2, prior=prior).prior_distribution()
    model = small(latent_dim=2)
    with pytest.raises(ValueError, match=r"z must have the shape .* latent_dim 2, got \(3, 1\)"):
        model.decode(np.zeros((3, 1)), 4)
    with pytest.raises(ValueError, match=r"x must have the shape .* time, 2\), got \(6, 4, 3\)"):
        model.encode(sequences(channels=3))
    with pytest.raises(ValueError, match=r"mask must have the shape .* \(6, 4\) .* got \(6, 3\)"):
        model.reconstruct(sequences(), mask=np.ones((6, 3)))
    with pytest.raises(ValueError, match="mask is for arrays; a data set has it in its batches"):
        model.anomaly_score([sequences()], mask=np.ones((6, 4)))
    with pytest.raises(ValueError, match="number must be an int >= 2, got 1"):
        model.interpolate(sequences(), sequences(), 1)
    x = sequences()
    x[2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"NaN at 1 steps .* the first at step 1 of sequence 2"):
        model.encode(x)
    with pytest.raises(ValueError, match="num_samples must be an int >= 1, got 0"):
        model.importance_weighted_bound(sequences(), 0)
    with pytest.raises(TypeError, match="seed must be an int or None, got 'a'"):
        model.generate(2, 3, seed="a")
