"""Convolutions with a posterior: against Keras's own with the mean as kernel; causality; masks."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy

from timedist.layers import (
    Convolution1DFlipout,
    Convolution1DReparameterization,
    Convolution2DFlipout,
    Convolution2DReparameterization,
    Convolution3DFlipout,
    Convolution3DReparameterization,
)

KINDS = {
    1: (Convolution1DReparameterization, Convolution1DFlipout, keras.layers.Conv1D),
    2: (Convolution2DReparameterization, Convolution2DFlipout, keras.layers.Conv2D),
    3: (Convolution3DReparameterization, Convolution3DFlipout, keras.layers.Conv3D),
}
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", KINDS[1][:2])
@pytest.mark.parametrize("padding", ["valid", "causal"])
def test_conformance(kind, padding, tmp_path):
    def make():
        return kind(2, 2, padding=padding, kl_weight=0.01, seed=1)

    check_layer(make, tmp_path, 3, keeps_mask=padding == "causal")


@pytest.mark.parametrize("rank", KINDS)
@pytest.mark.parametrize("options", [{}, {"padding": "same", "strides": 2}, {"dilation_rate": 2}])
def test_the_mean_convolves_like_the_layer_of_keras(rank, options):
    x = RNG.normal(size=(2, *[6] * rank, 3)).astype("float32")
    ours = KINDS[rank][0](4, 2, kernel_posterior_tensor_fn="mean", kl_weight=1.0, **options)
    theirs = KINDS[rank][2](4, 2, **options)
    theirs.build(x.shape)
    found = to_numpy(ours(x))
    posteriors = (ours._distribution(part, "posterior") for part in ("kernel", "bias"))
    theirs.set_weights([to_numpy(posterior.mean()) for posterior in posteriors])
    np.testing.assert_allclose(found, to_numpy(theirs(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rank", KINDS)
def test_flipout_has_the_mean_of_its_posterior_and_a_draw_for_each_example(rank):
    x = RNG.normal(size=(1, *[4] * rank, 2)).astype("float32")
    x = np.concatenate([x, x])
    layer = KINDS[rank][1](2, 2, kl_weight=1.0, bias_posterior_fn=None, seed=1)
    number = 300
    draws = np.stack([to_numpy(layer(x)) for _ in range(number)])
    posterior = layer._distribution("kernel", "posterior")
    mean = to_numpy(
        layer._linear(*map(keras.ops.convert_to_tensor, (x, to_numpy(posterior.mean()))))
    )
    error = draws.std(0) / number**0.5
    assert np.all(np.abs(draws.mean(0) - mean) < 6 * error)
    assert np.abs(draws[:, 0] - draws[:, 1]).max() > 0.0


def test_a_causal_output_depends_on_no_later_step():
    x = RNG.normal(size=(1, 8, 2)).astype("float32")
    changed = x.copy()
    changed[:, 5:] += 1.0
    for kind in KINDS[1][:2]:
        layer = kind(
            3,
            3,
            padding="causal",
            dilation_rate=2,
            kernel_posterior_tensor_fn="mean",
            kl_weight=1.0,
        )
        before, after = to_numpy(layer(x)), to_numpy(layer(changed))
        assert before.shape == (1, 8, 3)
        np.testing.assert_allclose(before[:, :5], after[:, :5], rtol=1e-6)
        assert np.abs(before[:, 5:] - after[:, 5:]).max() > 0.0


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"Convolution2DFlipout: kernel_size must be an int or 2"):
        Convolution2DFlipout(3, (2, 2, 2))
    with pytest.raises(ValueError, match=r"padding must be one of .*got 'causal'"):
        Convolution2DFlipout(3, 2, padding="causal")
    with pytest.raises(ValueError, match=r"takes 3 axes .* got shape \(2, 4\)"):
        Convolution1DFlipout(3, 2, kl_weight=1.0)(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="strides must be a positive int, got 0"):
        Convolution1DFlipout(3, 2, strides=0)
