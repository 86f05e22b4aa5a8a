"""The ledger's own form of a usage, as the fields of a dict or an object."""

from __future__ import annotations

from budgetledger.responses.fields.by_name import Fields, count, fields_at, first, text
from budgetledger.responses.fields.service_tiers import service_tier
from budgetledger.usage import COUNT_NAMES, ImageGeneration, Usage, usage_from

_USED_BY_NO_PROVIDER = frozenset(COUNT_NAMES) - {"input_tokens", "output_tokens"}
_OPENAIS = ("prompt_tokens", "input_tokens_details", "input_token_details")


def read_ledger_usage(response: Fields, usage: Fields) -> Usage | None:
    """Read what ``Usage(...)._asdict()`` gives; counts that are missing are 0."""
    if not _has_own_names(usage) or first(usage, *_OPENAIS) is not None:
        return None
    return _read(usage, _images_in(fields_at(usage, "image_generation")))


def _images_in(images: Fields) -> ImageGeneration | None:
    model, usage = text(images.get("model")), fields_at(images, "usage")
    return None if model is None else ImageGeneration(model, _read(usage, None))


def _read(usage: Fields, images: ImageGeneration | None) -> Usage:
    counts = (count(usage, name) for name in COUNT_NAMES)
    return usage_from(counts, service_tier(usage.get("service_tier")), images)


def _has_own_names(usage: Fields) -> bool:
    if isinstance(usage, dict):
        return not _USED_BY_NO_PROVIDER.isdisjoint(usage)
    return usage.get("cache_read_tokens") is not None
