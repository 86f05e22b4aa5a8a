"""Pydantic AI's usage of a request or of a run: each count is inside its total.

It has names of the ledger's own form, but here what is written to the cache for an hour is a part
of all that is written.

Follows Pydantic AI's API reference, "pydantic_ai.usage" (RequestUsage, RunUsage), of version 2.68.
"""

from __future__ import annotations

import math

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields.by_name import Fields, count, fields_at
from budgetledger.usage import Usage


def read_pydantic_ai_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``cache_audio_read_tokens``.

    *Raises* ``UnreadableResponse`` if a response in it reported no usage.
    """
    if usage.get("cache_audio_read_tokens") is None:
        return None
    if usage.get("unmeasured_requests"):
        raise UnreadableResponse(
            "a response in this usage reported none (unmeasured_requests); pass the amount in USD"
        )
    written_1h, output = count(usage, "cache_write_1h_tokens"), count(usage, "output_tokens")
    reasoning = count(usage, "output_reasoning_tokens")
    reasoning = reasoning or count(fields_at(usage, "details"), "reasoning_tokens")
    seconds = usage.get("audio_seconds")
    return Usage(
        count(usage, "input_tokens"),
        output,
        count(usage, "cache_read_tokens"),
        count(usage, "cache_write_tokens") - written_1h,
        written_1h,
        min(reasoning, output),
        count(usage, "input_audio_tokens"),
        count(usage, "output_audio_tokens"),
        cache_read_audio_tokens=count(usage, "cache_audio_read_tokens"),
        input_audio_seconds=math.ceil(seconds) if isinstance(seconds, int | float) else 0,
    )
