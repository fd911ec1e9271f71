"""The contracts every family keeps, for families of your own.

Needs `scipy` and `hypothesis`.
"""

from __future__ import annotations

from timedist.testing import arguments, gradients, samples, values
from timedist.testing.case import Case, NotApplicableError
from timedist.testing.compare import assert_close

CONTRACTS = (
    *values.CONTRACTS,
    *arguments.CONTRACTS,
    *samples.CONTRACTS,
    *gradients.CONTRACTS,
)

__all__ = ["CONTRACTS", "Case", "NotApplicableError", "assert_close", "check"]


def check(case: Case) -> list[str]:
    """Run every contract on one row.

    Args:
        case: the row.

    Returns:
        The names of the contracts that say something about it and hold.

    Raises:
        AssertionError: from the first contract that does not hold.
    """
    kept = []
    for contract in CONTRACTS:
        try:
            contract(case)
        except NotApplicableError:
            continue
        kept.append(contract.__name__)
    return kept
