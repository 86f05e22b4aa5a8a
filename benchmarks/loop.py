"""A thousand tasks of one event loop charging one ledger: their rate, and how late the loop is.

The rate is against one thread that charges by itself. Lag is by how much a coroutine that
sleeps a millisecond at a time oversleeps.

Usage: python benchmarks/loop.py [--tasks N] [--seconds S] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from common import describe
from threads import alone, at_least

from budgetledger import AsyncLedger, Ledger
from budgetledger.entries import Entry

_TICK_SECONDS = 0.001


async def together(
    charge: Callable[[], Awaitable[object]], tasks: int, seconds: float
) -> tuple[float, list[float]]:
    """Charges a second by *tasks*, and the loop's lags in seconds, meanwhile."""
    start = time.perf_counter()
    end, count, lags = start + seconds, 0, []

    async def work() -> None:
        nonlocal count
        while time.perf_counter() < end:
            await charge()
            count += 1

    async def tick() -> None:
        now = time.perf_counter()
        while now < end:
            await asyncio.sleep(_TICK_SECONDS)
            before, now = now, time.perf_counter()
            lags.append(now - before - _TICK_SECONDS)

    await asyncio.gather(tick(), *(work() for _ in range(tasks)))
    return count / (time.perf_counter() - start), lags


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    describe(f"{options.tasks} tasks charging one ledger, FULL")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ledger = Ledger(Path(folder, "ledger.db"))
        ledger.set_budget("alice", "1000000", per="month")

        def one_thread(calls: int) -> None:
            for _ in range(calls):
                ledger.charge("alice", cost="0.01", model="gpt-4o")

        shared = AsyncLedger(ledger)

        async def charge() -> Entry:
            return await shared.charge("alice", cost="0.01", model="gpt-4o")

        ones, alls, ratios, lags, longest = [], [], [], [], []
        for turn in range(options.rounds + 1):
            one = alone(one_thread, options.seconds / 3)
            rate, late = asyncio.run(together(charge, options.tasks, options.seconds))
            if turn:  # the first warms up
                ones.append(one)
                alls.append(rate)
                ratios.append(rate / one)
                lags.append(sorted(late)[len(late) * 99 // 100])
                longest.append(max(late))
        ledger.close()
    detail = f"{statistics.median(alls):,.0f} against {statistics.median(ones):,.0f} a second"
    at_least("charges, against one thread", statistics.median(ratios), 1.4, detail)
    print(
        f"  lag of the loop, p99: {statistics.median(lags) * 1e3:.1f} ms (at most 10 ms); "
        f"worst round {max(lags) * 1e3:.1f} ms, longest {max(longest) * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    main()
