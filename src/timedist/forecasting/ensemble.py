"""`Ensemble`: several networks of the same kind in one file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from timedist import distributions as td
from timedist.layers.accepting import serializable
from timedist.sequence import AutoregressiveModel


@serializable
class Ensemble(keras.Model):
    r"""Models that differ in what they were trained from; what they disagree on is not known.

    $p(y_{1:T}) = \frac{1}{K} \sum_k p_k(y_{1:T})$: a path is drawn from one of them as a whole.

    Args:
        members: the models, at least one, of the same inputs and lags.
        **kwargs: of `keras.Model`.

    Call arguments:
        inputs: as for the members.
        training: as for the members.

    Returns:
        A list of the members' distributions. Each member is trained by itself.

    Source: Lakshminarayanan, Pritzel, Blundell: Simple and Scalable Predictive Uncertainty
    Estimation using Deep Ensembles (2017).

    >>> import numpy as np
    >>> from timedist.sequence import AutoregressiveRNN
    >>> members = [AutoregressiveRNN(lags=(1, 2), context_length=5, units=4) for _ in range(2)]
    >>> inputs = {"target": np.ones((3, 2 + 8)), "features": np.zeros((3, 8, 1))}
    >>> [distribution.batch_shape for distribution in Ensemble(members)(inputs)]
    [(3, 8), (3, 8)]
    """

    def __init__(self, members: Sequence[AutoregressiveModel], **kwargs: Any) -> None:
        # As the members: targets keep their dtype.
        super().__init__(**{"autocast": False, **kwargs})
        self.members = list(members)

    @property
    def max_lag(self) -> int:
        """The longest lag of the members."""
        return self.members[0].max_lag

    def build(self, input_shape: Any) -> None:
        """Make the weights of the members that have none yet."""
        for member in self.members:
            if not member.built:
                member.build(input_shape)
        self.built = True

    def call(self, inputs: dict, training: bool | None = None) -> list[td.Distribution]:
        """The distributions of every step, by member."""
        return [member(inputs, training=training) for member in self.members]

    def get_config(self) -> dict:
        """The constructor's arguments."""
        members = [keras.saving.serialize_keras_object(member) for member in self.members]
        return {**super().get_config(), "members": members}

    @classmethod
    def from_config(cls, config: dict) -> Ensemble:
        """The inverse of `get_config`."""
        members = [keras.saving.deserialize_keras_object(member) for member in config["members"]]
        return cls(**{**config, "members": members})
