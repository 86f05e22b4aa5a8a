"""What the command line prints for programs: one JSON document, or one a line.

Money is text, because a JSON number may lose digits; moments are in UTC; null is unbounded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from budgetledger.entries import Account, Alert, Balance, Budget, Entry
from budgetledger.windows import Window, from_us

if TYPE_CHECKING:
    from budgetledger.holds import BaseHold
    from budgetledger.journal.verify import Verification
    from budgetledger.litellm.price_file import PriceImport
    from budgetledger.litellm.user_cost_file import ImportResult
    from budgetledger.prices import OwnPrice, Repriced
    from budgetledger.pricing.estimates import Estimate

_ENTRY = (
    *("id", "project", "account", "recorded_at", "occurred_at", "kind", "model", "cost"),
    *("price_source", "price", "input_tokens", "output_tokens", "requests", "usage", "tags"),
    *("note", "corrects_id", "idempotency_key", "origin_id", "hold_id", "held", "held_tokens"),
    *("expires_at", "hash"),
)


def print_json(document: object, *, indent: int | None = 2) -> None:
    """One document on stdout; without *indent*, on one line."""
    json.dump(document, sys.stdout, indent=indent, default=as_json)
    sys.stdout.write("\n")


def as_json(value: object) -> object:
    """What the JSON writer does not know: money, moments and digests, as text."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON for {value!r}")


def window_json(window: Window) -> dict[str, Any]:
    """Its start and end."""
    return {"start": window.start, "end": window.end, "timezone": window.timezone}


def budget_json(budget: Budget) -> dict[str, Any]:
    """A budget as it was set."""
    period = budget.period
    return {
        "account": budget.account,
        "name": budget.name,
        "measure": budget.measure,
        "limit": budget.limit,
        "model": budget.model,
        "per": period.per,
        "span_seconds": None if period.span_us is None else period.span_us / 1e6,
        "timezone": period.timezone,
        "week_start": period.week_start,
        "anchor": None if period.anchor_us is None else from_us(period.anchor_us),
        "alert_at": budget.alert_at,
        "created_at": from_us(round(budget.created_at * 1e6)),
    }


def balance_json(balance: Balance, project: str) -> dict[str, Any]:
    """A balance and each of its budgets."""
    return {
        "project": project,
        "account": balance.account,
        "limit": balance.limit,
        "posted": balance.posted,
        "held": balance.held,
        "available": balance.available,
        "unpriced": balance.unpriced,
        "window": window_json(balance.window),
        "budgets": [
            {
                **budget_json(status.budget),
                "posted": status.posted,
                "held": status.held,
                "available": status.available,
                "window": window_json(status.window),
            }
            for status in balance.budgets
        ],
    }


def account_settings_json(account: Account) -> dict[str, Any]:
    """What an account is under, and whether it takes holds."""
    return {
        "project": account.project,
        "account": account.name,
        "parent": account.parent,
        "frozen": account.frozen is not None,
        "frozen_because": account.frozen or None,
    }


def account_json(account: Account, balance: Balance) -> dict[str, Any]:
    """An account and its balance."""
    created_at = from_us(account.created_at_us)
    return {
        **balance_json(balance, account.project),
        **account_settings_json(account),
        "created_at": created_at,
    }


def model_costs_json(
    balance: Balance, project: str, costs: Mapping[str, Decimal]
) -> dict[str, Any]:
    """USD by model, and the window they were spent in."""
    whole = balance_json(balance, project)
    known = {name: whole[name] for name in ("project", "account", "window", "unpriced")}
    return {**known, "model_costs": costs}


def entry_json(entry: Entry) -> dict[str, Any]:
    """One row of a journal."""
    return {name: getattr(entry, name) for name in _ENTRY}


def hold_json(hold: BaseHold) -> dict[str, Any]:
    """What is set aside, for which account, and until when."""
    entry = hold.entry
    return {
        "id": hold.id,
        "project": entry.project,
        "account": hold.account,
        "model": hold.model,
        "amount": hold.amount,
        "tokens": hold.tokens,
        "recorded_at": entry.recorded_at,
        "expires_at": hold.expires_at,
        "idempotency_key": entry.idempotency_key,
        "tags": entry.tags,
    }


def alert_json(alert: Alert, project: str) -> dict[str, Any]:
    """A threshold that was reached (state ``alert``), or is no more (``resolve``)."""
    return {
        "project": project,
        "account": alert.account,
        "budget": alert.budget,
        "state": alert.state,
        "threshold": alert.threshold,
        "limit": alert.limit,
        "posted": alert.posted,
        "window": window_json(alert.window),
        "recorded_at": alert.recorded_at,
    }


def verification_json(found: Verification, path: str) -> dict[str, Any]:
    """What was recounted, and every difference."""
    problems = [problem._asdict() for problem in found.problems]
    return {"path": path, "ok": found.ok, **found._asdict(), "problems": problems}


def import_json(result: ImportResult, project: str) -> dict[str, Any]:
    """What an import brought in."""
    users = [user._asdict() for user in result.users]
    return {"project": project, **result._asdict(), "users": users}


def price_json(price: OwnPrice) -> dict[str, Any]:
    """An own price; USD by what is counted, of all projects if ``project`` is null."""
    return {
        "id": price.id,
        "project": price.project,
        "model": price.model,
        "removed": price.removed,
        "rates": price.rates,
        "effective_at": price.effective_at,
        "recorded_at": price.recorded_at,
        "note": price.note,
    }


def estimate_json(model: str, estimate: Estimate) -> dict[str, Any]:
    """What a call may cost, and what that is made from."""
    return {
        "model": model,
        "low": estimate.low,
        "high": estimate.high,
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "bounded": estimate.bounded,
        "method": estimate.method,
        "price_source": estimate.source,
        "price": estimate.unit_prices,
    }


def price_import_json(done: PriceImport) -> dict[str, Any]:
    """What an import of prices took over, and what it left out."""
    return {
        "set": [price_json(price) for price in done.appended],
        "unchanged": done.unchanged,
        "skipped": [one._asdict() for one in done.skipped],
        "not_counted": done.left_out,
    }


def repriced_json(
    priced: Sequence[Repriced], unknown: Sequence[Entry], applied: bool
) -> dict[str, Any]:
    """The calls that are priced later, or would be, and those whose price is not known."""
    return {
        "applied": applied,
        "total": sum((one.cost for one in priced), Decimal(0)),
        "priced": [
            {
                "entry_id": one.entry.id,
                "account": one.entry.account,
                "model": one.entry.model,
                "cost": one.cost,
                "price_source": one.source,
                "price": one.unit_prices,
                "adjustment_id": None if one.adjustment is None else one.adjustment.id,
            }
            for one in priced
        ],
        "still_unpriced": [entry_json(entry) for entry in unknown],
    }
