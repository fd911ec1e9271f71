"""Training loops of one's own on JAX, TensorFlow and PyTorch.

    KERAS_BACKEND=torch python examples/custom_training_loop.py

The loss takes both from the distribution at each step: the log probability of the target, and
samples, through which gradients flow. What differs between the backends is `step`: how they
differentiate. In 40 epochs the loss falls from about 10 to REACHED or less on each.
"""

import keras
import numpy as np
from keras import ops

from timedist.layers import IndependentNormal, TimeDistributed
from timedist.scores import energy_score

REACHED = 1.5


def data():
    """Sequences of 10 steps; the targets are noisy where the first feature is large."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 10, 5))
    noise = 0.1 + 0.5 * (x[..., :1] > 0.0)
    y = 2.0 * np.cumsum(x[..., :3], axis=1) / 3.0 + noise * rng.normal(size=(256, 10, 3))
    return x.astype("float32"), y.astype("float32")


def build():
    inputs = keras.Input((10, 5))
    hidden = keras.layers.GRU(32, return_sequences=True)(inputs)
    hidden = keras.layers.Dense(IndependentNormal.params_size(3))(hidden)
    return keras.Model(inputs, TimeDistributed(IndependentNormal(3))(hidden))


def loss_of(distribution, y, seed):
    """The negative log likelihood and the energy score of 8 samples, means over all steps."""
    return ops.mean(energy_score(y, distribution.sample(8, seed=seed)) - distribution.log_prob(y))


def on_tensorflow(model, optimizer, seed):
    import tensorflow as tf

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(model(x, training=True), y, seed)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return step


def on_torch(model, optimizer, seed):
    def step(x, y):
        model.zero_grad()
        loss = loss_of(model(x, training=True), ops.convert_to_tensor(y), seed)
        loss.backward()
        variables = model.trainable_variables
        optimizer.apply([variable.value.grad for variable in variables], variables)
        return loss

    return step


def on_jax(model, optimizer, seed):
    import jax

    def loss_and_state(weights, state, x, y, key):
        distribution, state = model.stateless_call(weights, state, x, training=True)
        return loss_of(distribution, y, key), state

    differentiated = jax.value_and_grad(loss_and_state, has_aux=True)

    @jax.jit
    def pure_step(weights, state, moments, x, y, key):
        (loss, state), gradients = differentiated(weights, state, x, y, key)
        weights, moments = optimizer.stateless_apply(moments, gradients, weights)
        return loss, weights, state, moments

    def step(x, y):
        groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        loss, *values = pure_step(*([v.value for v in g] for g in groups), x, y, seed.next())
        for variables, new in zip(groups, values, strict=True):
            for variable, value in zip(variables, new, strict=True):
                variable.assign(value)
        return loss

    return step


def main(epochs=40):
    keras.utils.set_random_seed(0)
    x, y = data()
    model = build()
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)
    make = {"jax": on_jax, "tensorflow": on_tensorflow, "torch": on_torch}
    step = make[keras.backend.backend()](model, optimizer, keras.random.SeedGenerator(0))
    losses = []
    for epoch in range(epochs):
        batches = np.random.default_rng(epoch).permutation(len(x)).reshape(-1, 64)
        losses.append(np.mean([float(step(x[batch], y[batch])) for batch in batches]))
    print(f"loss {losses[0]:.2f} in the first epoch, {losses[-1]:.2f} in the last")
    return losses


if __name__ == "__main__":
    main()
