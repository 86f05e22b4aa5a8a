"""Reports: every dimension, ranges in any time zone, and sums that equal the rows."""

from __future__ import annotations

import sqlite3
import warnings
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budgetledger import AsyncLedger, Ledger, Usage
from budgetledger.errors import InvalidInput, InvalidPeriod, UnknownAccount
from budgetledger.imports.calls import Call, Log
from budgetledger.imports.importing import import_log
from budgetledger.journal.journal import journal_of
from budgetledger.reports import kept_sums, remembered
from budgetledger.testing import FakeClock
from budgetledger.windows import to_us

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")

START = datetime(2026, 10, 1, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def clock():
    return FakeClock(START)


@pytest.fixture
def ledger(database, clock):
    with Ledger(database.target, clock=clock) as opened:
        yield opened


def shown(report):
    return [(row.name, row.figures.cost) for row in report.rows]


def usd(*amounts):
    return [Decimal(amount) for amount in amounts]


# -- dimensions -----------------------------------------------------------------------------------


def test_two_dimensions_with_totals(ledger, clock):
    ledger.charge("alice", cost="1", model="a")
    ledger.charge("bob", cost="2", model="b")
    clock.advance(days=31)
    ledger.charge("bob", cost="4", model="a")
    report = ledger.report("account", columns="month")
    assert [(row.name, [one.cost for one in row.cells]) for row in report.rows] == [
        ("bob", usd(2, 4)),
        ("alice", usd(1, 0)),
    ]
    assert report.column_names == ("2026-10", "2026-11")
    assert [one.cost for one in report.total.cells] == usd(3, 4)
    assert (report.total.figures.cost, report.total.figures.requests) == (7, 3)
    assert report.average == Decimal("3.5")
    assert (report.timezone, report.project, report.account) == ("UTC", "default", None)


def test_kinds_hosts_models_and_tags(ledger):
    ledger.charge("team:r", cost="1", model="gpt-4o", tags={"feature": "search", "n": 1})
    ledger.charge("alice", cost="2", model="groq/llama", tags={"feature": True})
    ledger.charge("alice", cost="4", tags={"feature": 'a "quoted" one', "n": "1"})
    ledger.charge("alice", usage=Usage(1000, 0), model="claude-sonnet-4-5")
    assert shown(ledger.report("kind")) == [("user", Decimal("6.003")), ("team", Decimal(1))]
    assert shown(ledger.report("host")) == [
        (None, Decimal(5)),
        ("groq", Decimal(2)),
        ("anthropic", Decimal("0.003")),
    ]
    assert [name for name, _ in shown(ledger.report("model"))] == [
        "unknown",
        "groq/llama",
        "gpt-4o",
        "claude-sonnet-4-5",
    ]
    assert shown(ledger.report("tag:feature")) == [
        ('a "quoted" one', Decimal(4)),
        ("true", Decimal(2)),
        ("search", Decimal(1)),
        (None, Decimal("0.003")),
    ]
    assert shown(ledger.report("tag:n"))[0] == ("1", Decimal(5))


def test_tokens_cached_share_and_what_is_not_known(ledger):
    ledger.charge("alice", usage=Usage(1000, 100, 250), model="gpt-4o")
    unpriced = ledger.charge("alice", usage=Usage(10, 1), model="nobody-prices-this")
    ledger.set_budget("alice", 100)
    with ledger.hold("alice", "0.5") as hold:
        hold.settle({"model": "nobody-prices-this", "choices": []})
    [row] = ledger.report("kind").rows
    figures = row.figures
    assert (figures.requests, figures.input_tokens, figures.output_tokens) == (3, 1010, 102)
    assert figures.cached_share == 250 / 1010
    assert (figures.unpriced, figures.assumed, figures.assumed_cost) == (1, 1, Decimal("0.5"))
    ledger.adjust(unpriced, "0.25", reason="invoice")
    ledger.adjust(unpriced, "0.25", reason="invoice, page 2")
    after = ledger.report("kind").total.figures
    assert (after.unpriced, after.assumed) == (0, 1)
    assert after.cost - figures.cost == Decimal("0.5")
    [assumed] = [one for one in ledger.entries() if one.cost_basis == "assumed"]
    ledger.adjust(assumed, "-0.1", reason="invoice")
    assert ledger.report("kind").total.figures.assumed_pico == 0


def test_a_tree_has_each_call_once(ledger):
    for account in ("team:r", "alice", "bob"):
        ledger.set_budget(account, 10, per="month")
    ledger.set_parent("team:r", "org:all")
    ledger.set_parent("alice", "team:r")
    ledger.charge("alice", cost="1")
    ledger.charge("team:r", cost="2")
    ledger.charge("bob", cost="4")
    report = ledger.report("account", tree=True)
    assert [(row.depth, row.name, row.figures.cost) for row in report.rows] == [
        (0, "bob", 4),
        (0, "org:all", 3),
        (1, "team:r", 3),
        (2, "alice", 1),
    ]
    assert report.total.figures.cost == 7
    assert report.rows[2].budget.status.posted == 3
    assert ledger.report("account", account="*").total.figures.cost == 7
    inside = ledger.report("account", account="team:r")
    assert shown(inside) == [("team:r", 2), ("alice", 1)]


def test_a_correction_counts_with_the_call_it_corrects(ledger, clock):
    entry = ledger.charge("alice", cost="1", model="a", tags={"feature": "search"})
    clock.advance(days=3)
    ledger.adjust(entry, "0.5", reason="invoice")
    assert shown(ledger.report("tag:feature")) == [("search", Decimal("1.5"))]
    assert shown(ledger.report("day"))[0] == ("2026-10-01", Decimal("1.5"))
    before = clock.now - timedelta(hours=1)
    assert ledger.report("day", as_of=before).total.figures.cost == 1


# -- ranges ---------------------------------------------------------------------------------------


def test_a_month_and_the_one_before(ledger, clock):
    for days in (0, 10, 20, 30, 45):
        clock.move_to(START - timedelta(days=15) + timedelta(days=days))
        ledger.charge("alice", cost="1")
    clock.move_to(START + timedelta(days=60))
    report = ledger.report("week", month="2026-10", timezone="America/New_York")
    assert report.total.figures.cost == 3
    assert (report.previous.cost, report.change) == (2, 0.5)
    assert report.previous_window.start.isoformat() == "2026-08-31T00:00:00-04:00"


def test_last_days_are_local_days(ledger, clock):
    zone = "America/New_York"
    clock.move_to(datetime(2026, 11, 2, 3, 30, tzinfo=UTC))  # 1 November there, 25 hours long
    ledger.charge("alice", cost="1", occurred_at=datetime(2026, 10, 31, 4, tzinfo=UTC))
    ledger.charge("alice", cost="2", occurred_at=datetime(2026, 10, 31, 3, 59, tzinfo=UTC))
    assert shown(ledger.report("day", last=2, timezone=zone)) == [
        ("2026-10-31", Decimal(1)),
        ("2026-11-01", Decimal(0)),
    ]
    assert ledger.report("day", last=timedelta(hours=47, minutes=30)).total.figures.cost == 1
    hours = ledger.report("hour", last=1, timezone=zone)
    assert [row.name for row in hours.rows][1:3] == [
        "2026-11-01 01:00-04:00",
        "2026-11-01 01:00-05:00",
    ]


def test_late_rows_count_where_they_belong(ledger, clock):
    clock.advance(days=40)
    ledger.charge("alice", cost="1", occurred_at=START + timedelta(days=2))
    ledger.charge("alice", cost="2")
    october = ledger.report("account", month="2026-10")
    assert shown(october) == [("alice", 1)]
    assert shown(ledger.report("day", account="alice", month="2026-10"))[2] == ("2026-10-03", 1)
    assert ledger.report("month", month="2026-11").total.figures.cost == 2


def test_an_empty_ledger(ledger):
    for by in ("day", "account", "model", "host", "tag:x"):
        report = ledger.report(by)
        assert report.total.figures.requests == 0
        assert report.previous is None
    assert ledger.report("day", last=3).previous.requests == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "colour"}, "by must be one of hour, day"),
        ({"columns": "tag:"}, "columns must be"),
        ({"columns": "day"}, "two dimensions"),
        ({"tree": True}, "by account"),
        ({"last": 3, "month": "2026-10"}, "pass one of"),
        ({"month": "2026-13"}, "not a month"),
        ({"last": 0}, "last must be"),
        ({"since": START, "until": START}, "since must be before"),
    ],
)
def test_unusable_arguments(ledger, arguments, message):
    with pytest.raises(InvalidInput, match=message):
        ledger.report(**arguments)


