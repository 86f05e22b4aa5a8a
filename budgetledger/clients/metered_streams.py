"""Streams of any client, passed on under a hold that is settled however they end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import suppress
from decimal import Decimal
from inspect import isawaitable
from typing import Any

from budgetledger.aio import AsyncHold
from budgetledger.errors import BudgetledgerError
from budgetledger.holds import BaseHold, Hold, nested, settle_stream
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading, StreamUsage


class _ConsumedElsewhere(StreamReading):
    """A stream whose chunks were read elsewhere, so that its usage is unknown."""

    def usage(self, model: str | None, input_tokens: int | None) -> StreamUsage:
        return StreamUsage(model, None, None, False)


class _Stream:
    """A proxy of a client's stream: it forwards the attributes it does not have."""

    def __init__(self, stream: Any, hold: Any) -> None:
        self._stream, self._hold, self._begun = stream, hold, False
        self._is_asked = False  # whether an attribute was read, which may consume the stream

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._stream, name)
        self._is_asked |= not name.startswith("_")
        return value

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # isinstance works as for the client's stream
        return type(self._stream)

    def _settle_unread(self) -> None:
        """Settle a stream that was not read here: its prompt, at least, may be billed."""
        if not self._begun:
            self._begun = True
            past = self._is_read_past()
            reading = _ConsumedElsewhere() if past else StreamReading()
            settle_stream(self._hold, reading)

    def _settle_empty(self) -> None:
        """Settle a stream that had already ended at its first read here."""
        if self._is_read_past():
            self._begun = False
            self._settle_unread()

    def _is_read_past(self) -> bool:
        response = getattr(self._stream, "response", None)
        return self._is_asked and getattr(response, "num_bytes_downloaded", 1) > 0

    def __del__(self) -> None:
        with suppress(Exception):
            self._settle_unread()


class MeteredStream(_Stream):
    """A stream to be read by ``for``."""

    def __init__(self, stream: Any, hold: Hold, is_free: bool = False) -> None:
        super().__init__(stream, hold)
        self._passing = hold.stream(_chunks(stream, hold, is_free))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        is_first, self._begun = not self._begun, True
        try:
            with nested(self._hold):
                return next(self._passing)
        except BaseException as error:
            if is_first and isinstance(error, StopIteration):
                self._settle_empty()
            # This matters only for a stream that broke before its first chunk.
            self._hold.__exit__(type(error), error, None)
            raise

    def close(self) -> None:
        """Stop reading: close the connection and settle the chunks that arrived."""
        self._passing.close()
        self._settle_unread()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncMeteredStream(_Stream):
    """A stream to be read by ``async for``."""

    def __init__(self, stream: Any, hold: AsyncHold, is_free: bool = False) -> None:
        super().__init__(stream, hold)
        self._passing = hold.stream(_achunks(stream, hold, is_free))

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        is_first, self._begun = not self._begun, True
        try:
            with nested(self._hold):
                return await anext(self._passing)
        except BaseException as error:
            if is_first and isinstance(error, StopAsyncIteration):
                self._settle_empty()
            await self._hold.__aexit__(type(error), error, None)
            raise

    async def aclose(self) -> None:
        """Stop reading: close the connection and settle the chunks that arrived."""
        await self._passing.aclose()
        self._settle_unread()

    close = aclose  # the name in OpenAI's and Anthropic's clients

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


def _chunks(stream: Any, hold: Hold, is_free: bool) -> Generator[Any, None, None]:
    reading = StreamReading()
    try:
        for chunk in stream:
            if is_free:
                reading.add(chunk)
            yield chunk
    finally:
        # litellm's streams can only be closed within.
        close = getattr(getattr(stream, "completion_stream", stream), "close", None)
        try:
            if callable(close):
                close()
        finally:
            if reading.started:
                with suppress(BudgetledgerError):
                    hold.settle(_for_nothing(reading, hold))


async def _achunks(stream: Any, hold: AsyncHold, is_free: bool) -> AsyncGenerator[Any, None]:
    reading = StreamReading()
    try:
        async for chunk in stream:
            if is_free:
                reading.add(chunk)
            yield chunk
    finally:
        inner = getattr(stream, "completion_stream", stream)
        close = getattr(inner, "aclose", None) or getattr(inner, "close", None)
        try:
            if callable(close):
                closing = close()
                if isawaitable(closing):
                    await closing
        finally:
            if reading.started:
                with suppress(BudgetledgerError):
                    await hold.settle(_for_nothing(reading, hold))


def _for_nothing(reading: StreamReading, hold: BaseHold) -> Reading:
    used = reading.usage(hold.model, None)
    return Reading(used.model or hold.model, used.usage, Decimal(0))
