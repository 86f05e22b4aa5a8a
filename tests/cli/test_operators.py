"""The verbs of operators: charge, adjust, estimate, shift, status, and many accounts."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import budgetledger.cli
from budgetledger.cli import main
from budgetledger.cli.exit_codes import TEXTS, ExitCode
from budgetledger.errors import UnpricedWarning
from budgetledger.journal.drafts import minimal_request
from budgetledger.ledger import Ledger, requested_hold
from budgetledger.testing import FakeClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    """A ledger: alice has used 90 % of a day's budget, bob all of his, and carol has none."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "spend.db"
    monkeypatch.setenv("BUDGETLEDGER_DB", str(path))
    with Ledger(path, clock=FakeClock(NOON)) as ledger:
        for name, cost in ("alice", "0.9"), ("bob", 1), ("carol", 0):
            ledger.set_budget(name, 1)
            ledger.charge(name, cost=cost, model="gpt-4o")
    return path


def run(*arguments: str, code: int = 0, **more: object) -> Result:
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False, **more)
    assert result.exit_code == code, (result.exit_code, result.output)
    return result


def on_terminal(columns: int, *arguments: str) -> str:
    """What a terminal shows, without its colours."""
    forced = {"COLUMNS": str(columns), "FORCE_COLOR": "1", "TERM": "xterm"}
    shown = CliRunner(env=forced).invoke(main, list(arguments)).stdout
    return re.sub("\x1b\\[[0-9;]*m", "", shown)


def document(*arguments: str, code: int = 0):
    return json.loads(run(*arguments, "--json", code=code).stdout)


def posted(path, account="alice"):
    with Ledger(path) as ledger:
        assert ledger.verify().ok
        return ledger.balance(account).posted


def last_id(path):
    with Ledger(path) as ledger:
        return max(entry.id for entry in ledger.entries())


def test_a_cost_is_charged(path):
    tags = ("--tag", "feature=search", "--tag", "team=a=b")
    first = document("charge", "alice", "0.25", "--model", "m", "--key", "job-1", *tags)
    assert (first["cost"], first["model"]) == ("0.25", "m")
    assert first["tags"] == {"feature": "search", "team": "a=b"}
    repeated = ("charge", "alice", "0.25", "--model", "m", "--key", "job-1", *tags)
    earlier = f"key job-1 recorded $0.25 of alice earlier, as entry {first['id']}"
    assert run(*repeated).stdout == f"{earlier}; nothing is recorded\n"
    assert run(*repeated, "--dry-run").stdout == f"{earlier}; nothing is recorded\n"
    assert document(*repeated)["repeated"] is True
    assert "repeated" not in first
    assert posted(path) == Decimal("1.15")


def test_tokens_are_charged_at_the_price_of_their_model_and_when_they_were_used(path):
    counts = ("--input-tokens", "1000", "--output-tokens", "100", "--cached-tokens", "200")
    when = ("--occurred-at", "2026-02-01T10:00")
    entry = document("charge", "alice", "--model", "gpt-4o", *counts, *when)
    assert entry["cost"] == "0.00325"  # 800 at $2.50, 200 at $1.25, 100 at $10, a million
    assert entry["occurred_at"] == "2026-02-01T10:00:00.000000Z"


def test_what_a_charge_lacks_is_remarked_in_the_words_of_the_command_line(path):
    result = run("charge", "dave", "--model", "no-such-model", "--input-tokens", "5")
    assert result.stdout.startswith("charged an unknown cost of dave: entry ")
    assert "set one with `budgetledger set-budget`" in result.stderr
    assert "until `budgetledger reprice` or `adjust`" in result.stderr
    assert "set_price" not in result.stderr


def test_a_cost_is_corrected(path):
    [entry] = [one for one in document_lines("entries", "alice") if one["kind"] == "charge"]
    done = run("adjust", str(entry["id"]), "-0.4", "--reason", "credit").stdout
    assert done.startswith(
        f"adjusted entry {entry['id']} of alice by -$0.40, $0.90 -> $0.50: entry "
    )
    assert posted(path) == Decimal("0.5")
    keyed = ("adjust", str(entry["id"]), "0.1", "--reason", "credit", "--key", "a1")
    assert ", $0.50 -> $0.60; nothing is recorded" in run(*keyed, "--dry-run").stdout
    assert ", $0.50 -> $0.60: entry " in run(*keyed).stdout
    run("adjust", str(entry["id"]), "0.3", "--reason", "more")
    again = run(*keyed).stdout
    assert again.startswith(f"key a1 adjusted entry {entry['id']} of alice by $0.10 earlier, as ")
    assert run(*keyed, "--dry-run").stdout == again
    assert "no entry with id 99" in run("adjust", "99", "1", "--reason", "x", code=1).stderr
    assert "`budgetledger entries`" in run("adjust", "99", "1", "--reason", "x", code=1).stderr


