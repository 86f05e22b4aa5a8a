"""What the benchmarks share: interleaved timing, and lines that say what was measured where."""

from __future__ import annotations

import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable


def describe(title: str) -> None:
    """Print what runs where, and the command that repeats it."""
    print(f"{title}")
    print(
        f"  Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.system()} {platform.machine()}; command: python {' '.join(sys.argv)}"
    )


def paired(
    one: Callable[[int], None],
    floor: Callable[[int], None],
    calls: int,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float, float]:
    """Median seconds a call of *one* and of *floor*, by *clock*, and the median of their ratios.

    The two take turns, so that a machine that speeds up or slows down does so for both; the
    ratio is taken turn by turn.
    """
    ones, floors = [], []
    for turn in range(rounds + 1):
        floor_time, one_time = _timed(floor, calls, clock), _timed(one, calls, clock)
        if turn:  # the first warms up
            ones.append(one_time)
            floors.append(floor_time)
    ratios = [a / b for a, b in zip(ones, floors, strict=True)]
    return statistics.median(ones), statistics.median(floors), statistics.median(ratios)


def report(name: str, ratio: float, limit: float, detail: str) -> None:
    """Print one result as a ratio, against the most it may be."""
    print(f"  {name:<44} {ratio:6.2f}x  (at most {limit:g}x)  {detail}")


def us(seconds: float) -> str:
    """Seconds as microseconds."""
    return f"{seconds * 1e6:.1f} µs"


def _timed(function: Callable[[int], None], calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    function(calls)
    return (clock() - start) / calls
