"""A server on this machine that gives every call the same answer, and the bytes of such answers."""

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EVENTS = "text/event-stream"
AWS_EVENTS = "application/vnd.amazon.eventstream"
JSON = "application/json"


@contextmanager
def serving(body: bytes, kind: str, **headers: str) -> Iterator[str]:
    """Answer every POST with *body*, of the content type *kind*; the value is the address."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def sent_events(events: Iterable[dict[str, Any]]) -> bytes:
    """*events* as server-sent events, named by their type if they have one."""
    return "".join(map(_sent_event, events)).encode()


def _sent_event(event: dict[str, Any]) -> str:
    kind = event.get("type") or event.get("event_type")
    return (f"event: {kind}\n" if kind else "") + f"data: {json.dumps(event)}\n\n"


def aws_events(events: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    """*events*, each a type and a payload, in the binary form of Amazon's event streams."""
    return b"".join(_aws_event(kind, json.dumps(payload).encode()) for kind, payload in events)


def _aws_event(kind: str, payload: bytes) -> bytes:
    named = {":event-type": kind, ":content-type": JSON, ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
        for name, text in named.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))
