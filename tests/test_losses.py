"""Losses of distributions: reductions, weights, masks, missing values, errors."""

import keras
import numpy as np
import pytest
import scoringrules
from helpers import BACKEND, to_numpy, value_and_gradient
from keras import ops
from models import QUICK
from scipy import stats

from timedist.distributions import (
    Categorical,
    Deterministic,
    Independent,
    MixtureSameFamily,
    Normal,
    Poisson,
)
from timedist.layers import IndependentNormal, MixtureNormal
from timedist.losses import CRPS, DistributionLoss, EnergyScore, NegativeLogLikelihood, Pinball
from timedist.ops import compat

RNG = np.random.default_rng(0)
B, T, D = 4, 4, 3  # as many sequences as steps: nothing but the position tells them apart
LOC = RNG.normal(size=(B, T, D)).astype("float32")
SCALE = np.exp(0.3 * RNG.normal(size=(B, T, D))).astype("float32")
Y = RNG.normal(size=(B, T, D)).astype("float32")
EACH = 0.5 * ((Y - LOC) / SCALE) ** 2 + np.log(SCALE) + 0.5 * np.log(2 * np.pi)
STEPS = EACH.sum(-1)
MASK = np.arange(T) < np.array([4, 3, 1, 0])[:, None]
WEIGHTS = {
    "none": None,
    "step": RNG.uniform(0.1, 2.0, size=(B, T)).astype("float32"),
    "sequence": RNG.uniform(0.1, 2.0, size=(B,)).astype("float32"),
    "column": RNG.uniform(0.1, 2.0, size=(B, 1)).astype("float32"),
    "step_column": RNG.uniform(0.1, 2.0, size=(B, T, 1)).astype("float32"),
}
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def normal(loc=LOC, scale=SCALE, mask=None):
    """The distribution of the tests, with a Keras mask."""
    made = Independent.trusted(
        base=Normal.trusted(loc=loc, scale=scale), reinterpreted_batch_ndims=1
    )
    if mask is not None:
        compat.set_keras_mask(made, ops.convert_to_tensor(mask))
    return made


def spread(weight):
    """A weight as an array of one value a step."""
    if weight is None:
        return np.ones((B, T))
    return np.broadcast_to(weight.reshape(B, -1), (B, T)).astype("float64")


def reduced(steps, weight, mask, reduction):
    """The documented reduction in NumPy."""
    counted = np.ones((B, T)) if mask is None else mask.astype("float64")
    weighted = np.where(counted > 0, steps * spread(weight), 0.0)
    if reduction in (None, "none"):
        return weighted
    if reduction == "sum":
        return weighted.sum()
    if reduction == "mean_with_sample_weight" and (weight is not None or mask is not None):
        return weighted.sum() / (spread(weight) * counted).sum()
    return weighted.sum() / counted.sum()


@pytest.mark.parametrize("reduction", REDUCTIONS, ids=str)
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("weight", WEIGHTS)
def test_reductions_against_numpy(weight, masked, reduction):
    mask = MASK if masked else None
    weight = WEIGHTS[weight]
    actual = NegativeLogLikelihood(reduction=reduction)(Y, normal(mask=mask), weight)
    expected = reduced(STEPS, weight, mask, reduction)
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=2e-6)


@pytest.mark.parametrize("garbage", [1e30, np.nan, np.inf])
def test_what_is_masked_does_not_matter(garbage):
    y = np.where(MASK[..., None], Y, garbage).astype("float32")

    def loss(loc, scale):
        return NegativeLogLikelihood()(y, normal(loc, scale, MASK))

    value, gradients = value_and_gradient(loss, LOC, SCALE)
    np.testing.assert_allclose(value, STEPS[MASK].mean(), rtol=2e-6)
    for found in gradients:
        assert np.isfinite(found).all()
        assert (found[~MASK] == 0.0).all()
        assert (found[MASK] != 0.0).all()


