"""The benchmarks run, at sizes that say nothing about speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = {
    "bounds.py": ["--no-library"],
    "charge.py": ["--calls", "20", "--rounds", "2"],
    "charge_many.py": ["--rows", "2000", "--single", "20", "--rounds", "1"],
    "reads.py": ["--rows", "2000", "--models", "3"],
    "cold.py": ["--rounds", "1"],
    "late_rows.py": ["--rows", "30", "60", "--late", "9", "--calls", "3", "--rounds", "1"],
    "hold.py": ["--calls", "10", "--rounds", "1", "--many", "1000"],
    "threads.py": ["--threads", "5", "--seconds", "0.1", "--rounds", "1"],
    "processes.py": ["--processes", "2", "--seconds", "0.1", "--rounds", "1"],
    "prices.py": ["--calls", "5", "--rounds", "1"],
    "loop.py": ["--tasks", "20", "--seconds", "0.1", "--rounds", "1"],
    "postgres.py": ["--calls", "32", "--rounds", "1"],
    "readers.py": ["--rows", "500", "--seconds", "0.2"],
    "report.py": ["--rows", "2000", "--models", "3", "--rounds", "1"],
    "server.py": ["--clients", "2", "--seconds", "0.2", "--rounds", "1"],
    "tokens.py": ["--scale", "500", "--rounds", "1"],
    "wallet.py": ["--calls", "16", "--rounds", "1", "--clients", "2"],
    "wrap.py": ["--calls", "5", "--rounds", "1"],
    "waiting.py": ["--waiters", "20", "--seconds", "0.2"],
}
LIMITS = {
    "bounds.py": 0,
    "charge.py": 2,
    "charge_many.py": 2,
    "reads.py": 2,
    "cold.py": 3,
    "hold.py": 7,
    "late_rows.py": 8,
    "threads.py": 4,
    "processes.py": 2,
    "loop.py": 2,
    "postgres.py": 4,
    "readers.py": 0,
    "report.py": 5,
    "server.py": 4,
    "tokens.py": 12,
    "prices.py": 6,
    "wallet.py": 8,
    "wrap.py": 2,
    "waiting.py": 2,
}


def test_every_benchmark_is_run_here():
    scripts = {path.name for path in BENCHMARKS.glob("*.py")} - {"common.py"}
    assert scripts == set(SMALL)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(script, marks=[pytest.mark.postgres] if script == "postgres.py" else [])
        for script in SMALL
    ],
)
def test_it_reports_ratios(script, tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *SMALL[script]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    limits = done.stdout.count("(at most ") + done.stdout.count("(at least ")
    assert limits == LIMITS[script]
    assert list(tmp_path.iterdir()) == []
