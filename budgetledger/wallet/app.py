"""The ASGI application: admits a request, and lets it pass, metered or not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from budgetledger.apis.error_forms import error_body
from budgetledger.apis.paths import Vendor, is_free, kind_of, vendor_of
from budgetledger.apis.refusals import Refusal, refusal
from budgetledger.errors import BudgetledgerError
from budgetledger.wallet.bill import Bill
from budgetledger.wallet.calls import Calls, Payer
from budgetledger.wallet.exchange import (
    ClientLeft,
    Headers,
    Presence,
    Receive,
    Request,
    Scope,
    Send,
    TooLarge,
    answer,
    header,
    read_body,
)
from budgetledger.wallet.forwarding import Sender, Unreachable
from budgetledger.wallet.gate import Denied, Gate
from budgetledger.wallet.keys import Keys
from budgetledger.wallet.refusals import message
from budgetledger.wallet.upstreams import Upstream

_log = logging.getLogger("budgetledger.wallet")
MOST_BYTES = 64 * 1024 * 1024
_NO_RETRY = {"x-should-retry": "false"}
_SESSIONS = (b"x-claude-code-session-id", b"session-id", b"session_id", b"x-session-id")
_LONGEST_SESSION = 128


class Wallet:
    """Passes requests on to *upstreams*, which are named by a segment of their path.

    *run*: the account of the run whose limit is an option of its command, for messages.
    *on_refusal* is called with each message. *warm*: run in a thread when the server starts; calls
    that cost money wait for it.
    """

    def __init__(
        self,
        gate: Gate,
        upstreams: Mapping[str, Upstream],
        *,
        keys: Keys | None = None,
        bill: Bill | None = None,
        run: str | None = None,
        most_bytes: int = MOST_BYTES,
        on_refusal: Callable[[str], None] = lambda text: None,
        warm: Callable[[], object] | None = None,
    ) -> None:
        self._gate, self._upstreams, self._run = gate, upstreams, run
        self._most_bytes, self._on_refusal = most_bytes, on_refusal
        self._warm = warm
        self._warming: asyncio.Future[None] | None = None
        self.bill = bill or Bill()
        self._sender = Sender()
        self._calls = Calls(self._sender, keys or Keys(()), self.bill, most_bytes, run)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; or start and stop with the server."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            self.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.close()
            await send({"type": "lifespan.shutdown.complete"})

    async def _warm_up(self) -> None:
        await self._sender.ready()
        if self._warm is not None:
            await asyncio.to_thread(self._warm)

    def start(self) -> None:
        """Load what the first call needs, beside everything else. A server's lifespan does it."""
        self._warming = asyncio.ensure_future(self._warm_up())

    async def close(self, seconds: float = 10.0) -> None:
        """Record what is still to be recorded, and close the connections."""
        await self._calls.recorder.finish(seconds)
        await self._sender.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = list(scope["headers"])
        raw = scope.get("raw_path") or scope["path"].encode()
        path = raw.partition(b"?")[0].decode("latin-1").removeprefix(scope.get("root_path", ""))
        try:
            payer, segment, rest = self._gate(path, headers)
            upstream = self._upstreams.get(segment)
            if upstream is None:
                raise Denied(404, f"there is no provider {segment[:40]!r} here")
        except Denied as denied:
            refused = Refusal(denied.status, "wallet_denied", _NO_RETRY, {})
            denial = error_body(_vendor_by_headers(headers), refused, str(denied))
            await answer(send, refused.status, denial, _NO_RETRY)
            return
        vendor = _vendor(upstream, rest)
        if header(headers, b"upgrade"):
            text = "WebSockets do not pass the wallet; use plain HTTP"
            await self._refuse(vendor, Refusal(426, "upgrade_refused", _NO_RETRY, {}), text, send)
            return
        try:
            body = await read_body(receive, self._most_bytes)
        except TooLarge:
            text = f"the body has more than {self._most_bytes} bytes"
            refused = Refusal(413, "too_large", {**_NO_RETRY, "connection": "close"}, {})
            await self._refuse(vendor, refused, text, send)
            return
        except ClientLeft:
            return
        request = Request(scope["method"], rest, scope.get("query_string", b""), headers, body)
        presence = Presence(receive)
        try:
            await self._pass(request, upstream, _with_session(payer, headers), presence, send)
        finally:
            presence.end()

    async def _pass(
        self, request: Request, upstream: Upstream, payer: Payer, presence: Presence, send: Send
    ) -> None:
        vendor, kind = _vendor(upstream, request.path), kind_of(request.path)
        is_call = kind is not None and request.method == "POST"
        try:
            if not is_call and not is_free(request.method, request.path):
                refused = Refusal(400, "not_metered", _NO_RETRY, {})
                await self._refuse(vendor, refused, _unmetered(request), send)
                return
            self.bill.requests += 1
            if kind is not None and is_call:
                if self._warming is not None and not self._warming.done():
                    await asyncio.wait([self._warming])
                await self._calls.metered(kind, request, upstream, payer, presence, send)
            else:
                await self._calls.plain(request, upstream, presence, send)
        except ClientLeft:
            return
        except BudgetledgerError as error:
            await self._refuse(vendor, refusal(error), message(error, self._run), send)
        except Unreachable as error:
            text = f"{upstream.host or upstream.provider.name} is not reachable"
            _log.warning("%s: %s", text, error)
            body = error_body(vendor, Refusal(502, "unreachable", {}, {}), text)
            await answer(send, 502, body, {})

    async def _refuse(self, vendor: Vendor, refused: Refusal, text: str, send: Send) -> None:
        if refused.status == 400:
            self.bill.refused += 1
            self._on_refusal(text)
        headers = {**refused.headers}
        if refused.status != 503:
            headers |= _NO_RETRY
            headers.pop("retry-after", None)
        await answer(send, refused.status, error_body(vendor, refused, text), headers)


def _vendor(upstream: Upstream, path: str) -> Vendor:
    kind = kind_of(path)
    return upstream.provider.vendor if kind is None else vendor_of(kind)


def _vendor_by_headers(headers: Headers) -> Vendor:
    return "anthropic" if header(headers, b"anthropic-version") else "openai"


def _unmetered(request: Request) -> str:
    shown = request.path[:80]
    return (
        f"{request.method} {shown} may cost money that the wallet cannot see, so it was not sent; "
        "use chat, Responses, messages, embeddings, images or generateContent, or run the program "
        "without the wallet"
    )


def _with_session(payer: Payer, headers: Headers) -> Payer:
    """*payer* with the session that agents name in a header as a tag of the rows."""
    for name in _SESSIONS:
        value = header(headers, name)
        if value and len(value) <= _LONGEST_SESSION and value.isprintable():
            return payer._replace(tags={"session": value, **(payer.tags or {})})
    return payer
