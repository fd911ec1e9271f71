"""Priors of latent vectors, and the divergence of a posterior from one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import distributions as td
from timedist.interop import as_distribution, is_distribution
from timedist.layers import (
    BlockwiseInitializer,
    MaskedAutoregressiveFlow,
    MixtureNormal,
    VariableLayer,
)
from timedist.layers.folding import mean_over_sequences

Tensor = Any

PRIORS = ("standard", "mixture", "flow")


def make_prior(prior: Any, latent_dim: int, components: int, dtype: str) -> Any:
    """The prior of a name; a layer or a distribution is one already.

    Args:
        prior: `"standard"`, `"mixture"`, `"flow"`, a layer that gives a distribution whatever its
            input is, or a distribution.
        latent_dim: the number of components of a latent vector.
        components: the number of normals in the mixture.
        dtype: of the weights.

    Returns:
        A distribution or a layer.

    Raises:
        ValueError: if it is nothing of the kind.
    """
    if isinstance(prior, keras.Layer):
        return prior
    if is_distribution(prior):
        return as_distribution(prior)
    if prior == "standard":
        return td.Independent(td.Normal(np.zeros(latent_dim, dtype), 1.0), 1)
    if prior == "mixture":
        return _mixture(latent_dim, components, dtype)
    if prior == "flow":
        return MaskedAutoregressiveFlow(latent_dim, dtype=dtype, name="prior")
    raise ValueError(
        f"RecurrentVAE: prior must be one of {PRIORS}, a distribution or a layer that gives one, "
        f"got {prior!r}"
    )


def _mixture(latent_dim: int, components: int, dtype: str) -> keras.Layer:
    """A learned mixture of normals, which start apart from each other."""
    size = MixtureNormal.params_size(components, latent_dim)
    apart = keras.initializers.RandomNormal(stddev=0.5)
    start = BlockwiseInitializer(["zeros", apart], [components, size - components])
    variable = VariableLayer(size, initializer=start, dtype=dtype)
    head = MixtureNormal(components, latent_dim, dtype=dtype)
    return keras.Sequential([variable, head], name="prior")


def prior_distribution(prior: Any, latent_dim: int) -> td.Distribution:
    """The distribution that a prior is now.

    Args:
        prior: a distribution, or a layer, which is called on one row of zeros.
        latent_dim: the number of components of a latent vector.

    Returns:
        A distribution with `batch_shape` `()` or `(1,)` and `event_shape == (latent_dim,)`.

    Raises:
        ValueError: if it has other shapes.
    """
    made = prior(ops.zeros((1, 1))) if isinstance(prior, keras.Layer) else prior
    made = as_distribution(made)
    if made.event_shape != (latent_dim,) or made.batch_shape not in ((), (1,)):
        raise ValueError(
            f"RecurrentVAE: the prior must be one distribution of vectors of {latent_dim} "
            f"components, with batch_shape () or (1,), got {made!r}"
        )
    return made


def divergences(posterior: td.Distribution, prior: td.Distribution, z: Tensor) -> Tensor:
    r"""$\mathrm{KL}[q \,\|\, p]$ of every sequence in nats, in independent groups of components.

    Args:
        posterior: the posterior q, `batch_shape == (batch,)`.
        prior: the prior p.
        z: a draw from the posterior, `(batch, latent_dim)`.

    Returns:
        Tensor `(batch, latent_dim)` if both have independent components, else `(batch, 1)`: exact
        where a method is known for the two families, else $\log q(z) - \log p(z)$.
    """
    q, p = _components(posterior), _components(prior)
    try:
        if q is not None and p is not None:
            return q.kl_divergence(p)
        return posterior.kl_divergence(prior)[:, None]
    except NotImplementedError:
        return (posterior.log_prob(z) - prior.log_prob(z))[:, None]


def _components(distribution: Any) -> Any:
    """The distribution of the components, if they are independent and of one family."""
    independent = isinstance(distribution, td.Independent) and not distribution.base.event_shape
    return distribution.base if independent else None


def penalty(nats: Tensor, free_bits: float, latent_dim: int) -> Tensor:
    r"""The divergence of a batch in nats for each sequence, no group below what is free.

    $\sum_j \max(\lambda_j, \frac1B \sum_i \mathrm{KL}_{ij})$

    Args:
        nats: tensor `(batch, groups)`.
        free_bits: nats that are free for each latent component.
        latent_dim: the number of components.

    Returns:
        Scalar.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling: Improved Variational Inference
    with Inverse Autoregressive Flow (2016), appendix C.8.
    """
    if not free_bits:
        return mean_over_sequences(nats)
    free = free_bits * latent_dim / nats.shape[-1]
    return ops.sum(ops.maximum(ops.mean(nats, axis=0), free))
