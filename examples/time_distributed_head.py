"""A head in `TimeDistributed`: by itself after a `Dense`, or together with it in a `Sequential`.

python examples/time_distributed_head.py
"""

import keras
import numpy as np

from timedist.layers import IndependentNormal, TimeDistributed
from timedist.losses import NegativeLogLikelihood

time_steps, input_dim, output_dim, batch_size = 10, 5, 3, 32


def head_alone():
    return keras.Sequential(
        [
            keras.Input((time_steps, input_dim)),
            keras.layers.Dense(IndependentNormal.params_size(output_dim)),
            TimeDistributed(IndependentNormal(output_dim)),
        ]
    )


def head_in_a_model():
    step = keras.Sequential([keras.layers.Dense(6), IndependentNormal(3)])
    return keras.Sequential([keras.Input((time_steps, input_dim)), TimeDistributed(step)])


def main(path="time_distributed_head.keras", epochs=5):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, time_steps, input_dim)).astype("float32")
    y = x[..., :output_dim] + 0.1 * rng.normal(size=(256, time_steps, output_dim))
    results = []
    for build in (head_alone, head_in_a_model):
        model = build()
        model.compile(keras.optimizers.Adam(0.02), loss=NegativeLogLikelihood(), metrics=["mae"])
        history = model.fit(x, y, epochs=epochs, verbose=0).history
        print(f"{build.__name__}: loss {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f}")
        model.save(path)
        model = keras.models.load_model(path)
        distribution = model(x[:batch_size])
        print(distribution)
        print(f"Log density at every step: {tuple(distribution.log_prob(y[:batch_size]).shape)}")
        results.append((distribution, history))
    return results


if __name__ == "__main__":
    main()
