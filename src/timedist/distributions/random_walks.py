"""Sequences of numbers that depend on those before them: random walks and autoregressions."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from keras import ops

from timedist.distributions import constraints, kalman
from timedist.distributions.base import Distribution
from timedist.distributions.composite import in_one_batch
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import component, parameter, static
from timedist.distributions.multivariate import MultivariateNormalTriL, _MultivariateNormal
from timedist.distributions.state_space import STEPS_DEPEND
from timedist.distributions.value import Shape, common_dtype
from timedist.ops import compat, linalg, random, scans, special

Tensor = Any

_ENTROPY = 0.5 * math.log(2.0 * math.pi * math.e)


class _Sequence(Distribution):
    """Parent of the normal sequences of `num_steps` numbers, from their mean and `_root`."""

    _masked_axes = 1
    num_steps: int
    absent: ClassVar[dict[str, str]] = dict.fromkeys(
        ("cdf", "log_cdf", "survival", "log_survival", "quantile", "crps"), STEPS_DEPEND
    )

    def _root(self) -> Tensor:
        """The Cholesky factor of the covariance, shape `batch_shape + (T, T)`."""
        raise NotImplementedError

    def _event_shape(self) -> Shape:
        return (self.num_steps,)

    def _check(self) -> None:
        if not isinstance(self.num_steps, int) or self.num_steps < 1:
            raise ValueError(
                f"{self._family}: num_steps must be an int >= 1, got {self.num_steps!r}"
            )
        super()._check()

    def _whole(self, x: Tensor) -> Tensor:
        return x + ops.zeros(self.event_shape, dtype=self.dtype)

    def _mode(self) -> Tensor:
        return self._hook("mean")()

    def _marginals(self) -> Normal:
        scale = ops.sqrt(self._hook("variance")())
        return Normal.trusted(loc=self._hook("mean")(), scale=scale)

    def _widened(self) -> MultivariateNormalTriL:
        return MultivariateNormalTriL.trusted(loc=self._hook("mean")(), scale_tril=self._root())


class GaussianRandomWalk(_Sequence):
    r"""The distribution of a sequence of T numbers with independent normal steps.

    $x_0 \sim N(\mu_0, \sigma_0^2),\ x_{t+1} = x_t + \delta + \sigma \varepsilon_t$

    Args:
        scale: $\sigma$, standard deviation of a step, positive, tensor of shape `batch_shape`, in
            the unit of the data.
        num_steps: the number T of values, the first included.
        drift: $\delta$, mean of a step, same shape and unit. Default 0.
        initial_loc: $\mu_0$, mean of the first value, likewise. Default 0.
        initial_scale: $\sigma_0$, its standard deviation, positive. Default `None`: `scale`, so
            that the first value is the first step from `initial_loc`.

    Raises:
        ValueError: if a scale is not positive or the shapes do not fit.

    Missing values are left out exactly by `log_prob_where`: between two that are observed lie as
    many steps as the times differ.

    Source: Durbin, Koopman: Time Series Analysis by State Space Methods (2012), section 2.1.

    >>> walk = GaussianRandomWalk(scale=[0.5, 1.0], num_steps=10)
    >>> walk
    GaussianRandomWalk(batch_shape=(2,), event_shape=(10,), dtype=float32)
    >>> float(walk.variance()[1, 3])
    4.0
    """

    scale: Tensor = parameter(constraints.positive)
    num_steps: int = static()
    drift: Tensor = parameter(constraints.real, 0.0)
    initial_loc: Tensor = parameter(constraints.real, 0.0)
    initial_scale: Any = parameter(constraints.positive, None)

    @property
    def _first(self) -> Normal:
        """The first value."""
        scale = self.scale if self.initial_scale is None else self.initial_scale
        return Normal.trusted(loc=self.initial_loc, scale=scale)

    @property
    def _step(self) -> Normal:
        """A step."""
        return Normal.trusted(loc=self.drift, scale=self.scale)

    def _times(self) -> Tensor:
        return ops.convert_to_tensor(np.arange(self.num_steps, dtype=self.dtype))

    def _log_prob(self, x: Tensor) -> Tensor:
        x = self._whole(x)
        step = self._step.map_batch(lambda p: p[..., None])
        steps = step._log_prob(x[..., 1:] - x[..., :-1])
        return self._first._log_prob(x[..., 0]) + ops.sum(steps, axis=-1)

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        x = self._whole(special.where(observed, x, 0.0))
        seen = ops.logical_and(observed, ops.ones_like(x, dtype="bool"))
        times = self._times()
        last = special.largest_so_far(special.where(seen, times, -1.0))
        before = ops.concatenate([special.full_like(last[..., :1], -1.0), last[..., :-1]], axis=-1)
        first = before < 0.0
        index = ops.cast(special.maximum(before, 0.0), "int32")
        start, drift, scale = self._first, self.drift[..., None], self.scale[..., None]
        base = ops.where(first, start.loc[..., None], ops.take_along_axis(x, index, axis=-1))
        own = special.where(first, ops.square(start.scale)[..., None], 0.0)
        gap = ops.where(first, times + 0.0 * before, times - before)
        spread = ops.sqrt(own + gap * ops.square(scale))
        each = Normal.trusted(loc=base + gap * drift, scale=spread)._log_prob(x)
        return ops.sum(special.where(seen, each, 0.0), axis=-1)

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        shape = (*sample_shape, *ops.shape(self.scale), self.num_steps)
        noise = random.normal(shape, self.dtype, seed)
        first, step = self._first, self._step
        start = first.loc[..., None] + first.scale[..., None] * noise[..., :1]
        steps = step.loc[..., None] + step.scale[..., None] * noise[..., 1:]
        return special.cumsum(ops.concatenate([start, steps], axis=-1))

    def _mean(self) -> Tensor:
        return self.initial_loc[..., None] + self.drift[..., None] * self._times()

    def _variance(self) -> Tensor:
        own = ops.square(self._first.scale)[..., None]
        return own + ops.square(self.scale)[..., None] * self._times()

    def _covariance(self) -> Tensor:
        times = self._times()
        shared = special.minimum(times[:, None], times[None, :])
        own = ops.square(self._first.scale)[..., None, None]
        return own + ops.square(self.scale)[..., None, None] * shared

    def _root(self) -> Tensor:
        ones = np.tri(self.num_steps, dtype=self.dtype)
        first = ops.convert_to_tensor(ones * (np.arange(self.num_steps) == 0).astype(self.dtype))
        rest = ops.convert_to_tensor(ones * (np.arange(self.num_steps) > 0).astype(self.dtype))
        scales = (self._first.scale[..., None, None], self.scale[..., None, None])
        return scales[0] * first + scales[1] * rest

    def _entropy(self) -> Tensor:
        return self._first.entropy() + (self.num_steps - 1) * self._step.entropy()

    def _kl(self, other: GaussianRandomWalk) -> Tensor:
        steps = self._step.kl_divergence(other._step)
        return self._first.kl_divergence(other._first) + (self.num_steps - 1) * steps


class Autoregressive(_Sequence):
    r"""The distribution of a sequence of T numbers, each a normal around the p before it.

    $x_t - \mu = \sum_{i=1}^p \phi_i (x_{t-i} - \mu) + \sigma \varepsilon_t$ for $t \ge p$

    Args:
        coefficients: $\phi$, that of the last value first, tensor of shape `batch_shape + (p,)`.
        level_scale: $\sigma$, standard deviation of the noise, positive, shape `batch_shape`, in
            the unit of the data.
        initial_distribution: multivariate normal of the first p values, in the order of time, with
            batch shape `batch_shape`. See `stationary`.
        num_steps: the number T of values, those p included.
        loc: $\mu$, the level that the sequence returns to, shape `batch_shape`. Default 0.

    Raises:
        TypeError: if `initial_distribution` is no multivariate normal of this package.
        ValueError: if a scale is not positive or the shapes do not fit.

    The density is one pass over all steps at once. Missing values are left out exactly by
    `log_prob_where`, by a Kalman filter.

    Source: Hamilton: Time Series Analysis (1994), chapters 3 and 5.

    >>> cycle = Autoregressive.stationary(coefficients=[1.5, -0.8], level_scale=1.0, num_steps=20)
    >>> cycle
    Autoregressive(batch_shape=(), event_shape=(20,), dtype=float32)
    >>> tuple(cycle.sample(100, seed=1).shape)
    (100, 20)
    """

    coefficients: Tensor = parameter(constraints.real, event_rank=1)
    level_scale: Tensor = parameter(constraints.positive)
    initial_distribution: Any = component()
    num_steps: int = static()
    loc: Tensor = parameter(constraints.real, 0.0)

    @classmethod
    def stationary(
        cls, coefficients: Any, level_scale: Any, num_steps: int, loc: Any = 0.0
    ) -> Autoregressive:
        """The sequence that has begun long ago: its variance is the same at every step.

        Args:
            coefficients: as for the constructor; the roots of $1 - \\sum_i \\phi_i z^i$ must lie
                outside the unit circle.
            level_scale: as for the constructor.
            num_steps: as for the constructor.
            loc: as for the constructor.

        Returns:
            The distribution, whose first p values follow from the others. Gradients flow through
            it.

        Raises:
            ValueError: if the coefficients make no stationary sequence, where numbers can be looked
                at, or an argument is not valid.

        Source: Brockwell, Davis: Time Series: Theory and Methods (1991), section 3.3.
        """
        dtype = common_dtype([coefficients, level_scale, loc])
        phi, scale, level = (compat.to_tensor(x, dtype) for x in (coefficients, level_scale, loc))
        root = scale[..., None, None] * _stationary_root(phi)
        mean = level[..., None] + ops.zeros_like(phi)
        initial = MultivariateNormalTriL.trusted(loc=mean, scale_tril=root)
        return cls(phi, scale, initial, num_steps, level)

    # --- construction --------------------------------------------------------------------------

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        values = super()._prepared(values)
        initial = values["initial_distribution"]
        if not isinstance(initial, _MultivariateNormal):
            raise TypeError(
                "Autoregressive: initial_distribution must be a multivariate normal, such as "
                f"MultivariateNormalTriL, got {initial!r}"
            )
        zeros = {name: ops.zeros_like(values[name]) for name in ("level_scale", "loc")}
        zeros["coefficients"] = ops.zeros_like(values["coefficients"][..., 0])
        zeros["initial_distribution"] = initial._zeros()
        return in_one_batch("Autoregressive", values, zeros)

    def _check(self) -> None:
        super()._check()
        given = self.initial_distribution.event_shape[0]
        if given != self.order:
            raise ValueError(
                f"Autoregressive: initial_distribution must have {self.order} components, one for "
                f"each of the coefficients of shape {tuple(self.coefficients.shape)}, got {given}"
            )
        if self.num_steps < self.order:
            raise ValueError(
                f"Autoregressive: num_steps must be at least {self.order}, the number of "
                f"coefficients, got {self.num_steps}"
            )

    def _batch_shape(self) -> Shape:
        return self.initial_distribution.batch_shape

    @property
    def order(self) -> int:
        """The number p of coefficients."""
        return int(self.coefficients.shape[-1])

    # --- densities -----------------------------------------------------------------------------

    def _log_prob(self, x: Tensor) -> Tensor:
        x, order = self._whole(x), self.order
        y = x - self.loc[..., None]
        number = self.num_steps
        expected = sum(
            self.coefficients[..., i - 1, None] * y[..., order - i : number - i]
            for i in range(1, order + 1)
        )
        noise = Normal.trusted(loc=expected, scale=self.level_scale[..., None])
        rest = ops.sum(noise._log_prob(y[..., order:]), axis=-1)
        return self.initial_distribution._log_prob(x[..., :order]) + rest

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        x = self._whole(special.where(observed, x, 0.0)) - self.loc[..., None]
        seen = special.where(
            ops.logical_and(observed, ops.ones_like(x, dtype="bool")), 1.0, 0.0 * x
        )
        seen = self._by_state(seen) > 0.5
        found = kalman.kalman_filter(self._companion(), self._by_state(x), seen)
        return ops.sum(found.log_likelihoods, axis=-1)

    def _by_state(self, x: Tensor) -> Tensor:
        """The first p values, the last of them first, and each other with p - 1 zeros behind it."""
        order = self.order
        first = ops.flip(x[..., None, :order], axis=-1)
        rest = x[..., order:, None]
        zeros = ops.zeros_like(rest) + ops.zeros((order - 1,), dtype=self.dtype)
        return ops.concatenate([first, ops.concatenate([rest, zeros], axis=-1)], axis=-2)

    def _companion(self) -> kalman.Model:
        """The last p values, less their level, as a state that is seen without error."""
        order, initial = self.order, self.initial_distribution
        eye = np.eye(order, dtype=self.dtype)
        top = ops.convert_to_tensor(eye[:, :1])
        moved = ops.convert_to_tensor(np.eye(order, k=-1, dtype=self.dtype))
        noise = ops.square(self.level_scale)[..., None, None] * (top * linalg.transpose(top))
        none = ops.convert_to_tensor(np.zeros((1, order), dtype=self.dtype))
        cov = ops.flip(ops.flip(initial.covariance(), axis=-1), axis=-2)
        return kalman.Model(
            steps=self.num_steps - order + 1,
            mean=ops.flip(initial.loc - self.loc[..., None], axis=-1),
            cov=cov,
            transition=(top * self.coefficients[..., None, :] + moved)[..., None, :, :],
            drift=none,
            noise=noise[..., None, :, :],
            observation=ops.convert_to_tensor(eye[None]),
            offset=none,
            error=ops.convert_to_tensor(0.0 * eye[None]),
        )

    # --- moments -------------------------------------------------------------------------------

    def _noise_from_values(self) -> Tensor:
        """The matrix that takes the sequence to its first p values and the noise of the others."""
        number, order = self.num_steps, self.order
        lags = np.stack([np.eye(number, k=-i, dtype=self.dtype) for i in range(1, order + 1)])
        lags[:, :order] = 0.0
        weights = self.coefficients[..., None, None] * ops.convert_to_tensor(lags)
        return linalg.plus_diagonal(-ops.sum(weights, axis=-3), 1.0)

    def _mean(self) -> Tensor:
        initial = self.initial_distribution.loc - self.loc[..., None]
        start = ops.concatenate([initial, ops.zeros_like(self._rest_of(initial))], axis=-1)
        return self.loc[..., None] + linalg.solve_triangular(self._noise_from_values(), start)

    def _rest_of(self, first: Tensor) -> Tensor:
        """Zeros for the values after the first p."""
        return ops.zeros_like(first[..., :1]) + ops.zeros(
            (self.num_steps - self.order,), dtype=self.dtype
        )

    def _root(self) -> Tensor:
        initial, number, order = self.initial_distribution._tril(), self.num_steps, self.order
        right = ops.zeros_like(initial[..., :1]) + ops.zeros((number - order,), dtype=self.dtype)
        below = np.eye(number, dtype=self.dtype)[order:]
        below = self.level_scale[..., None, None] * ops.convert_to_tensor(below)
        noise = ops.concatenate([ops.concatenate([initial, right], axis=-1), below], axis=-2)
        return linalg.solve_lower(self._noise_from_values(), noise)

    def _variance(self) -> Tensor:
        return ops.sum(ops.square(self._root()), axis=-1)

    def _covariance(self) -> Tensor:
        return linalg.gram(self._root())

    def _entropy(self) -> Tensor:
        each = ops.log(self.level_scale) + _ENTROPY
        return self.initial_distribution.entropy() + (self.num_steps - self.order) * each

    def _kl(self, other: Autoregressive) -> Tensor:
        return self._widened()._kl(other._widened())

    # --- drawing -------------------------------------------------------------------------------

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        first, second = random.split(seed, 2)
        start = self.initial_distribution._sample(sample_shape, first)
        number = self.num_steps - self.order
        if number == 0:
            return start
        shape = (number, *sample_shape, *ops.shape(self.level_scale))
        shocks = self.level_scale * random.normal(shape, self.dtype, second)
        state = ops.flip(start - self.loc[..., None], axis=-1)
        constants, steps = {"coefficients": self.coefficients}, {"shock": shocks}
        states = scans.scan(_next_value, state, constants, steps, number)
        rest = self.loc[..., None] + ops.moveaxis(states[..., 0], 0, -1)
        return ops.concatenate([start, rest], axis=-1)


def _next_value(state: Tensor, constants: dict, entries: dict) -> Tensor:
    """The last p values, the newest first, one step on."""
    value = ops.sum(constants["coefficients"] * state, axis=-1) + entries["shock"]
    return ops.concatenate([value[..., None], state[..., :-1]], axis=-1)


def _stationary_root(phi: Tensor) -> Tensor:
    """The Cholesky factor of the covariance of p values for noise of scale 1.

    The autocovariances solve $g_k - \\sum_i \\phi_i g_{|k - i|} = 1\\{k = 0\\}$.
    """
    order, dtype = int(phi.shape[-1]), compat.dtype_of(phi)
    k = np.arange(order + 1)
    lag = np.abs(k[None, :] - k[1:, None])  # |k - i| at [i - 1, k]
    places = ops.convert_to_tensor((lag[..., None] == k).astype(dtype))
    weights = ops.sum(phi[..., None, None] * places, axis=-3)
    right = ops.zeros_like(weights[..., :1]) + ops.convert_to_tensor(
        np.eye(order + 1, 1, dtype=dtype)
    )
    covariances = ops.solve(linalg.plus_diagonal(-weights, 1.0), right)[..., 0]
    index = np.abs(k[:order, None] - k[None, :order]).astype("int32")
    matrix = ops.take(covariances, index, axis=-1)
    try:
        root = ops.cholesky(matrix)
        known = compat.is_concrete(root)
        stationary = not known or bool(np.isfinite(compat.to_numpy(root)).all())
    except Exception:  # some backends raise, each its own class; the others give NaN
        stationary = False
    if not stationary:
        raise ValueError(
            f"Autoregressive.stationary: coefficients of shape {tuple(phi.shape)} make no "
            "stationary sequence: a root of 1 - sum_i phi_i z^i is not outside the unit circle. "
            "Give an `initial_distribution` of the first values to the constructor."
        )
    return root
