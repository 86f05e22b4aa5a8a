"""The most a call costs that is billed by characters, queries or seconds of video. Pure.

Follows LiteLLM's price fields and how its ``cost_calculator.py`` uses them: speech by the
characters of its input, reranking by queries (Cohere bills one for up to 100 documents,
docs.cohere.com/docs/rate-limits-and-pricing, 2026-11), video by its seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from budgetledger.errors import InvalidAmount, InvalidInput
from budgetledger.litellm.proxy.call_kinds import Unit
from budgetledger.money import PICO, exact_usd

_FIELDS: dict[Unit, str] = {
    "speech": "input_cost_per_character",
    "rerank": "input_cost_per_query",
    "video": "output_cost_per_",  # _second, _second_1080p, _video_per_second, …
}
_DOCUMENTS_IN_QUERY = 100
_MOST_SECONDS = 12  # the longest that OpenAI's and Google's models make unless more is asked for


def unit_pico(
    unit: Unit, call: Mapping[str, Any], places: Sequence[Mapping[str, Any] | None]
) -> int | None:
    """Picodollars of *call* by the first of *places* that states the price of its unit.

    None if none does. Raises `InvalidInput` for a call whose units cannot be counted.
    """
    for place in places:
        rate = _rate(unit, place or {})
        if rate is not None:
            return round(rate * _units(unit, call) * PICO)
    return None


def ranked_texts(call: Mapping[str, Any]) -> list[str]:
    """What a reranking model reads: each document with the query before it."""
    documents = call.get("documents")
    many = documents if isinstance(documents, list) else []
    return [f"{call.get('query')}\n{document}" for document in many]


def _rate(unit: Unit, place: Mapping[str, Any]) -> Fraction | None:
    """USD of one unit, the most expensive that *place* has."""
    field = _FIELDS[unit]
    names = [field] if unit != "video" else [
        name for name in place if name.startswith(field) and "per_second" in name
    ]  # fmt: skip
    stated = {name: place[name] for name in names if place.get(name) is not None}
    try:
        return max((Fraction(exact_usd(usd, name)) for name, usd in stated.items()), default=None)
    except InvalidAmount:
        return None


def _units(unit: Unit, call: Mapping[str, Any]) -> int:
    if unit == "speech":
        text = call.get("input")
        if not isinstance(text, str):
            raise InvalidInput(
                "input is not a text, so nothing can be held; pass the text to speak"
            )
        return len(text)
    if unit == "rerank":
        documents = call.get("documents")
        number = len(documents) if isinstance(documents, Sequence) else 1
        return max(1, -(-number // _DOCUMENTS_IN_QUERY))
    seconds = call.get("seconds") or call.get("duration") or _MOST_SECONDS
    try:
        return max(1, int(seconds))
    except (TypeError, ValueError):
        raise InvalidInput(
            "seconds is not a number, so nothing can be held; pass the seconds of the video"
        ) from None
