"""The windows of time that budgets count in: ``[start, end)``, the end excluded.

Moments are whole microseconds since 1970-01-01 UTC. The windows of a unit begin where the local
clock turns to a new minute, hour, day and so on, or at steps from an anchor. When local clocks
change (daylight saving time):

- a boundary that the clock shows twice is the first of the two; for minutes and hours by the
  clock it is both, so a repeated hour is a window of its own;
- a boundary that the clock skips is the instant of the change;
- minutes and hours from an anchor are elapsed time, so a change of clocks does not affect them.

Years 1 to 9999 only: a window that reaches beyond them is unbounded on that side.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from budgetledger import display
from budgetledger.errors import InvalidPeriod

__all__ = [
    "LONGEST_WAIT",
    "UNITS",
    "Period",
    "Unit",
    "Window",
    "from_us",
    "make_period",
    "span_us",
    "to_us",
    "window_at",
]

Unit: TypeAlias = Literal["minute", "hour", "day", "week", "month", "year"]
"""The length of a window, besides a rolling span and for ever."""

UNITS: tuple[Unit, ...] = ("minute", "hour", "day", "week", "month", "year")
"""Every `Unit`, from the shortest to the longest."""

LONGEST_WAIT = timedelta(days=366)
"""The longest time until a deadline."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_MIN_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _US
_MAX_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _US
_DAY_US = 86_400_000_000
_LONGEST_WAIT_SECONDS = int(LONGEST_WAIT.total_seconds())
_STEP_US = {"minute": 60_000_000, "hour": 3_600_000_000, "day": _DAY_US, "week": 7 * _DAY_US}
_STEP_MONTHS = {"month": 1, "year": 12}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Each part of an IANA name begins with a capital. This excludes "localtime" and "posixrules",
# which differ by machine, and "right/…", which counts leap seconds.
_ZONE_NAME = re.compile(r"[A-Z][A-Za-z0-9+_-]*(/[A-Z][A-Za-z0-9+_-]*)*")


class Period(NamedTuple):
    """The rule for a budget's windows. `make_period` checks the values, this class does not."""

    per: str | None = None  # one of UNITS, "rolling", or None: one window for ever
    timezone: str = "UTC"  # IANA name of the clock and calendar
    week_start: int = 0  # of a calendar week: 0 Monday to 6 Sunday
    anchor_us: int | None = None  # with a unit: windows are steps from here, both ways
    span_us: int | None = None  # length of a rolling window


class Window(NamedTuple):
    """From ``start_us`` (included) to ``end_us`` (excluded), in microseconds; None is unbounded."""

    start_us: int | None
    end_us: int | None
    timezone: str = "UTC"

    @property
    def start(self) -> datetime | None:
        """The first moment of the window, in its time zone; None if unbounded."""
        return None if self.start_us is None else from_us(self.start_us, self.timezone)

    @property
    def end(self) -> datetime | None:
        """The first moment after the window, in its time zone; None if unbounded."""
        return None if self.end_us is None else from_us(self.end_us, self.timezone)

    def __repr__(self) -> str:
        return display.listed("Window", display.span(self.start_us, self.end_us), self.timezone)


def make_period(
    per: str | timedelta | None = None,
    *,
    timezone: str = "UTC",
    week_start: str | int = "monday",
    anchor_us: int | None = None,
) -> Period:
    """Check the arguments and build a `Period`.

    `per`: one of `UNITS`, a timedelta (a rolling span), or None (for ever). `timezone`: an IANA
    name. `week_start`: a day's name, its first three letters, or 0 (Monday) to 6 (Sunday).
    `anchor_us`: microseconds since the epoch, only with a unit.

    Raises `InvalidPeriod`, which names the value and says what to pass instead.
    """
    span_us = None
    units = "one of " + ", ".join(UNITS)
    if isinstance(per, timedelta):
        span_us = per // _US
        if not 0 < span_us <= _MAX_US - _MIN_US:
            remedy = "pass more than zero, at most 9999 years, e.g. timedelta(days=30)"
            raise _invalid("a rolling span out of range", per, remedy)
        per = "rolling"
    elif per is not None and per not in UNITS:
        raise _invalid("no such period", per, f"pass {units}, a timedelta, or None for ever")
    _zone(timezone)
    if anchor_us is not None:
        if type(anchor_us) is not int or not _MIN_US <= anchor_us <= _MAX_US:
            remedy = "pass whole microseconds since 1970, e.g. to_us(an aware datetime)"
            raise _invalid("not an anchor within the years 1 to 9999", anchor_us, remedy)
        if per not in UNITS:
            raise _invalid("an anchor without a unit", anchor_us, f"pass per={units} with it")
    return Period(per, timezone, _weekday(week_start), anchor_us, span_us)


