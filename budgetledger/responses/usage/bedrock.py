"""The usage of Amazon Bedrock's Converse API, and of Nova's own form of InvokeModel.

The input includes neither cache reads nor cache writes.

Follows the Amazon Bedrock API reference, "TokenUsage", "PerformanceConfiguration" and
"ConverseStreamMetadataEvent", and the
Amazon Nova user guide, "Complete request schema" (2026-11).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count, get, items
from budgetledger.responses.fields.service_tiers import service_tier
from budgetledger.usage import Usage


def read_bedrock_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``inputTokens``."""
    if usage.get("inputTokens") is None:
        return None
    read = count(usage, "cacheReadInputTokens") or count(usage, "cacheReadInputTokenCount")
    written = count(usage, "cacheWriteInputTokens") or count(usage, "cacheWriteInputTokenCount")
    details = items(usage.get("cacheDetails"))
    written_1h = sum(count(part, "inputTokens") for part in details if part.get("ttl") == "1h")
    written = max(written, written_1h)
    return Usage(
        count(usage, "inputTokens") + read + written,
        count(usage, "outputTokens"),
        read,
        written - written_1h,
        written_1h,
        service_tier=service_tier(
            get(response.get("serviceTier"), "type"),
            get(response.get("performanceConfig"), "latency"),  # optimized costs more
        ),
    )
