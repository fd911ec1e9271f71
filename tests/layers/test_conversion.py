"""`convert_to_tensor_fn`: layers of distributions that give tensors."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import BACKEND, to_numpy
from keras import ops
from models import QUICK

from timedist import layers
from timedist.distributions import Distribution, Independent, Normal
from timedist.layers import (
    DistributionHead,
    DistributionLambda,
    DistributionLayer,
    IndependentNormal,
    MixtureNormal,
    Quantile,
    Sample,
    Statistic,
)
from timedist.layers.conversion import NAMES
from timedist.ops import compat

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 6)).astype("float32")
HEAD = IndependentNormal(3)


@keras.saving.register_keras_serializable("test_conversion")
def upper(distribution):
    """Two standard deviations above the mean."""
    return distribution.mean() + 2.0 * distribution.stddev()


@keras.saving.register_keras_serializable("test_conversion")
def normal_of_halves(t):
    """A normal of the two halves of the last axis."""
    loc, raw = ops.split(t, 2, axis=-1)
    return Independent(Normal(loc, ops.softplus(raw)), 1)


@pytest.mark.parametrize("name", NAMES)
def test_names_conform(name, tmp_path):
    check_layer(lambda: IndependentNormal(3, name), tmp_path, 6)


@pytest.mark.parametrize(
    ("converter", "keeps_mask"),
    [
        (upper, True),
        (Sample(2, seed=1), False),
        (Quantile(0.9), True),
        (Statistic("entropy"), True),
    ],
    ids=["function", "Sample", "Quantile", "entropy"],
)
def test_functions_and_layers_conform(converter, keeps_mask, tmp_path):
    check_layer(lambda: IndependentNormal(3, converter), tmp_path, 6, keeps_mask=keeps_mask)


KINDS = {
    "lambda": (lambda name: DistributionLambda(normal_of_halves, name), 6),
    "dense": (
        lambda name: DistributionHead("normal", event_shape=3, convert_to_tensor_fn=name),
        4,
    ),
    "mixture": (lambda name: layers.MixtureSameFamily(2, IndependentNormal(), name), 6),
    "vector": (lambda name: layers.MultivariateNormalTriL(3, name), 9),
    "keyword": (
        lambda name: layers.MultivariateNormalDiagPlusLowRankCovariance(
            2, rank=1, convert_to_tensor_fn=name
        ),
        6,
    ),
}


@pytest.mark.parametrize("name", ["sample", "mean"])
@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_layers_conform(kind, name, tmp_path):
    make, width = KINDS[kind]
    check_layer(lambda: make(name), tmp_path, width)


@pytest.mark.parametrize("name", NAMES)
def test_the_tensor_is_that_of_the_method(name):
    head = IndependentNormal(3, convert_to_tensor_fn=name)
    inputs = keras.Input((None, 6))
    symbolic = head(inputs)
    assert type(symbolic) is keras.KerasTensor
    assert (symbolic.shape, symbolic.dtype) == ((None, None, 3), "float32")
    found = to_numpy(keras.Model(inputs, symbolic)(X))
    assert isinstance(head.call(ops.convert_to_tensor(X)), Distribution)
    if name == "sample":
        distribution = HEAD(X)
        z = (found - to_numpy(distribution.mean())) / to_numpy(distribution.stddev())
        assert np.abs(z).max() < 5.0 and z.std() > 0.5
    else:
        np.testing.assert_allclose(found, to_numpy(getattr(HEAD(X), name)()), rtol=1e-6)


def test_a_method_of_the_class_is_its_name():
    for method in (Distribution.sample, Distribution.mean, Normal.stddev):
        head = IndependentNormal(3, method)
        assert head.convert_to_tensor_fn == head.get_config()["convert_to_tensor_fn"]
        assert head.convert_to_tensor_fn == method.__name__


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TFP's class is at hand on TensorFlow")
def test_a_method_of_tfps_class_says_the_same():
    tfd = pytest.importorskip("tensorflow_probability").distributions
    assert IndependentNormal(3, tfd.Distribution.stddev).convert_to_tensor_fn == "stddev"
    with pytest.raises(ValueError, match="'entropy' is not the name"):
        IndependentNormal(3, tfd.Distribution.entropy)


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize("converter", ["sample", lambda d: d.sample()], ids=["name", "function"])
def test_every_call_draws_anew(converter, way):
    head = IndependentNormal(3, converter)
    model = keras.Sequential([keras.Input((5, 6)), head])
    model.compile(run_eagerly=way == "eager", **({} if way == "eager" else QUICK))

    def run():
        return to_numpy(head(X)) if way == "eager" else model.predict(X, verbose=0)

    first, second = run(), run()
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first[0] - first[1]).max() > 0.1
    assert len(head.weights) == 0
    assert len(head.variables) == 1  # the state of the layer's own generator


def test_gradients_flow_through_the_sample():
    """Of the mean square of `loc + scale z`, written out."""
    size = 3000
    dense = keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer="ones")
    head = IndependentNormal((), Sample(seed=3))
    model = keras.Sequential([keras.Input((1,)), dense, head])
    x, y = np.zeros((size, 1), "float32"), np.zeros((size,), "float32")
    state = head.convert_to_tensor_fn.seed_generator.state
    start = to_numpy(state.value).copy()
    drawn = to_numpy(model(x)).astype("float64")
    state.assign(start)
    model.compile(keras.optimizers.SGD(1.0), "mse", **QUICK)
    model.train_on_batch(x, y)
    scale, slope = np.log1p(np.exp(1.0)), 1.0 / (1.0 + np.exp(-1.0))
    z = (drawn - 1.0) / scale
    assert abs(z.mean()) < 4.0 / size**0.5
    expected = 1.0 - np.array([2.0 * drawn.mean(), 2.0 * (drawn * z).mean() * slope])
    np.testing.assert_allclose(to_numpy(dense.bias.value), expected, rtol=1e-4)


def test_the_rest_of_a_model_sees_a_tensor():
    encoder = [keras.layers.Dense(8), IndependentNormal(4, "sample")]
    decoder = [keras.layers.Dense(6), IndependentNormal(3, "mean")]
    model = keras.Sequential([*encoder, *decoder])
    model.compile("adam", "mse", metrics=["mae"], **QUICK)
    history = model.fit(X, X[..., :3], epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.predict(X, verbose=0).shape == (4, 5, 3)
    clone = keras.models.clone_model(model)
    assert tuple(clone(X).shape) == (4, 5, 3)
    clone.set_weights(model.get_weights())
    assert clone.layers[3].convert_to_tensor_fn == "mean"


def test_an_activity_regulariser_sees_the_distribution():
    prior = Independent(Normal([0.0, 0.0, 0.0], 1.0))
    regulariser = layers.KLDivergenceRegularizer(prior)
    head = IndependentNormal(3, "sample", activity_regularizer=regulariser)
    model = keras.Sequential([keras.Input((5, 6)), head, keras.layers.Dense(2)])
    assert tuple(model(X).shape) == (4, 5, 2)
    expected = to_numpy(HEAD(X).kl_divergence(prior)).sum(-1).mean()
    np.testing.assert_allclose([to_numpy(loss) for loss in model.losses], [expected], rtol=1e-5)
    again = IndependentNormal.from_config(head.get_config())
    assert again.convert_to_tensor_fn == "sample"
    assert isinstance(again.activity_regularizer, layers.KLDivergenceRegularizer)


def test_structures_are_converted_part_by_part():
    class Pair(DistributionLayer):
        def call(self, inputs):
            return {"a": Normal(inputs, 1.0), "b": [inputs, Normal(inputs, 2.0)]}

    inputs = keras.Input((None, 6))
    layer = Pair(convert_to_tensor_fn="stddev")
    symbolic = layer(inputs)
    assert type(symbolic["a"]) is type(symbolic["b"][1]) is keras.KerasTensor
    real = keras.Model(inputs, symbolic)(X)
    np.testing.assert_allclose(to_numpy(real["a"]), np.ones_like(X))
    np.testing.assert_allclose(to_numpy(real["b"][0]), X)
    np.testing.assert_allclose(to_numpy(real["b"][1]), np.full_like(X, 2.0))


def test_inside_time_distributed():
    inputs = keras.Input((None, 6))
    for name in ("sample", "mean"):
        output = layers.TimeDistributed(IndependentNormal(3, name))(inputs)
        assert type(output) is keras.KerasTensor
        found = to_numpy(keras.Model(inputs, output)(X))
        assert found.shape == (4, 5, 3)
    np.testing.assert_allclose(found, to_numpy(HEAD(X).mean()), rtol=1e-6)


def test_a_head_with_its_dense_layer_may_hold_a_converting_head():
    layer = DistributionHead(IndependentNormal(3, "mean"))
    assert tuple(layer(X).shape) == (4, 5, 3)
    again = DistributionHead.from_config(layer.get_config())
    assert again.head.convert_to_tensor_fn == "mean"
    assert again.convert_to_tensor_fn is None


def test_a_lambda_is_refused_in_safe_mode_and_loads_without(tmp_path):
    inputs = keras.Input((None, 6))
    layer = IndependentNormal(3, lambda d: d.mean() + d.stddev())
    model = keras.Model(inputs, layer(inputs))
    with pytest.warns(UserWarning, match="lambda"):
        model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="safe_mode"):
        keras.models.load_model(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=False)
    np.testing.assert_allclose(to_numpy(loaded(X)), to_numpy(model(X)), rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "kept"),
    [
        (lambda d: d.entropy(), True),
        (lambda d: ops.stack([d.mean(), d.stddev()]), False),
        (lambda d: ops.sum(d.mean(), axis=(0, 1)), False),
    ],
    ids=["one a step", "an axis in front", "no steps"],
)
def test_a_mask_stays_on_results_with_the_batch_in_front(function, kept):
    masked = keras.layers.Masking()(np.where(X[..., :1] > 0.0, X, 0.0).astype("float32"))
    mask = compat.get_keras_mask(IndependentNormal(3, function)(masked))
    assert (mask is not None) == kept


def test_an_axis_in_front_has_no_symbolic_mask_either():
    hidden = keras.layers.Masking()(keras.Input((5, 6)))
    assert compat.get_keras_mask(IndependentNormal(3, "mean")(hidden)) is not None
    assert compat.get_keras_mask(IndependentNormal(3, Sample(2))(hidden)) is None
    assert compat.get_keras_mask(IndependentNormal(3, lambda d: d.mean()[None])(hidden)) is None


@pytest.mark.parametrize("name", ["no_such", "entropy", "log_prob", "_mean", "dtype", ""])
def test_other_names_are_told_the_known_ones(name):
    with pytest.raises(ValueError, match=rf"'{name}' is not.*'sample', 'mean', 'mode'.*Statistic"):
        IndependentNormal(3, name)


def test_other_methods_and_things_are_refused():
    with pytest.raises(ValueError, match=r"'entropy' is not the name"):
        IndependentNormal(3, Distribution.entropy)
    for wrong in (3, False, Normal.loc, Distribution.shape):
        with pytest.raises(TypeError, match=r"convert_to_tensor_fn must be None.*'sample'.*got"):
            IndependentNormal(3, wrong)
    with pytest.raises(TypeError, match=r"must return a tensor, got Independent"):
        IndependentNormal(3, lambda d: d)(X)


def test_what_a_family_lacks_says_so():
    with pytest.raises(NotImplementedError, match=r"MixtureSameFamily.*mode"):
        MixtureNormal(2, convert_to_tensor_fn="mode")(np.zeros((4, 6), "float32"))


def test_subclasses_may_have_constructors_without_it():
    class Own(DistributionLayer):
        def __init__(self, name=None, trainable=True, dtype=None):
            super().__init__(name=name, trainable=trainable, dtype=dtype)

        def call(self, inputs):
            return Normal(inputs, 1.0)

    assert Own.from_config(Own().get_config()).convert_to_tensor_fn is None


def test_arguments_of_tfp_that_mean_nothing_here():
    for head in (layers.IndependentBernoulli, layers.OneHotCategorical):
        assert head(3, None, None, False).width == 3
        with pytest.raises(ValueError, match=rf"{head.__name__}: sample_dtype must be None.*cast"):
            head(3, "mean", "int32")
    assert IndependentNormal(3, "mean", False).width == 6
    for head, arguments in (
        (IndependentNormal, (3,)),
        (MixtureNormal, (2, 3)),
        (layers.MultivariateNormalTriL, (3,)),
        (layers.OneHotCategorical, (3,)),
        (layers.IndependentStudentT, ()),
    ):
        with pytest.raises(ValueError, match=rf"{head.__name__}: validate_args must be False.*out"):
            head(*arguments, validate_args=True)
