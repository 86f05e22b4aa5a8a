"""Whether a usage can be true: counts of 0 mean that the sender did not count."""

from __future__ import annotations

from collections.abc import Iterator

from budgetledger.responses.fields.by_name import Fields, fields, items
from budgetledger.usage import Usage, has_counts

# Where an answer has its text, beside the places that are searched below.
_TEXTS = (
    *("text", "generation", "outputText", "response", "content"),
    *("reasoning_content", "reasoning", "refusal"),
)
# A call of a tool: OpenAI's in a message, and as an item of the Responses …
_CALLS = ("tool_calls", "function_call", "arguments")
# … and in the parts of Bedrock's Converse, of Gemini, and of Anthropic, whose ``tool_use`` has a
# name. Thinking is none, but is output too.
_PARTS = ("toolUse", "functionCall", "function_call", "name", "thinking")


def is_believed(response: Fields, used: Usage) -> bool:
    """Whether *used*, which has no output, may be true for a *response*.

    It has counts, and the response no answer in text or as a call of a tool. What is billed by
    sound, by character or by image has no output tokens.
    """
    if not has_counts(used):
        return False
    if used.input_audio_seconds or used.input_characters or used.output_images:
        return True
    return not any(_answers(response))


def _answers(response: Fields) -> Iterator[bool]:
    """For each place where an answer may be, whether it is there. Lazy: most have none."""
    yield _is_text(response)
    yield _is_text(fields(response.get("message")))  # Ollama, Cohere
    for choice in items(response.get("choices")):
        yield _is_text(choice)
        yield _is_text(fields(choice.get("message")))
    for candidate in items(response.get("candidates")):  # Gemini
        yield _has_text(fields(candidate.get("content")).get("parts"))
    output = response.get("output")  # OpenAI's Responses; Bedrock's Converse
    yield _is_text(fields(fields(output).get("message")))
    for item in items(output):
        yield _is_text(item)
    for result in items(response.get("results")):  # Amazon Titan
        yield _has_text(result.get("outputText"))


def _is_text(part: Fields) -> bool:
    return any(_has_text(part.get(name)) for name in _TEXTS) or any(map(part.get, _CALLS))


def _has_text(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return any(_has_text(part.get("text")) or any(map(part.get, _PARTS)) for part in items(value))
