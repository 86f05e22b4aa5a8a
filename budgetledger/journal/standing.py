"""The current use of an account's budgets, for decisions inside a transaction.

A decision covers the account and those above it: its parent, the parent's parent, and at the top
the project's own account ``*``, once there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import add, sub
from typing import Any, Literal, NamedTuple

from budgetledger.entries import Budget
from budgetledger.journal.reports import NOTHING, counted_by, counts, recorded_before, thresholds
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref, account_by_id
from budgetledger.journal.rows.answers import Counted, budgeted_models
from budgetledger.journal.rows.late import moved
from budgetledger.journal.rows.prior import prior_rows, prior_within
from budgetledger.journal.rows.rules import (
    BY_IDENTITY,
    EVER,
    Check,
    Crossed,
    Head,
    account_totals,
    genesis,
    next_time,
    of_measure,
)
from budgetledger.journal.transaction import Settings, Transaction
from budgetledger.money import PICO, Sum
from budgetledger.storage.dialect import compiled
from budgetledger.usage import positional
from budgetledger.windows import Period, Window, window_at

WHOLE_PROJECT = "*"
"""The account that all others of a project are under."""

_HEAD = compiled(statements.HEAD)
head_in = positional(Head)
_HELD = compiled(statements.HELD)
_MOST_PERIODS = 1000
_HELD_BY_MODEL = compiled(statements.HELD_BY_MODEL)


class Level(NamedTuple):
    """One of the accounts that a hold or cost counts against."""

    account: Ref
    head: Head
    settings: Settings


def head_of(tx: Transaction, account: Ref) -> Head:
    """The account's head, cached until another connection writes."""
    return tx.memory.heads.get(account.id) or _read_head(tx, account)


def _read_head(tx: Transaction, account: Ref) -> Head:
    project_id, account_id = account.project_id, account.id
    row = tx.execute(_HEAD, (project_id, account_id, project_id, account_id)).fetchone()
    if row is not None:
        head = head_in(row)
    else:
        statement = compiled(statements.HEAD_WITHOUT_ROWS)
        row = tx.execute(statement, (project_id, project_id)).fetchone()
        head = genesis(account.project, account.name, account.created_at_us, *row)
    tx.memory.heads[account.id] = head
    return head


def settings_of(tx: Transaction, account: Ref, version: int) -> Settings:
    """The account's settings, from the cache if they are those of *version*."""
    settings = tx.memory.settings.get(account.id)
    if settings is None or settings.version != version:
        settings = _load(tx, account, version)
        tx.memory.remember(account.id, settings)
    return settings


def _load(tx: Transaction, account: Ref, version: int) -> Settings:
    execute, here = tx.execute, (account.id,)
    budgets = tuple(
        Budget(
            account.name, name, measure, Sum(units, pico), model, Period(*period), created_at,
            thresholds(alert_at), tags == BY_IDENTITY,
        )
        for name, measure, units, pico, model, *period, created_at, alert_at, tags in execute(
            compiled(statements.CURRENT_BUDGETS), here
        )
    )  # fmt: skip
    parent_id, frozen, was_shifted = execute(compiled(statements.STANDING), here * 3).fetchone()
    shifts = {}
    if was_shifted:
        shifts = dict(execute(compiled(statements.LAST_SHIFTS), here).fetchall())
    alerts = tuple(_standing(tx, account, budgets))
    settings = Settings(version, budgets, shifts, parent_id, frozen, alerts)
    settings.budgeted = budgeted_models(execute, account.id)
    if account.name == WHOLE_PROJECT:
        settings.prior = prior_rows(execute, account.id)
    return settings


def _standing(tx: Transaction, account: Ref, budgets: tuple[Budget, ...]) -> Iterator[Crossed]:
    """The alerts that were raised and not resolved."""
    for budget in budgets:
        for threshold in budget.alert_at:
            where = (account.id, budget.name, str(threshold))
            row = tx.execute(compiled(statements.LAST_CROSSING), where).fetchone()
            if row is not None and crossing(row)[0] == "alert":
                yield crossing(row)[1]


def crossing(row: tuple[Any, ...]) -> tuple[Literal["alert", "resolve"], Crossed]:
    """Parse a row of crossings: its kind, and the crossing."""
    budget, measure, share, units, pico, posted, posted_pico, start_us, end_us, zone, kind, *_ = row
    limit, used = Sum(units, pico), Sum(posted, posted_pico)
    return kind, Crossed(budget, measure, Decimal(share), limit, used, start_us, end_us, zone)


def ancestors(tx: Transaction, account: Ref) -> list[Level]:
    """The account and those above it, from the bottom up."""
    levels = []
    level: Ref | None = account
    while level is not None:
        head = head_of(tx, level)
        settings = settings_of(tx, level, head.settings_count)
        levels.append(Level(level, head, settings))
        level = above(tx, level, settings, head.whole_id)
    return levels


def above(tx: Transaction, account: Ref, settings: Settings, whole_id: int | None) -> Ref | None:
    """The next account up, or None at the top."""
    parent_id = settings.parent_id or whole_id
    if parent_id is None or parent_id == account.id or account.name == WHOLE_PROJECT:
        return None
    return account_by_id(tx.execute, account.project_id, account.project, parent_id)


