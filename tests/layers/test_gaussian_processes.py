"""`VariationalGaussianProcess` against TFP's, through stock Keras, and what it learns."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import BACKEND, compiled, float64_scope, to_numpy
from keras import ops
from models import QUICK
from scipy import stats

import timedist
from timedist import layers
from timedist.distributions import (
    GaussianProcessMarginals,
    Normal,
    VariationalGaussianProcess,
    kernels,
)
from timedist.layers import KernelProvider
from timedist.losses import NegativeLogLikelihood, VariationalLoss

START = keras.initializers.RandomNormal(stddev=1.0, seed=1)
JOINT = pytest.mark.parametrize("joint", [False, True], ids=["by point", "joint"])
MIXED = kernels.ExpSinSquared(period=6.0) * kernels.MaternFiveHalves(1.0, 4.0)
MIXED = MIXED + kernels.Linear(0.5)


def layer(joint=False, number=5, kernel="matern_five_halves", **options):
    """A layer with three outputs."""
    options = {"inducing_index_points_initializer": START, "joint": joint} | options
    return layers.VariationalGaussianProcess(number, kernel, 3, **options)


def normal(*shape, seed=0):
    """Random inputs or targets."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@JOINT
def test_conforms(joint, tmp_path):
    kernel = kernels.RationalQuadratic([1.0, 2.0, 3.0], 0.5)
    make = lambda: layer(  # noqa: E731
        joint,
        kernel=KernelProvider(kernel, fixed="length_scale"),
        unconstrained_observation_noise_variance_initializer="zeros",
        jitter=1e-5,
    )
    check_layer(make, tmp_path, 4, time_in_event=joint)


@JOINT
@pytest.mark.parametrize("shape", [(6, 2), (4, 6, 2)], ids=str)
def test_shapes(shape, joint):
    d = layer(joint)(normal(*shape))
    if joint:
        assert isinstance(d, VariationalGaussianProcess)
        assert (d.batch_shape, d.event_shape) == (shape[:-2], (shape[-2], 3))
    else:
        assert isinstance(d, GaussianProcessMarginals)
        assert (d.batch_shape, d.event_shape) == (shape[:-1], (3,))
    assert tuple(d.sample(2, seed=0).shape) == (2, *shape[:-1], 3)


def test_both_ways_are_the_same_process():
    x = normal(4, 6, 2)
    y = normal(4, 6, 3, seed=1)
    points = layer(kernel=MIXED)
    single = points(x)
    other = layer(True, kernel=MIXED)
    other.build(x.shape)
    other.set_weights(points.get_weights())
    joint = other(x)
    for mine, its in zip(single.leaves(), joint.by_point().leaves(), strict=True):
        np.testing.assert_allclose(to_numpy(mine), to_numpy(its), rtol=1e-4, atol=1e-5)
    loss = to_numpy(ops.sum(single.variational_loss(y, 0.5), axis=-1))
    np.testing.assert_allclose(loss, to_numpy(joint.variational_loss(y, 0.5)), rtol=1e-4)


# --- against TFP ---------------------------------------------------------------------------------

TFP = """
import sys
import numpy as np, tensorflow_probability as tfp, tf_keras

given = dict(np.load(sys.argv[1] + "/given.npz"))
kernels, constant = tfp.math.psd_kernels, tf_keras.initializers.constant

class Provider(tf_keras.layers.Layer):
    @property
    def kernel(self):
        number = np.float64
        smooth = kernels.MaternFiveHalves(given["amplitude"], number(0.7))
        season = kernels.ExpSinSquared(number(0.8), number(1.5), number(2.0))
        return smooth + season * kernels.RationalQuadratic(
            number(1.2), number(0.9), scale_mixture_rate=number(2.0))

layer = tfp.layers.VariationalGaussianProcess(
    4, Provider(dtype="float64"), event_shape=[2],
    inducing_index_points_initializer=constant(given["points"]),
    unconstrained_observation_noise_variance_initializer=constant(given["noise"]),
    variational_inducing_observations_scale_initializer=constant(given["scale"]))
layer(given["x"])
layer.mean.assign(given["mean"])
layer._variational_inducing_observations_loc.assign(given["loc"])
d = layer(given["x"])
np.savez(
    sys.argv[1] + "/found.npz",
    mean=d.mean(), variance=d.variance(), stddev=d.stddev(), mode=d.mode(), entropy=d.entropy(),
    log_prob=d.log_prob(given["y"]), loss=d.variational_loss(given["y"], kl_weight=0.3),
    kl=d.surrogate_posterior_kl_divergence_prior())
"""


