"""A report by day and model against SQLite's own GROUP BY over a bare table of the same rows.

Usage: python benchmarks/report.py [--rows N] [--models N] [--rounds N]

Also: the same report after 1,000 more rows, in one process and in another; DuckDB's time over a
parquet copy, if it is installed; a month of it against a ledger that has that month alone; and the
page of all rows.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from common import describe, report
from reads import FIRST_US, SPAN_US, fill

from budgetledger import Ledger
from budgetledger.journal.journal import journal_of
from budgetledger.render.report_page import page_html
from budgetledger.reports.making import Request
from budgetledger.reports.page import make_page

_BARE = """
CREATE TABLE bare (recorded_at_us INTEGER, model TEXT, cost_pico INTEGER, tokens INTEGER)"""
_COPY = """
INSERT INTO bare SELECT recorded_at_us, model, cost_pico, input_tokens + output_tokens
FROM ledger.entries WHERE kind = 'charge'"""
_GROUPED = """
SELECT recorded_at_us / 86400000000, model, sum(cost_pico), sum(tokens), count(*)
FROM bare GROUP BY 1, 2"""


def ledger_of(path: Path, rows: int, models: int) -> None:
    with Ledger(path, project="p", clock=lambda: FIRST_US - 1) as ledger:
        ledger.set_budget("alice", "1e6", per="month", name="default")
    fill(str(path), rows, models)


def opened(path: Path) -> Ledger:
    return Ledger(path, project="p", clock=lambda: FIRST_US + SPAN_US)


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def by_day(ledger: Ledger) -> None:
    ledger.report("day", columns="model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    describe(f"Reports of {options.rows:,} rows, {options.models} models, 300 days")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        folder = os.path.abspath(folder)
        os.environ["XDG_CACHE_HOME"] = folder
        path, bare_path = Path(folder, "spend.db"), Path(folder, "bare.db")
        ledger_of(path, options.rows, options.models)
        with closing(sqlite3.connect(bare_path)) as bare:
            bare.execute(_BARE)
            bare.execute("ATTACH ? AS ledger", (str(path),))
            with bare:
                bare.execute(_COPY)
            against_bare(path, bare, options.rounds, f"model-{options.rows % options.models}")
        duck = by_duckdb(bare_path, Path(folder, "bare.parquet"))
        if duck is not None:
            print(f"  DuckDB over a parquet copy: {duck:.3f} s")
        a_month(path, Path(folder, "month.db"), options)
        the_page(path)


def forget(folder: Path) -> None:
    """Delete the sums that were kept for other processes."""
    for file in folder.glob("budgetledger/sums/*"):
        file.unlink()


_IN_ANOTHER = """
import sys, time
from budgetledger import Ledger
with Ledger(sys.argv[1], project="p", clock=lambda: int(sys.argv[2])) as ledger:
    start = time.perf_counter()
    ledger.report("day", columns="model")
    print(time.perf_counter() - start)
"""


def in_another_process(path: Path) -> float:
    """Seconds of the report in a new process, without its start."""
    command = [sys.executable, "-c", _IN_ANOTHER, str(path), str(FIRST_US + SPAN_US)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def by_duckdb(bare_path: Path, parquet: Path) -> float | None:
    """Seconds of the GROUP BY over a parquet copy; None without DuckDB and pyarrow or polars."""
    try:
        import duckdb
        import polars
    except ImportError:
        return None
    with closing(sqlite3.connect(bare_path)) as bare:
        polars.read_database("SELECT * FROM bare", bare).write_parquet(parquet)
    query = _GROUPED.replace("FROM bare", f"FROM '{parquet}'").replace(" / 86", " // 86")
    return statistics.median(seconds(lambda: duckdb.sql(query).fetchall()) for _ in range(5))


def against_bare(path: Path, bare: sqlite3.Connection, rounds: int, model: str) -> None:
    """*model*: that of the last row, as filled ledgers list no other as the current one."""
    floors, firsts, seconds_after, in_others = [], [], [], []
    for _ in range(rounds):
        floors.append(seconds(lambda: bare.execute(_GROUPED).fetchall()))
        forget(path.parent)
        with opened(path) as ledger:
            firsts.append(seconds(lambda: by_day(ledger)))
            for _ in range(1000):
                ledger.charge("alice", cost="0.001", model=model)
            seconds_after.append(seconds(lambda: by_day(ledger)))
            in_another_process(path)  # keeps its sums in the cache folder
            for _ in range(1000):
                ledger.charge("alice", cost="0.001", model=model)
        in_others.append(in_another_process(path))
        forget(path.parent)
    for name, times, limit in (
        ("by day and model, first in a process", firsts, 3),
        ("the same after 1,000 more rows", seconds_after, 0.2),
        ("in a new process after 1,000 more rows", in_others, 0.2),
    ):
        over = floors if times is firsts else firsts
        ratios = [one / floor for one, floor in zip(times, over, strict=True)]
        detail = f"{statistics.median(times):.3f} s against {statistics.median(over):.3f} s"
        report(name, statistics.median(ratios), limit, detail)


def a_month(path: Path, other: Path, options: argparse.Namespace) -> None:
    """A month of all rows against the same month in a ledger with a tenth of the time."""
    times: dict[Path, list[float]] = {path: [], other: []}
    with Ledger(other, project="p", clock=lambda: FIRST_US - 1) as ledger:
        ledger.set_budget("alice", "1e6", per="month", name="default")
    fill(str(other), options.rows, options.models)
    end_us = FIRST_US + 31 * 86_400_000_000
    with closing(sqlite3.connect(other)) as connection, connection:  # the first month alone
        for name in [row[0] for row in connection.execute(_TRIGGERS).fetchall()]:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM entries WHERE recorded_at_us >= ?", (end_us,))
    for _ in range(options.rounds):
        for each in times:
            with opened(each) as ledger:
                month = lambda: ledger.report("day", columns="model", month="2026-01")  # noqa: E731
                times[each].append(seconds(month))
    ratios = [a / b for a, b in zip(times[path], times[other], strict=True)]
    all_rows, alone = statistics.median(times[path]), statistics.median(times[other])
    detail = f"{all_rows:.3f} s against {alone:.3f} s"
    report("a month, against a ledger of that month", statistics.median(ratios), 1.3, detail)


_TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entries'"


def the_page(path: Path) -> None:
    with opened(path) as ledger:
        start = time.perf_counter()
        text = page_html(make_page(journal_of(ledger), Request()))
        took = time.perf_counter() - start
    report("the page, in MB", len(text.encode()) / 1e6, 1, f"{took:.1f} s")


if __name__ == "__main__":
    main()
