"""A ledger with one budget, and a store that fails."""

import pytest

from budgetledger.errors import StoreFull


@pytest.fixture
def ledger(opened):
    """A ledger in which alice may use 10 USD a month."""
    ledger = opened()
    ledger.set_budget("alice", "10.00", per="month")
    return ledger


@pytest.fixture
def store_fails(monkeypatch):
    """Lets the store of a ledger refuse every write, until called again with False."""

    def failing(ledger, fails=True):
        def write(operation):
            raise StoreFull("no room; make some", target=ledger.path)

        if fails:
            monkeypatch.setattr(ledger._journal.store, "write", write)
        else:
            monkeypatch.undo()

    return failing
