"""The life of a hold: set aside, then settled, released, or expired at its deadline.

A hold is one row of its account. Every step that follows is another row naming it; which
holds are open is also listed apart, for every account they count against, so that what is
held is looked up among the open ones only.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from budgetledger import _reports, _sql
from budgetledger._budgeting import Level, checks, line
from budgetledger._journal import append, find_or_open, recorded
from budgetledger._posting import post
from budgetledger._refusals import refusal
from budgetledger._reports import Ref
from budgetledger._sql import compiled
from budgetledger._transaction import Transaction
from budgetledger.entries import Entry
from budgetledger.errors import (
    AccountFrozen,
    BudgetExceededError,
    HoldAlreadyClosed,
    UnknownAccount,
)
from budgetledger.rules import Check, Draft, Need, refusing
from budgetledger.windows import from_us

_MOST_EXPIRED = 64  # rows written for others in one hold

_OPEN_HOLD = compiled(_sql.OPEN_HOLD)
_CLOSE_HOLD = compiled(_sql.CLOSE_HOLD)


class Granted(NamedTuple):
    """The row of a hold, its account, and what would have refused it, where all is granted."""

    entry: Entry
    account: Ref
    behind_us: int = 0
    refusal: BudgetExceededError | AccountFrozen | None = None
    opened: bool = False


def hold(
    tx: Transaction,
    project: str,
    name: str,
    draft: Draft,
    expires_in_us: int,
    *,
    enforce: bool,
) -> Granted:
    """Append the hold *draft* if every budget that applies grants it, of every level, at once.

    With the key of a hold that is open, returns that one. Raises `BudgetExceededError`,
    `AccountFrozen`, `UnknownAccount` if there is no budget to count against,
    `HoldAlreadyClosed` for a key whose hold is over.
    """
    found = _reports.find(tx.execute, project, name)
    account = found or find_or_open(tx, project, name)
    first = recorded(tx, account, draft)
    if first is not None:
        return _still_open(tx, account, first)
    levels = list(line(tx, account))
    need = need_of(draft)
    require_budget(levels, name, project)
    refused = judged(tx, levels, draft.model, need)
    if refused is not None:
        if enforce:
            raise refused
        draft = draft._replace(note=f"would have been refused: {refused}"[:500])
    for level in levels:
        _expire(tx, level.account)
    draft = draft._replace(expires_at_us=tx.now_us + expires_in_us)
    appended = append(tx, account, draft)
    path = "/".join(str(level.account.id) for level in levels[1:])
    for level in levels:
        tx.execute(
            _sql.INSERT_OPEN_HOLD,
            (level.account.id, appended.entry.id, draft.expires_at_us, draft.model,
             need.pico, need.tokens, path),
        )  # fmt: skip
    return Granted(appended.entry, account, appended.behind_us, refused, found is None)


def require_budget(levels: list[Level], name: str, project: str) -> None:
    """Raise `UnknownAccount` if no budget stands on the account or above."""
    if not any(level.settings.budgets for level in levels):
        raise UnknownAccount(
            f"account {name!r} of project {project!r} has no budget, and none above it has; "
            f"set one with set_budget({name!r}, ...), or for all with set_budget('*', ...)",
            account=name,
            project=project,
        )


def need_of(draft: Draft) -> Need:
    """What the hold of a draft sets aside."""
    return Need(draft.held_pico or 0, draft.held_tokens or 0)


def judged(
    tx: Transaction, levels: list[Level], model: str | None, need: Need
) -> BudgetExceededError | AccountFrozen | None:
    """The refusal of *need*, or None if every level grants it."""
    for level in levels:
        if level.settings.frozen is not None:
            why = f" ({level.settings.frozen})" if level.settings.frozen else ""
            name = level.account.name
            return AccountFrozen(
                f"account {name!r} is frozen{why}; open it again with unfreeze({name!r})",
                account=name,
                project=level.account.project,
            )
    found: list[tuple[Check, Level]] = []
    for level in levels:
        found += [(check, level) for check in checks(tx, level, model)]
    refused = refusing([check for check, _ in found], need)
    if refused is None:
        return None
    at = next(level for check, level in found if check is refused)
    return refusal(tx, at, refused, need, [check for check, _ in found])


def _still_open(tx: Transaction, account: Ref, first: Entry) -> Granted:
    row = tx.execute(_OPEN_HOLD, (account.id, first.id)).fetchone()
    if row is None or row[1] <= tx.now_us:
        _refuse_closed(tx, account, first.id, None if row is None else row[1])
    return Granted(first._replace(expires_at_us=row[1]), account)


def settle(tx: Transaction, account: Ref, draft: Draft) -> Entry:
    """Post what the held call cost and close the hold, even when its deadline has passed.

    Raises `HoldAlreadyClosed` if it is settled already.
    """
    assert draft.hold_id is not None
    row = tx.execute(_OPEN_HOLD, (account.id, draft.hold_id)).fetchone()
    if row is None:
        closed_by = closing_entry(tx, account, draft.hold_id)
        if closed_by is not None and closed_by.kind == "settle":
            _refuse_closed(tx, account, draft.hold_id, None)
    else:
        _close(tx, account.id, draft.hold_id, row[0])
    return post(tx, account, draft).entry


def release(tx: Transaction, account: Ref, hold_id: int, reason: str | None) -> Entry:
    """Close the hold unspent. Raises `HoldAlreadyClosed`."""
    row = tx.execute(_OPEN_HOLD, (account.id, hold_id)).fetchone()
    if row is None:
        _refuse_closed(tx, account, hold_id, None)
    _close(tx, account.id, hold_id, row[0])
    return append(tx, account, Draft("release", note=reason, hold_id=hold_id)).entry


def extend(tx: Transaction, account: Ref, hold_id: int, expires_in_us: int) -> Entry:
    """Move the deadline of an open hold. Raises `HoldAlreadyClosed`, after the deadline too."""
    row = tx.execute(_OPEN_HOLD, (account.id, hold_id)).fetchone()
    if row is None or row[1] <= tx.now_us:  # its money may be somebody else's by now
        _refuse_closed(tx, account, hold_id, None if row is None else row[1])
    expires_at_us = tx.now_us + expires_in_us
    for account_id in _counted_on(account.id, row[0]):
        tx.execute(compiled(_sql.EXTEND_HOLD), (expires_at_us, account_id, hold_id))
    draft = Draft("extend", hold_id=hold_id, expires_at_us=expires_at_us)
    return append(tx, account, draft).entry


def closing_entry(tx: Transaction, account: Ref, hold_id: int) -> Entry | None:
    """The row that closed a hold: the settle, if there is one."""
    row = tx.execute(compiled(_sql.CLOSED_BY), (hold_id, account.id)).fetchone()
    return None if row is None else Entry._make(row)


def _refuse_closed(
    tx: Transaction, account: Ref, hold_id: int, expired_at_us: int | None
) -> NoReturn:
    closed_by = closing_entry(tx, account, hold_id)
    if closed_by is None:
        assert expired_at_us is not None
        what = f"expired at {from_us(expired_at_us):%Y-%m-%d %H:%M:%S} UTC"
    else:
        verb = {"settle": "settled", "release": "released", "expire": "expired"}[closed_by.kind]
        what = f"was {verb} by entry {closed_by.id}" if verb != "expired" else "expired"
    raise HoldAlreadyClosed(
        f"hold {hold_id} of {account.name!r} {what}; take a new one, under another key if it "
        "has one; a cost is still recorded with settle, once, or with charge",
        hold_id=hold_id,
        entry=closed_by,
    )


def _close(tx: Transaction, account_id: int, hold_id: int, path: str) -> None:
    for counted_on in _counted_on(account_id, path):
        tx.execute(_CLOSE_HOLD, (counted_on, hold_id))


def _counted_on(account_id: int, path: str) -> list[int]:
    return [account_id, *map(int, path.split("/"))] if path else [account_id]


def _expire(tx: Transaction, account: Ref) -> None:
    """Write down which holds on the account have passed their deadline, the first of them.

    They count no more since then; the rows only say so.
    """
    passed = tx.execute(
        compiled(_sql.DEADLINES), (account.id, None, None, _MOST_EXPIRED)
    ).fetchall()
    for hold_id, expires_at_us, _, _ in passed:
        if expires_at_us > tx.now_us:
            break
        holder_id, path = tx.execute(compiled(_sql.HOLDER), (hold_id,)).fetchone()
        holder = _reports.account_by_id(tx.execute, account.project_id, account.project, holder_id)
        _close(tx, holder_id, hold_id, path)
        append(tx, holder, Draft("expire", hold_id=hold_id))
