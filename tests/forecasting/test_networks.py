"""From options to networks."""

from frames import polars_frame, tiny_forecaster
from helpers import assert_close, to_numpy

from timedist.forecasting import networks
from timedist.forecasting.panel import Panel
from timedist.sequence import AutoregressiveWaveNet


def fresh(**options):
    return networks.fresh(tiny_forecaster(**options).config, Panel.from_frame(polars_frame()))


def test_default_lags_reach_no_further_than_the_data():
    panel = Panel.from_frame(polars_frame(length=30))
    assert networks.default_lags(panel) == [1, 2, 3, 23, 24, 25]


def test_as_many_members_as_asked_for_with_weights_of_their_own():
    model = fresh(members=3)
    assert len(model.members) == 3
    kernels = [to_numpy(one.projection.kernel) for one in model.members]
    assert all((kernels[k] != kernels[k - 1]).all() for k in range(3))


def test_a_wavenet_sees_the_whole_context():
    (member,) = fresh(network="wavenet", context_length=20, members=1).members
    assert isinstance(member, AutoregressiveWaveNet)
    assert member.core.receptive_field >= 20


def test_the_learning_rate_rises_and_falls():
    (member,) = fresh(epochs=10, steps_per_epoch=20, learning_rate=0.1).members
    schedule = member.optimizer._learning_rate
    rates = [float(to_numpy(schedule(step))) for step in (0, 5, 10, 105, 200)]
    assert_close(rates, [0.005, 0.0525, 0.1, 0.0505, 0.001], 1e-5)
