"""Sequences of vectors that a hidden linear Gaussian process makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from keras import ops

from timedist.distributions import constraints, kalman, shapes
from timedist.distributions.base import Distribution
from timedist.distributions.composite import in_one_batch
from timedist.distributions.continuous import Normal
from timedist.distributions.fields import Component, Parameter, component, parameter, static
from timedist.distributions.kalman import Filtered, Model
from timedist.distributions.multivariate import MultivariateNormalTriL, _MultivariateNormal
from timedist.distributions.value import Shape
from timedist.ops import compat, linalg, random

Tensor = Any

STEPS_DEPEND = (
    "the steps depend on each other; `.marginals()` has it for each of them, `.sample()` draws all"
)


class LinearGaussianStateSpaceModel(Distribution):
    r"""The distribution of a sequence of vectors x that a linear Gaussian process z makes.

    $z_0 \sim p_0,\ z_{t+1} = F_t z_t + w_t,\ x_t = H_t z_t + v_t$ with normal w and v, whose means
    are the drift of the states and the offset of the observations.

    Args:
        num_timesteps: the number T of steps.
        transition_matrix: F, tensor of shape `batch_shape + (n, n)`.
        transition_noise: multivariate normal of w, n components, with batch shape `batch_shape`.
        observation_matrix: H, tensor of shape `batch_shape + (m, n)`.
        observation_noise: multivariate normal of v, m components, likewise.
        initial_state_prior: multivariate normal of the first state, n components, likewise.
        selection_matrix: G, shape `batch_shape + (n, r)`; then w is G times a `transition_noise` of
            r components, so that states without noise of their own can be told. Default `None`: w
            is the noise itself.
        time_varying: names of those of the arguments that differ from step to step: they have an
            axis of T steps behind those of the batch. What holds the transition leads from its step
            to the next; the last of them beyond the sequence, for forecasts only. Default `()`.

    Raises:
        TypeError: if a noise or the prior is no multivariate normal of this package.
        ValueError: if the shapes do not fit.

    Events have shape `(T, m)`. The density is exact, by a Kalman filter in Joseph's form, whose
    covariances stay positive in float32; `log_prob_where` marginalises missing components exactly.
    Gradients flow to all parameters, by `sample` too.

    Source: Durbin, Koopman: Time Series Analysis by State Space Methods (2012), chapter 4.

    A level that moves by steps of 0.5 and is seen with an error of 1:

    >>> from timedist.distributions import MultivariateNormalDiag
    >>> level = LinearGaussianStateSpaceModel(
    ...     4,
    ...     transition_matrix=[[1.0]],
    ...     transition_noise=MultivariateNormalDiag([0.0], [0.5]),
    ...     observation_matrix=[[1.0]],
    ...     observation_noise=MultivariateNormalDiag([0.0], [1.0]),
    ...     initial_state_prior=MultivariateNormalDiag([0.0], [10.0]),
    ... )
    >>> level
    LinearGaussianStateSpaceModel(batch_shape=(), event_shape=(4, 1), dtype=float32)
    >>> means, covs = level.posterior_marginals([[1.0], [2.0], [2.0], [3.0]])
    >>> tuple(means.shape), tuple(covs.shape)
    ((4, 1), (4, 1, 1))
    """

    num_timesteps: int = static()
    transition_matrix: Tensor = parameter(constraints.real, event_rank=2)
    transition_noise: Any = component()
    observation_matrix: Tensor = parameter(constraints.real, event_rank=2)
    observation_noise: Any = component()
    initial_state_prior: Any = component()
    selection_matrix: Any = parameter(constraints.real, None, event_rank=2)
    time_varying: tuple = static(())

    _masked_axes = 1
    absent: ClassVar[dict[str, str]] = dict.fromkeys(
        ("cdf", "log_cdf", "survival", "log_survival", "quantile", "crps"), STEPS_DEPEND
    )

    # --- construction --------------------------------------------------------------------------

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        values = {**values, "time_varying": tuple(values["time_varying"])}
        self.__dict__["_values"] = values
        self._check_plain()
        values = super()._prepared(values)
        for row in self._components():
            if not isinstance(values[row.name], _MultivariateNormal):
                raise TypeError(
                    f"{self._family}: {row.name} must be a multivariate normal, such as "
                    f"MultivariateNormalDiag, got {values[row.name]!r}"
                )
        names = [row.name for row in self._varied() if values[row.name] is not None]
        zeros = {name: self._batch_zeros(name, values[name]) for name in names}
        return in_one_batch(self._family, values, zeros)

    def _check_plain(self) -> None:
        number, names = self.num_timesteps, self.time_varying
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"{self._family}: num_timesteps must be an int >= 1, got {number!r}")
        may = [row.name for row in self._varied() if row.name != "initial_state_prior"]
        if not set(names) <= set(may):
            raise ValueError(
                f"{self._family}: time_varying takes names out of {tuple(may)}, got {names!r}"
            )

    @classmethod
    def _varied(cls) -> list[Parameter | Component]:
        """The rows of the table with a batch."""
        return [row for row in cls.table if isinstance(row, (Parameter, Component))]

    def _broadcast(self, rows: list[Parameter], tensors: list[Tensor]) -> list[Tensor]:
        """Each as it is: some have an axis of steps, so all are broadcast at the end."""
        for row, tensor in zip(rows, tensors, strict=True):
            rank = row.event_rank + (row.name in self.time_varying)
            if len(tensor.shape) < rank:
                steps = "one of steps included, " if row.name in self.time_varying else ""
                raise ValueError(
                    f"{self._family}: parameter {row.name!r} must have at least {rank} axes, "
                    f"{steps}got shape {tuple(tensor.shape)}"
                )
        return tensors

    def _batch_zeros(self, name: str, value: Any) -> Tensor:
        """Zeros of the batch shape of a part, without its axis of steps."""
        zeros = (
            value._zeros() if isinstance(value, Distribution) else ops.zeros_like(value[..., 0, 0])
        )
        if name not in self.time_varying:
            return zeros
        if not len(zeros.shape) or zeros.shape[-1] != self.num_timesteps:
            raise ValueError(
                f"{self._family}: {name} is time_varying, so its last batch axis must be the "
                f"{self.num_timesteps} steps, got {_described(value)}"
            )
        return zeros[..., 0]

    def _check(self) -> None:
        n = self.initial_state_prior.event_shape[0]
        m = self.observation_noise.event_shape[0]
        r = self.transition_noise.event_shape[0]
        if self.selection_matrix is None:
            self._check_size("transition_noise", r, f"{n} components", r == n)
        else:
            given = tuple(self.selection_matrix.shape)
            self._check_size("selection_matrix", given, f"last axes {(n, r)}", given[-2:] == (n, r))
        for name, wanted in (("transition_matrix", (n, n)), ("observation_matrix", (m, n))):
            given = tuple(self._values[name].shape)
            self._check_size(name, given, f"last axes {wanted}", given[-2:] == wanted)
        super()._check()

    def _check_size(self, name: str, given: Any, wanted: str, fits: bool) -> None:
        if not fits:
            what = f"shape {given}" if isinstance(given, tuple) else f"{given} components"
            raise ValueError(
                f"{self._family}: {name} must have {wanted}, got {what}: "
                f"initial_state_prior has {self.initial_state_prior.event_shape[0]} components, "
                f"transition_noise {self.transition_noise.event_shape[0]} and observation_noise "
                f"{self.observation_noise.event_shape[0]}"
            )

    def _batch_shape(self) -> Shape:
        return self.initial_state_prior.batch_shape

    def _event_shape(self) -> Shape:
        return (self.num_timesteps, *self.observation_noise.event_shape)

    def _zeros(self) -> Tensor:
        return self.initial_state_prior._zeros()

    # --- as tensors ----------------------------------------------------------------------------

    def _along(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor of the part `name` with an axis of steps behind the batch, maybe of size 1."""
        return tensor if name in self.time_varying else ops.expand_dims(tensor, self._rank)

    @property
    def _rank(self) -> int:
        return len(self.batch_shape)

    def _selected(self, columns: Tensor) -> Tensor:
        """Noise of r components, as vectors or factors of covariances, moved into the states."""
        if self.selection_matrix is None:
            return columns
        return linalg.matmul(self._along("selection_matrix", self.selection_matrix), columns)

    def _model(self) -> Model:
        shock, error = self.transition_noise, self.observation_noise
        drift = self._along("transition_noise", shock.loc)[..., None]
        root = self._selected(self._along("transition_noise", shock._tril()))
        prior = self.initial_state_prior
        return Model(
            steps=self.num_timesteps,
            mean=prior.loc,
            cov=prior.covariance(),
            transition=self._along("transition_matrix", self.transition_matrix),
            drift=self._selected(drift)[..., 0],
            noise=linalg.gram(root),
            observation=self._along("observation_matrix", self.observation_matrix),
            offset=self._along("observation_noise", error.loc),
            error=self._along("observation_noise", error.covariance()),
        )

    def _whole(self, x: Any, method: str) -> Tensor:
        """Observations with all axes of the batch and the event."""
        x = self._as_value(x, method)
        return x + ops.zeros(self.event_shape, dtype=self.dtype)

    # --- the surface ---------------------------------------------------------------------------

    def _log_prob(self, x: Tensor) -> Tensor:
        x = x + ops.zeros(self.event_shape, dtype=self.dtype)
        return ops.sum(kalman.kalman_filter(self._model(), x).log_likelihoods, axis=-1)

    def _log_prob_where(self, x: Tensor, observed: Tensor) -> Tensor:
        x = x + ops.zeros(self.event_shape, dtype=self.dtype)
        found = kalman.kalman_filter(self._model(), x, observed)
        return ops.sum(found.log_likelihoods, axis=-1)

    def _mean(self) -> Tensor:
        return self._seen_moments()[0]

    _mode = _mean

    def _seen_moments(self) -> tuple[Tensor, Tensor]:
        model = self._model()
        return kalman.observations_of(model, *kalman.state_moments(model))

    def _variance(self) -> Tensor:
        return linalg.diagonal(self._seen_moments()[1])

    def _covariance(self) -> Tensor:
        """Between all components of events, shape `batch_shape + (T, m, T, m)`."""
        return kalman.joint_covariance(self._model())

    def _marginals(self) -> Normal:
        mean, cov = self._seen_moments()
        return Normal.trusted(loc=mean, scale=ops.sqrt(linalg.diagonal(cov)))

    def _flat(self) -> MultivariateNormalTriL:
        """The same distribution of one vector of all components."""
        loc, cov = self._mean(), self._covariance()
        size = self.num_timesteps * int(loc.shape[-1])
        loc = ops.reshape(loc, (*ops.shape(loc)[:-2], size))
        cov = ops.reshape(cov, (*ops.shape(cov)[:-4], size, size))
        return MultivariateNormalTriL.trusted(loc=loc, scale_tril=ops.cholesky(cov))

    def _entropy(self) -> Tensor:
        size = self.num_timesteps * int(self.observation_noise.event_shape[0])
        return 0.5 * size - self._log_prob(self._mean())

    def _kl(self, other: LinearGaussianStateSpaceModel) -> Tensor:
        return self._flat()._kl(other._flat())

    # --- drawing -------------------------------------------------------------------------------

    def _noise_of(self, name: str, sample_shape: tuple, seed: random.Seed) -> Tensor:
        """Draws of a noise at every step, shape `sample_shape + batch_shape + (T, size)`."""
        noise = self._values[name]
        if name in self.time_varying:
            return noise._sample(sample_shape, seed)
        draws = noise._sample((self.num_timesteps, *sample_shape), seed)
        return ops.moveaxis(draws, 0, -2)

    def _paths(self, sample_shape: tuple, seed: random.Seed) -> tuple[Tensor, Tensor]:
        """States and observations drawn together."""
        first, second, third = random.split(seed, 3)
        start = self.initial_state_prior._sample(sample_shape, first)
        shocks = self._noise_of("transition_noise", sample_shape, second)
        shocks = self._selected(shocks[..., None])[..., 0]
        states = kalman.paths(self._model(), start, shocks)
        h = self._along("observation_matrix", self.observation_matrix)
        errors = self._noise_of("observation_noise", sample_shape, third)
        return states, linalg.product(h, states) + errors

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        return self._paths(sample_shape, seed)[1]

    # --- of the states -------------------------------------------------------------------------

    def forward_filter(self, x: Any, observed: Any = None) -> Filtered:
        """What the observations so far tell of the states and the next observation, step by step.

        Args:
            x: observations, tensor that broadcasts against `batch_shape + (T, m)`.
            observed: boolean tensor that broadcasts likewise; what is not observed may be NaN and
                tells nothing. Default `None`: everything is observed.

        Returns:
            A named tuple, in TFP's order: `log_likelihoods` `(..., T)`, `filtered_means` `(..., T,
            n)`, `filtered_covs` `(..., T, n, n)`, `predicted_means` and `predicted_covs` of the
            next state likewise, `observation_means` `(..., T, m)` and `observation_covs` `(..., T,
            m, m)` of each observation given those before it. The leading axes are those of the
            batch; those of `x` besides are missing from covariances, which do not depend on it.

        Raises:
            ValueError: if the shape of `x` does not fit.
        """
        d = self._on_device()
        x, observed = d._whole(x, "forward_filter"), _as_mask(observed)
        return kalman.kalman_filter(d._model(), x, observed)

    def posterior_marginals(self, x: Any, observed: Any = None) -> tuple[Tensor, Tensor]:
        """The distribution of each state given all observations: the Kalman smoother.

        Args:
            x: as for `forward_filter`.
            observed: as for `forward_filter`.

        Returns:
            Means of shape `(..., T, n)` and covariances `(..., T, n, n)`.

        Raises:
            ValueError: if the shape of `x` does not fit.
        """
        d = self._on_device()
        model = d._model()
        x, observed = d._whole(x, "posterior_marginals"), _as_mask(observed)
        return kalman.smoother(model, kalman.kalman_filter(model, x, observed))

    def posterior_sample(
        self,
        x: Any,
        sample_shape: int | Sequence[int] = (),
        observed: Any = None,
        seed: random.Seed = None,
    ) -> Tensor:
        """Draw paths of the states given all observations.

        Args:
            x: as for `forward_filter`.
            sample_shape: int or tuple, the shape of the block of paths. Default `()`: one path.
            observed: as for `forward_filter`.
            seed: as for `sample`.

        Returns:
            Tensor of shape `sample_shape + (..., T, n)`.

        Raises:
            ValueError: if the shape of `x` does not fit.

        Source: Durbin, Koopman: A Simple and Efficient Simulation Smoother for State Space Time
        Series Analysis (2002).
        """
        d = self._on_device()
        seed = random.check_seed(seed)
        x, observed = d._whole(x, "posterior_sample"), _as_mask(observed)
        if observed is not None:  # what is missing must not make the states NaN
            x = ops.where(observed, x, ops.zeros_like(x))
        more = tuple(ops.shape(x)[: max(0, len(x.shape) - 2 - d._rank)])
        states, seen = d._paths((*shapes.as_shape(sample_shape), *more), seed)
        # The smoother is affine: of differences it is the one without drift, offset and mean.
        model = d._model()
        model = model._replace(
            mean=ops.zeros_like(model.mean),
            drift=ops.zeros_like(model.drift),
            offset=ops.zeros_like(model.offset),
        )
        found = kalman.kalman_filter(model, x - seen, observed)
        return states + kalman.smoother(model, found)[0]

    def latents_to_observations(self, latent_means: Any, latent_covs: Any) -> tuple[Tensor, Tensor]:
        """Means and covariances of the observations from those of the states.

        Args:
            latent_means: tensor of shape `(..., T, n)`.
            latent_covs: tensor of shape `(..., T, n, n)`.

        Returns:
            Means of shape `(..., T, m)` and covariances `(..., T, m, m)`.
        """
        d = self._on_device()
        mean, cov = (compat.to_tensor(x, d.dtype) for x in (latent_means, latent_covs))
        return kalman.observations_of(d._model(), mean, cov)


def _as_mask(observed: Any) -> Tensor | None:
    return None if observed is None else ops.cast(observed, "bool")


def _described(value: Any) -> str:
    return repr(value) if isinstance(value, Distribution) else f"shape {tuple(value.shape)}"
