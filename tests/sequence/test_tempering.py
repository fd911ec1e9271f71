"""Tempered distributions against the normalised power of the density, by SciPy on a grid."""

import numpy as np
import pytest
from helpers import assert_close, to_numpy
from scipy import integrate, stats

from timedist import distributions as td
from timedist.distributions import flows, transforms
from timedist.sequence import tempered

TEMPERATURES = (0.3, 1.7)

# Family, its twin, and where nearly all of its mass is at any of the temperatures.
CONTINUOUS = {
    "Normal": (td.Normal(1.0, 2.0), stats.norm(1.0, 2.0), (-25.0, 27.0)),
    "HalfNormal": (td.HalfNormal(1.5), stats.halfnorm(scale=1.5), (0.0, 20.0)),
    "TruncatedNormal": (
        td.TruncatedNormal(0.5, 2.0, -1.0, 3.0),
        stats.truncnorm(-0.75, 1.25, 0.5, 2.0),
        (-1.0, 3.0),
    ),
    "LogNormal": (td.LogNormal(0.2, 0.6), stats.lognorm(0.6, scale=np.exp(0.2)), (1e-9, 150.0)),
    "Laplace": (td.Laplace(1.0, 0.5), stats.laplace(1.0, 0.5), (-19.0, 21.0)),
    "AsymmetricLaplace": (
        td.AsymmetricLaplace(1.0, 0.5, 0.7),
        stats.laplace_asymmetric(0.7, 1.0, 0.5),
        (-19.0, 31.0),
    ),
    "Exponential": (td.Exponential(2.0), stats.expon(scale=0.5), (0.0, 20.0)),
    "VonMises": (td.VonMises(0.5, 3.0), stats.vonmises(3.0, 0.5), (-np.pi, np.pi)),
    "Uniform": (td.Uniform(-1.0, 3.0), stats.uniform(-1.0, 4.0), (-1.0, 3.0)),
    "Truncated": (
        td.Truncated(td.Laplace(1.0, 0.5), 0.0, 3.0),
        stats.laplace(1.0, 0.5),
        (0.0, 3.0),
    ),
}


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_power_of_a_density(name, temperature):
    family, twin, ends = CONTINUOUS[name]
    grid = np.linspace(*ends, 200_001)
    power = np.exp(twin.logpdf(grid) / temperature)
    expected = power / integrate.trapezoid(power, grid)
    made = tempered(family, temperature)
    assert type(made) is type(family)
    shown = slice(None, None, 500)
    found = made.prob(grid[shown].astype("float32"))
    assert_close(found, expected[shown], 2e-3, floor=1e-3 * expected.max())


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_power_of_a_histogram(temperature):
    edges, probs = (np.array(x, "float32") for x in ([0.0, 1.0, 1.5, 4.0], [0.2, 0.3, 0.5]))
    widths = np.diff(edges)
    power = (probs / widths) ** (1.0 / temperature)
    expected = power / np.sum(power * widths)
    found = tempered(td.Binned(edges, probs=probs), temperature).prob([0.5, 1.2, 3.0])
    assert_close(found, expected, 1e-5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("given", ["logits", "probs"])
def test_the_power_of_probabilities(given, temperature):
    probs = np.array([0.1, 0.2, 0.7], "float32")
    numbers = {"logits": np.log(probs) + 2.0, "probs": probs}[given]
    power = probs.astype("float64") ** (1.0 / temperature)
    expected = power / power.sum()
    categorical = tempered(td.Categorical(**{given: numbers}), temperature)
    assert_close(categorical.probs, expected, 1e-5)
    one_hot = tempered(td.OneHotCategorical(**{given: numbers}), temperature)
    assert_close(one_hot.prob(np.eye(3, dtype="float32")), expected, 1e-5)
    yes = {"logits": float(np.log(0.3 / 0.7)), "probs": 0.3}[given]
    power = np.array([0.7, 0.3]) ** (1.0 / temperature)
    bernoulli = tempered(td.Bernoulli(**{given: yes}), temperature)
    assert_close(bernoulli.prob([0.0, 1.0]), power / power.sum(), 1e-5)
    k = np.arange(2000)
    power = stats.geom(0.3, loc=-1).pmf(k) ** (1.0 / temperature)
    geometric = tempered(td.Geometric(**{given: yes}), temperature)
    assert_close(geometric.prob(np.arange(20.0, dtype="float32")), power[:20] / power.sum(), 1e-5)


LOC, FACTOR, LOADINGS = [0.5, -1.0], [[1.0, 0.0], [0.8, 0.6]], [[0.5], [-0.4]]
VECTORS = {
    "diagonal": (td.MultivariateNormalDiag(LOC, [1.0, 0.5]), np.diag([1.0, 0.25])),
    "full": (td.MultivariateNormalTriL(LOC, FACTOR), np.array(FACTOR) @ np.array(FACTOR).T),
    "low rank": (
        td.MultivariateNormalDiagPlusLowRankCovariance(LOC, [0.3, 0.5], LOADINGS),
        np.diag([0.3, 0.5]) + np.array(LOADINGS) @ np.array(LOADINGS).T,
    ),
    "independent": (td.Independent(td.Normal(LOC, [1.0, 0.5])), np.diag([1.0, 0.25])),
    "blocks": (
        td.Blockwise([td.Normal(0.5, 1.0), td.Normal(-1.0, 0.5)]),
        np.diag([1.0, 0.25]),
    ),
}


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("name", VECTORS)
def test_the_power_of_a_density_of_vectors(name, temperature):
    family, covariance = VECTORS[name]
    axis = np.linspace(-8.0, 8.0, 321)
    points = np.stack(np.meshgrid(LOC[0] + axis, LOC[1] + axis, indexing="ij"), axis=-1)
    power = stats.multivariate_normal(LOC, covariance).pdf(points) ** (1.0 / temperature)
    expected = power / (power.sum() * (axis[1] - axis[0]) ** 2)
    found = tempered(family, temperature).prob(points[::16, ::16].astype("float32"))
    assert_close(found, expected[::16, ::16], 2e-3, floor=1e-3 * expected.max())


# --- conventions ----------------------------------------------------------------------------------


def test_mixtures_have_tempered_weights_and_components():
    rows = [[0.2, 0.8], [-2.0, 1.0], [1.0, 0.5]]
    weights, locs, scales = np.array(rows, "float32")
    parts = [td.Normal(loc, scale) for loc, scale in zip(locs, scales, strict=True)]
    x, t = np.linspace(-4.0, 4.0, 21, dtype="float32"), 0.5
    power = weights ** (1.0 / t)
    shares = power / power.sum()
    expected = stats.norm(locs, scales * np.sqrt(t)).pdf(x[:, None]) @ shares
    same = td.MixtureSameFamily(td.Categorical(probs=weights), td.Normal(locs, scales))
    for mixture in (same, td.Mixture(td.Categorical(probs=weights), parts)):
        assert_close(tempered(mixture, t).prob(x), expected, 1e-4, floor=1e-4)


def test_the_base_of_what_is_transformed():
    d = td.TransformedDistribution(td.Normal(0.0, 1.0), transforms.Affine(1.0, 3.0))
    assert_close(tempered(d, 4.0).stddev(), 6.0, 1e-5)
    kernel = np.array([[0.0, 0.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.0]], "float32")
    base = td.Independent(td.Normal(np.zeros((2, 2), "float32"), 1.0))
    flow = td.NormalizingFlow(base, [flows.MaskedAutoregressive([kernel], degrees=[[1, 2]])])
    made = tempered(flow, 4.0)
    assert_close(made.base.stddev(), 2.0 * to_numpy(base.stddev()), 1e-6)
    zeros = np.zeros((2, 2), "float32")
    moved = to_numpy(flow.log_prob(zeros)) - to_numpy(base.log_prob(zeros))
    assert_close(moved, to_numpy(made.log_prob(zeros)) - to_numpy(made.base.log_prob(zeros)), 1e-4)


def test_temperature_one_is_the_distribution_itself():
    for d in (td.Normal(), td.StudentT(3.0), td.Blockwise([td.Normal(), td.Poisson(2.0)])):
        assert tempered(d, 1) is d


# --- one's own, and errors ------------------------------------------------------------------------


class Own(td.Normal):
    """A user's family, of which its parent's rule is not right."""


def test_a_rule_of_ones_own_is_found_everywhere():
    @tempered.register(Own)
    def halved(distribution, temperature):
        return Own(distribution.loc, distribution.scale * temperature / 2.0)

    made = tempered(td.Blockwise([Own(0.0, 1.0), td.Normal(0.0, 1.0)]), 4.0)
    assert [float(part.scale) for part in made.distributions] == [2.0, 2.0]
    assert isinstance(made.distributions[0], Own)


@pytest.mark.parametrize("wrong", [0.0, -1, None, "1", True, np.nan, np.inf, [1.0]])
def test_wrong_temperatures(wrong):
    with pytest.raises(ValueError, match=r"tempered: temperature must be a positive number, got"):
        tempered(td.Normal(), wrong)


def test_unknown_families():
    message = r"no rule is known for the family StudentT.*tempered.register\(StudentT\)"
    for d in (td.StudentT(3.0), td.Independent(td.StudentT([3.0, 4.0]))):
        with pytest.raises(NotImplementedError, match=message):
            tempered(d, 0.5)
    with pytest.raises(NotImplementedError, match=r"takes a distribution .*got a float"):
        tempered(1.0, 0.5)
