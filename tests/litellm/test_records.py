"""LiteLLM's record of a user: the days of its windows, read and written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from budgetledger import Ledger
from budgetledger.errors import InvalidInput
from budgetledger.hosted.records import turned
from budgetledger.litellm.records import UNITS, budget_fields
from budgetledger.litellm.user_cost_file import read_user_cost
from budgetledger.server.litellm_users import read_record
from budgetledger.testing import FakeClock
from budgetledger.windows import window_at

START = datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()
DAY = 86_400


@pytest.mark.parametrize(
    ("per", "days"),
    [("day", {1}), ("week", {7}), ("month", {28, 29, 30, 31}), ("year", {365, 366})],
)
@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/Sao_Paulo"])
def test_every_window_is_written_in_days_that_are_read_as_it(tmp_path, per, days, timezone):
    with Ledger(tmp_path / "spend.db", clock=FakeClock(datetime(2016, 1, 1, tzinfo=UTC))) as ledger:
        ledger.set_budget("u", 1, per=per, timezone=timezone, name="default")
        (budget,) = ledger.budgets("u")
    moment, written = round(START * 1e6), set()
    for _ in range({"day": 400, "week": 60, "month": 60, "year": 9}[per]):
        window = window_at(budget.period, moment)
        written.add(budget_fields(budget, window)["duration"])
        moment = window.end_us
    assert written <= days
    assert {UNITS[each] for each in written} == {per}


RECORD = {"total_budget": 1, "created_at": START, "last_updated_at": START, "current_cost": 1}
UNREADABLE = ["30", "monthly", 30.5, True, False, -30, float("nan"), float("inf"), [30], {}]


def read_everywhere(tmp_path, duration):
    """The record after 30 days, as each reader takes it: import, server, hosted mode."""
    record = RECORD | {"duration": duration}
    path = tmp_path / "user_cost.json"
    path.write_text(json.dumps({"u": record}))
    (imported,) = read_user_cost(path)
    served = read_record("u", json.loads(json.dumps(record), parse_float=Decimal))
    shown = turned("u", record, START + 30 * DAY)
    return imported.period.per, UNITS.get(served.days), shown["current_cost"] == 0


@pytest.mark.parametrize("duration", [28, 28.0, 29, 30, 31])
def test_a_month_is_a_month_to_every_reader(tmp_path, duration):
    assert read_everywhere(tmp_path, duration) == ("month", "month", True)


@pytest.mark.parametrize("duration", [365, 366, 365.0])
def test_a_year_is_a_year_to_every_reader(tmp_path, duration):
    assert read_everywhere(tmp_path, duration) == ("year", "year", False)


@pytest.mark.parametrize("duration", UNREADABLE)
def test_what_is_no_number_of_days_is_refused_or_turns_nothing(tmp_path, duration):
    record = RECORD | {"duration": duration}
    path = tmp_path / "user_cost.json"
    path.write_text(json.dumps({"u": record}))
    with pytest.raises(InvalidInput, match="duration must"):
        read_user_cost(path)
    with pytest.raises(InvalidInput, match="duration must"):
        read_record("u", json.loads(json.dumps(record), parse_float=Decimal))
    if duration != 30.5:  # which LiteLLM itself counts in seconds
        assert turned("u", record, START + 300 * DAY) == record


def test_no_duration_is_a_window_for_ever(tmp_path):
    assert read_everywhere(tmp_path, None) == (None, None, False)
