"""OpenAI's usage: chat and text completions, embeddings, Responses, images, sound, realtime.

It is the form of most other providers, and of all that LiteLLM returns. The input includes cached
reads and cache writes; the output includes reasoning and rejected predictions.

Follows OpenAI's API reference, "The chat completion object" and "The response object" (2026-11).
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import NONE, Fields, count, fields, first
from budgetledger.responses.fields.service_tiers import service_tier
from budgetledger.responses.usage.anthropic import check_one_model, with_compactions
from budgetledger.responses.usage.gemini import hidden_thoughts
from budgetledger.responses.usage.openai_tools import (
    NO_TOOLS,
    ToolUses,
    tools_of_output,
    tools_of_search_model,
)
from budgetledger.responses.usage.token_details import cache_counts, output_counts, web_searches
from budgetledger.usage import Usage, positional

_usage = positional(Usage)


def read_chat_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``prompt_tokens``.

    Gateways send ``prompt_tokens: 0`` beside ``input_tokens``, which are then the true ones.
    """
    prompt_tokens = usage.get("prompt_tokens")
    if prompt_tokens is None or (prompt_tokens == 0 and usage.get("input_tokens")):
        return None
    output_details = usage.get("completion_tokens_details")
    if output_details is None:
        output_details = first(usage, "output_tokens_details", "output_token_details")
    input_tokens = count(usage, "prompt_tokens")
    input_details = first(usage, "prompt_tokens_details", "prompt_token_details")  # of Assistants
    used = _read(response, usage, input_tokens, input_details, output_details, True)
    if usage.get("iterations") is not None:
        check_one_model(usage.get("iterations"))  # LiteLLM's totals include compactions
    return used


def read_responses_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``input_tokens`` and their details.

    Also one without details, if the response is one of the Responses API or of speech.
    """
    if usage.get("input_tokens") is None:
        return None
    # The second name is that of transcriptions and of the realtime API.
    input_details = first(usage, "input_tokens_details", "input_token_details")
    if input_details is None and not _is_openai(response, usage):
        return None
    output_details = first(usage, "output_tokens_details", "output_token_details")
    input_tokens = count(usage, "input_tokens")
    used = _read(response, usage, input_tokens, input_details, output_details, False)
    iterations = usage.get("iterations")
    if iterations is None:
        return used
    check_one_model(iterations)
    return with_compactions(used, iterations)


def _read(
    response: Fields,
    usage: Fields,
    input_tokens: int,
    input_details: object,
    output_details: object,
    is_chat: bool,
) -> Usage:
    details = fields(input_details)
    read, written, written_1h = cache_counts(usage, details)
    cached = read + written + written_1h
    # A sender that reports more of these than input counts them beside it.
    if cached > input_tokens or (input_details is None and not is_chat):
        input_tokens += cached
    audio, images, video, read_audio, read_images = _input_media(details)
    if details is NONE and usage.get("type") == "tokens":  # a transcription
        audio = input_tokens
    output, reasoning, output_audio, output_images = output_counts(
        usage, output_details, input_tokens
    )
    if output_details is None:
        output_audio, output_images = _output_of_one_kind(response, usage, output)
    if is_chat and not reasoning and usage.get("total_tokens") != input_tokens + output:
        reasoning = hidden_thoughts(response, usage, input_tokens + output)
        output += reasoning
    tools = _tools(response, usage, details, is_chat)
    searches, previews, file_searches, containers, paid, made_images = tools
    tier = usage.get("service_tier")
    return _usage((
        input_tokens, output, read, written, written_1h, reasoning, audio, output_audio, images,
        output_images, video, read_audio, read_images, searches, file_searches,
        0, 0, 0, previews, 0, containers, paid,
        service_tier(
            response.get("service_tier") if tier is None else tier,
            usage.get("speed"), usage.get("inference_geo"),  # Anthropic's, from LiteLLM
        ),
        made_images,
    ))  # fmt: skip


def _is_openai(response: Fields, usage: Fields) -> bool:
    """Whether a response without details of its input is OpenAI's rather than Anthropic's."""
    if response.get("output") is not None or usage.get("type") == "tokens":
        return True
    return response.get("type") == "speech.audio.done"


def _input_media(details: Fields) -> tuple[int, int, int, int, int]:
    """Sound, images and video in the input, and sound and images read from the cache."""
    if details is NONE:
        return 0, 0, 0, 0, 0
    audio, images = count(details, "audio_tokens"), count(details, "image_tokens")
    video = count(details, "video_tokens")
    cached = details.get("cached_tokens_details")  # realtime
    if cached is None:
        return audio, images, video, 0, 0
    cached = fields(cached)
    return audio, images, video, count(cached, "audio_tokens"), count(cached, "image_tokens")


def _output_of_one_kind(response: Fields, usage: Fields, output: int) -> tuple[int, int]:
    """Sound and images among *output* tokens that come without details: all of them, or none."""
    details = fields(usage.get("input_tokens_details"))
    is_image = details.get("image_tokens") is not None and details.get("cached_tokens") is None
    if is_image and response.get("output") is None:
        return 0, output  # a response of the Images API
    return (output, 0) if response.get("type") == "speech.audio.done" else (0, 0)


def _tools(response: Fields, usage: Fields, details: Fields, is_chat: bool) -> ToolUses:
    """What the provider's tools did for the call, beside its tokens."""
    tools = NO_TOOLS
    if not is_chat:
        if response.get("output") is not None:
            tools = tools_of_output(response)
    elif isinstance(model := response.get("model"), str) and "-search-" in model:
        tools = tools_of_search_model(model)
    searches = web_searches(usage)
    if not searches and details is not NONE:
        searches = count(details, "web_search_requests")
    return tools._replace(web_searches=searches) if searches else tools
