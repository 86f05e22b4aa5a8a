"""Where a response has its usage, when it is not inside another object (`enclosed`).

Follows Gemini's and LangChain's references (``usage_metadata``; of older messages
``response_metadata``), Groq's "Text generation" page and client (``x_groq.usage`` of a stream's
last chunk), and Moonshot's chat reference (``usage`` of a stream's last choice).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, fields_at, first, get, items


def usage_field(source: Fields) -> object:
    """The usage among the fields of a response, unread; None if it has none."""
    usage = source.get("usage")
    if usage is not None:
        return usage
    usage = first(source, "usage_metadata", "usageMetadata")
    if usage is None:
        usage = get(source.get("x_groq"), "usage")
    if usage is None:
        for choice in items(source.get("choices")):
            usage = choice.get("usage")
            if usage is not None:
                return usage
    if usage is None:
        usage = fields_at(source, "response_metadata").get("token_usage")
    return usage
