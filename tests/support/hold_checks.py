"""Holds that are granted or refused, checked from all sides, and what the ledger shows then."""

import pytest

from budgetledger.errors import BudgetExceededError


def kinds(ledger, account="alice"):
    return [entry.kind for entry in ledger.entries(account)]


def stand(ledger, account="alice"):
    balance = ledger.balance(account)
    return balance.posted, balance.held, balance.available


def asked(kwargs):
    """The part of a hold's arguments that can_afford takes, too."""
    return {k: v for k, v in kwargs.items() if k not in ("key", "tags", "expires_in")}


def refused(ledger, *args, **kwargs):
    """The refusal of a hold, after checking that it left no row, and that can_afford agrees."""
    before = list(ledger.entries()), ledger.accounts()
    with pytest.raises(BudgetExceededError) as caught:
        ledger.hold(*args, **kwargs)
    assert not ledger.can_afford(*args, **asked(kwargs))
    assert (list(ledger.entries()), ledger.accounts()) == before
    return caught.value


def granted(ledger, *args, **kwargs):
    """A hold that is granted, as can_afford foretold without writing anything."""
    before = list(ledger.entries())
    assert ledger.can_afford(*args, **asked(kwargs))
    assert list(ledger.entries()) == before
    return ledger.hold(*args, **kwargs)
