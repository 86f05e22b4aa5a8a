"""The ledger for asyncio: the same methods, awaited, over the same writer's queue.

Nothing here blocks the event loop: writes are queued and awaited, and what computes for long
(counting a prompt, loading prices, reading) runs in a thread.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from datetime import datetime, timedelta
from functools import wraps
from inspect import isawaitable
from itertools import islice
from os import PathLike
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from budgetledger import _holding
from budgetledger._charging import draft_charge, draft_hold, needs_loading
from budgetledger._estimates import Estimate
from budgetledger._holding import Granted
from budgetledger._streams import StreamReading
from budgetledger._transaction import Transaction
from budgetledger.entries import Entry
from budgetledger.errors import BudgetExceededError, HoldAlreadyClosed, StoreError
from budgetledger.holds import BaseHold
from budgetledger.ledger import Ledger, with_largest_output
from budgetledger.money import Amount
from budgetledger.names import checked_name
from budgetledger.pricing import Usage
from budgetledger.rules import Draft
from budgetledger.windows import span_us

P = ParamSpec("P")
T = TypeVar("T")
_PAGE = 1000


def _in_thread(
    method: Callable[Concatenate[Ledger, P], T],
) -> Callable[Concatenate[AsyncLedger, P], Coroutine[Any, Any, T]]:
    """A method of `Ledger` that is not called at every turn, run off the loop."""

    @wraps(method)
    async def run(self: AsyncLedger, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, self.ledger, *args, **kwargs)

    return run


class AsyncLedger:
    """A `Ledger` whose methods are awaited; see there for what each does.

    *target*: what `Ledger` takes, with the same options; or a `Ledger`, which then serves
    threads and tasks at once. (Creating a new file takes half a second: open it before the
    loop is busy.) ``on_alert`` is called on the loop. Cancelling a task does not undo what it
    had begun to record, but a hold that it was about to get is released.
    """

    def __init__(self, target: str | PathLike[str] | Ledger, **options: Any) -> None:
        self.ledger = target if isinstance(target, Ledger) else Ledger(target, **options)

    set_budget = _in_thread(Ledger.set_budget)
    remove_budget = _in_thread(Ledger.remove_budget)
    budgets = _in_thread(Ledger.budgets)
    shift_window = _in_thread(Ledger.shift_window)
    set_parent = _in_thread(Ledger.set_parent)
    freeze = _in_thread(Ledger.freeze)
    unfreeze = _in_thread(Ledger.unfreeze)
    alerts = _in_thread(Ledger.alerts)
    can_afford = _in_thread(Ledger.can_afford)
    adjust = _in_thread(Ledger.adjust)
    balance = _in_thread(Ledger.balance)
    model_costs = _in_thread(Ledger.model_costs)
    accounts = _in_thread(Ledger.accounts)
    verify = _in_thread(Ledger.verify)
    backup = _in_thread(Ledger.backup)
    close = _in_thread(Ledger.close)

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
        expires_in: float | timedelta = 1800,
    ) -> _Holding:
        """As `Ledger.hold`: ``await`` it for an `AsyncHold`, or enter it by ``async with``."""
        ledger = self.ledger

        def draft() -> tuple[Draft, Estimate | None]:
            return draft_hold(
                amount, model, messages, text, tools, max_output_tokens, n, tokens, key, tags,
                ledger._default_output_tokens, ledger._clock,
            )  # fmt: skip

        async def take() -> AsyncHold:
            counting = messages is not None or text is not None
            drafted, estimate = await asyncio.to_thread(draft) if counting else draft()
            writing = asyncio.ensure_future(
                self._write(ledger._holding(account, drafted, expires_in))
            )
            try:
                granted = await asyncio.shield(writing)
            except asyncio.CancelledError:
                writing.add_done_callback(self._release_unclaimed)
                raise
            except BudgetExceededError as error:
                raise with_largest_output(error, estimate) from None
            ledger._granted(granted, estimate)
            return AsyncHold(self, granted, estimate)

        return _Holding(take)

    def _release_unclaimed(self, writing: asyncio.Future[Granted]) -> None:
        """Give back what a cancelled task was granted after all."""
        if writing.cancelled() or writing.exception() is not None:
            return
        hold = AsyncHold(self, writing.result(), None)
        task = asyncio.ensure_future(hold._give_back())
        _unclaimed.add(task)
        task.add_done_callback(_unclaimed.discard)

    async def holds(self, account: str) -> list[AsyncHold]:
        """As `Ledger.holds`."""
        found = await asyncio.to_thread(self.ledger._open_holds, account)
        return [AsyncHold(self, granted, None) for granted in found]

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
        """As `Ledger.charge`."""
        ledger = self.ledger
        facts = (response, cost, model, usage, key, tags, occurred_at, ledger._clock)
        draft = await _drafted(lambda: draft_charge(*facts), cost is None)
        return ledger._charged(account, await self._write(ledger._charging(account, draft)))

    async def entries(
        self,
        account: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """As `Ledger.entries`, to be read by ``async for``."""
        found = await asyncio.to_thread(self.ledger.entries, account, since=since, until=until)
        while page := await asyncio.to_thread(lambda: list(islice(found, _PAGE))):
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

    async def _write(self, operation: Callable[[Transaction], T]) -> T:
        ledger = self.ledger
        result, alerts = await ledger._store.awrite(ledger._inside(operation))
        if alerts:
            ledger._tell(alerts)
        return result


class AsyncHold(BaseHold):
    """A `Hold` whose steps are awaited; see there for what each does."""

    _stream: weakref.ref[AsyncGenerator[Any, None]] | None = None

    def __init__(self, ledger: AsyncLedger, granted: Granted, estimate: Estimate | None) -> None:
        super().__init__(ledger.ledger, granted, estimate)
        self._async_ledger = ledger

    async def settle(
        self,
        paid: object = None,
        *,
        model: str | None = None,
        usage: Usage | None = None,
        tags: Mapping[str, Any] | None = None,
        occurred_at: datetime | None = None,
    ) -> Entry:
        """As `Hold.settle`."""
        priced = not isinstance(paid, (str, int, float))
        return await self._record(
            await _drafted(lambda: self._settling(paid, model, usage, tags, occurred_at), priced)
        )

    async def _record(self, draft: Draft) -> Entry:
        self._unrecorded = draft
        try:
            entry = await self._async_ledger._write(
                lambda tx: _holding.settle(tx, self._account, draft)
            )
        except HoldAlreadyClosed as error:
            self.closed_by, self._unrecorded = error.entry, None
            raise
        return self._settled(entry)

    async def release(self, *, reason: str | None = None) -> Entry:
        """As `Hold.release`."""
        note = None if reason is None else checked_name(reason, "reason")
        self.closed_by = await self._async_ledger._write(
            lambda tx: _holding.release(tx, self._account, self.id, note)
        )
        return self.closed_by

    async def extend(self, expires_in: float | timedelta) -> datetime:
        """As `Hold.extend`."""
        in_us = span_us(expires_in, "expires_in")
        entry = await self._async_ledger._write(
            lambda tx: _holding.extend(tx, self._account, self.id, in_us)
        )
        self._expires_at_us = entry.expires_at_us or 0
        return self.expires_at

    def stream(self, chunks: AsyncIterable[T]) -> AsyncGenerator[T, None]:
        """As `Hold.stream`, to be read by ``async for``."""
        passing = self._pass_on(chunks)
        self._stream = weakref.ref(passing)
        return passing

    async def _pass_on(self, chunks: AsyncIterable[T]) -> AsyncGenerator[T, None]:
        reading = StreamReading()
        self._streaming = True
        try:
            async for chunk in chunks:
                reading.add(chunk)
                yield chunk
        finally:
            close = getattr(chunks, "aclose", None) or getattr(chunks, "close", None)
            try:
                if callable(close):  # tells the provider to stop
                    closing = close()
                    if isawaitable(closing):
                        await closing
            finally:
                if reading.started and self.closed_by is None:
                    await self._settle_stream(reading)
                self._streaming = False

    async def _settle_stream(self, reading: StreamReading) -> None:
        try:
            await self._record(await asyncio.to_thread(self._stream_settling, reading))
        except (HoldAlreadyClosed, StoreError) as error:
            self._not_recorded(error)

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
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        passing = None if self._stream is None else self._stream()
        if passing is not None:
            await passing.aclose()
        await self._give_back(error)


class _Holding(Awaitable[AsyncHold]):
    """A hold about to be taken: awaited, or entered."""

    def __init__(self, take: Callable[[], Coroutine[Any, Any, AsyncHold]]) -> None:
        self._take = take
        self._hold: AsyncHold | None = None

    def __await__(self) -> Generator[Any, None, AsyncHold]:
        return self._take().__await__()

    async def __aenter__(self) -> AsyncHold:
        self._hold = await self._take()
        return self._hold

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._hold is not None
        await self._hold.__aexit__(kind, error, trace)


_unclaimed: set[asyncio.Task[None]] = set()
"""Tasks that nobody awaits; a loop alone would let them be collected."""


async def _drafted(draft: Callable[[], Draft], priced: bool) -> Draft:
    """The draft of a cost; in a thread while prices are still to be loaded."""
    if priced and needs_loading():
        return await asyncio.to_thread(draft)
    return draft()
