"""`budgetledger export`: all columns, all rows; and the recipes of the room's page."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from importlib.util import find_spec

import pages
import pytest
from click.testing import CliRunner

from budgetledger import Ledger, Usage
from budgetledger.cli import main
from budgetledger.render.documents import as_json, entry_json
from budgetledger.render.exports import COLUMNS

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")
PAGE = pages.texts()["budgetledger/reports/README.md"]
RECIPES = {
    re.search("^import (pandas|polars)$", text, re.MULTILINE)[1]: text
    for kind, text, _ in pages.blocks(PAGE)
    if kind == "py"
}


@pytest.fixture
def path(tmp_path, monkeypatch):
    file = tmp_path / "spend.db"
    with Ledger(file) as ledger:
        ledger.set_budget("alice", 10, per="month")
        entry = ledger.charge("alice", cost="0.123456789012", model="gpt-4o",
                              tags={"feature": "search"}, key="=1+1")  # fmt: skip
        ledger.adjust(entry, "-0.1", reason="-credit\n=and more")
        ledger.charge("@bob", usage=Usage(10, 1), model="nobody-prices-this")
        with ledger.hold("alice", "0.5") as hold:
            hold.settle("0.25")
    monkeypatch.setenv("BUDGETLEDGER_DB", str(file))
    return file


def run(*words):
    done = CliRunner().invoke(main, ["export", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_json_is_every_entry_on_a_line(path):
    with Ledger(path) as ledger:
        expected = [
            json.loads(json.dumps(entry_json(e), default=as_json)) for e in ledger.entries()
        ]
    for words in (("--format", "json"), ("--json",)):
        assert [json.loads(line) for line in run(*words).splitlines()] == expected
    assert [*expected[0]] == COLUMNS
    assert len(run("alice", "--format", "json").splitlines()) == len(expected) - 1


def test_csv_has_the_same_and_no_formulas(path):
    rows = list(csv.DictReader(io.StringIO(run())))
    assert [*rows[0]] == COLUMNS
    costs = [row["cost"] for row in rows if row["cost"]]
    assert costs == ["0.123456789012", "-0.10", "0.25"]
    assert [row["account"] for row in rows if row["cost_basis"] == "unpriced"] == ["'@bob"]
    assert {"'=1+1"} == {row["idempotency_key"] for row in rows} - {""}
    assert "'-credit\n=and more" in {row["note"] for row in rows}
    assert json.loads(rows[1]["tags"]) == {"feature": "search"}
    assert run("--until", "2000-01-01").splitlines() == [",".join(COLUMNS)]


def test_the_page_describes_the_columns():
    shown = [name.strip("`") for name, _ in pages.tables(PAGE, "column", "meaning")]
    assert shown == COLUMNS


@pytest.mark.parametrize("name", [name for name in RECIPES if find_spec(name)])
def test_recipes_that_can_run_do(path, name):
    """Their packages are in no extra; what is there is tried."""
    (path.parent / "entries.jsonl").write_text(run("--format", "json"))
    (path.parent / "entries.csv").write_text(run())
    done = subprocess.run(
        [sys.executable, "-c", RECIPES[name]],
        cwd=path.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0.273456789012" in done.stdout
    assert "gpt-4o" in done.stdout


def test_there_is_a_recipe_for_each():
    assert {*RECIPES} == {"pandas", "polars"}
