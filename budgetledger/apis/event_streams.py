"""The events in the bytes of a stream, and which of them is the last. Pure.

Follows the WHATWG's "Server-sent events", and each API's own reference for its last event
(platform.openai.com, docs.anthropic.com, ai.google.dev; read 2026-11).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from budgetledger.apis.call_arguments import Kind

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DATA = re.compile(rb"^data:[ ]?(.*)$", re.MULTILINE)
_RESPONSE_ENDS = (b"response.completed", b"response.incomplete", b"response.failed")


class Event(NamedTuple):
    """``raw``: the bytes of an event, with the blank line after it; ``data``: its data."""

    raw: bytes
    data: bytes

    @property
    def content(self) -> Any:
        """The data as JSON; None if it is not JSON, such as ``[DONE]``."""
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return None


class Events:
    """Splits the bytes of a stream into its events."""

    def __init__(self) -> None:
        self.rest = b""
        """The beginning of an event whose end has not come yet."""

    def of(self, chunk: bytes) -> list[Event]:
        """The events that end in *chunk*, in order."""
        text, at, events = self.rest + chunk, 0, []
        # A separator may begin in what came before.
        for end in _END.finditer(text, max(0, len(self.rest) - 3)):
            events.append(_event(text[at : end.end()]))
            at = end.end()
        self.rest = text[at:]
        return events

    def last(self) -> list[Event]:
        """What came after the last blank line, if it has data: some servers omit that line."""
        rest, self.rest = self.rest, b""
        return [_event(rest)] if _DATA.search(rest) else []


def _event(raw: bytes) -> Event:
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw
    return Event(raw, b"\n".join(_DATA.findall(lines)))


def is_end(kind: Kind, event: Event) -> bool:
    """Whether a client takes *event* for the end of its stream."""
    data = event.data
    if kind in ("chat", "text"):
        return data == b"[DONE]"
    if kind == "messages":
        return b'"message_stop"' in data and _type(event) == "message_stop"
    if kind == "responses" and any(end in data for end in _RESPONSE_ENDS):
        return _type(event).encode() in _RESPONSE_ENDS
    return False


def has_last_usage(kind: Kind, event: Event) -> bool:
    """Whether *event* has the usage of the whole stream; more may follow all the same.

    From here on the rest of a stream has nothing that its cost depends on, as a rule.
    """
    data = event.data
    if kind in ("chat", "text"):
        return b'"usage"' in data and is_usage_alone(event.content)
    if kind == "messages":
        return b'"message_delta"' in data and _type(event) == "message_delta"
    if kind == "generate":
        return b'"finishReason"' in data
    return kind == "image" and b".completed" in data[:200]


def is_usage_alone(chunk: object) -> bool:
    """Whether a chunk of chat or text has the usage, and no choice."""
    return isinstance(chunk, Mapping) and bool(chunk.get("usage")) and not chunk.get("choices")


def _type(event: Event) -> str:
    content = event.content
    kind = content.get("type") if isinstance(content, Mapping) else None
    return kind if isinstance(kind, str) else ""


def partial_array(text: str) -> list[Any]:
    """The values of a JSON array of which perhaps only the beginning has come."""
    decoder, values = json.JSONDecoder(), []
    at = text.find("[") + 1
    while at:
        at = next((n for n in range(at, len(text)) if text[n] not in " \t\r\n,"), len(text))
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:  # the end, or a value that is cut
            break
        values.append(value)
    return values