def test_unknown_zones_and_accounts(ledger):
    with pytest.raises(InvalidPeriod):
        ledger.report(timezone="Mars/Olympus")
    with pytest.raises(UnknownAccount):
        ledger.report(account="nobody")


async def _total(path):
    async with AsyncLedger(path) as ledger:
        await ledger.charge("alice", cost="1")
        return (await ledger.report("model")).total.figures.cost


def test_from_asyncio(tmp_path):
    import asyncio

    assert asyncio.run(_total(tmp_path / "spend.db")) == 1


# -- sums equal the rows --------------------------------------------------------------------------

_NEAR = datetime(2026, 10, 31, tzinfo=UTC)  # clocks change on 1 November at 06:00
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["charge", "late", "unpriced", "settle", "assumed", "adjust", "import"]),
        st.sampled_from(["alice", "bob", "team:r"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 5 * 10**12),
        st.integers(0, 10_000),  # seconds until the next
    ),
    max_size=40,
)


def _imported(ledger, account, model, pico, now):
    """The row of a call of an imported log, of some days ago; every second has no price."""
    at_us, usage = to_us(now) - pico % 200_000 * 10**6, Usage(10, 1)
    cost = Decimal(pico).scaleb(-12) if pico % 2 else None
    answered = model if pico % 2 else "nobody-prices-this"
    call = Call(f"{account}-{at_us}", at_us, answered, answered, usage, cost, account)
    import_log(journal_of(ledger), "opencode", Log([call], [], []))
    key = f"import:opencode:{call.source_id}"
    return next(entry for entry in ledger.entries() if entry.idempotency_key == key)


