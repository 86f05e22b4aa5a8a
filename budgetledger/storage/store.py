"""An open ledger, in a file or on a server: the order of writes and reads, closing, forks."""

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
    """What a store has open; apart from the store, so that it can be closed after it."""

    @property
    def writing(self) -> Connection:
        """The connection that writes."""

    @property
    def reading(self) -> Connection:
        """The connection that reads."""

    def close(self) -> None:
        """Close all of it."""


class Watch(Protocol):
    """Notices that another process may have made room for holds."""

    def has_changed(self) -> bool:
        """Whether it may have since the last call. Takes microseconds. Raises `StoreError`."""

    def close(self) -> None:
        """Stop."""


class VersionWatch:
    """A `Watch` by the number that changes with every commit on another connection."""

    def __init__(self, store: Store) -> None:
        self._store, self._version = store, -1

    def has_changed(self) -> bool:
        """See `Watch`."""
        statement = self._store.data_version
        if statement is None:
            return False
        before = self._version
        self._version = self._store.read(lambda execute: int(execute(statement).fetchone()[0]))
        return self._version != before

    def close(self) -> None:
        """See `Watch`."""


class Store(ABC):
    """An open ledger, in a file or on a server. Threads may share it, and it survives a fork."""

    inspection: Inspection
    """What `verify` checks besides the rows."""

    data_version: str | None = None
    """A statement for a number that changes when another connection writes, if there is one."""

    def __init__(self, target: str | os.PathLike[str], synchronous: Synchronous) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise InvalidInput(
                "synchronous must be 'FULL' (survives power loss) or 'NORMAL' (survives a "
                f"killed process), got {synchronous!r}"
            )
        _close_orphaned()
        self.path = self._locate(target)
        if self.path in _unsafe:
            self._refuse_after_fork()
        self._synchronous = synchronous
        self._pid = _this_pid
        self._closed = False
        self.generation = 0
        """Increases, in the writer's turn, whenever a transaction or savepoint may have been
        rolled back, and at each opening of the file. What operations cache of their own rows is
        valid only while it is unchanged."""
        self._apart = Condition(Lock())
        self._readers_apart: Counter[int] = Counter()  # by thread
        self._rests_wanted = 0
        self._writer = self._make_writer()
        self._read_lock = self._writer.turn if self.path == MEMORY else Lock()
        # Threads that are reading: another read of theirs would deadlock. In memory, reads and
        # writes take turns.
        self._reading = self._writer.amid if self.path == MEMORY else set[int]()
        self._files: Opened | None = None
        with translating(self.path), self._writer.turn:
            self._open()
        _stores.add(self)

    # -- what depends on the kind of store ----------------------------------------------------

    @abstractmethod
    def _locate(self, target: str | os.PathLike[str]) -> str:
        """The `path` of *target*."""

    @abstractmethod
    def _open(self) -> Opened:
        """Open files or connections, in the writer's turn: at first, and again after a fork."""

    @abstractmethod
    def reading_apart(self) -> AbstractContextManager[Connection]:
        """One snapshot on a connection of its own, for long reads."""

    @abstractmethod
    def session_engine(self) -> AbstractContextManager[Engine]:
        """An SQLAlchemy engine on one snapshot, read-only."""

    def _make_writer(self) -> Writer:
        return Writer(self._open, self._count_up)

    @property
    def renewals(self) -> int:
        """How often the server was reconnected; each time, cached rows may be outdated."""
        return 0

    def watch(self) -> Watch:
        """Notices that others close holds; call it from one thread."""
        return VersionWatch(self)

    # -- writing and reading ------------------------------------------------------------------

    def write(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* in a write transaction and return its result; durable on return."""
        if self._pid != _this_pid:
            self._refuse_after_fork()
        try:
            return self._writer.run(operation)
        except _FOREIGN as error:
            raise _translated(error, self.path) from error

    def is_amid_write(self) -> bool:
        """Whether this thread is in a write: a finaliser or signal handler may run inside one."""
        return get_ident() in self._writer.amid

    def write_later(
        self, operation: Callable[[Execute], T], on_result: Callable[[T], object] | None = None
    ) -> None:
        """Queue *operation* for another thread, which then calls *on_result* with the result.

        Exceptions are lost.
        """
        self._writer.run_later(operation, on_result)

    async def awrite(
        self, operation: Callable[[Execute], T], on_result: Callable[[T], object] | None = None
    ) -> T:
        """`write` for a task, without blocking its event loop.

        *operation* is queued at once and runs in another thread. Cancelling the task does not
        withdraw it: only the task loses its outcome, while *on_result* is called on the loop.
        Closing the store, or ending the program, waits until it is written.
        """
        if self._pid != _this_pid:
            self._refuse_after_fork()
        try:
            return await self._writer.arun(operation, on_result)
        except _FOREIGN as error:
            raise _translated(error, self.path) from error

    async def aread(self, operation: Callable[[Execute], T]) -> T:
        """`read` for a task, in a thread of its event loop's default executor."""
        from asyncio import get_running_loop

        return await get_running_loop().run_in_executor(None, self.read, operation)

    def read(self, operation: Callable[[Execute], T]) -> T:
        """Run *operation* on one snapshot of the ledger."""
        if self._pid != _this_pid:
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
                    if connection.in_transaction:  # not if an interrupt came first
                        connection.execute("COMMIT")
        finally:
            amid.discard(thread)

    def _exclusively(self, action: Callable[[], object]) -> None:
        """Run *action* while nothing else writes; at once if this thread is in a write."""
        if self.is_amid_write():
            action()
        else:
            self._writer.exclusively(action)

    # -- opening and closing ------------------------------------------------------------------

    def _keep(self, files: Opened) -> None:
        self._finalizer = weakref.finalize(self, _orphaned.append, files)
        self._finalizer.atexit = False
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
        """Close files and locks once running operations have ended. Harmless when repeated."""
        if self._pid != _this_pid:
            self._closed = True
            return
        with self._at_rest():
            self._writer.write_out()
            self._closed = True
            self._close_files()
        _stores.discard(self)
        _close_orphaned()

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Let no other thread read or write. This thread may have `reading_apart` open."""
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
            self._finalizer.detach()
            files.close()

    # -- over a fork ----------------------------------------------------------------------------

    @property
    def _is_here(self) -> bool:
        return self._pid == _this_pid

    def _refuse_after_fork(self) -> NoReturn:
        raise StoreError(
            f"{self.path} had a session or another long read open when this process was forked; "
            "close it before forking, or start processes by spawn",
            target=self.path,
        )


@contextmanager
def translating(path: str) -> Iterator[None]:
    """Translate errors of the system and of SQLite into those of this package."""
    try:
        yield
    except _FOREIGN as error:
        raise _translated(error, path) from error


_FOREIGN = (sqlite3.Error, OSError, LockTimeout, Reentered)


def _translated(error: Exception, path: str) -> StoreError:
    if isinstance(error, Reentered):
        return StoreBusy(
            f"{path} is already in use by this thread, which a signal handler or finaliser has "
            "interrupted; nothing was done; use the ledger outside of it",
            target=path,
        )
    if isinstance(error, LockTimeout):
        return StoreBusy(
            f"{path} stayed locked by another process, which may have been stopped; nothing was "
            f"recorded; resume or end that process (`fuser {path}.lock` names it) and retry",
            target=path,
        )
    return _sqlite.translated(error, path)


_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_orphaned: deque[Opened] = deque()
"""Files of garbage-collected stores. Closing waits for locks, which the collector must not: it may
run inside any code, even inside a write."""


def _close_orphaned() -> None:
    while _orphaned:
        _orphaned.popleft().close()


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
            store._close_files()  # not the store: a later charge opens the file again
    _close_orphaned()


atexit.register(_close_all)


# SQLite keeps one record of a file's locks for a whole process. A forked child would inherit
# the record but not the locks, trust it, and lose what it commits once the parent closes the
# file. So nothing is open while a process forks; both sides reopen when they need to.

_this_pid = os.getpid()
"""The id of this process. `os.getpid` takes longer than all other checks of a write."""
_forking = Lock()
_resting: list[tuple[Store, AbstractContextManager[None]]] = []
_unsafe: set[str] = set()
"""Files that were still open when this process was forked."""


def _before_fork() -> None:
    _forking.acquire()
    for store in _all_stores():
        rest = store._at_rest()
        rest.__enter__()
        _resting.append((store, rest))
        if store.path != MEMORY:
            store._close_files()
    _close_orphaned()


def _after_fork_in_parent() -> None:
    while _resting:
        _resting.pop()[1].__exit__(None, None, None)
    _forking.release()


def _after_fork_in_child() -> None:
    global _this_pid
    _this_pid = os.getpid()
    for store, _ in _resting:
        store._writer.forget_queue()  # its threads exist only in the parent
        store._reading.clear()
        if +store._readers_apart:
            _unsafe.add(store.path)
        else:
            store._pid = _this_pid
    _after_fork_in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