def test_missing_values_count_for_nothing():
    there = RNG.uniform(size=Y.shape) < 0.6
    there[0] = False
    there[1, 0] = [True, False, True]
    y = np.where(there, Y, np.nan).astype("float32")

    def loss(loc, scale):
        return NegativeLogLikelihood(missing="mask")(y, normal(loc, scale))

    value, (to_loc, to_scale) = value_and_gradient(loss, LOC, SCALE)
    number = there.any(-1).sum()
    np.testing.assert_allclose(value, EACH[there].sum() / number, rtol=2e-6)
    expected = np.where(there, (LOC - Y) / SCALE**2, 0.0) / number
    np.testing.assert_allclose(to_loc, expected, rtol=2e-5, atol=1e-7)
    assert (to_loc[~there] == 0.0).all()
    assert (to_scale[~there] == 0.0).all()


@pytest.mark.parametrize("reduction", REDUCTIONS, ids=str)
def test_missing_and_masked_and_weighted(reduction):
    there = np.ones((B, T), "bool")
    there[:, 1] = False
    y = np.where(there[..., None], Y, np.nan).astype("float32")
    loss = NegativeLogLikelihood(missing="mask", reduction=reduction)
    actual = loss(y, normal(mask=MASK), WEIGHTS["step"])
    expected = reduced(STEPS, WEIGHTS["step"], MASK & there, reduction)
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=2e-6)


def test_all_missing_is_zero_with_zero_gradient():
    def loss(loc, scale):
        return NegativeLogLikelihood(missing="mask")(np.full_like(Y, np.nan), normal(loc, scale))

    value, gradients = value_and_gradient(loss, LOC, SCALE)
    assert value == 0.0
    assert all((g == 0.0).all() for g in gradients)


def test_one_missing_component_of_a_mixture_leaves_out_the_event():
    logits = RNG.normal(size=(B, T, 2)).astype("float32")
    locs = RNG.normal(size=(B, T, 2, D)).astype("float32")
    y = Y.copy()
    y[0, 0, 1] = np.nan

    def loss(logits, locs):
        parts = Independent.trusted(
            base=Normal.trusted(loc=locs, scale=ops.ones_like(locs)), reinterpreted_batch_ndims=1
        )
        mixture = MixtureSameFamily.trusted(
            mixture=Categorical.trusted(logits=logits), components=parts
        )
        return NegativeLogLikelihood(missing="mask", reduction="none")(y, mixture)

    value, gradients = value_and_gradient(loss, logits, locs)
    assert value[0, 0] == 0.0
    assert np.isfinite(value).all()
    for found in gradients:
        assert (found[0, 0] == 0.0).all()
        assert np.isfinite(found).all()
        assert (found[1:] != 0.0).any()


def test_nan_without_a_word_is_an_error_where_numbers_can_be_seen():
    y = Y.copy()
    y[2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r'1 NaN targets.*\(2, 1, 0\).*missing="mask"'):
        NegativeLogLikelihood()(y, normal())
    model = head_model()
    model.compile("sgd", NegativeLogLikelihood(), run_eagerly=True)
    with pytest.raises(ValueError, match="NaN targets"):
        model.fit(LOC, y, verbose=0)


@pytest.mark.skipif(BACKEND == "torch", reason="torch does not compile by itself")
def test_nan_without_a_word_is_a_nan_loss_under_compilation():
    y = Y.copy()
    y[2, 1, 0] = np.nan
    model = head_model()
    model.compile("sgd", NegativeLogLikelihood())
    assert np.isnan(model.fit(LOC, y, verbose=0).history["loss"][0])


def head_model(mask=False):
    """Features to a normal, with a recurrent layer if masks are to matter."""
    inputs = keras.Input((None, D))
    hidden = inputs
    if mask:
        hidden = keras.layers.Masking()(inputs)
        hidden = keras.layers.SimpleRNN(4, return_sequences=True)(hidden)
    return keras.Model(inputs, IndependentNormal(D)(keras.layers.Dense(2 * D)(hidden)))


