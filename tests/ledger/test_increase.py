"""`increase` raises an open hold in one decision, or leaves it."""

import asyncio
import threading
from contextlib import suppress
from decimal import Decimal

import pytest

from budgetledger import AsyncLedger, BudgetExceededError
from budgetledger.errors import (
    AccountFrozen,
    HoldAlreadyClosed,
    IdempotencyConflict,
    InvalidAmount,
    InvalidInput,
)
from budgetledger.render.text import entry_text


@pytest.fixture
def ledger(opened):
    ledger = opened()
    ledger.set_budget("alice", 1)
    ledger.set_parent("alice", "team")
    ledger.set_budget("team", "0.8")
    return ledger


def test_a_hold_is_raised_where_it_counts(ledger):
    hold = ledger.hold("alice", "0.5")
    assert hold.increase("0.2") == hold.amount == Decimal("0.7")
    assert [ledger.balance(name).held for name in ("alice", "team")] == [Decimal("0.7")] * 2
    (listed,) = ledger.holds("team")
    assert (listed.id, listed.amount) == (hold.id, Decimal("0.7"))
    assert ledger.verify().ok
    entry = list(ledger.entries("alice"))[-1]
    assert (entry.kind, entry.hold_id, entry.held) == ("increase", hold.id, Decimal("0.2"))
    assert entry_text(entry) == f"holds $0.20 more by hold {hold.id}"
    assert hold.settle("0.6").cost == Decimal("0.6")
    assert ledger.balance("team").held == 0


def test_a_refusal_leaves_the_hold(ledger):
    hold = ledger.hold("alice", "0.5")
    before = list(ledger.entries())
    with pytest.raises(BudgetExceededError, match=f"hold {hold.id} stays as it is") as refused:
        hold.increase("0.4")
    error = refused.value
    assert (error.account, error.requested, error.blocked_by_holds) == (
        "team",
        Decimal("0.4"),
        False,
    )
    assert (hold.amount, list(ledger.entries())) == (Decimal("0.5"), before)
    other = ledger.hold("alice", "0.1")
    with pytest.raises(BudgetExceededError) as refused:
        hold.increase("0.25")
    assert refused.value.blocked_by_holds
    other.release()
    hold.increase("0.25")
    ledger.freeze("team")
    with pytest.raises(AccountFrozen):
        hold.increase("0.01")


def test_tokens_and_models_and_requests(ledger):
    ledger.set_budget("alice", tokens=100)
    ledger.set_budget("alice", requests=1)
    ledger.set_budget("alice", "0.6", model="gpt-4o")
    hold = ledger.hold("alice", "0.5", tokens=50, model="gpt-4o")
    hold.increase(tokens=50)
    assert (hold.amount, hold.tokens) == (Decimal("0.5"), 100)
    with pytest.raises(BudgetExceededError, match="tokens"):
        hold.increase(tokens=1)
    with pytest.raises(BudgetExceededError, match="usd/gpt-4o"):
        hold.increase("0.11")
    hold.increase("0.1")


def test_an_assumed_cost_is_what_is_held_by_then(ledger):
    hold = ledger.hold("alice", "0.5", model="gpt-4o")
    hold.increase("0.1", tokens=9)
    with pytest.warns(UserWarning, match="assumed|held"):
        entry = hold.settle({"model": "gpt-4o"})
    assert (entry.cost, entry.cost_basis) == (Decimal("0.6"), "assumed")


def test_a_closed_hold_is_not_raised(ledger, clock):
    hold = ledger.hold("alice", "0.1", expires_in=60)
    clock.advance(seconds=60)
    with pytest.raises(HoldAlreadyClosed):
        hold.increase("0.1")
    hold = ledger.hold("alice", "0.1")
    hold.release()
    with pytest.raises(HoldAlreadyClosed):
        hold.increase("0.1")


def test_a_key_increases_once(ledger):
    hold = ledger.hold("alice", "0.1")
    assert hold.increase("0.1", key="k") == hold.increase("0.1", key="k") == Decimal("0.2")
    with pytest.raises(IdempotencyConflict):
        hold.increase("0.2", key="k")
    with pytest.raises(IdempotencyConflict):
        ledger.hold("alice", "0.1").increase("0.1", key="k")
    ledger.hold("alice", "0.1", key="h").increase("0.1")
    assert ledger.hold("alice", "0.1", key="h").amount == Decimal("0.2")


def test_arguments_are_checked(ledger):
    hold = ledger.hold("alice", "0.1")
    for arguments in ((), (-1,), ("1_0",)):
        with pytest.raises(InvalidInput):
            hold.increase(*arguments)
    ledger.set_budget("alice", 10**9)
    ledger.set_budget("team", 10**9)
    with pytest.raises(InvalidAmount):
        hold.increase(9_223_372)
    assert hold.amount == Decimal("0.1")


def test_without_enforcement_it_is_noted(opened):
    opened().set_budget("alice", 1)
    hold = opened(enforce=False).hold("alice", "0.5")
    assert hold.increase(1) == Decimal("1.5")
    assert isinstance(hold.refusal, BudgetExceededError)


def test_racing_increases_never_overspend(ledger):
    holds = [ledger.hold("alice", "0.1") for _ in range(4)]

    def raise_it(hold):
        with suppress(BudgetExceededError):
            while True:
                hold.increase("0.01")

    threads = [threading.Thread(target=raise_it, args=(hold,)) for hold in holds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.balance("team").held == Decimal("0.8") == sum(hold.amount for hold in holds)


def test_a_task_raises_a_hold(ledger):
    async def main():
        hold = await AsyncLedger(ledger).hold("alice", "0.5")
        assert await hold.increase("0.2") == hold.amount == Decimal("0.7")
        with pytest.raises(BudgetExceededError):
            await hold.increase("0.2")

    asyncio.run(main())
