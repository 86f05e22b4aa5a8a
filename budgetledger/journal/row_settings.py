"""Reads back what a row of an account set: the terms of a budget, or the start of a window."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from budgetledger.entries import Budget, Entry
from budgetledger.journal.reports import thresholds
from budgetledger.journal.rows import statements
from budgetledger.money import Sum
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Period


class Shift(NamedTuple):
    """The budget whose window started anew; *turned*: by itself."""

    budget: str
    turned: bool


class Ended(NamedTuple):
    """The budget that ended."""

    budget: str


Setting: TypeAlias = Budget | Ended | Shift


def setting_of(execute: Execute, entry: Entry) -> Setting | None:
    """What *entry* set; None for a row of another kind."""
    if entry.kind == "shift":
        budget, _, turned = execute(compiled(statements.SHIFT_DETAIL), (entry.id,)).fetchone()
        return Shift(budget, bool(turned))
    if entry.kind != "budget":
        return None
    row = execute(compiled(statements.BUDGET_DETAIL), (entry.id,)).fetchone()
    name, measure, units, pico, model, *period, created_at, removed, alert_at = row
    if removed:
        return Ended(name)
    limit, shares = Sum(units, pico), thresholds(alert_at)
    return Budget(entry.account, name, measure, limit, model, Period(*period), created_at, shares)