@pytest.fixture(scope="module")
def given():
    """Weights and data of two outputs."""
    rng = np.random.default_rng(0)
    return {
        "amplitude": np.array([1.3, 0.9]),
        "mean": np.array(0.4),
        "noise": np.array(-1.0),
        "points": rng.normal(size=(2, 4, 3)),
        "loc": rng.normal(size=(2, 4)),
        "scale": 0.5 * np.tril(rng.normal(size=(2, 4, 4))),
        "x": rng.normal(size=(6, 3)),
        "y": rng.normal(size=(6, 2)),
    }


def ours(given, dtype):
    """Our layer with TFP's weights."""
    amplitude = given["amplitude"].astype(dtype)
    smooth = kernels.MaternFiveHalves(amplitude, 0.7)
    season = kernels.ExpSinSquared(*(np.array(value, dtype) for value in (0.8, 1.5, 2.0)))
    many = kernels.RationalQuadratic(*(np.array(value, dtype) for value in (1.2, 0.9, 2.0)))
    made = layers.VariationalGaussianProcess(
        4, KernelProvider(smooth + season * many, dtype=dtype), 2, joint=True, dtype=dtype
    )
    made.build(given["x"].shape)
    for weight, name in zip(
        made.weights, ("mean", "noise", "points", "loc", "scale"), strict=False
    ):
        weight.assign(given[name].astype(dtype))
    return made


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the numbers of TFP are asked for once")
def test_equal_weights_give_the_numbers_of_tfp(given, tmp_path):
    np.savez(tmp_path / "given.npz", **given)
    done = subprocess.run(
        [sys.executable, "-c", TFP, str(tmp_path)],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "found.npz")
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-8)):
        y = given["y"].astype(dtype)
        d = ours(given, dtype)(given["x"].astype(dtype))
        for name in ("mean", "variance", "stddev", "mode", "log_prob", "entropy"):
            mine = to_numpy(d.log_prob(y) if name == "log_prob" else getattr(d, name)())
            assert mine.dtype == dtype
            np.testing.assert_allclose(
                mine, found[name], rtol=tolerance, atol=tolerance, err_msg=name
            )
        kl = to_numpy(d.surrogate_posterior_kl_divergence_prior())
        np.testing.assert_allclose(kl, found["kl"].sum(), rtol=tolerance)
        # Theirs counts the noise twice, which adds one half for each observation.
        loss = to_numpy(d.variational_loss(y, kl_weight=0.3))
        np.testing.assert_allclose(loss, found["loss"].sum() - 0.5 * y.size, rtol=tolerance)


def test_weights_have_the_names_and_shapes_of_tfp():
    made = layer(number=4)
    made.build((None, 7))
    assert [(w.name, tuple(w.shape)) for w in made.weights] == [
        ("mean", ()),
        ("observation_noise_variance", ()),
        ("inducing_index_points", (3, 4, 7)),
        ("variational_inducing_observations_loc", (3, 4)),
        ("variational_inducing_observations_scale", (3, 4, 4)),
        ("amplitude", ()),
        ("length_scale", ()),
    ]
    start = dict(zip((w.name for w in made.weights), made.get_weights(), strict=True))
    assert start["observation_noise_variance"] == -10.0
    expected = np.broadcast_to(1e-5 * np.eye(4), (3, 4, 4))
    np.testing.assert_allclose(start["variational_inducing_observations_scale"], expected)


