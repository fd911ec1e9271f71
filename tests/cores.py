"""The contracts of a causal network, and of the autoregressive model around it."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, assert_close, fast, gradient, to_numpy
from keras import ops

from timedist.layers import MixtureNormal
from timedist.losses import NegativeLogLikelihood
from timedist.ops import scans
from timedist.ops.functional import compiled_gradient
from timedist.sequence import Rollout

STEPS, WIDTH = 14, 3
LAGS, CONTEXT, HORIZON, BATCH = (1, 3, 9), 5, 6, 2


def sequence(batch=2, steps=STEPS, width=WIDTH, seed=0):
    """Inputs of a network."""
    return np.random.default_rng(seed).normal(size=(batch, steps, width)).astype("float32")


def built(core):
    """The network with weights for these inputs."""
    if not core.built:
        core.build((None, None, WIDTH))
    return core


def at_once(core, x):
    """The features of all steps by one call."""
    return to_numpy(ops.cast(fast(built(core))(ops.convert_to_tensor(x)), "float32"))


def stepwise(core, x, context, paths=1, columns=None):
    """The features of the steps after a context, each by `step`, `(batch, paths, steps, units)`.

    By `step_from` if columns are named: all others are known for all steps.
    """
    steps = x.shape[1] - context

    def run(x):
        x = ops.cast(x, core.compute_dtype)
        shared, state = core.begin(x[:, :context], steps)

        def spread(x):
            return keras.tree.map_structure(lambda a: ops.repeat(a, paths, axis=0), x)

        def step(state, entries):
            number, now, known = entries
            if columns is None:
                features, state = core.step(spread(now), number, shared, state)
            else:
                given = spread(known), spread(now), columns, number, shared
                features, state = core.step_from(*given, state)
            return state, features

        state, x = spread(state), x[:, context:]
        known = [] if columns is None else core.known(without(x, columns), columns)
        x = x if columns is None else ops.take(x, np.array(columns, "int32"), axis=-1)
        now, known = keras.tree.map_structure(lambda a: ops.moveaxis(a, 1, 0), (x, known))
        entries = (ops.arange(steps, dtype="int32"), now, known)
        features = ops.moveaxis(scans.loop(step, state, entries, steps)[1], 0, 1)
        return ops.cast(ops.reshape(features, (-1, paths, *features.shape[1:])), "float32")

    built(core)
    return to_numpy(fast(run)(ops.convert_to_tensor(x)))


def without(x, columns):
    """NaN in the place of columns, which must not be read."""
    return ops.where(np.isin(np.arange(x.shape[-1]), columns), float("nan"), x)


def check_steps(core, contexts=(1, 8)):
    """Step by step, for every path, the features are those of the whole sequence."""
    x = sequence(steps=STEPS + 3)
    expected = at_once(core, x)
    for context in contexts:
        found = stepwise(core, x, context, paths=2)
        assert found.shape == (2, 2, STEPS + 3 - context, core.units)
        wanted = np.broadcast_to(expected[:, None, context:], found.shape)
        assert_close(found, wanted, 1e-5, floor=0.1)
    for columns in ((), (0, 2)):
        found = stepwise(core, x, context, paths=2, columns=columns)
        assert_close(found, wanted, 1e-5, floor=0.1)


def check_static(core):
    """What is the same at all steps gives the same beside the sequence as in it, gradients too."""
    x = sequence()
    given = x[..., :-1], x[:, 0, -1:]

    def joined(x, static):
        repeated = ops.broadcast_to(static[:, None], (*x.shape[:-1], static.shape[-1]))
        return core(ops.concatenate([x, repeated], axis=-1))

    results = []
    for function in (built(core).with_static, joined):
        total = compiled_gradient(lambda *args, f=function: ops.sum(ops.square(f(*args))))
        value, gradients = total(*map(ops.convert_to_tensor, given))
        results.append([to_numpy(value), *map(to_numpy, gradients)])
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, 1e-4, floor=1.0)


def check_causal(core):
    """What changes at a step is seen from there on, and not before."""
    x = np.repeat(sequence(1), 1 + STEPS, axis=0)
    x[1 + np.arange(STEPS), np.arange(STEPS)] += 1.0
    reference, *changed = at_once(core, x)
    for step, found in enumerate(changed):
        error = np.abs(found - reference).max(axis=-1)
        assert error[:step].max(initial=0.0) < 2e-6
        assert error[step] > 1e-4


def check_gradients(core):
    """Gradients to the inputs are finite, and none reaches a later step."""
    built(core)
    weights = 1.0 + ops.arange(core.units, dtype="float32")  # the plain sum may be a constant
    (found,) = gradient(lambda x: core(x)[:, 8] * weights, sequence())
    assert np.isfinite(found).all()
    assert (found[:, 8] != 0.0).all()
    assert (found[:, 9:] == 0.0).all()


def check_half_precision(make):
    """In bfloat16 features are bfloat16, near those in float32, and the same step by step."""
    precise, half = built(make()), built(make(dtype="mixed_bfloat16"))
    half.set_weights(precise.get_weights())
    x = sequence()
    expected, found = at_once(precise, x), at_once(half, x)
    assert keras.backend.standardize_dtype(half(x).dtype) == "bfloat16"
    assert_close(found, expected, 0.05, floor=1.0)
    assert_close(stepwise(half, x, 6)[:, 0], expected[:, 6:], 0.05, floor=1.0)


def check_dropout(core):
    """Dropout, and only in training."""
    x = sequence()
    one, other = (to_numpy(built(core)(x, training=True)) for _ in range(2))
    assert (one != other).any()
    one, other = (to_numpy(core(x, training=False)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert_close(stepwise(core, x, 6)[:, 0], one[:, 6:], 1e-5, floor=0.1)


def small(kind, **options):
    """A small model."""
    keras.utils.set_random_seed(1)
    options = {"lags": LAGS, "context_length": CONTEXT, "units": 8, **options}
    options.setdefault("head", MixtureNormal(2))
    return kind(**options)


def series(model, batch=BATCH, horizon=HORIZON, seed=0):
    """Inputs of a model, with weights made for them."""
    rng = np.random.default_rng(seed)
    steps = model.context_length + horizon
    target = rng.gamma(3.0, 2.0, size=(batch, model.max_lag + steps)).astype("float32")
    target[0, 4:7] = np.nan
    features = rng.normal(size=(batch, steps, 2)).astype("float32")
    given = {"target": target, "features": features}
    if not model.built:
        model.build({name: value.shape for name, value in given.items()})
    return given


def past(model, given):
    """The part of the inputs that is known before a forecast."""
    known = model.max_lag + model.context_length
    return {**given, "target": given["target"][:, :known]}


def densities(model, given):
    """Log densities of the target at every step."""
    target = ops.convert_to_tensor(given["target"])
    features = ops.convert_to_tensor(given["features"])

    def run(target, features):
        distribution = model({"target": target, "features": features}, training=False)
        return distribution.log_prob(target[:, model.max_lag :])

    return to_numpy(fast(run)(target, features))


def check_rollout(model, bound=1e-4):
    """The log probability of a sampled path is that of one pass over the whole of it."""
    given = past(model, series(model))
    rollout = Rollout(model, 2, outputs=("paths", "log_prob"), seed=1)
    found = rollout.predict(given, verbose=0)
    paths = found["paths"]
    assert paths.shape == (BATCH, 2, HORIZON)
    assert len(np.unique(paths)) == paths.size
    for number in range(2):
        whole = np.concatenate([given["target"], paths[:, number]], axis=1)
        expected = densities(model, {**given, "target": whole})[:, model.context_length :]
        assert_close(found["log_prob"][:, number], expected.sum(axis=1), bound, floor=1.0)


def check_file(model, path):
    """A `.keras` file loads in safe mode, and its configuration is the same."""
    given = series(model)
    given["target"][np.isnan(given["target"])] = 1.0
    expected = densities(model, given)
    model.save(path)
    loaded = keras.models.load_model(path, safe_mode=True)
    assert type(loaded) is type(model)
    assert_close(densities(loaded, given), expected, 1e-5, floor=1.0)
    ours, theirs = ({**each.get_config(), "head": None} for each in (model, loaded))
    assert ours == theirs


def check_training(model):
    """One compiled training step moves every weight; batches of the same shape compile once."""
    calls, original = [], type(model.core).with_static

    def counting(self, *args):
        calls.append(1)
        return original(self, *args)

    given = series(model, batch=6)
    before = [w.copy() for w in model.get_weights()]
    model.compile("adam", NegativeLogLikelihood(missing="mask"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.core), "with_static", counting)
        data = given, given["target"][:, model.max_lag :]
        history = model.fit(*data, batch_size=2, epochs=1, verbose=0).history
        traced = len(calls)
        model.fit(*data, batch_size=2, epochs=2, verbose=0)
    assert np.isfinite(history["loss"]).all()
    for weight, start in zip(model.weights, before, strict=True):
        now = to_numpy(weight.value)
        assert np.isfinite(now).all()
        assert (now != start).any(), weight.path
    assert traced
    assert BACKEND == "torch" or len(calls) == traced


def check_sampling_compiles_once(model):
    """One loop is traced, not one graph a step, and once for batches of the same shape."""
    if BACKEND == "torch":
        pytest.skip("torch does not trace")
    calls, original = [], type(model.core).step_from

    def counting(self, *args):
        calls.append(1)
        return original(self, *args)

    given = past(model, series(model, batch=6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.core), "step_from", counting)
        rollout = Rollout(model, 2, seed=0)
        rollout.predict({name: x[:2] for name, x in given.items()}, batch_size=2, verbose=0)
        traced = len(calls)
        assert 0 < traced < HORIZON
        assert rollout.predict(given, batch_size=2, verbose=0).shape == (6, 2, HORIZON)
        assert len(calls) == traced
