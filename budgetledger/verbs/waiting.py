"""Holds that wait for room, in this process: one line and one thread for each ledger.

A hold is decided at once by its caller. If open holds are in the way, it joins the line, and the
thread decides it again, in turn, whenever a hold was closed or has expired: here, of which it is
told; in another process, for which it looks every 25 ms. It ends when no hold waits.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Mapping, Set
from concurrent.futures import Future
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import TypeAlias

from budgetledger.entries import Alert
from budgetledger.errors import BudgetledgerError, HoldRefused
from budgetledger.journal import holding
from budgetledger.journal.holding import Granted, Queue
from budgetledger.journal.holds.waiting_line import BudgetKey, Line, Room, Waiter
from budgetledger.journal.journal import Journal, Taking
from budgetledger.journal.rows import statements
from budgetledger.journal.rows.rules import EVER, Draft
from budgetledger.journal.transaction import Transaction
from budgetledger.storage.dialect import compiled
from budgetledger.storage.protocols import Execute
from budgetledger.storage.sqlite.connection import MEMORY
from budgetledger.storage.store import Store, Watch
from budgetledger.storage.waking import forget, register
from budgetledger.verbs.awaiting import AsyncJournal

TakingIn: TypeAlias = Callable[[Queue], Taking]
"""Makes the operation that takes a hold, at a place in the line."""

Outcome: TypeAlias = tuple[Granted, tuple[Alert, ...]]

_TICK_SECONDS = 0.025
_LOOK_AGAIN_SECONDS = 1.0  # for room that no closed hold made, such as a raised limit


class Place(Waiter):
    """A hold in the line, or about to join it."""

    __slots__ = (
        *("attempt", "has_key", "is_last", "is_wanted", "journal", "operation", "outcome"),
        *("_line", "refusal"),
    )

    def __init__(self, journal: Journal, taking_in: TakingIn, draft: Draft) -> None:
        super().__init__()
        self.journal, self._line = journal, _line_of(journal.store)
        self.operation = taking_in(self)
        self.attempt = journal.inside(self.operation)
        self.has_key = draft.idempotency_key is not None
        self.outcome: Future[Outcome] = Future()
        self.refusal: HoldRefused | None = None
        self.is_wanted = True
        self.is_last = False  # the time is up: what is being decided now is final

    def awaited(self, applies: Set[BudgetKey]) -> Set[BudgetKey]:
        """See `Queue`. Once it is in the line, the line says when it is next."""
        self.applies = applies
        return self._line.awaited(self)

    def take(self, seconds: float) -> Outcome:
        """Take the hold, now or in turn. Raises the refusal."""
        try:
            return self.journal.store.write(self.attempt)
        except HoldRefused as refusal:
            if not refusal.blocked_by_holds:
                raise
            self._line.join(self, refusal)
        try:
            return self.outcome.result(seconds)
        except TimeoutError:
            if not self._line.time_is_up(self):
                return self.outcome.result()
            assert self.refusal is not None
            raise self.refusal from None
        except BudgetledgerError:
            raise
        except BaseException:  # an interrupt
            granted = self._line.withdraw(self)
            if granted is not None:
                _give_back(self, granted)
            raise

    async def atake(self, refusal: HoldRefused, seconds: float, journal: AsyncJournal) -> Granted:
        """Take the hold in turn, for a task, after *refusal*. Raises the last refusal."""
        self._line.join(self, refusal)
        outcome = asyncio.wrap_future(self.outcome)
        outcome.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            done, _ = await asyncio.wait({outcome}, timeout=seconds)
            if not done:
                if self._line.time_is_up(self):
                    assert self.refusal is not None
                    raise self.refusal
                await asyncio.wait({outcome})
        except asyncio.CancelledError:
            late = self._line.withdraw(self)
            if late is not None and not self.has_key:
                journal.queue(_releasing(late[0]))
            raise
        granted, alerts = outcome.result()
        self.journal.tell(alerts)
        return granted


class _Line:
    """The line of one ledger, and its thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._line = Line()
        self._deciding: Place | None = None
        self._is_served = False
        self._woken = Event()
        self._next_expiry_us = EVER

    def awaited(self, place: Place) -> Set[BudgetKey]:
        """What others before a new *place* wait for."""
        with self._lock:
            return frozenset() if place in self._line else self._line.awaited(place.applies)

    def join(self, place: Place, refusal: HoldRefused) -> None:
        """Let *place*, which *refusal* refused, wait."""
        with self._lock:
            _note(place, refusal)
            self._line.join(place)
            self._woken.set()
            if not self._is_served:
                self._is_served = True
                Thread(target=self._serve, name="budgetledger-waiting", daemon=True).start()

    def time_is_up(self, place: Place) -> bool:
        """Take *place* out of the line; False if it is being decided, for the last time."""
        with self._lock:
            if self._deciding is place or place not in self._line:
                place.is_last = True
                return False
            self._line.leave(place)
            self._woken.set()  # it may have barred others
            return True

    def withdraw(self, place: Place) -> Outcome | None:
        """Take *place* out of the line, as its caller is gone. Returns what it got meanwhile."""
        with self._lock:
            place.is_wanted = False
            if place in self._line and self._deciding is not place:
                self._line.leave(place)
                self._woken.set()
            done = place.outcome.done() and place.outcome.exception() is None
            return place.outcome.result() if done else None

    # -- the thread -----------------------------------------------------------------------------

    def _serve(self) -> None:
        register(self._path, self._woken)
        watch: Watch | None = None
        try:
            watched, look_at = None, 0.0
            while (first := self._next_round()) is not None:
                store, is_due = first.journal.store, self._woken.wait(_TICK_SECONDS)
                self._woken.clear()
                try:
                    if watch is None or watched is not store:
                        if watch is not None:
                            watch.close()
                        watch, watched = store.watch(), store
                    is_due = watch.has_changed() or is_due
                    is_due = is_due or first.journal.clock() >= self._next_expiry_us
                    if is_due or monotonic() >= look_at:
                        self._decide_all()
                        self._next_expiry_us = self._first_expiry(first.journal)
                        look_at = monotonic() + _LOOK_AGAIN_SECONDS
                except BudgetledgerError as error:  # the ledger was closed, or its disk failed
                    self._ended(first, error)
        except BaseException as error:
            self._fail_all(error)
            raise
        finally:
            forget(self._path, self._woken)
            if watch is not None:
                watch.close()

    def _next_round(self) -> Place | None:
        """The oldest hold in the line; None if there is none and the thread ends."""
        with self._lock:
            first = next(iter(self._line), None)
            assert first is None or isinstance(first, Place)
            self._is_served = first is not None
            return first

    def _decide_all(self) -> None:
        tried: set[Waiter] = set()
        room: dict[BudgetKey, Room] = {}
        while True:
            with self._lock:
                place = self._line.next(tried, room)
                if place is None:
                    return
                assert isinstance(place, Place)
                self._deciding = place
            tried.add(place)
            try:
                outcome = place.journal.store.write(place.attempt)
            except HoldRefused as refusal:
                room.update(self._refused(place, refusal))
            except BaseException as error:
                self._ended(place, error)
                if not isinstance(error, BudgetledgerError):
                    raise
            else:
                self._granted(place, outcome)

    def _refused(self, place: Place, refusal: HoldRefused) -> Mapping[BudgetKey, Room]:
        found: Mapping[BudgetKey, Room] = vars(refusal).get("room", {})
        if place.is_last or not place.is_wanted or not refusal.blocked_by_holds:
            self._ended(place, refusal)
        else:
            with self._lock:
                self._line.refused(place, found)
                place.refusal, self._deciding = refusal, None
                is_over = place.is_last or not place.is_wanted
            if is_over:  # since the line above
                self._ended(place, refusal)
        return found

    def _ended(self, place: Place, error: BaseException) -> None:
        with self._lock:
            self._deciding = None
            if place in self._line:
                self._line.leave(place)
        if not place.outcome.done():
            place.outcome.set_exception(error)

    def _granted(self, place: Place, outcome: Outcome) -> None:
        with self._lock:
            self._deciding = None
            self._line.granted(place)
            is_wanted = place.is_wanted
            if is_wanted:
                place.outcome.set_result(outcome)
        if not is_wanted:
            _give_back(place, outcome)

    def _first_expiry(self, journal: Journal) -> int:
        """The first deadline to come of the holds in the way."""
        with self._lock:
            account_ids = {account_id for account_id, _ in self._line.budgets()}
        now_us, statement = journal.clock(), compiled(statements.FIRST_DEADLINE)

        def first(execute: Execute) -> int:
            rows = [execute(statement, (one, now_us)).fetchone() for one in account_ids]
            return min((us for (us,) in rows if us is not None), default=EVER)

        return journal.store.read(first)

    def _fail_all(self, error: BaseException) -> None:
        with self._lock:
            self._is_served, self._deciding = False, None
            places = list(self._line)
            for place in places:
                self._line.leave(place)
        for place in places:
            assert isinstance(place, Place)
            if not place.outcome.done():
                place.outcome.set_exception(error)


def _note(place: Place, refusal: HoldRefused) -> None:
    place.refusal, place.room = refusal, vars(refusal).get("room", {})


def _give_back(place: Place, outcome: Outcome) -> None:
    """Release a hold whose caller is gone; one with a key stays, for the retry."""
    if not place.has_key:
        with suppress(BudgetledgerError):  # then it counts until it expires
            place.journal.write(_releasing(outcome[0]))


def _releasing(granted: Granted) -> Callable[[Transaction], object]:
    return lambda tx: holding.release(tx, granted.account, granted.entry.id, None)


_lines: dict[str, _Line] = {}
_in_memory: weakref.WeakKeyDictionary[Store, _Line] = weakref.WeakKeyDictionary()
_opening = Lock()


def _line_of(store: Store) -> _Line:
    with _opening:
        if store.path == MEMORY:
            return _in_memory.setdefault(store, _Line(store.path))
        return _lines.setdefault(store.path, _Line(store.path))


def _after_fork() -> None:
    """The threads, and the holds that wait, exist only in the parent."""
    global _opening
    _opening = Lock()
    _lines.clear()
    _in_memory.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
