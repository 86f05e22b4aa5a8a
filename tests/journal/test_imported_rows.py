"""Imported rows count in reports, and in no budget, running total or alert; nor do corrections."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from samples import START

from budgetledger import Ledger
from budgetledger.errors import InvalidAmount, UnboundedWarning
from budgetledger.imports.calls import Call, Log
from budgetledger.imports.importing import import_log
from budgetledger.journal.append import append
from budgetledger.journal.journal import journal_of
from budgetledger.journal.rows.rules import Draft
from budgetledger.windows import to_us


@pytest.fixture
def ledger(opened):
    """A ledger with a budget and alerts on alice, under a team, under the project."""
    ledger = opened()
    ledger.set_budget("alice", 10, per="month", alert_at=(0.5,))
    ledger.set_budget("team", 10)
    ledger.set_budget("*", 10)
    ledger.set_parent("alice", "team")
    ledger.charge("alice", cost=1, model="gpt-4o")
    return ledger


def imported(ledger, cost="100", model="gpt-4o", ago=timedelta(days=3), **more):
    """An imported row of alice."""
    pico = None if cost is None else int(Decimal(cost) * 10**12)
    at_us = to_us(START - ago)
    draft = Draft("import", model, pico, "given", at_us, 100, 10, 1, **more)
    journal = journal_of(ledger)
    return journal.write(lambda tx: append(tx, journal.refs["alice"], draft)).entry


def figures(ledger):
    names = "alice", "team", "*"
    return [(ledger.balance(name), ledger.model_costs(name)) for name in names], ledger.alerts()


def test_no_budget_total_or_alert_changes(ledger):
    before = figures(ledger)
    imported(ledger)
    imported(ledger, None)
    imported(ledger, model="another")
    imported(ledger, price_json='{"answered":"another"}')
    assert figures(ledger) == before
    ledger.hold("alice", "8.5").release()
    entry = ledger.charge("alice", cost=2, model="another")
    assert ledger.balance("alice").posted == 3
    assert ledger.model_costs("alice") == {"gpt-4o": 1, "another": 2}
    assert entry.cost_basis == "stated"
    assert ledger.verify().ok


def test_nor_by_its_corrections(ledger):
    before = figures(ledger)
    entry, unpriced = imported(ledger), imported(ledger, None)
    ledger.adjust(entry, "-40", reason="credit")
    ledger.adjust(unpriced, "3", reason="invoice")
    with pytest.raises(InvalidAmount):
        ledger.adjust(entry, "-60.01", reason="more than it cost")
    assert figures(ledger) == before
    assert ledger.balance("alice").unpriced == 0
    assert ledger.verify().ok


def test_nor_in_a_budget_that_is_set_on_the_project_later(opened):
    ledger = opened()
    ledger.set_budget("alice", 10, per="month")
    ledger.charge("alice", cost=1)
    entry = imported(ledger)
    ledger.adjust(entry, "-40", reason="credit")
    ledger.set_budget("*", 10)
    ledger.set_budget("*", 10, per="month", model="gpt-4o")
    ledger.set_budget("*", 10, per=timedelta(days=9))
    ledger.adjust(entry, "-10", reason="credit")
    assert [status.posted for status in ledger.balance("*").budgets] == [1, 1, 0]
    assert ledger.verify().ok


def test_they_give_no_default_budget(opened):
    ledger = opened()
    with pytest.warns(UnboundedWarning):
        ledger.set_default_budget(10, kind="user")
    call = Call("r1", to_us(START), "gpt-4o", "gpt-4o", None, Decimal(4), "alice")
    import_log(journal_of(ledger), "opencode", Log([call], [], []))
    assert ledger.budgets("alice") == []
    ledger.charge("alice", cost=1)
    assert ledger.balance("alice").posted == 1
    call = call._replace(source_id="r2")
    import_log(journal_of(ledger), "opencode", Log([call], [], []), account="bob", count=True)
    assert [budget.name for budget in ledger.budgets("bob")] == ["standard"]
    assert ledger.balance("bob").posted == 4
    assert ledger.verify().ok


def test_views_have_them_where_they_belong(ledger, database):
    ledger.adjust(imported(ledger), "-40", reason="credit")
    rows = database.sql(
        "SELECT substr(belongs_at, 1, 10), counted, cost_usd FROM spend ORDER BY id"
    )
    day = f"{START - timedelta(days=3):%Y-%m-%d}"
    assert rows == [(f"{START:%Y-%m-%d}", 1, 1.0), (day, 0, 100.0), (day, 0, -40.0)]
    assert database.sql("SELECT cost_usd FROM spend_by_day ORDER BY day") == [(60.0,), (1.0,)]


def test_reprice_prices_them(ledger):
    ledger.set_price("mine", input=1_000_000, output=0, effective_at=START - timedelta(days=9))
    entry = imported(
        ledger, None, model="mine", usage_json='{"input_tokens":100,"output_tokens":10}'
    )
    before = figures(ledger)
    (repriced,) = ledger.reprice(dry_run=False)
    assert (repriced.entry.id, repriced.cost) == (entry.id, 100)
    assert ledger.reprice("alice") == []
    assert figures(ledger) == before


def test_verify_sees_what_was_done_to_them(ledger, tmp_path):
    imported(ledger)
    ledger.backup(tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as file, file:
        file.execute("DROP TRIGGER late_entries_no_update")
        file.execute("UPDATE late_entries SET within_us = 2")
    with Ledger(tmp_path / "copy.db") as copy:
        assert "the list of late rows is wrong" in str(copy.verify().problems)
