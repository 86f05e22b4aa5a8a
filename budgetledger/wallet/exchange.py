"""A request to the wallet, the client behind it, and answers of the wallet's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]


class ClientLeft(Exception):
    """The client closed its connection."""


class TooLarge(Exception):
    """The body has more bytes than are accepted."""


class Request(NamedTuple):
    """A request as it came: ``path`` follows the segment of the upstream, percent-encoded."""

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str:
        """The value of the first header of that *name*, in lower case; empty without one."""
        return header(self.headers, name)


def header(headers: Headers, name: bytes) -> str:
    """The value of the first header of that *name*; empty without one."""
    return next((value.decode("latin-1") for found, value in headers if found == name), "")


async def read_body(receive: Receive, most_bytes: int) -> bytes:
    """The body of a request. Raises `ClientLeft`, `TooLarge`."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most_bytes:
            raise TooLarge
        if not message.get("more_body"):
            return b"".join(parts)


class Presence:
    """Ends the block of ``with presence:`` with `ClientLeft` once the client has left.

    Everything else runs to its end: what was paid is recorded, whether or not the client waits.
    """

    def __init__(self, receive: Receive) -> None:
        self._inside: asyncio.Task[Any] | None = None
        self._is_interrupted = False
        self.has_left = False
        self._watching = asyncio.ensure_future(self._watch(receive))

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        if self._inside is not None:
            self._is_interrupted = True
            self._inside.cancel()

    def __enter__(self) -> None:
        if self.has_left:
            raise ClientLeft
        self._inside = asyncio.current_task()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._inside = self._inside, None
        if self._is_interrupted and task is not None:
            self._is_interrupted = False
            if task.uncancel() == 0 and isinstance(error, asyncio.CancelledError | None):
                raise ClientLeft from None

    def end(self) -> None:
        """Stop watching."""
        self._watching.cancel()


async def answer(send: Send, status: int, content: object, headers: Mapping[str, str]) -> None:
    """Send *content* as JSON."""
    body = json.dumps(content, default=str, ensure_ascii=False).encode("utf-8", "replace")
    fields = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
