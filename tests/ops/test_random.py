"""Seeds and the samplers that Keras lacks."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, DTYPES, compiled, dtype_scope, gradient, to_numpy
from keras import ops
from scipy import special, stats

from timedist.ops import random


def generator():
    return keras.random.SeedGenerator(5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_is_inside_the_open_interval(dtype):
    with dtype_scope(dtype):
        draws = to_numpy(random.uniform((200000,), dtype, 1))
    assert draws.dtype == dtype
    assert draws.min() > 0.0
    assert draws.max() < 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniform_cuts_the_ends(monkeypatch, dtype):
    with dtype_scope(dtype):
        ends = ops.convert_to_tensor(np.array([0.0, 1.0], dtype))
        monkeypatch.setattr(keras.random, "uniform", lambda *args, **kwargs: ends)
        draws = to_numpy(random.uniform((2,), dtype, 1))
    # No farther out than the backends' next draws are, which are multiples of eps or eps / 2.
    eps = np.finfo(dtype).eps
    assert eps / 8 < draws[0] < eps / 2 and eps / 8 < 1.0 - draws[1] <= eps / 2


def test_gamma_fits_and_has_the_gradient_of_its_mean():
    number = 20000
    a = np.broadcast_to(np.array([0.3, 1.0, 8.0], "float32"), (number, 3)).copy()
    draws = to_numpy(random.gamma(ops.convert_to_tensor(a), 3))
    for i in range(3):
        assert stats.kstest(draws[:, i], stats.gamma(float(a[0, i])).cdf).pvalue > 1e-6
    slope = gradient(lambda c: random.gamma(c, 3), a)[0]  # E[X] = a
    assert np.all(np.abs(slope.mean(axis=0) - 1.0) < 4 * slope.std(axis=0) / number**0.5)
    logs = gradient(lambda c: ops.log(random.gamma(c, 3)), a)[0]  # E[log X] = digamma(a)
    exact = special.polygamma(1, a[0].astype("float64"))
    assert np.all(np.abs(logs.mean(axis=0) - exact)[1:] < 4 * (logs.std(axis=0) / number**0.5)[1:])


def test_poisson_fits_and_has_no_gradient():
    rate = np.broadcast_to(np.array([0.4, 30.0], "float32"), (20000, 2)).copy()
    draws = to_numpy(random.poisson(ops.convert_to_tensor(rate), 3))
    assert draws.dtype == "float32"
    error = np.sqrt(rate[0] / 20000)
    assert np.all(np.abs(draws.mean(axis=0) - rate[0]) < 5 * error)
    assert np.all(np.abs(draws.var(axis=0) / rate[0] - 1.0) < 0.08)
    np.testing.assert_array_equal(gradient(lambda r: random.poisson(r, 3), rate)[0], 0.0)


def test_large_rates_are_drawn_too():
    rate = np.broadcast_to(np.array([2e9, 1e13, 1e25], "float32"), (4000, 3)).copy()
    z = to_numpy(random.poisson(ops.convert_to_tensor(rate), 3)).astype("float64")
    z = (z - rate) / np.sqrt(rate.astype("float64"))
    assert np.all(np.abs(z.mean(axis=0)) < 5 / 4000**0.5 + np.spacing(rate[0]) / rate[0] ** 0.5)


def test_binomial_fits_and_has_no_gradient():
    n, p = (
        np.broadcast_to(np.array(x, "float32"), (20000, 4)).copy()
        for x in ([1.0, 30.0, 1e6, 5.0], [0.3, 0.9, 1e-3, 1.0])
    )
    count = ops.convert_to_tensor(n)
    draws = to_numpy(random.binomial(count, ops.convert_to_tensor(p), 3))
    assert draws.dtype == "float32"
    twin = stats.binom(n[0].astype("float64"), p[0].astype("float64"))
    assert np.all(np.abs(draws.mean(axis=0) - twin.mean()) <= 5 * twin.std() / 20000**0.5 + 1e-5)
    assert np.all(np.abs(draws.var(axis=0, dtype="float64") - twin.var()) <= 0.08 * twin.var())
    np.testing.assert_array_equal(gradient(lambda q: random.binomial(count, q, 3), p)[0], 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_student_t_fits_and_is_finite(dtype):
    number, df = 20000, [0.2, 1.0, 3.5, 1e6, 1e35]
    with dtype_scope(dtype):
        wide = np.broadcast_to(np.array(df, dtype), (number, len(df))).copy()
        draws = to_numpy(random.student_t(ops.convert_to_tensor(wide), 3))
    assert draws.dtype == dtype and np.all(np.isfinite(draws))
    assert len(np.unique(draws[:, 2])) > 0.9 * number
    for i, twin in enumerate((*map(stats.t, df[:-1]), stats.norm())):
        assert stats.kstest(draws[:, i].astype("float64"), twin.cdf).pvalue > 1e-6


def test_the_gradient_of_student_t_is_that_of_its_moments():
    number = 40000
    df = np.broadcast_to(np.array([8.0, 30.0], "float32"), (number, 2)).copy()

    def first_moment(d):  # E|T| = 2 sqrt(df) / (df - 1) / B(df / 2, 1 / 2)
        log = np.log(2.0) + 0.5 * np.log(d) - np.log(d - 1) - special.betaln(0.5 * d, 0.5)
        return np.exp(log)

    slope = gradient(lambda d: ops.abs(random.student_t(d, 3)), df)[0]
    d = df[0].astype("float64")
    exact = (first_moment(d + 1e-4) - first_moment(d - 1e-4)) / 2e-4
    assert np.all(np.abs(slope.mean(axis=0) - exact) < 4 * slope.std(axis=0) / number**0.5)
    assert np.all(np.abs(exact) > 20 * slope.std(axis=0) / number**0.5)


def test_log_gamma_fits_where_gamma_underflows():
    a = np.broadcast_to(np.array([1e-4, 0.3, 8.0], "float32"), (20000, 3)).copy()
    draws = to_numpy(random.log_gamma(ops.convert_to_tensor(a), 3)).astype("float64")
    assert np.all(np.isfinite(draws))
    # -a log X is nearly exponential for a tiny shape a.
    assert stats.kstest(-1e-4 * draws[:, 0], stats.expon.cdf).pvalue > 1e-6
    for i in (1, 2):
        assert stats.kstest(np.exp(draws[:, i]), stats.gamma(float(a[0, i])).cdf).pvalue > 1e-6
    slope = gradient(lambda c: random.log_gamma(c, 3), a)[0]
    exact = special.polygamma(1, a[0].astype("float64"))  # E[log X] = digamma(a)
    error = slope.std(axis=0, dtype="float64") / 20000**0.5
    assert np.all(np.abs(slope.mean(axis=0, dtype="float64") - exact) < 5 * error)


def test_categorical_fits():
    logits = np.array([[0.0, 1.0, -np.inf], [2.0, 0.0, 0.0]], "float32")
    draws = to_numpy(random.categorical(ops.convert_to_tensor(logits), (20000,), 3))
    assert draws.shape == (20000, 2)
    assert draws.dtype == "int32"
    for i in range(2):
        shares = np.bincount(draws[:, i], minlength=3) / 20000
        np.testing.assert_allclose(shares, special.softmax(logits[i]), atol=0.02)
    assert not np.any(draws[:, 0] == 2)


def test_split_gives_different_reproducible_seeds():
    seeds = random.split(7, 4)
    assert len(set(seeds)) == 4
    assert seeds == random.split(7, 4)
    assert not set(seeds) & set(random.split(8, 4))
    assert random.split(-1, 2) == random.split(-1, 2)
    assert random.split(None, 2) == [None, None]
    same = generator()
    assert random.split(same, 2) == [same, same]


def test_keys_are_seeds_in_compiled_functions():
    @compiled
    def draw(key):
        return random.normal((4,), "float32", random.check_seed(key))

    keys = [ops.convert_to_tensor(np.array(key, "int32")) for key in ([0, 1], [0, 2], [0, 1])]
    first, second, same = (to_numpy(draw(key)) for key in keys)
    np.testing.assert_array_equal(first, same)
    assert (first != second).all()
    with pytest.raises(TypeError, match="seed must be an int"):
        random.check_seed(ops.ones((3,), "int32"))
    if BACKEND == "jax":
        import jax

        old, new = jax.random.PRNGKey(7), jax.random.key(7)
        np.testing.assert_array_equal(draw(old), draw(new))
        assert np.any(draw(new) != draw(jax.random.key(8)))


def test_check_seed():
    assert random.check_seed(np.int64(4)) == 4
    assert random.check_seed(None) is None
    same = generator()
    assert random.check_seed(same) is same
    for wrong in (True, 1.0, "1", np.zeros(2)):
        with pytest.raises(TypeError, match="seed must be an int"):
            random.check_seed(wrong)


def test_draws_without_a_seed_may_take_it_from_a_generator():
    own = generator()
    with pytest.raises(RuntimeError), random.seeds_from(own):
        assert random.check_seed(None) is own
        assert random.check_seed(5) == 5
        raise RuntimeError
    assert random.check_seed(None) is None


def test_step_seed_gives_one_key_for_each_draw_of_each_step():
    """Of neighbouring keys too, which a generator's are: no draw of one is one of the other."""
    counting = generator()
    keys = [random.draw_key(counting) for _ in range(3)]
    assert all(tuple(key.shape) == (2,) for key in keys)
    seeds = [random.StepSeed(key, ops.convert_to_tensor(step)) for key in keys for step in range(3)]
    drawn = [seed.next() for seed in seeds for _ in range(3)]
    assert all(x.dtype == keys[0].dtype for x in drawn)
    assert len({tuple(to_numpy(x).tolist()) for x in drawn}) == 27
    sums = {int(np.sum(to_numpy(x).astype("int64"))) & 0xFFFFFFFF for x in drawn}
    assert len(sums) == 27  # torch seeds its generators by them


def test_step_seed_is_the_same_every_time():
    key = random.draw_key(3)
    seeds = [random.StepSeed(key, ops.convert_to_tensor(step)) for step in (0, 0, 1)]
    a, b, c = (to_numpy(keras.random.normal((4,), seed=seed)) for seed in seeds)
    np.testing.assert_array_equal(a, b)
    assert np.all(a != c)
    for sampler in (random.gamma, random.poisson):
        draws = sampler(ops.ones((4,)), random.StepSeed(key, ops.convert_to_tensor(0)))
        assert np.all(np.isfinite(to_numpy(draws)))
