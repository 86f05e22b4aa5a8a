"""What readers beside a writer cost it: how long its charges wait while others read all rows.

Usage: python benchmarks/readers.py [--rows N] [--seconds S]

A process each reads the views again and again: by sqlite3, pandas, polars, and Datasette over
HTTP, those that are installed. The writer charges meanwhile, each durable (FULL).
"""

from __future__ import annotations

import argparse
import importlib.util
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import describe
from reads import FIRST_US, SPAN_US, fill

from budgetledger import Ledger

_QUERY = "SELECT account, model, sum(cost_usd) FROM spend GROUP BY account, model"
_OPEN = "import sqlite3, sys; database = sqlite3.connect(sys.argv[1])"
_READ = {
    "sqlite3": f"{_OPEN}\nread = lambda: database.execute({_QUERY!r}).fetchall()",
    "pandas": f"import pandas; {_OPEN}\nread = lambda: pandas.read_sql({_QUERY!r}, database)",
    "polars": f"import polars; {_OPEN}\nread = lambda: polars.read_database({_QUERY!r}, database)",
    "datasette": """import sys, urllib.parse, urllib.request
url = f"http://127.0.0.1:{sys.argv[2]}/spend.json?_shape=array&sql="
url += urllib.parse.quote("SELECT * FROM spend_by_model")
read = lambda: urllib.request.urlopen(url).read()""",
}
_AGAIN = "\nprint(len(read()), flush=True)\nwhile True: read()"


@contextmanager
def reading(name: str, path: Path) -> Iterator[None]:
    """A process that reads while the block runs, from its first answer on."""
    with serving(path) if name == "datasette" else no_server() as port:
        command = [sys.executable, "-c", _READ[name] + _AGAIN, str(path), str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                if not process.stdout.readline():
                    raise SystemExit(f"{name} cannot read")
                yield
            finally:
                process.kill()


@contextmanager
def no_server() -> Iterator[int]:
    yield 0


@contextmanager
def serving(path: Path) -> Iterator[int]:
    """Datasette over the file; its port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    command = [sys.executable, "-m", "datasette", str(path), "-p", str(port)]
    command += ["--setting", "sql_time_limit_ms", "60000"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                time.sleep(0.1)
                with socket.socket() as one:
                    if one.connect_ex(("127.0.0.1", port)) == 0:
                        break
            yield port
        finally:
            process.kill()


def waits(path: Path, seconds: float) -> list[float]:
    """Seconds of each charge, for so many *seconds*."""
    with Ledger(path, project="p", clock=lambda: FIRST_US + SPAN_US) as ledger:
        taken: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            ledger.charge("alice", cost="0.001", model="model-0")
            taken.append(time.perf_counter() - start)
        return taken


def show(name: str, taken: list[float]) -> None:
    taken.sort()
    median, late = statistics.median(taken), taken[int(len(taken) * 0.99)]
    print(
        f"  {name:<24} {len(taken):>7,} charges: median {median * 1e3:.2f} ms, "
        f"99 % {late * 1e3:.1f} ms, longest {taken[-1] * 1e3:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    describe(f"Charges beside readers of {options.rows:,} rows")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder, "spend.db")
        with Ledger(path, project="p", clock=lambda: FIRST_US - 1) as ledger:
            ledger.set_budget("alice", "1e6", per="month", name="default")
        fill(str(path), options.rows, 10)
        show("nothing reads", waits(path, options.seconds))
        for name in _READ:
            if importlib.util.find_spec(name) is None:
                print(f"  {name:<24} not installed")
                continue
            with reading(name, path):
                show(f"{name} reads", waits(path, options.seconds))


if __name__ == "__main__":
    main()
