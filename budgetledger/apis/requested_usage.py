"""A stream's usage that its client did not ask for: asking for it, and hiding it again. Pure.

A chat or text stream that is asked for its usage has one more chunk, and ``"usage": null`` in each
other one (platform.openai.com/docs/api-reference/chat/create, read 2026-11).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from budgetledger.apis.call_arguments import Kind, asking_for_usage
from budgetledger.apis.event_streams import Event, is_usage_alone

_OPTIONS = b'"stream_options":{"include_usage":true}'
_NULL = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])|"usage"\s*:\s*null\s*,\s*')
_DEPTH = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{}\]]')


def body_asking(kind: Kind, body: bytes, fields: Mapping[str, Any]) -> bytes | None:
    """*body*, JSON with these *fields*, which asks for usage too; None if it asks or has none."""
    asking = asking_for_usage(kind, fields)
    if asking is fields:
        return None
    end = body.rstrip()
    if "stream_options" in fields or not end.endswith(b"}"):
        return json.dumps(asking, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return end[:-1] + b"," + _OPTIONS + b"}"


def is_refusal_of_it(status: int, body: bytes) -> bool:
    """Whether a server refuses a request because it was asked for usage."""
    return status in (400, 422) and (b"stream_options" in body or b"include_usage" in body)


def hidden(event: Event) -> bytes:
    """The bytes of *event* without what a client would not get that did not ask for usage."""
    if b'"usage"' not in event.data:
        return event.raw
    if is_usage_alone(event.content):
        return b""
    for member in _NULL.finditer(event.raw):
        if _is_at_the_top(event.raw, member):
            return event.raw[: member.start()] + event.raw[member.end() :]
    return event.raw


def _is_at_the_top(raw: bytes, member: re.Match[bytes]) -> bool:
    """Whether a match is a member of the chunk itself, and no text or part of an inner object."""
    depth = 0
    for token in _DEPTH.finditer(raw, raw.find(b"{")):
        if token.start() >= member.start():
            return depth == 1
        if token.end() > member.start():  # inside a text
            return False
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
    return False
