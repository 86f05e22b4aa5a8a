"""What a response says about itself: the model, the tokens, sometimes the cost.

Pure: no client package is imported, nothing is fetched. Objects and dicts are read alike.
The field names are those of the OpenAI, Anthropic and LiteLLM responses themselves; which
counts lie inside which differs between them, and is settled here once:

* OpenAI chat, text and embeddings, and everything LiteLLM returns: ``prompt_tokens`` holds
  cached reads and cache writes, ``completion_tokens`` holds reasoning.
* OpenAI Responses: the same, under ``input_tokens`` and ``output_tokens``.
* Anthropic messages: ``input_tokens`` holds neither cache reads nor cache writes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from budgetledger.errors import UnreadableResponse

MAX_TOKENS = 10**12
"""A larger count is taken for a defect of the sender, not for a call."""

_MAX_COST = Decimal(10**6)  # USD; LiteLLM's figure for one call beyond this is not believed
_INSTEAD = (
    "pass the object the client returned (a chat completion, response, message, text completion "
    "or embedding, or its dict), or the amount in USD"
)


class Usage(NamedTuple):
    """What one call used, in the one form the ledger prices.

    ``input_tokens`` includes the three cache counts, which do not overlap each other, and what
    was not text: sound, images, video (of which the ``cache_read_…`` counts were read from the
    cache). ``output_tokens`` includes ``reasoning_tokens``, sound and images. The rest is billed
    beside the tokens. ``service_tier``: how the call was served, if not as usual (``batch``,
    ``flex``, ``priority``), which changes its price.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0  # kept 5 minutes, or for a time the provider does not tell
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    input_video_tokens: int = 0
    cache_read_audio_tokens: int = 0
    cache_read_image_tokens: int = 0
    web_searches: int = 0
    file_searches: int = 0
    output_images: int = 0
    input_characters: int = 0
    input_audio_seconds: int = 0
    service_tier: str | None = None


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

    *Raises* ``UnreadableResponse`` when neither a usage nor a cost can be read, whatever the
    object does when touched; the message names the type and the fields seen, never their
    values, and what to pass instead. Retrying does not help.
    """
    try:
        return _read(response)
    except UnreadableResponse:
        raise
    except Exception as error:  # a property that raises, a mapping that misbehaves, …
        raise UnreadableResponse(
            f"reading a {_type_name(response)} raised {type(error).__name__}; {_INSTEAD}"
        ) from error


def model_of(response: object) -> str | None:
    """Read the model a response names; None if it names none, whatever it does when touched."""
    try:
        return _name(_get(response, "model"))
    except Exception:
        return None


def _read(response: object) -> Reading:
    cost = _litellm_cost(response)
    source = _get(response, "usage")
    try:
        usage = _usage(response if source is None else source)
        if usage is None and cost is None:
            raise UnreadableResponse(_advice(response, source))
    except UnreadableResponse:
        if cost is None:
            raise
        usage = None
    return Reading(_name(_get(response, "model")), usage, cost)


def _get(source: object, name: str) -> object:
    """Read a field of a dict or of an object; None where there is none."""
    if isinstance(source, Mapping):
        value: object = source.get(name)
        return value
    return getattr(source, name, None)


def _name(model: object) -> str | None:
    return model.strip() or None if isinstance(model, str) else None


def _litellm_cost(response: object) -> Decimal | None:
    cost = _get(_get(response, "_hidden_params"), "response_cost")
    if isinstance(cost, bool) or not isinstance(cost, (int, float, Decimal)):
        return None
    exact = Decimal(repr(float(cost))) if isinstance(cost, float) else Decimal(cost)
    return exact if exact.is_finite() and 0 < exact <= _MAX_COST else None


def _usage(source: object) -> Usage | None:
    """Bring a usage of any known shape to the normal form; None if it has no counts."""
    if isinstance(source, Usage):
        return checked(source)
    prompt = _count(source, "prompt_tokens")
    total_input = _count(source, "input_tokens") if prompt is None else prompt
    if total_input is None:
        return None
    told = _get(source, "prompt_tokens_details" if prompt is not None else "input_tokens_details")
    reads = _most(_count(told, "cached_tokens"), _count(source, "cache_read_input_tokens"))
    kept = _get(source, "cache_creation") or _get(told, "cache_creation_token_details")
    writes_1h = _most(_count(kept, "ephemeral_1h_input_tokens"))
    writes = _most(
        _count(source, "cache_creation_input_tokens"),
        _count(told, "cache_creation_tokens"),
        _count(told, "cache_write_tokens"),
        _most(_count(kept, "ephemeral_5m_input_tokens")) + writes_1h,
    )
    # Anthropic counts them beside the input; so does whoever reports more of them than input.
    if (prompt is None and told is None) or reads + writes > total_input:
        total_input += reads + writes

    spoken = _get(source, "completion_tokens_details") or _get(source, "output_tokens_details")
    output = _most(_count(source, "completion_tokens"), _count(source, "output_tokens"))
    reasoning = _most(_count(spoken, "reasoning_tokens"), _count(spoken, "thinking_tokens"))
    # Some gateways count reasoning beside the output; their total gives it away.
    if reasoning and _count(source, "total_tokens") == total_input + output + reasoning:
        output += reasoning
    return checked(
        Usage(
            total_input,
            output,
            reads,
            writes - writes_1h,
            writes_1h,
            min(reasoning, output),
            _most(_count(told, "audio_tokens")),
            _most(_count(spoken, "audio_tokens")),
        )
    )


def checked(usage: Usage) -> Usage:
    """Return ``usage`` if its counts are counts and its parts fit into their wholes.

    *Raises* ``UnreadableResponse`` otherwise.
    """
    for name in Usage._fields[:-1]:
        if _count(usage, name) is None:
            raise UnreadableResponse(f"{name} of the usage is None; give every count a number")
    cached, heard = sum(usage[2:5]), usage.input_audio_tokens
    said = max(usage.reasoning_tokens, usage.output_audio_tokens)
    if usage.input_tokens < max(cached, heard) or usage.output_tokens < said:
        raise UnreadableResponse(
            "input_tokens must include cache and audio, output_tokens reasoning and audio; got "
            + repr(usage)
        )
    return usage


def _most(*counts: int | None) -> int:
    """Of the places that tell the same count, the one that tells most; 0 if none does."""
    return max((count for count in counts if count is not None), default=0)


def _count(source: object, name: str) -> int | None:
    value = _get(source, name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():  # JSON written by JavaScript
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_TOKENS:
        raise UnreadableResponse(
            f"{name} ({_type_name(value)}) is not a count of tokens between 0 and "
            f"{MAX_TOKENS}; {_INSTEAD}"
        )
    return value


def _type_name(value: object) -> str:
    return type(value).__name__


def _advice(response: object, usage: object) -> str:
    """Say what was passed and what to pass instead, without showing any value."""
    name = _type_name(response)
    kind = type(response)
    if response is None or isinstance(response, (str, bytes, int, float, Decimal)):
        return f"{name} is not a response; {_INSTEAD}"
    if inspect.isawaitable(response):
        return f"this {name} was not awaited; await the call and pass what it returns"
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return (
            f"this {name} is a stream, and only its end tells the usage; ask for it with "
            "stream_options={'include_usage': True}, read the stream, and pass the last chunk "
            "(with LiteLLM: litellm.stream_chunk_builder(chunks))"
        )
    seen = _fields(response)
    if str(_get(response, "object")).endswith(".chunk"):
        return (
            f"this {name} is a chunk without usage (it has {seen}); ask for it with "
            "stream_options={'include_usage': True} and pass the last chunk"
        )
    if usage is not None:
        seen = f"{seen}; its usage has {_fields(usage)}"
    return f"no token counts found in this {name} (it has {seen}); {_INSTEAD}"


def _fields(source: object) -> str:
    names = list(source if isinstance(source, Mapping) else getattr(source, "__dict__", ()))
    return ", ".join(str(name)[:40] for name in names[:12]) or "no fields"
