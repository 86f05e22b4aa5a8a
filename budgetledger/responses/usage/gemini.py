"""Gemini's usage, in the spelling of Google's REST API and of its Python SDK.

The prompt includes what was cached. Thoughts are beside the candidates, unless the total shows
otherwise. What Gemini's tools read is beside the prompt, and is free if a search found it.

Follows the Gemini API reference, "GenerateContentResponse" (UsageMetadata, GroundingMetadata),
and its page "Gemini Developer API pricing", rows "Grounding with ..." (2026-11).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from budgetledger.responses.fields.by_name import Fields, count, fields, fields_at, get, items
from budgetledger.responses.fields.model_name import model_named
from budgetledger.responses.fields.service_tiers import service_tier
from budgetledger.usage import Usage, checked_count

_PLAIN = ("prompt_tokens", "completion_tokens", "total_tokens")
# Up to Gemini 2.5 Google bills once for each prompt that made it search, from Gemini 3 on for
# each search.
_BILLED_BY_PROMPT = re.compile(r"(?:.*/)?gemini-[12](?:\D|$)")


class Grounding(NamedTuple):
    """How many searches of the web, and how many of the maps, a call is billed for."""

    searches: int
    map_searches: int


def read_gemini_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read the usage of generateContent, embedContent or the Live API."""
    names = ("prompt_token_count", "candidates_token_count", "response_token_count")
    if all(_field(usage, name) is None for name in names):
        return None
    input_tokens, candidates, spoken = (_count(usage, name) for name in names)
    output = candidates or spoken  # the Live API has the latter
    thoughts = _count(usage, "thoughts_token_count")
    by_tools = _count(usage, "tool_use_prompt_token_count")
    unexplained = _count(usage, "total_token_count") - (input_tokens + output + by_tools)
    if unexplained:
        thoughts = thoughts or max(0, unexplained)  # some answers have them in the total only
        output += thoughts
    input_parts = _by_modality(usage, "prompt_tokens_details")
    grounding = _grounding(response)
    if not any(grounding):
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
        web_searches=grounding.searches,
        map_searches=grounding.map_searches,
        service_tier=service_tier(_field(usage, "service_tier") or _field(usage, "traffic_type")),
    )


def hidden_thoughts(response: Fields, usage: Fields, counted: int) -> int:
    """Thoughts that only the total of an OpenAI-compatible answer has, beyond those *counted*.

    Gemini's OpenAI endpoint sends no details. A usage that came alone, of nothing but the three
    counts, may be its.
    """
    hidden = count(usage, "total_tokens") - counted
    if hidden <= 0:
        return 0
    model = model_named(response)
    if model is not None:
        return hidden if "gemini" in str.lower(model) else 0
    is_plain = isinstance(usage, dict) and all(
        name in _PLAIN or value is None for name, value in usage.items()
    )
    return hidden if is_plain else 0


def with_traffic_type(usage: Fields, used: Usage) -> Usage:
    """*used*, with the tier that Vertex AI's OpenAI endpoint states in ``extra_properties``."""
    traffic = fields_at(usage, "extra_properties", "google").get("traffic_type")
    tier = None if traffic is None else service_tier(traffic)
    return used if tier is None else used._replace(service_tier=tier)


def by_modality(parts: object, name: str) -> Counter[str]:
    """Tokens by their kind: TEXT, AUDIO, IMAGE, VIDEO; *name* is the field with their count."""
    tokens: Counter[str] = Counter()
    for part in items(parts):
        modality = part.get("modality")
        modality = modality if isinstance(modality, str) else get(modality, "name")
        if isinstance(modality, str):
            kind = str.upper(modality).rpartition(".")[2]  # an enum as text has its class before
            kind = "IMAGE" if kind == "DOCUMENT" else kind  # its pages are read as images
            tokens[kind] += _count(part, name)
    return tokens


def billed_searches(response: Fields, searches: int) -> int:
    """How many of the *searches* made for a call are billed, by the model that answered."""
    model = model_named(response)
    is_by_prompt = model is not None and _BILLED_BY_PROMPT.match(model)
    return min(searches, 1) if is_by_prompt else searches


def _by_modality(usage: Fields, name: str) -> Counter[str]:
    return by_modality(_field(usage, name), "token_count")


def _grounding(response: Fields) -> Grounding:
    """The searches of the candidates. Queries without a result of the web are those of the maps."""
    queries: set[object] = set()
    has_maps = has_web = False
    for candidate in items(response.get("candidates")):
        metadata = _field(candidate, "grounding_metadata")
        if metadata is None:
            continue
        grounding = fields(metadata)
        for name in ("web_search_queries", "image_search_queries"):
            searched = _field(grounding, name)
            if isinstance(searched, (list, tuple)):
                queries.update(query for query in searched if isinstance(query, str) and query)
        has_web |= _field(grounding, "search_entry_point") is not None
        has_maps |= _field(grounding, "google_maps_widget_context_token") is not None
        for chunk in items(_field(grounding, "grounding_chunks")):
            has_maps |= chunk.get("maps") is not None
            has_web |= chunk.get("web") is not None
    if not has_maps:
        return Grounding(billed_searches(response, len(queries)), 0)
    if not has_web:
        return Grounding(0, billed_searches(response, len(queries) or 1))
    return Grounding(billed_searches(response, len(queries)), 1)


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
