"""`Hold`: money set aside before a call, until the call's cost settles it."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from numbers import Number
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from budgetledger.caller_warnings import say, warn
from budgetledger.callers import Inside, Outside, Scope
from budgetledger.entries import MONEY_KINDS, Alert, Entry
from budgetledger.errors import (
    BudgetledgerWarning,
    HoldAlreadyClosed,
    HoldRefused,
    InvalidInput,
    MeteredTwiceWarning,
    StoreError,
    UnpricedModel,
    UnreadableResponse,
    UnrecordedWarning,
)
from budgetledger.journal import holding
from budgetledger.journal.drafts import UNKNOWN_MODEL, draft_charge, draft_increase
from budgetledger.journal.holding import Granted
from budgetledger.journal.holds.stream_limit import StreamLimit, stopped
from budgetledger.journal.increasing import Increased, increase
from budgetledger.journal.journal import books_of
from budgetledger.journal.nesting import counted_by, counting, release_by_nesting
from budgetledger.journal.rows.basis import unestimated, with_basis
from budgetledger.journal.rows.rules import ASSUMED_OUTPUT, Draft, settling
from budgetledger.money import Amount, to_usd
from budgetledger.names import checked_reason
from budgetledger.responses.failures import is_failure
from budgetledger.responses.readings import CountedAnswer, FailedAnswer, answer_of_stream
from budgetledger.responses.response import Reading
from budgetledger.responses.stream import StreamReading
from budgetledger.usage import Usage
from budgetledger.verbs.remarks import warn_if_unknown
from budgetledger.windows import from_us, span_us

if TYPE_CHECKING:
    from budgetledger.journal.journal import Journal
    from budgetledger.pricing.estimates import Estimate

T = TypeVar("T")

__all__ = ["BaseHold", "Hold"]

_log = logging.getLogger("budgetledger")


class BaseHold:
    """What `Hold` and `AsyncHold` have in common: the facts of a hold that was granted."""

    def __init__(self, journal: Journal, granted: Granted, estimate: Estimate | None) -> None:
        self._journal = journal
        self._account = granted.account
        self._estimate = estimate
        self.entry = granted.entry
        """The entry that records the hold, with what is held since the last `increase`."""
        self.refusal: HoldRefused | None = granted.refusal
        """The error that would have refused it, in a ledger with ``enforce=False``; else None."""
        self.closed_by: Entry | None = None
        """The entry by which this object closed the hold; None before that."""
        self._expires_at_us = granted.entry.expires_at_us or 0
        self._got_response = False  # whether the call was answered, as far as is known here
        self._unrecorded: Draft | None = None  # the settle that the store failed to record
        self._streaming = False  # between a stream's first chunk and its settle
        self._unread: object = None  # the chunks of a stream until its first is asked for
        self._scope: Scope | None = None  # once code runs inside its call
        self._entered: list[Inside] = []  # by its ``with`` blocks
        self._counting: Entry | None = None  # the inner entry that counts its call

    @property
    def id(self) -> int:
        """The id of its entry."""
        return self.entry.id

    @property
    def account(self) -> str:
        """The account that it counts against, with all accounts above it."""
        return self.entry.account

    @property
    def model(self) -> str | None:
        """The model that the hold names; None if it names none."""
        return None if self.entry.model == UNKNOWN_MODEL else self.entry.model

    @property
    def amount(self) -> Decimal:
        """The amount set aside, in USD."""
        return to_usd(self.entry.held_pico or 0)

    @property
    def tokens(self) -> int:
        """The tokens set aside, input and output together."""
        return self.entry.held_tokens or 0

    @property
    def bounded(self) -> bool:
        """False if the output of the call is unlimited, so that it can cost more than `amount`."""
        return ASSUMED_OUTPUT not in self.entry.usage

    @property
    def expires_at(self) -> datetime:
        """The deadline, in UTC; from then on the hold does not count."""
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
        """Draft the settle from the arguments of `settle`; a release, if the call failed."""
        if paid is None and usage is None:
            if self._unrecorded is not None:
                return self._unrecorded
            if self.closed_by is None and (released := self._nested(None)) is not None:
                return released
            if self.closed_by is not None:
                raise HoldAlreadyClosed(
                    f"hold {self.id} of {self.account!r} was closed by entry {self.closed_by.id}",
                    hold_id=self.id,
                    entry=self.closed_by,
                )
            raise InvalidInput(
                "nothing to settle with; pass the response, a Usage, or the cost in USD"
            )
        self._got_response = True
        cost: Amount | None = None
        if isinstance(paid, Usage) and usage is None:
            paid, usage = None, paid
        elif isinstance(paid, (str, Number)):
            paid, cost = None, paid
        try:
            draft = draft_charge(
                paid, cost, model or self.model, usage, key, tags, occurred_at,
                self._journal.clock, self._journal.prices, is_settle=True,
            )  # fmt: skip
        except UnreadableResponse:
            if is_failure(paid):
                return self._release_of_failed(key)
            if (released := self._nested(None)) is not None:
                return released
            raise
        if draft.cost_pico is None and draft.usage_json is None and _says_failed(paid):
            return self._release_of_failed(key)
        if (released := self._nested(draft)) is not None:
            return released
        tags_json = self.entry.tags_json if tags is None else draft.tags_json
        if isinstance(paid, CountedAnswer) and draft.usage_json is None:
            note = "assumed: no usage came with the stream, and no price is known"
        draft = self._with_basis(draft)
        return settling(draft, self.id, tags_json, unestimated(self.entry) or note)

    def _with_basis(self, draft: Draft) -> Draft:
        return with_basis(draft, self.entry)

    def _release_of_failed(self, key: str | None) -> Draft:
        note = "the answer says that the call failed"
        return Draft("release", note=note, idempotency_key=key, hold_id=self.id)

    def _nested(self, draft: Draft | None) -> Draft | None:
        """The release, if the cost of *draft* was recorded by a call inside; None if it is owed."""
        is_second = self.closed_by is not None and counted_by(self.closed_by) is not None
        inside = [] if is_second or self._scope is None else self._scope.inside(self.account)
        self._counting = counting(draft, inside)
        if self._counting is None:
            return None
        return release_by_nesting(self.id, self._counting.id or None)

    def _scoped(self) -> Scope:
        if self._scope is None:
            self._scope = Scope(books_of(self._journal), self.id)
        return self._scope

    def _enter(self) -> None:
        self._entered.append(Inside(self._scoped(), drops_key=False))

    def _leave(self) -> None:
        if self._entered:
            self._entered.pop().leave()

    def _settled(self, entry: Entry) -> Entry:
        """Take over the row that closed the hold. Returns the entry that counts the call."""
        self.closed_by, self._unrecorded = entry, None
        if self._counting is not None and entry.kind != "settle":
            warn(_TWICE, MeteredTwiceWarning)
            return self._counting
        self._report(entry)
        warn_if_unknown(entry)
        return entry

    def _report(self, entry: Entry) -> None:
        if self._scope is not None and entry.kind in MONEY_KINDS:
            self._scope.report(entry)

    def _settled_meanwhile(self, before: Entry | None) -> bool:
        """Whether `settle` was called during a stream. `before`: `closed_by` at its start."""
        now = self.closed_by
        if now is None or now is before:
            return False
        return now.kind == "settle" or counted_by(now) is not None

    def _left_to_do(self) -> Literal["settle", "release", "nothing"]:
        """What is left to do at the end of the ``with`` block."""
        if self._streaming:
            return "nothing"
        if self._unrecorded is not None:
            return "settle"
        if self.closed_by is not None:
            return "nothing"
        if self._got_response:
            warn(
                f"hold {self.id} of {self.account!r} could not be settled with the response it "
                f"got; it counts until {self._deadline()}; settle it with the cost in USD",
                UnrecordedWarning,
            )
            return "nothing"
        return "release"

    def _not_recorded(self, error: Exception) -> None:
        """Warn that the last step failed. Raising would lose a response that is paid for."""
        if isinstance(error, BudgetledgerWarning):  # raised by a filter; it is recorded
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

    def _increased(self, increased: Increased) -> Decimal:
        """Take over what is held now."""
        self.entry = self.entry._replace(held_pico=increased.pico, held_tokens=increased.tokens)
        self.refusal = increased.refusal or self.refusal
        return self.amount

    def _deadline(self) -> str:
        return f"{self.expires_at:%Y-%m-%d %H:%M:%S} UTC"

    def _stream_limit(self, reading: StreamReading) -> StreamLimit:
        """What follows a stream that stops at its limit. Raises `UnpricedModel`."""
        journal, model = self._journal, self.model

        def cost_of(paid: Reading) -> int | None:
            settle = (paid, None, model, None, None, None, None, journal.clock, journal.prices)
            return draft_charge(*settle, is_settle=True).cost_pico

        limit = StreamLimit(reading, model, self.entry, cost_of)
        if not limit.is_known:
            raise UnpricedModel(model or UNKNOWN_MODEL)
        return limit

    def _stream_settling(self, reading: StreamReading) -> Draft:
        """Draft the settle with what a stream used."""
        counted = self.entry.usage.get("input_tokens")
        answer, note = answer_of_stream(reading, self.model, counted)
        return self._settling(answer, None, None, None, None, note)


_TWICE = (
    "a call was metered twice, once inside the other, and is counted by the inner one; remove one "
    "of the two (metered, wrap, or the hold around it)"
)


def _says_failed(paid: object) -> bool:
    return isinstance(paid, FailedAnswer) or (
        not isinstance(paid, Reading) and paid is not None and is_failure(paid)
    )


class Hold(BaseHold):
    """Money set aside for a call, until it is settled or released, or its deadline passes.

    `Ledger.hold` returns it. As a context manager it is released at the end of the block, also
    by an exception, unless `settle` was called: what a response cost is never released.

    ``entry`` is its entry, ``closed_by`` the entry by which this object closed it (None before),
    ``refusal`` the error that would have refused it in a ledger with ``enforce=False``.

    Example:
        >>> import openai
        >>> from budgetledger import Ledger
        >>> client, ledger = openai.OpenAI(), Ledger("spend.db")
        >>> budget = ledger.set_budget("alice", "0.01", per="day")
        >>> call = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        >>> with ledger.hold("alice", **call, max_output_tokens=500) as hold:
        ...     response = client.chat.completions.create(**call, max_tokens=500)
        ...     entry = hold.settle(response)
        >>> print(hold.amount, "held,", entry.cost, "spent")
        0.00502 held, 0.00007 spent
        >>> ledger.hold("alice", **call, max_output_tokens=1000)
        Traceback (most recent call last):
        budgetledger.errors.BudgetExceededError: budget 'usd/day' of 'alice' ...
    """

    def __init__(self, journal: Journal, granted: Granted, estimate: Estimate | None) -> None:
        super().__init__(journal, granted, estimate)
        self._stream: weakref.ref[Generator[Any, None, None]] | None = None

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
        """Record what the call cost, and close the hold. No budget refuses it.

        `paid`: the response (as for `Ledger.charge`), a `Usage`, or the cost in USD, which may
        exceed the amount held. `model` and `tags`: by default those of the hold. `occurred_at`:
        when the call was made; by default now. `key`: a retry with the same key and content
        returns the first entry. After a release or the deadline the cost is recorded all the
        same.

        If the cost of a response is not known, it is what was held (``cost_basis`` is
        ``"assumed"``), with an `UnpricedWarning`; `Ledger.reprice` or `Ledger.adjust` state it
        later. A response that says that the call failed releases the hold. So does a call that
        was metered inside the ``with`` block too (by `wrap`, `metered` or another such block, on
        the same account): if `paid` has no usage and no amount, or the model and usage that were
        recorded there, or their sum, it returns that entry, with a `MeteredTwiceWarning`.

        Returns the new entry, durable on return. Raises `HoldAlreadyClosed` (has the entry) if
        the hold is settled; `UnreadableResponse`; `StoreError` (call ``settle()`` without
        arguments to retry).
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
        """Close the hold unspent: the amount is available again. `reason` is stored.

        Returns the new entry. Raises `HoldAlreadyClosed` (has the closing entry).
        """
        note = None if reason is None else checked_reason(reason)
        entry = self._journal.write(lambda tx: holding.release(tx, self._account, self.id, note))
        self.closed_by = entry
        return entry

    def extend(self, expires_in: float | timedelta) -> datetime:
        """Move the deadline to `expires_in` (seconds or a timedelta) from now.

        Returns the new deadline. Raises `HoldAlreadyClosed`, also after the deadline, when
        another hold may have taken the amount.
        """
        in_us = span_us(expires_in, "expires_in")
        entry = self._journal.write(lambda tx: holding.extend(tx, self._account, self.id, in_us))
        self._expires_at_us = entry.expires_at_us or 0
        return self.expires_at

    def increase(
        self, amount: Amount | None = None, *, tokens: int | None = None, key: str | None = None
    ) -> Decimal:
        """Set aside `amount` USD more, or `tokens`, or both, if all budgets that apply allow it.

        These are the budgets of all accounts that the hold counts against, and they decide
        together. A refusal leaves the hold as it is. `key`: a retry with the same key and content
        increases it once.

        Returns the amount held now, in USD, durable on return. Raises `BudgetExceededError`,
        `AccountFrozen`; `HoldAlreadyClosed`, also after the deadline; `IdempotencyConflict`.
        """
        draft = draft_increase(self.id, amount, tokens, key)
        return self._increased(
            self._journal.write(
                lambda tx: increase(tx, self._account, draft, enforce=self._journal.enforce)
            )
        )

    def stream(
        self, chunks: Iterable[T], *, stop_at_limit: bool = False
    ) -> Generator[T, None, None]:
        """Yield the `chunks` of a streamed response, and settle with its usage at the end.

        If the stream breaks or the loop is left early, it settles with the usage reported so
        far, or else with an estimate from the text received; with what was held if there is none:
        the chunks have an unknown form or no text, the prompt was not counted, or the model's
        reasoning is hidden. A stream that breaks before its first chunk, or is never read, leaves
        the hold open, until the ``with`` block ends. If the settle fails, it warns with
        `UnrecordedWarning` instead of raising.

        `stop_at_limit`: when what has come costs more than is held, ask for more (see `increase`);
        if that is refused, close `chunks`, settle, and raise `StreamStopped` after the last whole
        chunk. It counts the text that came, and the prompt if the hold was estimated from it, not
        what is billed unseen: hidden reasoning, paid tools, and what a provider goes on to bill
        after its stream was closed. Raises `UnpricedModel` at the first step, before a chunk is
        read, if the hold's model has no price and no tokens are held.
        """
        passing = self._pass_on(chunks, stop_at_limit)
        self._stream, self._unread = weakref.ref(passing), chunks
        return passing

    def _pass_on(self, chunks: Iterable[T], stop_at_limit: bool) -> Generator[T, None, None]:
        reading, before, refused = StreamReading(), self.closed_by, None
        limit = self._stream_limit(reading) if stop_at_limit else None
        self._got_response = self._streaming = True  # the call was sent
        self._unread = None
        try:
            for chunk in chunks:
                reading.add(chunk)
                with Outside(self._scope):
                    yield chunk
                if limit is not None and limit.seems_short(self.entry):
                    refused = self._ask_for_more(limit)
                    if refused is not None:
                        break
        finally:
            close = getattr(chunks, "close", None)
            try:
                if callable(close):  # so that the provider stops
                    close()
            finally:
                try:
                    self._got_response = reading.started
                    if reading.started and not self._settled_meanwhile(before):
                        self._settle_stream(reading)
                finally:
                    self._streaming = False
        if refused is not None:
            raise stopped(refused, self.id, self.closed_by)

    def _ask_for_more(self, limit: StreamLimit) -> HoldRefused | None:
        """Increase the hold for what has come of a stream. Returns the refusal."""
        refused, missing = None, limit.missing(self.entry)
        for ask in () if missing is None else limit.asks(missing, self.entry):
            try:
                self.increase(to_usd(ask.pico), tokens=ask.tokens)
            except HoldRefused as error:
                refused = error
            else:
                return None
        return refused

    def _settle_stream(self, reading: StreamReading) -> None:
        store = self._journal.store
        try:
            draft = self._stream_settling(reading)
            if store.is_amid_write():  # closed by the garbage collector
                settling = self._journal.inside(lambda tx: holding.settle(tx, self._account, draft))
                store.write_later(settling, self._settled_later)
            else:
                self._record(draft)
        except (HoldAlreadyClosed, StoreError, BudgetledgerWarning) as error:
            self._not_recorded(error)

    def _settled_later(self, outcome: tuple[Entry, tuple[Alert, ...]]) -> None:
        """Take over the outcome of a settle that another thread wrote."""
        entry, alerts = outcome
        self.closed_by = entry
        self._report(entry)
        self._journal.tell(alerts)

    def __enter__(self) -> Hold:
        self._enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        passing = None if self._stream is None else self._stream()
        if passing is not None:
            with suppress(ValueError):  # another thread reads and settles it
                passing.close()
        self._close_unread()
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

    def _close_unread(self) -> None:
        """Close a stream of which nothing was read, so that the provider stops."""
        close, self._unread = getattr(self._unread, "close", None), None
        if callable(close):
            with suppress(Exception):
                close()


