"""What a page shows: cost over time and by account, budgets, and the most expensive calls."""

from __future__ import annotations

from typing import NamedTuple

from budgetledger.entries import Entry
from budgetledger.journal.journal import Journal
from budgetledger.reporting import BudgetPace, Report
from budgetledger.reports.making import Request, making
from budgetledger.reports.periods import PERIODS

_MOST_PERIODS = 100
_LONGER = {"hour": "day", "day": "week", "week": "month"}
_CALLS = 20


class Page(NamedTuple):
    """The parts of a page."""

    over_time: Report
    by_account: Report
    budgets: tuple[BudgetPace, ...]
    """The fullest first."""
    calls: tuple[Entry, ...]
    """The most expensive, each with the cost of its own row."""
    made_at_us: int


def make_page(journal: Journal, request: Request) -> Page:
    """The page of a range: by period and *request*'s columns, or by model.

    The periods are those of ``by`` if it is one, else days, or longer ones if there are too many.
    Raises `InvalidInput`, `UnknownAccount`.
    """
    columns = request.columns or "model"
    unit = request.by if request.by in PERIODS else "day"
    request = request._replace(by=unit, columns=columns, tree=False)
    with making(journal, request) as one:
        while unit in _LONGER and one.periods_in(unit) > _MOST_PERIODS:
            unit = _LONGER[unit]
        over_time, by_account = one.report(unit, columns), one.report("account", tree=True)
        return Page(
            over_time,
            by_account,
            tuple(sorted(one.budgets(), key=_share, reverse=True)),
            tuple(one.most_expensive(_CALLS)),
            journal.clock(),
        )


def _share(one: BudgetPace) -> float:
    limit = one.budget.limit
    return float(one.status.posted / limit) if limit else 1.0
