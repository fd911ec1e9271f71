"""Layers that turn a distribution into a tensor."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np

from timedist.distributions import Distribution
from timedist.interop import NativeDistribution, as_distribution, is_distribution
from timedist.layers.accepting import AcceptsDistributions, serializable
from timedist.ops import compat

Tensor = Any

# Their results have the shape of the distribution, so they can be told even of a tensor that
# merely stands for a distribution (the symbolic output of a model called inside another).
_SAME_SHAPE = ("mean", "mode", "median", "variance", "stddev")
_BATCH_SHAPE = ("log_prob", "prob", "cdf", "log_cdf", "survival_function", "entropy")


class TakesDistribution(AcceptsDistributions):
    """Base of the layers that take a distribution and give a tensor; they have no weights."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def _distribution(self, x: Any) -> Distribution:
        if is_distribution(x):
            return as_distribution(x)
        raise TypeError(
            f"The layer {self.name!r} ({type(self).__name__}) takes a distribution but got a "
            f"{type(x).__name__} of shape {tuple(getattr(x, 'shape', ()))}. Feed it the output of "
            "a "
            "distribution layer, e.g. `timedist.layers.IndependentNormal`."
        )


@serializable
class Sample(TakesDistribution):
    """Draws from a distribution, at training and at inference.

    Args:
        sample_shape: int or tuple, the shape of the block of independent samples. Default `()`.
        seed: int or `None`; the layer keeps a `keras.random.SeedGenerator` made from it.
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution: the distribution to draw from.

    Returns:
        Tensor of shape `sample_shape + batch_shape + event_shape`, with gradients to the parameters
        of continuous families.

    Raises:
        TypeError: if the input is not a distribution.

    >>> from timedist.distributions import Normal
    >>> Sample(seed=1)(Normal([0.0, 1.0], 1.0)).shape[0]
    2
    """

    def __init__(self, sample_shape: Any = (), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        self.sample_shape = shape
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, distribution: Any) -> Tensor:
        """Draw once."""
        return self._distribution(distribution).sample(self.sample_shape, seed=self.seed_generator)

    def compute_output_spec(self, distribution: Any) -> keras.KerasTensor:
        """Shape and dtype of the draw."""
        spec = getattr(distribution, "spec", None)
        dtype = distribution.dtype if spec is None else _draw_dtype(spec)
        return keras.KerasTensor((*self.sample_shape, *distribution.shape), dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the distribution, as long as no sample axes stand in front of its batch."""
        del inputs
        return None if self.sample_shape else previous_mask

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "sample_shape": self.sample_shape, "seed": self.seed}


@serializable
class Statistic(TakesDistribution):
    """Calls a method of a distribution: `Statistic("quantile", 0.9)`, `Statistic("mean")`.

    Args:
        method: name of a method of `Distribution`.
        value: its argument, a number or nested list; or `None`, and the layer takes it as a second
            input.
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution: the distribution.
        value: tensor, the argument of the method, where the constructor got none and it takes one.

    Returns:
        What the method returns.

    Raises:
        ValueError: if there is no such method.
        TypeError: if the input is not a distribution.

    >>> from timedist.distributions import Normal
    >>> float(Statistic("quantile", 0.5)(Normal(3.0, 1.0)))
    3.0
    """

    def __init__(self, method: str, value: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if method.startswith("_") or not callable(getattr(Distribution, method, None)):
            raise ValueError(f"Statistic: a distribution has no method {method!r}")
        self.method = method
        self.value = np.asarray(value).tolist() if hasattr(value, "__array__") else value

    def call(self, distribution: Any, value: Any = None) -> Tensor:
        """Call the method."""
        method = getattr(self._distribution(distribution), self.method)
        value = self.value if value is None else value
        return method() if value is None else method(value)

    def compute_output_spec(self, distribution: Any, value: Any = None) -> Any:
        """Shape and dtype of the result."""
        spec = getattr(distribution, "spec", None)
        if spec is None and self.method in _SAME_SHAPE:
            return keras.KerasTensor(distribution.shape, distribution.dtype)
        if spec is None:
            raise TypeError(
                f"The layer {self.name!r} takes the symbolic output of a distribution layer, got "
                f"{distribution!r}, whose family is not known. Call `.{self.method}` in the model "
                "that makes the distribution."
            )
        if isinstance(spec, NativeDistribution) and self.method in _SAME_SHAPE + _BATCH_SHAPE:
            return _native_result(spec, self.method, value)
        tensors = [*spec.leaves(), *([value] if compat.is_symbolic(value) else [])]

        def run(*values: Any) -> Any:
            leaves = iter(values)
            filled = spec.map_leaves(lambda _: next(leaves))
            return self.call(filled, next(leaves, value))

        return compat.infer_spec(run, *tensors)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the distribution, also for a pair of results."""
        del inputs
        return (previous_mask, previous_mask) if self.method == "interval" else previous_mask

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "method": self.method, "value": self.value}


