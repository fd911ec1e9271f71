"""From the options of a `Forecaster` to its compiled networks."""

from __future__ import annotations

import math
import random
from typing import Any

import keras
import numpy as np

from timedist.forecasting.ensemble import Ensemble
from timedist.forecasting.panel import Panel
from timedist.layers import (
    IndependentLogistic,
    IndependentNegativeBinomial,
    IndependentNormal,
    IndependentPoisson,
    IndependentStudentT,
    MixtureNormal,
)
from timedist.losses import NegativeLogLikelihood
from timedist.sequence import (
    AutoregressiveModel,
    AutoregressiveRNN,
    AutoregressiveTransformer,
    AutoregressiveWaveNet,
)

HEADS = {
    "mixture": lambda: MixtureNormal(3),
    "normal": IndependentNormal,
    "student-t": IndependentStudentT,
    "logistic": IndependentLogistic,
    "negative-binomial": IndependentNegativeBinomial,
    "poisson": IndependentPoisson,
}
NETWORKS = {
    "recurrent": AutoregressiveRNN,
    "transformer": AutoregressiveTransformer,
    "wavenet": AutoregressiveWaveNet,
}


def fresh(config: dict[str, Any], panel: Panel) -> Ensemble:
    """Untrained networks for the series of a panel, each compiled.

    Args:
        config: the arguments of a `Forecaster`.
        panel: the series.

    Returns:
        The networks.

    Raises:
        ForecastingError: if the head is for counts and the data are none.
    """
    if HEADS[config["head"]]().family.discrete:
        panel.refuse_no_counts(f"the head {config['head']}")
    # Initialisers take their seeds from here. Keras's own function imports TensorFlow as well
    # where it is installed, on any backend: seconds, and 300 MB.
    random.seed(config["seed"])
    model = Ensemble([_member(config, panel) for _ in range(config["members"])])
    # Weights and optimisers of all: a checkpoint that is written while one trains holds all.
    width = panel.frequency.features(panel.stamps(np.zeros(1, int))).shape[-1]
    inputs = {"target": (None, None), "features": (None, None, width), "series": (None,)}
    model.build(inputs)
    for member in model.members:
        member.optimizer.build(member.trainable_variables)
    return model


def default_lags(panel: Panel) -> list[int]:
    """Lags that suit the step of the series and reach no further than the longest of them."""
    longest = int(panel.lengths.max())
    return [lag for lag in panel.frequency.lags() if lag < longest]


def _member(config: dict[str, Any], panel: Panel) -> AutoregressiveModel:
    model = NETWORKS[config["network"]](
        head=HEADS[config["head"]](),
        lags=config["lags"] or default_lags(panel),
        context_length=config["context_length"],
        **_size(config),
        num_series=len(panel.ids),
        nonnegative=not any((one < 0).any() for one in panel.series),
    )
    model.compile(_optimizer(config), NegativeLogLikelihood(missing="mask"))
    return model


def _size(config: dict[str, Any]) -> dict[str, Any]:
    """Width and depth of a network; a WaveNet is to see the whole context."""
    if config["network"] == "wavenet":
        layers = max(1, math.ceil(math.log2(config["context_length"])))
        return {"units": config["units"], "dilations": tuple(2**n for n in range(layers))}
    return {"units": config["units"], "depth": config["depth"]}


def _optimizer(config: dict[str, Any]) -> keras.optimizers.Optimizer:
    """Adam with a learning rate that rises linearly and falls by a cosine."""
    total = config["epochs"] * config["steps_per_epoch"]
    warmup, peak = max(1, total // 20), config["learning_rate"]
    schedule = keras.optimizers.schedules.CosineDecay(
        0.05 * peak, max(1, total - warmup), alpha=0.01, warmup_target=peak, warmup_steps=warmup
    )
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)
