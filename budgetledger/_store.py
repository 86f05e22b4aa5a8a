"""An open ledger: one connection that writes, one that reads, and their lives."""

from __future__ import annotations

import atexit
import os
import sqlite3
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from threading import Condition, Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from budgetledger import _migrate, _sqlite
from budgetledger._lock import LockTimeout, NoLock, ProcessLock
from budgetledger._paths import is_server
from budgetledger._sqlite import MEMORY, Synchronous
from budgetledger._writer import Connection, Execute, Writer
from budgetledger.errors import InvalidInput, StoreBusy, StoreError, StoreNotFound

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from budgetledger._migrate import Inspection

T = TypeVar("T")

_CLOSING_SECONDS = 5.0
_IDENTIFIED_SECONDS = 0.01


class Opened(Protocol):
    """What a store has open; apart from it, to be closed when the store itself is gone."""

    @property
    def writing(self) -> Connection: ...

    @property
    def reading(self) -> Connection: ...

    def close(self) -> None:
        """Give all of it back."""


class _Files:
    """An SQLite file."""

    writing: Connection
    reading: Connection

    def __init__(self, path: str, synchronous: Synchronous) -> None:
        self.lock: ProcessLock = NoLock() if path == MEMORY else ProcessLock(f"{path}.lock")
        try:
            self.of_file = self.writing = _sqlite.connect(path, synchronous)
        except BaseException:
            self.lock.close()
            raise
        self.reading = self.writing

    def close(self) -> None:
        # The last connection to close writes the log back into the file. SQLite up to 3.51.2
        # can corrupt it if another process commits meanwhile, so nobody may. A process that
        # hangs amid a write has the file open, so that this connection is not the last one.
        try:
            with suppress(LockTimeout):
                self.lock.acquire(_CLOSING_SECONDS)
            self.reading.close()
            self.writing.close()
        finally:
            self.lock.release()
            self.lock.close()


def open_store(target: str | os.PathLike[str], synchronous: Synchronous) -> Store:
    """The store that *target* names: an SQLite file, or a database of a PostgreSQL server."""
    if is_server(target):
        from budgetledger._postgres_store import PostgresStore

        return PostgresStore(target, synchronous)
    return Store(target, synchronous)


