"""How a server ends: asked to, or killed."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
import uvicorn

from budgetledger import Ledger
from budgetledger.server import create_app
from budgetledger.server.idle_connections import Connection

COMMAND = ("-m", "budgetledger", "serve")
ACCOUNT = "/v1/projects/default/accounts/a"
JSON = "application/json"
SOON = 20  # seconds; only what hangs comes near it


def charge_until_it_ends(url, acknowledged, attempts):
    with httpx.Client(base_url=url, timeout=10) as client:
        for number in range(10**6):
            key = f"{threading.get_ident()}-{number}"
            attempts.append(key)
            try:
                answer = client.post(
                    f"{ACCOUNT}/charges",
                    json={"cost": "0.01", "model": "m"},
                    headers={"Idempotency-Key": key},
                )
            except httpx.HTTPError:
                return
            if answer.status_code != 201:
                return
            acknowledged.append(key)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked to end"])
def test_nothing_acknowledged_is_lost(serve, how, database):
    server = serve(path=database.target)
    acknowledged, attempts = [], []
    arguments = (server.url, acknowledged, attempts)
    threads = [threading.Thread(target=charge_until_it_ends, args=arguments) for _ in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(acknowledged) < 300 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.stop(how) == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    for thread in threads:
        thread.join(20)
    assert len(acknowledged) >= 300
    again = serve(path=server.path)
    with Ledger(server.path) as ledger:
        kept = [entry.idempotency_key for entry in ledger.entries("a")]
        assert set(acknowledged) <= set(kept) <= set(attempts)
        assert len(kept) == len(set(kept))
        assert ledger.verify().ok
    # Whoever was not answered asks again, under the same key.
    with httpx.Client(base_url=again.url) as client:
        for key in attempts:
            if key not in acknowledged:
                client.post(
                    f"{ACCOUNT}/charges", json={"cost": "0.01", "model": "m"},
                    headers={"Idempotency-Key": key},
                )  # fmt: skip
        posted = client.get(f"{ACCOUNT}/balance").json()["posted"]
    assert posted == f"{len(attempts) / 100:.2f}"


@pytest.mark.postgres
def test_a_database_that_restarts_amid_load_loses_nothing_and_nothing_is_overspent(
    serve, own_server
):
    """Who is not answered, or told to, asks again under the same key."""
    database = own_server()
    server = serve(path=database.url(schema="served"))
    settled, statuses = [], Counter()

    def asked(client, path, body, key):
        for _ in range(200):
            answer = client.post(f"{ACCOUNT}/{path}", json=body, headers={"Idempotency-Key": key})
            statuses[answer.status_code] += 1
            if answer.status_code < 500:
                return answer
            time.sleep(0.1)
        raise AssertionError(answer.text)

    def spend(name):
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for number in range(1000):
                key = f"{name}-{number}"
                hold = asked(client, "holds", {"amount": "0.01"}, f"hold-{key}")
                if hold.status_code == 402:
                    return
                path = f"holds/{hold.json()['id']}/settle"
                assert asked(client, path, {"cost": "0.01"}, key).status_code == 201
                settled.append(key)

    with Ledger(server.path) as ledger, ThreadPoolExecutor(16) as threads:
        ledger.set_budget("a", 4)
        working = [threads.submit(spend, name) for name in range(16)]
        while len(settled) < 100:
            time.sleep(0.01)
        database.stop(signal.SIGQUIT)
        time.sleep(0.5)
        database.start()
        for work in working:
            work.result(100)
        assert ledger.balance("a").posted == 4
        kept = [entry.idempotency_key for entry in ledger.entries("a") if entry.kind == "settle"]
        assert sorted(kept) == sorted(settled)
        assert ledger.verify().ok
    assert statuses[201] >= 800, statuses
    server.stop()


def test_it_ends_though_it_has_hardly_begun(tmp_path):
    process = subprocess.Popen(
        [sys.executable, *COMMAND, "--db", str(tmp_path / "x.db"), "--port", "0"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "BUDGETLEDGER_TOKENS": ""},
    )  # fmt: skip
    try:
        assert "on http://" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_connections_that_ask_for_nothing_end(tmp_path, monkeypatch):
    monkeypatch.setattr("budgetledger.server.idle_connections.SECONDS_TO_ASK", 0.3)
    with Ledger(tmp_path / "x.db") as ledger:
        config = uvicorn.Config(
            create_app(ledger), port=0, http=Connection, ws="none", log_level="warning"
        )
        listening = config.bind_socket()
        listening.listen()
        server = uvicorn.Server(config)
        running = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        running.start()
        address = listening.getsockname()
        try:
            head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
            silent, slow, served = (socket.create_connection(address, 20) for _ in range(3))
            slow.sendall(head)
            began = time.monotonic()
            while time.monotonic() - began < 1:  # who goes on asking is served
                served.sendall(head + b"\r\n")
                answer = b""
                while b"ok" not in answer:
                    got = served.recv(1000)
                    assert got
                    answer += got
                time.sleep(0.05)
            for waiting in (silent, slow):
                waiting.settimeout(5)
                assert waiting.recv(1) == b""
        finally:
            server.should_exit = True
            running.join(20)
            for one in (silent, slow, served, listening):
                one.close()


def test_what_is_under_way_is_answered_before_the_end(serve):
    server = serve()
    with Ledger(server.path) as ledger:
        ledger.set_budget("a", 10)
        held_up, go_on = threading.Event(), threading.Event()

        def hold_the_file(tx):
            held_up.set()
            assert go_on.wait(SOON)

        blocking = threading.Thread(target=lambda: ledger._journal.write(hold_the_file))
        blocking.start()
        assert held_up.wait(SOON)
        address = server.url.removeprefix("http://")
        asking = http.client.HTTPConnection(address, timeout=SOON)
        asking.request("POST", f"{ACCOUNT}/holds", '{"amount": 1}', {"Content-Type": JSON})
        httpx.get(f"{server.url}/healthz", timeout=SOON)  # what was sent before has arrived
        server.process.send_signal(signal.SIGTERM)
        with suppress(ConnectionRefusedError):
            for _ in range(SOON * 100):
                socket.create_connection(address.split(":"), SOON).close()
                time.sleep(0.01)
        go_on.set()
        assert asking.getresponse().status == 201
        asking.close()
        assert server.process.wait(SOON) == 0
        blocking.join()
        assert len(ledger.holds("a")) == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/healthz")
