"""Networks each of whose outputs sees only the inputs before its own."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import to_numpy
from keras import ops

from timedist.distributions import masked_networks

RNG = np.random.default_rng(0)
ORDERS = ("left-to-right", "right-to-left", "random", (2, 1, 3, 1, 2))


def random_network(degrees, params=2, context=0):
    """Kernels, biases and kernels of the context, all without zeros."""
    widths = [len(row) for row in degrees] + [params * len(degrees[0])]
    shapes = list(pairwise(widths))

    def drawn(*shape):
        return ops.convert_to_tensor(RNG.normal(size=shape).astype("float32"))

    return {
        "kernels": [drawn(*shape) for shape in shapes],
        "biases": [drawn(n) for _, n in shapes],
        "context_kernels": [drawn(context, n) for _, n in shapes if context],
        "degrees": degrees,
        "activation": "tanh",
    }


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", masked_networks.KINDS)
def test_outputs_see_just_the_inputs_before_their_own(order, kind):
    degrees = masked_networks.degrees(5, order, [40, 40], kind, seed=1)
    network = masked_networks.prepared(**random_network(degrees))
    x = RNG.normal(size=5).astype("float32")
    changed = x + 3.0 * np.eye(5, dtype="float32")
    outputs = to_numpy(network(ops.convert_to_tensor(np.stack([x, *changed]))))
    assert outputs.shape == (6, 5, 2)
    moves = np.abs(outputs[1:] - outputs[0]).max(axis=-1) > 1e-4
    places = np.array(degrees[0])
    np.testing.assert_array_equal(moves, places[:, None] < places)


def test_degrees():
    assert masked_networks.degrees(4, "left-to-right", [6], "equal", 0) == (
        (1, 2, 3, 4),
        (1, 1, 2, 2, 3, 3),
    )
    assert masked_networks.degrees(4, "right-to-left", [8], "with_zero", 0) == (
        (4, 3, 2, 1),
        (0, 0, 1, 1, 2, 2, 3, 3),
    )
    random = [masked_networks.degrees(9, "random", [7], "random", seed) for seed in (1, 1, 2)]
    assert random[0] == random[1] != random[2]
    assert sorted(random[0][0]) == list(range(1, 10))
    assert 1 <= min(random[0][1]) <= max(random[0][1]) <= 8
    for kind in masked_networks.KINDS:
        assert masked_networks.degrees(1, "left-to-right", [2], kind, 0) == ((1,), (0, 0))


def test_the_first_component_sees_the_context_by_units_of_degree_zero():
    context = ops.convert_to_tensor(np.linspace(-1, 1, 7, dtype="float32")[:, None])
    for kind, straight in (("equal", True), ("with_zero", False)):
        degrees = masked_networks.degrees(2, "left-to-right", [8], kind, 0)
        network = masked_networks.prepared(**random_network(degrees, context=1), context=context)
        first = to_numpy(network(ops.zeros(2)))[:, 0, 0]
        assert (np.abs(np.diff(first, n=2)).max() < 1e-5) == straight


def test_it_is_the_dense_network_that_it_says():
    degrees = masked_networks.degrees(3, "left-to-right", [5], "equal", 0)
    given = random_network(degrees, context=2)
    x, context = (RNG.normal(size=(4, n)).astype("float32") for n in (3, 2))
    names = ("kernels", "biases", "context_kernels")
    first, last = ([to_numpy(given[name][i]) for name in names] for i in range(2))
    masks = masked_networks.masks(degrees, 2)
    hidden = np.tanh(x @ (first[0] * masks[0]) + first[1] + context @ first[2])
    outputs = hidden @ (last[0] * masks[1]) + last[1] + context @ last[2]
    network = masked_networks.prepared(**given, context=ops.convert_to_tensor(context))
    mine = to_numpy(network(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(mine, outputs.reshape(4, 3, 2), rtol=1e-4, atol=1e-5)
