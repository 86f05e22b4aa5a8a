"""Cohere's usage, and LiteLLM's of any reranking: what is billed, if stated, else what was read.

Only tokens are read: no list has the price of a search unit.

Follows Cohere's API reference, "Chat" of v2 (usage.billed_units) and "Embed", "Rerank" (meta).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count, fields
from budgetledger.usage import Usage


def read_cohere_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``billed_units`` or ``tokens``, from the response's ``meta`` or its usage."""
    meta = response.get("meta")
    source = usage if meta is None else fields(meta)
    billed = fields(source.get("billed_units"))
    if billed.get("search_units"):
        return None
    for counts in (billed, fields(source.get("tokens"))):
        images, input_tokens = count(counts, "image_tokens"), count(counts, "total_tokens")
        input_tokens = input_tokens or count(counts, "input_tokens")
        input_tokens = max(input_tokens, images + count(counts, "text_tokens"))
        if input_tokens:
            output = count(counts, "output_tokens")
            return Usage(input_tokens, output, input_image_tokens=images)
    return None
