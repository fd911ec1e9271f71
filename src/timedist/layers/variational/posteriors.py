"""Posteriors and priors of weights: functions that make a distribution of a shape from variables.

Each takes `(dtype, shape, name, trainable, add_variable_fn)`, as in TFP, and is called anew
whenever the distribution is needed: `add_variable_fn` makes a variable the first time and finds it
by its name afterwards, so that a distribution is a value here as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.distributions import Deterministic, Distribution, Independent, Normal
from timedist.layers.accepting import serializable
from timedist.ops import compat, special

Tensor = Any


@serializable
class LocationAndScale:
    """Makes `loc` and `scale` of a shape from variables; see `default_loc_scale_fn`."""

    def __init__(
        self,
        is_singular: bool = False,
        loc_initializer: Any = None,
        untransformed_scale_initializer: Any = None,
        loc_regularizer: Any = None,
        untransformed_scale_regularizer: Any = None,
        loc_constraint: Any = None,
        untransformed_scale_constraint: Any = None,
    ) -> None:
        normal = keras.initializers.RandomNormal
        self.is_singular = bool(is_singular)
        self.loc = _variable_options(
            loc_initializer or normal(0.0, 0.1), loc_regularizer, loc_constraint
        )
        self.untransformed_scale = _variable_options(
            untransformed_scale_initializer or normal(-3.0, 0.1),
            untransformed_scale_regularizer,
            untransformed_scale_constraint,
        )

    def __call__(
        self,
        dtype: str,
        shape: Sequence[int],
        name: str,
        trainable: bool,
        add_variable_fn: Callable,
    ) -> Any:
        """`(loc, scale)`; the scale is `None` if singular."""
        common = {"shape": shape, "dtype": dtype, "trainable": trainable}
        loc = add_variable_fn(name=f"{name}_loc", **common, **self.loc)
        if self.is_singular:
            return loc, None
        raw = add_variable_fn(
            name=f"{name}_untransformed_scale", **common, **self.untransformed_scale
        )
        return loc, special.softplus(raw) + compat.epsilon(raw)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        parts = {"loc": self.loc, "untransformed_scale": self.untransformed_scale}
        options = {
            f"{part}_{kind}": keras.saving.serialize_keras_object(value)
            for part, kinds in parts.items()
            for kind, value in kinds.items()
        }
        return {"is_singular": self.is_singular, **options}

    @classmethod
    def from_config(cls, config: dict) -> LocationAndScale:
        """The inverse of `get_config`."""
        singular = config.pop("is_singular")
        read = keras.saving.deserialize_keras_object
        return cls(singular, **{key: read(value) for key, value in config.items()})


def _variable_options(initializer: Any, regularizer: Any, constraint: Any) -> dict[str, Any]:
    return {
        "initializer": keras.initializers.get(initializer),
        "regularizer": keras.regularizers.get(regularizer),
        "constraint": keras.constraints.get(constraint),
    }


@serializable
class MeanFieldNormal(LocationAndScale):
    """Makes independent normal weights of a shape; see `default_mean_field_normal_fn`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Distribution:
        """The distribution, whose event has the shape."""
        loc, scale = super().__call__(*args, **kwargs)
        base = (
            Deterministic.trusted(loc=loc)
            if scale is None
            else Normal.trusted(loc=loc, scale=scale)
        )
        return _whole_event(base)


def _whole_event(base: Distribution) -> Distribution:
    """A distribution whose batch is one event."""
    return Independent(base, len(base.batch_shape))


def default_loc_scale_fn(
    is_singular: bool = False,
    loc_initializer: Any = None,
    untransformed_scale_initializer: Any = None,
    loc_regularizer: Any = None,
    untransformed_scale_regularizer: Any = None,
    loc_constraint: Any = None,
    untransformed_scale_constraint: Any = None,
) -> LocationAndScale:
    r"""A function that makes the trainable location and scale of a weight.

    $\sigma = \log(1 + e^\rho) + \varepsilon$, $\varepsilon$ the rounding unit

    Args:
        is_singular: whether there is no scale: then `(loc, None)` is made. Default `False`.
        loc_initializer: of the location. Default: normal of mean 0 and deviation 0.1.
        untransformed_scale_initializer: of $\rho$. Default: normal of mean -3 and deviation 0.1, so
            a scale near 0.05.
        loc_regularizer: of the location. Default `None`.
        untransformed_scale_regularizer: of $\rho$. Default `None`.
        loc_constraint: of the location. Default `None`.
        untransformed_scale_constraint: of $\rho$. Default `None`.

    Returns:
        A function of `(dtype, shape, name, trainable, add_variable_fn)` that returns two tensors of
        the shape.

    >>> default_loc_scale_fn().is_singular
    False
    """
    return LocationAndScale(
        is_singular,
        loc_initializer,
        untransformed_scale_initializer,
        loc_regularizer,
        untransformed_scale_regularizer,
        loc_constraint,
        untransformed_scale_constraint,
    )


def default_mean_field_normal_fn(
    is_singular: bool = False,
    loc_initializer: Any = None,
    untransformed_scale_initializer: Any = None,
    loc_regularizer: Any = None,
    untransformed_scale_regularizer: Any = None,
    loc_constraint: Any = None,
    untransformed_scale_constraint: Any = None,
) -> MeanFieldNormal:
    """A function that makes the mean-field posterior of a weight: every entry normal.

    Args:
        is_singular: whether the posterior is a point: then a `Deterministic` is made. Default
            `False`.
        loc_initializer: see `default_loc_scale_fn`, as for the others.
        untransformed_scale_initializer: likewise.
        loc_regularizer: likewise.
        untransformed_scale_regularizer: likewise.
        loc_constraint: likewise.
        untransformed_scale_constraint: likewise.

    Returns:
        A function of `(dtype, shape, name, trainable, add_variable_fn)` that returns a distribution
        whose event has the shape.

    Source: Blundell, Cornebise, Kavukcuoglu, Wierstra: Weight Uncertainty in Neural Networks
    (2015).

    >>> default_mean_field_normal_fn(is_singular=True).is_singular
    True
    """
    return MeanFieldNormal(
        is_singular,
        loc_initializer,
        untransformed_scale_initializer,
        loc_regularizer,
        untransformed_scale_regularizer,
        loc_constraint,
        untransformed_scale_constraint,
    )


@keras.saving.register_keras_serializable("timedist")
def default_multivariate_normal_fn(
    dtype: str,
    shape: Sequence[int],
    name: str,
    trainable: bool,
    add_variable_fn: Callable,
) -> Distribution:
    """The standard normal prior of a weight.

    Args:
        dtype: dtype of the weight.
        shape: its shape.
        name: not used.
        trainable: not used.
        add_variable_fn: not used: the prior has no variable.

    Returns:
        A distribution whose event has the shape.

    >>> default_multivariate_normal_fn("float32", (2, 3), "kernel_prior", False, None)
    Independent(Normal)(batch_shape=(), event_shape=(2, 3), dtype=float32)
    """
    del name, trainable, add_variable_fn
    zeros = ops.convert_to_tensor(np.zeros(shape, dtype))
    return _whole_event(Normal.trusted(loc=zeros, scale=ops.ones_like(zeros)))
