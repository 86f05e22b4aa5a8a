"""The usage of text embeddings on Vertex AI: each prediction tells its own tokens.

Follows Vertex AI's "Text embeddings API" (response body: statistics.token_count), and
google-genai's EmbedContentResponse.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, fields, items
from budgetledger.usage import Usage, checked_count


def read_vertex_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``statistics`` of all ``predictions``, or of all ``embeddings`` of the SDK."""
    total: int | None = None
    for embedding in _embeddings(response):
        statistics = fields(embedding.get("statistics"))
        tokens = statistics.get("token_count")
        tokens = statistics.get("tokenCount") if tokens is None else tokens
        if tokens is not None:
            total = (total or 0) + checked_count(tokens, "token_count")
    return None if total is None else Usage(total)


def _embeddings(response: Fields) -> list[Fields]:
    predictions = response.get("predictions")
    if predictions is None:
        return list(items(response.get("embeddings")))
    return [fields(prediction.get("embeddings")) for prediction in items(predictions)]
