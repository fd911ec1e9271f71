"""Reference distributions on bounded intervals that SciPy lacks."""

import numpy as np
from scipy import integrate, special, stats


class Uniform:
    """SciPy's has a location and a width, which is rounded."""

    def __init__(self, low, high):
        self.low, self.high = low, high
        self.scipy = stats.uniform(low, high - low)

    def __getattr__(self, name):
        return getattr(self.scipy, name)

    def sf(self, x):
        return np.clip((self.high - x) / (self.high - self.low), 0.0, 1.0)

    def logsf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.sf(x))


class TruncatedNormal:
    """SciPy's, with distribution functions that keep their digits near the ends."""

    def __init__(self, loc, scale, low, high):
        self.loc, self.scale, self.low, self.high = loc, scale, low, high
        self.scipy = stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)

    def __getattr__(self, name):
        return getattr(self.scipy, name)

    def _mass(self, start, stop):
        """Between two values: by Gauss and Legendre if they are near each other."""
        nodes, weights = np.polynomial.legendre.leggauss(40)
        half = (stop - start) / 2
        near = sum(
            w * half * self.scipy.pdf(start + half * (1 + t))
            for t, w in zip(nodes, weights, strict=True)
        )
        a, b = (start - self.loc) / self.scale, (stop - self.loc) / self.scale
        a, b = np.where(a + b > 0, -b, a), np.where(a + b > 0, -a, b)
        all_of_it = special.ndtr((self.high - self.loc) / self.scale) - special.ndtr(
            (self.low - self.loc) / self.scale
        )
        return np.where(b - a < 1.0, near, (special.ndtr(b) - special.ndtr(a)) / all_of_it)

    def cdf(self, x):
        return self._mass(self.low, np.clip(x, self.low, self.high))

    def sf(self, x):
        return self._mass(np.clip(x, self.low, self.high), self.high)

    def logcdf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(x))

    def logsf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.sf(x))


class Kumaraswamy:
    def __init__(self, a, b):
        self.a, self.b = np.asarray(a, "float64"), np.asarray(b, "float64")

    def _log_rest(self, x):
        """log(1 - x^a), from the side of 1 and from the side of 0."""
        power = self.a * np.log(x)
        return np.where(power > -0.7, np.log(-np.expm1(power)), np.log1p(-np.exp(power)))

    def logpdf(self, x):
        powers = (self.a - 1) * np.log(x) + (self.b - 1) * self._log_rest(x)
        return np.log(self.a * self.b) + powers

    def pdf(self, x):
        return np.exp(self.logpdf(x))

    def sf(self, x):
        return np.exp(self.logsf(x))

    def cdf(self, x):
        return -np.expm1(self.logsf(x))

    def logsf(self, x):
        return self.b * self._log_rest(x)

    def logcdf(self, x):
        return np.log(self.cdf(x))

    def ppf(self, p):
        return (-np.expm1(np.log1p(-np.asarray(p)) / self.b)) ** (1 / self.a)

    def isf(self, q):
        return (-np.expm1(np.log(q) / self.b)) ** (1 / self.a)

    def _moment(self, n):
        return self.b * special.beta(1 + n / self.a, self.b)

    def mean(self):
        return self._moment(1)

    def var(self):
        return self._moment(2) - self._moment(1) ** 2

    def std(self):
        return np.sqrt(self.var())

    def entropy(self):
        return np.vectorize(
            lambda a, b: integrate.quad(
                lambda u: -Kumaraswamy(a, b).logpdf(Kumaraswamy(a, b).ppf(u)), 0, 1, limit=200
            )[0]
        )(self.a, self.b)


class LogitNormal:
    def __init__(self, loc, scale):
        self.normal = stats.norm(loc, scale)
        self.loc, self.scale = loc, scale

    def logpdf(self, x):
        return self.normal.logpdf(special.logit(x)) - np.log(x) - np.log1p(-x)

    def pdf(self, x):
        return np.exp(self.logpdf(x))

    def cdf(self, x):
        return self.normal.cdf(special.logit(x))

    def sf(self, x):
        return self.normal.sf(special.logit(x))

    def logcdf(self, x):
        return self.normal.logcdf(special.logit(x))

    def logsf(self, x):
        return self.normal.logsf(special.logit(x))

    def ppf(self, p):
        return special.expit(self.normal.ppf(p))

    def isf(self, q):
        return special.expit(self.normal.isf(q))

    def _expectation(self, function):
        """Of a function of the log odds, by the trapezoidal rule, which is exact for normals."""
        z = np.linspace(-12, 12, 2001)[:, None]
        weight = np.exp(-0.5 * z**2)
        return np.sum(weight * function(self.loc + self.scale * z), axis=0) / weight.sum()

    def mean(self):
        return self._expectation(special.expit)

    def var(self):
        mean = self.mean()
        return self._expectation(lambda t: (special.expit(t) - mean) ** 2)

    def std(self):
        return np.sqrt(self.var())

    def entropy(self):
        jacobian = self._expectation(lambda t: special.log_expit(t) + special.log_expit(-t))
        return self.normal.entropy() + jacobian


