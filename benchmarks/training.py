"""One training step of a recurrent network: batch 64, 100 steps, 8 inputs, LSTM(64), 3 outputs."""

from dataclasses import replace

from benchmarks.pairs import BACKENDS, Pair, Section, Side

BATCH, STEPS, INPUTS, UNITS, OUTPUTS, BATCHES = 64, 100, 8, 64, 3, 64
COMPONENTS = 3


def data():
    """Inputs and targets of all batches."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCHES * BATCH, STEPS, INPUTS)).astype("float32")
    return x, x[..., :OUTPUTS] + 0.1 * rng.normal(size=(*x.shape[:2], OUTPUTS)).astype("float32")


def fitted(model):
    """A function that fits one epoch."""
    x, y = data()
    return lambda: model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)


def network(last, loss, core):
    """A compiled network with these last layers; `core` is whose LSTM it has."""
    import keras

    from timedist.layers import LSTM

    keras.utils.set_random_seed(0)
    recurrent = {"timedist": LSTM, "keras": keras.layers.LSTM}[core]
    layers = [keras.Input((STEPS, INPUTS)), recurrent(UNITS, return_sequences=True), *last]
    model = keras.Sequential(layers)
    model.compile("adam", loss)
    return model


def ours(head="normal", core="timedist"):
    """A head and `NegativeLogLikelihood`."""
    return fitted(of_ours(head, core))


def of_ours(head="normal", core="timedist"):
    """The network of `ours`."""
    import keras

    from timedist.layers import IndependentNormal, MixtureNormal
    from timedist.losses import NegativeLogLikelihood

    made = {"normal": lambda: IndependentNormal(OUTPUTS)}
    made["mixture"] = lambda: MixtureNormal(COMPONENTS, OUTPUTS)
    layer = made[head]()
    return network([keras.layers.Dense(layer.width), layer], NegativeLogLikelihood(), core)


def by_hand(head="normal", core="timedist"):
    """The same likelihood written by hand, of the outputs of a dense layer."""
    import math

    import keras
    from keras import ops

    def of_normal(y, raw):
        loc, scale = ops.split(raw, 2, axis=-1)
        scale = ops.softplus(scale) + 1e-6
        z = (y - loc) / scale
        return ops.sum(0.5 * z * z + ops.log(scale), axis=-1) + OUTPUTS * 0.5 * math.log(
            2 * math.pi
        )

    def of_mixture(y, raw):
        logits, rest = raw[..., :COMPONENTS], raw[..., COMPONENTS:]
        rest = ops.reshape(rest, (-1, STEPS, COMPONENTS, 2 * OUTPUTS))
        nats = of_normal(y[..., None, :], rest)
        return -ops.logsumexp(ops.log_softmax(logits, axis=-1) - nats, axis=-1)

    width = {"normal": 2 * OUTPUTS, "mixture": COMPONENTS * (1 + 2 * OUTPUTS)}[head]
    loss = {"normal": of_normal, "mixture": of_mixture}[head]
    return fitted(network([keras.layers.Dense(width)], loss, core))


def point(core="timedist"):
    """The deterministic twin: the mean, by squared error."""
    import keras

    return fitted(network([keras.layers.Dense(OUTPUTS)], "mse", core))


def recurrent_part(core="timedist", inputs=INPUTS, sizes=(UNITS,), steps=STEPS, batches=BATCHES):
    """Nothing but the recurrent layers, forwards and backwards, as often as in an epoch."""
    import keras
    import numpy as np

    from timedist.layers import LSTM
    from timedist.ops.functional import compiled_gradient

    layer = {"timedist": LSTM, "keras": keras.layers.LSTM}[core]
    layers = [layer(units, return_sequences=True) for units in sizes]
    stack = keras.Sequential([keras.Input((steps, inputs)), *layers])
    x = np.random.default_rng(0).normal(size=(BATCH, steps, inputs)).astype("float32")
    x, *weights = map(keras.ops.convert_to_tensor, (x, *stack.weights))

    def total(*weights):
        with keras.StatelessScope(zip(stack.weights, weights, strict=True)):
            return keras.ops.sum(keras.ops.square(stack(x)))

    gradient = compiled_gradient(total)

    def run():
        for _ in range(batches):
            keras.ops.convert_to_numpy(gradient(*weights)[0])

    return run


def bare_recurrent_part(inputs=INPUTS, sizes=(UNITS,), steps=STEPS, batches=BATCHES):
    """The same of `torch.nn.LSTM`; of several layers all sizes are one."""
    import torch

    lstm = torch.nn.LSTM(inputs, sizes[0], len(sizes), batch_first=True)
    x = torch.randn(BATCH, steps, inputs)

    def run():
        for _ in range(batches):
            lstm.zero_grad()
            lstm(x)[0].square().sum().backward()

    return run


def least():
    """An epoch of a model of one weight: what Keras's `fit` takes by itself."""
    import keras
    import numpy as np

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("adam", "mse")
    x = np.zeros((BATCHES * BATCH, 1), "float32")
    return lambda: model.fit(x, x, batch_size=BATCH, shuffle=False, verbose=0)


