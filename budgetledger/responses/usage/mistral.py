"""What Mistral's usage has beside OpenAI's: seconds of sound, and connectors of its agents.

Sound is billed by the second, beside the tokens; the total has its tokens too. What connectors
read is input; each of their calls is billed.

Follows Mistral's documentation, "Audio & Transcription" (usage.prompt_audio_seconds), "Agents &
Conversations: Connectors" (usage.connector_tokens, usage.connectors) and "Pricing".
"""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count, is_absent, values
from budgetledger.usage import Usage, checked_count


def with_sound_and_connectors(usage: Fields, used: Usage) -> Usage:
    """*used*, with ``prompt_audio_seconds``, ``connector_tokens`` and ``connectors``."""
    seconds, read = count(usage, "prompt_audio_seconds"), count(usage, "connector_tokens")
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
