"""`set_budget` on a budget that exists changes only what is passed."""

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from budgetledger import AsyncLedger, BudgetManager, Ledger
from budgetledger.errors import AddedBudgetWarning, InvalidInput, InvalidPeriod

TOKYO = "Asia/Tokyo"


def monthly(ledger):
    return ledger.set_budget(
        "alice", 10, per="month", timezone=TOKYO, name="plan", alert_at=(0.8,), model="gpt-4o"
    )


def test_a_new_limit_leaves_the_windows_the_model_and_the_alerts(opened):
    ledger = opened()
    before = monthly(ledger)
    after = ledger.set_budget("alice", 20, name="plan")
    assert after == before._replace(limit_sum=after.limit_sum)
    assert ledger.budgets("alice") == [after]
    assert ledger.balance("alice").limit == 20


def test_each_argument_alone(opened):
    ledger = opened()
    before = monthly(ledger)
    zoned = ledger.set_budget("alice", name="plan", timezone="UTC")
    assert zoned == before._replace(period=before.period._replace(timezone="UTC"))
    daily = ledger.set_budget("alice", name="plan", per="day")
    assert daily == zoned._replace(period=zoned.period._replace(per="day"))
    week = ledger.set_budget("alice", name="plan", week_start="sunday")
    assert week.period == daily.period._replace(week_start=6)
    anchored = ledger.set_budget("alice", name="plan", anchor=datetime(2026, 1, 15, tzinfo=UTC))
    assert anchored.period.per == "day"
    assert anchored.period.anchor_us is not None
    assert ledger.set_budget("alice", name="plan", per="week").period.anchor_us is not None
    assert ledger.set_budget("alice", name="plan", anchor=None).period.anchor_us is None
    created = ledger.set_budget("alice", name="plan", anchor="creation").period
    assert created.anchor_us == round(before.created_at * 1e6)
    assert ledger.set_budget("alice", name="plan", alert_at=()).alert_at == ()
    assert ledger.set_budget("alice", name="plan", model=None).model is None
    counted = ledger.set_budget("alice", tokens=5, name="plan")
    assert (counted.measure, counted.limit, counted.period.per) == ("tokens", 5, "week")
    assert ledger.set_budget("alice", name="plan", alert_at=(1,)).limit == 5


def test_none_is_for_ever_and_ends_an_anchor(opened):
    ledger = opened()
    ledger.set_budget("alice", 10, per="month", anchor="creation", timezone=TOKYO, name="plan")
    period = ledger.set_budget("alice", 10, per=None, name="plan").period
    assert (period.per, period.anchor_us, period.timezone) == (None, None, TOKYO)


def test_a_rolling_window_stays_and_an_anchor_needs_a_unit(opened):
    ledger = opened()
    ledger.set_budget("alice", 10, per=timedelta(hours=36), name="plan")
    assert ledger.set_budget("alice", 20, name="plan").period.span_us == 36 * 3600 * 10**6
    with pytest.raises(InvalidPeriod, match="creation"):
        ledger.set_budget("alice", name="plan", anchor="creation")
    with pytest.raises(InvalidPeriod):
        ledger.set_budget("alice", name="plan", anchor=datetime(2026, 1, 15, tzinfo=UTC))
    assert ledger.set_budget("alice", 20, name="plan", per="day").period.span_us is None


def test_a_default_name_finds_its_budget(opened):
    ledger = opened()
    ledger.set_budget("alice", 10, per="month", timezone=TOKYO, week_start=6)
    period = ledger.set_budget("alice", 20, per="month").period
    assert (period.timezone, period.week_start) == (TOKYO, 6)


def test_a_removed_budget_is_new_again(opened):
    ledger = opened()
    monthly(ledger)
    ledger.remove_budget("alice", "plan")
    with pytest.raises(InvalidInput, match="no budget 'plan' to change"):
        ledger.set_budget("alice", name="plan", timezone=TOKYO)
    budget = ledger.set_budget("alice", 5, name="plan")
    assert (budget.period.per, budget.period.timezone, budget.model) == (None, "UTC", None)


def test_a_change_without_a_limit_needs_a_name(opened):
    ledger = opened()
    with pytest.raises(InvalidInput, match="name="):
        ledger.set_budget("alice", per="month")
    with pytest.raises(InvalidInput):
        ledger.set_budget("alice", 5, tokens=5, name="plan")
    with pytest.raises(InvalidInput, match="no budget"):
        ledger.set_budget("alice", name="plan")
    assert ledger.accounts() == []


def test_a_budget_beside_others_is_remarked(opened):
    ledger = opened()
    ledger.set_budget("alice", 10, per="month")
    with pytest.warns(AddedBudgetWarning, match=r"beside 'usd/month'.* per=None"):
        ledger.set_budget("alice", 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ledger.set_budget("alice", 30)  # it exists now
        ledger.set_budget("bob", 30)
        ledger.set_budget("bob", tokens=30)
        ledger.set_budget("bob", 40, name="other")
        ledger.set_budget("carol", 10, per="month")
        ledger.set_budget("carol", 20, per=None)
        ledger.set_budget("carol", 20, model="gpt-4o")


def test_create_budget_still_replaces_limit_and_duration(tmp_path, monkeypatch):
    monkeypatch.setenv("BUDGETLEDGER_DB", str(tmp_path / "spend.db"))
    manager = BudgetManager("p")
    manager.create_budget(10, "alice", "monthly")
    manager.ledger.set_budget("alice", 20, name="default", timezone=TOKYO)
    (budget,) = manager.ledger.budgets("alice")
    assert (budget.limit, budget.period.per, budget.period.timezone) == (20, "month", TOKYO)
    manager.create_budget(30, "alice")
    (budget,) = manager.ledger.budgets("alice")
    assert (budget.limit, budget.period.per, budget.period.timezone) == (30, None, "UTC")
    manager.ledger.close()


def test_racing_changes_keep_what_the_others_changed(database):
    changes = (
        {"limit": 20},
        {"timezone": TOKYO},
        {"week_start": "sunday"},
        {"alert_at": (0.5,)},
        {"per": "week"},
    )
    with Ledger(database.target, synchronous="NORMAL") as ledger:
        for number in range(20):
            ledger.set_budget(f"user-{number}", 10, per="month", name="plan")

        def change(number):
            fields = changes[number % len(changes)]
            with Ledger(database.target, synchronous="NORMAL") as own:
                for user in range(20):
                    own.set_budget(f"user-{user}", name="plan", **fields)

        with ThreadPoolExecutor(5) as pool:
            list(pool.map(change, range(5)))
        for number in range(20):
            (budget,) = ledger.budgets(f"user-{number}")
            period = budget.period
            assert (budget.limit, budget.alert_at) == (20, (Decimal("0.5"),))
            assert (period.per, period.timezone, period.week_start) == ("week", TOKYO, 6)


def test_asyncio(opened):
    async def main():
        ledger = AsyncLedger(opened())
        await ledger.set_budget("alice", 10, per="month", timezone=TOKYO, name="plan")
        return await ledger.set_budget("alice", 20, name="plan")

    budget = asyncio.run(main())
    assert (budget.limit, budget.period.per, budget.period.timezone) == (20, "month", TOKYO)
