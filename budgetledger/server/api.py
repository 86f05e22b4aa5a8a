"""The JSON API: the library's verbs as HTTP requests, each a row of a table.

Everything is under ``/v1/projects/{project}``. A client that retries a request sends the same
``Idempotency-Key`` again, and gets the first answer.
"""

from __future__ import annotations

import asyncio
from functools import partial

from budgetledger.aio import AsyncHold
from budgetledger.callers import enclosed
from budgetledger.entries import Account, Alert
from budgetledger.errors import HoldAlreadyClosed, InvalidInput, UnknownEntry
from budgetledger.holds import granted_of
from budgetledger.journal import holding, settings
from budgetledger.journal.budget_terms import budget_change
from budgetledger.journal.entry_rows import entry_with_key, page
from budgetledger.journal.holding import find_hold
from budgetledger.journal.journal import books_of
from budgetledger.journal.rows.accounts import find_project
from budgetledger.journal.rows.rules import EVER
from budgetledger.names import checked_name, checked_reason
from budgetledger.render import document_types as doc
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
from budgetledger.server import request_models as requests
from budgetledger.server.default_budget_api import DEFAULT_BUDGET_OPERATIONS
from budgetledger.server.operation import Call, Operation
from budgetledger.server.price_api import PRICE_OPERATIONS
from budgetledger.verbs import charging
from budgetledger.verbs.awaiting import AsyncJournal
from budgetledger.verbs.balances import snapshot
from budgetledger.verbs.remarks import added_beside
from budgetledger.windows import from_us, to_us

_ROWS = 100


# -- holds ----------------------------------------------------------------------------------------


async def hold(call: Call) -> doc.Hold:
    """Hold an amount for a call before it is sent, if every budget that applies allows it."""
    fields = dict(call.fields)
    with enclosed(books_of(call.journal), fields.pop("around", ())):
        held = await call.ledger.hold(call.account, key=call.key, **fields)
    call.service.remember(call.project, granted_of(held))
    return _hold(held)


async def list_holds(call: Call) -> doc.Holds:
    """List the open holds of the account and of the accounts below it."""
    return {"holds": [_hold(held) for held in await call.ledger.holds(call.account)]}


async def settle(call: Call) -> doc.Entry:
    """Close the hold with what the call cost. A budget never refuses this."""
    held, fields = await _held(call), dict(call.fields)
    paid, response = fields.pop("cost", None), fields.pop("response", None)
    if paid is not None and response is not None:
        raise InvalidInput("send response or cost, not both")
    paid = response if paid is None else paid
    return entry_json(await held.settle(paid, key=call.key, **fields))


async def release(call: Call) -> doc.Entry:
    """Close the hold without a cost. Settling it later is refused if another entry counts it."""
    account = granted_of(await _held(call)).account
    reason, counted_by = call.fields.get("reason"), call.fields.get("counted_by")
    note = None if reason is None else checked_reason(reason)
    try:
        entry = await AsyncJournal(call.journal).write(
            lambda tx: holding.release(tx, account, call.number, note, counted_by)
        )
        return entry_json(entry)
    except HoldAlreadyClosed as closed:
        # A retry. Releases have no content to compare, so the first one is the answer.
        if call.key is None or closed.entry is None or closed.entry.kind != "release":
            raise
        return entry_json(closed.entry)


async def extend(call: Call) -> doc.Hold:
    """Move the deadline of an open hold to `expires_in` seconds from now."""
    held = await _held(call)
    await held.extend(**call.fields)
    return _hold(held)


async def increase(call: Call) -> doc.Hold:
    """Hold more for the same call, if every budget that applies allows it."""
    held = await _held(call)
    await held.increase(key=call.key, **call.fields)
    call.service.remember(call.project, granted_of(held))
    return _hold(held)


async def can_afford(call: Call) -> doc.Affordable:
    """Check whether a hold like this would be granted now. Nothing is held."""
    return {"affordable": await call.ledger.can_afford(call.account, **call.fields)}


# -- money ----------------------------------------------------------------------------------------


async def charge(call: Call) -> doc.Entry:
    """Record what a call cost. A budget never refuses this: the money is spent."""
    return entry_json(await call.ledger.charge(call.account, key=call.key, **call.fields))


