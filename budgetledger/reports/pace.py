"""Where the spending of a budget leads: at its own rate, and at that of the weekdays. Pure.

Neither is always the better one: with quiet weekends the weekdays are, in a growing month the
window's own rate. So both are stated, as a range, and nothing before there are three full days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from budgetledger.reporting import Forecast, Pace

LINEAR_DAYS, WEEKDAY_DAYS = 3, 28
"""Full days before there is a forecast, and before there is one by weekday."""

_DAY_US = 86_400_000_000
_HORIZON_US = 366 * _DAY_US


class Spending(NamedTuple):
    """What of a budget was spent, in the units of its rows, and when."""

    limit: int
    posted: int
    """In the window so far."""
    start_us: int
    """Of the window, or the account's first row if that is later."""
    now_us: int
    end_us: int | None
    """Of the window."""
    days: Sequence[int] = ()
    """Of each of the last 28 full local days, oldest first; empty if there are not as many."""


def pace(
    spending: Spending, days_from: Callable[[int], int], amount: Callable[[int], Decimal | int]
) -> Pace | None:
    """The pace of a budget; None if it is too early, or the limit is reached.

    *days_from*: the start of the local day that follows a moment. *amount*: units as USD or a
    count.
    """
    limit, posted, start_us, now_us, end_us, days = spending
    elapsed_us = now_us - start_us
    if elapsed_us < LINEAR_DAYS * _DAY_US or posted >= limit:
        return None
    reached_us, at_end = None, None
    if end_us is not None:
        at_end = posted + posted * (end_us - now_us) // elapsed_us
    if posted > 0:
        reached_us = now_us + -(-(limit - posted) * elapsed_us // posted)
        if reached_us >= min(now_us + _HORIZON_US, end_us or now_us + _HORIZON_US):
            reached_us = None
    linear = Forecast(reached_us, None if at_end is None else amount(at_end))
    if len(days) < WEEKDAY_DAYS:
        return Pace(linear, None)
    reached_us, units = _by_weekday(spending, days_from)
    return Pace(linear, Forecast(reached_us, None if end_us is None else amount(units)))


def _by_weekday(spending: Spending, days_from: Callable[[int], int]) -> tuple[int | None, int]:
    """When the limit is reached, and what is posted at the window's end, or in a year.

    A day costs the mean of the same weekday of four weeks; today, its part that is left.
    """
    limit, units, _, at_us, end_us, days = spending
    means = [max(sum(days[number::7]), 0) for number in range(7)]  # times 4; oldest day first
    end_us = at_us + _HORIZON_US if end_us is None else min(end_us, at_us + _HORIZON_US)
    reached_us, number = None, 0  # 28 days ago was the same weekday as today
    while at_us < end_us:
        next_us = min(days_from(at_us), end_us)
        more = means[number % 7] * (next_us - at_us) // (4 * _DAY_US)
        if reached_us is None and units + more >= limit:
            reached_us = at_us + (next_us - at_us) * (limit - units) // max(more, 1)
        units, at_us, number = units + more, next_us, number + 1
    return reached_us, units
