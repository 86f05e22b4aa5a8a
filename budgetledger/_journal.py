"""Appends rows: finds an account's head, lets the rules decide the next row, inserts it.

Every function runs inside the caller's write transaction, where the clock is read too: a time
taken before the lock would let racing callers write into the wrong window.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Cursor
from typing import Any, NamedTuple

from budgetledger import _reports, _sql
from budgetledger._reports import Ref
from budgetledger._sql import compiled
from budgetledger._writer import Execute
from budgetledger.entries import Budget, Entry, Measure
from budgetledger.errors import IdempotencyConflict, InvalidAmount, UnknownEntry
from budgetledger.money import Sum
from budgetledger.rules import (
    Draft,
    Head,
    chained_hash,
    genesis,
    next_time,
    totals_after,
)
from budgetledger.windows import Period, Window, window_at

Clock = Callable[[], int]
"""Microseconds since 1970."""

_HEAD = compiled(_sql.HEAD)
_MODEL_HEAD = compiled(_sql.MODEL_HEAD)


class Appended(NamedTuple):
    """An entry, and by how much (if above 0) the clock was behind the row before it."""

    entry: Entry
    behind_us: int
    is_new: bool = True
    """Not the entry that an idempotency key stood for already."""


def find_or_open(execute: Execute, project: str, name: str, clock: Clock) -> Ref:
    """The account *name*, opened if it is new."""
    found = _reports.find(execute, project, name)
    if found is not None:
        return found
    project_id = _reports.find_project(execute, project)
    if project_id is None:
        project_id = _inserted(execute(_sql.INSERT_PROJECT, (None, project)))
    now_us = clock()
    opened = execute(_sql.INSERT_ACCOUNT, (None, project_id, name, now_us))
    return Ref(_inserted(opened), project_id, project, name, now_us)


def append(
    execute: Execute,
    account: Ref,
    draft: Draft,
    clock: Clock,
    *,
    detail: tuple[Any, ...] = (),
) -> Appended:
    """Append *draft* to the account's journal.

    *detail* is what another row holds that belongs to this one, so that the hash covers it.
    """
    row = execute(_HEAD, (account.id,)).fetchone()
    if row is None:
        head = genesis(account.project, account.name, account.created_at_us)
    else:
        *facts, last_model = row
        head = Head._make(facts)
        if last_model != draft.model:  # mostly the model of the row before, and no look-up
            row = execute(_MODEL_HEAD, (account.id, draft.model)).fetchone()
            head = Head(*facts[:6], *(row or ()))
    now_us = clock()
    at_us = next_time(head, now_us)
    digest = chained_hash(head.hash, at_us, draft, detail)
    totals = totals_after(head, draft)
    inserted = execute(
        _sql.INSERT_ENTRY,
        (None, account.project_id, account.id, at_us, *draft, *totals, digest),
    )
    entry = Entry(_inserted(inserted), account.project, account.name, at_us, *draft, digest)
    return Appended(entry, head.recorded_at_us - now_us)


def append_once(execute: Execute, account: Ref, draft: Draft, clock: Clock) -> Appended:
    """Append *draft*, or return the entry its idempotency key stands for already.

    Raises `IdempotencyConflict` if that entry says something else.
    """
    return _recorded(execute, account, draft) or append(execute, account, draft, clock)


def _recorded(execute: Execute, account: Ref, draft: Draft) -> Appended | None:
    key = draft.idempotency_key
    if key is None:
        return None
    row = execute(compiled(_sql.ENTRY_WITH_KEY), (account.project_id, key)).fetchone()
    if row is None:
        return None
    entry = Entry._make(row)
    if _content(entry) != (account.name, *_content(draft)[1:]):
        raise IdempotencyConflict(
            f"key {key!r} stands for entry {entry.id} ({entry.kind} of {entry.cost} USD, "
            f"{entry.model}, for {entry.account}); use another key for another cost",
            key=key,
            entry=entry,
        )
    return Appended(entry, 0, is_new=False)


def adjust(execute: Execute, project: str, entry_id: int, draft: Draft, clock: Clock) -> Appended:
    """Append *draft* as a correction of the entry *entry_id*, under the entry's model."""
    project_id = _reports.find_project(execute, project)
    row = execute(compiled(_sql.ENTRY_WITH_ID), (project_id, entry_id)).fetchone()
    if row is None or row[4] not in ("opening", "charge"):
        what = "no entry" if row is None else f"a {row[4]}, not a charge,"
        raise UnknownEntry(
            f"there is {what} with id {entry_id} in project {project!r}; "
            "pass an entry of Ledger.entries(...)"
        )
    corrected = Entry._make(row)
    account = _reports.find(execute, project, corrected.account)
    assert account is not None
    draft = draft._replace(model=corrected.model, corrects_id=corrected.id)
    recorded = _recorded(execute, account, draft)
    if recorded is not None:
        return recorded
    if corrected.cost_pico is None:
        (stated,) = execute(compiled(_sql.STATED_SINCE), (corrected.id,)).fetchone()
        if stated + draft.cost_pico < 0:
            raise InvalidAmount(
                f"entry {corrected.id} has no price, so the amount states its cost, which cannot "
                "be below 0; pass what the call cost"
            )
    return append(execute, account, draft, clock, detail=(corrected.hash.hex(),))