def window_at(period: Period, moment_us: int) -> Window:
    """Return the window of `period` that contains `moment_us` (microseconds since 1970).

    A rolling window ends just after the moment, so it contains the moment itself.

    Raises `InvalidPeriod` for a moment outside the years 1 to 9999, or an unknown zone.
    """
    per, name, week_start, anchor_us, span_us = period
    _check_moment(moment_us)
    if per is None:
        return Window(None, None, name)
    if per == "rolling":
        assert span_us is not None
        return _window(moment_us - span_us, moment_us + 1, name)

    step_us = _STEP_US.get(per)
    by_the_clock = per in ("minute", "hour")
    if anchor_us is not None:
        origin = anchor_us
    else:  # where every unit begins, and a Monday for weeks: 1970-01-05
        origin = (4 + week_start) * _DAY_US if per == "week" else 0
    if step_us is not None and (name == "UTC" or (by_the_clock and anchor_us is not None)):
        start_us = moment_us - (moment_us - origin) % step_us
        return _window(start_us, start_us + step_us, name)
    zone = _zone(name)
    if step_us is not None and by_the_clock:
        return _clock_window(step_us, moment_us, zone)

    if anchor_us is not None:
        origin += _offset(anchor_us, zone)

    def boundary(number: int) -> int:
        if number == 0 and anchor_us is not None:
            return anchor_us  # even where the clock shows its time for the second time
        return _instants(_wall(per, origin, number), zone)[0]

    # The local date gives about the number of the last boundary; it is off by a step or two.
    number = _number(per, origin, moment_us + _offset(moment_us, zone))
    while boundary(number) > moment_us:
        number -= 1
    while (end_us := boundary(number + 1)) <= moment_us:
        number += 1
    return _window(boundary(number), end_us, name)


def to_us(moment: datetime) -> int:
    """Convert `moment` to whole microseconds since 1970-01-01 UTC, exactly.

    Raises `InvalidPeriod` for a datetime without a time zone.
    """
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        remedy = "attach a time zone, e.g. datetime.now(timezone.utc)"
        raise _invalid("not a moment", moment, remedy)
    return (moment - _EPOCH) // _US


def span_us(span: float | timedelta, what: str) -> int:
    """Convert `span` (seconds or a timedelta) to whole microseconds.

    Raises `InvalidPeriod` unless it is above 0 and at most `LONGEST_WAIT`; the message names
    `what` and the value.
    """
    us = 0
    if isinstance(span, timedelta):
        us = span // _US
    elif isinstance(span, (int, float)) and not isinstance(span, bool):
        us = round(span * 1e6) if 0 < span <= _LONGEST_WAIT_SECONDS else 0
    if not 0 < us <= _LONGEST_WAIT_SECONDS * 1_000_000:
        remedy = f"pass seconds above 0, at most {_LONGEST_WAIT_SECONDS}"
        raise _invalid(f"{what} is out of range", span, remedy)
    return us


def from_us(us: int, timezone: str = "UTC") -> datetime:
    """Convert `us`, microseconds since 1970-01-01 UTC, to a datetime in `timezone`.

    If the local time is outside the years 1 to 9999, the datetime is in UTC.

    Raises `InvalidPeriod` for a moment outside those years, or an unknown zone.
    """
    _check_moment(us)
    zone = _zone(timezone)
    moment = _EPOCH + us * _US
    with suppress(OverflowError):
        return moment.astimezone(zone)
    return moment


# Below, a "wall" is what a zone's clock shows, as microseconds from its own 1970-01-01 00:00.


