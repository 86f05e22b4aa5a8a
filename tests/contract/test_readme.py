"""Every block of the README is run, and prints what the README says it prints."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import alone
import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "README.md").read_text())
SHELL = [text.strip() for kind, text in BLOCKS if kind == "sh"]
DEMO_LINE, TEST_LINE, *COMMANDS = SHELL
ADDRESS = "127.0.0.1:8787"
PINS = "tests/pins.txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the README's programs have been run, in order; its command is in bin."""
    folder = tmp_path_factory.mktemp("readme")
    command = folder / "bin" / "budgetledger"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.join(alone.command())} "$@"\n')
    command.chmod(0o755)
    (folder / "user_cost.json").write_text(
        json.dumps({"old": {"total_budget": 5, "current_cost": 0.5, "model_cost": {"gpt-4": 0.5}}})
    )
    (folder / "model_prices.json").write_text(
        json.dumps({"azure/gpt-4o": {"input_cost_per_token": 2.5e-06}})
    )
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """The README's server: what its programs are to say in place of its address."""
    [command] = [text for kind, text in BLOCKS if kind == "console" and "serve" in text]
    _, *arguments = command.replace("8787", "0").split()
    with subprocess.Popen(
        [*alone.command("server"), *arguments], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        yield re.search("127.0.0.1:[0-9]+", process.stderr.readline())[0]
        process.terminate()


def run(command, folder, typed=None, **variables):
    here = Path(sys.executable).parent
    environment = {
        **os.environ,
        **variables,
        "BUDGETLEDGER_DB": str(folder / "default.db"),
        "PATH": os.pathsep.join([str(folder / "bin"), str(here), os.environ["PATH"]]),
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


def python_for(program):
    """The Python of *program*: with the extra it needs alone, or else all of the test extra."""
    if re.search("import (openai|litellm)|budgetledger.max_budget", program):
        return alone.python("test")
    return alone.python("hosted") if "hosted" in program else alone.python()


def test_there_are_blocks_of_every_kind():
    # yaml, and the console that names it: the Proxy's, run in test_proxy.py
    assert {kind for kind, _ in BLOCKS} == {"python", "text", "sh", "sql", "yaml", "console"}
    assert sum(kind == "sql" for kind, _ in BLOCKS) == 5


def test_programs_print_what_they_are_said_to(folder, provider, server):
    client = {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
    for (kind, text), (next_kind, output) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
        if kind == "python":
            program = text.replace(ADDRESS, server)
            printed = run([*python_for(program), program], folder, **client)
            assert printed == (output if next_kind == "text" else "")


def test_commands_run(folder, server):
    for command in COMMANDS:
        if "curl" not in command:
            run(["bash", "-ec", command], folder)
        elif shutil.which("curl"):  # as for the sqlite3 program below, it is not asked for
            said = run(["bash", "-ec", command.replace(ADDRESS, server)], folder)
            assert '"error"' not in said
            assert '"held":"0.0010' in said


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
    pins = {"PIP_CONSTRAINT": PINS, "PIP_BUILD_CONSTRAINT": PINS}  # on any day the same
    printed = run(["bash", "-ec", DEMO_LINE], checkout, **pins)
    assert "refused" in printed
    assert (checkout / "budgetledger-demo.db").exists()
    assert not (checkout / "default.db").exists()
