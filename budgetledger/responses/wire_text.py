"""A stream's own lines, as an HTTP client gives them: the JSON objects in them.

Follows the HTML standard, "Server-sent events" (``data:`` and the other fields), and Ollama's and
Cohere's streams of one JSON object a line. Anything else is text that the model wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_BEFORE_DATA = ("event:", "id:", "retry:", ":")
_FIELDS = ("data:", *_BEFORE_DATA)
_BEGINS = ("data:", "event:", "id:")
_LONGEST = 4000  # characters without an event, after which the text is no stream of events


class WireText:
    """Takes pieces of text, however they were cut, and gives the objects in them, or the text."""

    def __init__(self) -> None:
        self._is_wire: bool | None = None  # None: not known yet
        self._rest = ""

    @property
    def pending(self) -> str:
        """Text of which it is not known yet whether the model wrote it."""
        return "" if self._is_wire else self._rest

    def feed(self, text: str) -> Iterator[str | dict[str, Any]]:
        """The objects that are whole now; or *text* and what was held of earlier pieces."""
        if self._is_wire is False:
            yield text
            return
        last = self._rest.rpartition("\n")[2]
        if text.startswith(_BEGINS) and last.startswith((*_BEFORE_DATA, "data: [DONE]")):
            self._rest += "\n"  # clients that give line by line leave the ends of lines out
        self._rest += text
        lines = self._rest.replace("\r", "\n").split("\n")
        is_first = self._is_wire is None
        events = [event for line in lines if (event := _event_in(line, is_first)) is not None]
        if events:
            self._is_wire = True
        elif is_first and not (len(self._rest) < _LONGEST and all(map(_may_be_wire, lines))):
            self._is_wire = False
            text, self._rest = self._rest, ""
            yield text
        if self._is_wire:
            last = lines[-1]
            self._rest = "" if _event_in(last, is_first=False) is not None else last
            yield from events


def _may_be_wire(line: str) -> bool:
    """Whether a *line*, perhaps not whole, may be of a stream of events or of JSON objects."""
    line = line.strip()
    is_field = any(line.startswith(name) or name.startswith(line) for name in _FIELDS)
    return not line or line[0] == "{" or is_field


def _event_in(line: str, is_first: bool) -> dict[str, Any] | None:
    """The object in a *line*; None if it has none, or is not whole.

    A model may write JSON too, so that the *first* object of a line without ``data:`` must be one
    that says whether it is the last.
    """
    line = line.strip()
    is_data = line.startswith("data:")
    body = line[5:].strip() if is_data else line
    if not (body.startswith("{") and body.endswith("}")):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    says_end = isinstance(value.get("done", value.get("is_finished")), bool)
    return value if is_data or says_end or not is_first else None
