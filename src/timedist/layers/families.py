"""The heads of scalar families: a name, a family and, where needed, a narrower range.

A head narrows the range of a parameter where the family allows distributions no forecast should be:
with an infinite variance, or a support whose ends move with the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from timedist import distributions as td
from timedist.distributions import constraints
from timedist.distributions.fields import REQUIRED
from timedist.layers.accepting import serializable
from timedist.layers.heads import IndependentHead


@serializable
class IndependentNormal(IndependentHead):
    """Head of independent normal components: `loc` as it is, `scale` by a plain softplus.

    So it is in TFP; a fresh head has scale log 2. Arguments, result and errors as for
    `IndependentHead`; `params_size(event_shape)` is twice the number of components.

    >>> import keras
    >>> IndependentNormal(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Normal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Normal
    narrowed: ClassVar = {"scale": constraints.softplus}


@serializable
class IndependentLaplace(IndependentHead):
    """Head of independent Laplace components: `loc` as it is, `scale` by a softplus.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentLaplace(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Laplace)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Laplace


@serializable
class IndependentAsymmetricLaplace(IndependentHead):
    """Head of independent Laplace components with two different sides.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is three times
    the number of components.

    >>> import keras
    >>> IndependentAsymmetricLaplace(3)(keras.ops.zeros((32, 10, 9)))
    Independent(AsymmetricLaplace)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.AsymmetricLaplace


@serializable
class IndependentLogistic(IndependentHead):
    """Head of independent logistic components: `loc` as it is, `scale` by a plain softplus.

    So it is in TFP; a fresh head has scale log 2. Arguments, result and errors as for
    `IndependentHead`; `params_size(event_shape)` is twice the number of components.

    >>> import keras
    >>> IndependentLogistic(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Logistic)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Logistic
    narrowed: ClassVar = {"scale": constraints.softplus}


@serializable
class IndependentCauchy(IndependentHead):
    """Head of independent Cauchy components, whose mean does not exist: forecast by the median.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentCauchy(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Cauchy)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Cauchy


@serializable
class IndependentStudentT(IndependentHead):
    """Head of independent Student-t components: `df` above 2, so the variance is finite.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is three times
    the number of components. A fresh head starts near 8 degrees of freedom.

    >>> import keras
    >>> IndependentStudentT(3)(keras.ops.zeros((32, 10, 9)))
    Independent(StudentT)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.StudentT
    narrowed: ClassVar = {"df": constraints.greater_than(2.0, start=8.0)}


@serializable
class IndependentGumbel(IndependentHead):
    """Head of independent Gumbel components, the largest of many values.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components. A fresh head has mean 0 and standard deviation 1.

    >>> import keras
    >>> IndependentGumbel(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Gumbel)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Gumbel
    narrowed: ClassVar = {
        "loc": constraints.real_from(-0.45),
        "scale": constraints.greater_than(0.0, start=0.78),
    }


@serializable
class IndependentSinhArcsinh(IndependentHead):
    """Head of independent sinh-arcsinh components, normal ones with a skewness and a tail weight.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is four times
    the number of components. A fresh head is standard normal.

    >>> import keras
    >>> IndependentSinhArcsinh(3)(keras.ops.zeros((32, 10, 12)))
    Independent(SinhArcsinh)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.SinhArcsinh


@serializable
class IndependentJohnsonSU(IndependentHead):
    """Head of independent Johnson SU components: skewed, with tails heavier than the normal's.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is four times
    the number of components.

    >>> import keras
    >>> IndependentJohnsonSU(3)(keras.ops.zeros((32, 10, 12)))
    Independent(JohnsonSU)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.JohnsonSU


@serializable
class IndependentVonMises(IndependentHead):
    """Head of independent von Mises components: angles.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentVonMises(3)(keras.ops.zeros((32, 10, 6)))
    Independent(VonMises)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.VonMises


@serializable
class IndependentLogNormal(IndependentHead):
    """Head of independent log-normal components: positive values.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentLogNormal(3)(keras.ops.zeros((32, 10, 6)))
    Independent(LogNormal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.LogNormal


@serializable
class IndependentGamma(IndependentHead):
    """Head of independent gamma components: positive values.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentGamma(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Gamma)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Gamma


@serializable
class IndependentInverseGamma(IndependentHead):
    """Head of independent inverse gamma components: `concentration` above 2.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentInverseGamma(3)(keras.ops.zeros((32, 10, 6)))
    Independent(InverseGamma)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.InverseGamma
    narrowed: ClassVar = {"concentration": constraints.greater_than(2.0)}


@serializable
class IndependentExponential(IndependentHead):
    """Head of independent exponential components: waiting times.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentExponential(3)(keras.ops.zeros((32, 10, 3)))
    Independent(Exponential)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Exponential


@serializable
class IndependentWeibull(IndependentHead):
    """Head of independent Weibull components: life times, wind speeds.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentWeibull(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Weibull)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Weibull


@serializable
class IndependentHalfNormal(IndependentHead):
    """Head of independent half-normal components: sizes of normal errors.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentHalfNormal(3)(keras.ops.zeros((32, 10, 3)))
    Independent(HalfNormal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.HalfNormal


@serializable
class IndependentPareto(IndependentHead):
    """Head of independent Pareto components above a given bound: `concentration` above 2.

    `scale`, the lower end of the support, is an argument: `IndependentPareto(scale=1.0)`, a number
    or nested lists of the event shape, default 1.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentPareto(3)(keras.ops.zeros((32, 10, 3)))
    Independent(Pareto)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Pareto
    fixed: ClassVar = {"scale": 1.0}
    narrowed: ClassVar = {"concentration": constraints.greater_than(2.0)}


@serializable
class IndependentGeneralizedPareto(IndependentHead):
    """Head of independent generalised Pareto components: excesses over a given threshold.

    `loc`, the threshold, is an argument: `IndependentGeneralizedPareto(loc=0.0)`, a number or
    nested lists of the event shape, default 0. `concentration` is between 0 and 1/2, so the support
    has no upper end and the variance is finite.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentGeneralizedPareto(3)(keras.ops.zeros((32, 10, 6)))
    Independent(GeneralizedPareto)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.GeneralizedPareto
    fixed: ClassVar = {"loc": 0.0}
    narrowed: ClassVar = {"concentration": constraints.between(0.0, 0.5, start=0.1)}


@serializable
class IndependentLogLogistic(IndependentHead):
    """Head of independent log-logistic components: `scale` below 1/2, so the variance is finite.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentLogLogistic(3)(keras.ops.zeros((32, 10, 6)))
    Independent(LogLogistic)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.LogLogistic
    narrowed: ClassVar = {"scale": constraints.between(0.0, 0.5)}


@serializable
class IndependentBeta(IndependentHead):
    """Head of independent beta components: shares between 0 and 1.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components. A fresh head is uniform.

    >>> import keras
    >>> IndependentBeta(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Beta)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Beta


@serializable
class IndependentKumaraswamy(IndependentHead):
    """Head of independent Kumaraswamy components: shares between 0 and 1, with a closed quantile.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components. A fresh head is uniform.

    >>> import keras
    >>> IndependentKumaraswamy(3)(keras.ops.zeros((32, 10, 6)))
    Independent(Kumaraswamy)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Kumaraswamy


@serializable
class IndependentLogitNormal(IndependentHead):
    """Head of independent logit-normal components: shares between 0 and 1.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentLogitNormal(3)(keras.ops.zeros((32, 10, 6)))
    Independent(LogitNormal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.LogitNormal


@serializable
class IndependentTruncatedNormal(IndependentHead):
    """Head of independent normal components cut off outside a given interval.

    `low` and `high`, its ends, are arguments: `IndependentTruncatedNormal(low=0.0, high=1.0)`,
    numbers or nested lists of the event shape, infinite by default.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentTruncatedNormal(3, low=0.0, high=1.0)(keras.ops.zeros((32, 10, 6)))
    Independent(TruncatedNormal)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.TruncatedNormal
    fixed: ClassVar = {"low": -math.inf, "high": math.inf}


@serializable
class IndependentBernoulli(IndependentHead):
    """Head of independent Bernoulli components, from log odds.

    Arguments, result and errors as for `IndependentHead`, with `sample_dtype` in front of
    `validate_args`, as in TFP; `params_size(event_shape)` is the number of components.

    >>> import keras
    >>> IndependentBernoulli(3)(keras.ops.zeros((32, 10, 3)))
    Independent(Bernoulli)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Bernoulli

    def __init__(
        self,
        event_shape: int | Sequence[int] = (),
        convert_to_tensor_fn: Any = None,
        sample_dtype: Any = None,
        validate_args: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            event_shape, convert_to_tensor_fn, validate_args, sample_dtype=sample_dtype, **kwargs
        )


@serializable
class IndependentBinomial(IndependentHead):
    """Head of independent binomial components, from log odds.

    `total_count`, the number of trials, is an argument: `IndependentBinomial(total_count=10)`, a
    number or nested lists of the event shape.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentBinomial(3, total_count=10)(keras.ops.zeros((32, 10, 3)))
    Independent(Binomial)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Binomial
    fixed: ClassVar = {"total_count": REQUIRED}


@serializable
class IndependentBetaBinomial(IndependentHead):
    """Head of independent beta-binomial components: successes that vary more than binomial ones.

    `total_count`, the number of trials, is an argument: `IndependentBetaBinomial(total_count=10)`,
    a number or nested lists of the event shape.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentBetaBinomial(3, total_count=10)(keras.ops.zeros((32, 10, 6)))
    Independent(BetaBinomial)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.BetaBinomial
    fixed: ClassVar = {"total_count": REQUIRED}


@serializable
class IndependentPoisson(IndependentHead):
    """Head of independent Poisson components, from log rates.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentPoisson(3)(keras.ops.zeros((32, 10, 3)))
    Independent(Poisson)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Poisson


@serializable
class IndependentNegativeBinomial(IndependentHead):
    """Head of independent negative binomial components: `total_count` by a softplus, and log odds.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is twice the
    number of components.

    >>> import keras
    >>> IndependentNegativeBinomial(3)(keras.ops.zeros((32, 10, 6)))
    Independent(NegativeBinomial)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.NegativeBinomial


@serializable
class IndependentGeometric(IndependentHead):
    """Head of independent geometric components, from log odds.

    Arguments, result and errors as for `IndependentHead`; `params_size(event_shape)` is the number
    of components.

    >>> import keras
    >>> IndependentGeometric(3)(keras.ops.zeros((32, 10, 3)))
    Independent(Geometric)(batch_shape=(32, 10), event_shape=(3,), dtype=float32)
    """

    family = td.Geometric
