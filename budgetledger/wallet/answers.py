"""Reads an answer while its bytes pass, and keeps back the last of them until it is settled.

Of a stream that comes to its end only the events with the usage are read; the others are kept, as
bytes, for one that does not. Pure.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, Protocol

from budgetledger.apis.call_arguments import Kind
from budgetledger.apis.event_streams import Event, Events, has_last_usage, is_end, partial_array
from budgetledger.apis.requested_usage import hidden
from budgetledger.clients.settling import reading_of
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading
from budgetledger.wallet.encodings import Decoder, UnknownEncoding, decoder

_log = logging.getLogger("budgetledger.wallet")
_MOST_KEPT = 1_000_000  # bytes of events that have not been read


class Answer(Protocol):
    """An answer that passes."""

    @property
    def is_ended(self) -> bool:
        """Whether its last event came, so that a client may stop reading."""

    def passes(self, data: bytes) -> bytes:
        """Take the next bytes of the provider; return those that the client may have now."""

    def kept_back(self) -> bytes:
        """The bytes that the client may have once the call is settled."""

    def paid(self, *, is_whole: bool) -> Reading | StreamReading | None:
        """What to settle with. None if no part of a stream came. May take milliseconds."""


def answer_to(
    kind: Kind, path: str, content_type: str, encoding: str, *, hides_usage: bool
) -> Answer:
    """The reader of an answer with these headers."""
    try:
        decoding: Decoder | None = decoder(encoding)
    except UnknownEncoding:
        decoding = None
    if decoding is None:
        return WholeAnswer(None)
    if content_type.lower().startswith("text/event-stream"):
        return EventAnswer(kind, decoding, hides_usage=hides_usage)
    if kind == "generate" and ":stream" in path:
        return ArrayAnswer(decoding)
    return WholeAnswer(decoding)


class Careful:
    """Passes an answer all the same where reading it fails; its cost is then what was held."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    @property
    def is_ended(self) -> bool:
        """Whether its last event came."""
        return self.answer.is_ended

    def passes(self, data: bytes) -> bytes:
        """The bytes that the client may have now."""
        try:
            return self.answer.passes(data)
        except Exception:
            _log.exception("an answer could not be read")
            kept = self.kept_back()
            self.answer = WholeAnswer(None)
            return kept + self.answer.passes(data)

    def kept_back(self) -> bytes:
        """The bytes that the client may have once the call is settled."""
        return self.answer.kept_back()

    def paid(self, *, is_whole: bool) -> Reading | StreamReading | None:
        """What to settle with."""
        try:
            return self.answer.paid(is_whole=is_whole)
        except Exception:
            _log.exception("an answer could not be read")
            return Reading(None, None, None)


class WholeAnswer:
    """One JSON document. *decoding* None: it cannot be read."""

    is_ended = False

    def __init__(self, decoding: Decoder | None) -> None:
        self._decoding = decoding
        self._parts: list[bytes] = []

    def passes(self, data: bytes) -> bytes:
        """All but the latest part."""
        before = self._parts[-1] if self._parts else b""
        self._parts.append(data)
        return before

    def kept_back(self) -> bytes:
        """The latest part."""
        return self._parts[-1] if self._parts else b""

    def paid(self, *, is_whole: bool) -> Reading | StreamReading | None:
        """The usage of the document; without one, or of a part, the cost is what was held."""
        if not is_whole or self._decoding is None:
            return Reading(None, None, None)
        try:
            return reading_of(json.loads(self._decoding.decompress(b"".join(self._parts))))
        except Exception:  # damaged, or no JSON
            return Reading(None, None, None)


class ArrayAnswer:
    """Gemini's stream without ``alt=sse``: a JSON array, an element at a time."""

    is_ended = False

    def __init__(self, decoding: Decoder) -> None:
        self._decoding = decoding
        self._text: list[bytes] = []
        self._kept = b""

    def passes(self, data: bytes) -> bytes:
        """All but a part that may be the last."""
        plain = _decompressed(self._decoding, data)
        self._text.append(plain)
        passed, self._kept = self._kept + data, b""
        if plain.rstrip().endswith(b"]"):
            passed, self._kept = b"", passed
        return passed

    def kept_back(self) -> bytes:
        """The end of the array."""
        return self._kept

    def paid(self, *, is_whole: bool) -> Reading | StreamReading | None:
        """The usage of the elements that came."""
        reading = StreamReading()
        for element in partial_array(b"".join(self._text).decode("utf-8", "replace")):
            reading.add(element)
        return reading if reading.started else None


