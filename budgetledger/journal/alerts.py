"""Alerts: rows that record that a threshold of a budget was reached, or no longer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from budgetledger.entries import Alert
from budgetledger.journal.append import append
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import Crossed, Draft, crossings
from budgetledger.journal.standing import Level, check, head_of, settings_of
from budgetledger.journal.transaction import Transaction
from budgetledger.money import to_usd
from budgetledger.windows import Window


def raise_alerts(tx: Transaction, account: Ref) -> None:
    """Append the alerts that the account's rows lead to, each once, and resolve past ones."""
    head = head_of(tx, account)
    settings = settings_of(tx, account, head.settings_count)
    level = Level(account, head, settings)
    checks = [check(tx, level, budget) for budget in settings.budgets if budget.alert_at]
    fresh, over = crossings(checks, settings.standing)
    resolve(tx, account, over)
    for crossed in fresh:
        _append_crossing(tx, account, "alert", crossed)


def resolve(tx: Transaction, account: Ref, over: Sequence[Crossed]) -> None:
    """Append that these alerts are over."""
    for crossed in over:
        _append_crossing(tx, account, "resolve", crossed)


def _append_crossing(
    tx: Transaction, account: Ref, state: Literal["alert", "resolve"], crossed: Crossed
) -> None:
    budget, measure, threshold, limit, posted, *window = crossed
    detail = (budget, measure, str(threshold), *limit, *posted, *window)
    entry = append(tx, account, Draft(state), detail).entry
    tx.execute(statements.INSERT_CROSSING, (entry.id, account.id, *detail))
    alert = alert_of(account.project, account.name, state, crossed, entry.recorded_at_us)
    tx.alerts = (*tx.alerts, alert)


def alert_of(
    project: str,
    account: str,
    state: Literal["alert", "resolve"],
    crossed: Crossed,
    recorded_at_us: int,
) -> Alert:
    """The `Alert` for a crossing and the row that records it."""
    in_usd = crossed.measure == "usd"
    return Alert(
        project,
        account,
        crossed.budget,
        crossed.measure,
        state,
        crossed.threshold,
        to_usd(crossed.limit.total_pico) if in_usd else crossed.limit.usd,
        to_usd(crossed.posted.total_pico) if in_usd else crossed.posted.usd,
        Window(crossed.start_us, crossed.end_us, crossed.timezone),
        recorded_at_us,
    )
