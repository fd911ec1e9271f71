"""The heads of mixtures and of values with additional zeros."""

from __future__ import annotations

from typing import ClassVar

from timedist import distributions as td
from timedist.layers.accepting import serializable
from timedist.layers.families import (
    IndependentLogistic,
    IndependentNormal,
    IndependentStudentT,
)
from timedist.layers.heads import MixtureHead, ZeroHead


@serializable
class MixtureNormal(MixtureHead):
    """Head of a mixture of normal components, whose scales come from a plain softplus, as in TFP.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureNormal(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(Normal))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Normal
    narrowed: ClassVar = IndependentNormal.narrowed


@serializable
class MixtureStudentT(MixtureHead):
    """Head of a mixture of Student-t components: `df` above 2, so the variance is finite.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus three times the number of components of the event.

    >>> import keras
    >>> MixtureStudentT(2, 3)(keras.ops.zeros((32, 10, 20)))
    MixtureSameFamily(Independent(StudentT))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.StudentT
    narrowed: ClassVar = IndependentStudentT.narrowed


@serializable
class MixtureLaplace(MixtureHead):
    """Head of a mixture of Laplace components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureLaplace(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(Laplace))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Laplace


@serializable
class MixtureLogistic(MixtureHead):
    """Head of a mixture of logistic components, whose scales come from a plain softplus, as in TFP.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureLogistic(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(Logistic))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Logistic
    narrowed: ClassVar = IndependentLogistic.narrowed


@serializable
class MixtureLogNormal(MixtureHead):
    """Head of a mixture of log-normal components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureLogNormal(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(LogNormal))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.LogNormal


@serializable
class MixtureGamma(MixtureHead):
    """Head of a mixture of gamma components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureGamma(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(Gamma))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Gamma


@serializable
class MixtureWeibull(MixtureHead):
    """Head of a mixture of Weibull components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureWeibull(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(Weibull))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Weibull


@serializable
class MixtureBeta(MixtureHead):
    """Head of a mixture of beta components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureBeta(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(Beta))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Beta


@serializable
class MixtureLogitNormal(MixtureHead):
    """Head of a mixture of logit-normal components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureLogitNormal(2, 3)(keras.ops.zeros((32, 10, 14))).event_shape
    (3,)
    """

    family = td.LogitNormal


@serializable
class MixtureVonMises(MixtureHead):
    """Head of a mixture of von Mises components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureVonMises(2, 3)(keras.ops.zeros((32, 10, 14)))
    MixtureSameFamily(Independent(VonMises))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.VonMises


@serializable
class MixturePoisson(MixtureHead):
    """Head of a mixture of Poisson components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus the number of components of the event.

    >>> import keras
    >>> MixturePoisson(2, 3)(keras.ops.zeros((32, 10, 8)))
    MixtureSameFamily(Independent(Poisson))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Poisson


@serializable
class MixtureNegativeBinomial(MixtureHead):
    """Head of a mixture of negative binomial components.

    Arguments, result and errors as for `MixtureHead`; `params_size(num_components, event_shape)` is
    K times one plus twice the number of components of the event.

    >>> import keras
    >>> MixtureNegativeBinomial(2, 3)(keras.ops.zeros((32, 10, 14))).event_shape
    (3,)
    """

    family = td.NegativeBinomial


@serializable
class ZeroInflatedPoisson(ZeroHead):
    """Head of independent components that are zeros or Poisson counts.

    Arguments, result and errors as for `ZeroHead`; `params_size(event_shape)` is twice the number
    of components.

    >>> import keras
    >>> ZeroInflatedPoisson(3)(keras.ops.zeros((32, 10, 6)))
    Independent(ZeroInflated(Poisson))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family, wrapper = td.Poisson, td.ZeroInflated


@serializable
class ZeroInflatedNegativeBinomial(ZeroHead):
    """Head of independent components that are zeros or negative binomial counts.

    Arguments, result and errors as for `ZeroHead`; `params_size(event_shape)` is three times the
    number of components.

    >>> import keras
    >>> ZeroInflatedNegativeBinomial(3)(keras.ops.zeros((32, 10, 9))).event_shape
    (3,)
    """

    family, wrapper = td.NegativeBinomial, td.ZeroInflated


@serializable
class HurdleGamma(ZeroHead):
    """Head of independent components that are zeros or gamma values, as rain or some sales.

    Arguments, result and errors as for `ZeroHead`; `params_size(event_shape)` is three times the
    number of components.

    >>> import keras
    >>> HurdleGamma(3)(keras.ops.zeros((32, 10, 9)))
    Independent(Hurdle(Gamma))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family, wrapper = td.Gamma, td.Hurdle


@serializable
class HurdleLogNormal(ZeroHead):
    """Head of independent components that are zeros or log-normal values, as rain or some sales.

    Arguments, result and errors as for `ZeroHead`; `params_size(event_shape)` is three times the
    number of components.

    >>> import keras
    >>> HurdleLogNormal(3)(keras.ops.zeros((32, 10, 9)))
    Independent(Hurdle(LogNormal))(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family, wrapper = td.LogNormal, td.Hurdle