# -- for the packages that meter calls ------------------------------------------------------------


def granted_of(hold: BaseHold) -> Granted:
    """The entry of the hold and its account, from which another object for it can be made."""
    return Granted(hold.entry, hold._account, hold.refusal)


def called_at(hold: BaseHold, *places: str) -> None:
    """Note where the call of `hold` was made, for its price: see `ledger_at`."""
    if places:
        journal = hold._journal
        hold._journal = replace(journal, places=(*journal.places, *places))


def plain_hold(hold: BaseHold) -> Hold:
    """The same hold as a `Hold`."""
    return in_scope_of(hold, Hold(hold._journal, granted_of(hold), hold._estimate))


H = TypeVar("H", bound=BaseHold)


def in_scope_of(hold: BaseHold, same: H) -> H:
    """*same*, another object for `hold`, with the calls around it and inside."""
    same._scope = hold._scope
    return same


class nested:  # noqa: N801 - a context manager
    """Metered calls in the block are inside the call of `hold`."""

    def __init__(self, hold: BaseHold) -> None:
        self._hold = hold

    def __enter__(self) -> None:
        self._inside = Inside(self._hold._scoped(), drops_key=True)

    def __exit__(self, *error: object) -> None:
        self._inside.leave()


def report(hold: BaseHold, entry: Entry) -> None:
    """Tell the calls around `hold` of a charge for its call."""
    hold._report(entry)


def estimate_of(hold: BaseHold) -> Estimate | None:
    """The estimate of the hold; None if its amount was passed."""
    return hold._estimate


def is_unanswered(hold: BaseHold) -> bool:
    """Whether the hold is open and its call has no response yet."""
    return hold.closed_by is None and not hold._got_response


def settle_stream(hold: BaseHold, reading: StreamReading) -> None:
    """Settle with what `reading` has of a stream. Warns instead of raising."""
    hold._unread = None  # it may refer to the hold: a cycle keeps its connection open
    plain = hold if isinstance(hold, Hold) else plain_hold(hold)
    plain._settle_stream(reading)
