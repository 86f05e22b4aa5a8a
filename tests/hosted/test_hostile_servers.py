"""The hosted client against servers that are slow, break, redirect, or answer something else."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from budgetledger import BudgetManager, Ledger
from budgetledger.errors import InvalidInput, ServerRefused, ServerUnavailable

ROOT = Path(__file__).resolve().parents[2]
CALL = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 500}}
COST = 0.0075


@pytest.fixture
def manager(connect):
    opened = connect(timeout=0.5)
    opened.create_budget(10, "u")
    return opened


def cost(server):
    return server.stored["p"]["u"]["current_cost"]


@pytest.mark.parametrize("path", ["/get_budget", "/set_budget"])
@pytest.mark.parametrize("how", ["breaks", "breaks_after", "breaks_amid", 500, 503, 429, "slow"])
def test_what_passes_is_tried_again_and_counts_once(server, manager, faults, how, path):
    fault = (
        faults["says"](how)
        if isinstance(how, int)
        else faults["sleeps"](0.7)
        if how == "slow"
        else faults[how]
    )
    server.faults[path] = [fault] * 2
    manager.update_cost("u", CALL)
    manager.update_cost("u", CALL)
    if how == "slow":
        time.sleep(0.3)  # what was given up on arrives, and undoes what was written since
        manager.load_data()
    assert cost(server) == manager.get_current_cost("u") == 2 * COST


@pytest.mark.parametrize(
    "fault",
    [
        lambda f: f["breaks"],
        lambda f: f["breaks_after"],
        lambda f: f["says"](500),
        lambda f: f["says"](502, b"<html>Bad gateway</html>", "text/html"),
        lambda f: f["says"](401),
        lambda f: f["says"](403),
        lambda f: f["says"](404),
        lambda f: f["says"](422),
        lambda f: f["says"](200, b"<html>Sign in</html>", "text/html"),
        lambda f: f["says"](200, b"[]"),
        lambda f: f["says"](200, b'{"status": "error", "message": "disk full"}'),
        lambda f: f["says"](302, b"", Location="/get_budget"),
        lambda f: f["says"](307, b"", Location="http://127.0.0.2:9/"),
        lambda f: f["sleeps"](0.7),
        lambda f: f["drips"]("headers"),
        lambda f: f["drips"]("body"),
        lambda f: f["floods"],
    ],
    ids=["breaks", "breaks-after", "500", "502-html", "401", "403", "404", "422", "html",
         "list", "error", "302", "307", "slow", "drip-headers", "drip-body", "flood"],
)  # fmt: skip
def test_what_stays_is_told_the_caller_and_the_cost_survives_a_restart(
    server, manager, connect, faults, fault
):
    server.fault = fault(faults)
    before = len(server.seen)
    started = time.monotonic()
    with pytest.raises((ServerUnavailable, ServerRefused)) as failed:
        manager.update_cost("u", CALL)
    assert time.monotonic() - started < 4
    assert len(server.seen) - before <= 6
    assert "do not repeat it" in str(failed.value)
    assert manager.get_current_cost("u") == COST
    manager.ledger.close()
    time.sleep(0.3)
    server.fault = None
    again = connect()
    assert cost(server) == again.get_current_cost("u") == COST
    again.load_data()
    assert cost(server) == again.get_current_cost("u") == COST
    assert {path for path in server.paths() if path.startswith("GET")} <= {"GET /v1"}


def test_errors_say_what_was_seen_and_what_to_set(server, connect, faults):
    for fault, error, message in [
        (faults["says"](302, b"", Location="https://else.where/x?token=s3cret"), ServerRefused,
         r"redirects to 'https://else.where/x'; redirects are not followed.*api_base="),
        (faults["says"](200, b"<html>", "text/html"), ServerRefused, "without JSON .text/html"),
        (faults["says"](401), ServerRefused, "401 .*'no'.*headers="),
        (faults["says"](500), ServerUnavailable, "500 .*try again later"),
        (faults["says"](200, b'{"status": "success", "data": NaN}'), ServerRefused, "without JSON"),
        (faults["says"](200, b'{"status": "success", "data": [1]}'), ServerRefused, "unexpected"),
        (faults["says"](200, b"[" * 100_000), ServerRefused, "without JSON"),
        (faults["sleeps"](0.4), ServerUnavailable, "did not answer within 0.2 s"),
    ]:  # fmt: skip
        server.fault = fault
        with pytest.raises(error, match=message) as failed:
            connect(timeout=0.2)
        assert "s3cret" not in str(failed.value)
        assert failed.value.target == server.address


def test_nobody_there(tmp_path):
    with Ledger(tmp_path / "l.db") as ledger, pytest.raises(ServerUnavailable, match="refused"):
        BudgetManager("p", "hosted", "http://127.0.0.1:9", ledger=ledger)


def test_only_what_may_pass_is_tried_again(server, connect, faults):
    for status, tries in [(401, 1), (404, 1), (302, 1), (500, 3), (429, 3)]:
        server.seen.clear()
        server.fault = faults["says"](status)
        with pytest.raises((ServerUnavailable, ServerRefused)):
            connect()
        assert len(server.seen) == tries
    server.seen.clear()
    server.fault = faults["says"](503, **{"Retry-After": "3600"})
    with pytest.raises(ServerUnavailable) as failed:
        connect()
    assert (len(server.seen), failed.value.retry_after) == (1, 3600)


def test_a_server_that_forgot_everything_is_not_overwritten(server, manager, connect):
    manager.create_budget(5, "v")
    kept = server.stored.pop("p")
    with pytest.raises(ServerRefused, match=r"no longer has records.*load_data"):
        manager.update_cost("u", CALL)
    assert "p" not in server.stored
    server.stored["p"] = kept
    manager.update_cost("u", CALL)
    assert cost(server) == 2 * COST
    del server.stored["p"]
    manager.load_data()
    manager.create_budget(5, "w")
    assert [*server.stored["p"]] == ["w"]


@pytest.mark.parametrize(
    "record",
    [7, None, [], {"current_cost": "1"}, {"current_cost": -1}, {"current_cost": True},
     {"model_cost": []}, {"model_cost": {"gpt-4o": "x"}}, {"current_cost": 1e300}],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_named_and_not_overwritten(server, manager, record):
    if isinstance(record, dict):
        record = server.stored["p"]["u"] | record
    server.stored["p"]["u"] = record
    with pytest.raises(InvalidInput, match="record of user 'u'"):
        manager.update_cost("u", CALL)
    assert server.stored["p"]["u"] == record


@pytest.mark.parametrize(
    "extra",
    [{"duration": "weekly"}, {"duration": -1}, {"duration": 10**400}, {"created_at": "now"},
     {"last_updated_at": None, "duration": 1}, {"duration": 1.5, "last_updated_at": 0}],
)  # fmt: skip
def test_odd_fields_are_passed_on(server, manager, extra):
    server.stored["p"]["u"] |= extra
    manager.update_cost("u", CALL)
    assert cost(server) == COST


def test_what_an_older_copy_undid_is_written_again(server, manager, connect):
    """As LiteLLM's client does, which writes all users as it once read them."""
    older = copy.deepcopy(server.stored["p"])
    manager.update_cost("u", CALL)
    manager.create_budget(5, "v")
    manager.update_cost("v", CALL)
    server.stored["p"] = older | {"theirs": {"total_budget": 1, "current_cost": 0.5}}
    manager.load_data()
    assert [cost(server), server.stored["p"]["v"]["current_cost"]] == [COST, COST]
    assert server.stored["p"]["theirs"] == {"total_budget": 1, "current_cost": 0.5}
    later = server.stored["p"]["u"]["last_updated_at"] + 1  # a new window is no loss
    server.stored["p"]["u"] |= {"current_cost": 0, "model_cost": {}, "last_updated_at": later}
    manager.update_cost("u", CALL)
    assert cost(server) == COST


