"""Scores and divergences of SciPy-like distributions, by formulas that TimeDist does not use."""

from __future__ import annotations

from typing import Any

import numpy as np

_TAIL = np.logspace(-30, -1.3, 90)
_BODY = np.linspace(0.055, 0.945, 121)


def log_mass(twin: Any) -> Any:
    """The log density of a twin, or its log mass."""
    return getattr(twin, "logpmf", None) or twin.logpdf


def is_discrete(twin: Any) -> bool:
    """Whether a twin has masses: SciPy gives its frozen distributions the names of one kind."""
    kind = getattr(getattr(twin, "dist", twin), "pmf", None)
    return kind is not None


def _column(x: np.ndarray, rank: int) -> np.ndarray:
    return x.reshape(-1, *(1,) * rank)


def _upper_quantile(twin: Any, q: np.ndarray) -> np.ndarray:
    return twin.isf(q) if hasattr(twin, "isf") else twin.ppf(1.0 - q)


def _edges(twin: Any, shape: tuple) -> np.ndarray:
    """Many quantiles, along a first axis."""

    def at(function: Any, p: np.ndarray) -> np.ndarray:
        return function(np.broadcast_to(_column(p, len(shape)), (p.size, *shape)))

    lower = at(twin.ppf, np.concatenate([_TAIL, _BODY]))
    if hasattr(twin, "isf"):
        return np.concatenate([lower, at(twin.isf, _TAIL[::-1])])
    return np.concatenate([lower, at(twin.ppf, 1.0 - _TAIL[_TAIL > 1e-14][::-1])])


def _summed(function: Any, edges: np.ndarray) -> np.ndarray:
    """The integral over all panels, by Gauss and Legendre in each."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    half = np.diff(edges, axis=0) / 2
    parts = [
        w * half * function(edges[:-1] + half * (1.0 + t))
        for t, w in zip(nodes, weights, strict=True)
    ]
    return np.sum(parts, axis=(0, 1))


def integral(twin: Any, function: Any, shape: tuple, *others: Any) -> np.ndarray:
    """E[function(X)], in panels between many quantiles of the twin and of the others."""

    def weighted(x: np.ndarray) -> np.ndarray:
        density = twin.pdf(x)
        with np.errstate(all="ignore"):
            return np.where(density > 0.0, density * function(x), 0.0)

    edges = _edges(twin, shape)
    more = [_edges(other, shape) for other in others]
    # Quadrature must stop where a density jumps.
    more += [np.moveaxis(t.knots, -1, 0) for t in (twin, *others) if hasattr(t, "knots")]
    more = [np.clip(ends, edges[0], edges[-1]) for ends in more]
    return _summed(weighted, np.sort(np.concatenate([edges, *more]), axis=0))


def terms(twin: Any, function: Any, shape: tuple, top: float = 0.0) -> np.ndarray:
    """The sum of a function of integers from 0 to beyond the last quantile of the twin."""
    p = np.full(shape, 1.0 - 1e-15)
    last = int(max(np.max(twin.ppf(p)), top)) + 40
    k = _column(np.arange(float(last)), len(shape))
    return np.sum(function(np.broadcast_to(k, (last, *shape))), axis=0)


def crps(twin: Any, y: np.ndarray, shape: tuple) -> np.ndarray:
    """The score at values `(n, *shape)`: integrals of F^2 and (1 - F)^2, for masses plain sums."""
    if is_discrete(twin):
        return np.stack([_crps_of_counts(twin, value, shape) for value in y])
    edges = _edges(twin, shape)[:, None]
    below = _summed(lambda x: twin.cdf(x) ** 2, np.minimum(edges, y))
    above = _summed(lambda x: twin.sf(x) ** 2, np.maximum(edges, y))
    return below + above + np.maximum(edges[0] - y, 0.0) + np.maximum(y - edges[-1], 0.0)


def _crps_of_counts(twin: Any, y: np.ndarray, shape: tuple) -> np.ndarray:
    def squared(k: np.ndarray) -> np.ndarray:
        return np.where(k < y, twin.cdf(k) ** 2, twin.sf(k) ** 2)

    return terms(twin, squared, shape, float(np.max(y)))


def kl(twin: Any, other: Any, shape: tuple) -> np.ndarray:
    """E[log p(X) - log q(X)] under the twin."""
    log_p, log_q = log_mass(twin), log_mass(other)
    if not is_discrete(twin):
        return integral(twin, lambda x: log_p(x) - log_q(x), shape, other)

    def term(k: np.ndarray) -> np.ndarray:
        p = np.exp(log_p(k))
        with np.errstate(invalid="ignore"):
            return np.where(p > 0.0, p * (log_p(k) - log_q(k)), 0.0)

    return terms(twin, term, shape)