def _clock_window(step_us: int, moment_us: int, zone: ZoneInfo) -> Window:
    """Return the minute or hour of the zone's clock that contains the moment."""
    offset = _offset(moment_us, zone)
    start_us = moment_us - (moment_us + offset) % step_us
    end_us = start_us + step_us
    if not _offset(start_us, zone) == offset == _offset(end_us, zone):
        # The clock changes nearby: consider the boundaries of its times before and after.
        walls = (moment_us + _offset(moment_us + n * step_us, zone) for n in (-2, 0, 2))
        floors = (wall - wall % step_us + n * step_us for wall in walls for n in (-1, 0, 1, 2))
        near = [us for floor in floors for us in _instants(floor, zone)]
        start_us = max(us for us in near if us <= moment_us)
        end_us = min(us for us in near if us > moment_us)
    return _window(start_us, end_us, zone.key)


def _number(per: str, origin: int, wall: int) -> int:
    """The number, counted from `origin`, of about the last boundary at or before `wall`."""
    if per in _STEP_US:
        return (wall - origin) // _STEP_US[per]
    return (_months(wall)[0] - _months(origin)[0]) // _STEP_MONTHS[per]


def _wall(per: str, origin: int, number: int) -> int:
    """The wall of a boundary. Before year 1 or after 9999: a wall beyond every moment."""
    if per in _STEP_US:
        return origin + number * _STEP_US[per]
    # Always from the origin: stepping month by month would turn the 31st into the 28th for good.
    months, day, time_us = _months(origin)
    year, month = divmod(months + number * _STEP_MONTHS[per], 12)
    if not 1 <= year <= 9999:
        return 2 * (_MIN_US if year < 1 else _MAX_US)
    first = date(year, month + 1, 1).toordinal() - _EPOCH.toordinal()
    return (first + min(day, monthrange(year, month + 1)[1]) - 1) * _DAY_US + time_us


def _months(wall: int) -> tuple[int, int, int]:
    """Months since year 0, day of the month, microseconds of the day."""
    days, time_us = divmod(min(max(wall, _MIN_US), _MAX_US), _DAY_US)
    day = date.fromordinal(days + _EPOCH.toordinal())
    return day.year * 12 + day.month - 1, day.day, time_us


@lru_cache(maxsize=4096)
def _instants(wall: int, zone: ZoneInfo) -> tuple[int, int]:
    """The first and the last instant at which the zone's clock shows `wall`, or skips it."""
    local = (_EPOCH + _inner(wall) * _US).replace(tzinfo=zone)
    before, after = _ahead(local), _ahead(local.replace(fold=1))
    if before >= after:
        return wall - before, wall - after
    # Skipped: the clock changes at the first instant with another offset.
    around = range(wall - after, wall - before)
    change = around.start + bisect_left(around, True, key=lambda us: _offset(us, zone) != before)
    return change, change


def _offset(us: int, zone: ZoneInfo) -> int:
    """Microseconds by which the zone's clock is ahead of UTC at a moment."""
    return _ahead((_EPOCH + _inner(us) * _US).astimezone(zone))


def _ahead(local: datetime) -> int:
    offset = local.utcoffset()
    assert offset is not None
    return offset // _US


def _inner(us: int) -> int:
    # A day inside the range of datetime, so that no offset leads out of it.
    return min(max(us, _MIN_US + _DAY_US), _MAX_US - _DAY_US)


def _window(start_us: int, end_us: int, name: str) -> Window:
    return Window(
        start_us if start_us >= _MIN_US else None, end_us if end_us <= _MAX_US else None, name
    )


def _check_moment(us: int) -> None:
    if not _MIN_US <= us <= _MAX_US:
        remedy = "pass microseconds since 1970-01-01 UTC"
        raise _invalid("a moment outside the years 1 to 9999", us, remedy)


def _zone(name: object) -> ZoneInfo:
    if isinstance(name, str) and _ZONE_NAME.fullmatch(name):
        with suppress(LookupError, ValueError, OSError):
            return ZoneInfo(name)
    raise _invalid("no such time zone", name, "pass an IANA name, e.g. 'Europe/Berlin'")


def _weekday(week_start: object) -> int:
    if isinstance(week_start, str):
        for number, day in enumerate(_DAYS):
            if week_start.lower() in (day, day[:3]):
                return number
    elif type(week_start) is int and 0 <= week_start <= 6:
        return week_start
    remedy = "pass 'monday' to 'sunday', or 0 (Monday) to 6 (Sunday)"
    raise _invalid("no such first day of the week", week_start, remedy)


def _invalid(problem: str, value: object, remedy: str) -> InvalidPeriod:
    return InvalidPeriod(f"{problem}: {value!r:.60}; {remedy}")
