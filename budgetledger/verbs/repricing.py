"""Prices entries without a price, or of assumed cost, by one adjustment each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeAlias

from budgetledger.entries import Entry
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.journal.entry_rows import entry_with_id
from budgetledger.journal.journal import Journal
from budgetledger.journal.posting import adjust
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.standing import WHOLE_PROJECT
from budgetledger.journal.transaction import Transaction
from budgetledger.money import to_pico, to_usd
from budgetledger.names import checked_name, to_json
from budgetledger.prices import Repriced, matches
from budgetledger.pricing.hosts import Host
from budgetledger.pricing.sources import ANSWERED, PROVIDER, REGION, Prices, priced
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.usage import Usage, from_fields

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of entries done and the total."""

_PAGE = 100  # entries priced in one transaction: other writers get a turn after each


class Unpriced(NamedTuple):
    """An entry without a price, or of assumed cost: the call's usage, if it is known, and model."""

    entry: Entry
    usage: Usage | None
    answered: str | None
    places: tuple[Host, ...]
    """The host, as for `Prices`, if the name of the model does not state it."""

    @property
    def model(self) -> str:
        """The model to be priced, as far as it is known."""
        return self.answered or self.entry.model or UNKNOWN_MODEL


def reprice(
    journal: Journal,
    account: str | None,
    model: str | None,
    *,
    dry_run: bool,
    progress: Progress | None,
) -> Iterator[tuple[list[Repriced], list[Unpriced]]]:
    """Yield page by page the entries that are priced, and those whose price is unknown."""
    project = journal.project
    if account is not None:
        checked_name(account, "account")
    ids = journal.read(partial(unpriced_ids, project=project, account=account))
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        read = journal.read(partial(calls, project=project, ids=page))
        wanted = [call for call in read if is_of(call, model)]
        prices = [price_call(call, journal.prices) for call in wanted]
        priced = {one.entry.id: one for one in prices if one is not None}
        unknown = [call for call, one in zip(wanted, prices, strict=True) if one is None]
        if priced and not dry_run:  # another process may have priced some meanwhile
            stating = partial(state, project=project, costs=[*priced.values()])
            priced = {one.entry.id: one for one in journal.write(stating)}
        yield [*priced.values()], unknown
        if progress is not None:
            progress(start + len(page), len(ids))


def unpriced_ids(execute: Execute, project: str, account: str | None) -> list[int]:
    """The entries without a price that count on *account*, or all of the project's."""
    ref = None if account is None else accounts.known(execute, project, account)
    if ref is not None and account != WHOLE_PROJECT:  # which does not repeat the earliest rows
        rows = execute(compiled(statements.UNPRICED_OF_ACCOUNT), (ref.id,) * 3)
    else:
        project_id = accounts.find_project(execute, project)
        rows = execute(compiled(statements.UNPRICED_OF_PROJECT), (project_id,) * 3)
    return [entry_id for (entry_id,) in rows.fetchall()]


def calls(execute: Execute, project: str, ids: list[int]) -> list[Unpriced]:
    """Read what the entries with *ids* record about their calls."""
    project_id = accounts.find_project(execute, project)
    entries = (entry_with_id(execute, project_id, entry_id) for entry_id in ids)
    return [_call_of(entry) for entry in entries if entry is not None]


def is_of(call: Unpriced, model: str | None) -> bool:
    """Whether *model* names or matches the model that answered, or the one of the entry."""
    return model is None or any(matches(model, one) for one in (call.model, call.entry.model or ""))


def price_call(call: Unpriced, prices: Prices) -> Repriced | None:
    """The price of the call at its own time, or None if it is still unknown."""
    entry = call.entry
    at_us = entry.recorded_at_us if entry.occurred_at_us is None else entry.occurred_at_us
    requested = None if entry.model == UNKNOWN_MODEL else entry.model
    price = priced(call.answered, requested, call.usage, None, at_us, prices.at(*call.places))
    if price.cost_pico is None:
        return None
    unit_prices = json.loads(price.price_json or "{}")
    return Repriced(entry, to_usd(price.cost_pico), price.source, unit_prices, None)


def state(tx: Transaction, project: str, costs: list[Repriced]) -> list[Repriced]:
    """Append the adjustments that state the costs, except for entries adjusted meanwhile.

    Each is the difference between the cost and what the entry assumed.
    """
    done = []
    for one in costs:
        entry_id = one.entry.id
        if not tx.execute(compiled(statements.IS_CORRECTED), (entry_id,)).fetchone()[0]:
            draft = Draft(
                "adjustment",
                cost_pico=to_pico(one.cost) - (one.entry.cost_pico or 0),
                price_source=one.source,
                price_json=to_json(one.unit_prices, "price"),
                note="priced later",
            )
            done.append(one._replace(adjustment=adjust(tx, project, entry_id, draft).entry))
    return done


def _call_of(entry: Entry) -> Unpriced:
    model = None if entry.model == UNKNOWN_MODEL else entry.model
    provider, region = entry.price.get(PROVIDER), entry.price.get(REGION)
    places = () if provider is None else (Host(provider, region),)
    return Unpriced(entry, _usage(entry.usage_json), entry.price.get(ANSWERED, model), places)


def _usage(usage_json: str | None) -> Usage | None:
    """The usage of the call, or None if the row does not record all of it."""
    return None if usage_json is None else from_fields(json.loads(usage_json))
