"""How much is read for a page of entries, in steps of SQLite's machine: no more than it has."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from samples import START

from budgetledger import Ledger
from budgetledger.journal import statements
from budgetledger.journal.accounts import find
from budgetledger.journal.entry_rows import account_page, newest, project_page
from budgetledger.storage.dialect import compiled
from budgetledger.testing import FakeClock
from budgetledger.windows import to_us

PAGES = {
    "last of the project": lambda read, alice, us: newest(read, 1, None, 5),
    "last of an account": lambda read, alice, us: newest(read, 1, alice, 5),
    "last since": lambda read, alice, us: newest(read, 1, None, 5, since_us=us(-2)),
    "last of an account since": lambda read, alice, us: newest(read, 1, alice, 5, since_us=us(-2)),
    "last until": lambda read, alice, us: newest(read, 1, None, 5, until_us=us(20)),
    "project since": lambda read, alice, us: project_page(read, 1, since_us=us(-2)),
    "project until": lambda read, alice, us: project_page(read, 1, until_us=us(3)),
    "account since": lambda read, alice, us: account_page(read, alice, since_us=us(-2)),
    "account until": lambda read, alice, us: account_page(read, alice, until_us=us(3)),
    "alerts": lambda read, alice, us: read(
        compiled(statements.ALERTS_OF_ACCOUNT), (alice.id,)
    ).fetchall(),
}


def filled(path, rows):
    """A ledger of many rows, and the moment of its n-th."""
    clock = FakeClock(START)
    with Ledger(path, synchronous="NORMAL", clock=clock) as ledger:
        ledger.set_budget("alice", 100)
        for n in range(rows):
            clock.move_to(START + timedelta(minutes=n + 1))
            ledger.charge("alice" if n % 2 else "bob", cost="0.01", model="m")
        ledger.set_budget("bob", 100, alert_at=[f"0.000{n}" for n in range(1, 9)])
        ledger.charge("bob", cost=1)
    return lambda n: to_us(START + timedelta(minutes=(n if n > 0 else rows + n) + 1))


def steps(path, page, us):
    with closing(sqlite3.connect(path)) as connection:
        count = 0

        def step():
            nonlocal count
            count += 1

        alice = find(connection.execute, "default", "alice")
        connection.set_progress_handler(step, 1)
        rows = len(page(connection.execute, alice, us))
        return rows, count


@pytest.mark.filterwarnings("ignore::budgetledger.errors.UnknownAccountWarning")
def test_a_page_costs_the_same_whatever_came_before_and_after_it(tmp_path):
    few, many = tmp_path / "few.db", tmp_path / "many.db"
    of_few, of_many = filled(few, 60), filled(many, 1200)
    for name, page in PAGES.items():
        rows, count = steps(few, page, of_few)
        more_rows, more_count = steps(many, page, of_many)
        assert more_rows == rows, name
        assert more_count < count + 50, name
