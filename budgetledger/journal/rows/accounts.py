"""Finds accounts and projects by name or id."""

from __future__ import annotations

from typing import NamedTuple

from budgetledger.errors import NoBudget, UnknownAccount
from budgetledger.journal.rows import statements
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute


class Ref(NamedTuple):
    """Identifies an account: its database id, project and name."""

    id: int
    project_id: int
    project: str
    name: str
    created_at_us: int


def find_project(execute: Execute, project: str) -> int | None:
    """The id of *project*, or None."""
    row = execute(compiled(statements.PROJECT_ID), (project,)).fetchone()
    return None if row is None else row[0]


def find(execute: Execute, project: str, name: str) -> Ref | None:
    """The account *name* of *project*, or None."""
    row = execute(compiled(statements.ACCOUNT), (project, name)).fetchone()
    return None if row is None else Ref(row[0], row[1], project, name, row[2])


def account_by_id(execute: Execute, project_id: int, project: str, account_id: int) -> Ref:
    """The account with an id read from a row of the same project."""
    name, created_at_us = execute(compiled(statements.ACCOUNT_BY_ID), (account_id,)).fetchone()
    return Ref(account_id, project_id, project, name, created_at_us)


def known(execute: Execute, project: str, name: str) -> Ref:
    """The account *name*. Raises `UnknownAccount`."""
    account = find(execute, project, name)
    if account is None:
        raise UnknownAccount(
            f"there is no account {name!r} in project {project!r}; "
            "set a budget for it or charge it first",
            account=name,
            project=project,
        )
    return account


def names_with_budget(execute: Execute, project: str, budget: str) -> list[str]:
    """The accounts that have a budget of that name, in the order they were opened."""
    where = (find_project(execute, project), budget)
    rows = execute(compiled(statements.ACCOUNTS_WITH_BUDGET), where).fetchall()
    return [name for (name,) in rows]


def no_budget(project: str, account: str, name: str | None = None) -> UnknownAccount:
    """The error for an account without a budget, or without one of that *name*."""
    what = "no budget" if name is None else f"no budget named {name!r}"
    return UnknownAccount(
        f"account {account!r} of project {project!r} has {what}; set it first",
        account=account,
        project=project,
    )


def no_budget_to_hold(project: str, account: str) -> NoBudget:
    """The refusal of a hold for which no budget applies."""
    return NoBudget(
        f"account {account!r} of project {project!r} has no budget, and neither has any account "
        f"above it; set a budget on {account!r}, or on '*' for the whole project",
        account=account,
        project=project,
    )


def last_time(execute: Execute, account_id: int) -> int:
    """The time of the account's last row, which later rows never precede; 0 without rows."""
    row = execute(compiled(statements.LAST_TIME), (account_id,)).fetchone()
    return 0 if row is None else row[0]
