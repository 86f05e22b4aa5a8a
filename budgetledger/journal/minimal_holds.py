"""Limits minimal holds: those for calls of which nothing could be estimated.

Such a hold sets aside the least there is, so it bounds nothing. A USD budget grants one more only
while every earlier one in its window has a cost, and every open one is for a model or a function
whose last call ended with a cost. So what no price is known for passes a budget once, and then
no more until someone states what it cost.

Only minimal holds run these statements. Each reads an index that has only rows of such holds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from budgetledger.entries import Budget
from budgetledger.errors import UnpricedModel
from budgetledger.journal.drafts import UNKNOWN_MODEL
from budgetledger.journal.holds.waiting_line import Room
from budgetledger.journal.reports import counts
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.answers import KEY as ANSWERED
from budgetledger.journal.rows.answers import each_of, models_of
from budgetledger.journal.rows.basis import NO_ESTIMATE, note_of
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.standing import Level, check
from budgetledger.journal.transaction import Transaction
from budgetledger.pricing.identity import covers
from budgetledger.storage.dialect import compiled

_STATE = (
    "state what it cost: adjust({entry_id}, cost, reason=...), or, if it reported its usage, "
    "set_price(model, ...) with effective_at= before the call, and reprice; with an amount, such "
    "as metered(..., amount=...), a call is an estimate"
)
_WAIT = (
    "retry when it is settled; or pass an amount, or a model with its prompt, so that the call can "
    "be estimated; set_price(model, ...), reprice and adjust(entry, cost, reason=...) state a price"
)


def unlimited(
    tx: Transaction, levels: Sequence[Level], draft: Draft, around: Sequence[int] = ()
) -> UnpricedModel | None:
    """The refusal of the minimal hold *draft* if it is one too many; None otherwise.

    *around*: the holds of the calls around this one.
    """
    models = None
    if draft.model is not None and draft.model != UNKNOWN_MODEL:
        models = models_of(draft.model, draft.price_json)
    for level in levels:
        for budget in level.settings.budgets:
            if budget.measure == "usd" and counts(budget, models):
                refused = _unpriced(tx, level, budget, draft, models) or _unproven(
                    tx, level, budget, draft, around
                )
                if refused is not None:
                    return refused
    return None


def _unpriced(
    tx: Transaction, level: Level, budget: Budget, draft: Draft, models: str | None
) -> UnpricedModel | None:
    """The refusal for a settle in the active window that has no price yet, of *models* if named.

    Corrections are never undone, so where all was stated once, only later rows are read again.
    """
    start_us = check(tx, level, budget).window.start_us or 0
    stated = level.settings.stated
    first_us, last_us = stated.get(models, (start_us, start_us))
    if not first_us <= start_us <= last_us:
        first_us, last_us = start_us, start_us
    where = (level.account.id, last_us, start_us)
    rows = tx.execute(compiled(statements.UNPRICED_MINIMAL), where).fetchall()
    for entry_id, model, price_json in rows:
        if models is None or _is_same(models, model, price_json):
            why = f"entry {entry_id}, of such a call, has no price yet"
            return _refusal(level, budget, draft, why, _STATE.format(entry_id=entry_id))
    stated[models] = first_us, level.head.recorded_at_us
    return None


def _is_same(models: str, model: str, price_json: str | None) -> bool:
    """Whether one of *models* is the *model* of a settle, or the one that answered it."""
    names = (model, json.loads(price_json or "{}").get(ANSWERED, model))
    return any(
        covers(ours, theirs) or covers(theirs, ours) for ours in each_of(models) for theirs in names
    )


def _unproven(
    tx: Transaction, level: Level, budget: Budget, draft: Draft, around: Sequence[int]
) -> UnpricedModel | None:
    """The refusal for an open minimal hold whose model or function did not end priced."""
    where = (level.account.id, tx.now_us, NO_ESTIMATE)
    open_holds = tx.execute(compiled(statements.OPEN_MINIMAL), where).fetchall()
    for hold_id, model, price_json in open_holds:
        if not counts(budget, models_of(model, price_json)):
            continue
        note = note_of(model, price_json)
        last = (level.account.project_id, note)
        row = tx.execute(compiled(statements.LAST_MINIMAL), last).fetchone()
        if row is None or row[0] is None:
            why = f"hold {hold_id}, of such a call, is open, and may end without a price"
            if hold_id in around:
                why += ", around this one"
            is_other = hold_id not in around
            return _refusal(level, budget, draft, why, _WAIT, blocked_by_holds=is_other)
    return None


def _refusal(
    level: Level,
    budget: Budget,
    draft: Draft,
    why: str,
    advice: str,
    *,
    blocked_by_holds: bool = False,
) -> UnpricedModel:
    name = note_of(draft.model, draft.price_json).removeprefix(f"{NO_ESTIMATE} for ")
    return UnpricedModel(
        name,
        f"nothing can be estimated for this call of {name!r}, and budget {budget.name!r} of "
        f"{level.account.name!r} cannot limit it: {why}; {advice}",
        blocked_by_holds=blocked_by_holds,
        room={(level.account.id, budget.name): Room(1, 0, 1)},
    )
