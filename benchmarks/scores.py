"""Scores of ensembles beside scoringrules, special functions beside SciPy, TFP and torch."""

from functools import partial

from benchmarks.pairs import BACKENDS, Pair, Section, Side

MEMBERS, NUMBER = 1000, 100_000
FUNCTIONS = ("log_betainc", "log_gammainc", "lgamma", "ndtri")
LIBRARIES = {"jax": ("scipy",), "tensorflow": ("scipy", "tfp"), "torch": ("scipy", "torch")}


def called(function):
    """By itself, and done when it returns."""
    import keras

    return lambda *inputs: keras.ops.convert_to_numpy(function(*inputs))


def compiled(function, xla=False):
    """As users of the backend would call it in a model: compiled, and done when it returns."""
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        fast = jax.jit(function)
        return lambda *inputs: jax.block_until_ready(fast(*inputs))
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False, jit_compile=xla)
    return function


def repeated(function, inputs, times=1, xla=False):
    """What is timed: some calls, on tensors of the backend."""
    from keras import ops

    fast, inputs = compiled(function, xla), [ops.convert_to_tensor(x) for x in inputs]

    def run():
        for _ in range(times):
            fast(*inputs)

    return run


def crps(library, targets, alone=False):
    """The CRPS of each target's members, which lie on the axis the library has for them."""
    import keras
    import numpy as np

    from timedist.scores import crps_samples

    rng = np.random.default_rng(0)
    y = rng.normal(size=targets).astype("float32")
    members = rng.normal(size=(MEMBERS, targets)).astype("float32")
    inputs = (y, members if library == "timedist" else np.ascontiguousarray(members.T))
    made = {"timedist": crps_samples, "scoringrules": of_scoringrules, "by hand": of_all_pairs}
    if alone:
        function, inputs = called(made[library]), map(keras.ops.convert_to_tensor, inputs)
        return partial(function, *inputs)
    return repeated(made[library], inputs)


def of_scoringrules(y, members):
    """Its default estimator, by one sort; on TensorFlow, where that fails, another by one sort."""
    import keras
    import scoringrules

    backend, options = keras.backend.backend(), {}
    if backend == "tensorflow":  # its own sort there is for ensembles of one target
        members = keras.ops.sort(members, axis=-1)
        options = {"estimator": "pwm", "sorted_ensemble": True}
    return scoringrules.crps_ensemble(y, members, backend=backend, **options)


def of_all_pairs(y, members):
    """The definition; in blocks of targets, or the pairs would not fit in memory."""
    from keras import ops

    def of(block):
        y, members = block
        distance = ops.mean(ops.abs(members - y[..., None]), axis=-1)
        spread = ops.mean(ops.abs(members[..., None] - members[..., None, :]), axis=(-2, -1))
        return distance - 0.5 * spread

    blocks = (ops.reshape(y, (-1, 10)), ops.reshape(members, (-1, 10, MEMBERS)))
    return ops.map(of, blocks)


def special(name, library):
    """A special function of many numbers."""
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 20.0, (2, NUMBER)).astype("float32")
    x = rng.uniform(0.01, 0.99, NUMBER).astype("float32")
    inputs = {
        "log_betainc": (a, b, x, 1.0 - x),
        "log_gammainc": (a, (a * (0.5 + x)).astype("float32")),
        "lgamma": (a,),
        "ndtri": (x,),
    }[name]
    function = {"scipy": of_scipy, "tfp": of_tfp, "torch": of_torch, "timedist": of_timedist}
    function = function[library]()[name]
    if library == "scipy":
        return lambda: [function(*inputs) for _ in range(10)]
    return repeated(function, inputs, 10, xla=True)


def of_timedist():
    """Those of `timedist.ops`."""
    from timedist.ops import special
    from timedist.ops.incomplete_beta import log_betainc
    from timedist.ops.incomplete_gamma import log_gammainc

    both = {"log_betainc": log_betainc, "log_gammainc": log_gammainc}
    return {**both, "lgamma": special.lgamma, "ndtri": special.ndtri}


def of_scipy():
    """SciPy's."""
    import numpy as np
    from scipy import special

    return {
        "log_betainc": lambda a, b, x, y: (
            np.log(special.betainc(a, b, x)),
            np.log(special.betaincc(a, b, x)),
        ),
        "log_gammainc": lambda a, x: (
            np.log(special.gammainc(a, x)),
            np.log(special.gammaincc(a, x)),
        ),
        "lgamma": special.gammaln,
        "ndtri": special.ndtri,
    }


def of_tfp():
    """TensorFlow Probability's, and TensorFlow's where it has no others."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    betainc = tfp.math.betainc
    return {
        "log_betainc": lambda a, b, x, y: (
            tf.math.log(betainc(a, b, x)),
            tf.math.log(betainc(b, a, y)),
        ),
        "log_gammainc": lambda a, x: (
            tf.math.log(tf.math.igamma(a, x)),
            tf.math.log(tf.math.igammac(a, x)),
        ),
        "lgamma": tf.math.lgamma,
        "ndtri": tf.math.ndtri,
    }


def of_torch():
    """torch's, which has no incomplete beta function."""
    import torch

    functions = torch.special
    return {
        "log_gammainc": lambda a, x: (
            torch.log(functions.gammainc(a, x)),
            torch.log(functions.gammaincc(a, x)),
        ),
        "lgamma": functions.gammaln,
        "ndtri": functions.ndtri,
    }


def sections():
    """The CRPS, and special functions."""
    text = (
        f"The CRPS of {MEMBERS} members. The members of TimeDist lie on the first axis, those of "
        "scoringrules on the last, as is their default. All pairs are the definition, by hand. "
        "Compiled: as part of a model; by itself: called with arrays."
    )
    yield Section("Scores", text, tuple(_of_scores()))
    text = (
        f"Functions of `timedist.ops` at {NUMBER} numbers in float32. The incomplete functions "
        "give the logarithms of both tails, on either side. On TensorFlow both are compiled by "
        "XLA, as Keras compiles a model."
    )
    yield Section("Special functions", text, tuple(_of_functions()))


def _of_scores():
    for backend in BACKENDS:
        for alone, how in ((False, "compiled"), (True, "by itself")):
            for targets in (1000, 10_000):
                ours, theirs = (
                    _side("crps", name, backend, targets=targets, alone=alone)
                    for name in ("timedist", "scoringrules")
                )
                yield Pair(f"CRPS of {targets} targets, {how}, {backend}", ours, theirs, 1.0)
            ours, hand = (
                _side("crps", name, backend, targets=1000, alone=alone)
                for name in ("timedist", "by hand")
            )
            yield Pair(f"CRPS against all pairs, {how}, {backend}", ours, hand, 0.05, rounds=3)


def _of_functions():
    for backend, libraries in LIBRARIES.items():
        for library in libraries:
            for name in FUNCTIONS:
                if (library, name) == ("torch", "log_betainc"):
                    continue
                ours, theirs = (
                    _side("special", each, backend, name=name) for each in ("timedist", library)
                )
                yield Pair(f"{name}, {backend}", ours, theirs, 1.0, per=10)


def _side(function, library, backend, **arguments):
    names = {
        "timedist": "TimeDist",
        "tfp": "TensorFlow Probability",
        "scipy": "SciPy",
        "by hand": "all pairs",
    }
    packages = {"timedist": "keras", "tfp": "tensorflow_probability", "by hand": "keras"}
    return Side(
        names.get(library, library),
        f"benchmarks.scores:{function}",
        backend,
        (packages.get(library, library), backend),
        {**arguments, "library": library},
    )
