"""LiteLLM's user_cost.json, brought into a ledger: whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from budgetledger.cli import main
from budgetledger.errors import IdempotencyConflict, InvalidInput
from budgetledger.ledger import Ledger
from budgetledger.litellm.user_cost_file import import_user_cost
from budgetledger.manager import BudgetManager
from budgetledger.testing import FakeClock

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
SECONDS = NOW.timestamp()
DAY = 86_400


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "spend.db", clock=FakeClock(NOW)) as opened:
        yield opened


@pytest.fixture
def saved(tmp_path):
    def save(content: object) -> Path:
        path = tmp_path / "user_cost.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return save


def record(**fields: object) -> dict[str, object]:
    costs = {"current_cost": 0.75, "model_cost": {"gpt-4o": 0.5, "claude": 0.25}}
    return {"total_budget": 10, **costs, **fields}


def dated(days: int, ago: float, **fields: object) -> dict[str, object]:
    at = SECONDS - ago
    return record(duration=days, created_at=at, last_updated_at=at, **fields)


@pytest.mark.slow
def test_a_file_that_litellm_saved(tmp_path, ledger):
    script = """
import threading, time
import litellm
manager = litellm.BudgetManager("p")
manager.create_budget(10, "alice", duration="monthly", created_at=time.time())
manager.create_budget(5.5, "bob")
manager.create_budget(5, "carol", duration="daily", created_at=time.time() - 3 * 86400)
manager.create_budget(1, "dora", duration="weekly", created_at=time.time())
usage = litellm.Usage(prompt_tokens=1000, completion_tokens=500, total_tokens=1500)
response = litellm.ModelResponse(model="gpt-4o", usage=usage)
for user in ("alice", "bob", "carol"):
    manager.update_cost(user, response)
    manager.update_cost(user, model="gpt-4o-mini", input_text="hello there", output_text="hi")
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
manager.save_data()
"""
    folder = tmp_path / "app"
    folder.mkdir()
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(folder)}
    subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, check=True, timeout=120
    )
    theirs = json.loads((folder / "user_cost.json").read_text())
    assert theirs["alice"]["current_cost"] > 0.0075

    clock = FakeClock(datetime.fromtimestamp(theirs["alice"]["created_at"] + 60, UTC))
    with Ledger(tmp_path / "imported.db", clock=clock) as imported:
        result = import_user_cost(imported, folder / "user_cost.json")
        manager = BudgetManager("default", ledger=imported)
        assert manager.get_users() == list(theirs)
        for user in ("alice", "bob"):
            assert manager.get_total_budget(user) == theirs[user]["total_budget"]
            assert manager.get_current_cost(user) == pytest.approx(theirs[user]["current_cost"])
            assert manager.get_model_cost(user) == pytest.approx(theirs[user]["model_cost"])
        assert manager.get_current_cost("carol") == 0  # her day had ended
        assert manager.get_current_cost("dora") == 0
        assert manager.user_dict["alice"]["created_at"] == theirs["alice"]["created_at"]
        assert imported.verify().ok
    costs = [cost for record in theirs.values() for cost in record.get("model_cost", {}).values()]
    assert result.total == sum(round(Decimal(repr(cost)), 12) for cost in costs)
    assert result.entries == 7  # two models of three users, and dora's 0
    assert result.remarks == ()


def test_what_is_written(ledger, saved):
    result = import_user_cost(ledger, saved({"alice": dated(28, 5 * DAY), "bob": record()}))
    assert (result.entries, result.total, result.remarks) == (4, Decimal("1.50"), ())
    rows = [entry for entry in ledger.entries("alice") if entry.kind == "opening"]
    assert [(row.model, row.cost) for row in rows] == [
        ("gpt-4o", Decimal("0.50")),
        ("claude", Decimal("0.25")),
    ]
    for row in rows:
        assert row.price_source == "litellm"
        assert row.note == "imported from user_cost.json"
    (budget,) = ledger.budgets("alice")
    assert (budget.name, budget.period.per, budget.created_at) == (
        "default", "month", SECONDS - 5 * DAY,
    )  # fmt: skip
    assert budget.period.anchor_us == (SECONDS - 5 * DAY) * 1e6
    balance = ledger.balance("alice")
    assert (balance.limit, balance.posted) == (Decimal("10.00"), Decimal("0.75"))
    assert ledger.model_costs("bob") == {"gpt-4o": Decimal("0.50"), "claude": Decimal("0.25")}
    assert ledger.budgets("bob")[0].period.per is None
    assert ledger.verify().ok


@pytest.mark.parametrize(
    ("days", "per"),
    [
        (1, "day"), (7, "week"),
        (28, "month"), (28.0, "month"), (29, "month"), (30, "month"), (31, "month"),
        (365, "year"), (366, "year"),
    ],
)  # fmt: skip
def test_a_window_that_has_ended_is_history(ledger, saved, days, per):
    users = {"over": dated(days, days * DAY), "running": dated(days, days * DAY - 1)}
    result = import_user_cost(ledger, saved(users))
    assert [(user.name, user.per, user.elapsed) for user in result.users] == [
        ("over", per, True),
        ("running", per, False),
    ]
    assert ledger.balance("over").posted == 0
    assert ledger.balance("running").posted == Decimal("0.75")
    assert sum(entry.cost or 0 for entry in ledger.entries("over")) == Decimal("0.75")
    ledger.charge("over", cost="0.01", model="m")
    assert ledger.balance("over").posted == Decimal("0.01")
    assert ledger.verify().ok


def test_the_last_reset_counts_not_the_creation(ledger, saved):
    users = {"alice": dated(1, 100 * DAY) | {"last_updated_at": SECONDS - 60}}
    import_user_cost(ledger, saved(users))
    assert ledger.balance("alice").posted == Decimal("0.75")


def test_a_duration_of_null_is_none(ledger, saved):
    result = import_user_cost(ledger, saved({"alice": record(duration=None)}))
    assert [user.per for user in result.users] == [None]


def test_the_same_file_again_changes_nothing(ledger, saved):
    path = saved({"alice": dated(28, 40 * DAY), "bob": record(), "new": {"total_budget": 3}})
    import_user_cost(ledger, path)
    ledger.set_budget("bob", 99, name="default")
    ledger.set_budget("new", 98, name="default")
    before = list(ledger.entries())
    result = import_user_cost(ledger, path)
    assert list(ledger.entries()) == before
    assert (result.entries, result.total) == (0, 0)
    assert result.remarks == ("3 of 3 users were imported before and stay as they are",)
    assert ledger.balance("bob").limit == 99


@pytest.mark.parametrize(
    "change",
    [
        {"total_budget": 11},
        {"current_cost": 0.76, "model_cost": {"gpt-4o": 0.51, "claude": 0.25}},
        {"model_cost": {"gpt-4o": 0.5, "claude": 0.25, "more": 0.0}},
    ],
)
def test_a_changed_file_is_refused_as_a_whole(ledger, saved, change):
    import_user_cost(ledger, saved({"alice": record(), "bob": record()}))
    before = list(ledger.entries())
    users = {"new": record(), "alice": record(), "bob": record(**change)}
    with pytest.raises(IdempotencyConflict, match=r"since these users were imported.*'bob'"):
        import_user_cost(ledger, saved(users))
    assert list(ledger.entries()) == before
    assert [account.name for account in ledger.accounts()] == ["alice", "bob"]


def test_a_user_who_is_there_keeps_spending_and_gets_the_files_limit(ledger, saved):
    ledger.set_budget("alice", 3, per="day", name="default")
    ledger.charge("alice", cost="0.10", model="gpt-4o")
    import_user_cost(ledger, saved({"alice": record()}))
    balance = ledger.balance("alice")
    assert (balance.limit, balance.posted) == (Decimal("10.00"), Decimal("0.85"))


def test_what_no_model_accounts_for_is_unrecognised(ledger, saved):
    users = {"alice": record(current_cost=1.0), "bob": {"total_budget": 1, "current_cost": 0.5}}
    import_user_cost(ledger, saved(users))
    assert ledger.model_costs("alice")["unknown"] == Decimal("0.25")
    assert ledger.model_costs("bob") == {"unknown": Decimal("0.50")}


def test_models_win_over_the_sum_and_float_noise_is_nothing(ledger, saved):
    users = {
        "more": record(current_cost=0.5),
        "noise": record(current_cost=0.7500000009),
        "noise2": record(current_cost=0.7499999991),
    }
    result = import_user_cost(ledger, saved(users))
    assert [ledger.balance(user).posted for user in users] == [Decimal("0.75")] * 3
    assert result.remarks == (
        "user 'more': model_cost adds up to 0.75 USD, but current_cost is 0.50",
    )


def test_more_than_an_entry_holds_is_several(ledger, saved):
    cost = "20000000.000000000001"
    text = '{"rich": {"total_budget": 1e9, "current_cost": %s, "model_cost": {"m": %s}}}'
    result = import_user_cost(ledger, saved(text % (cost, cost)))
    assert result.entries == 3
    assert ledger.balance("rich").posted == Decimal(cost)
    before = list(ledger.entries())
    import_user_cost(ledger, saved(text % (cost, cost)))
    assert list(ledger.entries()) == before


def test_names_that_would_meet_in_one_key(ledger, saved):
    long = "u" * 500
    users = {"a": record(), "a:1": record(), "a:1:2": record(), long: record(), "é \n": record()}
    import_user_cost(ledger, saved(users))
    assert [ledger.balance(user).posted for user in users] == [Decimal("0.75")] * 5
    assert import_user_cost(ledger, saved(users)).entries == 0


def test_reset_and_empty_records(ledger, saved):
    users = {"reset": record(current_cost=0, model_cost={}), "plain": {"total_budget": 0}}
    import_user_cost(ledger, saved(users))
    assert ledger.balance("reset").posted == 0
    assert ledger.model_costs("reset") == {}
    assert import_user_cost(ledger, saved("{}")).users == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ('{"alice": {"total_budget": 1', "cut off"),
        ("[1, 2]", "has no users"),
        ("[" * 100_000, "is not JSON"),
        ('{"alice": 3}', "'alice': the record is not an object"),
        ('{"alice": {}}', "'alice': total_budget is missing"),
        ('{"alice": {"total_budget": NaN}}', "total_budget must be a number of US dollars"),
        ('{"alice": {"total_budget": Infinity}}', "'alice': total_budget"),
        ('{"alice": {"total_budget": true}}', "'alice': total_budget"),
        ('{"alice": {"total_budget": "10"}}', "'alice': total_budget"),
        ('{"alice": {"total_budget": null}}', "'alice': total_budget"),
        ('{"alice": {"total_budget": -1}}', "'alice': total_budget must not be negative"),
        ('{"alice": {"total_budget": 1e99}}', "'alice': total_budget is out of range"),
        ('{"alice": {"total_budget": 1, "current_cost": true}}', "'alice': current_cost"),
        ('{"alice": {"total_budget": 1, "current_cost": -0.1}}', "'alice': current_cost"),
        ('{"alice": {"total_budget": 1, "current_cost": 1e30}}', "current_cost is out of range"),
        ('{"alice": {"total_budget": 1, "model_cost": []}}', "model_cost is not an object"),
        ('{"alice": {"total_budget": 1, "model_cost": {"m": NaN}}}', "model_cost: m must be"),
        ('{"alice": {"total_budget": 1, "model_cost": {"": 1}}}', "a name in model_cost"),
        ('{"alice": {"total_budget": 1, "duration": 14, "created_at": 1}}', "28 to 31, 365 or"),
        ('{"alice": {"total_budget": 1, "duration": 0, "created_at": 1}}', "duration must"),
        ('{"alice": {"total_budget": 1, "duration": 30.5, "created_at": 1}}', "duration must"),
        ('{"alice": {"total_budget": 1, "duration": 1e400, "created_at": 1}}', "duration must"),
        ('{"alice": {"total_budget": 1, "duration": NaN, "created_at": 1}}', "duration must"),
        ('{"alice": {"total_budget": 1, "duration": true, "created_at": 1}}', "duration must"),
        ('{"alice": {"total_budget": 1, "duration": "30", "created_at": 1}}', "duration must"),
        ('{"alice": {"total_budget": 1, "duration": "daily", "created_at": 1}}', "duration must"),
        ('{"alice": {"total_budget": 1, "duration": 1}}', "created_at is missing"),
        ('{"alice": {"total_budget": 1, "duration": 1, "created_at": NaN}}', "created_at must"),
        ('{"alice": {"total_budget": 1, "duration": 1, "created_at": 1e300}}', "created_at must"),
        (
            '{"alice": {"total_budget": 1, "created_at": 1, "last_updated_at": "x"}}',
            "last_updated_at must",
        ),
        ('{"": {"total_budget": 1}}', "the name must not be empty"),
        ('{"a\\u0000": {"total_budget": 1}}', "NUL"),
        ('{"a\\ud800": {"total_budget": 1}}', "surrogate"),
        ('{"1": {"total_budget": 1}, "1": {"total_budget": 2}}', "'1' occurs twice"),
    ],
)
def test_a_file_that_cannot_be_used_leaves_the_ledger_as_it_was(ledger, saved, text, says):
    good = '"fine": {"total_budget": 1, "current_cost": 0.5}'
    if text.startswith('{"'):
        text = f"{{{good}, {text[1:]}"
    with pytest.raises(InvalidInput) as caught:
        import_user_cost(ledger, saved(text))
    assert says in str(caught.value)
    assert "nothing was imported" in str(caught.value)
    assert list(ledger.entries()) == []
    assert ledger.accounts() == []


def test_the_ledger_itself_and_no_file_at_all(ledger, tmp_path):
    with pytest.raises(InvalidInput, match="is the ledger itself"):
        import_user_cost(ledger, ledger.path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        import_user_cost(ledger, tmp_path / "missing.json")
    latin = tmp_path / "latin.json"
    latin.write_bytes('{"é": 1}'.encode("latin-1"))
    with pytest.raises(InvalidInput, match="is not JSON"):
        import_user_cost(ledger, latin)


def test_progress_is_told(ledger, saved):
    seen = []
    users = {f"user-{n}": record() for n in range(3)}
    import_user_cost(ledger, saved(users), progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_command(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "new.db"
    monkeypatch.setenv("BUDGETLEDGER_DB", str(target))

    def run(*arguments: str, code: int) -> object:
        result = CliRunner().invoke(main, ["import", *arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    bad = saved('{"alice": {"total_budget": -1}}')
    result = run(str(bad), code=2)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "'alice'" in result.stderr
    assert not target.exists()
    run(str(tmp_path / "missing.json"), code=2)

    path = saved({"alice": record(current_cost=0.5), "[b]bob": dated(1, 2 * DAY)})
    shown = run(str(path), code=0)
    assert "[b]bob" in shown.stdout
    assert "its window had ended" in shown.stdout
    assert "4 entries written" in shown.stdout
    assert f"created {target}" in shown.stderr
    assert "model_cost adds up to 0.75 USD" in shown.stderr
    again = json.loads(run(str(path), "--json", code=0).stdout)
    assert (again["entries"], again["total"]) == (0, "0.00")
    assert [user["cost"] for user in again["users"]] == ["0.75", "0.75"]
    changed = saved({"alice": record(total_budget=11)})
    assert "have changed" not in run(str(changed), code=1).stdout
    assert "ledger itself" in run(str(target), code=2).stderr
