"""A variational autoencoder of images, with the layers and the loss of a tutorial for tfp.layers.

    python examples/variational_autoencoder.py

The images are the 8 x 8 digits of scikit-learn, black and white. After training, the bound on the
log likelihood of images it has not seen is at least REACHED nats an image; independent pixels with
the frequencies of the training set reach -25.2. New digits are drawn from the prior.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

from timedist.distributions import Bernoulli, Independent, Normal
from timedist.layers import (
    IndependentBernoulli,
    KLDivergenceRegularizer,
    MultivariateNormalTriL,
)
from timedist.losses import NegativeLogLikelihood

REACHED = -19.2
LATENT, HIDDEN, SHAPE = 8, 128, (8, 8)


def data():
    images = (load_digits().images > 7.5).astype("float32")
    order = np.random.default_rng(0).permutation(len(images))
    return images[order[:1500]], images[order[1500:]]


def build():
    prior = Independent(Normal(np.zeros(LATENT, "float32"), 1.0))
    images = keras.Input(SHAPE)
    code = keras.layers.Dense(HIDDEN, "gelu")(keras.layers.Flatten()(images))
    code = keras.layers.Dense(MultivariateNormalTriL.params_size(LATENT))(code)
    posterior = MultivariateNormalTriL(
        LATENT, activity_regularizer=KLDivergenceRegularizer(prior), name="posterior"
    )(code)
    decoder = keras.Sequential(
        [
            keras.Input((LATENT,)),
            keras.layers.Dense(HIDDEN, "gelu"),
            keras.layers.Dense(IndependentBernoulli.params_size(SHAPE)),
            IndependentBernoulli(SHAPE),
        ]
    )
    outputs = decoder(posterior.sample())
    return keras.Model(images, outputs), keras.Model(images, posterior), decoder


def main(epochs=80):
    keras.utils.set_random_seed(0)
    train, test = data()
    model, encoder, decoder = build()
    model.compile(
        keras.optimizers.Adam(2e-3), NegativeLogLikelihood(reduction="mean_over_sequences")
    )
    model.fit(train, train, batch_size=100, epochs=epochs, verbose=0)
    bound = -model.evaluate(test, test, batch_size=100, verbose=0)
    frequency = Independent(Bernoulli(probs=train.mean(0) * 0.998 + 0.001), 2)
    alone = float(np.mean(np.asarray(frequency.log_prob(test))))
    print(f"bound on new images: {bound:.2f} nats; independent pixels: {alone:.2f} nats")
    drawn = decoder(keras.random.normal((6, LATENT), seed=1)).mean()
    drawn = keras.ops.convert_to_numpy(drawn)
    for row in (drawn > 0.5).transpose(1, 0, 2):
        print("   ".join("".join(" #"[int(pixel)] for pixel in digit) for digit in row))
    return {"bound": bound, "independent pixels": alone, "encoder": encoder, "drawn": drawn}


if __name__ == "__main__":
    main()
