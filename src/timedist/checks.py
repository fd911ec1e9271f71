"""Checks of the arguments of scores, losses and metrics: what was given, what was expected.

Each function takes the name of whoever asks and puts it into its error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from timedist.ops import compat

Tensor = Any


def is_number(x: Any) -> bool:
    """Whether `x` is a Python or NumPy number (a truth value is none)."""
    return isinstance(x, (int, float, np.number)) and not isinstance(x, bool)


def level(owner: str, given: Any) -> float:
    """A probability strictly between 0 and 1."""
    if not is_number(given) or not 0.0 < given < 1.0:
        raise ValueError(f"{owner}: level must be between 0 and 1, got {given!r}")
    return float(given)


def levels(owner: str, given: Any) -> tuple[float, ...]:
    """One or more probabilities strictly between 0 and 1."""
    try:
        found = tuple(given)
    except TypeError:
        found = ()
    if not found or not all(is_number(p) and 0.0 < p < 1.0 for p in found):
        raise ValueError(
            f"{owner}: levels must be a sequence of numbers between 0 and 1, got {given!r}"
        )
    return tuple(float(p) for p in found)


def count(owner: str, name: str, given: Any, least: int) -> int:
    """An int that is not too small."""
    if not isinstance(given, (int, np.integer)) or isinstance(given, bool) or given < least:
        raise ValueError(f"{owner}: {name} must be an int >= {least}, got {given!r}")
    return int(given)


def not_negative(owner: str, name: str, given: Any) -> float:
    """A number that is not below zero."""
    if not is_number(given) or not given >= 0.0:
        raise ValueError(f"{owner}: {name} must be a number >= 0, got {given!r}")
    return float(given)


def positive(owner: str, name: str, given: Any) -> float:
    """A number above zero."""
    if not is_number(given) or not 0.0 < given < float("inf"):
        raise ValueError(f"{owner}: {name} must be a positive number, got {given!r}")
    return float(given)


def named(owner: str, inputs: Any, needed: set[str]) -> None:
    """A dictionary with all of these names."""
    if not isinstance(inputs, dict) or not needed <= set(inputs):
        given = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(f"{owner} needs the inputs {sorted(needed)}, got {given}")


def are_lags(given: Sequence) -> bool:
    """Whether these are distinct ints, one or more, of at least 1."""
    whole = len(given) > 0 and all(isinstance(lag, int) and lag >= 1 for lag in given)
    return whole and len(set(given)) == len(given)


def fraction(owner: str, name: str, given: Any) -> float:
    """A number from 0 to 1."""
    if not is_number(given) or not 0.0 <= given <= 1.0:
        raise ValueError(f"{owner}: {name} must be a number from 0 to 1, got {given!r}")
    return float(given)


def choice(owner: str, name: str, given: Any, options: Sequence[str]) -> str:
    """One of a few words."""
    if given not in options:
        raise ValueError(f"{owner}: {name} must be one of {tuple(options)}, got {given!r}")
    return given


def tensors(owner: str, **arrays: Any) -> list[Tensor]:
    """Arrays as tensors of one dtype: float64 if one of them is that, else float32."""
    for name, x in arrays.items():
        if hasattr(x, "log_prob"):
            raise TypeError(
                f"{owner}: {name} must be an array, got the distribution {x!r}; say which array "
                "you mean, e.g. `.mean()`, `.quantile(0.9)` or `.sample(100)`"
            )
    given = {name: _converted(owner, name, x, _with_dtype) for name, x in arrays.items()}
    known = {keras.backend.standardize_dtype(getattr(x, "dtype", None)) for x in given.values()}
    dtype = "float64" if "float64" in known else "float32"
    return [
        _converted(owner, name, x, lambda x: compat.to_tensor(x, dtype))
        for name, x in given.items()
    ]


def _with_dtype(x: Any) -> Any:
    """A tensor of whatever has a dtype; numbers and lists stay as they are."""
    return compat.as_it_is(x) if hasattr(x, "dtype") else x


def _converted(owner: str, name: str, x: Any, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{owner}: {name} must be an array of numbers, got {x!r}") from error


def broadcastable(owner: str, **arrays: Any) -> list[Tensor]:
    """As `tensors`, of shapes that broadcast against each other."""
    converted = tensors(owner, **arrays)
    shapes(owner, **{n: tuple(x.shape) for n, x in zip(arrays, converted, strict=True)})
    return converted


def shapes(owner: str, **given: tuple) -> None:
    """Shapes that broadcast against each other; what is unknown is not looked at."""
    known = [tuple(d if isinstance(d, int) else 1 for d in one) for one in given.values()]
    try:
        np.broadcast_shapes(*known)
    except ValueError as error:
        named = ", ".join(f"{name} {one}" for name, one in given.items())
        raise ValueError(f"{owner}: shapes do not broadcast against each other: {named}") from error


def same_shape(given: Sequence, expected: Sequence) -> bool:
    """Whether two shapes are the same as far as they are known."""
    return len(given) == len(expected) and all(
        a == b
        for a, b in zip(given, expected, strict=True)
        if isinstance(a, int) and isinstance(b, int)
    )


def shape(owner: str, name: str, x: Tensor, expected: Sequence) -> None:
    """Just the expected shape."""
    if not same_shape(x.shape, expected):
        raise ValueError(f"{owner}: {name} has shape {tuple(x.shape)}, expected {tuple(expected)}")


def vectors(owner: str, y: Tensor) -> None:
    """A last axis of one component or more."""
    if not len(y.shape) or y.shape[-1] == 0:
        raise ValueError(
            f"{owner}: y has shape {tuple(y.shape)}, expected (..., d): a vector on the last axis"
        )


def number_of_samples(owner: str, y: Tensor, samples: Tensor, least: int = 1) -> int:
    """The number of samples of shape `(n,) + shape of y`, of which there are enough."""
    number = samples.shape[0] if len(samples.shape) else 0
    if not isinstance(number, int) or number < least:
        raise ValueError(
            f"{owner}: needs {least} or more samples on the first axis, got samples of shape "
            f"{tuple(samples.shape)}"
        )
    shape(owner, "samples", samples, (number, *y.shape))
    return number


def positive_definite(owner: str, covariance: Tensor) -> None:
    """Symmetric matrices with positive eigenvalues, where numbers can be looked at."""
    if not compat.is_concrete(covariance):
        return
    matrix = compat.to_numpy(covariance)
    mirrored = np.swapaxes(matrix, -1, -2)
    if not np.isfinite(matrix).all() or not np.allclose(matrix, mirrored, rtol=1e-4):
        raise ValueError(f"{owner}: covariance must be finite and symmetric, got {matrix!r}")
    least = np.linalg.eigvalsh(matrix).min(initial=np.inf)
    if not least > 0.0:
        raise ValueError(
            f"{owner}: covariance must be positive definite, got a smallest eigenvalue of {least:g}"
        )


def series(owner: str, given: Tensor, number: int) -> None:
    """Numbers of series that there are, where they can be looked at."""
    what = f"numbers of series that are not in 0, …, {number - 1}"
    if compat.is_concrete(given):
        refuse(owner, what, given, (given < 0) | (given >= number))


def refuse(owner: str, what: str, x: Tensor, wrong: Tensor) -> None:
    """A `ValueError` where numbers can be looked at and some are wrong."""
    if not compat.is_concrete(wrong):
        return
    bad = compat.to_numpy(wrong)
    if bad.any():
        array = np.broadcast_to(compat.to_numpy(x), bad.shape)
        raise ValueError(
            f"{owner}: got {int(bad.sum())} {what}, the first {array[bad][0]:g} at index "
            f"{tuple(int(i) for i in np.argwhere(bad)[0])}"
        )
