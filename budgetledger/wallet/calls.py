"""One metered call: a hold, the request, the answer as it comes, and the settle before its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from budgetledger.aio import AsyncHold, AsyncLedger
from budgetledger.apis.call_arguments import Kind, hold_arguments
from budgetledger.apis.error_forms import error_event
from budgetledger.apis.refusals import refusal
from budgetledger.apis.requested_usage import body_asking, is_refusal_of_it
from budgetledger.errors import InvalidInput, StreamStopped
from budgetledger.holds import is_unanswered
from budgetledger.responses.stream import StreamReading
from budgetledger.wallet.answers import Careful, EventAnswer, answer_to
from budgetledger.wallet.bill import Bill
from budgetledger.wallet.exchange import (
    ClientLeft,
    Headers,
    Presence,
    Request,
    Send,
    header,
)
from budgetledger.wallet.forwarding import Sender, Unreachable, end_to_end, request_headers
from budgetledger.wallet.holding import held
from budgetledger.wallet.keys import Keys
from budgetledger.wallet.recording import Recorder
from budgetledger.wallet.refusals import message
from budgetledger.wallet.request_fields import read_fields
from budgetledger.wallet.upstreams import Upstream

_OF_BYTES = frozenset({b"content-encoding", b"content-length"})
_LONG = 256 * 1024  # bytes of an answer; to read as much as JSON takes a millisecond
_SUBSCRIPTION = "Bearer sk-ant-oat"


class Payer(NamedTuple):
    """For whom a call is made: an account of a ledger, the tags of its rows, seconds to wait."""

    ledger: AsyncLedger
    account: str
    tags: dict[str, Any] | None
    wait: float
    stops_at_limit: bool = False


class Calls:
    """Makes the calls of a wallet."""

    def __init__(
        self, sender: Sender, keys: Keys, bill: Bill, most_bytes: int, run: str | None
    ) -> None:
        self._sender, self._keys, self._bill = sender, keys, bill
        self._most_bytes, self._run = most_bytes, run
        self.recorder = Recorder(bill)
        self._takes_no_options: set[str] = set()  # bases whose servers refuse stream_options

    async def plain(
        self, request: Request, upstream: Upstream, presence: Presence, send: Send
    ) -> None:
        """Pass on a request that costs nothing. Raises `Unreachable`, `ClientLeft`."""
        headers = request_headers(request.headers, is_read=False, is_rewritten=False)
        with presence:
            response = await self._sent(request, upstream, headers, request.body)
            await _pass_on(response, send)

    async def metered(
        self, kind: Kind, request: Request, upstream: Upstream, payer: Payer,
        presence: Presence, send: Send,
    ) -> None:  # fmt: skip
        """Make a call that costs money. Raises the errors of `Ledger.hold`, `Unreachable`,
        `ClientLeft`; each before anything was spent."""
        fields, plain = await read_fields(kind, request, self._most_bytes)
        if fields.get("background"):
            raise InvalidInput(
                "a background response has its usage only later, so its cost would go unseen; "
                "turn background off in the program"
            )
        asking = None
        if upstream.base not in self._takes_no_options:
            asking = body_asking(kind, plain, fields)
        hold = await self._hold(kind, fields, payer, presence)
        self._bill.held(hold.amount)
        try:
            with presence:
                response, hides = await self._answered(
                    request, upstream, asking, stops=payer.stops_at_limit
                )
        except (ClientLeft, Unreachable) as error:
            await self.recorder.release(hold, type(error).__name__)
            raise
        except asyncio.CancelledError:
            self.recorder.later(self.recorder.release(hold, "the wallet stopped"))
            raise
        if not 200 <= response.status_code < 300:
            await self.recorder.release(hold, f"status {response.status_code}")
            with presence:
                await _pass_on(response, send)
            return
        if request.header(b"authorization").startswith(_SUBSCRIPTION):
            self._bill.by_subscription += 1
        await self._passing(kind, request, payer, hold, response, hides, presence, send)

    async def _hold(
        self, kind: Kind, fields: dict[str, Any], payer: Payer, presence: Presence
    ) -> AsyncHold:
        def waits() -> None:
            self._bill.waited += 1

        call = hold_arguments(kind, fields)
        with presence:
            return await held(payer.ledger, payer.account, call, payer.tags, payer.wait, waits)

    async def _answered(
        self, request: Request, upstream: Upstream, asking: bytes | None, *, stops: bool
    ) -> tuple[Any, bool]:
        """The answer's head, and whether its usage was asked for without the client."""
        if asking is not None:
            headers = request_headers(request.headers, is_read=True, is_rewritten=True)
            headers = [each for each in headers if each[0] != b"content-encoding"]
            response = await self._sent(request, upstream, headers, asking)
            if response.status_code not in (400, 422):
                return response, True
            # The server made nothing yet: what it refuses is our addition, not the call.
            body = await response.aread()
            if not is_refusal_of_it(response.status_code, body):
                return response, False
            self._takes_no_options.add(upstream.base)
        headers = request_headers(request.headers, is_read=True, is_rewritten=stops)
        return await self._sent(request, upstream, headers, request.body), False

    async def _sent(
        self, request: Request, upstream: Upstream, headers: Headers, body: bytes
    ) -> Any:
        headers, query = self._keys.put_back(upstream, headers, request.query)
        url = upstream.url(request.path) + (f"?{query.decode('latin-1')}" if query else "")
        return await self._sender.send(request.method, url, headers, body)

    async def _passing(
        self, kind: Kind, request: Request, payer: Payer, hold: AsyncHold, response: Any,
        hides: bool, presence: Presence, send: Send,
    ) -> None:  # fmt: skip
        """Pass a paid answer on, and settle before the client has the last of it."""
        headers: Headers = response.headers.raw
        lowered = [(name.lower(), value) for name, value in headers]
        encoding = header(lowered, b"content-encoding")
        answer = answer_to(
            kind, request.path, header(lowered, b"content-type"), encoding, hides_usage=hides
        )
        is_stopping = payer.stops_at_limit and isinstance(answer, EventAnswer)
        is_rewritten = is_stopping or (hides and isinstance(answer, EventAnswer))
        await _start(response, send, _OF_BYTES if is_rewritten else frozenset())
        if is_stopping and isinstance(answer, EventAnswer):
            await self._stopping(kind, answer, hold, response, presence, send)
            return
        is_whole, size, chunks, reader = False, 0, response.aiter_raw(), Careful(answer)
        try:
            with suppress(ClientLeft, Unreachable), presence:
                async for data in chunks:
                    size += len(data)
                    if passed := reader.passes(data):
                        await send(_part(passed))
                    if reader.is_ended:
                        break
                is_whole = True
        except asyncio.CancelledError:
            paid = reader.paid(is_whole=False)
            self.recorder.later(self._settle(payer, hold, paid, presence))
            raise
        if not is_whole:
            await _close(response)
        read = partial(reader.paid, is_whole=is_whole)
        paid = await asyncio.to_thread(read) if size > _LONG else read()
        await self._settle(payer, hold, paid, presence)
        if not is_whole:
            return  # the server then cuts the client's connection, as the provider's was cut
        if kept := reader.kept_back():
            await send(_part(kept))
        if reader.is_ended:
            with suppress(ClientLeft, Unreachable), presence:
                async for data in chunks:
                    if passed := reader.passes(data) + reader.kept_back():
                        await send(_part(passed))
        await _close(response)
        await send({"type": "http.response.body", "body": b""})

    async def _stopping(
        self, kind: Kind, answer: EventAnswer, hold: AsyncHold, response: Any,
        presence: Presence, send: Send,
    ) -> None:  # fmt: skip
        """Pass a stream on, event by event, until the hold can be raised no further."""
        passed: list[bytes] = []

        async def contents() -> AsyncIterator[Any]:
            async for data in response.aiter_raw():
                for part, content in answer.pieces(data):
                    passed.append(part)
                    if content is not None:
                        yield content
                if answer.is_ended:
                    return
            for part, content in answer.pieces(None):
                passed.append(part)
                if content is not None:
                    yield content

        ending, before = b"", hold.amount
        stream = hold.stream(contents(), stop_at_limit=True)
        try:
            with presence:
                async for _ in stream:
                    if parts := b"".join(passed):
                        await send(_part(parts))
                    passed.clear()
                    self._bill.held(hold.amount - before)
                    before = hold.amount
        except StreamStopped as error:
            self._bill.stopped += 1
            text = message(error, self._run)
            ending = error_event(kind, refusal(error), text)
        except (ClientLeft, Unreachable):
            return
        finally:
            await _close(response)
            if is_unanswered(hold):
                await self.recorder.release(hold, "the stream was empty")
            else:
                self.recorder.closed(hold)
        await send(_part(b"".join(passed) + (ending or answer.kept_back())))
        await send({"type": "http.response.body", "body": b""})

    async def _settle(self, payer: Payer, hold: AsyncHold, paid: Any, presence: Presence) -> None:
        if paid is None and not presence.has_left:
            await self.recorder.release(hold, "the stream was empty")
            return
        # Of a stream that its client left before the first chunk, the prompt may be billed.
        await self.recorder.settle(payer.ledger, hold, paid or StreamReading())


async def _start(response: Any, send: Send, dropped: frozenset[bytes] = frozenset()) -> None:
    headers = [
        (name, value)
        for name, value in end_to_end(response.headers.raw)
        if name.lower() not in dropped
    ]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})


async def _pass_on(response: Any, send: Send) -> None:
    """Pass on an answer that costs nothing. Its client may have to see it break."""
    try:
        if response.is_stream_consumed:  # read already, and decoded
            await _start(response, send, _OF_BYTES)
            await send(_part(response.content))
        else:
            await _start(response, send)
            async for data in response.aiter_raw():
                await send(_part(data))
    except Unreachable:
        return
    finally:
        await _close(response)
    await send({"type": "http.response.body", "body": b""})


async def _close(response: Any) -> None:
    with suppress(Exception):
        await asyncio.shield(response.aclose())


def _part(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}
