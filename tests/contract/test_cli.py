"""The command line, as people and programs use it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from budgetledger import __version__
from budgetledger.cli import main
from budgetledger.ledger import Ledger
from budgetledger.testing import FakeClock

COMMANDS = [
    "accounts",
    "balance",
    "demo",
    "entries",
    "import",
    "model-costs",
    "set-budget",
    "verify",
]
READING = [
    ["accounts"],
    ["balance", "alice"],
    ["entries"],
    ["model-costs", "alice"],
    ["verify"],
]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _inside_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUDGETLEDGER_DB", str(tmp_path / "spend.db"))
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spend(tmp_path):
    """A ledger with two accounts; alice has used $0.60 of $1.00 on 2 March."""
    path = tmp_path / "spend.db"
    with Ledger(path, clock=FakeClock(NOON)) as ledger:
        ledger.set_budget("alice", "1.00", per="day", timezone="Europe/Berlin")
        ledger.set_budget("alice", tokens=1000, per="month")
        first = ledger.charge("alice", cost="0.5", model="gpt-4o")
        ledger.charge("alice", cost="0.2", model="claude", key="k-1", tags={"feature": "x"})
        ledger.adjust(first, "-0.1", reason="credit")
        ledger.set_budget("bob", 2)
    return path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, (result.exit_code, result.output)
    return result


def documents(*arguments: str) -> object:
    return json.loads(run(*arguments, "--json").stdout)


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "budgetledger.cli", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8", **environment},
        timeout=60,
        check=False,
    )


# -- help and misuse --------------------------------------------------------------------------


def test_help_lists_every_command_in_whole_sentences():
    shown = run("--help").stdout
    listed = shown.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == COMMANDS
    assert run("--version").stdout.strip() == f"budgetledger, version {__version__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command):
    shown = run(command, "--help").stdout
    assert f"  budgetledger {command}" in shown
    for option in ("--db PATH", "--json"):
        assert option in shown
    if command != "demo":
        assert "BUDGETLEDGER_DB" in shown
        assert "--project" in shown


def test_help_loads_neither_the_ledger_nor_rich():
    code = (
        "import sys\nfrom budgetledger.cli import main\n"
        "try: main(['balance', '--help'])\nexcept SystemExit: pass\n"
        "print([n for n in ('rich', 'sqlalchemy', 'sqlite3') if n in sys.modules])"
    )
    root = str(Path(__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", READING)
def test_reading_a_missing_file_says_so_and_makes_none(arguments, tmp_path):
    result = run(*arguments, code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: there is no ledger at ")
    assert str(tmp_path / "spend.db") in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["alice"], "pass one of LIMIT"),
        (["alice", "1", "--tokens", "5"], "pass one of LIMIT"),
        (["alice", "ten"], "limit must be an amount"),
        (["alice", "nan"], "limit must be finite"),
        (["alice", "--tokens", "-1"], "tokens must be a whole number"),
        (["alice", "1", "--timezone", "Mars/Base"], "no such time zone"),
        (["alice", "1", "--per", "day", "--timezone", "x", "--anchor", "2026-01-01"], "time zone"),
        (["alice", "1", "--per", "fortnight"], "fortnight"),
        (["alice", "1", "--rolling", "soon"], "is not a span such as 24h"),
        (["alice", "1", "--rolling", "0d"], "rolling span"),
        (["alice", "1", "--rolling", "1d", "--per", "day"], "--rolling stands alone"),
        (["alice", "1", "--per", "day", "--anchor", "then"], "is not a date"),
        (["alice", "1", "--week-start", "someday"], "first day of the week"),
        (["", "1"], "account must not be empty"),
    ],
)
def test_misuse_exits_with_2_and_makes_no_file(arguments, says, tmp_path):
    result = run("set-budget", *arguments, code=2)
    assert says in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_errors_are_one_line_without_a_traceback(spend, tmp_path):
    result = run("balance", "nobody", code=1)
    assert result.stderr.startswith("Error: there is no account 'nobody'")
    assert result.stderr.count("\n") == 1
    other = tmp_path / "notes.txt"
    other.write_text("not a database, but long enough to be looked at" * 50)
    before = other.read_bytes()
    result = run("accounts", "--db", str(other), code=1)
    assert result.stderr.startswith(f"Error: {other} is not an SQLite file")
    assert other.read_bytes() == before
    run("balance", "alice", "--db", "postgresql://x/y", code=2)
    run("balance", "alice", "--project", " ", code=2)
    run("balance", "alice", "--at", "yesterday", code=2)


# -- the commands -----------------------------------------------------------------------------


def test_set_budget_makes_the_file_and_revises(tmp_path):
    result = run("set-budget", "alice", "10", "--per", "month", "--timezone", "Asia/Shanghai")
    assert result.stdout == "budget usd/month of alice: $10.00 a month\n"
    assert result.stderr == f"created {tmp_path / 'spend.db'}\n"
    budget = documents("set-budget", "alice", "12.5", "--per", "month")
    assert (budget["name"], budget["limit"], budget["timezone"]) == ("usd/month", "12.50", "UTC")
    run("set-budget", "alice", "--tokens", "500", "--rolling", "24h", "--model", "gpt-4o")
    run("set-budget", "alice", "--requests", "9", "--name", "calls")
    with Ledger(tmp_path / "spend.db") as ledger:
        found = {budget.name: budget for budget in ledger.budgets("alice")}
    assert found.keys() == {"usd/month", "tokens/86400s/gpt-4o", "calls"}
    assert found["tokens/86400s/gpt-4o"].period.span_us == 86_400_000_000


def test_an_anchor_without_offset_is_by_the_clock_of_the_zone():
    where = ("--per", "month", "--timezone", "Asia/Shanghai")
    local = documents("set-budget", "a", "1", "--anchor", "2026-01-15T08:00", *where)
    assert local["anchor"] == "2026-01-15T00:00:00.000000Z"
    exact = documents("set-budget", "a", "1", "--anchor", "2026-01-15T08:00+00:00", *where)
    assert exact["anchor"] == "2026-01-15T08:00:00.000000Z"
    created = documents("set-budget", "b", "1", "--anchor", "creation", *where)
    assert created["anchor"] == created["created_at"]


def test_balance(spend):
    shown = run("balance", "alice", "--at", "2026-03-02T12:00").stdout
    assert "60 % of $1.00 a day" in shown
    assert "posted $0.60   limit $1.00   available $0.40" in shown
    assert "2026-03-02 00:00 to 2026-03-03 00:00 (Europe/Berlin), turns in 11 h" in shown
    assert "0 % of 1,000 tokens a month" in shown
    found = documents("balance", "alice", "--at", "2026-03-02T13:00+01:00")
    assert (found["limit"], found["posted"], found["available"]) == ("1.00", "0.60", "0.40")
    assert found["window"] == {
        "start": "2026-03-01T23:00:00.000000Z",
        "end": "2026-03-02T23:00:00.000000Z",
        "timezone": "Europe/Berlin",
    }
    assert [(one["name"], one["limit"]) for one in found["budgets"]] == [
        ("tokens/month", 1000),
        ("usd/day", "1.00"),
    ]
    assert documents("balance", "alice", "--at", "2026-03-03T12:00")["posted"] == "0.00"
    assert documents("balance", "alice", "--as-of", "2026-03-02T11:00")["posted"] == "0.00"


def test_balance_says_what_it_cannot_price(spend):
    with (
        Ledger(spend, clock=FakeClock(NOON)) as ledger,
        pytest.warns(UserWarning, match="without a price"),
    ):
        ledger.charge("alice", {"model": "nobodys-model", "usage": {"prompt_tokens": 5}})
    assert "1 call is without a price" in run("balance", "alice", "--at", "2026-03-02T12").stdout
    assert documents("balance", "alice", "--at", "2026-03-02T12")["unpriced"] == 1
    assert "unpriced" in run("entries").stdout


def test_accounts(spend):
    found = documents("accounts")
    assert [(one["account"], one["limit"]) for one in found] == [("alice", "1.00"), ("bob", "2.00")]
    assert found[0]["created_at"] == "2026-03-02T12:00:00.000000Z"
    lines = run("accounts").stdout.splitlines()
    assert lines[0].split() == ["account", "used", "posted", "limit", "available", "turns", "in"]
    assert lines[2].split() == ["bob", "0", "%", "$0.00", "$2.00", "$2.00"]
    result = run("accounts", "--project", "typo")
    assert result.stdout == ""
    assert result.stderr == "no accounts in project typo; projects: default\n"
    assert documents("accounts", "--project", "typo") == []


def test_entries(spend):
    lines = run("entries", "alice").stdout.splitlines()
    assert "-$0.10" in lines[-1]
    assert "corrects 3: credit" in lines[-1]
    rows = [json.loads(line) for line in run("entries", "--json").stdout.splitlines()]
    assert [row["kind"] for row in rows] == [
        "budget", "budget", "charge", "charge", "adjustment", "budget",
    ]  # fmt: skip
    charge = rows[3]
    assert charge["cost"] == "0.20"
    assert charge["tags"] == {"feature": "x"}
    assert charge["idempotency_key"] == "k-1"
    assert charge["recorded_at"] == "2026-03-02T12:00:00.000000Z"
    assert len(bytes.fromhex(charge["hash"])) == 32
    last = run("entries", "alice", "--last", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in last] == [4, 5]
    assert run("entries", "--since", "2026-03-03").stdout == ""
    assert run("entries", "--until", "2026-03-02", "--json").stdout == ""
    run("entries", "nobody", code=1)


def test_a_long_journal_is_shown_whole(spend, monkeypatch):
    monkeypatch.setattr("budgetledger.cli._PAGE", 2)
    shown = run("entries").stdout
    assert shown.count("UTC") == 3
    assert [line.split()[0] for line in shown.splitlines() if line.split()[0] != "id"] == list(
        "123456"
    )


def test_model_costs(spend):
    found = documents("model-costs", "alice", "--at", "2026-03-02T12:00")
    assert found["model_costs"] == {"gpt-4o": "0.40", "claude": "0.20"}
    lines = run("model-costs", "alice", "--at", "2026-03-02T12:00").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["model", "share", "USD"],
        ["gpt-4o", "67", "%", "$0.40"],
        ["claude", "33", "%", "$0.20"],
        ["total", "$0.60"],
    ]
    assert documents("model-costs", "alice", "--at", "2026-03-09")["model_costs"] == {}


def test_verify_exits_with_4_when_somebody_changed_a_row(spend):
    assert run("verify").stdout == "ok: 6 entries of 2 accounts recounted, no differences\n"
    assert documents("verify") == {
        "path": str(spend),
        "ok": True,
        "accounts": 2,
        "entries": 6,
        "problems": [],
    }
    with closing(sqlite3.connect(spend)) as connection:
        connection.execute("DROP TRIGGER entries_no_update")
        connection.execute("UPDATE entries SET cost_pico = 1 WHERE id = 3")
        connection.commit()
    assert "alice" in run("verify", code=4).stdout
    found = json.loads(run("verify", "--json", code=4).stdout)
    assert not found["ok"]
    assert {"account": "alice", "entry_id": 3} in [
        {name: problem[name] for name in ("account", "entry_id")} for problem in found["problems"]
    ]


# -- what output looks like -------------------------------------------------------------------


def test_piped_output_is_plain_and_nothing_is_cut_off(spend):
    name = "team:" + "x" * 300
    with Ledger(spend) as ledger:
        ledger.set_budget(name, 5)
        ledger.charge(name, cost="0.01", model="m" * 300)
    for arguments in (["accounts"], ["balance", name], ["entries"], ["model-costs", name]):
        done = process(*arguments, COLUMNS="40")
        assert done.returncode == 0, done.stderr
        assert (name if arguments[0] != "model-costs" else "m" * 300) in done.stdout
        assert "\x1b" not in done.stdout
        assert "━" not in done.stdout
        assert max(map(len, done.stdout.splitlines())) < 1000


def test_bars_and_colour_on_a_terminal(spend):
    shown = process("balance", "alice", "--at", "2026-03-02T12:00", FORCE_COLOR="1", TERM="xterm")
    assert "━" in shown.stdout
    assert "\x1b[" in shown.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_cannot_write_on_the_terminal(spend, encoding):
    name = "[red]eve[/red] \x1b[2J\n\u202eé:smile:"
    with Ledger(spend) as ledger:
        ledger.set_budget(name, 1, name="b\n")
        ledger.charge(name, cost="0.01", model="\x1b[31mm")
    for arguments in (["accounts"], ["balance", name], ["entries"], ["model-costs", name]):
        shown = process(*arguments, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert shown.returncode == 0, shown.stderr
        assert "\x1b" not in shown.stdout
        assert "\u202e" not in shown.stdout
        if arguments[0] != "model-costs":
            assert r"[red]eve[/red] \x1b[2J\n\u202e" in shown.stdout
        json_lines = process(*arguments, "--json", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert json_lines.returncode == 0
        assert json_lines.stdout.isascii()
    failed = process("balance", "no\nsuch\x1b[2J")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "\x1b" not in failed.stderr


def test_the_option_goes_before_the_environment(spend, tmp_path):
    other = tmp_path / "other.db"
    run("set-budget", "carol", "3", "--db", str(other))
    assert [one["account"] for one in documents("accounts", "--db", str(other))] == ["carol"]
    assert [one["account"] for one in documents("accounts", "--db", f"sqlite:///{other}")] == [
        "carol"
    ]
    assert len(documents("accounts")) == 2


# -- the demo ---------------------------------------------------------------------------------


def test_the_demo_stays_in_the_current_directory(tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    production = tmp_path / "production.db"
    environment = {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "BUDGETLEDGER_DB": str(production),
    }
    first = process("demo", **environment)
    assert first.returncode == 0, first.stderr
    second = process("demo", **environment)
    assert second.returncode == 0, second.stderr
    for shown, project in ((first.stdout, "demo"), (second.stdout, "demo-2")):
        assert len(shown.splitlines()) <= 60
        assert "refused" in shown
        assert "no differences" in shown
        assert f"project = '{project}'" in shown
        assert "\x1b" not in shown
    names = {path.name for path in here.iterdir()}
    assert names == {"budgetledger-demo.db", "budgetledger-demo.db.lock"}
    assert list(home.iterdir()) == []
    assert not production.exists()
    _check_the_printed_query(first.stdout)
    _check_the_printed_query(second.stdout)


def _check_the_printed_query(shown: str) -> None:
    lines = shown.splitlines()
    start = lines.index("What each user spent") + 2
    table = [line.split() for line in lines[start : start + 3]]
    printed = {row[0]: Decimal(row[-1].lstrip("$")) for row in table}
    assert len(printed) == 3
    program, _, path, query = shlex.split(lines[-1])
    assert path == lines[-2]
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(query).fetchall()
    assert {account: Decimal(repr(cost)) for account, _, cost in found} == printed
    assert [account for account, _, _ in found] == list(printed)
    if shutil.which(program):
        done = subprocess.run(lines[-1], shell=True, capture_output=True, text=True, check=True)
        for account, cost in printed.items():
            assert f"{float(cost)}" in next(
                line for line in done.stdout.splitlines() if account in line
            )


def test_the_demo_tells_the_same_story_as_json(tmp_path):
    found = documents("demo", "--db", str(tmp_path / "demo folder.db"))
    assert found["project"] == "demo"
    assert found["refused"] == [{"account": "alice", "at": "2026-03-02T16:38:00.000000Z"}]
    assert found["verify"]["ok"]
    costs = [Decimal(entry["cost"]) for entry in found["entries"]]
    assert len(costs) == 9
    assert sum(costs) == sum(map(Decimal, found["spent_by_account"].values()))
    assert sum(costs) == sum(map(Decimal, found["spent_by_model"].values()))
    balances = {one["account"]: one for one in found["balances"]}
    # Two calls had overspent alice's day; the third came when the next one had begun.
    assert Decimal(balances["alice"]["available"]) > 0
    alice = [Decimal(one["cost"]) for one in found["entries"] if one["account"] == "alice"]
    assert sum(alice[:2]) > Decimal("0.05")
    assert Decimal(balances["alice"]["posted"]) == alice[2]
    assert all(entry["price_source"].startswith("genai-prices") for entry in found["entries"][:6])
    if shutil.which("sqlite3"):
        subprocess.run(found["command"], shell=True, capture_output=True, check=True)


def test_the_demo_adds_to_a_ledger_and_leaves_other_files_alone(spend, tmp_path):
    before = run("entries", "--json").stdout
    assert documents("demo", "--db", str(spend))["project"] == "demo"
    assert run("entries", "--json").stdout == before
    other = tmp_path / "notes.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE notes (text)")
    content = other.read_bytes()
    assert "another application" in run("demo", "--db", str(other), code=1).stderr
    assert other.read_bytes() == content
    run("demo", "--db", str(tmp_path / "no" / "folder.db"), code=1)
