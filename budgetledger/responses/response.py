"""What a response says about itself: the model, what it used, sometimes the cost.

Pure: no client package is imported, nothing is fetched. Objects and dicts are read alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields import Fields, fields, get
from budgetledger.responses.usage_shapes import model_named, read_usage
from budgetledger.usage import Usage, checked

_MAX_COST = 10**6  # USD; LiteLLM's figure for one call beyond this is not believed
_INSTEAD = (
    "pass the object the client returned (a chat completion, response, message, text completion "
    "or embedding, or its dict), or the amount in USD"
)


class Reading(NamedTuple):
    """What a response says: ``model`` that answered, ``usage``, and ``cost`` in USD.

    ``cost`` is LiteLLM's own figure where it gave one above 0, exactly as it printed it.
    ``usage`` and ``cost`` are never both None.
    """

    model: str | None
    usage: Usage | None
    cost: Decimal | None


def read_response(response: object) -> Reading:
    """Read model, usage and LiteLLM's cost from a response object, its dict, or a usage.

    Understood are the responses of OpenAI (chat, text, Responses, embeddings, images,
    transcriptions), Anthropic, Gemini, Bedrock's Converse and LiteLLM, the chunk or event that
    ends a stream of theirs, and the line of a batch's results.

    *Raises* ``UnreadableResponse`` when neither a usage nor a cost can be read, whatever the
    object does when touched; the message names the type and the fields seen, never their
    values, and what to pass instead. Retrying does not help.
    """
    try:
        if isinstance(response, Usage):
            return Reading(None, checked(response), None)
        return read_fields(response, fields(response), stream=False)
    except UnreadableResponse:
        raise
    except Exception as error:  # a property that raises, a mapping that misbehaves, …
        raise UnreadableResponse(
            f"reading a {_type_name(response)} raised {type(error).__name__}; {_INSTEAD}"
        ) from error


def model_of(response: object) -> str | None:
    """Read the model a response names; None if it names none, whatever it does when touched."""
    try:
        told = fields(response)
        found = model_named(told)
        if found is None:
            within, _ = _within(told)
            found = None if within is None else model_named(fields(within))
        return found
    except Exception:
        return None


def usage_told(told: Fields) -> object:
    """The usage among the fields of a response, as it stands there."""
    usage = told.get("usage")
    if usage is None:
        usage = told.get("usage_metadata")  # Gemini's
        if usage is None:
            usage = told.get("usageMetadata")
    return usage


def read_fields(response: object, told: Fields, *, stream: bool, batch: bool = False) -> Reading:
    """Read the fields *told* by a *response*, or by what came of it in a *stream*."""
    source = usage_told(told)
    if source is None and not batch:
        within, batch = _within(told)
        if within is not None:
            return read_fields(within, fields(within), stream=stream, batch=batch)
    used, hidden = fields(source), told.get("_hidden_params")
    cost = None if hidden is None else _litellm_cost(told, fields(hidden), used, stream)
    try:
        if isinstance(source, Usage):
            usage: Usage | None = checked(source)
        else:
            batch = batch or told.get("object") == "batch"
            usage = read_usage(told, told if source is None else used, batch)
        if usage is None and cost is None:
            raise _not_an_answer(response) or UnreadableResponse(_advice(response, told, source))
    except UnreadableResponse:
        if cost is None:
            raise
        usage = None
    return Reading(model_named(told), usage, cost)


def _within(told: Fields) -> tuple[object, bool]:
    """The response within the event that ends a stream, or a line of a batch's results.

    And whether it is from a batch. None if there is no response within.
    """
    response, result = told.get("response"), told.get("result")
    if response is not None and isinstance(told.get("type"), str):
        return response, False
    body = get(response, "body")
    if get(result, "type") == "succeeded":
        return get(result, "message"), True
    if body is not None and get(response, "status_code") in (None, 200):
        return body, True
    if usage_told(fields(response)) is not None:
        return response, True
    if told.get("custom_id") is not None and (body or result or told.get("error")) is not None:
        raise _no_answer(
            "this request of a batch failed, was cancelled or expired, and such requests are not "
            "billed; there is nothing to record"
        )
    return None, False


def _litellm_cost(told: Fields, hidden: Fields, used: Fields, stream: bool) -> Decimal | None:
    cost = hidden.get("response_cost")
    if cost is None and (stream or str(told.get("object")).endswith(".chunk")):
        cost = used.get("cost")  # where LiteLLM puts it for a stream
    if isinstance(cost, bool) or not isinstance(cost, (int, float, Decimal)):
        return None
    if isinstance(cost, Decimal) and not cost.is_finite():
        return None
    if not 0 < cost <= _MAX_COST:
        return None
    exact = Decimal(float.__repr__(cost)) if isinstance(cost, float) else Decimal(cost)
    # With a key of one's own OpenRouter charges, and LiteLLM tells, no more than a fee.
    return None if used.get("is_byok") else exact


def _type_name(value: object) -> str:
    return type(value).__name__


def _not_an_answer(response: object) -> UnreadableResponse | None:
    """The error for what no call returns, or what is still to be awaited, read or parsed."""
    name, kind = _type_name(response), type(response)
    is_plain = isinstance(response, (str, int, float, Decimal)) or kind in (list, tuple, set)
    if response is None or is_plain:
        return _no_answer(f"{name} is not a response; {_INSTEAD}")
    if inspect.isawaitable(response):
        return _no_answer(f"this {name} was not awaited; await the call and pass what it returns")
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return _no_answer(
            f"this {name} is a stream, and only its end tells the usage; ask for it with "
            "stream_options={'include_usage': True}, read the stream, and pass the last chunk "
            "(with LiteLLM: litellm.stream_chunk_builder(chunks))"
        )
    if "RawResponse" in name or "APIResponse" in name:
        return _no_answer(f"this {name} is not parsed yet; pass what its parse() returns")
    return None


def _no_answer(message: str) -> UnreadableResponse:
    error = UnreadableResponse(message)
    error.is_answer = False
    return error


def _advice(response: object, told: Fields, usage: object) -> str:
    """Say what was passed and what to pass instead, without showing any value."""
    name = _type_name(response)
    if isinstance(response, (bytes, bytearray)) or "Binary" in name:
        return (
            f"{name} is not a response that tells its usage, as speech never does; pass the model "
            "and usage=Usage(input_characters=len(text)), or the amount in USD"
        )
    seen = _names(response)
    if str(told.get("object")).endswith(".chunk"):
        return (
            f"this {name} is a chunk without usage (it has {seen}); ask for it with "
            "stream_options={'include_usage': True} and pass the last chunk"
        )
    if usage is not None:
        seen = f"{seen}; its usage has {_names(usage)}"
    return f"no token counts found in this {name} (it has {seen}); {_INSTEAD}"


def _names(source: object) -> str:
    names = list(source if isinstance(source, Mapping) else getattr(source, "__dict__", ()))
    return ", ".join(str(name)[:40] for name in names[:12]) or "no fields"
