"""Appends what the project had posted and held before a budget was set on ``*``."""

from __future__ import annotations

from collections.abc import Sequence

from budgetledger.entries import Budget
from budgetledger.journal.append import append
from budgetledger.journal.reports import window_of
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref, last_time
from budgetledger.journal.rows.prior import Part, parts_of, prior_detail, prior_rows, scope_of
from budgetledger.journal.rows.rules import EVER, Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.money import PICO, to_usd
from budgetledger.storage.dialect import compiled


def count_earlier(tx: Transaction, whole: Ref, budget: Budget, was: Budget | None) -> None:
    """Let *budget*, just set on ``*``, count the earlier rows and the open holds of the project.

    *was*: its terms before, if it was in force. If it counts earlier rows already, in the same
    windows and of the same models, nothing changes.
    """
    listed = _list_open_holds(tx, whole)
    prior_id = prior_rows(tx.execute, whole.id).get(budget.name)
    is_same = was is not None and (was.period, was.model, was.by_identity) == (
        budget.period, budget.model, budget.by_identity)  # fmt: skip
    if is_same and prior_id is not None and not listed:
        return
    moment_us = max(tx.now_us, last_time(tx.execute, whole.id))
    start_us = window_of(tx.execute, whole.id, budget, moment_us).start_us
    parts = parts_of(tx.execute, whole.project_id, whole.id, scope_of(budget, start_us), EVER)
    if not parts and prior_id is None and not listed:
        return
    detail = prior_detail(budget.name, start_us, parts)
    entry = append(tx, whole, Draft("prior", note=_note(budget.name, parts)), detail).entry
    tx.execute(statements.INSERT_PRIOR, (entry.id, whole.id, budget.name, start_us))
    for part in parts:
        tx.execute(statements.INSERT_PRIOR_PART, (entry.id, *part))


def _note(budget: str, parts: Sequence[Part]) -> str:
    usd, pico, _, requests = parts[-1][1:] if parts else (0, 0, 0, 0)
    calls = f"{requests} earlier call{'' if requests == 1 else 's'}"
    return f"budget {budget!r} counts {calls}: {to_usd(usd * PICO + pico):f} USD"


def _list_open_holds(tx: Transaction, whole: Ref) -> bool:
    """List the project's open holds for ``*`` too, so that they count and close there."""
    holds = tx.execute(compiled(statements.UNLISTED_HOLDS), (whole.project_id, whole.id)).fetchall()
    for account_id, hold_id, expires_at_us, model, pico, tokens, path in holds:
        longer = f"{path}/{whole.id}" if path else str(whole.id)
        for counted_id in (account_id, *map(int, filter(None, path.split("/")))):
            tx.execute(compiled(statements.MOVE_HOLD), (longer, counted_id, hold_id))
        row = (whole.id, hold_id, expires_at_us, model, pico, tokens, longer)
        tx.execute(statements.INSERT_OPEN_HOLD, row)
    return bool(holds)
