"""The Dirichlet distribution at the edge of the simplex and with large concentrations."""

import mpmath
import numpy as np
from helpers import gradient, to_numpy
from scipy import stats

from timedist import distributions as td


def test_values_on_the_edge():
    d = td.Dirichlet([[0.5, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [0.5, 2.0, 2.0]])
    x = np.array([[0.0, 0.4, 0.6], [0.0, 0.4, 0.6], [0.0, 0.4, 0.6], [0.0, 0.0, 1.0]], "float32")
    exact = stats.dirichlet([1.0, 2.0, 3.0]).logpdf([0.0, 0.4, 0.6])
    np.testing.assert_allclose(
        to_numpy(d.log_prob(x)), [np.inf, exact, -np.inf, -np.inf], rtol=1e-5
    )
    assert not np.any(np.isnan(gradient(d.log_prob, x)[0]))


def test_what_does_not_sum_to_one_has_no_density():
    d = td.Dirichlet([1.0, 2.0])
    values = np.array([[0.5, 0.6], [-0.5, 1.5], [0.3, 0.7]], "float32")
    np.testing.assert_array_equal(to_numpy(d.log_prob(values)) == -np.inf, [True, True, False])


def test_large_concentrations_lose_no_digits_in_float32():
    alpha = np.array([2e6, 3e6, 5e6])
    d = td.Dirichlet(alpha.astype("float32"))
    mp_alpha = [mpmath.mpf(a) for a in alpha]
    with mpmath.workdps(40):
        total = sum(mp_alpha)
        log_beta = sum(map(mpmath.loggamma, mp_alpha)) - mpmath.loggamma(total)
        psi = [(a - 1) * mpmath.digamma(a) for a in mp_alpha]
        entropy = log_beta + (total - 3) * mpmath.digamma(total) - sum(psi)
    np.testing.assert_allclose(to_numpy(d.entropy()), float(entropy), rtol=1e-5)
    other = td.Dirichlet((alpha * 1.001).astype("float32"))
    near = to_numpy(d.kl_divergence(other))
    assert 0.0 <= near < 1e-5


def test_the_mode_needs_concentrations_above_one():
    d = td.Dirichlet([[2.0, 3.0, 5.0], [1.0, 3.0, 5.0]])
    mode = to_numpy(d.mode())
    np.testing.assert_allclose(mode[0], [1 / 7, 2 / 7, 4 / 7], rtol=1e-6)
    assert np.all(np.isnan(mode[1]))


def test_draws_with_tiny_concentrations_are_shares():
    draws = to_numpy(td.Dirichlet([1e-4, 1e-4, 1e-4]).sample(200, seed=1))
    np.testing.assert_allclose(draws.sum(axis=-1), 1.0, rtol=1e-5)
    winners = np.bincount(draws.argmax(axis=-1), minlength=3)
    assert np.all(winners > 35)  # 200 / 3 minus five standard deviations
