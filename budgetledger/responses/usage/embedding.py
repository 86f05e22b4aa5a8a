"""A usage of ``total_tokens`` alone: all of it is input, as of embeddings and rerankings.

Follows Voyage AI's API reference, "Text embeddings" and "Rerankers", Jina AI's "Embeddings API",
and voyageai's EmbeddingsObject and RerankingObject.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count
from budgetledger.usage import Usage


def read_embedding_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``total_tokens``. An answer in text has other counts too, or is not believed."""
    if usage.get("total_tokens") is None:
        return None
    return Usage(count(usage, "total_tokens"))
