"""Calls through the wallet against a bare pass-through by httpx2, and against none.

Usage: python benchmarks/wallet.py [--calls N] [--rounds N] [--clients N]

A provider of this machine answers at once: plain with 420 bytes, streamed with 53 events. It, the
bare pass-through, and a wallet for each kind of durability run in processes of their own, all with
the same uvicorn and without uvloop, which the extra ``run`` does not install. They take turns.
The wallet meters as ``budgetledger run`` does; the bare one sends the bytes on and does nothing
else. The first call is made as soon as the program is there, the second and third after it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from common import describe, report

PROVIDER = """
import asyncio, json

USAGE = {"prompt_tokens": 12, "completion_tokens": 51, "total_tokens": 63}
ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "word " * 30}, "finish_reason": "stop"}
], "usage": USAGE}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}

def events():
    for word in range(51):
        delta = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
        yield CHUNK | {"choices": [delta], "usage": None}
    yield CHUNK | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None}
    yield CHUNK | {"choices": [], "usage": USAGE}

def chunked(data):
    return b"%x\\r\\n%s\\r\\n" % (len(data), data)

body = json.dumps(ANSWER).encode()
OK = b"HTTP/1.1 200 OK\\r\\ncontent-type: %s\\r\\n"
PLAIN = OK % b"application/json" + b"content-length: %d\\r\\n\\r\\n%s" % (len(body), body)
texts = (json.dumps(one, separators=(",", ":")) for one in events())
parts = [b"data: " + text.encode() + b"\\n\\n" for text in texts]
STREAM = OK % b"text/event-stream" + b"transfer-encoding: chunked\\r\\n\\r\\n"
STREAM += b"".join(map(chunked, [*parts, b"data: [DONE]\\n\\n"])) + b"0\\r\\n\\r\\n"

