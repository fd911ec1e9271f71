"""The same programs for `tfp.layers` on tf_keras and for TimeDist: only the imports differ.

Run as a script it is the side of TFP: it reads raw parameters and values from one file of NumPy and
writes what TFP makes of them into another.
"""

import sys

import numpy as np


def _normal_of_halves(distributions):
    def make(t):
        return distributions.Normal(loc=t[..., :3], scale=0.1 + t[..., 3:] ** 2)

    return make


def _vector_of_halves(distributions):
    def make(t):
        return distributions.MultivariateNormalDiag(
            loc=t[..., :3], scale_diag=0.1 + t[..., 3:] ** 2
        )

    return make


# What takes `layers` and `distributions` of either side and gives the size of the parameters and a
# head, both as in a program that was written for TFP.
HEADS = {
    "DistributionLambda": lambda layers, distributions: (
        6,
        layers.DistributionLambda(make_distribution_fn=_normal_of_halves(distributions)),
    ),
    "IndependentNormal": lambda layers, _: (
        layers.IndependentNormal.params_size((2, 3)),
        layers.IndependentNormal((2, 3)),
    ),
    "IndependentLogistic": lambda layers, _: (
        layers.IndependentLogistic.params_size([3]),
        layers.IndependentLogistic(event_shape=[3]),
    ),
    "IndependentBernoulli": lambda layers, _: (
        layers.IndependentBernoulli.params_size(3, name=None),
        layers.IndependentBernoulli(3, sample_dtype=None, validate_args=False),
    ),
    "IndependentPoisson": lambda layers, _: (
        layers.IndependentPoisson.params_size(),
        layers.IndependentPoisson(),
    ),
    "MultivariateNormalTriL": lambda layers, _: (
        layers.MultivariateNormalTriL.params_size(4),
        layers.MultivariateNormalTriL(event_size=4),
    ),
    "OneHotCategorical": lambda layers, _: (
        layers.OneHotCategorical.params_size(event_size=4),
        layers.OneHotCategorical(event_size=4),
    ),
    "CategoricalMixtureOfOneHotCategorical": lambda layers, _: (
        layers.CategoricalMixtureOfOneHotCategorical.params_size(4, 3),
        layers.CategoricalMixtureOfOneHotCategorical(event_size=4, num_components=3),
    ),
    "MixtureSameFamily": lambda layers, _: (
        layers.MixtureSameFamily.params_size(
            3, component_params_size=layers.MultivariateNormalTriL.params_size(2)
        ),
        layers.MixtureSameFamily(3, component_layer=layers.MultivariateNormalTriL(2)),
    ),
    "MixtureNormal": lambda layers, _: (
        layers.MixtureNormal.params_size(3, [2]),
        layers.MixtureNormal(3, [2]),
    ),
    "MixtureLogistic": lambda layers, _: (
        layers.MixtureLogistic.params_size(num_components=3, event_shape=2),
        layers.MixtureLogistic(num_components=3, event_shape=2),
    ),
}
CONVERSIONS = ("mean", "stddev", "variance")
NETWORKS = {
    "plain": {"params": 2},
    "orders": {"params": 3, "input_order": "right-to-left", "hidden_units": [7, 5]},
    "conditional": {"params": 2, "hidden_units": [6, 9], "activation": "relu"},
    "first layer": {"params": 1, "hidden_units": [6, 9], "conditional_input_layers": "first_layer"},
}


def network(autoregressive_network, name):
    """A masked network of three components, with or without a conditional input of two."""
    conditional = {"conditional": True, "conditional_event_shape": [2]}
    more = {} if name in ("plain", "orders") else conditional
    return autoregressive_network(event_shape=[3], **NETWORKS[name], **more)


def flow(keras, layers, distributions, autoregressive_network):
    """A network whose distribution two flows transform, as in the example of `tfp.layers`."""
    transforms = [
        layers.AutoregressiveTransform(
            autoregressive_network(
                params=2, hidden_units=[10], activation="relu", input_order=order
            )
        )
        for order in ("left-to-right", "right-to-left")
    ]
    make = _vector_of_halves(distributions)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6),
            layers.DistributionLambda(make),
            *transforms,
        ]
    )


def model(keras, layers, distributions, name):
    """A network that ends in the head."""
    size, head = HEADS[name](layers, distributions)
    hidden = keras.layers.Dense(5, activation="tanh")
    return keras.Sequential([keras.Input((6, 4)), hidden, keras.layers.Dense(int(size)), head])


def statistics(distribution, value):
    """What is compared."""
    return {
        "log_prob": distribution.log_prob(value),
        "mean": distribution.mean(),
        "variance": distribution.variance(),
    }


def converted(layers, distributions, name):
    """A head whose output is a tensor, by a method of the class of all distributions."""
    method = getattr(distributions.Distribution, name)
    return layers.IndependentLogistic(3, method)


def _tfp_side(given):
    import tensorflow as tf
    import tensorflow_probability as tfp
    import tf_keras

    answers = {}
    rng = np.random.default_rng(1)
    tf_keras.utils.set_random_seed(1)
    for name, make in HEADS.items():
        size, head = make(tfp.layers, tfp.distributions)
        answers[f"{name}.size"] = size
        value = given[f"{name}.value"]
        for key, answer in statistics(head(tf.constant(given[f"{name}.raw"])), value).items():
            answers[f"{name}.{key}"] = answer
        network = model(tf_keras, tfp.layers, tfp.distributions, name)
        network.set_weights([w + rng.normal(size=w.shape) for w in network.get_weights()])
        for key, answer in statistics(network(given["x"]), value).items():
            answers[f"{name}.model.{key}"] = answer
        for number, weight in enumerate(network.get_weights()):
            answers[f"{name}.weight{number}"] = weight
    for name in CONVERSIONS:
        head = converted(tfp.layers, tfp.distributions, name)
        raw = given["IndependentLogistic.raw"]
        answers[f"converted.{name}"] = tf.convert_to_tensor(head(tf.constant(raw)))
    answers |= _flows_of_tfp(given, rng)
    return {key: np.asarray(answer) for key, answer in answers.items()}


def _flows_of_tfp(given, rng):
    import tensorflow_probability as tfp
    import tf_keras

    answers = {}

    def filled(layer, name):
        """Random weights; those a mask forbids stay zero."""
        weights = layer.get_weights()
        weights = [
            w + rng.normal(size=w.shape) * ((w != 0.0) if w.ndim == 2 else 1.0) for w in weights
        ]
        layer.set_weights(weights)
        answers.update({f"{name}.weight{i}": w for i, w in enumerate(weights)})

    for name in NETWORKS:
        layer = network(tfp.bijectors.AutoregressiveNetwork, name)
        layer.build((None, 3))
        filled(layer, f"network.{name}")
        more = [] if name in ("plain", "orders") else [given["flow.context"]]
        answers[f"network.{name}"] = layer(given["flow.y"], *more)
    model = flow(tf_keras, tfp.layers, tfp.distributions, tfp.bijectors.AutoregressiveNetwork)
    model(given["flow.x"])
    filled(model, "flow")
    answers["flow.log_prob"] = model(given["flow.x"]).log_prob(given["flow.y"])
    return answers


if __name__ == "__main__":
    np.savez(sys.argv[2], **_tfp_side(np.load(sys.argv[1])))
