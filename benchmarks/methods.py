"""Methods of distributions called by themselves, outside of anything compiled, beside SciPy's."""

from functools import partial

from benchmarks.pairs import BACKENDS, Pair, Section, Side

NUMBER, CALLS = 1000, 10
FAMILIES = ("Gamma", "Beta", "StudentT", "NegativeBinomial")
METHODS = ("cdf", "quantile")


def called(family, method, library):
    """Some calls for many distributions, each with its own parameters."""
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 20.0, (2, NUMBER)).astype("float32")
    p = rng.uniform(0.01, 0.99, NUMBER).astype("float32")
    twin = of_scipy(family, a, b)
    x = twin.ppf(p).astype("float32")
    argument = {"cdf": x, "quantile": p}[method]
    of_twin = {"cdf": twin.cdf, "quantile": twin.ppf}[method]
    functions = {"scipy": of_twin, "timedist": partial(of_timedist, family, method, a, b)}
    return lambda: [functions[library](argument) for _ in range(CALLS)]


def of_scipy(family, a, b):
    """SciPy's."""
    from scipy import stats

    makers = {
        "Gamma": lambda: stats.gamma(a, scale=1.0 / b),
        "Beta": lambda: stats.beta(a, b),
        "StudentT": lambda: stats.t(a, scale=b),
        "NegativeBinomial": lambda: stats.nbinom(a, 1.0 / (1.0 + b)),
    }
    return makers[family]()


def of_timedist(family, method, a, b, argument):
    """TimeDist's, from arrays to an array."""
    import keras

    from timedist import distributions

    parameters = {
        "Gamma": {"concentration": a, "rate": b},
        "Beta": {"concentration1": a, "concentration0": b},
        "StudentT": {"df": a, "loc": 0.0, "scale": b},
        "NegativeBinomial": {"total_count": a, "probs": b / (1.0 + b)},
    }[family]
    d = getattr(distributions, family)(**parameters)
    return keras.ops.convert_to_numpy(getattr(d, method)(argument))


def sections():
    """Each method of each family, on each backend."""
    text = (
        f"Distribution functions and quantiles of {NUMBER} distributions with parameters of their "
        "own, from arrays to an array, building and validating the distribution included."
    )
    pairs = tuple(
        Pair(
            f"{family}.{method}, {backend}",
            _side("TimeDist", "timedist", backend, ("keras", backend), family, method),
            _side("SciPy", "scipy", None, ("scipy",), family, method),
            per=CALLS,
        )
        for backend in BACKENDS
        for method in METHODS
        for family in FAMILIES
    )
    yield Section("Methods by themselves", text, pairs)


def _side(name, library, backend, packages, family, method):
    arguments = {"family": family, "method": method, "library": library}
    return Side(name, "benchmarks.methods:called", backend, packages, arguments)
