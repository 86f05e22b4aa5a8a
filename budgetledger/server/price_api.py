"""The verbs of the JSON API that tell and set what calls cost.

Prices are those of the project in the path: no token sets what another project pays.
"""

from __future__ import annotations

import asyncio

from budgetledger.prices import Repriced
from budgetledger.render.documents import estimate_json, price_json, repriced_json
from budgetledger.server import request_fields as kinds
from budgetledger.server.operation import Call, Operation
from budgetledger.server.request_fields import required
from budgetledger.verbs.repricing import Unpriced
from budgetledger.verbs.repricing import reprice as unpriced_calls


async def estimate(call: Call) -> object:
    """What a call may cost, at least and at most, as a hold would estimate it now."""
    return estimate_json(call.given["model"], await call.ledger.estimate(**call.given))


async def list_prices(call: Call) -> object:
    """The own prices that stand, of the project and of all projects."""
    given = call.given
    found = await call.ledger.prices(at=given.get("at"))
    return {"prices": [price_json(price) for price in found]}


async def set_price(call: Call) -> object:
    """Say what calls of a model or a pattern cost in this project, from a moment on."""
    return price_json(await call.ledger.set_price(**call.given))


async def remove_price(call: Call) -> object:
    """End the own price of a model."""
    return price_json(await call.ledger.remove_price(call.name))


async def reprice(call: Call) -> object:
    """Price entries that were recorded without a price; unless `dry_run` is false, only told."""
    given = call.given
    dry_run = given.get("dry_run", True)

    def priced() -> object:
        found: list[Repriced] = []
        unknown: list[Unpriced] = []
        pages = unpriced_calls(
            call.journal, given.get("account"), given.get("model"),
            dry_run=dry_run, progress=None,
        )  # fmt: skip
        for some, others in pages:
            found += some
            unknown += others
        return repriced_json(found, [one.entry for one in unknown], not dry_run)

    return await asyncio.to_thread(priced)


_RATES = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"),
    *("input_audio", "output_audio", "request", "web_search", "image"),
)
PRICE_OPERATIONS = (
    Operation(
        "POST", "/estimate", estimate, "Estimate",
        body={"model": required(kinds.NAME), **kinds.PROMPT},
        one_of=(("messages",), ("text",)),
    ),
    Operation("GET", "/prices", list_prices, "Prices", query={"at": kinds.MOMENT}),
    Operation(
        "POST", "/prices", set_price, "Price",
        body={
            "model": required(kinds.NAME),
            **dict.fromkeys(_RATES, kinds.MONEY),
            "rates": kinds.RATES,
            "effective_at": kinds.MOMENT,
            "note": kinds.NAME,
        },
        one_of=tuple((rate,) for rate in (*_RATES, "rates")),
    ),
    Operation("DELETE", "/prices/{name}", remove_price, "Price"),
    Operation(
        "POST", "/reprice", reprice, "Repriced",
        body={"account": kinds.NAME, "model": kinds.NAME, "dry_run": kinds.FLAG},
    ),
)  # fmt: skip
