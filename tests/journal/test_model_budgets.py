"""A budget of a model counts every name of it that was asked for; older ones their own name."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from samples import START

from budgetledger import BudgetExceededError
from budgetledger.journal import settings

NAMES = ["gpt-4o", "openai/gpt-4o", "GPT-4O", "gpt-4o-2024-08-06"]
OTHERS = ["gpt-4o-mini", "o3"]


@pytest.fixture
def ledger(opened):
    return opened()


def status(ledger, name="usd/day/gpt-4o", account="alice"):
    return next(one for one in ledger.balance(account).budgets if one.budget.name == name)


def test_every_name_of_the_model_counts(ledger):
    ledger.set_budget("alice", 10, per="day", model="gpt-4o")
    for model in (*NAMES, *OTHERS):
        ledger.charge("alice", cost=1, model=model)
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", "6.01", model="azure/gpt-4o")
    assert (refused.value.posted, refused.value.available) == (4, 6)
    ledger.hold("alice", 50, model="gpt-4o-mini").release()
    first, second = (ledger.hold("alice", 2, model=model) for model in NAMES[:2])
    assert (status(ledger).posted, status(ledger).held) == (4, 4)
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", "2.01", model="GPT-4o")
    first.settle(3)
    second.release()
    assert (status(ledger).posted, status(ledger).held) == (7, 0)
    assert ledger.model_costs("alice") == {
        "gpt-4o": 4, "openai/gpt-4o": 1, "GPT-4O": 1, "gpt-4o-2024-08-06": 1, "gpt-4o-mini": 1,
        "o3": 1,
    }  # fmt: skip
    assert ledger.verify().ok


def test_windows_shifts_parents_and_alerts_follow_the_rule(ledger, clock):
    raised = []
    ledger._journal.on_alert = raised.append
    ledger.set_parent("alice", "team")
    ledger.set_budget("team", 4, per="day", model="gpt-4o", alert_at=1)
    ledger.set_budget("alice", 5, per=timedelta(hours=1), model="gpt-4o", name="rolling")
    for model in NAMES:
        ledger.charge("alice", cost=1, model=model)
    assert [(alert.budget, alert.posted) for alert in raised] == [("usd/day/gpt-4o", 4)]
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", 2, model="openai/gpt-4o")
    assert refused.value.account == "team"
    clock.advance(days=1)
    assert status(ledger, account="team").posted == 0
    held = ledger.hold("alice", 2, model="openai/gpt-4o")
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", 4, model="gpt-4o")
    assert refused.value.retry_after is not None
    held.settle(2)
    ledger.shift_window("team", "usd/day/gpt-4o")
    assert status(ledger, account="team").posted == 0
    assert ledger.balance("alice", at=START + timedelta(minutes=1)).budgets[0].posted == 4
    assert ledger.verify().ok


def test_an_unpriced_call_of_another_name_is_told(ledger):
    ledger.set_budget("alice", 10, per="day", model="my-model")
    with pytest.warns(UserWarning):
        ledger.charge("alice", {"usage": {"prompt_tokens": 1}}, model="host/MY-MODEL")
        ledger.charge("alice", {"usage": {"prompt_tokens": 1}}, model="your-model")
    assert ledger.balance("alice").unpriced == 1


def test_a_stated_host_counts_that_host_alone(ledger):
    ledger.set_budget("alice", 10, per="day", model="azure/gpt-4o")
    for model in (*NAMES, "azure/gpt-4o", "azure/gpt-4o-2024-08-06"):
        ledger.charge("alice", cost=1, model=model)
    assert status(ledger, "usd/day/azure/gpt-4o").posted == 2


@pytest.fixture
def older(monkeypatch, ledger):
    """A ledger with a budget of a model from before names were one model."""
    with monkeypatch.context() as patched:
        patched.setattr(settings, "BY_IDENTITY", None)
        ledger.set_budget("alice", 10, per="day", model="gpt-4o")
    return ledger


def test_an_older_budget_stays_literal(older):
    for model in NAMES:
        older.charge("alice", cost=1, model=model)
    assert status(older).posted == 1
    older.hold("alice", 50, model="openai/gpt-4o").release()
    [budget] = older.budgets("alice")
    assert not budget.by_identity
    assert older.set_budget("alice", 10, per="day", model="gpt-4o") == budget
    assert not older.set_budget("alice", 20, per="day", model="gpt-4o").by_identity
    older.remove_budget("alice", "usd/day/gpt-4o")
    assert older.set_budget("alice", 20, per="day", model="gpt-4o").by_identity
    assert status(older).posted == Decimal(4)
    assert older.verify().ok
