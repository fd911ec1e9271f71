"""Sequences that a hidden Markov chain makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from keras import ops

from timedist.distributions import shapes
from timedist.distributions.base import Distribution
from timedist.distributions.composite import in_one_batch
from timedist.distributions.discrete import Categorical
from timedist.distributions.fields import component, static
from timedist.distributions.mixtures import MixtureSameFamily
from timedist.distributions.state_space import STEPS_DEPEND
from timedist.distributions.value import Shape
from timedist.distributions.wrappers import may_be_equal
from timedist.ops import compat, linalg, random, scans, special

Tensor = Any


class HiddenMarkovModel(Distribution):
    r"""The distribution of a sequence x whose values depend on a hidden Markov chain z.

    $p(x) = \sum_z p(z_0) \prod_t p(z_{t+1} \mid z_t) \prod_t p(x_t \mid z_t)$

    Args:
        initial_distribution: `Categorical` of the first of K states, with batch shape
            `batch_shape`.
        transition_distribution: `Categorical` of the next state, batch shape `batch_shape + (K,)`
            by the state before.
        observation_distribution: distribution of an observation, of any family, with batch shape
            `batch_shape + (K,)` by the state.
        num_steps: the number T of steps.
        time_varying_transition_distribution: whether the transitions differ from step to step; then
            their batch shape is `batch_shape + (T - 1, K)`. Default `False`.
        time_varying_observation_distribution: whether the observations do; then their batch shape
            is `batch_shape + (T, K)`. Default `False`.

    Raises:
        TypeError: if one of the first two is no `Categorical`.
        ValueError: if the shapes do not fit.

    The batch shapes broadcast. Events have shape `(T,)` and behind it the shape of an observation.
    The density is the exact sum over all paths, by the forward algorithm; `log_prob_where` leaves
    out what is missing exactly. Draws have no gradients: the chain jumps.

    Source: Rabiner: A Tutorial on Hidden Markov Models and Selected Applications in Speech
    Recognition (1989).

    Cold days that follow each other, and warm ones:

    >>> from timedist.distributions import Normal
    >>> weather = HiddenMarkovModel(
    ...     initial_distribution=Categorical(probs=[0.8, 0.2]),
    ...     transition_distribution=Categorical(probs=[[0.7, 0.3], [0.2, 0.8]]),
    ...     observation_distribution=Normal(loc=[0.0, 15.0], scale=[5.0, 10.0]),
    ...     num_steps=7,
    ... )
    >>> weather
    HiddenMarkovModel(batch_shape=(), event_shape=(7,), dtype=float32)
    >>> [int(state) for state in weather.posterior_mode([-2.0, 0.0, 2.0, 4.0, 6.0, 20.0, 22.0])]
    [0, 0, 0, 0, 0, 1, 1]
    """

    initial_distribution: Any = component()
    transition_distribution: Any = component()
    observation_distribution: Any = component()
    num_steps: int = static()
    time_varying_transition_distribution: bool = static(False)
    time_varying_observation_distribution: bool = static(False)

    _masked_axes = 1
    absent: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("cdf", "log_cdf", "survival", "log_survival", "quantile", "crps"), STEPS_DEPEND
        ),
        "mode": "the density may have many peaks; `.posterior_mode(x)` has the most probable "
        "states, `.marginals()` the distribution of every step",
        "covariance": "take that of `.sample(1000)`; `.variance()` is exact",
        "entropy": "estimate it by `x, log_p = d.sample_and_log_prob(1000)` and the mean of "
        "`-log_p`",
    }

    # --- construction --------------------------------------------------------------------------

    @property
    def discrete(self) -> bool:  # type: ignore[override]
        """Whether the observations are discrete."""
        return self.observation_distribution.discrete

    @property
    def num_states(self) -> int:
        """The number K of states."""
        return self.initial_distribution.num_categories

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        number = values["num_steps"]
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"HiddenMarkovModel: num_steps must be an int >= 1, got {number!r}")
        if number == 1 and values["time_varying_transition_distribution"]:
            raise ValueError(
                "HiddenMarkovModel: one step has no transitions that could be time-varying"
            )
        values = super()._prepared(values)
        for name in ("initial_distribution", "transition_distribution"):
            if not isinstance(values[name], Categorical):
                raise TypeError(
                    f"HiddenMarkovModel: {name} must be a Categorical, got {values[name]!r}"
                )
        return in_one_batch("HiddenMarkovModel", values, self._batch_zeros(values))

    @staticmethod
    def _batch_zeros(values: dict[str, Any]) -> dict[str, Tensor]:
        """Zeros of the batch shape of each part, without its axes of steps and states."""
        states, number = values["initial_distribution"].num_categories, values["num_steps"]
        zeros = {}
        for name, sizes in _axes_behind(values).items():
            part = values[name]
            own = part.batch_shape[max(0, len(part.batch_shape) - len(sizes)) :]
            if not may_be_equal(own, sizes):
                raise ValueError(
                    f"HiddenMarkovModel: {name} must have a batch shape that ends in {sizes}, for "
                    f"{states} states and {number} steps, got {part!r}"
                )
            zeros[name] = part._zeros()[(..., *(0,) * len(sizes))]
        if values["transition_distribution"].num_categories != states:
            raise ValueError(
                f"HiddenMarkovModel: transition_distribution must be over the {states} states of "
                f"initial_distribution, got {values['transition_distribution'].num_categories}"
            )
        return zeros

    def _batch_shape(self) -> Shape:
        return self.initial_distribution.batch_shape

    def _event_shape(self) -> Shape:
        return (self.num_steps, *self.observation_distribution.event_shape)

    def _zeros(self) -> Tensor:
        return self.initial_distribution._zeros()

    # --- as tensors ----------------------------------------------------------------------------

    @property
    def _observations(self) -> Distribution:
        """Those of each step and state: batch shape `batch_shape + (T or 1, K)`."""
        part, rank = self.observation_distribution, len(self.batch_shape)
        if self.time_varying_observation_distribution:
            return part
        return part.map_batch(lambda x: ops.expand_dims(x, rank))

    def _log_start(self) -> Tensor:
        return self.initial_distribution._log_probs()

    def _log_transitions(self) -> Tensor:
        """Shape `batch_shape + (T - 1 or 1, K, K)`."""
        log_probs = self.transition_distribution._log_probs()
        if self.time_varying_transition_distribution:
            return log_probs
        return ops.expand_dims(log_probs, len(self.batch_shape))

    def _log_likelihoods(self, x: Tensor, observed: Tensor | None = None) -> Tensor:
        """Of each observation in each state, shape `(..., T, K)`."""
        x = x + ops.zeros(self.event_shape, dtype=self.dtype)
        axis = -1 - len(self.observation_distribution.event_shape)
        lifted, parts = ops.expand_dims(x, axis), self._observations
        if observed is None:
            return parts._hook("log_prob")(lifted)
        seen = ops.logical_and(observed, ops.ones_like(x, dtype="bool"))
        seen = ops.logical_and(
            ops.expand_dims(seen, axis), ops.ones_like(lifted + _event_zeros(parts), dtype="bool")
        )
        return parts._log_prob_of_observed(lifted, seen)

    def _chain(self, step: Any, start: Tensor, steps: dict, reverse: bool = False) -> Any:
        """All states of a recursion over T - 1 transitions, stacked along a first axis.

        Args:
            step: `step(state, constants, entries)` of the module's top level.
            start: the state before it.
            steps: tensors `(T - 1, ...)` by name, beside the transitions.
            reverse: whether the last step comes first.
        """
        rank = len(self.batch_shape)
        log_probs, constants = self._log_transitions(), {}
        if self.time_varying_transition_distribution:
            steps = {**steps, "transition": ops.moveaxis(log_probs, rank, 0)}
        else:
            constants = {"transition": ops.squeeze(log_probs, axis=rank)}
        return scans.scan(step, start, constants, steps, self.num_steps - 1, reverse)

    def _forward(self, each: Tensor) -> Tensor:
        """log p(x_0..t, z_t) for `each` log likelihood, shape `(T, ..., K)`."""
        each = ops.moveaxis(each + ops.zeros_like(self._log_start())[..., None, :], -2, 0)
        start = self._log_start() + each[0]
        if self.num_steps == 1:
            return start[None]
        rest = self._chain(_forward_step, start, {"each": each[1:]})
        return ops.concatenate([start[None], rest], axis=0)

    # --- the surface ---------------------------------------------------------------------------

    def _log_prob(self, x: Tensor) -> Tensor:
        return special.logsumexp(self._forward(self._log_likelihoods(x))[-1])

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        return special.logsumexp(self._forward(self._log_likelihoods(x, observed))[-1])

    def _by_step(self) -> MixtureSameFamily:
        """The distribution of every step alone, the axis of steps in its batch."""
        prior = self.prior_marginals()
        parts, rank = self._observations, len(self.batch_shape)
        if not self.time_varying_observation_distribution:
            parts = parts.map_batch(lambda x: _repeated(x, self.num_steps, rank))
        return MixtureSameFamily.trusted(mixture=prior, components=parts)

    def _mean(self) -> Tensor:
        return self._by_step().mean()

    def _variance(self) -> Tensor:
        return self._by_step().variance()

    def _marginals(self) -> Distribution:
        return self._by_step().marginals()

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self._draw(sample_shape, seed)

    def _draw(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        start = self._log_start()
        noise = _gumbel((self.num_steps, *sample_shape, *ops.shape(start)), self.dtype, first)
        states = _chosen(start + noise[0])[None]
        if self.num_steps > 1:
            rest = self._chain(_draw_step, states[0], {"noise": noise[1:]})
            states = ops.concatenate([states, rest], axis=0)
        states = ops.moveaxis(states, 0, -2) > 0.5
        each = self._draw_each(sample_shape, second)
        event = len(self.observation_distribution.event_shape)
        states = ops.reshape(states, (*ops.shape(states), *(1,) * event))
        return ops.stop_gradient(ops.sum(special.where(states, each, 0), axis=-1 - event))

    def _draw_each(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        """A draw of every step in every state, whether the chain is in it or not."""
        part = self.observation_distribution
        if self.time_varying_observation_distribution:
            return part._plain_draw(sample_shape, seed)
        draws = part._plain_draw((self.num_steps, *sample_shape), seed)
        return ops.moveaxis(draws, 0, len(sample_shape) + len(self.batch_shape))

    # --- of the states -------------------------------------------------------------------------

    def prior_marginals(self) -> Categorical:
        """The distribution of each state before anything is observed.

        Returns:
            `Categorical` with batch shape `batch_shape + (T,)`.
        """
        d = self._on_device()
        log_probs = d._forward(ops.zeros_like(d._log_start())[..., None, :] + d._no_likelihood())
        return Categorical.trusted(logits=ops.moveaxis(log_probs, 0, -2))

    def _no_likelihood(self) -> Tensor:
        return ops.zeros((self.num_steps, self.num_states), dtype=self.dtype)

    def posterior_marginals(self, x: Any, observed: Any = None) -> Categorical:
        """The distribution of each state given all observations.

        Args:
            x: observations, tensor that broadcasts against `batch_shape + event_shape`.
            observed: boolean tensor that broadcasts likewise; what is not observed may be NaN and
                tells nothing. Default `None`: everything is observed.

        Returns:
            `Categorical` with batch shape `(..., T)`.

        Raises:
            ValueError: if the shape of `x` does not fit.
        """
        d = self._on_device()
        each = d._likelihoods_of(x, observed, "posterior_marginals")
        forward = d._forward(each)
        if d.num_steps > 1:
            each = ops.moveaxis(each + 0.0 * ops.moveaxis(forward, 0, -2), -2, 0)
            last = ops.zeros_like(forward[-1])
            rest = d._chain(_backward_step, last, {"each": each[1:]}, reverse=True)
            forward = forward + ops.concatenate([rest, last[None]], axis=0)
        return Categorical.trusted(logits=ops.moveaxis(forward, 0, -2))

    def posterior_mode(self, x: Any, observed: Any = None) -> Tensor:
        """The most probable path of the states given all observations, by Viterbi's algorithm.

        Args:
            x: as for `posterior_marginals`.
            observed: as for `posterior_marginals`.

        Returns:
            Tensor of int32, shape `(..., T)`.

        Raises:
            ValueError: if the shape of `x` does not fit.

        Source: Viterbi: Error Bounds for Convolutional Codes (1967).
        """
        d = self._on_device()
        return d._traced_back(d._likelihoods_of(x, observed, "posterior_mode"), _best_step, None)

    def posterior_sample(
        self,
        x: Any,
        sample_shape: int | Sequence[int] = (),
        observed: Any = None,
        seed: random.Seed = None,
    ) -> Tensor:
        """Draw paths of the states given all observations.

        Args:
            x: as for `posterior_marginals`.
            sample_shape: int or tuple, the shape of the block of paths. Default `()`: one path.
            observed: as for `posterior_marginals`.
            seed: as for `sample`.

        Returns:
            Tensor of int32, shape `sample_shape + (..., T)`.

        Raises:
            ValueError: if the shape of `x` does not fit.

        Source: Scott: Bayesian Methods for Hidden Markov Models (2002), section 2.
        """
        d = self._on_device()
        each = d._likelihoods_of(x, observed, "posterior_sample")
        lead = ops.shape(each + ops.zeros_like(d._log_start())[..., None, :])
        shape = (d.num_steps, *shapes.as_shape(sample_shape), *lead[:-2], d.num_states)
        return d._traced_back(each, _forward_step, _gumbel(shape, d.dtype, random.check_seed(seed)))

    def _likelihoods_of(self, x: Any, observed: Any, method: str) -> Tensor:
        """The log likelihood of each observation in each state."""
        x = self._as_value(x, method)
        return self._log_likelihoods(x, None if observed is None else ops.cast(observed, "bool"))

    def _traced_back(self, each: Tensor, step: Any, noise: Tensor | None) -> Tensor:
        """States from the last to the first, each the best given the one after it, with noise."""
        each = ops.moveaxis(each + ops.zeros_like(self._log_start())[..., None, :], -2, 0)
        scores = (self._log_start() + each[0])[None]
        if self.num_steps > 1:
            rest = self._chain(step, scores[0], {"each": each[1:]})
            scores = ops.concatenate([scores, rest], axis=0)
        if noise is not None:
            extra = len(noise.shape) - len(scores.shape)
            scores = ops.reshape(scores, (self.num_steps, *(1,) * extra, *ops.shape(scores)[1:]))
            scores = scores + noise
        states = _chosen(scores[-1])[None]
        if self.num_steps > 1:
            rest = self._chain(_back_step, states[0], {"scores": scores[:-1]}, reverse=True)
            states = ops.concatenate([rest, states], axis=0)
        return ops.cast(ops.moveaxis(ops.argmax(states, axis=-1), 0, -1), "int32")


# --- steps --------------------------------------------------------------------------------------


def _forward_step(state: Tensor, constants: dict, entries: dict) -> Tensor:
    given = {**constants, **entries}
    into = linalg.transpose(state[..., None] + given["transition"])
    return special.logsumexp(into) + given["each"]


def _best_step(state: Tensor, constants: dict, entries: dict) -> Tensor:
    given = {**constants, **entries}
    return ops.max(state[..., None] + given["transition"], axis=-2) + given["each"]


def _backward_step(state: Tensor, constants: dict, entries: dict) -> Tensor:
    given = {**constants, **entries}
    return special.logsumexp(given["transition"] + (state + given["each"])[..., None, :])


def _draw_step(state: Tensor, constants: dict, entries: dict) -> Tensor:
    """The next state, as a vector with a one, drawn given this one."""
    given = {**constants, **entries}
    row = special.where(state[..., :, None] > 0.5, given["transition"], 0.0)
    return _chosen(ops.sum(row, axis=-2) + given["noise"])


def _back_step(state: Tensor, constants: dict, entries: dict) -> Tensor:
    """The best state before the one that is known, a vector with a one."""
    given = {**constants, **entries}
    column = special.where(state[..., None, :] > 0.5, given["transition"], 0.0)
    return _chosen(given["scores"] + ops.sum(column, axis=-1))


def _chosen(scores: Tensor) -> Tensor:
    """Vectors with a one where the scores are largest."""
    dtype = compat.dtype_of(scores)
    return ops.one_hot(ops.argmax(scores, axis=-1), int(scores.shape[-1]), dtype=dtype)


def _gumbel(shape: Sequence, dtype: str, seed: random.Seed) -> Tensor:
    return -ops.log(-ops.log(random.uniform(shape, dtype, seed)))


# --- shapes -------------------------------------------------------------------------------------


def _axes_behind(values: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The batch axes of each part behind those of the batch."""
    states, number = values["initial_distribution"].num_categories, values["num_steps"]
    moving = values["time_varying_transition_distribution"]
    seen = values["time_varying_observation_distribution"]
    return {
        "initial_distribution": (),
        "transition_distribution": (number - 1, states) if moving else (states,),
        "observation_distribution": (number, states) if seen else (states,),
    }


def _repeated(x: Tensor, number: int, axis: int) -> Tensor:
    """A tensor with an axis of size 1 repeated along it."""
    shape = ops.shape(x)
    return ops.broadcast_to(x, (*shape[:axis], number, *shape[axis + 1 :]))


def _event_zeros(part: Distribution) -> Tensor:
    """Zeros of the batch and event shape of a part."""
    zeros = part._zeros()
    return zeros[(..., *(None,) * len(part.event_shape))]
