"""Turns a request of an OpenAI or Anthropic client into a call to hold for.

One generator makes both clients, and each of their methods calls
``client.request(cast_to, options, stream=..., stream_cls=...)``. This module reads and changes
``options``; it imports neither client.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from budgetledger.apis.call_arguments import Kind, asking_for_usage, hold_arguments
from budgetledger.apis.paths import kind_of
from budgetledger.callers import Caller, current
from budgetledger.clients.settling import reading_of
from budgetledger.errors import InvalidInput
from budgetledger.responses.response import Reading

CALLER = "x-budgetledger-caller"
"""The request header with the call's `Caller`; removed before the request is sent."""

_RAW = "x-stainless-raw-response"


class ClientCall:
    """A call that costs money: the arguments of its hold, and the readings of its answer."""

    hides_usage = False
    """Whether the stream has a last chunk with usage only because budgetledger requests it."""

    def __init__(self, kind: Kind, options: Any, sent: dict[str, Any], caller: Caller) -> None:
        body = _body(kind, options)
        _refuse_unmetered(body, options, sent)
        self.user = caller.account()
        self.hold = hold_arguments(kind, body) | {"tags": caller.tags, "key": caller.key}
        self._answers: list[object] = []
        self._responses: list[Any] = []
        self.is_answered = False
        """Whether an answer arrived: the call is then paid, even if parsing it fails."""
        self.streams = bool(sent.get("stream"))
        self._parse, options.post_parser = options.post_parser, self._keep_and_parse
        if self.streams:
            asking = asking_for_usage(kind, body)
            self.hides_usage = asking is not body
            if self.hides_usage:
                asked = {"stream_options": asking["stream_options"]}
                options.json_data = {**(options.json_data or {}), **asked}
                if "stream_options" in (options.extra_json or {}):  # it replaces json_data
                    options.extra_json = {**options.extra_json, **asked}

    def _keep_and_parse(self, answer: Any) -> Any:
        """Keep the answer, which is paid, and parse it; parsing may fail."""
        if not self.streams:
            self._answers.append(answer)
        return self._parse(answer) if callable(self._parse) else answer

    def answered(self, response: Any) -> None:
        """Record that the HTTP *response* to this call arrived."""
        self.is_answered = True
        if not self.streams:  # the stream itself has its response
            self._responses.append(response)

    def paid(self, result: Any = None) -> list[Reading]:
        """The reading of the answer, or of *result*, which the client made of it.

        Then the readings of paid answers that a middleware of the client replaced.
        """
        if self._answers:
            last = reading_of(self._answers[-1])
        else:
            last = _read(self._responses[-1] if result is None and self._responses else result)
        return [last, *(_read(response) for response in self._responses[:-1])]


def _read(result: Any) -> Reading:
    """Read an HTTP response, that of ``with_raw_response``, or the client's object."""
    response = getattr(result, "http_response", result)
    if hasattr(response, "num_bytes_downloaded"):
        with suppress(ValueError):  # not JSON: nothing to read
            return reading_of(response.json())
    return reading_of(result)


def answered(options: Any, response: Any) -> None:
    """Record the HTTP *response* in the metered call that *options* belong to, if any.

    An answer that the client cannot read, or finds invalid, is paid too.
    """
    call = getattr(options.post_parser, "__self__", None)
    if isinstance(call, ClientCall) and response.is_success:
        call.answered(response)


def taken_from(options: Any, sent: dict[str, Any], own: Caller) -> ClientCall | None:
    """The metered call that a request makes; None if its API is not metered.

    *sent*: the keyword arguments beside *options*. *own*: the caller the client is wrapped for.
    Raises `InvalidInput` for a call whose cost would go unnoticed.
    """
    header = _header(options, CALLER)
    caller = current() if header is None else Caller.from_header(header)
    if header is not None:
        kept = {name: value for name, value in options.headers.items() if name.lower() != CALLER}
        options.headers = kept
    kind = kind_of(urlsplit(str(options.url)).path)
    if kind is None or str(options.method).lower() != "post":
        return None
    return ClientCall(kind, options, sent, caller.over(own))


def url_of(client: Any, options: Any) -> str:
    """The URL that a request is sent to, or that of the client before its path."""
    url = str(options.url)
    return url if "://" in url else str(client.base_url)


def _body(kind: Kind, options: Any) -> dict[str, Any]:
    fields = options.json_data if options.json_data is not None else {}
    if not isinstance(fields, Mapping) or getattr(options, "content", None) is not None:
        raise InvalidInput(
            f"the body of this call is a {type(fields).__name__}, so nothing can be held for it; "
            "pass a dict"
        )
    body = {**fields, **(options.extra_json or {})}
    if kind == "image" and options.files:
        files = options.files.items() if isinstance(options.files, Mapping) else options.files
        body["image"] = [name for name, _ in files if name.startswith("image")]
    return body


def _refuse_unmetered(body: Mapping[str, Any], options: Any, sent: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` for a call whose cost would go unnoticed, before it is sent."""
    if str(_header(options, _RAW)).lower() == "stream":
        raise InvalidInput(
            "with_streaming_response is not metered; use the call itself, with stream=True if it "
            "should stream, or with_raw_response"
        )
    if sent.get("stream") and sent.get("stream_cls") is None:
        raise InvalidInput("a stream is metered by its class; pass stream_cls=openai.Stream[...]")
    if body.get("background"):
        raise InvalidInput(
            "a background response has its usage only later, so it is not metered; omit "
            "background, or hold and settle around the call with the unwrapped client"
        )


def _header(options: Any, name: str) -> Any:
    headers = options.headers if isinstance(options.headers, Mapping) else {}
    return next((value for given, value in headers.items() if given.lower() == name), None)
