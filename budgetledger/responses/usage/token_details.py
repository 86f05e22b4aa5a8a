"""Counts within the counts of a usage, by the names that OpenAI, Anthropic and others share.

LiteLLM reports Anthropic's names inside OpenAI's form, so both readers need both sets of names.
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import NONE, Fields, count, fields

# Names among the details of DashScope and Perplexity, and of new-api and Requesty, two gateways.
_WRITTEN_ELSEWHERE = ("cache_creation_input_tokens", "cached_creation_tokens", "caching_tokens")
_NEW_API_1H = "claude_cache_creation_1_h_tokens"


def cache_counts(usage: Fields, input_details: Fields = NONE) -> tuple[int, int, int]:
    """Input tokens read from a cache, and written to it for 5 minutes and for an hour.

    Those written for a time that is not stated count as written for 5 minutes.
    """
    read = count(usage, "cache_read_input_tokens")
    written, written_1h = count(usage, "cache_creation_input_tokens"), 0
    by_time = usage.get("cache_creation")
    if input_details is not NONE:
        read = max(read, count(input_details, "cached_tokens"))
        written = max(
            written,
            count(input_details, "cache_creation_tokens"),
            count(input_details, "cache_write_tokens"),
        )
        for name in _WRITTEN_ELSEWHERE:
            if input_details.get(name):
                written = max(written, count(input_details, name))
        read = read or count(input_details, "cache_read_input_tokens")
        by_time = by_time or input_details.get("cache_creation_token_details")
    if by_time is not None:
        times = fields(by_time)
        written_1h = count(times, "ephemeral_1h_input_tokens")
        written = max(written, written_1h + count(times, "ephemeral_5m_input_tokens"))
    elif written and usage.get(_NEW_API_1H):
        written_1h = min(written, count(usage, _NEW_API_1H))
    if not read:  # DeepSeek's name, Moonshot's name
        read = count(usage, "prompt_cache_hit_tokens") or count(usage, "cached_tokens")
    return read, written - written_1h, written_1h


def output_counts(
    usage: Fields, output_details: object, input_tokens: int
) -> tuple[int, int, int, int]:
    """Output tokens, and of these reasoning, sound and images.

    *input_tokens*: the whole input, with all that was cached.
    """
    output = max(count(usage, "completion_tokens"), count(usage, "output_tokens"))
    if not output and not usage.get("prompt_audio_seconds"):  # Mistral's total has sound too
        output = max(0, count(usage, "total_tokens") - input_tokens)
    if output_details is None:
        return output, 0, 0, 0
    details = fields(output_details)
    reasoning = max(count(details, "reasoning_tokens"), count(details, "thinking_tokens"))
    if reasoning:
        output += reasoning_beside(usage, input_tokens, output, reasoning)
    audio, images = count(details, "audio_tokens"), count(details, "image_tokens")
    return output, max(0, min(reasoning, output - audio - images)), audio, images


def reasoning_beside(usage: Fields, input_tokens: int, output: int, reasoning: int) -> int:
    """How many *reasoning* tokens a sender counted beside the *output*: all or none.

    The total shows which senders do; without one, more reasoning than output shows it.
    """
    total = count(usage, "total_tokens")
    is_beside = total == input_tokens + output + reasoning or (not total and reasoning > output)
    return reasoning if is_beside else 0


def web_searches(usage: Fields) -> int:
    """Searches of the web that Anthropic's servers made for the call, or OpenRouter's."""
    tool_use = usage.get("server_tool_use")
    if tool_use is None:
        tool_use = usage.get("server_tool_use_details")
    return 0 if tool_use is None else count(fields(tool_use), "web_search_requests")