def one_step(model, x, y, weight=None):
    """Loss and metric of one step, and how far it moved the weights: the gradients."""
    start = [w.copy() for w in model.get_weights()]
    model.compile(
        keras.optimizers.SGD(1.0),
        NegativeLogLikelihood(missing="mask"),
        metrics=["mae"],
        **QUICK,
    )
    results = model.test_on_batch(x, y, sample_weight=weight)
    model.train_on_batch(x, y, sample_weight=weight)
    moved = [a - b for a, b in zip(start, model.get_weights(), strict=True)]
    model.set_weights(start)
    return np.asarray(results), moved


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_padded_data_is_as_good_as_unpadded(weighted):
    model = head_model(mask=True)
    weight = WEIGHTS["step"] if weighted else None
    results, gradients = one_step(model, LOC, Y, weight)

    def padded(a, value=0.0):
        return np.concatenate([a, np.full((B, 3, *a.shape[2:]), value, "float32")], 1)

    again, its = one_step(
        model, padded(LOC), padded(Y, 5.0), padded(weight, 3.0) if weighted else None
    )
    np.testing.assert_allclose(again, results, rtol=1e-6)
    for mine, other in zip(gradients, its, strict=True):
        np.testing.assert_allclose(other, mine, rtol=1e-6, atol=1e-6)
    again, its = one_step(
        model, padded(LOC), padded(Y, np.nan), padded(weight, 3.0) if weighted else None
    )
    np.testing.assert_allclose(again[0], results[0], rtol=1e-6)
    for mine, other in zip(gradients, its, strict=True):
        np.testing.assert_allclose(other, mine, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("inner", [(), (2,)], ids=str)
def test_a_step_counts_if_anything_in_it_does(inner):
    mask = np.zeros((B, T, *inner), "bool")
    mask[MASK] = True
    if inner:
        mask[..., 1] = False
    actual = NegativeLogLikelihood()(Y, normal(mask=mask))
    np.testing.assert_allclose(to_numpy(actual), STEPS[MASK].mean(), rtol=2e-6)


def test_a_mask_of_whole_sequences():
    mask = np.array([True, False, True, True])
    actual = NegativeLogLikelihood()(Y, normal(mask=mask))
    np.testing.assert_allclose(to_numpy(actual), STEPS[mask].mean(), rtol=2e-6)


def test_a_mask_of_every_kind_of_head():
    inputs = keras.Input((None, D))
    hidden = keras.layers.Dense(MixtureNormal.params_size(2, D))(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, MixtureNormal(2, D)(hidden))
    x = np.where(MASK[..., None], LOC, 0.0).astype("float32")
    y = np.where(MASK[..., None], Y, np.nan).astype("float32")
    actual = to_numpy(NegativeLogLikelihood()(y, model(x)))
    expected = -to_numpy(model(x).log_prob(Y))[MASK].mean()
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", ["step", "sequence"])
def test_weights_in_fit(shape):
    model = head_model()
    model.compile("sgd", NegativeLogLikelihood(), **QUICK)
    weight = WEIGHTS[shape]
    actual = model.test_on_batch(LOC, Y, sample_weight=weight)
    expected = (-to_numpy(model(LOC).log_prob(Y)) * spread(weight)).mean()
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "event_shape"),
    [((B, T), (1,)), ((B, T, 1), ()), ((B, T, 1), (1,)), ((B, T), ())],
    ids=str,
)
def test_an_axis_of_one_may_be_left_out(given, event_shape):
    head = IndependentNormal(event_shape)
    raw = RNG.normal(size=(B, T, 2)).astype("float32")
    y = Y[..., 0].reshape(given)
    expected = -to_numpy(head(raw).log_prob(Y[..., 0].reshape((B, T, *event_shape)))).mean()
    np.testing.assert_allclose(to_numpy(NegativeLogLikelihood()(y, head(raw))), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [(B, T), (B, T, 2), (B, D), (B, 1, D), (1, T, D), (B, T, D, 1, 1), (), (B, T + 1, D)],
    ids=str,
)
def test_wrong_target_shapes(shape):
    with pytest.raises(
        ValueError, match=r"targets of shape .*expected \(4, 4, 3\).*\(4, 4\).*\(3,\)"
    ):
        NegativeLogLikelihood()(np.zeros(shape, "float32"), normal())


@pytest.mark.parametrize("shape", [(3,), (B, 3), (B, T, D), (2, T), (B, T, 1, 1)], ids=str)
def test_wrong_weight_shapes(shape):
    with pytest.raises(ValueError, match=r"sample weights of shape .*expected \(4, 4\)"):
        NegativeLogLikelihood()(Y, normal(), np.ones(shape, "float32"))


def test_wrong_target_shape_in_fit():
    model = head_model()
    model.compile("sgd", NegativeLogLikelihood())
    with pytest.raises(ValueError, match="targets of shape"):
        model.fit(LOC, Y[..., :2], verbose=0)


