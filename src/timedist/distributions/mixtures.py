"""Mixtures: distributions that draw from one of several others."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, ClassVar

from keras import ops

from timedist.distributions import numerical, solve, sums
from timedist.distributions.base import Distribution
from timedist.distributions.composite import Composite, has_mass
from timedist.distributions.discrete import Categorical
from timedist.distributions.fields import component
from timedist.distributions.value import Shape
from timedist.distributions.wrappers import known_size, may_be_equal
from timedist.ops import linalg, random, special

Tensor = Any


class Mixing(Composite):
    """Parent of the mixtures, from the answers of their components side by side.

    A subclass says how to ask the components: `_each` gives the answers along an axis of their own
    in front of the event axes, and `_lift` prepares an argument for that.
    """

    mixture: Any = component()
    made_of = "components"
    absent: ClassVar[dict[str, str]] = {
        "mode": "a mixture may have several; compare `.log_prob()` at the modes of the components",
    }

    def _each(self, function: Callable, rank: int = 0, given: tuple = ()) -> Tensor:
        """`function(component)` of all components, along axis `-1 - rank`.

        Args:
            function: gives a tensor whose last `rank` axes are event axes.
            rank: the number of these.
            given: number of a component of the event, and the values before it; then the function
                gets the distribution of that scalar instead of the whole component.
        """
        raise NotImplementedError

    def _lift(self, x: Tensor, rank: int) -> Tensor:
        """`x`, whose last `rank` axes are event axes, as the components take it."""
        raise NotImplementedError

    def _draw_each(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        """A draw from every component, along an axis in front of the event axes."""
        raise NotImplementedError

    def _part_landmarks(self) -> list[list[Tensor]]:
        """The landmarks of every component."""
        raise NotImplementedError

    def _event_shape(self) -> Shape:
        return self._parts[0].event_shape

    @property
    def _rank(self) -> int:
        return len(self.event_shape)

    def _only_scalars(self, name: str, remedy: str) -> None:
        if self.event_shape:
            raise NotImplementedError(
                f"{self._family} has no {name}: its events have shape {self.event_shape}; {remedy}"
            )

    def _only_densities(self, name: str) -> None:
        if self._mixed:
            raise NotImplementedError(
                f"{self._family} has no {name}: single values have a probability beside the "
                "density; estimate it by samples and their `log_prob`"
            )

    # --- densities -----------------------------------------------------------------------------

    def _mix(self, each: Tensor) -> Tensor:
        return ops.sum(self.mixture.probs * each, axis=-1)

    def _log_mix(self, each: Tensor) -> Tensor:
        return special.logsumexp(self.mixture._log_probs() + each)

    def _at_each(self, name: str, x: Tensor) -> Tensor:
        x = self._lift(x, self._rank)
        return self._each(lambda c: c._hook(name)(x))

    def _log_prob(self, x: Tensor) -> Tensor:
        each = self._at_each("log_prob", x)
        return self._log_mix(self._where_masses_count(x, each) if self._mixed else each)

    @property
    def _mixed(self) -> bool:  # type: ignore[override]
        return any(part._mixed for part in self._parts)

    def _masses_at(self) -> list[Tensor]:
        parts = self._values[self.made_of]
        if not isinstance(parts, tuple):
            parts = [parts[..., k] for k in range(self.mixture.num_categories)]
        return [value for part in parts for value in part._masses_at()]

    def _where_masses_count(self, x: Tensor, each: Tensor) -> Tensor:
        """Log probabilities, and no log density where another component has a probability."""
        x = self._lift(x, 0)
        masses = self._each(lambda c: has_mass(c, x + c._zeros()))
        no_more = ops.any(masses, axis=-1, keepdims=True) & ~masses
        return special.where(no_more, -math.inf, each)

    def _log_cdf(self, x: Tensor) -> Tensor:
        return self._log_mix(self._at_each("log_cdf", x))

    def _log_survival(self, x: Tensor) -> Tensor:
        return self._log_mix(self._at_each("log_survival", x))

    def _cdf(self, x: Tensor) -> Tensor:
        return self._mix(self._at_each("cdf", x))

    def _survival(self, x: Tensor) -> Tensor:
        return self._mix(self._at_each("survival", x))

    def _log_mass(self, k: Tensor) -> Tensor:
        """log P(X = k), smooth between the integers; for exact sums over counts."""
        k = self._lift(k, 0)
        return self._log_mix(self._each(lambda c: _log_mass(c, k)))

    def _log_tails(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """log P(X <= k) and log P(X > k), likewise."""
        k = self._lift(k, 0)
        both = self._each(lambda c: ops.stack(_log_tails(c, k), axis=0))
        return self._log_mix(both[0]), self._log_mix(both[1])

    # --- moments -------------------------------------------------------------------------------

    def _weigh(self, each: Tensor, rank: int) -> Tensor:
        """The weighted sum over the axis of the components, in front of `rank` event axes."""
        weights = self.mixture.probs
        weights = ops.reshape(weights, (*ops.shape(weights), *(1,) * rank))
        return ops.sum(weights * each, axis=-1 - rank)

    def _means(self) -> tuple[Tensor, Tensor]:
        """The means of the components, and their distances from the mean."""
        means = self._each(lambda c: c.mean(), self._rank)
        mean = self._weigh(means, self._rank)
        return means, means - ops.expand_dims(mean, -1 - self._rank)

    def _mean(self) -> Tensor:
        return self._weigh(self._each(lambda c: c.mean(), self._rank), self._rank)

    def _variance(self) -> Tensor:
        _, apart = self._means()
        each = self._each(lambda c: c.variance(), self._rank)
        return self._weigh(each + ops.square(apart), self._rank)

    def _covariance(self) -> Tensor:
        _, apart = self._means()
        each = self._each(lambda c: c.covariance(), 2)
        return self._weigh(each + linalg.gram(apart[..., None]), 2)

    # --- what follows for scalars --------------------------------------------------------------

    def _support(self) -> tuple[Tensor | float, Tensor | float]:
        low, high = zip(*(part._hook("support")() for part in self._parts), strict=True)
        if all(isinstance(end, float) for end in low + high):
            return min(low), max(high)
        ends = self._each(lambda c: ops.stack(numerical.support(c), axis=0))
        return ops.min(ends[0], axis=-1), ops.max(ends[1], axis=-1)

    def _landmarks(self) -> tuple[Tensor, ...]:
        """Three of every component, and one more on either side of them all."""
        parts = self._part_landmarks()
        lows = [reduce(special.minimum, marks) for marks in parts]
        highs = [reduce(special.maximum, marks) for marks in parts]
        ends = list(zip(lows, highs, strict=True))
        first = reduce(special.minimum, [low - 0.5 * (high - low) for low, high in ends])
        last = reduce(special.maximum, [high + 0.5 * (high - low) for low, high in ends])
        return (*(marks[0] for marks in parts), *lows, *highs, first, last)

    @property
    def _method(self) -> Any:
        """The module with the exact numerical methods for this kind of scalars."""
        return sums if self.discrete else numerical

    def _entropy(self) -> Tensor:
        self._only_scalars("entropy", "estimate it by the mean of `-log_prob` of samples")
        self._only_densities("entropy")
        return self._method.entropy(self)

    def _crps(self, y: Tensor) -> Tensor:
        self._only_scalars("crps", "use `timedist.scores.energy_score` of samples")
        return self._method.crps(self, y)

    def _kl(self, other: Mixing) -> Tensor:
        self._only_scalars("kl_divergence", "estimate it by samples")
        self._only_densities("kl_divergence")
        other._only_densities("kl_divergence")
        if self.discrete != other.discrete:
            raise NotImplementedError(
                f"{self._family} has no kl_divergence from {other._family}: only one is discrete"
            )
        return self._method.kl_divergence(self, other)

    def _quantile(self, p: Tensor) -> Tensor:
        self._only_scalars("quantile", "quantiles are for scalar events")
        p = p + self._zeros()
        lifted = self._lift(p, 0)
        each = self._each(lambda c: ops.cast(c.quantile(lifted), p.dtype))
        lower, upper = ops.min(each, axis=-1), ops.max(each, axis=-1)
        inside = (p > 0.0) & (p < 1.0)
        start, stop = special.where(inside, lower, 0.0), special.where(inside, upper, 0.0)
        found = self._between(special.where(inside, p, 0.5), start, stop)
        return ops.where(inside, found, ops.where(p <= 0.0, lower, upper))

    def _between(self, p: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """The quantile, which lies between those of the components."""
        if self.discrete:

            def tails(k: Tensor) -> tuple[Tensor, Tensor]:
                return self._log_cdf(lower + k), self._log_survival(lower + k)

            steps = solve.smallest_integer(tails, p, upper - lower)
            return ops.stop_gradient(special.minimum(lower + steps, upper))
        upper_half = p > 0.5

        def residual(x: Tensor) -> Tensor:
            return ops.where(upper_half, 1.0 - p - self._survival(x), self._cdf(x) - p)

        root = solve.increasing_root(residual, lower, upper)
        slope = self._slope_at(root, ops.exp(self._log_prob(root)))
        found = solve.with_implicit_gradient(root, residual(root), slope)
        return self._or_mass(p, found) if self._mixed else found

    # --- drawing -------------------------------------------------------------------------------

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        draw = self._plain_draw(sample_shape, seed)
        return draw if self.discrete else self._with_gradient(draw)

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        index = self.mixture._sample(sample_shape, first)
        each = self._draw_each(sample_shape, second)
        chosen = ops.one_hot(index, self.mixture.num_categories, dtype="bool")
        chosen = ops.reshape(chosen, (*ops.shape(chosen), *(1,) * self._rank))
        return ops.sum(special.where(chosen, each, 0.0), axis=-1 - self._rank)

    def _with_gradient(self, draw: Tensor) -> Tensor:
        """The draw with its implicit gradient, one event component after the other.

        Given the components before it, each component of the event has a univariate mixture whose
        distribution function defines it implicitly.
        """
        log_weights = self.mixture._log_probs()
        if not self.event_shape:
            return self._implicit(draw, log_weights, ())
        size = known_size(self.event_shape)
        lead = ops.shape(draw)[: len(draw.shape) - self._rank]
        flat = ops.reshape(draw, (*lead, size))
        drawn: list[Tensor] = []
        for i in range(size):
            given = (i, ops.stack(drawn, axis=-1) if drawn else flat[..., :0])
            x = self._implicit(flat[..., i], log_weights, given)
            drawn.append(x)
            if i + 1 < size:
                lifted = self._lift(x, 0)
                log_weights = log_weights + self._each(
                    lambda c, at=lifted: c.log_prob(at), 0, given
                )
        return ops.reshape(ops.stack(drawn, axis=-1), ops.shape(draw))

    def _implicit(self, x: Tensor, log_weights: Tensor, given: tuple) -> Tensor:
        at = self._lift(x, 0)
        weights = ops.softmax(log_weights, axis=-1)
        both = self._each(lambda c: ops.stack([c.cdf(at), c.prob(at)], axis=0), 0, given)
        cdf, density = (ops.sum(weights * each, axis=-1) for each in (both[0], both[1]))
        return solve.with_implicit_gradient(x, cdf, self._slope_at(x, density))

    def _slope_at(self, x: Tensor, density: Tensor) -> Tensor:
        """The density, zero where there is a probability: such a value moves with no parameter."""
        return special.where(has_mass(self, x), 0.0, density) if self._mixed else density

    def _conditional_of(self, part: Distribution, i: int, before: Tensor) -> Distribution:
        hook = getattr(part, "_conditional", None)
        if hook is None:
            raise NotImplementedError(
                f"{part._family} has no known distribution of a component given those before it, "
                "which gradients through samples of a mixture need; use `.draw()`"
            )
        return hook(i, before)

    def _check_mixture(self) -> None:
        if not isinstance(self.mixture, Categorical):
            raise ValueError(
                f"{type(self).__name__}: mixture must be a Categorical, got {self.mixture!r}"
            )


def _mixed_marginals(whole: Any) -> MixtureSameFamily:
    """The mixtures of the marginals of the components, for each component of the event."""
    rank, batch = whole._rank, len(whole.batch_shape)
    # The axis of the components goes behind the event axes, which are batch axes now.
    parts = whole.components.marginals().map_batch(lambda x: ops.moveaxis(x, batch, batch + rank))
    logits = whole.mixture._log_probs()
    logits = ops.reshape(logits, (*ops.shape(logits)[:-1], *(1,) * rank, -1))
    logits = ops.broadcast_to(logits, ops.shape(parts._zeros()))
    return MixtureSameFamily.trusted(mixture=Categorical.trusted(logits=logits), components=parts)


class MixtureSameFamily(Mixing):
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

    components: Any = component()

    def _check(self) -> None:
        self._check_mixture()
        expected = (*self.mixture.batch_shape, self.mixture.num_categories)
        if not may_be_equal(self.components.batch_shape, expected):
            raise ValueError(
                f"MixtureSameFamily: components must have batch shape {expected} (the mixture's "
                f"plus the number of its categories), got {self.components!r}"
            )

    def _batch_shape(self) -> Shape:
        return self.components.batch_shape[:-1]

    def _lift(self, x: Tensor, rank: int) -> Tensor:
        return ops.expand_dims(x, axis=-1 - rank)

    def _each(self, function: Callable, rank: int = 0, given: tuple = ()) -> Tensor:
        part = self.components
        if given:
            part = self._conditional_of(part, given[0], self._lift(given[1], 1))
        return _asked(self, function, part)

    def _draw_each(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self.components._plain_draw(sample_shape, seed)

    _marginals = _mixed_marginals

    def _part_landmarks(self) -> list[list[Tensor]]:
        marks = self.components._hook("landmarks")()
        return [[mark[..., k] for mark in marks] for k in range(self.mixture.num_categories)]


class Mixture(Mixing):
    r"""A mixture of components of different families.

    $p(x) = \sum_k \pi_k\, p_k(x)$

    Args:
        mixture: `Categorical` of the K weights, with batch shape `batch_shape`.
        components: list of K distributions, each with that batch shape and one event shape, all
            continuous or all discrete.

    Raises:
        TypeError: if a component is no distribution.
        ValueError: if the number or the shapes do not fit, or only some components are discrete.

    Quantiles and samples have the gradients of `MixtureSameFamily`. Where a component has a
    probability beside its density, as `Hurdle` at zero, the densities of the others do not count.

    Source: Bishop: Pattern Recognition and Machine Learning, section 9.2.

    >>> from timedist.distributions import Categorical, Laplace, Normal
    >>> Mixture(Categorical(probs=[0.3, 0.7]), [Normal(0.0, 1.0), Laplace(1.0, 2.0)])
    Mixture(Normal, Laplace)(batch_shape=(), event_shape=(), dtype=float32)
    """

    components: Any = component(many=True)

    def _check(self) -> None:
        self._check_mixture()
        first, batch = self.components[0], self.mixture.batch_shape
        if len(self.components) != self.mixture.num_categories:
            raise ValueError(
                f"Mixture: the mixture has {self.mixture.num_categories} categories, but there are "
                f"{len(self.components)} components"
            )
        for part in self.components:
            same = may_be_equal(part.batch_shape, batch)
            if not same or not may_be_equal(part.event_shape, first.event_shape):
                raise ValueError(
                    f"Mixture: components must have batch shape {batch} (the mixture's) and event "
                    f"shape {first.event_shape}, got {part!r}"
                )
            if part.discrete != first.discrete:
                raise ValueError(
                    "Mixture: components must be all continuous or all discrete, since densities "
                    f"and probabilities do not add; got {first!r} and {part!r}"
                )

    def _batch_shape(self) -> Shape:
        return self.mixture.batch_shape

    def _lift(self, x: Tensor, rank: int) -> Tensor:
        del rank
        return x

    def _each(self, function: Callable, rank: int = 0, given: tuple = ()) -> Tensor:
        parts = self.components
        if given:
            parts = [self._conditional_of(part, *given) for part in parts]
        return ops.stack([_asked(self, function, part) for part in parts], axis=-1 - rank)

    def _draw_each(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        seeds = random.split(seed, len(self.components))
        draws = [
            ops.cast(part._plain_draw(sample_shape, each), self.dtype)
            for part, each in zip(self.components, seeds, strict=True)
        ]
        return ops.stack(draws, axis=-1 - self._rank)

    def _part_landmarks(self) -> list[list[Tensor]]:
        return [list(part._hook("landmarks")()) for part in self.components]


def _asked(whole: Mixing, function: Callable, part: Distribution) -> Tensor:
    """`function(part)`; what it cannot give, the mixture cannot either, and says so."""
    try:
        return function(part)
    except NotImplementedError as error:
        raise NotImplementedError(f"{whole._family}: {error}") from error


def _log_mass(part: Distribution, k: Tensor) -> Tensor:
    """The log mass of a component at real k, -inf beyond the ends of its support."""
    low, high = numerical.support(part, k)
    zero = ops.zeros_like(low)
    inside = (k >= low) & (k <= high)
    body = part._hook("log_mass")(special.minimum(special.maximum(k + zero, low), high))
    return special.where(inside, body, -math.inf)


def _log_tails(part: Distribution, k: Tensor) -> tuple[Tensor, Tensor]:
    """Both log tails of a component at real k."""
    low, high = numerical.support(part, k)
    zero = ops.zeros_like(low)
    below, above = k < low, k >= high
    inside = special.maximum(special.minimum(k + zero, high - 1.0), low)
    lower, upper = part._hook("log_tails")(inside)
    infinity = float("inf")
    lower = special.where(below, -infinity, special.where(above, 0.0, lower))
    return lower, special.where(below, 0.0, special.where(above, -infinity, upper))
