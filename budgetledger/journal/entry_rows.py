"""Reads entries: by id, by key, and page by page in the order they were written."""

from __future__ import annotations

from budgetledger.entries import Entry
from budgetledger.errors import UnknownEntry
from budgetledger.journal import accounts, statements
from budgetledger.journal.accounts import Ref
from budgetledger.journal.reports import EVER
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute

PAGE_ROWS = 1000
"""Rows read in one statement: a long journal is read without keeping all of it in memory."""


def entry_with_id(execute: Execute, project_id: int | None, entry_id: int) -> Entry | None:
    """The entry of the project with that id, or None."""
    return _entry(execute, statements.ENTRY_WITH_ID, (project_id, entry_id))


def entry_with_key(execute: Execute, project_id: int | None, key: str) -> Entry | None:
    """The entry that the project recorded under an idempotency key, or None."""
    return _entry(execute, statements.ENTRY_WITH_KEY, (project_id, key))


def last_with_key_prefix(execute: Execute, project_id: int | None, prefix: str) -> Entry | None:
    """The entry whose key is the last, in text order, of those that begin with *prefix*."""
    return _entry(execute, statements.LAST_WITH_KEY, (project_id, prefix, f"{prefix}~"))


def account_page(
    execute: Execute,
    account: Ref,
    *,
    since_us: int = 0,
    until_us: int = EVER,
    after: Entry | None = None,
    most: int = PAGE_ROWS,
) -> list[Entry]:
    """At most *most* rows of the account recorded in [*since_us*, *until_us*), in order.

    *after*: the last row of the page before.
    """
    start = (since_us, -1)
    if after is not None:
        start = max(start, (after.recorded_at_us, after.id))
    return _entries(execute, statements.ACCOUNT_ENTRIES, (account.id, *start, until_us, most))


def project_page(
    execute: Execute,
    project_id: int | None,
    *,
    since_us: int = 0,
    until_us: int = EVER,
    after_id: int = -1,
    most: int = PAGE_ROWS,
) -> list[Entry]:
    """Like `account_page` for the whole project, without rows repeated in accounts above."""
    first_id, last_id = _edges(execute, project_id, since_us, until_us)
    where = (project_id, max(after_id, first_id - 1), last_id, since_us, until_us, most)
    return _entries(execute, statements.PROJECT_ENTRIES, where)


def newest(
    execute: Execute,
    project_id: int | None,
    account: Ref | None,
    most: int,
    *,
    since_us: int = 0,
    until_us: int = EVER,
) -> list[Entry]:
    """The last rows of an account, or of the project, recorded in [*since_us*, *until_us*).

    In the order they were written; it reads no more rows than it returns.
    """
    if account is not None:
        of_account = (account.id, since_us, until_us, most)
        rows = _entries(execute, statements.LAST_ACCOUNT_ENTRIES, of_account)
    else:
        first_id, last_id = _edges(execute, project_id, since_us, until_us)
        of_project = (project_id, first_id - 1, last_id, since_us, until_us, most)
        rows = _entries(execute, statements.LAST_PROJECT_ENTRIES, of_project)
    return rows[::-1]


def page(
    execute: Execute,
    project: str,
    account: str | None,
    *,
    since_us: int,
    until_us: int,
    after_id: int | None,
    most: int,
) -> list[Entry]:
    """A page of *account*, or of the project, after the entry with the id *after_id*.

    Raises `UnknownAccount`, and `UnknownEntry` if the account has no such entry.
    """
    project_id = accounts.find_project(execute, project)
    recorded = {"since_us": since_us, "until_us": until_us, "most": most}
    if account is None:
        return project_page(
            execute, project_id, after_id=-1 if after_id is None else after_id, **recorded
        )
    ref, after = accounts.known(execute, project, account), None
    if after_id is not None:
        after = entry_with_id(execute, project_id, after_id)
        if after is None or after.account != account:
            raise UnknownEntry(f"there is no entry {after_id} of account {account!r}")
    return account_page(execute, ref, after=after, **recorded)


def _edges(
    execute: Execute, project_id: int | None, since_us: int, until_us: int
) -> tuple[int, int]:
    """The ids between which the project's rows recorded in [*since_us*, *until_us*) lie."""
    first_id, last_id = 0, EVER
    if since_us > 0:
        first_id = _edge(execute, statements.FIRST_ID_SINCE, since_us, project_id, EVER)
    if until_us < EVER:
        last_id = _edge(execute, statements.LAST_ID_BEFORE, until_us, project_id, 0)
    return first_id, last_id


def _edge(
    execute: Execute, statement: str, moment_us: int, project_id: int | None, none: int
) -> int:
    entry_id: int | None = execute(compiled(statement), (moment_us, project_id)).fetchone()[0]
    return none if entry_id is None else entry_id


def _entry(execute: Execute, statement: str, where: tuple[object, ...]) -> Entry | None:
    row = execute(compiled(statement), where).fetchone()
    return None if row is None else Entry._make(row)


def _entries(execute: Execute, statement: str, where: tuple[object, ...]) -> list[Entry]:
    return [Entry._make(row) for row in execute(compiled(statement), where).fetchall()]
