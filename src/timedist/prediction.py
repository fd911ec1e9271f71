"""`timedist.predict`: `model.predict` that returns distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist import checks
from timedist.distributions import Categorical, Distribution, MixtureSameFamily
from timedist.interop import NativeDistribution
from timedist.ops import compat, feeding


class ParameterView(keras.Model):
    """A view of a model whose outputs are the parameter tensors of its distributions."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model
        # Not tracked attributes: Keras would look for layers in them.
        self.__dict__.update(structure=None, structures={}, columns=[])

    def call(self, inputs: Any) -> list:
        """All tensors of the outputs, flat; the structure is kept aside."""
        outputs = self.model(inputs, training=False)
        flat = keras.tree.flatten(outputs)
        for x in flat:
            _refuse_native(x, self.model.name)
            _refuse_joint(x, self.model.name)
        leaves = [leaf for x in flat for leaf in _tensors(x)]
        # By shape: what has been traced for it is not run as Python again.
        self.structures[_shapes(leaves)] = keras.tree.map_structure(_skeleton, outputs)
        return leaves

    def make_predict_function(self, force: bool = False) -> None:
        """Bring every batch to the host: Keras would keep all of them on the device to the end."""
        if getattr(self, "predict_function", None) is None or force:
            super().make_predict_function(force=force)
            self.predict_function: Callable = self._to_host(self.predict_function)

    def _to_host(self, function: Callable) -> Callable:
        """`function`, keeping its outputs here as NumPy arrays and returning an empty array."""
        with_state = compat.backend_name() == "jax"

        def run(*args: Any) -> Any:
            result = function(*args)
            outputs = result[0] if with_state else result
            self._append([compat.to_numpy(x) for x in outputs])
            nothing: Any = np.zeros((len(outputs[0]), 0), dtype="float32")
            if compat.backend_name() == "tensorflow":
                nothing = ops.convert_to_tensor(nothing)  # of a single batch Keras takes `.numpy()`
            return (nothing, result[1]) if with_state else nothing

        return run

    def _append(self, batch: list[np.ndarray]) -> None:
        """The arrays of one more batch, behind those before."""
        if not self.columns:
            self.__dict__["structure"] = self._structure_of(batch)
            # In rows: only such memory grows in place, and outputs may be broadcast or transposed.
            self.columns.extend(np.array(x, order="C") for x in batch)
            return
        for column, rows in zip(self.columns, batch, strict=True):
            _extend(column, rows)

    def _structure_of(self, batch: list[np.ndarray]) -> Any:
        """What was returned when a batch of these shapes was traced, the last time."""
        shapes, traced = _shapes(batch), reversed(self.structures.items())
        return next(found for kept, found in traced if _fit(kept, shapes))

    def collect(self, x: Any, **options: Any) -> list[np.ndarray]:
        """Run `predict` and return the tensors of all samples, in the order of `call`."""
        feeding.refuse_nothing("timedist.predict", x)
        self.columns.clear()
        try:
            self.predict(x, **options)
            shared = [flag for x in keras.tree.flatten(self.structure) for flag in _are_shared(x)]
            columns = zip(shared, self.columns, strict=True)
            return [column[0] if alike else column for alike, column in columns]
        finally:
            self.columns.clear()


def _extend(column: np.ndarray, rows: np.ndarray) -> None:
    """Append rows in place, so that no second copy of all of them is ever needed."""
    if rows.shape[1:] != column.shape[1:]:
        raise ValueError(
            f"timedist.predict: a batch gave parameters of shape {rows.shape}, one before it "
            f"{(None, *column.shape[1:])}; all batches must have the same number of steps: pad them"
        )
    start = len(column)
    column.resize((start + len(rows), *column.shape[1:]), refcheck=False)
    column[start:] = rows


def predict(
    model: keras.Model,
    x: Any,
    batch_size: int | None = None,
    verbose: Any = "auto",
    steps: int | None = None,
    callbacks: Any = None,
    num_draws: int | None = None,
) -> Any:
    """Predict the distributions of a data set of any size, in batches.

    Args:
        model: a Keras model with one or more distributions among its outputs.
        x: inputs, whatever `keras.Model.predict` takes: arrays `(samples, ...)`, a
            `tf.data.Dataset`, a `torch.utils.data.DataLoader`, a `keras.utils.PyDataset`.
        batch_size: samples in a batch; default 32, as in Keras.
        verbose: progress bar, as in Keras.
        steps: number of batches, as in Keras.
        callbacks: callbacks, as in Keras.
        num_draws: int, for models whose weights have a posterior: how often the weights are drawn.
            The result is the mixture of the predictions, which knows what the weights leave open.
            Default `None`: one draw, as in `predict`.

    Returns:
        What the model returns, for all samples: distributions with NumPy parameters (only a batch
        at a time is on the device) and arrays where the model returns tensors. With `num_draws`
        each distribution is a `MixtureSameFamily` of that many components of equal weight (its
        `marginals()` have quantiles), and each array has a first axis of draws.

    Raises:
        TypeError: if no output is a distribution, or one is a native distribution of another
            library.
        ValueError: if an output is one distribution of all rows of a batch together, or batches
            differ in more than the number of their rows.

    >>> import keras, timedist
    >>> model = keras.Sequential([keras.layers.Dense(2), timedist.layers.IndependentNormal()])
    >>> timedist.predict(model, keras.ops.zeros((5, 10, 3)), verbose=0)
    Normal(batch_shape=(5, 10), event_shape=(), dtype=float32)
    """
    view, options = _view(model), {"steps": steps, "callbacks": callbacks}
    draws = [
        view.collect(x, batch_size=batch_size, verbose=verbose, **options)
        for _ in range(
            1 if num_draws is None else checks.count("predict", "num_draws", num_draws, 1)
        )
    ]
    skeletons = keras.tree.flatten(view.structure)
    if not any(isinstance(skeleton, Distribution) for skeleton in skeletons):
        raise TypeError(
            f"timedist.predict: the model {model.name!r} returns no distribution; use "
            "model.predict, or end the model with a distribution layer such as "
            "timedist.layers.IndependentNormal"
        )
    each = [iter(draw) for draw in draws]
    found = [[_filled(skeleton, rest) for rest in each] for skeleton in skeletons]
    flat = [parts[0] if num_draws is None else _mixed(parts) for parts in found]
    return keras.tree.pack_sequence_as(view.structure, flat)


