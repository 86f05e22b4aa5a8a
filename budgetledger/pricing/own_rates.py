"""The rates of a user's own price: how they are stated and stored, and what a call costs at them.

A rate is in USD, under the name that the shipped price list has for what it counts (`KEYS`). The
name with ``_above_200000_tokens`` is for calls with more input than that, with ``_batch`` for
calls served in that tier (any tier that a usage names will do), with both, in this order, for
both. A tier without a rate of its own costs the plain rate.
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
from budgetledger.pricing.rates import (
    EXACT,
    PARTS,
    Price,
    Rates,
    bills,
    extreme_of,
    rate_of,
    total,
)
from budgetledger.usage import Usage

KEYS = PARTS
"""What can be priced, each as in the shipped list; ``output_images`` by the image."""

_STATED = re.compile(
    rf"(?P<unit>{'|'.join(KEYS)})(_above_(?P<above>[0-9]{{1,12}})_tokens)?(_(?P<tier>[a-z]{{1,40}}))?"
)
_LONGEST = 40  # digits of a rate
_ANY_SIZE = -1


def key_for(unit: str, above: int | None = None, tier: str | None = None) -> str:
    """The key under which a rate is stated."""
    return "".join(
        (unit, "" if above is None else f"_above_{above}_tokens", f"_{tier}" if tier else "")
    )


def times(usd: Amount, many: int, what: str) -> Decimal:
    """*usd* times *many*, exactly. Raises `InvalidAmount`, which names *what*."""
    return EXACT.multiply(_few_digits(exact_usd(usd, what), what), many)


def stated(rates: Mapping[str, Amount]) -> str:
    """*rates* as JSON, for a row. Raises `InvalidInput`, `InvalidAmount`."""
    if not rates:
        raise InvalidInput("a price needs a rate; pass for example input=3, output=15")
    for key in rates:
        parts = _STATED.fullmatch(key)
        if parts is None:
            raise InvalidInput(
                f"no calls are counted by {key!r}; pass one of {', '.join(sorted(KEYS))}, "
                "or it with _above_200000_tokens, _batch, _flex, _priority"
            )
        plain = key_for(parts["unit"], None, parts["tier"])
        if parts["above"] and not {plain, parts["unit"]} & rates.keys():
            raise InvalidInput(f"{key} needs a rate for smaller calls too; pass {plain}")
    texts = {key: _text(times(usd, 1, key)) for key, usd in rates.items()}
    return json.dumps(texts, separators=(",", ":"), sort_keys=True)


def price(own: OwnPrice, model: str, usage: Usage) -> Price:
    """What a call costs at *own*.

    *Raises* ``UnpricedModel`` when it has no rate for something the call used.
    """
    rates_json, tier = own.rates_json or "{}", usage.service_tier
    names = {"model": own.model} if tier is None else {"model": own.model, "service_tier": tier}
    rates = _rates(rates_json, tier, price_name(model))
    return total(model, usage, rates, names, own.source)


def extreme(
    own: OwnPrice, model: str, input_tokens: int, *, most: bool
) -> tuple[str, dict[str, str]]:
    """As ``catalog.most_expensive`` or ``catalog.cheapest``, at *own*."""
    rates = _rates(own.rates_json or "{}", None, price_name(model)).by_name
    if "input_mtok" not in rates:
        raise UnpricedModel(
            model,
            f"{own.source} of model {model!r} has no input_mtok; state it too, as 0 if that is "
            "free, with set_price or `budgetledger prices set`",
        )
    names = {"model": own.model}
    return own.source, extreme_of(rates, input_tokens, names, most=most)


@lru_cache(maxsize=4096)
def _rates(rates_json: str, tier: str | None, model: str) -> Rates:
    """The rates for calls served in a tier: its own where it has them, else the plain ones."""
    steps: dict[str, dict[int, Decimal]] = {}
    of_tier: set[str] = set()
    # Plain rates first, so that those of the tier replace them.
    usd_by_key = json.loads(rates_json)
    for key in sorted(usd_by_key, key=lambda key: _tier_of(key) or ""):
        parts = _STATED.fullmatch(key)
        assert parts is not None
        if parts["tier"] in (None, tier):
            above = _ANY_SIZE if parts["above"] is None else int(parts["above"])
            steps.setdefault(parts["unit"], {})[above] = Decimal(usd_by_key[key])
            if parts["tier"]:
                of_tier.add(parts["unit"])
    if "output_mtok" in of_tier and "output_reasoning_mtok" not in of_tier:
        steps.pop("output_reasoning_mtok", None)  # reasoning then costs the tier's output rate
    by_name = {unit: rate_of(unit, dict(sorted(of.items()))) for unit, of in steps.items()}
    return Rates(by_name, bills(by_name, "", model))


def _tier_of(key: str) -> str | None:
    parts = _STATED.fullmatch(key)
    return None if parts is None else parts["tier"]


def _few_digits(usd: Decimal, what: str) -> Decimal:
    """*usd*, if it has no more digits than its sums keep. Raises `InvalidAmount`."""
    exponent = usd.as_tuple().exponent
    assert isinstance(exponent, int)  # as it is finite
    if usd and max(usd.adjusted(), 0) - min(exponent, 0) > _LONGEST:
        raise InvalidAmount(f"{what} has too many digits; pass at most {_LONGEST}")
    return usd if usd else Decimal(0)


def _text(usd: Decimal) -> str:
    """*usd* as plain decimal digits, the same for the same amount."""
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
