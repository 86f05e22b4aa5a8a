"""What one call used, in the one form the ledger prices."""

from __future__ import annotations

from typing import NamedTuple

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields import MAX_COUNT, checked_count

MAX_TOKENS = MAX_COUNT
"""A larger count is taken for a defect of the sender, not for a call."""


class Usage(NamedTuple):
    """What one call used, in the one form the ledger prices.

    ``input_tokens`` includes the three cache counts, which do not overlap each other, and what
    was not text: sound, images, video (of which the ``cache_read_…`` counts were read from the
    cache). ``output_tokens`` includes ``reasoning_tokens``, sound and images. The rest is billed
    beside the tokens. ``service_tier``: how the call was served, if not as usual (``batch``,
    ``flex``, ``priority``), which changes its price.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0  # kept 5 minutes, or for a time the provider does not tell
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    input_video_tokens: int = 0
    cache_read_audio_tokens: int = 0
    cache_read_image_tokens: int = 0
    web_searches: int = 0
    file_searches: int = 0
    output_images: int = 0
    input_characters: int = 0
    input_audio_seconds: int = 0
    service_tier: str | None = None


_INTS = {int}


def checked(usage: Usage) -> Usage:
    """Return ``usage`` if its counts are counts and its parts fit into their wholes.

    *Raises* ``UnreadableResponse`` otherwise.
    """
    counts, tier = usage[:-1], usage.service_tier
    if set(map(type, counts)) != _INTS or min(counts) < 0 or max(counts) > MAX_TOKENS:
        exact = map(checked_count, counts, Usage._fields)
        usage = Usage(**dict(zip(Usage._fields, exact, strict=False)), service_tier=tier)
    if tier is not None and (not isinstance(tier, str) or not tier or tier != tier.strip().lower()):
        raise UnreadableResponse(
            f"service_tier ({type(tier).__name__}) of the usage is not a word in lower case; pass "
            "None for the usual one, else for example 'batch', 'flex' or 'priority'"
        )
    return fitting(usage)


def fitting(usage: Usage) -> Usage:
    """``checked``, for counts that were read as such, and their sums."""
    if max(usage[:2]) > MAX_TOKENS or min(usage[:-1]) < 0:
        return checked(usage)  # which says what is wrong
    if not any(usage[2:13]):
        return usage  # plain text, as most are: no parts
    whole, written, read, kept, kept_1h, thought, heard, said, seen, drawn, watched, *cached = (
        usage[:13]
    )
    if (
        read + kept + kept_1h > whole
        or heard + seen + watched > whole
        or thought + said + drawn > written
        or sum(cached) > read
        or cached[0] > heard
        or cached[1] > seen
    ):
        raise UnreadableResponse(
            "input_tokens must include cache, audio, images and video, output_tokens reasoning, "
            f"audio and images, and each what was cached of it; got {usage!r}"
        )
    return usage