def test_others_write_while_an_answer_is_lost(server, manager, connect, faults):
    """Ours did not arrive, and theirs did: both count, once."""
    others = connect("elsewhere")

    def theirs_instead(handler, body):
        others.update_cost("u", {**CALL, "usage": {"prompt_tokens": 100, "completion_tokens": 0}})
        return faults["breaks"](handler, body)

    server.faults["/set_budget"] = [theirs_instead]
    manager.update_cost("u", CALL)
    assert cost(server) == pytest.approx(COST + 0.00025, abs=1e-12)

    def theirs_after(handler, body):
        handler.server.serve(handler.path, body)
        others.update_cost("u", CALL)
        return faults["breaks"](handler, body)

    server.faults["/set_budget"] = [theirs_after]
    manager.update_cost("u", CALL)
    assert cost(server) == pytest.approx(3 * COST + 0.00025, abs=1e-12)


def test_a_herd_waits_once_for_a_server_that_is_silent(server, manager, faults):
    server.fault = faults["sleeps"](0.7)
    failures = []

    def work():
        try:
            manager.update_cost("u", CALL)
        except ServerUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 20
    assert time.monotonic() - started < 8
    server.fault = None
    manager.save_data()
    assert cost(server) == pytest.approx(20 * COST, abs=1e-12)


@pytest.mark.parametrize("arrives", [False, True])
def test_a_process_killed_while_it_saves_counts_once(server, connect, tmp_path, faults, arrives):
    manager = connect()
    manager.create_budget(10, "u")
    reached = threading.Event()

    def hangs(handler, body):
        if arrives:
            handler.server.serve(handler.path, body)
        reached.set()
        time.sleep(0.5)
        return faults["breaks"](handler, body)

    server.faults["/set_budget"] = [hangs]
    code = (
        "import sys; from budgetledger import BudgetManager, Ledger\n"
        "m = BudgetManager('p', 'hosted', sys.argv[1], ledger=Ledger(sys.argv[2]))\n"
        f"m.update_cost('u', {CALL!r})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, server.address, str(tmp_path / "ledger.db")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert reached.wait(30)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert manager.get_current_cost("u") == COST  # not sent for sure, and not forgotten
    manager.save_data()
    assert cost(server) == manager.get_current_cost("u") == COST
    assert manager.ledger.verify().ok
