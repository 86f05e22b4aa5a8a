"""What one call used, in the one form the ledger prices. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from budgetledger.errors import UnreadableResponse

MAX_TOKENS = 10**12
"""The largest count, of tokens or of any other unit. A larger one is an error of the sender."""

_Record = TypeVar("_Record", bound=tuple[Any, ...])


def positional(record: type[_Record]) -> Callable[[Iterable[Any]], _Record]:
    """The quickest constructor of a named tuple: from the values of all its fields, in order.

    For records that every call makes: construction by keywords takes about five times as long.
    It fills in no default and checks nothing, so each use lists the fields in their order.
    """
    return partial(tuple.__new__, record)


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
    cache_write_tokens: int = 0  # kept 5 minutes, or for a time the provider does not state
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


def _span(first: str, end: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Takes the fields from *first* up to and without *end* out of a usage or a like tuple."""
    return itemgetter(slice(Usage._fields.index(first), Usage._fields.index(end)))


# All positions in a usage are stated here, by the names of its fields.
counts_of: Callable[[Usage], tuple[int, ...]] = _span("input_tokens", "service_tier")
"""Every count of a usage: all of it but the service tier."""

token_parts_of: Callable[[Usage], tuple[int, ...]] = _span("cache_read_tokens", "web_searches")
"""The counts that are parts of ``input_tokens`` or ``output_tokens``."""

rare_counts_of: Callable[[Usage], tuple[int, ...]] = _span("input_audio_tokens", "service_tier")
"""The counts that are 0 for a call of text alone, without searches."""

COUNT_NAMES: tuple[str, ...] = _span("input_tokens", "service_tier")(Usage._fields)
"""The names of all counts, in the order of `counts_of`."""


def usage_from(counts: Iterable[int], service_tier: str | None) -> Usage:
    """The usage with these *counts*, in the order of `counts_of`."""
    return Usage._make((*counts, service_tier))


_INTS = {int}


def checked_count(value: object, name: str) -> int:
    """*value* as a count. Raises `UnreadableResponse`, which names its type and not the value."""
    if isinstance(value, float) and value.is_integer():  # JSON written by JavaScript
        value = int(value)
    if not isinstance(value, bool) and isinstance(value, int):
        whole = int.__index__(value)  # a subclass may override everything else
        if 0 <= whole <= MAX_TOKENS:
            return whole
    raise UnreadableResponse(
        f"{name} ({type(value).__name__}) is not a count of tokens or units between 0 and "
        f"{MAX_TOKENS}; pass the usage as the provider gave it, or the amount in USD"
    )


def checked(usage: Usage) -> Usage:
    """Return ``usage`` if its counts are counts and its parts fit into their wholes.

    *Raises* ``UnreadableResponse`` otherwise.
    """
    counts, tier = counts_of(usage), usage.service_tier
    if set(map(type, counts)) != _INTS or min(counts) < 0 or max(counts) > MAX_TOKENS:
        usage = usage_from(map(checked_count, counts, COUNT_NAMES), tier)
    if tier is not None and (not isinstance(tier, str) or not tier or tier != tier.strip().lower()):
        raise UnreadableResponse(
            f"service_tier ({type(tier).__name__}) of the usage is not a word in lower case; pass "
            "None for the usual one, else for example 'batch', 'flex' or 'priority'"
        )
    return fitting(usage)


def fitting(usage: Usage) -> Usage:
    """As `checked`, for counts that are integers already; their sums may still be out of range."""
    if max(usage.input_tokens, usage.output_tokens) > MAX_TOKENS or min(counts_of(usage)) < 0:
        return checked(usage)  # raises the error that names the count
    if not any(token_parts_of(usage)):
        return usage  # plain text, as most calls are
    cached = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    input_media = usage.input_audio_tokens + usage.input_image_tokens + usage.input_video_tokens
    output_media = usage.output_audio_tokens + usage.output_image_tokens
    cached_media = usage.cache_read_audio_tokens + usage.cache_read_image_tokens
    if (
        cached > usage.input_tokens
        or input_media > usage.input_tokens
        or usage.reasoning_tokens + output_media > usage.output_tokens
        or cached_media > usage.cache_read_tokens
        or usage.cache_read_audio_tokens > usage.input_audio_tokens
        or usage.cache_read_image_tokens > usage.input_image_tokens
    ):
        raise UnreadableResponse(
            "input_tokens must include cache, audio, images and video, output_tokens reasoning, "
            f"audio and images, and each what was cached of it; got {usage!r}"
        )
    return usage
