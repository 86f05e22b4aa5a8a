"""Where budgets lead: nothing before three full days, weekdays after 28, both as a range."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from budgetledger import Ledger
from budgetledger.journal.journal import journal_of
from budgetledger.reports.budgets import paces
from budgetledger.reports.pace import Spending, pace
from budgetledger.testing import FakeClock

DAY = 86_400_000_000
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def next_day(us):
    return us - us % DAY + DAY


def of(posted, days, *, limit=100, end=30, by_day=()):
    return pace(Spending(limit, posted, 0, days * DAY, end * DAY, by_day), next_day, int)


def test_nothing_before_three_full_days_and_once_the_limit_is_reached():
    assert of(10, 2.99) is None
    assert of(100, 5) is None
    assert of(10, 3).weekday is None


def test_linear():
    linear = of(50, 10).linear
    assert (linear.reached_us, linear.at_end) == (20 * DAY, 150)
    within = of(10, 10).linear
    assert (within.reached_us, within.at_end) == (None, 30)
    assert of(0, 10).linear.at_end == 0


def test_without_an_end_the_limit_is_reached_within_a_year_or_not_at_all():
    spending = Spending(1000, 10, 0, 10 * DAY, None)
    assert pace(spending, next_day, int).linear == (None, None)
    assert pace(spending._replace(limit=20), next_day, int).linear == (20 * DAY, None)


def test_weekdays():
    """Ten a day on five days, nothing on two: linear is early by the weekend that comes."""
    by_day = [10, 10, 10, 10, 10, 0, 0] * 4
    spending = Spending(70, 50, 28 * DAY, 33 * DAY, 42 * DAY, by_day[5:] + by_day[:5])
    found = pace(spending, next_day, int)
    assert found.linear.reached_us == 35 * DAY
    assert found.weekday.reached_us == 37 * DAY
    assert found.weekday.at_end == 50 + 50


@pytest.fixture
def clock():
    return FakeClock(MONDAY)


def test_of_a_ledger(database, clock):
    with Ledger(database.target, clock=clock) as ledger:
        ledger.set_budget("alice", 30, per="month", timezone="America/New_York")
        ledger.set_budget("alice", tokens=5, per=timedelta(days=30))
        for day in range(35):
            ledger.charge("alice", cost=1 if day % 7 < 5 else 0, model="m")
            clock.advance(days=1)
            rolling, monthly = sorted(
                paces(journal_of(ledger), "alice"), key=lambda one: one.budget.measure
            )
            assert rolling.pace is None
            if day < 2:
                assert monthly.pace is None
            elif day < 28:
                assert monthly.pace.weekday is None
        assert monthly.budget.limit == 30
        assert monthly.status.posted == 2  # since 1 April, 04:00 UTC
        assert monthly.pace.linear.at_end > Decimal(12)
        assert monthly.pace.weekday.at_end > Decimal(19)
        [row] = ledger.report("account").rows
        assert row.budget == monthly
