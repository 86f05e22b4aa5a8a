"""`AsyncLedger`: the methods of `Ledger` for asyncio, over the same queue of writes.

Nothing here blocks the event loop: writes are queued and awaited, and slow work (counting the
tokens of a prompt, loading prices, reading) runs in a thread.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial, wraps
from inspect import isawaitable
from itertools import islice
from numbers import Number
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from budgetledger.callers import AsUser, Outside
from budgetledger.entries import Entry
from budgetledger.errors import (
    BudgetledgerWarning,
    HoldAlreadyClosed,
    HoldRefused,
    InvalidInput,
    StoreError,
)
from budgetledger.holds import BaseHold, estimate_of, granted_of, in_scope_of
from budgetledger.journal import holding
from budgetledger.journal.drafts import (
    DEFAULT_EXPIRY_SECONDS,
    HoldRequest,
    draft_charge,
    draft_increase,
    needs_loading,
)
from budgetledger.journal.holding import Granted
from budgetledger.journal.holds.stream_limit import StreamLimit, stopped
from budgetledger.journal.increasing import increase
from budgetledger.journal.journal import journal_of
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.rules import Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.ledger import Ledger, ledger_on
from budgetledger.money import Amount, to_usd
from budgetledger.names import checked_reason
from budgetledger.pricing.estimates import Estimate
from budgetledger.responses.stream import StreamReading
from budgetledger.storage.dialect import compiled
from budgetledger.usage import Usage
from budgetledger.verbs import charging, hold_requests
from budgetledger.verbs.awaiting import AsyncJournal
from budgetledger.verbs.waiting import Place
from budgetledger.windows import span_us

if TYPE_CHECKING:
    from budgetledger.entries import Alert
    from budgetledger.journal.journal import Clock
    from budgetledger.storage.sqlite.connection import Synchronous

__all__ = ["AsyncHold", "AsyncLedger", "PendingHold"]

P = ParamSpec("P")
T = TypeVar("T")
_PAGE = 1000


def _in_thread(
    method: Callable[Concatenate[Ledger, P], T],
) -> Callable[Concatenate[AsyncLedger, P], Coroutine[Any, Any, T]]:
    """An asynchronous method that runs a method of `Ledger` in a thread."""

    @wraps(method)
    async def run(self: AsyncLedger, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, ledger_on(self._journal.off_loop()), *args, **kwargs)

    run.__module__, run.__qualname__ = __name__, f"AsyncLedger.{method.__name__}"
    return run


class AsyncLedger:
    """A `Ledger` for asyncio: the same methods with the same arguments, awaited.

    `target` and the options are those of `Ledger`; or `target` is a `Ledger`, which threads and
    tasks can then use at once. Creating a new file takes half a second and blocks the loop, so
    open it before the loop is busy. ``on_alert`` is called on the loop.

    Cancelling a task does not cancel what it has begun to record: a cost that was passed is
    recorded, once. A hold that the task was waiting for is released, unless it has a key: then
    it stays for the retry, if it was granted.

    Example:
        >>> import asyncio
        >>> from budgetledger import AsyncLedger
        >>> async def main():
        ...     async with AsyncLedger("spend.db") as ledger:
        ...         await ledger.set_budget("alice", "10.00", per="month")
        ...         async with ledger.hold("alice", "0.05") as hold:
        ...             await hold.settle("0.031")  # or the response of the call
        ...         return (await ledger.balance("alice")).available
        >>> print(asyncio.run(main()))
        9.969
    """

    @overload
    def __init__(self, target: Ledger) -> None: ...

    @overload
    def __init__(
        self,
        target: str | PathLike[str],
        *,
        project: str = ...,
        synchronous: Synchronous = ...,
        enforce: bool = ...,
        default_output_tokens: int = ...,
        on_alert: Callable[[Alert], object] | None = ...,
        clock: Clock = ...,
    ) -> None: ...

    def __init__(self, target: str | PathLike[str] | Ledger, **options: Any) -> None:
        if isinstance(target, Ledger) and options:
            raise InvalidInput("a Ledger has its options already; pass a path with them")
        self.ledger = target if isinstance(target, Ledger) else Ledger(target, **options)
        """The `Ledger` that threads can use at the same time."""
        self._journal = AsyncJournal(journal_of(self.ledger))

    set_budget = _in_thread(Ledger.set_budget)
    remove_budget = _in_thread(Ledger.remove_budget)
    budgets = _in_thread(Ledger.budgets)
    set_default_budget = _in_thread(Ledger.set_default_budget)
    remove_default_budget = _in_thread(Ledger.remove_default_budget)
    default_budgets = _in_thread(Ledger.default_budgets)
    shift_window = _in_thread(Ledger.shift_window)
    set_parent = _in_thread(Ledger.set_parent)
    freeze = _in_thread(Ledger.freeze)
    unfreeze = _in_thread(Ledger.unfreeze)
    alerts = _in_thread(Ledger.alerts)
    set_price = _in_thread(Ledger.set_price)
    remove_price = _in_thread(Ledger.remove_price)
    prices = _in_thread(Ledger.prices)
    reprice = _in_thread(Ledger.reprice)
    can_afford = _in_thread(Ledger.can_afford)
    estimate = _in_thread(Ledger.estimate)
    charge_many = _in_thread(Ledger.charge_many)
    adjust = _in_thread(Ledger.adjust)
    balance = _in_thread(Ledger.balance)
    model_costs = _in_thread(Ledger.model_costs)
    accounts = _in_thread(Ledger.accounts)
    report = _in_thread(Ledger.report)
    verify = _in_thread(Ledger.verify)
    backup = _in_thread(Ledger.backup)
    close = _in_thread(Ledger.close)

    def as_user(
        self, user: str, *, tags: Mapping[str, Any] | None = None, key: str | None = None
    ) -> AsUser:
        """A context manager: metered calls inside it count for `user`, with `tags` on their rows.

        As `Ledger.as_user`, and entered with plain ``with`` too.
        """
        return self.ledger.as_user(user, tags=tags, key=key)

    def hold(
        self,
        account: str,
        amount: Amount | None = None,
        *,
        model: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        text: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
        n: int = 1,
        tokens: int | None = None,
        key: str | None = None,
        tags: Mapping[str, Any] | None = None,
        expires_in: float | timedelta = DEFAULT_EXPIRY_SECONDS,
        wait: float | timedelta = 0,
    ) -> PendingHold:
        """Set money aside for a call before it is sent, if all budgets that apply allow it.

        Use ``async with`` on the result, or ``await`` it for an `AsyncHold`. Arguments and
        errors are those of `Ledger.hold`: `amount` in USD, or `model` with `messages` or `text`
        for an estimate; `wait`: for how long it waits while only open holds are in the way.
        Cancelling a task that waits leaves nothing. Raises, with nothing recorded: a
        `HoldRefused`, `HoldAlreadyClosed`, `IdempotencyConflict`.
        """
        request = HoldRequest(
            amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags
        )
        return PendingHold(requested_ahold(self, account, request, expires_in, wait))

    async def holds(self, account: str) -> list[AsyncHold]:
        """The open holds that count against `account`: its own, and those of accounts under it.

        Use it to settle or release the holds of a process that died. Raises `UnknownAccount`.
        """
        journal = self._journal.journal
        all_granted = await asyncio.to_thread(hold_requests.open_holds, journal, account)
        return [AsyncHold(self._journal, granted, None) for granted in all_granted]

    async def charge(
        self,
        account: str,
        response: object = None,
        *,
        cost: Amount | None = None,
        model: str | None = None,
        usage: Usage | None = None,
        key: str | None = None,
        tags: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
    ) -> Entry:
        """Record what a call cost. No budget refuses it, because the money is already spent.

        Arguments are those of `Ledger.charge`: the `response`; or `usage` and `model`; or `cost`
        in USD. A call without a known price is recorded as unpriced, with an `UnpricedWarning`.
        Returns the entry, durable on return, even if the task is cancelled meanwhile. Raises
        `UnreadableResponse`, `IdempotencyConflict`.
        """
        journal = self._journal.journal
        facts = (
            response, cost, model, usage, key, tags, occurred_at, journal.clock, journal.prices
        )  # fmt: skip
        outcome = await self._journal.record(
            lambda: draft_charge(*facts),
            partial(charging.charging, journal, account),
            slow=cost is None and needs_loading(),
        )
        return charging.charged(journal, outcome)

    async def entries(
        self,
        account: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        last: int | None = None,
    ) -> AsyncIterator[Entry]:
        """The entries of `account`, or of the project, recorded in [`since`, `until`), in order.

        As `Ledger.entries`, read with ``async for``. Raises `UnknownAccount` at the first step.
        """
        entries = await asyncio.to_thread(
            self.ledger.entries, account, since=since, until=until, last=last
        )
        while page := await asyncio.to_thread(lambda: list(islice(entries, _PAGE))):
            for entry in page:
                yield entry

    async def __aenter__(self) -> AsyncLedger:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Async{self.ledger!r}"


class _Claim:
    """A requested hold, whose task may be cancelled before it gets the hold."""

    def __init__(self, operation: Callable[[Transaction], Granted]) -> None:
        self._operation = operation
        self._granted: Granted | None = None
        self.is_wanted = True

    def take(self, tx: Transaction) -> Granted | None:
        self._granted = None  # forget an earlier attempt
        if self.is_wanted:
            self._granted = self._operation(tx)
        return self._granted

    def give_back(self, tx: Transaction) -> None:
        """Release what `take` granted, if it was not rolled back. Runs after `take`."""
        granted = self._granted
        if granted is None:
            return
        row = tx.execute(
            compiled(statements.ENTRY_WITH_ID), (granted.account.project_id, granted.entry.id)
        ).fetchone()
        if row is not None and Entry._make(row) == granted.entry:
            holding.release(tx, granted.account, granted.entry.id, None)


class AsyncHold(BaseHold):
    """A `Hold` for asyncio: `settle`, `release`, `extend` and `increase` are awaited.

    `AsyncLedger.hold` returns it. With ``async with`` it is released at the end of the block,
    also by an exception, unless `settle` was called: what a response cost is never released.
    The other attributes are those of `Hold`.
    """

    def __init__(self, journal: AsyncJournal, granted: Granted, estimate: Estimate | None) -> None:
        super().__init__(journal.journal, granted, estimate)
        self._waiting = journal
        self._stream: weakref.ref[AsyncGenerator[Any, None]] | None = None
        self._stream_ended: asyncio.Event | None = None

    async def settle(
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

        `paid`: the response, a `Usage`, or the cost in USD; the other arguments are those of
        `Hold.settle`. Cancelling the task does not cancel the settle.

        Returns the new entry, durable on return. Raises `HoldAlreadyClosed` (has the entry) if
        the hold is settled; `UnreadableResponse`; `StoreError` (await ``settle()`` without
        arguments to retry).
        """
        draft = partial(self._settling, paid, model, usage, tags, occurred_at, key=key)
        priced = not isinstance(paid, (str, Number))
        return await self._record(draft, slow=priced and needs_loading())

    async def _record(self, draft: Callable[[], Draft], *, slow: bool) -> Entry:
        def settling(drafted: Draft) -> Callable[[Transaction], Entry]:
            self._unrecorded = drafted
            return lambda tx: holding.settle(tx, self._account, drafted)

        try:
            entry = await self._waiting.record(draft, settling, slow=slow)
        except HoldAlreadyClosed as error:
            self.closed_by, self._unrecorded = error.entry, None
            raise
        return self._settled(entry)

    async def release(self, *, reason: str | None = None) -> Entry:
        """Close the hold unspent: the amount is available again. `reason` is stored.

        Returns the new entry. Raises `HoldAlreadyClosed` (has the closing entry).
        """
        note = None if reason is None else checked_reason(reason)
        self.closed_by = await self._waiting.write(
            lambda tx: holding.release(tx, self._account, self.id, note)
        )
        return self.closed_by

    async def extend(self, expires_in: float | timedelta) -> datetime:
        """Move the deadline to `expires_in` (seconds or a timedelta) from now.

        Returns the new deadline. Raises `HoldAlreadyClosed`, also after the deadline.
        """
        in_us = span_us(expires_in, "expires_in")
        entry = await self._waiting.write(
            lambda tx: holding.extend(tx, self._account, self.id, in_us)
        )
        self._expires_at_us = entry.expires_at_us or 0
        return self.expires_at

    async def increase(
        self, amount: Amount | None = None, *, tokens: int | None = None, key: str | None = None
    ) -> Decimal:
        """Set aside `amount` USD more, or `tokens`, or both, if all budgets that apply allow it.

        As `Hold.increase`. Returns the amount held now, in USD. Raises `BudgetExceededError`,
        which leaves the hold as it is; `AccountFrozen`, `HoldAlreadyClosed`.
        """
        draft = draft_increase(self.id, amount, tokens, key)
        enforce = self._journal.enforce
        return self._increased(
            await self._waiting.write(
                lambda tx: increase(tx, self._account, draft, enforce=enforce)
            )
        )

    def stream(
        self, chunks: AsyncIterable[T], *, stop_at_limit: bool = False
    ) -> AsyncGenerator[T, None]:
        """Yield the `chunks` of a streamed response, and settle with its usage at the end.

        As `Hold.stream`, read with ``async for``: it also settles if the stream breaks or the
        loop is left early, and warns with `UnrecordedWarning` instead of raising.
        `stop_at_limit`: as for `Hold.stream`; it raises `StreamStopped`.
        """
        passing = self._pass_on(chunks, stop_at_limit)
        self._stream, self._unread = weakref.ref(passing), chunks
        return passing

    async def _pass_on(
        self, chunks: AsyncIterable[T], stop_at_limit: bool
    ) -> AsyncGenerator[T, None]:
        reading, before, refused = StreamReading(), self.closed_by, None
        limit = None
        if stop_at_limit:
            limit = await asyncio.to_thread(self._stream_limit, reading)
        self._got_response = self._streaming = True  # the call was sent
        self._stream_ended, self._unread = asyncio.Event(), None
        try:
            async for chunk in chunks:
                reading.add(chunk)
                with Outside(self._scope):
                    yield chunk
                if limit is not None and limit.seems_short(self.entry):
                    refused = await self._ask_for_more(limit)
                    if refused is not None:
                        break
        finally:
            try:
                await _close(chunks)
            finally:
                self._got_response = reading.started
                try:
                    if reading.started and not self._settled_meanwhile(before):
                        await self._settle_stream(reading)
                finally:
                    self._streaming = False
                    self._stream_ended.set()
        if refused is not None:
            raise stopped(refused, self.id, self.closed_by)

    async def _ask_for_more(self, limit: StreamLimit) -> HoldRefused | None:
        """Increase the hold for what has come of a stream. Returns the refusal."""
        refused, missing = None, await asyncio.to_thread(limit.missing, self.entry)
        for ask in () if missing is None else limit.asks(missing, self.entry):
            try:
                await self.increase(to_usd(ask.pico), tokens=ask.tokens)
            except HoldRefused as error:
                refused = error
            else:
                return None
        return refused

    async def _settle_stream(self, reading: StreamReading) -> None:
        try:
            await self._record(partial(self._stream_settling, reading), slow=True)
        except (HoldAlreadyClosed, StoreError, BudgetledgerWarning) as error:
            self._not_recorded(error)

    async def _end_stream(self) -> None:
        passing = None if self._stream is None else self._stream()
        if passing is not None:
            is_read = getattr(passing, "ag_running", False)
            if not is_read:  # else another task reads and settles it
                await passing.aclose()
        elif self._streaming and self._stream_ended is not None:
            await self._stream_ended.wait()  # it was left early, and the loop closes it
        unread, self._unread = self._unread, None
        with suppress(Exception):
            await _close(unread)

    async def _give_back(self, error: BaseException | None = None) -> None:
        left = self._left_to_do()
        try:
            if left == "settle":
                await self.settle()
            elif left == "release":
                await self.release()
        except HoldAlreadyClosed:
            pass
        except StoreError as failure:
            if left == "settle" and error is None:
                raise
            self._not_recorded(failure)

    async def __aenter__(self) -> AsyncHold:
        self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        try:
            await self._end_stream()
        finally:
            await self._give_back(error)


