"""Reference distributions that SciPy lacks, with the method names of its frozen distributions."""

import numpy as np
from scipy import special

from timedist.testing import oracles


class Mixture:
    """A mixture of densities; `weights` and the batch of `parts` end with the components' axis."""

    discrete = False

    def __init__(self, weights, parts, event_rank=0):
        self.weights = np.asarray(weights, "float64")
        self.parts = parts
        self.event_rank = event_rank

    def _expand(self, x):
        return np.expand_dims(np.asarray(x, "float64"), -1 - self.event_rank)

    def _mix_logs(self, logs):
        return special.logsumexp(logs, b=self.weights, axis=-1)

    def _log_density(self, x):
        return self._mix_logs(oracles.log_mass(self.parts)(self._expand(x)))

    def logpdf(self, x):
        return self._log_density(x)

    def pdf(self, x):
        return np.exp(self._log_density(x))

    def logcdf(self, x):
        return self._mix_logs(self.parts.logcdf(self._expand(x)))

    def logsf(self, x):
        return self._mix_logs(self.parts.logsf(self._expand(x)))

    def cdf(self, x):
        return np.sum(self.weights * self.parts.cdf(self._expand(x)), axis=-1)

    def sf(self, x):
        return np.sum(self.weights * self.parts.sf(self._expand(x)), axis=-1)

    def mean(self):
        axis = -1 - self.event_rank
        return np.sum(self._event_weights() * self.parts.mean(), axis=axis)

    def var(self):
        axis = -1 - self.event_rank
        spread = (self.parts.mean() - np.expand_dims(self.mean(), axis)) ** 2
        return np.sum(self._event_weights() * (self.parts.var() + spread), axis=axis)

    def std(self):
        return np.sqrt(self.var())

    def median(self):
        return self.ppf(0.5)

    def entropy(self):
        """By quadrature or summation; for scalars."""
        shape = self.weights.shape[:-1]
        if not self.discrete:
            return -oracles.integral(self, self.logpdf, shape)
        return -oracles.terms(
            self, lambda k: self._log_density(k) * np.exp(self._log_density(k)), shape
        )

    def ppf(self, p):
        """By bisection between the quantiles of the components, to the last bit or integer."""
        each = self.parts.ppf(np.expand_dims(np.asarray(p, "float64"), -1))
        low, high = each.min(axis=-1), each.max(axis=-1)
        if self.discrete:
            low = low - 1
            while np.any(high - low > 1):
                middle = np.floor((low + high) / 2)
                below = self.cdf(middle) < p
                low, high = (
                    np.where(below, middle, low),
                    np.where(below, high, np.maximum(middle, low + 1)),
                )
            return high
        upper = np.asarray(p) > 0.5
        for _ in range(200):
            middle = (low + high) / 2
            below = np.where(upper, 1 - p < self.sf(middle), self.cdf(middle) < p)
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def marginal(self):
        """The distribution of each component of the event, as a scalar mixture."""
        marginal = self.parts.marginal()
        return Mixture(self._event_weights().swapaxes(-1, -2), marginal.moved())

    def _event_weights(self):
        return self.weights.reshape(*self.weights.shape, *(1,) * self.event_rank)


class CountMixture(Mixture):
    """A mixture of masses on the integers."""

    discrete = True

    def logpmf(self, x):
        return self._log_density(x)

    def pmf(self, x):
        return np.exp(self._log_density(x))


class Several:
    """Scalar twins of different families side by side, along a last axis of their own."""

    def __init__(self, *parts):
        self.parts = parts
        self.discrete = oracles.is_discrete(parts[0])

    def _each(self, name, x):
        """Of values whose last axis has one entry for all parts, or one for each."""
        x = np.broadcast_to(x, (*np.shape(x)[:-1], len(self.parts)))
        pairs = zip(self.parts, np.moveaxis(x, -1, 0), strict=True)
        return np.stack([getattr(part, name)(each) for part, each in pairs], axis=-1)

    def __getattr__(self, name):
        if name in ("mean", "var", "std", "median", "entropy"):
            return lambda: np.stack([getattr(part, name)() for part in self.parts], axis=-1)
        if not hasattr(self.parts[0], name) or ("pmf" in name and not self.discrete):
            raise AttributeError(name)
        return lambda x: self._each(name, x)


class Product:
    """Independent components along the last axis; `family(**parameters)` makes the scalar twin."""

    def __init__(self, family, **parameters):
        self.family = family
        self.parameters = parameters
        self.parts = family(**parameters)

    def cov(self):
        return self.var()[..., None] * np.eye(self.var().shape[-1])

    def logsf(self, x):
        return np.log(-np.expm1(self.logcdf(x)))

    def logpdf(self, x):
        return np.sum(self.parts.logpdf(x), axis=-1)

    def logcdf(self, x):
        return np.sum(self.parts.logcdf(x), axis=-1)

    def cdf(self, x):
        return np.exp(self.logcdf(x))

    def sf(self, x):
        return -np.expm1(self.logcdf(x))

    def ppf(self, p):
        return self.parts.ppf(np.expand_dims(p, -1))

    def mean(self):
        return self.parts.mean()

    def var(self):
        return self.parts.var()

    def std(self):
        return self.parts.std()

    def median(self):
        return self.parts.median()

    def entropy(self):
        return np.sum(self.parts.entropy(), axis=-1)

    def marginal(self):
        return _Marginal(self.family, self.parameters)


class _Marginal:
    """The scalar twin of the components of a `Product`."""

    def __init__(self, family, parameters):
        self.family, self.parameters = family, parameters
        self.parts = family(**parameters)

    def moved(self):
        """The same with the axis of mixture components last instead of second to last."""
        moved = {name: np.swapaxes(value, -1, -2) for name, value in self.parameters.items()}
        return self.family(**moved)

    def __getattr__(self, name):
        return getattr(self.parts, name)


class Categories:
    """A distribution over 0, ..., K - 1 with probabilities `(..., K)`."""

    def __init__(self, probs):
        self.probs = np.asarray(probs, "float64")
        self.probs = self.probs / self.probs.sum(axis=-1, keepdims=True)

    def logpmf(self, x):
        x = np.asarray(x, "float64")[..., None]
        count = np.arange(self.probs.shape[-1])
        with np.errstate(divide="ignore"):
            return np.log(np.sum(np.where(x == count, self.probs, 0.0), axis=-1))

    def pmf(self, x):
        return np.exp(self.logpmf(x))

    def cdf(self, x):
        below = np.arange(self.probs.shape[-1]) <= np.asarray(x, "float64")[..., None]
        return np.sum(np.where(below, self.probs, 0.0), axis=-1)

    def logcdf(self, x):
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(x))

    def sf(self, x):
        above = np.arange(self.probs.shape[-1]) > np.asarray(x, "float64")[..., None]
        return np.sum(np.where(above, self.probs, 0.0), axis=-1)

    def ppf(self, p):
        return np.sum(np.cumsum(self.probs, axis=-1)[..., :-1] < np.asarray(p)[..., None], axis=-1)

    def median(self):
        return self.ppf(np.full(self.probs.shape[:-1], 0.5))

    def entropy(self):
        return special.entr(self.probs).sum(axis=-1)
