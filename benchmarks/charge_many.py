"""A hundred thousand costs at once: against single charges, and finished rows by executemany.

Usage: python benchmarks/charge_many.py [--rows N] [--single N] [--rounds N]
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from common import describe, report, us

from budgetledger import Ledger
from budgetledger.tables import EntryRow

_AT_ONCE = 1000
_COLUMNS = [column.name for column in EntryRow.__table__.columns if column.name != "id"]  # type: ignore[attr-defined]


def rows_of(count: int) -> list[dict[str, Any]]:
    return [
        {"account": "alice", "cost": "0.01", "model": "gpt-4o", "key": f"import:{number:012}"}
        for number in range(count)
    ]


def new_ledger(path: Path) -> Ledger:
    ledger = Ledger(path)
    ledger.set_budget("alice", "1000000", per="month")
    return ledger


def many(path: Path, rows: list[dict[str, Any]]) -> float:
    """Seconds a row of `charge_many`."""
    with new_ledger(path) as ledger:
        start = time.perf_counter()
        ledger.charge_many(rows)
        return (time.perf_counter() - start) / len(rows)


def single(path: Path, rows: list[dict[str, Any]]) -> float:
    """Seconds a charge, each durable before the next."""
    with new_ledger(path) as ledger:
        start = time.perf_counter()
        for row in rows:
            ledger.charge(**row)
        return (time.perf_counter() - start) / len(rows)


def raw(path: Path, finished: list[tuple[Any, ...]]) -> float:
    """Seconds a row to insert the *finished* rows of a ledger into the same schema."""
    new_ledger(path).close()
    places = ", ".join("?" * len(_COLUMNS))
    insert = f"INSERT INTO entries ({', '.join(_COLUMNS)}) VALUES ({places})"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        start = time.perf_counter()
        for first in range(0, len(finished), _AT_ONCE):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(insert, finished[first : first + _AT_ONCE])
            connection.execute("COMMIT")
        return (time.perf_counter() - start) / len(finished)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--single", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    describe(f"{options.rows:,} costs with keys, FULL, {_AT_ONCE:,} in one transaction")
    rows = rows_of(options.rows)
    times: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for number in range(options.rounds):
            path = Path(folder, f"many{number}.db")
            ours = many(path, rows)
            with closing(sqlite3.connect(path)) as connection:
                finished = connection.execute(
                    f"SELECT {', '.join(_COLUMNS)} FROM entries WHERE kind = 'charge' ORDER BY id"
                ).fetchall()
            path.unlink()
            floor = raw(Path(folder, f"raw{number}.db"), finished)
            one = single(Path(folder, f"one{number}.db"), rows[: options.single])
            times.append((ours, floor, one))
    ours, floor, one = map(statistics.median, zip(*times, strict=True))
    over_raw = statistics.median(ours / floor for ours, floor, _ in times)
    over_one = statistics.median(ours / one for ours, _, one in times)
    report("charge_many against executemany", over_raw, 1.5, f"{us(ours)} against {us(floor)}")
    report("charge_many against single charges", over_one, 0.1, f"{us(ours)} against {us(one)}")


if __name__ == "__main__":
    main()
