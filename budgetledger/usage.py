"""`Usage`: the tokens and other units of one call, as the ledger prices them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from budgetledger.errors import UnreadableResponse

__all__ = ["MAX_TOKENS", "ImageGeneration", "Usage"]

MAX_TOKENS = 10**12
"""The largest count of tokens or of another unit. A larger one is rejected as an error."""

_Record = TypeVar("_Record", bound=tuple[Any, ...])


def positional(record: type[_Record]) -> Callable[[Iterable[Any]], _Record]:
    """The fastest constructor of a named tuple, from the values of all its fields in order.

    For records that are made for every call: keyword construction takes about five times as
    long. It fills in no defaults and checks nothing.
    """
    return partial(tuple.__new__, record)


class Usage(NamedTuple):
    """What one call used: counts of tokens and of other billed units.

    ``input_tokens`` and ``output_tokens`` are totals that include the other token counts; the
    units below them (searches, images, characters, seconds) are billed separately. Pass it to
    `Ledger.charge` or `Hold.settle` if you have no response object.
    """

    input_tokens: int = 0
    """All input, including the cache, audio, image and video counts."""
    output_tokens: int = 0
    """All output, including reasoning, audio and images."""
    cache_read_tokens: int = 0
    """Input read from the provider's cache. It does not overlap the two cache_write counts."""
    cache_write_tokens: int = 0
    """Input written to the cache for 5 minutes, or for a time the provider does not state."""
    cache_write_1h_tokens: int = 0
    """Input written to the cache for an hour."""
    reasoning_tokens: int = 0
    """Output spent on reasoning."""
    input_audio_tokens: int = 0
    """Audio input."""
    output_audio_tokens: int = 0
    """Audio output."""
    input_image_tokens: int = 0
    """Image input."""
    output_image_tokens: int = 0
    """Image output."""
    input_video_tokens: int = 0
    """Video input."""
    cache_read_audio_tokens: int = 0
    """The audio in ``cache_read_tokens``."""
    cache_read_image_tokens: int = 0
    """The images in ``cache_read_tokens``."""
    web_searches: int = 0
    """Web searches that the provider ran."""
    file_searches: int = 0
    """File searches that the provider ran."""
    output_images: int = 0
    """Generated images, if they are billed by number."""
    input_characters: int = 0
    """Input billed by character."""
    input_audio_seconds: int = 0
    """Audio input billed by the second."""
    preview_searches: int = 0
    """Web searches by OpenAI's ``web_search_preview``, which some models bill at another price."""
    map_searches: int = 0
    """Prompts or searches that the provider grounded in its maps."""
    code_containers: int = 0
    """Containers in which the provider ran code, by the gigabyte of their memory."""
    paid_tool_calls: int = 0
    """Calls of other tools that the provider bills, such as image generation."""
    service_tier: str | None = None
    """``batch``, ``flex`` or ``priority``, which have other prices; None for the usual tier."""
    image_generation: ImageGeneration | None = None
    """Images that another model made for this call, with tokens of its own, in no count above."""


class ImageGeneration(NamedTuple):
    """What a tool that generates images used, and the ``model`` that is billed for it."""

    model: str
    usage: Usage


