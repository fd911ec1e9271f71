"""The public names of `tfp.layers` 0.25, what they are here, and what differs.

`docs/moving_from_tfp_layers.md` shows this table; `test_moving.py` tests every cell of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from timedist import distributions as td
from timedist import layers


@dataclass(frozen=True)
class Move:
    """One name.

    Args:
        name: TFP's.
        make: makes the layer that has it here, or that uses it.
        size: the number of features in front of the layer.
        differs: what differs from TFP, in a few words.
        ours: our name, if another.
        inputs: `"sequence"` of features, `"images"` or `"volumes"`.
        masked: why no mask can be kept, or `""`.
        timed: why it does not go into `TimeDistributed`, or `""`.
    """

    name: str
    make: Callable[[], keras.Layer]
    size: int
    differs: str
    ours: str = ""
    inputs: str = "sequence"
    masked: str = ""
    timed: str = ""


SAME = "nothing"
_LAMBDA = "loads in safe mode where its function is registered in Keras"
_ONCE = "the divergence is in nats for each sequence, counted once"
_VARIABLE = "has no time axis"


@keras.saving.register_keras_serializable("moving")
def halves(t: Any) -> td.Distribution:
    """Means and raw scales side by side."""
    loc, raw = keras.ops.split(t, 2, axis=-1)
    return td.Independent(td.Normal(loc, 0.1 + keras.ops.softplus(raw)))


@keras.saving.register_keras_serializable("moving")
def trainable(kernel_size: int, bias_size: int, dtype: str) -> keras.Layer:
    """A mean-field posterior, as in TFP's tutorials."""
    variable = layers.VariableLayer(2 * (kernel_size + bias_size), dtype=dtype)
    return keras.Sequential([variable, layers.DistributionLambda(halves)])


@keras.saving.register_keras_serializable("moving")
def flow_base(t: Any) -> td.Distribution:
    """A standard normal vector for every step."""
    return td.Independent(td.Normal(0.0 * t, 1.0))


def _flow() -> keras.Layer:
    made = layers.AutoregressiveNetwork(params=2, event_shape=2, hidden_units=[4])
    return keras.Sequential(
        [layers.DistributionLambda(flow_base), layers.AutoregressiveTransform(made)]
    )


def _weights(kind: type, *arguments: Any, **options: Any) -> Callable[[], keras.Layer]:
    return lambda: kind(*arguments, kl_weight=0.01, **options)


def _prior(size: int) -> td.Distribution:
    return td.Independent(td.Normal(np.zeros(size, "float32"), 1.0))


def _variable() -> keras.Layer:
    start = layers.BlockwiseInitializer(["zeros", "ones"], sizes=[2, 2])
    return layers.VariableLayer(4, initializer=start)


def _process() -> keras.Layer:
    return layers.VariationalGaussianProcess(3, layers.KernelProvider("matern_five_halves"))


MOVES = (
    Move(
        "AutoregressiveTransform",
        _flow,
        2,
        "the network is a layer here; `MaskedAutoregressiveFlow` and `RealNVP` are heads",
    ),
    Move(
        "BlockwiseInitializer",
        _variable,
        3,
        "no `validate_args`",
        masked=_VARIABLE,
        timed=_VARIABLE,
    ),
    Move(
        "CategoricalMixtureOfOneHotCategorical",
        lambda: layers.CategoricalMixtureOfOneHotCategorical(3, 2),
        8,
        SAME,
    ),
    *(
        Move(
            f"Convolution{rank}D{kind}",
            _weights(
                getattr(layers, f"Convolution{rank}D{kind}"),
                2,
                2,
                padding="causal" if rank == 1 else "same",
            ),
            3,
            ('`padding` may be `"causal"`; ' if rank == 1 else "") + _ONCE,
            inputs=("sequence", "images", "volumes")[rank - 1],
            masked="" if rank == 1 else "has no one time axis",
            timed="takes the time axis itself" if rank == 1 else "",
        )
        for rank in (1, 2, 3)
        for kind in ("Flipout", "Reparameterization")
    ),
    Move(
        "DenseFlipout",
        _weights(layers.DenseFlipout, 2),
        3,
        "the signs are those of an example, the same at all its steps; " + _ONCE,
    ),
    Move(
        "DenseLocalReparameterization", _weights(layers.DenseLocalReparameterization, 2), 3, _ONCE
    ),
    Move("DenseReparameterization", _weights(layers.DenseReparameterization, 2), 3, _ONCE),
    Move(
        "DenseVariational",
        _weights(layers.DenseVariational, 2, trainable, trainable),
        3,
        "posterior and prior are asked by one input of zeros; " + _ONCE,
    ),
    Move("DistributionLambda", lambda: layers.DistributionLambda(halves), 4, _LAMBDA),
    Move("IndependentBernoulli", lambda: layers.IndependentBernoulli(2), 2, SAME),
    Move("IndependentLogistic", lambda: layers.IndependentLogistic(2), 4, SAME),
    Move("IndependentNormal", lambda: layers.IndependentNormal(2), 4, SAME),
    Move("IndependentPoisson", lambda: layers.IndependentPoisson(2), 2, SAME),
    Move(
        "KLDivergenceAddLoss",
        lambda: keras.Sequential(
            [layers.IndependentNormal(2), layers.KLDivergenceAddLoss(_prior(2))]
        ),
        4,
        "exact by default; nats for each sequence, whatever the batch",
    ),
    Move(
        "KLDivergenceRegularizer",
        lambda: layers.IndependentNormal(
            2, activity_regularizer=layers.KLDivergenceRegularizer(_prior(2))
        ),
        4,
        "exact by default; counted once; nats for each sequence",
    ),
    Move("MixtureLogistic", lambda: layers.MixtureLogistic(3, 2), 15, SAME),
    Move("MixtureNormal", lambda: layers.MixtureNormal(3, 2), 15, SAME),
    Move(
        "MixtureSameFamily",
        lambda: layers.MixtureSameFamily(2, layers.IndependentNormal(2)),
        10,
        "`component_layer` may be any layer that returns a distribution",
    ),
    Move("MultivariateNormalTriL", lambda: layers.MultivariateNormalTriL(2), 5, SAME),
    Move("OneHotCategorical", lambda: layers.OneHotCategorical(3), 3, SAME),
    Move("VariableLayer", _variable, 3, SAME, masked=_VARIABLE, timed=_VARIABLE),
    Move(
        "VariationalGaussianProcess",
        _process,
        3,
        "point by point unless `joint=True`; TFP's loss is too large by half the number of points",
    ),
    *(
        Move(
            name,
            _weights(layers.DenseReparameterization, 2, **{option: make}),
            3,
            "called anew at every use; a prior or posterior is a value",
        )
        for name, option, make in (
            (
                "default_loc_scale_fn",
                "kernel_posterior_fn",
                layers.default_mean_field_normal_fn(loc_initializer="zeros"),
            ),
            (
                "default_mean_field_normal_fn",
                "kernel_posterior_fn",
                layers.default_mean_field_normal_fn(),
            ),
            (
                "default_multivariate_normal_fn",
                "kernel_prior_fn",
                layers.default_multivariate_normal_fn,
            ),
        )
    ),
)


def table() -> list[str]:
    """The lines of the page's table."""
    lines = [
        "| `tfp.layers` | here | JAX | TensorFlow | PyTorch | saves in safe mode | keeps the mask "
        "| in `TimeDistributed` | what differs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for move in MOVES:
        cells = [
            f"`{move.name}`",
            f"`{move.ours or move.name}`",
            *["yes"] * 4,
            move.masked or "yes",
            move.timed or "yes",
            move.differs,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
