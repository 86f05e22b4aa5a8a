"""Charges and holds of an account with a thousand late rows in its windows, against one without.

Late rows are recorded later than they belong: half of these belong before the windows' start. In
CPU time of the process, which other programs do not add to.

Usage: python benchmarks/late_rows.py [--rows N ...] [--late N] [--calls N] [--rounds N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

from common import describe, paired, report, us
from reads import FIRST_US, SPAN_US, fill

from budgetledger import Ledger
from budgetledger.windows import from_us

EACH = "0.0001"
DAYS = timedelta(days=30)


def opened(path: Path, rows: int, late: int) -> Ledger:
    """A ledger with so many rows of alice's over 300 days, and so many late ones after them."""
    budgets = {"month": "month", "rolling": DAYS, "model": "month"}
    with Ledger(path, project="p", clock=lambda: FIRST_US - 1) as ledger:
        for name, per in budgets.items():
            model = "model-1" if name == "model" else None
            ledger.set_budget("alice", 10**9, per=per, name=name, model=model)
    fill(str(path), rows, 3)
    ticks: Iterator[int] = count(FIRST_US + SPAN_US + 1, 1000)
    ledger = Ledger(path, project="p", clock=lambda: next(ticks), synchronous="NORMAL")
    ago = 2 * DAYS / (late or 1)
    for number in range(1, late + 1):
        at = from_us(next(ticks)) - number * ago
        ledger.charge("alice", cost=EACH, model="model-1", occurred_at=at)
    return ledger


def charge(ledger: Ledger, calls: int) -> None:
    for _ in range(calls):
        ledger.charge("alice", cost=EACH, model="model-1")


def hold_and_settle(ledger: Ledger, calls: int) -> None:
    for _ in range(calls):
        ledger.hold("alice", "0.0002", model="model-1").settle(EACH)


def late_charge_and_hold(ledger: Ledger, calls: int) -> None:
    at = from_us(FIRST_US + SPAN_US) - DAYS / 2
    for _ in range(calls):
        ledger.charge("alice", cost=EACH, model="model-1", occurred_at=at)
        ledger.hold("alice", "0.0002", model="model-1").settle(EACH)


def balance(ledger: Ledger, calls: int) -> None:
    for _ in range(calls):
        ledger.balance("alice")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--late", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    describe(f"{options.late:,} late rows against none, CPU time")
    measured: tuple[tuple[str, Callable[[Ledger, int], None], float], ...] = (
        ("charge", charge, 1.2),
        ("hold + settle", hold_and_settle, 1.2),
        ("balance of three budgets", balance, 6.0),
        ("a late charge, then hold + settle", late_charge_and_hold, 1.2),
    )
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for rows in options.rows:
            late = opened(Path(folder, f"late-{rows}.db"), rows, options.late)
            none = opened(Path(folder, f"none-{rows}.db"), rows, 0)
            for name, function, limit in measured:
                ours, floor, ratio = paired(
                    lambda calls, run=function, ledger=late: run(ledger, calls),
                    lambda calls, run=function, ledger=none: run(ledger, calls),
                    options.calls,
                    options.rounds,
                    clock=time.process_time,
                )
                report(f"{name}, {rows:,} rows", ratio, limit, f"{us(ours)}, {us(floor)}")
            late.close()
            none.close()


if __name__ == "__main__":
    main()
