"""Frozen distributions of SciPy from ours, and ours from theirs."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from timedist import distributions as td
from timedist.distributions import Distribution
from timedist.ops import compat


class _Row(NamedTuple):
    """A family of SciPy: its name, its arguments from our parameters, and the other way round."""

    theirs: str
    to: Callable[[Any], dict[str, Any]]
    back: Callable[[Any], dict[str, Any]]


def _same(theirs: str, **names: str) -> _Row:
    """A row whose parameters differ in their names only, given as `ours="theirs"`."""
    return _Row(
        theirs,
        lambda d: {there: getattr(d, ours) for ours, there in names.items()},
        lambda s: {ours: getattr(s, there) for ours, there in names.items()},
    )


_LOC_SCALE = {"loc": "loc", "scale": "scale"}

_ROWS: dict[str, _Row] = {
    "Normal": _same("norm", **_LOC_SCALE),
    "Laplace": _same("laplace", **_LOC_SCALE),
    "AsymmetricLaplace": _same("laplace_asymmetric", skewness="kappa", **_LOC_SCALE),
    "Logistic": _same("logistic", **_LOC_SCALE),
    "Cauchy": _same("cauchy", **_LOC_SCALE),
    "StudentT": _same("t", df="df", **_LOC_SCALE),
    "Gumbel": _same("gumbel_r", **_LOC_SCALE),
    "JohnsonSU": _same("johnsonsu", skewness="a", tailweight="b", **_LOC_SCALE),
    "VonMises": _same("vonmises", concentration="kappa", loc="loc"),
    "LogNormal": _Row(
        "lognorm",
        lambda d: {"s": d.scale, "scale": np.exp(d.loc)},
        lambda s: {"loc": np.log(s.scale), "scale": s.s},
    ),
    "Gamma": _Row(
        "gamma",
        lambda d: {"a": d.concentration, "scale": 1.0 / d.rate},
        lambda s: {"concentration": s.a, "rate": 1.0 / s.scale},
    ),
    "InverseGamma": _same("invgamma", concentration="a", scale="scale"),
    "Exponential": _Row(
        "expon", lambda d: {"scale": 1.0 / d.rate}, lambda s: {"rate": 1.0 / s.scale}
    ),
    "Weibull": _same("weibull_min", concentration="c", scale="scale"),
    "HalfNormal": _same("halfnorm", scale="scale"),
    "Pareto": _same("pareto", concentration="b", scale="scale"),
    "GeneralizedPareto": _same("genpareto", concentration="c", **_LOC_SCALE),
    "LogLogistic": _Row(
        "fisk",
        lambda d: {"c": 1.0 / d.scale, "scale": np.exp(d.loc)},
        lambda s: {"loc": np.log(s.scale), "scale": 1.0 / s.c},
    ),
    "Uniform": _Row(
        "uniform",
        lambda d: {"loc": d.low, "scale": d.high - d.low},
        lambda s: {"low": s.loc, "high": s.loc + s.scale},
    ),
    "Beta": _same("beta", concentration1="a", concentration0="b"),
    "TruncatedNormal": _Row(
        "truncnorm",
        lambda d: {
            "a": (d.low - d.loc) / d.scale,
            "b": (d.high - d.loc) / d.scale,
            "loc": d.loc,
            "scale": d.scale,
        },
        lambda s: {
            "loc": s.loc,
            "scale": s.scale,
            "low": s.loc + s.scale * s.a,
            "high": s.loc + s.scale * s.b,
        },
    ),
    "Bernoulli": _same("bernoulli", probs="p"),
    "Binomial": _same("binom", total_count="n", probs="p"),
    "BetaBinomial": _same("betabinom", total_count="n", concentration1="a", concentration0="b"),
    "Poisson": _same("poisson", rate="mu"),
    "NegativeBinomial": _Row(
        "nbinom",
        lambda d: {"n": d.total_count, "p": 1.0 - d.probs},
        lambda s: {"total_count": s.n, "probs": 1.0 - s.p},
    ),
    "Geometric": _Row(  # SciPy counts the trials, we count the failures before the success
        "geom", lambda d: {"p": d.probs, "loc": -1}, lambda s: {"probs": s.p}
    ),
}


def to_scipy(distribution: Distribution) -> Any:
    """The distribution as a frozen one of `scipy.stats`, with parameters as NumPy arrays.

    Args:
        distribution: a distribution of TimeDist with scalar events.

    Returns:
        A frozen distribution, with `pdf` or `pmf`, `cdf`, `ppf`, `rvs` and the others of SciPy.

    Raises:
        NotImplementedError: if SciPy has no such family; the message lists those that it has.
        TypeError: if it is no distribution of TimeDist.

    >>> from timedist.distributions import Normal
    >>> float(to_scipy(Normal(2.0, 1.0)).cdf(2.0))
    0.5
    """
    from scipy import stats

    if not isinstance(distribution, Distribution):
        raise TypeError(f"expected a distribution of timedist, got {type(distribution).__name__}")
    row = _ROWS.get(type(distribution).__name__)
    if row is None:
        raise NotImplementedError(
            f"SciPy has no family for {distribution!r}; it has those for {', '.join(_ROWS)}"
        )
    parameters = {
        field.name: compat.to_numpy(getattr(distribution, field.name))
        for field in distribution._parameters()
    }
    return getattr(stats, row.theirs)(**row.to(SimpleNamespace(**parameters)))


def from_scipy(distribution: Any) -> Distribution:
    """The family of TimeDist that a frozen distribution of `scipy.stats` belongs to.

    Args:
        distribution: a frozen distribution such as `scipy.stats.gamma(2.0, scale=3.0)`.

    Returns:
        A distribution of TimeDist with the same parameters.

    Raises:
        NotImplementedError: if TimeDist has no such family, or none with such a `loc` or `scale`.
        TypeError: if it is no frozen distribution of SciPy.

    >>> from scipy import stats
    >>> type(from_scipy(stats.gamma([2.0, 3.0], scale=0.5))).__name__
    'Gamma'
    """
    kind = getattr(distribution, "dist", None)
    if kind is None or not hasattr(distribution, "ppf"):
        raise TypeError(
            f"expected a frozen distribution of scipy.stats, got {type(distribution).__name__}"
        )
    ours = next((name for name, row in _ROWS.items() if row.theirs == kind.name), None)
    if ours is None:
        known = ", ".join(row.theirs for row in _ROWS.values())
        raise NotImplementedError(
            f"timedist has no family for scipy.stats.{kind.name}; it has those for {known}"
        )
    return getattr(td, ours)(**_checked_back(_ROWS[ours], _arguments(distribution)))


def _arguments(distribution: Any) -> dict[str, Any]:
    """All arguments of a frozen distribution by name, the defaults of `loc` and `scale` too."""
    kind = distribution.dist
    shapes = kind.shapes.split(", ") if kind.shapes else []
    names = [*shapes, "loc", *(("scale",) if hasattr(kind, "pdf") else ())]
    given = dict(zip(names, distribution.args, strict=False)) | distribution.kwds
    defaults = {"loc": 0.0, "scale": 1.0}
    return {name: np.asarray(given.get(name, defaults.get(name)), "float64") for name in names}


def _checked_back(row: _Row, arguments: dict[str, Any]) -> dict[str, Any]:
    """Our parameters, if they say all that the arguments say."""
    ours = row.back(SimpleNamespace(**arguments))
    again = {"loc": 0.0, "scale": 1.0} | row.to(SimpleNamespace(**ours))
    wrong = [n for n, value in arguments.items() if not np.allclose(again[n], value)]
    if wrong:
        named = ", ".join(f"{name}={arguments[name]}" for name in wrong)
        raise NotImplementedError(
            f"timedist has no scipy.stats.{row.theirs} with {named}: shift or scale it by a "
            "`TransformedDistribution`"
        )
    return ours
