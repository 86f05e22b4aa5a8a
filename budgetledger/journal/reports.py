"""Reads the budgets in force, their active windows, and what was posted in these.

Every function runs on one snapshot. Costs come from running totals: two index seeks for a
window, however many rows it has; and from the late rows (see `journal.late`), of which it reads
those that belong before the window or its end and were recorded after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import add
from typing import Any, NamedTuple

from budgetledger.entries import Balance, Budget, BudgetStatus, Measure
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.accounts import Ref, no_budget
from budgetledger.journal.rows.answers import Counted, answers_counted, each_of
from budgetledger.journal.rows.late import late_totals
from budgetledger.journal.rows.prior import (
    is_counted,
    prior_by_model,
    prior_rows,
    prior_unstated,
    prior_within,
)
from budgetledger.journal.rows.rules import BY_IDENTITY, EVER, of_measure
from budgetledger.money import PICO, Sum, to_usd
from budgetledger.pricing.identity import covers
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Period, Window, window_at

DEFAULT_BUDGET = "default"
"""The budget that `Ledger.balance` reports first, and the only one BudgetManager knows."""

NOTHING: tuple[int, ...] = (0, 0, 0, 0)
"""The running totals of an account, or of a model on it, before its first row."""

_FIRST = -EVER  # a moment before all others


class Posted(NamedTuple):
    """What was posted in a window, of every measure."""

    pico: int
    tokens: int
    requests: int

    def of(self, measure: Measure) -> int:
        """Picodollars or a count."""
        return of_measure(measure, *self)


class Revision(NamedTuple):
    """The terms of a budget from a moment on; *removed*: it ended then."""

    budget: Budget
    removed: bool
    since_us: int


def revisions(execute: Execute, account_id: int, account: str) -> dict[str, list[Revision]]:
    """All revisions of the account's budgets, by name, oldest first."""
    by_name: dict[str, list[Revision]] = {}
    for row in execute(compiled(statements.BUDGET_REVISIONS), (account_id,)):
        name, measure, units, pico, model, per, zone, week_start, anchor, span, *rest = row
        created_at, alert_at, removed, since_us, tags = rest
        period = Period(per, zone, week_start, anchor, span)
        budget = Budget(
            account, name, measure, Sum(units, pico), model, period, created_at,
            thresholds(alert_at), tags == BY_IDENTITY,
        )  # fmt: skip
        by_name.setdefault(name, []).append(Revision(budget, bool(removed), since_us))
    return by_name


def thresholds(alert_at: str | None) -> tuple[Decimal, ...]:
    """Parse a revision's ``alert_at``: shares of the limit, separated by commas."""
    return tuple(map(Decimal, alert_at.split(","))) if alert_at else ()


def budgets_in_force(
    execute: Execute, account_id: int, account: str, moment_us: int = EVER, known_us: int = EVER
) -> list[Budget]:
    """The account's budgets at a moment, as known at another, by name.

    Before its first revision a budget has its first terms, so that earlier moments have a window
    too.
    """
    in_force = []
    for of_budget in revisions(execute, account_id, account).values():
        known = [revision for revision in of_budget if revision.since_us <= known_us]
        by_then = [revision for revision in known if revision.since_us <= moment_us] or known[:1]
        if by_then and not by_then[-1].removed:
            in_force.append(by_then[-1].budget)
    return in_force


def budget_in_force(execute: Execute, account: Ref, name: str) -> Budget:
    """The budget *name* of the account. Raises `UnknownAccount` if there is none."""
    for budget in budgets_in_force(execute, account.id, account.name):
        if budget.name == name:
            return budget
    raise no_budget(account.project, account.name, name)


def window_of(
    execute: Execute, account_id: int, budget: Budget, moment_us: int, known_us: int = EVER
) -> Window:
    """The window of *budget* that contains a moment, cut by the shifts known at another."""
    start_us, end_us, zone = window_at(budget.period, moment_us)
    around = (account_id, budget.name, min(moment_us, known_us))
    (shift_us,) = execute(compiled(statements.SHIFT_BEFORE), around).fetchone()
    if shift_us is not None and (start_us is None or shift_us > start_us):
        start_us = shift_us
    (shift_us,) = execute(
        compiled(statements.SHIFT_AFTER), (account_id, budget.name, moment_us, known_us)
    ).fetchone()
    if shift_us is not None and (end_us is None or shift_us < end_us):
        end_us = shift_us
    return Window(start_us, end_us, zone)


