"""Streams of the OpenAI and Anthropic clients that settle their hold, however they end.

Such a stream has two parts: the chunks, which its ``__stream__`` reads, and the HTTP response,
which some helpers close without the stream. So the chunks are metered where they are read, and
closing the response settles what is left.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from copy import copy
from functools import lru_cache
from types import new_class
from typing import Any, get_origin

from budgetledger.aio import AsyncHold, asettle_stream
from budgetledger.holds import BaseHold, Hold, is_unanswered, settle_stream
from budgetledger.responses.stream import StreamReading, StreamUsage
from budgetledger.usage import Usage

_METER = "budgetledger"  # the key in the HTTP response's extensions


class _UnreadStream(StreamReading):
    """A stream closed before a chunk was read here: its prompt; unknown if read elsewhere."""

    def __init__(self, is_read: bool) -> None:
        super().__init__()
        self._is_read = is_read

    def usage(self, model: str | None, input_tokens: int | None) -> StreamUsage:
        used = None if self._is_read else Usage(input_tokens=input_tokens or 0)
        return StreamUsage(model, used, None, False)


class _Meter:
    """The hold for a stream, and whether reading the chunks settles it."""

    is_begun = False  # the chunks are being read, or the stream was closed unread

    def __init__(self, hold: Hold | AsyncHold, hides_usage: bool) -> None:
        self.hold, self._hides_usage = hold, hides_usage

    def shows(self, chunk: object) -> bool:
        """Whether the provider would send the chunk if no usage were requested."""
        usage = getattr(chunk, "usage", None)
        return not self._hides_usage or usage is None or bool(getattr(chunk, "choices", None))

    def unread(self, response: Any) -> _UnreadStream:
        """The usage of a stream closed before a chunk was read here."""
        self.is_begun = True
        return _UnreadStream(is_read=bool(response.num_bytes_downloaded))

    def __del__(self) -> None:
        if self.is_begun or sys.is_finalizing():
            return
        # Dropped unread; a finalizer must not wait.
        settle_stream(self.hold, _UnreadStream(is_read=False))


def meter(response: Any, hold: Hold, hides_usage: bool) -> None:
    """Settle *hold* for the stream whose HTTP *response* has begun."""
    state = response.extensions[_METER] = _Meter(hold, hides_usage)
    close = response.close

    def close_and_settle() -> None:
        try:
            close()
        finally:
            if not state.is_begun:
                settle_stream(hold, state.unread(response))
            else:
                passing = _passing_of(hold)
                if passing is not None:
                    with suppress(ValueError):  # the generator is running and settles when it ends
                        passing.close()

    response.close = close_and_settle


def meter_async(response: Any, hold: AsyncHold, hides_usage: bool) -> None:
    """As `meter`."""
    state = response.extensions[_METER] = _Meter(hold, hides_usage)
    close = response.aclose

    async def close_and_settle() -> None:
        try:
            await close()
        finally:
            if not state.is_begun:
                await asettle_stream(hold, state.unread(response))
            else:
                passing = _passing_of(hold)
                if passing is not None and not passing.ag_running:
                    await passing.aclose()

    response.aclose = close_and_settle


def _passing_of(hold: BaseHold) -> Any:
    held = getattr(hold, "_stream", None)
    return None if held is None else held()


def _chunks(stream: Any, read: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
    state: _Meter | None = stream.response.extensions.get(_METER)
    if state is None or state.is_begun:  # closed before: nothing to read
        yield from read(stream)
        return
    hold = state.hold
    assert isinstance(hold, Hold)
    state.is_begun = True
    passing = hold.stream(read(stream))
    try:
        for chunk in passing:
            if state.shows(chunk):
                yield chunk
    finally:
        passing.close()
        if is_unanswered(hold):
            hold.__exit__(None, None, None)


async def _async_chunks(
    stream: Any, read: Callable[[Any], AsyncIterator[Any]]
) -> AsyncIterator[Any]:
    state: _Meter | None = stream.response.extensions.get(_METER)
    if state is None or state.is_begun:
        async for chunk in read(stream):
            yield chunk
        return
    hold = state.hold
    assert isinstance(hold, AsyncHold)
    state.is_begun = True
    passing = hold.stream(read(stream))
    try:
        async for chunk in passing:
            if state.shows(chunk):
                yield chunk
    finally:
        await passing.aclose()
        if is_unanswered(hold):
            await hold.__aexit__(None, None, None)


@lru_cache(maxsize=256)
def metered(stream_cls: Any) -> Any:
    """A subclass of the client's stream class whose chunks are metered."""
    origin = get_origin(stream_cls) or stream_cls
    passing: Callable[..., Any] = _async_chunks if hasattr(origin, "__aiter__") else _chunks

    def read(stream: Any) -> Any:
        return super(kind, stream).__stream__()

    def of_copy(self: Any) -> Any:
        # On a copy: a generator that referred to its own stream would be a cycle, which keeps
        # a dropped, half-read stream and its hold open until the garbage collector runs.
        return passing(copy(self), read)

    names = {"__stream__": of_copy, "__module__": origin.__module__, "__doc__": origin.__doc__}
    kind: Any = new_class(origin.__name__, (stream_cls,), exec_body=lambda body: body.update(names))
    return kind
