"""Reference distributions of vectors: SciPy's, one for each element of the batch."""

import numpy as np
import torch
from scipy import special, stats

import twins


class Looped:
    """The common part: `each` holds a SciPy distribution for every element of the batch."""

    def __init__(self, each):
        self.each = each

    def logpdf(self, x):
        x = np.asarray(x, "float64")
        return np.stack([d.logpdf(x[:, i]) for i, d in enumerate(self.each)], axis=-1)

    def entropy(self):
        return np.array([d.entropy() for d in self.each])

    def var(self):
        return np.diagonal(self.cov(), axis1=-2, axis2=-1)

    def std(self):
        return np.sqrt(self.var())


def around(centre, root):
    """Values near and far, in all directions: `(10, *batch, n)`."""
    rng = np.random.default_rng(1)
    radius = np.array([1e-4, 0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
    z = rng.normal(size=(10, *centre.shape)) * radius[:, None, None]
    return centre + np.einsum("...ij,...j->...i", root, z)


class Normals(Looped):
    """Multivariate normals with means `(batch, n)` and covariance matrices `(batch, n, n)`."""

    def __init__(self, loc, covariance):
        super().__init__(
            [stats.multivariate_normal(m, c) for m, c in zip(loc, covariance, strict=True)]
        )
        self.loc, self.covariance = loc, covariance

    def mean(self):
        return self.loc

    def cov(self):
        return self.covariance

    def points(self):
        return around(self.loc, np.linalg.cholesky(self.covariance))

    def marginal(self):
        return stats.norm(self.loc, self.std())

    def kl(self, other):
        return divergence(
            *(
                torch.distributions.MultivariateNormal(
                    torch.tensor(d.loc), covariance_matrix=torch.tensor(d.covariance)
                )
                for d in (self, other)
            )
        )


class StudentTs(Looped):
    """Multivariate t distributions."""

    def __init__(self, df, loc, shape):
        parameters = zip(df, loc, shape, strict=True)
        super().__init__([stats.multivariate_t(m, s, d) for d, m, s in parameters])
        self.df, self.loc, self.shape = df, loc, shape

    def mean(self):
        return np.where(self.df[:, None] > 1.0, self.loc, np.nan)

    def cov(self):
        df = self.df[:, None, None]
        finite = self.shape * df / np.where(df > 2.0, df - 2.0, 1.0)
        return np.where(df > 2.0, finite, np.nan)

    def points(self):
        return around(self.loc, np.linalg.cholesky(self.shape))

    def marginal(self):
        spread = np.sqrt(np.diagonal(self.shape, axis1=-2, axis2=-1))
        return stats.t(self.df[:, None], self.loc, spread)


class Dirichlets(Looped):
    """Dirichlet distributions with concentrations `(batch, n)`."""

    def __init__(self, concentration):
        super().__init__([stats.dirichlet(a) for a in concentration])
        self.concentration = concentration

    def logpdf(self, x):
        x = np.asarray(x, "float64")
        x = x / x.sum(axis=-1, keepdims=True)
        return np.stack([d.logpdf(x[:, i].T) for i, d in enumerate(self.each)], axis=-1)

    def mean(self):
        return np.stack([d.mean() for d in self.each])

    def cov(self):
        return np.stack([d.cov() for d in self.each])

    def points(self):
        rng = np.random.default_rng(1)
        shares = rng.dirichlet(np.ones(self.concentration.shape[-1]), (8, len(self.concentration)))
        nearness = np.linspace(0.2, 0.9, 8)[:, None, None]
        return nearness * self.mean() + (1.0 - nearness) * shares

    def marginal(self):
        total = self.concentration.sum(axis=-1, keepdims=True)
        return stats.beta(self.concentration, total - self.concentration)

    def kl(self, other):
        return divergence(
            *(torch.distributions.Dirichlet(torch.tensor(d.concentration)) for d in (self, other))
        )


class NormalMixtures:
    """Mixtures of multivariate normals: weights `(batch, K)`, means and Cholesky factors."""

    def __init__(self, weights, loc, root):
        self.weights, self.loc, self.root = weights, loc, root
        self.each = [
            Normals(loc[:, k], root[:, k] @ root[:, k].swapaxes(-1, -2))
            for k in range(weights.shape[-1])
        ]

    def logpdf(self, x):
        logs = np.stack([part.logpdf(x) for part in self.each], axis=-1)
        return special.logsumexp(logs, b=self.weights, axis=-1)

    def mean(self):
        return np.einsum("bk,bkn->bn", self.weights, self.loc)

    def cov(self):
        apart = self.loc - self.mean()[:, None]
        inner = np.stack([part.covariance for part in self.each], axis=1)
        return np.einsum(
            "bk,bkij->bij", self.weights, inner + apart[..., None] * apart[..., None, :]
        )

    var, std = Looped.var, Looped.std

    def points(self):
        return np.concatenate([part.points()[:6] for part in self.each])

    def marginal(self):
        spread = np.stack([part.std() for part in self.each], axis=-1)
        return twins.Mixture(self.weights[:, None], stats.norm(self.loc.swapaxes(-1, -2), spread))


class Blocks:
    """Scalar twins side by side as the components of one vector."""

    def __init__(self, several):
        self.several = several

    def logpdf(self, x):
        return self.several.logpdf(x).sum(axis=-1)

    def logcdf(self, x):
        return self.several.logcdf(x).sum(axis=-1)

    def cdf(self, x):
        return self.several.cdf(x).prod(axis=-1)

    def sf(self, x):
        return -np.expm1(self.logcdf(x))

    def ppf(self, p):
        return self.several.ppf(np.expand_dims(p, -1))

    def mean(self):
        return self.several.mean()

    def var(self):
        return self.several.var()

    def std(self):
        return self.several.std()

    def cov(self):
        return self.var()[..., None] * np.eye(self.var().shape[-1])

    def entropy(self):
        return self.several.entropy().sum(axis=-1)

    def marginal(self):
        return self.several


def divergence(p, q):
    """torch's closed form."""
    return torch.distributions.kl_divergence(p, q).numpy()
