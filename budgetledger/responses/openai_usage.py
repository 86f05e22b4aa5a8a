"""OpenAI's usage: chat and text completions, embeddings, Responses, images, sound, realtime.

It is the form of most other providers, and of all that LiteLLM returns. The input includes cached
reads and cache writes; the output includes reasoning and rejected predictions. Field names are
those of the providers' responses as of 2026-11.
"""

from __future__ import annotations

from budgetledger.responses.anthropic_usage import check_one_model, with_compactions
from budgetledger.responses.fields import NONE, Fields, count, fields, first, get, items
from budgetledger.responses.service_tiers import service_tier
from budgetledger.responses.token_details import cache_counts, output_counts, web_searches
from budgetledger.usage import Usage, positional

_usage = positional(Usage)


def read_openai_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read a usage with ``prompt_tokens``, or with ``input_tokens`` and their details.

    Also one without details, if the response is one of the Responses API or of speech.
    """
    is_chat = usage.get("prompt_tokens") is not None
    if is_chat:
        input_tokens = count(usage, "prompt_tokens")
        input_details = usage.get("prompt_tokens_details")
        output_details = usage.get("completion_tokens_details")
    else:
        # The second name is that of transcriptions and of the realtime API.
        input_details = first(usage, "input_tokens_details", "input_token_details")
        if usage.get("input_tokens") is None or (
            input_details is None and not _is_openai(response)
        ):
            return None
        input_tokens, output_details = count(usage, "input_tokens"), None
    if output_details is None:
        output_details = first(usage, "output_tokens_details", "output_token_details")
    details = fields(input_details)
    read, written, written_1h = cache_counts(usage, details)
    cached = read + written + written_1h
    # A sender that reports more of these than input counts them beside it.
    if cached > input_tokens or (input_details is None and not is_chat):
        input_tokens += cached
    audio, images, video, read_audio, read_images = _input_media(details)
    output, reasoning, output_audio, output_images = output_counts(
        usage, output_details, input_tokens
    )
    if output_details is None:
        output_audio, output_images = _output_of_one_kind(response, usage, output)
    searches, file_searches = _searches(response, usage, details, is_chat)
    tier = usage.get("service_tier")
    used = _usage((
        input_tokens, output, read, written, written_1h, reasoning, audio, output_audio, images,
        output_images, video, read_audio, read_images, searches, file_searches, 0, 0, 0,
        service_tier(
            response.get("service_tier") if tier is None else tier,
            usage.get("speed"), usage.get("inference_geo"),  # Anthropic's, from LiteLLM
        ),
    ))  # fmt: skip
    iterations = usage.get("iterations")
    if iterations is None:
        return used
    check_one_model(iterations)
    # LiteLLM's totals, which are those of a chat, include compactions.
    return used if is_chat else with_compactions(used, iterations)


def _is_openai(response: Fields) -> bool:
    """Whether a response without details of its input is OpenAI's rather than Anthropic's."""
    return response.get("output") is not None or response.get("type") == "speech.audio.done"


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
    if details.get("image_tokens") is not None and details.get("cached_tokens") is None:
        return 0, output  # a response of the Images API
    return (output, 0) if response.get("type") == "speech.audio.done" else (0, 0)


def _searches(response: Fields, usage: Fields, details: Fields, is_chat: bool) -> tuple[int, int]:
    """Searches of the web, and of files."""
    searches, file_searches = web_searches(usage), 0
    if not searches and details is not NONE:
        searches = count(details, "web_search_requests")
    if not is_chat and response.get("output") is not None:
        output_searches, file_searches = _searches_of_output(response)
        searches = searches or output_searches
    return searches, file_searches


def _searches_of_output(response: Fields) -> tuple[int, int]:
    """Searches of the web and of files among the output items of the Responses API."""
    searches = file_searches = 0
    for item in items(response.get("output")):
        kind = item.get("type")
        if kind == "web_search_call":
            # Opening a page and finding text in it are not billed as searches.
            searches += get(item.get("action"), "type") in (None, "search")
        elif kind == "file_search_call":
            file_searches += 1
    tool_usage = fields(get(response.get("tool_usage"), "web_search"))
    if tool_usage is not NONE:
        searches = count(tool_usage, "num_requests")
    return searches, file_searches