def has_shift(execute: Execute, account_id: int, budget: str, since_us: int) -> bool:
    """Whether a window of the budget was started by a row at or after a moment."""
    (shift_us,) = execute(compiled(statements.LAST_SHIFT), (account_id, budget)).fetchone()
    return shift_us is not None and shift_us >= since_us


def posted(
    execute: Execute,
    account_id: int,
    window: Window,
    known_us: int = EVER,
    counted: Counted | None = None,
) -> Posted:
    """The sum of the rows that belong to *window*, as known at a moment.

    Of *counted*, unless None.
    """
    end_us = EVER if window.end_us is None else window.end_us
    until = totals_before(execute, account_id, end_us, counted, known_us)
    if window.start_us is None:
        before = NOTHING
    else:
        before = totals_before(execute, account_id, window.start_us, counted, known_us)
    usd, pico, tokens, requests = (a - b for a, b in zip(until, before, strict=True))
    return Posted(usd * PICO + pico, tokens, requests)


def totals_before(
    execute: Execute,
    account_id: int,
    moment_us: int,
    counted: Counted | None,
    known_us: int = EVER,
) -> tuple[int, ...]:
    """The sum of the rows that belong before a moment, as known at another, in `Head`'s order.

    Of *counted*, unless None.
    """
    totals = recorded_before(execute, account_id, min(moment_us, known_us + 1), counted)
    if moment_us > known_us or moment_us == EVER:
        return totals  # no known row is recorded later
    late = late_totals(execute, account_id, moment_us, known_us, counted)
    return tuple(map(add, totals, late)) if any(late) else totals


def recorded_before(
    execute: Execute, account_id: int, moment_us: int, counted: Counted | None
) -> tuple[int, ...]:
    """The running totals just before a moment, of *counted* unless None, in `Head`'s order."""
    if counted is None:
        row = execute(compiled(statements.TOTALS_BEFORE), (account_id, moment_us)).fetchone()
        return row or NOTHING
    parts = []
    for model in counted.models:
        where = (model, account_id, moment_us, account_id, model, moment_us)
        parts.append(execute(compiled(statements.MODEL_TOTALS_BEFORE), where).fetchone())
    for names in counted.answers:
        of_names = (account_id, names, moment_us)
        parts.append(execute(compiled(statements.ANSWERS_BEFORE), of_names).fetchone())
    totals = NOTHING
    for part in filter(None, parts):
        totals = part if totals is NOTHING else tuple(map(add, totals, part))
    return totals


def counts(budget: Budget, model: str | None) -> bool:
    """Whether *budget* counts what is asked for as *model*, or as one of `models_of` a hold."""
    if budget.model is None or budget.model == model:
        return True
    if model is None:
        return False
    asked, *others = each_of(model)
    if not budget.by_identity:
        return budget.model == asked
    return any(covers(budget.model, name) for name in (asked, *others))


def counted_by(execute: Execute, account_id: int, budget: Budget) -> Counted | None:
    """What of the account *budget* counts; None if it counts all."""
    if budget.model is None:
        return None
    if not budget.by_identity:
        return Counted([budget.model])
    rows = execute(compiled(statements.MODELS), (account_id,) * 3).fetchall()
    models = [model for (model,) in rows if covers(budget.model, model)]
    return Counted(models, answers_counted(execute, account_id, budget.model))


def balance(
    execute: Execute,
    account: Ref,
    moment_us: int,
    known_us: int,
    now_us: int | None,
) -> Balance:
    """The account's `Balance` in the windows that contain a moment, as known at another.

    Open holds count in windows that contain *now_us*, the clock's time, until their deadline; in
    rolling windows, if they were taken by the moment. *now_us* None leaves them out.
    """
    open_holds = [] if now_us is None else _open_holds(execute, account.id, now_us)
    prior = prior_rows(execute, account.id, known_us) if account.name == "*" else {}
    statuses = []
    for budget in budgets_in_force(execute, account.id, account.name, moment_us, known_us):
        window = window_of(execute, account.id, budget, moment_us, known_us)
        counted = counted_by(execute, account.id, budget)
        used = posted(execute, account.id, window, known_us, counted)
        if budget.name in prior:
            used = _plus(used, prior_within(execute, prior[budget.name], window))
        held = _NOT_HELD
        if budget.period.per == "rolling" and now_us is not None and moment_us < now_us:
            held = _held(_open_holds(execute, account.id, now_us, moment_us), budget)
        elif _holds_now(window, now_us):
            held = _held(open_holds, budget)
        statuses.append(_status(budget, window, used.of(budget.measure), held.of(budget.measure)))
    in_usd = [status for status in statuses if status.budget.measure == "usd"]
    status = min(
        in_usd, key=lambda one: (one.budget.name != DEFAULT_BUDGET, one.available), default=None
    )
    reported = status and status.budget
    window = Window(None, None) if status is None else status.window
    unpriced, assumed = _unstated(execute, account.id, window, known_us, reported)
    if reported is not None and reported.name in prior:
        where = (account.project_id, account.id, prior[reported.name], window, known_us)
        earlier = prior_unstated(execute, *where)
        unpriced, assumed = unpriced + earlier[0], assumed + earlier[1]
    if status is None:
        spent = to_usd(posted(execute, account.id, window, known_us).pico)
        in_hold = to_usd(_held(open_holds, None).pico)
    return Balance(
        account=account.name,
        limit=status and status.budget.limit,  # type: ignore[arg-type]  # Decimal, as it is in usd
        posted=spent if status is None else status.posted,  # type: ignore[arg-type]
        held=in_hold if status is None else status.held,  # type: ignore[arg-type]
        available=status and status.available,  # type: ignore[arg-type]
        window=window,
        unpriced=unpriced,
        budgets=tuple(statuses),
        assumed=to_usd(assumed),
    )


