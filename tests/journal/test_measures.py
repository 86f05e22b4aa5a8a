"""A hold needs room in every measure that it uses, if only one unit where it is not known."""

from __future__ import annotations

from decimal import Decimal

import pytest
from samples import HELLO, UNLISTED

from budgetledger import metered
from budgetledger.errors import BudgetExceededError, IdempotencyConflict, UnpricedModel
from budgetledger.journal.rows import basis

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.UnpricedWarning")

LEAST = Decimal(10) ** -12
USED = {"model": "gpt-4o", "usage": {"prompt_tokens": 400, "completion_tokens": 600}}
UNPRICED = {"model": UNLISTED, "usage": {"prompt_tokens": 9, "completion_tokens": 1}}


@pytest.fixture
def ledger(opened):
    return opened()


def passed(call, times=60):
    """How many of so many calls are made, and what refuses the next."""
    for made in range(times):
        try:
            call()
        except (BudgetExceededError, UnpricedModel) as error:
            return made, error
    return times, None


def test_an_amount_does_not_pass_an_exhausted_budget_of_tokens(ledger):
    ledger.set_budget("alice", tokens=1000)
    ask = metered(ledger, user="alice", amount="0.01")(lambda: USED)
    made, refusal = passed(ask, 200)
    assert (made, refusal.budget.measure, refusal.requested) == (1, "tokens", 1)
    assert ledger.balance("alice").budgets[0].posted == 1000


def test_racing_amounts_share_the_tokens_that_are_left(ledger):
    ledger.set_budget("alice", tokens=5)
    made, _ = passed(lambda: ledger.hold("alice", "0.01"))
    assert (made, ledger.balance("alice").budgets[0].available) == (5, 0)
    assert not ledger.can_afford("alice", "0.01")
    assert ledger.can_afford("alice", "0.01", tokens=0)
    assert ledger.hold("alice", "0.01", tokens=0).tokens == 0


def test_tokens_alone_do_not_pass_an_exhausted_budget_of_usd(ledger):
    ledger.set_budget("alice", "0.05")
    ledger.charge("alice", cost="0.05")
    made, refusal = passed(lambda: ledger.hold("alice", tokens=10))
    assert (made, refusal.budget.measure, refusal.requested) == (0, "usd", LEAST)


@pytest.mark.parametrize("named", [{}, {"model": UNLISTED}])
def test_tokens_alone_are_no_estimate_of_usd(ledger, named):
    ledger.set_budget("alice", "0.05", per="day")

    def call():
        ledger.hold("alice", tokens=10, **named).settle(UNPRICED)

    made, refusal = passed(call)
    assert (made, type(refusal)) == (1, UnpricedModel)
    assert not ledger.can_afford("alice", tokens=10, **named)
    _, hold, settle = ledger.entries("alice")
    assert (hold.held, hold.held_tokens, hold.price_source) == (LEAST, 10, basis.NO_ESTIMATE)
    assert settle.cost_basis == "unpriced"
    ledger.adjust(settle, "0.01", reason="as billed")
    assert ledger.can_afford("alice", tokens=10, **named)
    assert passed(call)[0] == 1
    assert ledger.verify().ok


def test_tokens_alone_are_enough_where_no_budget_is_in_usd(ledger):
    ledger.set_budget("alice", tokens=1000)

    def call():
        ledger.hold("alice", tokens=10).settle(UNPRICED)

    assert passed(call) == (60, None)


def test_what_is_stated_as_free_stays_free(ledger):
    ledger.set_budget("alice", 0)

    def call():
        ledger.hold("alice", 0, tokens=10).settle(0)

    assert passed(call) == (60, None)
    assert ledger.hold("alice", 0).amount == 0
    assert ledger.can_afford("alice", 0)


def test_a_ledger_that_does_not_enforce_holds_the_least_of_a_model_without_a_price(opened):
    watching, ledger = opened(enforce=False), opened()
    ledger.set_budget("alice", "0.05")
    hold = watching.hold("alice", **HELLO | {"model": UNLISTED}, max_output_tokens=5)
    assert (hold.amount, hold.tokens) == (LEAST, 1)
    assert isinstance(hold.refusal, UnpricedModel)
    hold.settle(UNPRICED)
    assert not ledger.can_afford("alice", tokens=10)


PASSED = [("0.05", None), ("0.05", 10), ("0.05", 0), (None, 10), (None, 0), (0, None), (0, 10)]


@pytest.mark.parametrize("passed", [*PASSED, ("0.05", 1), (None, 1)])
def test_a_key_compares_what_was_passed(ledger, passed):
    ledger.set_budget("alice", 1)
    amount, tokens = passed
    first = ledger.hold("alice", amount, tokens=tokens, key="k")
    assert ledger.hold("alice", amount, tokens=tokens, key="k").id == first.id
    others = [("0.06", None), ("0.05", 11), (None, 11)]
    others += [] if tokens == 1 else [(amount, 1)]
    for other, count in others:
        with pytest.raises(IdempotencyConflict):
            ledger.hold("alice", other, tokens=count, key="k")


@pytest.mark.parametrize("passed", PASSED)
def test_a_key_of_an_older_row_is_its_key_still(ledger, monkeypatch, passed):
    ledger.set_budget("alice", 1)
    amount, tokens = passed
    with monkeypatch.context() as older:  # where nothing was held of what was not passed
        older.setattr("budgetledger.journal.drafts.LEAST", 0)
        older.setattr("budgetledger.journal.drafts.NO_ESTIMATE", "given")
        first = ledger.hold("alice", amount, tokens=tokens, key="k")
    assert first.tokens == (tokens or 0)
    assert ledger.hold("alice", amount, tokens=tokens, key="k").id == first.id
