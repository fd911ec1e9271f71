"""What a model has to give so that `Rollout` can sample from it."""

from __future__ import annotations

from typing import Any, NamedTuple

from timedist import distributions as td
from timedist.ops.random import StepSeed

Tensor = Any


class Beginning(NamedTuple):
    """What is known before the first step that is drawn, read once for each series.

    Attributes:
        steps: int, how many steps are to be drawn.
        last: the last event before them, `(batch, ...)`.
        known: structure of tensors `(batch, steps, ...)`, known of the steps to be drawn.
        shared: structure of tensors, `(batch, ...)` or without a batch, that all paths read.
        state: structure of tensors `(batch, ...)` that every path carries on by itself.
    """

    steps: int
    last: Tensor
    known: Any
    shared: Any
    state: Any


class Generative:
    """A model of sequences that can be sampled step by step.

    Rows are paths: `rows = batch * paths`, those of one series next to each other.
    """

    def begin(self, inputs: Any, steps: int | None = None) -> Beginning:
        """Read what is known.

        Args:
            inputs: what the model takes, as in `Rollout`.
            steps: int, how many steps are to be drawn. Default `None`: as many as the inputs know.

        Returns:
            A `Beginning`.

        Raises:
            ValueError: if the inputs do not fit.
        """
        raise NotImplementedError

    def step(
        self, i: Tensor, y: Tensor, known: Any, shared: Any, state: Any, seed: StepSeed
    ) -> tuple[td.Distribution, Any]:
        """The distribution of one step.

        Args:
            i: integer tensor `()`, the number of the step, from 0.
            y: the event before it, `(rows, ...)`.
            known: structure of tensors `(rows, ...)`, known of this step.
            shared: as in `Beginning`.
            state: as in `Beginning`, `(rows, ...)`.
            seed: of what the step itself may draw.

        Returns:
            The distribution, `batch_shape == (rows,)`, and the next state, of the same structure,
            shapes and dtypes.
        """
        raise NotImplementedError

    def check_arrays(self, inputs: Any) -> None:
        """Refuse NumPy arrays with numbers that can't be; compiled code can't say so.

        Args:
            inputs: as in `begin`.

        Raises:
            ValueError: if a number is none of those it may be.
        """
        del inputs

    def admissible(self, y: Tensor, state: Any) -> Tensor:
        """The event that is taken for a draw; the same where a subclass says nothing else.

        Args:
            y: draws `(rows, ...)`.
            state: the state after the step.

        Returns:
            Tensor of the shape of `y`.
        """
        del state
        return y
