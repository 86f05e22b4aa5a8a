"""Appends the row that sets, revises or ends a budget of an account."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from budgetledger.entries import Budget
from budgetledger.journal.append import append
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.answers import list_earlier
from budgetledger.journal.rows.rules import BY_IDENTITY, Draft
from budgetledger.journal.standing import head_of, settings_of
from budgetledger.journal.transaction import Transaction


def append_revision(
    tx: Transaction, account: Ref, budget: Budget, *, removed: bool, note: str | None = None
) -> None:
    """Append the terms of *budget* from now on, or its end."""
    period = budget.period
    detail = (
        budget.name,
        budget.measure,
        *budget.limit_sum,
        budget.model,
        period.per,
        period.timezone,
        period.week_start,
        period.anchor_us,
        period.span_us,
        budget.created_at,
        int(removed),
    )
    alert_at = shares_text(budget.alert_at)
    # Without thresholds the hash is that of revisions before thresholds existed.
    hashed = detail if alert_at is None else (*detail, alert_at)
    if budget.by_identity and budget.model is not None and not removed:
        before = settings_of(tx, account, head_of(tx, account).settings_count).budgeted
        if budget.model not in before:
            list_earlier(tx.execute, account.id, before, budget.model)
    draft = Draft("budget", tags_json=BY_IDENTITY if budget.by_identity else None, note=note)
    entry = append(tx, account, draft, hashed).entry
    tx.execute(statements.INSERT_BUDGET_REVISION, (entry.id, account.id, *detail, alert_at))


def shares_text(alert_at: Sequence[Decimal]) -> str | None:
    """Thresholds as they are stored; `reports.thresholds` reads them."""
    return ",".join(map(str, alert_at)) or None
