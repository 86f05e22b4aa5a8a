"""A hold and its settle over HTTP against a bare Starlette app that echoes the same bodies.

Usage: python benchmarks/server.py [--seconds N] [--rounds N] [--clients N] [--synchronous NORMAL]

Both servers run in processes of their own, by the same uvicorn, and take turns. Neither uses
uvloop, which the extra ``server`` does not install, and both send the parts of an answer at once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import describe, report, us

ECHO = """
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def echo(request):
    return JSONResponse({"id": 1, **await request.json()}, 201)

app = Starlette(routes=[Route("/{path:path}", echo, methods=["POST"])])
config = uvicorn.Config(app, port=0, log_level="warning")
with config.bind_socket() as listening:
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.listen()
    print("echo on http://127.0.0.1:%d" % listening.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listening])
"""
SERVE = "from budgetledger.cli import main; main()"
HIDE_UVLOOP = "import sys; sys.modules['uvloop'] = None"
ACCOUNT = "/v1/projects/default/accounts/alice"


@contextmanager
def running(program: str, *arguments: str) -> Iterator[int]:
    """The port of the server that *program* starts, for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{HIDE_UVLOOP}\n{program}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            found = re.search(r"on http://127\.0\.0\.1:(\d+)", line)
            if found:
                break
        else:
            raise SystemExit("the server did not start")
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def post(connection: http.client.HTTPConnection, path: str, body: object) -> dict:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.status < 300, answer
    return answer


def load(port: int, clients: int, seconds: float) -> tuple[float, float]:
    """Pairs of a hold and a settle a second, and the p99 of one pair in seconds."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        own, began = [], time.perf_counter()
        while began < end:
            hold = post(connection, f"{ACCOUNT}/holds", {"amount": "0.0002", "model": "gpt-4o"})
            post(connection, f"{ACCOUNT}/holds/{hold['id']}/settle", {"cost": "0.0001"})
            now = time.perf_counter()
            own.append(now - began)
            began = now
        taken.extend(own)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken) / seconds, statistics.quantiles(taken, n=100)[98]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--synchronous", default="FULL", help="the echo has no disk to wait for")
    options = parser.parse_args()
    describe(f"Hold + settle over HTTP, {options.synchronous}, against a bare Starlette echo")
    serve = ("serve", "--port", "0", "--synchronous", options.synchronous)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(ECHO) as echo,
        running(SERVE, *serve, "--db", str(Path(folder) / "served.db")) as served,
    ):
        connection = http.client.HTTPConnection("127.0.0.1", served)
        post(connection, f"{ACCOUNT}/budgets", {"limit": 1_000_000, "per": "month"})
        connection.close()
        for clients in (1, options.clients):
            both = [
                (load(echo, clients, options.seconds), load(served, clients, options.seconds))
                for _ in range(options.rounds)
            ]
            rates = [(floor[0], ours[0]) for floor, ours in both]
            tails = [(floor[1], ours[1]) for floor, ours in both]
            shown = [statistics.median(pair[1] for pair in pairs) for pairs in (rates, tails)]
            floors = [statistics.median(pair[0] for pair in pairs) for pairs in (rates, tails)]
            report(
                f"requests a second, {clients} clients: echo to ours",
                statistics.median(floor / ours for floor, ours in rates),
                4,
                f"{2 * shown[0]:,.0f} against {2 * floors[0]:,.0f}",
            )
            report(
                f"p99 of hold + settle, {clients} clients",
                statistics.median(ours / floor for floor, ours in tails),
                4,
                f"{us(shown[1])} against {us(floors[1])}",
            )


if __name__ == "__main__":
    main()
