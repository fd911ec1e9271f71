"""What is asked of a trained `DeepStateSpace`, each as a model whose `predict` runs in batches."""

from __future__ import annotations

from typing import Any

from keras import ops

from timedist import distributions as td
from timedist.sequence.latent_tasks import TaskModel

Tensor = Any


class ForecastTask(TaskModel):
    """A function of a trained model and a batch of its inputs, as a model of its own."""

    def call(self, inputs: dict) -> Any:
        """What the function gives for a batch."""
        return self.task(self.model, inputs, self.seed_generator, **self.options)


def marginals(model: Any, inputs: dict, seed: Any) -> td.Normal:
    """The distribution of each step after the target, `batch_shape == (batch, horizon)`."""
    del seed
    each = model.given_past(inputs).marginals()
    return td.Normal.trusted(loc=each.loc[..., 0], scale=each.scale[..., 0])


def joint(model: Any, inputs: dict, seed: Any) -> td.LinearGaussianStateSpaceModel:
    """The distribution of all steps after the target together."""
    del seed
    return model.given_past(inputs)


def paths(model: Any, inputs: dict, seed: Any, num_paths: int) -> Tensor:
    """Draws of all steps after the target, `(batch, num_paths, horizon)`."""
    draws = model.given_past(inputs).sample(num_paths, seed=seed)
    return ops.moveaxis(draws[..., 0], 0, 1)
