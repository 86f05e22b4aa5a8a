"""The family of refusals, and whether waiting for open holds would help."""

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from budgetledger import AsyncLedger, HoldRefused, metered
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    NoBudget,
    UnknownAccount,
    UnpricedModel,
)


def refusal(ledger, *args, **kwargs):
    with pytest.raises(HoldRefused) as caught:
        ledger.hold(*args, **kwargs)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), vars(again)) == (
        type(caught.value),
        str(caught.value),
        vars(caught.value),
    )
    return caught.value


def test_every_refusal_of_a_hold_has_one_base(ledger):
    exceeded = refusal(ledger, "alice", 11)
    unpriced = refusal(ledger, "alice", model="none-such", text="Hello")
    unknown = refusal(ledger, "bob", 1)
    ledger.freeze("alice")
    frozen = refusal(ledger, "alice", 1)
    kinds = [type(error) for error in (exceeded, unpriced, unknown, frozen)]
    assert kinds == [BudgetExceededError, UnpricedModel, NoBudget, AccountFrozen]
    assert isinstance(unknown, UnknownAccount)
    assert isinstance(unknown, KeyError)
    assert isinstance(unpriced, LookupError)
    assert (unknown.account, unknown.project) == ("bob", "default")
    assert not any(error.blocked_by_holds for error in (exceeded, unpriced, unknown, frozen))
    with pytest.raises(NoBudget):
        ledger.can_afford("bob", 1)
    with pytest.raises(UnknownAccount) as reading:
        ledger.balance("bob")
    assert not isinstance(reading.value, HoldRefused)


def test_blocked_by_holds_is_what_waiting_for_them_would_change(ledger):
    ledger.charge("alice", cost=4)
    hold = ledger.hold("alice", 5)
    assert refusal(ledger, "alice", 2).blocked_by_holds
    assert refusal(ledger, "alice", 6).blocked_by_holds
    assert not refusal(ledger, "alice", "6.01").blocked_by_holds
    hold.settle(5)
    assert not refusal(ledger, "alice", 2).blocked_by_holds


def test_one_budget_that_is_spent_is_enough_not_to_wait(ledger):
    ledger.set_budget("team", 3, per="day")
    ledger.set_parent("alice", "team")
    ledger.charge("team", cost=2)
    ledger.hold("alice", 1)
    assert refusal(ledger, "alice", 1).blocked_by_holds  # of the team alone
    ledger.hold("alice", 0, tokens=90)
    ledger.set_budget("alice", tokens=100, per="day")
    error = refusal(ledger, "alice", 1, tokens=20)
    assert error.blocked_by_holds
    assert not refusal(ledger, "alice", 2, tokens=20).blocked_by_holds


def test_an_open_call_without_an_estimate_is_a_hold_to_wait_for(ledger):
    @metered(ledger, user="alice")
    def ask():
        with ThreadPoolExecutor(1) as pool, pytest.raises(UnpricedModel) as caught:
            pool.submit(other).result()  # no call inside this one
        assert caught.value.blocked_by_holds
        return {"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}

    @metered(ledger, user="alice")
    def other():
        raise AssertionError

    ask()


def test_observing_and_asyncio_have_the_same_refusals(opened):
    ledger = opened(enforce=False)
    ledger.set_budget("alice", 1)
    ledger.hold("alice", 1)
    noted = ledger.hold("alice", 1).refusal
    assert isinstance(noted, BudgetExceededError)
    assert noted.blocked_by_holds
    assert isinstance(ledger.hold("bob", 1).refusal, NoBudget)
    ledger.enforce = True

    async def main():
        with pytest.raises(HoldRefused) as caught:
            await AsyncLedger(ledger).hold("alice", 1)
        with pytest.raises(NoBudget):
            await AsyncLedger(ledger).hold("carol", 1)
        return caught.value

    assert asyncio.run(main()).blocked_by_holds
