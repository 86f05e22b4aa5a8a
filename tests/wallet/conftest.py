from __future__ import annotations

import pytest

from budgetledger import Ledger


@pytest.fixture
def ledger():
    with Ledger(":memory:") as ledger:
        ledger.set_budget("alice", 5)
        yield ledger
