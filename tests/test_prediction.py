"""`timedist.predict`."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, to_numpy
from models import QUICK, X, functional, sequential

import timedist
from timedist.distributions import Independent, MixtureSameFamily, Normal
from timedist.layers import DistributionLambda, IndependentNormal, MixtureNormal
from timedist.ops import compat
from timedist.sequence import DeepStateSpace


def test_numpy_parameters_of_a_data_set_of_any_size():
    model = functional()
    x = np.random.default_rng(1).normal(size=(1003, 3, 5)).astype("float32")
    distribution = timedist.predict(model, x, batch_size=100, verbose=0)
    assert isinstance(distribution, Independent)
    assert distribution.batch_shape == (1003, 3)
    assert all(type(leaf) is np.ndarray for leaf in distribution.leaves())
    np.testing.assert_allclose(
        np.asarray(distribution), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        to_numpy(distribution.stddev()), to_numpy(model(x).stddev()), rtol=1e-5
    )


@pytest.mark.parametrize("number", [1, 5, 32])
def test_a_single_batch(number):
    model = functional()
    distribution = timedist.predict(model, X[:number], verbose=0)
    assert distribution.batch_shape == (number, 10)
    np.testing.assert_allclose(
        np.asarray(distribution), to_numpy(model(X[:number]).mean()), rtol=1e-5, atol=1e-6
    )


def test_the_result_is_a_distribution_like_any_other():
    distribution = timedist.predict(functional(), X, verbose=0)
    last = distribution[:, -1]
    assert last.batch_shape == (48,)
    assert tuple(distribution.sample(2, seed=1).shape) == (2, 48, 10, 3)
    low, high = distribution.interval(0.9)
    assert (to_numpy(low) < to_numpy(high)).all()
    assert tuple(distribution.log_prob(X[..., :3]).shape) == (48, 10)


def test_only_one_batch_is_on_the_device():
    sizes = []

    class Watch(keras.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            sizes.append(keras.tree.flatten(logs["outputs"])[0].shape[0])

    timedist.predict(functional(), X, batch_size=20, verbose=0, callbacks=[Watch()])
    assert sizes == [20, 20, 8]


def test_batches_of_different_lengths_are_refused():
    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return (np.ones((4, 1 + index, 5), "float32"),)

    model = keras.Sequential([keras.layers.Dense(2), IndependentNormal()])
    model.build((None, None, 5))
    with pytest.raises(ValueError, match="pad them"):
        timedist.predict(model, Data(), verbose=0)


def test_parameters_that_lie_broadcast_or_transposed_in_memory():
    def turned(x):
        loc = keras.ops.transpose(keras.ops.copy(keras.ops.transpose(x)))
        return Normal(loc, keras.ops.broadcast_to(keras.ops.ones(5), x.shape))

    model = keras.Sequential([DistributionLambda(turned)])
    model.compile(run_eagerly=True)
    inputs = X[:40]
    distribution = timedist.predict(model, inputs, batch_size=10, verbose=0)
    np.testing.assert_array_equal(distribution.loc, inputs)


def test_nested_distributions():
    model = keras.Sequential([keras.Input((None, 5)), keras.layers.Dense(14), MixtureNormal(2, 3)])
    distribution = timedist.predict(model, X, verbose=0)
    assert isinstance(distribution, MixtureSameFamily)
    np.testing.assert_allclose(
        np.asarray(distribution), model.predict(X, verbose=0), rtol=1e-5, atol=1e-5
    )


def test_structures_whatever_the_order_of_their_keys():
    inputs = keras.Input((None, 5))
    z, a = keras.layers.Dense(2)(inputs), keras.layers.Dense(6)(inputs)
    model = keras.Model(inputs, {"z": z, "d": IndependentNormal(3)(a), "a": [a]})
    predicted, real = timedist.predict(model, X, verbose=0), model(X)
    np.testing.assert_allclose(predicted["z"], to_numpy(real["z"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(predicted["a"][0], to_numpy(real["a"][0]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        predicted["d"].base.loc, to_numpy(real["d"].base.loc), rtol=1e-5, atol=1e-6
    )


def test_steps_and_data_sets():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return (X[16 * i : 16 * (i + 1)],)

    model = functional()
    everything = timedist.predict(model, X, verbose=0)
    for distribution in (
        timedist.predict(model, Batches(), verbose=0),
        timedist.predict(model, (batch for batch in Batches()), steps=3, verbose=0),
    ):
        np.testing.assert_allclose(
            np.asarray(distribution), np.asarray(everything), rtol=1e-5, atol=1e-6
        )


def test_progress_bar(capsys):
    timedist.predict(functional(), X, batch_size=16, verbose=1)
    assert "3/3" in capsys.readouterr().out


def test_the_weights_of_today_and_of_tomorrow():
    model = functional()
    first = np.asarray(timedist.predict(model, X, verbose=0))
    model.set_weights([2.0 * w for w in model.get_weights()])
    np.testing.assert_allclose(
        np.asarray(timedist.predict(model, X, verbose=0)), 2.0 * first, rtol=1e-5, atol=1e-6
    )


def test_while_training():
    seen = []

    class Forecast(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(timedist.predict(self.model, X, verbose=0))

        def on_train_batch_end(self, batch, logs=None):
            timedist.predict(self.model, X, verbose=0)

    model = functional()
    model.compile("sgd", timedist.losses.NegativeLogLikelihood(), **QUICK)
    model.fit(X, X[..., :3], epochs=2, verbose=0, callbacks=[Forecast()])
    assert len(seen) == 2
    np.testing.assert_allclose(
        np.asarray(seen[1]), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_a_model_that_must_run_eagerly():
    class Eager(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = IndependentNormal(2)

        def call(self, x):
            seen.append(compat.is_concrete(x))
            return self.head(x[..., :4])

    seen, model = [], Eager()
    model.compile(run_eagerly=True)
    assert timedist.predict(model, X, verbose=0).batch_shape == (48, 10)
    assert seen[-1]


def test_the_view_follows_a_new_compile():
    model = functional()
    timedist.predict(model, X, verbose=0)
    model.compile(run_eagerly=True)
    timedist.predict(model, X, verbose=0)
    assert timedist.prediction._view(model).run_eagerly


def test_predict_leaves_no_trace_in_the_model(tmp_path):
    model = sequential()
    timedist.predict(model, X, verbose=0)
    names = [w.path for w in model.weights]
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert len(loaded.weights) == len(names) == 2
    assert keras.models.clone_model(model).count_params() == model.count_params()


def test_no_distribution_is_a_type_error():
    model = keras.Sequential([keras.layers.Dense(2, name="plain")], name="points")
    with pytest.raises(TypeError, match=r"'points' returns no distribution.*model\.predict"):
        timedist.predict(model, X, verbose=0)


def test_draws_of_the_weights_become_a_mixture():
    inputs = keras.Input((None, 4))
    hidden = timedist.layers.DenseReparameterization(4, kl_weight=1.0, seed=1)(inputs)
    model = keras.Model(inputs, [IndependentNormal(2)(hidden), keras.layers.Dense(1)(inputs)])
    x = np.random.default_rng(0).normal(size=(7, 5, 4)).astype("float32")
    mixture, plain = timedist.predict(model, x, batch_size=3, num_draws=20, verbose=0)
    assert (mixture.batch_shape, mixture.event_shape) == ((7, 5), (2,))
    assert mixture.components.batch_shape == (7, 5, 20)
    assert all(isinstance(leaf, np.ndarray) for leaf in mixture.leaves())
    assert plain.shape == (20, 7, 5, 1)
    parts = mixture.components
    mean, variance = to_numpy(parts.mean()), to_numpy(parts.variance())
    np.testing.assert_allclose(to_numpy(mixture.mean()), mean.mean(axis=2), rtol=1e-4, atol=1e-5)
    total = variance.mean(axis=2) + mean.var(axis=2)
    np.testing.assert_allclose(to_numpy(mixture.variance()), total, rtol=1e-4)
    low, high = (to_numpy(end) for end in mixture.marginals().interval(0.9))
    assert low.shape == (7, 5, 2) and np.all(low < high)
    with pytest.raises(ValueError, match="predict: num_draws must be an int >= 1, got 0"):
        timedist.predict(model, x, num_draws=0)


def test_every_length_has_its_own_structure():
    """A trace that is kept is not run as Python again."""
    model = DeepStateSpace(units=2)
    model.build({"features": (None, None, 1)})

    def found(steps):
        given = {"target": np.ones((2, 3), "float32"), "features": np.zeros((2, steps, 1))}
        return timedist.predict(model, given, verbose=0)

    assert to_numpy(found(4).mean()).shape == (2, 4, 1)
    if BACKEND == "tensorflow":
        with pytest.raises(ValueError, match="of earlier calls too, have the same, so pad them"):
            found(6)
        return
    assert [to_numpy(found(steps).mean()).shape[1] for steps in (6, 4, 6)] == [6, 4, 6]


def test_no_rows():
    with pytest.raises(
        ValueError, match=r"timedist.predict: there is nothing to predict, an input"
    ):
        timedist.predict(functional(), X[:0], verbose=0)
