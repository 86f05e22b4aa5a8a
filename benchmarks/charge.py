"""One charge against raw sqlite3 doing the same four steps on a plain table with one index.

Usage: python benchmarks/charge.py [--calls N] [--rounds N]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import describe, paired, report, us

from budgetledger import Ledger


def raw_floor(path: Path, synchronous: str) -> Callable[[int], None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(
        "CREATE TABLE entry (id INTEGER PRIMARY KEY, account TEXT NOT NULL, model TEXT NOT NULL, "
        "at_us INTEGER NOT NULL, cost_pico INTEGER NOT NULL, total_pico INTEGER NOT NULL)"
    )
    connection.execute("CREATE INDEX entry_by_account ON entry (account, at_us)")
    execute = connection.execute

    def charge(calls: int) -> None:
        for _ in range(calls):
            execute("BEGIN IMMEDIATE")
            head = execute(
                "SELECT total_pico FROM entry WHERE account = ? ORDER BY at_us DESC LIMIT 1",
                ("alice",),
            ).fetchone()
            total = (head[0] if head else 0) + 10_000_000_000
            execute(
                "INSERT INTO entry (account, model, at_us, cost_pico, total_pico) "
                "VALUES (?, ?, ?, ?, ?)",
                ("alice", "gpt-4o", time.time_ns() // 1000, 10_000_000_000, total),
            )
            execute("COMMIT")

    return charge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    describe("One charge, one caller")
    for synchronous, limit in (("NORMAL", 2.0), ("FULL", 1.15)):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            ledger = Ledger(Path(folder, "ledger.db"), synchronous=synchronous)
            ledger.set_budget("alice", "1000000", per="month")

            def charge(calls: int, ledger: Ledger = ledger) -> None:
                for _ in range(calls):
                    ledger.charge("alice", cost="0.01", model="gpt-4o")

            floor = raw_floor(Path(folder, "raw.db"), synchronous)
            ours, raw, ratio = paired(charge, floor, options.calls, options.rounds)
            report(f"charge, {synchronous}", ratio, limit, f"{us(ours)} against {us(raw)}")
            ledger.close()


if __name__ == "__main__":
    main()