def _status(budget: Budget, window: Window, posted: int, held: int) -> BudgetStatus:
    left = budget.limit_units - posted - held  # in integers: no Decimal context rounds them
    return BudgetStatus(
        budget, window, budget.amount(posted), budget.amount(held), budget.amount(left)
    )


def _open_holds(
    execute: Execute, account_id: int, now_us: int, taken_by_us: int | None = None
) -> list[tuple[str | None, Posted]]:
    """What the open holds set aside, each with its model; of those taken by a moment."""
    if taken_by_us is None:
        rows = execute(compiled(statements.OPEN_HOLDS), (account_id, now_us))
    else:
        where = (account_id, now_us, taken_by_us)
        rows = execute(compiled(statements.OPEN_HOLDS_TAKEN_BY), where)
    return [(model, Posted(pico, tokens, 1)) for model, pico, tokens in rows]


def _held(open_holds: list[tuple[str | None, Posted]], budget: Budget | None) -> Posted:
    """The sum of the open holds; of those that *budget* counts, unless None."""
    counted = [held for of, held in open_holds if budget is None or counts(budget, of)]
    return Posted(*map(sum, zip(*counted, strict=True))) if counted else _NOT_HELD


_NOT_HELD = Posted(0, 0, 0)


def _holds_now(window: Window, now_us: int | None) -> bool:
    return now_us is None or window.end_us is None or now_us < window.end_us


def _belonging(window: Window, known_us: int) -> tuple[int, ...]:
    """The parameters of a statement about rows that belong to *window*, known at a moment."""
    start_us = _FIRST if window.start_us is None else window.start_us
    return start_us, known_us, start_us, EVER if window.end_us is None else window.end_us, known_us


def _unstated(
    execute: Execute, account_id: int, window: Window, known_us: int, budget: Budget | None
) -> tuple[int, int]:
    """The calls in *window* without a price, and the sum of its assumed costs, in picodollars.

    Of what *budget* counts, unless None; without what was stated since.
    """
    where = (account_id, *_belonging(window, known_us))

    def counted(statement: str) -> Iterator[list[Any]]:
        for model, price_json, *units in execute(compiled(statement), where).fetchall():
            if budget is None or is_counted(budget, model, price_json):
                yield units

    unpriced = sum(count for (count,) in counted(statements.UNPRICED))
    parts = counted(statements.ASSUMED)
    return unpriced, sum(int(micro) * 1_000_000 + int(pico) for micro, pico in parts)


def model_costs(execute: Execute, account: Ref, window: Window, known_us: int) -> dict[str, Posted]:
    """What was posted in *window* by model, without models that posted nothing."""
    by_model = {}
    prior = {}
    if account.name == "*":
        prior = prior_by_model(execute, account.project_id, account.id, window, known_us)
    for (model,) in execute(compiled(statements.MODELS), (account.id,) * 3).fetchall():
        used = posted(execute, account.id, window, known_us, Counted([model]))
        if model in prior:
            used = _plus(used, prior.pop(model))
        if any(used):
            by_model[model] = used
    return by_model | {model: _plus(_NOT_HELD, of_model) for model, of_model in prior.items()}


def _plus(used: Posted, totals: tuple[int, ...]) -> Posted:
    """*used* and totals in `Head`'s order."""
    usd, pico, tokens, requests = totals
    return Posted(used.pico + usd * PICO + pico, used.tokens + tokens, used.requests + requests)
