"""Eight processes charging one file: the longest wait, fairness, and the rate of them all.

Fairness is the slowest process's number of charges over the fastest's, in the same time.

Usage: python benchmarks/processes.py [--processes N] [--seconds S] [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from common import describe
from threads import at_least

from budgetledger import Ledger


class Run(NamedTuple):
    """What one run of several processes came to."""

    rate: float
    """Charges a second, of all."""
    fairness: float
    longest: float
    """Seconds of the slowest single charge."""


def work(path: str, seconds: float) -> None:
    """What each process does; it says when it is ready, and waits for a line to begin."""
    with Ledger(path) as ledger:
        ledger.charge("alice", cost="0.01", model="gpt-4o")
        print("ready", flush=True)
        sys.stdin.readline()
        count, longest, now = 0, 0.0, time.perf_counter()
        end = now + seconds
        while now < end:
            ledger.charge("alice", cost="0.01", model="gpt-4o")
            before, now = now, time.perf_counter()
            count, longest = count + 1, max(longest, now - before)
        print(count, longest)


def run(path: str, processes: int, seconds: float) -> Run:
    command = [sys.executable, __file__, "--work", path, "--seconds", str(seconds)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outputs = [worker.communicate(timeout=seconds + 60)[0].split() for worker in workers]
    if any(worker.returncode for worker in workers):
        raise SystemExit("a process failed")
    counts = [int(count) for count, _ in outputs]
    longest = max(float(wait) for _, wait in outputs)
    return Run(sum(counts) / seconds, min(counts) / max(counts), longest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", metavar="PATH", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work, options.seconds)
    describe(f"{options.processes} processes charging one file, FULL")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = str(Path(folder, "ledger.db"))
        with Ledger(path) as ledger:
            ledger.set_budget("alice", "1000000", per="month")
        ones, alls = [], []
        for _ in range(options.rounds):
            ones.append(run(path, 1, options.seconds / 3))
            alls.append(run(path, options.processes, options.seconds))
    longest = max(each.longest for each in alls)
    print(f"  longest wait for a charge: {longest * 1e3:.0f} ms (at most 500 ms), of all rounds")
    fairness = [each.fairness for each in alls]
    detail = f"worst round {min(fairness):.2f}x"
    at_least("slowest/fastest process", statistics.median(fairness), 0.6, detail)
    ratio = statistics.median(many.rate / one.rate for many, one in zip(alls, ones, strict=True))
    rates = [statistics.median(each.rate for each in group) for group in (alls, ones)]
    print(
        f"  all, against one process alone: {ratio:.2f}x  "
        f"{rates[0]:,.0f} against {rates[1]:,.0f} a second"
    )


if __name__ == "__main__":
    main()
