"""A hold in the caller's hands: set aside before a call, closed once, with what it cost."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from numbers import Number
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from budgetledger.caller_warnings import say, warn
from budgetledger.entries import Alert, Entry
from budgetledger.errors import (
    BudgetledgerError,
    BudgetledgerWarning,
    HoldAlreadyClosed,
    InvalidInput,
    StoreError,
    UnrecordedWarning,
)
from budgetledger.journal import holding
from budgetledger.journal.drafts import ASSUMED, UNKNOWN_MODEL, draft_charge
from budgetledger.journal.holding import Granted
from budgetledger.journal.rules import Draft, settling
from budgetledger.money import Amount, to_usd
from budgetledger.names import checked_reason
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading
from budgetledger.usage import Usage
from budgetledger.verbs.remarks import warn_if_unpriced
from budgetledger.windows import from_us, span_us

if TYPE_CHECKING:
    from budgetledger.journal.journal import Journal
    from budgetledger.pricing.estimates import Estimate

T = TypeVar("T")

__all__ = ["Hold"]

_log = logging.getLogger("budgetledger")


class BaseHold:
    """What a hold is, whichever way its steps are waited for."""

    closed_by: Entry | None = None
    """The row that closed it through this object."""
    _handed = False  # whether a response was given to settle with
    _unrecorded: Draft | None = None  # the settle the store did not take
    _streaming = False  # between a stream's first chunk and its settle

    def __init__(self, journal: Journal, granted: Granted, estimate: Estimate | None) -> None:
        self._journal = journal
        self._account = granted.account
        self._estimate = estimate
        self.entry = granted.entry
        """The row that holds."""
        self.refusal: BudgetledgerError | None = granted.refusal
        """What would have refused it, in a ledger that does not enforce."""
        self._expires_at_us = granted.entry.expires_at_us or 0

    @property
    def id(self) -> int:
        """The number of its row."""
        return self.entry.id

    @property
    def account(self) -> str:
        """Whose budgets it counts against, with those above."""
        return self.entry.account

    @property
    def model(self) -> str | None:
        """The model asked for, if it was said."""
        return None if self.entry.model == UNKNOWN_MODEL else self.entry.model

    @property
    def amount(self) -> Decimal:
        """USD set aside."""
        return to_usd(self.entry.held_pico or 0)

    @property
    def tokens(self) -> int:
        """Tokens set aside, input and output."""
        return self.entry.held_tokens or 0

    @property
    def bounded(self) -> bool:
        """False if the call's output has no bound, so that it can cost more than was held."""
        return ASSUMED not in self.entry.usage

    @property
    def expires_at(self) -> datetime:
        """From when it counts no more, in UTC."""
        return from_us(self._expires_at_us)

    def __repr__(self) -> str:
        state = f"closed by entry {self.closed_by.id}" if self.closed_by else "open"
        return f"{type(self).__name__}({self.id}, {self.account!r}, {self.amount} USD, {state})"

    def _settling(
        self,
        paid: object,
        model: str | None,
        usage: Usage | None,
        tags: Mapping[str, Any] | None,
        occurred_at: datetime | None,
        note: str | None = None,
        key: str | None = None,
    ) -> Draft:
        """The draft of the settle, from all a caller may pass."""
        if paid is None and usage is None:
            if self._unrecorded is not None:
                return self._unrecorded
            if self.closed_by is not None:
                raise HoldAlreadyClosed(
                    f"hold {self.id} of {self.account!r} was closed by entry {self.closed_by.id}",
                    hold_id=self.id,
                    entry=self.closed_by,
                )
            raise InvalidInput(
                "nothing to settle with; pass the response, a Usage, or the cost in USD"
            )
        self._handed = True
        cost: Amount | None = None
        if isinstance(paid, Usage) and usage is None:
            paid, usage = None, paid
        elif isinstance(paid, (str, Number)):
            paid, cost = None, paid
        draft = draft_charge(
            paid, cost, model or self.model, usage, key, tags, occurred_at,
            self._journal.clock, self._journal.book,
        )  # fmt: skip
        tags_json = self.entry.tags_json if tags is None else draft.tags_json
        return settling(draft, self.id, tags_json, note)

    def _settled(self, entry: Entry) -> Entry:
        self.closed_by, self._unrecorded = entry, None
        warn_if_unpriced(entry)
        return entry

    def _settled_meanwhile(self, before: Entry | None) -> bool:
        """Whether the caller settled it while a stream went on; *before*: what closed it then."""
        now = self.closed_by
        return now is not None and now.kind == "settle" and now is not before

    def _left_to_do(self) -> Literal["settle", "release", "nothing"]:
        """What leaving the ``with`` block still has to do."""
        if self._streaming:
            return "nothing"
        if self._unrecorded is not None:
            return "settle"
        if self.closed_by is not None:
            return "nothing"
        if self._handed:
            warn(
                f"hold {self.id} of {self.account!r} was given a response it could not be "
                f"settled with; it counts until {self._deadline()}; settle it with the cost in USD",
                UnrecordedWarning,
            )
            return "nothing"
        return "release"

    def _not_recorded(self, error: Exception) -> None:
        """Say that the last step failed, where raising would eat what the caller has paid for."""
        if isinstance(error, BudgetledgerWarning):  # warnings are errors here; it is recorded
            _log.warning("%s", error)
            return
        if isinstance(error, HoldAlreadyClosed):
            what = f"was settled before; this stream's cost was not recorded ({error})"
            advice = "if it was another call, record it with charge"
        else:
            step = "settle" if self._unrecorded is not None else "release"
            what = f"could not be {step}d ({error})"
            advice = f"it counts until {self._deadline()}; call {step}() again"
        say(f"hold {self.id} of {self.account!r} {what}; {advice}", UnrecordedWarning)

    def _deadline(self) -> str:
        return f"{self.expires_at:%Y-%m-%d %H:%M:%S} UTC"

    def _stream_settling(self, reading: StreamReading) -> Draft:
        """The draft of the settle for what a stream used."""
        expected = None if self._estimate is None else self._estimate.input_tokens
        used = reading.usage(self.model, expected)
        note = None if used.reported else "estimated: no usable usage came with the stream"
        told = Reading(used.model or self.model, used.usage, used.cost)
        return self._settling(told, None, None, None, None, note)


