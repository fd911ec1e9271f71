"""Recurrent layers with a posterior over their weights, drawn once for a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import keras
from keras import ops

from timedist.distributions import Independent, Normal
from timedist.layers.accepting import serializable
from timedist.layers.variational.divergence import BayesianLayer
from timedist.layers.variational.posteriors import default_multivariate_normal_fn
from timedist.ops import compat, special

Tensor = Any

_OF_RNN = (
    *("return_sequences", "return_state", "go_backwards", "stateful", "unroll"),
    *("zero_output_for_mask", "name", "dtype", "trainable", "activity_regularizer"),
)
_OF_POSTERIOR = ("prior_fn", "untransformed_scale_initializer", "with_bias", "kl_weight")


@serializable
class CellReparameterization(compat.DropoutRNNCell, BayesianLayer):
    r"""Gives any Keras RNN cell a normal posterior over its weights, drawn once for a sequence.

    $h_t = \mathrm{cell}(x_t, h_{t-1}; W),\ W_{ij} \sim N(\mu_{ij}, \sigma_{ij}^2)$ before the first
    step

    The weights of the cell, with their own initializers, are the means. One draw serves all steps
    and all examples of a batch: within a sequence the network is a function, and its forecasts for
    one draw are as smooth as those of an ordinary network. `keras.layers.RNN` and
    `keras.layers.StackedRNNCells` take it as any cell. A loop of your own calls `begin_sequence`
    before the first step and `end_sequence` after the last.

    Args:
        cell: a Keras RNN cell such as `keras.layers.LSTMCell`.
        prior_fn: makes the prior of a weight, see `default_multivariate_normal_fn`, the default: a
            standard normal.
        untransformed_scale_initializer: of the deviations before the softplus. Default: normal of
            mean -3 and deviation 0.1, so deviations near 0.05.
        with_bias: whether biases and other vectors have a posterior as well. Default `False`: only
            kernels have.
        seed: int, of the draws. Default `None`: Keras's.
        kl_weight: see `BayesianLayer`. Default `None`: 1 / N, N taken from `fit`.
        **kwargs: of `keras.Layer`.

    Call arguments:
        inputs: tensor `(batch, features)`, one step.
        states: the states of the cell.
        training: whether this is a training step; given by Keras.

    Returns:
        What the cell returns: the output and the new states.

    Raises:
        ValueError: if `cell` is no RNN cell, or is a stack of cells (wrap each of them).

    Source: Fortunato, Blundell, Vinyals: Bayesian Recurrent Neural Networks (2017), section 3.

    >>> import keras
    >>> layer = keras.layers.RNN(CellReparameterization(keras.layers.GRUCell(3)))
    >>> tuple(layer(keras.ops.ones((2, 10, 4))).shape)
    (2, 3)
    """

    def __init__(
        self,
        cell: keras.Layer,
        prior_fn: Callable = default_multivariate_normal_fn,
        untransformed_scale_initializer: Any = None,
        with_bias: bool = False,
        seed: int | None = None,
        kl_weight: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kl_weight=kl_weight, **kwargs)
        if not hasattr(cell, "state_size") or isinstance(cell, keras.layers.StackedRNNCells):
            raise ValueError(
                "CellReparameterization: cell must be one Keras RNN cell such as "
                f"keras.layers.LSTMCell, got {cell!r}; of a stack, wrap each cell"
            )
        self.cell, self.prior_fn = cell, prior_fn
        self.untransformed_scale_initializer = keras.initializers.get(
            untransformed_scale_initializer or keras.initializers.RandomNormal(-3.0, 0.1)
        )
        self.with_bias, self.seed = bool(with_bias), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.state_size = cell.state_size
        self.output_size = getattr(cell, "output_size", None)
        self._drawn: Any = None
        self._held = False

    def build(self, input_shape: Any) -> None:
        """Make the weights of the cell, and a deviation for each that has a posterior."""
        super().build(input_shape)
        if not self.cell.built:  # a loaded cell is
            self.cell.build(input_shape)
        self.untransformed_scales = [
            self.add_weight(
                shape=weight.shape,
                initializer=self.untransformed_scale_initializer,
                autocast=False,
                name=f"{weight.name}_untransformed_scale",
            )
            for weight in self._uncertain()
        ]
        self.built = True

    def _uncertain(self) -> list[keras.Variable]:
        """The weights that have a posterior."""
        weights = self.cell.trainable_variables
        return [w for w in weights if self.with_bias or (len(w.shape) > 1 and "bias" not in w.name)]

    def posteriors(self) -> list[Independent]:
        """The posteriors of the weights, in the order of the cell's."""
        pairs = zip(self._uncertain(), self.untransformed_scales, strict=True)
        return [_mean_field(compat.full_value(loc), compat.full_value(raw)) for loc, raw in pairs]

    def begin_sequence(self) -> None:
        """Draw the weights that hold until `end_sequence`, and add the divergence to the loss."""
        posteriors = self.posteriors()
        priors = [
            self.prior_fn(self.variable_dtype, tuple(w.shape), w.name, False, self.add_weight)
            for w in self._uncertain()
        ]
        pairs = zip(posteriors, priors, strict=True)
        self.add_divergence(sum(q.kl_divergence(p) for q, p in pairs))
        self._drawn = [q.sample(seed=self.seed_generator) for q in posteriors]

    def end_sequence(self) -> None:
        """Forget the weights drawn."""
        if not self._held:
            self._drawn = None

    def hold(self, held: bool) -> None:
        """Draw weights that hold for several sequences, or forget them.

        Args:
            held: whether they hold from here on.
        """
        self._held = held
        if held:
            self.begin_sequence()
        else:
            self.end_sequence()

    def call(self, inputs: Tensor, states: Any, training: Any = False) -> Any:
        """One step with the weights of the sequence, or outside of one with weights of its own."""
        self.require_number(training)
        alone = self._drawn is None
        if alone:
            self.begin_sequence()
        drawn = dict(zip(map(id, self._uncertain()), self._drawn, strict=True))
        if alone:
            self.end_sequence()
        weights = [drawn.get(id(v), compat.full_value(v)) for v in self.cell.trainable_variables]
        others = [ops.convert_to_tensor(v) for v in self.cell.non_trainable_variables]
        options = {"training": training} if self.cell._call_has_training_arg else {}
        result, _ = self.cell.stateless_call(weights, others, inputs, states, **options)
        return result

    # --- what `keras.layers.RNN` calls before the first step and after the last ------------------

    def get_dropout_mask(self, step_input: Tensor) -> Any:
        """Draw the weights, and the dropout mask of the cell if it has one."""
        if self._drawn is None:
            self.begin_sequence()
        if isinstance(self.cell, compat.DropoutRNNCell):
            return self.cell.get_dropout_mask(step_input)
        return None

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Any:
        """The recurrent dropout mask of the cell, if it has one."""
        if isinstance(self.cell, compat.DropoutRNNCell):
            return self.cell.get_recurrent_dropout_mask(step_input)
        return None

    def reset_dropout_mask(self) -> None:
        """Forget weights and mask."""
        self.end_sequence()
        if isinstance(self.cell, compat.DropoutRNNCell):
            self.cell.reset_dropout_mask()

    def reset_recurrent_dropout_mask(self) -> None:
        """Forget the recurrent dropout mask."""
        if isinstance(self.cell, compat.DropoutRNNCell):
            self.cell.reset_recurrent_dropout_mask()

    def get_initial_state(self, batch_size: Any = None) -> Any:
        """The initial states of the cell."""
        return self.cell.get_initial_state(batch_size=batch_size)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "cell": serialize(self.cell),
            "prior_fn": serialize(self.prior_fn),
            "untransformed_scale_initializer": serialize(self.untransformed_scale_initializer),
            "with_bias": self.with_bias,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict) -> CellReparameterization:
        """The inverse of `get_config`."""
        read = keras.saving.deserialize_keras_object
        for name in ("cell", "prior_fn", "untransformed_scale_initializer"):
            config[name] = read(config[name])
        return cls(**config)


