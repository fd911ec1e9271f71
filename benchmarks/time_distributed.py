"""`TimeDistributed(Dense)`: one call on all steps, whatever their number."""

from benchmarks.pairs import BACKENDS, Pair, Section, Side

BATCH, STEPS, INPUTS, OUTPUTS, BATCHES = 32, 500, 16, 8, 32


def step(wrapper=None):
    """Builds, compiles and fits one epoch; later runs fit one more."""
    import keras
    import numpy as np

    from timedist.layers import TimeDistributed

    wrappers = {"timedist": TimeDistributed, "keras": keras.layers.TimeDistributed}
    wrap = wrappers.get(wrapper, lambda layer: layer)
    batches = 1 if wrapper == "keras" else BATCHES
    x = np.zeros((batches * BATCH, STEPS, INPUTS), "float32")
    y = np.zeros((batches * BATCH, STEPS, OUTPUTS), "float32")
    keras.ops.convert_to_numpy(keras.ops.ones((2, 2)) @ keras.ops.ones((2, 2)))  # start the backend
    model = None

    def run():
        nonlocal model
        if model is None:
            model = keras.Sequential([keras.Input(x.shape[1:]), wrap(keras.layers.Dense(OUTPUTS))])
            model.compile("sgd", "mse")
            model.fit(x[:BATCH], y[:BATCH], batch_size=BATCH, verbose=0)
        else:
            model.fit(x, y, batch_size=BATCH, verbose=0)

    return run


def sections():
    """Against the layer that needs no wrapper, and against Keras's wrapper."""
    text = (
        f"`timedist.layers.TimeDistributed(Dense({OUTPUTS}))` on {BATCH} sequences of {STEPS} "
        f"steps of {INPUTS} numbers. A first step builds and compiles the model in a fresh "
        "process; imports and the start of the backend are not counted."
    )
    yield Section("TimeDistributed", text, tuple(_pairs()))


def _pairs():
    for backend in BACKENDS:
        mine = _side("TimeDist", backend, wrapper="timedist")
        plain = _side("plain Dense", backend)
        what = f"first step, {backend}"
        yield Pair(f"{what} against the plain layer", mine, plain, 1.2, "first", "s")
        yield Pair(f"steady step, {backend}", mine, plain, 1.1, per=BATCHES)
        loop = _side("keras.layers.TimeDistributed", backend, wrapper="keras")
        yield Pair(f"{what} against Keras's wrapper", mine, loop, None, "first", "s", rounds=1)


def _side(name, backend, **arguments):
    path = "benchmarks.time_distributed:step"
    return Side(name, path, backend, ("keras", backend), arguments)