async def adjust(call: Call) -> doc.Entry:
    """Correct an entry's cost by `amount`, which may be negative, or to `total`."""
    fields = dict(call.fields)
    amount, total = fields.pop("amount", None), fields.pop("total", None)
    if (amount is None) == (total is None):
        raise InvalidInput("send either amount, the difference, or total, the corrected cost")
    is_total = amount is None
    paid = total if is_total else amount
    journal = AsyncJournal(call.journal).off_loop()
    adjusting = partial(charging.adjust, journal, key=call.key, is_total=is_total, **fields)
    return entry_json(await asyncio.to_thread(adjusting, call.number, paid))


# -- settings -------------------------------------------------------------------------------------


async def set_budget(call: Call) -> doc.NewBudget:
    """Limit what the account may use in a window. The same name again changes what is sent."""
    checked_name(call.account, "account")
    change = budget_change(**requests.with_period(call.fields))
    journal = AsyncJournal(call.journal).off_loop()
    changing = partial(settings.change_budget_of, journal, call.account, change)
    budget, beside = await asyncio.to_thread(changing)
    remark = f"{added_beside(budget, beside)}; {_TO_CHANGE_ONE}" if beside else None
    return {**budget_json(budget), "remark": remark}


_TO_CHANGE_ONE = "to change one of those send its per or name, for a budget for ever per: null"


async def list_budgets(call: Call) -> doc.Budgets:
    """List the account's budgets in force, by name."""
    return {"budgets": [budget_json(budget) for budget in await call.ledger.budgets(call.account)]}


async def remove_budget(call: Call) -> doc.Removed:
    """End a budget. The entries it counted stay."""
    await call.ledger.remove_budget(call.account, call.name)
    return {"account": call.account, "name": call.name}


async def shift_window(call: Call) -> doc.Shifted:
    """Start a new window now, for one budget or all of the account. Entries do not change."""
    fields = dict(call.fields)
    name = fields.pop("budget", None)
    window = await call.ledger.shift_window(call.account, name, key=call.key, **fields)
    return {"account": call.account, "window": window_json(window)}


async def set_parent(call: Call) -> doc.Account:
    """Put the account under another, whose budgets then apply too; null removes the parent."""
    await call.ledger.set_parent(call.account, call.fields.get("parent"))
    return await _settings(call)


async def freeze(call: Call) -> doc.Account:
    """Refuse all holds on the account and the accounts below it. Costs are still recorded."""
    await call.ledger.freeze(call.account, **call.fields)
    return await _settings(call)


async def unfreeze(call: Call) -> doc.Account:
    """Allow holds on the account again."""
    await call.ledger.unfreeze(call.account, **call.fields)
    return await _settings(call)


# -- reading --------------------------------------------------------------------------------------


async def list_accounts(call: Call) -> doc.Accounts:
    """List the project's accounts, by name."""
    return {"accounts": [_account(account) for account in await call.ledger.accounts()]}


async def balance(call: Call) -> doc.Balance:
    """Report what the account has spent and may still spend, now or at a past time."""
    return balance_json(await call.ledger.balance(call.account, **call.fields), call.project)


async def model_costs(call: Call) -> doc.ModelCosts:
    """Report the cost of each model in US dollars, in the window that the balance reports."""
    moments = (call.fields.get("at"), call.fields.get("as_of"))
    reading = partial(snapshot, call.journal, call.account, *moments)
    account_balance, costs = await asyncio.to_thread(reading)
    return model_costs_json(account_balance, call.project, costs)


async def list_entries(call: Call) -> doc.Entries:
    """List a page of the account's entries, in order. Send `next` as `after` for more."""
    return await _page(call, call.account)


async def list_project_entries(call: Call) -> doc.Entries:
    """List a page of the project's entries, in order. Send `next` as `after` for more."""
    return await _page(call, None)


async def keyed_entry(call: Call) -> doc.Entry:
    """Return the entry that a request with this Idempotency-Key created."""
    entry = await call.journal.store.aread(
        lambda execute: entry_with_key(execute, find_project(execute, call.project), call.name)
    )
    if entry is None:
        raise UnknownEntry(f"no entry has the key {call.name!r}")
    return entry_json(entry)


async def list_alerts(call: Call) -> doc.Alerts:
    """List the alerts raised and resolved on the account, in order."""
    return _alerts(call, await call.ledger.alerts(call.account))


async def list_project_alerts(call: Call) -> doc.Alerts:
    """List the alerts raised and resolved in the project, in order."""
    return _alerts(call, await call.ledger.alerts())


# -- helpers --------------------------------------------------------------------------------------


