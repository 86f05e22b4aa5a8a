"""The model, the usage and sometimes the cost of a response.

Pure: it imports no client package and fetches nothing. Objects and dicts are read alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields import Fields, fields, first, get
from budgetledger.responses.model_name import model_named
from budgetledger.responses.usage_readers import read_usage
from budgetledger.usage import Usage, checked

_MAX_COST = 10**6  # USD; a larger figure of LiteLLM's for one call is taken for an error
_INSTEAD = (
    "pass the object the client returned (a chat completion, response, message, text completion "
    "or embedding, or its dict), or the amount in USD"
)


class Reading(NamedTuple):
    """What was read from a response: ``model`` that answered, ``usage``, and ``cost`` in USD.

    ``cost`` is LiteLLM's own figure where it gave one above 0, exactly as it printed it, and 0 for
    an answer from its cache.
    ``usage`` and ``cost`` are never both None.
    """

    model: str | None
    usage: Usage | None
    cost: Decimal | None


def read_response(response: object) -> Reading:
    """Read model, usage and LiteLLM's cost from a response object, its dict, or a usage.

    It reads the responses of OpenAI (chat, text, Responses, embeddings, images, transcriptions),
    Anthropic, Gemini, Bedrock's Converse and LiteLLM, the chunk or event that ends a stream of
    theirs, and a line of a batch's results.

    *Raises* ``UnreadableResponse``, and nothing else, when neither a usage nor a cost can be
    read; the message names the type and its fields, never their values, and what to pass
    instead. Retrying does not help.
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
    """Read the model a response names; None if it names none, or cannot be read."""
    try:
        source = fields(response)
        model = model_named(source)
        if model is None:
            within, _ = _within(source)
            model = None if within is None else model_named(fields(within))
        return model
    except Exception:
        return None


def usage_field(source: Fields) -> object:
    """The usage among the fields of a response, unread."""
    usage = source.get("usage")
    return first(source, "usage_metadata", "usageMetadata") if usage is None else usage  # Gemini's


def read_fields(response: object, source: Fields, *, stream: bool, batch: bool = False) -> Reading:
    """Read *source*, the fields of a *response* or of part of a *stream*."""
    sent_usage = usage_field(source)
    if sent_usage is None and not batch:
        within, batch = _within(source)
        if within is not None:
            return read_fields(within, fields(within), stream=stream, batch=batch)
    usage_fields, hidden = fields(sent_usage), source.get("_hidden_params")
    cost = None if hidden is None else _litellm_cost(source, fields(hidden), usage_fields, stream)
    try:
        if isinstance(sent_usage, Usage):
            usage: Usage | None = checked(sent_usage)
        else:
            batch = batch or source.get("object") == "batch"
            usage = read_usage(source, source if sent_usage is None else usage_fields, batch)
        if usage is None and cost is None:
            raise _not_an_answer(response) or UnreadableResponse(
                _advice(response, source, sent_usage)
            )
    except UnreadableResponse:
        if cost is None:
            raise
        usage = None
    return Reading(model_named(source), usage, cost)


def _within(source: Fields) -> tuple[object, bool]:
    """The response inside the event that ends a stream, or inside a line of a batch's results.

    And whether it is from a batch. None if there is no response inside.
    """
    response, result = source.get("response"), source.get("result")
    if response is not None and isinstance(source.get("type"), str):
        return response, False
    body = get(response, "body")
    if get(result, "type") == "succeeded":
        return get(result, "message"), True
    if body is not None and get(response, "status_code") in (None, 200):
        return body, True
    if usage_field(fields(response)) is not None:
        return response, True
    if source.get("custom_id") is not None and (body or result or source.get("error")) is not None:
        raise _no_answer(
            "this request of a batch failed, was cancelled or expired, and such requests are not "
            "billed; there is nothing to record"
        )
    return None, False


def _litellm_cost(source: Fields, hidden: Fields, usage: Fields, stream: bool) -> Decimal | None:
    if hidden.get("cache_hit") is True:
        return Decimal(0)  # its figure, if any, is that of the first answer
    cost = hidden.get("response_cost")
    if cost is None and (stream or str(source.get("object")).endswith(".chunk")):
        cost = usage.get("cost")  # where LiteLLM puts it for a stream
    if isinstance(cost, bool) or not isinstance(cost, (int, float, Decimal)):
        return None
    if isinstance(cost, Decimal) and not cost.is_finite():
        return None
    if not 0 < cost <= _MAX_COST:
        return None
    exact = Decimal(float.__repr__(cost)) if isinstance(cost, float) else Decimal(cost)
    # For a call with the user's own provider key, this is only OpenRouter's fee.
    return None if usage.get("is_byok") else exact


def _type_name(value: object) -> str:
    return type(value).__name__


def _not_an_answer(response: object) -> UnreadableResponse | None:
    """The error for a value that no call returns, or that must first be awaited or read."""
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


def _advice(response: object, source: Fields, usage: object) -> str:
    """What was passed and what to pass instead, without any value."""
    name = _type_name(response)
    if isinstance(response, (bytes, bytearray)) or "Binary" in name:
        return (
            f"{name} is not a response that tells its usage, as speech never does; pass the model "
            "and usage=Usage(input_characters=len(text)), or the amount in USD"
        )
    names = _names(response)
    if str(source.get("object")).endswith(".chunk"):
        return (
            f"this {name} is a chunk without usage (it has {names}); ask for it with "
            "stream_options={'include_usage': True} and pass the last chunk"
        )
    if usage is not None:
        names = f"{names}; its usage has {_names(usage)}"
    return f"no token counts found in this {name} (it has {names}); {_INSTEAD}"


def _names(source: object) -> str:
    names = list(source if isinstance(source, Mapping) else getattr(source, "__dict__", ()))
    return ", ".join(str(name)[:40] for name in names[:12]) or "no fields"
