"""`Rollout`: whole futures of a generative model by ancestral sampling in one compiled loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist import distributions as td
from timedist.layers.variational.recurrent import weights_drawn_once
from timedist.ops import compat, feeding, scans, special
from timedist.ops.random import StepSeed, draw_key
from timedist.sequence.generative import Beginning, Generative
from timedist.sequence.steps import as_generative
from timedist.sequence.tempering import tempered

Tensor = Any

OUTPUTS = ("paths", "lengths", "log_prob", "distribution")


class Rollout(keras.Model):
    r"""Samples futures step by step, many paths for each series at once.

    $y_t \sim p(y_t \mid y_{<t})$, and $\log p(y_{1:T}) = \sum_t \log p(y_t \mid y_{<t})$

    What is known is read once for each series. Then all paths of all series go through one compiled
    loop, each step drawing from the model's distribution and feeding the draw back. It is a Keras
    model: `predict` runs in batches, with progress bar and callbacks; `timedist.predict` where
    distributions are asked for.

    Args:
        model: what is sampled: an `AutoregressiveModel` or another of this package, or anything
            `Generative`; a trained Keras RNN cell, with `head`; or a step function, see
            `StepFunction`.
        num_paths: int, number of independent paths for each series. Default 100.
        steps: int, number of steps of each. Default `None`: as many as the inputs know in advance.
        head: for a cell, the layer that gives the distribution from its output. Default `None`.
        temperature: positive number: below 1 paths are less, above more varied, see `tempered`.
            Default 1.
        stop: function of a step's draws `(rows, ...)` that gives booleans `(rows,)`: where true, it
            was the last step of the path. What would follow is 0. Default `None`: none stops.
        outputs: one or more of `"paths"`; `"lengths"`; `"log_prob"`, joint, of the model whatever
            the temperature; `"distribution"`, of each step as the model gives it. Default
            `"paths"`.
        seed: int or `None`.
        **kwargs: of `keras.Model`.

    Weights that have a posterior are drawn once for a batch: a path is one function's.

    Call arguments:
        inputs: what the model reads, see there. For an `AutoregressiveModel` a dictionary of
            `"target"`: `(batch, max_lag + context_length)`, the known past; `"features"`: `(batch,
            context_length + steps, features)`; and what else it takes.

    Returns:
        The paths `(batch, num_paths, steps, ...)`; lengths `(batch, num_paths)`; log probabilities
        `(batch, num_paths)`; a distribution with `batch_shape == (batch, num_paths, steps)`. A
        dictionary by name if several are asked for.

    Raises:
        ValueError: if an argument or an input does not fit.
        TypeError: if `model` is none of these.

    >>> import numpy as np
    >>> from timedist.sequence import AutoregressiveRNN
    >>> model = AutoregressiveRNN(lags=(1, 2, 7), context_length=5, units=4)
    >>> past = {"target": np.ones((2, 7 + 5)), "features": np.zeros((2, 5 + 3, 1))}
    >>> Rollout(model, num_paths=10, seed=1).predict(past, verbose=0).shape
    (2, 10, 3)
    """

    def __init__(
        self,
        model: Any,
        num_paths: int = 100,
        steps: int | None = None,
        head: keras.Layer | None = None,
        temperature: float = 1.0,
        stop: Callable[[Tensor], Tensor] | None = None,
        outputs: str | Sequence[str] = "paths",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.model = as_generative(model, head)
        self.num_paths = checks.count("Rollout", "num_paths", num_paths, 1)
        self.steps = None if steps is None else checks.count("Rollout", "steps", steps, 1)
        self.temperature = checks.positive("Rollout", "temperature", temperature)
        self.stop = stop
        self.outputs_asked = _checked_outputs(outputs)
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Else Keras runs the whole loop once, step by step, to build what is built already.
        self.built = self.model.built

    def build(self, input_shape: Any) -> None:
        """Make the model's weights, if it has none yet."""
        if not self.model.built:
            self.model.build(input_shape)
        self.built = True

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """As in Keras; of arrays a shorter last batch is filled up, so the loop compiles once.

        Args:
            x: what the model reads, for any number of series.
            batch_size: int, series in a batch; default 32, as in Keras.
            verbose: as in Keras.
            steps: as in Keras.
            callbacks: as in Keras.

        Returns:
            What the call returns, for all series, as NumPy arrays.
        """
        feeding.refuse_nothing("Rollout", x)
        rows, size = _number_of_rows(x), batch_size or 32
        if rows:
            self.model.check_arrays(x)
        lacking = -rows % size if rows > size and compat.compiles() else 0
        if lacking:
            index = np.minimum(np.arange(rows + lacking), rows - 1)
            x = keras.tree.map_structure(lambda a: a[index], x)
        plain = rows and self.built and "distribution" not in self.outputs_asked
        quiet = plain and not (verbose or steps or callbacks)
        found = feeding.predicted(self, x, size) if quiet else None
        if found is None:
            found = super().predict(x, batch_size, verbose, steps, callbacks)
        return keras.tree.map_structure(lambda a: a[:rows], found) if lacking else found

    def call(self, inputs: Any) -> Any:
        """Read what is known and draw the paths."""
        with weights_drawn_once(self.model):
            begun = self.model.begin(inputs, self.steps)
            found = _Paths(self, begun).drawn()
        asked = self.outputs_asked
        return found[asked] if isinstance(asked, str) else {name: found[name] for name in asked}


