"""Gemini's usage, in the spelling of Google's REST API and of its Python SDK.

The prompt includes what was cached. Thoughts are beside the candidates, unless the total shows
otherwise. What Gemini's tools read is beside the prompt, and is free if a search found it. Field
names are those of Google's responses as of 2026-11.
"""

from __future__ import annotations

import re
from collections import Counter

from budgetledger.responses.fields import Fields, fields, get, items
from budgetledger.responses.model_name import model_named
from budgetledger.responses.service_tiers import service_tier
from budgetledger.usage import Usage, checked_count

# Up to Gemini 2.5 Google bills once for each prompt that made it search, from Gemini 3 on for
# each search (ai.google.dev/gemini-api/docs/pricing, 2026-11).
_BILLED_BY_PROMPT = re.compile(r"(?:.*/)?gemini-[12](?:\D|$)")


def read_gemini_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read the usage of generateContent, embedContent or the Live API."""
    names = ("prompt_token_count", "candidates_token_count", "response_token_count")
    if all(_field(usage, name) is None for name in names):
        return None
    input_tokens, candidates, spoken = (_count(usage, name) for name in names)
    output = candidates or spoken  # the Live API has the latter
    thoughts = _count(usage, "thoughts_token_count")
    by_tools = _count(usage, "tool_use_prompt_token_count")
    if _count(usage, "total_token_count") != input_tokens + output + by_tools:
        output += thoughts
    input_parts = _by_modality(usage, "prompt_tokens_details")
    searches = _billed_searches(response)
    if not searches:
        input_tokens += by_tools
        input_parts.update(_by_modality(usage, "tool_use_prompt_tokens_details"))
    cached = _by_modality(usage, "cache_tokens_details")
    output_parts = _by_modality(usage, "candidates_tokens_details")
    output_parts = output_parts or _by_modality(usage, "response_tokens_details")
    return Usage(
        input_tokens,
        output,
        _count(usage, "cached_content_token_count"),
        reasoning_tokens=thoughts,
        input_audio_tokens=max(input_parts["AUDIO"], cached["AUDIO"]),
        output_audio_tokens=output_parts["AUDIO"],
        input_image_tokens=max(input_parts["IMAGE"], cached["IMAGE"]),
        output_image_tokens=output_parts["IMAGE"],
        input_video_tokens=max(input_parts["VIDEO"], cached["VIDEO"]),
        cache_read_audio_tokens=cached["AUDIO"],
        cache_read_image_tokens=cached["IMAGE"],
        web_searches=searches,
        service_tier=service_tier(_field(usage, "service_tier") or _field(usage, "traffic_type")),
    )


def _by_modality(usage: Fields, name: str) -> Counter[str]:
    """Tokens by their kind: TEXT, AUDIO, IMAGE, VIDEO."""
    tokens: Counter[str] = Counter()
    for part in items(_field(usage, name)):
        modality = part.get("modality")
        modality = modality if isinstance(modality, str) else get(modality, "name")
        if isinstance(modality, str):
            kind = str.upper(modality)
            kind = "IMAGE" if kind == "DOCUMENT" else kind  # its pages are read as images
            tokens[kind] += _count(part, "token_count")
    return tokens


def _billed_searches(response: Fields) -> int:
    """How many Google searches the call is billed for."""
    queries: set[object] = set()
    for candidate in items(response.get("candidates")):
        grounding = fields(_field(candidate, "grounding_metadata"))
        searched = _field(grounding, "web_search_queries")
        if isinstance(searched, (list, tuple)):
            queries.update(query for query in searched if isinstance(query, str) and query)
    model = model_named(response)
    if model is not None and _BILLED_BY_PROMPT.match(model):
        return min(len(queries), 1)
    return len(queries)


def _field(source: Fields, name: str) -> object:
    """A field by its name in Google's SDK, or in the spelling of its REST API."""
    value = source.get(name)
    if value is None:
        first, *rest = name.split("_")
        value = source.get(first + "".join(map(str.capitalize, rest)))
    return value


def _count(source: Fields, name: str) -> int:
    value = _field(source, name)
    return 0 if value is None else checked_count(value, name)
