"""One charge on PostgreSQL against bare psycopg running the same four statements.

Usage: python benchmarks/postgres.py [--calls N] [--rounds N] [--url URL]

Without a URL it starts a server from what the test extra installs, with fsync as it is by default.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path
from threading import Thread
from types import ModuleType

import psycopg
from common import describe, paired, report, us

from budgetledger import Ledger
from budgetledger.journal.rows import statements as _sql
from budgetledger.storage.dialect import compiled, for_postgres
from budgetledger.storage.postgres.connection import WritingConnection
from budgetledger.storage.postgres.url import address_of

SCHEMA = "budgetledger_benchmark"
THREADS = 16


def raw_floor(url: str, synchronous: str) -> Callable[[int], None]:
    """The statements of a charge, in tables like the ledger's; nothing is decided or hashed."""
    target = named(url, f"{SCHEMA}_raw")
    with Ledger(target, synchronous=synchronous) as ledger:
        ledger.set_budget("alice", "1000000", per="month")
    begin = WritingConnection(address_of(target), synchronous)._begin_text
    head, _ = for_postgres(compiled(_sql.HEAD))
    insert, _ = for_postgres(_sql.INSERT_PLAIN_ENTRY)
    execute = psycopg.connect(url.replace("+psycopg", ""), autocommit=True).execute
    cost = 10_000_000_000

    def charge(calls: int) -> None:
        for _ in range(calls):
            execute(begin)
            row = execute(head, (1, 1, 1, 1), prepare=True).fetchone()
            at_us = time.time_ns() // 1000
            spent = ("charge", "gpt-4o", cost, "given", None, 0, 0, 1, None, None)
            carry, pico = divmod(row[3] + cost, 10**12)
            totals = (row[2] + carry, pico, 0, row[5] + 1)
            follows = (*totals, *totals, row[0], 1)
            execute(insert, (1, 1, at_us, *spent, *follows), prepare=True).fetchone()
            execute("COMMIT")

    return charge


def named(url: str, schema: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}schema={schema}"


def threads(ledger: Ledger) -> Callable[[int], None]:
    def run(calls: int) -> None:
        def charge() -> None:
            for _ in range(calls // THREADS):
                ledger.charge("alice", cost="0.01", model="gpt-4o")

        running = [Thread(target=charge) for _ in range(THREADS)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--url", help="postgresql://…, a database to make two schemas in")
    options = parser.parse_args()
    if options.url is None:
        server = _servers().Server(fsync=True)
        try:
            measure(server.url(), options.calls, options.rounds)
        finally:
            server.remove()
    else:
        measure(options.url, options.calls, options.rounds)


def measure(url: str, calls: int, rounds: int) -> None:
    describe("One charge on PostgreSQL")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        print(f"  psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), PostgreSQL {version[0]}")
    for synchronous in ("NORMAL", "FULL"):
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA}, {SCHEMA}_raw CASCADE")
        ledger = Ledger(named(url, SCHEMA), synchronous=synchronous)
        ledger.set_budget("alice", "1000000", per="month")

        def charge(calls: int, ledger: Ledger = ledger) -> None:
            for _ in range(calls):
                ledger.charge("alice", cost="0.01", model="gpt-4o")

        floor = raw_floor(url, synchronous)
        ours, raw, ratio = paired(charge, floor, calls, rounds)
        report(f"charge, {synchronous}", ratio, 1.5, f"{us(ours)} against {us(raw)}")
        ours, raw, ratio = paired(threads(ledger), floor, calls, rounds)
        report(f"{THREADS} threads, {synchronous}", ratio, 1.5, f"{us(ours)} against {us(raw)}")
        ledger.close()


def _servers() -> ModuleType:
    path = Path(__file__).parents[1] / "tests" / "support" / "servers.py"
    spec = util.spec_from_file_location("servers", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["servers"] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
