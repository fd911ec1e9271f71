"""The divergence of weights from their prior, counted once for a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from timedist.ops import compat

Tensor = Any


class LoopListener(keras.metrics.Metric):
    """Hears when a loop over data begins: that is when Keras resets metrics. It measures nothing.

    Args:
        on_start: what to call then.
    """

    def __init__(self, on_start: Callable[[], None]) -> None:
        super().__init__(name="loop_listener")
        self.on_start = on_start

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to keep."""

    def result(self) -> dict:
        """Nothing to show beside the loss."""
        return {}

    def reset_state(self) -> None:
        """A loop begins."""
        self.on_start()


class BayesianLayer(keras.Layer):
    r"""Base of the layers whose weights have a posterior distribution.

    The loss of a Bayesian network is, up to a constant, $-\mathrm{ELBO} / N$ in nats for each
    sequence: the mean negative log likelihood of a sequence plus
    $\mathrm{KL}[q(w) \,\|\, p(w)] / N$, N the number of sequences (or examples) in the training
    set. This class adds the second part, once for a call, whatever the batch.

    Args:
        kl_weight: what the divergence in nats is multiplied by. Default `None`: 1 / N, where N is
            taken from `fit`. Outside `fit`, and for data sets that do not tell their size, give it.
        **kwargs: of `keras.Layer`.

    Raises:
        ValueError: if a weight is negative; in training, if N is not known.
    """

    def __init__(self, kl_weight: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kl_weight = None if kl_weight is None else float(kl_weight)
        if self.kl_weight is not None and not self.kl_weight >= 0.0:
            raise ValueError(
                f"{type(self).__name__}: kl_weight must not be negative, got {kl_weight!r}"
            )
        self.supports_masking = True
        self._number_known = False

    def build(self, input_shape: Any) -> None:
        """Make the variable that remembers N."""
        del input_shape
        # TensorFlow makes the variables of a model without input shape after `fit` has begun.
        loop = compat.keras_loop()
        number = number_of_examples(loop[1]) if loop is not None and loop[0] == "fit" else None
        self._number_known = bool(number)
        self.number_of_sequences = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(float(number or 0)),
            dtype="float32",
            trainable=False,
            autocast=False,
            name="number_of_sequences",
        )
        self.listener = LoopListener(self._learn_number_of_sequences)

    def _learn_number_of_sequences(self) -> None:
        """Take N from the `fit` that has just begun, or raise if it can't be known."""
        loop = compat.keras_loop() if self.kl_weight is None else None
        if loop is None:
            return
        name, data = loop
        number = number_of_examples(data) if name == "fit" else None
        if number:
            self.number_of_sequences.assign(float(number))
        self._number_known = bool(number) or (name == "evaluate" and self._number_known)
        if not self._number_known:
            raise self._unknown(f"`{name}` does not tell it for {type(data).__name__}")

    def _unknown(self, why: str) -> ValueError:
        return ValueError(
            f"The layer {self.name!r} ({type(self).__name__}) must know the number N of training "
            f"sequences, and {why}. Give it `kl_weight=1 / N`."
        )

    def require_number(self, training: Any) -> None:
        """Raise in training if N is neither given nor known from `fit`."""
        if training is True and self.kl_weight is None and not self._number_known:
            raise self._unknown("this call is in no `fit`")

    def add_divergence(self, nats: Tensor, training: Any = None) -> None:
        """Add a divergence to the loss; call it once in `call`.

        Args:
            nats: scalar, the divergence of the weights from their prior.
            training: whether this is a training step.

        Raises:
            ValueError: in training, if N is neither given nor known from `fit`.
        """
        self.require_number(training)
        if self.kl_weight is None and not self._number_known:
            return
        if self.kl_weight is None:
            number = ops.convert_to_tensor(self.number_of_sequences)
            weight = ops.cast(1.0 / ops.maximum(number, 1.0), nats.dtype)
        else:
            weight = ops.cast(self.kl_weight, nats.dtype)
        self.add_loss(weight * nats)

    def load_own_variables(self, store: Any) -> None:
        """Load the weights; N among them."""
        super().load_own_variables(store)
        self._number_known = bool(np.asarray(compat.to_numpy(self.number_of_sequences)) > 0.0)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {**super().get_config(), "kl_weight": self.kl_weight}


def number_of_examples(data: Any) -> int | None:
    """How many examples the `x` of `fit` holds, or `None` if it does not tell.

    Args:
        data: arrays, in any nesting, whose first axis counts examples; a
            `torch.utils.data.DataLoader` whose data set has a length; or a `tf.data.Dataset` whose
            batches have a known size.

    Returns:
        The number, or `None`.
    """
    if hasattr(data, "dataset"):
        return len(data.dataset) if hasattr(data.dataset, "__len__") else None
    if hasattr(data, "element_spec"):
        sizes = [spec.shape[0] for spec in keras.tree.flatten(data.element_spec) if spec.shape]
        batches = int(data.cardinality())
        return batches * sizes[0] if batches > 0 and sizes and sizes[0] else None
    arrays = [x for x in keras.tree.flatten(data) if getattr(x, "shape", ())]
    return int(arrays[0].shape[0]) if arrays else None
