"""The operations of the JSON API on prices.

Prices are those of the project in the path: a token never changes the prices of other projects.
"""

from __future__ import annotations

import asyncio

from budgetledger.prices import Repriced
from budgetledger.render import document_types as doc
from budgetledger.render.documents import estimate_json, price_json, repriced_json
from budgetledger.server import request_models as requests
from budgetledger.server.operation import Call, Operation
from budgetledger.verbs.repricing import Unpriced
from budgetledger.verbs.repricing import reprice as unpriced_calls


async def estimate(call: Call) -> doc.Estimate:
    """Estimate what a call costs at least and at most, as a hold would now."""
    return estimate_json(call.fields["model"], await call.ledger.estimate(**call.fields))


async def list_prices(call: Call) -> doc.Prices:
    """List the own prices in force: those of the project and those for all projects."""
    return {"prices": [price_json(price) for price in await call.ledger.prices(**call.fields)]}


async def set_price(call: Call) -> doc.Price:
    """Set what calls of a model or a pattern cost in this project, from `effective_at` on."""
    return price_json(await call.ledger.set_price(**call.fields))


async def remove_price(call: Call) -> doc.Price:
    """End the own price of a model."""
    return price_json(await call.ledger.remove_price(call.name))


async def reprice(call: Call) -> doc.Repriced:
    """Price entries recorded without a price. Only reports, unless `dry_run` is false."""
    fields = call.fields
    dry_run = fields.get("dry_run", True)

    def priced() -> doc.Repriced:
        repriced: list[Repriced] = []
        unknown: list[Unpriced] = []
        filters = fields.get("account"), fields.get("model")
        pages = unpriced_calls(call.journal, *filters, dry_run=dry_run, progress=None)
        for some, others in pages:
            repriced += some
            unknown += others
        return repriced_json(repriced, [one.entry for one in unknown], not dry_run)

    return await asyncio.to_thread(priced)


PRICE_OPERATIONS = (
    Operation("POST", "/estimate", estimate, body=requests.PricedPrompt),
    Operation("GET", "/prices", list_prices, query=requests.At),
    Operation("POST", "/prices", set_price, body=requests.NewPrice),
    Operation("DELETE", "/prices/{name}", remove_price),
    Operation("POST", "/reprice", reprice, body=requests.Repricing),
)
