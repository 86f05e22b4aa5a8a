"""Lists what is in a ledger: projects, accounts, entries page by page, alerts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from budgetledger.entries import Account, Alert, Entry
from budgetledger.journal import accounts, statements
from budgetledger.journal.accounts import Ref
from budgetledger.journal.alerts import alert_of
from budgetledger.journal.entry_rows import account_page, newest, project_page
from budgetledger.journal.journal import Journal
from budgetledger.journal.reports import EVER
from budgetledger.journal.standing import crossing
from budgetledger.money import count
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import to_us


def projects(journal: Journal) -> list[str]:
    """The projects in the file, by name."""
    statement = compiled(statements.PROJECTS)
    return journal.read(lambda execute: [name for (name,) in execute(statement)])


def accounts_of(journal: Journal) -> list[Account]:
    """The project's accounts, by name."""

    def operation(execute: Execute) -> list[Account]:
        project_id = accounts.find_project(execute, journal.project)
        rows = execute(compiled(statements.ACCOUNTS), (project_id,)).fetchall()
        return [Account(journal.project, *row) for row in rows]

    return journal.read(operation)


def accounts_with_budget(journal: Journal, budget: str) -> list[str]:
    """The accounts that have a budget of that name, in the order they were opened."""
    return journal.read(
        lambda execute: accounts.names_with_budget(execute, journal.project, budget)
    )


def entries(
    journal: Journal,
    account: str | None,
    since: datetime | None,
    until: datetime | None,
    last: int | None = None,
) -> Iterator[Entry]:
    """See `Ledger.entries`. Raises `UnknownAccount` at once."""
    since_us = 0 if since is None else to_us(since)
    until_us = EVER if until is None else to_us(until)
    if last is not None:
        return iter(_newest(journal, account, count(last, "last"), since_us, until_us))
    if account is None:
        return project_entries(journal, since_us=since_us, until_us=until_us)
    ref = journal.read_known(account, lambda _, ref: ref)
    return _account_entries(journal, ref, since_us, until_us)


def project_entries(
    journal: Journal, *, after_id: int = -1, since_us: int = 0, until_us: int = EVER
) -> Iterator[Entry]:
    """The project's rows with an id above *after_id*, by id."""
    project_id = journal.read(lambda execute: accounts.find_project(execute, journal.project))
    recorded = partial(project_page, project_id=project_id, since_us=since_us, until_us=until_us)
    while page := journal.read(partial(recorded, after_id=after_id)):
        yield from page
        after_id = page[-1].id


def _newest(
    journal: Journal, account: str | None, most: int, since_us: int, until_us: int
) -> list[Entry]:
    def operation(execute: Execute, ref: Ref | None) -> list[Entry]:
        project_id = accounts.find_project(execute, journal.project)
        return newest(execute, project_id, ref, most, since_us=since_us, until_us=until_us)

    if account is None:
        return journal.read(lambda execute: operation(execute, None))
    return journal.read_known(account, operation)


def _account_entries(journal: Journal, ref: Ref, since_us: int, until_us: int) -> Iterator[Entry]:
    after = None
    recorded = partial(account_page, account=ref, since_us=since_us, until_us=until_us)
    while page := journal.read(partial(recorded, after=after)):
        yield from page
        after = page[-1]


def alerts(journal: Journal, account: str | None) -> list[Alert]:
    """The alerts on *account*, or in the project, in their order. Raises `UnknownAccount`."""

    def operation(execute: Execute, ref: Ref | None) -> list[Alert]:
        if ref is None:
            project_id = accounts.find_project(execute, journal.project)
            rows = execute(compiled(statements.ALERTS_OF_PROJECT), (project_id,)).fetchall()
        else:
            rows = execute(compiled(statements.ALERTS_OF_ACCOUNT), (ref.id,)).fetchall()
        return [alert_of(journal.project, row[-1], *crossing(row), row[-2]) for row in rows]

    if account is None:
        return journal.read(lambda execute: operation(execute, None))
    return journal.read_known(account, operation)