class Between:
    """A continuous distribution of SciPy, given that it is between two ends."""

    def __init__(self, base, low, high):
        self.base, self.low, self.high = base, low, high
        self.upper = base.sf(low) < 0.5
        self.mass = np.where(
            self.upper, base.sf(low) - base.sf(high), base.cdf(high) - base.cdf(low)
        )

    def points(self):
        """Values that are not so near an end that a difference of functions loses all digits."""
        p = np.array([1e-3, 0.03, 0.3, 0.5, 0.7, 0.97, 0.999])
        return self.ppf(p[:, None] + np.zeros_like(self.mass))

    def logpdf(self, x):
        inside = (x >= self.low) & (x <= self.high)
        return np.where(inside, self.base.logpdf(x) - np.log(self.mass), -np.inf)

    def pdf(self, x):
        return np.exp(self.logpdf(x))

    def cdf(self, x):
        x = np.clip(x, self.low, self.high)
        below = np.where(
            self.upper,
            self.base.sf(self.low) - self.base.sf(x),
            self.base.cdf(x) - self.base.cdf(self.low),
        )
        return below / self.mass

    def sf(self, x):
        x = np.clip(x, self.low, self.high)
        # Far out only upper tails of the base tell two values apart.
        return (self.base.sf(x) - self.base.sf(self.high)) / self.mass

    def logcdf(self, x):
        return np.log(self.cdf(x))

    def logsf(self, x):
        return np.log(self.sf(x))

    def ppf(self, p):
        lower = self.base.ppf(self.base.cdf(self.low) + p * self.mass)
        upper = self.base.isf(self.base.sf(self.low) - p * self.mass)
        return np.clip(np.where(self.upper, upper, lower), self.low, self.high)

    def isf(self, q):
        return np.clip(self.base.isf(self.base.sf(self.high) + q * self.mass), self.low, self.high)

    def _expectation(self, function):
        nodes, weights = np.polynomial.legendre.leggauss(60)
        p = np.concatenate([np.logspace(-30, -1, 60), np.linspace(0.15, 0.85, 15)])
        shape = np.broadcast_shapes(np.shape(self.low), np.shape(self.mass))
        column = p.reshape(-1, *(1,) * len(shape))
        upper = self.isf(np.logspace(-1, -30, 60).reshape(-1, *(1,) * len(shape)))
        edges = np.concatenate([self.ppf(column), upper])
        half = np.diff(edges, axis=0) / 2
        total = 0.0
        for t, w in zip(nodes, weights, strict=True):
            x = edges[:-1] + half * (1 + t)
            total = total + np.sum(w * half * self.pdf(x) * function(x), axis=0)
        return total

    def mean(self):
        return self._expectation(lambda x: x)

    def var(self):
        mean = self.mean()
        return self._expectation(lambda x: (x - mean) ** 2)

    def std(self):
        return np.sqrt(self.var())

    def entropy(self):
        return -self._expectation(self.logpdf)


class IntegersBetween:
    """A table of masses on integers from a distribution of SciPy: cut off, or clipped."""

    def __init__(self, base, low, high, clipped=False, top=200):
        k = np.arange(-1.0, top).reshape(-1, 1)
        pmf = base.pmf(k)
        inside = (k >= low) & (k <= high)
        if clipped:
            pmf = np.where(k == low, base.cdf(low), np.where(k == high, base.sf(high - 1), pmf))
        pmf = np.where(inside, pmf, 0.0)
        self.k, self.table = k, pmf / pmf.sum(axis=0)

    def pmf(self, x):
        x = np.asarray(x, "float64")
        index = np.clip(np.nan_to_num(x) + 1, 0, len(self.k) - 1).astype(int)
        picked = np.take_along_axis(np.broadcast_to(self.table, (*self.table.shape,)), index, 0)
        return np.where((x == np.floor(x)) & (x >= -1) & (x < self.k[-1] + 1), picked, 0.0)

    def logpmf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.pmf(x))

    def _summed(self, x, keep):
        return np.sum(np.where(keep(self.k, np.asarray(x)[..., None, :]), self.table, 0.0), axis=-2)

    def cdf(self, x):
        return self._summed(x, lambda k, x: k <= x)

    def sf(self, x):
        return self._summed(x, lambda k, x: k > x)

    def logcdf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(x))

    def logsf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.sf(x))

    def ppf(self, p):
        p = np.asarray(p, "float64")
        lower = np.cumsum(self.table, axis=0)
        upper = np.cumsum(self.table[::-1], axis=0)[::-1] - self.table
        short = np.where(
            p[..., None, :] < 0.5, lower < p[..., None, :], upper > 1 - p[..., None, :]
        )
        return self.k[0] + np.sum(short, axis=-2)

    def mean(self):
        return np.sum(self.k * self.table, axis=0)

    def var(self):
        return np.sum((self.k - self.mean()) ** 2 * self.table, axis=0)

    def std(self):
        return np.sqrt(self.var())

    def entropy(self):
        return special.entr(self.table).sum(axis=0)