def _span(first: str, end: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """A getter of the fields from `first` up to `end` (excluded), of any tuple in their order."""
    return itemgetter(slice(Usage._fields.index(first), Usage._fields.index(end)))


# The only code that knows the positions of the fields.
counts_of: Callable[[Usage], tuple[int, ...]] = _span("input_tokens", "service_tier")
"""All counts of a usage: every field but the service tier."""

token_parts_of: Callable[[Usage], tuple[int, ...]] = _span("cache_read_tokens", "web_searches")
"""The counts that are parts of ``input_tokens`` or ``output_tokens``."""

rare_counts_of: Callable[[Usage], tuple[int, ...]] = _span("input_audio_tokens", "service_tier")
"""The counts that are 0 for a call of text only, without searches."""


def has_counts(usage: Usage) -> bool:
    """Whether any count of `usage` is above 0. Zeros alone mean that the usage is not known."""
    return any(counts_of(usage))


COUNT_NAMES: tuple[str, ...] = _span("input_tokens", "service_tier")(Usage._fields)
"""The names of all counts, in the order of `counts_of`."""


def usage_from(
    counts: Iterable[int],
    service_tier: str | None,
    image_generation: ImageGeneration | None = None,
) -> Usage:
    """Make a usage from `counts`, in the order of `counts_of`."""
    return Usage._make((*counts, service_tier, image_generation))


def to_fields(usage: Usage) -> dict[str, Any]:
    """The fields of `usage` that are not 0 or None, as JSON has them."""
    values = zip(Usage._fields, usage, strict=True)
    fields: dict[str, Any] = {name: value for name, value in values if value}
    images = usage.image_generation
    if images is not None:
        fields["image_generation"] = {"model": images.model, "usage": to_fields(images.usage)}
    return fields


def from_fields(fields: Mapping[str, Any]) -> Usage | None:
    """The usage with these `fields`, as `to_fields` returns them; None if it has others."""
    if not fields.keys() <= _NAMES:
        return None
    images = fields.get("image_generation")
    if images is None:
        return Usage(**fields)
    made = from_fields(images["usage"])
    return made and Usage(**{**fields, "image_generation": ImageGeneration(images["model"], made)})


_INTS = {int}
_NAMES = frozenset(Usage._fields)


def checked_count(value: object, name: str) -> int:
    """Return `value` as a count. Raises `UnreadableResponse` with its type, but not its value."""
    if isinstance(value, float) and value.is_integer():  # JSON written by JavaScript
        value = int(value)
    if not isinstance(value, bool) and isinstance(value, int):
        whole = int.__index__(value)  # exact even for subclasses of int
        if 0 <= whole <= MAX_TOKENS:
            return whole
    raise UnreadableResponse(
        f"{name} ({type(value).__name__}) is not a count of tokens or units between 0 and "
        f"{MAX_TOKENS}; pass the usage as the provider returned it, or the amount in USD"
    )


def checked(usage: Usage) -> Usage:
    """Return `usage` if it is consistent: counts are whole numbers, and no part exceeds its total.

    Raises `UnreadableResponse` otherwise.
    """
    counts, tier = counts_of(usage), usage.service_tier
    if set(map(type, counts)) != _INTS or min(counts) < 0 or max(counts) > MAX_TOKENS:
        counts = tuple(map(checked_count, counts, COUNT_NAMES))
        usage = usage_from(counts, tier, usage.image_generation)
    if tier is not None and (not isinstance(tier, str) or not tier or tier != tier.strip().lower()):
        raise UnreadableResponse(
            f"service_tier ({type(tier).__name__}) of the usage is not a word in lower case; pass "
            "None for the usual tier, or for example 'batch', 'flex' or 'priority'"
        )
    images = usage.image_generation
    if images is not None:
        if not isinstance(images, ImageGeneration) or not isinstance(images.model, str):
            raise UnreadableResponse(
                f"image_generation ({type(images).__name__}) of the usage is no ImageGeneration; "
                "pass ImageGeneration(model, Usage(...)) of the model that made the images"
            )
        usage = usage._replace(image_generation=images._replace(usage=checked(images.usage)))
    return fitting(usage)


def fitting(usage: Usage) -> Usage:
    """As `checked`, for counts that are known to be whole numbers, though perhaps too large."""
    if usage.input_tokens > MAX_TOKENS or usage.output_tokens > MAX_TOKENS:
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
            "input_tokens must include cache, audio, image and video tokens, output_tokens must "
            "include reasoning, audio and image tokens, and each kind its cached part; "
            f"got {usage!r}"
        )
    return usage