def document_lines(*arguments: str):
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("charge", "alice", "0.25"), "would charge $0.25 of alice; nothing is recorded"),
        (("charge", "new", "1"), "would charge $1.00 of new; nothing is recorded"),
        (
            ("adjust", "2", "-0.1", "--reason", "x"),
            "would adjust entry 2 of alice by -$0.10, $0.90 -> $0.80; ",
        ),
    ],
)
def test_a_dry_run_records_nothing(path, command, says):
    before = last_id(path)
    assert says in run(*command, "--dry-run").stdout
    assert document(*command, "--dry-run")["dry_run"] is True
    assert (last_id(path), posted(path)) == (before, Decimal("0.9"))
    assert run("charge", "alice", "1").stdout.endswith(f"entry {before + 1}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["charge", "alice"], "pass COST in US dollars"),
        (["charge", "--", "alice", "-1"], "COST must not be negative"),
        (["charge", "alice", "dear"], "COST must be an amount"),
        (["charge", "alice", "--input-tokens", "3"], "pass --model"),
        (["charge", "alice", "1", "--tag", "x"], "is not KEY=VALUE"),
        (["adjust", "2", "1"], "Missing option '--reason'"),
        (["adjust", "2", "much", "--reason", "x"], "AMOUNT must be an amount"),
        (["estimate", "gpt-4o"], "pass one of TEXT and --messages"),
        (["status", "--near", "0"], "is not above 0%"),
    ],
)
def test_misuse_is_answered_and_changes_nothing(path, arguments, says):
    before = last_id(path)
    assert says in run(*arguments, code=2).stderr
    assert last_id(path) == before


def test_the_cost_of_a_call_is_estimated_before_it_is_made(tmp_path):
    said = run("estimate", "gpt-4o", "Hello", "--max-output-tokens", "100", "--db", "no.db").stdout
    assert said.startswith("gpt-4o: $0.00000125 to $0.0010025; 1 tokens of input (exact)")
    assert not (tmp_path / "no.db").exists()
    assert document("estimate", "gpt-4o", "-", "--n", "2")["bounded"] is False
    chat = tmp_path / "chat.json"
    chat.write_text('[{"role": "user", "content": "Hello"}]')
    assert document("estimate", "gpt-4o", "--messages", str(chat))["input_tokens"] == 8
    chat.write_text('{"role": "user"}')
    assert (
        "has no list of messages"
        in run("estimate", "gpt-4o", "--messages", str(chat), code=2).stderr
    )
    run("prices", "set", "own", "--input", "1", "--output", "2")
    assert document("estimate", "own", "Hello")["price_source"].startswith("own")


def test_a_window_is_shifted_and_a_budget_removed(path):
    assert "shifted all budgets of alice" in run("shift", "alice", "--reason", "new").stdout
    assert posted(path) == 0
    assert document("shift", "bob", "usd")["account"] == "bob"
    assert run("remove-budget", "bob", "usd").stdout == "removed budget usd of bob; none left\n"
    assert "has no budget named 'usd'" in run("remove-budget", "bob", "usd", code=1).stderr


@pytest.mark.parametrize("command", ["remove-budget", "shift"])
def test_a_wrong_name_of_a_budget_is_answered_with_the_names(path, command):
    with Ledger(path) as ledger:
        ledger.set_budget("alice", tokens=9, per="day")
    said = run(command, "alice", "usd/day", code=1).stderr
    assert "has no budget named 'usd/day'; its budgets: tokens/day, usd" in said
    assert "set it first" not in said


def test_an_adjustment_of_a_call_without_a_price_states_it(path):
    with Ledger(path) as ledger, pytest.warns(UnpricedWarning):
        entry = ledger.charge("alice", {"model": "m", "id": "x"})
    said = run("adjust", str(entry.id), "2", "--reason", "bill").stdout
    assert said.startswith(f"adjusted entry {entry.id} of alice by $2.00, no price -> $2.00: ")


