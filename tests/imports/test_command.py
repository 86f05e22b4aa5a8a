"""`budgetledger import --from`: what it prints, and what it refuses."""

import json
from decimal import Decimal

import program_logs
import pytest
from click.testing import CliRunner

from budgetledger import Ledger
from budgetledger.cli.commands import main


@pytest.fixture
def run(tmp_path):
    """Runs a command on one ledger."""

    def invoke(*arguments, db=tmp_path / "spend.db"):
        return CliRunner().invoke(main, ["import", "--db", str(db), *map(str, arguments)])

    return invoke


@pytest.fixture
def sessions(tmp_path):
    return program_logs.claude_code(tmp_path / "projects")


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "logs.json"
    path.write_text(json.dumps(program_logs.spend_logs()))
    return path


def entries(tmp_path):
    with Ledger(tmp_path / "spend.db") as ledger:
        return list(ledger.entries())


def test_it_says_what_was_imported_and_what_was_skipped(run, sessions, tmp_path):
    done = run("--from", "claude-code", sessions, "--account", "me")
    assert done.exit_code == 0, done.output
    assert "imported 3 calls, $0.0072765 into" in done.stdout
    assert "skipped 1: Claude Code wrote the message itself" in done.stderr
    assert "s1.jsonl:8" in done.stderr
    assert "list prices" in done.stderr
    again = run("--from", "claude-code", sessions, "--account", "me")
    assert "imported 0 calls, $0.00 into" in again.stdout
    assert "3 were imported before" in again.stderr
    assert len(entries(tmp_path)) == 3


def test_a_dry_run_shows_the_same_and_makes_no_file(run, sessions, tmp_path):
    done = run("--from", "claude-code", sessions, "--account", "me", "--dry-run")
    assert "would import 3 calls, $0.0072765 into" in done.stdout
    assert not (tmp_path / "spend.db").exists()
    run("--from", "claude-code", sessions, "--account", "me")
    done = run("--from", "claude-code", sessions, "--account", "me", "--dry-run")
    assert "would import 0 calls" in done.stdout


def test_json_has_all_of_it(run, logs):
    done = json.loads(run("--from", "litellm-logs", logs, "--json").stdout)
    assert (done["source"], done["calls"], done["cost"]) == ("litellm-logs", 4, "0.0342")
    assert len(done["skipped"]) == 2
    assert "dry_run" not in done


def test_count_lets_history_count(run, logs, tmp_path):
    run("--from", "litellm-logs", logs, "--count")
    with Ledger(tmp_path / "spend.db") as ledger:
        posted = {one.name: ledger.balance(one.name).posted for one in ledger.accounts()}
        assert posted == {"alice": 0, "bob": Decimal("0.03"), "customer-7": Decimal("0.0042")}
        assert {entry.kind for entry in ledger.entries()} == {"charge"}


def test_what_it_cannot_do_makes_no_ledger(run, sessions, logs, tmp_path):
    summary = tmp_path / "summary.json"
    summary.write_text(json.dumps(program_logs.SUMMARY))
    for arguments, why in (
        (("--from", "claude-code", sessions), "names no users; pass --account"),
        (("--from", "litellm-logs", summary), "summarize=false"),
        (("--from", "llm", logs, "--account", "me"), "SQLite"),
        (("--account", "me", logs), "pass --from too"),
        ((logs, logs), "pass one user_cost.json"),
        ((sessions,), "pass one user_cost.json"),
        (("--from", "excel", logs), "excel"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, arguments
        assert why in done.stderr
    assert not (tmp_path / "spend.db").exists()


def test_the_ledger_itself_is_no_log(run, logs, tmp_path):
    run("--from", "litellm-logs", logs)
    db = tmp_path / "spend.db"
    done = run("--from", "llm", db, "--account", "me")
    assert "is the ledger itself" in done.stderr