class EventAnswer:
    """Server-sent events. *hides_usage*: their usage was asked for without the client."""

    def __init__(self, kind: Kind, decoding: Decoder, *, hides_usage: bool) -> None:
        self.is_ended = False
        self._kind, self._decoding, self._hides_usage = kind, decoding, hides_usage
        self._events = Events()
        self._reading = StreamReading()
        self._unread: list[Event] = []
        self._unread_bytes = 0
        self._first_last = 0  # the place in _unread of the first event with the last usage
        self._kept = b""

    def passes(self, data: bytes) -> bytes:
        """The bytes until the one that has the usage of the whole stream."""
        return self._pass(data, self._events.of(_decompressed(self._decoding, data)))

    def pieces(self, data: bytes | None) -> Iterator[tuple[bytes, Any]]:
        """As `passes`, event by event, each with its content; its bytes are the decoded ones.

        *data* None: the stream has ended; what came after its last blank line.
        """
        if data is None:
            events = self._events.last()
        else:
            events = self._events.of(_decompressed(self._decoding, data))
        for event in events:
            yield self._pass(event.raw, [event]), event.content

    def _pass(self, data: bytes, events: list[Event]) -> bytes:
        is_last = bool(self._kept)
        for event in events:
            self._keep(event)
            is_end_event = is_end(self._kind, event)
            if is_end_event or has_last_usage(self._kind, event):
                self.is_ended |= is_end_event
                is_last = True
                self._first_last = self._first_last or len(self._unread)
            elif event.data:
                is_last, self._first_last = self.is_ended, 0
        if self._hides_usage:
            data = b"".join(hidden(event) for event in events)
        passed, self._kept = self._kept + data, b""
        if is_last:
            passed, self._kept = b"", passed
        return passed

    def kept_back(self) -> bytes:
        """The end of the stream, with an event that has no blank line after it."""
        kept, self._kept = self._kept, b""
        if self._hides_usage:
            kept, self._events.rest = kept + self._events.rest, b""
        return kept

    def _keep(self, event: Event) -> None:
        if not event.data:
            return
        self._unread.append(event)
        self._unread_bytes += len(event.data)
        if self._unread_bytes > _MOST_KEPT:
            self._read(self._unread)

    def _read(self, events: list[Event]) -> None:
        for event in events:
            content = event.content
            if content is not None:
                self._reading.add(content)
        self._unread, self._unread_bytes, self._first_last = [], 0, 0

    def paid(self, *, is_whole: bool) -> Reading | StreamReading | None:
        """The usage that the end of the stream has, else that of all that came."""
        for event in self._events.last():
            self._kept = self._pass(b"", [event]) + self._kept
        short = self._of_the_end() if is_whole else None
        if short is not None:
            return short
        self._read(self._unread)
        return self._reading if self._reading.started else None

    def _of_the_end(self) -> StreamReading | None:
        """The first event, and those from the one with the last usage on, if they tell all."""
        if self._reading.started or not self._first_last:
            return None
        first, *last = self._unread[0], *self._unread[self._first_last - 1 :]
        if self._kind == "messages" and b'"message_start"' not in first.data:
            return None
        if self._kind not in ("chat", "text", "messages", "responses"):
            return None
        short = StreamReading()
        for event in (first, *last):
            if (content := event.content) is not None:
                short.add(content)
        used = short.usage(None, None)
        # No output at all is not believed if there was text, which is not read here.
        is_enough = used.reported and used.usage is not None and used.usage.output_tokens > 0
        return short if is_enough else None


def _decompressed(decoding: Decoder, data: bytes) -> bytes:
    try:
        return decoding.decompress(data)
    except Exception:  # a damaged answer passes all the same
        return b""