def test_rows_of_settings_say_what_was_set(path):
    run("set-budget", "alice", "2", "--per", "month", "--alert-at", "50%", "--model", "o3")
    run("shift", "alice", "usd", "--reason", "a new contract")
    run("remove-budget", "alice", "usd/month/o3")
    lines = run("entries", "alice", "--last", "3").stdout.splitlines()
    assert [" ".join(line.split()[4:]) for line in lines[1:]] == [
        "sets usd/month/o3: $2.00 a month for o3, alerts at 50 %",
        "new window of usd: a new contract",
        "ends usd/month/o3",
    ]


def test_a_parent_that_is_new_asks_whether_another_was_meant():
    run("set-parent", "alice", "team:research")
    said = run("set-parent", "alcie", "team:reserch").stderr
    assert "opened alcie, a new account; did you mean 'alice'?" in said
    assert "opened team:reserch, a new account; did you mean 'team:research'?" in said


def test_accounts_over_a_share_of_a_budget_of_any_measure(path):
    with Ledger(path) as ledger:
        ledger.set_budget("dave", requests=1)
        ledger.charge("dave", cost=0)
    assert [one["account"] for one in document("accounts", "--over", "100%")] == ["bob", "dave"]


def test_a_minimal_hold_is_shown_in_words(path):
    with Ledger(path) as ledger:
        requested_hold(ledger, "alice", minimal_request("m", "f", "k1", None))
    for shown in run("holds", "alice").stdout, run("entries", "--last", "1").stdout:
        assert "the least amount" in shown
        assert "0.000000000001" not in shown
    assert "1E-12" not in run("charge", "alice", "1", "--key", "k1", code=1).stderr
    held = json.loads(run("holds", "alice", "--json").stdout)[0]
    assert held["amount"] == "0.000000000001"
    assert ": the least amount\n" in run("release", str(held["id"])).stdout


@pytest.mark.parametrize("last", ["9223372036854775807", "99999999999999999999999"])
def test_more_last_rows_than_can_be_read_at_once_are_refused(last):
    said = run("entries", "--last", last, code=2).stderr
    assert f"'--last': {last} is not in the range 1<=x<=1000000" in said


def test_the_exit_codes_are_those_that_help_lists(path):
    listed = run("--help").stdout
    for code, what in TEXTS.items():
        assert re.search(rf"^ +{int(code)}  {re.escape(what)}$", listed, re.M)
    run("accounts", code=ExitCode.DONE)
    run("balance", "zoe", code=ExitCode.FAILED)
    run("balance", code=ExitCode.MISUSED)
    run("status", code=ExitCode.EXCEEDED)
    run("status", "alice", code=ExitCode.NEAR)
    with closing(sqlite3.connect(path)) as database:
        database.executescript("DROP TRIGGER entries_no_update; UPDATE entries SET note = 'x'")
    run("verify", code=ExitCode.DIFFERS)
    sources = Path(budgetledger.cli.__file__).parent.rglob("*.py")
    exits = {
        found for file in sources for found in re.findall(r"sys\.exit\((.*)\)", file.read_text())
    }
    assert all("ExitCode." in found for found in exits), exits


def test_status_says_what_is_near_or_over_and_by_its_exit_code():
    shown = run("status", code=3).stdout.splitlines()
    assert [line.split()[:3] for line in shown[1:3]] == [
        ["bob", "usd", "exceeded"],
        ["alice", "usd", "near"],
    ]
    assert [one["state"] for one in document("status", "alice", code=6)] == ["near"]
    assert run("status", "carol").stdout == "none of 1 budgets has used 80 % of its limit\n"
    assert run("status", "alice", "--near", "95%").stdout.startswith("none of 1 budgets")
    over = document("status", "bob", "--near", "150%", code=3)
    assert [one["state"] for one in over] == ["exceeded"]


def test_set_budget_ends_a_model_as_it_ends_an_anchor():
    run("set-budget", "dora", "5", "--name", "plan", "--model", "gpt-4o")
    assert document("set-budget", "dora", "6", "--name", "plan")["model"] == "gpt-4o"
    assert document("set-budget", "dora", "--name", "plan", "--model", "none")["model"] is None