class Hold(BaseHold):
    """Money set aside for a call, until it is settled, released, or its deadline passes.

    As a context manager it is released on leaving, by an exception too, unless it was settled;
    a response handed to `settle` is never released.
    """

    _stream: weakref.ref[Generator[Any, None, None]] | None = None

    def settle(
        self,
        paid: object = None,
        *,
        model: str | None = None,
        usage: Usage | None = None,
        tags: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
        key: str | None = None,
    ) -> Entry:
        """Record what the call cost, and close the hold; never refused for lack of budget.

        *paid*: the response (as for `Ledger.charge`), a `Usage`, or the cost in USD, which may
        exceed what was held. *model*, *tags*: those of the hold unless given. *key*: settling
        with the same key and content again returns the first entry. After a release or the
        deadline the cost is recorded all the same.

        Returns the entry; durable on return. Raises `HoldAlreadyClosed`, carrying the entry
        that settled it, if it is settled; `UnreadableResponse`; `StoreError` (call it again,
        without arguments, to retry).
        """
        draft = self._settling(paid, model, usage, tags, occurred_at, key=key)
        return self._record(draft)

    def _record(self, draft: Draft) -> Entry:
        self._unrecorded = draft
        try:
            entry = self._journal.write(lambda tx: holding.settle(tx, self._account, draft))
        except HoldAlreadyClosed as error:
            self.closed_by, self._unrecorded = error.entry, None
            raise
        return self._settled(entry)

    def release(self, *, reason: str | None = None) -> Entry:
        """Close the hold unspent. Raises `HoldAlreadyClosed`, carrying the entry that did."""
        note = None if reason is None else checked_reason(reason)
        entry = self._journal.write(lambda tx: holding.release(tx, self._account, self.id, note))
        self.closed_by = entry
        return entry

    def extend(self, expires_in: float | timedelta) -> datetime:
        """Move the deadline to *expires_in* seconds from now; returns it.

        Raises `HoldAlreadyClosed`, after the deadline too: what was held may be taken by then.
        """
        in_us = span_us(expires_in, "expires_in")
        entry = self._journal.write(lambda tx: holding.extend(tx, self._account, self.id, in_us))
        self._expires_at_us = entry.expires_at_us or 0
        return self.expires_at

    def stream(self, chunks: Iterable[T]) -> Generator[T, None, None]:
        """Pass *chunks* of a streamed response on, and settle with what was used when they end.

        Also when the loop is left early, or the stream breaks: then with the usage it told
        until then, or else an estimate from the text that came. A stream that breaks before
        its first chunk leaves the hold as it is.
        """
        self._handed = True  # the call was made
        passing = self._pass_on(chunks)
        self._stream = weakref.ref(passing)
        return passing

    def _pass_on(self, chunks: Iterable[T]) -> Generator[T, None, None]:
        reading, before = StreamReading(), self.closed_by
        self._streaming = True
        try:
            for chunk in chunks:
                reading.add(chunk)
                yield chunk
        finally:
            close = getattr(chunks, "close", None)
            try:
                if callable(close):  # tells the provider to stop
                    close()
            finally:
                try:
                    self._handed = reading.started
                    if reading.started and not self._settled_meanwhile(before):
                        self._settle_stream(reading)
                finally:
                    self._streaming = False

    def _settle_stream(self, reading: StreamReading) -> None:
        store = self._journal.store
        try:
            draft = self._stream_settling(reading)
            if store.is_amid_write():  # an abandoned stream, collected amid this thread's write
                settling = self._journal.inside(lambda tx: holding.settle(tx, self._account, draft))
                store.write_later(settling, self._settled_later)
            else:
                self._record(draft)
        except (HoldAlreadyClosed, StoreError, BudgetledgerWarning) as error:
            self._not_recorded(error)

    def _settled_later(self, outcome: tuple[Entry, tuple[Alert, ...]]) -> None:
        """In the thread that wrote it: what was left there is settled."""
        entry, alerts = outcome
        self.closed_by = entry
        self._journal.tell(alerts)

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        passing = None if self._stream is None else self._stream()
        if passing is not None:
            with suppress(ValueError):  # another thread reads it, and settles when it ends
                passing.close()
        left = self._left_to_do()
        try:
            if left == "settle":
                self.settle()
            elif left == "release":
                self.release()
        except HoldAlreadyClosed:
            pass
        except StoreError as failure:
            if left == "settle" and error is None:
                raise
            self._not_recorded(failure)


# -- for the rooms that meter calls ---------------------------------------------------------------


def granted_of(hold: BaseHold) -> Granted:
    """The row of the hold and its account, from which another object of it can be made."""
    return Granted(hold.entry, hold._account, hold.refusal)


def plain_hold(hold: BaseHold) -> Hold:
    """The same hold, whose steps are not awaited."""
    return Hold(hold._journal, granted_of(hold), hold._estimate)


def estimate_of(hold: BaseHold) -> Estimate | None:
    """What the hold was estimated from, if it was."""
    return hold._estimate


def is_unanswered(hold: BaseHold) -> bool:
    """Whether the hold is open and no response to its call has come."""
    return hold.closed_by is None and not hold._handed


def settle_stream(hold: BaseHold, reading: StreamReading) -> None:
    """Settle with what *reading* has of a stream, without waiting; warns of what fails."""
    plain = hold if isinstance(hold, Hold) else plain_hold(hold)
    plain._settle_stream(reading)
