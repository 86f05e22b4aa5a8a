"""A budget of a model counts every name of it that was asked for; older ones their own name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from samples import START

from budgetledger import BudgetExceededError, Ledger
from budgetledger.errors import UnpricedWarning
from budgetledger.journal import budget_revisions
from budgetledger.journal.drafts import HoldRequest
from budgetledger.ledger import requested_hold

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
    for model in ("azure/MY-MODEL", "your-model"):
        with pytest.warns(UnpricedWarning):
            ledger.charge("alice", {"usage": {"prompt_tokens": 1}}, model=model)
    assert ledger.balance("alice").unpriced == 1


def test_a_stated_host_counts_that_host_alone(ledger):
    ledger.set_budget("alice", 10, per="day", model="azure/gpt-4o")
    for model in (*NAMES, "azure/gpt-4o", "azure/gpt-4o-2024-08-06"):
        ledger.charge("alice", cost=1, model=model)
    assert status(ledger, "usd/day/azure/gpt-4o").posted == 2


USED = {"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}
COST = Decimal("0.0045")


def test_what_answered_counts_too(ledger, clock):
    ledger.set_parent("alice", "team")
    for account in ("alice", "team", "*"):
        ledger.set_budget(account, 10, per="day", model="gpt-4o")
        ledger.set_budget(account, tokens=5000, per="day", model="gpt-4o")
        ledger.set_budget(account, 10, per="day", model="my-alias")
    asked = ["my-alias", "gpt-4o", "GPT-4o", "team/other", "my-alias"]
    paid = [ledger.charge("alice", USED, model=model) for model in asked]
    with ledger.hold("alice", 1, model="my-alias") as hold:
        assert hold.settle(USED).price["answered"] == "gpt-4o-2024-08-06"
    assert ["answered" in entry.price for entry in paid] == [True, False, False, True, True]
    for account in ("alice", "team", "*"):
        assert status(ledger, account=account).posted == 6 * COST
        assert status(ledger, "tokens/day/gpt-4o", account).posted == 6 * 1200
        assert status(ledger, "usd/day/my-alias", account).posted == 3 * COST
    ledger.adjust(paid[0], COST, reason="a correction")
    assert status(ledger).posted == status(ledger, account="team").posted == 7 * COST
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", 10, tokens=0, model="gpt-4o")
    assert refused.value.posted == 7 * COST
    assert sum(ledger.model_costs("alice").values()) == 7 * COST
    assert ledger.verify().ok
    clock.advance(days=1)
    assert status(ledger).posted == 0
    ledger.charge("alice", USED, model="my-alias")
    assert status(ledger).posted == COST
    earlier = ledger.balance("alice", at=START).budgets
    assert {one.budget.name: one.posted for one in earlier}["usd/day/gpt-4o"] == 7 * COST


def test_a_price_stated_later_counts_where_the_answer_does(ledger):
    ledger.set_budget("alice", 10, per="day", model="house-model")
    answer = {"model": "house-model", "usage": {"prompt_tokens": 1000}}
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", answer, model="my-alias")
    ledger.set_price("house-model", input=1, effective_at=entry.recorded_at)
    [priced] = ledger.reprice(dry_run=False)
    assert (priced.cost, priced.adjustment.model) == (Decimal("0.001"), "my-alias")
    assert status(ledger, "usd/day/house-model").posted == priced.cost
    assert ledger.verify().ok


SNAPSHOT = "gpt-4o-2024-08-06"


def test_a_budget_of_a_snapshot_counts_bare_calls_that_it_answered(ledger, clock):
    ledger.set_parent("alice", "team")
    names = f"usd/day/{SNAPSHOT}", "usd/day/gpt-4o", "usd/day/gpt-4o-2024-05-13"
    ledger.charge("alice", USED, model="gpt-4o")  # before the budgets are set
    for account in ("alice", "team", "*"):
        for model in (SNAPSHOT, "gpt-4o", "gpt-4o-2024-05-13"):
            ledger.set_budget(account, 10, per="day", model=model)
    other = USED | {"model": "gpt-4o-2024-05-13"}
    entry = ledger.charge("alice", USED, model="gpt-4o")
    ledger.charge("alice", USED, model=SNAPSHOT)
    ledger.charge("alice", USED)
    ledger.hold("alice", 1, model="openai/gpt-4o").settle(USED)
    ledger.hold("alice", 1, model="gpt-4o").settle(other)
    assert entry.price["snapshot"] == SNAPSHOT

    def counted(account):
        return [status(ledger, name, account).posted for name in names]

    cost = next(iter(ledger.entries("alice", last=1))).cost
    for account in ("alice", "team", "*"):  # * counts what was before it
        assert counted(account) == [5 * COST, 5 * COST + cost, cost]
    ledger.adjust(entry, COST, reason="a correction")
    assert counted("alice") == counted("*") == [6 * COST, 6 * COST + cost, cost]
    ledger.set_budget("alice", "0.03", per="day", model=SNAPSHOT)
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", "0.004", model=SNAPSHOT)
    assert (refused.value.budget.name, refused.value.posted) == (names[0], 6 * COST)
    assert ledger.verify().ok
    clock.advance(days=1)
    assert counted("alice") == [0, 0, 0]
    ledger.remove_budget("alice", names[0])
    ledger.charge("alice", USED, model="gpt-4o")
    ledger.set_budget("alice", 10, per="day", model=SNAPSHOT)
    ledger.set_budget("alice", tokens=10**6, per="day", model=SNAPSHOT)
    assert counted("alice") == [COST, COST, 0]
    assert status(ledger, f"tokens/day/{SNAPSHOT}").posted == 1200
    assert ledger.verify().ok


def test_a_snapshot_counts_where_late_rows_and_corrections_belong(ledger, clock):
    ledger.set_parent("alice", "team")
    name = f"usd/day/{SNAPSHOT}"
    yesterday = clock.now - timedelta(days=1)
    before = ledger.charge("alice", USED, model="gpt-4o", occurred_at=yesterday)
    for account in ("alice", "*"):
        ledger.set_budget(account, 10, per="day", model=SNAPSHOT)
    after = ledger.charge("alice", USED, model="gpt-4o", occurred_at=yesterday)
    ledger.charge("alice", USED, model="gpt-4o")
    clock.advance(days=1)
    ledger.adjust(after, COST, reason="a correction")
    ledger.adjust(before, COST, reason="a correction")
    ledger.charge("alice", USED, model="gpt-4o")
    for account, days in (("alice", [4, 1, 1]), ("*", [2, 1, 1])):
        balances = [ledger.balance(account, at=yesterday + timedelta(days=n)) for n in range(3)]
        assert [
            one.posted / COST for b in balances for one in b.budgets if one.budget.name == name
        ] == days
    ledger.set_budget("alice", tokens=10**6, model=SNAPSHOT, per="day")
    assert status(ledger, f"tokens/day/{SNAPSHOT}").posted == 1200
    assert ledger.verify().ok


def test_unpriced_calls_count_once_their_price_is_stated(ledger):
    ledger.set_budget("alice", 10, model="house-2026-01-01")
    with pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", USED | {"model": "house-2026-01-01"}, model="house")
    ledger.set_price(
        "house-2026-01-01", input="1", output="1", effective_at=START - timedelta(days=9)
    )
    assert [one.entry.id for one in ledger.reprice(dry_run=False)] == [entry.id]
    posted = status(ledger, "usd/house-2026-01-01").posted
    assert posted == next(iter(ledger.entries("alice", last=1))).cost > 0
    assert ledger.verify().ok


def test_a_default_budget_of_a_snapshot_counts_what_was_before(ledger):
    ledger.set_parent("alice", "team")
    ledger.set_budget("team", 100)
    ledger.charge("alice", USED, model="gpt-4o")
    ledger.set_default_budget(10, per="day", model=SNAPSHOT)
    ledger.charge("alice", USED, model="gpt-4o")
    ledger.charge("bob", USED, model="gpt-4o")
    posted = [status(ledger, "standard", account).posted for account in ("alice", "bob")]
    assert posted == [2 * COST, COST]
    assert ledger.verify().ok


def test_a_snapshot_has_rows_only_where_a_budget_needs_them(ledger, database):
    ledger.set_budget("alice", 10)
    ledger.set_budget("alice", 10, model="gpt-4o")
    for _ in range(3):
        ledger.charge("alice", USED, model="gpt-4o")
    assert database.sql("SELECT names FROM answers") == []
    ledger.set_budget("alice", 10, model=SNAPSHOT)
    assert len(database.sql("SELECT names FROM answers")) == 3
    ledger.charge("alice", USED, model="gpt-4o")
    ledger.charge("alice", USED, model=SNAPSHOT)
    ledger.charge("alice", cost=1, model="gpt-4o")
    assert len(database.sql("SELECT names FROM answers")) == 4
    assert status(ledger, f"usd/{SNAPSHOT}").posted == 5 * COST
    assert ledger.verify().ok


def hold_of(ledger, asked, *models, amount="0.01"):
    return requested_hold(ledger, "alice", HoldRequest(amount, asked, may_answer=models))


def test_a_hold_of_an_alias_counts_for_each_model_that_may_answer(ledger):
    ledger.set_parent("alice", "team")
    ledger.set_budget("alice", 1)
    ledger.set_budget("alice", "0.05", per="day", model="gpt-4o")
    ledger.set_budget("team", "0.03", per="day", model="claude-sonnet-4-5")
    ledger.set_budget("team", "0.02", per="day", model="best")
    ledger.set_budget("*", "0.04", per="day", model="azure/gpt-4o")
    best = "best", "openai/gpt-4o", "anthropic/claude-sonnet-4-5"
    open_holds = [hold_of(ledger, *best) for _ in range(2)]
    for budget, account in [
        ("usd/day/gpt-4o", "alice"), ("usd/day/claude-sonnet-4-5", "team"), ("usd/day/best", "team")
    ]:  # fmt: skip
        assert status(ledger, budget, account).held == Decimal("0.02")
    assert ledger.verify().ok
    with pytest.raises(BudgetExceededError) as refused:
        hold_of(ledger, *best)
    assert refused.value.budget.name == "usd/day/best"
    open_holds.append(hold_of(ledger, "also", *best[1:]))
    with pytest.raises(BudgetExceededError) as refused:
        hold_of(ledger, "also", *best[1:])
    assert refused.value.budget.name == "usd/day/claude-sonnet-4-5"
    with pytest.raises(BudgetExceededError) as refused:
        ledger.hold("alice", "0.03", model="gpt-4o")
    assert refused.value.held == Decimal("0.03")
    assert hold_of(ledger, "gpt-4o", "openai/gpt-4o").entry.price == {}
    hosted = hold_of(ledger, "gpt-4o", "azure/gpt-4o", "azure/my-deployment")
    assert hosted.entry.price == {"may_answer": ["azure/gpt-4o", "azure/my-deployment"]}
    assert status(ledger, "usd/day/azure/gpt-4o", "*").held == Decimal("0.01")
    open_holds[0].settle(USED)
    open_holds[1].release()
    assert status(ledger).posted == status(ledger, "usd/day/best", "team").posted == COST
    assert status(ledger, "usd/day/claude-sonnet-4-5", "team").posted == 0
    assert status(ledger, "usd/day/claude-sonnet-4-5", "team").held == Decimal("0.01")
    assert ledger.verify().ok


def test_an_alias_does_not_pass_a_budget_of_its_model(ledger):
    ledger.set_budget("alice", "0.05", per="day", model="gpt-4o")
    for _ in range(5):
        hold_of(ledger, "best", "openai/gpt-4o")
    with pytest.raises(BudgetExceededError) as refused:
        hold_of(ledger, "best", "openai/gpt-4o")
    assert refused.value.retry_after == 1800


@pytest.mark.parametrize("name", ['["gpt-4o"]', '["gpt-4o', '["a", 1]', "[]"])
def test_a_name_that_looks_like_a_list_is_a_name(ledger, name):
    ledger.set_budget("alice", 1, model=name)
    ledger.hold("alice", "0.5", model=name)
    with pytest.raises(BudgetExceededError):
        ledger.hold("alice", "0.6", model=name)
    assert ledger.verify().ok


def test_an_older_budget_counts_an_alias_by_the_name_asked_for(older):
    hold_of(older, "best", "gpt-4o", amount=50)
    hold_of(older, "gpt-4o", "azure/gpt-4o", amount=6)
    with pytest.raises(BudgetExceededError):
        hold_of(older, "gpt-4o", "azure/gpt-4o", amount=6)


def test_an_index_of_answers_that_was_changed_is_found(ledger, database):
    ledger.set_budget("alice", 10)
    ledger.charge("alice", USED, model="my-alias")
    assert database.sql("SELECT names FROM answers") == [('["my-alias", "gpt-4o-2024-08-06"]',)]
    with pytest.raises(Exception, match="rows stay"):
        database.sql("DELETE FROM answers")


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnknownAccountWarning")
def test_verify_recounts_what_answered(tmp_path):
    path = tmp_path / "spend.db"
    with Ledger(path) as ledger:
        ledger.charge("alice", USED, model="my-alias")
    with closing(sqlite3.connect(path)) as connection:
        (guard,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'answers_no_update'"
        ).fetchone()
        connection.executescript(
            f"DROP TRIGGER answers_no_update; UPDATE answers SET total_tokens = 7; {guard}"
        )
    with Ledger(path) as ledger:
        [problem] = ledger.verify().problems
    assert (problem.account, problem.entry_id) == ("alice", 1)
    assert "answered" in problem.message


@pytest.fixture
def older(monkeypatch, ledger):
    """A ledger with a budget of a model from before names were one model."""
    with monkeypatch.context() as patched:
        patched.setattr(budget_revisions, "BY_IDENTITY", None)
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
