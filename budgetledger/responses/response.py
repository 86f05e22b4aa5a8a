"""The model, the usage and sometimes the cost of a response.

Pure: it imports no client package and fetches nothing. Objects and dicts are read alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Self

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.belief import is_believed
from budgetledger.responses.enclosed import enclosed_in
from budgetledger.responses.fields.by_name import Fields, fields, first, text
from budgetledger.responses.fields.model_name import model_named
from budgetledger.responses.stated_cost import litellm_cost, provider_bill
from budgetledger.responses.token_counts import is_token_count
from budgetledger.responses.usage.readers import read_usage
from budgetledger.responses.usage_field import usage_field
from budgetledger.usage import Usage, checked

_INSTEAD = (
    "pass the object the client returned (a chat completion, response, message, text completion "
    "or embedding, or its dict), or the amount in USD"
)


class _Facts(NamedTuple):
    model: str | None
    usage: Usage | None
    cost: Decimal | None


class Reading(_Facts):
    """What was read from a response: ``model`` that answered, ``usage``, and ``cost`` in USD.

    ``cost`` is LiteLLM's own figure where it gave one above 0, exactly as it printed it, and 0 for
    an answer from its cache; else the exact bill that a provider states in US dollars, a
    `ProviderBill`. ``usage`` and ``cost`` are never both None. ``response_id`` is the response's
    own id, where it has one.
    """

    response_id: str | None = None

    def _replace(self, **changes: Any) -> Self:
        return super()._replace(**changes).with_id(self.response_id)

    def with_id(self, response_id: str | None) -> Self:
        """Set ``response_id``; returns the reading itself."""
        if response_id is not None:
            self.response_id = response_id
        return self


def read_response(response: object) -> Reading:
    """Read model, usage and stated cost from a response object, its dict, or a usage.

    It reads the responses of the providers, gateways and frameworks that `readers` lists,
    the chunk or event that ends a stream of theirs, and a line of a batch's results.

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


def id_in(source: Fields) -> str | None:
    """The id of a response in its fields; None if it has none."""
    return text(first(source, "id", "responseId", "response_id"))


def id_of(response: object) -> str | None:
    """The id of a response; None if it has none, or cannot be read."""
    try:
        source = fields(response)
        inner, _ = enclosed_in(source)
        return id_in(source if inner is None else fields(inner))
    except Exception:
        return None


def model_of(response: object) -> str | None:
    """Read the model a response names; None if it names none, or cannot be read."""
    try:
        source = fields(response)
        model = model_named(source)
        if model is None:
            inner, _ = enclosed_in(source)
            model = None if inner is None else model_named(fields(inner))
        return model
    except Exception:
        return None


def read_fields(response: object, source: Fields, *, stream: bool, batch: bool = False) -> Reading:
    """Read *source*, the fields of a *response* or of part of a *stream*."""
    sent_usage = usage_field(source)
    if sent_usage is None and not batch:
        inner, batch = enclosed_in(source)
        if inner is not None:
            reading = read_fields(inner, fields(inner), stream=stream, batch=batch)
            model = reading.model or model_named(source)
            return reading if model == reading.model else reading._replace(model=model)
    usage_fields, hidden = fields(sent_usage), source.get("_hidden_params")
    cost = None if hidden is None else litellm_cost(source, fields(hidden), usage_fields, stream)
    if cost is None:
        cost = provider_bill(usage_fields)
    try:
        usage = _usage(source, sent_usage, usage_fields, batch)
        if usage is None and cost is None:
            raise _not_an_answer(response) or UnreadableResponse(
                _advice(response, source, sent_usage)
            )
        if cost is None and not (stream or usage is None or usage.output_tokens):
            _check_belief(response, source, sent_usage, usage)
    except UnreadableResponse:
        if cost is None:
            raise
        usage = None
    return Reading(model_named(source), usage, cost).with_id(id_in(source))


def _usage(source: Fields, sent_usage: object, usage_fields: Fields, batch: bool) -> Usage | None:
    if isinstance(sent_usage, Usage):
        return checked(sent_usage)
    batch = batch or source.get("object") == "batch"
    if sent_usage is not None:
        return read_usage(source, usage_fields, batch)
    if is_token_count(source):
        raise _no_answer(
            "this is the answer of an endpoint that counts tokens, which costs nothing; there is "
            "nothing to record. If it is the usage of a call, pass usage=Usage(input_tokens=...)"
        )
    return read_usage(source, source, batch)


def _check_belief(response: object, source: Fields, sent_usage: object, usage: Usage) -> None:
    if not isinstance(sent_usage, Usage) and not is_believed(source, usage):
        raise UnreadableResponse(
            f"the usage of this {_type_name(response)} cannot be true: it has no tokens at all, or "
            "none for the answer that came with it; pass usage=Usage(...) with the true counts, or "
            "the amount in USD"
        )


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
