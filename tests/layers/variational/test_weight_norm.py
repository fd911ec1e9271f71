"""Weight normalisation: the numbers of torch's, gradients, standardised starts."""

import keras
import numpy as np
import pytest
import torch
from conformance import check_layer
from helpers import to_numpy

from timedist.layers import WeightNorm

X = np.random.default_rng(0).normal(size=(8, 6, 4)).astype("float32")


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.Dense(3, "tanh"),
        lambda: keras.layers.Conv1D(3, 2, padding="causal", use_bias=False),
    ],
)
def test_conformance(make, tmp_path):
    keeps_mask = make().supports_masking  # the convolution of Keras does not
    check_layer(lambda: WeightNorm(make()), tmp_path, 4, keeps_mask=keeps_mask)


def test_it_starts_as_the_layer_does_and_is_torch_s_afterwards():
    wrapped = WeightNorm(keras.layers.Dense(3))
    start = to_numpy(wrapped(X))
    np.testing.assert_allclose(start, to_numpy(wrapped.layer(X)), rtol=1e-5, atol=1e-6)
    g, bias = np.array([0.5, 1.0, 2.0], "float32"), np.array([0.1, 0.2, 0.3], "float32")
    wrapped.g.assign(g)
    wrapped.layer.bias.assign(bias)
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 3), dim=0)
    with torch.no_grad():
        theirs.parametrizations.weight.original0.copy_(torch.tensor(g[:, None]))
        theirs.parametrizations.weight.original1.copy_(
            torch.tensor(to_numpy(wrapped.layer.kernel).T)
        )
        theirs.bias.copy_(torch.tensor(bias))
        expected = theirs(torch.tensor(X)).numpy()
    np.testing.assert_allclose(to_numpy(wrapped(X)), expected, rtol=1e-5, atol=1e-6)


def test_training_leaves_the_direction_to_the_kernel():
    wrapped = WeightNorm(keras.layers.Dense(3))
    model = keras.Sequential([keras.Input((6, 4)), wrapped])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before, length = to_numpy(wrapped.layer.kernel), to_numpy(wrapped.g)
    model.fit(X, np.ones((8, 6, 3)), verbose=0)
    step = to_numpy(wrapped.layer.kernel) - before
    assert (np.abs(to_numpy(wrapped.g) - length) > 1e-4).all()
    assert np.abs(step).max() > 1e-4
    np.testing.assert_allclose((step * before).sum(axis=0), 0.0, atol=1e-5)


def test_adapted_outputs_are_standardised():
    wrapped = WeightNorm(keras.layers.Dense(3, "tanh"))
    wrapped.build(X.shape)
    wrapped.layer.bias.assign([1.0, 2.0, 3.0])
    wrapped.adapt(X)
    before_activation = np.arctanh(to_numpy(wrapped(X)).astype("float64").clip(-0.99999, 0.99999))
    np.testing.assert_allclose(before_activation.mean((0, 1)), 0.0, atol=1e-4)
    np.testing.assert_allclose(before_activation.std((0, 1)), 1.0, rtol=1e-3)


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match=r"call `layer.adapt\(inputs\)`"):
        WeightNorm(keras.layers.Dense(3), data_init=True)
    with pytest.raises(ValueError, match="needs a layer with a weight `kernel`"):
        WeightNorm(keras.layers.LayerNormalization())(X)
    plain = WeightNorm(keras.layers.Dense(3, use_bias=False))
    plain.build(X.shape)
    with pytest.raises(ValueError, match="use_bias=True"):
        plain.adapt(X)
    biased = WeightNorm(keras.layers.Dense(3))
    biased.build(X.shape)
    with pytest.raises(ValueError, match="inputs that differ"):
        biased.adapt(np.ones_like(X))