def _play(ledger, clock, steps):
    money = []
    for what, account, model, pico, seconds in steps:
        cost = Decimal(pico).scaleb(-12)
        if what == "adjust" and money:
            ledger.adjust(money[pico % len(money)], cost, reason="more")
        elif what in ("settle", "assumed"):
            with ledger.hold(account, cost, model=model) as hold:
                answer = {"model": "nobody-prices-this", "choices": []}
                money.append(hold.settle(cost if what == "settle" else answer))
        elif what == "import":
            money.append(_imported(ledger, account, model, pico, clock.now))
        elif what == "unpriced":
            money.append(ledger.charge(account, usage=Usage(10, 1), model="nobody-prices-this"))
        else:
            occurred = clock.now - timedelta(seconds=pico % 200_000) if what == "late" else None
            money.append(ledger.charge(account, cost=cost, model=model, occurred_at=occurred))
        clock.advance(seconds=seconds)


def _row_by_row(ledger, unit):
    """Sums by local hour or day, and model: what the entries say, one by one."""
    belongs, sums = {}, Counter()
    for entry in ledger.entries():
        if entry.kind not in ("charge", "settle", "adjustment", "import"):
            continue
        moment = min(entry.occurred_at or entry.recorded_at, entry.recorded_at)
        if entry.corrects_id is not None:
            moment = belongs[entry.corrects_id]
        belongs[entry.id] = moment
        local = moment.astimezone(NEW_YORK)
        name = f"{local:%Y-%m-%d}" if unit == "day" else f"{local:%Y-%m-%d %H:00}"
        sums[name if unit == "day" else (name, local.utcoffset()), entry.model] += (
            entry.cost_pico or 0
        )
    return {key: pico for key, pico in sums.items() if pico}


def _reported(report, unit):
    return {
        (name, model): cell.cost_pico
        for row in report.rows
        for model, cell in zip(report.column_names, row.cells, strict=True)
        for name in [row.name if unit == "day" else (row.name[:16], row.window.start.utcoffset())]
        if cell.cost_pico
    }