class _Named(Statistic):
    """Base of the statistics that have a class of their own."""

    named: ClassVar[str]

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        super().__init__(self.named, value, **kwargs)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        left_out = {"method"} if self.value is not None else {"method", "value"}
        return {k: v for k, v in super().get_config().items() if k not in left_out}


class _Moment(_Named):
    """Base of those whose method has no argument."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


@serializable
class Mean(_Moment):
    """The mean of a distribution; NaN where it does not exist.

    Args:
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution: the distribution.

    Returns:
        Tensor of shape `batch_shape + event_shape`.

    Raises:
        TypeError: if the input is not a distribution.
        NotImplementedError: if the family has none, as `Categorical`.

    >>> from timedist.distributions import Gamma
    >>> float(Mean()(Gamma(2.0, 4.0)))
    0.5
    """

    named = "mean"


@serializable
class Mode(_Moment):
    """The most probable value of a distribution.

    Args:
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution: the distribution.

    Returns:
        Tensor of shape `batch_shape + event_shape`.

    Raises:
        TypeError: if the input is not a distribution.
        NotImplementedError: if the family has no known one, as mixtures.

    >>> from timedist.distributions import Gamma
    >>> float(Mode()(Gamma(2.0, 4.0)))
    0.25
    """

    named = "mode"


@serializable
class Median(_Moment):
    """The median of a distribution, of every component where they are independent.

    Args:
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution: the distribution.

    Returns:
        Tensor of shape `batch_shape + event_shape`.

    Raises:
        TypeError: if the input is not a distribution.
        NotImplementedError: if the family has none, as vectors whose components depend.

    >>> from timedist.distributions import Laplace
    >>> float(Median()(Laplace(3.0, 1.0)))
    3.0
    """

    named = "median"


@serializable
class Quantile(_Named):
    """A quantile of a distribution: the smallest x with `cdf(x) >= p`.

    Args:
        p: probability in [0, 1], a number or nested list that broadcasts against the batch shape;
            or `None`, and the layer takes it as a second input.
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution: the distribution.
        p: tensor of probabilities, where the constructor got none.

    Returns:
        Tensor of the broadcast shape, for `Independent` with the event axes.

    Raises:
        ValueError: if a number in `p` is outside [0, 1].
        TypeError: if the input is not a distribution.

    >>> from timedist.distributions import Uniform
    >>> float(Quantile(0.75)(Uniform(0.0, 4.0)))
    3.0
    """

    named = "quantile"

    def __init__(self, p: Any = None, **kwargs: Any) -> None:
        if p is not None and not np.all((np.asarray(p) >= 0.0) & (np.asarray(p) <= 1.0)):
            raise ValueError(f"Quantile: p must be in [0, 1], got {p!r}")
        super().__init__(p, **kwargs)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        config = super().get_config()
        return {"p": config.pop("value"), **config} if "value" in config else config


@serializable
class LogProb(_Named):
    """The logarithm of the density or mass of a distribution at a value.

    Args:
        value: number or nested list that broadcasts against `batch_shape + event_shape`; or `None`
            (default), and the layer takes it as a second input.
        **kwargs: of `keras.Layer`.

    Call arguments:
        distribution: the distribution.
        value: tensor, where the constructor got none.

    Returns:
        Tensor of the broadcast shape without the event axes: one number for each step.

    Raises:
        TypeError: if the first input is not a distribution, or there is no value.
        ValueError: if the shape of the value does not fit.

    >>> from timedist.distributions import Uniform
    >>> float(LogProb()(Uniform(0.0, 1.0), 0.5))
    0.0
    """

    named = "log_prob"


def _native_result(spec: NativeDistribution, method: str, value: Any) -> keras.KerasTensor:
    """Told without a run: NumPyro's distributions keep the sizes of the trace they were made in."""
    if method in _SAME_SHAPE:
        return keras.KerasTensor(spec.shape, spec.dtype)
    given = tuple(getattr(value, "shape", ()))
    front = given[: max(0, len(given) - len(spec.shape))]
    return keras.KerasTensor((*front, *spec.batch_shape), spec.dtype)


def _draw_dtype(spec: Distribution) -> str:
    """Dtype of a draw: that of the parameters, but int32 for categories."""
    if isinstance(spec, NativeDistribution):
        return spec.dtype  # see `_native_result`
    drawn = compat.infer_spec(
        lambda *leaves: spec.with_leaves(leaves).sample(seed=0), *spec.leaves()
    )
    return drawn.dtype
