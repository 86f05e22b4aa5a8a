"""The hosted client against a plain server of the documented protocol."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import litellm
import pytest

from budgetledger import BudgetManager
from budgetledger.errors import (
    InvalidInput,
    UnknownAccount,
    UnknownAccountWarning,
    UnpricedWarning,
)

ROOT = Path(__file__).resolve().parents[2]
CALL = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}
COST = 0.0075


def test_speaks_what_litellms_client_speaks(server, connect):
    manager = connect(headers={"Authorization": "Bearer s3cret"})
    created = manager.create_budget(10.5, "u1", "monthly", created_at=time.time() - 60)
    manager.update_cost("u1", CALL)
    assert server.paths() == ["/get_budget", "GET /v1", *["/get_budget", "/set_budget"] * 2]
    for path, headers, document in server.seen:
        if path == "GET /v1":  # to know whether it is a `budgetledger serve`
            continue
        assert headers["content-type"] == "application/json"
        assert headers["authorization"] == "Bearer s3cret"
        assert set(document) == {"project_name"} | (
            {"user_dict"} if path == "/set_budget" else set()
        )
    assert server.stored["p"] == {
        "u1": {
            "total_budget": 10.5,
            "duration": 28,
            "created_at": created["created_at"],
            "last_updated_at": created["created_at"],
            "current_cost": COST,
            "model_cost": {"gpt-4o": COST},
        }
    }
    assert "s3cret" not in repr(manager._books._server)


def test_has_every_documented_method_and_shape(connect, tmp_path):
    hosted, local = connect(), BudgetManager("p", ledger=connect("other").ledger)
    now = time.time()
    for manager in (hosted, local):
        manager.create_budget(10, "u", "daily", created_at=now)
        manager.create_budget(1, "v", created_at=now)
    call = [{"role": "user", "content": "hello"}]
    for act in (
        lambda m: m.update_cost("u", CALL),
        lambda m: m.update_cost(completion_obj=CALL, user="u"),
        lambda m: m.update_cost(user="u", model="gpt-4o", input_text="a", output_text=""),
        lambda m: m.user_dict["u"],
        lambda m: dict(m.user_dict),
        lambda m: m.get_total_budget("u"),
        lambda m: m.get_current_cost("u"),
        lambda m: m.get_model_cost("u"),
        lambda m: m.projected_cost("gpt-4o", call, "u"),
        lambda m: (m.is_valid_user("u"), m.is_valid_user("nobody")),
        lambda m: m.get_users(),
        lambda m: m.create_budget(20, "u", "daily"),
        lambda m: m.reset_on_duration("u"),
        lambda m: m.update_budget_all_users(),
        lambda m: m.save_data(),
        lambda m: m.load_data(),
        lambda m: m.get_current_cost("u"),
    ):
        assert act(hosted) == act(local)
    record = hosted.reset_cost("u")["user"]
    assert (record["current_cost"], record["model_cost"]) == (0, {})
    assert record["last_updated_at"] > now
    with pytest.raises(UnknownAccount):
        hosted.get_current_cost("nobody")
    with pytest.raises(KeyError):
        hosted.reset_cost("nobody")
    with pytest.raises(TypeError, match="read-only"):
        hosted.user_dict["u"]["current_cost"] = 0


def test_shares_a_server_with_litellms_own_client(server, connect):
    ours = connect()
    ours.create_budget(10, "ours")
    theirs = litellm.BudgetManager("p", client_type="hosted", api_base=server.address)
    assert theirs.get_total_budget("ours") == 10
    theirs.user_dict["theirs"] = {"total_budget": 5}  # as its create_budget without a duration
    theirs.user_dict["theirs"]["note"] = "kept"
    theirs.save_data()
    ours.update_cost("ours", CALL)
    assert server.stored["p"]["theirs"] == {"total_budget": 5, "note": "kept"}
    assert ours.user_dict["theirs"]["current_cost"] == 0
    ours.update_cost("theirs", CALL)
    theirs.load_data()
    assert theirs.get_current_cost("theirs") == COST
    assert theirs.get_model_cost("ours") == {"gpt-4o": COST}


def test_what_others_wrote_meanwhile_stays(server, connect):
    ours, others = connect(), connect("elsewhere")
    ours.create_budget(10, "u")
    for _ in range(5):
        others.update_cost("u", CALL)
        ours.update_cost("u", CALL)
    assert server.stored["p"]["u"]["current_cost"] == pytest.approx(10 * COST, abs=1e-12)
    assert ours.get_current_cost("u") == pytest.approx(10 * COST, abs=1e-12)
    assert others.get_current_cost("u") < ours.get_current_cost("u")
    others.load_data()
    assert others.user_dict == ours.user_dict


def test_threads_and_processes_of_one_machine_lose_nothing(server, connect, tmp_path):
    manager = connect()
    manager.create_budget(10, "u")
    code = (
        "import sys; from budgetledger import BudgetManager, Ledger\n"
        "m = BudgetManager('p', 'hosted', sys.argv[1], ledger=Ledger(sys.argv[2]))\n"
        f"for _ in range(10): m.update_cost('u', {CALL!r})"
    )
    command = [sys.executable, "-c", code, server.address, str(tmp_path / "ledger.db")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]

    def work():
        for _ in range(5):
            manager.update_cost("u", CALL)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert server.stored["p"]["u"]["current_cost"] == pytest.approx(60 * COST, abs=1e-12)


def test_threads_share_a_journey(server, connect, faults):
    manager = connect()
    manager.create_budget(10, "u")
    before = len(server.seen)
    server.fault = faults["sleeps"](0.05)
    threads = [threading.Thread(target=manager.update_cost, args=("u", CALL)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.stored["p"]["u"]["current_cost"] == pytest.approx(20 * COST, abs=1e-12)
    assert len(server.seen) - before < 20


def test_windows_turn_by_themselves_and_are_written_once(server, connect):
    manager = connect()
    days_ago = time.time() - 3.5 * 86_400
    manager.create_budget(10, "u", "daily", created_at=days_ago)
    server.stored["p"]["u"] |= {
        "last_updated_at": days_ago, "current_cost": 4.0, "model_cost": {"m": 4.0},
    }  # fmt: skip
    manager = connect("elsewhere")
    assert manager.get_current_cost("u") == 0
    assert server.stored["p"]["u"]["current_cost"] == 4
    manager.update_budget_all_users()
    written = server.stored["p"]["u"]
    assert (written["current_cost"], written["model_cost"]) == (0, {})
    assert written["last_updated_at"] == pytest.approx(days_ago + 3 * 86_400, abs=1e-3)
    before = len(server.seen)
    manager.update_budget_all_users()
    assert len(server.seen) == before
    manager.update_cost("u", CALL)
    assert server.stored["p"]["u"]["current_cost"] == COST


def test_unpriced_calls_are_kept_and_sent_when_adjusted(server, connect):
    manager = connect()
    manager.create_budget(10, "u")
    response = {"model": "nobody-knows", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    with pytest.warns(UnpricedWarning, match="budget server"):
        manager.update_cost("u", response)
    assert server.stored["p"]["u"]["current_cost"] == 0
    [entry] = [entry for entry in manager.ledger.entries("u") if entry.kind == "charge"]
    manager.ledger.adjust(entry, "0.5", reason="priced by hand")
    assert manager.get_current_cost("u") == 0.5
    manager.save_data()
    assert server.stored["p"]["u"]["model_cost"] == {"nobody-knows": 0.5}


def test_a_user_without_budget_is_recorded_and_may_spend_nothing(server, connect):
    manager = connect()
    with pytest.warns(UnknownAccountWarning, match="create_budget"):
        manager.update_cost("stranger", CALL)
    assert server.stored["p"]["stranger"]["current_cost"] == COST
    assert manager.get_total_budget("stranger") == 0
    manager.create_budget(10, "stranger")
    assert manager.get_current_cost("stranger") == COST


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_base": None}, r"needs the address.*api_base='http://127.0.0.1"),
        ({"api_base": ""}, "needs the address"),
        ({"api_base": "api.example.com"}, "api_base must be an address"),
        ({"api_base": "ftp://api.example.com"}, "api_base must be an address"),
        ({"api_base": "http://:80"}, "api_base must be an address"),
        ({"api_base": "http://h:99999"}, "api_base must be an address"),
        ({"api_base": "http://h/?key=1"}, "without"),
        ({"api_base": 7}, "got int"),
        ({"headers": {"a\nb": "c"}}, "headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "one line"),
        ({"headers": {"a": 1}}, "pass a str"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_settings_are_checked_before_anybody_is_called(server, connect, options, message):
    with pytest.raises(InvalidInput, match=message):
        connect(**options)
    assert server.seen == []


def test_credentials_in_the_address_are_refused_and_not_shown(connect):
    with pytest.raises(InvalidInput, match="headers") as refused:
        connect(api_base="http://me:s3cret@127.0.0.1:1")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("suffix", ["/", "//"])
def test_a_slash_at_the_end_of_the_address_makes_no_difference(server, connect, suffix):
    connect(api_base=server.address + suffix).create_budget(1, "u")
    assert connect().is_valid_user("u")
    assert set(server.paths()) == {"/get_budget", "/set_budget", "GET /v1"}
