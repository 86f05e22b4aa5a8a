"""The demo: what it prints is what its ledger says, and it leaves everything else alone."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from budgetledger.cli import main
from budgetledger.cli.demo.day import play
from budgetledger.ledger import Ledger

LINES = 62  # about one screen and a half


@pytest.fixture(autouse=True)
def _inside_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    return play(str(tmp_path_factory.mktemp("demo") / "demo.db"))


@pytest.fixture
def rows(day):
    """All rows of the day, by account, with those that the team repeats."""
    with Ledger(day.path, project="demo") as ledger:
        return {one.name: list(ledger.entries(one.name)) for one in ledger.accounts()}


def demo(*arguments, code=0):
    result = CliRunner().invoke(main, ["demo", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def steps_of(day, fact):
    return [step for step in day.steps if getattr(step, fact) is not None]


# -- the day ----------------------------------------------------------------------------------


def test_each_call_is_held_for_before_and_settled_after(day, rows):
    calls = [step for step in day.steps if step.hold is not None and step.entry is not None]
    assert len(calls) == 8
    for step in calls:
        assert step.entry.hold_id == step.hold.id < step.entry.id
        assert 0 < step.entry.cost <= step.hold.amount
        assert step.entry.price_source.startswith("genai-prices")
    assert {entry.kind for entry in day.costs} == {"settle", "adjustment"}
    with Ledger(day.path, project="demo") as ledger:
        assert ledger.verify().ok
        assert [entry.hold_id for entry in rows["bob"] if entry.kind == "expire"] == [
            step.hold.id for step in steps_of(day, "hold") if step.entry is None
        ]


def test_the_prompts_are_as_long_as_the_answers_say(day):
    counted = {
        (step.hold.entry.usage["input_tokens"], step.entry.input_tokens)
        for step in day.steps
        if step.hold is not None and step.entry is not None and step.hold.model == "gpt-5"
    }
    assert counted == {(2_180, 2_180), (4_870, 4_870)}


def test_two_calls_are_refused_by_the_ledger(day):
    alone, by_team = (step.refusal for step in steps_of(day, "refusal"))
    assert (alone.account, alone.budget.name) == ("alice", "usd/day")
    assert alone.available == Decimal("0.05") - day.costs[0].cost < alone.requested
    assert (by_team.account, by_team.budget.name) == ("team:docs", "usd/week")
    # carol's own budget would have granted it
    carol = next(one for one in day.balances if one.account == "carol")
    assert carol.available > by_team.requested > by_team.available
    assert steps_of(day, "refusal")[1].balance.available == carol.available


def test_the_call_that_is_asked_for_again_may_be_as_long_as_the_refusal_said(day):
    steps = iter(day.steps)
    refusal = next(step.refusal for step in steps if step.refusal is not None)
    again = next(steps)
    assert again.hold.entry.usage["output_tokens"] == refusal.largest_output == 2_108
    assert again.hold.amount <= refusal.available < again.hold.amount + Decimal("0.00001")
    assert again.entry.output_tokens <= refusal.largest_output


def test_what_the_program_that_died_held_expires(day, rows):
    place = next(n for n, step in enumerate(day.steps) if step.hold and not step.entry)
    lost, expired = day.steps[place : place + 2]
    assert lost.balance.held == lost.hold.amount == Decimal("0.12")
    assert expired.time == lost.hold.expires_at
    assert expired.balance.held == 0
    assert expired.balance.available == lost.balance.available + lost.hold.amount
    # The next call needs the money that came back.
    assert day.steps[place + 2].hold.amount > lost.balance.available


def test_the_alert_is_raised_when_the_team_has_used_80_percent(day, rows):
    (step,) = steps_of(day, "alert")
    alert = step.alert
    assert (alert.account, alert.state, alert.threshold) == ("team:docs", "alert", Decimal("0.8"))
    until = [entry.cost for entry in day.costs if entry.recorded_at <= alert.recorded_at]
    assert alert.posted == sum(until) >= Decimal("0.8") * alert.limit > sum(until[:-1])
    assert [entry.kind for entry in rows["team:docs"]].count("alert") == 1


def test_a_window_turns_without_a_row(day, rows):
    midnight = next(step for step in day.steps if f"{step.time:%H:%M}" == "00:00")
    assert (midnight.account, midnight.balance.posted) == ("alice", 0)
    assert {entry.kind for entry in rows["alice"]} == {"budget", "parent", "hold", "settle"}
    *before, last = [entry.cost for entry in rows["alice"] if entry.cost is not None]
    alice = next(one for one in day.balances if one.account == "alice")
    assert alice.posted == last
    assert sum(before) + last > alice.limit


def test_the_team_is_what_its_members_spent(day, rows):
    team = next(one for one in day.balances if one.account == "team:docs")
    assert team.posted == sum(entry.cost for entry in day.costs)
    assert len(day.costs) == 9


# -- printing it ------------------------------------------------------------------------------


def test_it_needs_no_network_and_is_the_same_every_time(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the demo opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    shown = [demo("--db", str(path)).stdout.replace(str(path), "") for path in (first, second)]
    assert shown[0] == shown[1]


def test_it_says_what_the_refused_were_told(day):
    shown = demo("--db", "demo.db").stdout
    for step in steps_of(day, "refusal"):
        assert f"{step.time:%H:%M} {step.account}: {step.refusal.message}\n" in shown
    told = [line.strip() for line in shown.splitlines() if "the window turns" in line]
    assert told == [
        "available $0.027175, the window turns 2026-03-03 00:00 (Europe/Berlin), "
        "largest output still granted 2,108 tokens",
        "available $0.1023755, the window turns 2026-03-09 00:00 (Europe/Berlin), "
        "largest output still granted 1,481 tokens",
    ]
    lines = [line.split() for line in shown.splitlines()]
    start = lines.index(["time", "who", "held", "paid", "left", "used"]) + 1
    table = lines[start : start + len(day.steps)]
    assert [row[:2] for row in table] == [
        [f"{step.time:%H:%M}", step.account] for step in day.steps
    ]
    assert [row[-4] for row in table if row[-4] == "refused"] == ["refused"] * 2
    assert table[0][-5:] == ["$0.0327", "$0.0228", "$0.0272", "46", "%"]
    assert table[4][-4:] == ["$0.1200", "$0.3718", "2", "%"]
    assert "alert: 80 % used" in shown


def test_it_stays_in_the_current_directory(tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    production = tmp_path / "production.db"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONIOENCODING": "utf-8",
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "BUDGETLEDGER_DB": str(production),
    }
    for project in ("demo", "demo-2"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "budgetledger", "demo"],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) <= LINES
        assert "no differences" in done.stdout
        assert f"project = '{project}'" in done.stdout
        assert "\x1b" not in done.stdout
        _check_the_printed_query(done.stdout)
    names = {path.name for path in here.iterdir()}
    assert names == {"budgetledger-demo.db", "budgetledger-demo.db.lock"}
    assert list(home.iterdir()) == []
    assert not production.exists()


def _check_the_printed_query(shown):
    lines = shown.splitlines()
    start = lines.index("What each user spent") + 2
    table = [line.split() for line in lines[start : start + 3]]
    printed = {row[0]: Decimal(row[-1].lstrip("$")) for row in table}
    assert printed.keys() == {"alice", "bob", "carol"}
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


@pytest.mark.postgres
def test_on_a_server_the_query_is_for_psql(new_schema):
    day = play(new_schema().target)
    program, url, _, first, _, query = shlex.split(day.command)
    assert program == "psql"
    with psycopg.connect(url) as connection:
        connection.execute(first)
        found = connection.execute(query).fetchall()
    assert {account: cost for account, _, cost in found} == day.spent_by("account")
    assert day.verified.ok


def test_it_tells_the_same_story_as_json(day, tmp_path):
    found = json.loads(demo("--json", "--db", str(tmp_path / "demo folder.db")).stdout)
    assert found["project"] == "demo"
    assert found["refused"][0] == {
        "account": "alice",
        "at": "2026-03-02T14:12:00.000000Z",
        "refused_by": {"account": "alice", "budget": "usd/day"},
        "requested": "0.0360875",
        "available": "0.027175",
        "window": {
            "start": "2026-03-01T23:00:00.000000Z",
            "end": "2026-03-02T23:00:00.000000Z",
            "timezone": "Europe/Berlin",
        },
        "retry_after": 31_680.0,  # 8 h 48 min, to midnight in Berlin
        "blocked_by_holds": False,
        "largest_output": 2_108,
        "message": steps_of(day, "refusal")[0].refusal.message,
    }
    assert [one["refused_by"]["account"] for one in found["refused"]] == ["alice", "team:docs"]
    assert [(one["account"], one["threshold"]) for one in found["alerts"]] == [("team:docs", "0.8")]
    assert [(one["account"], one["kind"]) for one in found["expired"]] == [("bob", "expire")]
    costs = [Decimal(entry["cost"]) for entry in found["entries"]]
    assert costs == [entry.cost for entry in day.costs]
    for by in ("spent_by_account", "spent_by_model"):
        assert sum(map(Decimal, found[by].values())) == sum(costs)
    assert [one["account"] for one in found["balances"]] == ["alice", "bob", "carol", "team:docs"]
    assert found["verify"]["ok"]
    if shutil.which("sqlite3"):
        subprocess.run(found["command"], shell=True, capture_output=True, check=True)


def test_it_adds_to_a_ledger_and_leaves_other_files_alone(tmp_path):
    spend = tmp_path / "spend.db"
    with Ledger(spend) as ledger:
        ledger.set_budget("alice", 1)
        before = list(ledger.entries())
    assert json.loads(demo("--json", "--db", str(spend)).stdout)["project"] == "demo"
    with Ledger(spend) as ledger:
        assert list(ledger.entries()) == before
    other = tmp_path / "notes.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE notes (text)")
    content = other.read_bytes()
    assert "another application" in demo("--db", str(other), code=1).stderr
    assert other.read_bytes() == content
    demo("--db", str(tmp_path / "no" / "folder.db"), code=1)