async def _held(call: Call) -> AsyncHold:
    """The hold in the path. Raises `UnknownEntry`."""
    granted = call.service.recall(call.project, call.number)
    if granted is None or granted.entry.account != call.account:
        granted = await call.journal.store.aread(
            lambda execute: find_hold(execute, call.project, call.number, call.account)
        )
    return AsyncHold(AsyncJournal(call.journal), granted, None)


async def _page(call: Call, account: str | None) -> doc.Entries:
    fields, most = call.fields, call.fields.get("limit", _ROWS)
    if "last" in fields:
        if "after" in fields or "limit" in fields:
            raise InvalidInput("last is the newest rows; pass it without after and limit")
        newest = await asyncio.to_thread(
            lambda: list(call.ledger.ledger.entries(account, **fields)),
        )
        return {"entries": [entry_json(entry) for entry in newest], "next": None}
    reading = partial(
        page,
        project=call.project,
        account=account,
        since_us=max(to_us(fields["since"]), 0) if "since" in fields else 0,
        until_us=to_us(fields["until"]) if "until" in fields else EVER,
        after_id=fields.get("after"),
        most=most,
    )
    entries = await call.journal.store.aread(reading)
    following = entries[-1].id if len(entries) == most else None
    return {"entries": [entry_json(entry) for entry in entries], "next": following}


def _alerts(call: Call, alerts: list[Alert]) -> doc.Alerts:
    return {"alerts": [alert_json(alert, call.project) for alert in alerts]}


async def _settings(call: Call) -> doc.Account:
    accounts = await call.ledger.accounts()
    return _account(next(account for account in accounts if account.name == call.account))


def _account(account: Account) -> doc.Account:
    return {**account_settings_json(account), "created_at": from_us(account.created_at_us)}


def _hold(held: AsyncHold) -> doc.Hold:
    return {**hold_json(held), "bounded": held.bounded}


# -- the table ------------------------------------------------------------------------------------

_ACCOUNT = "/accounts/{account}"
_HOLDS = "/accounts/{account}/holds"
_HOLD = "/accounts/{account}/holds/{number}"

OPERATIONS = (
    Operation("GET", "/accounts", list_accounts),
    Operation("GET", "/entries", list_project_entries, query=requests.Page),
    Operation("GET", "/alerts", list_project_alerts),
    Operation("POST", "/entries/{number}/adjust", adjust, 201, requests.Correction, has_key=True),
    Operation("GET", "/keys/{name}", keyed_entry),
    Operation("GET", _HOLDS, list_holds),
    Operation("POST", _HOLDS, hold, 201, requests.NewHold, has_key=True),
    Operation("POST", f"{_HOLD}/settle", settle, 201, requests.Paid, has_key=True),
    Operation("POST", f"{_HOLD}/release", release, 201, requests.Release, has_key=True),
    Operation("POST", f"{_HOLD}/extend", extend, body=requests.Extension),
    Operation("POST", f"{_HOLD}/increase", increase, body=requests.More, has_key=True),
    Operation("POST", f"{_ACCOUNT}/can-afford", can_afford, body=requests.HowMuch),
    Operation("POST", f"{_ACCOUNT}/charges", charge, 201, requests.Paid, has_key=True),
    Operation("GET", f"{_ACCOUNT}/budgets", list_budgets),
    Operation("POST", f"{_ACCOUNT}/budgets", set_budget, body=requests.NewBudget),
    Operation("DELETE", f"{_ACCOUNT}/budgets/{{name}}", remove_budget),
    Operation("GET", f"{_ACCOUNT}/balance", balance, query=requests.Past),
    Operation("GET", f"{_ACCOUNT}/model-costs", model_costs, query=requests.Past),
    Operation("GET", f"{_ACCOUNT}/entries", list_entries, query=requests.Page),
    Operation("GET", f"{_ACCOUNT}/alerts", list_alerts),
    Operation("POST", f"{_ACCOUNT}/shift", shift_window, body=requests.Shift, has_key=True),
    Operation("PUT", f"{_ACCOUNT}/parent", set_parent, body=requests.NewParent),
    Operation("POST", f"{_ACCOUNT}/freeze", freeze, body=requests.Reason),
    Operation("POST", f"{_ACCOUNT}/unfreeze", unfreeze, body=requests.Reason),
    *DEFAULT_BUDGET_OPERATIONS,
    *PRICE_OPERATIONS,
)
