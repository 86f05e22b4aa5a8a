"""The usage of Gemini's Interactions API.

The input includes what was cached. Thoughts and what tools read are beside the output and the
input, as in `gemini`.

Follows the Gemini API reference, "Interactions" (Usage, GroundingToolCount), and the types of
google-genai 3.6; 1.55 called thoughts ``total_reasoning_tokens``.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count, items
from budgetledger.responses.fields.service_tiers import service_tier
from budgetledger.responses.usage.gemini import billed_searches, by_modality
from budgetledger.usage import Usage


def read_interactions_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``total_input_tokens`` or ``total_output_tokens``."""
    if usage.get("total_input_tokens") is None and usage.get("total_output_tokens") is None:
        return None
    input_tokens = count(usage, "total_input_tokens")
    output = count(usage, "total_output_tokens")
    thoughts = count(usage, "total_thought_tokens") or count(usage, "total_reasoning_tokens")
    by_tools = count(usage, "total_tool_use_tokens")
    unexplained = count(usage, "total_tokens") - (input_tokens + output + by_tools)
    if unexplained:
        thoughts = thoughts or max(0, unexplained)
        output += thoughts
    input_parts = by_modality(usage.get("input_tokens_by_modality"), "tokens")
    searches, map_searches = _searches(response, usage)
    if not (searches or map_searches):
        input_tokens += by_tools
        input_parts.update(by_modality(usage.get("tool_use_tokens_by_modality"), "tokens"))
    cached = by_modality(usage.get("cached_tokens_by_modality"), "tokens")
    output_parts = by_modality(usage.get("output_tokens_by_modality"), "tokens")
    return Usage(
        input_tokens,
        output,
        count(usage, "total_cached_tokens"),
        reasoning_tokens=thoughts,
        input_audio_tokens=max(input_parts["AUDIO"], cached["AUDIO"]),
        output_audio_tokens=output_parts["AUDIO"],
        input_image_tokens=max(input_parts["IMAGE"], cached["IMAGE"]),
        output_image_tokens=output_parts["IMAGE"],
        input_video_tokens=max(input_parts["VIDEO"], cached["VIDEO"]),
        cache_read_audio_tokens=cached["AUDIO"],
        cache_read_image_tokens=cached["IMAGE"],
        web_searches=searches,
        map_searches=map_searches,
        service_tier=service_tier(response.get("service_tier")),
    )


def _searches(response: Fields, usage: Fields) -> tuple[int, int]:
    """Billed searches of the web and of the maps, by the counts or else by the steps."""
    counts = {"google_search": 0, "google_maps": 0}
    told = list(items(usage.get("grounding_tool_count")))
    for tool in told:
        kind = tool.get("type")
        if isinstance(kind, str) and kind in counts:
            counts[kind] += count(tool, "count")
    if not told:
        for step in [*items(response.get("steps")), *items(response.get("outputs"))]:
            kind = step.get("type")
            kind = kind.removesuffix("_call") if isinstance(kind, str) else ""
            if kind in counts and step.get("type") != kind:
                counts[kind] += 1
    searches, map_searches = (billed_searches(response, number) for number in counts.values())
    return searches, map_searches
