"""Where the chunks of a stream have the text that the model wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from budgetledger.responses.fields.by_name import fields, get, items

# Where a chat delta carries what the model wrote, and where the parts of it and Anthropic's deltas
# do. Left out on purpose: what repeats it (thinking_blocks, the snapshots of the clients' helpers)
# and what is not text (signatures, sound, citations).
_DELTA = ("content", "refusal", "tool_calls", "function_call", "audio")
_PARTS = (
    *("text", "thinking", "partial_json", "content", "transcript"),
    *("function", "custom", "name", "arguments", "input"),
)


def spoken(delta: object) -> Iterator[object]:
    """What a chat's delta adds."""
    if delta is not None:
        # The same text under the names of two kinds of gateway; some give it under both.
        yield get(delta, "reasoning_content") or get(delta, "reasoning")
        for name in _DELTA:
            yield get(delta, name)


def answered(content: object) -> Iterator[object]:
    """What Gemini's content adds."""
    for part in items(get(content, "parts")):
        yield part.get("text")
        call = fields(part.get("function_call") or part.get("functionCall"))
        yield call.get("name")
        args = call.get("args")
        yield str(args) if args else None


def texts(value: object) -> Iterator[str]:
    """The texts in a value of any shape."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)
    elif value is not None:
        for name in _PARTS:
            yield from texts(get(value, name))
