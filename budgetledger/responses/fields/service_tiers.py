"""How a call was served, as one word, where that changes its price."""

from __future__ import annotations

import re

from budgetledger.responses.fields.by_name import is_absent

_WORD = re.compile(r"[a-z0-9_-]{1,32}")
_USUAL = frozenset(  # the last two are values of Anthropic's inference_geo
    {"", "default", "auto", "standard", "on_demand", "unspecified", "global", "not_available"}
)


def service_tier(*values: object) -> str | None:
    """The tier that the fields of a response state together; None for the usual one.

    Several that change the price are joined by a plus: ``batch+us``.
    """
    tier = None
    for value in values:
        if value is not None and (word := tier_word(value)) is not None:
            tier = word if tier is None else f"{tier}+{word}"
    return tier


def tier_word(value: object) -> str | None:
    """One field's tier in lower case; None for the usual one, 'unknown' if it is not a word."""
    if not isinstance(value, str):
        return None if is_absent(value) else "unknown"
    word = str.lower(value).removeprefix("on_demand_").removeprefix("traffic_type_")
    if word in _USUAL:
        return None
    return word if _WORD.fullmatch(word) else "unknown"
