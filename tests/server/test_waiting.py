"""Holds that wait for room, over HTTP and by the hosted client; and clients that leave."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import httpx
import pytest

from budgetledger import BudgetExceededError, BudgetManager, Ledger

LONG = 50  # seconds; a test that waits so long has failed


@pytest.fixture
def api(server):
    url = f"{server.url}/v1/projects/{server.project}/accounts/alice/"
    with httpx.Client(base_url=url, timeout=LONG + 10) as client:
        client.post("budgets", json={"limit": 1})
        yield client


def later(act):
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_a_request_waits_until_a_hold_is_closed(api):
    first = api.post("holds", json={"amount": "0.9"}).json()
    answers = []
    waits = later(lambda: answers.append(api.post("holds", json={"amount": "0.5", "wait": LONG})))
    time.sleep(0.1)
    api.post(f"holds/{first['id']}/settle", json={"cost": "0.1"})
    waits.join(LONG)
    assert (answers[0].status_code, answers[0].json()["amount"]) == (201, "0.50")
    refused = api.post("holds", json={"amount": "0.5", "wait": 0.05})
    assert (refused.status_code, refused.json()["error"]["blocked_by_holds"]) == (402, True)
    assert api.post("holds", json={"amount": "0.5", "wait": 61}).status_code == 422


def test_a_client_that_leaves_leaves_nothing(api, server):
    first = api.post("holds", json={"amount": "0.9"}).json()
    with pytest.raises(httpx.ReadTimeout):
        api.post("holds", json={"amount": "0.5", "wait": LONG}, timeout=0.2)
    api.post(f"holds/{first['id']}/release", json={})
    last = api.post("holds", json={"amount": "0.9", "wait": LONG})
    assert last.status_code == 201
    with Ledger(server.path, project=server.project) as ledger:
        assert [entry.kind for entry in ledger.entries("alice")][1:4] == ["hold", "release", "hold"]


def test_the_hosted_client_waits_and_increases(api, server, tmp_path):
    with Ledger(tmp_path / "local.db") as local:
        manager = BudgetManager(server.project, "hosted", server.url, ledger=local, timeout=2)
        first = manager.hold("alice", "0.5")
        assert first.increase("0.4") == first.amount == Decimal("0.9")
        with pytest.raises(BudgetExceededError):
            first.increase("0.2")
        held = []
        waits = later(lambda: held.append(manager.hold("alice", "0.5", wait=LONG)))
        time.sleep(2.5)  # longer than one exchange may take otherwise
        first.settle("0.1")
        waits.join(LONG)
        assert held[0].amount == Decimal("0.5")