# --- training ------------------------------------------------------------------------------------


def sine(seed):
    """48 points and noisy values of a sine."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2.0, 2.0, size=(48, 1))
    return x.astype("float32"), (np.sin(2 * x) + 0.1 * rng.normal(size=x.shape)).astype("float32")


def grid(number):
    """Inducing points on a line, the first ones of a layer."""
    return keras.initializers.Constant(np.linspace(-2.0, 2.0, number).reshape(1, number, 1))


def regression(joint=False, number=8):
    """A model of one output, for the sine."""
    process = layers.VariationalGaussianProcess(
        number,
        kernels.ExponentiatedQuadratic(),
        inducing_index_points_initializer=grid(number),
        unconstrained_observation_noise_variance_initializer=keras.initializers.Constant(-2.0),
        joint=joint,
    )
    return keras.Sequential([keras.Input((1,)), process])


def test_learns_a_sine_better_than_any_line():
    x, y = sine(seed=0)
    model = regression()
    model.compile(keras.optimizers.Adam(0.05), VariationalLoss(48), **QUICK)
    many = np.tile(x, (150, 1)), np.tile(y, (150, 1))  # one long epoch: the steps alone take time
    model.fit(*many, batch_size=48, shuffle=False, verbose=0)
    new_x, new_y = sine(seed=1)
    found = -to_numpy(model(new_x).log_prob(new_y)).mean()
    slope, intercept = np.polyfit(x[:, 0], y[:, 0], 1)
    spread = np.std(y[:, 0] - slope * x[:, 0] - intercept)
    line = Normal(slope * new_x + intercept, spread).log_prob(new_y)
    assert found < -to_numpy(line).mean() - 0.5
    wide = np.linspace(-6.0, 6.0, 48, dtype="float32")
    lower, upper = (to_numpy(end)[:, 0] for end in model(wide[:, None]).interval(0.9))
    inside = np.abs(wide) < 1.5
    assert (upper - lower)[[0, -1]].min() > 2.0 * (upper - lower)[inside].max()
    assert ((lower < np.sin(2 * wide)) & (np.sin(2 * wide) < upper))[inside].all()


@JOINT
def test_batches_train_evaluate_and_predict(joint):
    x, y = sine(seed=0)
    model = regression(joint)
    model.compile(keras.optimizers.Adam(0.05), VariationalLoss(48), metrics=["mae"], **QUICK)
    start = model.evaluate(x, y, batch_size=16, verbose=0)
    model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    assert model.evaluate(x, y, batch_size=16, verbose=0)[0] < start[0]
    mean = model.predict(x, batch_size=16, verbose=0)
    np.testing.assert_allclose(mean, to_numpy(model(x).mean()), rtol=1e-4, atol=1e-5)


def test_predict_point_by_point():
    x, _ = sine(seed=0)
    model = regression()
    predicted = timedist.predict(model, x, batch_size=16, verbose=0)
    assert isinstance(predicted, GaussianProcessMarginals)
    assert predicted.batch_shape == (48,)
    np.testing.assert_allclose(predicted.mean(), to_numpy(model(x).mean()), rtol=1e-5, atol=1e-6)


def test_predict_of_one_distribution_of_all_rows_is_refused():
    x, _ = sine(seed=0)
    with pytest.raises(ValueError, match=r"one distribution of all rows.*joint=False"):
        timedist.predict(regression(joint=True), x, batch_size=16, verbose=0)


def test_predict_of_processes_over_time():
    x = normal(4, 6, 2)
    model = keras.Sequential([layer(True)])
    expected = to_numpy(model(x).variance())
    predicted = timedist.predict(model, x, batch_size=2, verbose=0)
    assert (predicted.batch_shape, predicted.event_shape) == ((4,), (6, 3))
    np.testing.assert_allclose(to_numpy(predicted.variance()), expected, rtol=1e-4, atol=1e-6)


@JOINT
def test_masked_steps_and_missing_targets_count_for_nothing(joint):
    x = normal(4, 6, 2)
    x[0, 4:] = 0.0
    y = normal(4, 6, 3)
    inputs = keras.Input((None, 2))
    noise = keras.initializers.Constant(0.0)
    process = layer(joint, unconstrained_observation_noise_variance_initializer=noise)
    model = keras.Model(inputs, process(keras.layers.Masking()(inputs)))
    other = y.copy()
    other[0, 4:] = 100.0
    for loss in (NegativeLogLikelihood(), VariationalLoss(1)):
        first, second = (to_numpy(loss(target, model(x))) for target in (y, other))
        assert first == second
    missing = np.where(normal(*y.shape, seed=2) < -1.0, np.nan, y)
    model.compile("adam", NegativeLogLikelihood(missing="mask"), **QUICK)
    assert np.isfinite(model.fit(x, missing, verbose=0).history["loss"][0])
    assert all(np.isfinite(w).all() for w in model.get_weights())


# --- kernels and means ----------------------------------------------------------------------------


def test_a_provider_starts_at_the_kernel_it_is_given():
    provider = KernelProvider(MIXED, fixed=("period", "shift"))
    x = normal(4, 2)
    np.testing.assert_allclose(
        to_numpy(provider(x, x)), to_numpy(MIXED.matrix(x, x)), rtol=1e-5, atol=1e-6
    )
    names = [w.name for w in provider.trainable_weights]
    assert sorted(names) == [
        *("amplitude", "amplitude", "bias_amplitude"),
        *("length_scale", "length_scale", "slope_amplitude"),
    ]


def test_the_kernel_is_learned():
    x, y = sine(seed=0)
    model = regression()
    before = to_numpy(model.layers[-1].kernel_provider.kernel.length_scale)
    model.compile(keras.optimizers.Adam(0.05), VariationalLoss(48), **QUICK)
    model.train_on_batch(x, y)
    assert to_numpy(model.layers[-1].kernel_provider.kernel.length_scale) != before


@keras.saving.register_keras_serializable("test_gaussian_processes")
class UsersProvider(keras.layers.Layer):
    """A provider of a user's, as for TFP: weights of its own, late bound."""

    def build(self, input_shape):
        """Make the weights."""
        self.log_amplitude = self.add_weight(shape=(), initializer="zeros", name="log_amplitude")
        self.built = True

    @property
    def kernel(self):
        """The kernel."""
        return kernels.ExponentiatedQuadratic(ops.exp(self.log_amplitude), 0.5)