def test_status_of_a_misspelt_project_fails():
    assert (
        "there are no accounts in project 'dfault'; projects: default"
        in run("status", "--project", "dfault", code=1).stderr
    )


def test_a_charge_to_a_new_account_asks_whether_another_was_meant():
    question = "alcie is a new account; did you mean 'alice'?"
    assert question in run("charge", "alcie", "1", "--dry-run").stderr
    assert question in run("charge", "alcie", "1").stderr
    assert "new account" not in run("charge", "alcie", "1").stderr


def test_a_call_without_usage_is_told_from_one_without_a_price(path):
    with Ledger(path) as ledger, pytest.warns(UnpricedWarning):
        ledger.charge("alice", {"model": "m", "id": "x"})
    said = run("reprice").stderr
    assert "1 call reports no usage (entries" in said
    assert "`budgetledger adjust ENTRY AMOUNT --reason ...`" in said
    assert "prices set" not in said


def test_an_assumed_cost_without_usage_is_told_too(path):
    with Ledger(path) as ledger:
        ledger.set_budget("dora", 1)
        hold = ledger.hold("dora", "0.3", model="m")
        with pytest.warns(UnpricedWarning):
            settle = hold.settle({"model": "m", "id": "x"})
    said = run("reprice", "--apply").stderr
    assert f"1 call reports no usage (entries {settle.id}), and $0.30 is assumed: " in said
    assert "`budgetledger adjust ENTRY AMOUNT --reason ...`" in said
    assert [one["id"] for one in document("reprice")["still_unpriced"]] == [settle.id]
    with Ledger(path) as ledger:
        assert ledger.reprice(dry_run=False) == []
        ledger.adjust(settle, "-0.1", reason="as billed")
    assert "no usage" not in run("reprice").stderr


@pytest.mark.parametrize("command", ["status", "entries", "holds alice", "alerts"])
def test_a_narrow_terminal_breaks_no_word(path, command):
    with Ledger(path) as ledger:
        ledger.set_budget("team:research-and-development", 1, alert_at=["0.5"])
        ledger.charge("team:research-and-development", cost="0.9", model="a-model-of-mine")
        ledger.hold("alice", "0.01", model="a-model-with-a-rather-long-name")
    told = on_terminal(40, *command.split())
    assert "\u2026" not in told
    if command in ("status", "entries", "alerts"):
        assert "account team:research-and-development\n" in told
    else:
        assert "model a-model-with-a-rather-long-name\n" in told


def test_accounts_are_sorted_and_chosen():
    def names(*options: str):
        return [one["account"] for one in document("accounts", *options)]

    assert names() == ["alice", "bob", "carol"]
    assert names("--sort", "spent") == ["bob", "alice", "carol"]
    assert names("--sort", "left", "--top", "2") == ["bob", "alice"]
    assert names("--over", "90%") == ["alice", "bob"]
    assert names("--match", "O") == ["bob", "carol"]
    assert "none of 3 accounts matches" in run("accounts", "--match", "zoe").stderr


def test_a_long_list_of_accounts_has_the_same_lines_as_a_short_one(path):
    with Ledger(path) as ledger:
        for number in range(250):
            ledger.set_budget(f"user-{number}", 10)
    lines = run("accounts").stdout.splitlines()
    assert len(lines) == 254
    few = [line.split() for line in run("accounts", "--top", "3").stdout.splitlines()]
    assert [line.split() for line in lines[:4]] == few
    assert len({line.index(" $0.00 ") for line in lines if line.startswith("user")}) == 1


@pytest.mark.parametrize("command", ["balance", "entries", "holds", "model-costs", "status"])
def test_a_near_miss_is_suggested(command):
    assert "did you mean 'alice'?" in run(command, "alcie", code=1).stderr
    assert "did you mean" not in run(command, "zoe", code=1).stderr


def test_projects_are_listed_and_a_ledger_is_backed_up(path, tmp_path):
    with Ledger(path, project="other") as ledger:
        ledger.set_budget("x", 1)
    assert run("projects").stdout.split() == ["default", "other"] == document("projects")
    assert run("backup", "copy.db").stdout == f"backed up {path} to copy.db\n"
    assert posted(tmp_path / "copy.db") == posted(path)
    assert "copy.db" in run("backup", "copy.db", code=2).stderr
