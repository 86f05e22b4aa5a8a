"""What an answered call of the LiteLLM Proxy cost: LiteLLM's own figure, where it has one.

LiteLLM's figure is 0 for a model whose price it does not know. It is taken for a price only if
0 was stated, or the answer came from the Proxy's cache. Counts that are all 0 are LiteLLM's for
what it did not count, such as a stream it has translated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.response import model_of, read_response
from budgetledger.responses.stream import StreamReading
from budgetledger.usage import Usage


class Paid(NamedTuple):
    """The model that answered, what it used, and USD; None for what is not known."""

    model: str | None
    usage: Usage | None
    cost: Decimal | None


def of_response(response: Any, logged: Any, *, is_free: bool) -> Paid:
    """What a whole *response* cost. *logged*: LiteLLM's ``Logging`` of the call, if any."""
    model, usage = _read(response)
    model = _answering(logged) or model
    hidden = getattr(response, "_hidden_params", None) or {}
    figure = _usd(hidden.get("response_cost"))
    if figure is None:
        figure = _computed(logged, model, usage)
    is_cached = bool(hidden.get("cache_hit")) or _is_cached(logged)
    return Paid(model, usage, _believed(figure, is_cached, is_free))


def of_stream(
    reading: StreamReading, model: str, input_tokens: int, logged: Any, *, is_free: bool
) -> Paid:
    """The cost of what was read of a stream; an estimate, unless the stream had its usage."""
    used = reading.usage(model, input_tokens)
    answered = _answering(logged) or used.model
    usage, figure = _counted(used.usage), _usd(used.cost)
    if figure is None:
        figure = _computed(logged, answered, usage)
    return Paid(answered, usage, _believed(figure, _is_cached(logged), is_free))


def of_event(kwargs: Mapping[str, Any], response: Any, *, is_free: bool) -> Paid:
    """The cost of a call by LiteLLM's success event."""
    model, usage = _read(response)
    model = kwargs.get("model") or model
    figure, is_cached = _usd(kwargs.get("response_cost")), bool(kwargs.get("cache_hit"))
    return Paid(model, usage, _believed(figure, is_cached, is_free))


class Events:
    """Cuts the bytes of a stream of server-sent events, as they come, into the events' data."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, chunk: Any) -> Iterator[Any]:
        """The events that end in *chunk*; itself if it is no bytes or text."""
        if not isinstance(chunk, (bytes, str)):
            yield chunk
            return
        self._rest += chunk if isinstance(chunk, bytes) else chunk.encode(errors="replace")
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                with suppress(ValueError):  # such as [DONE]
                    yield json.loads(line[5:])


def _read(response: Any) -> tuple[str | None, Usage | None]:
    try:
        model, usage, _ = read_response(response)
    except UnreadableResponse:
        return model_of(response), None
    return model, _counted(usage)


def _counted(usage: Usage | None) -> Usage | None:
    return None if usage is None or not any(usage[:-1]) else usage


def _computed(logged: Any, model: str | None, usage: Usage | None) -> Decimal | None:
    """The figure LiteLLM will log, by the price of the deployment that answered."""
    if logged is None or usage is None:
        return None
    import litellm

    counted = litellm.Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_tokens,
        cache_creation_input_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
    )
    with suppress(Exception):  # it raises whatever it likes for what it cannot price
        response = litellm.ModelResponse(model=model or "", usage=counted)
        return _usd(logged.response_cost_calculator(result=response))
    return None


def _answering(logged: Any) -> str | None:
    """The deployment's own model; the answer may carry the Proxy's name for it."""
    model = (getattr(logged, "model_call_details", None) or {}).get("model")
    return model if isinstance(model, str) and model else None


def _is_cached(logged: Any) -> bool:
    return bool((getattr(logged, "model_call_details", None) or {}).get("cache_hit"))


def _believed(figure: Decimal | None, is_cached: bool, is_free: bool) -> Decimal | None:
    if is_cached:
        return Decimal(0)
    return None if figure == 0 and not is_free else figure


def _usd(figure: Any) -> Decimal | None:
    if isinstance(figure, bool) or not isinstance(figure, (int, float, Decimal)):
        return None
    usd = Decimal(str(figure))
    return usd if usd.is_finite() and usd >= 0 else None
