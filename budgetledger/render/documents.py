"""Values as JSON documents, for the command line (``--json``) and the server alike.

`budgetledger.render.document_types` describes their fields. Money is text, because a JSON number
may lose digits; moments are in UTC; null means unbounded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from budgetledger.entries import (
    Account,
    Alert,
    Balance,
    Budget,
    BudgetStatus,
    DefaultBudget,
    Entry,
)
from budgetledger.money import Sum, limit_sum, to_pico
from budgetledger.windows import Period, Window, from_us, to_us

if TYPE_CHECKING:
    from budgetledger.holds import BaseHold
    from budgetledger.imports.importing import Imported
    from budgetledger.journal.verify import Verification
    from budgetledger.prices import OwnPrice, Repriced
    from budgetledger.pricing.estimates import Estimate
    from budgetledger.render import document_types as doc


def print_json(document: object, *, indent: int | None = 2) -> None:
    """One document on stdout; without *indent*, on one line."""
    sys.stdout.write(json.dumps(document, indent=indent, default=as_json) + "\n")


def as_json(value: object) -> object:
    """Types that `json` does not know, as text: money, moments and digests."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON for {value!r}")


# -- budgets and accounts -------------------------------------------------------------------------


def window_json(window: Window) -> doc.Window:
    """Its start and end."""
    return {"start": window.start, "end": window.end, "timezone": window.timezone}


def budget_json(budget: Budget) -> doc.Budget:
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


def default_budget_json(default: DefaultBudget) -> doc.DefaultBudget:
    """A default budget as it was set."""
    period = default.period
    anchor = None if period.anchor_us is None else from_us(period.anchor_us)
    return {
        "project": default.project,
        "kind": default.kind,
        "measure": default.measure,
        "limit": default.limit,
        "model": default.model,
        "per": period.per,
        "span_seconds": None if period.span_us is None else period.span_us / 1e6,
        "timezone": period.timezone,
        "week_start": period.week_start,
        "anchor": "creation" if default.anchored else anchor,
        "alert_at": default.alert_at,
    }


def read_default_budget(document: Mapping[str, Any]) -> DefaultBudget:
    """The default budget that `default_budget_json` wrote."""
    measure, limit, anchor = document["measure"], document["limit"], document["anchor"]
    is_anchored, span = anchor == "creation", document["span_seconds"]
    period = Period(
        document["per"],
        document["timezone"],
        document["week_start"],
        None if anchor is None or is_anchored else to_us(datetime.fromisoformat(anchor)),
        None if span is None else round(span * 1e6),
    )
    return DefaultBudget(
        document["project"],
        document["kind"],
        measure,
        limit_sum(limit) if measure == "usd" else Sum(limit),
        document["model"],
        period,
        is_anchored,
        tuple(map(Decimal, document["alert_at"])),
    )


def balance_json(balance: Balance, project: str) -> doc.Balance:
    """A balance and each of its budgets."""
    return {
        "project": project,
        "account": balance.account,
        "limit": balance.limit,
        "posted": balance.posted,
        "held": balance.held,
        "available": balance.available,
        "unpriced": balance.unpriced,
        "assumed": balance.assumed,
        "window": window_json(balance.window),
        "budgets": [budget_status_json(status) for status in balance.budgets],
    }


def budget_status_json(status: BudgetStatus) -> doc.BudgetStatus:
    """A budget and the use of its active window."""
    return {
        **budget_json(status.budget),
        "posted": status.posted,
        "held": status.held,
        "available": status.available,
        "window": window_json(status.window),
    }


def account_settings_json(account: Account) -> doc.AccountSettings:
    """An account's parent, and whether it is frozen."""
    return {
        "project": account.project,
        "account": account.name,
        "parent": account.parent,
        "frozen": account.frozen is not None,
        "frozen_because": account.frozen or None,
    }


def account_json(account: Account, balance: Balance) -> dict[str, Any]:
    """An account and its balance."""
    return {
        **balance_json(balance, account.project),
        **account_settings_json(account),
        "created_at": from_us(account.created_at_us),
    }


