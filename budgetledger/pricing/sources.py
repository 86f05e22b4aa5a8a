"""Which source prices a call: the user's own prices, LiteLLM's figure, or the shipped list."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from budgetledger.errors import InvalidAmount, StoreError, UnpricedModel
from budgetledger.money import to_pico
from budgetledger.prices import OwnPrice, PriceBook
from budgetledger.pricing import catalog, own_rates
from budgetledger.pricing.hosts import Host
from budgetledger.pricing.rates import EXACT, Price
from budgetledger.usage import Usage
from budgetledger.windows import from_us, to_us

Book: TypeAlias = Callable[[], PriceBook]
"""Reads the own prices; called only where a price is needed."""

Registered: TypeAlias = Callable[[str], OwnPrice | None]
"""Finds what LiteLLM's own list says of a model; None if it has no price."""

ANSWERED, PROVIDER, REGION = "model", "provider", "region"
"""In the price JSON of an unpriced entry: the model that answered, if it is not the entry's; and
the host of the call, if it was not the name of the model that stated it."""


class Prices(NamedTuple):
    """What prices a call.

    ``book``: the own prices. ``places``: where calls are made, as for ``catalog.host_of``; the
    first that names a host wins. ``registered``: what LiteLLM's list says, if it is to be asked.
    """

    book: Book
    places: tuple[str | Host, ...] = ()
    registered: Registered | None = None

    def at(self, *places: str | Host) -> Prices:
        """The same for a call at *places*, as far as it is not known already where it was."""
        return self._replace(places=(*self.places, *places)) if places else self

    @property
    def host(self) -> Host | None:
        """The host of the calls; None if no place names one."""
        return catalog.host_of(*self.places) if self.places else None


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
    prices: Prices,
) -> Priced:
    """Price a call that was made, by the first source that has a price of its model.

    That is the model the call was *answered_by*; where the response names none, as for images, the
    one *requested*, which may also state the host. If there is an own price of either, no other
    source is tried: what it has no rate for is unpriced. LiteLLM's cost is 0 only for an answer
    from its cache, or of a model that is stated to be free.
    """
    try:
        if litellm_cost == 0:
            return Priced(0, "litellm", None)
        own = None if usage is None else _own(prices.book(), answered_by, requested, at_us)
        if own is not None and usage is not None:
            price = own_rates.price(own, answered_by or own.model, usage)
        elif litellm_cost is not None:
            return Priced(to_pico(litellm_cost, one_entry=True), "litellm", None)
        elif usage is None:
            return _unpriced(answered_by, requested, prices)
        else:
            model, at = answered_by or requested or "", from_us(at_us)
            price = _listed(model, requested, usage, at, prices)
        if usage.image_generation is not None:
            names = filter(None, (requested, answered_by))
            price = _with_images(price, usage, from_us(at_us), prices.at(*names))
        return Priced(to_pico(price.cost, one_entry=True), price.source, _json(price.unit_prices))
    except (UnpricedModel, InvalidAmount, StoreError):  # the call was paid: record it without
        return _unpriced(answered_by, requested, prices)


def price_of(model: str, usage: Usage, at: datetime, prices: Prices) -> Price:
    """Price what *model* would use, or used. Raises `UnpricedModel`."""
    own = prices.book().find(model, to_us(at))
    if own is not None:
        price = own_rates.price(own, model, usage)
    else:
        price = _listed(model, None, usage, at, prices)
    return _with_images(price, usage, at, prices.at(model))


def _with_images(price: Price, usage: Usage, at: datetime, prices: Prices) -> Price:
    """*price*, and what the image model at the same host costs for the images of this usage.

    Raises `UnpricedModel` if that has no price.
    """
    images = usage.image_generation
    if images is None:
        return price
    used = images.usage._replace(service_tier=usage.service_tier)
    added = price_of(images.model, used, at, prices)
    source = price.source if added.source in price.source else f"{price.source}, {added.source}"
    of_images = {f"image_generation_{name}": usd for name, usd in added.unit_prices.items()}
    cost = EXACT.add(price.cost, added.cost)
    return Price(cost, source, price.unit_prices | of_images)


def extreme(
    model: str, input_tokens: int, at: datetime, *, prices: Prices, most: bool
) -> tuple[str, dict[str, str]]:
    """Source and unit prices of the most that a call may cost, or the least.

    As ``catalog.most_expensive`` and ``catalog.cheapest``, with own prices first, at the host.
    """
    own = prices.book().find(model, to_us(at))
    if own is not None:
        return own_rates.extreme(own, model, input_tokens, most=most)
    look_up = catalog.most_expensive if most else catalog.cheapest
    try:
        return look_up(model, input_tokens, at, prices.host)
    except UnpricedModel:
        registered = prices.registered and prices.registered(model)
        if not registered:
            raise
        _, unit_prices = own_rates.extreme(registered, model, input_tokens, most=most)
        return "litellm", unit_prices


def _listed(model: str, asked: str | None, usage: Usage, at: datetime, prices: Prices) -> Price:
    """The price in the shipped list, else in LiteLLM's. Raises `UnpricedModel`."""
    try:
        return catalog.price(model, usage, at, asked, prices.host)
    except UnpricedModel:
        registered = prices.registered and prices.registered(asked or model)
        if not registered:
            raise
        return own_rates.price(registered, model, usage)._replace(source="litellm")


def _own(
    book: PriceBook, answered_by: str | None, requested: str | None, at_us: int
) -> OwnPrice | None:
    for model in (answered_by, requested):
        own = None if model is None else book.find(model, at_us)
        if own is not None:
            return own
    return None


def _unpriced(answered_by: str | None, requested: str | None, prices: Prices) -> Priced:
    """Without a price, but with what `Ledger.reprice` has to know beside the row's model."""
    told: dict[str, str | None] = {}
    if answered_by is not None and answered_by != (requested or answered_by):
        told[ANSWERED] = answered_by
    host = prices.host
    if host is not None:
        told |= {PROVIDER: host.provider, REGION: host.region}
    told = {key: value for key, value in told.items() if value is not None}
    return Priced(None, "unpriced", _json(told) if told else None)


# Made once: `json.dumps` with these arguments makes an encoder for each call.
_json = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
