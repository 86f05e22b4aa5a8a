"""Every form a provider tells a usage in, brought to the one the ledger prices.

Which counts lie inside which differs, and is settled here once:

* OpenAI chat, text, embeddings and Responses, and everything LiteLLM returns: the input holds
  cached reads and cache writes, the output holds reasoning and predictions that were rejected.
* Anthropic messages and Bedrock's Converse: the input holds neither cache reads nor cache writes,
  and what a compaction used stands beside the rest.
* Gemini: the prompt holds what was cached; thoughts stand beside the candidates, unless the total
  tells otherwise; what its tools read stands beside the prompt, and is free if a search found it.

The names are those of the providers' own responses, as of 2026-11.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields import (
    MAX_COUNT,
    NONE,
    Fields,
    checked_count,
    count,
    fields,
    get,
    items,
    text,
)
from budgetledger.usage import Usage, fitting

_COUNTS = Usage._fields[:-1]
_OWN_ALONE = frozenset(_COUNTS) - {"input_tokens", "output_tokens"}
_WORD = re.compile(r"[a-z0-9_-]{1,32}")
_USUAL = frozenset(  # the last two of Anthropic's inference_geo
    {"", "default", "auto", "standard", "on_demand", "unspecified", "global", "not_available"}
)
# Up to Gemini 2.5 a prompt that was searched for is billed once, from Gemini 3 each search
# (ai.google.dev/gemini-api/docs/pricing, 2026-11).
_BILLED_BY_PROMPT = re.compile(r"(?:.*/)?gemini-[12](?:\D|$)")


def read_usage(response: Fields, usage: Fields, batch: bool) -> Usage | None:
    """Bring the *usage* a *response* came with to the normal form; None if it has no counts.

    For a usage that came alone, both are the same. *batch*: it is the result of a batch.

    *Raises* ``UnreadableResponse`` when a count is not one, or contradicts another.
    """
    found = (
        _of_tokens(response, usage)
        or _of_gemini(response, usage)
        or _of_bedrock(response, usage)
        or _of_sound(response, usage)
        or _of_cohere(response, usage)
    )
    if found is None or not (found.input_tokens or found.output_tokens or any(found)):
        # dall-e tells no usage, and LiteLLM tells one of nothing for it
        images = sum(_is_image(item) for item in items(response.get("data")))
        found = Usage(output_images=images) if images else found
    if found is None:
        return None
    if batch and not (found.service_tier or "").startswith("batch"):
        found = found._replace(service_tier="batch")
    return fitting(found)


def _of_tokens(response: Fields, usage: Fields) -> Usage | None:
    """OpenAI, Anthropic, LiteLLM, whoever follows them; and the normal form itself, as a dict."""
    chat = usage.get("prompt_tokens") is not None
    if chat:
        tokens_in = count(usage, "prompt_tokens")
        told_in = usage.get("prompt_tokens_details")
        told_out = usage.get("completion_tokens_details")
    else:
        told_in, told_out = usage.get("input_tokens_details"), None
        if told_in is None:
            told_in = usage.get("input_token_details")  # transcriptions, realtime
            if told_in is None and _is_own(usage):
                counts = {name: count(usage, name) for name in _COUNTS}
                return Usage(**counts, service_tier=_tier(usage.get("service_tier")))
        if usage.get("input_tokens") is None:
            return None
        tokens_in = count(usage, "input_tokens")
    if told_out is None:
        told_out = usage.get("output_tokens_details")
        if told_out is None:
            told_out = usage.get("output_token_details")
    tokens_out = max(count(usage, "completion_tokens"), count(usage, "output_tokens"))

    reads = count(usage, "cache_read_input_tokens")
    writes, writes_1h = count(usage, "cache_creation_input_tokens"), 0
    kept, searched = usage.get("cache_creation"), usage.get("server_tool_use")
    searches = 0 if searched is None else count(fields(searched), "web_search_requests")
    heard = seen = watched = read_audio = read_images = 0
    if told_in is not None:
        inside = fields(told_in)
        reads = max(reads, count(inside, "cached_tokens"))
        writes = max(
            writes, count(inside, "cache_creation_tokens"), count(inside, "cache_write_tokens")
        )
        kept = kept or inside.get("cache_creation_token_details")
        searches = searches or count(inside, "web_search_requests")
        heard, seen = count(inside, "audio_tokens"), count(inside, "image_tokens")
        watched = count(inside, "video_tokens")
        told_cached = inside.get("cached_tokens_details")  # realtime
        if told_cached is not None:
            cached = fields(told_cached)
            read_audio, read_images = count(cached, "audio_tokens"), count(cached, "image_tokens")
    if kept is not None:
        writes_1h = count(fields(kept), "ephemeral_1h_input_tokens")
        writes = max(writes, writes_1h + count(fields(kept), "ephemeral_5m_input_tokens"))
    if not reads:  # DeepSeek's, Moonshot's
        reads = count(usage, "prompt_cache_hit_tokens") or count(usage, "cached_tokens")
    # Anthropic counts them beside the input; so does whoever reports more of them than input.
    if (told_in is None and not chat) or reads + writes > tokens_in:
        tokens_in += reads + writes

    thought = said = drawn = files = 0
    if told_out is not None:
        outside = fields(told_out)
        thought = max(count(outside, "reasoning_tokens"), count(outside, "thinking_tokens"))
        # Some gateways count reasoning beside the output; their total gives it away.
        if thought and count(usage, "total_tokens") == tokens_in + tokens_out + thought:
            tokens_out += thought
        said, drawn = count(outside, "audio_tokens"), count(outside, "image_tokens")
        thought = max(0, min(thought, tokens_out - said - drawn))
    else:  # those whose output is all of one kind
        of_image = fields(usage.get("input_tokens_details"))
        if of_image.get("image_tokens") is not None and of_image.get("cached_tokens") is None:
            drawn = tokens_out
        elif response.get("type") == "speech.audio.done":
            said = tokens_out
    if not chat and response.get("output") is not None:
        web, files = _calls(response)
        searches = searches or web
    served = usage.get("service_tier")
    found = Usage(
        tokens_in,
        tokens_out,
        reads,
        writes - writes_1h,
        writes_1h,
        thought,
        heard,
        said,
        seen,
        drawn,
        watched,
        read_audio,
        read_images,
        searches,
        files,
        0,
        0,
        0,
        _tier(
            response.get("service_tier") if served is None else served,
            usage.get("speed"),
            usage.get("inference_geo"),
        ),
    )
    steps = usage.get("iterations")
    return found if steps is None else _with_steps(found, steps, summed=chat)


def _is_own(usage: Fields) -> bool:
    if isinstance(usage, dict):
        return not _OWN_ALONE.isdisjoint(usage)
    return usage.get("cache_read_tokens") is not None


def _with_steps(found: Usage, steps: object, *, summed: bool) -> Usage:
    """Add Anthropic's compactions, which its own total leaves out and LiteLLM's does not."""
    for step in items(steps):
        kind = step.get("type")
        if kind in ("advisor_message", "fallback_message"):
            raise UnreadableResponse(
                f"this call was answered by several models ({kind} in the usage's iterations), "
                "each with its own price; record what each used with model= and usage=, or pass "
                "the amount in USD"
            )
        if kind == "compaction" and not summed:
            more = _of_tokens(NONE, step)
            if more is not None:
                sums = map(int.__add__, found[:-1], more[:-1])
                found = Usage(**dict(zip(_COUNTS, sums, strict=True)), service_tier=found[-1])
    return found


def _calls(response: Fields) -> tuple[int, int]:
    """Searches of the web and of files among the output items of OpenAI's Responses."""
    searches = files = 0
    for item in items(response.get("output")):
        kind = item.get("type")
        if kind == "web_search_call":
            # opening a page, and finding something in it, is no search
            searches += get(item.get("action"), "type") in (None, "search")
        elif kind == "file_search_call":
            files += 1
    told = fields(get(response.get("tool_usage"), "web_search"))
    return (searches if told is NONE else count(told, "num_requests")), files


