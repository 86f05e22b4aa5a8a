"""A hundred threads charging one ledger, against one caller doing raw four-step transactions.

Once on this disk, and once with 4 ms added to every commit, theirs and ours: what a sync takes
on a busy or a slower disk. Fairness is the slowest thread's number of charges over the
fastest's, in the same time.

Usage: python benchmarks/threads.py [--threads N] [--seconds S] [--rounds N]
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from charge import raw_floor
from common import describe

from budgetledger import Ledger

_SLOW_SECONDS = 0.004


class SlowCommit(sqlite3.Connection):
    """Each COMMIT takes 4 ms longer; other threads go on meanwhile, as they do in a sync."""

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        """As `sqlite3.Connection.execute`."""
        if statement == "COMMIT":
            time.sleep(_SLOW_SECONDS)
        return super().execute(statement, *parameters)


def at_least(name: str, ratio: float, limit: float, detail: str) -> None:
    """Print one result as a ratio, against the least it should be."""
    print(f"  {name:<44} {ratio:6.2f}x  (at least {limit:g}x)  {detail}")


def alone(charge: Callable[[int], None], seconds: float) -> float:
    """Calls a second of *charge* by one caller."""
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        charge(20)
        calls += 20
    return calls / (time.perf_counter() - start)


def together(charge: Callable[[], object], threads: int, seconds: float) -> list[int]:
    """How often each of *threads* called *charge* in the same time."""
    counts = [0] * threads
    ready = threading.Barrier(threads)

    def work(n: int) -> None:
        ready.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            charge()
            counts[n] += 1

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    describe(f"{options.threads} threads charging one ledger, FULL")
    slow = partial(sqlite3.connect, factory=SlowCommit)
    for disk, connecting, limit in (
        ("this disk", nullcontext(), 1.3),
        ("a commit 4 ms slower", patch.object(sqlite3, "connect", slow), 10.0),
    ):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            with connecting:
                ledger = Ledger(Path(folder, "ledger.db"))
                floor = raw_floor(Path(folder, "raw.db"), "FULL")
            ledger.set_budget("alice", "1000000", per="month")
            charge = partial(ledger.charge, "alice", cost="0.01", model="gpt-4o")
            raw, ours, ratios, fairness = [], [], [], []
            for turn in range(options.rounds + 1):
                raw_rate = alone(floor, options.seconds / 3)
                counts = together(charge, options.threads, options.seconds)
                if turn:  # the first warms up
                    raw.append(raw_rate)
                    ours.append(sum(counts) / options.seconds)
                    ratios.append(ours[-1] / raw_rate)
                    fairness.append(min(counts) / max(max(counts), 1))
            ledger.close()
        detail = f"{statistics.median(ours):,.0f} against {statistics.median(raw):,.0f} a second"
        at_least(f"charges, {disk}", statistics.median(ratios), limit, detail)
        detail = f"worst round {min(fairness):.2f}x"
        at_least(f"slowest/fastest thread, {disk}", statistics.median(fairness), 0.8, detail)


if __name__ == "__main__":
    main()