@keras.saving.register_keras_serializable("test_gaussian_processes")
def trend(points):
    """A mean of each point."""
    return 3.0 * points[..., 0]


@JOINT
def test_a_users_provider_and_mean(joint, tmp_path):
    x = normal(4, 6, 2)
    inputs = keras.Input((None, 2))
    process = layer(joint, kernel=UsersProvider(), mean_fn=trend)
    model = keras.Model(inputs, process(inputs))
    model.compile("sgd", NegativeLogLikelihood(), **QUICK)
    model.fit(x, np.zeros((4, 6, 3), "float32"), verbose=0)
    assert len(model.trainable_weights) == 5
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        to_numpy(loaded(x).variance()), to_numpy(model(x).variance()), rtol=1e-6
    )
    far = x + 100.0  # where nothing is known but the mean
    expected = np.repeat(3.0 * far[..., :1], 3, axis=-1)
    np.testing.assert_allclose(to_numpy(model(far).mean()), expected, rtol=1e-5)


def test_float64():
    x = np.random.default_rng(0).normal(size=(6, 2))
    with float64_scope():
        wide = KernelProvider("matern_five_halves", dtype="float64")
        for dtype in ("float64", "float32"):  # that of the layer, whatever that of the kernel is
            made = layer(dtype=dtype, kernel=wide, jitter=1e-10)
            made.build(x.shape)
            d, loss = compiled(lambda x, made=made: (d := made(x), d.variational_loss(0.0)))(x)
            assert d.dtype == to_numpy(loss).dtype == dtype


