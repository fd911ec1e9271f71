"""Invertible maps of vectors, against their definition and finite differences."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import float64_scope, gradient, to_numpy
from keras import ops

from timedist.distributions import flows, masked_networks

RNG = np.random.default_rng(0)


def autoregressive(order="left-to-right", params=2, context=0, dtype="float64", **options):
    """A flow of three components with random weights."""
    degrees = masked_networks.degrees(3, order, [6, 6], "with_zero", seed=1)
    widths = (3, 6, 6, 3 * params)
    shapes = list(pairwise(widths))
    return flows.MaskedAutoregressive(
        [0.7 * RNG.normal(size=shape).astype(dtype) for shape in shapes],
        degrees,
        [0.7 * RNG.normal(size=n).astype(dtype) for _, n in shapes],
        [RNG.normal(size=(context, n)).astype(dtype) for _, n in shapes if context],
        activation="tanh",
        **options,
    )


FLOWS = {
    "left to right": {},
    "random order": {"order": "random"},
    "with a context": {"order": "right-to-left", "context": 2},
    "shifts alone": {"params": 1},
    "bounded": {"log_scale_bound": 0.3},
    "coupling": {"order": (1, 2, 2), "keeps_first": True, "context": 2},
}
per_flow = pytest.mark.parametrize("options", FLOWS.values(), ids=FLOWS)


@per_flow
def test_inverse_and_determinant(options):
    with float64_scope():
        flow = autoregressive(**options)
        context = RNG.normal(size=(4, 2)) if flow.context_size else None
        x = RNG.normal(size=(4, 3))
        y = flow.forward(x, context)
        assert to_numpy(y).dtype == "float64"
        np.testing.assert_allclose(to_numpy(flow.inverse(y, context)), x, rtol=1e-9, atol=1e-9)
        step = 1e-6
        sides = [
            to_numpy(flow.forward(x[:, None] + sign * step * np.eye(3), _lifted(context)))
            for sign in (-1, 1)
        ]
        jacobian = (sides[1] - sides[0]) / (2 * step)
        np.testing.assert_allclose(
            to_numpy(flow.log_det(y, context)),
            np.log(np.abs(np.linalg.det(jacobian))),
            rtol=1e-6,
            atol=1e-7,
        )


def _lifted(context):
    return None if context is None else context[:, None]


def test_it_is_a_shift_and_a_scale_of_each_component_in_turn():
    flow = autoregressive(dtype="float32", log_scale_bound=1.5)
    network = masked_networks.prepared(flow.kernels, flow.biases, (), flow.degrees, flow.activation)
    x, y = RNG.normal(size=3).astype("float32"), np.zeros(3, "float32")
    for i in range(3):
        shift, log_scale = to_numpy(network(ops.convert_to_tensor(y)))[i]
        y[i] = shift + x[i] * np.exp(1.5 * np.tanh(log_scale / 1.5))
    np.testing.assert_allclose(to_numpy(flow.forward(x)), y, rtol=1e-5)


def test_a_coupling_keeps_its_first_components():
    flow = autoregressive((1, 2, 1), keeps_first=True, dtype="float32")
    x = RNG.normal(size=(5, 3)).astype("float32")
    y = to_numpy(flow.forward(x))
    np.testing.assert_array_equal(y[:, ::2], x[:, ::2])
    assert np.abs(y[:, 1] - x[:, 1]).min() > 0.0


def test_what_is_not_yet_known_does_not_overflow():
    """The log scale of the second component is 1000 while the first is still zero."""
    kernel = np.array([[0.0, 0, 0, -100.0], [0, 0, 0, 0]], "float32")
    bias = np.array([10.0, 0, 0, 1000.0], "float32")
    flow = flows.MaskedAutoregressive([kernel], ((1, 2),), [bias])
    x = np.array([0.0, 1.0], "float32")
    np.testing.assert_allclose(to_numpy(flow.forward(x)), [10.0, 1.0], rtol=1e-4)
    (slope,) = gradient(flow.forward, x)
    np.testing.assert_allclose(slope, [1.0 - 100.0, 1.0], rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kernels": [np.zeros((3, 6))], "degrees": [[1, 2]]},
            r"\[\(3, 6\)\] do not fit.*\(2, 4\)",
        ),
        ({"kernels": [np.zeros((2, 4))], "degrees": [[1, 3]]}, r"1 to the number of places.*3\)"),
        ({"biases": [np.zeros(3)]}, r"biases of shapes \[\(3,\)\] do not fit layers of \[4\]"),
        ({"context_kernels": [np.zeros((5, 3))]}, r"context_kernels of shapes \[\(5, 3\)\]"),
    ],
)
def test_shapes_that_do_not_fit(arguments, message):
    given = {"kernels": [np.zeros((2, 4))], "degrees": [[1, 2]], **arguments}
    given = {
        name: [x.astype("float32") if hasattr(x, "astype") else x for x in value]
        for name, value in given.items()
    }
    with pytest.raises(ValueError, match=message):
        flows.MaskedAutoregressive(**given)


def test_wrong_arguments():
    flow = autoregressive(context=2, dtype="float32")
    with pytest.raises(ValueError, match="a context of 2 features, got none"):
        flow.forward(np.zeros(3))
    with pytest.raises(ValueError, match="a context of 2 features, got one of 3 features"):
        flow.inverse(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="no context, got one of 3 features"):
        autoregressive(dtype="float32").inverse(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"vectors of 3 components, got shape \(5, 2\)"):
        autoregressive(dtype="float32").inverse(np.zeros((5, 2)))
    with pytest.raises(TypeError, match="kernels must be a list or a tuple of tensors, got int"):
        flows.MaskedAutoregressive(3, [[1, 2]])
