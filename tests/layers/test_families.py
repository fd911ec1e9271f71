"""The heads of scalar families: conformance, sizes, start values, valid parameters."""

import keras
import numpy as np
import pytest
from conformance import check_layer
from heads import all_rows_hold, parameters
from helpers import to_numpy

from timedist import layers
from timedist.layers import families

HEADS = [
    value
    for name, value in vars(families).items()
    if name.startswith("Independent") and "family" in vars(value)
]
OPTIONS = {
    "IndependentBinomial": {"total_count": 10},
    "IndependentBetaBinomial": {"total_count": [10.0, 4.0, 7.0]},
    "IndependentTruncatedNormal": {"low": 0.0, "high": [2.0, 3.0, 4.0]},
    "IndependentGeneralizedPareto": {"loc": 0.5},
}
INSIDE = {  # a value inside the support, 1 for the others
    "IndependentPareto": 1.5,
    "IndependentBeta": 0.4,
    "IndependentKumaraswamy": 0.4,
    "IndependentLogitNormal": 0.4,
}
REAL_LINE = ("Normal", "Laplace", "AsymmetricLaplace", "Logistic", "Cauchy", "StudentT")
REAL_LINE += ("Gumbel", "SinhArcsinh", "JohnsonSU")


def made(head, event_shape=3):
    """The head with the options it needs."""
    return head(event_shape, **OPTIONS.get(head.__name__, {}))


def test_every_family_has_its_head():
    assert {f"Independent{name}" for name in REAL_LINE} <= {head.__name__ for head in HEADS}
    for head in HEADS:
        assert head.__name__ == f"Independent{head.family.__name__}"
        assert getattr(layers, head.__name__) is head


@pytest.mark.parametrize("head", HEADS)
def test_heads_conform(head, tmp_path):
    value = INSIDE.get(head.__name__, 1.0)
    check_layer(lambda: made(head), tmp_path, head.params_size(3), event_value=value)


@pytest.mark.parametrize("head", HEADS)
def test_extreme_inputs_give_valid_parameters(head):
    size = head.params_size(3)
    raw = np.array([-1e4, -80.0, 0.0, 30.0], "float32")[:, None] * np.ones(size, "float32")
    distribution = made(head)(raw)
    assert distribution.batch_shape == (4,)
    assert distribution.event_shape == (3,)
    all_rows_hold(distribution)


@pytest.mark.parametrize("name", REAL_LINE)
def test_a_fresh_head_fits_standardised_data(name):
    head = getattr(layers, f"Independent{name}")
    fresh = head()(np.zeros((1, head.params_size()), "float32"))
    if name == "Cauchy":  # which has no moments
        lower, middle, upper = to_numpy(fresh.quantile(np.array([0.25, 0.5, 0.75], "float32")))
        assert (lower, middle, upper) == pytest.approx((-1.0, 0.0, 1.0), abs=1e-4)
    else:
        assert abs(to_numpy(fresh.mean())[0]) < 0.1
        assert 0.5 < to_numpy(fresh.stddev())[0] < 2.0


def test_parameters_stand_in_the_order_of_the_constructor():
    raw = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    found = layers.IndependentJohnsonSU()(raw)
    np.testing.assert_allclose(to_numpy(found.skewness), raw[..., 0], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(found.loc), raw[..., 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("head", "name", "bound"),
    [
        (layers.IndependentStudentT, "df", 2.0),
        (layers.IndependentInverseGamma, "concentration", 2.0),
        (layers.IndependentPareto, "concentration", 2.0),
    ],
)
def test_narrowed_parameters_keep_the_variance_finite(head, name, bound):
    low = head()(np.full((1, head.params_size()), -50.0, "float32"))
    assert parameters(low)[name] > bound
    assert np.isfinite(to_numpy(low.variance())).all()


def test_fixed_parameters_are_arguments():
    head = layers.IndependentBinomial(2, total_count=[3, 5])
    distribution = head(np.zeros((4, 2), "float32"))
    np.testing.assert_allclose(to_numpy(distribution.mean()), [[1.5, 2.5]] * 4)
    again = layers.IndependentBinomial.from_config(head.get_config())
    assert again.total_count == (3, 5)
    given = keras.ops.convert_to_tensor([3.0, 5.0])
    assert layers.IndependentBinomial(2, total_count=given).total_count == (3.0, 5.0)


def test_fixed_parameters_are_checked_by_the_family():
    with pytest.raises(TypeError, match=r"IndependentBinomial needs 'total_count'"):
        layers.IndependentBinomial()
    with pytest.raises(ValueError, match=r"Binomial.*total_count.*-1"):
        layers.IndependentBinomial(total_count=-1)
    with pytest.raises(ValueError, match=r"Binomial.*total_count \(2,\)"):
        layers.IndependentBinomial(3, total_count=[1, 2])
