"""`Sample` and `Statistic`."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from helpers import gradient, to_numpy

from timedist.distributions import Bernoulli, Categorical, Independent, Normal
from timedist.layers import (
    DistributionLambda,
    IndependentNormal,
    LogProb,
    Mean,
    Median,
    Mode,
    Quantile,
    Sample,
    Statistic,
)

RNG = np.random.default_rng(0)
LOC = RNG.normal(size=(4, 5, 3)).astype("float32")
SCALE = np.exp(RNG.normal(size=(4, 5, 3))).astype("float32")


@pytest.mark.parametrize("sample_shape", [(), 2, (2, 3)], ids=str)
def test_sample_conforms(sample_shape, tmp_path):
    check_layer(
        lambda: Sample(sample_shape, seed=1),
        tmp_path,
        6,
        before=(lambda: IndependentNormal(3),),
        keeps_mask=sample_shape == (),
    )


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("mean", None),
        ("stddev", None),
        ("entropy", None),
        ("quantile", 0.9),
        ("log_prob", [0.0, 1.0, 2.0]),
        ("interval", 0.9),
    ],
    ids=str,
)
def test_statistic_conforms(method, value, tmp_path):
    if method == "interval":
        layer = Statistic("interval", 0.9)
        assert layer.get_config()["value"] == 0.9
        low, high = layer(Normal(LOC, SCALE))
        expected = [to_numpy(x) for x in Normal(LOC, SCALE).interval(0.9)]
        np.testing.assert_allclose(to_numpy(low), expected[0])
        np.testing.assert_allclose(to_numpy(high), expected[1])
        return
    check_layer(
        lambda: Statistic(method, value), tmp_path, 6, before=(lambda: IndependentNormal(3),)
    )


NAMED = {
    Mean: (lambda: Mean(), "mean", ()),
    Mode: (lambda: Mode(), "mode", ()),
    Median: (lambda: Median(), "median", ()),
    Quantile: (lambda: Quantile(0.9), "quantile", (0.9,)),
    LogProb: (lambda: LogProb([0.0, 1.0, 2.0]), "log_prob", ([0.0, 1.0, 2.0],)),
}


@pytest.mark.parametrize("cls", NAMED)
def test_statistics_with_a_class_conform(cls, tmp_path):
    make, method, arguments = NAMED[cls]
    check_layer(make, tmp_path, 6, before=(lambda: IndependentNormal(3),))
    assert not {"method", "value"} & set(cls().get_config())
    distribution = Independent(Normal(LOC, SCALE), 1)
    np.testing.assert_allclose(
        to_numpy(make()(distribution)),
        to_numpy(getattr(distribution, method)(*arguments)),
        rtol=1e-6,
    )


@pytest.mark.parametrize("cls", [LogProb, Quantile])
def test_arguments_as_second_inputs_in_a_model(cls, tmp_path):
    inputs, value = keras.Input((None, 6)), keras.Input((None, 3) if cls is LogProb else (None,))
    distribution = IndependentNormal(3)(inputs)
    method = "log_prob" if cls is LogProb else "quantile"
    outputs = [cls()(distribution, value), getattr(distribution, method)(value)]
    model = keras.Model([inputs, value], outputs)
    assert sum(isinstance(layer, cls) for layer in model.layers) == 2
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    x = RNG.normal(size=(4, 5, 6)).astype("float32")
    y = RNG.uniform(0.1, 0.9, size=(4, 5, *value.shape[2:])).astype("float32")
    expected = to_numpy(getattr(IndependentNormal(3)(x), method)(y))
    for mine, its in zip(model([x, y]), loaded([x, y]), strict=True):
        np.testing.assert_allclose(to_numpy(mine), expected, rtol=1e-5)
        np.testing.assert_allclose(to_numpy(its), expected, rtol=1e-5)


@pytest.mark.parametrize("p", [1.5, -0.1, [0.5, float("nan")]])
def test_levels_outside_the_unit_interval(p):
    with pytest.raises(ValueError, match=r"Quantile: p must be in \[0, 1\]"):
        Quantile(p)


def test_arguments_where_there_are_none():
    with pytest.raises(TypeError):
        Mean(3)
    with pytest.raises(TypeError, match="value"):
        LogProb()(Normal(LOC, SCALE))


def test_sample_is_a_draw_with_a_fresh_one_at_each_call():
    layer = Sample(500, seed=3)
    distribution = Normal(LOC, SCALE)
    first, second = to_numpy(layer(distribution)), to_numpy(layer(distribution))
    assert first.shape == (500, 4, 5, 3)
    assert np.abs(first - second).max() > 0.1
    z = (first - LOC) / SCALE
    assert abs(z.mean()) < 0.03
    assert abs(z.std() - 1.0) < 0.03
    again = to_numpy(Sample(500, seed=3)(distribution))
    np.testing.assert_array_equal(first, again)


def test_sample_has_reparameterised_gradients():
    def draw(loc, scale):
        return Sample(seed=3)(Normal.trusted(loc=loc, scale=scale))

    z = (to_numpy(draw(LOC, SCALE)) - LOC) / SCALE
    to_loc, to_scale = gradient(draw, LOC, SCALE)
    np.testing.assert_allclose(to_loc, np.ones_like(LOC), rtol=1e-6)
    np.testing.assert_allclose(to_scale, z, atol=2e-5)


def test_sample_of_discrete_families_has_its_symbolic_dtype():
    inputs = keras.Input((None, 3))
    for family, dtype in ((Bernoulli, "float32"), (Categorical, "int32")):
        symbolic = DistributionLambda(lambda t, family=family: family(logits=t))(inputs)
        drawn = symbolic.sample(2)
        real = keras.Model(inputs, drawn)(LOC)
        assert drawn.dtype == keras.backend.standardize_dtype(real.dtype) == dtype
        assert drawn.shape[1:] == (None, None, *real.shape[3:])


def test_statistic_takes_its_argument_as_second_input():
    y = RNG.normal(size=LOC.shape).astype("float32")
    distribution = Independent(Normal(LOC, SCALE), 1)
    np.testing.assert_allclose(
        to_numpy(Statistic("log_prob")(distribution, y)),
        to_numpy(distribution.log_prob(y)),
        rtol=1e-6,
    )


def test_statistic_keeps_arrays_as_json():
    layer = Statistic("log_prob", np.arange(3.0))
    assert layer.get_config()["value"] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("method", ["_log_prob", "nothing", "dtype", "__len__"])
def test_statistic_of_no_method(method):
    with pytest.raises(ValueError, match="has no method"):
        Statistic(method)


@pytest.mark.parametrize("layer", [Sample(), Statistic("mean")], ids=["Sample", "Statistic"])
def test_tensors_are_refused(layer):
    with pytest.raises(
        TypeError, match=rf"{layer.name}.*takes a distribution.*\(4, 5, 3\).*IndependentNormal"
    ):
        layer(LOC)


def test_what_a_plain_symbol_can_tell():
    inner_input = keras.Input((None, 6))
    inner = keras.Model(inner_input, IndependentNormal(3)(inner_input))
    inputs = keras.Input((None, 6))
    nested = inner(inputs)
    outputs = [Sample()(nested), Mean()(nested), Statistic("stddev")(nested)]
    model = keras.Model(inputs, outputs)
    x = RNG.normal(size=(4, 5, 6)).astype("float32")
    assert [tuple(o.shape) for o in model(x)] == [(4, 5, 3)] * 3
    with pytest.raises(TypeError, match=r"family is not known.*\.entropy"):
        Statistic("entropy")(nested)


def test_sample_takes_its_seed_as_an_int():
    with pytest.raises((TypeError, ValueError), match="seed"):
        Sample(seed="a")
