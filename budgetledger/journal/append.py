"""Appends rows: finds an account's head, lets the rules decide the next row, inserts it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from budgetledger.entries import Entry
from budgetledger.errors import IdempotencyConflict
from budgetledger.journal.entry_rows import entry_with_key
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.answers import has_answer, is_listed, note_answer
from budgetledger.journal.rows.basis import NO_ESTIMATE, passed_amounts
from budgetledger.journal.rows.late import late_row
from budgetledger.journal.rows.rules import (
    ASSUMED_OUTPUT,
    SETTINGS,
    Draft,
    Head,
    counts,
    follow,
    model_totals,
    with_model_totals,
)
from budgetledger.journal.standing import head_in, head_of, settings_of
from budgetledger.journal.transaction import Transaction
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Cursor, Execute
from budgetledger.usage import positional

_MODEL_HEAD = compiled(statements.MODEL_HEAD)
_SOURCE, _SELDOM, _OF_HOLD = map(Draft._fields.index, ("price_source", "tags_json", "hold_id"))
_COST_ALONE = Draft("", price_source="given", requests=1)[_SOURCE:]
_NONE_OF_SELDOM = (None,) * (_OF_HOLD - _SELDOM)
_NONE_FROM_SELDOM = (None,) * (len(Draft._fields) - _SELDOM)


class Appended(NamedTuple):
    """An entry, and how far (if above 0) the clock was behind the row before it."""

    entry: Entry
    behind_us: int = 0
    is_new: bool = True
    """False for an entry recorded earlier under the same idempotency key."""
    settings_count: int = 0
    whole_id: int | None = None
    """The id of the project's own account, if there is one."""
    opened: bool = False
    """Whether the account was new, and got no default budget."""


_entry = positional(Entry)
_appended = positional(Appended)


def find_or_open(tx: Transaction, project: str, name: str) -> Ref:
    """The account *name*, opened if it is new."""
    execute = tx.execute
    account = accounts.find(execute, project, name)
    if account is not None:
        return account
    project_id = find_or_open_project(tx, project)
    inserted_row = execute(statements.INSERT_ACCOUNT, (project_id, name, tx.now_us))
    tx.memory.heads.clear()  # heads name the project's own account, which this may be
    return Ref(inserted(inserted_row), project_id, project, name, tx.now_us)


def find_or_open_project(tx: Transaction, project: str) -> int:
    """The id of *project*, opened if it is new."""
    project_id = accounts.find_project(tx.execute, project)
    if project_id is None:
        project_id = inserted(tx.execute(statements.INSERT_PROJECT, (project,)))
    return project_id


def append(
    tx: Transaction,
    account: Ref,
    draft: Draft,
    detail: tuple[Any, ...] = (),
    not_before_us: int = 0,
    belongs_us: int | None = None,
) -> Appended:
    """Append *draft* to the account's journal.

    *detail*: the values of a row in another table that belongs to this one; the hash covers them.
    *belongs_us*: when the row belongs, if that is not when its call was made, or now.
    """
    head = head_of(tx, account)
    if head.model != draft.model:  # usually the model of the row before
        head = _another_model(tx, account, head, draft.model)
    at_us = max(tx.now_us, head.recorded_at_us, not_before_us)
    budgeted: tuple[str, ...] = ()
    if has_answer(draft):
        budgeted = settings_of(tx, account, head.settings_count).budgeted
    entry, follower = insert_after(
        tx.execute, account, head, at_us, draft, detail, belongs_us, budgeted
    )
    tx.memory.heads[account.id] = follower
    behind_us = head.recorded_at_us - tx.now_us
    return _appended((entry, behind_us, True, follower.settings_count, head.whole_id, False))


