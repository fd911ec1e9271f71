"""What is asked of a trained `VariationalRNN`; see `latent_tasks` for how it is run."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from timedist import distributions as td
from timedist.ops import scans, special
from timedist.ops.random import StepSeed, draw_key, uniform
from timedist.sequence.latent_tasks import surprise

Tensor = Any


def encoded(vrnn: Any, x: Tensor, mask: Tensor | None, seed: Any) -> td.Distribution:
    """The posterior at every step, given the means of those before."""
    del seed
    return _central(vrnn, x, mask).posterior


def reconstructed(vrnn: Any, x: Tensor, mask: Tensor | None, seed: Any) -> td.Distribution:
    """The distribution at every step given the means of the posteriors."""
    del seed
    return _central(vrnn, x, mask).likelihood


def _central(vrnn: Any, x: Tensor, mask: Tensor | None) -> Any:
    return vrnn.path(x, ops.zeros_like(vrnn.noise(x, 0)), mask)


def bound(vrnn: Any, x: Tensor, mask: Tensor | None, seed: Any, num_samples: int) -> Tensor:
    """The importance-weighted bound of every sequence, `(batch,)`."""
    each = ops.sum(_log_weights(vrnn, x, mask, seed, num_samples), axis=-1)
    return ops.logsumexp(each, axis=1) - math.log(num_samples)


def step_scores(vrnn: Any, x: Tensor, mask: Tensor | None, seed: Any, num_samples: int) -> Tensor:
    """What every step takes from the bound, an estimate of -log p(x_t | x_<t); `(batch, time)`."""
    log_weights = special.cumsum(_log_weights(vrnn, x, mask, seed, num_samples))
    upto = ops.logsumexp(log_weights, axis=1) - math.log(num_samples)
    before = ops.concatenate([ops.zeros_like(upto[:, :1]), upto[:, :-1]], axis=1)
    return before - upto


def _log_weights(vrnn: Any, x: Tensor, mask: Tensor | None, seed: Any, number: int) -> Tensor:
    """The logarithms of the weights of every step of every draw, `(batch, number, time)`."""
    rows, mask = _repeated(x, mask, number)
    path = vrnn.path(rows, vrnn.noise(rows, seed), mask)
    return ops.reshape(_weights_of(vrnn, path, rows, mask), (-1, number, ops.shape(x)[1]))


def _repeated(x: Tensor, mask: Tensor | None, number: int) -> tuple[Tensor, Tensor | None]:
    """Sequences and their mask, each so many times, one after the other."""
    return ops.repeat(x, number, axis=0), None if mask is None else ops.repeat(mask, number, axis=0)


def _weights_of(vrnn: Any, path: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """log p(x_t, z_t | past) - log q(z_t | past) of the steps of a path; 0 where masked."""
    ratio = path.prior.log_prob(path.z) - path.posterior.log_prob(path.z)
    if mask is not None:
        ratio = special.where(mask, ratio, 0.0)
    return ratio - surprise(vrnn, path.likelihood, x, mask)


def resampled_bound(
    vrnn: Any, x: Tensor, mask: Tensor | None, seed: Any, num_samples: int
) -> Tensor:
    """The bound of every sequence by a particle filter in one compiled loop, `(batch,)`."""
    rows, mask = _repeated(x, mask, num_samples)
    inputs, mask = vrnn.inputs(rows, vrnn.noise(rows, seed), mask)
    steps, cell = ops.shape(x)[1], vrnn.recurrence.cell
    uniforms = uniform((ops.shape(x)[0], steps), vrnn.path_dtype, seed)
    states = [
        ops.cast(state, cell.compute_dtype)
        for state in vrnn.recurrence.get_initial_state(ops.shape(rows)[0])
    ]

    def body(i: Tensor, carry: tuple) -> tuple:
        states, log_weights, total = carry
        now = None if mask is None else ops.take(mask, i, axis=1)
        outputs, new = cell(ops.take(inputs, i, axis=1), states)
        path = vrnn.assembled(outputs, new, now)
        each = _weights_of(vrnn, path, ops.take(rows, i, axis=1), now)
        log_weights = log_weights + ops.reshape(each, (-1, num_samples))
        if now is not None:
            new = [special.where(now[:, None], a, b) for a, b in zip(new, states, strict=True)]
        kept, log_weights, gained = _resampled(log_weights, ops.take(uniforms, i, axis=1))
        return [ops.take(state, kept, axis=0) for state in new], log_weights, total + gained

    weightless = ops.zeros((ops.shape(x)[0], num_samples), vrnn.draw_dtype)
    _, log_weights, total = ops.fori_loop(
        0, steps, body, (states, weightless, ops.zeros_like(weightless[:, 0]))
    )
    return total + ops.logsumexp(log_weights, axis=1) - math.log(num_samples)


def _resampled(log_weights: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draws in the place of others where few of a sequence have most of its weight.

    Systematic resampling: which rows of all draws are kept, the new weights, and the logarithm of
    the mean weight of those that were resampled.
    """
    number = log_weights.shape[1]
    mean = ops.logsumexp(log_weights, axis=1) - math.log(number)
    shares = ops.exp(log_weights - mean[:, None]) / number
    few = ops.sum(ops.square(shares), axis=1) * number > 2.0  # an effective number below half
    ends = special.cumsum(shares)[:, None]
    numbers = ops.arange(number, dtype="int32")
    places = (ops.cast(numbers, u.dtype) + u[:, None]) / number
    found = ops.sum(ops.cast(ends[..., :-1] < places[..., None], "int32"), axis=-1)
    kept = ops.where(few[:, None], found, numbers)
    first = ops.arange(ops.shape(log_weights)[0], dtype="int32")[:, None] * number
    left = ops.where(few[:, None], ops.zeros_like(log_weights), log_weights)
    return ops.reshape(first + kept, (-1,)), left, ops.where(few, mean, ops.zeros_like(mean))


