"""The usage of Alibaba's DashScope API; its OpenAI endpoint has OpenAI's form.

Follows Model Studio's "Qwen API reference", DashScope response object (usage), its pages "Context
cache" and "Multimodal embeddings", and the usages of the dashscope client 2.0 (characters,
duration, image_count).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from budgetledger.responses.fields.by_name import Fields, count, fields, fields_at, first
from budgetledger.responses.usage.token_details import cache_counts, output_counts
from budgetledger.usage import Usage


def read_dashscope_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``input_tokens`` beside a name that OpenAI and Anthropic lack there, or other units."""
    if usage.get("input_tokens") is None:
        return _other_units(usage)
    get = usage.get
    if get("prompt_tokens_details") is None and get("plugins") is None and _has_no_media(get):
        return None
    details = first(usage, "prompt_tokens_details", "input_tokens_details")
    images, video, audio = (count(usage, f"{kind}_tokens") for kind in ("image", "video", "audio"))
    input_tokens = count(usage, "input_tokens")
    if images + video + audio > input_tokens:  # of embeddings, where text is counted apart
        input_tokens += images + video + audio
    read, written, written_1h = cache_counts(usage, fields(details))
    output, reasoning, output_audio, output_images = output_counts(
        usage, usage.get("output_tokens_details"), input_tokens
    )
    return Usage(
        input_tokens,
        output,
        read,
        written,
        written_1h,
        reasoning,
        input_image_tokens=images,
        input_video_tokens=video,
        input_audio_tokens=audio,
        output_audio_tokens=output_audio,
        output_image_tokens=output_images,
        paid_tool_calls=count(fields_at(usage, "plugins", "search"), "count"),
    )


def _has_no_media(get: Callable[[str], object]) -> bool:
    return (
        get("image_tokens") is None and get("video_tokens") is None and get("audio_tokens") is None
    )


def _other_units(usage: Fields) -> Usage | None:
    """Speech is billed by the character, its recognition by the second, pictures by number."""
    if usage.get("total_tokens") is not None:
        return None
    seconds = usage.get("duration")
    used = Usage(
        input_characters=count(usage, "characters"),
        output_images=count(usage, "image_count"),
        input_audio_seconds=math.ceil(seconds) if isinstance(seconds, int | float) else 0,
    )
    return used if any(used[:-2]) else None