@settings(max_examples=25, deadline=None)
@given(_STEPS)
def test_reports_over_a_change_of_clocks_equal_a_sum_row_by_row(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("ledger") / "spend.db"
    clock = FakeClock(_NEAR)
    with warnings.catch_warnings(), Ledger(path, clock=clock, synchronous="NORMAL") as ledger:
        warnings.simplefilter("ignore")
        for account in ("alice", "bob", "team:r"):
            ledger.set_budget(account, 10**6, per="month", timezone="America/New_York")
        ledger.set_parent("alice", "team:r")
        _play(ledger, clock, steps)
        for unit in ("day", "hour"):
            report = ledger.report(unit, columns="model", timezone="America/New_York")
            assert _reported(report, unit) == _row_by_row(ledger, unit)
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT coalesce(sum(cost_pico), 0), coalesce(sum(unpriced), 0) FROM spend"
            assert connection.execute(query).fetchone() == (
                report.total.figures.cost_pico,
                report.total.figures.unpriced,
            )
        _equals_balances(ledger, clock, path)


def _equals_balances(ledger, clock, path):
    """Budgets count what a report has, but for imported history and its corrections."""
    query = """SELECT coalesce(sum(cost_pico), 0), coalesce(sum(unpriced), 0) FROM spend
        WHERE NOT counted AND account = ? AND belongs_at >= ?"""
    for account in ("alice", "bob", "team:r"):
        balance = ledger.balance(account)
        window = balance.window
        report = ledger.report(
            "day", account=account, since=window.start, until=window.end, timezone=window.timezone
        )
        figures = report.total.figures
        start = window.start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with closing(sqlite3.connect(path)) as connection:
            pico, unpriced = connection.execute(query, (account, start)).fetchone()
        assert figures.cost - Decimal(pico).scaleb(-12) == balance.posted
        assert figures.unpriced - unpriced == balance.unpriced
        assert figures.assumed_cost == balance.assumed
        assert clock.now >= window.start


# -- sums that are remembered ---------------------------------------------------------------------


def test_a_report_again_has_the_rows_since(database, clock):
    """Late rows, corrections and rows of other processes: as of a ledger that opens it anew."""
    with (
        Ledger(database.target, clock=clock) as ledger,
        Ledger(database.target, clock=clock) as other,
    ):
        first = ledger.charge("alice", usage=Usage(10, 1), model="nobody-prices-this")
        clock.advance(days=40)
        questions = [
            {"by": "day", "columns": "model"},
            {"by": "month", "timezone": "America/New_York"},
            {"by": "account", "month": "2026-10"},
            {"by": "tag:x", "account": "alice"},
            {"by": "kind", "last": 60},
        ]
        for step in range(4):
            made = [ledger.report(**question) for question in questions]
            with Ledger(database.target, clock=clock) as anew:
                assert made == [anew.report(**question) for question in questions], step
            assert made == [ledger.report(**question) for question in questions]
            if step == 0:
                other.charge("alice", cost="1", occurred_at=START + timedelta(days=3))
                other.charge("bob", cost="2", tags={"x": 1})
            elif step == 1:
                ledger.adjust(first, "0.5", reason="invoice")
            elif step == 2:
                other.adjust(first, "0.25", reason="more")
                clock.advance(days=1)
        assert made[0].total.figures[:1] == (3,)
        assert made[0].total.figures.unpriced == 0


def test_sums_of_many_rows_are_kept_for_the_next_process(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(kept_sums, "KEPT_FROM", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    reads = []
    read_sums = remembered.read_sums
    monkeypatch.setattr(
        remembered, "read_sums", lambda *given: reads.append(given[1].after_id) or read_sums(*given)
    )

    def shown_by(path):
        with Ledger(path, clock=clock) as anew:
            report = anew.report("day", columns="model")
            tags = anew.report("tag:x")
            return report.total, [row.name for row in tags.rows]

    path = tmp_path / "spend.db"
    with Ledger(path, clock=clock) as ledger:
        ledger.charge("alice", cost="1", model="m", tags={"x": "é"})
        ledger.backup(tmp_path / "copy.db")
        first = shown_by(path)
        ledger.charge("bob", cost="2", model="n")
        last_id = [entry.id for entry in ledger.entries()][-1]
        second = shown_by(path)
    assert reads.count(0) == len([one for one in reads if one]) == len(reads) // 2
    assert shown_by(path) == second
    assert len(reads) == 2 * reads.count(0)
    assert (first[0].figures.cost, second[0].figures.cost) == (1, 3)
    assert second[1] == [None, "é"]
    for file in (tmp_path / "cache").rglob("*.json"):
        assert file.stat().st_mode & 0o077 == 0
    # Another ledger in its place, with as many rows of others.
    for name in ("spend.db", "spend.db-wal", "spend.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "copy.db").rename(path)
    with Ledger(path, clock=clock) as ledger:
        ledger.charge("eve", cost="7", model="o")
        assert [entry.id for entry in ledger.entries()][-1] == last_id
    assert shown_by(path)[0].figures.cost == 8
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_text('{"last_id":')
    assert shown_by(path)[0].figures.cost == 8
