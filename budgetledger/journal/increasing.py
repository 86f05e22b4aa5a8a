"""Raises an open hold, in one decision over all budgets that apply to it."""

from __future__ import annotations

from typing import NamedTuple

from budgetledger.entries import Entry
from budgetledger.errors import HoldRefused, InvalidAmount
from budgetledger.journal.append import append, recorded
from budgetledger.journal.entry_rows import entry_with_id
from budgetledger.journal.holding import frozen_above, open_hold, refused_by
from budgetledger.journal.refusals import refusal
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref, account_by_id
from budgetledger.journal.rows.answers import models_of
from budgetledger.journal.rows.rules import Draft, Need
from budgetledger.journal.standing import Level, checks, head_of, settings_of
from budgetledger.journal.transaction import Transaction
from budgetledger.money import MAX_ENTRY_PICO
from budgetledger.storage.dialect import compiled


class Increased(NamedTuple):
    """The row of an increase, what is held now, and the refusal that was not enforced, if any."""

    entry: Entry
    pico: int
    tokens: int
    refusal: HoldRefused | None = None


def increase(tx: Transaction, account: Ref, draft: Draft, *, enforce: bool) -> Increased:
    """Append *draft*, of what to hold more, if every budget that applies grants it.

    These are the budgets of the accounts that the hold counts against. With the key of an earlier
    increase, returns that one. Raises the refusal, which leaves the hold as it is;
    `HoldAlreadyClosed`, after the deadline too; `InvalidAmount` if no entry can hold the sum.
    """
    hold_id = draft.hold_id
    assert hold_id is not None
    first = recorded(tx, account, draft)
    counted_on, _, pico, tokens = open_hold(tx, account, hold_id)
    if first is not None:
        return Increased(first, pico, tokens)
    need = Need(draft.held_pico or 0, draft.held_tokens or 0, 0)
    if pico + need.pico > MAX_ENTRY_PICO:
        raise InvalidAmount("one hold cannot cover so much; take a second one")
    refused = _refusal(tx, account, hold_id, counted_on, need)
    if refused is not None:
        if enforce:
            raise refused
        draft = draft._replace(note=f"would have been refused: {refused}"[:500])
    for account_id in counted_on:
        where = (need.pico, need.tokens, account_id, hold_id)
        tx.execute(compiled(statements.INCREASE_HOLD), where)
    entry = append(tx, account, draft).entry
    return Increased(entry, pico + need.pico, tokens + need.tokens, refused)


def _refusal(
    tx: Transaction, account: Ref, hold_id: int, counted_on: list[int], need: Need
) -> HoldRefused | None:
    levels = []
    for account_id in counted_on:
        ref = account_by_id(tx.execute, account.project_id, account.project, account_id)
        head = head_of(tx, ref)
        levels.append(Level(ref, head, settings_of(tx, ref, head.settings_count)))
    frozen = frozen_above(levels)
    if frozen is not None:
        return frozen
    entry = entry_with_id(tx.execute, account.project_id, hold_id)
    assert entry is not None
    models = models_of(entry.model, entry.price_json)
    every = [(check, level) for level in levels for check in checks(tx, level, models)]
    refused = refused_by(every, need)
    if not refused:
        return None
    why = f"; hold {hold_id} stays as it is"
    return refusal(tx, refused, need, [check for check, _ in every], (hold_id,), why)
