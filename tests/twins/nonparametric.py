"""Reference distributions of grids of quantiles, histograms and samples."""

import numpy as np
from scipy import stats


class Grid:
    """Linear distribution functions through `(knots, levels)`, with exponential tails beyond.

    All arguments have a batch axis and an axis of knots; a tail of scale 0 must have no mass.
    """

    def __init__(self, knots, below, above, left, right):
        self.knots, self.below, self.above = knots, below, above
        self.left, self.right = left, right

    @classmethod
    def of_quantiles(cls, levels, values):
        """Tails `Q(p) = a + b log(p)` through the two outer quantiles, upper ones with 1 - p."""
        p = np.broadcast_to(np.asarray(levels, "float64"), values.shape)
        ends = ((p[:, :2], values[:, :2]), (1 - p[:, :-3:-1], values[:, :-3:-1]))
        left, right = (
            [abs(np.polyfit(np.log(q), v, 1)[0]) for q, v in zip(*end, strict=True)] for end in ends
        )
        return cls(values, p, 1 - p, np.array(left), np.array(right))

    @classmethod
    def of_bins(cls, edges, probs):
        """A histogram: no tails."""
        zero = np.zeros_like(probs[:, :1])
        below = np.concatenate([zero, np.cumsum(probs, axis=1)], axis=1)
        above = np.concatenate([np.cumsum(probs[:, ::-1], axis=1)[:, ::-1], zero], axis=1)
        return cls(edges, below, above, np.zeros(len(probs)), np.zeros(len(probs)))

    def _each(self, function, x):
        """`function(i, x)` for every element i of the batch, the last axis of `x`."""
        x = np.asarray(x, "float64")
        return np.stack([function(i, x[..., i]) for i in range(len(self.knots))], axis=-1)

    def _tail(self, i, x, side):
        """Mass, scale, and the distance beyond the last knot on one side."""
        if side < 0:
            return self.below[i, 0], self.left[i], self.knots[i, 0] - x
        return self.above[i, -1], self.right[i], x - self.knots[i, -1]

    def logpdf(self, x):
        def one(i, x):
            mass = np.where(
                self.below[i, 1:] < 0.5, np.diff(self.below[i]), -np.diff(self.above[i])
            )
            with np.errstate(divide="ignore"):
                heights = np.log(mass / np.diff(self.knots[i]))
            piece = np.searchsorted(self.knots[i], x, side="right") - 1
            piece = np.where(x == self.knots[i, -1], len(heights) - 1, piece)
            inside = (piece >= 0) & (piece < len(heights))
            result = np.where(inside, heights[np.clip(piece, 0, len(heights) - 1)], -np.inf)
            for side in (-1, 1):
                mass, scale, beyond = self._tail(i, x, side)
                if mass > 0.0:
                    tail = np.log(mass / scale) - beyond / scale
                    result = np.where(beyond > 0, tail, result)
            return np.where(np.isnan(x), np.nan, result)

        return self._each(one, x)

    def pdf(self, x):
        return np.exp(self.logpdf(x))

    def _one_sided(self, i, x, side):
        """P(X <= x) for side -1, P(X >= x) for side 1, each exact where it is small."""
        table = self.below[i] if side < 0 else self.above[i]
        near, far = (table, side) if side < 0 else (table[::-1], side)
        knots = self.knots[i] if side < 0 else -self.knots[i][::-1]
        result = np.interp(-far * x, knots, near)
        mass, scale, beyond = self._tail(i, x, side)
        if mass > 0.0:
            result = np.where(beyond > 0, mass * np.exp(-np.maximum(beyond, 0) / scale), result)
        mass, scale, beyond = self._tail(i, x, -side)
        if mass > 0.0:
            far = 1 - mass * np.exp(-np.maximum(beyond, 0) / scale)
            result = np.where(beyond > 0, far, result)
        return np.where(np.isnan(x), np.nan, result)

    def cdf(self, x):
        return self._each(lambda i, x: self._one_sided(i, x, -1), x)

    def sf(self, x):
        return self._each(lambda i, x: self._one_sided(i, x, 1), x)

    def _log_one_sided(self, i, x, side):
        mass, scale, beyond = self._tail(i, x, side)
        with np.errstate(divide="ignore"):
            result = np.log(self._one_sided(i, x, side))
            tail = np.log(mass) - np.maximum(beyond, 0) / (scale or 1.0)
        return np.where(beyond > 0, tail, result)

    def logcdf(self, x):
        return self._each(lambda i, x: self._log_one_sided(i, x, -1), x)

    def logsf(self, x):
        return self._each(lambda i, x: self._log_one_sided(i, x, 1), x)

    def _quantile(self, i, p, q):
        """The quantile of p = 1 - q, from the side on which it is exact."""
        upward = np.interp(p, self.below[i], self.knots[i])
        downward = np.interp(q, self.above[i][::-1], self.knots[i][::-1])
        result = np.where(p <= 0.5, upward, downward)
        for share, side in ((p, -1), (q, 1)):
            mass, scale, _ = self._tail(i, 0.0, side)
            end = self.knots[i, 0 if side < 0 else -1]
            if mass > 0.0:
                with np.errstate(divide="ignore"):
                    tail = end - side * scale * np.log(share / mass)
                result = np.where(share < mass, tail, result)
        return result

    def ppf(self, p):
        return self._each(lambda i, p: self._quantile(i, p, 1 - p), p)

    def isf(self, q):
        return self._each(lambda i, q: self._quantile(i, 1 - q, q), q)

    def median(self):
        return self.ppf(np.full(len(self.knots), 0.5))

    # --- expectations, by quadrature between the knots -------------------------------------------

    def _panels(self, i, marks=()):
        low = self.knots[i, 0] - 800 * self.left[i]
        high = self.knots[i, -1] + 800 * self.right[i]
        ends = np.array([-60.0, -20.0, -5.0, -1.0])
        near = np.concatenate(
            [self.knots[i, 0] + ends * self.left[i], self.knots[i, -1] - ends * self.right[i]]
        )
        points = np.unique(np.concatenate([[low, high], near, self.knots[i], marks]))
        return points[:-1], points[1:]

    def _integral(self, i, function, marks=(), low=-np.inf, high=np.inf):
        nodes, weights = np.polynomial.legendre.leggauss(30)
        starts, ends = self._panels(i, marks)
        starts, ends = np.clip(starts, low, high), np.clip(ends, low, high)
        x = starts[:, None] + (ends - starts)[:, None] * (1 + nodes) / 2
        return np.sum(function(x) * weights * (ends - starts)[:, None] / 2)

    def _at(self, name, i, x):
        """A method for one element of the batch."""
        lifted = np.repeat(np.asarray(x)[..., None], len(self.knots), axis=-1)
        return getattr(self, name)(lifted)[..., i]

    def _expectation(self, function):
        def one(i):
            return self._integral(i, lambda x: self._at("pdf", i, x) * function(i, x))

        return np.array([one(i) for i in range(len(self.knots))])

    def mean(self):
        return self._expectation(lambda _, x: x)

    def var(self):
        mean = self.mean()
        return self._expectation(lambda i, x: (x - mean[i]) ** 2)

    def std(self):
        return np.sqrt(self.var())

    def entropy(self):
        def surprise(i, x):
            log_density = self._at("logpdf", i, x)
            return np.where(np.isfinite(log_density), -log_density, 0.0)

        return self._expectation(surprise)

    def kl(self, other):
        def one(i):
            def integrand(x):
                log_p, log_q = self._at("logpdf", i, x), other._at("logpdf", i, x)
                mass = np.exp(log_p) > 0.0
                with np.errstate(invalid="ignore"):
                    return np.where(mass, np.exp(log_p) * (log_p - log_q), 0.0)

            return self._integral(i, integrand, other.knots[i])

        with np.errstate(invalid="ignore"):
            return np.array([one(i) for i in range(len(self.knots))])

    def crps(self, y):
        def one(i, y):
            low, high = min(y, *self._panels(i)[0]), max(y, *self._panels(i)[1])
            below = self._integral(
                i, lambda x: self._one_sided(i, x, -1) ** 2, [y, low, high], low, y
            )
            above = self._integral(
                i, lambda x: self._one_sided(i, x, 1) ** 2, [y, low, high], y, high
            )
            return below + above

        return self._each(lambda i, y: np.vectorize(lambda v: one(i, v))(y), y)


