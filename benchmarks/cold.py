"""Importing budgetledger, and a first durable charge, from a cold process.

Usage: python benchmarks/cold.py [--rounds N]      (needs the test extra, for litellm)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from common import describe, report

_CHARGE = (
    "from budgetledger import Ledger; Ledger({path!r}).charge('alice', cost='0.01', model='gpt-4o')"
)


def seconds(code: str, rounds: int) -> float:
    """Median wall seconds of a process that runs *code*."""
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONWARNINGS": "ignore"}
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    describe("Cold starts (median wall seconds of a whole process)")
    bare = seconds("pass", rounds)
    package = seconds("import budgetledger", rounds)
    litellm = seconds("import litellm", rounds)
    print(
        f"  import budgetledger: {(package - bare) * 1e3:.1f} ms over bare Python (at most 30 ms)"
    )
    with tempfile.TemporaryDirectory(dir=".") as folder:
        paths = [os.path.join(folder, f"{number}.db") for number in range(rounds)]
        on_new = statistics.median(seconds(_CHARGE.format(path=path), 1) for path in paths)
        path = os.path.join(folder, "kept.db")
        seconds(_CHARGE.format(path=path), 1)
        on_existing = seconds(_CHARGE.format(path=path), rounds)
    for name, time_taken in (("existing", on_existing), ("new", on_new)):
        report(
            f"first charge, {name} file, against import litellm",
            (time_taken - bare) / (litellm - bare),
            0.25,
            f"{time_taken:.2f} s against {litellm:.2f} s",
        )


if __name__ == "__main__":
    main()
