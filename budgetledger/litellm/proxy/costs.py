"""The cost of an answered call of the LiteLLM Proxy: LiteLLM's own figure, where it has one.

LiteLLM's figure is 0 for a model without a known price. A 0 counts as a price only if it was
stated, or if the answer came from the Proxy's cache. LiteLLM reports counts that are all 0 for
what it did not count, such as a stream that it translated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.called_at import called_at
from budgetledger.responses.hidden_reasoning import hides_reasoning
from budgetledger.responses.readings import answer_of_stream
from budgetledger.responses.response import Reading, id_of, model_of, read_response
from budgetledger.responses.stream import StreamReading
from budgetledger.usage import Usage, has_counts


class Paid(NamedTuple):
    """The model that answered, its usage, and USD; None where unknown."""

    model: str | None
    usage: Usage | None
    cost: Decimal | None
    places: tuple[str, ...] = ()
    """Where LiteLLM says that the call was made: see `called_at`."""
    kind: type[Reading] = Reading
    """The kind of reading: of a usage that was reported, or counted, or of a failed call."""
    response_id: str | None = None

    @property
    def reading(self) -> Reading:
        """What the call's hold is settled with."""
        return self.kind(self.model, self.usage, self.cost).with_id(self.response_id)


def of_response(response: Any, data: Mapping[str, Any], *, is_free: bool) -> Paid:
    """The cost of a whole *response*. *data*: the request, as LiteLLM keeps it."""
    model, usage = _read(response)
    model = _answering(data) or model
    hidden = getattr(response, "_hidden_params", None) or {}
    figure = _usd(hidden.get("response_cost"))
    if figure is None:
        figure = _computed(data, model, usage)
    is_cached = bool(hidden.get("cache_hit")) or _is_cached(data)
    cost = _believed(figure, is_cached, is_free)
    return Paid(model, usage, cost, _places(data, response), response_id=id_of(response))


def of_stream(
    reading: StreamReading,
    model: str,
    input_tokens: int | None,
    data: Mapping[str, Any],
    *,
    is_free: bool,
    billed: Paid | None = None,
) -> Paid:
    """The cost of the part of a stream that arrived; an estimate unless it had its usage.

    *billed*: LiteLLM's figure for a part of the stream, perhaps only for the count at its start.
    The larger of each count is used. Neither is known of a model that hides its reasoning.
    """
    answered = _answering(data)
    answer, _ = answer_of_stream(reading, answered or model, input_tokens)
    answered = answered or answer.model
    usage, figure = _counted(answer.usage), _usd(answer.cost)
    is_hidden = answer.usage is None and hides_reasoning(answered) and not reading.is_unrecognised
    if billed is not None and billed.usage is not None and not is_hidden:
        larger = _larger(usage or Usage(), billed.usage)
        if larger == billed.usage:
            return billed._replace(model=answered, response_id=answer.response_id)
        usage, figure = larger, None
    if figure is None:
        figure = _computed(data, answered, usage)
    cost = _believed(figure, _is_cached(data) or _is_cached_stream(data), is_free)
    return Paid(answered, usage, cost, _places(data), type(answer), answer.response_id)


def of_event(kwargs: Mapping[str, Any], response: Any, *, is_free: bool) -> Paid:
    """The cost of a call, from LiteLLM's success event."""
    model, usage = _read(response)
    model = kwargs.get("model") or model
    figure, is_cached = _usd(kwargs.get("response_cost")), bool(kwargs.get("cache_hit"))
    cost = _believed(figure, is_cached, is_free)
    return Paid(model, usage, cost, _places({}, response, kwargs), response_id=id_of(response))


def of_failure(data: Mapping[str, Any]) -> Paid | None:
    """The cost of a failed call, by LiteLLM's figure; None if that is 0 or missing.

    A provider bills a stream that broke, and a prompt whose answer timed out. *data*: the request,
    or the ``kwargs`` of a failure event; clients cannot put objects there.
    """
    import litellm

    attempts = [(data.get("combined_usage_object"), data.get("response_cost"))]
    earlier = data.get("billed_failed_attempts")
    if isinstance(earlier, tuple):
        attempts += [(attempt.usage, attempt.response_cost) for attempt in earlier]
    usages, total = [], Decimal(0)
    for usage, figure in attempts:
        if isinstance(usage, litellm.Usage) and (cost := _usd(figure)):
            usages.append(_read({"usage": usage})[1] or Usage())
            total += cost
    if not usages:
        return None
    usage = usages[0]._replace(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
    )
    return Paid(None, _counted(usage), total)