def model_costs_json(
    balance: Balance, project: str, costs: Mapping[str, Decimal]
) -> doc.ModelCosts:
    """USD by model, and the window they were spent in."""
    return {
        "project": project,
        "account": balance.account,
        "window": window_json(balance.window),
        "unpriced": balance.unpriced,
        "assumed": balance.assumed,
        "model_costs": costs,
    }


def alert_json(alert: Alert, project: str) -> doc.Alert:
    """A threshold that was reached or resolved."""
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


# -- entries and holds ----------------------------------------------------------------------------


def entry_json(entry: Entry) -> doc.Entry:
    """One row of a journal; `read_entry` reads it back."""
    return {
        "id": entry.id,
        "project": entry.project,
        "account": entry.account,
        "recorded_at": entry.recorded_at,
        "occurred_at": entry.occurred_at,
        "kind": entry.kind,
        "model": entry.model,
        "cost": entry.cost,
        "cost_basis": entry.cost_basis,
        "price_source": entry.price_source,
        "price": entry.price,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "requests": entry.requests,
        "usage": entry.usage,
        "tags": entry.tags,
        "note": entry.note,
        "corrects_id": entry.corrects_id,
        "idempotency_key": entry.idempotency_key,
        "origin_id": entry.origin_id,
        "hold_id": entry.hold_id,
        "held": entry.held,
        "held_tokens": entry.held_tokens,
        "expires_at": entry.expires_at,
        "hash": entry.hash,
    }


def read_entry(document: Mapping[str, Any]) -> Entry:
    """The entry of a document from `entry_json`, after a JSON round trip."""
    return Entry(
        id=document["id"],
        project=document["project"],
        account=document["account"],
        recorded_at_us=_us(document["recorded_at"]) or 0,
        kind=document["kind"],
        model=document["model"],
        cost_pico=_pico(document["cost"], signed=True),
        price_source=document["price_source"],
        occurred_at_us=_us(document["occurred_at"]),
        input_tokens=document["input_tokens"],
        output_tokens=document["output_tokens"],
        requests=document["requests"],
        usage_json=_text(document["usage"]),
        price_json=_text(document["price"]),
        tags_json=_text(document["tags"]),
        note=document["note"],
        corrects_id=document["corrects_id"],
        idempotency_key=document["idempotency_key"],
        origin_id=document["origin_id"],
        hold_id=document["hold_id"],
        held_pico=_pico(document["held"]),
        held_tokens=document["held_tokens"],
        expires_at_us=_us(document["expires_at"]),
        hash=bytes.fromhex(document["hash"]),
    )


def _us(moment: str | None) -> int | None:
    return None if moment is None else to_us(datetime.fromisoformat(moment))


def _pico(usd: str | None, *, signed: bool = False) -> int | None:
    return None if usd is None else to_pico(usd, signed=signed)


def _text(value: dict[str, Any]) -> str | None:
    return json.dumps(value, separators=(",", ":"), sort_keys=True) if value else None


def hold_json(hold: BaseHold) -> doc.OpenHold:
    """An open hold: its amount, account and deadline."""
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


# -- prices ---------------------------------------------------------------------------------------


def estimate_json(model: str, estimate: Estimate) -> doc.Estimate:
    """What a call may cost, and the figures it follows from."""
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


def price_json(price: OwnPrice) -> doc.Price:
    """An own price; USD by unit; for all projects if ``project`` is null."""
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


def repriced_json(
    priced: Sequence[Repriced], unknown: Sequence[Entry], applied: bool
) -> doc.Repriced:
    """Calls that were priced now, or would be, and those still without a price."""
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


# -- what the command line alone prints -----------------------------------------------------------


def verification_json(verification: Verification, path: str) -> dict[str, Any]:
    """How many rows were recounted, and every difference."""
    problems = [problem._asdict() for problem in verification.problems]
    return {"path": path, "ok": verification.ok, **verification._asdict(), "problems": problems}


def imported_json(done: Imported, source: str, is_rehearsal: bool) -> dict[str, Any]:
    """What an import of a log recorded, and what it left out."""
    skipped = [one._asdict() for one in done.skipped]
    dry_run = {"dry_run": True} if is_rehearsal else {}
    return {"source": source, **done._asdict(), "skipped": skipped, **dry_run}
