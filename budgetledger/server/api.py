"""The JSON API: the library's verbs as requests, each one line of a table.

Everything is under ``/v1/projects/{project}``. Whoever repeats a request that may have been
heard sends the same ``Idempotency-Key`` again, and gets the first answer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

from budgetledger.aio import AsyncHold
from budgetledger.entries import Account, Budget, Entry
from budgetledger.errors import HoldAlreadyClosed, InvalidInput, UnknownEntry
from budgetledger.holds import granted_of
from budgetledger.journal import accounts, statements
from budgetledger.journal.holding import Granted
from budgetledger.journal.reports import EVER
from budgetledger.render.documents import (
    account_settings_json,
    alert_json,
    balance_json,
    budget_json,
    entry_json,
    hold_json,
    model_costs_json,
    window_json,
)
from budgetledger.server import request_fields as kinds
from budgetledger.server.operation import Call, Operation
from budgetledger.server.price_api import PRICE_OPERATIONS
from budgetledger.server.request_fields import in_query, required
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.verbs import charging
from budgetledger.verbs.awaiting import AsyncJournal
from budgetledger.verbs.balances import snapshot
from budgetledger.windows import from_us, to_us

_ROWS = 100


# -- holds ----------------------------------------------------------------------------------------


async def hold(call: Call) -> object:
    """Set money aside for a call before it is made, if every budget that applies allows it."""
    taken = await call.ledger.hold(call.account, key=call.key, **call.given)
    call.service.remember(call.project, granted_of(taken))
    return _hold(taken)


async def list_holds(call: Call) -> object:
    """The open holds that count against the account: its own, and of accounts under it."""
    return {"holds": [_hold(found) for found in await call.ledger.holds(call.account)]}


async def settle(call: Call) -> object:
    """Record what the call cost, and close the hold; never refused for lack of budget."""
    held, given = await _held(call), dict(call.given)
    paid, response = given.pop("cost", None), given.pop("response", None)
    if paid is not None and response is not None:
        raise InvalidInput("pass a response, or what it cost, not both")
    paid = response if paid is None else paid
    return entry_json(await held.settle(paid, key=call.key, **given))


async def release(call: Call) -> object:
    """Close the hold unspent."""
    held = await _held(call)
    try:
        return entry_json(await held.release(**call.given))
    except HoldAlreadyClosed as closed:
        # Said again, it is as it was; there is nothing else a release could say.
        if call.key is None or closed.entry is None or closed.entry.kind != "release":
            raise
        return entry_json(closed.entry)


async def extend(call: Call) -> object:
    """Move the deadline of an open hold to some seconds from now."""
    held = await _held(call)
    await held.extend(**call.given)
    return _hold(held)


async def can_afford(call: Call) -> object:
    """Whether the budgets allow this now, as a hold decides; nothing is set aside."""
    return {"affordable": await call.ledger.can_afford(call.account, **call.given)}


# -- money ----------------------------------------------------------------------------------------


async def charge(call: Call) -> object:
    """Record what a call cost. Never refused for lack of budget: the money is spent."""
    return entry_json(await call.ledger.charge(call.account, key=call.key, **call.given))


async def adjust(call: Call) -> object:
    """Correct an entry by an amount, which may be negative, or to what the call cost in all."""
    given = dict(call.given)
    amount, total = given.pop("amount", None), given.pop("total", None)
    if (amount is None) == (total is None):
        raise InvalidInput("pass an amount to correct by, or the total, not both")
    is_total = amount is None
    paid = total if is_total else amount
    journal = AsyncJournal(call.journal).off_loop()
    adjusting = partial(charging.adjust, journal, key=call.key, is_total=is_total, **given)
    return entry_json(await asyncio.to_thread(adjusting, call.number, paid))


# -- settings -------------------------------------------------------------------------------------


async def set_budget(call: Call) -> object:
    """Limit what the account may use in a window; the same name again revises the budget."""
    given = dict(call.given)
    span = given.pop("span", None)
    if span is not None:
        given.setdefault("per", span)
    return _budget(await call.ledger.set_budget(call.account, **given))


async def list_budgets(call: Call) -> object:
    """The account's budgets in force, by name."""
    return {"budgets": [_budget(budget) for budget in await call.ledger.budgets(call.account)]}


async def remove_budget(call: Call) -> object:
    """End a budget; what it counted stays."""
    await call.ledger.remove_budget(call.account, call.name)
    return {"account": call.account, "name": call.name}


async def shift_window(call: Call) -> object:
    """Start a new window now, of one budget or of all the account's; no row is touched."""
    given = dict(call.given)
    name = given.pop("budget", None)
    window = await call.ledger.shift_window(call.account, name, key=call.key, **given)
    return {"account": call.account, "window": window_json(window)}


async def set_parent(call: Call) -> object:
    """Put the account under another, whose budgets it counts against too; null for none."""
    await call.ledger.set_parent(call.account, call.given["parent"])
    return await _settings(call)


