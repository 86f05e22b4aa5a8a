"""Requests to the providers, sent as they came, and never a second time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx2

from budgetledger.wallet.encodings import acceptable
from budgetledger.wallet.exchange import Headers

# Those of one connection; RFC 9110, 7.6.1.
_HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_REPLACED = frozenset({b"host", b"content-length", b"expect"})
_SECONDS_TO_CONNECT = 30.0

Unreachable = httpx2.TransportError
"""The provider could not be reached, or broke the connection."""


def end_to_end(headers: Headers) -> Headers:
    """*headers* without those of the connection."""
    named = {
        part.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for part in value.split(b",")
    }
    dropped = _HOP_BY_HOP | named
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def request_headers(headers: Headers, *, is_read: bool, is_rewritten: bool) -> Headers:
    """The headers to send on.

    *is_read*: the answer is read, so only codings that can be read are accepted. *is_rewritten*:
    its bytes change, so none is.
    """
    sent = []
    for name, value in end_to_end(headers):
        if name == b"accept-encoding" and is_read:
            value = b"identity" if is_rewritten else acceptable(value)
        if name not in _REPLACED:
            sent.append((name, value))
    return sent


class Sender:
    """One client for all requests, made with the first of them; proxies as the environment says."""

    def __init__(self) -> None:
        self._client: Any = None
        self._making = asyncio.Lock()

    async def ready(self) -> Any:
        """The client. To read the certificates takes 30 ms, in a thread."""
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(_client)
        return self._client

    async def send(self, method: str, url: str, headers: Headers, body: bytes) -> Any:
        """The answer's head; its body is still to be read. Raises `Unreachable`."""
        client = self._client or await self.ready()
        has_body = bool(body) or any(name == b"content-type" for name, _ in headers)
        try:
            request = httpx2.Request(
                method, url, headers=headers, content=body if has_body else None
            )
        except httpx2.InvalidURL as error:
            raise httpx2.UnsupportedProtocol(str(error)) from None
        return await client.send(request, stream=True)

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _client() -> httpx2.AsyncClient:
    # What httpcore2 would import at its first request, for 50 ms.
    with suppress(ImportError):
        import anyio
        from anyio import connect_tcp  # noqa: F401 - by which it loads anyio's sockets

        anyio.run(anyio.sleep, 0)
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=_SECONDS_TO_CONNECT),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
        follow_redirects=False,
    )
