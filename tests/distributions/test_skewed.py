"""What is special about the families that lean to one side."""

import numpy as np
import pytest
from helpers import BACKEND, assert_close, to_numpy
from scipy import stats

from timedist import distributions as td

X = np.array([-30.0, -2.0, -0.5, 0.0, 0.7, 3.0, 40.0])


def test_asymmetric_laplace_is_the_pinball_loss():
    """Differences of its log density are those of the loss of the quantile."""
    skewness = np.float32(0.5)
    level = skewness**2 / (1 + skewness**2)
    pinball = np.maximum(level * X, (level - 1) * X)
    d = td.AsymmetricLaplace(0.0, 1.0, skewness)
    log_prob = to_numpy(d.log_prob(X.astype("float32")))
    assert_close(log_prob[3] - log_prob, pinball * (skewness + 1 / skewness), 1e-5)
    np.testing.assert_allclose(to_numpy(d.quantile(level)), 0.0, atol=1e-6)


def test_without_skewness_they_are_what_they_extend():
    x = X.astype("float32")
    pairs = (
        (td.AsymmetricLaplace(1.0, 2.0), td.Laplace(1.0, 2.0)),
        (td.SinhArcsinh(1.0, 2.0), td.Normal(1.0, 2.0)),
    )
    for family, simple in pairs:
        for method in ("log_prob", "cdf", "log_survival_function", "crps"):
            result, expected = (to_numpy(getattr(d, method)(x)) for d in (family, simple))
            assert_close(result, expected, 2e-5, 1e-6, f"{family} {method}")


def test_gumbel_upper_tail_beyond_a_cdf_of_one():
    result = to_numpy(td.Gumbel().log_survival_function(np.array([50.0, 1e4], "float32")))
    assert_close(result, [-50.0, -1e4], 1e-6)


def test_johnson_su_moments_in_float32():
    shape = np.array([0.3, -4.0], "float32"), np.array([20.0, 2.0], "float32")
    d, twin = td.JohnsonSU(*shape), stats.johnsonsu(*(s.astype("float64") for s in shape))
    assert_close(to_numpy(d.mean()), twin.mean(), 1e-5)
    assert_close(to_numpy(d.variance()), twin.var(), 2e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TFP runs on TensorFlow")
@pytest.mark.parametrize("family", ["SinhArcsinh", "JohnsonSU"])
def test_parameters_mean_what_they_mean_in_tfp(family):
    import tensorflow_probability as tfp

    parameters = {"loc": 1.0, "scale": 2.0, "skewness": 0.4, "tailweight": 1.3}
    parameters = {n: np.float64(v) for n, v in parameters.items()}
    result = getattr(td, family)(**parameters).log_prob(X[1:6])
    expected = getattr(tfp.distributions, family)(**parameters).log_prob(X[1:6])
    assert_close(to_numpy(result), to_numpy(expected), 1e-9, 1.0)


@pytest.mark.parametrize(
    ("family", "tailweight", "p"), [(td.SinhArcsinh, 60.0, 0.005), (td.JohnsonSU, 0.01, 0.18)]
)
def test_quantiles_of_which_one_factor_overflows(family, tailweight, p):
    """In float32 the sinh is infinite, its product with the width is not."""
    d = family(skewness=0.0, tailweight=tailweight, loc=0.0, scale=1e-5)
    p = np.array([p, 0.5, 1 - p], "float32")
    x = to_numpy(d.quantile(p))
    assert np.all(np.isfinite(x)) and x[1] == 0.0 and x[2] > 0.1
    np.testing.assert_allclose(to_numpy(d.cdf(x)), p, rtol=1e-4)
