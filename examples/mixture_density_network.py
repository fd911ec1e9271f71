"""A mixture density network: several answers to one question.

    python examples/mixture_density_network.py

The inverse of a function that takes a value at up to three places has up to three answers. The
mean log likelihood of 2,000 values not seen before is at least REACHED nats with a mixture of five
normals, and 0.7 nats lower with one normal, whose mean lies between the answers.

Source: Bishop: Mixture Density Networks (1994), section 5.
"""

import keras
import numpy as np
from keras import ops

import timedist
from timedist.layers import IndependentNormal, MixtureNormal
from timedist.losses import NegativeLogLikelihood

REACHED = 0.85


def data(number, seed):
    rng = np.random.default_rng(seed)
    t = rng.uniform(0.0, 1.0, (number, 1))
    x = t + 0.3 * np.sin(2.0 * np.pi * t) + rng.uniform(-0.1, 0.1, t.shape)
    return x.astype("float32"), t.astype("float32")


def model_with(head, width):
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(32, "tanh"),
            keras.layers.Dense(32, "tanh"),
            keras.layers.Dense(width),
            head,
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), NegativeLogLikelihood())
    return model


def main(epochs=120):
    x, t = data(2000, seed=0)
    new_x, new_t = data(2000, seed=1)
    heads = {
        "one normal": (IndependentNormal(1), IndependentNormal.params_size(1)),
        "mixture of five": (MixtureNormal(5, 1), MixtureNormal.params_size(5, 1)),
    }
    scores = {}
    for name, (head, width) in heads.items():
        keras.utils.set_random_seed(0)
        model = model_with(head, width)
        model.fit(x, t, batch_size=250, epochs=epochs, verbose=0)
        predicted = timedist.predict(model, new_x, verbose=0)
        scores[name] = float(ops.mean(predicted.log_prob(new_t)))
        print(f"{name}: {scores[name]:.3f} nats")
    middle = timedist.predict(model, np.array([[0.5]], "float32"), verbose=0)
    low, high = (float(end[0, 0]) for end in middle.marginals().interval(0.9))
    print(f"at 0.5 the answer is between {low:.2f} and {high:.2f} with 90 % probability")
    return scores


if __name__ == "__main__":
    main()