def generated(vrnn: Any, rows: Tensor, mask: Tensor | None, seed: Any, steps: int) -> Tensor:
    """Draws of as many sequences as there are rows."""
    del mask
    number, key = ops.shape(rows)[0], draw_key(seed)
    blocks, each = scans.in_blocks(number)

    def block(i: Tensor) -> Tensor:
        return _continued(vrnn, vrnn.recurrence.get_initial_state(each), key, i, steps)

    drawn = scans.blocks(block, blocks)
    return ops.reshape(drawn, (-1, *drawn.shape[2:]))[:number]


def followed(
    vrnn: Any, x: Tensor, mask: Tensor | None, seed: Any, steps: int, number: int
) -> Tensor:
    """Draws of what follows every sequence, `(batch, number, steps) + event`."""
    sequences = ops.shape(x)[0]
    blocks, each = scans.in_blocks(number, sequences)
    keys = draw_key(seed), draw_key(seed)

    def block(i: Tensor) -> Tensor:
        rows, seen = _repeated(x, mask, each)
        states = vrnn.path(rows, vrnn.noise(rows, StepSeed(keys[0], i)), seen).states
        drawn = _continued(vrnn, states, keys[1], i, steps)
        return ops.reshape(drawn, (-1, each, *drawn.shape[1:]))

    drawn = ops.moveaxis(scans.blocks(block, blocks), 0, 1)
    return ops.reshape(drawn, (sequences, -1, *drawn.shape[3:]))[:, :number]


def _continued(vrnn: Any, states: list, key: Tensor, block: Tensor, steps: int) -> Tensor:
    """Draws of the steps after the states, in one compiled loop that feeds each draw back."""
    cell = vrnn.recurrence.cell
    # The recurrence gives states in the precision of the noise.
    states = [ops.cast(state, cell.compute_dtype) for state in states]

    def body(states: list, i: Tensor) -> tuple:
        step_seed = StepSeed(key, i)
        latent = cell.read(vrnn.prior(states[0]).draw(seed=step_seed))
        likelihood = vrnn.decoder(ops.concatenate([latent, states[0]], axis=-1))
        x = ops.reshape(likelihood.draw(seed=step_seed), (-1, vrnn.channels))
        x = ops.cast(x, vrnn.draw_dtype)
        return cell.advance(vrnn.read(x), latent, states), x

    draws = block * steps + ops.arange(steps, dtype="int32")
    _, drawn = scans.loop(body, states, draws, steps)
    return ops.reshape(ops.moveaxis(drawn, 0, 1), (-1, steps, *vrnn.event_shape))