def set_budget(
    execute: Execute,
    account: Ref,
    name: str,
    measure: Measure,
    limit: Sum,
    model: str | None,
    period: Period,
    clock: Clock,
    *,
    anchored: bool = False,
    created_at: float | None = None,
) -> Budget:
    """Append a revision of the budget *name*, unless it stands exactly so already.

    *anchored*: step the windows from the budget's creation. *created_at* (seconds since 1970)
    says when that was; without it, the first revision's stays.
    """
    revisions = _reports.revisions(execute, account.id, account.name).get(name, [])
    now_us = clock()
    if created_at is None:
        created_at = revisions[0].budget.created_at if revisions else now_us / 1e6
    if anchored:
        period = period._replace(anchor_us=round(created_at * 1e6))
    budget = Budget(account.name, name, measure, limit, model, period, float(created_at))
    if not revisions or revisions[-1].removed or revisions[-1].budget != budget:
        _append_revision(execute, account, budget, clock, removed=False)
    return budget


def remove_budget(execute: Execute, account: Ref, name: str, clock: Clock) -> None:
    """Append the revision that ends the budget *name*."""
    revisions = _reports.revisions(execute, account.id, account.name).get(name, [])
    if not revisions or revisions[-1].removed:
        raise _reports.no_budget(account.project, account.name, name)
    _append_revision(execute, account, revisions[-1].budget, clock, removed=True)


def _append_revision(
    execute: Execute, account: Ref, budget: Budget, clock: Clock, *, removed: bool
) -> None:
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
    entry = append(execute, account, Draft("budget"), clock, detail=detail).entry
    execute(_sql.INSERT_BUDGET_REVISION, (entry.id, account.id, *detail))


def shift_windows(
    execute: Execute, account: Ref, name: str | None, reason: str | None, clock: Clock
) -> Window:
    """Start a new window now of the budget *name*, or of every budget the account has.

    What was spent until now lies before its start, even within the same microsecond.
    """
    budgets = _reports.budgets_in_force(execute, account.id, account.name)
    shifted = [budget for budget in budgets if name is None or budget.name == name]
    if not shifted:
        raise _reports.no_budget(account.project, account.name, name)
    start_us = max(clock(), _reports.last_time(execute, account.id) + 1)
    for budget in shifted:
        _append_shift(execute, account, budget.name, start_us, reason, lambda: start_us)
    return _reports.window_of(execute, account.id, shifted[0], start_us)


def shift_if_due(execute: Execute, account: Ref, name: str, clock: Clock) -> None:
    """Write down that the window of *name* has turned, once a window; nothing otherwise.

    The row states what already holds: spending falls out of a window when the window ends.
    """
    budget = _reports.budget_in_force(execute, account, name)
    moment_us = max(clock(), _reports.last_time(execute, account.id))
    turned = window_at(budget.period, moment_us)
    if budget.period.per == "rolling" or turned.start_us is None:
        return
    is_first = turned.start_us <= budget.created_at * 1e6
    if not is_first and not _reports.has_shift(execute, account.id, name, turned.start_us):
        _append_shift(execute, account, name, turned.start_us, None, clock, turned=True)


def _append_shift(
    execute: Execute,
    account: Ref,
    budget: str,
    start_us: int,
    reason: str | None,
    clock: Clock,
    *,
    turned: bool = False,
) -> None:
    detail = (budget, start_us, int(turned))
    draft = Draft("shift", note=reason)
    entry = append(execute, account, draft, clock, detail=detail).entry
    execute(_sql.INSERT_WINDOW_SHIFT, (entry.id, account.id, *detail))


def _content(entry: Entry | Draft) -> tuple[object, ...]:
    """What an idempotency key stands for: account, kind, model, and the amount or the usage."""
    account = entry.account if isinstance(entry, Entry) else None
    given = entry.cost_pico if entry.price_source == "given" else None
    used = (entry.input_tokens, entry.output_tokens, entry.usage_json)
    return account, entry.kind, entry.model, entry.corrects_id, given, *used


def _inserted(cursor: Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
