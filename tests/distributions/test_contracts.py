"""Every contract on every row of the table of families."""

import pytest
from cases import CASES

from timedist.testing import CONTRACTS, NotApplicableError


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_contract(case, contract):
    try:
        contract(case)
    except NotApplicableError as reason:
        pytest.skip(str(reason))