def _of_gemini(response: Fields, usage: Fields) -> Usage | None:
    names = ("prompt_token_count", "candidates_token_count", "response_token_count")
    if all(_either(usage, name) is None for name in names):
        return None
    tokens_in, candidates, spoken = (_whole(usage, name) for name in names)
    tokens_out = candidates or spoken  # the latter: the Live API
    thought = _whole(usage, "thoughts_token_count")
    by_tools = _whole(usage, "tool_use_prompt_token_count")
    if _whole(usage, "total_token_count") != tokens_in + tokens_out + by_tools:
        tokens_out += thought
    inside = _by_modality(usage, "prompt_tokens_details")
    searches = _grounding_searches(response)
    if not searches:
        tokens_in += by_tools
        for kind, tokens in _by_modality(usage, "tool_use_prompt_tokens_details").items():
            inside[kind] += tokens
    cached = _by_modality(usage, "cache_tokens_details")
    outside = _by_modality(usage, "candidates_tokens_details")
    outside = outside or _by_modality(usage, "response_tokens_details")
    return Usage(
        tokens_in,
        tokens_out,
        _whole(usage, "cached_content_token_count"),
        reasoning_tokens=thought,
        input_audio_tokens=max(inside["AUDIO"], cached["AUDIO"]),
        output_audio_tokens=outside["AUDIO"],
        input_image_tokens=max(inside["IMAGE"], cached["IMAGE"]),
        output_image_tokens=outside["IMAGE"],
        input_video_tokens=max(inside["VIDEO"], cached["VIDEO"]),
        cache_read_audio_tokens=cached["AUDIO"],
        cache_read_image_tokens=cached["IMAGE"],
        web_searches=searches,
        service_tier=_tier(_either(usage, "service_tier") or _either(usage, "traffic_type")),
    )


