"""Data past TensorFlow's pipelines, against Keras's own way."""

import keras
import numpy as np
import pytest
from helpers import BACKEND, to_numpy
from keras import ops

from timedist.ops import feeding


class Powers(keras.utils.PyDataset):
    """Three batches in an epoch, each of another power of two."""

    epoch = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return np.full((4, 1), 2.0 ** (3 * self.epoch + index), "float32"), np.zeros((4, 1))

    def on_epoch_end(self):
        self.epoch += 1


def test_every_batch_of_every_epoch_is_read_once():
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), dense])
    model.compile(keras.optimizers.SGD(1.0), lambda _, found: ops.mean(found))
    data = Powers()
    model.fit(feeding.training_data(data), epochs=2, shuffle=False, verbose=0)
    # The gradient is the mean of the inputs: every bit of the weight is a batch. Those of epoch 0
    # nobody sees, on any backend: Keras ends an epoch before the first.
    assert to_numpy(dense.kernel.value).item() == 2.0**3 - 2.0**9
    assert data.epoch == 3


@pytest.mark.skipif(BACKEND != "tensorflow", reason="there are no pipelines elsewhere")
def test_no_thread_tunes_the_pipeline():
    dataset = feeding.training_data(Powers())
    assert dataset.options().autotune.enabled is False
    assert int(dataset.cardinality()) == 3
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(4, 1), (4, 1)]


@pytest.mark.parametrize("batch_size", [3, 7, 10])
def test_predictions_are_those_of_keras(batch_size, monkeypatch):
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(7, 2)), "b": np.arange(7)}
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((), name="b", dtype="int32")}
    outputs = {"twice": 2.0 * inputs["a"], "added": inputs["a"][:, 0] + inputs["b"]}
    model = keras.Model(inputs, outputs)
    expected = model.predict(x, batch_size, verbose=0)
    monkeypatch.setattr(model, "predict", None)
    found = feeding.predicted(model, x, batch_size)
    if BACKEND != "tensorflow":
        assert found is None
        return
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