async def _close(chunks: object) -> None:
    """Close a stream, so that the provider stops."""
    close = getattr(chunks, "aclose", None) or getattr(chunks, "close", None)
    if callable(close):
        closing = close()
        if isawaitable(closing):
            await closing


class PendingHold(Coroutine[Any, Any, AsyncHold]):
    """A requested hold. Use it with ``async with``, or ``await`` it for the `AsyncHold`.

    It is a coroutine, so nothing happens before that, and ``asyncio.create_task`` accepts it.
    """

    def __init__(self, taking: Coroutine[Any, Any, AsyncHold]) -> None:
        self._taking = taking

    def __await__(self) -> Generator[Any, None, AsyncHold]:
        return self._taking.__await__()

    def send(self, value: Any, /) -> Any:
        """Resume it, as any coroutine."""
        return self._taking.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an error in it, as in any coroutine."""
        return self._taking.throw(*error)

    def close(self) -> None:
        """End it before it is awaited; no hold is taken."""
        self._taking.close()

    async def __aenter__(self) -> AsyncHold:
        self._hold = await self._taking
        return await self._hold.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._hold.__aexit__(kind, error, trace)


async def requested_ahold(
    ledger: AsyncLedger,
    account: str,
    request: HoldRequest,
    expires_in: float | timedelta = DEFAULT_EXPIRY_SECONDS,
    wait: float | timedelta = 0,
) -> AsyncHold:
    """`AsyncLedger.hold` for *request*, which may be minimal; for the packages that meter calls."""
    waiting = ledger._journal
    journal = waiting.journal
    prepare = partial(hold_requests.prepare, journal, request)
    prepared = await asyncio.to_thread(prepare) if request.has_prompt else prepare()
    seconds = hold_requests.seconds_of(wait) if journal.enforce else 0.0
    taking_in = partial(hold_requests.taking, journal, account, prepared, expires_in)
    place = Place(journal, taking_in, prepared.draft) if seconds else None
    claim = _Claim(taking_in() if place is None else place.operation)
    try:
        granted = await waiting.write(claim.take)
        assert granted is not None  # because it is wanted
    except asyncio.CancelledError:
        claim.is_wanted = False
        if request.key is None:
            waiting.queue(claim.give_back)
        raise
    except HoldRefused as error:
        if place is None or not error.blocked_by_holds:
            raise hold_requests.refusal_of(error, prepared.estimate) from None
        try:
            granted = await place.atake(error, seconds, waiting)
        except HoldRefused as last:
            raise hold_requests.refusal_of(last, prepared.estimate) from None
    hold_requests.taken(journal, granted, prepared.estimate)
    return AsyncHold(waiting, granted, prepared.estimate)


def awaited_hold(hold: BaseHold) -> AsyncHold:
    """The same hold as an `AsyncHold`; for the packages that meter calls."""
    same = AsyncHold(AsyncJournal(journal_of(hold)), granted_of(hold), estimate_of(hold))
    return in_scope_of(hold, same)


async def asettle_stream(hold: AsyncHold, reading: StreamReading) -> None:
    """Settle with what `reading` has of a stream. Warns instead of raising."""
    await hold._settle_stream(reading)