def checks(tx: Transaction, level: Level, models: str | None) -> list[Check]:
    """The level's budgets that apply to a hold of *models*, as `models_of` has them; their use."""
    held = None
    applicable = []
    for budget in level.settings.budgets:
        if budget.model is None:
            held = held or held_on(tx, level.account.id)
            applicable.append(check(tx, level, budget, held))
        elif counts(budget, models):
            of_model = held_on(tx, level.account.id, budget)
            applicable.append(check(tx, level, budget, of_model))
    return applicable


def check(tx: Transaction, level: Level, budget: Budget, held: Held | None = None) -> Check:
    """The use of *budget*'s active window; *held* None if it does not matter."""
    window, posted = _posted(tx, level, budget)
    prior_id = level.settings.prior.get(budget.name)
    if prior_id is not None:
        posted = tuple(map(add, posted, prior_within(tx.execute, prior_id, window)))
    usd, pico, tokens, requests = posted
    used = of_measure(budget.measure, usd * PICO + pico, tokens, requests)
    if held is None:
        return Check(budget, window, used, 0)
    reserved = of_measure(budget.measure, held.pico, held.tokens, held.requests)
    return Check(budget, window, used, reserved)


class Held(NamedTuple):
    """What is held on an account, of every measure."""

    requests: int
    pico: int
    tokens: int


def held_on(tx: Transaction, account_id: int, budget: Budget | None = None) -> Held:
    """The sum of an account's holds before their deadline; of those that *budget* counts.

    An account with holds past their deadline is added to ``tx.passed``.
    """
    requests, micro, pico, tokens, first_us = _sum_held(tx, account_id, budget, 0)
    if requests and first_us <= tx.now_us:
        tx.passed |= {account_id}
        requests, micro, pico, tokens, _ = _sum_held(tx, account_id, budget, tx.now_us)
    return Held(requests, micro * 1_000_000 + pico, tokens) if requests else _NOTHING_HELD


_NOTHING_HELD = Held(0, 0, 0)


def _sum_held(
    tx: Transaction, account_id: int, budget: Budget | None, from_us: int
) -> tuple[int, int, int, int, int]:
    row: tuple[int, int, int, int, int]
    if budget is None:
        row = tx.execute(_HELD, (account_id, from_us)).fetchone()
        return row
    by_model = tx.execute(_HELD_BY_MODEL, (account_id, from_us)).fetchall()
    counted = [sums for models, *sums in by_model if counts(budget, models)]
    if not counted:
        return 0, 0, 0, 0, 0
    *sums, first = zip(*counted, strict=True)
    requests, micro, pico, tokens = map(sum, sums)
    return requests, micro, pico, tokens, min(first)


def _posted(tx: Transaction, level: Level, budget: Budget) -> tuple[Window, tuple[int, ...]]:
    """The active window, and what belongs to it."""
    account, head, settings = level
    moment_us = next_time(head, tx.now_us)
    counted = counted_by(tx.execute, account.id, budget)
    if counted is None:
        until = account_totals(head)
    else:
        until = recorded_before(tx.execute, account.id, EVER, counted)
    cut = settings.cuts.get(budget.name)
    if cut is not None and _within(cut[0], moment_us):
        window, before = cut
    else:
        window, before = _cut(tx, level, budget, counted, moment_us, until)
    used = until if before is NOTHING else tuple(map(sub, until, before))
    if head.late_id is None or window.start_us is None:
        return window, used
    late = settings.late.get(budget.name)
    late = moved(tx.execute, account.id, late, window.start_us, head.late_id, counted)
    settings.late[budget.name] = late
    return window, tuple(map(sub, used, late.totals))


def _cut(
    tx: Transaction,
    level: Level,
    budget: Budget,
    counted: Counted | None,
    moment_us: int,
    until: tuple[int, ...],
) -> tuple[Window, tuple[int, ...]]:
    account, head, settings = level
    start_us, end_us, zone = _window_at(tx, budget.period, moment_us)
    shift_us = settings.shifts.get(budget.name)
    if shift_us is not None and (start_us is None or shift_us > start_us):
        start_us = shift_us
    window = Window(start_us, end_us, zone)
    if start_us is None:
        before = NOTHING
    elif head.recorded_at_us < start_us:
        return window, until  # nothing posted yet, but rows may still come before the start
    else:
        before = recorded_before(tx.execute, account.id, start_us, counted)
    if budget.period.per != "rolling":
        settings.cuts[budget.name] = window, before
    return window, before


def _window_at(tx: Transaction, period: Period, moment_us: int) -> Window:
    """The window of a period, which many accounts share; the last one is cached."""
    if period.per == "rolling":
        return window_at(period, moment_us)
    windows = tx.memory.windows
    window = windows.get(period)
    if window is None or not _within(window, moment_us):
        if len(windows) > _MOST_PERIODS:  # anchored ones are not shared
            windows.clear()
        window = windows[period] = window_at(period, moment_us)
    return window


def _within(window: Window, moment_us: int) -> bool:
    start_us, end_us, _ = window
    return (start_us is None or start_us <= moment_us) and (end_us is None or moment_us < end_us)
