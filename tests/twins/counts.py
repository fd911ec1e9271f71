"""Reference distributions of counts and categories that SciPy lacks."""

import numpy as np
from scipy import special, stats

from timedist.testing import oracles


class Masses:
    """Integers from `start` on, from a table of masses `(number, batch)` that ends in nothing."""

    def __init__(self, masses, start=0):
        self.table, self.start = masses, start
        self.k = start + np.arange(len(masses), dtype="float64")[:, None]
        # Summed from the small end, so that either tail keeps its digits.
        self.lower = np.cumsum(masses, axis=0)
        upper = np.cumsum(masses[::-1], axis=0)[::-1]
        self.upper = np.concatenate([upper[1:], np.zeros_like(upper[:1])])

    def _at(self, table, x, below, above):
        x = np.asarray(x, "float64")
        x = np.broadcast_to(x, np.broadcast_shapes(x.shape, table.shape[1:]))
        position = np.floor(x) - self.start
        inside = (position >= 0) & (position < len(table))
        columns = np.broadcast_to(np.arange(table.shape[1]), x.shape)
        values = table[np.where(inside, position, 0).astype(int), columns]
        return np.where(inside, values, np.where(position < 0, below, above))

    def pmf(self, x):
        return self._at(self.table, x, 0.0, 0.0)

    def cdf(self, x):
        return self._at(self.lower, x, 0.0, 1.0)

    def sf(self, x):
        return self._at(self.upper, x, 1.0, 0.0)

    def logpmf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.pmf(x))

    def logcdf(self, x):
        with np.errstate(divide="ignore"):
            return np.where(self.cdf(x) > 0.5, np.log1p(-self.sf(x)), np.log(self.cdf(x)))

    def logsf(self, x):
        with np.errstate(divide="ignore"):
            return np.where(self.sf(x) > 0.5, np.log1p(-self.cdf(x)), np.log(self.sf(x)))

    def ppf(self, p):
        p = np.asarray(p, "float64")
        p = np.broadcast_to(p, np.broadcast_shapes(p.shape, self.table.shape[1:]))
        result = np.empty(p.shape)
        for i in range(p.shape[-1]):
            q = p[..., i]
            low = np.searchsorted(self.lower[:, i], q)
            high = np.searchsorted(-self.upper[:, i], -(1.0 - q))
            result[..., i] = self.start + np.minimum(
                np.where(q > 0.5, high, low), np.flatnonzero(self.table[:, i])[-1]
            )
        return result

    def mean(self):
        return np.sum(self.k * self.table, axis=0)

    def var(self):
        return np.sum((self.k - self.mean()) ** 2 * self.table, axis=0)

    def std(self):
        return np.sqrt(self.var())

    def median(self):
        return self.ppf(0.5)

    def entropy(self):
        return np.sum(special.entr(self.table), axis=0)

    def crps(self, y):
        """Every step of the distribution function, cut where the value lies in it."""
        y = np.asarray(y, "float64")[:, None]
        part = np.clip(y - self.k, 0.0, 1.0)
        steps = np.sum(part * self.lower**2 + (1.0 - part) * self.upper**2, axis=1)
        outside = np.maximum(self.k[0] - y, 0.0) + np.maximum(y - self.k[-1] - 1.0, 0.0)
        return steps + outside[:, 0]

    def kl(self, other):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sum(special.rel_entr(self.table, other.table), axis=0)


def beta_binomial(n, a, b):
    k = np.arange(n + 1.0)[:, None]
    return Masses(stats.betabinom(n, a, b).pmf(k))


def zero_inflated(masses, probs):
    table = masses * (1.0 - probs)
    table[0] += probs
    return Masses(table)


def hurdle(masses, above, probs):
    table = masses * (1.0 - probs) / above
    table[0] = probs
    return Masses(table)


def rounded_up(base, start, stop, bounded=False):
    """P(k - 1 < X <= k); with bounds the ends take all beyond them."""
    k = np.arange(start, stop + 1.0)[:, None]
    upper = base.sf(k - 1) < 0.5
    table = np.where(upper, base.sf(k - 1) - base.sf(k), base.cdf(k) - base.cdf(k - 1))
    if bounded:
        table[0], table[-1] = base.cdf(start), base.sf(stop - 1)
    result = Masses(table, start)
    result.not_integers = not bounded  # without a smallest integer to sum from
    return result


class UnitVectors:
    """A distribution over unit vectors with probabilities `(batch, K)`."""

    def __init__(self, probs):
        self.probs = np.asarray(probs, "float64")
        self.probs = self.probs / self.probs.sum(axis=-1, keepdims=True)

    def points(self):
        size = self.probs.shape[-1]
        vectors = np.eye(size)[np.arange(2 * size) % size]
        return np.broadcast_to(vectors[:, None], (2 * size, *self.probs.shape))

    def logpmf(self, x):
        return np.log(np.sum(self.probs * x, axis=-1))

    def mean(self):
        return self.probs

    def var(self):
        return np.diagonal(self.cov(), axis1=-2, axis2=-1)

    def std(self):
        return np.sqrt(self.var())

    def cov(self):
        each = [stats.multinomial(1, p).cov() for p in self.probs]
        return np.stack(each)

    def entropy(self):
        return special.entr(self.probs).sum(axis=-1)

    def kl(self, other):
        return special.rel_entr(self.probs, other.probs).sum(axis=-1)


class ZerosAndLogNormal:
    """Zero with a probability, else log-normal."""

    def __init__(self, loc, scale, probs):
        self.loc, self.scale, self.probs = loc, scale, probs
        self.base = stats.lognorm(s=scale, scale=np.exp(loc))

    def logpdf(self, x):
        x = np.asarray(x, "float64")
        above = np.log1p(-self.probs) + self.base.logpdf(np.where(x == 0.0, 1.0, x))
        return np.where(x == 0.0, np.log(self.probs), above)

    def pdf(self, x):
        return np.exp(self.logpdf(x))

    def cdf(self, x):
        return np.where(x >= 0.0, self.probs + (1.0 - self.probs) * self.base.cdf(x), 0.0)

    def sf(self, x):
        return np.where(x >= 0.0, (1.0 - self.probs) * self.base.sf(x), 1.0)

    def ppf(self, p):
        lower = self.base.ppf(np.maximum((p - self.probs) / (1.0 - self.probs), 0.0))
        return np.where(p > 0.5, self.isf(1.0 - p), lower)

    def isf(self, q):
        return self.base.isf(np.minimum(q / (1.0 - self.probs), 1.0))

    def mean(self):
        return (1.0 - self.probs) * self.base.mean()

    def var(self):
        square = (1.0 - self.probs) * (self.base.var() + self.base.mean() ** 2)
        return square - self.mean() ** 2

    def std(self):
        return np.sqrt(self.var())

    def median(self):
        return self.ppf(0.5)

    def entropy(self):
        zero = stats.bernoulli(self.probs).entropy()
        return zero + (1.0 - self.probs) * self.base.entropy()

    def crps(self, y):
        return oracles.crps(self, y, y.shape[1:])

    def kl(self, other):
        zero = special.rel_entr(self.probs, other.probs)
        zero = zero + special.rel_entr(1.0 - self.probs, 1.0 - other.probs)
        ratio = (self.scale**2 + (self.loc - other.loc) ** 2) / other.scale**2
        base = np.log(other.scale / self.scale) + 0.5 * (ratio - 1.0)
        return zero + (1.0 - self.probs) * base