def test_what_is_no_distribution_is_a_type_error():
    with pytest.raises(
        TypeError, match=r"takes a distribution but got .*\(4, 4, 3\).*IndependentNormal"
    ):
        NegativeLogLikelihood()(Y, ops.convert_to_tensor(LOC))
    model = keras.Sequential([keras.layers.Dense(D)])
    model.compile("sgd", NegativeLogLikelihood())
    with pytest.raises(TypeError, match="takes a distribution"):
        model.fit(LOC, Y, verbose=0)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="missing must be one of"):
        NegativeLogLikelihood(missing="ignore")
    with pytest.raises(ValueError, match="reduction"):
        NegativeLogLikelihood(reduction="average")


def test_config_round_trip():
    loss = NegativeLogLikelihood(missing="mask", reduction="sum", name="mine")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (again.missing, again.reduction, again.name) == ("mask", "sum", "mine")


def test_dtypes():
    value = NegativeLogLikelihood()(Y.astype("float64").tolist(), normal())
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(value), STEPS.mean(), rtol=2e-6)
    half = NegativeLogLikelihood()(ops.cast(Y, "bfloat16"), normal())
    np.testing.assert_allclose(to_numpy(half), STEPS.mean(), rtol=2e-2)
    whole = NegativeLogLikelihood()(np.ones(Y.shape, "int32"), normal())
    assert np.isfinite(to_numpy(whole))


# --- the other losses --------------------------------------------------------------------------

LEVELS = (0.1, 0.5, 0.8)
SCORES = {
    "crps": CRPS,
    "pinball": lambda **kwargs: Pinball(LEVELS, **kwargs),
    "energy": lambda **kwargs: EnergyScore(8, **kwargs),
}


def each_by_scipy(name):
    """The score of every component by other implementations."""
    y, loc, scale = (a.astype("float64") for a in (Y, LOC, SCALE))
    if name == "crps":
        return scoringrules.crps_normal(y, loc, scale)
    quantiles = [stats.norm.ppf(p, loc, scale) for p in LEVELS]
    each = [scoringrules.quantile_score(y, q, p) for q, p in zip(quantiles, LEVELS, strict=True)]
    return np.mean(each, axis=0)


@pytest.mark.parametrize("name", ["crps", "pinball"])
def test_scores_against_other_implementations(name):
    each = each_by_scipy(name)
    actual = SCORES[name](reduction="none")(Y, normal())
    np.testing.assert_allclose(to_numpy(actual), each.sum(-1), rtol=2e-5)
    there = RNG.uniform(size=Y.shape) < 0.6
    there[0], there[1, 0] = False, [True, False, True]
    y = np.where(there, Y, np.nan).astype("float32")
    loss = SCORES[name](missing="mask")
    actual = loss(y, normal(mask=MASK), WEIGHTS["step"])
    steps = np.where(there, each, 0.0).sum(-1)
    expected = reduced(steps, WEIGHTS["step"], MASK & there.any(-1), "sum_over_batch_size")
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=2e-5)


def test_energy_score_without_spread_is_the_distance():
    certain = Independent(Deterministic(LOC))
    y = Y.copy()
    y[..., 1] = np.nan
    loss = EnergyScore(2, missing="mask", reduction="none")
    actual = to_numpy(loss(y, certain))
    np.testing.assert_allclose(actual, np.linalg.norm((Y - LOC)[..., ::2], axis=-1), rtol=1e-5)
    matrix = Independent(Deterministic(LOC), 2)
    expected = np.linalg.norm((Y - LOC).reshape(B, -1), axis=-1)
    actual = to_numpy(EnergyScore(2, reduction="none")(Y, matrix))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_energy_score_of_a_scalar_is_the_crps():
    loc = np.zeros((4000,), "float32")
    y = np.linspace(-2, 2, 4000, dtype="float32")
    each = to_numpy(EnergyScore(16, reduction="none")(y, Normal(loc, 1.0)))
    expected = scoringrules.crps_normal(y, 0.0, 1.0)
    assert abs((each - expected).mean()) < 4 * (each - expected).std() / np.sqrt(4000)


