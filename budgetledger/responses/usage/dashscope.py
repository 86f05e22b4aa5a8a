"""The usage of Alibaba's DashScope API for Qwen; its OpenAI endpoint has OpenAI's form.

Follows Model Studio's "Qwen API reference", DashScope response object (usage), and its page
"Context cache".
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count, fields, fields_at
from budgetledger.responses.usage.token_details import cache_counts, output_counts
from budgetledger.usage import Usage


def read_dashscope_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``input_tokens`` whose details are called ``prompt_tokens_details``."""
    details = usage.get("prompt_tokens_details")
    if details is None or usage.get("input_tokens") is None:
        return None
    input_tokens = count(usage, "input_tokens")
    read, written, written_1h = cache_counts(usage, fields(details))
    output, reasoning, audio, images = output_counts(
        usage, usage.get("output_tokens_details"), input_tokens
    )
    return Usage(
        input_tokens,
        output,
        read,
        written,
        written_1h,
        reasoning,
        input_image_tokens=count(usage, "image_tokens"),
        input_video_tokens=count(usage, "video_tokens"),
        input_audio_tokens=count(usage, "audio_tokens"),
        output_audio_tokens=audio,
        output_image_tokens=images,
        paid_tool_calls=count(fields_at(usage, "plugins", "search"), "count"),
    )
