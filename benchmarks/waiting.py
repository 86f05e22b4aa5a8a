"""Holds that wait for room: fairness, idle cost, and how soon a closed hold is noticed.

Usage: python benchmarks/waiting.py [--waiters N] [--seconds S]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from common import describe, report

from budgetledger import AsyncLedger, Ledger

HOLD = "0.10"


def jain(shares: list[int]) -> float:
    """Jain's index of fairness: 1 if all shares are equal, 1/n if one has all."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


async def waiters(path: Path, many: int, seconds: float) -> None:
    """Tasks that wait and do nothing; then all of them are served."""
    async with AsyncLedger(path, synchronous="NORMAL") as ledger:
        await ledger.set_budget("alice", "0.10")
        first = await ledger.hold("alice", HOLD)
        tasks = [asyncio.create_task(ledger.hold("alice", HOLD, wait=600)) for _ in range(many)]
        await asyncio.sleep(1 + many / 500)
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        idle = (time.process_time() - cpu) / (time.perf_counter() - wall)
        report(f"{many} waiting tasks, idle: part of a core", idle, 0.02, f"{idle:.2%}")
        start = time.perf_counter()
        await first.release()
        ids = []
        for task in tasks:
            hold = await task
            ids.append(hold.id)
            await hold.release()
        took = time.perf_counter() - start
        lost = many - len(set(ids))
        order = "in order" if ids == sorted(ids) else "not in order"
        print(f"  all served in turn: {lost} lost, {order}, {took / many * 1e3:.1f} ms each")


def fairness(path: Path, many: int, seconds: float) -> None:
    """Threads that hold, settle and hold again, with room for a tenth of them."""
    served = [0] * many
    with Ledger(path, synchronous="NORMAL") as ledger:
        ledger.set_budget("bob", f"{many * 0.01:.2f}")
        ends = time.monotonic() + seconds

        def work(number: int) -> None:
            while time.monotonic() < ends:
                with ledger.hold("bob", HOLD, wait=600):
                    time.sleep(0.005)
                served[number] += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(many)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    index = jain(served)
    print(f"  {many} threads, {sum(served)} equal holds: Jain's index {index:.3f} (at least 0.9)")


def elsewhere(path: Path, orders: Connection) -> None:
    """Another process: holds when told to, and says when it has let go."""
    with Ledger(path, synchronous="NORMAL") as ledger:
        while orders.recv():
            hold = ledger.hold("carol", HOLD)
            orders.send(True)
            orders.recv()
            hold.release()
            orders.send(time.time())


def noticed(path: Path, rounds: int) -> None:
    """How long after another process closed its hold this one has room."""
    with Ledger(path, synchronous="NORMAL") as ledger:
        ledger.set_budget("carol", HOLD)
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=elsewhere, args=(path, theirs))
        process.start()
        took = []
        for _ in range(rounds):
            ours.send(True)
            ours.recv()
            granted: list[float] = []

            def wait(granted: list[float] = granted) -> None:
                hold = ledger.hold("carol", HOLD, wait=60)
                granted.append(time.time())
                hold.release()

            thread = threading.Thread(target=wait)
            thread.start()
            time.sleep(0.1)
            ours.send(True)
            closed = ours.recv()
            thread.join()
            took.append(granted[0] - closed)
        ours.send(False)
        process.join()
    median, most = statistics.median(took) * 1e3, max(took) * 1e3
    print(
        f"  closed by another process: noticed after {median:.0f} ms, at most {most:.0f} ms of 50"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--waiters", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    describe("holds that wait for room")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "waiting.db"
        asyncio.run(waiters(path, options.waiters, options.seconds))
        fairness(path, min(100, options.waiters), options.seconds)
        noticed(path, max(1, min(20, int(options.seconds * 4))))


if __name__ == "__main__":
    main()
