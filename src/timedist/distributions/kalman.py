"""Recursions of linear Gaussian state space models: the filter, the smoother, moments and paths.

All tensors have the axes `lead + (steps,) + core`: means `(..., T, n)` and matrices `(..., T, n,
n)`. The axis of steps of what does not change has size 1. Nothing but the covariances of the
observations is factored, so the noise of the states may be singular.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from timedist.ops import compat, linalg, scans, special

Tensor = Any

_LOG_2PI = math.log(2.0 * math.pi)


class Model(NamedTuple):
    r"""The matrices of $z_{t+1} = F z_t + c + w,\ x_t = H z_t + d + v$ with covariances of w and v.

    Attributes:
        steps: the number T of steps.
        mean: of the first state, shape `lead + (n,)`.
        cov: of the first state, shape `lead + (n, n)`.
        transition: F, shape `lead + (steps, n, n)`; the last leads beyond the observations.
        drift: c, shape `lead + (steps, n)`.
        noise: Q, the covariance of w, shape `lead + (steps, n, n)`.
        observation: H, shape `lead + (steps, m, n)`.
        offset: d, shape `lead + (steps, m)`.
        error: R, the covariance of v, shape `lead + (steps, m, m)`.
    """

    steps: int
    mean: Tensor
    cov: Tensor
    transition: Tensor
    drift: Tensor
    noise: Tensor
    observation: Tensor
    offset: Tensor
    error: Tensor


class Filtered(NamedTuple):
    """What the Kalman filter knows, step by step; `lead` is the batch and what broadcasts over it.

    Attributes:
        log_likelihoods: log density of each observation given those before it, `lead + (T,)`.
        filtered_means: of the states given the observations so far, `lead + (T, n)`.
        filtered_covs: their covariances, `lead + (T, n, n)`.
        predicted_means: of the next states given the same, `lead + (T, n)`.
        predicted_covs: their covariances, `lead + (T, n, n)`.
        observation_means: of the observations given those before, `lead + (T, m)`.
        observation_covs: their covariances, `lead + (T, m, m)`.
    """

    log_likelihoods: Tensor
    filtered_means: Tensor
    filtered_covs: Tensor
    predicted_means: Tensor
    predicted_covs: Tensor
    observation_means: Tensor
    observation_covs: Tensor


# --- what all recursions share ------------------------------------------------------------------


def symmetric(matrix: Tensor) -> Tensor:
    """Matrices without the asymmetry of their rounding."""
    return 0.5 * (matrix + linalg.transpose(matrix))


def congruence(matrix: Tensor, cov: Tensor) -> Tensor:
    """matrix cov matrix^T."""
    return linalg.matmul(linalg.matmul(matrix, cov), linalg.transpose(matrix))


def along_steps(
    step: Callable, start: Any, steps: int, vectors: dict, matrices: dict, reverse: bool = False
) -> Any:
    """All states of a recursion over tensors of the layout of this module.

    Args:
        step: `step(state, constants, entries)` of the module's top level, the last two dictionaries
            of tensors by name: those that stay, and those of this step.
        start: structure of tensors without an axis of steps.
        steps: the number of steps.
        vectors: tensors with one axis behind that of the steps, by name.
        matrices: tensors with two axes behind it, by name.
        reverse: whether the last step comes first.

    Returns:
        The structure of states after each step, with the axis of steps in front of all others.
    """
    constants, sequences = {}, {}
    for rank, tensors in ((1, vectors), (2, matrices)):
        for name, x in tensors.items():
            axis = len(x.shape) - rank - 1
            if x.shape[axis] == 1:
                constants[name] = ops.squeeze(x, axis=axis)
            else:
                sequences[name] = ops.moveaxis(x, axis, 0)
    return scans.scan(step, start, constants, sequences, steps, reverse)


def _steps_inside(states: Tensor, rank: int) -> Tensor:
    """From an axis of steps in front to one in front of the last `rank` axes."""
    return ops.moveaxis(states, 0, -1 - rank)


def _before(first: Tensor, states: Tensor) -> Tensor:
    """The states at the beginning of each step, from those after it."""
    return ops.concatenate([first[None], states[:-1]], axis=0)


def _lead_of(*zeros: Tensor) -> Tensor:
    """Zeros of the shape that all broadcast to."""
    return compat.broadcast_arrays(*zeros)[0]


# --- the filter ---------------------------------------------------------------------------------


def _updated(mean: Tensor, cov: Tensor, given: dict) -> tuple[Tensor, ...]:
    """Mean and covariance given y = H z + v, in Joseph's form, which stays positive.

    Returns:
        Mean, covariance, the innovation, and the Cholesky factor of its covariance.

    Source: Bucy, Joseph: Filtering for Stochastic Processes (1968), chapter 9.
    """
    h, error = given["observation"], given["error"]
    surprise = given["y"] - linalg.product(h, mean)
    across = linalg.matmul(h, cov)
    root = ops.cholesky(symmetric(linalg.matmul(across, linalg.transpose(h)) + error))
    gain = linalg.transpose(linalg.cholesky_solve(root, across))
    kept = linalg.plus_diagonal(-linalg.matmul(gain, h), 1.0)
    cov = symmetric(congruence(kept, cov) + congruence(gain, error))
    return mean + linalg.product(gain, surprise), cov, surprise, root


def _filter_step(state: tuple, constants: dict, entries: dict) -> tuple:
    given = {**constants, **entries}
    mean, cov, _, _ = _updated(state[0], state[1], given)
    return _advanced(mean, cov, given)


def _advanced(mean: Tensor, cov: Tensor, given: dict) -> tuple[Tensor, Tensor]:
    f = given["transition"]
    mean = linalg.product(f, mean) + given["drift"]
    return mean, symmetric(congruence(f, cov) + given["noise"])


def kalman_filter(model: Model, x: Tensor, observed: Tensor | None = None) -> Filtered:
    """Filter the observations, those missing marginalised exactly, single components too.

    Args:
        model: the state space model.
        x: observations, shape `lead + (T, m)`, where `lead` broadcasts against that of the model.
        observed: boolean tensor that broadcasts against `x`; values elsewhere do not matter.

    Returns:
        See `Filtered`.

    Source: Kalman: A New Approach to Linear Filtering and Prediction Problems (1960); Durbin,
    Koopman: Time Series Analysis by State Space Methods (2012), sections 4.3 and 4.10.
    """
    y, h, error, missing = _only_observed(model, x, observed)
    dynamics = {"transition": model.transition, "noise": model.noise}
    vectors = {"y": y, "drift": model.drift}
    matrices = {"observation": h, "error": error, **dynamics}
    covs = _lead_of(model.cov, ops.zeros_like(h[..., 0, :1, :]))
    means = _lead_of(model.mean, covs[..., 0], ops.zeros_like(y[..., 0, :1]))
    after = along_steps(_filter_step, (means, covs), model.steps, vectors, matrices)
    mean = _steps_inside(_before(means, after[0]), 1)
    cov = _steps_inside(_before(covs, after[1]), 2)
    given = {"y": y, "observation": h, "error": error}
    updated_mean, updated_cov, surprise, root = _updated(mean, cov, given)
    z = linalg.solve_triangular(root, surprise)
    log_likelihoods = -0.5 * ops.sum(ops.square(z) + _LOG_2PI * (1.0 - missing), axis=-1)
    log_likelihoods = log_likelihoods - ops.sum(ops.log(linalg.diagonal(root)), axis=-1)
    seen = observations_of(model, mean, cov)
    ahead = (_steps_inside(after[0], 1), _steps_inside(after[1], 2))
    return Filtered(log_likelihoods, updated_mean, updated_cov, *ahead, *seen)


def _only_observed(model: Model, x: Tensor, observed: Tensor | None) -> tuple[Tensor, ...]:
    """Observations less their offset, H, R, and what is missing.

    What is missing sees nothing of the state: it is zero, with a standard normal error.
    """
    y = x - model.offset
    if observed is None:
        return y, model.observation, model.error, ops.zeros_like(y)
    seen = ops.logical_and(observed, ops.ones_like(x, dtype="bool"))
    pairs = ops.logical_and(seen[..., :, None], seen[..., None, :])
    alone = special.where(linalg.on_diagonal(seen), ops.ones_like(model.error), 0.0)
    error = ops.where(pairs, model.error, alone)
    h = special.where(seen[..., None], model.observation, 0.0)
    y = special.where(seen, ops.where(seen, x, ops.zeros_like(x)) - model.offset, 0.0)
    return y, h, error, special.where(seen, ops.zeros_like(y), 1.0)


def observations_of(model: Model, mean: Tensor, cov: Tensor) -> tuple[Tensor, Tensor]:
    """Means and covariances of the observations from those of the states."""
    h = model.observation
    seen = linalg.product(h, mean) + model.offset
    return seen, symmetric(congruence(h, cov) + model.error)


# --- the smoother -------------------------------------------------------------------------------


def _smoother_step(state: tuple, constants: dict, entries: dict) -> tuple:
    given = {**constants, **entries}
    gain = given["gain"]
    mean = given["mean"] + linalg.product(gain, state[0] - given["ahead"])
    return mean, symmetric(given["own"] + congruence(gain, state[1]))


def smoother(model: Model, found: Filtered) -> tuple[Tensor, Tensor]:
    """Means and covariances of the states given all observations, from what the filter found.

    $P = (I - J F) P_f (I - J F)^T + J (P_{next} + Q) J^T$ for the gain J stays positive.

    Source: Rauch, Tung, Striebel: Maximum Likelihood Estimates of Linear Dynamic Systems (1965).
    """
    gain = _smoother_gain(model, found)
    kept = linalg.plus_diagonal(-linalg.matmul(gain, model.transition), 1.0)
    own = congruence(kept, found.filtered_covs) + congruence(gain, model.noise)
    last = (found.predicted_means[..., -1, :], found.predicted_covs[..., -1, :, :])
    vectors = {"mean": found.filtered_means, "ahead": found.predicted_means}
    matrices = {"gain": gain, "own": own}
    means, covs = along_steps(_smoother_step, last, model.steps, vectors, matrices, reverse=True)
    return _steps_inside(means, 1), _steps_inside(covs, 2)


def _smoother_gain(model: Model, found: Filtered) -> Tensor:
    """J = P_f F^T P_ahead^-1; zero at the last step, which nothing follows.

    Directions without variance get some units of rounding, so that the matrix has a factor.
    """
    ahead = found.predicted_covs
    size = linalg.diagonal(ahead)
    size = ops.where(size > 0.0, size, ops.ones_like(size))
    root = ops.cholesky(linalg.with_diagonal(ahead, size * (1.0 + 8.0 * compat.epsilon(size))))
    across = linalg.matmul(model.transition, found.filtered_covs)
    gain = linalg.transpose(linalg.cholesky_solve(root, across))
    return ops.concatenate([gain[..., :-1, :, :], ops.zeros_like(gain[..., -1:, :, :])], axis=-3)


# --- before anything is observed ----------------------------------------------------------------


def _moments_step(state: tuple, constants: dict, entries: dict) -> tuple:
    return _advanced(state[0], state[1], {**constants, **entries})


def _moments(model: Model) -> tuple[tuple, tuple]:
    """Mean and covariance of the first state, and stacked those of all after it."""
    start = (model.mean, model.cov)
    matrices = {"transition": model.transition, "noise": model.noise}
    return start, along_steps(_moments_step, start, model.steps, {"drift": model.drift}, matrices)


def state_moments(model: Model) -> tuple[Tensor, Tensor]:
    """Means `lead + (T, n)` and covariances `lead + (T, n, n)` of the states."""
    (mean, cov), (means, covs) = _moments(model)
    return _steps_inside(_before(mean, means), 1), _steps_inside(_before(cov, covs), 2)


def _row_step(row: Tensor, constants: dict, entries: dict) -> Tensor:
    """Covariances of a state with all states up to it, `(..., T, n, n)`, from those one before."""
    given = {**constants, **entries}
    moved = linalg.matmul(given["transition"][..., None, :, :], row)
    return ops.where(given["now"][:, None, None] > 0.5, given["ahead"][..., None, :, :], moved)


def joint_covariance(model: Model) -> Tensor:
    """Covariances of all components of all observations, shape `lead + (T, m, T, m)`."""
    (_, cov), (_, covs) = _moments(model)
    dtype, number = compat.dtype_of(cov), model.steps
    own, following = (ops.convert_to_tensor(np.eye(number, k=k, dtype=dtype)) for k in (0, 1))
    start = special.where(own[0][:, None, None] > 0.5, cov[..., None, :, :], 0.0)
    matrices = {"transition": model.transition, "ahead": _steps_inside(covs, 2)}
    rows = along_steps(_row_step, start, number, {"now": following}, matrices)
    rows = _steps_inside(_before(start, rows), 3)
    h = model.observation
    lower = linalg.matmul(h[..., :, None, :, :], rows)
    lower = linalg.matmul(lower, linalg.transpose(h)[..., None, :, :, :])
    below = ops.convert_to_tensor(np.tri(number, dtype="bool")[:, :, None, None])
    joint = ops.where(below, lower, linalg.transpose(ops.swapaxes(lower, -4, -3)))
    joint = joint + own[:, :, None, None] * model.error[..., :, None, :, :]
    return ops.swapaxes(joint, -3, -2)


# --- paths --------------------------------------------------------------------------------------


def _path_step(state: Tensor, constants: dict, entries: dict) -> Tensor:
    given = {**constants, **entries}
    return linalg.product(given["transition"], state) + given["shock"]


def paths(model: Model, first: Tensor, shocks: Tensor) -> Tensor:
    """The states `(..., T, n)` from the first, `(..., n)`, and what is added on the way to others.

    The last of the shocks `(..., T, n)` is not used.
    """
    after = along_steps(
        _path_step, first, model.steps, {"shock": shocks}, {"transition": model.transition}
    )
    return _steps_inside(_before(first, after), 1)
