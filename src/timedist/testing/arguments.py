"""Contracts of what goes in: errors, shapes, slices, missing values."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from timedist.testing.case import Case, NotApplicableError
from timedist.testing.compare import array, assert_close
from timedist.testing.values import evaluated


def _raised(error: type[Exception], function: Any, *args: Any) -> str:
    """The message of the error a call must raise."""
    try:
        function(*args)
    except error as caught:
        return str(caught)
    raise AssertionError(f"no {error.__name__} from {function} with {args}")


def bad_parameters_are_named(case: Case) -> None:
    """The message has the family, the parameter, what was given and what is expected."""
    if not case.invalid:
        raise NotApplicableError(f"{case} lists no invalid parameters")
    for arguments, texts in case.invalid:
        message = _raised(ValueError, lambda a=arguments: case.build(**a))
        for text in texts:
            assert text in message, (case, text, message)


def missing_methods_say_so(case: Case) -> None:
    """`NotImplementedError` with the family and the method."""
    d = case.make()
    if not case.missing:
        raise NotApplicableError(f"{case} has every method")
    zero = np.zeros((*d.batch_shape, *d.event_shape), "float32")
    arguments: dict[str, tuple] = {
        name: (zero,) for name in ("crps", "cdf", "log_cdf", "survival_function")
    }
    arguments |= {"log_survival_function": (zero,), "quantile": (0.5,), "kl_divergence": (d,)}
    for method in sorted(case.missing):
        message = _raised(NotImplementedError, getattr(d, method), *arguments.get(method, ()))
        assert d._family in message, (case, method, message)


def values_of_a_wrong_shape_are_refused(case: Case) -> None:
    """The message has the family and both shapes."""
    d = case.make()
    expected = (*d.batch_shape, *d.event_shape)
    wrong = (7,) * len(expected)
    methods = [m for m in ("log_prob", "cdf", "survival_function", "log_cdf") if case.has(m)]
    for method in methods:
        message = _raised(ValueError, getattr(d, method), np.zeros(wrong, "float32"))
        for text in (d._family, str(wrong), str(expected)):
            assert text in message, (case, method, message)


def probabilities_outside_the_unit_interval_are_refused(case: Case) -> None:
    """Also levels of intervals."""
    case.needs("quantile")
    d = case.make()
    for p in (-0.1, 1.5, float("nan")):
        message = _raised(ValueError, d.quantile, p)
        assert "quantile" in message and "[0, 1]" in message
    for level in (0.0, 1.0, -0.5):
        assert "level" in _raised(ValueError, d.interval, level)


def slices_are_distributions_of_the_slice(case: Case) -> None:
    """`d[i]` scores as `d` does at `i`, and so does a batch in another shape."""
    results, x, _ = evaluated(case, "float32")
    d = case.make()
    part = d[1:]
    assert part.batch_shape == (d.batch_shape[0] - 1, *d.batch_shape[1:])
    assert part.event_shape == d.event_shape
    expected = results["log_prob"][:, 1:]
    assert_close(part.log_prob(x[:, 1:]), expected, 1e-5, 1.0, f"{case} sliced")
    wide = d.reshape_batch((1, *d.batch_shape))
    assert wide.batch_shape == (1, *d.batch_shape)
    scores = array(wide.log_prob(x[:, None]))[:, 0]
    assert_close(scores, results["log_prob"], 1e-5, 1.0, f"{case} reshaped")


def what_is_not_observed_counts_for_nothing(case: Case) -> None:
    """`log_prob_where` takes NaN where nothing is observed, and gives a finite number."""
    results, x, _ = evaluated(case, "float32")
    d = case.make()
    middle = x[4]
    observed = np.ones(middle.shape, bool)
    observed[0] = False
    value = np.where(observed, middle, np.nan).astype("float32")
    actual = array(d.log_prob_where(value, keras.ops.convert_to_tensor(observed)))
    expected = np.where(np.arange(len(actual)) == 0, 0.0, results["log_prob"][4])
    assert_close(actual, expected, 1e-5, 1.0, f"{case} with missing values")


CONTRACTS = (
    bad_parameters_are_named,
    missing_methods_say_so,
    values_of_a_wrong_shape_are_refused,
    probabilities_outside_the_unit_interval_are_refused,
    slices_are_distributions_of_the_slice,
    what_is_not_observed_counts_for_nothing,
)
