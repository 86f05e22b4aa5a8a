"""An open ledger, wherever it is: who writes and reads when, and its life in a process."""

from __future__ import annotations

import atexit
import os
import sqlite3
import weakref
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition, Lock, get_ident
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from budgetledger.errors import InvalidInput, StoreBusy, StoreError
from budgetledger.storage.process_lock import LockTimeout
from budgetledger.storage.protocols import Connection, Execute
from budgetledger.storage.sqlite import connection as _sqlite
from budgetledger.storage.sqlite.connection import MEMORY, Synchronous
from budgetledger.storage.writer import Reentered, Writer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from budgetledger.storage.schema import Inspection

T = TypeVar("T")


class Opened(Protocol):
    """What a store has open; apart from it, to be closed when the store itself is gone."""

    @property
    def writing(self) -> Connection:
        """The connection that writes."""

    @property
    def reading(self) -> Connection:
        """The connection that reads."""

    def close(self) -> None:
        """Give all of it back."""


class Store(ABC):
    """An open ledger, wherever it is. Safe to share between threads, and to carry over a fork."""

    inspection: Inspection
    """What `verify` looks into beside the rows."""

    data_version: str | None = None
    """The statement for a number that stays as it is until somebody else writes, if any."""

    def __init__(self, target: str | os.PathLike[str], synchronous: Synchronous) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise InvalidInput(
                "synchronous must be 'FULL' (survives power loss) or 'NORMAL' (survives a "
                f"killed process), got {synchronous!r}"
            )
        _close_forgotten()
        self.path = self._locate(target)
        if self.path in _unsafe:
            self._refuse_after_fork()
        self._synchronous = synchronous
        self._pid = _here
        self._closed = False
        self.generation = 0
        """Counts up, in the writer's turn, whenever rows that an operation wrote may be gone
        again (its transaction or its part of one was rolled back), and at each opening of the
        file. What operations remember of their own rows is true only while it stays the same."""
        self._apart = Condition(Lock())
        self._readers_apart: Counter[int] = Counter()  # by thread
        self._rests_wanted = 0
        self._writer = self._make_writer()
        self._read_lock = self._writer.turn if self.path == MEMORY else Lock()
        # Threads that are amid it, and would wait for themselves. In memory, reading takes turns
        # with writing.
        self._reading = self._writer.amid if self.path == MEMORY else set[int]()
        self._files: Opened | None = None
        with translating(self.path), self._writer.turn:
            self._open()
        _stores.add(self)

    # -- what depends on where it is ----------------------------------------------------------

    @abstractmethod
    def _locate(self, target: str | os.PathLike[str]) -> str:
        """What *target* names, as `path` shows it."""

    @abstractmethod
    def _open(self) -> Opened:
        """Open what there is, in the writer's turn: at first, and when a fork has closed it."""

    @abstractmethod
    def reading_apart(self) -> AbstractContextManager[Connection]:
        """One snapshot on a connection of its own, for what takes long."""

    @abstractmethod
    def session_engine(self) -> AbstractContextManager[Engine]:
        """An SQLAlchemy engine on one snapshot, read-only."""

    def _make_writer(self) -> Writer:
        return Writer(self._open, self._count_up)

    @property
    def renewals(self) -> int:
        """How often it was reached anew, so that all that is known of its rows may be wrong."""
        return 0

    # -- using it ---------------------------------------------------------------------------

    def write(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* in a write transaction of its own; durable on return."""
        if self._pid != _here:
            self._refuse_after_fork()
        try:
            return self._writer.run(operation)
        except _FOREIGN as error:
            raise _translated(error, self.path) from error

    def is_amid_write(self) -> bool:
        """Whether this thread is amid a write: finalisers and signal handlers run anywhere."""
        return get_ident() in self._writer.amid

    def leave(
        self, operation: Callable[[Execute], T], hear: Callable[[T], object] | None = None
    ) -> None:
        """Have *operation* written soon, by another thread, which calls *hear* with the result.

        What it raises is lost.
        """
        self._writer.leave(operation, hear)

    async def awrite(
        self, operation: Callable[[Execute], T], hear: Callable[[T], object] | None = None
    ) -> T:
        """`write`, for a task: its event loop goes on meanwhile.

        *operation* runs in another thread. It is queued at once; cancelling the task does not
        withdraw it, and only its outcome is lost; but *hear*, called on the loop with its
        result. Closing the store, or ending the program, waits until it is written.
        """
        if self._pid != _here:
            self._refuse_after_fork()
        try:
            return await self._writer.arun(operation, hear)
        except _FOREIGN as error:
            raise _translated(error, self.path) from error

    async def aread(self, operation: Callable[[Execute], T]) -> T:
        """`read`, for a task: in a thread of its event loop's default executor."""
        from asyncio import get_running_loop

        return await get_running_loop().run_in_executor(None, self.read, operation)

    def read(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* on one snapshot of the ledger."""
        if self._pid != _here:
            self._refuse_after_fork()
        amid, thread = self._reading, get_ident()
        if thread in amid:
            raise _translated(Reentered(), self.path)
        try:
            amid.add(thread)
            with translating(self.path), self._read_lock:
                connection = (self._files or self._reopen()).reading
                try:
                    connection.execute("BEGIN")
                    return operation(connection.execute)
                finally:
                    if connection.in_transaction:  # an interrupt may come before or after
                        connection.execute("COMMIT")
        finally:
            amid.discard(thread)

    def _exclusively(self, action: Callable[[], object]) -> None:
        """Run *action* while nobody else writes; at once, if this thread is amid a write."""
        if self.is_amid_write():
            action()
        else:
            self._writer.exclusively(action)

    # -- opening and closing ------------------------------------------------------------------

    def _keep(self, files: Opened) -> None:
        self._forgetting = weakref.finalize(self, _forgotten.append, files)
        self._forgetting.atexit = False
        self._count_up()
        self._files = files

    def _count_up(self) -> None:
        self.generation += 1

    def _reopen(self) -> Opened:
        if self._read_lock is self._writer.turn:
            return self._open()
        with self._writer.turn:
            return self._open()

    def close(self) -> None:
        """Give files and locks back, when what is running has ended. Harmless when repeated."""
        if self._pid != _here:
            self._closed = True
            return
        with self._at_rest():
            self._writer.write_out()
            self._closed = True
            self._close_files()
        _stores.discard(self)
        _close_forgotten()

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Nobody reads or writes meanwhile; but for what this thread itself reads apart."""
        own = get_ident()
        if self.is_amid_write() or own in self._reading:
            raise _translated(Reentered(), self.path)
        with self._apart, self._writer.marking():
            self._rests_wanted += 1
            try:
                self._apart.wait_for(lambda: set(+self._readers_apart) <= {own})
                if self._read_lock is self._writer.turn:
                    with self._writer.turn:
                        yield
                else:
                    with self._read_lock, self._writer.turn:
                        yield
            finally:
                self._rests_wanted -= 1
                self._apart.notify_all()

    def _close_files(self) -> None:
        files, self._files = self._files, None
        self._writer.detach()
        if files is not None:
            self._forgetting.detach()
            files.close()

    # -- over a fork ----------------------------------------------------------------------------

    @property
    def _is_here(self) -> bool:
        return self._pid == _here

    def _refuse_after_fork(self) -> NoReturn:
        raise StoreError(
            f"{self.path} was in use when this process was forked, in a way that could not be "
            "paused; close sessions before forking, or start processes by spawn",
            target=self.path,
        )


@contextmanager
def translating(path: str) -> Iterator[None]:
    """Raise errors of the system and of SQLite as those of this package."""
    try:
        yield
    except _FOREIGN as error:
        raise _translated(error, path) from error


_FOREIGN = (sqlite3.Error, OSError, LockTimeout, Reentered)


def _translated(error: Exception, path: str) -> StoreError:
    if isinstance(error, Reentered):
        return StoreBusy(
            f"{path} is in use by this very thread, and a signal handler or finaliser would go "
            "amid that; nothing was done; do it from elsewhere",
            target=path,
        )
    if isinstance(error, LockTimeout):
        return StoreBusy(
            f"{path} stayed locked by another process, which may have been stopped; nothing was "
            f"recorded; let that process go on or end it (`fuser {path}.lock` names it) and retry",
            target=path,
        )
    return _sqlite.translated(error, path)


_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_forgotten: deque[Opened] = deque()
"""Files of stores that were garbage-collected: closing waits for locks, which a collector,
running amid anything, must not."""


def _close_forgotten() -> None:
    while _forgotten:
        _forgotten.popleft().close()


def _all_stores() -> list[Store]:
    while True:
        try:
            return list(_stores)
        except RuntimeError:  # another thread opened one meanwhile
            continue


def _close_all() -> None:
    for store in _all_stores():
        with store._at_rest():
            store._writer.write_out()
            store._close_files()  # and not the store: who charges later still, opens it again
    _close_forgotten()


atexit.register(_close_all)


# SQLite keeps one record of a file's locks for a whole process. A forked child would inherit
# the record but not the locks, trust it, and lose what it commits once the parent closes the
# file. So nothing is open while a process forks; both sides open again when they need to.

_here = os.getpid()
"""This process. Asking the system at each write would take longer than all its other checks."""
_forking = Lock()
_resting: list[tuple[Store, AbstractContextManager[None]]] = []
_unsafe: set[str] = set()
"""Files that were open, all the same, when this process was forked."""


def _before_fork() -> None:
    _forking.acquire()
    for store in _all_stores():
        rest = store._at_rest()
        rest.__enter__()
        _resting.append((store, rest))
        if store.path != MEMORY:
            store._close_files()
    _close_forgotten()


def _after_fork_in_parent() -> None:
    while _resting:
        _resting.pop()[1].__exit__(None, None, None)
    _forking.release()


def _after_fork_in_child() -> None:
    global _here
    _here = os.getpid()
    for store, _ in _resting:
        store._writer.forget_queue()  # of threads that are not here
        store._reading.clear()
        if +store._readers_apart:
            _unsafe.add(store.path)
        else:
            store._pid = _here
    _after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
