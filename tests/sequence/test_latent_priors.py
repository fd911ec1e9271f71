"""Divergences from the priors of latent vectors, and what of them is free."""

import numpy as np
import pytest
from helpers import assert_close, to_numpy
from keras import ops
from scipy import stats

from timedist import distributions as td
from timedist.sequence import latent_priors


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
@pytest.mark.parametrize("prior", ["standard", "mixture", "flow"])
def test_divergences(prior, posterior):
    rng = np.random.default_rng(3)
    layer = latent_priors.make_prior(prior, 2, 3, "float32")
    p = latent_priors.prior_distribution(layer, 2)
    if posterior == "full":
        factor = np.array([[[0.5, 0.0], [0.3, 0.8]]] * 4, "float32")
        q = td.MultivariateNormalTriL(rng.normal(size=(4, 2)).astype("float32"), factor)
    else:
        q = td.Independent(td.Normal(rng.normal(size=(4, 2)).astype("float32"), 0.5))
    z = q.sample(seed=1)
    found = to_numpy(latent_priors.divergences(q, p, z))
    assert found.shape == ((4, 2) if (prior, posterior) == ("standard", "diagonal") else (4, 1))
    if prior == "standard":
        log_ratio = stats.multivariate_normal([0.0, 0.0]).logpdf
        draws = to_numpy(q.sample(4000, seed=2))
        each = to_numpy(q.log_prob(draws)) - log_ratio(draws)
        error = each.std(axis=0) / np.sqrt(len(each))
        assert (np.abs(found.sum(axis=-1) - each.mean(axis=0)) < 4.5 * error).all()
    else:
        assert_close(found[:, 0], to_numpy(q.log_prob(z)) - to_numpy(p.log_prob(z)), 1e-5)


def test_free_nats_of_every_component():
    nats = np.array([[0.1, 2.0, 0.0], [0.5, 4.0, 0.2]], "float32")
    assert_close(latent_priors.penalty(ops.convert_to_tensor(nats), 0.0, 3), 3.4, 1e-6)
    assert_close(latent_priors.penalty(ops.convert_to_tensor(nats), 0.25, 3), 3.0 + 0.55, 1e-6)
    whole = ops.convert_to_tensor(nats.sum(axis=-1, keepdims=True))
    assert_close(latent_priors.penalty(whole, 1.0, 3), 3.4, 1e-6)
    assert_close(latent_priors.penalty(whole, 2.0, 3), 6.0, 1e-6)