def _mixed(parts: list[Any]) -> Any:
    """The mixture of predicted distributions, or predicted arrays side by side."""
    if not isinstance(parts[0], Distribution):
        return np.stack(parts)
    axis, shared = len(parts[0].batch_shape), parts[0].shared_leaves()
    first = parts[0].leaves()[shared.index(False)]
    stacks = zip(shared, *(part.leaves() for part in parts), strict=True)
    leaves = [
        _the_same(parts[0], each) if alike else np.stack(each, axis=axis) for alike, *each in stacks
    ]
    logits = np.zeros((*first.shape[:axis], len(parts)), parts[0].dtype)
    # Made of its first element, so that all the others stay NumPy arrays.
    components = parts[0].with_leaves(
        [x if alike else x[(0,) * axis] for alike, x in zip(shared, leaves, strict=True)]
    )
    mixture = Categorical.trusted(logits=logits[(0,) * axis])
    made = MixtureSameFamily.trusted(mixture=mixture, components=components)
    return made.with_leaves([logits, *leaves])


class _Holder:
    """Keeps the view of a model where Keras does not look for layers to save."""

    def __init__(self, model: keras.Model, way: tuple) -> None:
        self.way = way
        self.view = ParameterView(model)
        self.view.run_eagerly, self.view.jit_compile = way


def _view(model: keras.Model) -> ParameterView:
    """The view of a model, made once for the way it is compiled, so prediction compiles once."""
    way = (model.run_eagerly, model.jit_compile)
    holder = model.__dict__.get("_timedist_view")
    if holder is None or holder.way != way:
        holder = _Holder(model, way)
        model.__dict__["_timedist_view"] = holder
    return holder.view


def _refuse_native(x: Any, model: str) -> None:
    if compat.is_native(x) or isinstance(x, NativeDistribution):
        raise TypeError(
            f"timedist.predict: the model {model!r} returns a native distribution, {x!r}, whose "
            "parameters only its own library can put together; build it from timedist.distributions"
        )


def _refuse_joint(x: Any, model: str) -> None:
    if isinstance(x, Distribution) and not x.batch_shape:
        raise ValueError(
            f"timedist.predict: the model {model!r} returns one distribution of all rows of a "
            f"batch together, {x!r}, and those of several batches make no one of more rows. Call "
            "the model itself, on all rows at once, or let it return one for every row (a "
            "`timedist.layers.VariationalGaussianProcess` with `joint=False`)."
        )


def _tensors(x: Any) -> list:
    """All tensors of an output; those the batch shares have an axis in front that stands for it."""
    if not isinstance(x, Distribution):
        return [x]
    flags = zip(x.leaves(), x.shared_leaves(), strict=True)
    return [leaf[None] if shared else leaf for leaf, shared in flags]


def _are_shared(skeleton: Any) -> list[bool]:
    return skeleton.shared_leaves() if isinstance(skeleton, Distribution) else [False]


def _shapes(leaves: list) -> tuple:
    """Of every tensor, without the batch."""
    return tuple(tuple(leaf.shape)[1:] for leaf in leaves)


def _fit(kept: tuple, shapes: tuple) -> bool:
    return len(kept) == len(shapes) and all(map(checks.same_shape, kept, shapes))


def _the_same(part: Distribution, draws: list[np.ndarray]) -> np.ndarray:
    """A tensor that the batch shares, and so all components of a mixture."""
    if not all(np.array_equal(draws[0], other) for other in draws[1:]):
        raise ValueError(
            f"timedist.predict: every draw of the weights gives {part!r} other networks, and those "
            "of a mixture's components are the same; call `timedist.predict` once for each draw"
        )
    return draws[0]


def _skeleton(x: Any) -> Any:
    return x.map_leaves(lambda _: np.zeros(())) if isinstance(x, Distribution) else np.zeros(())


def _filled(skeleton: Any, leaves: Any) -> Any:
    if isinstance(skeleton, Distribution):
        return skeleton.map_leaves(lambda _: next(leaves))
    return next(leaves)
