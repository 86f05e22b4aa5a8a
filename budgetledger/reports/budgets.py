"""Reads the budgets of accounts, and what their pace follows from."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from budgetledger.entries import BudgetStatus
from budgetledger.journal.journal import Journal
from budgetledger.journal.reports import DEFAULT_BUDGET, balance, counted_by, posted
from budgetledger.journal.rows.accounts import Ref
from budgetledger.journal.rows.rules import EVER
from budgetledger.money import to_pico
from budgetledger.reporting import BudgetPace, Pace
from budgetledger.reports.pace import WEEKDAY_DAYS, Spending, pace
from budgetledger.reports.periods import days_before
from budgetledger.reports.sums import span_of
from budgetledger.storage.protocols import Execute
from budgetledger.windows import Period, Window, window_at


def paces(journal: Journal, account: str) -> list[BudgetPace]:
    """The budgets of *account* now, each with its pace. Raises `UnknownAccount`."""
    return journal.read_known(account, lambda execute, ref: paces_of(journal, execute, ref))


def paces_of(
    journal: Journal, execute: Execute, ref: Ref, at_us: int | None = None, known_us: int = EVER
) -> list[BudgetPace]:
    """The account's budgets at a moment (now), each with its pace."""
    moment_us, _ = journal.moments(execute, ref, None, None)
    if at_us is not None:
        moment_us = min(moment_us, at_us)
    report = balance(execute, ref, moment_us, known_us, journal.clock())
    if not report.budgets:
        return []
    # A budget of the project counts what was spent before it was set, too.
    span = span_of(execute, ref.project_id, None if ref.name == "*" else ref.id)
    first_us = moment_us if span is None else span[0]
    return [
        BudgetPace(one, _pace(execute, ref, one, first_us, moment_us, known_us))
        for one in report.budgets
    ]


def reported(all_paces: Iterable[BudgetPace]) -> BudgetPace | None:
    """The one that `Ledger.balance` reports: ``default``, else USD with least available."""
    in_usd = [one for one in all_paces if one.budget.measure == "usd"]
    return min(
        in_usd,
        key=lambda one: (one.budget.name != DEFAULT_BUDGET, one.status.available),
        default=None,
    )


def _pace(
    execute: Execute, ref: Ref, status: BudgetStatus, first_us: int, now_us: int, known_us: int
) -> Pace | None:
    budget, window = status.budget, status.window
    if budget.period.span_us is not None:  # what leaves the window makes room again
        return None
    counted = counted_by(execute, ref.id, budget)

    def spent(between: Window) -> int:
        return posted(execute, ref.id, between, known_us, counted).of(budget.measure)

    zone = window.timezone
    start_us = first_us if window.start_us is None else max(window.start_us, first_us)
    used = status.posted
    units = used if isinstance(used, int) else to_pico(used, signed=True)
    spending = Spending(budget.limit_units, units, start_us, now_us, window.end_us)
    days = [days_before(now_us, back, zone) for back in range(WEEKDAY_DAYS, -1, -1)]
    recorded = span_of(execute, ref.project_id, ref.id)
    if recorded is not None and recorded[0] <= days[0]:
        each = [spent(Window(begin, end, zone)) for begin, end in pairwise(days)]
        spending = spending._replace(days=each)

    def next_day(us: int) -> int:
        end_us = window_at(Period("day", zone), us).end_us
        assert end_us is not None
        return end_us

    return pace(spending, next_day, budget.amount)
