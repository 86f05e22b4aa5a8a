"""Where a response has its usage, when it is not inside another object (`enclosed`).

Follows Gemini's and LangChain's references (``usage_metadata``; of older messages
``response_metadata``), Groq's "Text generation" page and client (``x_groq.usage`` of a stream's
last chunk), Moonshot's chat reference (``usage`` of a stream's last choice), the AI SDK's stream
protocol (``totalUsage``), LangChain's LLMResult (``token_usage``), and Anthropic's managed agents
(``model_usage`` of a span).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, fields, first, get, items

_OTHER_NAMES = ("usage_metadata", "usageMetadata", "totalUsage", "token_usage", "model_usage")
_IN_METADATA = ("token_usage", "usage", "usage_metadata", "tokenUsage", "token_count")


def usage_field(source: Fields) -> object:
    """The usage among the fields of a response, unread; None if it has none."""
    usage = source.get("usage")
    if usage is not None:
        return usage
    usage = first(source, *_OTHER_NAMES)
    if usage is None:
        usage = get(source.get("x_groq"), "usage")
    if usage is None:
        for choice in items(source.get("choices")):
            usage = choice.get("usage")
            if usage is not None:
                return usage
    if usage is None and (metadata := source.get("response_metadata")) is not None:
        usage = first(fields(metadata), *_IN_METADATA)
        if usage is None and get(metadata, "eval_count") is not None:  # Ollama's answer
            usage = metadata
    return usage