class Store:
    """An open ledger file. Safe to share between threads, and to carry over a fork."""

    inspection: Inspection = _migrate.INSPECTION
    """What `verify` looks into beside the rows."""

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
        self._writing: set[int] = set()
        self._reading = self._writing if self.path == MEMORY else set[int]()
        self._files: Opened | None = None
        self._identity: tuple[int, int] | None = None
        with _translating(self.path), self._writer.turn:
            self._open()
        _stores.add(self)

    def _locate(self, target: str | os.PathLike[str]) -> str:
        """What *target* names, as `path` shows it."""
        _sqlite.check_version()
        return _sqlite.path_of(target)

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
        thread = get_ident()
        if thread in self._writing or self._writer.thread == thread:
            raise self._amid_it()
        try:
            self._writing.add(thread)
            return self._writer.run(operation)
        except _FOREIGN as error:
            raise _translated(error, self.path) from error
        finally:
            self._writing.discard(thread)

    def _amid_it(self) -> StoreBusy:
        return StoreBusy(
            f"{self.path} is in use by this very thread, and a signal handler or finaliser "
            "would go amid that; nothing was done; do it from elsewhere",
            target=self.path,
        )

    def is_amid_write(self) -> bool:
        """Whether this thread is amid a write: finalisers and signal handlers run anywhere."""
        thread = get_ident()
        return thread in self._writing or self._writer.thread == thread

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
            raise self._amid_it()
        try:
            amid.add(thread)
            with _translating(self.path), self._read_lock:
                connection = (self._files or self._reopen()).reading
                try:
                    connection.execute("BEGIN")
                    return operation(connection.execute)
                finally:
                    if connection.in_transaction:  # an interrupt may come before or after
                        connection.execute("COMMIT")
        finally:
            amid.discard(thread)

    @contextmanager
    def reading_apart(self) -> Iterator[Connection]:
        """One snapshot on a connection of its own, for what takes long."""
        with self._reading_file_apart() as connection:
            yield connection

    @contextmanager
    def _reading_file_apart(self) -> Iterator[sqlite3.Connection]:
        if self.path == MEMORY:
            with _translating(self.path), closing(sqlite3.connect(MEMORY)) as copy:
                with self._read_lock:
                    files = self._files or self._reopen()
                    assert isinstance(files, _Files)
                    files.of_file.backup(copy)
                yield copy
            return
        thread = get_ident()
        with _translating(self.path):
            with self._apart:
                # Who reads already goes on; others let pass who waits for the readers' end.
                self._apart.wait_for(lambda: not self._rests_wanted or self._readers_apart[thread])
                connection = self._connect_to_read()
                self._readers_apart[thread] += 1
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._exclusively(connection.close)
                with self._apart:
                    self._readers_apart[thread] -= 1
                    self._apart.notify_all()

    def _exclusively(self, action: Callable[[], object]) -> None:
        """Run *action* while nobody else writes; at once, if this thread is amid a write."""
        thread = get_ident()
        if self.is_amid_write():
            action()
            return
        try:
            self._writing.add(thread)
            self._writer.exclusively(action)
        finally:
            self._writing.discard(thread)

    def _connect_to_read(self) -> sqlite3.Connection:
        if self._closed:
            raise _sqlite.closed(self.path)
        connection = _sqlite.connect(self.path, self._synchronous)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy the whole ledger, as of now, into the new file *target*."""
        path = _sqlite.path_of(target)
        if path == MEMORY or os.path.exists(path):
            raise InvalidInput(f"a backup needs a file that is not there yet, got {path}")
        with self._reading_file_apart() as connection, _translating(path):
            copy = sqlite3.connect(path, isolation_level=None)
            try:
                copy.execute("PRAGMA user_version")  # creates the file, empty
                connection.backup(copy)
                _sqlite.make_private(path)
            finally:
                copy.close()

    @contextmanager
    def session_engine(self) -> Iterator[Engine]:
        """An SQLAlchemy engine on one snapshot, read-only."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import StaticPool

        with self._reading_file_apart() as connection:
            yield create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)

    # -- opening and closing ------------------------------------------------------------------

    def _open(self) -> Opened:
        """Open the files, in the writer's turn: at first, and when a fork has closed them."""
        if self._closed:
            raise _sqlite.closed(self.path)
        if self._files is not None:
            return self._files
        self._check_identity()
        is_file = self.path != MEMORY
        is_new = is_file and not os.path.exists(self.path)
        found = _sqlite.found_revision(self.path) if is_file else None
        if found != _migrate.HEAD:
            _migrate.prepare(found, self.path)
        files = _Files(self.path, self._synchronous)
        try:
            if found != _migrate.HEAD:
                if is_new:
                    files.writing.execute("PRAGMA user_version")  # creates the file, empty
                    _sqlite.make_private(self.path)
                files.lock.acquire()
                try:
                    _sqlite.make_current(files.of_file, self.path)
                finally:
                    files.lock.release()
            if is_file:
                files.reading = self._connect_to_read()
        except BaseException:
            files.close()
            raise
        if is_file and self._identity is None:
            self._identity = _sqlite.identity(self.path)
        self._keep(files)
        self._writer.attach(files.writing, files.lock, self._check_now_and_then)
        return files

    def _keep(self, files: Opened) -> None:
        self._forgetting = weakref.finalize(self, _forgotten.append, files)
        self._forgetting.atexit = False
        self._count_up()
        self._files = files

    def _check_now_and_then(self) -> float:
        """`_check_identity`, for a hundredth of a second: it takes a twentieth of a write."""
        self._check_identity()
        return monotonic() + _IDENTIFIED_SECONDS

    def _check_identity(self) -> None:
        """Raise `StoreNotFound` if the path leads to another file by now, or to none.

        SQLite would go on writing into the one that is gone, and lose it all at the end.
        """
        if self._identity is not None and _sqlite.identity(self.path) != self._identity:
            raise StoreNotFound(
                f"{self.path} was deleted or replaced while it was open; nothing was recorded; "
                "put it back, or close the ledger and open it again",
                target=self.path,
            )

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
            raise self._amid_it()
        with self._apart:
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

    def _refuse_after_fork(self) -> NoReturn:
        raise StoreError(
            f"{self.path} was in use when this process was forked, in a way that could not be "
            "paused; close sessions before forking, or start processes by spawn",
            target=self.path,
        )


@contextmanager
def _translating(path: str) -> Iterator[None]:
    try:
        yield
    except _FOREIGN as error:
        raise _translated(error, path) from error


_FOREIGN = (sqlite3.Error, OSError, LockTimeout)


def _translated(error: Exception, path: str) -> StoreError:
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
        store._writing.clear()
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
