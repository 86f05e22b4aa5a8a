"""Appends rows: finds an account's head, lets the rules decide the next row, inserts it."""

from __future__ import annotations

from sqlite3 import Cursor
from typing import Any, NamedTuple

from budgetledger import _reports, _sql
from budgetledger._budgeting import head_of
from budgetledger._reports import Ref
from budgetledger._sql import compiled
from budgetledger._transaction import Transaction
from budgetledger.entries import Entry
from budgetledger.errors import IdempotencyConflict
from budgetledger.rules import SETTINGS, Draft, Head, chained_hash, next_time, totals_after

_MODEL_HEAD = compiled(_sql.MODEL_HEAD)
_PLAIN = Draft._fields.index("tags_json")
_NOTHING_ELSE = (None,) * (len(Draft._fields) - _PLAIN)


class Appended(NamedTuple):
    """An entry, and by how much (if above 0) the clock was behind the row before it."""

    entry: Entry
    behind_us: int = 0
    is_new: bool = True
    """Not the entry that an idempotency key stood for already."""
    settings_version: int = 0
    whole_id: int | None = None
    """The id of the project's own account, if there is one."""
    opened: bool = False
    """Whether the account was new."""


def find_or_open(tx: Transaction, project: str, name: str) -> Ref:
    """The account *name*, opened if it is new."""
    execute = tx.execute
    found = _reports.find(execute, project, name)
    if found is not None:
        return found
    project_id = _reports.find_project(execute, project)
    if project_id is None:
        project_id = inserted(execute(_sql.INSERT_PROJECT, (None, project)))
    opened = execute(_sql.INSERT_ACCOUNT, (None, project_id, name, tx.now_us))
    return Ref(inserted(opened), project_id, project, name, tx.now_us)


def append(
    tx: Transaction,
    account: Ref,
    draft: Draft,
    detail: tuple[Any, ...] = (),
    not_before_us: int = 0,
) -> Appended:
    """Append *draft* to the account's journal.

    *detail* is what another row holds that belongs to this one, so that the hash covers it.
    """
    head, model, whole_id = head_of(tx, account)
    entry, version = append_after(tx, account, head, model, draft, detail, not_before_us)
    return Appended(entry, head.recorded_at_us - tx.now_us, True, version, whole_id)


def append_after(
    tx: Transaction,
    account: Ref,
    head: Head,
    model: str | None,
    draft: Draft,
    detail: tuple[Any, ...] = (),
    not_before_us: int = 0,
) -> tuple[Entry, int]:
    """Append *draft* after *head*, which was just read; *model* is that of the head's row.

    Returns the entry and the settings version it carries.
    """
    if model != draft.model:  # mostly the model of the row before, and no look-up
        row = tx.execute(_MODEL_HEAD, (account.id, draft.model)).fetchone()
        of_model = row or (None, None, None, None)
        head = Head._make((*head[:6], *of_model, head.settings_version))
    at_us = max(next_time(head, tx.now_us), not_before_us)
    digest = chained_hash(head.hash, at_us, draft, detail)
    version = head.settings_version + (draft.kind in SETTINGS)
    place = (None, account.project_id, account.id, at_us)
    follows = (*totals_after(head, draft), digest, version)
    if draft[_PLAIN:] == _NOTHING_ELSE:
        cursor = tx.execute(_sql.INSERT_PLAIN_ENTRY, (*place, *draft[:_PLAIN], *follows))
    else:
        cursor = tx.execute(_sql.INSERT_ENTRY, (*place, *draft, *follows))
    entry = Entry(inserted(cursor), account.project, account.name, at_us, *draft, digest)
    return entry, version


def recorded(tx: Transaction, account: Ref, draft: Draft) -> Entry | None:
    """The entry that the draft's idempotency key stands for already.

    Raises `IdempotencyConflict` if that entry says something else.
    """
    key = draft.idempotency_key
    if key is None:
        return None
    row = tx.execute(compiled(_sql.ENTRY_WITH_KEY), (account.project_id, key)).fetchone()
    if row is None:
        return None
    entry = Entry._make(row)
    if _content(entry) != (account.name, *_content(draft)[1:]):
        raise IdempotencyConflict(
            f"key {key!r} stands for entry {entry.id} ({entry.kind} of {_said(entry)}, "
            f"{entry.model}, for {entry.account}); use another key for another cost",
            key=key,
            entry=entry,
        )
    return entry


def _content(entry: Entry | Draft) -> tuple[object, ...]:
    """What an idempotency key stands for: account, kind, model, and the amount or the usage."""
    account = entry.account if isinstance(entry, Entry) else None
    given = entry.cost_pico if entry.price_source == "given" else None
    used = (entry.input_tokens, entry.output_tokens, entry.usage_json)
    # What an estimate comes to may change with the price list; the counts stay.
    held = (entry.held_pico if entry.price_source == "given" else None, entry.held_tokens)
    return account, entry.kind, entry.model, entry.corrects_id, given, *used, *held


def _said(entry: Entry) -> str:
    amount = entry.held if entry.kind == "hold" else entry.cost
    return f"{amount} USD"


def inserted(cursor: Cursor) -> int:
    """The id of the row that a statement inserted."""
    assert cursor.lastrowid is not None
    return cursor.lastrowid
