"""Whether an answer says that its call failed, so that it cost nothing.

Pure. OpenAI's Responses have ``status: failed`` and an ``error``, also in the event that ends a
stream (platform.openai.com/docs/api-reference/responses); OpenAI's other APIs, Gemini and most
gateways an ``error`` instead of an answer, OpenRouter also inside a choice
(openrouter.ai/docs/api-reference/errors); Anthropic ``type: error`` (docs.anthropic.com/en/api/
errors); batches an ``error`` or a status other than 200 in the line; vLLM and Mistral ``object:
error``; the streams of Bedrock an exception; MiniMax ``base_resp``, Cloudflare ``success: false``.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, fields, get, items
from budgetledger.responses.usage_field import usage_field

_BEDROCK_ERRORS = (  # the events of its streams
    *("internalServerException", "modelStreamErrorException", "validationException"),
    *("throttlingException", "serviceUnavailableException", "modelTimeoutException"),
)
_ERROR_TYPES = ("error", "conversation.response.error")
_TEXTS = ("output_text", "text", "content", "candidates", "outputs", "data", "message")


def is_failure(answer: object) -> bool:
    """Whether *answer* (a response, a chunk, a line of a batch) says that the call failed.

    False if it has text or usage, which was paid all the same, and for what cannot be read.
    """
    try:
        return _failed(fields(answer))
    except Exception:  # a property that raises, a mapping that misbehaves, …
        return False


def _failed(source: Fields) -> bool:
    inner = source.get("response")
    if inner is not None and source.get("custom_id") is not None:
        status = get(inner, "status_code")
        return bool(source.get("error")) or status not in (None, 200)
    if inner is not None and source.get("type") == "response.failed":
        return _failed(fields(inner))
    if usage_field(source) or _is_written(source):
        return False
    if source.get("type") in _ERROR_TYPES or source.get("object") == "error":
        return True
    if any(source.get(name) is not None for name in _BEDROCK_ERRORS) or _says_so(source):
        return True
    if any(source.get(name) for name in _TEXTS):
        return False
    failed = source.get("status") == "failed"
    return failed or _has_error(source) or any(_has_error(each) for each in _choices(source))


def _says_so(source: Fields) -> bool:
    """Whether a status beside an empty answer says so: MiniMax's, Cloudflare's, Cohere's."""
    code = get(source.get("base_resp"), "status_code")
    if code is not None:
        return code != 0
    if source.get("success") is False and source.get("result") is None:
        return True
    return source.get("type") == "message-end" and _ended_in_error(source.get("delta"))


def _ended_in_error(delta: object) -> bool:
    return get(delta, "finish_reason") == "ERROR" and not get(delta, "usage")


def _has_error(source: Fields) -> bool:
    error = source.get("error")
    return isinstance(error, str | dict) or hasattr(error, "message") if error else False


def _choices(source: Fields) -> list[Fields]:
    return [*items(source.get("choices"))]


def _is_written(source: Fields) -> bool:
    """Whether a choice, or an item of the output, has something that a model wrote."""
    written = [choice.get("text") for choice in _choices(source)]
    for choice in _choices(source):
        for part in (choice.get("message"), choice.get("delta")):
            written += [get(part, name) for name in ("content", "tool_calls", "refusal")]
    return any(written) or any(True for _ in items(source.get("output")))
