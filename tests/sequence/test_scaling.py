"""The unit of a series, from what is known of it."""

import numpy as np
from helpers import assert_close
from keras import ops

from timedist.sequence.scaling import mean_absolute, mean_of_known

X = np.array([[1.0, -3.0, np.nan], [np.nan] * 3, [0.0] * 3, [2.0, 2.0, -2.0]], "float32")


def test_what_is_missing_counts_for_nothing():
    x = ops.convert_to_tensor(X)
    assert_close(mean_of_known(x), [-1.0, 0.0, 0.0, 2.0 / 3.0], 1e-6, floor=1.0)
    assert_close(mean_absolute(x), [2.0, 1.0, 1.0, 2.0], 1e-6)
