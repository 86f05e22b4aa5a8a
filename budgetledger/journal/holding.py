"""The life of a hold: set aside, then settled, released, or expired at its deadline.

A hold is one row of its account. Every later step is another row that names it. Open holds are
also listed in a table of their own, for every account they count against, so that the sum held
is read from open holds only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from typing import NamedTuple, NoReturn, Protocol

from budgetledger.entries import MONEY_KINDS, Entry
from budgetledger.errors import (
    AccountFrozen,
    HoldAlreadyClosed,
    HoldRefused,
    UnknownEntry,
    UnpricedModel,
)
from budgetledger.journal.append import append, find_or_open, recorded
from budgetledger.journal.default_budgets import apply_defaults
from budgetledger.journal.entry_rows import entry_with_id
from budgetledger.journal.holds.waiting_line import BudgetKey
from budgetledger.journal.minimal_holds import unlimited
from budgetledger.journal.nesting import counted_by, release_by_nesting
from budgetledger.journal.posting import post, post_along
from budgetledger.journal.refusals import refusal
from budgetledger.journal.rows import accounts, statements
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.answers import models_of
from budgetledger.journal.rows.basis import NO_ESTIMATE
from budgetledger.journal.rows.late import settle_belongs
from budgetledger.journal.rows.rules import Check, Draft, Need, refusing
from budgetledger.journal.standing import Level, ancestors, checks
from budgetledger.journal.transaction import Transaction
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import from_us

_MOST_EXPIRED = 64  # expiry rows written during one hold

_OPEN_HOLD = compiled(statements.OPEN_HOLD)
_PASSED = compiled(statements.PASSED)
_CLOSE_HOLD = compiled(statements.CLOSE_HOLD)


class Granted(NamedTuple):
    """The row of a hold, its account, and the refusal that was not enforced, if any."""

    entry: Entry
    account: Ref
    refusal: HoldRefused | None = None


def hold(
    tx: Transaction,
    project: str,
    name: str,
    ref: Ref | None,
    draft: Draft,
    expires_in_us: int,
    unpriced: UnpricedModel | None = None,
    *,
    enforce: bool,
    around: Sequence[int] = (),
    queue: Queue | None = None,
) -> Granted:
    """Append the hold *draft* if every budget that applies, on every level, grants it.

    *ref*: the account *name*, if it is cached. *unpriced*: the error that prevented an estimate.
    Unless *enforce*, a refusal is noted on the row and does not prevent the hold. *around*: the
    holds of the metered calls around this one; a refusal that they cause says so. *queue*: the
    place of a hold that waits for room; it is refused while others wait before it.

    With the key of an open hold, returns that hold. Raises `BudgetExceededError`,
    `AccountFrozen`, `NoBudget` if there is no budget to count against, `UnpricedModel`
    for one minimal hold too many (see `minimal_holds`),
    `HoldAlreadyClosed` for a key whose hold is closed or past its deadline.
    """
    account = ref or find_or_open(tx, project, name)
    first = recorded(tx, account, draft)
    if first is not None:
        return _still_open(tx, account, first)
    levels = ancestors(tx, account)
    if apply_defaults(tx, levels):
        levels = ancestors(tx, account)
    need = need_of(draft)
    refused = unpriced or judged(tx, name, levels, draft, around, queue)
    if refused is not None:
        if enforce:
            raise refused
        draft = draft._replace(note=f"would have been refused: {refused}"[:500])
    if tx.passed:
        for level in levels:
            if level.account.id in tx.passed:
                _expire(tx, level.account)
        levels = ancestors(tx, account)  # again, after expiry rows
    draft = Draft._make((*draft[:-1], tx.now_us + expires_in_us))
    entry = append(tx, account, draft).entry
    path = "/".join([str(level.account.id) for level in levels[1:]])
    models = models_of(draft.model, draft.price_json)
    of_hold = (entry.id, draft.expires_at_us, models, need.pico, need.tokens, path)
    for level in levels:
        tx.execute(statements.INSERT_OPEN_HOLD, (level.account.id, *of_hold))
    return Granted(entry, account, refused)


def find_hold(execute: Execute, project: str, hold_id: int, account: str | None = None) -> Granted:
    """The hold with that id, open or closed; an open one as it was last extended and increased.

    *account*: the account it must be on. Raises `UnknownEntry`.
    """
    entry = entry_with_id(execute, accounts.find_project(execute, project), hold_id)
    if entry is None or entry.kind != "hold" or account not in (None, entry.account):
        where = f"in project {project!r}" if account is None else f"of account {account!r}"
        if entry is not None and account is None:
            where += f" (that entry is of kind {entry.kind})"
        raise UnknownEntry(f"there is no hold {hold_id} {where}")
    holder = accounts.known(execute, project, entry.account)
    listed = execute(_OPEN_HOLD, (holder.id, hold_id)).fetchone()
    if listed is not None:
        entry = as_listed(entry, *listed[1:])
    return Granted(entry, holder)


def as_listed(entry: Entry, expires_at_us: int, pico: int, tokens: int) -> Entry:
    """The row of a hold, with the deadline and the amounts that the list of open ones has."""
    return entry._replace(expires_at_us=expires_at_us, held_pico=pico, held_tokens=tokens)


def need_of(draft: Draft) -> Need:
    """What the hold of a draft sets aside."""
    return Need(draft.held_pico or 0, draft.held_tokens or 0)


def judged(
    tx: Transaction,
    name: str,
    levels: list[Level],
    draft: Draft,
    around: Sequence[int] = (),
    queue: Queue | None = None,
) -> HoldRefused | None:
    """The refusal of the hold *draft* of the account *name*, or None if every level grants it."""
    for level in levels:
        if level.settings.budgets:
            break
    else:
        return accounts.no_budget_to_hold(levels[0].account.project, name)
    frozen = frozen_above(levels)
    if frozen is not None:
        return frozen
    need, models = need_of(draft), models_of(draft.model, draft.price_json)
    every = [(check, level) for level in levels for check in checks(tx, level, models)]
    refused, why = refused_by(every, need), ""
    if queue is not None:
        keys = [(level.account.id, check.budget.name) for check, level in every]
        awaited = queue.awaited(frozenset(keys))
        if not refused and awaited:
            refused = [one for key, one in zip(keys, every, strict=True) if key in awaited]
            why = _NOT_NEXT
    if not refused:
        is_minimal = draft.price_source == NO_ESTIMATE
        return unlimited(tx, levels, draft, around) if is_minimal else None
    return refusal(tx, refused, need, [check for check, _ in every], around, why)


_NOT_NEXT = "; holds that were asked for earlier wait for it"


def frozen_above(levels: Sequence[Level]) -> AccountFrozen | None:
    """The refusal of the first of *levels* that is frozen."""
    for level in levels:
        if level.settings.frozen is not None:
            why = f" ({level.settings.frozen})" if level.settings.frozen else ""
            frozen = level.account.name
            return AccountFrozen(
                f"account {frozen!r} is frozen{why}; unfreeze {frozen!r} to allow calls again",
                account=frozen,
                project=level.account.project,
            )
    return None


def refused_by(every: Sequence[tuple[Check, Level]], need: Need) -> list[tuple[Check, Level]]:
    """Those of *every* budget, with its level, that refuse *need*."""
    refused = set(map(id, refusing([check for check, _ in every], need)))
    return [(check, level) for check, level in every if id(check) in refused]


class Queue(Protocol):
    """The place of a hold among those that wait for room."""

    def awaited(self, applies: Set[BudgetKey]) -> Collection[BudgetKey]:
        """Those of the budgets that apply to it that holds before it wait for."""


def _still_open(tx: Transaction, account: Ref, first: Entry) -> Granted:
    row = tx.execute(_OPEN_HOLD, (account.id, first.id)).fetchone()
    if row is None or row[1] <= tx.now_us:
        _refuse_closed(tx, account, first.id, None if row is None else row[1])
    return Granted(as_listed(first, *row[1:]), account)


def settle(tx: Transaction, account: Ref, draft: Draft) -> Entry:
    """Close the hold and post what the call cost: where the hold counts, and for the project.

    Works after its deadline too; for a hold that is no longer listed, the cost counts where a
    charge would. Raises `HoldAlreadyClosed` if it was settled with another key or without one.
    If *draft* is a release, there is nothing to post: the answer says that the call failed, or
    another entry counts it (see `nesting`).
    """
    assert draft.hold_id is not None
    first = recorded(tx, account, draft)
    if first is not None:
        return first
    if draft.kind == "release":
        return _release(tx, account, draft)
    belongs_us = settle_belongs(tx.execute, draft)
    above_ids = _close(tx, account.id, draft.hold_id)
    if above_ids is not None:
        return post_along(
            tx, account, above_ids, draft, belongs_us=lambda _: belongs_us, and_whole=True
        ).entry
    closed_by = closing_entry(tx, account, draft.hold_id)
    if closed_by is not None and closed_by.kind == "settle":
        _refuse_closed(tx, account, draft.hold_id, None)
    if closed_by is not None and (counting_id := counted_by(closed_by)) is not None:
        raise HoldAlreadyClosed(
            f"hold {draft.hold_id} of {account.name!r} was released, because entry {counting_id} "
            "counts its call; record the cost of another call by charge",
            hold_id=draft.hold_id,
            entry=entry_with_id(tx.execute, account.project_id, counting_id),
        )
    return post(tx, account, draft, belongs_us).entry


def _release(tx: Transaction, account: Ref, draft: Draft) -> Entry:
    """Release the hold. If it is closed, returns the row that closed it."""
    assert draft.hold_id is not None
    if _close(tx, account.id, draft.hold_id) is None:
        closed_by = closing_entry(tx, account, draft.hold_id)
        assert closed_by is not None
        return closed_by
    return append(tx, account, draft).entry


def release(
    tx: Transaction,
    account: Ref,
    hold_id: int,
    reason: str | None,
    counting_id: int | None = None,
) -> Entry:
    """Close the hold unspent. Raises `HoldAlreadyClosed`.

    *counting_id*: the entry of the account that counts its call, if there is one (see `nesting`).
    Raises `UnknownEntry`.
    """
    draft = Draft("release", hold_id=hold_id)
    if counting_id is not None:
        counting = entry_with_id(tx.execute, account.project_id, counting_id)
        if counting is None or (counting.account, counting.kind in MONEY_KINDS) != (
            account.name,
            True,
        ):
            raise UnknownEntry(f"no entry {counting_id} of {account.name!r} records a cost")
        draft = release_by_nesting(hold_id, counting_id)
    if _close(tx, account.id, hold_id) is None:
        _refuse_closed(tx, account, hold_id, None)
    return append(tx, account, draft._replace(note=reason or draft.note)).entry


def extend(tx: Transaction, account: Ref, hold_id: int, expires_in_us: int) -> Entry:
    """Move the deadline of an open hold. Raises `HoldAlreadyClosed`, after the deadline too."""
    counted_on, *_ = open_hold(tx, account, hold_id)
    expires_at_us = tx.now_us + expires_in_us
    for account_id in counted_on:
        tx.execute(compiled(statements.EXTEND_HOLD), (expires_at_us, account_id, hold_id))
    draft = Draft("extend", hold_id=hold_id, expires_at_us=expires_at_us)
    return append(tx, account, draft).entry


def open_hold(tx: Transaction, account: Ref, hold_id: int) -> tuple[list[int], int, int, int]:
    """The accounts that an open hold counts on, its deadline, and the picodollars and tokens held.

    Raises `HoldAlreadyClosed`, after the deadline too.
    """
    row = tx.execute(_OPEN_HOLD, (account.id, hold_id)).fetchone()
    if row is None or row[1] <= tx.now_us:  # another hold may have its amount by now
        _refuse_closed(tx, account, hold_id, None if row is None else row[1])
    path, *listed = row
    return (_counted_on(account.id, path), *listed)


def closing_entry(tx: Transaction, account: Ref, hold_id: int) -> Entry | None:
    """The row that closed a hold, the settle if there is one; None for an open hold."""
    row = tx.execute(compiled(statements.CLOSED_BY), (account.id, hold_id, hold_id)).fetchone()
    return None if row is None else Entry._make(row)


def _refuse_closed(
    tx: Transaction, account: Ref, hold_id: int, expired_at_us: int | None
) -> NoReturn:
    closed_by = closing_entry(tx, account, hold_id)
    if closed_by is None:
        when = (
            "" if expired_at_us is None else f" at {from_us(expired_at_us):%Y-%m-%d %H:%M:%S} UTC"
        )
        what = f"expired{when}"
    else:
        verb = {"settle": "settled", "release": "released", "expire": "expired"}[closed_by.kind]
        what = f"was {verb} by entry {closed_by.id}" if verb != "expired" else "expired"
    raise HoldAlreadyClosed(
        f"hold {hold_id} of {account.name!r} {what}; take a new hold, under another key if "
        "this one has a key; a cost can still be recorded by settle, once, or by charge",
        hold_id=hold_id,
        entry=closed_by,
    )


def _close(tx: Transaction, account_id: int, hold_id: int) -> list[int] | None:
    """Remove a hold from the list of open ones; return the accounts above that it counts on.

    Returns None if it is not on the list.
    """
    for (path,) in tx.execute(_CLOSE_HOLD, (account_id, hold_id)).fetchall():
        tx.makes_room = True
        above_ids = [int(above_id) for above_id in path.split("/")] if path else []
        for above_id in above_ids:
            tx.execute(_CLOSE_HOLD, (above_id, hold_id)).fetchall()
        return above_ids
    return None


def _counted_on(account_id: int, path: str) -> list[int]:
    return [account_id, *map(int, path.split("/"))] if path else [account_id]


def _expire(tx: Transaction, account: Ref) -> None:
    """Append expiry rows for holds on the account past their deadline, some at a time.

    These holds have not counted since their deadline; the rows only record it.
    """
    passed = tx.execute(_PASSED, (account.id, tx.now_us, _MOST_EXPIRED)).fetchall()
    for (hold_id,) in passed:
        (holder_id,) = tx.execute(compiled(statements.HOLDER), (hold_id,)).fetchone()
        holder = accounts.account_by_id(tx.execute, account.project_id, account.project, holder_id)
        _close(tx, holder_id, hold_id)
        append(tx, holder, Draft("expire", hold_id=hold_id))
