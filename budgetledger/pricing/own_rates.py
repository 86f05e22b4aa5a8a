"""The rates of an own price: how they are stated and stored, and what a call costs at them.

A rate is stated under the key that the shipped price list has for what it counts (`KEYS`), in
USD; the same key with ``_above_200000_tokens`` is for calls with more input than that, with
``_batch`` for calls served in that tier (or in any other that a usage names), or with both, in
this order. A tier that has no rate of its own costs the plain one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from budgetledger.errors import InvalidAmount, InvalidInput, UnpricedModel
from budgetledger.money import Amount, exact_usd
from budgetledger.prices import OwnPrice, price_name
from budgetledger.pricing import catalog as _catalog
from budgetledger.pricing.catalog import Price, Rates
from budgetledger.usage import Usage

KEYS = _catalog.PARTS
"""What can be priced, each as in the shipped list; ``output_images`` each by itself."""

_STATED = re.compile(
    rf"(?P<unit>{'|'.join(KEYS)})(_above_(?P<above>\d{{1,12}})_tokens)?(_(?P<tier>[a-z]{{1,40}}))?"
)
_LONGEST = 40  # digits of a rate
_ANY_SIZE = -1


def key_for(unit: str, above: int | None = None, tier: str | None = None) -> str:
    """The key under which a rate is stated."""
    return "".join(
        (unit, "" if above is None else f"_above_{above}_tokens", f"_{tier}" if tier else "")
    )


def times(usd: Amount, many: int, what: str) -> Decimal:
    """*usd* for many, exactly. Raises `InvalidAmount`, which names *what*."""
    return _catalog.EXACT.multiply(_few_digits(exact_usd(usd, what), what), many)


def stated(rates: Mapping[str, Amount]) -> str:
    """*rates* as a row states them. Raises `InvalidInput`, `InvalidAmount`."""
    if not rates:
        raise InvalidInput("a price needs a rate; pass for example input=3, output=15")
    for key in rates:
        found = _STATED.fullmatch(key)
        if found is None:
            raise InvalidInput(
                f"no calls are counted by {key!r}; pass one of {', '.join(sorted(KEYS))}, "
                "or it with _above_200000_tokens, _batch, _flex, _priority"
            )
        plain = key_for(found["unit"], None, found["tier"])
        if found["above"] and not {plain, found["unit"]} & rates.keys():
            raise InvalidInput(f"{key} needs a rate for smaller calls too; pass {plain}")
    told = {key: _text(times(usd, 1, key)) for key, usd in rates.items()}
    return json.dumps(told, separators=(",", ":"), sort_keys=True)


def price(own: OwnPrice, model: str, usage: Usage) -> Price:
    """What a call costs at *own*.

    *Raises* ``UnpricedModel`` when it has no rate for something the call used.
    """
    rates_json, tier = own.rates_json or "{}", usage.service_tier
    names = {"model": own.model} if tier is None else {"model": own.model, "service_tier": tier}
    rates = _rates(rates_json, tier, price_name(model))
    return _catalog.total(model, usage, rates, names, own.source)


def extreme(
    own: OwnPrice, model: str, input_tokens: int, *, dearest: bool
) -> tuple[str, dict[str, str]]:
    """As ``_catalog.dearest`` or ``cheapest``, at *own*."""
    rates = _rates(own.rates_json or "{}", None, price_name(model)).by_name
    if "input_mtok" not in rates:
        raise UnpricedModel(
            model,
            f"{own.source} of model {model!r} has no input_mtok; state it too, as 0 if that is "
            "free, with set_price or `budgetledger prices set`",
        )
    names = {"model": own.model}
    return own.source, _catalog.extreme_of(rates, input_tokens, names, dearest=dearest)


@lru_cache(maxsize=4096)
def _rates(rates_json: str, tier: str | None, model: str) -> Rates:
    """The rates for calls served in a tier: its own where it has them, else the plain ones."""
    steps: dict[str, dict[int, Decimal]] = {}
    of_tier: set[str] = set()
    # Plain ones first, so that the tier's replace them.
    for key, usd in sorted(json.loads(rates_json).items(), key=lambda one: _tier_of(one[0]) or ""):
        found = _STATED.fullmatch(key)
        assert found is not None
        if found["tier"] in (None, tier):
            above = _ANY_SIZE if found["above"] is None else int(found["above"])
            steps.setdefault(found["unit"], {})[above] = Decimal(usd)
            if found["tier"]:
                of_tier.add(found["unit"])
    if "output_mtok" in of_tier and "output_reasoning_mtok" not in of_tier:
        steps.pop("output_reasoning_mtok", None)  # what is thought is written, in that tier too
    rates = {unit: _catalog.rate_of(unit, dict(sorted(of.items()))) for unit, of in steps.items()}
    return Rates(rates, _catalog.bills(rates, "", model))


def _tier_of(key: str) -> str | None:
    found = _STATED.fullmatch(key)
    return None if found is None else found["tier"]


def _few_digits(usd: Decimal, what: str) -> Decimal:
    """*usd*, with no more digits than sums of it keep."""
    exponent = usd.as_tuple().exponent
    assert isinstance(exponent, int)  # as it is finite
    if usd and max(usd.adjusted(), 0) - min(exponent, 0) > _LONGEST:
        raise InvalidAmount(f"{what} has too many digits; pass at most {_LONGEST}")
    return usd if usd else Decimal(0)


def _text(usd: Decimal) -> str:
    """*usd* as plain decimal digits, the same for the same amount."""
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