async def freeze(call: Call) -> object:
    """Refuse all holds on the account and those under it; costs are still recorded."""
    await call.ledger.freeze(call.account, **call.given)
    return await _settings(call)


async def unfreeze(call: Call) -> object:
    """Grant holds on the account again."""
    await call.ledger.unfreeze(call.account, **call.given)
    return await _settings(call)


# -- reading --------------------------------------------------------------------------------------


async def list_accounts(call: Call) -> object:
    """The project's accounts, by name."""
    return {"accounts": [_account(account) for account in await call.ledger.accounts()]}


async def balance(call: Call) -> object:
    """What the account spent and may still spend, now or at a moment."""
    return balance_json(await call.ledger.balance(call.account, **call.given), call.project)


async def model_costs(call: Call) -> object:
    """US dollars by model, in the window that the balance reports."""
    moments = (call.given.get("at"), call.given.get("as_of"))
    found = await asyncio.to_thread(snapshot, call.journal, call.account, *moments)
    return model_costs_json(found[0], call.project, found[1])


async def list_entries(call: Call) -> object:
    """A page of the account's journal, in order; `next` goes on after it."""
    return await _page(call, call.account)


async def list_project_entries(call: Call) -> object:
    """A page of what all accounts of the project recorded, in order; `next` goes on after it."""
    return await _page(call, None)


async def keyed_entry(call: Call) -> object:
    """The entry that an Idempotency-Key stands for."""

    def read(execute: Execute) -> Any:
        project_id = accounts.find_project(execute, call.project)
        return execute(compiled(statements.ENTRY_WITH_KEY), (project_id, call.name)).fetchone()

    row = await call.journal.store.aread(read)
    if row is None:
        raise UnknownEntry(f"no entry has the key {call.name!r}")
    return entry_json(Entry._make(row))


async def list_alerts(call: Call) -> object:
    """The alerts raised and resolved on the account, in order."""
    return _alerts(call, await call.ledger.alerts(call.account))


async def list_project_alerts(call: Call) -> object:
    """The alerts raised and resolved in the project, in order."""
    return _alerts(call, await call.ledger.alerts())


# -- what they share ------------------------------------------------------------------------------


async def _held(call: Call) -> AsyncHold:
    """The hold that the path names. Raises `UnknownEntry`."""
    granted = call.service.recall(call.project, call.number)
    if granted is None:
        granted = await call.journal.store.aread(lambda execute: _find_hold(execute, call))
    if granted.entry.account != call.account:
        raise _no_hold(call)
    return AsyncHold(AsyncJournal(call.journal), granted, None)


def _find_hold(execute: Execute, call: Call) -> Granted:
    project_id = accounts.find_project(execute, call.project)
    row = execute(compiled(statements.ENTRY_WITH_ID), (project_id, call.number)).fetchone()
    entry = None if row is None else Entry._make(row)
    if entry is None or entry.kind != "hold":
        raise _no_hold(call)
    return Granted(entry, accounts.known(execute, call.project, entry.account))


def _no_hold(call: Call) -> UnknownEntry:
    return UnknownEntry(f"there is no hold {call.number} of account {call.account!r}")


async def _page(call: Call, account: str | None) -> object:
    given = call.given
    since: datetime | None = given.get("since")
    until: datetime | None = given.get("until")
    since_us = 0 if since is None else max(to_us(since), 0)
    until_us = EVER if until is None else to_us(until)
    most, after_id = given.get("limit", _ROWS), given.get("after", -1)

    def read(execute: Execute) -> list[Any]:
        project_id = accounts.find_project(execute, call.project)
        if account is None:
            where: tuple[object, ...] = (project_id, after_id, since_us, until_us, most)
            return execute(compiled(statements.PROJECT_ENTRIES), where).fetchall()
        ref = accounts.known(execute, call.project, account)
        after = (since_us, -1)
        if after_id >= 0:
            row = execute(compiled(statements.ENTRY_WITH_ID), (project_id, after_id)).fetchone()
            if row is None or row[2] != account:
                raise UnknownEntry(f"there is no entry {after_id} of account {account!r}")
            after = max(after, (row[3], after_id))
        return execute(
            compiled(statements.ACCOUNT_ENTRIES), (ref.id, *after, until_us, most)
        ).fetchall()

    rows = await call.journal.store.aread(read)
    entries = [Entry._make(row) for row in rows]
    following = entries[-1].id if len(entries) == most else None
    return {"entries": [entry_json(entry) for entry in entries], "next": following}


def _alerts(call: Call, alerts: list[Any]) -> object:
    return {"alerts": [alert_json(alert, call.project) for alert in alerts]}


async def _settings(call: Call) -> object:
    found = await call.ledger.accounts()
    return _account(next(account for account in found if account.name == call.account))


def _account(account: Account) -> dict[str, Any]:
    return {**account_settings_json(account), "created_at": from_us(account.created_at_us)}