async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
            length = int(head.partition(b"content-length:")[2].split()[0])
            asked = await reader.readexactly(length)
            writer.write(STREAM if b'"stream": true' in asked else PLAIN)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("http://127.0.0.1:%d/v1" % server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
BARE = """
import os
import httpx2, uvicorn
from budgetledger.wallet.server import _SETTINGS, listening_socket

client = httpx2.AsyncClient(timeout=None)
BASE = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [each for each in scope["headers"] if each[0] not in (b"host", b"connection")]
    request = httpx2.Request(scope["method"], BASE + scope["path"], headers=headers, content=body)
    response = await client.send(request, stream=True)
    kept = [
        each for each in response.headers.raw
        if each[0].lower() not in (b"transfer-encoding", b"connection")
    ]
    await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
    async for part in response.aiter_raw():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await response.aclose()
    await send({"type": "http.response.body", "body": b""})

with listening_socket() as listening:
    print("http://127.0.0.1:%d/v1" % listening.getsockname()[1], flush=True)
    config = uvicorn.Config(app, **(_SETTINGS | {"lifespan": "off"}))
    uvicorn.Server(config).run(sockets=[listening])
"""
WALLET = """
import os, sys, warnings
from decimal import Decimal
from budgetledger import Ledger
from budgetledger.wallet.running import Options, open_account, run

warnings.simplefilter("ignore")
CHILD = "import os, sys; print(os.environ['OPENAI_BASE_URL'], flush=True); sys.stdin.read()"
options = Options(None, Decimal(1_000_000), None, 60.0, False, True)
with Ledger(sys.argv[1], synchronous=sys.argv[2]) as ledger:
    account = open_account(ledger, options)
    run([sys.executable, "-c", CHILD], ledger, account, options, os.environ, print)
"""
HIDE_UVLOOP = "import sys; sys.modules['uvloop'] = None"
PROMPT = [{"role": "user", "content": "Say thirty words, please."}]


@contextmanager
def running(program: str, *arguments: str, base: str = "") -> Iterator[str]:
    """The base URL that *program* prints, for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{HIDE_UVLOOP}\n{program}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENAI_BASE_URL": base},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        url = process.stdout.readline().strip()
        if not url.startswith("http"):
            raise SystemExit("a server did not start")
        yield url
    finally:
        process.stdin.close()  # ends the wallet's program, and so the wallet
        if program != WALLET:
            process.terminate()
        process.wait()
        process.stdout.close()


class Client:
    """One connection, by a raw socket: the client costs as little as possible."""

    def __init__(self, base: str, *, streams: bool) -> None:
        parts = urlsplit(base)
        assert parts.hostname is not None
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = {"model": "gpt-4o", "messages": PROMPT, "max_tokens": 100}
        if streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        sent = json.dumps(body).encode()
        head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
        self._request = head.encode() + sent

    def call(self) -> float:
        """Seconds from the request to the last byte of the answer."""
        start = time.perf_counter()
        self._socket.sendall(self._request)
        answer = b""
        while not _is_whole(answer):
            part = self._socket.recv(1 << 18)
            assert part, answer
            answer += part
        assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
        return time.perf_counter() - start

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    length = head.lower().partition(b"content-length:")[2].split()
    return len(body) >= int(length[0]) if length else body.endswith(b"0\r\n\r\n")


def load(base: str, clients: int, calls: int, *, streams: bool) -> list[float]:
    """The seconds of each of *calls* calls of all clients together."""
    taken: list[float] = []

    def work() -> None:
        client = Client(base, streams=streams)
        taken.extend([client.call() for _ in range(calls // clients)])
        client.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def compared(bases: dict[str, str], clients: int, options: argparse.Namespace) -> None:
    """Print p50 and p99 of all, and the wallet's p50 over the bare one's."""
    for streams in (False, True):
        times: dict[str, list[list[float]]] = {name: [] for name in bases}
        for turn in range(options.rounds + 1):
            for name, base in bases.items():
                taken = load(base, clients, options.calls, streams=streams)
                if turn:  # the first warms up
                    times[name].append(taken)
        kind = "stream" if streams else "plain"
        for name, rounds in times.items():
            middle = statistics.median(map(statistics.median, rounds))
            every = sorted(value for taken in rounds for value in taken)
            print(
                f"  {kind}, {clients} clients, {name:<14} p50 {ms(middle):>10}, "
                f"p99 {ms(every[int(len(every) * 0.99)]):>10}"
            )
        for name in ("NORMAL", "FULL"):
            ratios = [
                statistics.median(ours) / statistics.median(bare)
                for ours, bare in zip(times[name], times["bare"], strict=True)
            ]
            limit = 2.5 if clients == 1 else 3
            report(f"{kind}, {clients} clients: {name} to bare, p50",
                   statistics.median(ratios), limit, "")  # fmt: skip


def first_calls(base_of: Callable[[], object], pause: float) -> list[float]:
    """The seconds of the first three calls of a new wallet, *pause* seconds after its program."""
    with base_of() as base:  # type: ignore[attr-defined]
        time.sleep(pause)
        client = Client(base, streams=False)
        taken = [client.call() for _ in range(3)]
        client.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    describe("A call through the wallet against a bare pass-through, and a direct one")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        direct = stack.enter_context(running(PROVIDER))
        bases = {"direct": direct, "bare": stack.enter_context(running(BARE, base=direct))}
        for synchronous in ("NORMAL", "FULL"):
            path = str(Path(folder) / f"{synchronous}.db")
            bases[synchronous] = stack.enter_context(
                running(WALLET, path, synchronous, base=direct)
            )
        for clients in dict.fromkeys((1, options.clients)):
            compared(bases, clients, options)
        for pause in (0.0, 3.0):
            path = str(Path(folder) / f"first{pause}.db")
            firsts = first_calls(
                lambda path=path: running(WALLET, path, "FULL", base=direct), pause
            )
            shown = ", ".join(ms(taken) for taken in firsts)
            print(f"  the first three calls, {pause:g} s after the program began: {shown}")


if __name__ == "__main__":
    main()
