"""The benchmarks run, at sizes that say nothing about speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = {
    "charge.py": ["--calls", "20", "--rounds", "2"],
    "reads.py": ["--rows", "2000", "--models", "3"],
    "cold.py": ["--rounds", "1"],
}


def test_every_benchmark_is_run_here():
    scripts = {path.name for path in BENCHMARKS.glob("*.py")} - {"common.py"}
    assert scripts == set(SMALL)


@pytest.mark.parametrize("script", SMALL)
def test_it_reports_ratios(script, tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *SMALL[script]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(at most ") == {"charge.py": 2, "reads.py": 2, "cold.py": 3}[script]
    assert list(tmp_path.iterdir()) == []
