"""Heads with their dense layer, by name."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import to_numpy

from timedist import distributions as td
from timedist import layers
from timedist.layers.distribution_head import head_names

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("student_t", {"event_shape": 3}),
        ("mixture_normal", {"num_components": 2}),
        ("multivariate_normal_tril", {"event_size": 2, "kernel_initializer": "he_normal"}),
        ("binomial", {"total_count": 10, "name": "counts"}),
    ],
)
def test_heads_conform(name, options, tmp_path):
    check_layer(lambda: layers.DistributionHead(name, **options), tmp_path, 4)


def test_names():
    names = head_names()
    for name, cls in {
        "normal": layers.IndependentNormal,
        "independent_student_t": layers.IndependentStudentT,
        "johnson_su": layers.IndependentJohnsonSU,
        "multivariate_student_t_tril": layers.MultivariateStudentTTriL,
        "one_hot_categorical": layers.OneHotCategorical,
        "zero_inflated_poisson": layers.ZeroInflatedPoisson,
    }.items():
        assert names[name] is cls
    public = [getattr(layers, name) for name in layers.__all__]
    classes = {each for each in public if isinstance(each, type)}
    heads = {cls for cls in classes if issubclass(cls, layers.Head) and hasattr(cls, "family")}
    assert set(names.values()) == heads


def test_it_is_the_head_after_a_dense_layer():
    layer = layers.DistributionHead("normal", event_shape=2)
    distribution = layer(X)
    kernel, bias = layer.get_weights()
    assert kernel.shape == (4, 4)
    expected = layers.IndependentNormal(2)(X @ kernel + bias)
    np.testing.assert_allclose(
        to_numpy(distribution.base.scale), to_numpy(expected.base.scale), rtol=1e-5
    )


def test_classes_and_heads_do_as_well():
    @keras.saving.register_keras_serializable("test_distribution_head")
    class Mine(layers.IndependentHead):
        family = td.Cauchy

    for head, options in ((Mine, {"event_shape": 3}), (Mine(3), {})):
        layer = layers.DistributionHead(head, **options)
        again = layers.DistributionHead.from_config(layer.get_config())
        assert isinstance(again.head, Mine)
        assert again(X).event_shape == (3,)


def test_unknown_names_are_told_the_close_ones():
    with pytest.raises(ValueError, match=r"'StudentT'; did you mean 'student_t'.*Known: .*normal"):
        layers.DistributionHead("StudentT")
    with pytest.raises(ValueError, match=r"unknown head 'xyz'; Known"):
        layers.DistributionHead("xyz")


def test_wrong_arguments():
    with pytest.raises(TypeError, match=r"head must be the name of a head.*got 3"):
        layers.DistributionHead(3)
    with pytest.raises(TypeError, match=r"head must be the name"):
        layers.DistributionHead(td.Normal)
    with pytest.raises(TypeError, match=r"\['event_shape'\] are options of a head to be made"):
        layers.DistributionHead(layers.IndependentNormal(), event_shape=3)
    with pytest.raises(TypeError, match="num_components"):
        layers.DistributionHead("mixture_normal")
