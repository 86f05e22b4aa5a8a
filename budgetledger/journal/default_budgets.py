"""Default budgets: rows of the project that give a budget to accounts that never had one.

A default applies to one kind of account: ``user`` (bare names, and users below a key) or the
prefix of a name, such as ``team``. It is applied once, by a row of the account in the transaction
of its first hold or charge. The budget is named ``standard``; the first explicit budget ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from budgetledger.entries import Budget, DefaultBudget
from budgetledger.errors import InvalidInput, InvalidName, UnknownAccount
from budgetledger.journal.alerts import raise_alerts
from budgetledger.journal.append import find_or_open_project
from budgetledger.journal.budget_revisions import append_revision, shares_text
from budgetledger.journal.budget_terms import ONE_LIMIT, BudgetChange, BudgetTerms
from budgetledger.journal.price_rows import chained
from budgetledger.journal.reports import thresholds
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref, find_project
from budgetledger.journal.rows.problem import Problem
from budgetledger.journal.standing import WHOLE_PROJECT, Level
from budgetledger.journal.transaction import Settings, Transaction
from budgetledger.money import Sum
from budgetledger.names import checked_name
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Period

STANDARD = "standard"
"""The name of a budget that came by default; `BudgetManager` does not see it."""

USER = "user"
_GENESIS = sha256(b"default budgets").digest()
_BY_DEFAULT = "by default"
"""The note on the row of a budget that came by default."""


def checked_kind(kind: object) -> str:
    """Return *kind* if accounts of it can have a default budget. Raises `InvalidName`."""
    remedy = "'user' for bare names, or what precedes the colon in names such as 'team:research'"
    name = checked_name(kind, "kind", remedy)
    if ":" in name or name in (WHOLE_PROJECT, "tag"):
        raise InvalidName(f"there is no default budget for kind {name!r}; pass {remedy}")
    return name


def kind_of(account: str) -> str | None:
    """The kind of an account, by its name; None for those that take no default budget."""
    prefix, colon, rest = account.partition(":")
    if not colon:
        return None if account == WHOLE_PROJECT else USER
    if prefix == "key" and "/" in rest:  # a user below a key, behind the Proxy
        return USER
    return None if prefix == "tag" else prefix


# -- setting --------------------------------------------------------------------------------------


def default_terms(change: BudgetChange) -> BudgetTerms:
    """The terms of a default budget. Raises `InvalidInput` without a limit."""
    if change.limit is None:
        raise InvalidInput(f"a default budget limits one thing: {ONE_LIMIT}")
    return change.terms(None)


def set_default(tx: Transaction, project: str, kind: str, terms: BudgetTerms) -> DefaultBudget:
    """Append a default of *kind*, unless the same is in force."""
    project_id = find_or_open_project(tx, project)
    default = DefaultBudget(
        project, kind, terms.measure, terms.limit, terms.model, terms.period, terms.anchored,
        terms.alert_at or (),
    )  # fmt: skip
    if _in_force(tx.execute, project_id, kind) != default:
        _append(tx, project_id, default, removed=False)
    return default


def remove_default(tx: Transaction, project: str, kind: str) -> None:
    """Append the row that ends the default of *kind*. Raises `UnknownAccount`."""
    project_id = find_project(tx.execute, project)
    default = None if project_id is None else _in_force(tx.execute, project_id, kind)
    if default is None or project_id is None:
        raise UnknownAccount(
            f"project {project!r} has no default budget of kind {kind!r}; `default_budgets` lists "
            "those in force",
            account=kind,
            project=project,
        )
    _append(tx, project_id, default, removed=True)


def _append(tx: Transaction, project_id: int, default: DefaultBudget, *, removed: bool) -> None:
    project, kind, measure, limit, model, period, anchored, alert_at = default
    per, zone, week_start, anchor_us, span_us = period
    before, last_us = tx.execute(statements.DEFAULT_HEAD).fetchone() or (_GENESIS, 0)
    terms = (
        kind, measure, *limit, model, per, zone, week_start, anchor_us, span_us, int(anchored),
        shares_text(alert_at), int(removed), max(tx.now_us, last_us),
    )  # fmt: skip
    row = (project_id, *terms, chained(before, project, terms))
    tx.execute(statements.INSERT_DEFAULT_BUDGET, row)
    tx.memory.heads.clear()  # heads say whether the project has defaults


# -- reading --------------------------------------------------------------------------------------


def in_force(execute: Execute, project: str) -> list[DefaultBudget]:
    """The defaults of *project* in force, by kind."""
    rows = execute(compiled(statements.DEFAULTS), (find_project(execute, project),)).fetchall()
    return [_default_in(row) for row in rows]


def has_common_budget(execute: Execute, project: str) -> bool:
    """Whether a budget limits names together: one on ``*``, or on an account above others."""
    where = (find_project(execute, project),)
    return bool(execute(compiled(statements.COMMON_BUDGET), where).fetchone()[0])


def _in_force(execute: Execute, project_id: int, kind: str) -> DefaultBudget | None:
    row = execute(compiled(statements.DEFAULT_OF_KIND), (project_id, kind)).fetchone()
    return None if row is None or row[-2] else _default_in(row)


def _default_in(row: Sequence[Any]) -> DefaultBudget:
    project, kind, measure, units, pico, model, *period, anchored, alert_at, _, _ = row
    limit, shares = Sum(units, pico), thresholds(alert_at)
    return DefaultBudget(
        project, kind, measure, limit, model, Period(*period), bool(anchored), shares
    )


# -- applying -------------------------------------------------------------------------------------


def apply_defaults(tx: Transaction, levels: Sequence[Level]) -> bool:
    """Set the budgets that are due on *levels*, and return whether there were any.

    *levels*: the account that spends, and those above it.
    """
    due = _due(tx, levels)
    for level, budget in due:
        append_revision(tx, level.account, budget, removed=False, note=_BY_DEFAULT)
        raise_alerts(tx, level.account)
    return bool(due)


def with_defaults(tx: Transaction, levels: Sequence[Level]) -> list[Level]:
    """*levels* as `apply_defaults` would leave them; writes nothing."""
    due = {level.account.id: budget for level, budget in _due(tx, levels)}
    return [
        level._replace(settings=_with_budget(level.settings, due[level.account.id]))
        if level.account.id in due
        else level
        for level in levels
    ]


def is_by_default(tx: Transaction, account: Ref) -> bool:
    """Whether the account has a budget that came by default and was not revised since."""
    row = tx.execute(compiled(statements.NOTE_OF_BUDGET), (account.id, STANDARD)).fetchone()
    return row is not None and row[0] == _BY_DEFAULT


def _due(tx: Transaction, levels: Sequence[Level]) -> list[tuple[Level, Budget]]:
    """The budgets to set, by account.

    A user above the account that spends gets none: it may own a key, whose budget is another.
    """
    if not levels[0].head.has_defaults:
        return []
    due = []
    for level in levels:
        account, kind = level.account, kind_of(level.account.name)
        if kind is None or level.settings.budgets or (kind == USER and level is not levels[0]):
            continue
        default = _in_force(tx.execute, account.project_id, kind)
        if default is not None and not _had_budget(tx, account):
            due.append((level, _budget(default, account.name, tx.now_us)))
    return due


def _had_budget(tx: Transaction, account: Ref) -> bool:
    return bool(tx.execute(compiled(statements.HAD_BUDGET), (account.id,)).fetchone()[0])


def _budget(default: DefaultBudget, account: str, now_us: int) -> Budget:
    _, _, measure, limit, model, period, anchored, alert_at = default
    if anchored:
        period = period._replace(anchor_us=now_us)
    return Budget(
        account, STANDARD, measure, limit, model, period, now_us / 1e6, alert_at, model is not None
    )


def _with_budget(settings: Settings, budget: Budget) -> Settings:
    return Settings(settings.version, (budget,), {}, settings.parent_id, settings.frozen, ())


# -- verifying ------------------------------------------------------------------------------------


def default_problems(execute: Execute) -> Iterator[Problem]:
    """Recompute the hash of every row, and yield the differences."""
    digest, number = _GENESIS, 0
    for row_id, row_hash, project, *terms in execute(statements.DEFAULT_CHAIN):
        number += 1
        if row_id != number or chained(digest, project, tuple(terms)) != row_hash:
            yield Problem(
                f"default budget {row_id}, or the one before it, was changed, removed or put "
                "there by hand"
            )
        digest, number = row_hash, row_id
