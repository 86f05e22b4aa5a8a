"""What the readers return: the calls that a log records, and what of it was left out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from budgetledger.errors import UnreadableResponse
from budgetledger.responses.fields.by_name import Fields
from budgetledger.usage import Usage, fitting

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_TAG = 256


class Call(NamedTuple):
    """One call of a log."""

    source_id: str
    """The log's id of the call: equal for equal calls, in whichever file they are."""
    at_us: int
    """When it was made, in microseconds since 1970."""
    model: str | None
    """The model that was asked for."""
    answered: str | None
    """The model that answered."""
    usage: Usage | None
    """None if the log does not state it."""
    cost: Decimal | None = None
    """USD by the log; 0 for an answer from a cache; None if it states none."""
    account: str | None = None
    """The log's own user."""
    host: str | None = None
    """Where the call was made: a URL or a provider's name, as for `Prices.at`."""
    response_id: str | None = None
    """The provider's id of the response."""
    tags: dict[str, Any] = {}  # noqa: RUF012 - never changed
    also: tuple[str, ...] = ()
    """Other ids that the call has if the log was read without some of its files."""


class Skipped(NamedTuple):
    """A line or row that is no call to record."""

    reason: str
    place: str
    """File and line, or an id."""


class Log(NamedTuple):
    """What was read from the files of one program."""

    calls: list[Call]
    skipped: list[Skipped]
    remarks: list[str]

    def skip(self, reason: str, place: str) -> None:
        """Note that what is at *place* was left out."""
        self.skipped.append(Skipped(reason, place))


def new_log() -> Log:
    """A log in which nothing is noted yet."""
    return Log([], [], [])


def moment_us(value: object) -> int | None:
    """An ISO moment (in UTC without an offset) in microseconds since 1970; None for others."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - _START
    except (ValueError, OverflowError):
        return None
    return since // _MICROSECOND


def milliseconds_us(value: object) -> int | None:
    """Milliseconds since 1970 as microseconds; None for others."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    return int(value * 1000) if 0 <= value < 10**14 else None


def stated_usd(value: object) -> Decimal | None:
    """A cost in USD above 0; None for 0, which often means unknown, and for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
        return None
    try:
        usd = Decimal(value)
    except ArithmeticError:
        return None
    return usd if usd.is_finite() and usd > 0 else None


def usage_by(reader: Callable[[Fields, Fields], Usage | None], usage: Fields) -> Usage | None:
    """The *usage* as *reader* reads it; None if it has no counts, or some that cannot be."""
    try:
        used = reader(usage, usage)
        return None if used is None else fitting(used)
    except UnreadableResponse:
        return None


def tags_of(**values: object) -> dict[str, Any]:
    """Those of *values* that are short texts or lists, as tags."""
    return {
        name: value
        for name, value in values.items()
        if (isinstance(value, str) and 0 < len(value) <= _LONGEST_TAG)
        or (isinstance(value, list) and value)
    }
