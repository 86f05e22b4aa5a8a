"""Writes a small ledger of the newest schema as ``saved/<revision>.sql``: once, at its release.

Run it as ``python tests/migrations/save.py``; a saved ledger never changes afterwards.
"""

import sqlite3
import tempfile
import warnings
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from budgetledger import Ledger, metered
from budgetledger.imports.calls import Call, Log
from budgetledger.imports.importing import import_log
from budgetledger.journal.journal import journal_of
from budgetledger.storage import schema as _migrate
from budgetledger.testing import FakeClock
from budgetledger.usage import Usage

SAVED = Path(__file__).parent / "saved"
BEGAN = datetime(2026, 1, 31, 20, 30, tzinfo=UTC)
BEGAN_US = int(BEGAN.timestamp()) * 1_000_000


def fill(path):
    """Projects with everything a ledger can hold."""
    clock = FakeClock(BEGAN)
    fill_with_costs(path, clock)
    fill_with_holds(path, clock)
    fill_with_prices(path, clock)
    fill_with_unknown_costs(path, clock)
    fill_with_answers(path, clock)
    fill_with_earlier_costs(path, clock)
    fill_with_default_budgets(path, clock)
    fill_with_history(path, clock)


def fill_with_costs(path, clock):
    """Two projects, budgets of every measure and kind of window, shifts and adjustments."""
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


def fill_with_holds(path, clock):
    """A project of three levels, holds in every state, alerts raised and resolved, freezing."""
    with Ledger(path, project="agents", clock=clock) as ledger:
        ledger.set_budget("*", "1000", per="month", alert_at=0.9)
        ledger.set_budget("team", "100.00", per="month", alert_at=(0.05, 0.06))
        ledger.set_parent("alice", "team")
        ledger.set_budget("alice", "20", alert_at=(0.25, 1))
        ledger.set_budget("alice", tokens=5000, per="day", model="gpt-4o")
        ledger.set_budget("bob", "5", name="default")
        ledger.set_parent("bob", "team")
        ledger.set_parent("bob", None)
        kept = ledger.hold("alice", "2.5", model="gpt-4o", tokens=1500, key="h1", tags={"job": "é"})
        paid = ledger.hold("alice", "4", model="o3").settle("6")  # more than was held: two alerts
        ledger.hold("alice", 1).release(reason="found in the cache")
        late = ledger.hold("bob", "0.5", model="o3", expires_in=60)
        ledger.hold("bob", "1", expires_in=90)
        clock.advance(minutes=5)
        ledger.hold("bob", "0.25", expires_in=timedelta(days=1))  # finds that both have expired
        with warnings.catch_warnings(action="ignore"):  # that nobody knows its price
            late.settle(Usage(input_tokens=700, output_tokens=50), model="my-own", tags={})
        kept.extend(timedelta(days=1))
        ledger.adjust(paid, "-0.5", reason="credit")
        ledger.set_budget("team", "200", per="month", alert_at=(0.05, 0.06))  # resolves
        ledger.set_budget("mallory", 9)
        ledger.freeze("mallory", reason="audit")
        ledger.freeze("bob")
        ledger.unfreeze("bob", reason="a mistake")
    with Ledger(path, project="agents", enforce=False, clock=clock) as lenient:
        lenient.hold("bob", "7", model="o3", expires_in=timedelta(days=1))  # noted, and granted


def fill_with_prices(path, clock):
    """A project with prices of its own and of all projects, a call priced later, one removed."""
    with Ledger(path, project="priced", clock=clock) as ledger:
        ledger.set_budget("carol", 1)
        with warnings.catch_warnings(action="ignore"):  # that nobody knows a price
            ledger.charge("carol", usage=Usage(1000, 500), model="my-own")
            ledger.charge("carol", usage=Usage(1, service_tier="batch"), model="my-other")
        ledger.set_price("my-*", input=2, output="4", effective_at=BEGAN, all_projects=True)
        ledger.set_price("my-own", input=3, output="6.5", effective_at=BEGAN, note="per contract")
        ledger.reprice("carol", model="my-own", dry_run=False)  # 0.00625
        clock.advance(minutes=1)
        ledger.set_price("my-own", input="3.25", output=0, request="0.01")
        ledger.charge("carol", usage=Usage(1000), model="my-own", key="p1")  # 0.01325
        ledger.remove_price("my-own", note="moved")
        ledger.remove_price("my-*", all_projects=True, effective_at=BEGAN)


