"""Which source prices a call: the user's own rows, litellm's figure, the shipped list."""

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
"""Reads the own prices; asked only where a price is wanted."""

ANSWERED = "model"
"""In the price of an entry without one: the model that answered, if it is not the entry's."""


class Priced(NamedTuple):
    """What a row says of its cost, in picodollars; None where no source knows the price."""

    cost_pico: int | None
    source: str
    price_json: str | None


def priced(
    answered: str | None,
    asked: str | None,
    usage: Usage | None,
    litellm_cost: Decimal | None,
    at_us: int,
    book: Book,
) -> Priced:
    """Price a call that was made, by the first source that knows its model.

    That is the model that answered; where the response names none, as those for images, the one
    asked for. An own price that stands for either is the only one asked: where it has no rate for
    what was used, nobody has.
    """
    try:
        own = None if usage is None else _own(book(), answered, asked, at_us)
        if own is not None and usage is not None:
            price = own_rates.price(own, answered or own.model, usage)
        elif litellm_cost is not None:
            return Priced(to_pico(litellm_cost, one_entry=True), "litellm", None)
        elif usage is None:
            return _unpriced(answered, asked)
        else:
            price = catalog.price(answered or asked or "", usage, from_us(at_us))
        return Priced(to_pico(price.cost, one_entry=True), price.source, _json(price.unit_prices))
    except (UnpricedModel, InvalidAmount, StoreError):  # what was paid is recorded all the same
        return _unpriced(answered, asked)


def price_of(model: str, usage: Usage, at: datetime, book: Book) -> Price:
    """Price what *model* would use, or used. Raises `UnpricedModel`."""
    own = book().find(model, to_us(at))
    if own is not None:
        return own_rates.price(own, model, usage)
    return catalog.price(model, usage, at)


def extreme(
    model: str, input_tokens: int, at: datetime, *, book: Book, dearest: bool
) -> tuple[str, dict[str, str]]:
    """Source and unit prices of the dearest that a call may cost, or the cheapest.

    See ``catalog.dearest`` and ``cheapest``.
    """
    own = book().find(model, to_us(at))
    if own is not None:
        return own_rates.extreme(own, model, input_tokens, dearest=dearest)
    look_up = catalog.dearest if dearest else catalog.cheapest
    return look_up(model, input_tokens, at)


def _own(book: PriceBook, answered: str | None, asked: str | None, at_us: int) -> OwnPrice | None:
    for model in (answered, asked):
        found = None if model is None else book.find(model, at_us)
        if found is not None:
            return found
    return None


def _unpriced(answered: str | None, asked: str | None) -> Priced:
    tells = answered is not None and answered != (asked or answered)
    return Priced(None, "unpriced", _json({ANSWERED: answered}) if tells else None)


def _json(value: Mapping[str, str | None]) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
