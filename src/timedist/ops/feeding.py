"""Data for Keras's loops, past TensorFlow's pipelines where these cost more than they bring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from timedist.ops import compat


def training_data(batches: keras.utils.PyDataset) -> Any:
    """What `keras.Model.fit` is to be given so that it reads these batches without delay.

    On TensorFlow Keras makes a pipeline that a thread tunes, and at the end of an epoch waits for
    that thread. It wakes up 2.5, 5, 10 seconds after the first batch, and so on, and often sees
    only then that the last one is gone (TensorFlow 2.21). A pipeline that is not tuned has none.

    Args:
        batches: of arrays, all batches of the same shapes.

    Returns:
        The same, or on TensorFlow a data set of them.
    """
    if compat.backend_name() != "tensorflow":
        return batches
    import tensorflow as tf

    def epoch() -> Iterator[Any]:
        for number in range(len(batches)):
            yield batches[number]
        batches.on_epoch_end()

    batches.on_epoch_end()  # as Keras does before the first epoch: all backends see the same
    specs = keras.tree.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), batches[0])
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(epoch, output_signature=specs)
    counted = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return counted.prefetch(2).with_options(untuned)


def predicted(model: keras.Model, x: Any, batch_size: int) -> Any:
    """What `model.predict` gives for arrays, where there is a quicker way to it: on TensorFlow.

    Keras makes a pipeline at every call there, behind which the number of rows is not known.

    Args:
        model: gives tensors with the rows in front.
        x: structure of NumPy arrays with as many rows each.
        batch_size: int, rows in a batch.

    Returns:
        The structure of arrays; `None` where Keras's is the way.
    """
    if compat.backend_name() != "tensorflow" or model.distribute_strategy.num_replicas_in_sync > 1:
        return None
    x = keras.tree.map_structure(_as_keras_reads_it, x)
    rows = len(keras.tree.flatten(x)[0])
    parts = [
        model.predict_on_batch(
            keras.tree.map_structure(lambda a, at=at: a[at : at + batch_size], x)
        )
        for at in range(0, rows, batch_size)
    ]
    return keras.tree.map_structure(lambda *each: np.concatenate(each), *parts)


def refuse_nothing(owner: str, x: Any) -> None:
    """A `ValueError` if the arrays have no rows, of which Keras makes a failure of its own."""
    for array in keras.tree.flatten(x):
        if hasattr(array, "shape") and len(array.shape) and array.shape[0] == 0:
            raise ValueError(
                f"{owner}: there is nothing to predict, an input has the shape {array.shape}"
            )


def _as_keras_reads_it(x: np.ndarray) -> np.ndarray:
    return x.astype(keras.config.floatx(), copy=False) if x.dtype.kind == "f" else x
