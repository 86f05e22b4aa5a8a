"""The commands about default budgets."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from budgetledger import Ledger
from budgetledger.cli import main


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUDGETLEDGER_DB", str(tmp_path / "spend.db"))
    return tmp_path / "spend.db"


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, (result.exit_code, result.output)
    return result


def test_a_default_is_set_listed_and_removed(path):
    run("set-budget", "*", "100")
    said = run("set-default-budget", "5", "--per", "day", "--alert-at", "80%")
    assert said.stdout == "default budget of kind user: $5.00 a day, alerts at 80 %\n"
    assert said.stderr == ""
    team = run("set-default-budget", "--tokens", "9", "--kind", "team", "--anchor", "creation",
               "--per", "week", "--json")  # fmt: skip
    assert json.loads(team.stdout) == {
        "project": "default", "kind": "team", "measure": "tokens", "limit": 9, "model": None,
        "per": "week", "span_seconds": None, "timezone": "UTC", "week_start": 0,
        "anchor": "creation", "alert_at": [],
    }  # fmt: skip

    shown = run("default-budgets").stdout.splitlines()
    assert [line.split() for line in shown] == [
        ["kind", "default", "budget"],
        ["team", "9", "tokens", "a", "week,", "from", "the", "budget's", "creation"],
        ["user", "$5.00", "a", "day,", "alerts", "at", "80", "%"],
    ]
    assert [one["kind"] for one in json.loads(run("default-budgets", "--json").stdout)] == [
        "team", "user",
    ]  # fmt: skip

    run("charge", "alice", "1")
    assert "sets standard: $5.00 a day, alerts at 80 %: by default" in run("entries").stdout
    removed = run("remove-default-budget", "team").stdout
    assert removed == "removed the default budget of kind team; 1 left\n"
    assert json.loads(run("remove-default-budget", "--json").stdout) == {
        "project": "default", "kind": "user",
    }  # fmt: skip
    assert "no default budgets" in run("default-budgets").stderr
    with Ledger(path) as ledger:
        assert [budget.name for budget in ledger.budgets("alice")] == ["standard"]


def test_it_makes_the_file_and_says_what_does_not_limit_new_names(path):
    said = run("set-default-budget", "5").stderr
    assert f"created {path}" in said
    assert "each new name of kind 'user' gets a budget of its own" in said
    assert "`budgetledger set-budget '*' ...`" in said
    assert "`budgetledger set-parent`" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["set-default-budget"], "pass one of LIMIT (US dollars), --tokens or --requests"),
        (["set-default-budget", "5", "--kind", "tag"], "no default budget for kind 'tag'"),
        (["set-default-budget", "5", "--rolling", "1d", "--per", "day"], "--rolling cannot be"),
        (["set-default-budget", "5", "--anchor", "creation"], "--anchor needs --per"),
    ],
)
def test_misuse_makes_no_file(path, arguments, says):
    assert says in run(*arguments, code=2).stderr
    assert not path.exists()


def test_a_default_that_is_not_there_is_named_with_those_that_are():
    run("set-default-budget", "5", "--kind", "team")
    said = run("remove-default-budget", "tem", code=1).stderr
    assert "no default budget of kind 'tem'" in said
    assert "`budgetledger default-budgets`" in said
    assert "did you mean" not in said
