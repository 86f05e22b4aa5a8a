"""Rows count where they belong: any mix of them against a count row by row."""

import random
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import START

from budgetledger import BudgetExceededError, BudgetManager, Ledger
from budgetledger.errors import InvalidAmount
from budgetledger.testing import FakeClock
from budgetledger.windows import from_us, to_us

ANCHOR = datetime(2025, 11, 30, 23, 30, tzinfo=UTC)
BUDGETS = {
    "ever": {"limit": 1000},
    "month": {"limit": 1000, "per": "month", "timezone": "Asia/Tokyo"},
    "week": {"requests": 1000, "per": "week", "week_start": "sunday", "timezone": "US/Pacific"},
    "anchored": {"limit": 1000, "per": "month", "anchor": ANCHOR, "timezone": "Europe/Berlin"},
    "day": {"tokens": 10**6, "per": "day", "model": "gpt-4o"},
    "rolling": {"limit": 1000, "per": timedelta(hours=36)},
    "short": {"limit": 1000, "per": timedelta(seconds=1)},
    "o3": {"limit": 1000, "per": timedelta(days=7), "model": "o3"},
}
MODELS = ["gpt-4o", "o3", "gpt-4o-2024-08-06", "my-alias"]
spans = st.builds(
    lambda unit, count: timedelta(**{unit: count}),
    st.sampled_from(["microseconds", "milliseconds", "minutes", "hours", "days"]),
    st.integers(0, 60),
)
charges = st.tuples(st.just("charge"), st.sampled_from(MODELS), st.integers(0, 9), spans)
steps = st.one_of(
    charges,
    charges,
    st.tuples(st.just("settle"), st.sampled_from(MODELS), st.integers(0, 9), spans),
    st.tuples(st.just("adjust"), st.integers(0, 50), st.integers(-9, 9)),
    st.tuples(st.just("shift"), st.sampled_from([None, *BUDGETS])),
    st.tuples(st.just("wait"), spans),
)


class Life:
    """A ledger, and what it is asked to do."""

    def __init__(self, target):
        self.clock = FakeClock(START)
        self.ledger = Ledger(target, synchronous="NORMAL", clock=self.clock)
        self.shifts = {}
        for name, terms in BUDGETS.items():
            self.ledger.set_budget("alice", name=name, **terms)
        self.ledger.set_parent("alice", "team")
        self.ledger.set_budget("team", 1000, per=timedelta(hours=36), name="rolling")

    def take(self, what, *asked):
        getattr(self, what)(*asked)

    def answer(self, model, cents, ago):
        """What was paid for a call, some time ago."""
        usage = {"prompt_tokens": cents, "completion_tokens": 1}
        answer = {"model": "o3" if model == "my-alias" else model, "usage": usage}
        return answer, {"model": model, "occurred_at": self.clock.now - ago}

    def charge(self, model, cents, ago):
        answer, call = self.answer(model, cents, ago)
        self.ledger.charge("alice", answer, cost=Decimal(cents) / 100, **call)

    def settle(self, model, cents, ago):
        hold = self.ledger.hold("alice", "0.01", model=model)
        self.clock.advance(minutes=5)
        answer, call = self.answer(model, cents, ago)
        hold.settle(answer, **call)

    def adjust(self, place, cents):
        calls = [e for e in self.ledger.entries("alice") if e.kind in ("charge", "settle")]
        if calls:
            with suppress(InvalidAmount):
                entry = calls[-1 - place % len(calls)]
                self.ledger.adjust(entry, Decimal(cents) / 100, reason="bill")

    def shift(self, name):
        window = self.ledger.shift_window("alice", name)
        for shifted in BUDGETS if name is None else [name]:
            self.shifts[shifted] = window.start_us

    def wait(self, span):
        self.clock.move_to(self.clock.now + span)


