"""`tempered`: a distribution made sharper or flatter, for generation."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.ops import special


def tempered(distribution: Any, temperature: float) -> Any:
    r"""The distribution, sharper (temperature below 1) or flatter (above 1).

    $p_T(x) \propto p(x)^{1/T}$

    So for the families that are closed under it: `Normal`, `HalfNormal`, `TruncatedNormal`,
    `LogNormal`, `Laplace`, `AsymmetricLaplace`, `Exponential`, `VonMises`, `Uniform`,
    `Deterministic`, `Binned`, `Bernoulli`, `Geometric`, `Categorical`, `OneHotCategorical`, the
    multivariate normals; and for `Independent`, `Blockwise` and `Truncated` of them.

    Two conventions for what has no such form: of a mixture the weights and every component are
    tempered, which is not $p^{1/T}$ of the mixture (components that overlap do not grow together);
    of a `TransformedDistribution` or a `NormalizingFlow` the base is.

    Args:
        distribution: a distribution of TimeDist.
        temperature: the number T, positive. 1 leaves the distribution as it is.

    Returns:
        A distribution of the same family and shapes; with temperature 1 the same object.

    Raises:
        ValueError: if the temperature is no positive finite number.
        NotImplementedError: if no rule is known for the family, or one it is made of.

    A rule for a family of your own is a function of both arguments, registered as for
    `functools.singledispatch`; a subclass has its parent's.

    Source: Ha, Eck: A Neural Representation of Sketch Drawings (2017), for mixtures; Kingma,
    Dhariwal: Glow (2018), for flows.

    >>> from timedist.distributions import Distribution, Normal, constraints, parameter
    >>> float(tempered(Normal(0.0, 1.0), 0.25).scale)
    0.5
    >>> class Spike(Distribution):
    ...     scale: object = parameter(constraints.positive)
    ...     def _log_prob(self, x):
    ...         return -abs(x) / self.scale - ops.log(2.0 * self.scale)
    >>> @tempered.register(Spike)
    ... def of_spike(distribution, temperature):
    ...     return Spike(distribution.scale * temperature)
    >>> float(tempered(Spike(1.0), 2.0).scale)
    2.0
    """
    number = checks.positive("tempered", "temperature", temperature)
    return distribution if number == 1.0 else _tempered(distribution, number)


@singledispatch
def _tempered(distribution: Any, temperature: float) -> Any:
    del temperature
    family = type(distribution).__name__
    if not isinstance(distribution, td.Distribution):
        raise NotImplementedError(
            f"tempered takes a distribution of `timedist.distributions`, got a {family}"
        )
    raise NotImplementedError(
        f"tempered: no rule is known for the family {family}. Give one, a function of a "
        "distribution and a temperature T that returns the distribution with a density "
        f"proportional to p^(1/T): `@timedist.sequence.tempered.register({family})`"
    )


_register = _tempered.register
tempered.register = _register  # type: ignore[attr-defined]


# --- closed families ------------------------------------------------------------------------------


@_register(td.Uniform)
@_register(td.Deterministic)
def _(d: Any, t: float) -> Any:
    """All values have one density, or there is one value."""
    del t
    return d


@_register(td.Normal)
def _(d: Any, t: float) -> Any:
    return td.Normal.trusted(loc=d.loc, scale=d.scale * math.sqrt(t))


@_register(td.HalfNormal)
def _(d: Any, t: float) -> Any:
    return td.HalfNormal.trusted(scale=d.scale * math.sqrt(t))


@_register(td.TruncatedNormal)
def _(d: Any, t: float) -> Any:
    scale = d.scale * math.sqrt(t)
    return td.TruncatedNormal.trusted(loc=d.loc, scale=scale, low=d.low, high=d.high)


@_register(td.LogNormal)
def _(d: Any, t: float) -> Any:
    """1 / x takes part in the power: it shifts the mean of the logarithm."""
    loc = d.loc + (t - 1.0) * ops.square(d.scale)
    return td.LogNormal.trusted(loc=loc, scale=d.scale * math.sqrt(t))


@_register(td.Laplace)
def _(d: Any, t: float) -> Any:
    return td.Laplace.trusted(loc=d.loc, scale=d.scale * t)


@_register(td.AsymmetricLaplace)
def _(d: Any, t: float) -> Any:
    return td.AsymmetricLaplace.trusted(loc=d.loc, scale=d.scale * t, skewness=d.skewness)


@_register(td.Exponential)
def _(d: Any, t: float) -> Any:
    return td.Exponential.trusted(rate=d.rate / t)


@_register(td.VonMises)
def _(d: Any, t: float) -> Any:
    return td.VonMises.trusted(loc=d.loc, concentration=d.concentration / t)


@_register(td.Binned)
def _(d: Any, t: float) -> Any:
    """The density of a bin has the power, its probability the width as well."""
    widths = d.edges[..., 1:] - d.edges[..., :-1]
    logits = d.logits / t + (1.0 - 1.0 / t) * ops.log(widths)
    return td.Binned.trusted(edges=d.edges, logits=logits)


@_register(td.Bernoulli)
@_register(td.Categorical)
@_register(td.OneHotCategorical)
def _(d: Any, t: float) -> Any:
    return type(d).trusted(logits=d.logits / t)


@_register(td.Geometric)
def _(d: Any, t: float) -> Any:
    """The log probability of one failure more is divided by T."""
    failure = -ops.softplus(d.logits) / t
    return td.Geometric.trusted(logits=special.log1mexp(failure) - failure)


@_register(td.MultivariateNormalDiag)
def _(d: Any, t: float) -> Any:
    return td.MultivariateNormalDiag.trusted(loc=d.loc, scale_diag=d.scale_diag * math.sqrt(t))


@_register(td.MultivariateNormalTriL)
def _(d: Any, t: float) -> Any:
    return td.MultivariateNormalTriL.trusted(loc=d.loc, scale_tril=d.scale_tril * math.sqrt(t))


@_register(td.MultivariateNormalDiagPlusLowRankCovariance)
def _(d: Any, t: float) -> Any:
    return td.MultivariateNormalDiagPlusLowRankCovariance.trusted(
        loc=d.loc,
        cov_diag_factor=d.cov_diag_factor * t,
        cov_perturb_factor=d.cov_perturb_factor * math.sqrt(t),
    )


# --- what is made of others -----------------------------------------------------------------------


@_register(td.Independent)
def _(d: Any, t: float) -> Any:
    rank = d.reinterpreted_batch_ndims
    return td.Independent.trusted(base=_tempered(d.base, t), reinterpreted_batch_ndims=rank)


@_register(td.Blockwise)
def _(d: Any, t: float) -> Any:
    return td.Blockwise.trusted(distributions=[_tempered(part, t) for part in d.distributions])


@_register(td.Truncated)
def _(d: Any, t: float) -> Any:
    return td.Truncated.trusted(base=_tempered(d.base, t), low=d.low, high=d.high)


@_register(td.MixtureSameFamily)
def _(d: Any, t: float) -> Any:
    return td.MixtureSameFamily.trusted(
        mixture=_tempered(d.mixture, t), components=_tempered(d.components, t)
    )


@_register(td.Mixture)
def _(d: Any, t: float) -> Any:
    parts = [_tempered(part, t) for part in d.components]
    return td.Mixture.trusted(mixture=_tempered(d.mixture, t), components=parts)


@_register(td.TransformedDistribution)
def _(d: Any, t: float) -> Any:
    return td.TransformedDistribution.trusted(base=_tempered(d.base, t), transform=d.transform)


@_register(td.NormalizingFlow)
def _(d: Any, t: float) -> Any:
    return td.NormalizingFlow.trusted(
        base=_tempered(d.base, t), transforms=d.transforms, context=d.context
    )
