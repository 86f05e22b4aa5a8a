"""Every block of the README is run, and prints what the README says it prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "README.md").read_text())
SHELL = [text.strip() for kind, text in BLOCKS if kind == "sh"]
DEMO_LINE, TEST_LINE, *COMMANDS = SHELL


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder in which the README's programs have been run, in order."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "user_cost.json").write_text(
        json.dumps({"old": {"total_budget": 5, "current_cost": 0.5, "model_cost": {"gpt-4": 0.5}}})
    )
    (folder / "model_prices.json").write_text(
        json.dumps({"azure/gpt-4o": {"input_cost_per_token": 2.5e-06}})
    )
    return folder


def run(command, folder, typed=None, **variables):
    environment = {
        **os.environ,
        **variables,
        "BUDGETLEDGER_DB": str(folder / "default.db"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_blocks_of_every_kind():
    # yaml and console: the Proxy's, run in test_proxy.py
    assert {kind for kind, _ in BLOCKS} == {"python", "text", "sh", "sql", "yaml", "console"}
    assert sum(kind == "sql" for kind, _ in BLOCKS) == 5


def test_programs_print_what_they_are_said_to(folder, provider):
    client = {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
    for (kind, text), (next_kind, output) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if kind == "python":
            printed = run([sys.executable, "-W", "error", "-c", text], folder, **client)
            assert printed == (output if next_kind == "text" else "")


def test_commands_run(folder):
    for command in COMMANDS:
        run(["bash", "-ec", command], folder)


@pytest.mark.parametrize("number", range(5))
def test_queries_run_in_python_and_in_the_sqlite3_program(folder, number):
    query = [text for kind, text in BLOCKS if kind == "sql"][number]
    adjustments = number == 3
    path = folder / ("windows.db" if adjustments else "spend.db")
    with sqlite3.connect(path) as connection:
        rows = connection.execute(query).fetchall()
    connection.close()
    assert rows
    program = shutil.which("sqlite3")
    if program:
        printed = run([program, "-readonly", str(path)], folder, query)
        assert len(printed.splitlines()) == len(rows)


def test_ci_runs_the_readmes_test_line():
    assert TEST_LINE in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_demo_line_works_in_a_clean_copy(tmp_path):
    checkout = tmp_path / "checkout"
    aside = shutil.ignore_patterns(".*", "__pycache__", "*.db*", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, checkout, ignore=aside)
    printed = run(["bash", "-ec", DEMO_LINE], checkout)
    assert "refused" in printed
    assert (checkout / "budgetledger-demo.db").exists()
    assert not (checkout / "default.db").exists()