class Point:
    """All mass at one value."""

    not_integers = True

    def __init__(self, loc):
        self.loc = np.asarray(loc, "float64")

    def logpmf(self, x):
        return np.where(np.isnan(x), np.nan, np.where(x == self.loc, 0.0, -np.inf))

    def pmf(self, x):
        return np.exp(self.logpmf(x))

    def cdf(self, x):
        return np.where(np.asarray(x) >= self.loc, 1.0, 0.0)

    def sf(self, x):
        return 1.0 - self.cdf(x)

    def ppf(self, p):
        return self.loc + 0.0 * np.asarray(p)

    def mean(self):
        return self.loc

    median = mean

    def var(self):
        return 0.0 * self.loc

    std = entropy = var

    def crps(self, y):
        return np.abs(y - self.loc)

    def kl(self, other):
        return np.where(self.loc == other.loc, 0.0, np.inf)


class Sample:
    """Samples `(batch, n)`, each with the same probability."""

    not_integers = True

    def __init__(self, samples):
        self.samples = np.asarray(samples, "float64")

    def _share(self, chosen):
        return chosen.mean(axis=-1)

    def pmf(self, x):
        return self._share(self.samples == np.asarray(x)[..., None])

    def logpmf(self, x):
        with np.errstate(divide="ignore"):
            return np.where(np.isnan(x), np.nan, np.log(self.pmf(x)))

    def cdf(self, x):
        return np.where(np.isnan(x), np.nan, self._share(self.samples <= np.asarray(x)[..., None]))

    def sf(self, x):
        return np.where(np.isnan(x), np.nan, self._share(self.samples > np.asarray(x)[..., None]))

    def ppf(self, p):
        p = np.asarray(p, "float64")
        columns = [
            np.quantile(row, p[..., i], method="inverted_cdf") for i, row in enumerate(self.samples)
        ]
        return np.stack(columns, axis=-1)

    def median(self):
        return self.ppf(np.full(len(self.samples), 0.5))

    def mean(self):
        return self.samples.mean(axis=-1)

    def var(self):
        return self.samples.var(axis=-1)

    def std(self):
        return self.samples.std(axis=-1)

    def _shares(self):
        return [np.unique(row, return_counts=True) for row in self.samples]

    def entropy(self):
        return np.array([stats.entropy(counts) for _, counts in self._shares()])

    def crps(self, y):
        """Half the square of SciPy's energy distance to the point."""

        def one(row, value):
            return stats.energy_distance(row, [value]) ** 2 / 2

        y = np.asarray(y, "float64")
        columns = [
            np.vectorize(lambda v, r=r: one(r, v))(y[..., i]) for i, r in enumerate(self.samples)
        ]
        return np.stack(columns, axis=-1)

    def kl(self, other):
        def one(values, counts, row):
            own = counts / counts.sum()
            with np.errstate(divide="ignore"):
                return np.sum(own * np.log(own / np.array([np.mean(row == v) for v in values])))

        pairs = zip(self._shares(), other.samples, strict=True)
        return np.array([one(*mine, row) for mine, row in pairs])
