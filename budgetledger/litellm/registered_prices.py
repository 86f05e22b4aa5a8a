"""Prices registered with litellm, for `BudgetManager`: the last source of a price.

They are those of ``litellm.model_cost``, as far as the application has imported litellm, under
the name that was asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from budgetledger.errors import InvalidAmount, InvalidInput, InvalidName
from budgetledger.journal.journal import journal_of
from budgetledger.ledger import Ledger, ledger_on
from budgetledger.litellm.price_file import model_prices
from budgetledger.litellm.price_list import price_list
from budgetledger.prices import OwnPrice


def with_registered_prices(ledger: Ledger) -> Ledger:
    """The same ledger, which asks litellm's list for a price that no other source has."""
    return ledger_on(replace(journal_of(ledger), registered=registered_price), like=ledger)


def registered_price(model: str) -> OwnPrice | None:
    """The price of *model* in litellm's list; None without one. Does not import litellm."""
    listed = getattr(sys.modules.get("litellm"), "model_cost", None)
    prices = price_list(listed).get(model) if isinstance(listed, Mapping) else None
    if not isinstance(prices, Mapping):
        return None
    try:
        rates_json = model_prices(model, {**_exact(prices)}).rates_json
    except (InvalidInput, InvalidName, InvalidAmount):
        return None
    return OwnPrice(0, None, model, rates_json, 0, 0, None)


def _exact(prices: Mapping[str, object]) -> dict[str, object]:
    """The amounts as LiteLLM's file has them, in decimals, and not as binary floats."""
    return {
        key: Decimal(repr(value)) if isinstance(value, float) else value
        for key, value in prices.items()
    }
