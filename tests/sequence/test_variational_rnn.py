"""The variational recurrent network: what its loss is, its bounds, its draws, masks and files."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, assert_close, to_numpy
from keras import ops
from scipy import stats
from scipy.special import expit

import timedist
from timedist.layers import IndependentBernoulli, IndependentNormal, MaskedAutoregressiveFlow
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat
from timedist.sequence import VariationalRNN
from timedist.sequence.variational_cell import VariationalCell

STEPS, CHANNELS, LATENT, PADDING = 4, 2, 2, -9.0
NLL = NegativeLogLikelihood(reduction="mean_over_sequences")


def small(channels=CHANNELS, spread=0.7, **kwargs):
    """A built model whose weights are large enough that everything depends on everything."""
    keras.utils.set_random_seed(1)
    options = {"latent_dim": LATENT, "units": 3, "hidden_units": (4,), **kwargs}
    model = VariationalRNN(**{"head": IndependentNormal(channels), **options})
    model.build((None, None, channels))
    rng = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    for layer in (*model.reader, *model.prior.hidden, *model.decoder.hidden):
        layer.bias.assign(np.abs(to_numpy(layer.bias)))  # most rectified units are alive
    model.compile(keras.optimizers.Adam(0.01), NLL)
    return model


def certain(model):
    """The model with posteriors so narrow that their draws are their means."""
    bias = model.recurrence.cell.posterior.projection.bias
    bias.assign(np.where(np.arange(2 * model.latent_dim) < model.latent_dim, to_numpy(bias), -20.0))
    return model


def sequences(number=6, steps=STEPS, channels=CHANNELS, seed=0):
    return np.random.default_rng(seed).normal(size=(number, steps, channels)).astype("float32")


def normals(distribution):
    """Means and deviations of independent normals."""
    return tuple(to_numpy(a) for a in (distribution.base.loc, distribution.base.scale))


# --- by hand -------------------------------------------------------------------------------------


def lstm(x, states, kernel, recurrent_kernel, bias):
    h, c = states
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return [expit(o) * np.tanh(c), c]


def gru(x, states, kernel, recurrent_kernel, bias):
    (h,) = states
    read, kept = x @ kernel + bias[0], h @ recurrent_kernel + bias[1]
    (z, r, g), (own_z, own_r, own_g) = (np.split(a, 3, axis=-1) for a in (read, kept))
    z = expit(z + own_z)
    return [z * h + (1.0 - z) * np.tanh(g + expit(r + own_r) * own_g)]


def dense(layer, x):
    kernel, bias = (to_numpy(w).astype("float64") for w in (layer.kernel, layer.bias))
    return x @ kernel + bias


def read(layers, x):
    for layer in layers:
        x = np.maximum(dense(layer, x), 0.0)
    return x


def normal(coder, x):
    """Mean and deviation of a network that ends in a normal."""
    loc, raw = np.split(dense(coder.projection, read(coder.hidden, x)), 2, axis=-1)
    return loc, np.logaddexp(raw, 0.0)


def by_hand(model, x, noise):
    """Divergence and log likelihood of every step, from the weights and the noise."""
    cell = model.recurrence.cell
    advance, number = {"lstm": (lstm, 2), "gru": (gru, 1)}[model.cell]
    weights = [to_numpy(w).astype("float64") for w in cell.recurrent.weights]
    states = [np.zeros((len(x), model.units))] * number
    nats, log_x = [], []
    for t in range(x.shape[1]):
        features, h = read(model.reader, x[:, t]), states[0]
        (m, s), (n, r) = normal(cell.posterior, np.hstack([features, h])), normal(model.prior, h)
        z = m + s * noise[:, t]
        nats.append(np.log(r / s) + (s**2 + (m - n) ** 2) / (2.0 * r**2) - 0.5)
        latent = read(cell.reader, z)
        likelihood = stats.norm(*normal(model.decoder, np.hstack([latent, h])))
        log_x.append(likelihood.logpdf(x[:, t]).sum(axis=-1))
        states = advance(np.hstack([features, latent]), states, *weights)
    return np.stack(nats, axis=1), np.stack(log_x, axis=1)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_loss_is_the_negative_bound_of_the_draws(cell, monkeypatch):
    model, x = small(cell=cell), sequences(5)
    noise = np.random.default_rng(3).normal(size=(5, STEPS, LATENT)).astype("float32")
    monkeypatch.setattr(model, "noise", lambda x, seed: ops.convert_to_tensor(noise))
    nats, log_x = by_hand(model, x, noise)
    distribution = model(x)
    assert distribution.batch_shape == (5, STEPS)
    assert_close(distribution.log_prob(x), log_x, 1e-4, floor=0.1)
    (divergence,) = model.losses
    assert_close(divergence, nats.sum(axis=(1, 2)).mean(), 1e-5)
    loss = divergence + NLL(x, distribution)
    assert_close(loss, (nats.sum(axis=(1, 2)) - log_x.sum(axis=1)).mean(), 1e-5)
    # What is free and the weight, of each component over the whole sequence.
    each = nats.sum(axis=1).mean(axis=0)
    model.free_bits = free = float(each.mean())
    model.kl_weight.assign(0.25)
    model(x)
    assert_close(model.losses[0], 0.25 * np.maximum(each, free).sum(), 1e-5)


# --- the loss ------------------------------------------------------------------------------------


def test_neither_the_batch_nor_padding_changes_the_loss():
    model, x = certain(small()), sequences(8)
    expected = model.evaluate(x, x, batch_size=8, verbose=0)
    assert_close(model.evaluate(x, x, batch_size=4, verbose=0), expected, 1e-5)
    masking = keras.Sequential([keras.layers.Masking(PADDING), model])
    masking.compile("adam", NLL)
    for where in (0, 2, STEPS):
        longer = np.insert(x, [where] * 3, PADDING, axis=1)
        assert_close(masking.evaluate(longer, longer, batch_size=4, verbose=0), expected, 1e-5)


def test_a_mask_is_kept_and_nothing_is_seen_through_it():
    model, x = small(), sequences(3)
    longer = np.insert(x, [0, 2, STEPS], np.nan, axis=1)
    mask = np.tile(~np.isnan(longer[0, :, 0]), (3, 1))
    distribution = model(ops.convert_to_tensor(longer), mask=ops.convert_to_tensor(mask))
    assert distribution.batch_shape == (3, STEPS + 3)
    np.testing.assert_array_equal(to_numpy(compat.get_keras_mask(distribution)), mask)
    for ask in (model.encode, model.reconstruct):
        short, found = normals(ask(x)), normals(ask(longer, mask=mask))
        for ours, expected in zip(found, short, strict=True):
            assert_close(ours[mask].reshape(expected.shape), expected, 1e-5)
    by_step = model.anomaly_score(longer, 5, per_step=True, seed=1, mask=mask)
    assert (by_step[~mask] == 0.0).all()
    assert (by_step[mask] != 0.0).all()
    masking = keras.Sequential([keras.layers.Masking(PADDING), model])
    masking.compile("adam", NLL)
    padded = np.where(mask[..., None], longer, PADDING)
    masking.train_on_batch(padded, np.where(mask[..., None], longer, 0.0))
    assert all(np.isfinite(w).all() for w in model.get_weights())


# --- a linear model, whose likelihood is known ---------------------------------------------------


class Memory(keras.layers.Layer):
    """A cell that holds the last observation and latent vector as they are."""

    state_size = 2

    def call(self, inputs, states):
        del states
        return inputs, [inputs]


# Coefficients of x_{t-1} and z_{t-1}; of z_t, x_{t-1} and z_{t-1}; of x_t, x_{t-1} and z_{t-1}.
PRIOR, LIKELIHOOD, POSTERIOR = (0.15, 0.5), (1.5, 0.3, 0.0), (0.5, -0.1, 0.05)
PRIOR_SCALE, NOISE, POSTERIOR_SCALE, OFFSET = 0.8, 0.5, 0.35, 0.2


def set_affine(coder, weights, scale, offset=0.0):
    kernel = np.zeros((len(weights), 2))
    kernel[:, 0] = weights
    coder.projection.kernel.assign(kernel)
    coder.projection.bias.assign(np.array([offset, np.log(np.expm1(scale))]))


@pytest.fixture(scope="module")
def linear():
    """z_t and x_t are linear in what was before, with normal noise."""
    model = VariationalRNN(IndependentNormal(1), 1, units=2, cell="gru", hidden_units=())
    model.recurrence.cell.recurrent = Memory()
    model.build((None, None, 1))
    set_affine(model.prior, PRIOR, PRIOR_SCALE)
    set_affine(model.decoder, LIKELIHOOD, NOISE, OFFSET)
    set_affine(model.recurrence.cell.posterior, POSTERIOR, POSTERIOR_SCALE)
    return model


def law(steps, before=(0.0, 0.0), variance=0.0):
    """Mean and covariance of x_1, ..., x_T after (x_0, z_0), z_0 of some variance."""
    size = 2 + 2 * steps  # a constant, the deviation of z_0, and the noise of every step
    x, z = np.zeros((2, size))
    x[0], z[0], z[1] = *before, np.sqrt(variance)
    rows = []
    for t in range(steps):
        z_new, x_new = PRIOR[0] * x + PRIOR[1] * z, LIKELIHOOD[1] * x + LIKELIHOOD[2] * z
        z_new[2 + 2 * t] += PRIOR_SCALE
        x_new = x_new + LIKELIHOOD[0] * z_new
        x_new[0] += OFFSET
        x_new[3 + 2 * t] += NOISE
        x, z = x_new, z_new
        rows.append(x)
    rows = np.stack(rows)
    return rows[:, 0], rows[:, 1:] @ rows[:, 1:].T


def log_likelihood(x):
    mean, covariance = law(x.shape[1])
    return stats.multivariate_normal(mean, covariance).logpdf(x[..., 0])


def moments_agree(draws, mean, covariance):
    """Draws `(number, steps)` of a normal law, by bounds from their number."""
    number, variance = len(draws), np.diag(covariance)
    assert (np.abs(draws.mean(axis=0) - mean) < 4.5 * np.sqrt(variance / number)).all()
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / number)
    assert (np.abs(np.cov(draws.T) - covariance) < 4.5 * error).all()


def test_bounds_rise_to_the_exact_likelihood(linear):
    x = sequences(4, 3, 1)
    exact = log_likelihood(x)
    rows = np.repeat(x, 250, axis=0)
    means, errors = [], []
    for number in (1, 8):
        found = linear.importance_weighted_bound(rows, number, seed=number, batch_size=1000)
        found = found.reshape(4, 250)
        means.append(found.mean())
        errors.append(np.sqrt(found.var(axis=1).sum() / 250) / 4)
    assert means[0] + 4.0 * errors[0] < means[1] - 4.0 * errors[1]
    assert means[1] < exact.mean() + 4.0 * errors[1]
    many = linear.importance_weighted_bound(x, 3000, seed=3, batch_size=4)
    assert_close(many, exact, 0.03)
    # The steps add up, and each is what it adds to those before.
    assert_close(linear.anomaly_score(x, 3000, seed=3, batch_size=4), -many, 1e-6)
    by_step = linear.anomaly_score(x, 3000, per_step=True, seed=3, batch_size=4)
    assert_close(by_step.sum(axis=-1), -many, 1e-4)
    upto = np.stack([log_likelihood(x[:, : t + 1]) for t in range(3)], axis=1)
    assert_close(by_step, -np.diff(upto, axis=1, prepend=0.0), 0.05, floor=1.0)
    # A masked step is no step.
    longer, mask = np.insert(x, 1, np.nan, axis=1), np.tile([True, False, True, True], (4, 1))
    found = linear.importance_weighted_bound(longer, 3000, seed=3, mask=mask, batch_size=4)
    assert_close(found, exact, 0.03)


def test_particles_keep_the_bound_of_long_sequences_tight(linear):
    x, number = sequences(5, 60, 1, seed=4), 50
    exact = log_likelihood(x)
    rows, options = np.repeat(x, 40, axis=0), {"seed": 1, "batch_size": 200}
    plain = linear.importance_weighted_bound(rows, number, **options).reshape(5, 40)
    found = linear.importance_weighted_bound(rows, number, resample=True, **options)
    found = found.reshape(5, 40)
    assert (exact - found.mean(axis=1) < 0.5 * (exact - plain.mean(axis=1))).all()
    # What it estimates without bias is the likelihood itself.
    ratios = np.exp(found - exact[:, None])
    error = np.sqrt(ratios.var(axis=1).mean() / ratios.size)
    assert error < 0.15
    assert abs(ratios.mean() - 1.0) < 4.0 * error
    # For a single draw there is nothing to choose from; a masked step is passed over.
    longer, mask = np.insert(x, 30, np.nan, axis=1), np.tile(np.arange(61) != 30, (5, 1))
    one, same = (
        linear.importance_weighted_bound(longer, 1, 2, mask, batch_size=5, resample=resample)
        for resample in (False, True)
    )
    assert_close(one, same, 1e-4)


def test_generated_sequences_follow_the_model(linear):
    drawn = linear.generate(5000, steps=4, seed=1, batch_size=5000)  # in two blocks
    assert drawn.shape == (5000, 4, 1)
    moments_agree(drawn[..., 0], *law(4))


def test_what_follows_a_prefix(linear):
    x = np.array([[0.5, -1.0, 2.0], [3.0, 1.0, 0.0]], "float32")[..., None]
    padded = np.insert(x, 0, np.nan, axis=1)
    mask = np.tile([False, True, True, True], (2, 1))
    drawn = linear.generate(4000, steps=3, seed=2, prefix=padded, mask=mask, batch_size=2)
    assert drawn.shape == (2, 4000, 3, 1)
    for row in range(2):
        before, mean, variance = 0.0, 0.0, 0.0
        for value in x[row, :, 0]:
            mean = POSTERIOR[0] * value + POSTERIOR[1] * before + POSTERIOR[2] * mean
            variance = POSTERIOR[2] ** 2 * variance + POSTERIOR_SCALE**2
            before = value
        moments_agree(drawn[row, :, :, 0], *law(3, (before, mean), variance))


# --- draws, programs, files ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return small(head=IndependentBernoulli(CHANNELS))


def test_seeds(model):
    found = model.generate(6, steps=5, seed=1, batch_size=3)
    assert found.shape == (6, 5, CHANNELS)
    assert set(np.unique(found)) == {0.0, 1.0}
    assert (found[:3] != found[3:]).any()
    np.testing.assert_array_equal(found, model.generate(6, steps=5, seed=1, batch_size=3))
    assert (found != model.generate(6, steps=5, seed=2, batch_size=3)).any()
    assert (found != model.generate(6, steps=5, batch_size=3)).any()
    one, other = model.generate(2, steps=5, seed=1, prefix=found[:3, :2]).swapaxes(0, 1)
    assert (one != other).any()


def test_batches_compile_once(monkeypatch):
    if BACKEND == "torch":
        pytest.skip("torch does not trace")
    calls, original = [], VariationalCell.advance
    monkeypatch.setattr(
        VariationalCell, "advance", lambda *args: calls.append(1) or original(*args)
    )
    model, x = small(), sequences(8, 12)
    model.fit(x[:4], x[:4], batch_size=4, verbose=0)
    assert 0 < len(calls) < 12  # one loop, not one graph a step
    trained = len(calls)
    model.fit(x, x, batch_size=4, epochs=2, verbose=0)
    assert len(calls) == trained
    model.generate(2, steps=12, seed=1, batch_size=2)
    drawn = len(calls)
    assert drawn - trained < 12
    model.generate(6, steps=12, seed=2, batch_size=2)
    assert len(calls) == drawn


def test_training_moves_every_network():
    model, x = small(), sequences()
    before = [w.copy() for w in model.get_weights()]
    assert np.isfinite(model.train_on_batch(x, x))
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    trainable = {id(w) for w in model.trainable_weights}
    assert all(c for c, w in zip(changed, model.weights, strict=True) if id(w) in trainable)


def test_predict_gives_draws_of_the_call(model):
    predicted = timedist.predict(model, sequences(4), verbose=0)
    assert predicted.batch_shape == (4, STEPS)
    posterior = model.encode(sequences(4))
    assert (posterior.batch_shape, posterior.event_shape) == ((4, STEPS), (LATENT,))


@pytest.mark.parametrize(
    ("head", "event_shape"),
    [
        (MaskedAutoregressiveFlow(2, num_transforms=2), (2,)),
        (keras.Sequential([keras.layers.Dense(2), IndependentNormal()]), ()),
    ],
    ids=["flow", "sequential"],
)
def test_heads(head, event_shape):
    model = small(head=head, spread=0.3)
    distribution = model(sequences(3))
    assert (distribution.batch_shape, distribution.event_shape) == ((3, STEPS), event_shape)


def test_file_in_safe_mode(tmp_path):
    model = small(cell="gru", hidden_units=(4, 3), free_bits=0.1, kl_weight=0.7)
    model.kl_weight.assign(0.5)
    model.optimizer.build(model.trainable_variables)
    model.generate(2, steps=3, seed=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, VariationalRNN)
    assert float(loaded.kl_weight) == 0.5
    x = sequences(3)
    for ask in ("encode", "reconstruct"):
        found, expected = (normals(getattr(m, ask)(x)) for m in (loaded, model))
        assert_close(found, np.stack(expected), 1e-5)
    ours, theirs = ({**m.get_config(), "head": None} for m in (model, loaded))
    assert ours == theirs
    assert ours["hidden_units"] == (4, 3)
    assert (ours["free_bits"], ours["kl_weight"]) == (0.1, 0.7)


def test_mixed_precision():
    model, x = small(dtype="mixed_bfloat16", spread=0.3), sequences()
    distribution = model(x)
    assert distribution.dtype == "float32"
    assert compat.dtype_of(model.losses[0]) == "float32"
    assert model.recurrence.cell.recurrent.compute_dtype == "bfloat16"
    (found, _), (expected, _) = (normals(m.encode(x)) for m in (model, small(spread=0.3)))
    assert found.dtype == "float32"
    assert 0.0 < np.abs(found - expected).max() < 0.05
    assert model.generate(3, steps=2, seed=1, prefix=x).dtype == "float32"


def test_functional_model_of_sequences_of_any_length():
    inputs = keras.Input((None, CHANNELS))
    outputs = small()(keras.layers.Masking(PADDING)(inputs))
    assert (outputs.batch_shape, outputs.event_shape) == ((None, None), (CHANNELS,))


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": 3}, "head must be a layer, got 3"),
        ({"head": IndependentNormal(2, "mean")}, r"the head '.*' gives a tensor.*='mean'"),
        ({"latent_dim": 0}, "latent_dim must be an int >= 1, got 0"),
        ({"units": 1.0}, r"units must be an int >= 1, got 1\.0"),
        ({"cell": "rnn"}, r"cell must be one of \('lstm', 'gru'\), got 'rnn'"),
        ({"hidden_units": 8}, "hidden_units must be a list of ints .*, got 8"),
        ({"hidden_units": (8, 0)}, "hidden_units must be an int >= 1, got 0"),
        ({"free_bits": -1.0}, r"free_bits must be a number >= 0, got -1\.0"),
        ({"kl_weight": "a"}, "kl_weight must be a number >= 0, got 'a'"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=f"VariationalRNN: {message}"):
        VariationalRNN(**{"head": IndependentNormal(2), "latent_dim": 2, **options})


def test_inputs_that_do_not_fit():
    model = VariationalRNN(IndependentNormal(2), 2)
    with pytest.raises(ValueError, match=r"generate: the model '.*' has no weights yet"):
        model.generate(2, 3)
    with pytest.raises(ValueError, match=r"sequences of shape \(batch, time, channels\)"):
        model.encode(np.zeros((3, 4), "float32"))
    model = small()
    with pytest.raises(ValueError, match=r"x must have the shape .* time, 2\), got \(6, 4, 3\)"):
        model.encode(sequences(channels=3))
    with pytest.raises(ValueError, match=r"x must have the shape .* got \(6, 0, 2\)"):
        model.generate(1, 3, prefix=sequences(steps=0))
    with pytest.raises(ValueError, match=r"mask must have the shape .* \(6, 4\) .* got \(6, 3\)"):
        model.reconstruct(sequences(), mask=np.ones((6, 3)))
    with pytest.raises(ValueError, match="mask is that of a prefix; give one"):
        model.generate(2, 3, mask=np.ones((6, 4)))
    with pytest.raises(ValueError, match="steps must be an int >= 1, got 0"):
        model.generate(2, 0)
    x = sequences()
    x[2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"NaN at 1 steps .* the first at step 1 of sequence 2"):
        model.encode(x)
    with pytest.raises(ValueError, match="num_samples must be an int >= 1, got 0"):
        model.importance_weighted_bound(sequences(), 0)
    with pytest.raises(TypeError, match="VariationalRNN: seed must be an int or None, got 'a'"):
        model.generate(2, 3, seed="a")
    other = small(head=IndependentNormal(3))
    with pytest.raises(ValueError, match=r"draws events of shape \(3,\), .* reads 2 channels"):
        other.generate(2, 3)