class Clipped:
    """A continuous distribution of SciPy with its values clipped to two ends."""

    def __init__(self, base, low, high):
        self.base, self.low, self.high = base, low, high

    def points(self):
        """Values beyond both ends and between them: at the ends there is no derivative."""
        share = np.array([0.02, 0.3, 0.5, 0.7, 0.98])[:, None]
        low, high = (
            np.maximum(self.low, self.base.ppf(0.01)),
            np.minimum(self.high, self.base.ppf(0.99)),
        )
        inside = low + (high - low) * share
        return np.concatenate([self.low[None] - 0.5, inside, self.high[None] + 0.5])

    def logpdf(self, x):
        inside = self.base.logpdf(np.clip(x, self.low, self.high))
        at_high = np.where(x >= self.high, self.base.logsf(self.high), inside)
        return np.where(x <= self.low, self.base.logcdf(self.low), at_high)

    def pdf(self, x):
        return np.exp(self.logpdf(x))

    def cdf(self, x):
        return np.where(x < self.low, 0.0, np.where(x >= self.high, 1.0, self.base.cdf(x)))

    def sf(self, x):
        return np.where(x < self.low, 1.0, np.where(x >= self.high, 0.0, self.base.sf(x)))

    def logcdf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(x))

    def logsf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.sf(x))

    def ppf(self, p):
        return np.clip(self.base.ppf(p), self.low, self.high)

    def _ends(self):
        low, high = (np.where(np.isfinite(end), end, 0.0) for end in (self.low, self.high))
        return (low, self.base.cdf(self.low)), (high, self.base.sf(self.high))

    def _integral(self, function, low, high):
        """By Gauss and Legendre in many panels between quantiles of the base."""
        nodes, weights = np.polynomial.legendre.leggauss(40)
        p = np.concatenate([np.logspace(-300, -1, 150), np.linspace(0.12, 0.88, 39)])
        p = p.reshape(-1, *(1,) * np.ndim(low))
        edges = np.concatenate([self.base.ppf(p), self.base.isf(p[::-1])])
        edges = np.sort(np.clip(edges, low, high), axis=0)
        edges = np.concatenate([np.where(np.isfinite(low), low, edges[0])[None], edges])
        edges = np.concatenate([edges, np.where(np.isfinite(high), high, edges[-1])[None]])
        half = np.diff(edges, axis=0) / 2
        parts = [
            w * half * function(edges[:-1] + half * (1 + t))
            for t, w in zip(nodes, weights, strict=True)
        ]
        return np.sum(parts, axis=(0, 1))

    def _expectation(self, function):
        return self._integral(lambda x: self.base.pdf(x) * function(x), self.low, self.high)

    def mean(self):
        return self._expectation(lambda x: x) + sum(end * mass for end, mass in self._ends())

    def var(self):
        mean = self.mean()
        inside = self._expectation(lambda x: (x - mean) ** 2)
        return inside + sum((end - mean) ** 2 * mass for end, mass in self._ends())

    def std(self):
        return np.sqrt(self.var())

    def entropy(self):
        inside = -self._expectation(self.base.logpdf)
        return inside + sum(special.entr(mass) for _, mass in self._ends())

    def crps(self, y):
        each = []
        for value in y:
            value = np.clip(value, self.low, self.high)
            below = self._integral(lambda x: self.base.cdf(x) ** 2, self.low, value)
            each.append(below + self._integral(lambda x: self.base.sf(x) ** 2, value, self.high))
        return np.stack(each) + np.abs(y - np.clip(y, self.low, self.high))

    def kl(self, other):
        inside = self._expectation(lambda x: self.base.logpdf(x) - other.base.logpdf(x))
        lower = special.rel_entr(self._ends()[0][1], other._ends()[0][1])
        whole = inside + lower + special.rel_entr(self._ends()[1][1], other._ends()[1][1])
        return np.where((self.low == other.low) & (self.high == other.high), whole, np.inf)
