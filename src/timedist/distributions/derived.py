"""Which method follows from which, where a family does not write it.

Probabilities follow from one another; moments, entropy, scores, divergences, quantiles and draws by
quadrature and search (`numerical.py`), or by sums over the integers (`sums.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from keras import ops

from timedist.distributions import numerical, sums
from timedist.ops import special
from timedist.ops.functional import as_one_program

Tensor = Any

# One of the four from the first of the others that the family writes.
_PROBABILITIES: dict[str, tuple[tuple[str, Callable], ...]] = {
    "cdf": (
        ("log_cdf", ops.exp),
        ("log_survival", lambda x: -ops.expm1(x)),
        ("survival", lambda x: 1.0 - x),
    ),
    "survival": (
        ("log_survival", ops.exp),
        ("cdf", lambda x: 1.0 - x),
        ("log_cdf", lambda x: -ops.expm1(x)),
    ),
    "log_cdf": (("cdf", special.log_or_minus_inf), ("log_survival", special.log1mexp)),
    "log_survival": (
        ("survival", special.log_or_minus_inf),
        ("log_cdf", special.log1mexp),
        ("cdf", lambda x: special.log_or_minus_inf(1.0 - x)),
    ),
}
_OF_DENSITIES: dict[str, Callable] = {
    "quantile": numerical.quantile,
    "sample": numerical.sample,
    "mean": numerical.mean,
    "variance": numerical.variance,
    "entropy": numerical.entropy,
    "crps": numerical.crps,
    "kl": numerical.kl_divergence,
    "support": lambda d: (-math.inf, math.inf),
    "landmarks": numerical.landmarks,
}
_OF_INTEGERS: dict[str, Callable] = {
    "sample": numerical.sample,
    "mean": sums.mean,
    "variance": sums.variance,
    "entropy": sums.entropy,
    "crps": sums.crps,
    "kl": sums.kl_divergence,
}


# These need a seed, or give a distribution or plain numbers.
_NOT_COMPILED = ("sample", "marginals", "support", "landmarks")


def hook(d: Any, name: str) -> Callable | None:
    """The hook `name`, written or derived, or `None`; on JAX compiled where it is called by itself.

    Args:
        d: distribution.
        name: of the hook, without the underscore.
    """
    found = _found(d, name)
    if found is None or name in _NOT_COMPILED or d._refuses_numbers:
        return found
    return partial(as_one_program, _called, (name,), d)


def _found(d: Any, name: str) -> Callable | None:
    written = getattr(d, f"_{name}", None)
    return method(d, name) if written is None and name not in d.absent else written


def _called(name: str, d: Any, *arguments: Tensor) -> Tensor:
    return _found(d, name)(*arguments)  # type: ignore[misc]  # `hook` has found it


def probability(family: Any, name: str, prefix: str = "_") -> Callable | None:
    """The function `name` (cdf, survival, log_cdf, log_survival) from another that is written.

    Args:
        family: object whose attributes are those functions.
        name: without the prefix; for other names the answer is `None`.
        prefix: what the names of the attributes begin with.

    Returns:
        A function of a value, or `None` if none of the four is written.
    """
    if name not in _PROBABILITIES:
        return None
    for source, function in ((name, lambda x: x), *_PROBABILITIES[name]):
        hook = getattr(family, prefix + source, None)
        if hook is not None:
            return lambda x, function=function, hook=hook: function(hook(x))
    return None


def method(d: Any, name: str) -> Callable | None:
    """The hook `name` of a distribution that does not write it, or `None` if nothing gives it."""
    from_another = probability(d, name)
    if from_another is not None or d.event_shape:
        return from_another
    if not d.discrete:
        rule = _OF_DENSITIES.get(name)
    elif hasattr(d, "_log_tails"):
        rule = _OF_INTEGERS.get(name)
    else:
        rule = numerical.sample if name == "sample" else None
    return None if rule is None else partial(rule, d)