class Events:
    """Splits the bytes of a stream of server-sent events into the events' data."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, chunk: Any) -> Iterator[Any]:
        """The events that end in *chunk*; *chunk* itself if it is neither bytes nor text."""
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
    return None if usage is None or not has_counts(usage) else usage


def _larger(came: Usage, billed: Usage) -> Usage:
    """*billed* if none of its counts is smaller, else *came* with the larger of each count."""
    if billed.input_tokens >= came.input_tokens and billed.output_tokens >= came.output_tokens:
        return billed
    return came._replace(
        input_tokens=max(came.input_tokens, billed.input_tokens),
        output_tokens=max(came.output_tokens, billed.output_tokens),
    )


def _computed(data: Mapping[str, Any], model: str | None, usage: Usage | None) -> Decimal | None:
    """The figure LiteLLM will log, by the price of the deployment that answered."""
    # The underscore is only an alias in today's LiteLLM, and the one name in 1.80.
    calculate = getattr(data.get("litellm_logging_obj"), "_response_cost_calculator", None)
    if calculate is None or usage is None:
        return None
    import litellm

    counted = litellm.Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_tokens,
        cache_creation_input_tokens=usage.cache_write_tokens + usage.cache_write_1h_tokens,
    )
    with suppress(Exception):  # it raises exceptions of any type for what it cannot price
        response = litellm.ModelResponse(model=model or "", usage=counted)
        deployment = _deployment(data)
        if deployment is None:
            return _usd(calculate(result=response))
        own = litellm.model_cost.get(deployment.model_info.id) or {}  # 0 stands for none in 1.80
        figure = litellm.completion_cost(
            response,
            model=deployment.litellm_params.model,
            custom_pricing=any(own.get(f"{way}_cost_per_token") for way in ("input", "output")),
            base_model=deployment.model_info.base_model,
            router_model_id=deployment.model_info.id,
        )
        return _usd(figure)
    return None


def _answering(data: Mapping[str, Any]) -> str | None:
    """The deployment's own model; the answer may contain the Proxy's name for it."""
    model, deployment = _logged(data).get("model"), _deployment(data)
    if deployment is not None:
        model = deployment.litellm_params.model
        model = model.partition("/")[2] or model
    return model if isinstance(model, str) and model else None


def _places(
    data: Mapping[str, Any], response: Any = None, logged: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Where the call was made: its base URL and provider, by the answer or LiteLLM's log."""
    details = _logged(data) if logged is None else logged
    parameters = details.get("litellm_params")
    url = parameters.get("api_base") if isinstance(parameters, Mapping) else None
    deployment = _deployment(data)
    model = None if deployment is None else deployment.litellm_params.model
    places = (*called_at(response), url, model, details.get("custom_llm_provider"))
    return tuple(place for place in places if isinstance(place, str) and place)


def _deployment(data: Mapping[str, Any]) -> Any:
    """The deployment that answered, if LiteLLM's log has only its name in the Proxy; else None.

    That is so for generateContent of models that are not Google's.
    """
    found = data.get("deployment")  # a client may send a value of that name
    named = getattr(found, "model_name", None)
    return found if named and named == _logged(data).get("model") else None


def _logged(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The details in LiteLLM's log of the call."""
    return getattr(data.get("litellm_logging_obj"), "model_call_details", None) or {}


def _is_cached(data: Mapping[str, Any]) -> bool:
    return bool(_logged(data).get("cache_hit"))


def _is_cached_stream(data: Mapping[str, Any]) -> bool:
    """Whether LiteLLM has this stream from its cache, which it may log only after the end."""
    details = getattr(data.get("litellm_logging_obj"), "caching_details", None)
    return isinstance(details, Mapping) and details.get("cache_hit") is True


def _believed(figure: Decimal | None, is_cached: bool, is_free: bool) -> Decimal | None:
    if is_cached:
        return Decimal(0)
    return None if figure == 0 and not is_free else figure


def _usd(figure: Any) -> Decimal | None:
    if isinstance(figure, bool) or not isinstance(figure, (int, float, Decimal)):
        return None
    usd = Decimal(str(figure))
    return usd if usd.is_finite() and usd >= 0 else None
