"""A layer of one's own that returns a distribution, inside `TimeDistributed`.

python examples/seed_custom_layer.py
"""

import keras
import numpy as np
from keras import ops
from keras.layers import Dense, Input, Layer
from keras.models import Model

import timedist.distributions as tfd
from timedist.layers import Sample, TimeDistributed
from timedist.losses import NegativeLogLikelihood


@keras.saving.register_keras_serializable("examples")
class IndependentNormalLayer(Layer):
    """Two `Dense` layers make the parameters of a normal."""

    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.output_dim = output_dim
        self.mean_layer = Dense(output_dim)
        self.scale_layer = Dense(output_dim)

    def call(self, inputs):
        """The distribution."""
        mean = self.mean_layer(inputs)
        scale = ops.softplus(self.scale_layer(inputs))
        distribution = tfd.Independent(
            tfd.Normal(loc=mean, scale=scale), reinterpreted_batch_ndims=1
        )
        return distribution

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        config.update({"output_dim": self.output_dim})
        return config


time_steps = 10
input_dim = 5
output_dim = 3
batch_size = 32


def build():
    # Input layer for time-series data
    input_layer = Input(shape=(time_steps, input_dim))

    # TimeDistributed application of custom layer
    distribution_layer = TimeDistributed(IndependentNormalLayer(output_dim))(input_layer)

    # Sampling layer
    sample_layer = Sample()(distribution_layer)

    return Model(inputs=input_layer, outputs=sample_layer), Model(input_layer, distribution_layer)


def main(path="seed_custom_layer.keras", epochs=5):
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