def insert_after(
    execute: Execute,
    account: Ref,
    head: Head,
    at_us: int,
    draft: Draft,
    detail: tuple[Any, ...] = (),
    belongs_us: int | None = None,
    budgeted: tuple[str, ...] = (),
) -> tuple[Entry, Head]:
    """Insert *draft* as the row after *head*, which must have the totals of its model.

    *budgeted*: as in the account's `Settings`; it matters if the draft `has_answer`. Returns the
    entry and the account's new head.
    """
    account_id, project_id, project, name, _ = account
    insert: str
    values: tuple[Any, ...]
    if draft[_SOURCE:] == _COST_ALONE:
        insert, values = statements.INSERT_COST_ALONE, draft[:_SOURCE]
    elif draft[_SELDOM:] == _NONE_FROM_SELDOM:
        insert, values = statements.INSERT_PLAIN_ENTRY, draft[:_SELDOM]
    elif draft[_SELDOM:_OF_HOLD] == _NONE_OF_SELDOM:
        insert, values = statements.INSERT_STEP_OF_HOLD, draft[:_SELDOM] + draft[_OF_HOLD:]
    else:
        insert, values = statements.INSERT_ENTRY, draft
    totals, digest = follow(head, at_us, draft, detail)
    count = head.settings_count + (draft.kind in SETTINGS)
    # sqlite3 looks for adapters of bytes but not of bytearray, which is stored alike.
    row = (project_id, account_id, at_us, *values, *totals, bytearray(digest), count)
    entry_id = execute(insert, row).lastrowid
    is_counted = counts(draft, detail)
    if is_counted and is_listed(draft, budgeted):
        note_answer(execute, account_id, at_us, entry_id, draft)
    late_id = head.late_id
    belongs_us = draft.occurred_at_us if belongs_us is None else belongs_us
    if belongs_us is not None and belongs_us < at_us:
        late = late_row(account_id, entry_id, at_us, belongs_us, draft, is_counted)
        execute(statements.INSERT_LATE, late)
        late_id = entry_id
    entry = _entry((entry_id, project, name, at_us, *draft, digest))
    of_project = head.whole_id, late_id, head.has_defaults
    return entry, head_in((digest, at_us, *totals, count, entry_id, draft.model, *of_project))


def _another_model(tx: Transaction, account: Ref, head: Head, model: str | None) -> Head:
    """Return *head* with the totals of *model*; record where the run of its own model ends."""
    if head.model is not None:
        ended = (account.id, head.model, head.recorded_at_us, head.id)
        tx.execute(statements.INSERT_MODEL_RUN, ended)
        if tx.models is not None:
            tx.models[account.id, head.model] = model_totals(head)
    if model is None:
        return with_model_totals(head, None)
    row = None if tx.models is None else tx.models.get((account.id, model))
    if row is None:
        row = tx.execute(_MODEL_HEAD, (account.id, model)).fetchone()
    return with_model_totals(head, row)


def recorded(tx: Transaction, account: Ref, draft: Draft) -> Entry | None:
    """The entry recorded earlier under the draft's idempotency key, or None.

    Raises `IdempotencyConflict` if that entry has other content.
    """
    key = draft.idempotency_key
    if key is None:
        return None
    entry = entry_with_key(tx.execute, account.project_id, key)
    return None if entry is None else as_recorded(entry, account.name, draft)


def as_recorded(entry: Entry, account: str, draft: Draft) -> Entry:
    """*entry*, which has the draft's key. Raises `IdempotencyConflict` for other content."""
    key = draft.idempotency_key
    if not is_same(entry, draft, (entry.account, account)):
        raise IdempotencyConflict(
            f"key {key!r} was used for entry {entry.id} ({entry.kind} of {_amount_text(entry)}, "
            f"{entry.model}, for {entry.account}); use another key for another cost",
            key=key,
            entry=entry,
        )
    return entry


def is_same(first: Entry | Draft, second: Draft, of_accounts: tuple[str, str]) -> bool:
    """Whether two rows with one key have one content, in accounts of these names."""
    return of_accounts[0] == of_accounts[1] and _content(first) == _content(second)


def _content(entry: Entry | Draft) -> tuple[object, ...]:
    """What a key compares besides the account: kind, model, references, and amount or usage.

    That is what the caller passed: not what the ledger estimated or assumed, which may change with
    the price list, or with another ledger's ``default_output_tokens``.
    """
    is_given, usage = entry.price_source == "given", entry.usage_json
    if entry.kind == "hold":
        amounts = passed_amounts(entry)
    elif entry.kind == "increase":
        amounts = entry.held_pico, entry.held_tokens
    else:
        amounts = (entry.cost_pico,) if is_given else ()
    if entry.kind == "hold" and usage is not None and ASSUMED_OUTPUT in usage:
        usage = json.loads(usage)["input_tokens"]
    return entry.kind, entry.model, entry.corrects_id, entry.hold_id, usage, *amounts


def _amount_text(entry: Entry) -> str:
    if entry.price_source == NO_ESTIMATE and entry.kind == "hold":
        return "the least amount"
    amount = entry.held if entry.kind in ("hold", "increase") else entry.cost
    return "unknown cost" if amount is None else f"{amount:f} USD"


def inserted(cursor: Cursor) -> int:
    """The id of the row that a statement inserted."""
    assert cursor.lastrowid is not None
    return cursor.lastrowid
