"""The range of a report, the range before it, and the periods in it. Pure.

Periods are the windows of budgets (see `budgetledger.windows`), so a local day has 23 or 25 hours
where clocks change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from budgetledger.errors import InvalidInput
from budgetledger.windows import Period, Window, from_us, make_period, to_us, window_at

PERIODS = ("hour", "day", "week", "month")
"""The dimensions that are periods."""

_US = timedelta(microseconds=1)


class Run(NamedTuple):
    """Periods of equal length that follow each other."""

    start_us: int
    length_us: int
    first: int
    """The number of its first period."""


def range_of(
    since: datetime | None,
    until: datetime | None,
    last: int | timedelta | None,
    month: str | None,
    timezone: str,
    now_us: int,
) -> Window:
    """The range that a report covers; its end is None if it is open.

    *last*: local days, today included; or a span that ends now. Raises `InvalidInput`.
    """
    make_period(timezone=timezone)  # refuses an unknown zone
    if sum((last is not None, month is not None, (since, until) != (None, None))) > 1:
        raise InvalidInput("pass one of last, month, and since with until")
    if month is not None:
        return _month(month, timezone)
    if last is not None:
        return Window(_start_of_last(last, timezone, now_us), None, timezone)
    start_us = None if since is None else to_us(since)
    end_us = None if until is None else to_us(until)
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise InvalidInput("since must be before until; exchange them")
    return Window(start_us, end_us, timezone)


def _month(month: str, timezone: str) -> Window:
    match = re.fullmatch("([0-9]{4})-(0[1-9]|1[0-2])", month) if isinstance(month, str) else None
    if match is None or not int(match[1]):
        raise InvalidInput(f"not a month: {month!r:.60}; pass one such as '2026-10'")
    middle = datetime(int(match[1]), int(match[2]), 15, tzinfo=UTC)
    return window_at(Period("month", timezone), to_us(middle))


def _start_of_last(last: int | timedelta, timezone: str, now_us: int) -> int:
    if isinstance(last, timedelta) and timedelta(0) < last:
        return max(now_us - last // _US, 0)
    if isinstance(last, bool) or not isinstance(last, int) or not 0 < last <= 100_000:
        raise InvalidInput(
            f"last must be a number of days or a timedelta above 0, got {last!r:.60}"
        )
    return days_before(now_us, last - 1, timezone)


def days_before(moment_us: int, days: int, timezone: str) -> int:
    """The start of the local day that is *days* before the one of a moment."""
    today = window_at(Period("day", timezone), moment_us)
    if today.start_us is None:
        return moment_us
    # Noon lies in the day whatever its clock does.
    noon_us = today.start_us + 43_200_000_000 - days * 86_400_000_000
    start_us = window_at(Period("day", timezone), max(noon_us, 0)).start_us
    return today.start_us if start_us is None else start_us


def previous(window: Window, now_us: int) -> Window | None:
    """The range of equal length that ends where *window* starts; None without a start.

    As many local days, if the range is whole days; else as many microseconds. What of *window* is
    still to come has no part in its length.
    """
    start_us, end_us, timezone = window
    end_us = now_us if end_us is None else min(end_us, now_us)
    if start_us is None or end_us <= start_us:
        return None
    days = Period("day", timezone)
    if all(window_at(days, us).start_us == us for us in (start_us, end_us)):
        count = round((end_us - start_us) / 86_400_000_000)
        return Window(days_before(start_us, count, timezone), start_us, timezone)
    return Window(2 * start_us - end_us, start_us, timezone)


def starts(unit: str, timezone: str, start_us: int, end_us: int) -> list[int]:
    """Where the periods that cover ``[start_us, end_us)`` start, and where the last one ends.

    Periods at the ends of the range may reach beyond it.
    """
    period, at_us = Period(unit, timezone), start_us
    begins: list[int] = []
    while not begins or at_us < end_us:
        window = window_at(period, at_us)
        assert window.start_us is not None
        assert window.end_us is not None
        begins.append(window.start_us)
        at_us = window.end_us
    return [*begins, at_us]


def runs(begins: Sequence[int]) -> list[Run]:
    """Gather periods of equal length, so that a number is found by a division."""
    found: list[Run] = []
    for number, (start_us, end_us) in enumerate(pairwise(begins)):
        if not found or found[-1].length_us != end_us - start_us:
            found.append(Run(start_us, end_us - start_us, number))
    return found


def names(unit: str, timezone: str, begins: Sequence[int]) -> Iterator[str]:
    """The periods' names: ``2026-10``, ``2026-10-25``, or with hour and offset."""
    for start_us in begins[:-1]:
        local = from_us(start_us, timezone)
        if unit == "month":
            yield f"{local:%Y-%m}"
        elif unit == "hour":
            yield local.isoformat(" ", "minutes")
        else:
            yield local.date().isoformat()
