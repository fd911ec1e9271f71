"""Masked autoregressive networks, and the layer that transforms a distribution by one."""

import json

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import gradient, to_numpy
from keras import ops
from models import QUICK

from timedist import distributions as td
from timedist import layers, losses
from timedist.distributions.base import DistributionTypeError
from timedist.ops import compat

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 6)).astype("float32")
Y = RNG.normal(size=(4, 5, 3)).astype("float32")


def made(**options):
    return layers.AutoregressiveNetwork(2, hidden_units=[8], activation="tanh", **options)


def transform(**options):
    return layers.AutoregressiveTransform(made(), **options)


@keras.saving.register_keras_serializable("test_flows")
def flow_base(t):
    """A standard normal vector at every step."""
    return td.Independent(td.Normal(0.0 * t[..., :3], 1.0))


@keras.saving.register_keras_serializable("test_flows")
class Subclassed(keras.Model):
    """A model whose layers see real distributions only, of a size not given before."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.base = layers.DistributionLambda(flow_base)
        self.steps = [transform(), transform()]

    def call(self, x):
        distribution = self.base(x)
        for step in self.steps:
            distribution = step(distribution)
        return distribution


def sequential():
    """The program of `tfp.layers`, with nothing given of the sizes."""
    return keras.Sequential([layers.DistributionLambda(flow_base), transform(), transform()])


@pytest.mark.parametrize("options", [{}, {"convert_to_tensor_fn": "sample"}], ids=str)
def test_the_transform_conforms(options, tmp_path):
    before = (lambda: layers.IndependentNormal(3),)
    check_layer(lambda: transform(**options), tmp_path, 6, before=before)


def test_the_network_keeps_its_config_its_mask_and_its_weights(tmp_path):
    inputs = keras.Input((None, 6))
    context = keras.Input((None, 2))
    network = made(
        event_shape=6,
        conditional=True,
        conditional_event_shape=(2,),
        input_order="random",
        hidden_degrees="random",
        kernel_regularizer="l2",
        output_initializer=keras.initializers.RandomNormal(seed=1),
    )
    outputs = network(keras.layers.Masking()(inputs), conditional_input=context)
    assert outputs.shape == (None, None, 6, 2)
    model = keras.Model([inputs, context], outputs)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
    given = [X, X[..., :2]]
    np.testing.assert_allclose(to_numpy(again(given)), to_numpy(model(given)), rtol=1e-6)
    masked = X.copy()
    masked[0, 3:] = 0.0
    mask = compat.get_keras_mask(model([masked, X[..., :2]]))
    np.testing.assert_array_equal(to_numpy(mask), (masked != 0.0).any(-1))
    assert float(to_numpy(sum(model.losses))) > 0.0


def test_what_a_mask_forbids_does_not_count():
    network = made(event_shape=3)
    network.build((None, 3))
    assert [w.shape for w in network.get_weights()] == [(3, 8), (8,), (8, 6), (6,)]
    assert sum((w == 0.0).sum() for w in network.get_weights()[::2]) > 0
    before = to_numpy(network(Y))
    kernel, *rest = network.get_weights()
    network.set_weights([np.where(kernel == 0.0, 9.0, kernel), *rest])
    np.testing.assert_array_equal(to_numpy(network(Y)), before)


def test_gradients_stay_inside_the_mask():
    network = made(event_shape=3)
    network.build((None, 3))
    kernel, bias, last, end = network.get_weights()

    def outputs(kernel):
        flow = network.flow()
        return td.flows.MaskedAutoregressive(
            [kernel, last], flow.degrees, [bias, end], activation="tanh"
        ).inverse(Y)

    (slope,) = gradient(outputs, kernel)
    np.testing.assert_array_equal(slope == 0.0, kernel == 0.0)


def test_random_orders_follow_the_seed():
    def orders(seed):
        network = made(event_shape=9, input_order="random", seed=seed)
        network.build((None, 9))
        return network.degrees

    assert orders(1) == orders(1) != orders(2)
    keras.utils.set_random_seed(3)
    first = orders(None)
    keras.utils.set_random_seed(3)
    assert orders(None) == first


def test_an_initializer_draws_anew_for_every_kernel():
    initializer = keras.initializers.RandomNormal()
    network = made(event_shape=6, kernel_initializer=initializer, hidden_degrees="with_zero")
    twin = made(event_shape=6, kernel_initializer=initializer, hidden_degrees="with_zero")
    for layer in (network, twin):
        layer.build((None, 6))
    mine, its = network.get_weights()[0], twin.get_weights()[0]
    assert np.abs(mine - its).max() > 0.0


def test_a_flow_that_starts_as_the_identity():
    layer = layers.AutoregressiveTransform(made(output_initializer="zeros"))
    base = flow_base(ops.convert_to_tensor(X))
    np.testing.assert_allclose(
        to_numpy(layer(base).log_prob(Y)), to_numpy(base.log_prob(Y)), rtol=1e-6
    )


def test_transforms_in_a_row_are_one_flow():
    model = sequential()
    d = model(X)
    assert isinstance(d, td.NormalizingFlow)
    assert len(d.transforms) == 2
    assert isinstance(d.base, td.Independent)
    noise = flow_base(ops.convert_to_tensor(X)).sample(seed=1)
    y = d.transforms[1].forward(d.transforms[0].forward(noise))
    np.testing.assert_allclose(to_numpy(d.sample(seed=1)), to_numpy(y), rtol=1e-5)


def test_a_conditional_input():
    network = made(event_shape=3, conditional=True, conditional_event_shape=2)
    inputs, context = keras.Input((None, 6)), keras.Input((None, 2))
    base = layers.DistributionLambda(flow_base)(inputs)
    twice = layers.AutoregressiveTransform(network)(base, conditional_input=context)
    model = keras.Model([inputs, context], transform()(twice))
    d = model([X, X[..., :2]])
    assert d.batch_shape == (4, 5)
    other = model([X, 1.0 + X[..., :2]])
    assert np.abs(to_numpy(d.log_prob(Y) - other.log_prob(Y))).min() > 1e-6
    with pytest.raises(ValueError, match="got no conditional_input; its network has conditional"):
        layers.AutoregressiveTransform(network)(flow_base(ops.convert_to_tensor(X)))


@pytest.mark.parametrize("make", [sequential, Subclassed], ids=["sequential", "subclassed"])
def test_it_trains_and_is_saved_whatever_the_model(make, tmp_path):
    model = make()
    model.compile(keras.optimizers.Adam(0.01), losses.NegativeLogLikelihood(), **QUICK)
    target = (1.0 + 0.1 * Y).astype("float32")
    history = model.fit(X, target, epochs=12, batch_size=4, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0] - 0.1
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(
        to_numpy(again(X).log_prob(Y)), to_numpy(model(X).log_prob(Y)), rtol=1e-5
    )


def test_inside_time_distributed_and_behind_a_mask():
    model = sequential()
    timed = layers.TimeDistributed(model)(X)
    assert timed.batch_shape == (4, 5)
    step = model(X[:, -1])
    np.testing.assert_allclose(
        to_numpy(timed[:, -1].log_prob(Y[:, -1])), to_numpy(step.log_prob(Y[:, -1])), rtol=1e-5
    )
    masked = X.copy()
    masked[:, 3:] = 0.0
    whole = keras.Sequential([keras.layers.Masking(), *sequential().layers])
    d = whole(masked)
    np.testing.assert_array_equal(to_numpy(compat.get_keras_mask(d)), (masked != 0.0).any(-1))
    loss = losses.NegativeLogLikelihood()(Y, d)
    np.testing.assert_allclose(to_numpy(loss), -to_numpy(d.log_prob(Y))[:, :3].mean(), rtol=1e-5)


def test_the_example_of_tfp_without_inputs():
    """A density alone: no features, only the number of examples."""

    @keras.saving.register_keras_serializable("test_flows")
    def standard(t):
        loc = ops.zeros((ops.shape(t)[0], 2))
        return td.MultivariateNormalDiag(loc, ops.ones_like(loc))

    model = keras.Sequential(
        [
            keras.Input((0,)),
            layers.DistributionLambda(standard),
            layers.AutoregressiveTransform(made()),
        ]
    )
    model.compile("adam", losses.NegativeLogLikelihood(), **QUICK)
    x, y = np.zeros((4, 0), "float32"), Y[:, 0, :2]
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()
    assert tuple(model(x).sample(seed=1).shape) == (4, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"params": 0}, "params must be a positive int, got 0"),
        ({"event_shape": (2, 3)}, r"event_shape must be one size.*\(2, 3\)"),
        ({"conditional": True}, "conditional=True needs 'event_shape'"),
        ({"conditional_event_shape": 2}, "conditional_event_shape is for conditional=True"),
        (
            {"conditional_input_layers": "last"},
            r"one of \('all_layers', 'first_layer'\), got 'last'",
        ),
        ({"hidden_degrees": "few"}, "hidden_degrees must be one of"),
        ({"input_order": "up"}, "input_order must be one of"),
        ({"input_order": [1, 3]}, r"place of each component.*got \[1, 3\]"),
        ({"input_order": [1, 2], "event_shape": 3}, r"got \[1, 2\] for event_shape=\(3,\)"),
        ({"validate_args": True}, "validate_args must be False"),
    ],
)
def test_wrong_arguments_of_the_network(options, message):
    with pytest.raises(ValueError, match=message):
        layers.AutoregressiveNetwork(**{"params": 2, **options})


def test_wrong_use():
    network = made(event_shape=3)
    with pytest.raises(ValueError, match=r"takes vectors of 3 components, got shape \(4, 5, 6\)"):
        network(X)
    network = made(event_shape=3)
    with pytest.raises(ValueError, match="once it is built"):
        network.flow()
    with pytest.raises(ValueError, match="conditional=False and got a conditional_input"):
        network(Y, X)
    with pytest.raises(TypeError, match="made must be a `timedist"):
        layers.AutoregressiveTransform(keras.layers.Dense(2))
    with pytest.raises(ValueError, match="got params=3"):
        layers.AutoregressiveTransform(layers.AutoregressiveNetwork(3))
    with pytest.raises(DistributionTypeError, match=r"takes a distribution but got"):
        transform()(ops.convert_to_tensor(X))
    with pytest.raises(ValueError, match="vectors of 3 components, got Indep"):
        layers.AutoregressiveTransform(network)(td.Independent(td.Normal(X, 1.0)))
