"""For tests of your application: a clock that you move, so that windows and deadlines pass."""

from __future__ import annotations

from datetime import datetime, timedelta

from budgetledger.windows import from_us, to_us

__all__ = ["FakeClock"]


class FakeClock:
    """A clock that stands still until you move it.

    Pass it as ``Ledger(..., clock=FakeClock(datetime(2026, 1, 31, tzinfo=UTC)))``. `now` must
    have a time zone. Raises `InvalidPeriod`.
    """

    def __init__(self, now: datetime) -> None:
        self._now_us = to_us(now)

    def __call__(self) -> int:
        """The current moment, in microseconds since 1970."""
        return self._now_us

    @property
    def now(self) -> datetime:
        """The current moment, in UTC."""
        return from_us(self._now_us)

    def move_to(self, moment: datetime) -> None:
        """Set the clock to `moment`, which may be earlier than now. Raises `InvalidPeriod`."""
        self._now_us = to_us(moment)

    def advance(self, span: timedelta | None = None, /, **units: float) -> None:
        """Move the clock by a timedelta, or by the arguments of one: ``advance(days=1)``."""
        self.move_to(self.now + (timedelta(**units) if span is None else span))
