"""A server of the documented hosted protocol as anybody would write it, and how it can fail."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from budgetledger import BudgetManager, Ledger


class PlainServer(ThreadingHTTPServer):
    """Keeps the last dict written for each project; the last writer wins.

    ``faults`` are taken one for each request to their path, before it is served; a fault
    returns True if it has answered. ``seen`` are the requests: path, headers, document.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored: dict[str, dict] = {}
        self.seen: list[tuple[str, dict, dict]] = []
        self.faults: dict[str, list] = {"/get_budget": [], "/set_budget": []}
        self.fault = None  # for every request
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that gave up is nothing to report."""

    def serve(self, path, body):
        document = json.loads(body)
        project = document["project_name"]
        if path == "/get_budget":
            if project not in self.stored:
                return {"status": "error"}
            return {"status": "success", "data": self.stored[project]}
        self.stored[project] = document["user_dict"]
        return {"status": "success"}

    def paths(self):
        return [path for path, *_ in self.seen]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *arguments): ...

    def do_GET(self):  # what a redirected POST becomes
        self.server.seen.append(("GET " + self.path, dict(self.headers), {}))
        self.answer(200, b'{"status": "success", "data": {}}')

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        server.seen.append((self.path, dict(self.headers), json.loads(body)))
        queue = server.faults[self.path]
        fault = queue.pop(0) if queue else server.fault
        if fault is not None and fault(self, body):
            return
        self.answer(200, json.dumps(server.serve(self.path, body)).encode())

    def answer(self, status, content, kind="application/json", **headers):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def says(status, content=b'{"detail": "no"}', kind="application/json", **headers):
    """A fault: this answer instead."""

    def fault(handler, body):
        handler.answer(status, content, kind, **headers)
        return True

    return fault


def breaks(handler, body):
    """A fault: the connection is reset before anything is done."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
    return True


def breaks_after(handler, body):
    """A fault: done, and the connection is reset before the answer."""
    handler.server.serve(handler.path, body)
    return breaks(handler, body)


def breaks_amid(handler, body):
    """A fault: done, and half an answer."""
    handler.server.serve(handler.path, body)
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    handler.close_connection = True
    return True


def sleeps(seconds):
    """A fault: silence first."""

    def fault(handler, body):
        time.sleep(seconds)

    return fault


def drips(where):
    """A fault: a byte now and then, for ever."""

    def fault(handler, body):
        start = {"headers": b"HTTP/1.1 200 OK\r\nx: ", "body": b"HTTP/1.1 200 OK\r\n\r\n"}[where]
        handler.wfile.write(start)
        handler.close_connection = True
        end = time.monotonic() + 10
        while time.monotonic() < end:
            handler.wfile.write(b" ")
            time.sleep(0.05)
        return True

    return fault


def floods(handler, body):
    """A fault: more than anybody asked for."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    handler.close_connection = True
    for _ in range(200):
        handler.wfile.write(b" " * 2**20)
    return True


@pytest.fixture
def faults():
    """The ways to fail, by name."""
    return {
        "breaks": breaks, "breaks_after": breaks_after, "breaks_amid": breaks_amid,
        "says": says, "sleeps": sleeps, "drips": drips, "floods": floods,
    }  # fmt: skip


@pytest.fixture
def server():
    running = PlainServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Tries follow each other at once."""
    monkeypatch.setattr("budgetledger.hosted.http._PAUSES", (0.001, 0.002))


@pytest.fixture
def connect(server, tmp_path):
    """Hosted managers on *server*; of another *name*, as if on another machine."""
    opened = []

    def connected(name="ledger", **options):
        ledger = Ledger(tmp_path / f"{name}.db", synchronous="NORMAL")
        opened.append(ledger)
        options = {"project_name": "p", "api_base": server.address, "timeout": 5, **options}
        return BudgetManager(client_type="hosted", ledger=ledger, **options)

    yield connected
    for ledger in opened:
        ledger.close()
