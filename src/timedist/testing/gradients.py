"""Contracts of derivatives, and of behaviour over the whole range of the dtype."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import keras
import numpy as np

from timedist.ops.functional import compiled_gradient, float64_scope
from timedist.testing.case import Case, NotApplicableError
from timedist.testing.compare import array, assert_close

PROBABILITIES = np.array([1e-4, 0.03, 0.4, 0.6, 0.95, 0.9999])
_STEP = 1e-5
_BLOCK = 64


def _arguments(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Values and probabilities with an axis of six in front."""
    d = case.make()
    rank = len(d.batch_shape)
    p = np.broadcast_to(PROBABILITIES.reshape(-1, *(1,) * rank), (6, *d.batch_shape)).copy()
    twin = case.twin(**case.rounded("float64"))
    if hasattr(twin, "points"):
        points = np.asarray(twin.points(), "float64")
        return points[np.arange(6) % len(points)], p
    lead = p.reshape(*p.shape, *(1,) * len(d.event_shape))
    marginal = case.marginal(**case.rounded("float64"))
    return marginal.ppf(np.broadcast_to(lead, (6, *d.batch_shape, *d.event_shape))).astype(
        "float64"
    ), p


def _methods(case: Case) -> list[str]:
    names = ("log_prob", "cdf", "quantile", "crps", "entropy")
    return [m for m in names if m not in case.no_gradient | case.missing]


def gradients_agree_with_finite_differences(case: Case) -> None:
    """Of log_prob, cdf, quantile, CRPS and entropy to every parameter and argument, in float64."""
    methods = _methods(case)
    if not methods:
        raise NotApplicableError(f"{case} has no method with a derivative")
    d = case.make()
    x, p = _arguments(case)
    names, values = zip(*case.rounded("float64").items(), strict=True)
    copies = [np.broadcast_to(v, (6, *v.shape)).copy() for v in values]
    arguments = dict(zip(("value", "p", *names), (x, p, *copies), strict=True))
    event_axes = tuple(range(1 + len(d.batch_shape), x.ndim))

    def evaluate(method: str, x: Any, p: Any, *parameters: Any) -> Any:
        """The method, summed over what axes it has of the event."""
        dist = case.build(**dict(zip(names, parameters, strict=True)))
        if method == "entropy":
            return dist.entropy()
        result = getattr(dist, method)(p if method == "quantile" else x)
        deep = len(result.shape) > 1 + len(d.batch_shape)
        return keras.ops.sum(result, axis=event_axes) if deep else result

    with float64_scope():
        for method in methods:
            _check_method(case, method, partial(evaluate, method), arguments, d.discrete)


def _check_method(case: Case, method: str, function: Any, arguments: dict, discrete: bool) -> None:
    differentiated = compiled_gradient(function)  # one program, for the shifted arguments too
    tensors = [keras.ops.convert_to_tensor(a) for a in arguments.values()]
    gradients = [array(g) for g in differentiated(*tensors)[1]]
    size = np.minimum(arguments["p"], 1 - arguments["p"])
    unused = {
        "quantile": {"value"},
        "entropy": {"value", "p"},
    }.get(method, {"p"}) | ({"value"} if discrete or method in case.no_gradient else set())
    for position, (name, values) in enumerate(arguments.items()):
        if name in unused:
            continue
        rng = np.random.default_rng(position)
        scale = size if name == "p" else np.maximum(np.abs(values), 0.1)
        direction = scale * rng.uniform(0.5, 1.0, values.shape)
        sides = []
        for sign in (1.0, -1.0):
            moved = keras.ops.convert_to_tensor(values + sign * _STEP * direction)
            shifted = [*tensors[:position], moved, *tensors[position + 1 :]]
            sides.append(array(differentiated(*shifted)[0]))
        with np.errstate(invalid="ignore"):
            slope = (sides[0] - sides[1]) / (2 * _STEP)
        trailing = tuple(range(slope.ndim, values.ndim))
        actual = (gradients[position] * direction).sum(axis=trailing)
        floor = np.abs(sides[0]) + np.abs(slope).max(axis=0)
        tolerance = max(5e-6, case.tolerances.get((f"{method} gradient", "float64"), (0.0,))[0])
        usable = np.isfinite(slope)
        assert_close(
            np.where(usable, actual, 0.0),
            np.where(usable, slope, 0.0),
            tolerance,
            np.where(usable, floor, 1.0),
            f"{case} {method} to {name}",
        )


def log_prob_and_its_gradient_are_never_nan(case: Case) -> None:
    """For valid parameters and values over the whole range of float32.

    `TIMEDIST_EXAMPLES` sets the number of examples, default 640.
    """
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays

    d = case.make()
    rank, event = len(d.batch_shape), tuple(d.event_shape)
    if not case.wide or case.values is None:
        raise NotApplicableError(f"{case} says no range of parameters and values")
    names = tuple(case.parameters)
    shapes = {n: (_BLOCK, *v.shape[rank:]) for n, v in case.parameters.items()}

    def log_prob(x: Any, *parameters: Any) -> Any:
        return case.build(**dict(zip(names, parameters, strict=True))).log_prob(x)

    scored = compiled_gradient(log_prob)
    parameters = [
        arrays("float32", shapes[n], elements=case.wide[n], fill=case.wide[n])
        if not callable(case.wide[n])
        else case.wide[n](shapes[n])
        for n in names
    ]
    values = (
        case.values((_BLOCK, *event))
        if callable(case.values)
        else arrays("float32", (_BLOCK, *event), elements=case.values, fill=case.values)
    )

    def report(bad: np.ndarray, x: np.ndarray, drawn: tuple) -> str:
        i = int(np.argmax(bad))
        return f"{case}: value {x[i]!r}, " + ", ".join(
            f"{n} {a[i]!r}" for n, a in zip(names, drawn, strict=True)
        )

    @settings(
        max_examples=max(1, int(os.environ.get("TIMEDIST_EXAMPLES", "640")) // _BLOCK),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(values, st.tuples(*parameters))
    def check(x: np.ndarray, drawn: tuple) -> None:
        tensors = [keras.ops.convert_to_tensor(a) for a in (x, *drawn)]
        value, gradients = scored(*tensors)
        bad = np.isnan(array(value))
        assert not bad.any(), report(bad, x, drawn)
        for name, g in zip(("value", *names), gradients, strict=True):
            bad = np.isnan(array(g)).reshape(_BLOCK, -1).any(axis=1)
            assert not bad.any(), f"gradient to {name}: " + report(bad, x, drawn)

    check()


CONTRACTS = (gradients_agree_with_finite_differences, log_prob_and_its_gradient_are_never_nan)