class _Paths:
    """All paths of one batch."""

    def __init__(self, rollout: Rollout, begun: Beginning) -> None:
        self.model: Generative = rollout.model
        self.begun, self.number = begun, rollout.num_paths
        self.temperature, self.stop = rollout.temperature, rollout.stop
        asked = rollout.outputs_asked
        self.asked = (asked,) if isinstance(asked, str) else asked
        self.key = draw_key(rollout.seed_generator)
        self.family: Any = None  # the distribution of a step without its tensors

    def drawn(self) -> dict[str, Any]:
        """What the loops over all steps give, by name."""
        self.blocks, self.paths = scans.in_blocks(self.number, ops.shape(self.begun.last)[0])
        return self._gathered(scans.blocks(self._drawn, self.blocks))

    def _drawn(self, block: Tensor) -> dict[str, Any]:
        """What the loop over all steps gives of a block of paths."""
        begun, spread = self.begun, self._spread
        last = spread(begun.last)
        state = keras.tree.map_structure(spread, begun.state)
        running = ops.ones(ops.shape(last)[:1], dtype="bool")
        entries = keras.tree.map_structure(lambda x: ops.moveaxis(x, 1, 0), begun.known)
        numbers = ops.arange(begun.steps, dtype="int32")
        start = (last, state, running)
        given = (numbers, block * begun.steps + numbers, entries)
        _, found = scans.loop(self._step, start, given, begun.steps)
        return found

    def _step(self, carry: tuple, entries: tuple) -> tuple:
        (before, state, running), (i, drawing, known) = carry, entries
        known, seed = keras.tree.map_structure(self._spread, known), StepSeed(self.key, drawing)
        shared = self.begun.shared
        distribution, state = self.model.step(i, before, known, shared, state, seed)
        y = tempered(distribution, self.temperature).draw(seed=seed)
        _check_draws(y, before, distribution)
        y = self.model.admissible(ops.cast(y, before.dtype), state)
        outputs = self._outputs(y, distribution, running)
        if self.stop is not None:
            running = ops.logical_and(running, ops.logical_not(ops.cast(self.stop(y), "bool")))
        return (y, state, running), outputs

    def _outputs(self, y: Tensor, distribution: td.Distribution, running: Tensor) -> dict:
        """What is kept of a step: of a path that has stopped nothing."""
        outputs = {"paths": y, "lengths": ops.cast(running, "int32")}
        if "log_prob" in self.asked:
            outputs["log_prob"] = distribution.log_prob(y)
        if self.stop is not None:
            for name in set(outputs) & {"paths", "log_prob"}:
                x = outputs[name]
                outputs[name] = ops.where(special.beside(running, x), x, ops.zeros_like(x))
        if "distribution" in self.asked:
            self.family = distribution.map_leaves(lambda _: 0)
            outputs["distribution"] = distribution.leaves()
        return outputs

    def _spread(self, x: Tensor) -> Tensor:
        """Of every series, a row for each path."""
        return ops.repeat(x, self.paths, axis=0)

    def _by_series(self, x: Tensor) -> Tensor:
        """`(blocks, steps, rows, ...)` as `(batch, paths, steps, ...)`."""
        steps, rest = self.begun.steps, x.shape[3:]
        x = ops.reshape(x, (self.blocks, steps, -1, self.paths, *rest))
        x = ops.transpose(x, (2, 0, 3, 1, *range(4, len(x.shape))))
        x = ops.reshape(x, (-1, self.blocks * self.paths, steps, *rest))
        return x[:, : self.number]

    def _gathered(self, found: dict[str, Any]) -> dict[str, Any]:
        results = {"paths": self._by_series(found["paths"])}
        for name in set(found) & {"lengths", "log_prob"}:
            results[name] = ops.sum(self._by_series(found[name]), axis=-1)
        if "distribution" in found:
            flags = zip(found["distribution"], self.family.shared_leaves(), strict=True)
            leaves = [x[0, 0] if shared else self._by_series(x) for x, shared in flags]
            results["distribution"] = self.family.with_leaves(leaves)
        return results


def _number_of_rows(x: Any) -> int:
    """Of NumPy arrays; 0 for anything else, such as a data set that makes its own batches."""
    arrays = keras.tree.flatten(x)
    same = all(isinstance(a, np.ndarray) and a.ndim for a in arrays)
    rows = {len(a) for a in arrays} if same else set()
    return rows.pop() if len(rows) == 1 else 0


def _check_draws(y: Tensor, before: Tensor, distribution: td.Distribution) -> None:
    """Refuse draws that are no events such as those before them."""
    if not checks.same_shape(y.shape[1:], before.shape[1:]):
        raise ValueError(
            f"Rollout: the events that are known have the shape {tuple(before.shape[1:])}, those "
            f"that are drawn, of {distribution!r}, {tuple(y.shape[1:])}; give a prefix of shape "
            f"{('batch', 'time', *y.shape[1:])}"
        )
    if "int" in compat.dtype_of(before) and not distribution.discrete:
        raise ValueError(
            f"Rollout: the events that are known are integers, those that are drawn, of "
            f"{distribution!r}, are not; give the prefix as floats"
        )


def _checked_outputs(outputs: str | Sequence[str]) -> str | tuple[str, ...]:
    names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    if not names or not set(names) <= set(OUTPUTS):
        raise ValueError(f"Rollout: outputs must be one or more of {OUTPUTS}, got {outputs!r}")
    return outputs if isinstance(outputs, str) else names