def _budget(budget: Budget) -> dict[str, Any]:
    return budget_json(budget)


def _hold(held: AsyncHold) -> dict[str, Any]:
    return {**hold_json(held), "bounded": held.bounded}


# -- the table ------------------------------------------------------------------------------------

_HOW_MUCH = (("amount",), ("tokens",), ("model", "messages"), ("model", "text"))
_WHAT_PAID = (("cost",), ("response",), ("usage",))
_ESTIMATE = {"amount": kinds.MONEY, "model": kinds.NAME, **kinds.PROMPT, "tokens": kinds.COUNT}
_PAID = {
    "cost": kinds.MONEY,
    "response": kinds.OBJECT,
    "usage": kinds.USAGE,
    "model": kinds.NAME,
    "tags": kinds.OBJECT,
    "occurred_at": kinds.MOMENT,
}
_BUDGET = {
    "limit": kinds.MONEY,
    "tokens": kinds.COUNT,
    "requests": kinds.COUNT,
    "per": kinds.PER,
    "span": kinds.SPAN,
    "timezone": kinds.NAME,
    "week_start": kinds.WEEK_START,
    "anchor": kinds.ANCHOR,
    "model": kinds.NAME,
    "alert_at": kinds.SHARES,
    "name": kinds.NAME,
    "created_at": kinds.MOMENT,
}
_REASON = {"reason": kinds.NAME}
_PAST = {"at": kinds.MOMENT, "as_of": kinds.MOMENT}
_PAGE = {
    "since": kinds.MOMENT,
    "until": kinds.MOMENT,
    "after": in_query(kinds.COUNT),
    "limit": in_query(kinds.ROWS),
}
_HOLD = "/accounts/{account}/holds"

OPERATIONS = (
    Operation("GET", "/accounts", list_accounts, "Accounts"),
    Operation("GET", "/entries", list_project_entries, "Entries", query=_PAGE),
    Operation("GET", "/alerts", list_project_alerts, "Alerts"),
    Operation(
        "POST", "/entries/{number}/adjust", adjust, "Entry", 201, has_key=True,
        body={
            "amount": kinds.SIGNED_MONEY, "total": kinds.MONEY, "reason": required(kinds.NAME)
        },
        one_of=(("amount",), ("total",)),
    ),
    Operation("GET", "/keys/{name}", keyed_entry, "Entry"),
    Operation("GET", _HOLD, list_holds, "Holds"),
    Operation(
        "POST", _HOLD, hold, "Hold", 201, has_key=True,
        body={**_ESTIMATE, "tags": kinds.OBJECT, "expires_in": kinds.EXPIRES_IN},
        one_of=_HOW_MUCH,
    ),
    Operation(
        "POST", _HOLD + "/{number}/settle", settle, "Entry", 201, _PAID, has_key=True,
        one_of=_WHAT_PAID,
    ),
    Operation("POST", _HOLD + "/{number}/release", release, "Entry", 201, _REASON, has_key=True),
    Operation(
        "POST", _HOLD + "/{number}/extend", extend, "Hold",
        body={"expires_in": required(kinds.EXPIRES_IN)},
    ),
    Operation(
        "POST", "/accounts/{account}/can-afford", can_afford, "Affordable", body=_ESTIMATE,
        one_of=_HOW_MUCH,
    ),
    Operation(
        "POST", "/accounts/{account}/charges", charge, "Entry", 201, _PAID, has_key=True,
        one_of=_WHAT_PAID,
    ),
    Operation("GET", "/accounts/{account}/budgets", list_budgets, "Budgets"),
    Operation(
        "POST", "/accounts/{account}/budgets", set_budget, "Budget", body=_BUDGET,
        one_of=(("limit",), ("tokens",), ("requests",)),
    ),
    Operation("DELETE", "/accounts/{account}/budgets/{name}", remove_budget, "Removed"),
    Operation("GET", "/accounts/{account}/balance", balance, "Balance", query=_PAST),
    Operation("GET", "/accounts/{account}/model-costs", model_costs, "ModelCosts", query=_PAST),
    Operation("GET", "/accounts/{account}/entries", list_entries, "Entries", query=_PAGE),
    Operation("GET", "/accounts/{account}/alerts", list_alerts, "Alerts"),
    Operation(
        "POST", "/accounts/{account}/shift", shift_window, "Shifted", has_key=True,
        body={"budget": kinds.NAME, "reason": kinds.NAME},
    ),
    Operation(
        "PUT", "/accounts/{account}/parent", set_parent, "Account", body={"parent": kinds.PARENT}
    ),
    Operation("POST", "/accounts/{account}/freeze", freeze, "Account", body=_REASON),
    Operation("POST", "/accounts/{account}/unfreeze", unfreeze, "Account", body=_REASON),
    *PRICE_OPERATIONS,
)  # fmt: skip