# --- wrong arguments ------------------------------------------------------------------------------


def test_wrong_arguments():
    wrong = [
        ({"number": 0}, ValueError, "num_inducing_points must be a positive int"),
        ({"jitter": 0.0}, ValueError, "jitter must be a positive number"),
        ({"mean_fn": 3.0}, TypeError, "mean_fn must be a function"),
        ({"kernel": 3.0}, TypeError, "kernel_provider must be a layer with a property `kernel`"),
        ({"kernel": keras.layers.ReLU()}, TypeError, "kernel_provider must be a layer"),
        ({"kernel": "matern"}, ValueError, "unknown kernel 'matern'; known: constant"),
        (
            {"unconstrained_observation_noise_variance_initializer": None},
            ValueError,
            "without noise there is no bound",
        ),
    ]
    for options, error, message in wrong:
        with pytest.raises(error, match=message):
            layer(**options)
    for shape in ((), (2, 3), 0):
        with pytest.raises(ValueError, match="event_shape"):
            layers.VariationalGaussianProcess(4, "constant", shape)


def test_wrong_providers():
    with pytest.raises(TypeError, match="kernel must be a kernel of"):
        KernelProvider(3.0)
    with pytest.raises(ValueError, match=r"no parameter \['rate'\], it has \['amplitude', 'len"):
        KernelProvider("matern_one_half", fixed=("rate",))
    with pytest.raises(ValueError, match=r"'bias_amplitude' of Linear.* starts at 0.*fixed"):
        KernelProvider("linear")
    KernelProvider("linear", fixed="bias_amplitude")

    class Wrong(keras.layers.Layer):
        kernel = 3.0

    with pytest.raises(TypeError, match=r"provider whose `kernel` is a kernel"):
        layer(kernel=Wrong())(np.zeros((4, 2), "float32"))


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"index points of shape \(..., n, features\)"):
        layer()(np.zeros(4, "float32"))
    with pytest.raises(TypeError, match="takes index points, a tensor, but got a distribution"):
        layer()(Normal(np.zeros((4, 2), "float32"), 1.0))
    with pytest.raises(TypeError, match="takes index points, a tensor, but got a distribution"):
        layer()(layers.IndependentNormal()(keras.Input((4, 2))))
    for wrong in (lambda x: x, lambda x: x[..., :-1, 0]):
        with pytest.raises(ValueError, match=r"mean_fn must give one number for each point"):
            layer(mean_fn=wrong)(np.zeros((4, 2), "float32"))
    with pytest.raises(ValueError, match=r"event_shape \(3,\), but .*batch_shape=\(2,\)"):
        layer(kernel=kernels.MaternOneHalf([1.0, 2.0]))(np.zeros((4, 2), "float32"))


def test_the_bound_of_gaussian_processes():
    loss = VariationalLoss(num_examples=40)
    again = type(loss).from_config(loss.get_config())
    assert (again.num_examples, again.missing) == (40, "error")
    loc = np.array([[0.0], [2.0]], "float32")
    rows = GaussianProcessMarginals(Normal(loc, 1.0), 0.5, divergence=3.0)
    each = stats.norm(loc, 0.5**0.5).logpdf(0.0) - 0.5 * 0.5 / 0.5
    exact = np.mean(-each) + 3.0 * 2 / 40
    np.testing.assert_allclose(float(loss(np.zeros((2, 1)), rows)), exact, 1e-5)
    with pytest.raises(TypeError, match="takes the output of a `VariationalGaussianProcess`"):
        loss(loc, timedist.distributions.Independent(Normal(loc, 1.0)))
    with pytest.raises(ValueError, match="num_examples must be an int >= 1, got 0"):
        VariationalLoss(0)