def rows_of(ledger, account):
    """Each money row of an account, with the call it is about and when that belongs."""
    granted = {e.id: e.recorded_at_us for e in ledger.entries() if e.kind == "hold"}
    calls = {}
    for row in ledger.entries(account):
        if row.kind in ("charge", "settle"):
            moment_us = min(row.recorded_at_us, row.occurred_at_us)
            calls[row.origin_id or row.id] = row, max(moment_us, granted.get(row.hold_id, 0))
        if row.kind in ("charge", "settle", "adjustment"):
            yield row, *calls[row.corrects_id or row.origin_id or row.id]


def counted(ledger, account, status, known_us):
    """What belongs to a budget's window, row by row."""
    (start_us, end_us, _), model = status.window, status.budget.model
    total = 0
    for row, call, moment_us in rows_of(ledger, account):
        names = (call.model, call.price.get("answered"), call.model.removesuffix("-2024-08-06"))
        is_within = (start_us is None or start_us <= moment_us) and (
            end_us is None or moment_us < end_us
        )
        if is_within and row.recorded_at_us <= known_us and (model is None or model in names):
            tokens = row.input_tokens + row.output_tokens
            measured = {"usd": row.cost, "tokens": tokens, "requests": row.requests}
            total += measured[status.budget.measure]
    return total


def check(life):
    ledger, rng = life.ledger, random.Random(len(life.shifts))
    moments = [life.clock()]
    for row in ledger.entries("alice"):
        moments += [row.recorded_at_us, row.occurred_at_us or row.recorded_at_us]
    for account in ("alice", "team"):
        asked = [(None, None)]
        for _ in range(4):
            at, known = (from_us(rng.choice(moments) + rng.choice([-1, 0, 1])) for _ in "12")
            asked += [(at, None), (None, known), (at, known)]
        for at, known in asked:
            known_us = to_us(known) if known else 2**63
            for status in ledger.balance(account, at=at, as_of=known).budgets:
                assert status.posted == counted(ledger, account, status, known_us), (
                    account, status.budget.name, at, known)  # fmt: skip


def check_decisions(life):
    """Holds are judged by what is left in every budget."""
    ledger = life.ledger
    for model in ("o3", "gpt-4o", "my-alias"):
        with pytest.raises(BudgetExceededError) as caught:
            ledger.hold("alice", 10**6, model=model)
        error = caught.value
        statuses = {one.budget.name: one for one in ledger.balance(error.account).budgets}
        assert error.available == statuses[error.budget.name].available
        affordable = min(
            one.available
            for account in ("alice", "team")
            for one in ledger.balance(account).budgets
            if one.budget.measure == "usd" and one.budget.model in (None, model)
        )
        if affordable > 0:
            assert ledger.can_afford("alice", affordable, model=model)
        assert not ledger.can_afford("alice", affordable + Decimal("1e-12"), model=model)


def live(target, life_steps):
    life = Life(target)
    with closing(life.ledger):
        for step in life_steps:
            life.take(*step)
            check_decisions(life)
        check(life)
        assert life.ledger.verify().problems == ()


@settings(max_examples=20, deadline=None)
@given(life_steps=st.lists(steps, min_size=3, max_size=25))
def test_any_mix_equals_a_count_row_by_row(tmp_path_factory, life_steps):
    live(tmp_path_factory.mktemp("late") / "spend.db", life_steps)


@pytest.mark.postgres
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(life_steps=st.lists(steps, min_size=10, max_size=25))
def test_any_mix_equals_a_count_row_by_row_on_postgres(common_schema, life_steps):
    common_schema.empty()
    live(common_schema.target, life_steps)
    common_schema.empty()


def test_an_adjustment_takes_no_more_than_the_entry_costs(opened):
    ledger = opened()
    ledger.set_budget("alice", 10)
    entry = ledger.charge("alice", cost=1, model="m")
    with pytest.raises(InvalidAmount) as caught:
        ledger.adjust(entry, -500, reason="a mistake")
    assert str(caught.value) == (
        f"entry {entry.id} costs 1.00 USD with its adjustments, and -500.00 USD would make it less "
        "than 0; pass -1.00 or more"
    )
    ledger.adjust(entry, "0.50", reason="more")
    with pytest.raises(InvalidAmount, match=r"costs 1\.50 USD .* pass -1\.50 or more"):
        ledger.adjust(entry, "-1.51", reason="less")
    ledger.adjust(entry, "-1.50", reason="all of it")
    with pytest.raises(InvalidAmount, match=r"costs 0\.00 USD .* pass 0 or more"):
        ledger.adjust(entry, "-0.01", reason="less")
    assert ledger.balance("alice").posted == 0
    ledger.adjust(entry, 0, reason="nothing")


