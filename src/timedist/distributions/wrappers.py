"""Distributions made of other distributions."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from timedist.distributions import solve
from timedist.distributions.base import Distribution
from timedist.distributions.discrete import Categorical
from timedist.distributions.fields import component, static
from timedist.distributions.value import Shape
from timedist.ops import random, special

Tensor = Any


def _known_equal(left: Shape, right: Shape) -> bool:
    """Whether two shapes agree as far as they are known."""
    return len(left) == len(right) and all(
        a == b for a, b in zip(left, right, strict=True) if a is not None and b is not None
    )


class Independent(Distribution):
    r"""Takes trailing batch axes of a distribution as the axes of one event.

    $\log p(x) = \sum_i \log p_i(x_i)$

    Args:
        base: the distribution of the components.
        reinterpreted_batch_ndims: how many trailing batch axes of `base` become event axes. Default
            1.

    Raises:
        ValueError: if `base` has fewer batch axes.

    `quantile` and `median` are those of each component; `cdf` is P(every component <= value).

    >>> from timedist.distributions import Normal
    >>> Independent(Normal([[0.0, 1.0, 2.0]], 1.0))
    Independent(Normal)(batch_shape=(1,), event_shape=(3,), dtype=float32)
    """

    base: Any = component()
    reinterpreted_batch_ndims: int = static(1)

    def _check(self) -> None:
        rank, taken = len(self.base.batch_shape), self.reinterpreted_batch_ndims
        if not isinstance(taken, int) or not 0 <= taken <= rank:
            raise ValueError(
                f"Independent: reinterpreted_batch_ndims must be an int between 0 and {rank}, the "
                f"number of batch axes of {self.base!r}, got {taken!r}"
            )

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        """Whether the components are discrete."""
        return self.base.discrete

    def _batch_shape(self) -> Shape:
        shape = self.base.batch_shape
        return shape[: len(shape) - self.reinterpreted_batch_ndims]

    def _event_shape(self) -> Shape:
        shape = self.base.batch_shape
        return shape[len(shape) - self.reinterpreted_batch_ndims :] + self.base.event_shape

    @property
    def _family(self) -> str:
        return f"Independent({self.base._family})"

    def _sum(self, x: Tensor) -> Tensor:
        axes = tuple(range(-self.reinterpreted_batch_ndims, 0))
        return ops.sum(x, axis=axes) if axes else x

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._sum(self.base._hook("log_prob")(x))

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        return self._sum(self.base._log_prob_of_observed(x, observed))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._sum(self.base.log_cdf(x))

    def _cdf(self, x: Tensor) -> Tensor:
        return ops.exp(self._log_cdf(x))

    def _survival(self, x: Tensor) -> Tensor:
        return -ops.expm1(self._log_cdf(x))

    def _quantile(self, p: Tensor) -> Tensor:
        return self.base.quantile(
            ops.reshape(p, (*ops.shape(p), *(1,) * self.reinterpreted_batch_ndims))
        )

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.base._hook("sample")(sample_shape, seed)

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.base._plain_draw(sample_shape, seed)

    def _mean(self) -> Tensor:
        return self.base.mean()

    def _mode(self) -> Tensor:
        return self.base.mode()

    def _variance(self) -> Tensor:
        return self.base.variance()

    def _entropy(self) -> Tensor:
        return self._sum(self.base.entropy())


class MixtureSameFamily(Distribution):
    r"""A mixture of K components of one family.

    $p(x) = \sum_k \pi_k\, p_k(x)$

    Args:
        mixture: `Categorical` of the weights, with batch shape `batch_shape`.
        components: distribution with batch shape `batch_shape + (K,)`.

    Raises:
        ValueError: if the shapes do not fit.

    The quantile (scalar events) is found by bracketing search and has the gradient of the implicit
    function theorem; so have samples of continuous components, also to the mixture weights.

    Source: Bishop: Pattern Recognition and Machine Learning, section 9.2; Figurnov, Mohamed, Mnih:
    Implicit Reparameterization Gradients (2018) for the gradients of samples.

    >>> from timedist.distributions import Categorical, Normal
    >>> MixtureSameFamily(Categorical(probs=[0.3, 0.7]), Normal([-1.0, 1.0], 0.5))
    MixtureSameFamily(Normal)(batch_shape=(), event_shape=(), dtype=float32)
    """

    mixture: Any = component()
    components: Any = component()
    absent: ClassVar[dict[str, str]] = {
        "mode": "a mixture has no closed form for it",
        "entropy": "a mixture has no closed form for it",
    }

    def _check(self) -> None:
        if not isinstance(self.mixture, Categorical):
            raise ValueError(
                f"MixtureSameFamily: mixture must be a Categorical, got {self.mixture!r}"
            )
        expected = (*self.mixture.batch_shape, self.mixture.num_categories)
        if not _known_equal(self.components.batch_shape, expected):
            raise ValueError(
                f"MixtureSameFamily: components must have batch shape {expected} (the mixture's "
                f"plus the number of its categories), got {self.components!r}"
            )

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        """Whether the components are discrete."""
        return self.components.discrete

    @property
    def _family(self) -> str:
        return f"MixtureSameFamily({self.components._family})"

    def _batch_shape(self) -> Shape:
        return self.components.batch_shape[:-1]

    def _event_shape(self) -> Shape:
        return self.components.event_shape

    def _expand(self, x: Tensor) -> Tensor:
        """Insert the axis of the components in front of the event axes."""
        return ops.expand_dims(x, axis=-1 - len(self.event_shape))

    def _weigh(self, x: Tensor, weights: Tensor) -> Tensor:
        """Sum over the axis of the components, which stands in front of the event axes."""
        rank = len(self.event_shape)
        weights = ops.reshape(weights, (*ops.shape(weights), *(1,) * rank))
        return ops.sum(weights * x, axis=-1 - rank)

    def _log_mix(self, log_values: Tensor) -> Tensor:
        return special.logsumexp(self.mixture._log_probs() + log_values)

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._log_mix(self.components._hook("log_prob")(self._expand(x)))

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._log_mix(self.components.log_cdf(self._expand(x)))

    def _cdf(self, x: Tensor) -> Tensor:
        return ops.sum(self.mixture.probs * self.components.cdf(self._expand(x)), axis=-1)

    def _survival(self, x: Tensor) -> Tensor:
        return ops.sum(
            self.mixture.probs * self.components.survival_function(self._expand(x)), axis=-1
        )

    def _mean(self) -> Tensor:
        return self._weigh(self.components.mean(), self.mixture.probs)

    def _variance(self) -> Tensor:
        means = self.components.mean()
        spread = ops.square(means - self._expand(self._mean()))
        return self._weigh(self.components.variance() + spread, self.mixture.probs)

    def _quantile(self, p: Tensor) -> Tensor:
        if self.event_shape:
            raise NotImplementedError(
                f"{self._family} has no quantile: the event has shape {self.event_shape}; "
                "quantiles are for scalar events"
            )
        p = p + 0.0 * self.mixture.probs[..., 0]
        each = self.components.quantile(p[..., None])
        lower, upper = ops.min(each, axis=-1), ops.max(each, axis=-1)
        if self.discrete:
            return solve.smallest_integer(self._cdf, p, upper)
        inside = (p > 0.0) & (p < 1.0)
        lower, upper = special.where(inside, lower, 0.0), special.where(inside, upper, 0.0)
        upper_half = p > 0.5

        def residual(x: Tensor) -> Tensor:
            return ops.where(upper_half, 1.0 - p - self._survival(x), self._cdf(x) - p)

        root = solve.increasing_root(residual, lower, upper)
        slope = ops.exp(self._log_prob(root))
        exact = solve.with_implicit_gradient(root, residual(root), slope)
        return ops.where(inside, exact, each[..., 0])

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        draw = self._plain_draw(sample_shape, seed)
        return draw if self.discrete else self._with_gradient(draw)

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        index = self.mixture._sample(sample_shape, first)
        each = self.components._plain_draw(sample_shape, second)
        rank = len(self.event_shape)
        chosen = ops.one_hot(index, self.mixture.num_categories, dtype="bool")
        chosen = ops.reshape(chosen, (*ops.shape(chosen), *(1,) * rank))
        return ops.sum(special.where(chosen, each, 0.0), axis=-1 - rank)

    def _with_gradient(self, draw: Tensor) -> Tensor:
        """The draw with its implicit gradient, one event component after the other.

        Given the components before it, each component of the event has a univariate mixture whose
        distribution function defines it implicitly.
        """
        parts, depth = self.components, len(self.event_shape)
        while isinstance(parts, Independent):
            parts = parts.base
        if parts.event_shape:
            raise NotImplementedError(
                f"{self._family}.sample: gradients are known for scalar and `Independent` events"
            )
        size = _size(self.event_shape)
        lead = ops.shape(draw)[: len(draw.shape) - depth]
        flat = ops.reshape(draw, (*lead, size))
        rank = len(self.components.batch_shape)
        parts = parts.reshape_batch((*ops.shape(parts.leaves()[0])[:rank], size))
        log_weights, drawn = self.mixture._log_probs(), []
        for i in range(size):
            part = parts[..., i]
            x = self._implicit(flat[..., i], part, log_weights)
            drawn.append(x)
            if i + 1 < size:
                log_weights = log_weights + part.log_prob(x[..., None])
        return ops.reshape(ops.stack(drawn, axis=-1), ops.shape(draw))

    @staticmethod
    def _implicit(x: Tensor, part: Distribution, log_weights: Tensor) -> Tensor:
        weights = ops.softmax(log_weights, axis=-1)
        cdf = ops.sum(weights * part.cdf(x[..., None]), axis=-1)
        density = ops.sum(weights * part.prob(x[..., None]), axis=-1)
        return solve.with_implicit_gradient(x, cdf, density)


class TransformedDistribution(Distribution):
    r"""The distribution of $Y = f(X)$ for an increasing map $f$ and a scalar $X$.

    $\log p_Y(y) = \log p_X(x) - \log f'(x),\ x = f^{-1}(y)$

    Args:
        base: continuous distribution of X, with scalar events.
        transform: a `timedist.distributions.transforms.Transform` whose parameters have the batch
            shape of `base`.

    Raises:
        ValueError: if the base is discrete or its events are no scalars.

    Mean, variance and mode have no closed form; the median and every quantile have.

    Source: Papoulis, Pillai: Probability, Random Variables and Stochastic Processes, section 5.2.

    >>> from timedist.distributions import Normal, transforms
    >>> TransformedDistribution(Normal([0.0, 1.0], 1.0), transforms.Affine(scale=[2.0, 3.0]))
    Transformed(Normal)(batch_shape=(2,), event_shape=(), dtype=float32)
    """

    base: Any = component()
    transform: Any = component()
    absent: ClassVar[dict[str, str]] = {
        name: "it has no closed form under a transform; use `.median()` or samples"
        for name in ("mean", "variance", "mode", "entropy")
    }

    def _check(self) -> None:
        if self.base.event_shape or self.base.discrete:
            raise ValueError(
                "TransformedDistribution: base must be continuous with scalar events, got "
                f"{self.base!r}"
            )

    @property
    def _family(self) -> str:
        return f"Transformed({self.base._family})"

    def _batch_shape(self) -> Shape:
        return self.base.batch_shape

    def _log_prob(self, y: Tensor) -> Tensor:
        x = self.transform.inverse(y)
        return self.base._hook("log_prob")(x) - self.transform.log_slope(x)

    def _cdf(self, y: Tensor) -> Tensor:
        return self.base.cdf(self.transform.inverse(y))

    def _log_cdf(self, y: Tensor) -> Tensor:
        return self.base.log_cdf(self.transform.inverse(y))

    def _survival(self, y: Tensor) -> Tensor:
        return self.base.survival_function(self.transform.inverse(y))

    def _quantile(self, p: Tensor) -> Tensor:
        return self.transform.forward(self.base.quantile(p))

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.transform.forward(self.base._hook("sample")(sample_shape, seed))

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.transform.forward(self.base._plain_draw(sample_shape, seed))


def _size(shape: Shape) -> int:
    total = 1
    for size in shape:
        if size is None:
            raise ValueError(f"the event shape {shape} must be known")
        total *= size
    return total