def tfp():
    """`tfp.layers` on tf_keras."""
    import tensorflow_probability as tfp
    import tf_keras

    layer = tfp.layers.IndependentNormal(OUTPUTS)
    model = tf_keras.Sequential(
        [
            tf_keras.Input((STEPS, INPUTS)),
            tf_keras.layers.LSTM(UNITS, return_sequences=True),
            tf_keras.layers.Dense(tfp.layers.IndependentNormal.params_size(OUTPUTS)),
            layer,
        ]
    )
    model.compile("adam", lambda y, distribution: -distribution.log_prob(y))
    return fitted(model)


def bare_torch():
    """`torch.nn.LSTM` and `torch.distributions` in a plain loop."""
    import torch

    lstm = torch.nn.LSTM(INPUTS, UNITS, batch_first=True)
    dense = torch.nn.Linear(UNITS, 2 * OUTPUTS)

    def log_prob(x, y):
        loc, raw = dense(lstm(x)[0]).chunk(2, dim=-1)
        normal = torch.distributions.Normal(loc, torch.nn.functional.softplus(raw) + 1e-6)
        return normal.log_prob(y).sum(dim=-1)

    return plain_loop([*lstm.parameters(), *dense.parameters()], log_prob)


def in_a_plain_loop():
    """The network of `ours`, trained as the one of bare PyTorch is."""
    model = of_ours()
    return plain_loop(model.parameters(), lambda x, y: model(x).log_prob(y))


def plain_loop(parameters, log_prob):
    """An epoch of PyTorch's Adam on all batches."""
    import torch

    x, y = (torch.from_numpy(part).split(BATCH) for part in data())
    optimizer = torch.optim.Adam(parameters, 1e-3)

    def step(x, y):
        loss = -log_prob(x, y).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def run():
        for each in zip(x, y, strict=True):
            step(*each)

    return run


def side(name, function, backend, *packages, **arguments):
    """A side of this module."""
    path = f"benchmarks.training:{function}"
    return Side(name, path, backend, (*packages, *([backend] if backend else ())), arguments)


def sections():
    """Heads against what they replace, and the whole network against the other libraries."""
    net = (
        f"One training step of a network with {INPUTS} inputs, an LSTM of {UNITS} and {OUTPUTS} "
        f"outputs at {STEPS} steps, for {BATCH} sequences."
    )
    text = "The other side has another loss, and is in the same process."
    yield Section("Heads", f"{net} {text}", tuple(_of_heads()))
    yield Section("Networks", f"{net} The other side is another library.", tuple(_of_networks()))

    text = "The time of a part of the step, and that of the whole: what is left is the rest."
    yield Section("Where a training step goes", f"{net} {text}", tuple(_of_parts()))


def _pair(what, ours, theirs, most=None, **more):
    return Pair(what, ours, theirs, most, per=BATCHES, **more)


def _mine(backend, **arguments):
    return side(f"TimeDist on {backend}", "ours", backend, "keras", **arguments)


def _of_heads():
    for backend in BACKENDS:
        for head in ("normal", "mixture"):
            hand = side("by hand", "by_hand", backend, "keras", head=head)
            what = f"{head} head against its loss by hand, {backend}"
            yield _pair(what, _mine(backend, head=head), hand, 1.03, together=True)
        twin = side("mean squared error", "point", backend, "keras")
        what = f"normal head against the deterministic twin, {backend}"
        yield _pair(what, _mine(backend), twin, 1.1, together=True)


def _of_networks():
    for backend in BACKENDS:
        layer = side("keras.layers.LSTM, loss by hand", "by_hand", backend, "keras", core="keras")
        yield _pair(f"against Keras's own layer, {backend}", _mine(backend), layer, 1.0)
        legacy = side("tf_keras, tfp.layers", "tfp", None, "tf_keras", "tensorflow_probability")
        most = 0.6 if backend == BACKENDS[0] else None
        yield _pair(f"against tfp.layers, {backend}", _mine(backend), legacy, most)
        bare = side("torch.nn.LSTM", "bare_torch", None, "torch")
        most = 1.1 if backend == "torch" else None
        yield _pair(f"against bare PyTorch, {backend}", _mine(backend), bare, most)


def _of_parts():
    for backend in BACKENDS:
        whole = replace(_mine(backend), name="all")
        for what, function in (("the recurrent layer", "recurrent_part"), ("Keras's fit", "least")):
            yield _pair(f"{what}, {backend}", side(what, function, backend, "keras"), whole)
    bare = side("all", "bare_torch", None, "torch")
    loop = side("TimeDist on torch", "in_a_plain_loop", "torch", "keras")
    other = replace(bare, name="torch.nn.LSTM")
    yield _pair("both in a plain loop, without Keras's fit, torch", loop, other, 1.1)
    part = side("torch.nn.LSTM", "bare_recurrent_part", None, "torch")
    yield _pair("torch.nn.LSTM by itself, of bare PyTorch", part, bare)