def test_racing_adjustments_take_no_more_than_the_entry_costs(opened):
    ledgers = [opened(), opened()]
    ledgers[0].set_budget("alice", 10)
    entry = ledgers[0].charge("alice", cost=1, model="m")
    refused, together = [], threading.Barrier(8)

    def correct(ledger):
        together.wait(timeout=120)
        try:
            ledger.adjust(entry, "-0.30", reason="a race")
        except InvalidAmount as error:
            refused.append(error)

    threads = [threading.Thread(target=correct, args=(ledgers[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(refused) == 5
    assert ledgers[0].balance("alice").posted == Decimal("0.1")


def test_the_facade_counts_costs_where_they_belong(opened, clock):
    ledger = opened()
    manager = BudgetManager("default", ledger=ledger)
    manager.create_budget(10, "alice", duration="monthly")
    entry = ledger.charge("alice", cost=4, model="m")
    clock.advance(days=31)
    ledger.adjust(entry, -3, reason="a credit")
    ledger.charge("alice", cost=2, model="m", occurred_at=clock.now - timedelta(days=31))
    assert manager.get_current_cost("alice") == 0
    ledger.charge("alice", cost=1, model="m", occurred_at=clock.now - timedelta(minutes=1))
    assert manager.get_current_cost("alice") == 1
    assert manager.get_model_cost("alice") == {"m": 1}


def test_an_alert_counts_what_belongs_to_its_window(opened, clock):
    ledger = opened()
    ledger.set_budget("alice", 10, per="day", alert_at=(0.5,))
    ledger.charge("alice", cost=9, occurred_at=clock.now - timedelta(days=3))
    assert ledger.alerts("alice") == []
    ledger.charge("alice", cost=5)
    assert [alert.posted for alert in ledger.alerts("alice")] == [5]


def test_views_show_the_day_of_the_call(opened, database, clock):
    ledger = opened()
    ledger.set_budget("alice", 10)
    entry = ledger.charge("alice", cost=2, occurred_at=clock.now - timedelta(days=3))
    ledger.adjust(entry, -1, reason="a credit")
    ledger.charge("alice", cost=4)
    assert database.sql("SELECT substr(belongs_at, 1, 10), cost_usd FROM spend ORDER BY id") == [
        ("2026-01-28", 2),
        ("2026-01-28", -1),
        ("2026-01-31", 4),
    ]
    days = database.sql("SELECT day, cost_usd, requests FROM spend_by_day ORDER BY day")
    assert days == [("2026-01-28", 1, 1), ("2026-01-31", 4, 1)]


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM late_entries",
        "UPDATE late_entries SET belongs_at_us = belongs_at_us - 1",
        "UPDATE late_entries SET within_us = within_us * 2",
        "INSERT INTO late_entries SELECT account_id, id, recorded_at_us, 5, 8, NULL FROM entries "
        "WHERE id = 2",
    ],
)
def test_verify_recounts_late_rows(tmp_path, tampering):
    path = tmp_path / "spend.db"
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 10)
        ledger.charge("alice", cost=2)
        ledger.charge("alice", cost=2, occurred_at=datetime(2026, 1, 2, tzinfo=UTC))
        assert ledger.verify().ok
        with closing(sqlite3.connect(path)) as file:
            for guard in ("no_update", "no_delete", "no_replace"):
                file.execute(f"DROP TRIGGER late_entries_{guard}")
            file.execute(tampering)
            file.commit()
        messages = [problem.message for problem in ledger.verify().problems]
        assert "the list of late rows is wrong about this row" in messages
