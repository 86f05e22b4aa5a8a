"""What a budget on the whole project counts of the rows before it was set, shown as they are."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from samples import START
from starlette.testclient import TestClient

from budgetledger import Ledger
from budgetledger.render.text import entry_text
from budgetledger.server import create_app

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")
USAGE = {"prompt_tokens": 5, "completion_tokens": 5}


@pytest.fixture
def ledger(opened):
    return opened()


def unpriced(ledger, account, model="house-model", answered=None, ago=None):
    """A call that nobody has a price for."""
    response = {"id": "x", "model": answered or model, "usage": USAGE}
    at = None if ago is None else START - ago
    return ledger.charge(account, response, model=model, occurred_at=at)


def assumed(ledger, account, amount, model="house-model"):
    """A call that costs what was held, as far as is known."""
    return ledger.hold(account, amount, model=model).settle({"id": "x", "model": model})


def unstated(ledger, **asked):
    balance = ledger.balance("*", **asked)
    return balance.unpriced, balance.assumed


def test_calls_of_before_without_a_price_or_of_assumed_cost_show(ledger, clock):
    ledger.set_budget("alice", 10)
    ledger.set_budget("bob", 10)
    ledger.set_parent("bob", "team")
    one = unpriced(ledger, "alice")
    unpriced(ledger, "bob")  # repeated by team, and counted once
    two = assumed(ledger, "bob", "0.25")
    ledger.set_budget("*", 12, per="month")
    assert unstated(ledger) == (2, Decimal("0.25"))
    three = unpriced(ledger, "alice")
    assumed(ledger, "bob", "0.50")
    assert unstated(ledger) == (3, Decimal("0.75"))
    clock.advance(seconds=1)
    before = clock.now
    clock.advance(seconds=1)
    for entry in (one, three):
        ledger.adjust(entry, "0.10", reason="bill")
    ledger.adjust(two, "-0.05", reason="bill")
    assert unstated(ledger) == (1, Decimal("0.50"))
    assert unstated(ledger, as_of=before) == (3, Decimal("0.75"))
    assert ledger.verify().problems == ()


def test_they_leave_with_the_rows(ledger, clock):
    ledger.set_budget("alice", 10)
    unpriced(ledger, "alice", ago=timedelta(hours=3))
    assumed(ledger, "alice", "0.25")
    ledger.set_budget("*", 12, per=timedelta(hours=4))
    assert unstated(ledger) == (1, Decimal("0.25"))
    clock.advance(hours=2)
    assert unstated(ledger) == (0, Decimal("0.25"))
    ledger.remove_budget("*", "usd/14400s")
    ledger.set_budget("*", 12, per="day")
    assert unstated(ledger) == (1, Decimal("0.25"))
    ledger.shift_window("*")
    assert unstated(ledger) == (0, 0)
    ledger.set_budget("*", 12)
    ledger.remove_budget("*", "usd/day")
    assert unstated(ledger) == (1, Decimal("0.25"))


def test_a_budget_of_a_model_shows_those_of_its_model(ledger):
    ledger.set_budget("alice", 10)
    ledger.set_budget("alice", 9, model="house-model")
    unpriced(ledger, "alice")
    unpriced(ledger, "alice", "other-model")
    unpriced(ledger, "alice", "my-alias", "house-model")
    assumed(ledger, "alice", "0.25")
    assumed(ledger, "alice", "0.50", "other-model")
    ledger.set_budget("*", 9, model="house-model")
    assert unstated(ledger) == (2, Decimal("0.25"))
    balance = ledger.balance("alice")
    assert (balance.unpriced, balance.assumed) == (2, Decimal("0.25"))


def test_they_show_over_http_and_in_the_views(tmp_path):
    path = tmp_path / "spend.db"
    with Ledger(path) as ledger:
        ledger.set_budget("alice", 10)
        unpriced(ledger, "alice")
        assumed(ledger, "alice", "0.25")
        ledger.set_budget("*", 12)
        client = TestClient(create_app(ledger), "http://localhost", client=("127.0.0.1", 1))
        with client:
            balance = client.get("/v1/projects/default/accounts/%2A/balance").json()
    assert (balance["unpriced"], Decimal(balance["assumed"])) == (1, Decimal("0.25"))
    with closing(sqlite3.connect(path)) as connection:  # each under the account that spent
        rows = connection.execute("SELECT account, unpriced, assumed_usd FROM spend_by_day")
        assert rows.fetchall() == [("alice", 1, 0.25)]


def test_the_row_says_what_it_found(ledger):
    ledger.set_budget("alice", 10)
    ledger.charge("alice", cost="0.50")
    ledger.charge("alice", cost="0.25")
    ledger.set_budget("*", 12)
    ledger.set_budget("bob", 10)
    ledger.hold("bob", 1)
    ledger.remove_budget("*", "usd")
    [row] = [entry for entry in ledger.entries("*") if entry.kind == "prior"]
    assert row.note == "budget 'usd' counts 2 earlier calls: 0.75 USD"
    assert entry_text(row) == row.note


def test_reprice_of_the_project_prices_them_too(ledger):
    ledger.set_budget("alice", 10)
    one = unpriced(ledger, "alice")
    ledger.set_budget("*", 12)
    two = unpriced(ledger, "alice")
    ledger.set_price("house-model", input=1000, output=1000)
    assert [priced.entry.id for priced in ledger.reprice("*")] == [one.id, two.id]
    ledger.reprice("*", dry_run=False)
    balance = ledger.balance("*")
    assert (balance.posted, balance.unpriced) == (Decimal("0.02"), 0)