def fill_with_unknown_costs(path, clock):
    """A project with costs that are assumed and estimated, two restated; and minimal holds."""
    with Ledger(path, project="unknown", clock=clock) as ledger:
        ledger.set_budget("dave", 1)
        with warnings.catch_warnings(action="ignore"):  # that nobody knows a price
            for usage in (Usage(1000, 500), Usage(10, 5)):
                ledger.hold("dave", "0.25", model="my-secret").settle(usage)
            ledger.adjust(
                ledger.hold("dave", "0.125").settle({"model": "x"}), "-0.1", reason="bill"
            )
            ledger.hold("dave", "0.03125", model="y").settle({"model": "y"})
            ask = metered(ledger, user="dave")(lambda answer: answer)
            ask({"model": "gpt-4o", "usage": {"prompt_tokens": 9, "completion_tokens": 1}})
            ask({"model": "z"})
        ledger.set_price("my-secret", input=10, output=20, effective_at=BEGAN)
        ledger.reprice(model="my-secret", dry_run=False)  # 0.02 and 0.0002
        ledger.hold("dave", model="gpt-4o", text="hello", max_output_tokens=9, key="u1")
        held = ledger.hold("dave", model="gpt-4o", text="hello", max_output_tokens=9)
        list(held.stream(["Once", " upon"]))


def fill_with_answers(path, clock):
    """A project with a call that another model answered than the one asked for."""
    answer = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 200}}
    with Ledger(path, project="aliased", clock=clock) as ledger:
        ledger.set_budget("dora", 5, model="gpt-4o")
        ledger.charge("dora", answer, model="my-alias")  # 0.0045


def fill_with_default_budgets(path, clock):
    """A project with a default that was applied, revised and ended, and one that is in force."""
    with Ledger(path, project="newcomers", clock=clock) as ledger:
        ledger.set_budget("*", 100)
        ledger.set_default_budget(5, per="day", timezone="Asia/Tokyo", alert_at=(0.5,))
        ledger.set_default_budget(50, kind="team", model="gpt-4o", alert_at=(0.9, 1))
        ledger.charge("eve", cost=3)  # standard, and an alert
        ledger.set_default_budget("7.5", anchor="creation", per="week")
        ledger.remove_default_budget()
        ledger.set_parent("eve", "team:new")
        ledger.hold("eve", 1, model="gpt-4o").settle("0.5")  # standard of the team
        ledger.set_budget("eve", 9, name="default")  # ends standard


def fill_with_earlier_costs(path, clock):
    """A project whose own budgets were set after costs and holds, which count there."""
    with Ledger(path, project="late", clock=clock) as ledger:
        ledger.set_budget("erin", 5)
        early = ledger.charge("erin", cost="1.5", model="o3", occurred_at=BEGAN)
        ledger.charge("erin", cost="0.5", model="o3")
        held = ledger.hold("erin", "0.25", model="o3", expires_in=timedelta(days=1))
        ledger.set_budget("*", 9, per="month")
        ledger.set_budget("*", 8, per=timedelta(hours=9), name="span")
        ledger.adjust(early, "-0.5", reason="credit")
        held.settle("0.125")


def fill_with_history(path, clock):
    """A project with imported calls, which count nowhere: one corrected, one priced later."""
    call = Call("c1", BEGAN_US, "gpt-4o", "gpt-4o", Usage(1000, 200), account="erin")
    unpriced = call._replace(source_id="c2", model="my-old", answered="my-old")
    log = Log([call, unpriced], [], [])
    with Ledger(path, project="history", clock=clock) as ledger:
        ledger.set_budget("erin", 1)
        import_log(journal_of(ledger), "llm", log)
        _, first, _ = ledger.entries()
        ledger.adjust(first, "-0.001", reason="credit")
        ledger.set_price("my-old", input=1, output=1, effective_at=BEGAN)
        ledger.reprice(dry_run=False)


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
