"""Two `TimeDistributed(Dense)` layers make the parameters of a normal at every time step.

python examples/seed_two_heads.py
"""

import keras
import numpy as np
from keras.layers import Dense, Input
from keras.models import Model

import timedist.distributions as tfd
from timedist.layers import DistributionLambda, Sample, TimeDistributed
from timedist.losses import NegativeLogLikelihood

time_steps = 10
input_dim = 5
output_dim = 3
batch_size = 32


@keras.saving.register_keras_serializable("examples")
def make_independent_normal(mean, scale):
    return tfd.Independent(tfd.Normal(loc=mean, scale=scale), reinterpreted_batch_ndims=1)


def build():
    # Input layer for time-series data
    input_layer = Input(shape=(time_steps, input_dim))

    # TimeDistributed application of dense layer and parameter generation
    mean_layer = TimeDistributed(Dense(output_dim))(input_layer)
    scale_layer = TimeDistributed(Dense(output_dim, activation="softplus"))(input_layer)

    # Independent normal layer taking the mean and scale
    distribution_layer = DistributionLambda(make_independent_normal)([mean_layer, scale_layer])

    # Sampling layer to retrieve values during training
    sample_layer = Sample()(distribution_layer)

    return Model(inputs=input_layer, outputs=sample_layer), Model(input_layer, distribution_layer)


def main(path="seed_two_heads.keras", epochs=5):
    sampler, model = build()
    test_input = keras.random.normal((batch_size, time_steps, input_dim))
    print(f"Output shape: {tuple(sampler(test_input).shape)}")

    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, time_steps, input_dim)).astype("float32")
    y = x[..., :output_dim] + 0.1 * rng.normal(size=(256, time_steps, output_dim))
    model.compile(keras.optimizers.Adam(0.02), loss=NegativeLogLikelihood(), metrics=["mae"])
    history = model.fit(x, y, epochs=epochs, verbose=0).history
    print(f"Loss: {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f}")

    model.save(path)
    model = keras.models.load_model(path)
    distribution = model(test_input)
    print(distribution)
    print(f"Three futures: {tuple(distribution.sample(3).shape)}")
    return distribution, history


if __name__ == "__main__":
    main()
