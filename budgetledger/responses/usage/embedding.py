"""A usage of ``total_tokens`` alone: all of it is input, as of embeddings and rerankings.

Follows Voyage AI's API reference, "Text embeddings", "Multimodal embeddings" and "Rerankers", its
page "Pricing" (pixels), Jina AI's "Embeddings API", the AI SDK's ``embed``, and voyageai's
EmbeddingsObject, MultimodalEmbeddingsObject and RerankingObject.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count
from budgetledger.usage import Usage


def read_embedding_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``total_tokens``. An answer in text has other counts too, or is not believed."""
    tokens = count(usage, "total_tokens")
    if usage.get("total_tokens") is None:
        if type(usage.get("tokens")) is not int:  # the AI SDK's name
            return None
        tokens = count(usage, "tokens")
    images = 0
    if usage.get("image_pixels") or usage.get("video_pixels"):  # billed by the pixel, not by token
        images = max(0, tokens - count(usage, "text_tokens"))
    return Usage(tokens, input_image_tokens=images)