def _by_modality(usage: Fields, name: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in items(_either(usage, name)):
        kind = part.get("modality")
        kind = kind if isinstance(kind, str) else get(kind, "name")
        if isinstance(kind, str):
            kind = str.upper(kind)
            kind = "IMAGE" if kind == "DOCUMENT" else kind  # whose pages are read as images
            found[kind] += _whole(part, "token_count")
    return found


def _grounding_searches(response: Fields) -> int:
    """How many searches by Google the call is billed for."""
    queries: set[object] = set()
    for candidate in items(response.get("candidates")):
        told = _either(fields(_either(candidate, "grounding_metadata")), "web_search_queries")
        if isinstance(told, (list, tuple)):
            queries.update(query for query in told if isinstance(query, str) and query)
    model = model_named(response)
    if model is not None and _BILLED_BY_PROMPT.match(model):
        return min(len(queries), 1)
    return len(queries)


def _of_bedrock(response: Fields, usage: Fields) -> Usage | None:
    if usage.get("inputTokens") is None:
        return None
    reads, writes = count(usage, "cacheReadInputTokens"), count(usage, "cacheWriteInputTokens")
    kept = [step for step in items(usage.get("cacheDetails")) if step.get("ttl") == "1h"]
    writes_1h = sum(count(step, "inputTokens") for step in kept)
    writes = max(writes, writes_1h)
    return Usage(
        count(usage, "inputTokens") + reads + writes,
        count(usage, "outputTokens"),
        reads,
        writes - writes_1h,
        writes_1h,
        service_tier=_tier(get(response.get("serviceTier"), "type")),
    )


def _of_sound(response: Fields, usage: Fields) -> Usage | None:
    """A transcription billed by the length of what was heard."""
    name, length = "seconds", usage.get("seconds")
    if length is None and isinstance(response.get("text"), str):
        name, length = "duration", response.get("duration")
    if length is None:
        return None
    if type(length) in (int, float):
        seconds: float = length  # type: ignore[assignment]
        if 0 <= seconds <= MAX_COUNT:  # false for NaN
            return Usage(input_audio_seconds=math.ceil(seconds))
    raise UnreadableResponse(
        f"{name} ({type(length).__name__}) is not a length between 0 and {MAX_COUNT} seconds; "
        "pass the amount in USD"
    )


def _of_cohere(response: Fields, usage: Fields) -> Usage | None:
    """Cohere's, and LiteLLM's for any reranking: what is billed, where told, not what was read.

    Tokens only, since the price of a search unit is in no list.
    """
    told = response.get("meta")
    meta = usage if told is None else fields(told)
    billed = fields(meta.get("billed_units"))
    if billed.get("search_units"):
        return None
    for counts in (billed, fields(meta.get("tokens"))):
        tokens_in = count(counts, "total_tokens") or count(counts, "input_tokens")
        if tokens_in:
            return Usage(tokens_in, count(counts, "output_tokens"))
    return None


def _is_image(item: Fields) -> bool:
    return item.get("url") is not None or item.get("b64_json") is not None


def model_named(response: Fields) -> str | None:
    """The model a response names, by any of the names for that."""
    for name in ("model", "model_version", "modelVersion"):
        named = text(response.get(name))
        if named is not None:
            return named
    # LiteLLM's images, sound and reranking name none themselves.
    return text(get(response.get("_hidden_params"), "litellm_model_name"))


def _tier(*told: object) -> str | None:
    """How a call was served, if that changes its price; several ways joined by a plus."""
    word = None
    for told_one in told:
        if told_one is not None and (more := tier_word(told_one)) is not None:
            word = more if word is None else f"{word}+{more}"
    return word


def tier_word(told: object) -> str | None:
    """A word in lower case; None for the usual, 'unknown' for what is no word."""
    if not isinstance(told, str):
        return "unknown"
    word = str.lower(told).removeprefix("on_demand_").removeprefix("traffic_type_")
    if word in _USUAL:
        return None
    return word if _WORD.fullmatch(word) else "unknown"


def _either(told: Fields, name: str) -> object:
    """A field by its name in Google's SDK, or as its REST API spells it."""
    value = told.get(name)
    if value is None:
        first, *rest = name.split("_")
        value = told.get(first + "".join(map(str.capitalize, rest)))
    return value


def _whole(told: Fields, name: str) -> int:
    value = _either(told, name)
    return 0 if value is None else checked_count(value, name)
