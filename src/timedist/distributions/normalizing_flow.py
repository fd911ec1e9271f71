"""The distribution of a vector that neural networks have transformed."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from keras import ops

from timedist.distributions import constraints
from timedist.distributions.base import Distribution
from timedist.distributions.composite import Composite
from timedist.distributions.fields import component, parameter
from timedist.distributions.flows import Flow
from timedist.distributions.shapes import static_shape
from timedist.distributions.value import Shape
from timedist.ops import compat, random, special

Tensor = Any


class NormalizingFlow(Composite):
    r"""The distribution of $Y = f_k(\dots f_1(X))$ for a vector X and invertible networks f.

    $\log p(y) = \log p_X(x) - \sum_j \log |\det \partial f_j|,\ x = f^{-1}(y)$

    The weights of the networks are part of the value, and gradients flow to them; all elements of
    the batch share them. What differs from step to step is the context.

    Args:
        base: continuous distribution of X, with vectors for events.
        transforms: list of flows of `timedist.distributions.flows`, in the order in which they are
            applied to X; or a single one.
        context: what the networks are conditioned on, tensor of shape `batch_shape + (features,)`.
            Default `None`: nothing.

    Raises:
        TypeError: if `base` is no distribution or a transform no flow.
        ValueError: if the base is discrete or its events are no vectors of the size that the flows
            take, or the context does not fit.

    The density is exact, by one pass of each network that `MaskedAutoregressive` has. A draw takes
    as many as there are components, one for a coupling. Everything else has no formula: take draws,
    e.g. `.sample(1000).mean(axis=0)`. One missing component leaves out the whole event.

    Source: Rezende, Mohamed: Variational Inference with Normalizing Flows (2015); Papamakarios,
    Pavlakou, Murray: Masked Autoregressive Flow for Density Estimation (2017).

    >>> import numpy as np
    >>> from timedist.distributions import Independent, Normal, flows
    >>> kernel = np.array([[0.0, 0.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.0]], "float32")
    >>> flow = flows.MaskedAutoregressive([kernel], degrees=[[1, 2]])
    >>> NormalizingFlow(Independent(Normal(np.zeros((5, 2), "float32"), 1.0)), [flow])
    NormalizingFlow(Independent(Normal))(batch_shape=(5,), event_shape=(2,), dtype=float32)
    """

    base: Any = component()
    transforms: Any = component(many=True)
    context: Any = parameter(constraints.real, None, event_rank=1)
    absent: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("cdf", "log_cdf", "survival", "log_survival", "quantile", "marginals"),
            "a flow has no formula for it; take quantiles or shares of `.sample(1000)`",
        ),
        **dict.fromkeys(
            ("mean", "variance", "covariance"),
            "a flow has no formula for it; take that of `.sample(1000)` along the first axis",
        ),
        "mode": "a flow has no formula for it; compare `.log_prob()` of samples",
        "entropy": "a flow has no formula for it; estimate it by "
        "`x, log_p = d.sample_and_log_prob(1000)` and the mean of `-log_p`",
        "crps": "vectors have an energy score, `timedist.scores.energy_score` of samples",
    }

    def _prepared(self, values: dict[str, Any]) -> dict[str, Any]:
        given = values["transforms"]
        given = (given,) if isinstance(given, Flow) else tuple(given)
        for name, kind, parts in (
            ("base", Distribution, (values["base"],)),
            ("transforms", Flow, given),
        ):
            wrong = [part for part in parts if not isinstance(part, kind)]
            if wrong or not parts:
                wanted = "a distribution" if kind is Distribution else "a list of flows"
                raise TypeError(
                    f"NormalizingFlow: {name} must be {wanted}, got "
                    f"{type(wrong[0]).__name__ if wrong else 'none'}"
                )
        values = super()._prepared({**values, "transforms": given})
        if values["context"] is not None:
            values["base"], values["context"] = _together(values["base"], values["context"])
        return values

    def _check(self) -> None:
        super()._check()
        sizes = {flow.event_size for flow in self.transforms}
        event = self.base.event_shape
        if self.base.discrete or sizes != set(event) or len(event) != 1:
            raise ValueError(
                "NormalizingFlow: base must be continuous with vectors of "
                f"{' and '.join(map(str, sorted(sizes)))} components for events, as the flows, got "
                f"{self.base!r}"
            )
        size = None if self.context is None else self.context.shape[-1]
        conditional = [flow for flow in self.transforms if flow.context_size is not None]
        for flow in conditional or self.transforms:
            flow._check_context(size)

    def _batch_shape(self) -> Shape:
        return self.base.batch_shape

    def _event_shape(self) -> Shape:
        return self.base.event_shape

    def _context_of(self, flow: Flow) -> Tensor | None:
        return self.context if flow.context_size is not None else None

    def _sample(self, sample_shape: tuple, seed: random.Seed) -> Tensor:
        x = self.base._hook("sample")(sample_shape, seed)
        for flow in self.transforms:
            x = flow._forward(x, self._context_of(flow))
        return x

    def _log_prob(self, y: Tensor) -> Tensor:
        far = ops.any(ops.abs(y) == math.inf, axis=-1)
        far = ops.logical_and(far, ops.logical_not(ops.any(ops.isnan(y), axis=-1)))
        x, total = special.where(far[..., None], 0.0, y), 0.0
        for flow in reversed(self.transforms):
            x, log_det = flow._inverse(x, self._context_of(flow))
            total = total + log_det
        return special.where(far, -math.inf, self.base._hook("log_prob")(x) - total)


def _together(base: Distribution, context: Tensor) -> tuple[Distribution, Tensor]:
    """The base and the context in one batch shape."""
    if static_shape(context)[:-1] == base.batch_shape:
        return base, context
    try:
        whole, _ = compat.broadcast_arrays(base._zeros(), ops.zeros_like(context[..., 0]))
    except Exception as error:  # each backend has its own class for shapes that do not fit
        raise ValueError(
            f"NormalizingFlow: the context of shape {tuple(context.shape)} does not fit the batch "
            f"shape {base.batch_shape} of {base!r}"
        ) from error
    wide = ops.broadcast_to(context, (*ops.shape(whole), context.shape[-1]))
    return base._in_batch_of(whole), wide
