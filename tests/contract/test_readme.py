"""Every block of every README runs, twice in its folder, and prints what its page says."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path

import alone
import pages
import pytest

from budgetledger import Ledger

ROOT = Path(__file__).parents[2]
PAGES = pages.texts()
ADDRESS = "127.0.0.1:8787"
POSTGRES = "postgresql+psycopg://user:password@host/database"
PINS = "tests/pins.txt"
TIMES = 2
KINDS = {"python", "sh", "sql", "console", "yaml", "py"}


BLOCKS = {name: pages.blocks(page) for name, page in PAGES.items()}
DEMO_LINE, TEST_LINE, *_ = (text.strip() for kind, text, _ in BLOCKS["README.md"] if kind == "sh")
WITH_BLOCKS = [name for name in BLOCKS if BLOCKS[name]]


@pytest.fixture
def folder(tmp_path, request):
    """Where a reader tries a page: the command is in bin, and files that pages name are there."""
    command = tmp_path / "bin" / "budgetledger"
    command.parent.mkdir()
    extras = ("run",) if "budgetledger/wallet/README.md" in request.node.name else ()
    command.write_text(f'#!/bin/sh\nexec {shlex.join(alone.command(*extras))} "$@"\n')
    command.chmod(0o755)
    (tmp_path / "user_cost.json").write_text(
        json.dumps({"old": {"total_budget": 5, "current_cost": 0.5, "model_cost": {"gpt-4": 0.5}}})
    )
    (tmp_path / "model_prices.json").write_text(
        json.dumps({"azure/gpt-4o": {"input_cost_per_token": 2.5e-06}})
    )
    return tmp_path


@contextlib.contextmanager
def serving(page, folder):
    """The server that a page starts, if it does: the address to use in place of the page's."""
    consoles = [text for kind, text, _ in BLOCKS[page] if kind == "console"]
    commands = [text for text in consoles if text.startswith("budgetledger serve ")]
    if not commands:
        yield ADDRESS
        return
    [command] = commands
    _, *arguments = command.replace("8787", "0").split()
    with subprocess.Popen(
        [*alone.command("server", "run"), *arguments], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield re.search("127.0.0.1:[0-9]+", process.stderr.readline())[0]
        finally:
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
    """The Python of *program*: with the extra that its page names alone."""
    extras = {
        "fastapi": "test",
        "litellm|max_budget": "litellm",
        "openai": "openai",
        "hosted": "hosted",
        "postgresql": "postgres",
    }
    return alone.python(
        *[extra for words, extra in extras.items() if re.search(words, program)][:1]
    )


def check(block, folder, address, variables):
    """Run a program or a command."""
    text = block.text.replace(ADDRESS, address)
    if block.kind == "python":
        printed = run([*python_for(text), text], folder, **variables)
        assert printed == (block.output or "")
    elif "curl" not in text:
        wanted = variables if "budgetledger run" in text else {}
        printed = run(["bash", "-ec", text], folder, **wanted)
        assert block.output in (None, printed)
    elif shutil.which("curl"):  # as for the sqlite3 program below, it is not asked for
        printed = run(["bash", "-ec", text], folder)
        assert '"error"' not in printed
        assert re.search('"(held|posted|cost)":"0.0[0-9]*[1-9]', printed)


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_programs_and_commands_run_twice(page, folder, provider):
    client = {"OPENAI_BASE_URL": provider.openai_url, "OPENAI_API_KEY": "none"}
    with serving(page, folder) as address:
        for block in BLOCKS[page]:
            is_run = block.kind in ("python", "sh") and POSTGRES not in block.text
            if is_run and block.text.strip() not in (DEMO_LINE, TEST_LINE):
                for _ in range(TIMES):
                    check(block, folder, address, client)
    for kind, query, _ in BLOCKS[page]:
        if kind == "sql":
            ask(query, folder)


def ask(query, folder):
    """Run a query over what the page's programs have left, and a correction."""
    path = folder / "spend.db"
    with Ledger(path) as ledger, warnings.catch_warnings(action="ignore"):
        entry = ledger.charge("alice", cost="0.01", model="gpt-4o", tags={"feature": "search"})
        ledger.adjust(entry, "-0.005", reason="provider credit")
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(query).fetchall()
    assert rows
    program = shutil.which("sqlite3")
    if program:
        printed = run([program, "-readonly", str(path)], folder, query)
        assert len(printed.splitlines()) == len(rows)


@pytest.mark.postgres
def test_programs_on_postgresql_run_twice(folder, new_schema):
    [block] = [block for page in WITH_BLOCKS for block in BLOCKS[page] if is_on_postgres(block)]
    program = block.text.replace(POSTGRES, new_schema().target)
    for _ in range(TIMES):
        assert run([*python_for(program), program], folder) == (block.output or "")


def is_on_postgres(block):
    return block.kind == "python" and POSTGRES in block.text


def test_every_block_is_run_by_a_test():
    """A text is another block's output; test_pages.py has help, test_proxy.py the Proxy's two,
    test_export.py those of kind py, which need pandas and polars."""
    for page in WITH_BLOCKS:
        consoles = [text for kind, text, _ in BLOCKS[page] if kind == "console"]
        assert all(re.match(r"(\$ )?budgetledger|litellm ", text) for text in consoles), page
        assert {kind for kind, *_ in BLOCKS[page]} <= KINDS
        assert PAGES[page].count("```yaml") == (page == "README.md")


def test_ci_runs_the_readmes_test_line():
    assert TEST_LINE in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_demo_line_works_twice_in_a_clean_copy(tmp_path):
    checkout = tmp_path / "checkout"
    aside = shutil.ignore_patterns(".*", "__pycache__", "*.db*", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, checkout, ignore=aside)
    pins = {"PIP_CONSTRAINT": PINS, "PIP_BUILD_CONSTRAINT": PINS}  # on any day the same
    for _ in range(TIMES):
        assert "refused" in run(["bash", "-ec", DEMO_LINE], checkout, **pins)
    assert (checkout / "budgetledger-demo.db").exists()
    assert not (checkout / "default.db").exists()
    installed = next((checkout / ".venv").glob("lib/python*/site-packages/budgetledger"))
    for name in PAGES:  # the wheel has the pages of the rooms
        page = name.replace("migrations/", "budgetledger/_migrations/")
        if page.startswith("budgetledger/"):
            assert (installed.parent / page).read_text("utf-8") == PAGES[name]
