"""Writes a small ledger of the newest schema as ``saved/<revision>.sql``: once, at its release.

Run it as ``python tests/migrations/save.py``; a saved ledger never changes afterwards.
"""

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from budgetledger import Ledger, _migrate
from budgetledger.pricing import Usage
from budgetledger.testing import FakeClock

SAVED = Path(__file__).parent / "saved"
BEGAN = datetime(2026, 1, 31, 20, 30, tzinfo=UTC)


def fill(path):
    """Two projects, budgets of every measure and kind of window, shifts and adjustments."""
    clock = FakeClock(BEGAN)
    with Ledger(path, project="app", clock=clock) as ledger:
        ledger.set_budget("alice", "10.00", per="month", timezone="Europe/Berlin")
        ledger.set_budget("alice", tokens=5000, per="day", model="gpt-4o")
        ledger.set_budget("alice", requests=9, per=timedelta(hours=24), name="pace")
        ledger.set_budget("team:research", 1e9)
        ledger.set_budget("bob", "5", per="month", anchor="creation", name="default")
        first = ledger.charge("alice", cost="1.25", model="gpt-4o", key="k1", tags={"job": "é"})
        clock.advance(hours=3)  # a new month in Berlin, not yet in UTC
        usage = Usage(input_tokens=1200, output_tokens=300)
        ledger.charge("alice", usage=usage, cost="0.000000000001", model="gpt-4o")
        ledger.charge("bob", cost="4", model="o3", occurred_at=BEGAN)
        ledger.adjust(first, "-0.25", reason="credit", key="k2")
        ledger.charge("team:research", cost="9000000", model="o3")
        ledger.charge("team:research", cost="9000000", model="o3")  # more than 2**63 picodollars
        clock.advance(hours=1)
        ledger.shift_window("bob", reason="paid in advance")
        ledger.charge("bob", cost="0.5", model="o3")
        ledger.set_budget("bob", "6", per="month", anchor="creation", name="default")
        ledger.remove_budget("alice", "pace")
    with Ledger(path, project="other", clock=clock) as other:
        other.set_budget("alice", "1")
        other.charge("alice", cost="2", key="k1")


def dump(path):
    """The SQL that makes the file again."""
    with closing(sqlite3.connect(path)) as database:
        yield f"PRAGMA application_id = {_migrate.APPLICATION_ID};"
        yield from database.iterdump()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spend.db"
        fill(path)
        (SAVED / f"{_migrate.HEAD}.sql").write_text("\n".join(dump(path)) + "\n")
