"""Networks together, against the same networks by themselves."""

import keras
import numpy as np
import pytest
from helpers import assert_close, to_numpy

from timedist.forecasting.ensemble import Ensemble
from timedist.layers import IndependentNormal
from timedist.sequence import AutoregressiveRNN

RNG = np.random.default_rng(0)
INPUTS = {
    "target": RNG.gamma(3.0, 2.0, (12, 2 + 9)).astype("float32"),
    "features": RNG.normal(size=(12, 9, 2)).astype("float32"),
}


def member(seed):
    keras.utils.set_random_seed(seed)
    model = AutoregressiveRNN(IndependentNormal(), lags=(1, 2), context_length=5, units=4)
    model.build({name: value.shape for name, value in INPUTS.items()})
    return model


@pytest.fixture(scope="module")
def ensemble():
    return Ensemble([member(1), member(2)])


def test_it_gives_the_distributions_of_all(ensemble):
    found = ensemble(INPUTS)
    assert len(found) == 2
    for distribution, one in zip(found, ensemble.members, strict=True):
        assert_close(to_numpy(distribution.mean()), to_numpy(one(INPUTS).mean()), 1e-6)
    first, second = (to_numpy(distribution.mean()) for distribution in found)
    assert np.abs(first - second).max() > 1e-3


def test_a_file_of_all(ensemble, tmp_path):
    ensemble.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.max_lag == 2
    for mine, its in zip(ensemble(INPUTS), again(INPUTS), strict=True):
        assert_close(to_numpy(its.mean()), to_numpy(mine.mean()), 1e-6)