@contextmanager
def weights_drawn_once(layer: keras.Layer) -> Iterator[None]:
    """Inside, all recurrent cells in a layer keep the weights that are drawn at its beginning.

    Args:
        layer: a layer or model; its cells that have a posterior have weights already.
    """
    cells = [part for part in compat.layers_of(layer) if isinstance(part, CellReparameterization)]
    for cell in cells:
        cell.hold(True)
    try:
        yield
    finally:
        for cell in cells:
            cell.hold(False)


def _mean_field(loc: Tensor, raw: Tensor) -> Independent:
    scale = special.softplus(raw) + compat.epsilon(raw)
    return Independent(Normal.trusted(loc=loc, scale=scale), len(loc.shape))


class RecurrentReparameterization(keras.layers.RNN):
    """Base of the recurrent layers whose cell has a posterior over its weights.

    Args:
        units: int, the size of the state.
        **options: of the Keras layer of that name, such as `return_sequences` and `dropout`, and of
            `CellReparameterization`: `prior_fn`, `untransformed_scale_initializer`, `with_bias`,
            `seed` and `kl_weight`.

    Call arguments:
        sequences: tensor `(batch, time, features)`.
        initial_state: list of tensors `(batch, units)`. Default: zeros.
        mask: boolean tensor `(batch, time)`.
        training: whether this is a training step; given by Keras.

    Returns:
        What the Keras layer of that name returns.

    Raises:
        TypeError: for an unknown option.
    """

    cell_class: ClassVar[type[keras.Layer]]

    def __init__(self, units: int, **options: Any) -> None:
        of_rnn = {name: options.pop(name) for name in _OF_RNN if name in options}
        of_posterior = {name: options.pop(name) for name in _OF_POSTERIOR if name in options}
        dtype = of_rnn.get("dtype")
        cell = self.cell_class(units, dtype=dtype, **options)
        wrapped = CellReparameterization(
            cell, seed=options.get("seed"), dtype=dtype, **of_posterior
        )
        super().__init__(wrapped, **of_rnn)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        own = super().get_config()
        del own["cell"]
        cell, wrapped = self.cell.cell.get_config(), self.cell.get_config()
        common = ("name", "dtype", "trainable", "cell")
        parts = ({k: v for k, v in c.items() if k not in common} for c in (wrapped, cell))
        return {**next(parts), **next(parts), **own}

    @classmethod
    def from_config(cls, config: dict, custom_objects: Any = None) -> RecurrentReparameterization:
        """The inverse of `get_config`."""
        read = keras.saving.deserialize_keras_object
        for name in ("prior_fn", "untransformed_scale_initializer"):
            config[name] = read(config[name], custom_objects=custom_objects)
        return cls(**config)


@serializable
class LSTMReparameterization(RecurrentReparameterization):
    """A long short-term memory whose weights are drawn once for a sequence.

    Arguments, result and errors as for `RecurrentReparameterization` and `keras.layers.LSTM`; see
    `CellReparameterization` for the posterior.

    Source: Fortunato, Blundell, Vinyals: Bayesian Recurrent Neural Networks (2017).

    >>> import keras
    >>> layer = LSTMReparameterization(3, return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 10, 4))).shape)
    (2, 10, 3)
    """

    cell_class = keras.layers.LSTMCell


@serializable
class GRUReparameterization(RecurrentReparameterization):
    """A gated recurrent unit whose weights are drawn once for a sequence.

    Arguments, result and errors as for `RecurrentReparameterization` and `keras.layers.GRU`; see
    `CellReparameterization` for the posterior.

    Source: Fortunato, Blundell, Vinyals: Bayesian Recurrent Neural Networks (2017).

    >>> import keras
    >>> layer = GRUReparameterization(3, return_sequences=True)
    >>> tuple(layer(keras.ops.ones((2, 10, 4))).shape)
    (2, 10, 3)
    """

    cell_class = keras.layers.GRUCell
