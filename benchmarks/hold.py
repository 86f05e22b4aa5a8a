"""A hold and its settle against raw sqlite3 doing its four steps twice; and what they grow with.

Usage: python benchmarks/hold.py [--calls N] [--rounds N] [--many N] [--synchronous FULL]
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from charge import raw_floor
from common import describe, paired, report, us
from rich.progress import track

from budgetledger import Ledger

EACH = "0.0001"


def hold_and_settle(ledger: Ledger, account: str = "alice") -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            ledger.hold(account, "0.0002", model="gpt-4o").settle(EACH)

    return run


def against_raw(folder: Path, calls: int, rounds: int) -> None:
    for synchronous, limit in (("NORMAL", 2.2), ("FULL", 2.2)):
        ledger = Ledger(folder / f"{synchronous}.db", synchronous=synchronous)
        ledger.set_budget("alice", "1000000", per="month")
        raw = raw_floor(folder / f"raw-{synchronous}.db", synchronous)
        ours, floor, ratio = paired(
            hold_and_settle(ledger), lambda calls, raw=raw: raw(2 * calls), calls, rounds
        )
        name = f"hold + settle, {synchronous}, against two charges raw"
        report(name, ratio, limit, f"{us(ours)} against {us(floor)}")
        ledger.close()


def several_levels(folder: Path, calls: int, rounds: int) -> None:
    one = Ledger(folder / "one.db", synchronous="NORMAL")
    one.set_budget("alice", "1000000", per="day")
    four = Ledger(folder / "four.db", synchronous="NORMAL")
    four.set_budget("alice", "1000000", per="day")
    four.set_budget("alice", tokens=10**12, per="month")
    four.set_budget("team:a", "1000000", per="month")
    four.set_budget("*", "1000000", per="month")
    four.set_parent("alice", "team:a")
    ours, floor, ratio = paired(hold_and_settle(four), hold_and_settle(one), calls, rounds)
    report("four budgets on three levels, against one", ratio, 2.0, f"{us(ours)}, {us(floor)}")
    one.close()
    four.close()


def growth(folder: Path, calls: int, rounds: int, many: int, synchronous: str) -> None:
    few = 1000
    for what, fill in (("rows", rows), ("users", users), ("past holds", past_holds)):
        used = []
        for size in (few, many):
            ledger = Ledger(folder / f"{what}-{size}.db", synchronous=synchronous)
            ledger.set_budget("alice", "1000000000", per="month")
            fill(ledger, size, f"{what}: {size:,}")
            used.append(ledger)
        shown = [(what, [hold_and_settle(ledger) for ledger in used])]
        if what == "users":  # at random, most of what a call reads is in no cache
            sizes = zip(used, (few, many), strict=True)
            shown.append(("users, at random", [random_users(*ledger) for ledger in sizes]))
        for name, (fewer, more) in shown:
            ours, floor, ratio = paired(more, fewer, calls, rounds)
            name = f"among {many:,} {name}, against {few:,}, {synchronous}"
            report(name, ratio, 1.5, f"{us(ours)}, {us(floor)}")
        for ledger in used:
            ledger.close()


def rows(ledger: Ledger, size: int, title: str) -> None:
    charge_all(ledger, ("alice" for _ in range(size)), size, title)


def users(ledger: Ledger, size: int, title: str) -> None:
    """Each has a budget of its own, and a charge."""

    def fill(tx):
        from budgetledger.journal import settings
        from budgetledger.journal.append import find_or_open
        from budgetledger.journal.budget_terms import BudgetTerms
        from budgetledger.money import Sum
        from budgetledger.windows import Period

        terms = BudgetTerms("usd/month", "usd", Sum(10**6), None, Period("month"))
        for number in chunk:
            ref = find_or_open(tx, ledger.project, f"user{number}")
            settings.set_budget(tx, ref, terms)

    for start in track(range(0, size, 1000), description=title, transient=True):
        chunk = range(start, min(start + 1000, size))
        ledger._journal.write(fill)


def past_holds(ledger: Ledger, size: int, title: str) -> None:
    from budgetledger.journal import holding as _holding
    from budgetledger.journal.rows.rules import Draft

    account = ledger.hold("alice", "0.01")
    account.release()
    ref = ledger._journal.refs["alice"]

    def fill(tx):
        for _ in range(500):
            draft = Draft("hold", "gpt-4o", held_pico=10**9, held_tokens=0)
            held = _holding.hold(tx, "default", "alice", ref, draft, 10**9, enforce=True)
            settle = Draft("settle", "gpt-4o", 10**9, "given", requests=1, hold_id=held.entry.id)
            _holding.settle(tx, ref, settle)

    for _ in track(range(0, size, 500), description=title, transient=True):
        ledger._journal.write(fill)


def charge_all(ledger, accounts, size, title):
    from budgetledger.journal import posting as _posting
    from budgetledger.journal.rows.rules import Draft

    ledger.charge("alice", cost=EACH, model="gpt-4o")
    ref = ledger._journal.refs["alice"]

    def fill(tx):
        for _ in range(500):
            _posting.post(tx, ref, Draft("charge", "gpt-4o", 10**8, "given", requests=1))

    for _ in track(range(0, size, 500), description=title, transient=True):
        ledger._journal.write(fill)


def random_users(ledger: Ledger, size: int) -> Callable[[int], None]:
    chosen = random.Random(1)

    def run(calls: int) -> None:
        for _ in range(calls):
            ledger.hold(f"user{chosen.randrange(size)}", "0.0002", model="gpt-4o").settle(EACH)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--synchronous", default="NORMAL", help="where growth is looked for")
    options = parser.parse_args()
    describe("Holds, one caller")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        against_raw(Path(folder), options.calls, options.rounds)
        several_levels(Path(folder), options.calls, options.rounds)
        growth(Path(folder), options.calls, options.rounds, options.many, options.synchronous)


if __name__ == "__main__":
    main()
