"""`budgetledger report` at 80 and 40 columns, as JSON, CSV and Markdown; paces in the commands."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from budgetledger import Ledger, Usage
from budgetledger.cli import main
from budgetledger.testing import FakeClock

pytestmark = pytest.mark.filterwarnings("ignore::budgetledger.errors.BudgetledgerWarning")
NOW = datetime.now(UTC)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Forty days of two users and a model whose name is a formula, up to now."""
    clock = FakeClock(NOW - timedelta(days=40))
    file = tmp_path / "spend.db"
    with Ledger(file, clock=clock) as ledger:
        ledger.set_budget("alice", 60)
        ledger.set_parent("alice", "team:r")
        for _ in range(40):
            ledger.charge("alice", cost="1.25", model="gpt-4o", tags={"feature": "search"})
            ledger.charge("bob", usage=Usage(1000, 10, 500), model="=cmd|'calc'!A1")
            clock.advance(days=1)
    monkeypatch.setenv("BUDGETLEDGER_DB", str(file))
    return file


def run(*words, width=None, monkeypatch=None, code=0):
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
        monkeypatch.setenv("FORCE_COLOR", "1")
    done = CliRunner().invoke(main, [*words])
    assert done.exit_code == code, done.output
    return re.sub(r"\x1b\[[0-9;]*m", "", done.output)


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize(
    "words",
    [
        ("--last", "14d"),
        ("--by", "account", "--tree"),
        ("--by", "month", "--columns", "model"),
        ("--by", "tag:feature", "--timezone", "Asia/Shanghai"),
    ],
)
def test_tables_fit_the_terminal(path, width, words, monkeypatch):
    printed = run("report", *words, width=width, monkeypatch=monkeypatch)
    table, _, summary = printed.partition("\ntotal $")
    assert max(map(len, table.splitlines()[1:])) <= width
    assert "average $" in summary
    assert "without a price" in summary
    if words[0] == "--last":
        assert "━" in table
        assert "before, " in summary


def test_json_csv_and_markdown_have_the_same_figures(path):
    document = json.loads(run("report", "--by", "model", "--json"))
    assert document["total"]["cost"] == "50.00"
    assert document["total"]["unpriced"] == 40
    rows = list(csv.DictReader(io.StringIO(run("report", "--by", "model", "--csv"))))
    assert [row["cost_usd"] for row in rows] == ["50.00", "0.00"]
    assert rows[1]["model"] == "'=cmd|'calc'!A1"
    assert rows[1]["cached_tokens"] == "20000"
    page = run("report", "--by", "model", "--markdown")
    assert "| gpt-4o | $50.00 | 40 |" in page
    assert r"| =cmd\|'calc'!A1 |" in page
    long = list(
        csv.reader(io.StringIO(run("report", "--by", "account", "--columns", "model", "--csv")))
    )
    assert [row[:2] for row in long[1:]] == [["alice", "gpt-4o"], ["bob", "'=cmd|'calc'!A1"]]


def test_ranges(path):
    hours = json.loads(run("report", "--last", "30h", "--json"))
    assert hours["total"]["requests"] == 2
    days = json.loads(run("report", "--last", "1w", "--json", "--timezone", "Asia/Tokyo"))
    assert len(days["rows"]) == 7
    since = f"{NOW - timedelta(days=5):%Y-%m-%d}"
    local = json.loads(run("report", "--since", since, "--timezone", "Asia/Tokyo", "--json"))
    start = datetime.fromisoformat(local["window"]["start"])
    assert (start.hour, start.minute) == (15, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--by", "colour"), "by must be one of"),
        (("--json", "--csv"), "pass one of --json"),
        (("--last", "3x"), "not a span"),
        (("--timezone", "Mars/Olympus"), "no such time zone"),
    ],
)
def test_misuse(path, words, message):
    assert message in run("report", *words, code=2)


def test_paces(path):
    reached = r"at this rate the limit is reached on 20\d\d-\d\d-\d\d"
    assert re.search(reached, run("balance", "alice"))
    assert re.search(rf"alice, usd: {reached}", run("status", code=6))
    assert re.search(reached, run("report", "--by", "account"))
    [budget] = json.loads(run("balance", "alice", "--json"))["budgets"]
    assert budget["pace"]["weekday"]["reached_at"]
    assert json.loads(run("balance", "alice", "--at", "2020-01-01", "--json"))["budgets"] == [
        {**budget, "pace": None}
    ]
    [status] = json.loads(run("status", "--json", code=6))
    assert status["pace"].keys() == {"linear", "weekday"}


def test_the_page_is_a_file_of_its_owner(path, tmp_path):
    file = tmp_path / "page.html"
    assert run("report", "--html", str(file), "--last", "30d") == f"wrote {file}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Cost by day and model" in file.read_text("utf-8")
    assert "cannot write" in run("report", "--html", str(tmp_path / "no" / "page.html"), code=1)
