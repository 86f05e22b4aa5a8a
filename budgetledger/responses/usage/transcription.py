"""The usage of a transcription that is billed by the length of its sound.

Follows OpenAI's API reference, "Create transcription" (usage of type duration; verbose JSON).
"""

from __future__ import annotations

import math

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields.by_name import Fields
from budgetledger.usage import MAX_TOKENS, Usage


def read_transcription_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read ``seconds`` of the usage, or ``duration`` of a response with text; rounded up."""
    name, length = "seconds", usage.get("seconds")
    if length is None and isinstance(response.get("text"), str):
        name, length = "duration", response.get("duration")
    if length is None:
        return None
    if type(length) in (int, float):
        seconds: float = length  # type: ignore[assignment]
        if 0 <= seconds <= MAX_TOKENS:  # false for NaN
            return Usage(input_audio_seconds=math.ceil(seconds))
    raise UnreadableResponse(
        f"{name} ({type(length).__name__}) is not a length between 0 and {MAX_TOKENS} seconds; "
        "pass the amount in USD"
    )
