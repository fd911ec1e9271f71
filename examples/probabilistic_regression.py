"""Regression with a distribution at every input: which part is noise, and which is not known yet.

    python examples/probabilistic_regression.py

Five models of the same curve, whose noise grows from left to right. REACHED is the mean log
likelihood of 1,000 values that each reaches at least, in nats; the curve itself reaches -0.10.
"""

import keras
import numpy as np
from keras import ops

import timedist
from timedist.distributions import Independent, Normal, kernels
from timedist.layers import (
    DenseVariational,
    DistributionLambda,
    IndependentNormal,
    VariableLayer,
    VariationalGaussianProcess,
)
from timedist.losses import NegativeLogLikelihood, VariationalLoss

REACHED = {
    "fixed noise": -0.44,
    "noise that depends on x": -0.17,
    "uncertain weights": -0.50,
    "both": -0.30,
    "a Gaussian process": -0.42,
}


def noise(x):
    return 0.05 + 0.25 * (x + 1.0)


def curve(x):
    return np.sin(4.0 * x) + 0.5 * x


def data(number, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (number, 1))
    return x.astype("float32"), (curve(x) + noise(x) * rng.normal(size=x.shape)).astype("float32")


@keras.saving.register_keras_serializable("examples")
def fixed_noise(mean):
    return Independent(Normal(mean, 0.3))


@keras.saving.register_keras_serializable("examples")
def mean_field(t):
    loc, raw = ops.split(t, 2, axis=-1)
    return Independent(Normal(loc, 1e-5 + ops.softplus(raw - 4.0)))


@keras.saving.register_keras_serializable("examples")
def shifted(t):
    return Independent(Normal(t, 1.0))


@keras.saving.register_keras_serializable("examples")
def posterior(kernel_size, bias_size, dtype):
    n = 2 * (kernel_size + bias_size)
    return keras.Sequential(
        [VariableLayer(n, dtype=dtype, initializer="normal"), DistributionLambda(mean_field)]
    )


@keras.saving.register_keras_serializable("examples")
def prior(kernel_size, bias_size, dtype):
    n = kernel_size + bias_size
    return keras.Sequential([VariableLayer(n, dtype=dtype), DistributionLambda(shifted)])


def hidden():
    return [keras.Input((1,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(32, "tanh")]


def models():
    """The model of each kind."""
    return {
        "fixed noise": [*hidden(), keras.layers.Dense(1), DistributionLambda(fixed_noise)],
        "noise that depends on x": [*hidden(), keras.layers.Dense(2), IndependentNormal(1)],
        "uncertain weights": [
            *hidden(),
            DenseVariational(1, posterior, prior, kl_use_exact=True),
            DistributionLambda(fixed_noise),
        ],
        "both": [
            *hidden(),
            DenseVariational(2, posterior, prior, kl_use_exact=True),
            IndependentNormal(1),
        ],
        "a Gaussian process": [
            keras.Input((1,)),
            VariationalGaussianProcess(
                10,
                kernels.ExponentiatedQuadratic(length_scale=0.3),
                inducing_index_points_initializer=keras.initializers.Constant(
                    np.linspace(-1.0, 1.0, 10).reshape(1, 10, 1)
                ),
                unconstrained_observation_noise_variance_initializer="zeros",
            ),
        ],
    }


def main(epochs=300):
    x, y = data(1000, seed=0)
    new_x, new_y = data(1000, seed=1)
    truth = Independent(Normal(curve(new_x), noise(new_x))).log_prob(new_y)
    print(f"the curve itself: {float(ops.mean(truth)):.3f}")
    scores = {}
    for name, layers in models().items():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(layers)
        process = name == "a Gaussian process"
        loss = VariationalLoss(len(x)) if process else NegativeLogLikelihood()
        rate = keras.optimizers.schedules.CosineDecay(0.03, epochs)
        model.compile(keras.optimizers.Adam(rate), loss)
        model.fit(x, y, batch_size=1000, epochs=epochs, verbose=0)
        draws = 20 if "uncertain" in name or name == "both" else None
        predicted = timedist.predict(model, new_x, num_draws=draws, verbose=0)
        scores[name] = float(ops.mean(predicted.log_prob(new_y)))
        print(f"{name}: {scores[name]:.3f} nats")
    return scores


if __name__ == "__main__":
    main()
