"""Gradients of every family against finite differences, and its behaviour at extreme parameters."""

from functools import partial

import keras
import numpy as np
import pytest
from cases import CASES
from helpers import assert_close, compiled_gradient, fast, float64_scope, to_numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

per_case = pytest.mark.parametrize("case", CASES, ids=str)
PROBABILITIES = np.array([1e-4, 0.03, 0.4, 0.6, 0.95, 0.9999])


def smooth_methods(case):
    methods = [
        m for m in ("log_prob", "cdf", "quantile") if m not in case.no_gradient | case.missing
    ]
    return methods


@per_case
def test_gradients_agree_with_finite_differences(case):
    """To every parameter and to the argument, in float64."""
    methods = smooth_methods(case)
    if not methods:
        pytest.skip(f"{case} has no method with a derivative")
    d = case.make()
    batch_rank, discrete = len(d.batch_shape), d.discrete
    p = np.broadcast_to(PROBABILITIES.reshape(-1, *(1,) * batch_rank), (6, *d.batch_shape)).copy()
    marginal = case.marginal(**{n: v.astype("float64") for n, v in case.arrays("float64").items()})
    lead = p.reshape(*p.shape, *(1,) * len(d.event_shape))
    x = marginal.ppf(np.broadcast_to(lead, (6, *d.batch_shape, *d.event_shape))).astype("float64")
    names, values = zip(*case.arrays("float64").items(), strict=True)
    copies = [np.broadcast_to(v, (6, *v.shape)).copy() for v in values]
    event_axes = tuple(range(1 + batch_rank, 1 + batch_rank + len(d.event_shape)))

    def evaluate(method, x, p, *parameters):
        """The method, summed over the event."""
        dist = case.build(**dict(zip(names, parameters, strict=True)))
        if method != "quantile":
            return getattr(dist, method)(x)
        result = dist.quantile(p)
        return keras.ops.sum(result, axis=event_axes) if event_axes else result

    arguments = [x, p, *copies]
    with float64_scope():
        tensors = [keras.ops.convert_to_tensor(a) for a in arguments]
        for method in methods:
            function = partial(evaluate, method)
            forward = fast(function)
            gradients = [to_numpy(g) for g in compiled_gradient(function)(*tensors)[1]]
            for position, (label, array) in enumerate(
                zip(("value", "p", *names), arguments, strict=True)
            ):
                if (label == "p") != (method == "quantile") and label in ("value", "p"):
                    continue
                if label == "value" and discrete:
                    continue
                trailing = tuple(range(1 + batch_rank, array.ndim))
                rng = np.random.default_rng(position)
                size = np.minimum(p, 1 - p) if label == "p" else np.maximum(np.abs(array), 0.1)
                direction = size * rng.uniform(0.5, 1.0, array.shape)
                step = 1e-5
                sides = []
                for sign in (1.0, -1.0):
                    moved = keras.ops.convert_to_tensor(array + sign * step * direction)
                    shifted = [*tensors[:position], moved, *tensors[position + 1 :]]
                    sides.append(to_numpy(forward(*shifted)))
                with np.errstate(invalid="ignore"):
                    slope = (sides[0] - sides[1]) / (2 * step)
                actual = (gradients[position] * direction).sum(axis=trailing)
                scale = np.abs(sides[0]) + np.abs(slope).max(axis=0)
                assert_close(actual, slope, 2e-6, floor=scale, err_msg=f"{method} to {label}")


@per_case
def test_log_prob_and_its_gradient_are_never_nan(case):
    d = case.make()
    batch_rank, event = len(d.batch_shape), tuple(d.event_shape)
    names = tuple(case.parameters)
    number = 64
    shapes = {n: (number, *v.shape[batch_rank:]) for n, v in case.parameters.items()}

    def log_prob(x, *parameters):
        return case.build(**dict(zip(names, parameters, strict=True))).log_prob(x)

    scored = compiled_gradient(log_prob)
    settled = settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    parameters = [
        arrays("float32", shapes[n], elements=case.wide[n], fill=case.wide[n]) for n in names
    ]
    values = arrays("float32", (number, *event), elements=case.values, fill=case.values)

    @settled
    @given(values, st.tuples(*parameters))
    def check(x, drawn):
        tensors = [keras.ops.convert_to_tensor(a) for a in (x, *drawn)]
        value, gradients = scored(*tensors)
        value = to_numpy(value)
        bad = np.isnan(value)
        assert not bad.any(), report(bad, x, drawn)
        for g in gradients:
            bad = np.isnan(to_numpy(g)).reshape(number, -1).any(axis=1)
            assert not bad.any(), "gradient: " + report(bad, x, drawn)

    def report(bad, x, drawn):
        i = int(np.argmax(bad))
        return f"value {x[i]!r}, " + ", ".join(
            f"{n} {a[i]!r}" for n, a in zip(names, drawn, strict=True)
        )

    check()
