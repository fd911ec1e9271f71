"""What every layer must do: one function, run for each of them."""

import json

import keras
import numpy as np
from helpers import to_numpy

from timedist.distributions import Distribution
from timedist.losses import NegativeLogLikelihood
from timedist.ops import compat

BATCH, TIME, FEATURES = 3, 5, 4


def check_layer(
    make, directory, width, before=(), keeps_mask=True, event_value=1.0, time_in_event=False
):
    """Every contract of a layer that takes or returns distributions.

    Args:
        make: a function that makes the layer.
        directory: where to save.
        width: units of the `Dense` in front.
        before: functions that make the layers between the `Dense` and the layer.
        keeps_mask: whether the mask of the input is the mask of the output.
        event_value: a value every target takes, inside the support of the family.
        time_in_event: whether the steps are an axis of the event, of a size not known beforehand.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    check_config(make)
    model = stack(make, width, before)
    check_shapes(model, stack(make, width, before, (BATCH, TIME)), x, time_in_event)
    check_saving(stack(make, width, before), x, directory / "model.keras")
    check_training(model, x, event_value)
    check_mask(make, width, before, x, keeps_mask)
    check_mixed_precision(make, width, before, x, event_value)


def stack(make, width, before, batch_shape=(None, None), masking=False):
    """A functional model that ends in the layer."""
    inputs = keras.Input(batch_shape=(*batch_shape, FEATURES))
    hidden = keras.layers.Masking()(inputs) if masking else inputs
    hidden = keras.layers.Dense(width)(hidden)
    for layer in before:
        hidden = layer()(hidden)
    return keras.Model(inputs, make()(hidden))


def check_config(make):
    """The constructor's arguments survive `get_config`, `from_config` and JSON."""
    layer = make()
    again = type(layer).from_config(layer.get_config())
    assert serialized(again) == serialized(layer)
    assert serialized(keras.layers.deserialize(json.loads(serialized(layer)))) == serialized(layer)


def serialized(layer):
    """The layer as JSON text."""
    return json.dumps(keras.saving.serialize_keras_object(layer))


def check_shapes(unknown, known, x, time_in_event=False):
    """The symbolic output has the shape and dtype of the real one, as far as it is known."""
    for model in (unknown, known):
        for symbolic, real in zip(model.outputs, keras.tree.flatten(model(x)), strict=True):
            assert len(symbolic.shape) == len(real.shape)
            sizes = zip(symbolic.shape, real.shape, strict=True)
            assert all(a in (None, b) for a, b in sizes), (symbolic.shape, real.shape)
            assert symbolic.dtype == keras.backend.standardize_dtype(real.dtype)
            if isinstance(real, Distribution):
                if model is known or not time_in_event:
                    assert symbolic.event_shape == real.event_shape
                assert len(symbolic.event_shape) == len(real.event_shape)
                assert len(symbolic.batch_shape) == len(real.batch_shape)
            if model is known:
                assert tuple(symbolic.shape) == tuple(real.shape)


def check_saving(model, x, path):
    """A `.keras` file loads in safe mode, with nothing registered by the user."""
    model.save(path)
    loaded = keras.models.load_model(path, safe_mode=True)
    rewind(model)
    rewind(loaded)
    for mine, its in zip(arrays(model(x)), arrays(loaded(x)), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-6)


def rewind(model):
    """Let a model draw what every other one draws: Keras does not save the state of its seeds."""
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            variable.assign([7, 0])


def arrays(outputs):
    """All numbers of outputs: parameters of distributions, tensors."""
    return [
        to_numpy(leaf)
        for output in keras.tree.flatten(outputs)
        for leaf in (output.leaves() if isinstance(output, Distribution) else [output])
    ]


def train(model, x, event_value):
    """The loss of one training step."""
    output = model.outputs[0]
    loss = NegativeLogLikelihood() if hasattr(output, "event_shape") else "mse"
    y = np.full(model(x).shape, event_value, "float32")
    model.compile(keras.optimizers.SGD(0.01), loss)
    return model.train_on_batch(x, y)


def check_training(model, x, event_value):
    """One compiled training step has a finite loss and moves the weights."""
    start = [w.copy() for w in model.get_weights()]
    assert np.isfinite(train(model, x, event_value))
    moved = [np.abs(a - b).max() for a, b in zip(model.get_weights(), start, strict=True)]
    assert max(moved) > 0.0
    assert all(np.isfinite(w).all() for w in model.get_weights())


def check_mask(make, width, before, x, keeps_mask):
    """The mask of the input is that of the output."""
    x = x.copy()
    x[0, 3:] = 0.0
    outputs = keras.tree.flatten(stack(make, width, before, masking=True)(x))
    for output in outputs:
        mask = compat.get_keras_mask(output)
        if keeps_mask:
            assert mask is not None
            np.testing.assert_array_equal(to_numpy(mask), (x != 0.0).any(-1))
        else:
            assert mask is None


def check_mixed_precision(make, width, before, x, event_value):
    """With bfloat16 layers in front, distributions are float32 and training steps finite."""
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = stack(make, width, before)
        output = model(x)
        if isinstance(output, Distribution):
            assert output.dtype == "float32"
        assert np.isfinite(train(model, x, event_value))
    finally:
        keras.mixed_precision.set_global_policy(policy)
