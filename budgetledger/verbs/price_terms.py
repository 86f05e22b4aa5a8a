"""Checks the arguments of `Ledger.set_price` and `remove_price` and turns them into a row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from budgetledger.errors import InvalidInput
from budgetledger.journal.price_rows import Revision
from budgetledger.money import Amount
from budgetledger.names import checked_name, checked_reason
from budgetledger.prices import price_name
from budgetledger.windows import to_us

# By argument of set_price: the key of the rate in the row, and how many of the argument's units
# make one unit of the row.
_RATES = {
    "input": ("input_mtok", 1),
    "output": ("output_mtok", 1),
    "cache_read": ("cache_read_mtok", 1),
    "cache_write": ("cache_write_mtok", 1),
    "cache_write_1h": ("cache_write_1h_mtok", 1),
    "reasoning": ("output_reasoning_mtok", 1),
    "input_audio": ("input_audio_mtok", 1),
    "output_audio": ("output_audio_mtok", 1),
    "request": ("requests_kcount", 1000),
    "web_search": ("web_searches_kcount", 1000),
    "image": ("output_images", 1),
}


def rates_json(by_argument: Mapping[str, Amount | None], rates: Mapping[str, Amount] | None) -> str:
    """The rates of a row, from the arguments and from *rates* by key. Raises `InvalidInput`."""
    from budgetledger.pricing import own_rates

    for name, (key, _) in _RATES.items():
        if by_argument.get(name) is not None and key in (rates or {}):
            raise InvalidInput(f"{name} and the rate {key} state the same price; pass one of them")
    by_key = {
        key: own_rates.times(usd, units, key)
        for (key, units), usd in ((_RATES[name], usd) for name, usd in by_argument.items())
        if usd is not None
    }
    return own_rates.stated({**by_key, **(rates or {})})


def price_revision(
    project: str | None,
    model: str,
    effective_at: datetime | None,
    note: str | None,
    rates_json: str | None = None,
) -> Revision:
    """The row for *project*, or for all; without rates it ends the price."""
    return Revision(
        project,
        price_name(checked_name(model, "model")),
        None if effective_at is None else to_us(effective_at),
        None if note is None else checked_reason(note),
        rates_json,
    )
