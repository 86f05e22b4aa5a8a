"""For tests of applications that embed a ledger: a clock that moves when told."""

from __future__ import annotations

from datetime import datetime, timedelta

from budgetledger.windows import from_us, to_us


class FakeClock:
    """Pass as ``Ledger(..., clock=FakeClock(datetime(2026, 1, 31, tzinfo=UTC)))``."""

    def __init__(self, now: datetime) -> None:
        self._now_us = to_us(now)

    def __call__(self) -> int:
        """Microseconds since 1970."""
        return self._now_us

    @property
    def now(self) -> datetime:
        """The moment the clock shows, in UTC."""
        return from_us(self._now_us)

    def move_to(self, moment: datetime) -> None:
        """Show *moment* from now on; earlier than now is allowed, as clocks do step back."""
        self._now_us = to_us(moment)

    def advance(self, span: timedelta | None = None, /, **units: float) -> None:
        """Go on by a timedelta, or by its arguments: ``advance(days=1)``."""
        self.move_to(self.now + (timedelta(**units) if span is None else span))
