"""Which source prices a call: the user's own prices, LiteLLM's figure, or the shipped list."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from budgetledger.errors import InvalidAmount, StoreError, UnpricedModel
from budgetledger.money import to_pico
from budgetledger.prices import OwnPrice, PriceBook
from budgetledger.pricing import catalog, own_rates
from budgetledger.pricing.rates import Price
from budgetledger.usage import Usage
from budgetledger.windows import from_us, to_us

Book: TypeAlias = Callable[[], PriceBook]
"""Reads the own prices; called only where a price is needed."""

ANSWERED = "model"
"""In the price JSON of an unpriced entry: the model that answered, if it is not the entry's."""


class Priced(NamedTuple):
    """The cost of a row in picodollars, None where no source has a price; and where it is from."""

    cost_pico: int | None
    source: str
    price_json: str | None


def priced(
    answered_by: str | None,
    requested: str | None,
    usage: Usage | None,
    litellm_cost: Decimal | None,
    at_us: int,
    book: Book,
) -> Priced:
    """Price a call that was made, by the first source that has a price of its model.

    That is the model the call was *answered_by*; where the response names none, as for images, the
    one *requested*. If there is an own price of either, no other source is tried: what it has no
    rate for is unpriced.
    """
    try:
        own = None if usage is None else _own(book(), answered_by, requested, at_us)
        if own is not None and usage is not None:
            price = own_rates.price(own, answered_by or own.model, usage)
        elif litellm_cost is not None:
            return Priced(to_pico(litellm_cost, one_entry=True), "litellm", None)
        elif usage is None:
            return _unpriced(answered_by, requested)
        else:
            price = catalog.price(answered_by or requested or "", usage, from_us(at_us))
        return Priced(to_pico(price.cost, one_entry=True), price.source, _json(price.unit_prices))
    except (UnpricedModel, InvalidAmount, StoreError):  # the call was paid: record it without
        return _unpriced(answered_by, requested)


def price_of(model: str, usage: Usage, at: datetime, book: Book) -> Price:
    """Price what *model* would use, or used. Raises `UnpricedModel`."""
    own = book().find(model, to_us(at))
    if own is not None:
        return own_rates.price(own, model, usage)
    return catalog.price(model, usage, at)


def extreme(
    model: str, input_tokens: int, at: datetime, *, book: Book, dearest: bool
) -> tuple[str, dict[str, str]]:
    """Source and unit prices of the most that a call may cost, or the least.

    As ``catalog.dearest`` and ``catalog.cheapest``, with own prices first.
    """
    own = book().find(model, to_us(at))
    if own is not None:
        return own_rates.extreme(own, model, input_tokens, dearest=dearest)
    look_up = catalog.dearest if dearest else catalog.cheapest
    return look_up(model, input_tokens, at)


def _own(
    book: PriceBook, answered_by: str | None, requested: str | None, at_us: int
) -> OwnPrice | None:
    for model in (answered_by, requested):
        own = None if model is None else book.find(model, at_us)
        if own is not None:
            return own
    return None


def _unpriced(answered_by: str | None, requested: str | None) -> Priced:
    is_another = answered_by is not None and answered_by != (requested or answered_by)
    return Priced(None, "unpriced", _json({ANSWERED: answered_by}) if is_another else None)


def _json(value: Mapping[str, str | None]) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