def test_the_gradient_of_the_energy_score_is_that_of_the_crps():
    loc, scale = np.full((4000,), 0.5, "float32"), np.full((4000,), 2.0, "float32")
    y = np.zeros((4000,), "float32")
    _, found = value_and_gradient(
        lambda m, s: EnergyScore(16, reduction="sum")(y, Normal(m, s)), loc, scale
    )
    _, expected = value_and_gradient(lambda m, s: ops.sum(Normal(m, s).crps(y)), loc, scale)
    for each, exact in zip(found, expected, strict=True):
        assert abs(each.mean() - exact.mean()) < 4 * each.std() / np.sqrt(4000)
        assert each.std() > 0.0


def test_the_noise_of_the_energy_score():
    def score(shift=0.0, seed=0):
        return float(EnergyScore(4, seed=seed)(Y[:1] + shift, normal(LOC[:1] + shift, SCALE[:1])))

    assert score() == score()
    assert abs(score() - score(seed=1)) > 1e-3
    # Only the noise can differ where truth and forecast are shifted together.
    assert abs(score() - score(shift=np.float32(1.0))) > 1e-3


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("garbage", [1e30, np.nan])
def test_what_is_masked_does_not_matter_to_scores(name, garbage):
    y = np.where(MASK[..., None], Y, garbage).astype("float32")

    def loss(loc, scale):
        return SCORES[name]()(y, normal(loc, scale, MASK))

    value, gradients = value_and_gradient(loss, LOC, SCALE)
    assert np.isfinite(value)
    if name != "energy":
        np.testing.assert_allclose(value, each_by_scipy(name).sum(-1)[MASK].mean(), rtol=2e-5)
    for found in gradients:
        assert np.isfinite(found).all()
        assert (found[~MASK] == 0.0).all()
        assert (found[MASK] != 0.0).any()


@pytest.mark.parametrize("name", SCORES)
def test_scores_train_a_model(name):
    x = RNG.normal(size=(64, 5, 2)).astype("float32")
    y = (x[..., :1] + 0.1 * RNG.normal(size=(64, 5, 1))).astype("float32")
    start = keras.initializers.GlorotUniform(1)
    model = keras.Sequential(
        [keras.layers.Dense(2, kernel_initializer=start), IndependentNormal(1)]
    )
    model.compile(keras.optimizers.Adam(0.1), SCORES[name](), **QUICK)
    losses = model.fit(x, y, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.4 * losses[0]


@pytest.mark.parametrize("name", ["pinball", "energy"])
def test_what_has_no_gradient_is_refused(name):
    counts = Independent(Poisson(np.ones((B, T, D), "float32")))
    with pytest.raises(ValueError, match=r"cannot train .*Poisson.*no gradient; use .*CRPS"):
        SCORES[name]()(np.ones((B, T, D), "float32"), counts)


def test_components_that_depend_on_each_other_have_no_crps():
    parts = Independent(Normal(np.zeros((4, 2, D), "float32"), 1.0))
    mixture = MixtureSameFamily(Categorical(logits=np.zeros((4, 2), "float32")), parts)
    for name in ("crps", "pinball"):
        with pytest.raises(NotImplementedError, match="MixtureSameFamily"):
            SCORES[name]()(Y[0], mixture)
    assert np.isfinite(float(SCORES["energy"]()(Y[0], mixture)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pinball([0.5, 1.0]), "Pinball: levels must be .* between 0 and 1"),
        (lambda: Pinball([]), "Pinball: levels must be"),
        (lambda: EnergyScore(1), "EnergyScore: num_samples must be an int >= 2, got 1"),
        (lambda: EnergyScore(8, seed=None), "EnergyScore: seed must be an int >= 0, got None"),
        (lambda: CRPS(missing="drop"), "CRPS: missing must be one of .* got 'drop'"),
    ],
)
def test_wrong_arguments_of_scores(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(NotImplementedError, match="DistributionLoss must implement"):
        DistributionLoss()(Y, normal())


@pytest.mark.parametrize(
    "loss",
    [
        CRPS(missing="mask", reduction="sum", name="mine"),
        Pinball([0.25, 0.75], missing="mask", reduction="sum", name="mine"),
        EnergyScore(5, seed=7, missing="mask", reduction="sum", name="mine"),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_config_round_trip_of_scores(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert again.get_config()["missing"] == "mask"
