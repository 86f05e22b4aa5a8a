"""What Mistral's usage has beside OpenAI's: seconds of sound, and connectors of its agents.

Sound is billed by the second, beside the tokens; the total has its tokens too. What connectors
read is input; each of their calls is billed.

Follows Mistral's documentation, "Audio & Transcription" (usage.prompt_audio_seconds), "Agents &
Conversations: Connectors" (usage.connector_tokens, usage.connectors), "Prompt caching"
(num_cached_tokens) and "Pricing".
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count, is_absent, values
from budgetledger.usage import Usage, checked_count


def with_sound_and_connectors(usage: Fields, used: Usage) -> Usage:
    """*used*, with what Mistral alone has: sound, connectors, and a name for cached tokens."""
    sound = usage.get("prompt_audio_seconds")  # some of its clients write {} for none
    seconds = 0 if not sound else count(usage, "prompt_audio_seconds")
    cached, read = count(usage, "num_cached_tokens"), count(usage, "connector_tokens")
    if cached and not used.cache_read_tokens:
        used = used._replace(cache_read_tokens=cached)
    calls, connectors = 0, usage.get("connectors")
    if not is_absent(connectors):
        calls = sum(checked_count(number, "connectors") for number in values(connectors))
    if not (seconds or read or calls):
        return used
    return used._replace(
        input_tokens=used.input_tokens + read,
        input_audio_seconds=used.input_audio_seconds + seconds,
        paid_tool_calls=used.paid_tool_calls + calls,
    )
